// An object that the state holds inside a set can't be imported a second time, also where its ownership record is gone: another
// hand has removed the record, or a policy has never let it be written. And `parseState` keeps the ids of all that sets hold.

import { objectsOf } from "../../cli/heldObjects";
import { type Emulator, SEED_SESSIONS, SEED_VOLUMES, startEmulator, ZSTACK_SEED } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { SIGNATURE_KEY } from "../../provider/core/util/assets";
import { SECRET_SIGNATURE } from "../../provider/pulumi/secrets";
import { parseState } from "../../provider/pulumi/state";
import { type ResourceName, resourceNames, resources, typeOf } from "../../provider/resources";
import { engineOf, exportOf } from "../cli/fixture";
import type { FakeEngine } from "../support/fakeEngine";

let emulator: Emulator;
beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
});
afterEach(() => emulator.close());

interface Case {
  holder: ResourceName;
  args: Properties;
  /** How another resource would import what the set has. */
  importer: ResourceName;
  other(outputs: Properties, ids: readonly string[]): Properties;
}

const volumes = [SEED_VOLUMES.data];
const clones: Properties = { volumes, displayName: "c", connection: "powervc" };
const targets: Properties = {
  snapshotSessionId: SEED_SESSIONS.monday,
  targetName: "dev",
  count: 2,
  connection: "vipr",
};
const vms: Properties = { vmInstanceUuid: ZSTACK_SEED.web, names: ["a"], connection: "zstack" };
const cases: Case[] = [
  {
    holder: "snapshotSeries",
    args: { volumeId: SEED_VOLUMES.data, keep: 3 },
    importer: "snapshot",
    other: (_, [id]) => ({ volumeId: SEED_VOLUMES.data, __import: id }),
  },
  {
    holder: "snapshotSeries",
    args: { volumeId: SEED_VOLUMES.data, keep: 3 },
    importer: "snapshotSeries",
    other: (_, ids) => ({ volumeId: SEED_VOLUMES.data, keep: 3, __import: ids.join() }),
  },
  {
    holder: "volumeClone",
    args: clones,
    importer: "volumeClone",
    other: (_, ids) => ({ ...clones, __import: ids.join() }),
  },
  {
    holder: "volumeClone",
    args: clones,
    importer: "volumeFromSnapshot",
    other: (_, [id]) => ({ snapshotId: emulator.cinder.volumes.get(id ?? "")?.snapshot_id, __import: id }),
  },
  {
    holder: "linkedTargetSet",
    args: targets,
    importer: "linkedTargetSet",
    other: (_, ids) => ({ ...targets, targetName: "test", __import: [SEED_SESSIONS.monday, ...ids].join() }),
  },
  {
    holder: "clonedVm",
    args: vms,
    importer: "clonedVm",
    other: (_, ids) => ({ ...vms, __import: ids.join() }),
  },
];

/** Whatever this package writes on objects. */
function removeRecords(): void {
  const { cinder, vipr, zstack } = emulator;
  for (const { metadata } of [...cinder.snapshots.values(), ...cinder.volumes.values()])
    for (const key of Object.keys(metadata)) if (key.startsWith("snapclone:")) delete metadata[key];
  // As targets that were imported, and whose tags were taken away: no name of theirs tells a set.
  for (const [at, target] of [...vipr.targets.values()].entries()) {
    target.label = `night-${at + 1}`;
    target.tags.clear();
  }
  for (const [uuid, { tag }] of zstack.tags) if (tag.startsWith("snapclone::")) zstack.tags.delete(uuid);
}

/** One stack with resources of two types. */
function share(engine: FakeEngine, other: FakeEngine): void {
  const ask = engine.ask.bind(engine);
  engine.ask = () => parseState(exportOf([other, engine])) ?? ask();
}

test.each(cases)(
  "a $importer takes nothing out of a $holder of the state",
  async ({ holder, args, importer, other }) => {
    const held = engineOf(holder, emulator);
    expect((await held.up({ held: args })).errors).toEqual([]);
    const [entry] = held.state.entries;
    if (entry === undefined) throw new Error("the state is empty");
    const ids = [...(parseState(exportOf([held])).entries[0]?.members ?? [])];
    // Some backends show the group snapshot that a clone was made from.
    for (const id of ids) Object.assign(emulator.cinder.volumes.get(id) ?? {}, { snapshot_id: GROUP_SNAPSHOT });
    removeRecords();
    const engine = engineOf(importer, emulator);
    share(engine, held);
    const { errors } = await engine.up({ second: other(entry.outputs, ids) });
    expect(errors.map(String).join()).toContain(`the state of this stack holds it already, as ${entry.urn}`);
    expect(engine.state.entries).toEqual([]);
  },
);

const GROUP_SNAPSHOT = "5d2f0b1e-0000-4000-8000-000000000000";

test.each([...new Set(cases.map(({ holder }) => holder))])(
  "%s: the state's ids are those of its objects",
  async (name) => {
    const engine = engineOf(name, emulator);
    const args = cases.find(({ holder }) => holder === name)?.args ?? {};
    expect((await engine.up({ held: args })).errors).toEqual([]);
    const [entry] = engine.state.entries;
    if (entry === undefined) throw new Error("the state is empty");
    const objects = objectsOf({ ...entry, resource: name }).map(({ id }) => id);
    expect(objects.length).toBeGreaterThan(0);
    expect([...(parseState(exportOf([engine])).entries[0]?.members ?? [])].sort()).toEqual(objects.sort());
  },
);

test("what can be imported is a set with its members, or one object with the entry's own id", () => {
  const importable = resourceNames.filter((name) => !("refusal" in (resources[name]().import ?? { refusal: "" })));
  const sets = importable.filter((name) => resources[name]().members !== undefined);
  expect(sets.sort()).toEqual([...new Set(cases.map(({ holder }) => holder))].sort());
  expect(importable.filter((name) => !sets.includes(name)).sort()).toEqual(["snapshot", "volumeFromSnapshot"]);
});

test("a state with encrypted outputs, or of another form, can be read, and shows no such ids", () => {
  const secret = { [SIGNATURE_KEY]: SECRET_SIGNATURE, ciphertext: "planted" };
  const keys = ["snapshots", "clonedVolumes", "clones", "targets", "batches", "vms", "leftovers", "doubles", "latest"];
  for (const type of resourceNames.map(typeOf)) {
    for (const value of [secret, 7, [], [{}], [secret], null]) {
      const outputs = Object.fromEntries(keys.map((key) => [key, value]));
      const resource = { type: `snapclone:index:${type}`, urn: "urn:pulumi:dev::shop::t::n", id: "1", outputs };
      const { entries } = parseState(JSON.stringify({ version: 3, deployment: { resources: [resource] } }));
      expect(entries.map(({ members }) => members)).toEqual([undefined]);
    }
  }
});
