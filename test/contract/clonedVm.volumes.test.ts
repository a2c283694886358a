// ClonedVm and volumes that are not the set's: what was attached to a clone before the clone had its tag stays when it goes.

import { cloned, FULL, fixture, numberOf, renew, WEB } from "./clonedVmEngineFixture";

const succeeded = { errors: [], killed: false };
const mine = () => [...fixture.zstack.volumes.values()].find(({ name }) => name === "mine");

/** A create that was killed after its request, and whose clones exist by now. */
async function killedCreate(program: object): Promise<void> {
  const at = await numberOf(/PUT \/vm-inst/, () => fixture.up({ set: program as never }));
  renew();
  await fixture.up({ set: program as never }, { [at]: "killed after" });
  fixture.wait(60_000);
}

function attach(fields: object = {}): void {
  fixture.zstack.addVolume({ name: "mine", type: "Data", vmInstanceUuid: fixture.clones[0]?.uuid ?? "", ...fields });
}

describe("a volume that somebody attached to a clone before the clone had its tag", () => {
  test.each<[string, object]>([
    ["without full", WEB],
    ["without full, for good", { ...WEB, deletion: "expunge" }],
    ["in full", FULL],
    ["in full, for good", { ...FULL, deletion: "expunge" }],
  ])("stays when the adopted set is destroyed (%s)", async (_name, program) => {
    await killedCreate(program);
    attach();
    const { messages, ...result } = await fixture.up({ set: program as never });
    expect(result).toMatchObject(succeeded);
    expect(messages).toMatch(new RegExp(`the data volumes ${mine()?.uuid} of ".*" were not cloned with the VM`));
    expect(await fixture.destroy()).toMatchObject(succeeded);
    expect(mine()).toMatchObject({ status: "Ready", vmInstanceUuid: null });
    expect(cloned().filter(({ status }) => status !== "Deleted")).toEqual([]);
  });

  test.each<[string, object]>([
    ["without full", WEB],
    ["in full", FULL],
  ])("stays when the set is destroyed that nobody has adopted (%s)", async (_name, program) => {
    await fixture.up({ set: { ...program, names: ["first"] } as never });
    const names = ["first", "second"];
    const at = await numberOf(/PUT \/vm-inst/, () => fixture.up({ set: { ...program, names } as never }));
    renew();
    await fixture.up({ set: { ...program, names: ["first"] } as never });
    await fixture.up({ set: { ...program, names } as never }, { [at]: "killed after" });
    fixture.wait(60_000);
    attach({ vmInstanceUuid: fixture.clones.find(({ name }) => name.startsWith("second"))?.uuid ?? "" });
    expect(await fixture.destroy()).toMatchObject(succeeded);
    expect([fixture.names, mine()?.status]).toEqual([[], "Ready"]);
    expect(cloned().filter(({ status }) => status !== "Deleted")).toEqual([]);
  });

  test("stays although it was cloned with another clone of the same source", async () => {
    await killedCreate({ ...FULL, names: ["db-1"] });
    const [vm] = fixture.clones;
    const [own] = fixture.zstack.volumesOf(vm?.uuid ?? "", "Data");
    attach({ description: own?.description ?? null, lastVmInstanceUuid: "0".repeat(12) + "4".repeat(20) });
    expect((await fixture.up({ set: FULL })).errors).toEqual([]);
    await fixture.destroy();
    expect(mine()?.status).toBe("Ready");
  });
});

test("the cloned volumes of a name that the adopting run adds go with their VM", async () => {
  await killedCreate(FULL);
  const { messages, ...result } = await fixture.up({ set: { ...FULL, names: ["db-1", "db-2"] } });
  expect(result).toMatchObject(succeeded);
  expect(messages).not.toMatch(/were not cloned/);
  await fixture.destroy();
  expect(cloned().map(({ status }) => status)).toEqual(["Deleted", "Deleted", "Deleted", "Deleted"]);
});

test("keepDataVolumes: the volumes of a clone that ZStack has left broken stay, too", async () => {
  const program = { ...FULL, keepDataVolumes: true };
  fixture.zstack.failNextClone("orphans");
  const at = await numberOf(/PUT \/vm-inst/, () => fixture.up({ set: program as never }));
  renew();
  fixture.zstack.failNextClone("orphans");
  await fixture.up({ set: program as never }, { [at]: "killed after" });
  fixture.wait(60_000);
  const [vm] = fixture.clones;
  if (vm) vm.state = "Error";
  await fixture.up({ set: program as never });
  expect(cloned().map(({ status }) => status)).toEqual(["Ready", "Ready", "Ready", "Ready"]);
});

describe("a clone of a killed create that is not as ZStack has made it", () => {
  test.each([
    ["ZStack has forgotten the job", 5 * 3_600_000],
    ["ZStack knows the job's result", 0],
  ])("stays although somebody has detached a cloned volume (%s)", async (_name, ms) => {
    await killedCreate(FULL);
    fixture.wait(ms);
    const [vm] = fixture.clones;
    const [volume] = fixture.zstack.volumesOf(vm?.uuid ?? "", "Data");
    if (volume) fixture.zstack.detach(volume);
    const { messages, ...result } = await fixture.up({ set: FULL });
    expect(result).toMatchObject(succeeded);
    expect([fixture.names, fixture.clones[0]?.uuid]).toEqual(["db-1", vm?.uuid].map((one, at) => (at ? one : [one])));
    expect(messages.includes("lacks some of the 2 data volumes")).toBe(ms > 0);
  });

  test.each([
    ["destroy", "Destroyed"],
    ["expunge", undefined],
  ])("goes as `deletion: %s` says if it is broken", async (deletion, state) => {
    await killedCreate({ ...FULL, deletion });
    const [vm] = fixture.clones;
    if (vm) vm.state = "Error";
    const { errors } = await fixture.up({ set: { ...FULL, deletion } });
    expect(errors).toEqual([]);
    expect(fixture.zstack.vms.get(vm?.uuid ?? "")?.state).toBe(state);
    expect(fixture.names).toEqual(["db-1"]);
  });
});
