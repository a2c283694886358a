// Both shells have the same resources, and a stack may move from one to the other. The ownership records and the hidden inputs
// have one form of a resource's URN, whichever shell made the resource: that of the dynamic classes, which came first. So a
// move changes no record, and each shell knows what the other's interrupted run has left.

const DYNAMIC = "pulumi-nodejs:dynamic/snapclone:";
const NATIVE = "snapclone:index:";

/** True for both shells' resource types. */
export function isOurType(type: unknown): boolean {
  return typeof type === "string" && (type.startsWith(DYNAMIC) || type.startsWith(NATIVE));
}

/** The class of a native type: `Snapshot` for `snapclone:index:Snapshot`. */
export function classOfType(type: string): string | undefined {
  return type.startsWith(NATIVE) ? type.slice(NATIVE.length) : undefined;
}

/** The native type of a class. */
export function nativeType(className: string): string {
  return NATIVE + className;
}

/** The URN as records have it. Its third part is the type, after those of the parents: `parent$type`. */
export function ownerUrn(urn: string): string {
  const [stack = "", project = "", types = "", ...name] = urn.split("::");
  if (name.length === 0) return urn;
  const owner = types.split("$").map((type) => (type.startsWith(NATIVE) ? DYNAMIC + type.slice(NATIVE.length) : type));
  return [stack, project, owner.join("$"), ...name].join("::");
}

/** A text for users of the native shell: the state has its resources under their native types. */
export function withNativeTypes(text: string): string {
  return text.replaceAll(DYNAMIC, NATIVE);
}
