// The option `import` of LinkedTargetSet, ClonedVm, VolumeFromSnapshot and SnapshotSeries on the real engine, all in one program.

import * as fs from "node:fs";
import * as path from "node:path";
import { type Emulator, startEmulator } from "../../emulator";
import { describeEngine, newStack, type Stack } from "./harness";
import { connectionsOf, countsOf, type Imported, makeForeign, makeImportables, programOf } from "./importable";
import { fails, ok, stateFolder } from "./ownership/fixture";

const FAST = {
  viprLink: 100,
  viprUnlink: 100,
  snapshotCreate: 200,
  snapshotDelete: 100,
  volumeDelete: 100,
  zstackAction: 50,
};

describeEngine("the option import of the other resources", () => {
  let cloud: Emulator;
  let stack: Stack;
  let resources: Record<string, Imported>;
  let disk: string;

  beforeAll(async () => {
    cloud = await startEmulator({ timings: FAST });
    stack = await newStack({ program: { js: "" }, config: connectionsOf(cloud) });
    ({ resources, disk } = makeImportables(cloud));
  });
  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  const declare = (which: "args" | "changed" | "wrong", withOption = true, more: Record<string, Imported> = {}) =>
    stack.setProgram(programOf("pulumi-snapclone", { ...resources, ...more }, which, withOption));
  const noChanges = { args: ["--expect-no-changes"] };

  test("wrong inputs, another stack's, kill -9, the same command again, no change, change in place, destroy", async () => {
    const foreign = makeForeign(cloud);
    const before = countsOf(cloud);
    declare("wrong", true, foreign);
    // A failure must not keep the engine from the others.
    const { stdout } = await fails(stack.up({ args: ["--continue-on-error"] }));
    for (const { error } of Object.values(resources)) expect(stdout).toContain(error);
    const [{ error: ofOthers = "" } = {}] = Object.values(foreign);
    // Each is named where it failed, and at the end.
    expect(stdout.split(ofOthers).length - 1).toBeGreaterThanOrEqual(4);
    expect([countsOf(cloud), (await stack.resources()).length]).toEqual([before, 0]);

    declare("args");
    const held = cloud.faults.add({ match: { operation: "targets.tag" }, times: 1, action: "hang" });
    const run = stack.start("up");
    const deadline = Date.now() + 60_000;
    while (held.hits === 0) {
      if (Date.now() > deadline) throw new Error("no target was tagged within a minute");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const provider of stack.providers()) process.kill(provider, "SIGKILL");
    run.child.kill("SIGKILL");
    await run.result;
    held.remove();
    fs.rmSync(path.join(stateFolder(stack), ".pulumi", "locks"), { recursive: true, force: true });

    const up = await ok(stack.up());
    expect(up.stdout).toContain(`nothing proves that the data volumes ${disk} came with the clones`);
    expect(up.stdout).not.toContain("in no state");
    expect([countsOf(cloud), (await stack.resources()).length]).toEqual([before, 4]);
    declare("args", false);
    await ok(stack.refresh(noChanges));
    await ok(stack.up(noChanges));

    declare("changed", false);
    await ok(stack.up());
    expect(countsOf(cloud)).toEqual({ ...before, targets: (before.targets ?? 0) + 1 });
    await ok(stack.destroy());
    expect(countsOf(cloud)).toEqual({
      snapshots: (before.snapshots ?? 0) - 2,
      volumes: (before.volumes ?? 0) - 1,
      targets: (before.targets ?? 0) - 2,
      vms: (before.vms ?? 0) - 2,
    });
    expect(cloud.zstack.volumes.get(disk)).toMatchObject({ status: "Ready", vmInstanceUuid: null });
  });
});
