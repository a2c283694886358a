/** The stack and the project that a resource's URN names: `urn:pulumi:<stack>::<project>::<type>::<name>`. */
export function stackOfUrn(urn: string): { stack: string; project: string } {
  const [, , stack = "", project = ""] = urn.split(/::|:/);
  return { stack, project };
}

/** The name that the program gives. It may contain `::`. */
export function nameOfUrn(urn: string): string {
  return urn.split("::").slice(3).join("::");
}

/** The type, after those of its parents. undefined where a record has no room for the whole URN (`shortOwner`). */
export function typeOfUrn(urn: string): string | undefined {
  const [, , types, ...name] = urn.split("::");
  return types === undefined || name.length === 0 ? undefined : types.split("$").at(-1);
}
