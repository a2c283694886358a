// ClonedVm and clones that are not to be seen: nothing leaves the state while work is pending or the login may be blind, and
// whatever ZStack makes is found by the next run.

import { ZSTACK_SEED } from "../../emulator";
import { fixture, good, numberOf, renew, WEB } from "./clonedVmEngineFixture";

const ONE = { ...WEB, names: ["web-1"] };
const SLOW = { zstackImage: 60_000, zstackClone: 60_000 };

describe("destroy: fails while the account has lost its rights, and the next destroy leaves nothing", () => {
  const destroyBlindly = async () => {
    fixture.zstack.settings.revoked = true;
    const { errors, messages } = await fixture.destroy();
    fixture.zstack.settings.revoked = false;
    expect([errors.length, fixture.engine.state.entries.length]).toEqual([1, 1]);
    expect(messages).toMatch(/that does not prove that it is gone.*pulumi state delete/s);
    expect(await fixture.destroy()).toMatchObject(good);
    expect([fixture.names, fixture.tags.filter((tag) => tag.includes("intent"))]).toEqual([[], []]);
  };

  test.each([0, 600_000])("a create is pending whose deadline has passed (%i ms later)", async (ms) => {
    renew({}, SLOW);
    await fixture.up({ web: { ...WEB, __timeouts: { create: "30s" } } });
    expect(fixture.outputs).toMatchObject({ pending: { operation: "create" } });
    fixture.wait(ms);
    await destroyBlindly();
  });

  test("an update is pending whose deadline has passed", async () => {
    renew({}, SLOW);
    await fixture.up({ web: ONE });
    await fixture.up({ web: { ...WEB, __timeouts: { update: "30s" } } });
    expect(fixture.outputs).toMatchObject({ pending: { operation: "update" } });
    fixture.wait(600_000);
    await destroyBlindly();
  });
});

describe("five quiet minutes of a job with an unknown outcome", () => {
  /** Whether ZStack reports the job's progress, which it may not do either. */
  const begin = (isReported: boolean, zstackImage = 900_000) => {
    renew({}, { zstackImage, zstackClone: 10_000 });
    fixture.zstack.failNextClone("given-up");
    if (!isReported) fixture.zstack.progress.set = () => fixture.zstack.progress;
  };

  test.each([true, false])("create: clones no second time and forgets no clone (progress: %s)", async (isReported) => {
    begin(isReported);
    const { errors, messages } = await fixture.up({ web: WEB });
    expect(errors).toHaveLength(isReported ? 0 : 1);
    if (!isReported) {
      expect(messages).toMatch(/nothing shows whether ZStack is still at work \(cloning 2 VMs/);
      expect(fixture.outputs).toMatchObject({ pending: { operation: "create" } });
    }
    fixture.wait(3_600_000);
    expect((await fixture.up({ web: WEB })).errors).toEqual([]);
    expect([fixture.names, fixture.zstack.vms.size]).toEqual([WEB.names, 4]);
    expect(fixture.tags.filter((tag) => tag.includes("intent"))).toEqual([]);
  });

  test.each([true, false])("destroy: forgets no clone (progress: %s)", async (isReported) => {
    begin(isReported);
    await fixture.up({ web: { ...WEB, __timeouts: { create: "30s" } } });
    const { errors } = await fixture.destroy();
    const count = isReported ? 0 : 1;
    expect([errors.length, fixture.engine.state.entries.length]).toEqual([count, count]);
    fixture.wait(3_600_000);
    expect((await fixture.destroy()).errors).toEqual([]);
    expect([fixture.names, fixture.tags.filter((tag) => tag.includes("intent"))]).toEqual([[], []]);
  });

  test("destroy: ends when the job's own time is over", async () => {
    begin(false, Number.POSITIVE_INFINITY);
    await fixture.up({ web: { ...WEB, __timeouts: { create: "30s" } } });
    expect((await fixture.destroy()).errors).toHaveLength(1);
    await fixture.clock.sleep(2 * 3_600_000);
    expect((await fixture.destroy()).errors).toEqual([]);
    expect([fixture.engine.state.entries, fixture.tags]).toEqual([[], []]);
  });
});

describe("the clones of a killed update whose source was expunged since, with the tag of the pending create", () => {
  beforeEach(async () => {
    await fixture.up({ web: ONE });
    const at = await numberOf(/PUT \/vm-inst/, () => fixture.up({ web: WEB }));
    renew();
    await fixture.up({ web: ONE });
    await fixture.up({ web: WEB }, { [at]: "killed after" });
    fixture.wait(60_000);
    fixture.zstack.removeVm(ZSTACK_SEED.web);
    expect(fixture.names).toEqual(["web-1", expect.stringMatching(/^web-2\.sc-/)]);
  });

  test("destroy: go with their set", async () => {
    expect(await fixture.destroy()).toMatchObject(good);
    expect(fixture.names).toEqual([]);
  });

  test("update: are members of their set", async () => {
    expect(await fixture.up({ web: WEB })).toMatchObject(good);
    expect([fixture.names, fixture.outputs.names]).toEqual([WEB.names, WEB.names]);
  });

  test("refresh: keep their set in the state", async () => {
    fixture.zstack.removeVm(fixture.clones.find(({ name }) => name === "web-1")?.uuid ?? "");
    await fixture.refresh();
    expect(fixture.engine.state.entries).toHaveLength(1);
    expect((await fixture.destroy()).errors).toEqual([]);
    expect(fixture.names).toEqual([]);
  });
});

describe("a clone that ZStack has made after its job counted as ended", () => {
  const addLate = (name: string) => {
    const vm = fixture.zstack.addVm({ name: `${name}.sc-${fixture.engine.state.entries[0]?.id}` });
    fixture.zstack.furnish(vm);
    vm.state = "Running";
    return vm;
  };

  test("update: goes to the recycle bin, with a warning", async () => {
    await fixture.up({ web: WEB });
    const vm = addLate("web-1");
    const { errors, messages } = await fixture.up({ web: { ...WEB, description: "new" } });
    expect([errors, messages]).toEqual([
      [],
      expect.stringMatching(/"web-1" was cloned twice, and is in the recycle bin/),
    ]);
    expect([vm.state, fixture.names]).toEqual(["Destroyed", WEB.names]);
  });

  test("destroy: goes with its set", async () => {
    await fixture.up({ web: WEB });
    addLate("web-1");
    expect(await fixture.destroy()).toMatchObject(good);
    expect(fixture.names).toEqual([]);
  });
});
