// The sdk in a program that a bundler has put into one file: nothing of the package is found by its place on the disk then.
// test/package/layouts.test.ts runs whole programs, with the installed package.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "esbuild";

const ROOT = path.resolve(__dirname, "..", "..", "..");

test.each(["index", "native"])("%s loads from a bundle in another folder", async (entry) => {
  const folder = mkdtempSync(path.join(tmpdir(), "snapclone-bundle-"));
  try {
    const outfile = path.join(folder, "bundle.js");
    await build({
      entryPoints: [path.join(ROOT, "sdk", `${entry}.ts`)],
      outfile,
      bundle: true,
      platform: "node",
      external: ["@pulumi/pulumi"],
      logLevel: "silent",
    });
    const program = `process.stdout.write(Object.keys(require(${JSON.stringify(outfile)})).join())`;
    const env = { ...process.env, NODE_PATH: path.join(ROOT, "node_modules") };
    const loaded = execFileSync(process.execPath, ["-e", program], { cwd: folder, env, encoding: "utf8" });
    expect(loaded.split(",")).toContain("Snapshot");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
