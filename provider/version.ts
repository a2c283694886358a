// The package's version, as a value of the code: a bundled program has no package.json beside it.

/** Equals that of package.json (test/unit/version.test.ts). */
export const version = "0.1.0";
