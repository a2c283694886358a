// The option `import` of a VolumeFromSnapshot against the emulator: a volume that something else has made from a snapshot.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import type { OpenStackContext } from "../../provider/openstack/context";
import { volumeFromSnapshot } from "../../provider/openstack/volumeFromSnapshot/resource";
import { FakeEngine } from "../support/fakeEngine";
import { connectOpenStack } from "../support/openstackCloud";
import { ScaledClock } from "../support/scaledClock";

const SCALE = 50;
const clock = new ScaledClock(SCALE);
const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";

let emulator: Emulator;
let cloud: OpenStackContext;
let engine: FakeEngine;
let id: string;

beforeEach(async () => {
  emulator = await startEmulator({ clock: "manual" });
  clock.drive(emulator);
  cloud = connectOpenStack(emulator.openstack.connection(), clock);
  engine = new FakeEngine({ ...volumeFromSnapshot, connection: { kind: "openstack", open: () => cloud } }, { clock });
  emulator.cinder.createSnapshot({ id: SNAPSHOT, volume_id: SEED_VOLUMES.data });
  ({ id } = volume());
});

afterEach(async () => {
  await cloud.session.close();
  await emulator.close();
});

const volume = (given: object = {}) =>
  emulator.cinder.createVolume({
    name: "by hand",
    size: 12,
    snapshot_id: SNAPSHOT,
    metadata: { team: "shop" },
    ...given,
  });
const up = async (args: object = {}) => {
  const { errors, log } = await engine.up({ restored: { snapshotId: SNAPSHOT, __import: id, ...args } });
  return { text: errors.map((error) => (error as Error).message).join("\n"), log };
};
const row = () => emulator.cinder.volumes.get(id);
const written = () => emulator.requests.filter(({ service, method }) => service === "cinder" && method !== "GET");

test("takes the volume over, changes nothing afterwards, changes and grows it in place, and deletes it", async () => {
  expect(await up({ metadata: { keep: "7" } })).toMatchObject({ text: "" });
  expect([engine.idOf("restored"), row()?.name]).toEqual([id, "by hand"]);
  expect(row()?.metadata).toMatchObject({ team: "shop", keep: "7", "snapclone:owner": engine.urn("restored") });
  const before = written().length;
  for (const args of [{}, { __import: undefined }]) {
    expect(await up({ metadata: { keep: "7" }, ...args })).toMatchObject({ text: "" });
    await engine.refresh();
  }
  expect(written().length).toBe(before);
  expect(await up({ name: "mine", sizeGiB: 15 })).toMatchObject({ text: "" });
  expect(row()).toMatchObject({ name: "mine", size: 15, metadata: { team: "shop" } });
  expect(row()?.metadata).not.toHaveProperty("keep");
  expect((await engine.destroy()).errors).toEqual([]);
  expect([row(), emulator.requests.count({ operation: "volumes.create" })]).toEqual([undefined, 0]);
});

test("refused, and nothing is written", async () => {
  const cases: [args: object, text: RegExp][] = [
    [{ __import: SNAPSHOT }, /is a snapshot, not a volume/],
    [{ __import: SEED_VOLUMES.data }, /was not made from a snapshot: Cinder shows no snapshot/],
    [{ __import: volume({ snapshot_id: null, source_volid: SEED_VOLUMES.data }).id }, /is a clone of the volume/],
    [{ __import: "99999999-9999-4999-8999-999999999999" }, /there is no volume from a snapshot 9999/],
    [{ __import: volume({ status: "creating" }).id }, /in status "creating"/],
    [{ __import: volume({ status: "error" }).id }, /in status "error"/],
    [{ snapshotId: SEED_VOLUMES.logs }, /snapshotId is .* in the program and .* on the backend/],
    [{ volumeType: "other" }, /volumeType is "other" in the program and/],
    [{ sizeGiB: 11 }, /has 12 GiB and the program asks for 11/],
  ];
  for (const [args, text] of cases) expect((await up(args)).text).toMatch(text);
  expect([written(), engine.state.entries]).toEqual([[], []]);
});

test("a volume of another stack is refused with whose it is", async () => {
  await up();
  engine.state.entries = [];
  expect((await up()).text).toMatch(/has the record of this same resource/);
  engine.stack = "prod";
  expect((await up()).text).toMatch(/volume .* belongs to urn:pulumi:dev::\S+::restored of another stack \(digest/);
});
