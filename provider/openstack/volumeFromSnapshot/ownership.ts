// The ownership record of a VolumeFromSnapshot (docs/ownership.md): metadata on Cinder's volume, with a snapshot's keys.

import type { ListScope, OwnedObject, OwnershipRecord, State } from "../../core/definition";
import type { VolumeRow } from "../cinder";
import type { OpenStackContext } from "../context";
import { managedKeysOn, RECORD_KEYS, recordMetadata, recordOn } from "../snapshot/ownership";
import { metadataOf } from "../snapshot/state";
import type { VolumeFromSnapshotInputs } from "./inputs";
import { observed } from "./state";

/**
 * The volumes of the stack that were made from a snapshot. A clone may have a copy of its source's metadata, record
 * included (docs/wire/powervc.md): it has a source volume and no snapshot.
 */
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
  const keys = [...Object.keys(metadataOf(known)), ...Object.keys(inputs.metadata ?? {})];
  await cloud.cinder.createVolumeMetadata(id, recordMetadata(record, keys));
}

function withoutOthers(rows: readonly VolumeRow[]): OwnedObject[] {
  return rows.filter(({ status, snapshot_id }) => !/^deleting/i.test(status) && !!snapshot_id).map(ownedObject);
}

function ownedObject(row: VolumeRow): OwnedObject {
  return { ...recordOn(row), state: observed(row, managedKeysOn(row)).state };
}
