/** The stack and the project that a resource's URN names: `urn:pulumi:<stack>::<project>::<type>::<name>`. */
export function stackOfUrn(urn: string): { stack: string; project: string } {
  const [, , stack = "", project = ""] = urn.split(/::|:/);
  return { stack, project };
}

/** The name that the program gives. It may contain `::`. */
export function nameOfUrn(urn: string): string {
  return urn.split("::").slice(3).join("::");
}
