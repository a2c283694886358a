// What a run saw of the notes of a revert before it wrote to their snapshots. Its writes take along what would prove the end.

import type { Metadata, SnapshotRow } from "../cinder";
import type { OpenStackContext } from "../context";
import { keptEvidence } from "./record";

const observed = new WeakMap<OpenStackContext, Map<string, Metadata>>();

/** Called with each row that a run reads before it writes to the snapshot. */
export function observeNote(cloud: OpenStackContext, row: SnapshotRow): void {
  const notes = observed.get(cloud) ?? new Map<string, Metadata>();
  observed.set(cloud, notes);
  const evidence = keptEvidence(row);
  if (Object.keys(evidence).length > 0) notes.set(row.id, evidence);
  else notes.delete(row.id);
}

/** Metadata that the next write to the snapshot has to set, too, or that has to be written before it. */
export function evidenceOf(cloud: OpenStackContext, id: string): Metadata {
  return observed.get(cloud)?.get(id) ?? {};
}
