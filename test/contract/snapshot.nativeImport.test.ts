// Pulumi's own import of a Snapshot against the emulator: a read, which writes the ownership record only if the state proves
// that no preview asks. test/engine/import.file.test.ts has the engine itself.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { readImport } from "../../provider/core/import";
import { RunningOperation } from "../../provider/core/operation";
import { ownershipRecord, type StackState, stackDigest } from "../../provider/core/ownership";
import { Run } from "../../provider/core/run";
import { snapshot } from "../../provider/openstack/snapshot/resource";

const URN = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::nightly";
const STARTED = new Date("2026-11-28T12:00:00Z");
const BEFORE = new Date("2026-11-28T11:59:59Z");
const DIGEST = stackDigest("", undefined, { project: "shop", stack: "dev" });
const RECORD = { "snapclone:owner": URN, "snapclone:stack": DIGEST };

let emulator: Emulator;
beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
});
afterEach(() => emulator.close());

const make = (metadata: Record<string, string> = {}) =>
  emulator.cinder.createSnapshot({
    volume_id: SEED_VOLUMES.data,
    name: "by hand",
    metadata: { team: "shop", ...metadata },
  }).id;
const metadataOf = (id: string) => emulator.cinder.snapshots.get(id)?.metadata;
const importing = (id: string, given: Partial<StackState> = {}): StackState => ({
  entries: [],
  pendingCreates: [],
  pendingImports: [{ urn: URN, importId: id }],
  savedAt: STARTED,
  ...given,
});

async function read(id: string, state: StackState, request = id) {
  let asked = 0;
  const askState = async () => {
    asked += 1;
    return state;
  };
  const run = new Run({ log: () => {}, askState, startedAt: STARTED });
  run.configure({ connections: JSON.stringify(emulator.connections()) });
  run.registerUrn(URN);
  try {
    const client = run.connections.open(snapshot.connection, undefined);
    const context = new RunningOperation(snapshot, run, "create", { __owner: URN }, undefined);
    const record = ownershipRecord(snapshot, context.stack, URN, undefined, {});
    const tracker = run.tracker(snapshot, client);
    const creation = { definition: snapshot, run, client, tracker, urn: URN, record, inputs: {}, context };
    return { ...(await readImport(creation, id, request)), asked };
  } finally {
    await run.connections.close();
  }
}

test("a run that imports writes the record, and nothing else", async () => {
  const id = make();
  const { props, asked } = await read(id, importing(id));
  expect(props).toMatchObject({ __owner: URN, __stack: DIGEST, __imported: id, name: "by hand" });
  expect(metadataOf(id)).toMatchObject({ team: "shop", ...RECORD, "snapclone:attempt": "recorded" });
  expect(asked).toBe(1);
});

test("a connection's name is part of what the engine asks for", async () => {
  const id = make();
  await read(id, importing(`other/${id}`), `other/${id}`);
  expect(metadataOf(id)).toMatchObject(RECORD);
});

test.each<[string, (id: string) => Partial<StackState>]>([
  ["no import under way, as in a preview", () => ({ pendingImports: undefined })],
  ["an import that was killed before this run", () => ({ savedAt: BEFORE })],
  ["a state without its time", () => ({ savedAt: undefined })],
  ["an import of another resource", (id) => ({ pendingImports: [{ urn: `${URN}-2`, importId: id }] })],
  ["an import of another object", () => ({ pendingImports: [{ urn: URN, importId: make() }] })],
])("%s: nothing is written, and the next up has the record to write", async (_name, given) => {
  const id = make();
  const { props } = await read(id, importing(id, given(id)));
  expect(props).toMatchObject({ __stack: "none" });
  expect(metadataOf(id)).toEqual({ team: "shop" });
});

test("a policy that forbids the record: imported all the same", async () => {
  const id = make();
  const message = "Policy doesn't allow volume:update_snapshot_metadata to be performed.";
  const body = { forbidden: { code: 403, message } };
  emulator.faults.add({ match: { operation: "snapshots.metadata.merge" }, status: 403, times: Infinity, body });
  expect((await read(id, importing(id))).props).toMatchObject({ __stack: "none" });
});

test.each<[string, Record<string, string>, Partial<StackState>, RegExp | undefined]>([
  ["its own record, which no state holds", RECORD, {}, undefined],
  ["the record of another resource", { ...RECORD, "snapclone:owner": `${URN}-2` }, {}, /record of another resource/],
  ["the record of another stack", { ...RECORD, "snapclone:stack": "f00d" }, {}, /of another stack/],
])("%s", async (_name, record, given, message) => {
  const id = make(record);
  const before = { ...metadataOf(id) };
  const reading = read(id, importing(id, given));
  if (message === undefined) expect((await reading).id).toBe(id);
  else {
    await expect(reading).rejects.toThrow(message);
    expect(metadataOf(id)).toEqual(before);
  }
});

test("its own record, and the state holds the object: refused", async () => {
  const id = make(RECORD);
  const entries = [{ urn: URN, id, leaving: false, external: false }];
  await expect(read(id, importing(id, { entries }))).rejects.toThrow("the state holds it already");
});
