// `snapclone orphans --remove` deletes nothing that an overlay is on, that the state holds, or that another resource's record
// is on: also where a set is removed, whose id is none of the backend's, and where a record is a copy of another object's.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { stackDigest } from "../../provider/core/ownership";
import type { FakeEngine } from "../support/fakeEngine";
import { engineOf, exportOf, ORIGIN, snapclone, stackConfig } from "./fixture";

let emulator: Emulator;
let cwd: string;
beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
  cwd = mkdtempSync(join(tmpdir(), "snapclone-orphans-"));
});
afterEach(async () => {
  await emulator.close();
  rmSync(cwd, { recursive: true });
});

const DIGEST = stackDigest(ORIGIN, undefined, { project: "shop", stack: "dev" });
const urn = (type: string, name = "lost") => `urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:${type}::${name}`;
const SERIES = "series-0123456789abcdef";
const seriesRecord = {
  "snapclone:series": SERIES,
  "snapclone:series-stack": DIGEST,
  "snapclone:series-owner": urn("SnapshotSeries"),
};
const snapshotRecord = { "snapclone:stack": DIGEST, "snapclone:owner": urn("Snapshot") };
const overlayRecord = {
  "snapclone:assisted-stack": DIGEST,
  "snapclone:assisted-owner": urn("AssistedSnapshot"),
  "snapclone:assisted-step": "made",
};
const make = (metadata: Record<string, string>) =>
  emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, metadata }).id;
const orphans = (engines: readonly FakeEngine[], ...argv: string[]) => {
  writeFileSync(join(cwd, "state.json"), exportOf(engines));
  writeFileSync(join(cwd, "config.json"), stackConfig(emulator.connections(), { "snapclone:origin": ORIGIN }));
  return snapclone(["orphans", "--state", "state.json", "--stack-config", "config.json", "--json", ...argv], { cwd });
};
const remove = (engines: readonly FakeEngine[], id: string) => orphans(engines, "--remove", id, "--yes");
const there = () => [...emulator.cinder.snapshots.keys()].sort();
interface Listed {
  type: string;
  id: string;
  status: string;
}
const listed = async (engines: readonly FakeEngine[]) =>
  ((await orphans(engines)).json().objects as Listed[]).map(({ type, id, status }) => [type, id, status]);

test.each([
  ["Snapshot", snapshotRecord],
  ["SnapshotSeries", seriesRecord],
])("a %s is not removed while an overlay is on it", async (type, record) => {
  const ids = [make(record), make({ ...record, ...overlayRecord }), make(record)].sort();
  const engine = engineOf("snapshot", emulator);
  const objects = await listed([engine]);
  const [[, on = ""] = []] = objects.filter(([one]) => one === "AssistedSnapshot");
  const wanted = type === "SnapshotSeries" ? SERIES : (on.split("/")[1] ?? "");
  const { code, stderr } = await remove([engine], wanted);
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining(`${wanted} is not removed: the AssistedSnapshot ${on} (in no state) is on it`),
  ]);
  expect(there()).toEqual(ids);
});

test.each([
  ["Snapshot", snapshotRecord],
  ["SnapshotSeries", seriesRecord],
])("a %s is not removed where the overlays can't be listed", async (type, record) => {
  const id = make({ ...record, ...overlayRecord });
  // Only the list of the overlays asks for those of all projects.
  emulator.faults.add({ match: { path: /all_tenants/ }, status: 400, times: Number.POSITIVE_INFINITY });
  const { code, stderr } = await remove([engineOf("snapshot", emulator)], type === "Snapshot" ? id : SERIES);
  expect([code, stderr]).toEqual([2, expect.stringContaining("what else is on it is not known: ")]);
  expect(there()).toEqual([id]);
});

test("a series is not removed while the state, or another stack's record, has one of its snapshots", async () => {
  const theirs = "urn:pulumi:prod::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::theirs";
  const engine = engineOf("snapshot", emulator);
  expect((await engine.up({ kept: { volumeId: SEED_VOLUMES.data } })).errors).toEqual([]);
  const kept = emulator.cinder.snapshots.get(engine.idOf("kept") ?? "");
  Object.assign(kept?.metadata ?? {}, seriesRecord);
  make(seriesRecord);
  const before = there();
  expect(await listed([engine])).toContainEqual(["SnapshotSeries", SERIES, "recorded"]);
  expect((await remove([engine], SERIES)).code).toBe(2);

  Object.assign(kept?.metadata ?? {}, { "snapclone:stack": "f".repeat(32), "snapclone:owner": theirs });
  engine.edit((state) => {
    state.entries = [];
  });
  const other = engineOf("snapshot", emulator);
  expect((await other.up({ other: { volumeId: SEED_VOLUMES.logs } })).errors).toEqual([]);
  const { code, stderr } = await remove([other], SERIES);
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining(`the Snapshot ${kept?.id} (another stack's) has an object of it`),
  ]);
  expect(there()).toEqual(expect.arrayContaining(before));
});

describe("clones that show the group snapshot that they were made from", () => {
  const GROUP_SNAPSHOT = "5d2f0b1e-0000-4000-8000-000000000000";
  const args = { volumes: [SEED_VOLUMES.data], displayName: "copy", connection: "powervc" };
  const cloneOf = async (engine: FakeEngine) => {
    expect((await engine.up({ copies: args })).errors).toEqual([]);
    const [set = ""] = engine.state.entries.map(({ id }) => id);
    const row = [...emulator.cinder.volumes.values()].find(({ metadata }) => metadata["snapclone:set"] === set);
    if (row === undefined) throw new Error("there is no clone");
    Object.assign(row, { snapshot_id: GROUP_SNAPSHOT, source_volid: null });
    return { set, row };
  };

  test("are the VolumeClone's alone, whether the state holds it or not", async () => {
    const engine = engineOf("volumeClone", emulator);
    const { set, row } = await cloneOf(engine);
    for (const status of ["recorded", "in no state"]) {
      expect(await listed([engine])).toEqual([["VolumeClone", set, status]]);
      const { code, stderr } = await remove([engine], row.id);
      expect([code, stderr]).toEqual([2, expect.stringContaining("is not in the list")]);
      engine.edit((state) => {
        state.entries = [];
      });
    }
    expect(emulator.cinder.volumes.has(row.id)).toBe(true);
  });

  test("are nobody's VolumeFromSnapshot before they have their tags, and without an owner", async () => {
    const engine = engineOf("volumeClone", emulator);
    const { set, row } = await cloneOf(engine);
    const restored = engineOf("volumeFromSnapshot", emulator);
    const copied = { "snapclone:stack": DIGEST, "snapclone:owner": urn("VolumeFromSnapshot") };
    const [own] = [row.metadata];
    const forms = [
      // The metadata of a source that a VolumeFromSnapshot has made; PowerVC copies it.
      { name: `clone-${set}`, metadata: copied },
      { name: `clone-${set}-2`, metadata: copied },
      // A set of a resource without an owner writes no record, and what was copied stays.
      { name: "copy", metadata: { ...copied, "snapclone:set": set, "snapclone:volume": row.id } },
      // A clone of a clone.
      { name: "copy", metadata: { ...own, "snapclone:volume": SEED_VOLUMES.data } },
      // The owner's digest, where a record has no room for the URN.
      {
        name: "copy",
        metadata: { ...copied, "snapclone:owner": `urn:pulumi:dev::shop::pulumi…${DIGEST}`, "snapclone:set": set },
      },
    ];
    for (const form of forms) {
      Object.assign(row, form);
      expect((await listed([restored])).filter(([type]) => type === "VolumeFromSnapshot")).toEqual([]);
    }
    // A volume that was made from a snapshot, as long as nothing says otherwise.
    Object.assign(row, { name: "copy", metadata: { ...copied, "snapclone:set": set, "snapclone:volume": "another" } });
    expect(await listed([engineOf("snapshot", emulator)])).toContainEqual([
      "VolumeFromSnapshot",
      row.id,
      "in no state",
    ]);
  });

  test("one that a VolumeFromSnapshot has taken over is not removed as the former set", async () => {
    const theirs = engineOf("volumeClone", emulator);
    const { set, row } = await cloneOf(theirs);
    const inputs = { snapshotId: GROUP_SNAPSHOT, name: "copy", __import: row.id };
    const ours = engineOf("volumeFromSnapshot", emulator);
    const refused = await ours.up({ mine: inputs });
    expect(refused.errors.map(String).join()).toContain("has the record of another resource of this stack");
    const config = join(cwd, "config.json");
    writeFileSync(config, stackConfig(emulator.connections()));
    const taken = await snapclone(
      ["import", "VolumeFromSnapshot", "mine", row.id, "--take", "--yes", "--stack-config", config],
      { cwd },
    );
    expect([taken.code, taken.stderr]).toEqual([0, expect.stringContaining("removed the record")]);
    expect(row.metadata).not.toHaveProperty("snapclone:set");
    expect((await ours.up({ mine: inputs })).errors).toEqual([]);
    expect(await listed([ours])).toEqual([["VolumeFromSnapshot", row.id, "recorded"]]);

    // An early build left the set's tags on the clone.
    Object.assign(row.metadata, { "snapclone:set": set, "snapclone:volume": row.id });
    expect((await listed([ours])).filter(([, , status]) => status === "in no state")).toEqual([]);
    expect((await remove([ours], set)).code).toBe(2);
    expect(emulator.cinder.volumes.has(row.id)).toBe(true);
  });
});
