// The SDKs for Python and Go, made anew by the engine's code generators: nothing in sdk/python and sdk/go was written by hand.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { executablesOnPath } from "../../../tools/engine/onPath";
import { filesOf } from "../../../tools/sdk/generate";

const ROOT = path.resolve(__dirname, "..", "..", "..");
const hasGo = executablesOnPath("go", process.env).length > 0;
if (!hasGo) process.stderr.write("\nSKIPPED, as there is no Go: the SDKs made anew\n\n");

(hasGo ? test : test.skip)(
  "they are what the generators make of the schema; if not, run `npm run sdk`",
  () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "snapclone-sdks-"));
    try {
      const cli = path.join(ROOT, "dist", "tools", "sdk", "cli.js");
      execFileSync(process.execPath, [cli, "--into", folder], { stdio: ["ignore", "ignore", "pipe"] });
      const made = filesOf(folder, ["go", "python"]);
      expect(made.length).toBeGreaterThan(30);
      expect(filesOf(path.join(ROOT, "sdk"), ["go", "python"])).toEqual(made);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  600_000,
);
