// The version of this package.

export function packageVersion(): string {
  // From the sources, or from dist/cli.
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      return (require(path) as { version: string }).version;
    } catch {
      // The other place has it.
    }
  }
  return "unknown";
}
