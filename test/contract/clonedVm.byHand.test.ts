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
