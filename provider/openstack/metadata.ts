// Name, description and metadata of an object of Cinder's: what the outputs show of them, and what an update has to change.

import type { Observed, OperationContext, Pending, State } from "../core/definition";
import { isKind } from "../core/errors";
import type { Metadata, SnapshotRow } from "./cinder";
import { missingObject } from "./cinderErrors";
import { isOwnRecord, isReservedKey, managedKeysOn, managedText, RECORD_KEYS } from "./record";

/** The row that an Observed was made of, which has the ownership record. */
export const rowBehind = new WeakMap<Observed, Pick<SnapshotRow, "metadata">>();

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

// --- changes

/** The body of a PUT, empty if name and description are as the program wants them. */
export function namingChanges(
  present: State,
  { name, description = null }: { name?: string | undefined; description?: string | null | undefined },
): { name?: string; description?: string | null } {
  return {
    ...(name !== undefined && name !== present.name ? { name } : {}),
    ...(description !== (present.description ?? null) ? { description } : {}),
  };
}

export interface MetadataChanges {
  /** Goes first, with one merging request. */
  set: Metadata;
  /** The program's keys that go, each with a request of its own. */
  unset: string[];
  /** Goes last: the record's list of the program's keys. null removes the list; undefined leaves it as it is. */
  list: string | null | undefined;
}

/**
 * A key is in the record's list from before it is written until it is removed. So a run may be killed at any moment, and the
 * list still has every key that is ours.
 */
export function metadataChanges(from: Observed, known: State, wanted: Metadata): MetadataChanges {
  const onBackend = metadataOf(from.state);
  const row = rowBehind.get(from);
  const removable = removableKeys(known, row);
  const unset = removable.filter((key) => !Object.hasOwn(wanted, key));
  const set = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => onBackend[key] !== value));
  if (known.__owner === undefined) return { set, unset, list: undefined };
  const isOwn = row !== undefined && isOwnRecord(row, known);
  const present = isOwn ? row.metadata[RECORD_KEYS.managed] || undefined : managedText(removable);
  const list = managedText(Object.keys(wanted));
  if (list === present) return { set, unset, list: undefined };
  if (unset.length > 0) {
    const during = managedText([...Object.keys(wanted), ...unset]) ?? list;
    const isLonger = during !== undefined && during !== present && Object.keys(set).length > 0;
    return { set: isLonger ? { ...set, [RECORD_KEYS.managed]: during } : set, unset, list: list ?? null };
  }
  return list === undefined
    ? { set, unset, list: null }
    : { set: { ...set, [RECORD_KEYS.managed]: list }, unset, list: undefined };
}

export function hasChanges({ set, unset, list }: MetadataChanges): boolean {
  return Object.keys(set).length + unset.length > 0 || list !== undefined;
}

/** The requests for one object's metadata. */
export interface MetadataRequests {
  /** "snapshot 7c0e…" */
  what: string;
  merge(metadata: Metadata): Promise<unknown>;
  remove(key: string): Promise<void>;
}

/** Sends the changes. */
export async function changeMetadata(
  { what, merge, remove }: MetadataRequests,
  { set, unset, list }: MetadataChanges,
  context: Pick<OperationContext, "warnForbidden">,
): Promise<void> {
  const write = async (metadata: Metadata) => {
    const keys = Object.keys(metadata);
    if (keys.length > 0) await writeMetadata(what, keys, context, () => merge(metadata));
  };
  await write(set);
  for (const key of list === null ? [...unset, RECORD_KEYS.managed] : unset) {
    try {
      await writeMetadata(what, [key], context, () => remove(key));
    } catch (error) {
      if (missingObject(error) !== "metadataKey") throw error;
    }
  }
  await write(typeof list === "string" ? { [RECORD_KEYS.managed]: list } : {});
}

/** Sends a write of these metadata keys of `what`. A policy that forbids it fails no update that only writes our own keys. */
export async function writeMetadata(
  what: string,
  keys: readonly string[],
  context: Pick<OperationContext, "warnForbidden">,
  send: () => Promise<unknown>,
): Promise<void> {
  try {
    await send();
  } catch (error) {
    if (!isKind(error, "forbidden") || !keys.every(isReservedKey)) throw error;
    context.warnForbidden(`${keys.join(", ")} of ${what} could not be written`, error);
  }
}
