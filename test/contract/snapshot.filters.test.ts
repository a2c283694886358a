// A cloud that forbids the metadata filter (/etc/cinder/resource_filters.json), or ignores it: the provider lists once
// without the filter, and finds the same snapshots.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { lookups } from "../../provider/lookups";
import { assistedSnapshot } from "../../provider/openstack/assistedSnapshot/resource";
import type { OpenStackContext } from "../../provider/openstack/context";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { FakeEngine } from "../support/fakeEngine";
import { connectOpenStack } from "../support/openstackCloud";
import { ScaledClock } from "../support/scaledClock";

const SCALE = 50;
const clock = new ScaledClock(SCALE);
const NO_METADATA = ["name", "status", "volume_id", "availability_zone", "consumes_quota"];
const PROGRAM = Object.fromEntries(
  ["a", "b", "c", "d"].map((name) => [name, { volumeId: SEED_VOLUMES.data, name, metadata: { tier: "gold" } }]),
);

let emulator: Emulator;
let cloud: OpenStackContext;

async function start(options: Parameters<typeof startEmulator>[0]): Promise<void> {
  emulator = await startEmulator({ clock: "manual", timings: { snapshotCreate: 2_000 }, ...options });
  clock.drive(emulator);
  cloud = connectOpenStack(emulator.openstack.connection(), clock);
}

afterEach(async () => {
  await cloud.session.close();
  await emulator.close();
});

const engineOf = (definition: typeof snapshot) =>
  new FakeEngine({ ...definition, connection: { kind: "openstack", open: () => cloud } }, { clock });
const lists = () => emulator.requests.filter(({ operation }) => operation === "snapshots.detail");
const refused = () => lists().filter(({ status }) => status >= 400).length;
const creates = () => emulator.requests.count({ operation: "snapshots.create" });

/** A run adopts the snapshot of a killed run, and makes four more. */
async function adoptsOne(): Promise<void> {
  const engine = engineOf(snapshot);
  expect((await engine.up({ z: { volumeId: SEED_VOLUMES.data } })).errors).toEqual([]);
  engine.edit((state) => {
    state.pending = state.entries.map(({ urn, inputs }) => ({ urn, inputs }));
    state.entries = [];
  });
  const { errors, log } = await engine.up({ z: { volumeId: SEED_VOLUMES.data }, ...PROGRAM });
  expect(errors).toEqual([]);
  expect(log).toContainEqual(expect.stringMatching(/^info: adopted the snapshot/));
  expect(creates()).toBe(5);
  expect((await engine.destroy()).errors).toEqual([]);
  emulator.cinder.advance();
  expect([...emulator.cinder.snapshots.values()]).toEqual([]);
}

test("list: Cinder refuses the filter by name, so that it is sent once and then left out", async () => {
  await start({ snapshotFilters: NO_METADATA });
  await adoptsOne();
  // The first list sends two filters at once. No later list sends one.
  expect(refused()).toBeGreaterThan(0);
  expect(refused()).toBeLessThanOrEqual(2);
});

test("list: a policy refuses the filter with 403, so that it is left out", async () => {
  await start({});
  emulator.faults.add({
    match: { method: "GET", path: /\/snapshots\/detail\?.*metadata=/ },
    status: 403,
    times: Number.POSITIVE_INFINITY,
  });
  await adoptsOne();
  expect(refused()).toBeLessThanOrEqual(2);
});

test("list: a policy that refuses the list itself is reported", async () => {
  await start({});
  emulator.faults.add({
    match: { method: "GET", path: /\/snapshots\/detail/ },
    status: 403,
    times: Number.POSITIVE_INFINITY,
  });
  const { errors } = await engineOf(snapshot).up(PROGRAM);
  expect(errors).toHaveLength(4);
  expect(String(errors[0])).toMatch(/answered 403/);
  expect(creates()).toBe(0);
});

test("list: a 400 for another reason is reported", async () => {
  await start({});
  const body = { badRequest: { code: 400, message: "limit param must be an integer" } };
  emulator.faults.add({ match: { operation: "snapshots.detail" }, status: 400, body });
  const { errors } = await engineOf(snapshot).up({ a: PROGRAM.a ?? {} });
  expect(String(errors[0])).toMatch(/limit param/);
});

test("list: below 3.22 Cinder ignores the filter, so that it is not sent, and one list is enough", async () => {
  await start({ maxMicroversion: "3.21" });
  const engine = engineOf(snapshot);
  expect((await engine.up({ a: PROGRAM.a ?? {} })).errors).toEqual([]);
  expect(lists().filter(({ path }) => path.includes("metadata"))).toEqual([]);
  expect(lists()).toHaveLength(1);
});

test("list: AssistedSnapshot finds its record without the filter too", async () => {
  await start({ snapshotFilters: NO_METADATA });
  await cloud.session.close();
  // As a member: Cinder never refuses the filters of an administrator.
  cloud = connectOpenStack(emulator.openstack.connection(), clock);
  const volumeId = SEED_VOLUMES.logs;
  const { id: snapshotId } = emulator.cinder.createSnapshot({ volume_id: volumeId });
  const metadata = {
    "snapclone:assisted-stack": "f".repeat(32),
    "snapclone:assisted-owner": "urn",
    "snapclone:assisted-step": "made",
  };
  Object.assign(emulator.cinder.snapshots.get(snapshotId) ?? {}, { metadata });
  emulator.cinder.createSnapshot({ volume_id: volumeId, metadata: { ...metadata, "snapclone:assisted-stack": "x" } });
  const found = await assistedSnapshot.listOwned(cloud, { stack: "f".repeat(32), place: "" });
  expect(found).toMatchObject([{ id: `${volumeId}/${snapshotId}`, owner: "urn" }]);
});

test("lookups find a snapshot by its metadata where the cloud refuses the filter", async () => {
  await start({ snapshotFilters: NO_METADATA });
  emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "gold", metadata: { tier: "gold" } });
  emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "silver", metadata: { tier: "silver" } });
  const config = JSON.stringify({ default: { kind: "openstack", ...Object(emulator.openstack.connection()) } });
  const { getSnapshot, listSnapshots } = lookups(config);
  expect(await getSnapshot({ metadata: { tier: "gold" } })).toMatchObject({ name: "gold" });
  expect((await listSnapshots({ metadata: { tier: "silver" } })).snapshots).toMatchObject([{ name: "silver" }]);
});

test("a policy that refuses metadata updates is told once, with its rule and the keys, and renames go on", async () => {
  await start({});
  const engine = engineOf(snapshot);
  expect((await engine.up(PROGRAM)).errors).toEqual([]);
  const rule = "volume:update_snapshot_metadata";
  emulator.faults.add({
    match: { path: /\/snapshots\/[^/]+\/metadata/, method: "POST" },
    status: 403,
    body: { forbidden: { code: 403, message: `Policy doesn't allow ${rule} to be performed.` } },
    times: Number.POSITIVE_INFINITY,
  });
  const names = Object.keys(PROGRAM);
  const renamed = Object.fromEntries(names.map((name) => [`new-${name}`, PROGRAM[name] ?? {}]));
  const aliases = Object.fromEntries(names.map((name) => [`new-${name}`, name]));
  const { errors, log } = await engine.up(renamed, {}, aliases);
  expect(errors).toEqual([]);
  const warnings = log.filter((line) => line.includes("could not be written"));
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain(rule);
  expect(warnings[0]).toContain("snapclone:owner");
  expect(creates()).toBe(4);
  expect((await engine.destroy()).errors).toEqual([]);
});
