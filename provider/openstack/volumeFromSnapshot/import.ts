// The `import` option of a VolumeFromSnapshot: takes over a volume that something else has made from a snapshot, by its UUID.
// Cinder shows of which snapshot a volume was made.

import type { Importable, Importer, RecordedPart } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import type { VolumeRow } from "../cinder";
import type { OpenStackContext } from "../context";
import { uuid } from "../inputs";
import { RECORD_KEYS } from "../record";
import { recordedPart, removeKeys, unsetCommand } from "../snapshot/parts";
import { cannotShrink, diagnosis } from "./errors";
import type { VolumeFromSnapshotInputs } from "./inputs";
import { CLONE_KEYS, setOf } from "./ownership";
import { observed } from "./state";

export const importer: Importer<VolumeFromSnapshotInputs, OpenStackContext> = {
  id: uuid("a volume"),

  async find(cloud, id, _record, inputs, { signal }): Promise<Importable | undefined> {
    const row = await cloud.volumes.find(id, signal);
    if (row === undefined) {
      await refuseSnapshot(cloud, id, signal);
      return undefined;
    }
    if (!/^(available|in-use)$/i.test(row.status)) throw await notUsable(cloud, row);
    if (!row.snapshot_id) throw notFromSnapshot(row);
    if (inputs.sizeGiB !== undefined && inputs.sizeGiB < row.size) throw cannotShrink(id, row.size, inputs.sizeGiB);
    return {
      id,
      objects: [id],
      parts: [partOf(row)],
      // The program's keys alone: what others have set is neither shown nor removed.
      state: observed(row, Object.keys(inputs.metadata ?? {})).state,
    };
  },

  forget: (parts) => unsetCommand("volume", parts),

  async removeRecords({ cinder }, parts) {
    for (const part of parts) {
      await removeKeys(part, RECORD_KEYS.owner, (id, key) => cinder.deleteVolumeMetadataKey(id, key));
    }
  },
};

/** A clone of a VolumeClone has the record of its set, whose tags must go with it. */
function partOf(row: VolumeRow): RecordedPart {
  const set = setOf(row);
  const keys = set === undefined ? RECORD_KEYS : { ...RECORD_KEYS, ...CLONE_KEYS };
  return recordedPart(`volume ${row.id}`, row, keys, set);
}

/** Throws if the id is a snapshot's, the likeliest mistake. */
async function refuseSnapshot(cloud: OpenStackContext, id: string, signal: AbortSignal): Promise<void> {
  // A snapshot that can't be looked up adds nothing to "there is no volume".
  const snapshot = await cloud.snapshot(id, signal).catch(() => undefined);
  if (snapshot === undefined) return;
  throw new SnapcloneError({
    kind: "input",
    message: `${id} is a snapshot, not a volume; nothing was changed`,
    hint: "Give the UUID of a volume that was made from the snapshot, or remove the `import` option to make one.",
  });
}

function notFromSnapshot({ id, source_volid: source }: VolumeRow): SnapcloneError {
  const made = source ? `it is a clone of the volume ${source}` : "Cinder shows no snapshot for it";
  return new SnapcloneError({
    kind: "input",
    message: `the volume ${id} was not made from a snapshot: ${made}; nothing was changed`,
    hint: "Manage a volume that was not made from a snapshot with another provider, such as @pulumi/openstack.",
  });
}

async function notUsable({ cinder }: OpenStackContext, { id, status }: VolumeRow): Promise<SnapcloneError> {
  if (/^error/i.test(status)) {
    return new SnapcloneError({ kind: "refused", message: `the volume ${await diagnosis(cinder, id, status)}` });
  }
  return new SnapcloneError({
    kind: "refused",
    message: `the volume is in status "${status}", and only an available or attached one can be taken over; nothing was changed`,
    hint: "Run `pulumi up` again when it is available.",
  });
}
