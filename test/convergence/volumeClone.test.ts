import { type Emulator, SEED_VOLUMES, type VolumeRow } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { volumeClone } from "../../provider/powervc/volumeClone/resource";
import { openPowerVc } from "../faults/openstackSites";
import { type Change, type Program, testConvergence } from "./convergence";

const TEMP = "33333333-3333-4333-8333-333333333333";
const SOURCES = [SEED_VOLUMES.data, SEED_VOLUMES.logs, TEMP];
/** Two volumes have the same size, so that sizes cannot identify them. */
const SIZES: Record<string, number> = { [SEED_VOLUMES.data]: 10, [SEED_VOLUMES.logs]: 20, [TEMP]: 10 };

const A: Properties = { volumes: SOURCES, displayName: "a", description: "one" };
const CREATE: Change = { name: "create", after: { set: A } };

const CHANGES: Change[] = [
  CREATE,
  { name: "create of one, without a display name", after: { set: { volumes: [TEMP] } } },
  { name: "display name", before: { set: A }, after: { set: { ...A, displayName: "b" } } },
  { name: "no display name any more", before: { set: A }, after: { set: { ...A, displayName: undefined } } },
  { name: "description", before: { set: A }, after: { set: { ...A, description: undefined } } },
  {
    name: "order and display name",
    before: { set: A },
    after: { set: { ...A, volumes: [...SOURCES].reverse(), displayName: "b" } },
  },
  { name: "order", before: { set: A }, after: { set: { ...A, volumes: [TEMP, SOURCES[0], SOURCES[1]] } } },
  { name: "replacement by a trigger", before: { set: A }, after: { set: { ...A, triggers: [1] } } },
  { name: "forced replacement", before: { set: A }, after: { set: A }, options: { replace: ["set"] } },
  { name: "delete of three", before: { set: A }, after: {} },
  { name: "delete of one", before: { set: { volumes: [TEMP] } }, after: {} },
];

/** Long enough for every run that succeeds. The default of an hour would take many polls. */
const TIMEOUTS = { create: "5m", update: "5m", delete: "5m" };
const timed = (program: Program): Program =>
  Object.fromEntries(Object.entries(program).map(([name, args]) => [name, { ...args, __timeouts: TIMEOUTS }]));
const inTime = ({ before, after, ...change }: Change): Change => ({
  ...change,
  ...(before ? { before: timed(before) } : {}),
  after: timed(after),
});

const clones = ({ cinder }: Emulator) => [...cinder.volumes.values()].filter(({ id }) => !SOURCES.includes(id));

function visibleMetadata({ id, metadata }: VolumeRow): [string, string][] {
  return (
    Object.entries(metadata)
      // PowerVC copies the pending record with the source's metadata. On a clone it means nothing.
      .filter(([key]) => SOURCES.includes(id) || !/^snapclone:snapclone-.*:pending$/.test(key))
      // If the reply was lost, the task is unknown.
      .filter(([key]) => key !== "snapclone:task")
      .map(([key, value]): [string, string] => [key, /:(set|volume|attempt)$/.test(key) ? "…" : value])
      .sort()
  );
}

testConvergence({
  title: "VolumeClone",
  definition: volumeClone,
  user: "demo",
  changes: CHANGES.map(inTime),
  killedTwice: inTime(CREATE),
  open: openPowerVc,
  pauseMs: 1_000,
  prepare({ cinder }) {
    cinder.createVolume({ id: TEMP, name: "temp", size: 10, metadata: { team: "shop" } });
    for (const id of SOURCES) Object.assign(cinder.volumes.get(id) ?? {}, { size: SIZES[id], name: `s${id[0]}` });
  },
  inspect: ({ cinder }) =>
    [...cinder.volumes.values()]
      .map((row) => ({
        from: row.source_volid,
        name: row.name,
        description: row.description,
        status: row.status,
        group: row.group_id,
        metadata: visibleMetadata(row),
      }))
      .map((row) => JSON.stringify(row))
      .sort(),
  outputs: ["volumes", "displayName", "description", "missing"],
  remains: (emulator) => [
    clones(emulator),
    [...emulator.cinder.volumes.values()].flatMap(({ metadata }) => Object.keys(metadata)),
  ],
  /** The state and the backend agree on which clone is whose. */
  expectAgreement(emulator, entries) {
    const held = entries.flatMap(({ outputs }) => Object.entries(outputs.clones as Record<string, string>));
    expect(held.sort()).toEqual(
      clones(emulator)
        .map(({ id, source_volid }) => [source_volid, id])
        .sort(),
    );
  },
  advance: ({ powervc }) => powervc.advance(),
});
