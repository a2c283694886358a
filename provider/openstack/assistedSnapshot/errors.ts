// What can go wrong with an overlay, and what the user can do about it.

import { isKind, SnapcloneError } from "../../core/errors";
import type { Evaluation } from "../../core/poll";
import type { SnapshotRow } from "../cinder";
import { notFoundAsTransient } from "../cinderErrors";
import type { DeleteInfo } from "../nova";
import { type ExpectedRecord, IN_FLIGHT, PHASE, phaseOf, RECORD_KEYS, recordMetadata } from "./ownership";

export const NOVA_LOG_HINT =
  "nova-compute's log on the server's host has the reason. Usual causes: the server is not running, its driver is not libvirt, `newFile` is missing in the volume's folder or QEMU cannot read it.";
const NOT_ASKED = "Nothing was asked of Nova.";

/** Cinder's snapshot is proven gone, and with it the only way to learn about the overlay. */
export class SnapshotGone extends SnapcloneError {
  constructor(message: string, hint?: string) {
    super({ kind: "notFound", message, hint });
  }
}

/** Another run has claimed the row, so that this run must not write to it any more. */
export class ClaimLost extends SnapcloneError {
  constructor(message: string) {
    super({ kind: "refused", message, hint: `${NOT_ASKED} Run again when the other operation has ended.` });
  }
}

/** In a hook that has seen the snapshot, only `SnapshotGone` proves that it is gone. */
export function withoutUnprovenAbsence(error: unknown): unknown {
  return error instanceof SnapshotGone ? error : notFoundAsTransient(error);
}

/** A request that failed like this may have taken effect. */
export function mayHaveTakenEffect(error: unknown): boolean {
  return isKind(error, "transient", "malformed", "ambiguous");
}

/** For a rollback: its own failure must not hide the error that is being reported. The next run finds what it left. */
export async function ignoreErrors(work: Promise<unknown>): Promise<void> {
  await work.catch(() => {});
}

export function refuse(message: string, hint = NOT_ASKED): Evaluation {
  return { is: "failed", error: new SnapcloneError({ kind: "refused", message, hint }) };
}

export function fail(message: string, hint: string): Evaluation {
  return { is: "failed", error: new SnapcloneError({ kind: "failed", message, hint }) };
}

// --- whose overlay it is

export function recordMissing(id: string, expected: ExpectedRecord): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    message: `whether the disk was switched to ${expected.file} is not known: snapshot ${id} no longer has the record of this resource`,
    hint: restoreRecordHint(id, expected, PHASE.none),
  });
}

export function recordMissingBeforeMerge(id: string, expected: ExpectedRecord): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `snapshot ${id} no longer has the record of this resource, so that it is not known whether there is anything to merge; nothing was asked of Nova`,
    hint: restoreRecordHint(id, expected, PHASE.merged),
  });
}

/** Only a diff can have the overlay replaced. */
export function overlayGone(id: string, newFile: string): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `the overlay ${newFile} of snapshot ${id} has been merged, or Nova was asked to merge it. Nothing was changed`,
    hint: "The next `pulumi up` makes another overlay. If the disk is still on that file, name another newFile.",
  });
}

function restoreRecordHint(id: string, expected: ExpectedRecord, otherwise: string): string {
  const command = setRecordCommand(id, expected, "…");
  return `Look at the server's disk (\`virsh domblklist\`), write the record again (${command}: ${PHASE.made} if the disk is on ${expected.file}, ${otherwise} if it is not), and run again.`;
}

export function replacedByAnother(mismatch: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    message: `${mismatch}: what became of this resource's own overlay is not known`,
    hint: "If this resource's overlay is gone, take the resource out of the state: `pulumi state delete <urn>`.",
  });
}

export function notOursToMerge(row: SnapshotRow, expected: ExpectedRecord, mismatch: string): SnapcloneError {
  const command = setRecordCommand(row.id, expected, phaseOf(row) ?? PHASE.made);
  return new SnapcloneError({
    kind: "refused",
    message: `${mismatch}: it is not merged for this resource, and nothing was asked of Nova`,
    hint: `If this resource's overlay is gone, take the resource out of the state (\`pulumi state delete <urn>\`). If the overlay is this resource's after all, and no other resource manages it, write its record: ${command}.`,
  });
}

/** The command by which a user restores a record that was lost. */
function setRecordCommand(id: string, expected: ExpectedRecord, phase: string): string {
  const record = { ...recordMetadata(expected, expected.file), [RECORD_KEYS.phase]: phase };
  const properties = Object.entries(record).map(([key, value]) => `--property ${key}=${value}`);
  return `\`openstack volume snapshot set ${properties.join(" ")} ${id}\``;
}

// --- outcomes that the run cannot know

/** A run was stopped between writing the record and Nova's response. Asking again could do harm, and so could a merge. */
export function switchUnknown(id: string, newFile: string, reason: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    message: `whether the disk was switched to ${newFile} is not known: ${reason}`,
    hint: switchHint(id, newFile),
  });
}

/** Nova accepted the request, and its report did not come in time. */
export function noSwitchReport(id: string, newFile: string, error: SnapcloneError): SnapcloneError {
  return new SnapcloneError({ ...error.parts, hint: switchHint(id, newFile) });
}

export function mergeUnknown(id: string, info: DeleteInfo, reason: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    message: `whether Nova has merged ${JSON.stringify(info)} is not known: ${reason}`,
    hint: mergeHint(id),
  });
}

export function noMergeReport(id: string, info: DeleteInfo, error: SnapcloneError): SnapcloneError {
  return new SnapcloneError({ ...error.parts, hint: `The request was ${JSON.stringify(info)}. ${mergeHint(id)}` });
}

/** The ways out of docs/assisted-snapshot.md#when-novas-report-does-not-come. */
function switchHint(id: string, newFile: string): string {
  return manualFixHint(id, `${PHASE.made} if the disk is on ${newFile}`, `${PHASE.none} if it is not`);
}

function mergeHint(id: string): string {
  return manualFixHint(id, `${PHASE.merged} if it has`, `${PHASE.made} if it has not`);
}

function manualFixHint(id: string, ...answers: string[]): string {
  const command = `\`openstack volume snapshot set --property ${RECORD_KEYS.phase}=… ${id}\``;
  return `${NOVA_LOG_HINT} Look at the server's disk (\`virsh domblklist\`, \`qemu-img info --backing-chain -U\`), write what you see to Cinder's snapshot (${command}: ${answers.join(", ")}), and run again. If nobody can tell: docs/assisted-snapshot.md, "When Nova's report does not come".`;
}

/** Cinder's snapshot is gone while Nova's report on the overlay is waited for. */
export function switchUnseen(id: string, newFile: string): Evaluation {
  const error = new SnapshotGone(
    `Cinder's snapshot ${id} vanished, so that the outcome of the overlay can't be seen`,
    `If the disk of the server is on ${newFile} (\`virsh domblklist\`), it stays there.`,
  );
  return { is: "failed", error };
}

// --- reports of failure

export function switchFailed(id: string, newFile: string): Evaluation {
  return fail(
    `Nova could not switch the disk to ${newFile}: Cinder's record of snapshot ${id} went to "error". The disk is unchanged`,
    NOVA_LOG_HINT,
  );
}

export function mergeFailed(id: string, info: DeleteInfo): Evaluation {
  return fail(
    `Nova could not merge snapshot ${id}: Cinder's record went to "error_deleting". The request was ${JSON.stringify(info)}`,
    `${NOVA_LOG_HINT} A merge takes the names of files in the disk's chain, and the chain has to be linked by relative names. Correct fileToMerge and mergeTargetFile if they are wrong (after \`pulumi refresh\` this changes only the state), have the status reset, and delete again.`,
  );
}

/** The overlay is in place. The next run makes the snapshot available. */
export function unknownStatus({ id, status }: SnapshotRow): SnapcloneError {
  return new SnapcloneError({
    kind: "malformed",
    message: `Cinder's record of snapshot ${id} is in the unknown status "${status}", and was not made "available" again`,
  });
}

/** Only Cinder's driver writes its own file, which names the file that the driver takes for the active one. */
export function driverWarning(volumeId: string, change: string): string {
  return `Cinder's driver does not know that the disk of volume ${volumeId} ${change}. Before the server is stopped, moved or hard-rebooted, \`volume-${volumeId}.info\` in the volume's folder must name the disk's present files (docs/assisted-snapshot.md)`;
}

// --- claims of other runs

/** What a user does about the claim of a run whose deadline has passed. */
export function expiredClaimHint(row: SnapshotRow): string {
  const phase = phaseOf(row) ?? "";
  if (!IN_FLIGHT.has(phase)) {
    return `If that run has ended, remove its claim: \`openstack volume snapshot unset --property ${RECORD_KEYS.nonce} ${row.id}\`. It has asked Nova for nothing.`;
  }
  const isMerge = phase.startsWith("merge");
  const [yes, no] = isMerge ? [PHASE.merged, PHASE.made] : [PHASE.made, PHASE.none];
  const set = `openstack volume snapshot set --property ${RECORD_KEYS.nonce}= --property ${RECORD_KEYS.phase}`;
  const condition = isMerge ? "it has been merged" : "the disk is on its file";
  return `If that run has ended, look at the server's disk (\`virsh domblklist\`) and write what you see: \`${set}=${yes} ${row.id}\` if ${condition}, \`${set}=${no} ${row.id}\` if not.`;
}
