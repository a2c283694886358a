// A cloud that forbids the metadata filter (/etc/cinder/resource_filters.json), or ignores it: what the filter would have
// found is found all the same, by one list that is filtered here.

import { setTimeout as delay } from "node:timers/promises";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import type { Clock } from "../../provider/core/util/clock";
import { assistedSnapshot } from "../../provider/openstack/assistedSnapshot/resource";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { OpenStackContext } from "../../provider/openstack/context";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { FakeEngine } from "../support/fakeEngine";

const SCALE = 50;
const clock: Clock = {
  now: () => performance.now() * SCALE,
  date: () => new Date(),
  sleep: async (ms, signal) => void (await delay(ms / SCALE, undefined, signal ? { signal } : undefined)),
};
const NO_METADATA = ["name", "status", "volume_id", "availability_zone", "consumes_quota"];
const PROGRAM = Object.fromEntries(
  ["a", "b", "c", "d"].map((name) => [name, { volumeId: SEED_VOLUMES.data, name, metadata: { tier: "gold" } }]),
);

let emulator: Emulator;
let cloud: OpenStackContext;

async function start(options: Parameters<typeof startEmulator>[0]): Promise<void> {
  emulator = await startEmulator({ clock: { scale: SCALE }, timings: { snapshotCreate: 2_000 }, ...options });
  cloud = connect(emulator.connection());
}

function connect(config: unknown): OpenStackContext {
  const settings = resolveOpenStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
  return new OpenStackContext(new KeystoneSession(settings, { clock }), clock);
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

/** The snapshot of a run that was killed is adopted by the next, which makes four more. */
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
  emulator.cinder.settle();
  expect([...emulator.cinder.snapshots.values()]).toEqual([]);
}

test("Cinder refuses the filter by name: asked once, then listed without it", async () => {
  await start({ snapshotFilters: NO_METADATA });
  await adoptsOne();
  // Both of the first list's filters were under way at once; no later one is sent.
  expect(refused()).toBeGreaterThan(0);
  expect(refused()).toBeLessThanOrEqual(2);
});

test("a policy refuses it with 403: the same", async () => {
  await start({});
  emulator.faults.add({
    match: { method: "GET", path: /\/snapshots\/detail\?.*metadata=/ },
    status: 403,
    times: Number.POSITIVE_INFINITY,
  });
  await adoptsOne();
  expect(refused()).toBeLessThanOrEqual(2);
});

test("a policy that refuses the list itself is said as it is", async () => {
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

test("a 400 that is about something else stands", async () => {
  await start({});
  const body = { badRequest: { code: 400, message: "limit param must be an integer" } };
  emulator.faults.add({ match: { operation: "snapshots.detail" }, status: 400, body });
  const { errors } = await engineOf(snapshot).up({ a: PROGRAM.a ?? {} });
  expect(String(errors[0])).toMatch(/limit param/);
});

test("below 3.22 the filter is ignored in silence: it is not sent, and one list does", async () => {
  await start({ maxMicroversion: "3.21" });
  const engine = engineOf(snapshot);
  expect((await engine.up({ a: PROGRAM.a ?? {} })).errors).toEqual([]);
  expect(lists().filter(({ path }) => path.includes("metadata"))).toEqual([]);
  expect(lists()).toHaveLength(1);
});

test("AssistedSnapshot finds its record, too", async () => {
  await start({ snapshotFilters: NO_METADATA });
  await cloud.session.close();
  // A member may ask this Nova: an administrator's filters are never refused.
  cloud = connect(emulator.connection());
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
