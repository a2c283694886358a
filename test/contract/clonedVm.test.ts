// ClonedVm's lifecycle against the emulator: the VMs, the state and the messages.

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

/** How many times faster than real time both the emulator's clock and the provider's clock run. */
const SCALE = 200;
/** For the dry run, which has only a minute: at SCALE, a busy machine would not finish within its real time. */
const DRY_RUN_SCALE = 10;
const origin = Date.now();
let skipped = 0;
const clockOf = (scale: number): Clock => ({
  now: () => performance.now() * scale + skipped,
  date: () => new Date(origin + (Date.now() - origin) * scale),
  sleep: async (ms, signal) => void (await delay(ms / scale, undefined, signal ? { signal } : undefined)),
});
const clock = clockOf(SCALE);
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

/** Acts as another process, with another login and nothing remembered. */
function connect(more: object = {}): void {
  const config = { ...emulator.zstack.connection(), ...more };
  cloud = new ZStackContext(resolveZStack({ name: "default", config, env: {}, cwd: "/", home: "/" }), clock);
  opened.push(cloud);
}

afterEach(async () => {
  for (const one of opened.splice(0)) await one.client.close();
  await emulator.close();
});

/** All living VMs without the seed's. */
const clones = () => emulator.zstack.living().filter(({ name }) => name !== "web" && name !== "db");
const names = () =>
  clones()
    .map(({ name }) => name)
    .sort();
const counted = (operation: string) => emulator.requests.count({ operation });
const sourceTags = (uuid: string = ZSTACK_SEED.web) => emulator.zstack.tagsOf(uuid);
const vmsOf = (outs: Properties) => outs.vms as { uuid: string; name: string; state: string; ips: string[] }[];

describe("create", () => {
  test("create: sends one request for all names, and leaves only the clones' own tags", async () => {
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
    // Only the snapshot that ZStack itself makes stays on the source.
    expect(sourceTags()).toEqual([]);
    expect(emulator.zstack.sourceSnapshots).toHaveLength(1);
  });

  test("create: waits on if the job's answer has no result", async () => {
    await start({ timings: { zstackImage: 60_000 } });
    // The first answer belongs to the tag's job, which needs no result.
    emulator.faults.add({ match: { operation: "jobs.query" }, times: 3, status: 200, body: {} });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(vmsOf(outs)).toHaveLength(2);
    expect(counted("vms.cloneVmInstance")).toBe(1);
  });

  test("create: keeps clones whose new tags a list omits", async () => {
    await start();
    // The first two queries list the stack's sets, and the set's tags after the job.
    emulator.faults.add({ match: { operation: "tags.query", nth: 3 }, status: 200, body: { inventories: [] } });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(vmsOf(outs)).toHaveLength(2);
    expect(emulator.requests.count(({ fault }) => fault !== undefined)).toBe(1);
  });

  test("create: sends typed inputs as the right tags in the right place", async () => {
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
    "create: reports %s for one of two names and records the other; update clones the rest",
    async (outcome, message) => {
      await start();
      emulator.zstack.cloneBehaviour({ match: { name: "web-1" }, outcome, times: 1 });
      const failure = await partial(create(definition, newRun(), NEWS));
      expect(failure.reasons[0]).toMatch(message);
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

  test("create: a result without any VM is a failure that leaves nothing on the server or in the state", async () => {
    await start();
    emulator.zstack.cloneBehaviour({ outcome: "no-host", times: 2 });
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(
      /cannot create clones "web-1", "web-2": web-1, web-2 could not be cloned \(none was cloned\)/,
    );
    expect([names(), sourceTags()]).toEqual([[], []]);
    expect((await create(definition, newRun(), NEWS)).outs).toMatchObject({ names: ["web-1", "web-2"] });
  });

  test("create: reports the code and the Chinese details of a job that was refused", async () => {
    await start();
    emulator.zstack.failNextClone("refused");
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(
      /HOST_ALLOCATION\.1000: 错误信息[\s\S]*Nothing was left/,
    );
    expect([names(), sourceTags()]).toEqual([[], []]);
  });

  test("create: keeps whole clones that ZStack leaves after a 503", async () => {
    await start();
    emulator.zstack.failNextClone("orphans");
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ names: ["web-1", "web-2"] });
    expect(names()).toEqual(["web-1", "web-2"]);
  });

  test("create: deletes full clones without their disks that ZStack leaves after a 503", async () => {
    await start();
    emulator.zstack.failNextClone("unattached");
    await expect(create(definition, newRun(), FULL)).rejects.toThrow(/"db-1" has 0 of 2 data volumes, and was removed/);
    expect(names()).toEqual([]);
    expect(emulator.zstack.vms.size).toBe(2);
  });

  test.each(["timeout", "purged"] as const)(
    "create: finds the VMs of a job whose end is unknown (%s)",
    async (outcome) => {
      await start();
      emulator.zstack.failNextClone(outcome);
      const { outs } = await create(definition, newRun(), NEWS);
      expect(outs).toMatchObject({ names: ["web-1", "web-2"] });
      expect(counted("vms.cloneVmInstance")).toBe(1);
    },
  );

  test("create: reads numbers sent as doubles, results in any order, and answers without a Content-Type", async () => {
    await start({ zstack: { floats: true } });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs.vms).toMatchObject([{ name: "web-1", volumes: [{ size: 107374182400 }] }, { name: "web-2" }]);
  });

  test("read: a recorded set without VMs is not gone; destroy: waits for its VMs", async () => {
    await start({ timings: { zstackImage: 300_000 } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1m" } }));
    expect(clones()).toEqual([]);
    const seen = await read(definition, newRun(), failure.id, failure.properties);
    expect(seen.props).toMatchObject({ names: NEWS.names, vms: [], pending: { operation: "create" } });
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([names(), sourceTags()]).toEqual([[], []]);
  });

  test("create: reports that the community edition has no clone call", async () => {
    await start({ zstack: { edition: "community" } });
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(/this edition of ZStack cannot clone VMs/);
    expect(sourceTags()).toEqual([]);
  });

  test.each([
    [
      "4.5.0",
      { clusterUuid: ZSTACK_SEED.cluster },
      /this ZStack is 4\.5\.0 and would drop clusterUuid \(since 4\.6\.11\)/,
    ],
    ["3.8.0", { strategy: "CreateStopped" }, /strategy \(since 3\.9\.0\)/],
    ["2.4.0", { full: true }, /full \(since 2\.5\.0\)/],
  ])(
    "create: on version %s refuses inputs that the server would ignore, before any change",
    async (version, more, message) => {
      await start({ zstack: { version } });
      await expect(create(definition, newRun(), { ...NEWS, ...more })).rejects.toThrow(message);
      expect(
        emulator.requests.count(({ method, operation }) => method !== "GET" && !/login|node/.test(operation)),
      ).toBe(0);
    },
  );

  test("create: accepts all inputs on ZSvirt, whose versions start anew", async () => {
    await start({ zstack: { version: "4.10.18" } });
    expect((await create(definition, newRun(), { ...NEWS, clusterUuid: ZSTACK_SEED.cluster })).outs.names).toHaveLength(
      2,
    );
  });

  test("create: refuses a source that does not exist", async () => {
    await start();
    const news = { ...NEWS, vmInstanceUuid: "00000000000041118000000000000000" };
    await expect(create(definition, newRun(), news)).rejects.toThrow(/the VM 0+41118\S+ does not exist/);
  });
});

describe("lost replies, lost sessions, killed runs", () => {
  test.each(["5.2.1", "4.4.0"])("create: queries the job after a lost reply and clones once (%s)", async (version) => {
    await start({ zstack: { version } });
    emulator.faults.add({ match: { operation: "vms.cloneVmInstance" }, action: "drop-response" });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ names: ["web-1", "web-2"] });
    expect([counted("vms.cloneVmInstance"), names()]).toEqual([1, ["web-1", "web-2"]]);
  });

  test("create: sends a lost request again under the same job id since 4.5", async () => {
    await start();
    emulator.faults.add({ match: { operation: "vms.cloneVmInstance" }, action: "reset" });
    const { id } = await create(definition, newRun(), NEWS);
    expect([counted("vms.cloneVmInstance"), names()]).toEqual([2, ["web-1", "web-2"]]);
    expect(emulator.zstack.jobs.has(id)).toBe(true);
  });

  test("create: before 4.5 never sends again, and fails if nothing shows for a minute", async () => {
    await start({ zstack: { version: "4.4.0" } });
    emulator.faults.add({ match: { operation: "vms.cloneVmInstance" }, action: "reset" });
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(
      /none was cloned.*ECONNRESET.*does not know the job/,
    );
    expect(counted("vms.cloneVmInstance")).toBe(1);
    expect(sourceTags()).toEqual([]);
    connect();
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ names: ["web-1", "web-2"] });
    expect(names()).toEqual(["web-1", "web-2"]);
  });

  test("create: reads a duplicate job id as an acceptance", async () => {
    await start();
    emulator.faults.add({ match: { operation: "vms.cloneVmInstance" }, action: "drop-response" });
    emulator.faults.add({
      match: { operation: "jobs.query", nth: 2 },
      status: 404,
      body: "the job has been expired",
      times: 4,
    });
    await create(definition, newRun(), NEWS);
    expect([counted("vms.cloneVmInstance"), names()]).toEqual([2, ["web-1", "web-2"]]);
  });

  test("create: logs in anew and uses a new job id if the session is lost before the clone request", async () => {
    await start();
    // Job 1 tags the source. ZStack rejects the clone request in job 2.
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
    expect(sourceTags()).toEqual([]);
  });

  test("update: logs in once if all sessions of the account end", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.zstack.endAllSessions();
    const after = { ...NEWS, names: ["web-1", "web-2", "web-3"], powerState: "Stopped" };
    const { outs: changed } = await update(definition, newRun(), id, outs, after);
    expect(changed).toMatchObject({ names: after.names, powerState: "Stopped" });
    expect(counted("accounts.login")).toBe(2);
  });

  test("read: validates a session that was idle for half an hour", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    skipped += 30 * 60_000;
    await read(definition, newRun(), id, outs);
    expect([counted("sessions.valid"), counted("accounts.login")]).toEqual([1, 1]);
  });

  test("update: finds the clones of a killed update by the pending create, without the state", async () => {
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
    expect(sourceTags().filter((tag) => tag.startsWith("snapclone::job"))).toEqual([]);
  });

  test("delete: never touches another owner's set, nor a VM of the same name", async () => {
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

describe("update", () => {
  test("update: clones added names, deletes removed ones, and touches nothing else", async () => {
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

  test("update: changes description, tags and power state in place, and keeps foreign tags", async () => {
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

  test("update: resumes a paused VM and clones a missing name anew", async () => {
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

  test("update: reports a name that could not be cloned, and keeps the VM that it was to replace", async () => {
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
  ])("read: a set is gone if all its VMs are in state %s", async (state, expected) => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    for (const vm of clones()) vm.state = state;
    expect(await read(definition, newRun(), id, outs)).toEqual(expected);
  });

  test("read: warns about a VM in state Unknown, and the VM is not replaced", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const [lost] = clones();
    if (lost) lost.state = "Unknown";
    const { props } = await read(definition, newRun(), id, outs);
    expect(diff(definition, props ?? {}, NEWS)).toEqual({ changes: false });
    expect(log.at(-1)).toMatch(/^warning: clones "web-1", "web-2": "web-\d" is in state Unknown/);
  });

  test("read: fails on a 404 or 503 of a proxy", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.faults.add({ match: { operation: "vms.query" }, status: 404, body: "<html>nginx</html>", times: 2 });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/cannot read clones/);
    emulator.faults.add({ match: { operation: "tags.query" }, action: "html", status: 503, times: 6 });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/cannot read clones/);
  });

  test("get: reads a set by its id alone, and fails for a text that is no id", async () => {
    await start();
    const { id } = await create(definition, newRun(), NEWS);
    const { props } = await read(definition, newRun(), id, {});
    expect(props).toMatchObject({ names: ["web-1", "web-2"], vms: [{ state: "Running" }, { state: "Running" }] });
    for (const wrong of ["x!=y", "0".repeat(32)]) {
      await expect(read(definition, newRun(), wrong, {})).rejects.toThrow(/there is no set of clones with the id/);
    }
  });

  test("read: finds the VMs in the state after their tags were removed by hand", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.zstack.tags.clear();
    expect((await read(definition, newRun(), id, outs)).props).toMatchObject({ names: ["web-1", "web-2"] });
  });
});

describe("delete", () => {
  test("delete: moves VMs into the recycle bin by default, expunges them on request, and may be repeated", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    await remove(definition, newRun(), id, outs);
    expect(names()).toEqual([]);
    expect([...emulator.zstack.vms.values()].filter(({ state }) => state === "Destroyed")).toHaveLength(2);
    await remove(definition, newRun(), id, { ...outs, deletion: "expunge" });
    expect(emulator.zstack.vms.size).toBe(2);
    await remove(definition, newRun(), id, { ...outs, deletion: "expunge" });
    expect([sourceTags(), emulator.zstack.tags.size]).toEqual([[], 0]);
  });

  test("delete: deletes the disks of a full clone, but no disk that is attached to another VM", async () => {
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

  test("delete: keeps the disks of a full clone with keepDataVolumes", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...FULL, keepDataVolumes: true });
    await remove(definition, newRun(), id, outs);
    const kept = [...emulator.zstack.volumes.values()].filter(({ name }) => name.endsWith("-clone"));
    expect(kept).toMatchObject([{ status: "Ready" }, { status: "Ready" }]);
  });

  test("update: deletes a removed name with its own disks only", async () => {
    await start();
    const two = { ...FULL, names: ["db-1", "db-2"] };
    const { id, outs } = await create(definition, newRun(), two);
    await update(definition, newRun(), id, outs, FULL);
    const cloned = [...emulator.zstack.volumes.values()].filter(({ name }) => name.endsWith("-clone"));
    expect(cloned.map(({ status }) => status).sort()).toEqual(["Deleted", "Deleted", "Ready", "Ready"]);
    const left = emulator.zstack.named("db-1")?.uuid ?? "";
    expect(emulator.zstack.volumesOf(left, "Data").map(({ status }) => status)).toEqual(["Ready", "Ready"]);
  });

  test("delete: succeeds if the VMs were expunged by hand", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, deletion: "expunge" });
    for (const vm of clones()) emulator.zstack.removeVm(vm.uuid);
    await remove(definition, newRun(), id, outs);
    expect(sourceTags()).toEqual([]);
  });
});

describe("dry run", () => {
  test("dry run: sends nothing unless the connection enables it", async () => {
    await start();
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([]);
    expect(emulator.requests.length).toBe(0);
  });

  test("dry run: reports what the server would refuse, and makes nothing", async () => {
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
    expect([names(), sourceTags(), emulator.zstack.sourceSnapshots]).toEqual([[], [], []]);
  });

  test("dry run: does not fail if the server cannot be reached or inputs are unknown", async () => {
    await start({}, { dryRun: true });
    const unknown = { ...NEWS, vmInstanceUuid: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" };
    expect(await dryRun(definition, newRun(), unknown)).toEqual([]);
    expect(emulator.requests.length).toBe(0);
    connect({ dryRun: true, url: "http://127.0.0.1:1" });
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([]);
    expect(log.at(-1)).toMatch(/^warning: cannot log in .*cannot be reached/);
  });

  test("dry run: deletes the clones of a server that really clones, and warns", async () => {
    await start({ clock: { scale: DRY_RUN_SCALE } }, { dryRun: true });
    const run = new Run({ clock: clockOf(DRY_RUN_SCALE), log: (severity, text) => log.push(`${severity}: ${text}`) });
    const { client } = cloud;
    const send = client.cloneVmInstance.bind(client);
    client.cloneVmInstance = (uuid, request, { job }) => send(uuid, request, { job });
    expect(await dryRun(definition, run, NEWS)).toEqual([]);
    expect(log.at(-1)).toMatch(/does not support the dry run and really cloned the VM/);
    expect(emulator.zstack.vms.size).toBe(2);
  });
});

test("check: reports all wrong inputs at once, with their paths, and sends nothing", async () => {
  await start();
  const temporaryName = `x.sc-${"0".repeat(32)}`;
  const news = {
    vmInstanceUuid: "my-vm",
    names: ["a", "A", "b>=c", " ", temporaryName, 7, "x".repeat(129), "x!=y"],
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
