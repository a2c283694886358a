// The record of a revert, on the metadata of the snapshot: written before Cinder is asked, so that a killed run neither
// forgets nor repeats it (docs/snapshot.md#the-record-of-a-revert).

import type { Metadata, SnapshotRow, VolumeRow } from "../cinder";

/** Two keys, so that a run which notes a request does not overwrite that another one has ended. */
export const REVERT_KEYS = { asked: "snapclone:revert", done: "snapclone:reverted" } as const;

export interface AskedRevert {
  /** Digest of the triggers. undefined for a text that this version does not know. */
  key: string | undefined;
  /** Cinder's time, ISO 8601: the request is sent after it. Notes of early builds have the time of the note. */
  at: string;
  /** The volume's `updated_at` before the request: as long as that has not changed, the revert has not begun. */
  volumeUpdatedAt: string;
  /** The snapshot's `updated_at` before a later write of this provider's (keptEvidence). */
  snapshotUpdatedAt: string | undefined;
}

const NEVER = "never";

export function askedRevert({ metadata }: Pick<SnapshotRow, "metadata">): AskedRevert | undefined {
  const text = metadata[REVERT_KEYS.asked];
  if (text === undefined) return undefined;
  const form = /^([0-9a-f]{32}) at (\S+), volume of ([^\s,]+)(?:, snapshot of (\S+))?$/;
  const [, key, at = "", volumeUpdatedAt = "", snapshotUpdatedAt] = form.exec(text) ?? [];
  return { key, at, volumeUpdatedAt, snapshotUpdatedAt };
}

export function askedMetadata(key: string, at: Date, volume: VolumeRow): Metadata {
  return { [REVERT_KEYS.asked]: `${key} at ${at.toISOString()}, volume of ${updatedAt(volume)}` };
}

/** Also what a user writes by hand: the digest alone. */
export function doneRevert({ metadata }: Pick<SnapshotRow, "metadata">): { key: string; at?: string } | undefined {
  const [, key, at] = /^([0-9a-f]{32})(?: at (\S+))?$/.exec(metadata[REVERT_KEYS.done] ?? "") ?? [];
  if (key === undefined) return undefined;
  return at === undefined ? { key } : { key, at };
}

/** Cinder's times may have whole seconds (seen: docs/wire/openstack.md#revert). Two reverts of a volume are further apart. */
export const RESOLUTION_MS = 1_000;

/**
 * The revert that was asked for and whose end is not noted. The end of an earlier revert for the same triggers says nothing of
 * a later request. A note without a time is a user's, and ends what was asked for.
 */
export function openRevert(row: Pick<SnapshotRow, "metadata">): AskedRevert | undefined {
  const asked = askedRevert(row);
  const done = doneRevert(row);
  if (asked === undefined || done === undefined || done.key !== asked.key) return asked;
  const isEarlier = Date.parse(done.at ?? "") + RESOLUTION_MS < Date.parse(asked.at);
  return isEarlier ? asked : undefined;
}

export function doneMetadata(key: string, at: Date): Metadata {
  return { [REVERT_KEYS.done]: `${key} at ${at.toISOString()}` };
}

export function updatedAt({ updated_at }: Pick<VolumeRow, "updated_at">): string {
  return updated_at ?? NEVER;
}

export function isRestoring(snapshot: Pick<SnapshotRow, "status"> | undefined): boolean {
  return /^restoring$/i.test(snapshot?.status ?? "");
}

/**
 * What a write of this provider's takes along to the snapshot's metadata: each write sets the snapshot's time of change, by
 * which the end of a revert is recognised. Cinder sets the time again at the end of a revert that is seen to go on.
 */
export function keptEvidence(row: SnapshotRow): Metadata {
  const open = openRevert(row);
  if (open?.key === undefined || open.snapshotUpdatedAt !== undefined || isRestoring(row)) return {};
  return { [REVERT_KEYS.asked]: `${row.metadata[REVERT_KEYS.asked]}, snapshot of ${updatedAt(row)}` };
}
