// How a series is found again (docs/ownership.md): by the record on each of its snapshots.

import type { ListScope, OwnedObject, OwnershipRecord, State } from "../../core/definition";
import { type SnapshotRow, utc } from "../cinder";
import { missingObject } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import { keptEvidence } from "../revert/record";
import { forEachRow } from "./errors";
import type { SnapshotSeriesInputs } from "./inputs";
import { listInstants } from "./instants";
import { recordMetadata, SERIES_KEYS, taskOf } from "./record";
import { newestFirst } from "./state";

/** The records that this run has written, by series: an instant that an update takes gets the same. */
const written = new WeakMap<OpenStackContext, Map<string, OwnershipRecord>>();

export function writtenRecord(cloud: OpenStackContext, id: string): OwnershipRecord | undefined {
  return written.get(cloud)?.get(id);
}

export async function recordOwnership(
  cloud: OpenStackContext,
  id: string,
  record: OwnershipRecord,
  known: State,
  { volumeId }: SnapshotSeriesInputs,
): Promise<void> {
  const records = written.get(cloud) ?? new Map<string, OwnershipRecord>();
  written.set(cloud, records.set(id, record));
  const rows = await listInstants(cloud, id, { ...known, volumeId });
  const metadata = recordMetadata(id, record);
  await forEachRow(rows, async (row) => {
    try {
      await cloud.cinder.createSnapshotMetadata(row.id, { ...metadata, ...keptEvidence(row) });
    } catch (error) {
      // Somebody has deleted the snapshot since the list.
      if (missingObject(error) !== "snapshot") throw error;
    }
  });
}

export async function listOwned(cloud: OpenStackContext, { stack }: ListScope): Promise<OwnedObject[]> {
  return seriesIn(await cloud.snapshotsWith([{ [SERIES_KEYS.stack]: stack }]));
}

export async function listRecorded(cloud: OpenStackContext): Promise<OwnedObject[]> {
  return seriesIn((await cloud.cinder.listSnapshotsDetail()).snapshots);
}

function seriesIn(rows: readonly SnapshotRow[]): OwnedObject[] {
  const series = new Map<string, SnapshotRow[]>();
  for (const row of rows) {
    const id = row.metadata[SERIES_KEYS.series];
    if (id === undefined || /deleting|deleted/i.test(row.status)) continue;
    series.set(id, [...(series.get(id) ?? []), row]);
  }
  return [...series].map(([id, members]) => ownedSeries(id, newestFirst(members, {})));
}

function ownedSeries(id: string, rows: readonly SnapshotRow[]): OwnedObject {
  const [newest] = rows;
  const valueAt = (key: string) => rows.find(({ metadata }) => metadata[key] !== undefined)?.metadata[key];
  return {
    id,
    task: taskOf(newest?.id ?? ""),
    initialState: rows,
    stack: valueAt(SERIES_KEYS.stack),
    owner: valueAt(SERIES_KEYS.owner) ?? "",
    inputs: valueAt(SERIES_KEYS.inputs) ?? "",
    attempt: valueAt(SERIES_KEYS.attempt),
    // The series is as old as its first snapshot.
    createdAt: utc(rows.at(-1)?.created_at ?? null),
    label: newest?.name ?? undefined,
    objects: rows.map((row) => row.id),
    state: { volumeId: newest?.volume_id },
  };
}
