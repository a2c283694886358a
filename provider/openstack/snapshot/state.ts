// A Snapshot's outputs, from Cinder's row.

import type { Observed, Pending, State } from "../../core/definition";
import { type Metadata, type SnapshotRow, utc } from "../cinder";
import { isReservedKey } from "./inputs";

export function observed(row: SnapshotRow, managed: readonly string[] | "all"): Observed {
  return {
    state: {
      volumeId: row.volume_id,
      name: row.name ?? undefined,
      description: row.description ?? undefined,
      metadata: managedMetadata(row.metadata, managed),
      status: row.status,
      progress: row["os-extended-snapshot-attributes:progress"] ?? undefined,
      sizeGiB: row.size,
      createdAt: utc(row.created_at),
      updatedAt: utc(row.updated_at),
      projectId: row["os-extended-snapshot-attributes:project_id"] ?? undefined,
      userId: row.user_id ?? undefined,
      groupSnapshotId: row.group_snapshot_id ?? undefined,
      consumesQuota: row.consumes_quota ?? undefined,
    },
  };
}

/** The outputs have only the keys that the program manages. The other keys belong to others. */
export function managedMetadata(metadata: Metadata, managed: readonly string[] | "all"): Metadata {
  const keys = managed === "all" ? Object.keys(metadata).filter((key) => !isReservedKey(key)) : managed;
  return Object.fromEntries(
    keys.flatMap((key) => (metadata[key] !== undefined && Object.hasOwn(metadata, key) ? [[key, metadata[key]]] : [])),
  );
}

/**
 * The metadata keys that `read` shows. A resource that is only read (`get`) manages none and shows all; an imported
 * resource shows all until its first update.
 */
export function keysToShow(known: State): readonly string[] | "all" {
  return known.metadata === undefined && known.__owner === undefined ? "all" : Object.keys(metadataOf(known));
}

/** The metadata keys that an update may remove: those of the last program, and those that an interrupted update left. */
export function removableKeys(known: State): string[] {
  // The first update of an imported entry removes nothing: its state lists everyone's keys.
  const managed = known.__owner === undefined ? [] : Object.keys(metadataOf(known));
  const { task } = (known.pending ?? {}) as Partial<Pending>;
  const left: readonly unknown[] = Array.isArray(task?.unset) ? task.unset : [];
  return [...new Set([...managed, ...left.map(String).filter((key) => !isReservedKey(key))])];
}

export function metadataOf({ metadata }: State): Metadata {
  return typeof metadata === "object" && metadata !== null ? (metadata as Metadata) : {};
}
