// Snapshot's lifecycle against the emulator, status by status: what becomes of it and what the user is told.

import { setTimeout as delay } from "node:timers/promises";
import { type Emulator, startEmulator } from "../../emulator";
import { check } from "../../provider/core/check";
import type { Clock } from "../../provider/core/clock";
import { diff } from "../../provider/core/diff";
import { create, type Properties, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import { Cloud } from "../../provider/openstack/cloud";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { OpenStackSession } from "../../provider/openstack/keystone";
import { snapshot as released } from "../../provider/openstack/snapshot";
import { partial } from "../support/failures";

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
let cloud: Cloud;
const log: string[] = [];
const definition = { ...released, connection: { kind: "openstack", open: () => cloud } };
const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });

async function start(options: Parameters<typeof startEmulator>[0] = {}, speed = 100): Promise<void> {
  scale = speed;
  emulator = await startEmulator({ clock: { scale: scale }, ...options });
  const place = { env: {}, cwd: "/", home: "/" };
  const settings = resolveOpenStack({ name: "default", config: emulator.connection(), ...place });
  cloud = new Cloud(new OpenStackSession(settings, { clock }), clock);
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
    expect((await create(definition, newRun(), NEWS)).id).toBe(id);
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
    await run.end();
    expect(new Set(rows().map(({ metadata }) => metadata["snapclone:phase"]))).toEqual(new Set(["settled"]));
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
      "snapclone:owner": NEWS.__owner,
      "snapclone:inputs": expect.any(String),
      "snapclone:phase": "settled",
    });
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
