// Snapshot against the emulator: what becomes of the snapshot in each status, and what the user is told.

import { type Emulator, startEmulator } from "../../emulator";
import { check } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import type { OpenStackContext } from "../../provider/openstack/context";
import { snapshot as released } from "../../provider/openstack/snapshot/resource";
import { partial } from "../support/failures";
import { FakeEngine } from "../support/fakeEngine";
import { connectOpenStack } from "../support/openstackCloud";
import { ScaledClock } from "../support/scaledClock";

let clock: ScaledClock;
const VOLUME = "11111111-1111-4111-8111-111111111111";
const INPUTS: Properties = {
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

/** `scale`: how many times faster than real time the emulator's clock and the provider's clock run. */
async function start(options: Parameters<typeof startEmulator>[0] = {}, scale = 100): Promise<void> {
  clock = new ScaledClock(scale);
  emulator = await startEmulator({ clock: "manual", ...options });
  clock.drive(emulator);
  cloud = connectOpenStack(emulator.openstack.connection(), clock);
  log.length = 0;
}

afterEach(async () => {
  await cloud.session.close();
  await emulator.close();
});

const rows = () => {
  emulator.cinder.advance();
  return [...emulator.cinder.snapshots.values()];
};

describe("create", () => {
  test("create: sends one POST and logs in once", async () => {
    await start({ timings: { snapshotCreate: 2_000 } });
    const { id, outs } = await create(definition, newRun(), INPUTS);
    expect(outs).toMatchObject({ status: "available", progress: "100%", sizeGiB: 10, consumesQuota: true });
    expect(rows()).toMatchObject([{ id, status: "available" }]);
    expect(emulator.requests.count({ operation: "snapshots.create" })).toBe(1);
    expect(emulator.requests.count({ operation: "tokens.issue" })).toBe(1);
    expect(log.at(-1)).toBe("status: available 100%");
  });

  test("create: an error is reported with Cinder's message and recorded, and the next up replaces the snapshot", async () => {
    await start();
    emulator.cinder.failNext({ create: "error" });
    const failure = await partial(create(definition, newRun(), INPUTS));
    expect(failure.reasons[0]).toMatch(/^cannot create snapshot "nightly": Cinder could not make it .*status "error"/);
    expect(failure.reasons[0]).toContain("Snapshot failed to create");
    expect(failure.properties).toMatchObject({ status: "error", pending: { operation: "create", failed: true } });
    expect(diff(definition, failure.properties, INPUTS)).toMatchObject({ changes: true, replaces: ["pending"] });
    await remove(definition, newRun(), failure.id, failure.properties);
    expect(rows()).toEqual([]);
  });

  test("create: an error without a message is reported with its usual cause", async () => {
    await start();
    emulator.cinder.failNext({ create: "error-silent" });
    const failure = await partial(create(definition, newRun(), INPUTS));
    expect(failure.reasons[0]).toContain("left no message why");
    expect(failure.reasons[0]).toContain("openstack volume service list");
  });

  test("create: a snapshot that never becomes available meets the deadline, and the next run waits for it", async () => {
    await start();
    const stuck = emulator.cinder.behaviour({ match: { name: "nightly" }, create: "stuck" });
    const failure = await partial(create(definition, newRun(), { ...INPUTS, __timeouts: { create: "2m" } }));
    expect(failure.reasons[0]).toMatch(/waited [12] min.* for snapshot \S+ to become available; seen: creating/);
    stuck.remove();
    const row = emulator.cinder.snapshots.get(failure.id);
    if (row) row.status = "available";
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, INPUTS);
    expect(outs).toMatchObject({ status: "available" });
    expect(rows()).toHaveLength(1);
  });

  test("create: one 404 after the request was accepted does not lose the snapshot", async () => {
    await start({ timings: { snapshotCreate: 2_000 } });
    emulator.faults.add({
      match: { operation: "snapshots.show" },
      times: 1,
      status: 404,
      body: JSON.stringify({ itemNotFound: { code: 404, message: "Snapshot 1 could not be found." } }),
    });
    const { id, outs } = await create(definition, newRun(), INPUTS);
    expect(outs).toMatchObject({ status: "available" });
    expect(rows().map((row) => row.id)).toEqual([id]);
  });

  test("create: a snapshot that vanishes is not recorded", async () => {
    await start();
    emulator.cinder.failNext({ create: "vanish" });
    await expect(create(definition, newRun(), INPUTS)).rejects.toThrow(/vanished while it was being created/);
  });

  test("create: a full quota is reported after one request, with what to do about it", async () => {
    await start({ quotas: { snapshots: 0 } });
    await expect(create(definition, newRun(), INPUTS)).rejects.toThrow(/SnapshotLimitExceeded[\s\S]*quota/);
    expect(emulator.requests.count({ operation: "snapshots.create" })).toBe(1);
  });

  test.each([
    ["3.70", undefined, "available"],
    ["3.59", true, "available"],
    ["3.59", undefined, "refused"],
  ])("create: an attached volume at %s with force %s is %s", async (maxMicroversion, force, outcome) => {
    await start({ maxMicroversion });
    const attached = { ...INPUTS, volumeId: "22222222-2222-4222-8222-222222222222", force };
    const made = create(definition, newRun(), attached);
    if (outcome === "available") expect((await made).outs.status).toBe("available");
    else await expect(made).rejects.toThrow(/current status is: in-use/);
  });

  test("create: works with the oldest API, which has no filters, no messages and fewer fields", async () => {
    await start({ maxMicroversion: "3.0" });
    const { id, outs } = await create(definition, newRun(), INPUTS);
    expect(outs).not.toHaveProperty("userId");
    await remove(definition, newRun(), id, outs);
    emulator.cinder.failNext({ create: "error" });
    expect((await partial(create(definition, newRun(), INPUTS))).reasons[0]).toContain("left no message why");
  });

  test("create: two hundred snapshots at once are watched by shared lists", async () => {
    // A low speed: the requests take real time, which a high one would turn into minutes.
    await start({ timings: { snapshotCreate: 2_000 } }, 4);
    const run = newRun();
    const all = Array.from({ length: 200 }, (_, n) =>
      create(definition, run, { ...INPUTS, __owner: `${INPUTS.__owner}${n}` }),
    );
    await Promise.all(all);
    expect(emulator.requests.count({ operation: "snapshots.create" })).toBe(200);
    // The number of lists depends on the machine (npm run bench measures it). Only the last few are shown one by one.
    expect(emulator.requests.count({ operation: "snapshots.show" })).toBeLessThanOrEqual(10);
    const before = emulator.requests.length;
    await run.end();
    expect(emulator.requests.length).toBe(before);
  });
});

describe("delete", () => {
  async function made() {
    await start({ timings: { snapshotDelete: 1_000 } });
    return create(definition, newRun(), INPUTS);
  }

  test("delete: waits until the snapshot is gone", async () => {
    const { id, outs } = await made();
    await remove(definition, newRun(), id, outs);
    expect(rows()).toEqual([]);
    expect(emulator.requests.count({ operation: "snapshots.delete" })).toBe(1);
  });

  test("delete: waits until Cinder accepts the request for a snapshot that is still being created", async () => {
    await start({ timings: { snapshotCreate: 20_000 } });
    const failure = await partial(create(definition, newRun(), { ...INPUTS, __timeouts: { create: "1s" } }));
    await remove(definition, newRun(), failure.id, failure.properties);
    expect(rows()).toEqual([]);
  });

  test("delete: waits for a deletion that is already under way", async () => {
    const { id, outs } = await made();
    await cloud.cinder.deleteSnapshot(id);
    await remove(definition, newRun(), id, outs);
    expect(rows()).toEqual([]);
  });

  test("delete: a busy snapshot that returns to available is an error that says why", async () => {
    const { id, outs } = await made();
    emulator.cinder.failNext({ delete: "busy" });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(
      /cannot delete snapshot "nightly": Cinder began to delete .* took it back to "available": .*busy/,
    );
    expect(rows()).toHaveLength(1);
    await remove(definition, newRun(), id, outs);
    expect(rows()).toEqual([]);
  });

  test("delete: error_deleting is an error that says who has to look where", async () => {
    const { id, outs } = await made();
    emulator.cinder.failNext({ delete: "error" });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/failed to delete[\s\S]*administrator/);
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/administrator/);
    expect(rows()).toMatchObject([{ id, status: "error_deleting" }]);
  });

  test("delete: the refusal for a member of a group snapshot is reported after a few requests", async () => {
    const { id, outs } = await made();
    const row = emulator.cinder.snapshots.get(id);
    if (row) row.group_snapshot_id = "33333333-3333-4333-8333-333333333333";
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/must not be part of a group/);
    expect(emulator.requests.count({ operation: "snapshots.delete" })).toBeLessThanOrEqual(3);
  });

  test("delete: a deletion that never ends meets the deadline", async () => {
    const { id, outs } = await made();
    emulator.cinder.failNext({ delete: "stuck" });
    await expect(remove(definition, newRun(), id, { ...outs, __timeouts: { delete: "1m" } })).rejects.toThrow(
      /waited .* for snapshot \S+ to be deleted; seen: deleting/,
    );
  });
});

describe("read and update", () => {
  test("read: a snapshot in error is reported with Cinder's reason, and not replaced without the user's wish", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), INPUTS);
    const row = emulator.cinder.snapshots.get(id);
    if (row) row.status = "error";
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ status: "error" });
    expect(log.at(-1)).toMatch(/^warning: snapshot "nightly": is in status "error"/);
    expect(diff(definition, props ?? {}, INPUTS)).toEqual({ changes: false });
  });

  test("read: only Cinder's own 404 proves that the snapshot is gone, a wrong address does not", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), INPUTS);
    emulator.faults.add({ match: { operation: "snapshots.show" }, status: 404, body: "<html>nginx</html>" });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/cannot read snapshot "nightly"/);
    emulator.cinder.removeSnapshot(id);
    expect(await read(definition, newRun(), id, outs)).toEqual({});
  });

  test("update: metadata keys with a slash can be removed, and the keys of others stay", async () => {
    await start();
    const before = { ...INPUTS, metadata: { "team/owner": "shop", keep: "7" } };
    const { id, outs } = await create(definition, newRun(), before);
    await cloud.cinder.createSnapshotMetadata(id, { foreign: "f" });
    const after = { ...INPUTS, metadata: { keep: "8" } };
    await update(definition, newRun(), id, outs, after);
    expect(emulator.cinder.snapshots.get(id)?.metadata).toEqual({
      keep: "8",
      foreign: "f",
      "snapclone:stack": outs.__stack,
      "snapclone:owner": INPUTS.__owner,
      "snapclone:inputs": expect.any(String),
      "snapclone:attempt": expect.any(String),
      "snapclone:keys": "keep",
    });
  });

  test("read and delete: a login to another project or region proves no absence", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), INPUTS);
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

  test("update: an imported snapshot keeps the metadata of others, and is not replaced", async () => {
    await start();
    const row = emulator.cinder.createSnapshot({ name: "nightly", volume_id: VOLUME, metadata: { billing: "42" } });
    // As `pulumi import --file` writes it with inputs alone, and as a refresh completes it.
    const { metadata: _, ...inputs } = { ...INPUTS, metadata: undefined, __owner: undefined };
    const bare = { ...inputs, __owner: undefined } as Properties;
    delete bare.__owner;
    const refreshed = (await read(definition, newRun(), row.id, { ...bare, status: "available" })).props ?? {};
    const program = { ...INPUTS, metadata: { keep: "7" } };
    for (const olds of [{ status: "available" }, bare, refreshed]) {
      expect(diff(definition, olds, program)).not.toHaveProperty("replaces");
      const { outs } = await update(definition, newRun(), row.id, olds, program);
      expect(outs.metadata).toEqual({ keep: "7" });
      expect(emulator.cinder.snapshots.get(row.id)?.metadata).toMatchObject({ billing: "42", keep: "7" });
      expect(diff(definition, outs, program)).toEqual({ changes: false });
    }
    const other = { ...program, volumeId: "22222222-2222-4222-8222-222222222222" };
    await expect(update(definition, newRun(), row.id, { status: "available" }, other)).rejects.toThrow(
      /volumeId is "2222.*" in the program and "1111.*" on the backend: that can't change in place/,
    );
  });

  test("update: a new owner is written to the record, and a cloud that forbids it causes a warning", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), INPUTS);
    const renamed = { ...INPUTS, __owner: `${INPUTS.__owner}-2` };
    expect(diff(definition, outs, renamed)).toEqual({ changes: true });
    emulator.faults.add({ match: { operation: "snapshots.metadata.merge" }, times: 1, status: 403, body: "{}" });
    const first = await update(definition, newRun(), id, outs, renamed);
    expect(log.at(-1)).toMatch(/^warning: the ownership record of \S+ could not be written/);
    await update(definition, newRun(), id, { ...first.outs, __owner: INPUTS.__owner }, renamed);
    expect(emulator.cinder.snapshots.get(id)?.metadata["snapclone:owner"]).toBe(renamed.__owner);
  });
});

describe("with an engine's state", () => {
  const names = (count: number) => Array.from({ length: count }, (_, n) => `s${n}`);
  const programOf = (count: number) =>
    Object.fromEntries(names(count).map((name) => [name, { volumeId: VOLUME, name, metadata: { keep: "7" } }]));
  const engine = () => new FakeEngine(definition, { clock });

  test("create: N creates take at most 1.1 N + 20 requests, and the end of the run none", async () => {
    await start({ timings: { snapshotCreate: 2_000 } }, 20);
    const run = newRun();
    await Promise.all(
      names(60).map((name) =>
        create(definition, run, {
          ...INPUTS,
          name,
          __owner: `${INPUTS.__owner}-${name}`,
          __attempt: `1${name}`.padEnd(16, "0"),
        }),
      ),
    );
    await run.end();
    expect(emulator.requests.length).toBeLessThanOrEqual(1.1 * 60 + 20);
  });

  test("create: on a slow cloud, nothing is adopted after a complete up", async () => {
    await start({ latencyMs: 6, timings: { snapshotCreate: 100 } });
    const stack = engine();
    await stack.up(programOf(12));
    const before = rows().map(({ id }) => id);
    const { log: lines } = await stack.up(programOf(12), { replace: names(12) });
    expect(lines).toEqual([]);
    expect(
      rows()
        .map(({ id }) => id)
        .filter((id) => before.includes(id)),
    ).toEqual([]);
    expect(rows()).toHaveLength(12);
  });

  test("create: a snapshot that a failed save left is reported at once, and the next up adopts it with a message", async () => {
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

  test("create: without an answer from the state it makes a new snapshot, and reports the old one", async () => {
    await start();
    const stack = engine();
    await stack.up(programOf(1), { saveFails: true });
    const [row] = rows();
    stack.isStateReadable = false;
    const next = await stack.up(programOf(1));
    expect(rows()).toHaveLength(2);
    expect(next.log).toEqual([
      expect.stringMatching(
        new RegExp(`^warning: an interrupted run may have left the snapshot ${row?.id}.*no .pulumi. is on PATH`),
      ),
    ]);
  });

  test("create: an adopted snapshot gets the present inputs, loses the keys of its own create, and keeps those of others", async () => {
    await start();
    const stack = engine();
    await stack.up({ s0: { volumeId: VOLUME, name: "one", metadata: { a: "1", b: "2" } } }, { saveFails: true });
    const [row] = rows();
    if (row) row.metadata.billing = "42";
    await stack.up({ s0: { volumeId: VOLUME, name: "two", metadata: { b: "3", c: "4" } } });
    expect(rows()).toMatchObject([{ id: row?.id, name: "two", metadata: { b: "3", c: "4", billing: "42" } }]);
    expect(rows()[0]?.metadata).not.toHaveProperty("a");
  });

  test("create: of an early build's records, an open one of a pending create is adopted, a settled one never", async () => {
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

test("check: everything that is wrong is refused at once, with the path, and nothing is sent", async () => {
  await start();
  const long = "x".repeat(256);
  const inputs = {
    volumeId: "my-volume",
    name: long,
    descripton: "typo",
    description: "two\nlines",
    metadata: {
      "": "empty",
      [long]: "v",
      number: 7,
      on: true,
      object: {},
      long,
      "snapclone:phase": "settled",
      ümlaut: "v",
    },
    force: "yes",
    triggers: "monday",
    connection: "",
    __timeouts: { create: "10 minutes" },
  };
  expect(check(definition, {}, inputs).failures).toEqual([
    { property: "descripton", reason: "unknown property; did you mean description?" },
    { property: "volumeId", reason: expect.stringContaining("UUID") },
    { property: "name", reason: "must not be longer than 255 characters" },
    { property: "description", reason: expect.stringContaining("line breaks") },
    { property: 'metadata[""]', reason: "a key must not be empty" },
    { property: `metadata.${long}`, reason: "a key must not be longer than 255 characters" },
    { property: "metadata.number", reason: 'must be a string; write "7"' },
    { property: "metadata.on", reason: 'must be a string; write "true"' },
    { property: "metadata.object", reason: "must be a string" },
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
