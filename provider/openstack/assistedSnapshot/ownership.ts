// An overlay's ownership record (docs/ownership.md): metadata on Cinder's snapshot, which the overlay has to share with a
// Snapshot resource. The record also says how far the overlay has got, since Nova has no call that tells.

import type { OwnedObject, OwnershipRecord, Task } from "../../core/definition";
import { type Metadata, type SnapshotRow, utc } from "../cinder";
import { missingObject, withTransientNotFound } from "../cinderErrors";
import type { OpenStackContext } from "../context";

export const RECORD_KEYS = {
  stack: "snapclone:assisted-stack",
  owner: "snapclone:assisted-owner",
  inputs: "snapclone:assisted-inputs",
  attempt: "snapclone:assisted-attempt",
  file: "snapclone:assisted-file",
  /** A `PHASE`. */
  phase: "snapclone:assisted-step",
  /** A `Nonce`. */
  nonce: "snapclone:assisted-nonce",
  /** Written by early builds: `open` or `settled`, and the run that adopted the overlay. */
  legacyPhase: "snapclone:assisted-phase",
  legacyAdopted: "snapclone:assisted-adopted",
} as const;

/** Written before and after each request to Nova, so that after a kill the next run knows whether it may ask Nova again. */
export const PHASE = {
  /** The record is written and Nova is not asked yet. Cinder's status is being set, so that it can show Nova's report. */
  preparing: "preparing",
  /** The request to Nova is about to be sent, or was sent. After a kill in this phase its outcome is unknown. */
  asking: "asking",
  /** Nova has accepted the request. */
  asked: "asked",
  /** Cinder's row has shown that the overlay is in place. */
  made: "made",
  /** Nova has accepted the request, and Cinder's row could not show the outcome. */
  unseen: "unseen",
  mergePreparing: "merge-preparing",
  mergeAsking: "merge-asking",
  mergeAsked: "merge-asked",
  merged: "merged",
  /** There is no overlay: the request was refused, or it failed. */
  none: "none",
} as const;

export const IN_FLIGHT: ReadonlySet<string> = new Set([
  PHASE.preparing,
  PHASE.asking,
  PHASE.asked,
  PHASE.mergePreparing,
  PHASE.mergeAsking,
  PHASE.mergeAsked,
]);

export function phaseOf({ metadata }: SnapshotRow): string | undefined {
  return metadata[RECORD_KEYS.phase];
}

/** The overlay is in place, or is being made or merged. */
export function hasOverlay(row: SnapshotRow): boolean {
  const phase = phaseOf(row) ?? "";
  return IN_FLIGHT.has(phase) || phase === PHASE.made || phase === PHASE.unseen;
}

// --- reading the record

/** For the lookups. undefined if no resource has an overlay on this snapshot. */
export function overlayOwner({ metadata }: SnapshotRow) {
  const owner = metadata[RECORD_KEYS.owner];
  if (owner === undefined) return undefined;
  const { stack, file, phase } = RECORD_KEYS;
  return { owner, stack: metadata[stack], file: metadata[file], phase: metadata[phase] };
}

export interface Owner {
  stack: string;
  owner: string;
}

/** What the record of a resource's overlay should say. */
export interface ExpectedRecord extends OwnershipRecord {
  file: string;
}

type PartialRecord = { [key in "stack" | "owner" | "inputs" | "file"]?: string | undefined };

/** Early builds wrote no stack and no attempt. */
export function recordOn({ metadata }: SnapshotRow): PartialRecord {
  return {
    stack: metadata[RECORD_KEYS.stack],
    owner: metadata[RECORD_KEYS.owner],
    inputs: metadata[RECORD_KEYS.inputs],
    file: metadata[RECORD_KEYS.file],
  };
}

/** Why the record on the row is not the expected one; undefined if it is. Compares only what `expected` has. */
export function ownershipMismatch(
  row: SnapshotRow,
  expected: PartialRecord,
  { allowUnowned = false }: { allowUnowned?: boolean } = {},
): string | undefined {
  const found = recordOn(row);
  if (allowUnowned && found.owner === undefined) return undefined;
  const differs = (key: keyof PartialRecord) => expected[key] !== undefined && (found[key] ?? "") !== expected[key];
  const overlay = `the overlay recorded on snapshot ${row.id}`;
  if (differs("owner")) return `${overlay} was made for ${found.owner || "an unknown owner"}`;
  // A record without a stack is one of an early build.
  if (found.stack !== undefined && expected.stack && found.stack !== expected.stack) {
    return `${overlay} was made by another stack, for its ${found.owner}`;
  }
  if (differs("file")) return `${overlay} is the file ${found.file}; this resource's overlay is ${expected.file}`;
  if (differs("inputs")) return `${overlay} was made from other inputs, for ${found.owner}`;
  return undefined;
}

/**
 * Why the record is not this resource's. An interrupted `removeRecord` may have left any keys of the record. There is no overlay
 * then.
 */
export function mismatchWithKeysLeft(row: SnapshotRow, expected: ExpectedRecord): string | undefined {
  const phase = phaseOf(row);
  const hasNoOverlay = phase === PHASE.merged || phase === PHASE.none || phase === PHASE.preparing;
  return ownershipMismatch(row, hasNoOverlay ? keysLeft(expected, row) : expected);
}

function keysLeft(expected: ExpectedRecord, row: SnapshotRow): PartialRecord {
  const found = recordOn(row);
  const keys = (Object.keys(found) as (keyof PartialRecord)[]).filter((key) => found[key] !== undefined);
  return Object.fromEntries(keys.map((key) => [key, expected[key]]));
}

export function ownedObject(row: SnapshotRow): Omit<OwnedObject, "state"> {
  const legacyPhase = row.metadata[RECORD_KEYS.legacyPhase];
  const attempt = row.metadata[RECORD_KEYS.attempt];
  const { stack, owner = "", inputs = "", file } = recordOn(row);
  const isMerging = phaseOf(row)?.startsWith("merge") ?? false;
  return {
    id: `${row.volume_id}/${row.id}`,
    task: taskOf(phaseOf(row) !== PHASE.asking, { stack, owner, attempt }),
    stack,
    owner,
    inputs,
    attempt,
    // An overlay that is being merged is not adopted.
    phase: isMerging || legacyPhase === "settled" ? "settled" : legacyPhase === "open" ? "open" : undefined,
    createdAt: nonceOf(row)?.since ?? (stack === undefined ? utc(row.updated_at) : undefined),
    label: file,
  };
}

// --- writing the record

export function recordMetadata({ stack, owner, inputs, attempt }: OwnershipRecord, file: string): Metadata {
  if (owner === "") return { [RECORD_KEYS.file]: file };
  return {
    [RECORD_KEYS.stack]: stack,
    [RECORD_KEYS.owner]: owner,
    [RECORD_KEYS.inputs]: inputs,
    ...(attempt === undefined ? {} : { [RECORD_KEYS.attempt]: attempt }),
    [RECORD_KEYS.file]: file,
  };
}

/** Returns the row with all metadata that Cinder has after the write. */
export async function write(cloud: OpenStackContext, row: SnapshotRow, entries: Metadata): Promise<SnapshotRow> {
  const metadata = await withTransientNotFound(cloud.cinder.createSnapshotMetadata(row.id, entries));
  return { ...row, metadata };
}

/** The phase that ends an operation, and with it the operation's claim. */
export function finalPhase(row: SnapshotRow, phase: string): Metadata {
  const nonce = nonceOf(row);
  const released = nonce?.isClaim ? { [RECORD_KEYS.nonce]: nonceText({ ...nonce, isClaim: false }) } : {};
  return { [RECORD_KEYS.phase]: phase, ...released };
}

/** Removes the phase last: until then it says that there is nothing to merge. */
export async function removeRecord(cloud: OpenStackContext, { id, metadata }: SnapshotRow): Promise<void> {
  const keys = Object.values(RECORD_KEYS).filter((key) => Object.hasOwn(metadata, key));
  const others = keys.filter((key) => key !== RECORD_KEYS.phase);
  await Promise.all(others.map((key) => removeKey(cloud, id, key)));
  if (others.length < keys.length) await removeKey(cloud, id, RECORD_KEYS.phase);
}

/** Succeeds if the key, or the whole snapshot, is gone already. */
export async function removeKey(cloud: OpenStackContext, id: string, key: string): Promise<void> {
  try {
    await cloud.cinder.deleteSnapshotMetadataKey(id, key);
  } catch (error) {
    if (missingObject(error) === undefined) throw error;
  }
}

/** The state keeps the record with the accepted work: while it is waited for, the row may get another record. */
export function taskOf(
  asked: boolean,
  { stack, owner, attempt }: { stack?: string | undefined; owner: string; attempt?: string | undefined },
): Task {
  return {
    asked,
    ...(stack === undefined ? {} : { stack }),
    ...(owner === "" ? {} : { owner }),
    ...(attempt === undefined ? {} : { attempt }),
  };
}

// --- the nonce

/** Which operation wrote the record last. */
export interface Nonce {
  /** Unique to the operation; begins with the id of its run. */
  id: string;
  /** When it was written, and when the operation gives up: by Cinder's clock, ISO 8601. */
  since: string;
  until: string;
  /** Digest of stack and owner. Only one operation of a resource runs at a time. */
  resource: string;
  /** The resource's name for messages, shortened. */
  owner: string;
  /** The operation has not ended. */
  isClaim: boolean;
}

const NONCE = /^(claim )?(\S+) (\S+?)\/(\S+) (\S+) (.*)$/;

export function nonceOf({ metadata }: SnapshotRow): Nonce | undefined {
  const [, claim, id, since, until, resource, owner] = NONCE.exec(metadata[RECORD_KEYS.nonce] ?? "") ?? [];
  if (id === undefined || since === undefined || until === undefined || resource === undefined || owner === undefined) {
    return undefined;
  }
  return { id, since, until, resource, owner, isClaim: claim !== undefined };
}

export function nonceText({ id, since, until, resource, owner, isClaim }: Nonce): string {
  return `${isClaim ? "claim " : ""}${id} ${since}/${until} ${resource} ${owner}`;
}
