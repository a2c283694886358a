// The programs of examples/native in Python (languageLives.ts). A file for each language, as Jest runs files side by side.
// And a stack that changes its language.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { SEED_VOLUMES, startEmulator } from "../../../emulator";
import { operationsOf } from "../../smoke/shortLives";
import { describeEngine, newStack, pluginOnPath } from "../harness";
import { describeLanguage } from "./languageLives";
import { LANGUAGES } from "./languages";

describeLanguage("Python");

const language = LANGUAGES.Python();
const describePython = "missing" in language ? describe.skip : describeEngine;

describePython("a stack of the dynamic classes", () => {
  test("moves to Python: the same entry, no replacement, nothing written", async () => {
    if ("missing" in language) return;
    const folder = mkdtempSync(path.join(os.tmpdir(), "snapclone-move-"));
    const { program, env, path: folders } = language.prepare(folder);
    if (!("files" in program)) throw new Error("no files");
    const cloud = await startEmulator({ clock: "instant" });
    const args = { volumeId: SEED_VOLUMES.data, metadata: { team: "shop" }, triggers: ["1.0"] };
    const js = `new (require("pulumi-snapclone").Snapshot)("before-release", ${JSON.stringify(args)});`;
    const { PATH = "" } = pluginOnPath();
    const stack = await newStack({
      program: { js },
      config: { default: cloud.openstack.connection() },
      settings: { "snapclone-test:team": "shop" },
      env: { ...env, PATH: [...folders, PATH].join(path.delimiter) },
    });
    try {
      expect((await stack.up()).code).toBe(0);
      const [before] = await stack.resources();
      const { "example_snapshot.py": text = "" } = program.files;
      stack.setProgram({ ...program, files: { "__main__.py": text } });
      const written = () =>
        cloud.requests.filter(({ method, path: url }) => method !== "GET" && !url.includes("/auth/"));
      const sent = written().length;
      expect(sent).toBeGreaterThan(0);
      const moved = await stack.up();
      expect([moved.code, operationsOf(moved)]).toEqual([0, expect.objectContaining({ "before-release": "same" })]);
      const [after, ...others] = await stack.resources();
      expect([after?.type, after?.id, others]).toEqual(["snapclone:index:Snapshot", before?.id, []]);
      expect(written().length).toBe(sent);
    } finally {
      await stack.close();
      await cloud.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
