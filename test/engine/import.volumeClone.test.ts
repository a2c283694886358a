// The option import of a VolumeClone on the real engine.

import { type Emulator, startEmulator } from "../../emulator";
import { describeEngine, newStack, type Stack } from "./harness";
import { fails, ok } from "./ownership/fixture";

const VOLUMES = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];

describeEngine("the option import of a VolumeClone", () => {
  let cloud: Emulator;
  let stack: Stack;

  beforeAll(async () => {
    cloud = await startEmulator({ timings: { volumeDelete: 200 } });
    stack = await newStack({ program: { js: "" }, config: { default: { ...cloud.powervc.connection() } } });
  });
  afterAll(async () => {
    await stack.close();
    await cloud.close();
  });

  const declare = (args: object, opts: object) =>
    stack.setProgram({
      js: `new (require("pulumi-snapclone").VolumeClone)("copies", ${JSON.stringify({ volumes: VOLUMES, ...args })}, ${JSON.stringify(opts)});`,
    });

  test("a wrong order, import, no change, change in place, destroy; a resource that refuses the option", async () => {
    const ids = VOLUMES.map(
      (source_volid, index) =>
        cloud.cinder.createVolume({ name: `night-${index}`, size: 5, source_volid, metadata: { team: "shop" } }).id,
    );
    declare({}, { import: ids.toReversed().join(",") });
    expect((await fails(stack.up())).stdout).toContain("Give the clones in the order of `volumes`");
    const option = { import: ids.join(",") };
    declare({}, option);
    expect((await ok(stack.up())).stdout).toContain(`took over the volume clone ${option.import}`);
    await ok(stack.up({ args: ["--expect-no-changes"] }));
    await ok(stack.refresh({ args: ["--expect-no-changes"] }));
    declare({}, {});
    await ok(stack.up({ args: ["--expect-no-changes"] }));
    const rows = () => ids.map((id) => cloud.cinder.volumes.get(id));
    expect(rows().map((row) => row?.name)).toEqual(["night-0", "night-1"]);

    declare({ displayName: "mine" }, option);
    await ok(stack.up());
    expect(rows().map((row) => row?.name)).toEqual(["clone-mine-1", "clone-mine-2"]);
    expect(rows()[0]?.metadata).toMatchObject({ team: "shop" });
    await ok(stack.destroy());
    expect([rows(), cloud.requests.count({ operation: "clones.create" })]).toEqual([[undefined, undefined], 0]);

    stack.setProgram({
      js: `new (require("pulumi-snapclone").AssistedSnapshot)("overlay", { volumeId: "${VOLUMES[0]}", snapshotId: "${VOLUMES[1]}", newFile: "a", fileToMerge: "b" }, { import: "x" });`,
    });
    expect((await fails(stack.preview())).stdout).toContain("an AssistedSnapshot can't be imported");
  });
});
