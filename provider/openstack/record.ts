// The ownership record in the metadata of a snapshot or a volume: what it consists of, and whether it is this resource's.

import type { HiddenOutputs, OwnershipRecord, State } from "../core/definition";
import { NO_RECORD, shortOwner } from "../core/ownership";
import type { Metadata, SnapshotRow } from "./cinder";

/**
 * Keys of the record. Cinder accepts colons, and a single key can be set without touching the others
 * (docs/wire/openstack.md#metadata-as-record).
 */
export const RECORD_KEYS = {
  stack: "snapclone:stack",
  owner: "snapclone:owner",
  inputs: "snapclone:inputs",
  attempt: "snapclone:attempt",
  /** The metadata keys that the program gave, joined by commas, which no key may contain. */
  managed: "snapclone:keys",
  /** Written by early builds: `open` or `settled`. */
  legacyPhase: "snapclone:phase",
} as const;

/** True for a key of the ownership record. A program cannot set such a key. */
export function isReservedKey(key: string): boolean {
  return key.startsWith("snapclone:");
}

/** `keys` are the metadata keys that the program gives. */
export function recordMetadata({ stack, owner, inputs, attempt }: OwnershipRecord, keys: readonly string[]): Metadata {
  if (owner === "") return {};
  const managed = managedText(keys);
  return {
    [RECORD_KEYS.stack]: stack,
    [RECORD_KEYS.owner]: owner,
    [RECORD_KEYS.inputs]: inputs,
    ...(attempt === undefined ? {} : { [RECORD_KEYS.attempt]: attempt }),
    ...(managed === undefined ? {} : { [RECORD_KEYS.managed]: managed }),
  };
}

/** undefined if there are no keys, or more than a metadata value holds. */
export function managedText(keys: readonly string[]): string | undefined {
  const text = [...new Set(keys)].sort().join(",");
  return text === "" || text.length > 255 ? undefined : text;
}

/**
 * The record for an object that exists. It leaves the list of keys to the update that follows: the update removes the keys that
 * the program no longer wants, and then shortens the list. An imported object may have the list of a former resource. No update
 * may remove the keys of that list, so the record replaces it.
 */
export function writtenMetadata(
  record: OwnershipRecord,
  { __imported, __stack = NO_RECORD }: HiddenOutputs & State,
  wanted: Metadata = {},
): Metadata {
  const isImport = __imported !== undefined && __stack === NO_RECORD;
  return {
    ...recordMetadata(record, []),
    ...(isImport ? { [RECORD_KEYS.managed]: managedText(Object.keys(wanted)) ?? "" } : {}),
  };
}

/** If an import could not write the record, the object still has the record of a former resource. */
export function isOwnRecord({ metadata }: Pick<SnapshotRow, "metadata">, known: HiddenOutputs & State): boolean {
  const { __owner, __imported, __stack } = known;
  if (__owner === undefined || metadata[RECORD_KEYS.owner] !== shortOwner({}, "", __owner)) return false;
  return __imported === undefined || metadata[RECORD_KEYS.stack] === __stack;
}

/** The keys in the list of the record. */
export function managedKeysOn({ metadata }: Pick<SnapshotRow, "metadata">): string[] {
  const { [RECORD_KEYS.managed]: managed = "" } = metadata;
  return managed === "" ? [] : managed.split(",").filter((key) => !isReservedKey(key));
}
