// The option `import` of a Snapshot against the emulator: what is written on the snapshot, and what is not.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import type { OpenStackContext } from "../../provider/openstack/context";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { FakeEngine } from "../support/fakeEngine";
import { connectOpenStack } from "../support/openstackCloud";
import { ScaledClock } from "../support/scaledClock";

const SCALE = 50;
const clock = new ScaledClock(SCALE);
const FOREIGN = { team: "shop", "a/b": "c" };

let emulator: Emulator;
let cloud: OpenStackContext;
let engine: FakeEngine;
let id: string;

beforeEach(async () => {
  emulator = await startEmulator({ clock: "manual" });
  clock.drive(emulator);
  cloud = connectOpenStack(emulator.openstack.connection(), clock);
  engine = new FakeEngine({ ...snapshot, connection: { kind: "openstack", open: () => cloud } }, { clock });
  ({ id } = emulator.cinder.createSnapshot({
    volume_id: SEED_VOLUMES.data,
    name: "by hand",
    metadata: { ...FOREIGN },
  }));
});

afterEach(async () => {
  await cloud.session.close();
  await emulator.close();
});

const up = async (args: object) => {
  const { errors, log } = await engine.up({ nightly: { volumeId: SEED_VOLUMES.data, __import: id, ...args } });
  return { text: errors.map((error) => (error as Error).message).join("\n"), log };
};
const row = () => emulator.cinder.snapshots.get(id);
const written = () => emulator.requests.filter(({ service, method }) => service === "cinder" && method !== "GET");

test("keys of others are neither shown nor removed, whatever the program manages, then manages no more", async () => {
  for (const metadata of [{ team: "ours", keep: "7" }, { keep: "8" }, undefined]) {
    expect((await up(metadata === undefined ? {} : { metadata })).text).toBe("");
    expect(engine.state.entries[0]?.outputs.metadata ?? {}).toEqual(metadata ?? {});
  }
  // The program took `team` over, and gave it up.
  expect(Object.entries(row()?.metadata ?? {}).filter(([key]) => !key.startsWith("snapclone:"))).toEqual([
    ["a/b", "c"],
  ]);
});

test("a UUID in capitals is the same id", async () => {
  expect((await up({ __import: id.toUpperCase() })).text).toBe("");
  const before = written().length;
  for (const __import of [id, id.toUpperCase()]) expect((await up({ __import })).text).toBe("");
  expect([engine.idOf("nightly"), written().length]).toEqual([id, before]);
});

test("a cloud that forbids metadata: a warning, and the state holds the snapshot", async () => {
  emulator.faults.add({ match: { operation: "snapshots.metadata.merge" }, times: Infinity, status: 403, body: "{}" });
  const { text, log } = await up({});
  expect([text, engine.idOf("nightly")]).toEqual(["", id]);
  expect(log).toContainEqual(expect.stringMatching(/warning: the ownership record of .* could not be written/));
});

test("the answer to the record is lost: the state holds the snapshot, and the next up goes on", async () => {
  emulator.faults.add({ match: { operation: "snapshots.metadata.merge" }, times: Infinity, action: "drop-response" });
  expect((await up({ name: "mine" })).text).not.toBe("");
  expect([engine.idOf("nightly"), row()?.name]).toEqual([id, "by hand"]);
  emulator.faults.clear();
  expect((await up({ name: "mine" })).text).toBe("");
  expect(row()).toMatchObject({ name: "mine", metadata: { ...FOREIGN, "snapclone:owner": engine.urn("nightly") } });
});
