// getSnapshot and listSnapshots against the emulator: whose a snapshot is, and what a misspelt connection says.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { type Lookups, lookups } from "../../provider/lookups";

const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::nightly";
const OVERLAY = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:AssistedSnapshot::disk";

let emulator: Emulator;
let ask: Lookups;

beforeAll(async () => {
  emulator = await startEmulator({ clock: "manual" });
  const { default: connection, admin } = emulator.connections();
  ask = lookups(JSON.stringify({ default: connection, backup: connection, admin }));
});
afterAll(() => emulator.close());
afterEach(() => emulator.cinder.snapshots.clear());

const make = (metadata: Record<string, string>) =>
  emulator.cinder.createSnapshot({ name: "nightly", volume_id: SEED_VOLUMES.data, metadata });

test("listSnapshots: the ownership record is under managedBy, and metadata has the keys of others only", async () => {
  const { id } = make({
    team: "shop",
    "snapclone:stack": "d1",
    "snapclone:owner": OWNER,
    "snapclone:inputs": "f1",
    "snapclone:attempt": "a1",
    "snapclone:keys": "team",
  });
  await emulator.clock.tick(90_000);
  const { snapshots } = await ask.listSnapshots({ volumeId: SEED_VOLUMES.data });
  const managedBy = { owner: OWNER, stack: "d1", inputs: "f1", attempt: "a1", ageSeconds: expect.any(Number) };
  expect(snapshots).toEqual([expect.objectContaining({ id, metadata: { team: "shop" }, managedBy })]);
  const age = snapshots[0]?.managedBy?.ageSeconds ?? 0;
  expect(age).toBeGreaterThanOrEqual(85);
  expect(age).toBeLessThan(150);
  expect(snapshots[0]).not.toHaveProperty("overlay");
});

test("getSnapshot: a snapshot that nobody manages has no managedBy", async () => {
  const { id } = make({ team: "shop" });
  const found = await ask.getSnapshot({ id });
  expect(found).toMatchObject({ id, metadata: { team: "shop" } });
  expect(found).not.toHaveProperty("managedBy");
});

test("getSnapshot: an owner of an early build shows its phase", async () => {
  const { id } = make({ "snapclone:owner": OWNER, "snapclone:phase": "open" });
  expect((await ask.getSnapshot({ id })).managedBy).toMatchObject({ owner: OWNER, phase: "open" });
});

test("getSnapshot: an overlay is shown apart from the snapshot's own resource", async () => {
  const { id } = make({
    "snapclone:assisted-owner": OVERLAY,
    "snapclone:assisted-stack": "d2",
    "snapclone:assisted-file": "upgrade.qcow2",
    "snapclone:assisted-step": "made",
  });
  const found = await ask.getSnapshot({ id });
  expect(found.overlay).toEqual({ owner: OVERLAY, stack: "d2", file: "upgrade.qcow2", phase: "made" });
  expect(found).not.toHaveProperty("managedBy");
  expect(found.metadata).toEqual({});
});

test("listSnapshots: allTenants shows the snapshots of all projects to an administrator only", async () => {
  const { id } = make({});
  const idsOf = async (args: Parameters<Lookups["listSnapshots"]>[0]) =>
    (await ask.listSnapshots(args)).snapshots.map((snapshot) => snapshot.id);
  expect(await idsOf({ connection: "admin" })).toEqual([]);
  expect(await idsOf({ connection: "admin", allTenants: true })).toEqual([id]);
  Object.assign(make({}), { project_id: "another project" });
  expect(await idsOf({ allTenants: true })).toEqual([id]);
});

test("a misspelt connection: did you mean", async () => {
  await expect(ask.listSnapshots({ connection: "bakcup" })).rejects.toThrow(
    /there is no OpenStack connection "bakcup"; did you mean "backup"\?/,
  );
});
