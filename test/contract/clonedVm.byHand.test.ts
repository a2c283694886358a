// ClonedVm and what somebody changes by hand while the set is under way: names, tags, and VMs in the recycle bin.

import type { Properties } from "../../provider/core/operation";
import { fixture, numberOf, renew, WEB } from "./clonedVmEngineFixture";

const succeeded = { errors: [], killed: false };

/** A create that was killed after its request, and whose clones exist by now. */
async function killedCreate(program: Properties = WEB): Promise<void> {
  const at = await numberOf(/PUT \/vm-inst/, () => fixture.up({ web: program }));
  renew();
  await fixture.up({ web: program }, { [at]: "killed after" });
  fixture.wait(60_000);
}

function rename(from: RegExp, to: string): void {
  const vm = fixture.clones.find(({ name }) => from.test(name));
  if (!vm) throw new Error(`no clone is called ${from}`);
  vm.name = to;
}

describe("a clone that somebody renamed before it had its tag", () => {
  test.each(["web-1", "web-2", "somebody's"])("is adopted with the others, and not cloned again (%s)", async (name) => {
    await killedCreate();
    rename(/^web-1\.sc-/, name);
    const before = fixture.clones.map(({ uuid }) => uuid).sort();
    expect(await fixture.up({ web: WEB })).toMatchObject(succeeded);
    expect([fixture.names, fixture.clones.map(({ uuid }) => uuid).sort()]).toEqual([WEB.names, before]);
    expect(await fixture.destroy()).toMatchObject(succeeded);
    expect([fixture.names, fixture.tags.filter((tag) => tag.includes("intent"))]).toEqual([[], []]);
  });

  test("goes with its set, whose create ran out of time", async () => {
    renew({}, { zstackImage: 60_000, zstackClone: 60_000 });
    await fixture.up({ web: { ...WEB, __timeouts: { create: "30s" } } });
    fixture.wait(300_000);
    rename(/^web-1\.sc-/, "somebody's");
    expect(await fixture.destroy()).toMatchObject(succeeded);
    expect([fixture.names, fixture.tags.filter((tag) => tag.includes("intent"))]).toEqual([[], []]);
  });

  test.each([
    ["ZStack tells its job's result", undefined],
    ["ZStack has given its job up", "given-up"],
  ] as const)("is a member if the create is still under way (%s)", async (_name, outcome) => {
    renew({}, { zstackImage: 1_000, zstackClone: 60_000 });
    if (outcome) fixture.zstack.failNextClone(outcome);
    fixture.zstack.after(40_000, () => rename(/^web-1\.sc-/, "web-1"));
    expect(await fixture.up({ web: WEB })).toMatchObject(succeeded);
    expect([fixture.names, fixture.zstack.vms.size]).toEqual([WEB.names, 4]);
  });
});

describe("a VM that somebody recovered from the recycle bin", () => {
  const one = { ...WEB, names: ["web-1"] };
  const vmOf = (name: string) => {
    const vms = (fixture.outputs.vms ?? []) as { uuid: string; name: string }[];
    return fixture.zstack.vms.get(vms.find((vm) => vm.name === name)?.uuid ?? "");
  };

  test.each([
    ["the update put it there", false],
    ["somebody put it there before", true],
  ])("stays at the next update if its name has left the program (%s)", async (_name, byHand) => {
    await fixture.up({ web: WEB });
    const second = vmOf("web-2");
    if (second && byHand) second.state = "Destroyed";
    await fixture.up({ web: one });
    expect([second?.state, fixture.zstack.tagsOf(second?.uuid ?? "")]).toEqual(["Destroyed", []]);
    if (second) second.state = "Stopped";
    expect(await fixture.up({ web: { ...one, description: "new", deletion: "expunge" } })).toMatchObject(succeeded);
    expect(second?.state).toBe("Stopped");
    await fixture.destroy();
    expect([second?.state, fixture.names]).toEqual(["Stopped", ["web-2"]]);
  });

  test("stays if an early build has left its tag, and the update comes before the recovery", async () => {
    await fixture.up({ web: WEB });
    const second = vmOf("web-2");
    const tags = [...fixture.zstack.tags.values()].filter(({ resourceUuid }) => resourceUuid === second?.uuid);
    await fixture.up({ web: one });
    for (const tag of tags) fixture.zstack.tags.set(tag.uuid, tag);
    await fixture.up({ web: { ...one, description: "new" } });
    if (second) second.state = "Stopped";
    await fixture.up({ web: { ...one, description: "newer" } });
    expect(second?.state).toBe("Stopped");
  });

  test.each([
    ["Running", "Stopped"],
    ["Stopped", "Running"],
    ["Running", "Migrating"],
  ])("is in no update's way beside its successor (powerState %s, the VM is %s)", async (powerState, state) => {
    const program = { ...WEB, powerState };
    await fixture.up({ web: program });
    const old = vmOf("web-1");
    if (old) old.state = "Destroyed";
    await fixture.refresh();
    await fixture.up({ web: program });
    if (old) old.state = state;
    await fixture.refresh();
    const { messages, ...result } = await fixture.up({ web: { ...program, description: "new" } });
    expect([result, messages]).toEqual([
      expect.objectContaining(succeeded),
      expect.stringMatching(/"web-1" is there twice/),
    ]);
    expect(old?.state).toBe(state);
    expect(fixture.outputs.vms).toMatchObject([{ state: powerState }, { state: powerState }]);
  });

  test("is nobody's after its set was destroyed", async () => {
    await fixture.up({ web: WEB });
    const second = vmOf("web-2");
    await fixture.destroy();
    if (second) second.state = "Stopped";
    expect(await fixture.up({ web: WEB })).toMatchObject({ ...succeeded, messages: "" });
    expect([fixture.tags.length, fixture.zstack.tagsOf(second?.uuid ?? "")]).toEqual([2, []]);
  });
});

test.each([undefined, ["team::shop"]])(
  "a user tag that somebody put on a clone of a killed run stays when the set is adopted (userTags: %s)",
  async (userTags) => {
    await killedCreate();
    const [vm] = fixture.clones;
    const uuid = "0123456789ab4cde8f0123456789abcd";
    const resourceUuid = vm?.uuid ?? "";
    fixture.zstack.tags.set(uuid, { uuid, resourceType: "VmInstanceVO", resourceUuid, tag: "backup::daily" });
    await fixture.up({ web: { ...WEB, ...(userTags ? { userTags } : {}) } });
    const tags = fixture.zstack.tagsOf(resourceUuid).filter((tag) => !tag.startsWith("snapclone::"));
    expect(tags).toEqual(["backup::daily", ...(userTags ?? [])]);
  },
);
