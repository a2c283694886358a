// ClonedVm's life on a model of the engine: what is whose, what is gone, what is removed, and what the next run finishes.

import { ZSTACK_SEED } from "../../emulator";
import { diff } from "../../provider/core/diff";
import { newUuid } from "../../provider/zstack/context";
import { type Fault, ZStackSite } from "./zstackFixture";

const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:ClonedVm::web";

const WEB = { vmInstanceUuid: ZSTACK_SEED.web, names: ["web-1", "web-2"] };
const FULL = { vmInstanceUuid: ZSTACK_SEED.db, names: ["db-1"], full: true };
const good = { errors: [], killed: false, said: "" };

// The pauses are drawn by lot, and with them how often it is asked: a request's number must be the same in two runs.
beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));
afterAll(() => jest.restoreAllMocks());

let site: ZStackSite;
beforeEach(() => {
  site = new ZStackSite();
});

const uuidsOf = () => site.clones.map(({ uuid }) => uuid).sort();
const cloned = () => [...site.zstack.volumes.values()].filter(({ name }) => name.endsWith("-clone"));
const vmsOf = () => site.outputs.vms as { uuid: string; name: string }[];
/** The request that has this in it: its number. */
async function numberOf(part: RegExp, command: () => Promise<unknown>): Promise<number> {
  await command();
  return site.sent.findIndex((one) => part.test(one));
}

describe("whose it is", () => {
  test("a killed create is adopted by the next one: waited for, brought into line, said in a line that stays", async () => {
    const at = await numberOf(/PUT \/vm-inst/, () => site.up({ web: WEB }));
    for (const change of [{ description: "new", userTags: ["new"] }, { names: ["web-2", "web-3"] }]) {
      site = new ZStackSite();
      await site.up({ web: { ...WEB, userTags: ["old"] } }, { [at]: "killed after" });
      expect([site.clones, site.tags]).toEqual([[], [expect.stringMatching(/^snapclone::intent::/)]]);
      const { errors, said } = await site.up({ web: { ...WEB, ...change } });
      expect([errors, said]).toEqual([[], expect.stringMatching(/^info: adopted the set of clones \w{32}, made 2026/)]);
      const { names = WEB.names, userTags = [] } = change as { names?: string[]; userTags?: string[] };
      expect([site.names, site.outputs.names]).toEqual([names, names]);
      for (const { uuid } of site.clones) {
        expect(site.zstack.tagsOf(uuid).filter((tag) => !tag.startsWith("snapclone::"))).toEqual(userTags);
      }
      expect(site.tags.filter((tag) => tag.startsWith("snapclone::intent"))).toEqual([]);
    }
  });

  test("nothing that is recorded is adopted, and a forced replacement makes a new set", async () => {
    await site.up({ web: WEB });
    const before = uuidsOf();
    const replaced = await site.run((engine) => engine.up({ web: WEB }, { replace: ["web"] }));
    expect(replaced).toMatchObject(good);
    expect(site.names).toEqual(["web-1", "web-2"]);
    expect(uuidsOf().filter((uuid) => before.includes(uuid))).toEqual([]);
  });

  test("an alias: the clones' tags name the new owner, one tag a clone", async () => {
    await site.up({ web: WEB });
    const { errors } = await site.run((engine) => engine.up({ shop: WEB }, {}, { shop: "web" }));
    expect(errors).toEqual([]);
    expect(site.tags.map((tag) => tag.slice(-12))).toEqual(["shop::web-1", "shop::web-2"].map((end) => `:${end}`));
  });

  test("what no state holds is told at the end of a run, VMs in the bin are not", async () => {
    await site.up({ web: WEB, other: { ...WEB, names: ["other"] } });
    const lost = site.engine.state.entries.find(({ urn }) => urn.endsWith("web"))?.id ?? "";
    site.engine.edit((state) => {
      state.entries = state.entries.filter(({ id }) => id !== lost);
    });
    expect((await site.refresh()).said).toMatch(
      new RegExp(`in no state: a set of clones[^]*${lost} "web-[12], web-[12]"`),
    );
    for (const vm of site.clones.filter(({ name }) => name !== "other")) vm.state = "Destroyed";
    expect(await site.refresh()).toMatchObject(good);
  });

  test("an old build's open mark is a candidate no more once it is adopted, and its tags go on being read", async () => {
    await site.up({ web: WEB });
    const id = site.engine.state.entries[0]?.id ?? "";
    // As builds before 0.2 left a set: a tag without a name on each VM, tags on volumes, no stack.
    for (const row of site.zstack.tags.values()) row.tag = `snapclone::set::${id}`;
    const owner = site.engine.urn("web");
    site.zstack.tags.set("f".repeat(32), {
      uuid: "f".repeat(32),
      resourceType: "VmInstanceVO",
      resourceUuid: ZSTACK_SEED.web,
      tag: `snapclone::open::${id}::${newUuid()}::1::${"0".repeat(32)}::${owner}`,
    });
    const before = uuidsOf();
    await site.up({ web: { ...WEB, description: "new" } });
    expect([site.names, uuidsOf(), site.outputs.names]).toEqual([WEB.names, before, WEB.names]);
    expect(site.tags.filter((tag) => tag.startsWith("snapclone::open"))).toEqual([]);
    await site.destroy();
    expect(site.names).toEqual([]);
  });
});

describe("gone only by proof", () => {
  test("an account that has lost its rights finds nothing: refresh and destroy stop, and nothing leaves the state", async () => {
    await site.up({ web: WEB });
    site.zstack.settings.revoked = true;
    for (const command of ["refresh", "destroy"] as const) {
      const { errors, said } = await site[command]();
      expect(errors).toHaveLength(1);
      expect(said).toMatch(
        new RegExp(`VM ${ZSTACK_SEED.web} in the zone ${ZSTACK_SEED.zone}.*account admin at http://cloud.test/zstack`),
      );
      expect(site.engine.state.entries).toHaveLength(1);
    }
  });

  test.each([
    ["the source is there", false],
    ["the source has gone, too: the zone is the witness", true],
  ])("expunged by hand, %s: refresh takes the set out of the state", async (_name, withSource) => {
    await site.up({ web: WEB });
    for (const uuid of uuidsOf()) site.zstack.removeVm(uuid);
    if (withSource) site.zstack.removeVm(ZSTACK_SEED.web);
    expect(await site.refresh()).toMatchObject(good);
    expect(site.engine.state.entries).toEqual([]);
  });

  test("one member is missing: that is drift, and the other's failure is not hidden by it", async () => {
    await site.up({ web: WEB });
    const [one, two] = vmsOf();
    site.zstack.removeVm(one?.uuid ?? "");
    await site.refresh();
    expect(site.outputs.names).toEqual(["web-2"]);
    const other = site.zstack.vms.get(two?.uuid ?? "");
    if (other) other.state = "Migrating";
    site.engine.edit(({ entries: [entry] }) => {
      if (entry) entry.outputs.__timeouts = { delete: "1m" };
    });
    const { errors, said } = await site.destroy();
    expect([errors.length, said]).toEqual([1, expect.stringMatching(/for "web-2" to come to rest/)]);
    expect(site.names).toEqual(["web-2"]);
    if (other) other.state = "Running";
    expect(await site.destroy()).toMatchObject(good);
    expect(site.names).toEqual([]);
  });

  test("a migrating VM is waited for, not failed", async () => {
    await site.up({ web: WEB });
    const [vm] = site.clones;
    if (vm) vm.state = "Migrating";
    site.zstack.after(20_000, () => {
      if (vm) vm.state = "Running";
    });
    expect(await site.destroy()).toMatchObject(good);
    expect(site.names).toEqual([]);
  });
});

describe("nothing goes before what replaces it stands", () => {
  test("web-1 to web-2, and the clone fails: web-1 is there and in the state, and goes once web-2 stands", async () => {
    await site.up({ web: { ...WEB, names: ["web-1"] } });
    site.zstack.cloneBehaviour({ match: { name: "web-2" }, outcome: "no-host", times: 1 });
    const { errors } = await site.up({ web: { ...WEB, names: ["web-2"] } });
    expect([errors.length, site.names, site.outputs.names]).toEqual([1, ["web-1"], ["web-1"]]);
    expect(vmsOf().map(({ name }) => name)).toEqual(["web-1"]);
    expect(await site.up({ web: { ...WEB, names: ["web-2"] } })).toMatchObject(good);
    expect([site.names, site.outputs.names]).toEqual([["web-2"], ["web-2"]]);
  });

  test("the old ones are destroyed after the last of the new ones is tagged", async () => {
    await site.up({ web: WEB });
    await site.up({ web: { ...WEB, names: ["web-2", "web-3"] } });
    const destroyed = site.sent.findIndex((one) => one.startsWith("DELETE /vm-instances"));
    expect(destroyed).toBeGreaterThan(site.sent.findLastIndex((one) => /^(POST|PUT)/.test(one)));
  });
});

describe("identity is what can't change", () => {
  test("a VM that was renamed on the server is the same VM: its name is drift, put right by `up`", async () => {
    await site.up({ web: WEB });
    const before = uuidsOf();
    const renamed = site.zstack.named("web-2");
    if (renamed) renamed.name = "somebody's";
    await site.refresh();
    expect([site.outputs.names, vmsOf().map(({ name }) => name)]).toEqual([["web-1", "somebody's"], WEB.names]);
    expect(await site.up({ web: WEB })).toMatchObject(good);
    expect([site.names, uuidsOf(), site.outputs.names]).toEqual([WEB.names, before, WEB.names]);
    expect(site.sent.filter((one) => /DELETE|cloneVm/.test(one))).toEqual([
      expect.stringMatching("DELETE /accounts/sessions"),
    ]);
  });

  test("two VMs that swapped their names on the server swap back", async () => {
    await site.up({ web: WEB });
    const [one, two] = WEB.names.map((name) => site.zstack.named(name));
    if (one && two) [one.name, two.name] = [two.name, one.name];
    await site.refresh();
    await site.up({ web: WEB });
    expect(WEB.names.map((name) => site.zstack.named(name)?.uuid)).toEqual([one?.uuid, two?.uuid]);
  });

  test("a renamed VM goes by its program's name, tag or no tag", async () => {
    await site.up({ web: WEB });
    const renamed = site.zstack.named("web-2");
    if (renamed) renamed.name = "web-1";
    site.zstack.tags.clear();
    await site.up({ web: { ...WEB, names: ["web-1"] } });
    expect([site.names, site.zstack.vms.get(renamed?.uuid ?? "")?.state]).toEqual([["web-1"], "Destroyed"]);
  });

  test("a name may hold whatever a tag is made of", async () => {
    const names = ["a::b", "50% :: off", ":", "%3A"];
    await site.up({ web: { ...WEB, names } });
    site.engine.edit(({ entries: [entry] }) => {
      if (entry) delete entry.outputs.vms;
    });
    for (const vm of site.clones) vm.name = "lost";
    await site.up({ web: { ...WEB, names, description: "new" } });
    expect(site.names).toEqual(names.toSorted());
  });

  test("writing out a default is no change", async () => {
    await site.up({ web: WEB });
    const defaults = { full: false, strategy: "InstantStart", deletion: "destroy", keepDataVolumes: false };
    const { outputs } = site.engine.state.entries[0] ?? {};
    expect(diff(site.definition, outputs ?? {}, { ...outputs, ...defaults })).toEqual({ changes: false });
    expect(diff(site.definition, { ...outputs, ...defaults }, { ...outputs })).toEqual({ changes: false });
    expect(diff(site.definition, outputs ?? {}, { ...outputs, full: true }).replaces).toEqual(["full"]);
  });

  test("outputs that repeat a secret input are secret", () => {
    expect(site.definition.derivedOutputs?.vms).toEqual(["names", "description", "userTags"]);
  });

  test("a source that gains a disk meanwhile breaks no clone", async () => {
    site = new ZStackSite({}, { zstackImage: 60_000, zstackClone: 60_000 });
    const at = await numberOf(/PUT \/vm-inst/, () => site.up({ db: FULL }));
    await site.destroy();
    site.zstack.failNextClone("orphans");
    await site.up({ db: FULL }, { [at]: "killed after" });
    site.wait(600_000);
    site.zstack.addVolume({ name: "late", type: "Data", vmInstanceUuid: ZSTACK_SEED.db });
    const { errors } = await site.up({ db: FULL });
    expect([errors, site.names]).toEqual([[], ["db-1"]]);
    expect(site.zstack.volumesOf(uuidsOf()[0] ?? "", "Data")).toHaveLength(2);
  });
});

describe("what the user was promised stays his", () => {
  const mine = () => [...site.zstack.volumes.values()].find(({ name }) => name === "mine");
  const attach = () => {
    site.zstack.addVolume({ name: "mine", type: "Data", vmInstanceUuid: uuidsOf()[0] ?? "" });
  };

  test.each(["destroy", "expunge"])(
    "where ZStack deletes data volumes with their VM, those that stay are detached first (%s)",
    async (deletion) => {
      site.zstack.settings.deleteDataVolumes = true;
      await site.up({ db: { ...FULL, deletion, keepDataVolumes: true } });
      attach();
      expect(await site.destroy()).toMatchObject(good);
      expect([...cloned(), mine()].map((row) => row?.status)).toEqual(["Ready", "Ready", "Ready"]);

      await site.up({ db: { ...FULL, deletion } });
      attach();
      await site.up({ db: { ...FULL, deletion, names: ["db-2"] } });
      expect(mine()).toMatchObject({ status: "Ready", vmInstanceUuid: null });
      expect(site.names).toEqual(["db-2"]);
    },
  );

  test("a guest that gives nothing back: its VM is not destroyed, unless ZStack lets volumes live", async () => {
    Object.assign(site.zstack.settings, { deleteDataVolumes: true, hotUnplug: false });
    await site.up({ db: FULL });
    attach();
    const { errors, said } = await site.destroy();
    expect([errors.length, site.names]).toEqual([1, ["db-1"]]);
    expect(said).toMatch(/was not destroyed: ZStack is set to delete data volumes.*dataVolume\.deleteOnVmDestroy/);
    site.zstack.settings.deleteDataVolumes = false;
    expect(await site.destroy()).toMatchObject(good);
    expect([site.names, mine()?.status]).toEqual([[], "Ready"]);
  });

  test("a VM destroyed by hand: its disks go with the set, not before", async () => {
    await site.up({ db: { ...FULL, deletion: "expunge" } });
    const [vm] = site.clones;
    for (const volume of site.zstack.volumesOf(vm?.uuid ?? "", "Data")) site.zstack.detach(volume);
    if (vm) vm.state = "Destroyed";
    expect((await site.refresh()).said).toMatch(/of "db-1", which is gone, there is still the volumes/);
    expect(site.engine.state.entries).toHaveLength(1);
    await site.up({ db: { ...FULL, deletion: "expunge" } });
    expect([site.names, cloned().length]).toEqual([["db-1"], 4]);
    await site.destroy();
    expect([cloned(), site.zstack.vms.size]).toEqual([[], 2]);
  });

  test("a VM that was recovered beside its successor is told, with the way out, and the state's own stays the member", async () => {
    await site.up({ web: WEB });
    const [first] = vmsOf();
    const old = site.zstack.vms.get(first?.uuid ?? "");
    if (old) old.state = "Destroyed";
    await site.refresh();
    await site.up({ web: WEB });
    const successor = vmsOf()[0]?.uuid;
    if (old) old.state = "Running";
    expect((await site.refresh()).said).toMatch(new RegExp(`"web-1" is there twice: the VM ${old?.uuid}`));
    expect(vmsOf()[0]?.uuid).toBe(successor);
    expect(site.outputs.names).toEqual(WEB.names);
    const { said } = await site.up({ web: { ...WEB, description: "new" } });
    expect(said).toMatch(/"web-1" is there twice/);
  });
});

describe("the dry run", () => {
  beforeEach(() => {
    site = new ZStackSite({}, {}, { dryRun: true });
  });
  const ask = (faults: Readonly<Record<number, Fault>> = {}) =>
    site.run(async () => {
      const cloud = site.connect();
      const { clock } = site;
      const log: string[] = [];
      const run = { clock, signal: new AbortController().signal, warn: (text: string) => log.push(text) };
      await site.definition.dryRun?.(cloud, WEB, { ...run, stack: "s", owner: OWNER }).catch(() => {});
      return { errors: [], killed: false, log };
    }, faults);

  test("is marked before it is asked, and leaves no mark", async () => {
    await ask();
    const writes = site.sent.filter((one) => /^(POST|PUT \/vm|DELETE)/.test(one));
    expect(writes).toEqual([
      "POST /user-tags",
      expect.stringMatching("PUT /vm-instances"),
      expect.stringMatching("DELETE /tags"),
    ]);
    expect([site.tags, site.names]).toEqual([[], []]);
  });

  test("a server that clones in earnest: killed at any time, nothing unmarked is left", async () => {
    const answer = site.cloud.answer.bind(site.cloud);
    Object.assign(site.cloud, {
      answer: (request: Parameters<typeof answer>[0]) => {
        const { body } = request;
        const tags = (body as { systemTags?: string[] } | undefined)?.systemTags;
        return answer(tags ? { ...request, body: { ...(body as object), systemTags: [] } } : request);
      },
    });
    const { log } = await ask();
    expect([log, site.names, site.tags, site.zstack.vms.size]).toEqual([
      [expect.stringMatching(/cloned in earnest/)],
      [],
      [],
      2,
    ]);
    const { requests } = site;
    let left = 0;
    for (let at = 0; at < requests; at += 1) {
      site.cloud.emulator.reset();
      await ask({ [at]: "killed after" });
      site.wait(60_000);
      left += site.names.length;
      // Whatever lives bears the set's id, and the source an intent that says whose it is.
      for (const name of site.names) {
        const set = /\.sc-(\w{32})$/.exec(name)?.[1];
        expect(site.tags).toContainEqual(expect.stringMatching(`^snapclone::intent::${set}::.*::dry-run::.*${OWNER}$`));
      }
    }
    expect(left).toBeGreaterThan(0);
  });
});

describe("an end that nobody knows", () => {
  test.each(["given-up", "forgotten"] as const)(
    "%s while the work goes on: waited for, cloned once",
    async (outcome) => {
      site = new ZStackSite({}, { zstackImage: 30_000, zstackClone: 30_000 });
      site.zstack.failNextClone(outcome);
      expect(await site.up({ web: WEB })).toMatchObject(good);
      expect([site.names, site.zstack.vms.size]).toEqual([WEB.names, 4]);
    },
  );

  test.each(["given-up", "forgotten"] as const)(
    "%s, and the run ends before: nothing comes to life after destroy",
    async (outcome) => {
      site = new ZStackSite({}, { zstackImage: 90_000, zstackClone: 90_000 });
      site.zstack.failNextClone(outcome);
      const news = { ...WEB, __timeouts: { create: "30s" } };
      const { errors } = await site.up({ web: news });
      expect(errors).toHaveLength(1);
      expect(site.outputs).toMatchObject({ pending: { operation: "create" }, names: WEB.names });
      expect(await site.destroy()).toMatchObject(good);
      site.wait(3_600_000);
      expect([site.names, site.tags.filter((tag) => tag.includes("intent"))]).toEqual([[], []]);
    },
  );

  test("a job that is stuck ends once the server's own time is over", async () => {
    site.zstack.failNextClone("stuck");
    const { errors, said } = await site.up({ web: { ...WEB, __timeouts: { create: "2m" } } });
    expect([errors.length, said]).toEqual([1, expect.stringMatching(/waited .* for cloning 2 VMs; seen: /)]);
    await site.refresh();
    expect(await site.up({ web: WEB })).toMatchObject(good);
    expect([site.names, site.outputs.pending]).toEqual([WEB.names, undefined]);
    expect(site.zstack.vms.size).toBe(4);
  });

  test("VMs in their passing state Created are not destroyed", async () => {
    site = new ZStackSite({}, { zstackImage: 10, zstackClone: 200_000 });
    site.zstack.failNextClone("given-up");
    const { errors } = await site.up({ web: { ...WEB, __timeouts: { create: "30s" } } });
    expect([errors.length, site.clones.map(({ state }) => state)]).toEqual([1, ["Created", "Created"]]);
    const before = uuidsOf();
    await site.up({ web: WEB });
    expect([site.names, uuidsOf()]).toEqual([WEB.names, before]);
  });

  test("a clone that ZStack removed since it did not start: its entry says why", async () => {
    site.zstack.cloneBehaviour({ match: { name: "web-1" }, outcome: "start-failed-gone", times: 1 });
    const { said } = await site.up({ web: WEB });
    expect(said).toMatch(/web-1 could not be cloned \(cloned: web-2\): "web-1": VM\.1001.*ZStack removed it/);
  });

  test("a read outside a wait is asked again after a malformed 200", async () => {
    await site.up({ web: WEB });
    let spoilt = 0;
    const answer = site.cloud.answer.bind(site.cloud);
    Object.assign(site.cloud, {
      answer: (request: Parameters<typeof answer>[0]) => {
        const reply = answer(request);
        if (!/user-tags/.test(request.url) || spoilt > 1 || !reply) return reply;
        spoilt += 1;
        return { ...reply, body: "<html>" };
      },
    });
    expect(await site.refresh()).toMatchObject(good);
    expect(spoilt).toBe(2);
  });
});

describe("a removal that did not come to its end", () => {
  const before = { ...FULL, names: ["db-1", "db-2"], deletion: "expunge" };
  const after = { ...before, names: ["db-1"] };

  test("killed, refreshed, and gone on with: the difference is in the outputs alone", async () => {
    await site.up({ db: before });
    const at = await numberOf(/DELETE \/volumes/, () => site.up({ db: after }));
    site = new ZStackSite();
    await site.up({ db: before });
    await site.up({ db: after }, { [at]: "killed" });
    site.wait(60_000);
    expect((await site.refresh()).said).toMatch(/of "db-2", which is gone, there is still the volumes/);
    expect(site.outputs).toMatchObject({ names: ["db-1"], leftovers: [{ name: "db-2" }] });
    expect(await site.up({ db: after })).toMatchObject(good);
    expect([cloned().length, site.zstack.vms.size, site.outputs.leftovers]).toEqual([2, 3, undefined]);
  });

  test("a clone that could not be tagged is found by its intent, whatever the program says next", async () => {
    await site.up({ db: after });
    const swapped = { ...after, names: ["db-2"] };
    // A run without a failure shows which request tags the clone.
    await site.up({ db: swapped });
    const tagging = site.sent.findLastIndex((one) => one.startsWith("POST /user-tags"));
    site = new ZStackSite();
    await site.up({ db: after });
    const { errors } = await site.up({ db: swapped }, { [tagging]: "job fails" });
    expect([errors.length, site.tags.some((tag) => tag.startsWith("snapclone::intent"))]).toEqual([1, true]);
    expect(await site.up({ db: after })).toMatchObject(good);
    expect([site.names, cloned().length, site.outputs.names]).toEqual([["db-1"], 2, ["db-1"]]);
    await site.destroy();
    expect([site.names, cloned(), site.tags]).toEqual([[], [], []]);
  });

  test("adopted with a VM in the bin: its volumes are not forgotten", async () => {
    const at = await numberOf(/DELETE \/tags/, () => site.up({ db: after }));
    site = new ZStackSite();
    await site.up({ db: after }, { [at]: "killed" });
    site.wait(60_000);
    const [vm] = site.clones;
    for (const volume of site.zstack.volumesOf(vm?.uuid ?? "", "Data")) site.zstack.detach(volume);
    if (vm) vm.state = "Destroyed";
    await site.up({ db: { ...after, names: ["db-2"] } });
    await site.destroy();
    expect([site.names, cloned(), site.tags]).toEqual([[], [], []]);
  });

  test("a set destroyed after a killed `up` that added a name leaves no cloned disk", async () => {
    await site.up({ db: after });
    const at = await numberOf(/PUT \/vm-inst/, () => site.up({ db: before }));
    site = new ZStackSite();
    await site.up({ db: after });
    await site.up({ db: before }, { [at]: "killed after" });
    expect(await site.destroy()).toMatchObject(good);
    site.wait(60_000);
    expect([site.names, cloned(), site.zstack.vms.size, site.tags]).toEqual([[], [], 2, []]);
  });
});
