// What can go wrong with a VolumeFromSnapshot, and what the user can do about it.

import { SnapcloneError } from "../../core/errors";
import type { CinderClient, SnapshotRow, VolumeRow } from "../cinder";
import { attachmentsText } from "../volumes";
import { statusCommand } from "../wait";

export async function creationFailed(cinder: CinderClient, { id, snapshot_id }: VolumeRow): Promise<SnapcloneError> {
  const reason = await cinder.whyError(id);
  if (reason !== undefined) {
    return new SnapcloneError({
      kind: "failed",
      message: `Cinder could not make it (volume ${id} is in status "error"): ${reason}`,
      hint: "Look at the storage backend of the snapshot's volume, at its space, and at the volume type.",
    });
  }
  return new SnapcloneError({
    kind: "failed",
    message: `volume ${id}, to be made from snapshot ${snapshot_id}, is in status "error", and Cinder left no message why`,
    hint: "Check that cinder-volume is up (`openstack volume service list`) and has space; its log has the cause.",
  });
}

export function vanished(id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "notFound",
    message: `volume ${id} vanished while it was being created: somebody deleted it`,
  });
}

export function removedByOthers({ id, status }: VolumeRow): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `volume ${id} is in status "${status}": somebody else is removing it`,
  });
}

/** `allow_availability_zone_fallback` of Cinder: another zone instead of an error (docs/wire/openstack.md#volume-from-snapshot). */
export function inAnotherZone({ id, availability_zone }: VolumeRow, wanted: string): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `Cinder put volume ${id} into the availability zone "${availability_zone}"; the program asks for "${wanted}"`,
    hint: `This Cinder takes another zone where it does not know one. Write availabilityZone: "${availability_zone}", or leave it out.`,
  });
}

/** Before anything is sent: Cinder's own refusal has the same reason. */
export function smallerThanSnapshot({ id, size }: SnapshotRow, wanted: number): SnapcloneError {
  return new SnapcloneError({
    kind: "input",
    message: `snapshot ${id} has ${size} GiB, and a volume of ${wanted} GiB can't hold it; nothing was sent`,
    hint: `Set sizeGiB to ${size} or more, or leave it out.`,
  });
}

export function cannotShrink(id: string, present: number, wanted: number): SnapcloneError {
  return new SnapcloneError({
    kind: "input",
    message: `volume ${id} has ${present} GiB and the program asks for ${wanted}: Cinder makes no volume smaller; nothing was changed`,
    hint: `Set sizeGiB to ${present} or more. If nothing on the volume is needed, \`pulumi destroy --target <urn>\` deletes it, and the next \`pulumi up\` makes another.`,
  });
}

/** The status is the one before, or error_extending, and the size has not changed. */
export async function growthFailed(cinder: CinderClient, row: VolumeRow, wanted: number): Promise<SnapcloneError> {
  const { id, size, status } = row;
  const reason = await cinder.whyError(id);
  const isStuck = status.toLowerCase() === "error_extending";
  return new SnapcloneError({
    kind: "failed",
    message: `Cinder could not grow volume ${id} from ${size} to ${wanted} GiB (its status is "${status}")${reason ? `: ${reason}` : ""}`,
    hint: isStuck
      ? `An administrator has to look at the backend and then reset the status (${statusCommand("volume", id, "available")}). Then run \`pulumi up\` again.`
      : "The backend has no space for it. Make room, or set sizeGiB back.",
  });
}

export function attached(volume: VolumeRow): SnapcloneError {
  const { id, attachments } = volume;
  const isServers = attachments.every(({ server_id }) => !!server_id);
  const detach = isServers
    ? `Detach it (\`openstack server remove volume <server> ${id}\`)`
    : `Detach it where it is attached (\`openstack --os-volume-api-version 3.27 volume attachment list --volume-id ${id}\`)`;
  return new SnapcloneError({
    kind: "refused",
    message: `volume ${id} is attached to ${attachmentsText(volume)}; Cinder deletes no attached volume, and nothing was deleted`,
    hint: `${detach}, or delete what attaches it first: in the program, the attachment must depend on this volume.`,
  });
}

/** Completes "volume … :" in the warning of a refresh. */
export async function diagnosis(cinder: CinderClient, id: string, status: string): Promise<string> {
  const reason = await cinder.whyError(id);
  return `is in status "${status}"${reason ? `: ${reason}` : ""}. Look at the backend, then reset its status or replace it.`;
}
