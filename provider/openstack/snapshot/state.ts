// A Snapshot's outputs, from Cinder's row.

import type { Observed, Pending, State } from "../../core/definition";
import { type Metadata, type SnapshotRow, utc } from "../cinder";
import { isReservedKey } from "./inputs";
import { isOwnRecord, managedKeysOn } from "./record";

/** The row that an Observed was made of, which has the ownership record. */
export const rowBehind = new WeakMap<Observed, Pick<SnapshotRow, "metadata">>();

/** `known`: the state before. `others`: outputs that Cinder does not show. */
export function observed(
  row: SnapshotRow,
  managed: readonly string[] | "all",
  known: State = {},
  others: State = {},
): Observed {
  const seen: Observed = {
    state: {
      volumeId: row.volume_id,
      name: row.name ?? undefined,
      description: row.description ?? undefined,
      ...metadataOutputs(row, managed, known),
      status: row.status,
      progress: row["os-extended-snapshot-attributes:progress"] ?? undefined,
      sizeGiB: row.size,
      createdAt: utc(row.created_at),
      updatedAt: utc(row.updated_at),
      projectId: row["os-extended-snapshot-attributes:project_id"] ?? undefined,
      userId: row.user_id ?? undefined,
      groupSnapshotId: row.group_snapshot_id ?? undefined,
      consumesQuota: row.consumes_quota ?? undefined,
      ...others,
    },
  };
  rowBehind.set(seen, row);
  return seen;
}

/** The program's keys, and those of the record's list that were seen gone: one of them that comes back is another's. */
export function metadataOutputs(
  row: Pick<SnapshotRow, "metadata">,
  managed: readonly string[] | "all",
  known: State,
): State {
  const metadata = managedMetadata(row.metadata, managed);
  if (managed === "all") return { metadata };
  const isGone = (key: string) =>
    !Object.hasOwn(row.metadata, key) || (goneKeys(known).includes(key) && !managed.includes(key));
  const gone = managedKeysOn(row).filter(isGone);
  return { metadata, __goneKeys: gone.length === 0 ? undefined : gone };
}

/** The outputs have only the keys that the program manages. The other keys belong to others. */
function managedMetadata(metadata: Metadata, managed: readonly string[] | "all"): Metadata {
  const keys = managed === "all" ? Object.keys(metadata).filter((key) => !isReservedKey(key)) : managed;
  return Object.fromEntries(
    keys.flatMap((key) => (metadata[key] !== undefined && Object.hasOwn(metadata, key) ? [[key, metadata[key]]] : [])),
  );
}

/**
 * The metadata keys that `read` shows. A resource that is only read (`get`) manages none and shows all; an imported
 * resource shows all until its first update.
 */
export function keysToShow(known: State, row: Pick<SnapshotRow, "metadata">): readonly string[] | "all" {
  if (known.metadata === undefined && known.__owner === undefined) return "all";
  return [...new Set([...Object.keys(metadataOf(known)), ...listedKeys(known, row)])];
}

/**
 * The metadata keys that an update may remove: those of the last program, those that an interrupted update left, and those
 * in the record of `row`.
 */
export function removableKeys(known: State, row?: Pick<SnapshotRow, "metadata">): string[] {
  // The first update of an imported entry removes nothing: its state lists everyone's keys.
  const managed = known.__owner === undefined ? [] : Object.keys(metadataOf(known));
  const { task } = (known.pending ?? {}) as Partial<Pending>;
  const left: readonly unknown[] = Array.isArray(task?.unset) ? task.unset : [];
  const listed = row === undefined ? [] : listedKeys(known, row).filter((key) => Object.hasOwn(row.metadata, key));
  return [...new Set([...managed, ...left.map(String).filter((key) => !isReservedKey(key)), ...listed])];
}

/** The program's keys as this resource's record lists them: a killed run may have written keys that the state does not know. */
function listedKeys(known: State, row: Pick<SnapshotRow, "metadata">): string[] {
  if (!isOwnRecord(row, known)) return [];
  return managedKeysOn(row).filter((key) => !goneKeys(known).includes(key));
}

function goneKeys({ __goneKeys: keys }: State): readonly unknown[] {
  return Array.isArray(keys) ? keys : [];
}

export function metadataOf({ metadata }: State): Metadata {
  return typeof metadata === "object" && metadata !== null ? (metadata as Metadata) : {};
}
