// Which versions of Pulumi's engine this package works with, and how two versions compare.

import * as fs from "node:fs";
import * as path from "node:path";

/**
 * Since 3.216.0 the engine keeps the inputs that a dynamic provider's `read` returns (pulumi/pulumi#21315). With an older
 * engine `refresh` can't show drift as a diff.
 */
export const MINIMUM_VERSION = "v3.216.0";

/** The version that go.mod asks for, without the `v`. */
export function engineVersion(root: string): string {
  const version = /github\.com\/pulumi\/pulumi\/pkg\/v3 v(\S+)/.exec(moduleFile(root, "go.mod"))?.[1];
  if (version === undefined) throw new Error("tools/engine/go.mod doesn't name a version of Pulumi");
  return version;
}

/** go.mod or go.sum, which are read where they are committed: tsc copies no such files into dist/. */
export function moduleFile(root: string, name: string): string {
  return fs.readFileSync(path.join(root, "tools", "engine", name), "utf8");
}

/** Compares the first three numbers of `v3.259.0`, `3.259.0`, `go1.26.8` or `v3.260.0-dev.1`. */
export function atLeast(version: string, minimum: string): boolean {
  const have = numbers(version);
  const want = numbers(minimum);
  for (const [index, wanted] of want.entries()) {
    const got = have[index] ?? 0;
    if (got !== wanted) return got > wanted;
  }
  return have.length > 0;
}

function numbers(version: string): number[] {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  return match === null ? [] : [match[1], match[2], match[3] ?? "0"].map(Number);
}
