// `pulumi import` of every other resource through the native provider. Snapshot and the refusals are in interruptions.test.ts.

import { writeFileSync } from "node:fs";
import { type Emulator, startEmulator } from "../../../emulator";
import { describeEngine, newStack, pluginOnPath, type Stack } from "../harness";
import { connectionsOf, countsOf, makeImportables, programOf } from "../importable";
import { ok } from "../ownership/fixture";

describeEngine("pulumi import, native", () => {
  let cloud: Emulator;
  let stack: Stack;

  beforeAll(async () => {
    cloud = await startEmulator({ timings: { viprUnlink: 100 } });
    stack = await newStack({ program: { js: "" }, config: connectionsOf(cloud), env: pluginOnPath() });
  });
  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  test("import from a file, one update that replaces nothing, no change, destroy", async () => {
    const { resources } = makeImportables(cloud);
    // ViPR's and ZStack's answers lack these: they replace nothing after an import.
    Object.assign(resources.LinkedTargetSet?.args ?? {}, { copyMode: "copy", targetName: "night" });
    Object.assign(resources.ClonedVm?.args ?? {}, { full: true });
    const before = countsOf(cloud);
    const file = `${stack.dir}/import.json`;
    const idOf = ({ id, args: { connection } }: (typeof resources)[string]) =>
      connection === undefined ? id : `${connection}/${id}`;
    const list = Object.entries(resources).map(([type, one]) => ({
      type: `snapclone:index:${type}`,
      name: type,
      id: idOf(one),
    }));
    writeFileSync(file, JSON.stringify({ resources: list }));
    const flags = ["--yes", "--skip-preview", "--generate-code=false", "--protect=false", "--stack", stack.name];
    await ok(stack.command(["import", ...flags, "--file", file]));
    stack.setProgram(programOf("pulumi-snapclone/native", resources, "args", false));
    const up = await ok(stack.up());
    expect(up.stdout).not.toMatch(/replaced|created/);
    expect([countsOf(cloud), (await stack.resources()).length]).toEqual([before, 4]);
    await ok(stack.up({ args: ["--expect-no-changes"] }));
    await ok(stack.destroy());
    expect(countsOf(cloud)).toMatchObject({ targets: (before.targets ?? 0) - 2, vms: (before.vms ?? 0) - 2 });
  });
});
