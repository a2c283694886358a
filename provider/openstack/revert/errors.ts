// What can go wrong with a revert, and what the user can do about it.

import { SnapcloneError } from "../../core/errors";
import type { CinderClient, SnapshotRow, VolumeRow } from "../cinder";
import { RECORD_KEYS } from "../record";
import { SERIES_KEYS } from "../snapshotSeries/record";
import { attachmentsText } from "../volumes";
import { statusCommand } from "../wait";
import { type AskedRevert, REVERT_KEYS } from "./record";

const NOTHING_ASKED = "nothing was reverted";

export function tooOld(microversion: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `this Cinder speaks ${microversion}, and reverts from 3.40 (OpenStack Pike) on; ${NOTHING_ASKED}`,
    hint: "Remove revertTriggers. A VolumeFromSnapshot restores the data to another volume.",
  });
}

export function volumeMissing(volumeId: string): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `volume ${volumeId} does not exist any more; ${NOTHING_ASKED}`,
    hint: "Remove the change of revertTriggers. A VolumeFromSnapshot restores the data to another volume.",
  });
}

export function attached(volume: VolumeRow): SnapcloneError {
  const { id, status } = volume;
  const holders = attachmentsText(volume);
  return new SnapcloneError({
    kind: "refused",
    message: `volume ${id} is ${holders === "" ? `in status "${status}"` : `attached to ${holders}`}, and Cinder reverts a volume that is "available" only; ${NOTHING_ASKED}`,
    hint: `Stop what writes to it and detach it (\`openstack server remove volume <server> ${id}\`), run \`pulumi up\` again, then attach it again.`,
  });
}

export function notAvailable({ id, status }: VolumeRow): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `volume ${id} is in status "${status}", and Cinder reverts a volume that is "available" only; ${NOTHING_ASKED}`,
    hint: /^error/i.test(status)
      ? `An administrator has to look at the backend and then reset the status (${statusCommand("volume", id, "available")}). Then run \`pulumi up\` again.`
      : "Run `pulumi up` again when that has ended. If the status never changes, an administrator has to look at the backend.",
  });
}

/** Sent all the same, the request would leave the volume in `reverting` for ever (docs/wire/openstack.md#revert). */
export function snapshotNotAvailable({ id, status }: SnapshotRow): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `snapshot ${id} is in status "${status}", and Cinder reverts to an available one only; ${NOTHING_ASKED}`,
    hint: "Run `pulumi up` again when it is available.",
  });
}

export function otherSize(volume: VolumeRow, snapshot: SnapshotRow): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `volume ${volume.id} has grown to ${volume.size} GiB since snapshot ${snapshot.id} of ${snapshot.size} GiB was taken, and Cinder reverts a volume of the same size only; ${NOTHING_ASKED}`,
    hint: "A VolumeFromSnapshot restores the data to another volume. Set revertTriggers back to the value before.",
  });
}

export function notNewest(snapshot: SnapshotRow, newer: readonly SnapshotRow[]): SnapcloneError {
  const names = newer.map((row) => `${row.id}${row.name ? ` "${row.name}"` : ""}${ownerText(row)}`);
  return new SnapcloneError({
    kind: "refused",
    message: `snapshot ${snapshot.id} is not the newest one of volume ${snapshot.volume_id}, and Cinder reverts to that alone: newer ${newer.length === 1 ? "is" : "are"} ${names.join(", ")}; ${NOTHING_ASKED}`,
    hint: "Delete the newer snapshots if nobody needs them (with what manages them), and run `pulumi up` again. A VolumeFromSnapshot restores the data to another volume and deletes nothing.",
  });
}

function ownerText({ metadata }: SnapshotRow): string {
  const owner = metadata[RECORD_KEYS.owner] ?? metadata[SERIES_KEYS.owner];
  return owner === undefined ? "" : ` (of ${owner})`;
}

/** Between the note and the request. */
export function changedMeanwhile({ id, status }: VolumeRow): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `volume ${id} was changed by somebody else just before the revert was asked for (it is in status "${status}"); ${NOTHING_ASKED}`,
    hint: "Stop what uses the volume, look at what has changed, and run `pulumi up` again.",
  });
}

/** Without the record a killed run could revert the volume twice. */
export function notRecorded(error: SnapcloneError): SnapcloneError {
  return new SnapcloneError({
    ...error.parts,
    message: `${error.parts.message}. A revert is noted on the snapshot (metadata ${Object.values(REVERT_KEYS).join(" and ")}) before it is asked for, and this login may not write that; ${NOTHING_ASKED}`,
    hint: "Ask an administrator for a role that may update a snapshot's metadata (docs/permissions.md), or revert by hand: `openstack volume revert <snapshot>`.",
  });
}

/** Cinder's bug: a 409 about the snapshot's status, after the volume has become `reverting` (docs/wire/openstack.md#revert). */
export function leftReverting(error: SnapcloneError, volumeId: string): SnapcloneError {
  return new SnapcloneError({
    ...error.parts,
    message: `${error.parts.message} Volume ${volumeId} is left in status "reverting", although nothing is being reverted`,
    hint: `This is a fault of Cinder's. An administrator has to reset the status: ${statusCommand("volume", volumeId, "available")}. Then run \`pulumi up\` again.`,
  });
}

/** For a revert that does not end. Both rows keep their status when the cinder-volume that works on them dies. */
export function stuckRevertHint(volumeId: string, snapshotId: string): string {
  return (
    "Check that cinder-volume is up (`openstack volume service list`). If nothing reverts the volume any more, an administrator sets the volume to error and the snapshot to available " +
    `(${statusCommand("volume", volumeId, "error")}, ${statusCommand("snapshot", snapshotId, "available")}): the volume may hold a mixture of old and new data. Then run \`pulumi up\` again.`
  );
}

export async function revertFailed(
  cinder: CinderClient,
  volume: VolumeRow,
  snapshot: SnapshotRow,
  backup: SnapshotRow | undefined,
): Promise<SnapcloneError> {
  const reason =
    (await cinder.whyError(volume.id)) ?? "Cinder left no message why; the log of cinder-volume has the cause";
  const copy = backup ? ` Cinder keeps the data from before the revert in snapshot ${backup.id} "${backup.name}".` : "";
  return new SnapcloneError({
    kind: "failed",
    message: `Cinder could not revert volume ${volume.id} to snapshot ${snapshot.id} (the volume is in status "${volume.status}"): ${reason}.${copy} The volume may hold a mixture of old and new data; the snapshot is unchanged`,
    hint: `An administrator has to look at the backend and then reset the status (${statusCommand("volume", volume.id, "available")}). Then give revertTriggers a new value to revert again, or restore the snapshot by a VolumeFromSnapshot.`,
  });
}

/** Nothing proves whether a revert of an earlier run has happened. Repeating it would lose what was written since. */
export function unknownOutcome(
  { key, at }: Pick<AskedRevert, "key" | "at">,
  wanted: string,
  volume: VolumeRow,
  snapshot: SnapshotRow,
): SnapcloneError {
  const when = at === "" ? "" : ` at ${at}`;
  return new SnapcloneError({
    kind: "refused",
    message: `an earlier run has asked for a revert of volume ${volume.id} to snapshot ${snapshot.id}${when}${key === undefined ? " (in a form that this version does not know)" : ""}, and nothing proves whether it took place: the volume was changed since, and is in status "${volume.status}". Nothing is done, because a second revert would lose what was written since`,
    hint: `Look at the data on the volume. If it was reverted, or should stay as it is, say so on the snapshot, and run \`pulumi up\` again: \`openstack volume snapshot set --property ${REVERT_KEYS.done}=${wanted} ${snapshot.id}\`. If it should be reverted again, give revertTriggers a new value.`,
  });
}

/** Cinder has accepted the request and shows nothing of it. */
export function neverBegun(volume: VolumeRow, snapshot: SnapshotRow): SnapcloneError {
  return new SnapcloneError({
    kind: "transient",
    message: `Cinder accepted the revert of volume ${volume.id} to snapshot ${snapshot.id} and does not show that it has begun (the volume is in status "${volume.status}")`,
    hint: "The request is noted on the snapshot. Run `pulumi up` again: the next run finds out whether it took place.",
  });
}

export function vanished(what: string, id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `${what} ${id} vanished while the volume was being reverted: somebody deleted it`,
  });
}
