// ClonedVm on a model of the engine: ownership, absence, deletion, and what the next run resumes.

import { ZSTACK_SEED } from "../../emulator";
import { diff } from "../../provider/core/diff";
import { newUuid } from "../../provider/zstack/context";
import { cloned, FULL, fixture, good, numberOf, renew, uuidsOf, WEB } from "./clonedVmEngineFixture";
import type { ZStackFixture } from "./zstackFixture";

const vmsOf = () => fixture.outputs.vms as { uuid: string; name: string }[];

describe("ownership", () => {
  test("create: adopts the clones of a killed create, waits for them, reconciles them and reports the adoption", async () => {
    const at = await numberOf(/PUT \/vm-inst/, () => fixture.up({ web: WEB }));
    for (const change of [{ description: "new", userTags: ["new"] }, { names: ["web-2", "web-3"] }]) {
      renew();
      await fixture.up({ web: { ...WEB, userTags: ["old"] } }, { [at]: "killed after" });
      expect([fixture.clones, fixture.tags]).toEqual([[], [expect.stringMatching(/^snapclone::intent::/)]]);
      const { errors, messages } = await fixture.up({ web: { ...WEB, ...change } });
      expect([errors, messages]).toEqual([
        [],
        expect.stringMatching(/^info: adopted the set of clones \w{32}, made 2026/),
      ]);
      const { names = WEB.names, userTags = [] } = change as { names?: string[]; userTags?: string[] };
      expect([fixture.names, fixture.outputs.names]).toEqual([names, names]);
      for (const { uuid } of fixture.clones) {
        expect(fixture.zstack.tagsOf(uuid).filter((tag) => !tag.startsWith("snapclone::"))).toEqual(userTags);
      }
      expect(fixture.tags.filter((tag) => tag.startsWith("snapclone::intent"))).toEqual([]);
    }
  });

  test("create: adopts no set that the state has, and a forced replacement makes a new set", async () => {
    await fixture.up({ web: WEB });
    const before = uuidsOf();
    const replaced = await fixture.run((engine) => engine.up({ web: WEB }, { replace: ["web"] }));
    expect(replaced).toMatchObject(good);
    expect(fixture.names).toEqual(["web-1", "web-2"]);
    expect(uuidsOf().filter((uuid) => before.includes(uuid))).toEqual([]);
  });

  test("update: an alias writes the new owner into the one tag of each clone", async () => {
    await fixture.up({ web: WEB });
    const { errors } = await fixture.run((engine) => engine.up({ shop: WEB }, {}, { shop: "web" }));
    expect(errors).toEqual([]);
    expect(fixture.tags.map((tag) => tag.slice(-12))).toEqual(["shop::web-1", "shop::web-2"].map((end) => `:${end}`));
  });

  test("update: an alias that is killed at any request, and given again, leaves each clone one tag", async () => {
    const rename = (engine: ZStackFixture["engine"]) => engine.up({ shop: WEB }, {}, { shop: "web" });
    for (let at = 0; ; at += 1) {
      renew();
      await fixture.up({ web: WEB });
      await fixture.run(rename, { [at]: at % 2 === 0 ? "killed" : "killed after" });
      if (fixture.requests <= at) break;
      expect((await fixture.run(rename)).errors).toEqual([]);
      const tags = fixture.clones.map(({ uuid }) => fixture.zstack.tagsOf(uuid).map((tag) => tag.slice(-12)));
      expect([at, tags.sort()]).toEqual([at, [[":shop::web-1"], [":shop::web-2"]]]);
    }
    expect(fixture.requests).toBeGreaterThan(4);
  });

  test("refresh: reports sets that no state has, but no VMs in the recycle bin", async () => {
    await fixture.up({ web: WEB, other: { ...WEB, names: ["other"] } });
    const lost = fixture.engine.state.entries.find(({ urn }) => urn.endsWith("web"))?.id ?? "";
    fixture.engine.edit((state) => {
      state.entries = state.entries.filter(({ id }) => id !== lost);
    });
    expect((await fixture.refresh()).messages).toMatch(
      new RegExp(`in no state: a set of clones[^]*${lost} "web-[12], web-[12]"`),
    );
    for (const vm of fixture.clones.filter(({ name }) => name !== "other")) vm.state = "Destroyed";
    expect(await fixture.refresh()).toMatchObject(good);
  });

  test("create: replaces the open tag of an early build when it adopts the set, and still reads the old tags", async () => {
    await fixture.up({ web: WEB });
    const id = fixture.engine.state.entries[0]?.id ?? "";
    // The tags of early builds: a tag without a name on each VM, tags on volumes, no stack.
    for (const row of fixture.zstack.tags.values()) row.tag = `snapclone::set::${id}`;
    const owner = fixture.engine.urn("web");
    fixture.zstack.tags.set("f".repeat(32), {
      uuid: "f".repeat(32),
      resourceType: "VmInstanceVO",
      resourceUuid: ZSTACK_SEED.web,
      tag: `snapclone::open::${id}::${newUuid()}::1::${"0".repeat(32)}::${owner}`,
    });
    const before = uuidsOf();
    await fixture.up({ web: { ...WEB, description: "new" } });
    expect([fixture.names, uuidsOf(), fixture.outputs.names]).toEqual([WEB.names, before, WEB.names]);
    expect(fixture.tags.filter((tag) => tag.startsWith("snapclone::open"))).toEqual([]);
    await fixture.destroy();
    expect(fixture.names).toEqual([]);
  });
});

describe("proof of absence", () => {
  test("refresh, destroy: fail and keep the state if the account has lost its rights", async () => {
    await fixture.up({ web: WEB });
    fixture.zstack.settings.revoked = true;
    for (const command of ["refresh", "destroy"] as const) {
      const { errors, messages } = await fixture[command]();
      expect(errors).toHaveLength(1);
      expect(messages).toMatch(
        new RegExp(`VM ${ZSTACK_SEED.web} in the zone ${ZSTACK_SEED.zone}.*account admin at http://cloud.test/zstack`),
      );
      expect(fixture.engine.state.entries).toHaveLength(1);
    }
  });

  test.each([
    ["the source is there", false],
    ["the source is gone, too, and the zone is there", true],
  ])("refresh: removes a set that was expunged by hand from the state (%s)", async (_name, withSource) => {
    await fixture.up({ web: WEB });
    for (const uuid of uuidsOf()) fixture.zstack.removeVm(uuid);
    if (withSource) fixture.zstack.removeVm(ZSTACK_SEED.web);
    expect(await fixture.refresh()).toMatchObject(good);
    expect(fixture.engine.state.entries).toEqual([]);
  });

  test("refresh: reports a missing member as drift; destroy: still reports the other member's failure", async () => {
    await fixture.up({ web: WEB });
    const [one, two] = vmsOf();
    fixture.zstack.removeVm(one?.uuid ?? "");
    await fixture.refresh();
    expect(fixture.outputs.names).toEqual(["web-2"]);
    const other = fixture.zstack.vms.get(two?.uuid ?? "");
    if (other) other.state = "Migrating";
    fixture.engine.edit(({ entries: [entry] }) => {
      if (entry) entry.outputs.__timeouts = { delete: "1m" };
    });
    const { errors, messages } = await fixture.destroy();
    expect([errors.length, messages]).toEqual([1, expect.stringMatching(/for "web-2" to reach a stable state/)]);
    expect(fixture.names).toEqual(["web-2"]);
    if (other) other.state = "Running";
    expect(await fixture.destroy()).toMatchObject(good);
    expect(fixture.names).toEqual([]);
  });

  test("destroy: waits for a migrating VM", async () => {
    await fixture.up({ web: WEB });
    const [vm] = fixture.clones;
    if (vm) vm.state = "Migrating";
    fixture.zstack.after(20_000, () => {
      if (vm) vm.state = "Running";
    });
    expect(await fixture.destroy()).toMatchObject(good);
    expect(fixture.names).toEqual([]);
  });
});

describe("the order of an update", () => {
  test("update: keeps the VM of a removed name until the clone of the new name exists", async () => {
    await fixture.up({ web: { ...WEB, names: ["web-1"] } });
    fixture.zstack.cloneBehaviour({ match: { name: "web-2" }, outcome: "no-host", times: 1 });
    const { errors } = await fixture.up({ web: { ...WEB, names: ["web-2"] } });
    expect([errors.length, fixture.names, fixture.outputs.names]).toEqual([1, ["web-1"], ["web-1"]]);
    expect(vmsOf().map(({ name }) => name)).toEqual(["web-1"]);
    expect(await fixture.up({ web: { ...WEB, names: ["web-2"] } })).toMatchObject(good);
    expect([fixture.names, fixture.outputs.names]).toEqual([["web-2"], ["web-2"]]);
  });

  test("update: deletes VMs only after it has tagged the last new clone", async () => {
    await fixture.up({ web: WEB });
    await fixture.up({ web: { ...WEB, names: ["web-2", "web-3"] } });
    const destroyed = fixture.sent.findIndex((one) => one.startsWith("DELETE /vm-instances"));
    expect(destroyed).toBeGreaterThan(fixture.sent.findLastIndex((one) => /^(POST|PUT)/.test(one)));
  });
});

describe("identity", () => {
  test("update: renames a VM back that was renamed on the server", async () => {
    await fixture.up({ web: WEB });
    const before = uuidsOf();
    const renamed = fixture.zstack.named("web-2");
    if (renamed) renamed.name = "somebody's";
    await fixture.refresh();
    expect([fixture.outputs.names, vmsOf().map(({ name }) => name)]).toEqual([["web-1", "somebody's"], WEB.names]);
    expect(await fixture.up({ web: WEB })).toMatchObject(good);
    expect([fixture.names, uuidsOf(), fixture.outputs.names]).toEqual([WEB.names, before, WEB.names]);
    expect(fixture.sent.filter((one) => /DELETE|cloneVm/.test(one))).toEqual([
      expect.stringMatching("DELETE /accounts/sessions"),
    ]);
  });

  test("update: swaps the names back of two VMs that were swapped on the server", async () => {
    await fixture.up({ web: WEB });
    const [one, two] = WEB.names.map((name) => fixture.zstack.named(name));
    if (one && two) [one.name, two.name] = [two.name, one.name];
    await fixture.refresh();
    await fixture.up({ web: WEB });
    expect(WEB.names.map((name) => fixture.zstack.named(name)?.uuid)).toEqual([one?.uuid, two?.uuid]);
  });

  test("update: deletes a renamed VM by the program's name for it, even without its tag", async () => {
    await fixture.up({ web: WEB });
    const renamed = fixture.zstack.named("web-2");
    if (renamed) renamed.name = "web-1";
    fixture.zstack.tags.clear();
    await fixture.up({ web: { ...WEB, names: ["web-1"] } });
    expect([fixture.names, fixture.zstack.vms.get(renamed?.uuid ?? "")?.state]).toEqual([["web-1"], "Destroyed"]);
  });

  test("create: accepts names that contain the separators of a tag", async () => {
    const names = ["a::b", "50% :: off", ":", "%3A"];
    await fixture.up({ web: { ...WEB, names } });
    fixture.engine.edit(({ entries: [entry] }) => {
      if (entry) delete entry.outputs.vms;
    });
    for (const vm of fixture.clones) vm.name = "lost";
    await fixture.up({ web: { ...WEB, names, description: "new" } });
    expect(fixture.names).toEqual(names.toSorted());
  });

  test("diff: an explicit default is no change", async () => {
    await fixture.up({ web: WEB });
    const defaults = { full: false, strategy: "InstantStart", deletion: "destroy", keepDataVolumes: false };
    const { outputs } = fixture.engine.state.entries[0] ?? {};
    expect(diff(fixture.definition, outputs ?? {}, { ...outputs, ...defaults })).toEqual({ changes: false });
    expect(diff(fixture.definition, { ...outputs, ...defaults }, { ...outputs })).toEqual({ changes: false });
    expect(diff(fixture.definition, outputs ?? {}, { ...outputs, full: true }).replaces).toEqual(["full"]);
  });

  test("outputs: an output that repeats a secret input is secret", () => {
    expect(fixture.definition.derivedOutputs?.vms).toEqual(["names", "description", "userTags"]);
  });

  test("create: a clone is whole although the source has gained a disk since the request", async () => {
    renew({}, { zstackImage: 60_000, zstackClone: 60_000 });
    const at = await numberOf(/PUT \/vm-inst/, () => fixture.up({ db: FULL }));
    await fixture.destroy();
    fixture.zstack.failNextClone("orphans");
    await fixture.up({ db: FULL }, { [at]: "killed after" });
    fixture.wait(600_000);
    fixture.zstack.addVolume({ name: "late", type: "Data", vmInstanceUuid: ZSTACK_SEED.db });
    const { errors } = await fixture.up({ db: FULL });
    expect([errors, fixture.names]).toEqual([[], ["db-1"]]);
    expect(fixture.zstack.volumesOf(uuidsOf()[0] ?? "", "Data")).toHaveLength(2);
  });
});

describe("volumes and VMs of the user", () => {
  const mine = () => [...fixture.zstack.volumes.values()].find(({ name }) => name === "mine");
  const attach = () => {
    fixture.zstack.addVolume({ name: "mine", type: "Data", vmInstanceUuid: uuidsOf()[0] ?? "" });
  };

  test.each(["destroy", "expunge"])(
    "delete: detaches the volumes to keep if ZStack deletes data volumes with their VM (%s)",
    async (deletion) => {
      fixture.zstack.settings.deleteDataVolumes = true;
      await fixture.up({ db: { ...FULL, deletion, keepDataVolumes: true } });
      attach();
      expect(await fixture.destroy()).toMatchObject(good);
      expect([...cloned(), mine()].map((row) => row?.status)).toEqual(["Ready", "Ready", "Ready"]);

      await fixture.up({ db: { ...FULL, deletion } });
      attach();
      await fixture.up({ db: { ...FULL, deletion, names: ["db-2"] } });
      expect(mine()).toMatchObject({ status: "Ready", vmInstanceUuid: null });
      expect(fixture.names).toEqual(["db-2"]);
    },
  );

  test("delete: keeps a VM whose volume cannot be detached, unless ZStack keeps data volumes", async () => {
    Object.assign(fixture.zstack.settings, { deleteDataVolumes: true, hotUnplug: false });
    await fixture.up({ db: FULL });
    attach();
    const { errors, messages } = await fixture.destroy();
    expect([errors.length, fixture.names]).toEqual([1, ["db-1"]]);
    expect(messages).toMatch(/was not destroyed: ZStack is set to delete data volumes.*dataVolume\.deleteOnVmDestroy/);
    fixture.zstack.settings.deleteDataVolumes = false;
    expect(await fixture.destroy()).toMatchObject(good);
    expect([fixture.names, mine()?.status]).toEqual([[], "Ready"]);
  });

  test("delete: deletes the disks of a VM that was destroyed by hand, and no earlier hook does", async () => {
    await fixture.up({ db: { ...FULL, deletion: "expunge" } });
    const [vm] = fixture.clones;
    for (const volume of fixture.zstack.volumesOf(vm?.uuid ?? "", "Data")) fixture.zstack.detach(volume);
    if (vm) vm.state = "Destroyed";
    expect((await fixture.refresh()).messages).toMatch(/of "db-1", which is gone, there is still the volumes/);
    expect(fixture.engine.state.entries).toHaveLength(1);
    await fixture.up({ db: { ...FULL, deletion: "expunge" } });
    expect([fixture.names, cloned().length]).toEqual([["db-1"], 4]);
    await fixture.destroy();
    expect([cloned(), fixture.zstack.vms.size]).toEqual([[], 2]);
  });

  test("refresh, update: warn about a VM that was recovered beside its successor, which stays the member", async () => {
    await fixture.up({ web: WEB });
    const [first] = vmsOf();
    const old = fixture.zstack.vms.get(first?.uuid ?? "");
    if (old) old.state = "Destroyed";
    await fixture.refresh();
    await fixture.up({ web: WEB });
    const successor = vmsOf()[0]?.uuid;
    if (old) old.state = "Running";
    expect((await fixture.refresh()).messages).toMatch(new RegExp(`"web-1" is there twice: the VM ${old?.uuid}`));
    expect(vmsOf()[0]?.uuid).toBe(successor);
    expect(fixture.outputs.names).toEqual(WEB.names);
    const { messages } = await fixture.up({ web: { ...WEB, description: "new" } });
    expect(messages).toMatch(/"web-1" is there twice/);
  });
});
