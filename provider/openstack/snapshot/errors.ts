// What can go wrong with a Snapshot, and what the user can do about it.

import { SnapcloneError } from "../../core/errors";
import type { CinderClient, SnapshotRow } from "../cinder";

export async function creationFailed(cinder: CinderClient, { id, volume_id }: SnapshotRow): Promise<SnapcloneError> {
  const reason = await cinder.whyError(id);
  if (reason !== undefined) {
    return new SnapcloneError({
      kind: "failed",
      message: `Cinder could not make it (snapshot ${id} is in status "error"): ${reason}`,
      hint: "Look at the storage backend of the volume.",
    });
  }
  // A scheduler that finds no backend leaves no message (docs/wire/openstack.md#a11).
  return new SnapcloneError({
    kind: "failed",
    message: `snapshot ${id} of volume ${volume_id} is in status "error", and Cinder left no message why`,
    hint: "This usually means that no backend took the request: check that cinder-volume is up (`openstack volume service list`) and has space.",
  });
}

export function vanished(id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "notFound",
    message: `snapshot ${id} vanished while it was being created: somebody deleted it, or deleted its volume with all snapshots`,
  });
}

export function removedByOthers({ id, status }: SnapshotRow): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `snapshot ${id} is in status "${status}": somebody else is removing it`,
  });
}

/** Completes "snapshot … :" in the warning of a refresh. */
export async function diagnosis(cinder: CinderClient, id: string, status: string): Promise<string> {
  const reason = await cinder.whyError(id);
  return `is in status "${status}"${reason ? `: ${reason}` : ""}. Look at the backend, then reset its status or replace it.`;
}
