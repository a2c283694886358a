// ClonedVm against the emulator: create, with lost replies, lost sessions and killed runs.

import { ZSTACK_SEED } from "../../emulator";
import { diff } from "../../provider/core/diff";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import { partial } from "../support/failures";
import {
  clock,
  clones,
  connect,
  counted,
  definition,
  emulator,
  FULL,
  log,
  NEWS,
  names,
  newRun,
  OWNER,
  sourceTags,
  start,
  vmsOf,
} from "./clonedVmFixture";

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
    // Job 1 tags the source. ZStack rejects the clone request in job 2, and says so again with a new session.
    emulator.faults.add({
      match: { operation: "jobs.query", nth: 2 },
      times: 2,
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
    clock.skip(30 * 60_000);
    await read(definition, newRun(), id, outs);
    expect([counted("sessions.valid"), counted("accounts.login")]).toEqual([1, 1]);
  });

  test("create: stopped while the job of its tag runs, it is recorded, and the next create takes the tag over", async () => {
    await start({ timings: { zstackAction: 60_000 } });
    const attempt = "1234567890abcdef";
    const stopped = newRun();
    const failing = partial(create(definition, stopped, { ...NEWS, __attempt: attempt }));
    while (counted("tags.create") < 1) await clock.sleep(100);
    stopped.stop("cancelled");
    const { id, properties } = await failing;
    expect([id, properties.pending]).toMatchObject([`unknown-${attempt}`, { task: { outcome: "unknown" } }]);
    // ZStack's job goes on.
    await clock.sleep(120_000);
    emulator.zstack.advance();
    expect(sourceTags()).toEqual([expect.stringContaining("snapclone::intent::")]);

    connect();
    const entries = [{ urn: OWNER, id, attempt, leaving: false, external: false }];
    const askState = async () => ({ entries, pendingCreates: [] });
    const next = new Run({ clock, log: (_severity, text) => log.push(text), askState });
    expect(diff(definition, properties, { ...NEWS, __attempt: attempt }).replaces).not.toEqual([]);
    const made = await create(definition, next, { ...NEWS, __attempt: "fedcba0987654321" });
    await remove(definition, next, id, properties);
    entries.splice(0, 1, { urn: OWNER, id: made.id, attempt: "fedcba0987654321", leaving: false, external: false });
    expect([names(), counted("vms.cloneVmInstance"), sourceTags()]).toEqual([["web-1", "web-2"], 1, []]);
    expect(vmsOf(made.outs)).toHaveLength(2);
    await next.end();
    expect(log.filter((text) => text.includes("in no state"))).toEqual([]);
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
