// Snapshot's lifecycle against the emulator, status by status: what becomes of it and what the user is told.

import { setTimeout as delay } from "node:timers/promises";
import { type Emulator, startEmulator } from "../../emulator";
import { check } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import { create, type Properties, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import type { Clock } from "../../provider/core/util/clock";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { OpenStackContext } from "../../provider/openstack/context";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { snapshot as released } from "../../provider/openstack/snapshot/resource";
import { partial } from "../support/failures";
import { FakeEngine } from "../support/fakeEngine";

/** So many times as fast as life, the emulator's and ours. */
let scale = 100;
const clock: Clock = {
  now: () => performance.now() * scale,
  date: () => new Date(),
  sleep: async (ms, signal) => void (await delay(ms / scale, undefined, signal ? { signal } : undefined)),
};
const VOLUME = "11111111-1111-4111-8111-111111111111";
const NEWS: Properties = {
  volumeId: VOLUME,
  name: "nightly",
  __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::nightly",
  __provider: "p",
};

let emulator: Emulator;
let cloud: OpenStackContext;
const log: string[] = [];
const definition = { ...released, connection: { kind: "openstack", open: () => cloud } };
const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });

async function start(options: Parameters<typeof startEmulator>[0] = {}, speed = 100): Promise<void> {
  scale = speed;
  emulator = await startEmulator({ clock: { scale: scale }, ...options });
  const place = { env: {}, cwd: "/", home: "/" };
  const settings = resolveOpenStack({ name: "default", config: emulator.connection(), ...place });
  cloud = new OpenStackContext(new KeystoneSession(settings, { clock }), clock);
  log.length = 0;
}

afterEach(async () => {
  await cloud.session.close();
  await emulator.close();
});

const rows = () => {
  emulator.cinder.settle();
  return [...emulator.cinder.snapshots.values()];
};

describe("create", () => {
  test("one POST, a list of open ones, and no more looks than it takes", async () => {
    await start({ timings: { snapshotCreate: 2_000 } });
    const { id, outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ status: "available", progress: "100%", sizeGiB: 10, consumesQuota: true });
    expect(rows()).toMatchObject([{ id, status: "available" }]);
    expect(emulator.requests.count({ operation: "snapshots.create" })).toBe(1);
    expect(emulator.requests.count({ operation: "tokens.issue" })).toBe(1);
    expect(log.at(-1)).toBe("status: available 100%");
  });

  test("an error with a message of Cinder's own is told with it, recorded, and replaced by the next up", async () => {
    await start();
    emulator.cinder.failNext({ create: "error" });
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(failure.reasons[0]).toMatch(/^cannot create snapshot "nightly": Cinder could not make it .*status "error"/);
    expect(failure.reasons[0]).toContain("Snapshot failed to create");
    expect(failure.properties).toMatchObject({ status: "error", pending: { operation: "create", failed: true } });
    expect(diff(definition, failure.properties, NEWS)).toMatchObject({ changes: true, replaces: ["pending"] });
    await remove(definition, newRun(), failure.id, failure.properties);
    expect(rows()).toEqual([]);
  });

  test("an error without a message says what that usually means", async () => {
    await start();
    emulator.cinder.failNext({ create: "error-silent" });
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(failure.reasons[0]).toContain("left no message why");
    expect(failure.reasons[0]).toContain("openstack volume service list");
  });

  test("one that never gets ready meets the deadline, and is waited for by the next run", async () => {
    await start();
    const stuck = emulator.cinder.behaviour({ match: { name: "nightly" }, create: "stuck" });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "2m" } }));
    expect(failure.reasons[0]).toMatch(/waited [12] min.* for snapshot \S+ to become available; seen: creating/);
    stuck.remove();
    const row = emulator.cinder.snapshots.get(failure.id);
    if (row) row.status = "available";
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, NEWS);
    expect(outs).toMatchObject({ status: "available" });
    expect(rows()).toHaveLength(1);
  });

  test("one 404 right after the create was accepted does not forget it", async () => {
    await start({ timings: { snapshotCreate: 2_000 } });
    emulator.faults.add({
      match: { operation: "snapshots.show" },
      times: 1,
      status: 404,
      body: JSON.stringify({ itemNotFound: { code: 404, message: "Snapshot 1 could not be found." } }),
    });
    const { id, outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ status: "available" });
    expect(rows().map((row) => row.id)).toEqual([id]);
  });

  test("one that vanishes leaves nothing to record", async () => {
    await start();
    emulator.cinder.failNext({ create: "vanish" });
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(/vanished while it was being created/);
  });

  test("over quota: refused once, with what to do about it", async () => {
    await start({ quotas: { snapshots: 0 } });
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(/SnapshotLimitExceeded[\s\S]*quota/);
    expect(emulator.requests.count({ operation: "snapshots.create" })).toBe(1);
  });

  test.each([
    ["3.70", undefined, "available"],
    ["3.59", true, "available"],
    ["3.59", undefined, "refused"],
  ])("an attached volume at %s, force %s: %s", async (maxMicroversion, force, outcome) => {
    await start({ maxMicroversion });
    const attached = { ...NEWS, volumeId: "22222222-2222-4222-8222-222222222222", force };
    const made = create(definition, newRun(), attached);
    if (outcome === "available") expect((await made).outs.status).toBe("available");
    else await expect(made).rejects.toThrow(/current status is: in-use/);
  });

  test("the oldest API there is: no filters, no messages, no extra fields", async () => {
    await start({ maxMicroversion: "3.0" });
    const { id, outs } = await create(definition, newRun(), NEWS);
    expect(outs).not.toHaveProperty("userId");
    await remove(definition, newRun(), id, outs);
    emulator.cinder.failNext({ create: "error" });
    expect((await partial(create(definition, newRun(), NEWS))).reasons[0]).toContain("left no message why");
  });

  test("two hundred at once are looked at together, by lists", async () => {
    // Not a hundred times: the requests themselves take real time, and would seem to take minutes.
    await start({ timings: { snapshotCreate: 2_000 } }, 4);
    const run = newRun();
    const all = Array.from({ length: 200 }, (_, n) =>
      create(definition, run, { ...NEWS, __owner: `${NEWS.__owner}${n}` }),
    );
    await Promise.all(all);
    expect(emulator.requests.count({ operation: "snapshots.create" })).toBe(200);
    // How many lists that takes depends on the machine (npm run bench measures it); single looks are for the last few.
    expect(emulator.requests.count({ operation: "snapshots.show" })).toBeLessThanOrEqual(10);
    const before = emulator.requests.length;
    await run.end();
    expect(emulator.requests.length).toBe(before);
  });
});

describe("delete", () => {
  async function made() {
    await start({ timings: { snapshotDelete: 1_000 } });
    return create(definition, newRun(), NEWS);
  }

  test("waits until it is gone", async () => {
    const { id, outs } = await made();
    await remove(definition, newRun(), id, outs);
    expect(rows()).toEqual([]);
    expect(emulator.requests.count({ operation: "snapshots.delete" })).toBe(1);
  });

  test("of what is still being made waits until Cinder lets it", async () => {
    await start({ timings: { snapshotCreate: 20_000 } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1s" } }));
    await remove(definition, newRun(), failure.id, failure.properties);
    expect(rows()).toEqual([]);
  });

  test("of what is being deleted already joins in", async () => {
    const { id, outs } = await made();
    await cloud.cinder.deleteSnapshot(id);
    await remove(definition, newRun(), id, outs);
    expect(rows()).toEqual([]);
  });

  test("a busy snapshot comes back to available: an error that says why", async () => {
    const { id, outs } = await made();
    emulator.cinder.failNext({ delete: "busy" });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(
      /cannot delete snapshot "nightly": Cinder began to delete .* took it back to "available": .*busy/,
    );
    expect(rows()).toHaveLength(1);
    await remove(definition, newRun(), id, outs);
    expect(rows()).toEqual([]);
  });

  test("error_deleting is an error that says who has to look where", async () => {
    const { id, outs } = await made();
    emulator.cinder.failNext({ delete: "error" });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/failed to delete[\s\S]*administrator/);
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/administrator/);
    expect(rows()).toMatchObject([{ id, status: "error_deleting" }]);
  });

  test("a member of a group snapshot: Cinder's refusal is told, and not asked for for ever", async () => {
    const { id, outs } = await made();
    const row = emulator.cinder.snapshots.get(id);
    if (row) row.group_snapshot_id = "33333333-3333-4333-8333-333333333333";
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/must not be part of a group/);
    expect(emulator.requests.count({ operation: "snapshots.delete" })).toBeLessThanOrEqual(3);
  });

  test("one that never ends meets the deadline", async () => {
    const { id, outs } = await made();
    emulator.cinder.failNext({ delete: "stuck" });
    await expect(remove(definition, newRun(), id, { ...outs, __timeouts: { delete: "1m" } })).rejects.toThrow(
      /waited .* for snapshot \S+ to be deleted; seen: deleting/,
    );
  });
});

describe("read and change", () => {
  test("a snapshot in error says so, with Cinder's reason, and is not replaced behind the user's back", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const row = emulator.cinder.snapshots.get(id);
    if (row) row.status = "error";
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ status: "error" });
    expect(log.at(-1)).toMatch(/^warning: snapshot "nightly": is in status "error"/);
    expect(diff(definition, props ?? {}, NEWS)).toEqual({ changes: false });
  });

  test("another project's login does not see it as gone by a wrong address, only by Cinder's own word", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.faults.add({ match: { operation: "snapshots.show" }, status: 404, body: "<html>nginx</html>" });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/cannot read snapshot "nightly"/);
    emulator.cinder.removeSnapshot(id);
    expect(await read(definition, newRun(), id, outs)).toEqual({});
  });

  test("metadata keys with a slash can be taken away, too, and nobody else's go with them", async () => {
    await start();
    const before = { ...NEWS, metadata: { "team/owner": "shop", keep: "7" } };
    const { id, outs } = await create(definition, newRun(), before);
    await cloud.cinder.createSnapshotMetadata(id, { foreign: "f" });
    const after = { ...NEWS, metadata: { keep: "8" } };
    await update(definition, newRun(), id, outs, after);
    expect(emulator.cinder.snapshots.get(id)?.metadata).toEqual({
      keep: "8",
      foreign: "f",
      "snapclone:stack": outs.__stack,
      "snapclone:owner": NEWS.__owner,
      "snapclone:inputs": expect.any(String),
      "snapclone:attempt": expect.any(String),
      "snapclone:keys": "keep",
    });
  });

  test("a login to another project, or in another region, finds nothing gone", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    expect(outs.__backend).toMatch(/^project [0-9a-f]{32}, region RegionOne$/);
    for (const other of ["project 0123, region RegionOne", "project 0123, region RegionTwo"]) {
      emulator.cinder.removeSnapshot(id);
      const elsewhere = { ...outs, __backend: other };
      for (const work of [read, remove] as const) {
        await expect(work(definition, newRun(), id, elsewhere)).rejects.toThrow(
          `the state says ${other}, and the connection reaches ${String(outs.__backend)}`,
        );
      }
    }
    expect(await read(definition, newRun(), id, outs)).toEqual({});
  });

  test("what others have set on an imported snapshot is never taken away, and the import replaces nothing", async () => {
    await start();
    const row = emulator.cinder.createSnapshot({ name: "nightly", volume_id: VOLUME, metadata: { billing: "42" } });
    // As `pulumi import --file` with inputs alone writes it, and as a refresh fills it.
    const { metadata: _, ...inputs } = { ...NEWS, metadata: undefined, __owner: undefined };
    const bare = { ...inputs, __owner: undefined } as Properties;
    delete bare.__owner;
    const refreshed = (await read(definition, newRun(), row.id, { ...bare, status: "available" })).props ?? {};
    const program = { ...NEWS, metadata: { keep: "7" } };
    for (const olds of [{ status: "available" }, bare, refreshed]) {
      expect(diff(definition, olds, program)).not.toHaveProperty("replaces");
      const { outs } = await update(definition, newRun(), row.id, olds, program);
      expect(outs.metadata).toEqual({ keep: "7" });
      expect(emulator.cinder.snapshots.get(row.id)?.metadata).toMatchObject({ billing: "42", keep: "7" });
      expect(diff(definition, outs, program)).toEqual({ changes: false });
    }
    const other = { ...program, volumeId: "22222222-2222-4222-8222-222222222222" };
    await expect(update(definition, newRun(), row.id, { status: "available" }, other)).rejects.toThrow(
      /volumeId is "1111.*" on the backend and "2222.*" in the program: that can't change in place/,
    );
  });

  test("another owner's name goes into the record, and a cloud that forbids that costs a warning", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const renamed = { ...NEWS, __owner: `${NEWS.__owner}-2` };
    expect(diff(definition, outs, renamed)).toEqual({ changes: true });
    emulator.faults.add({ match: { operation: "snapshots.metadata.merge" }, times: 1, status: 403, body: "{}" });
    const first = await update(definition, newRun(), id, outs, renamed);
    expect(log.at(-1)).toMatch(/^warning: the ownership record of \S+ could not be written/);
    await update(definition, newRun(), id, { ...first.outs, __owner: NEWS.__owner }, renamed);
    expect(emulator.cinder.snapshots.get(id)?.metadata["snapclone:owner"]).toBe(renamed.__owner);
  });
});

describe("with an engine's state", () => {
  const names = (count: number) => Array.from({ length: count }, (_, n) => `s${n}`);
  const programOf = (count: number) =>
    Object.fromEntries(names(count).map((name) => [name, { volumeId: VOLUME, name, metadata: { keep: "7" } }]));
  const engine = () => new FakeEngine(definition, { clock });

  test("requests: N creates cost at most 1.1 N + 20, and the end of the run none", async () => {
    await start({ timings: { snapshotCreate: 2_000 } }, 20);
    const run = newRun();
    await Promise.all(
      names(60).map((name) =>
        create(definition, run, {
          ...NEWS,
          name,
          __owner: `${NEWS.__owner}-${name}`,
          __attempt: `1${name}`.padEnd(16, "0"),
        }),
      ),
    );
    await run.end();
    expect(emulator.requests.length).toBeLessThanOrEqual(1.1 * 60 + 20);
  });

  test("a slow cloud: after a good up nothing can be adopted by anything", async () => {
    await start({ latencyMs: 6, timings: { snapshotCreate: 100 } });
    const stack = engine();
    await stack.up(programOf(12));
    const before = rows().map(({ id }) => id);
    const { log: said } = await stack.up(programOf(12), { replace: names(12) });
    expect(said).toEqual([]);
    expect(
      rows()
        .map(({ id }) => id)
        .filter((id) => before.includes(id)),
    ).toEqual([]);
    expect(rows()).toHaveLength(12);
  });

  test("what a save that failed left is told at once, and adopted by the next up, with a line that stays", async () => {
    await start();
    const stack = engine();
    const failed = await stack.up(programOf(1), { saveFails: true });
    const [row] = rows();
    expect(failed.log.join()).toMatch(new RegExp(`^warning: in no state: a snapshot[\\s\\S]*${row?.id}`));
    const next = await stack.up(programOf(1));
    expect(stack.idOf("s0")).toBe(row?.id);
    expect(next.log).toEqual([
      expect.stringMatching(new RegExp(`^info: adopted the snapshot ${row?.id} "s0", made \\S+Z \\(.* ago\\)`)),
    ]);
    expect(rows()).toHaveLength(1);
  });

  test("without a witness it makes a new one, and tells of the old", async () => {
    await start();
    const stack = engine();
    await stack.up(programOf(1), { saveFails: true });
    const [row] = rows();
    stack.hasWitness = false;
    const next = await stack.up(programOf(1));
    expect(rows()).toHaveLength(2);
    expect(next.log).toEqual([
      expect.stringMatching(
        new RegExp(`^warning: an interrupted run may have left the snapshot ${row?.id}.*no .pulumi. is on PATH`),
      ),
    ]);
  });

  test("an adopted snapshot gets what the program says now, loses the keys of its own create, and keeps those of others", async () => {
    await start();
    const stack = engine();
    await stack.up({ s0: { volumeId: VOLUME, name: "one", metadata: { a: "1", b: "2" } } }, { saveFails: true });
    const [row] = rows();
    if (row) row.metadata.billing = "42";
    await stack.up({ s0: { volumeId: VOLUME, name: "two", metadata: { b: "3", c: "4" } } });
    expect(rows()).toMatchObject([{ id: row?.id, name: "two", metadata: { b: "3", c: "4", billing: "42" } }]);
    expect(rows()[0]?.metadata).not.toHaveProperty("a");
  });

  test("marks of an earlier build: an open one of a pending create is adopted, a settled one never", async () => {
    await start();
    const stack = engine();
    await stack.up(programOf(1), { saveFails: true });
    const [row] = rows();
    if (!row) throw new Error("no snapshot");
    const { "snapclone:owner": owner = "", "snapclone:inputs": inputs = "" } = row.metadata;
    stack.edit(({ pending }) => {
      for (const one of pending) delete one.inputs.__attempt;
    });
    row.metadata = { "snapclone:owner": owner, "snapclone:inputs": inputs, "snapclone:phase": "settled" };
    await stack.up(programOf(1));
    expect(stack.idOf("s0")).not.toBe(row.id);
    await stack.destroy();
    stack.edit((state) => state.pending.push({ urn: stack.urn("s0"), inputs: {} }));
    row.metadata["snapclone:phase"] = "open";
    await stack.up(programOf(1));
    expect(stack.idOf("s0")).toBe(row.id);
    expect(row.metadata).toMatchObject({ "snapclone:phase": "settled", "snapclone:stack": expect.any(String) });
  });
});

test("check refuses all that is wrong at once, with the path, and sends nothing", async () => {
  await start();
  const long = "x".repeat(256);
  const news = {
    volumeId: "my-volume",
    name: long,
    descripton: "typo",
    description: "two\nlines",
    metadata: { "": "empty", [long]: "v", number: 7, long, "snapclone:phase": "settled", ümlaut: "v" },
    force: "yes",
    triggers: "monday",
    connection: "",
    __timeouts: { create: "10 minutes" },
  };
  expect(check(definition, {}, news).failures).toEqual([
    { property: "descripton", reason: "unknown property; did you mean description?" },
    { property: "volumeId", reason: expect.stringContaining("UUID") },
    { property: "name", reason: "must not be longer than 255 characters" },
    { property: "description", reason: expect.stringContaining("line breaks") },
    { property: 'metadata[""]', reason: "a key must not be empty" },
    { property: `metadata.${long}`, reason: "a key must not be longer than 255 characters" },
    { property: "metadata.number", reason: 'must be a string; write "7"' },
    { property: "metadata.long", reason: "must not be longer than 255 characters" },
    { property: 'metadata["snapclone:phase"]', reason: "keys that begin with snapclone: are the provider's own" },
    { property: 'metadata["ümlaut"]', reason: expect.stringContaining("letters, digits") },
    { property: "force", reason: "must be true or false" },
    { property: "triggers", reason: "must be a list" },
    { property: "connection", reason: "must be the name of a connection" },
    { property: "customTimeouts.create", reason: expect.stringContaining("is not a duration") },
  ]);
  expect(emulator.requests.length).toBe(0);
});
