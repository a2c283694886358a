// Every status of Cinder's (cinder/objects/fields.py): what a resumed create and a destroy make of an object that stays in it.
// Whatever the status, an operation ends, and its failure says what the status is and how to get out of it.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { create, remove } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import type { OpenStackContext } from "../../provider/openstack/context";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { volumeFromSnapshot } from "../../provider/openstack/volumeFromSnapshot/resource";
import { failure } from "../support/failures";
import { FakeEngine } from "../support/fakeEngine";
import { connectOpenStack } from "../support/openstackCloud";
import { ScaledClock } from "../support/scaledClock";

const SCALE = 200;
const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
/** For what is waited for in vain. */
const __timeouts = { create: "2m", delete: "2m" };

const clock = new ScaledClock(SCALE);
let emulator: Emulator;
let cloud: OpenStackContext;
const connection = { kind: "openstack", open: () => cloud };
const newRun = () => new Run({ clock, log: () => {} });

beforeEach(async () => {
  emulator = await startEmulator({ clock: "manual" });
  clock.drive(emulator);
  emulator.cinder.createSnapshot({ id: SNAPSHOT, volume_id: SEED_VOLUMES.data });
  cloud = connectOpenStack(emulator.openstack.connection(), clock);
});
afterEach(async () => {
  await cloud.session.close();
  await emulator.close();
});

const RESOURCES = {
  snapshot: { definition: { ...snapshot, connection }, program: { volumeId: SEED_VOLUMES.data, name: "one" } },
  volumeFromSnapshot: {
    definition: { ...volumeFromSnapshot, connection },
    program: { snapshotId: SNAPSHOT, name: "one" },
  },
} as const;
type Name = keyof typeof RESOURCES;

/** The objects that the resource has made. */
function made(name: Name) {
  emulator.cinder.advance();
  const { snapshots, volumes } = emulator.cinder;
  if (name !== "volumeFromSnapshot") return [...snapshots.values()].filter(({ id }) => id !== SNAPSHOT);
  return [...volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null);
}

const SNAPSHOT_STATUSES = {
  creating: { resumed: "waits", deleted: "waits" },
  available: { resumed: "made", deleted: "deleted" },
  "backing-up": { resumed: "made", deleted: "waits" },
  restoring: { resumed: "waits", deleted: "waits" },
  updating: { resumed: "waits", deleted: "waits" },
  unmanaging: { resumed: "failed", deleted: "waits" },
  error: { resumed: "failed", deleted: "deleted" },
  deleting: { resumed: "made again", deleted: "waits" },
  error_deleting: { resumed: "made again", deleted: "refused" },
} as const;

const VOLUME_STATUSES = {
  creating: { resumed: "waits", deleted: "waits" },
  available: { resumed: "made", deleted: "deleted" },
  "in-use": { resumed: "made", deleted: "refused" },
  error: { resumed: "failed", deleted: "deleted" },
  deleting: { resumed: "made again", deleted: "waits" },
  error_deleting: { resumed: "failed", deleted: "refused" },
  attaching: { resumed: "made", deleted: "waits" },
  detaching: { resumed: "made", deleted: "waits" },
  reserved: { resumed: "made", deleted: "refused" },
  maintenance: { resumed: "refused", deleted: "waits" },
  uploading: { resumed: "refused", deleted: "waits" },
  downloading: { resumed: "waits", deleted: "waits" },
  "awaiting-transfer": { resumed: "made", deleted: "refused" },
  "backing-up": { resumed: "made", deleted: "waits" },
  "error_backing-up": { resumed: "made", deleted: "refused" },
  "restoring-backup": { resumed: "made", deleted: "waits" },
  error_restoring: { resumed: "made", deleted: "deleted" },
  retyping: { resumed: "made", deleted: "waits" },
  extending: { resumed: "made", deleted: "waits" },
  error_extending: { resumed: "made", deleted: "deleted" },
  reverting: { resumed: "made", deleted: "waits" },
} as const;

type Row = readonly [Name, string, { resumed: string; deleted: string }];
const TABLE: readonly Row[] = [
  ...Object.entries(SNAPSHOT_STATUSES).map(([status, ends]): Row => ["snapshot", status, ends]),
  ...Object.entries(VOLUME_STATUSES).map(([status, ends]): Row => ["volumeFromSnapshot", status, ends]),
];

const WAY_OUT = /openstack volume( snapshot)? set --state error [0-9a-f-]{36}/;

test.each(TABLE)("%s %s: a later run that resumes the create", async (name, status, { resumed }) => {
  const { definition, program } = RESOURCES[name];
  const stack = new FakeEngine(definition as typeof RESOURCES.snapshot.definition, { clock, type: "Snapshot" });
  await stack.up({ s0: program }, { saveFails: true });
  const [row] = made(name);
  if (row) row.status = status;
  const limits = resumed === "waits" ? { __timeouts } : {};
  const { errors } = await stack.up({ s0: { ...program, ...limits } });
  const told = errors.map((error) => (error as Error).message).join("\n");
  const [entry] = stack.state.entries;
  expect(made(name)).toHaveLength(resumed === "made again" ? 2 : 1);
  if (resumed === "made" || resumed === "made again") {
    expect([told, entry?.initError, entry?.outputs.status]).toEqual([
      "",
      false,
      resumed === "made" ? status : "available",
    ]);
    return;
  }
  expect(entry).toMatchObject({ id: row?.id, initError: true });
  expect(told).toContain(status);
  if (resumed === "waits") expect(told).toMatch(WAY_OUT);
  if (resumed === "refused") expect(told).toMatch(/Run again when/);
});

test.each(TABLE)("%s %s: a destroy", async (name, status, { deleted }) => {
  const { definition, program } = RESOURCES[name];
  const run = () => definition as typeof RESOURCES.snapshot.definition;
  const news: Properties = { ...program, __owner: `urn:pulumi:dev::shop::x:y:${name}::one`, __provider: "p" };
  const { id, outs } = await create(run(), newRun(), news);
  const row = made(name)[0];
  if (row) row.status = status;
  const removing = remove(run(), newRun(), id, { ...outs, ...(deleted === "waits" ? { __timeouts } : {}) });
  if (deleted === "deleted") {
    await removing;
    expect(made(name)).toEqual([]);
    return;
  }
  const { parts } = await failure(removing);
  expect(made(name)).toMatchObject([{ status }]);
  expect(parts).toMatchObject({
    kind: deleted === "waits" ? "deadline" : expect.any(String),
    hint: expect.any(String),
  });
  if (deleted === "waits")
    expect(`${parts.message} ${parts.hint}`).toMatch(new RegExp(`${status}.*${WAY_OUT.source}`, "s"));
  // The way out leads out.
  if (row) row.status = "error";
  if (deleted !== "waits") return;
  await remove(run(), newRun(), id, outs);
  expect(made(name)).toEqual([]);
});
