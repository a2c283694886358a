// Errors of a VolumeClone and their texts.

import { SnapcloneError, truncate } from "../../core/errors";
import type { VolumeRow } from "../../openstack/cinder";
import type { PowerVcContext } from "../context";
import { OWNERSHIP_KEYS, type PendingCreate, pendingKey } from "./ownership";

/** A source volume and its clone. */
export interface Pair {
  source: string;
  clone: string;
}

export const NEXT_UP_REPLACES =
  "The other clones are not a complete set any more: the next `pulumi up` makes a new consistent set of all volumes, and then deletes the other clones.";

export function otherBackend(id: string, recorded: string | undefined, present: string | undefined): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `the set ${id} is being made on another backend: the state says ${recorded}, and the connection reaches ${present}. Nothing was changed`,
    hint: "Correct the connection (docs/connections.md).",
  });
}

export function clonesGone(gone: readonly string[], total: number): string {
  return `${gone.length} of ${total} clones are gone: those of ${gone.join(", ")}`;
}

/** The task ended well and named fewer clones than volumes. */
export function tooFewClones(pairs: readonly Pair[], volumes: readonly string[]): SnapcloneError {
  const without = volumes.filter((volume) => !pairs.some(({ source }) => source === volume));
  const none = without.length > 0 ? `; it names no clone of ${without.join(", ")}` : "";
  return new SnapcloneError({
    kind: "failed",
    message: `PowerVC's clone task ended in success with ${new Set(pairs.map(({ clone }) => clone)).size} of ${volumes.length} clones${none}`,
  });
}

/** The volumes stay as they are: a record on them would make them this set's. */
export function notOurClones(rows: readonly VolumeRow[], taskId: string | undefined): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `PowerVC's task ${taskId ?? ""} names volumes that are not clones of this set: ${rows.map(volumeLabel).join(", ")}. They were not changed`,
    hint: "They have another set's record, or are older than the request and have another name. Look at the task in PowerVC.",
  });
}

type StuckFlow = Pick<PendingCreate, "id" | "taskId" | "volumeId">;

/** A delete has waited in vain for the flow that makes the clones. */
export function flowStillRuns(error: SnapcloneError, flow: StuckFlow): SnapcloneError {
  const why =
    "No call cancels a flow of PowerVC's, and no stack would manage the clones that the flow makes after the delete.";
  return new SnapcloneError({
    ...error.parts,
    hint: [`${why} Have an administrator check ${nameOfFlow(flow)}, then run again.`, withoutFlow(flow)].join("\n"),
  });
}

/** For a create that waits for a flow in vain. */
export function stuckFlowHint(flow: StuckFlow): string {
  const check = `If nothing changes any more, have an administrator check ${nameOfFlow(flow)}: no call cancels a flow of PowerVC's.`;
  return [check, withoutFlow(flow)].join("\n");
}

function nameOfFlow({ id, taskId }: StuckFlow): string {
  return taskId === undefined ? `the flow whose clones have "${id}" in their names` : `the clone task ${taskId}`;
}

function withoutFlow({ id, volumeId }: StuckFlow): string {
  return `If the flow will never end, remove the set from the state: \`pulumi state delete <urn>\`. Then delete by hand the volumes that have ${id} in their names or in the metadata \`${OWNERSHIP_KEYS.set}\`, and remove the note of the request: \`openstack volume unset --property ${pendingKey(id)} ${volumeId}\`.`;
}

/**
 * Nothing has the name of a set that a killed run has asked for, or was about to ask for, and there are volumes that may be its
 * clones under other names.
 */
export function perhapsMade({ id, volumeId }: PendingCreate, perhaps: readonly string[]): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `nothing has the name of the set ${id}, which an interrupted run has asked PowerVC for, and these volumes were made from the same volumes since: ${perhaps.join(", ")}. They may be the set's clones, renamed, so nothing was sent`,
    hint: [
      `If they are the set's clones, give each its first name again: \`openstack volume set --name clone-${id} <volume>\`. Then run again.`,
      `If they are not, remove the note of the request: \`openstack volume unset --property ${pendingKey(id)} ${volumeId}\`. Then run again.`,
    ].join("\n"),
  });
}

export function perhapsLeft(id: string, perhaps: readonly string[]): string {
  return `nothing has the name of the set ${id}, and these volumes were made from the same volumes since its request: ${perhaps.join(", ")}. They may be its clones, renamed. They stay: delete them if nobody needs them`;
}

export function nameTooLong(name: string): SnapcloneError {
  return new SnapcloneError({
    kind: "input",
    message: `the name "${truncate(name, 40)}" would have ${name.length} characters, and Cinder takes 255`,
    hint: "Make `displayName` shorter.",
  });
}

export function clonesVanished(missing: readonly Pair[], all: readonly Pair[]): SnapcloneError {
  const which = missing.map(({ source, clone }) => `${clone} of volume ${source}`).join(", ");
  return new SnapcloneError({
    kind: "failed",
    message: `${missing.length} of ${all.length} clones vanished while the set was made: ${which}`,
    hint: "The other clones are not a complete set. Find out who deletes volumes in this project, then run again.",
  });
}

export async function clonesUnusable(cloud: PowerVcContext, rows: readonly VolumeRow[]): Promise<SnapcloneError> {
  const reasons = await Promise.all(rows.map((row) => unusableReason(cloud, row)));
  return new SnapcloneError({
    kind: "failed",
    message: reasons.join("; "),
    hint: "Check the storage backend of the volume.",
  });
}

export async function unusableReason(cloud: PowerVcContext, { id, status }: { id: string; status: string }) {
  const why = await cloud.cinder.whyError(id);
  return `the clone ${id} is in status "${status}"${why ? `: ${why}` : ", and Cinder has no message about the reason"}`;
}

/** undefined if no VM has any of these volumes. */
export function attachedToVm(rows: readonly Partial<VolumeRow>[]): SnapcloneError | undefined {
  const held = rows.flatMap((row) =>
    (row.attachments ?? []).map(({ server_id, device }) => {
      const where = [server_id ? `the VM ${server_id}` : "a VM", device ? `as ${device}` : ""]
        .filter(Boolean)
        .join(" ");
      return `${volumeLabel(row)} is attached to ${where}`;
    }),
  );
  if (held.length === 0) return undefined;
  return new SnapcloneError({
    kind: "refused",
    message: `${held.join("; ")}. Nothing was deleted`,
    hint: "Detach it (`openstack server remove volume <VM> <volume>`), then run again.",
  });
}

export function volumeLabel({ id, name }: Partial<VolumeRow>): string {
  return name ? `"${name}" (${id})` : `${id}`;
}
