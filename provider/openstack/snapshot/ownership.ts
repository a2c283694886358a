// A Snapshot's ownership record (docs/ownership.md): metadata on Cinder's snapshot.

import type { ListScope, OwnedObject, OwnershipRecord, State } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { typeOfUrn } from "../../core/urn";
import { type SnapshotRow, utc } from "../cinder";
import type { OpenStackContext } from "../context";
import { managedKeysOn, RECORD_KEYS, writtenMetadata } from "../record";
import { evidenceOf } from "../revert/evidence";
import type { SnapshotInputs } from "./inputs";
import { observed } from "./state";

/** The snapshots of the stack, and those that early builds left `open`: they wrote no stack. */
export async function listOwned(cloud: OpenStackContext, { stack }: ListScope): Promise<OwnedObject[]> {
  const alternatives = [{ [RECORD_KEYS.stack]: stack }, { [RECORD_KEYS.legacyPhase]: "open" }];
  const rows = await cloud.snapshotsWith(alternatives);
  return rows.filter(isRecorded).map(ownedObject);
}

export async function listRecorded(cloud: OpenStackContext): Promise<OwnedObject[]> {
  const { snapshots } = await cloud.cinder.listSnapshotsDetail();
  return snapshots.filter((row) => RECORD_KEYS.owner in row.metadata && isRecorded(row)).map(ownedObject);
}

/** Some tools give a snapshot the metadata of its volume, with the record of the resource that made the volume. */
function isRecorded({ status, metadata }: SnapshotRow): boolean {
  const type = typeOfUrn(metadata[RECORD_KEYS.owner] ?? "") ?? "";
  return !/deleting|deleted/i.test(status) && !/:Volume(FromSnapshot|Clone)$/.test(type);
}

export async function recordOwnership(
  cloud: OpenStackContext,
  id: string,
  record: OwnershipRecord,
  known: State,
  inputs: SnapshotInputs,
): Promise<void> {
  // Early builds adopt every snapshot in phase `open`, so that an adopted one has to leave it. A state that such a
  // build has written has an owner and no stack.
  const isLegacy = known.__phase !== undefined || (known.__owner !== undefined && known.__stack === undefined);
  const phase = isLegacy ? { [RECORD_KEYS.legacyPhase]: "settled" } : {};
  const metadata = { ...writtenMetadata(record, known, inputs.metadata), ...phase, ...evidenceOf(cloud, id) };
  try {
    await cloud.cinder.createSnapshotMetadata(id, metadata);
  } catch (error) {
    if (!isKind(error, "forbidden")) throw error;
    const message = `${error.parts.message.replace(/\.$/, "")}. The metadata keys are ${Object.keys(metadata).join(", ")}`;
    throw new SnapcloneError({ ...error.parts, message });
  }
}

/** For the lookups. undefined if no resource has made or adopted the snapshot. */
export function managedBy({ metadata, created_at }: SnapshotRow, now: Date) {
  const owner = metadata[RECORD_KEYS.owner];
  if (owner === undefined) return undefined;
  const created = Date.parse(utc(created_at) ?? "");
  return {
    owner,
    stack: metadata[RECORD_KEYS.stack],
    inputs: metadata[RECORD_KEYS.inputs],
    attempt: metadata[RECORD_KEYS.attempt],
    phase: metadata[RECORD_KEYS.legacyPhase],
    ageSeconds: Number.isNaN(created) ? undefined : Math.max(0, Math.round((now.getTime() - created) / 1_000)),
  };
}

/** What a snapshot's or a volume's own metadata says about who made it. */
export function recordOn(
  row: Pick<SnapshotRow, "id" | "name" | "metadata" | "created_at">,
): Omit<OwnedObject, "state"> {
  return {
    id: row.id,
    task: {},
    initialState: row,
    stack: row.metadata[RECORD_KEYS.stack],
    owner: row.metadata[RECORD_KEYS.owner] ?? "",
    inputs: row.metadata[RECORD_KEYS.inputs] ?? "",
    attempt: row.metadata[RECORD_KEYS.attempt],
    createdAt: utc(row.created_at),
    label: row.name ?? undefined,
  };
}

function ownedObject(row: SnapshotRow): OwnedObject {
  const { [RECORD_KEYS.legacyPhase]: phase } = row.metadata;
  return {
    ...recordOn(row),
    phase: phase === "open" || phase === "settled" ? phase : undefined,
    state: { ...observed(row, managedKeysOn(row)).state, ...(phase === undefined ? {} : { __phase: phase }) },
  };
}
