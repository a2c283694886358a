// ClonedVm's lifecycle against the emulator: what becomes of a set and what the user is told.

import { setTimeout as delay } from "node:timers/promises";
import { type Emulator, startEmulator, ZSTACK_SEED } from "../../emulator";
import { check } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import { create, dryRun, type Properties, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import type { Clock } from "../../provider/core/util/clock";
import { clonedVm as released } from "../../provider/zstack/clonedVm/resource";
import { resolveZStack } from "../../provider/zstack/connection";
import { ZStackContext } from "../../provider/zstack/context";
import { partial } from "../support/failures";

/** So many times as fast as life, the emulator's clock and ours. */
const SCALE = 200;
const origin = Date.now();
let skipped = 0;
const clock: Clock = {
  now: () => performance.now() * SCALE + skipped,
  date: () => new Date(origin + (Date.now() - origin) * SCALE),
  sleep: async (ms, signal) => void (await delay(ms / SCALE, undefined, signal ? { signal } : undefined)),
};
const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:ClonedVm::web";
const NEWS: Properties = {
  vmInstanceUuid: ZSTACK_SEED.web,
  names: ["web-1", "web-2"],
  __owner: OWNER,
  __provider: "p",
};
const FULL: Properties = { ...NEWS, vmInstanceUuid: ZSTACK_SEED.db, names: ["db-1"], full: true };

let emulator: Emulator;
let cloud: ZStackContext;
const opened: ZStackContext[] = [];
const log: string[] = [];
const definition = { ...released, connection: { kind: "zstack", open: () => cloud } };
const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });

async function start(options: Parameters<typeof startEmulator>[0] = {}, more: object = {}): Promise<void> {
  emulator = await startEmulator({ clock: { scale: SCALE }, ...options });
  log.length = 0;
  connect(more);
}

/** Another process: another login, nothing remembered. */
function connect(more: object = {}): void {
  const config = { ...emulator.zstackLogin.connection(), ...more };
  cloud = new ZStackContext(resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" }), clock);
  opened.push(cloud);
}

afterEach(async () => {
  for (const one of opened.splice(0)) await one.wire.close();
  await emulator.close();
});

/** All VMs that live and are not the seed's. */
const clones = () => emulator.zstack.living().filter(({ name }) => name !== "web" && name !== "db");
const names = () =>
  clones()
    .map(({ name }) => name)
    .sort();
const counted = (operation: string) => emulator.requests.count({ operation });
const sourceMarks = (uuid: string = ZSTACK_SEED.web) => emulator.zstack.tagsOf(uuid);
const vmsOf = (outs: Properties) => outs.vms as { uuid: string; name: string; state: string; ips: string[] }[];

describe("create", () => {
  test("one call for all names, matched by name, and marks that only the provider sees", async () => {
    await start();
    const run = newRun();
    const news = { ...NEWS, description: "for a test", userTags: ["team::shop"] };
    const { id, outs } = await create(definition, run, news);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(vmsOf(outs)).toMatchObject([
      { name: "web-1", state: "Running", ips: [expect.stringMatching(/^192\.168/)] },
      { name: "web-2", state: "Running" },
    ]);
    expect(vmsOf(outs).map(({ uuid }) => uuid)).toEqual(
      ["web-1", "web-2"].map((name) => emulator.zstack.named(name)?.uuid),
    );
    expect(outs).toMatchObject({ names: ["web-1", "web-2"], description: "for a test", userTags: ["team::shop"] });
    expect(outs).not.toHaveProperty("pending");
    expect(counted("vms.cloneVmInstance")).toBe(1);
    expect(counted("accounts.login")).toBe(1);
    for (const vm of clones()) {
      expect(vm.description).toBe("for a test");
      expect(emulator.zstack.tagsOf(vm.uuid).sort()).toEqual([
        expect.stringMatching(`^snapclone::set::${id}::\\d{10}::.*::${OWNER}::${vm.name}$`),
        "team::shop",
      ]);
    }
    // What it leaves on the source: the snapshot that ZStack itself makes.
    expect(sourceMarks()).toEqual([]);
    expect(emulator.zstack.sourceSnapshots).toHaveLength(1);
  });

  test("an end of the job without a result is none: it is waited for", async () => {
    await start({ timings: { zstackImage: 60_000 } });
    // The first one is the tag's job, which needs no result.
    emulator.faults.add({ match: { operation: "jobs.query" }, times: 3, status: 200, body: {} });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(vmsOf(outs)).toHaveLength(2);
    expect(counted("vms.cloneVmInstance")).toBe(1);
  });

  test("a list that leaves out the marks just made doesn't lose the clones", async () => {
    await start();
    // Before it: what an interrupted run left, and what there is of the set when the job has ended.
    emulator.faults.add({ match: { operation: "tags.query", nth: 3 }, status: 200, body: { inventories: [] } });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(vmsOf(outs)).toHaveLength(2);
    expect(emulator.requests.count(({ fault }) => fault !== undefined)).toBe(1);
  });

  test("typed inputs become the right tags in the right place", async () => {
    await start();
    const more = {
      full: true,
      vmInstanceUuid: ZSTACK_SEED.db,
      strategy: "CreateStopped",
      affinityGroupUuid: "5fd71606d5af451d981413f35367a8d6",
      volumeProvisioningStrategy: "ThinProvisioning",
      systemTags: ["resourceConfig::vm::numa::true"],
      clusterUuid: ZSTACK_SEED.cluster,
      primaryStorageUuidForDataVolume: ZSTACK_SEED.primaryStorage,
    };
    const { id, outs } = await create(definition, newRun(), { ...NEWS, ...more });
    const sent = emulator.requests.find(({ operation }) => operation === "vms.cloneVmInstance");
    expect(sent?.body).toEqual({
      cloneVmInstance: {
        names: [`web-1.sc-${id}`, `web-2.sc-${id}`],
        strategy: "CreateStopped",
        full: true,
        rootVolumeSystemTags: ["volumeProvisioningStrategy::ThinProvisioning"],
        dataVolumeSystemTags: ["volumeProvisioningStrategy::ThinProvisioning"],
        primaryStorageUuidForDataVolume: ZSTACK_SEED.primaryStorage,
        clusterUuid: ZSTACK_SEED.cluster,
      },
      systemTags: ["affinityGroupUuid::5fd71606d5af451d981413f35367a8d6", "resourceConfig::vm::numa::true"],
    });
    expect(vmsOf(outs).map(({ state }) => state)).toEqual(["Stopped", "Stopped"]);
  });

  test.each([
    ["no-host", /web-1 could not be cloned \(cloned: web-2\): SYS\.1006/],
    ["start-failed", /web-1 could not be cloned \(cloned: web-2\): .*VM\.1001.*cause: HOST_ALLOCATION\.1000/],
    ["start-failed-gone", /web-1 could not be cloned \(cloned: web-2\)/],
  ] as const)(
    "%s for one of two: it is said, the other is recorded, the next up clones the rest",
    async (outcome, said) => {
      await start();
      emulator.zstack.cloneBehaviour({ match: { name: "web-1" }, outcome, times: 1 });
      const failure = await partial(create(definition, newRun(), NEWS));
      expect(failure.reasons[0]).toMatch(said);
      expect(failure.properties).toMatchObject({
        names: ["web-2"],
        vms: [{ name: "web-2" }],
        pending: { failed: true },
      });
      expect(names()).toEqual(["web-2"]);
      expect(diff(definition, failure.properties, NEWS)).not.toHaveProperty("replaces");
      const kept = emulator.zstack.named("web-2")?.uuid;

      const { outs } = await update(definition, newRun(), failure.id, failure.properties, NEWS);
      expect(names()).toEqual(["web-1", "web-2"]);
      expect(emulator.zstack.named("web-2")?.uuid).toBe(kept);
      expect(outs).toMatchObject({ names: ["web-1", "web-2"] });
      expect(outs).not.toHaveProperty("pending");
      const last = emulator.requests.findLast(({ operation }) => operation === "vms.cloneVmInstance");
      expect(last?.body).toMatchObject({ cloneVmInstance: { names: [`web-1.sc-${failure.id}`] } });
      expect(diff(definition, outs, NEWS)).toEqual({ changes: false });
    },
  );

  test("200 with none cloned is a failure that leaves nothing, neither on the server nor in the state", async () => {
    await start();
    emulator.zstack.cloneBehaviour({ outcome: "no-host", times: 2 });
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(
      /cannot create clones "web-1", "web-2": web-1, web-2 could not be cloned \(none was cloned\)/,
    );
    expect([names(), sourceMarks()]).toEqual([[], []]);
    expect((await create(definition, newRun(), NEWS)).outs).toMatchObject({ names: ["web-1", "web-2"] });
  });

  test("a refusal in the job names the code, and its Chinese details as they are", async () => {
    await start();
    emulator.zstack.failNextClone("refused");
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(
      /HOST_ALLOCATION\.1000: 错误信息[\s\S]*Nothing was left/,
    );
    expect([names(), sourceMarks()]).toEqual([[], []]);
  });

  test("orphans after a 503 are taken in where they are whole", async () => {
    await start();
    emulator.zstack.failNextClone("orphans");
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ names: ["web-1", "web-2"] });
    expect(names()).toEqual(["web-1", "web-2"]);
  });

  test("orphans of a full clone without their disks are removed, and nothing is left", async () => {
    await start();
    emulator.zstack.failNextClone("unattached");
    await expect(create(definition, newRun(), FULL)).rejects.toThrow(/"db-1" has 0 of 2 data volumes, and was removed/);
    expect(names()).toEqual([]);
    expect(emulator.zstack.vms.size).toBe(2);
  });

  test.each(["timeout", "purged"] as const)("%s: the VMs themselves tell what came of it", async (outcome) => {
    await start();
    emulator.zstack.failNextClone(outcome);
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ names: ["web-1", "web-2"] });
    expect(counted("vms.cloneVmInstance")).toBe(1);
  });

  test("numbers as doubles, results in any order, no Content-Type", async () => {
    await start({ zstack: { floats: true } });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs.vms).toMatchObject([{ name: "web-1", volumes: [{ size: 107374182400 }] }, { name: "web-2" }]);
  });

  test("before there are any VMs, a recorded set is not taken for gone, and destroy waits for them", async () => {
    await start({ timings: { zstackImage: 300_000 } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1m" } }));
    expect(clones()).toEqual([]);
    const seen = await read(definition, newRun(), failure.id, failure.properties);
    expect(seen.props).toMatchObject({ names: NEWS.names, vms: [], pending: { operation: "create" } });
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([names(), sourceMarks()]).toEqual([[], []]);
  });

  test("the community edition says that it has no clone", async () => {
    await start({ zstack: { edition: "community" } });
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(/this edition of ZStack cannot clone VMs/);
    expect(sourceMarks()).toEqual([]);
  });

  test.each([
    [
      "4.5.0",
      { clusterUuid: ZSTACK_SEED.cluster },
      /this ZStack is 4\.5\.0 and would drop clusterUuid \(since 4\.6\.11\)/,
    ],
    ["3.8.0", { strategy: "CreateStopped" }, /strategy \(since 3\.9\.0\)/],
    ["2.4.0", { full: true }, /full \(since 2\.5\.0\)/],
  ])("version %s: what it would drop is refused before anything is sent", async (version, more, said) => {
    await start({ zstack: { version } });
    await expect(create(definition, newRun(), { ...NEWS, ...more })).rejects.toThrow(said);
    expect(emulator.requests.count(({ method, operation }) => method !== "GET" && !/login|node/.test(operation))).toBe(
      0,
    );
  });

  test("ZSvirt counts its versions anew and knows all of it", async () => {
    await start({ zstack: { version: "4.10.18" } });
    expect((await create(definition, newRun(), { ...NEWS, clusterUuid: ZSTACK_SEED.cluster })).outs.names).toHaveLength(
      2,
    );
  });

  test("a source that does not exist is the program's mistake", async () => {
    await start();
    const news = { ...NEWS, vmInstanceUuid: "00000000000041118000000000000000" };
    await expect(create(definition, newRun(), news)).rejects.toThrow(/the VM 0+41118\S+ does not exist/);
  });
});

describe("lost replies, lost sessions, killed runs", () => {
  test.each(["5.2.1", "4.4.0"])(
    "the reply to the clone is lost (%s): its own job is asked for, nothing is made twice",
    async (version) => {
      await start({ zstack: { version } });
      emulator.faults.add({ match: { operation: "vms.cloneVmInstance" }, action: "lose-reply" });
      const { outs } = await create(definition, newRun(), NEWS);
      expect(outs).toMatchObject({ names: ["web-1", "web-2"] });
      expect([counted("vms.cloneVmInstance"), names()]).toEqual([1, ["web-1", "web-2"]]);
    },
  );

  test("a request that never arrived is sent again under the same id, where the server would know it", async () => {
    await start();
    emulator.faults.add({ match: { operation: "vms.cloneVmInstance" }, action: "reset" });
    const { id } = await create(definition, newRun(), NEWS);
    expect([counted("vms.cloneVmInstance"), names()]).toEqual([2, ["web-1", "web-2"]]);
    expect(emulator.zstack.jobs.has(id)).toBe(true);
  });

  test("before 4.5 it is not sent again: after a minute without a sign of it, nothing came of it", async () => {
    await start({ zstack: { version: "4.4.0" } });
    emulator.faults.add({ match: { operation: "vms.cloneVmInstance" }, action: "reset" });
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(
      /none was cloned.*ECONNRESET.*does not know the job/,
    );
    expect(counted("vms.cloneVmInstance")).toBe(1);
    expect(sourceMarks()).toEqual([]);
    connect();
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ names: ["web-1", "web-2"] });
    expect(names()).toEqual(["web-1", "web-2"]);
  });

  test("the same job id twice is an acceptance, not a refusal", async () => {
    await start();
    emulator.faults.add({ match: { operation: "vms.cloneVmInstance" }, action: "lose-reply" });
    emulator.faults.add({
      match: { operation: "jobs.query", nth: 2 },
      status: 404,
      body: "the job has been expired",
      times: 4,
    });
    await create(definition, newRun(), NEWS);
    expect([counted("vms.cloneVmInstance"), names()]).toEqual([2, ["web-1", "web-2"]]);
  });

  test("a session that is lost before the clone: fresh login, fresh job id, one set", async () => {
    await start();
    // After the intent's tag, which is job 1: the clone itself is turned away in its job.
    emulator.faults.add({
      match: { operation: "jobs.query", nth: 2 },
      status: 503,
      body: { error: { code: "ID.1001", description: "x", details: "会话过期" } },
    });
    emulator.zstack.failNextClone("refused");
    const { id, outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ names: ["web-1", "web-2"] });
    const calls = emulator.requests.filter(({ operation }) => operation === "vms.cloneVmInstance");
    expect(calls).toHaveLength(2);
    expect(calls[1]?.body).toEqual(calls[0]?.body);
    expect(emulator.zstack.jobs.has(id)).toBe(true);
    expect(sourceMarks()).toEqual([]);
  });

  test("every session of the account ends in mid run: one new login", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.zstack.endAllSessions();
    const after = { ...NEWS, names: ["web-1", "web-2", "web-3"], powerState: "Stopped" };
    const { outs: changed } = await update(definition, newRun(), id, outs, after);
    expect(changed).toMatchObject({ names: after.names, powerState: "Stopped" });
    expect(counted("accounts.login")).toBe(2);
  });

  test("a session that slept for hours is asked after, not used blindly", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    skipped += 30 * 60_000;
    await read(definition, newRun(), id, outs);
    expect([counted("sessions.valid"), counted("accounts.login")]).toEqual([1, 1]);
  });

  test("killed in the middle of a change: what was begun is found by its mark, not only what is in the state", async () => {
    await start({ timings: { zstackImage: 60_000 } });
    const { id, outs } = await create(definition, newRun(), NEWS);
    const killed = new Run({ clock, log: () => {} });
    const after = { ...NEWS, names: ["web-1", "web-2", "web-3"] };
    const dying = update(definition, killed, id, outs, after).catch(() => undefined);
    while (counted("vms.cloneVmInstance") < 2) await clock.sleep(100);
    killed.stop("killed");
    await dying;
    connect();
    // The state is as it was before: the killed run has recorded nothing.
    const { outs: changed } = await update(definition, newRun(), id, outs, after);
    expect(changed).toMatchObject({ names: after.names });
    expect([counted("vms.cloneVmInstance"), names()]).toEqual([2, ["web-1", "web-2", "web-3"]]);
    expect(sourceMarks().filter((tag) => tag.startsWith("snapclone::job"))).toEqual([]);
  });

  test("a set of somebody else's is never touched, nor a VM of the same name", async () => {
    await start();
    const theirs = await create(definition, newRun(), { ...NEWS, __owner: `${OWNER}-theirs` });
    connect();
    const mine = await create(definition, newRun(), NEWS);
    expect(mine.id).not.toBe(theirs.id);
    expect(names()).toEqual(["web-1", "web-1", "web-2", "web-2"]);
    await remove(definition, newRun(), mine.id, mine.outs);
    expect(
      clones()
        .map(({ uuid }) => uuid)
        .sort(),
    ).toEqual(
      vmsOf(theirs.outs)
        .map(({ uuid }) => uuid)
        .sort(),
    );
  });
});

describe("change", () => {
  test("names 2 → 3 → 1, and only what differs is touched", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const before = vmsOf(outs).map(({ uuid }) => uuid);
    const three = await update(definition, newRun(), id, outs, { ...NEWS, names: ["web-1", "web-2", "web-3"] });
    expect(
      vmsOf(three.outs)
        .slice(0, 2)
        .map(({ uuid }) => uuid),
    ).toEqual(before);
    const one = await update(definition, newRun(), id, three.outs, { ...NEWS, names: ["web-2"] });
    expect(one.outs).toMatchObject({ names: ["web-2"], vms: [{ uuid: before[1] }] });
    expect(names()).toEqual(["web-2"]);
    const writes = counted("vms.cloneVmInstance");
    const same = await update(definition, newRun(), id, one.outs, { ...NEWS, names: ["web-2"] });
    expect([counted("vms.cloneVmInstance"), same.outs]).toEqual([writes, one.outs]);
  });

  test("description, tags and power in place; foreign tags stay", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, description: "one", userTags: ["a", "b"] });
    const [first] = clones();
    emulator.zstack.tags.set("f".repeat(32), {
      uuid: "f".repeat(32),
      resourceType: "VmInstanceVO",
      resourceUuid: first?.uuid ?? "",
      tag: "foreign",
    });
    const after = { ...NEWS, description: "two", userTags: ["b", "c"], powerState: "Stopped" };
    const { outs: changed } = await update(definition, newRun(), id, outs, after);
    expect(changed).toMatchObject({ description: "two", userTags: ["b", "c"], powerState: "Stopped" });
    expect(clones().map(({ state }) => state)).toEqual(["Stopped", "Stopped"]);
    const ours = expect.stringMatching(`^snapclone::set::${id}::`);
    expect(emulator.zstack.tagsOf(first?.uuid ?? "").sort()).toEqual(["b", "c", "foreign", ours]);

    const { outs: again } = await update(definition, newRun(), id, changed, { ...NEWS, powerState: "Running" });
    expect(clones().map(({ state }) => state)).toEqual(["Running", "Running"]);
    expect(clones().map(({ description }) => description)).toEqual(["", ""]);
    expect(emulator.zstack.tagsOf(first?.uuid ?? "").sort()).toEqual(["foreign", ours]);
    expect(again).not.toHaveProperty("userTags");
  });

  test("a paused VM is resumed, a vanished name is cloned anew", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, powerState: "Running" });
    const one = emulator.zstack.named("web-1");
    if (one) one.state = "Paused";
    emulator.zstack.removeVm(emulator.zstack.named("web-2")?.uuid ?? "");
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ names: ["web-1"], powerState: "Paused" });
    const { outs: mended } = await update(definition, newRun(), id, props ?? {}, { ...NEWS, powerState: "Running" });
    expect(vmsOf(mended)).toMatchObject([
      { uuid: one?.uuid, state: "Running" },
      { name: "web-2", state: "Running" },
    ]);
  });

  test("what can't be cloned is said, and keeps what it was to replace", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.zstack.cloneBehaviour({ match: { name: "web-3" }, outcome: "no-host", times: 1 });
    const after = { ...NEWS, names: ["web-2", "web-3"], description: "new" };
    const failure = await partial(update(definition, newRun(), id, outs, after));
    expect(failure.reasons[0]).toMatch(/web-3 could not be cloned/);
    expect(failure.properties).toMatchObject({
      names: ["web-2", "web-1"],
      description: "new",
      pending: { operation: "update", failed: true },
    });
    expect(names()).toEqual(["web-1", "web-2"]);
    const { outs: mended } = await update(definition, newRun(), id, failure.properties, after);
    expect(mended).toMatchObject({ names: ["web-2", "web-3"] });
    expect(names()).toEqual(["web-2", "web-3"]);
  });
});

describe("read", () => {
  test.each([
    ["Destroyed", {}],
    ["Expunging", {}],
  ])("all in state %s: gone", async (state, expected) => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    for (const vm of clones()) vm.state = state;
    expect(await read(definition, newRun(), id, outs)).toEqual(expected);
  });

  test("Unknown is not gone: it is warned of, and nothing is replaced", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const [lost] = clones();
    if (lost) lost.state = "Unknown";
    const { props } = await read(definition, newRun(), id, outs);
    expect(diff(definition, props ?? {}, NEWS)).toEqual({ changes: false });
    expect(log.at(-1)).toMatch(/^warning: clones "web-1", "web-2": "web-\d" is in state Unknown/);
  });

  test("a proxy's 404 and 503 are errors, never gone", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.faults.add({ match: { operation: "vms.query" }, status: 404, body: "<html>nginx</html>", times: 2 });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/cannot read clones/);
    emulator.faults.add({ match: { operation: "tags.query" }, action: "html", status: 503, times: 6 });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/cannot read clones/);
  });

  test("get finds a set by its id alone, and what is no id is an error", async () => {
    await start();
    const { id } = await create(definition, newRun(), NEWS);
    const { props } = await read(definition, newRun(), id, {});
    expect(props).toMatchObject({ names: ["web-1", "web-2"], vms: [{ state: "Running" }, { state: "Running" }] });
    for (const wrong of ["x!=y", "0".repeat(32)]) {
      await expect(read(definition, newRun(), wrong, {})).rejects.toThrow(/there is no set of clones with the id/);
    }
  });

  test("a tag taken away by hand does not lose what the state knows", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.zstack.tags.clear();
    expect((await read(definition, newRun(), id, outs)).props).toMatchObject({ names: ["web-1", "web-2"] });
  });
});

describe("delete", () => {
  test("into the recycle bin by default, out of it with expunge, twice is once", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    await remove(definition, newRun(), id, outs);
    expect(names()).toEqual([]);
    expect([...emulator.zstack.vms.values()].filter(({ state }) => state === "Destroyed")).toHaveLength(2);
    await remove(definition, newRun(), id, { ...outs, deletion: "expunge" });
    expect(emulator.zstack.vms.size).toBe(2);
    await remove(definition, newRun(), id, { ...outs, deletion: "expunge" });
    expect([sourceMarks(), emulator.zstack.tags.size]).toEqual([[], 0]);
  });

  test("a full clone takes its disks along, and leaves one that was attached elsewhere", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...FULL, deletion: "expunge" });
    const [vm] = clones();
    const disks = emulator.zstack.volumesOf(vm?.uuid ?? "", "Data");
    expect(disks).toHaveLength(2);
    expect(outs.vms).toMatchObject([
      {
        volumes: [
          { type: "Root", cloned: true },
          { type: "Data", cloned: true },
          { type: "Data", cloned: true },
        ],
      },
    ]);
    const mine = emulator.zstack.addVolume({ name: "mine", type: "Data", vmInstanceUuid: vm?.uuid ?? "" });
    const [moved, other] = disks;
    if (moved) moved.vmInstanceUuid = ZSTACK_SEED.web;
    await remove(definition, newRun(), id, outs);
    const volumes = [...emulator.zstack.volumes.keys()];
    expect(volumes).toContain(mine.uuid);
    expect(volumes).toContain(moved?.uuid);
    expect(volumes).not.toContain(other?.uuid);
    expect(log).toContainEqual(expect.stringMatching(/^warning: the data volume .* is attached to the VM/));
  });

  test("a full clone keeps its disks where that is asked for", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...FULL, keepDataVolumes: true });
    await remove(definition, newRun(), id, outs);
    const kept = [...emulator.zstack.volumes.values()].filter(({ name }) => name.endsWith("-clone"));
    expect(kept).toMatchObject([{ status: "Ready" }, { status: "Ready" }]);
  });

  test("one name of a full set goes with its own disks only", async () => {
    await start();
    const two = { ...FULL, names: ["db-1", "db-2"] };
    const { id, outs } = await create(definition, newRun(), two);
    await update(definition, newRun(), id, outs, FULL);
    const cloned = [...emulator.zstack.volumes.values()].filter(({ name }) => name.endsWith("-clone"));
    expect(cloned.map(({ status }) => status).sort()).toEqual(["Deleted", "Deleted", "Ready", "Ready"]);
    const left = emulator.zstack.named("db-1")?.uuid ?? "";
    expect(emulator.zstack.volumesOf(left, "Data").map(({ status }) => status)).toEqual(["Ready", "Ready"]);
  });

  test("VMs that somebody expunged by hand are no obstacle", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, deletion: "expunge" });
    for (const vm of clones()) emulator.zstack.removeVm(vm.uuid);
    await remove(definition, newRun(), id, outs);
    expect(sourceMarks()).toEqual([]);
  });
});

describe("the dry run", () => {
  test("is off unless the connection asks for it", async () => {
    await start();
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([]);
    expect(emulator.requests.length).toBe(0);
  });

  test("says what the server would refuse, and makes nothing", async () => {
    await start({}, { dryRun: true });
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([]);
    const unknown = { ...NEWS, vmInstanceUuid: "00000000000041118000000000000000" };
    expect(await dryRun(definition, newRun(), unknown)).toEqual([
      { property: "vmInstanceUuid", reason: expect.stringContaining("SYS.1003") },
    ]);
    emulator.zstack.settings.vmQuota = 2;
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([
      { property: "names", reason: expect.stringMatching(/ID\.1003.*quota is full/) },
    ]);
    await clock.sleep(10_000);
    expect([names(), sourceMarks(), emulator.zstack.sourceSnapshots]).toEqual([[], [], []]);
  });

  test("a server that can't be reached, or inputs that are not known yet, are no failure", async () => {
    await start({}, { dryRun: true });
    const unknown = { ...NEWS, vmInstanceUuid: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" };
    expect(await dryRun(definition, newRun(), unknown)).toEqual([]);
    expect(emulator.requests.length).toBe(0);
    connect({ dryRun: true, url: "http://127.0.0.1:1" });
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([]);
    expect(log.at(-1)).toMatch(/^warning: cannot log in .*cannot be reached/);
  });

  test("a server that clones in earnest is cleaned up after, and it is said", async () => {
    await start({}, { dryRun: true });
    const { wire } = cloud;
    const send = wire.cloneVmInstance.bind(wire);
    wire.cloneVmInstance = (uuid, request, { job }) => send(uuid, request, { job });
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([]);
    expect(log.at(-1)).toMatch(/does not know the dry run and cloned in earnest/);
    expect(emulator.zstack.vms.size).toBe(2);
  });
});

test("check refuses all that is wrong at once, with the path, and sends nothing", async () => {
  await start();
  const mark = `x.sc-${"0".repeat(32)}`;
  const news = {
    vmInstanceUuid: "my-vm",
    names: ["a", "A", "b>=c", " ", mark, 7, "x".repeat(129), "x!=y"],
    nmaes: ["typo"],
    strategy: "JustCreate",
    full: "yes",
    powerState: "Paused",
    userTags: ["snapclone::set::x", ""],
    affinityGroupUuid: "5fd71606d5af451d981413f35367a8d",
    volumeProvisioningStrategy: "Thin",
    systemTags: ["plain", "ephemeral::validationOnly", "volumeProvisioningStrategy::ThinProvisioning"],
    clusterUuid: ZSTACK_SEED.cluster,
    hostUuid: ZSTACK_SEED.host,
    primaryStorageUuidForDataVolume: ZSTACK_SEED.primaryStorage,
    deletion: "purge",
    connection: "",
  };
  const failures = check(definition, {}, news).failures.map(({ property, reason }) => `${property}: ${reason}`);
  expect(failures).toEqual([
    "nmaes: unknown property; did you mean names?",
    expect.stringMatching(/^vmInstanceUuid: .*32 hex digits/),
    expect.stringMatching(/^names\[2\]: must not contain != >= <= ~= \?=/),
    "names[3]: must not be empty",
    expect.stringMatching(/^names\[4\]: must not end like/),
    "names[5]: must be a string",
    expect.stringMatching(/^names\[6\]: .*128/),
    expect.stringMatching(/^names\[7\]: must not contain/),
    "strategy: must be one of InstantStart, CreateStopped",
    "full: must be true or false",
    "powerState: must be one of Running, Stopped",
    expect.stringMatching(/^userTags\[0\]: .*the provider's own/),
    "userTags[1]: must not be empty",
    expect.stringMatching(/^affinityGroupUuid: /),
    expect.stringMatching(/^volumeProvisioningStrategy: must be one of/),
    expect.stringMatching(/^systemTags\[0\]: must be a system tag/),
    expect.stringMatching(/^systemTags\[1\]: would make it a dry run/),
    expect.stringMatching(/^systemTags\[2\]: is a tag of volumes/),
    "deletion: must be one of destroy, expunge",
    "connection: must be the name of a connection",
    "hostUuid: a host is in one cluster: give hostUuid or clusterUuid, not both",
  ]);
  const twice = check(definition, {}, { ...NEWS, names: ["a", "b", "A"] }).failures;
  expect(twice).toEqual([{ property: "names[2]", reason: '"A" is there twice; each clone needs a name of its own' }]);
  expect(check(definition, {}, { ...NEWS, names: [] }).failures).toEqual([
    { property: "names", reason: "must have at least one name" },
  ]);
  const storage = { primaryStorageUuidForDataVolume: ZSTACK_SEED.primaryStorage };
  expect(check(definition, {}, { ...NEWS, ...storage }).failures).toMatchObject([
    { property: "primaryStorageUuidForDataVolume" },
  ]);
  const unknown = { full: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" };
  expect(check(definition, {}, { ...NEWS, ...storage, ...unknown }).failures).toEqual([]);
  // With dashes, as other systems write it, it is the same VM.
  const dashed = "c4d628c2-0343-3f64-b062-ad07c8edf10d";
  expect(check(definition, {}, { ...NEWS, vmInstanceUuid: dashed }).inputs.vmInstanceUuid).toBe(ZSTACK_SEED.web);
  expect(emulator.requests.length).toBe(0);
});
