// The resources on OpenStack against clouds that differ from the emulator's defaults and are as legal: other releases, other
// languages, other hands, lagging replicas, narrow policies. Each test names what the cloud does.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { SnapcloneError } from "../../provider/core/errors";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import type { OpenStackContext } from "../../provider/openstack/context";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { volumeFromSnapshot } from "../../provider/openstack/volumeFromSnapshot/resource";
import { FakeEngine } from "../support/fakeEngine";
import { connectOpenStack } from "../support/openstackCloud";
import { ScaledClock } from "../support/scaledClock";

const SCALE = 100;
const clock = new ScaledClock(SCALE);
const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const urn = (type: string, name: string) => `urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:${type}::${name}`;
const OF_VOLUME: Properties = {
  volumeId: SEED_VOLUMES.data,
  name: "nightly",
  __owner: urn("Snapshot", "nightly"),
  __provider: "p",
};
const OF_SNAPSHOT: Properties = {
  snapshotId: SNAPSHOT,
  name: "restored",
  __owner: urn("VolumeFromSnapshot", "restored"),
  __provider: "p",
};

let emulator: Emulator;
let cloud: OpenStackContext;
const log: string[] = [];
const connection = { kind: "openstack", open: () => cloud };
const ofSnapshot = { ...volumeFromSnapshot, connection };
const ofVolume = { ...snapshot, connection };
const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });

async function start(options: Parameters<typeof startEmulator>[0] = {}, more: object = {}): Promise<void> {
  emulator = await startEmulator({ clock: "manual", ...options });
  clock.drive(emulator);
  emulator.cinder.createSnapshot({ id: SNAPSHOT, volume_id: SEED_VOLUMES.data });
  cloud = connectOpenStack({ ...emulator.openstack.connection(), ...more }, clock);
  log.length = 0;
}
const startAsAdministrator = () => start({}, { username: "admin" });

afterEach(async () => {
  await cloud.session.close();
  await emulator.close();
});

/** As Cinder writes times. */
const later = () => new Date(clock.date().getTime() + 60_000).toISOString().slice(0, -1);
const restored = () => {
  emulator.cinder.advance();
  return [...emulator.cinder.volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null);
};

describe("volumes that Cinder makes like one of ours, record included", () => {
  const program = { s0: { snapshotId: SNAPSHOT, name: "one" } };
  const copyOf = (given: Partial<ReturnType<typeof restored>[number]>) => {
    const [row] = restored();
    if (row === undefined) throw new Error("no volume");
    const { id: _, metadata, ...values } = row;
    return { id: row.id, copy: emulator.cinder.createVolume({ ...values, metadata: { ...metadata }, ...given }) };
  };

  test.each([
    ["the destination of a migration, which administrators see", "target"],
    ["the volume of an image (Cinder before Stein)", "image"],
  ])("%s is neither adopted nor named", async (_, kind) => {
    await startAsAdministrator();
    const stack = new FakeEngine(ofSnapshot, { clock });
    await stack.up(program, { saveFails: true });
    const [made] = restored();
    const { id, copy } = copyOf(
      kind === "target"
        ? { migration_status: `target:${made?.id}` }
        : { source_volid: made?.id ?? null, name: "image-1", created_at: later() },
    );
    const { log: told } = await stack.up(program);
    expect(stack.idOf("s0")).toBe(id);
    expect(restored()).toHaveLength(2);
    expect(told.join("\n")).not.toContain(copy.id);
    expect(await volumeFromSnapshot.listRecorded?.(cloud, { stack: "", urns: [], inputs: [] })).toMatchObject([{ id }]);
  });

  test("a destroy after a create of unknown outcome leaves the volume of an image", async () => {
    await start();
    emulator.faults.add({ match: { operation: "volumes.create" }, times: 1, action: "drop-response" });
    emulator.faults.add({ match: { operation: "volumes.detail", nth: 2 }, times: 40, status: 500 });
    const stack = new FakeEngine(ofSnapshot, { clock });
    await stack.up(program);
    emulator.faults.clear();
    const [made] = restored();
    const { copy } = copyOf({ source_volid: made?.id ?? null, name: "image-1" });
    await stack.destroy();
    expect(restored().map(({ id }) => id)).toEqual([copy.id]);
  });
});

describe("tools that copy an object's metadata, such as Velero's plug-in for OpenStack", () => {
  const program = { s0: { volumeId: SEED_VOLUMES.data, name: "one" } };
  const copyOf = (id: string | undefined) => {
    const first = emulator.cinder.snapshots.get(id ?? "");
    if (first === undefined) throw new Error("no snapshot");
    const { id: _, metadata, ...values } = first;
    return emulator.cinder.createSnapshot({
      ...values,
      metadata: { ...metadata },
      name: "theirs",
      created_at: later(),
    });
  };
  const engine = () => new FakeEngine(ofVolume, { clock, type: "Snapshot" });
  const named = { firstCheckWithoutSeed: false };

  test("a forced replacement makes a new snapshot, and leaves the copy alone", async () => {
    await start();
    const stack = engine();
    await stack.up(program, named);
    const first = stack.idOf("s0") ?? "";
    const copy = copyOf(first);
    const { log: before } = await stack.up(program, named);
    expect(before.join("\n")).not.toContain(copy.id);
    await stack.up(program, { ...named, replace: ["s0"] });
    expect(stack.idOf("s0")).not.toBe(copy.id);
    expect(emulator.cinder.snapshots.get(copy.id)).toMatchObject({ name: "theirs" });
    expect(emulator.cinder.snapshots.has(first)).toBe(false);
  });

  test("what a request with a lost answer made is not taken to be a copy of the snapshot before", async () => {
    await start();
    const stack = engine();
    await stack.up(program, named);
    const first = stack.idOf("s0") ?? "";
    let copy: string | undefined;
    jest.spyOn(cloud.cinder, "createSnapshot").mockImplementationOnce(async () => {
      copy = copyOf(first).id;
      throw new SnapcloneError({ kind: "ambiguous", message: "no answer" });
    });
    const { errors } = await stack.up(program, { ...named, replace: ["s0"] });
    expect(String(errors[0])).toContain("no answer");
    expect(stack.idOf("s0")).not.toBe(copy);
    expect(emulator.cinder.snapshots.has(first)).toBe(true);
  });

  test("after a killed run neither is adopted, since nothing shows which is the original, and both are named", async () => {
    await start();
    const stack = engine();
    await stack.up(program, { ...named, saveFails: true });
    const [first] = [...emulator.cinder.snapshots.values()].filter(({ name }) => name === "one");
    const copy = copyOf(first?.id);
    const { log: told } = await stack.up(program, named);
    expect([first?.id, copy.id]).not.toContain(stack.idOf("s0"));
    expect(told.join("\n")).toContain(`${first?.id}`);
    expect(told.join("\n")).toContain(copy.id);
    expect(emulator.cinder.snapshots.get(copy.id)).toMatchObject({ name: "theirs" });
  });

  test("a destroy after a create of unknown outcome deletes neither, and names both", async () => {
    await start();
    const stack = engine();
    emulator.faults.add({ match: { operation: "snapshots.create" }, times: 1, action: "drop-response" });
    emulator.faults.add({ match: { operation: "snapshots.detail", nth: 3 }, times: 40, status: 500 });
    await stack.up(program, named);
    emulator.faults.clear();
    const [first] = [...emulator.cinder.snapshots.values()].filter(({ name }) => name === "one");
    const copy = copyOf(first?.id);
    const { errors } = await stack.destroy();
    expect(String(errors[0])).toMatch(
      new RegExp(`${first?.id}.*another tool has copied metadata.*Nothing was deleted`),
    );
    expect(emulator.cinder.snapshots.has(copy.id) && emulator.cinder.snapshots.has(first?.id ?? "")).toBe(true);
  });

  test("a snapshot with the metadata of a VolumeFromSnapshot is none of the stack's", async () => {
    await start();
    const { id } = await create(ofSnapshot, newRun(), OF_SNAPSHOT);
    const metadata = { ...emulator.cinder.volumes.get(id)?.metadata };
    emulator.cinder.createSnapshot({ volume_id: id, metadata });
    expect(Object.keys(metadata)).toContain("snapclone:owner");
    expect(await snapshot.listRecorded?.(cloud, { stack: "", urns: [], inputs: [] })).toEqual([]);
  });
});

describe("a Cinder whose system language is not English translates its errors", () => {
  const notFound = (message: string) => ({ status: 404, body: { itemNotFound: { code: 404, message } } });

  test("a refresh sees that a snapshot and a volume are gone", async () => {
    await start();
    const one = await create(ofVolume, newRun(), OF_VOLUME);
    const other = await create(ofSnapshot, newRun(), OF_SNAPSHOT);
    emulator.faults.add({
      match: { operation: "snapshots.show" },
      times: 9,
      ...notFound(`スナップショット ${one.id} が見つかりませんでした。`),
    });
    emulator.faults.add({
      match: { operation: "volumes.show" },
      times: 9,
      ...notFound(`ボリューム ${other.id} が見つかりませんでした。`),
    });
    expect(await read(ofVolume, newRun(), one.id, one.outs)).toEqual({});
    expect(await read(ofSnapshot, newRun(), other.id, other.outs)).toEqual({});
  });

  test("a metadata key that somebody else has removed fails no update", async () => {
    await start();
    const { id, outs } = await create(ofVolume, newRun(), { ...OF_VOLUME, metadata: { a: "1" } });
    emulator.faults.add({
      match: { operation: "snapshots.metadata.delete" },
      times: 1,
      ...notFound(`スナップショット ${id} にはキー a を持つメタデータがありません。`),
    });
    const { outs: after } = await update(ofVolume, newRun(), id, outs, OF_VOLUME);
    expect(after).toMatchObject({ status: "available" });
  });
});

describe("a lagging replica", () => {
  test("shows the status before for some answers after a DELETE, and the deletion goes on", async () => {
    await start();
    const one = await create(ofVolume, newRun(), OF_VOLUME);
    const body = { snapshot: await cloud.cinder.showSnapshot(one.id) };
    emulator.faults.add({ match: { operation: "snapshots.show" }, times: 2, status: 200, body });
    await remove(ofVolume, newRun(), one.id, one.outs);
    expect(emulator.cinder.snapshots.has(one.id)).toBe(false);

    const other = await create(ofSnapshot, newRun(), OF_SNAPSHOT);
    const volume = await cloud.cinder.showVolume(other.id);
    emulator.faults.add({ match: { operation: "volumes.show" }, times: 2, status: 200, body: { volume } });
    await remove(ofSnapshot, newRun(), other.id, other.outs);
    expect(emulator.cinder.volumes.has(other.id)).toBe(false);
  });
});

describe("other hands use a volume", () => {
  test.each(["reserved", "attaching", "backing-up", "error_backing-up", "awaiting-transfer", "retyping"])(
    "that is %s before a later run looks at it: it has been made",
    async (status) => {
      await start();
      const stack = new FakeEngine(ofSnapshot, { clock });
      const program = { s0: { snapshotId: SNAPSHOT, name: "one" } };
      await stack.up(program, { saveFails: true });
      const [row] = restored();
      if (row) row.status = status;
      await stack.up(program);
      expect(stack.state.entries).toMatchObject([{ id: row?.id, initError: false, outputs: { status } }]);
    },
  );

  test.each([
    ["reserved", "server that is shelved"],
    ["awaiting-transfer", "volume transfer request list"],
  ])("that stays %s: a deletion says what holds it, and waits no hour", async (status, hint) => {
    await start();
    const { id, outs } = await create(ofSnapshot, newRun(), OF_SNAPSHOT);
    const row = emulator.cinder.volumes.get(id);
    if (row) row.status = status;
    await expect(remove(ofSnapshot, newRun(), id, outs)).rejects.toThrow(
      new RegExp(`is in status "${status}".*nothing was deleted[^]*${hint}`),
    );
  });

  test("that is reserved for some seconds: the deletion goes on", async () => {
    await start();
    const { id, outs } = await create(ofSnapshot, newRun(), OF_SNAPSHOT);
    const row = emulator.cinder.volumes.get(id);
    if (row) row.status = "reserved";
    const removed = remove(ofSnapshot, newRun(), id, outs);
    await clock.sleep(30_000);
    if (row) row.status = "available";
    await removed;
    expect(emulator.cinder.volumes.has(id)).toBe(false);
  });
});

describe("a policy that allows to show a snapshot and not to list them", () => {
  test("many are read and deleted one by one", async () => {
    await start();
    const made = await Promise.all(
      ["a", "b", "c", "d"].map((name) =>
        create(ofVolume, newRun(), { ...OF_VOLUME, name, __owner: urn("Snapshot", name) }),
      ),
    );
    emulator.faults.add({
      match: { operation: "snapshots.detail" },
      times: 1000,
      status: 403,
      body: { forbidden: { code: 403, message: "Policy doesn't allow volume:get_all_snapshots to be performed." } },
    });
    const run = newRun();
    await Promise.all(made.map(({ id, outs }) => read(ofVolume, run, id, outs)));
    await Promise.all(made.map(({ id, outs }) => remove(ofVolume, run, id, outs)));
  });
});

describe("servers of several versions behind one address, during an upgrade", () => {
  const OLDER = {
    status: 406,
    body: {
      computeFault: {
        code: 406,
        message: "Version 3.66 is not supported by the API. Minimum is 3.0 and maximum is 3.59.",
      },
    },
  };

  test("a wait goes on", async () => {
    await start({ timings: { snapshotCreate: 20_000 } });
    emulator.faults.add({ match: { operation: "snapshots.show", nth: 2 }, times: 6, ...OLDER });
    const { outs } = await create(ofVolume, newRun(), OF_VOLUME);
    expect(outs).toMatchObject({ status: "available" });
  });

  test("a create that is refused makes nothing, and the next run creates", async () => {
    await start();
    await cloud.cinder.microversion();
    emulator.faults.add({ match: { operation: "snapshots.create" }, times: 1, ...OLDER });
    await expect(create(ofVolume, newRun(), OF_VOLUME)).rejects.toThrow(
      /Version 3\.66 is not supported.*\n.*Run again/,
    );
    await create(ofVolume, newRun(), OF_VOLUME);
    expect(emulator.cinder.snapshots.size).toBe(2);
  });
});
