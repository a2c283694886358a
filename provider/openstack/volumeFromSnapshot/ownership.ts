// The ownership record of a VolumeFromSnapshot (docs/ownership.md): metadata on Cinder's volume, with a snapshot's keys.

import type { ListScope, OwnedObject, OwnershipRecord, State } from "../../core/definition";
import { typeOfUrn } from "../../core/urn";
import type { VolumeRow } from "../cinder";
import type { OpenStackContext } from "../context";
import { managedKeysOn, RECORD_KEYS, writtenMetadata } from "../record";
import { recordOn } from "../snapshot/ownership";
import type { VolumeFromSnapshotInputs } from "./inputs";
import { observed } from "./state";

/** What a VolumeClone writes on each of its clones (provider/powervc/volumeClone/ownership.ts). */
export const CLONE_KEYS = { set: "snapclone:set", volume: "snapclone:volume" } as const;

/** The name of a clone until it has its tags. */
const TEMPORARY_CLONE = /snapclone-[0-9a-f]{24}(-\d+)?$/;

/** The volumes of the stack that were made from a snapshot. */
export async function listOwned(cloud: OpenStackContext, { stack }: ListScope): Promise<OwnedObject[]> {
  const rows = await cloud.volumes.withMetadata({ [RECORD_KEYS.stack]: stack });
  return withoutOthers(rows);
}

export async function listRecorded(cloud: OpenStackContext): Promise<OwnedObject[]> {
  return withoutOthers(
    (await cloud.cinder.listVolumesDetail()).filter(({ metadata }) => RECORD_KEYS.owner in metadata),
  );
}

export async function recordOwnership(
  cloud: OpenStackContext,
  id: string,
  record: OwnershipRecord,
  known: State,
  inputs: VolumeFromSnapshotInputs,
): Promise<void> {
  await cloud.cinder.createVolumeMetadata(id, writtenMetadata(record, known, inputs.metadata));
}

/**
 * Of a volume that is made from a snapshot, Cinder shows no source volume. Before Stein the volume that Cinder makes of it for
 * an image shows both, and has all its metadata (docs/wire/openstack.md#volumes).
 */
function withoutOthers(rows: readonly VolumeRow[]): OwnedObject[] {
  return rows
    .filter((row) => !/^deleting/i.test(row.status) && !!row.snapshot_id && !row.source_volid && !isCloneOfSet(row))
    .map(ownedObject);
}

/**
 * A VolumeClone writes its record under the same keys, and a clone may have a copy of its source's metadata, record included.
 * Most clones have a source volume and no snapshot. Some backends show the group snapshot that the clone was made from
 * (docs/wire/powervc.md#f2).
 */
function isCloneOfSet(row: Pick<VolumeRow, "id" | "name" | "metadata">): boolean {
  if (setOf(row) !== undefined || TEMPORARY_CLONE.test(row.name ?? "")) return true;
  const type = typeOfUrn(row.metadata[RECORD_KEYS.owner] ?? "");
  return type === undefined ? CLONE_KEYS.set in row.metadata : type.endsWith(":VolumeClone");
}

/** The set that the volume's own tags name. Tags that were copied name another volume. */
export function setOf({ id, metadata }: Pick<VolumeRow, "id" | "metadata">): string | undefined {
  return metadata[CLONE_KEYS.volume] === id ? metadata[CLONE_KEYS.set] : undefined;
}

function ownedObject(row: VolumeRow): OwnedObject {
  return { ...recordOn(row), state: observed(row, managedKeysOn(row)).state };
}
