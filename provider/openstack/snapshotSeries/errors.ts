// What can go wrong with a SnapshotSeries, and what the user can do about it.

import { isKind, SnapcloneError } from "../../core/errors";
import type { SnapshotRow } from "../cinder";
import { instantOf } from "./state";

/** A failed or vanished instant must not read as the failure or the absence of the whole series. */
export function instantFailed(error: SnapcloneError): SnapcloneError {
  return new SnapcloneError({
    ...error.parts,
    kind: "failed",
    message: `${error.parts.message.replace(/\.$/, "")}. No older snapshot of the series was deleted`,
  });
}

/** A new snapshot would hold the data of now, and Cinder reverts to the newest one only. */
export function snapshotIsDue(latest: SnapshotRow): SnapcloneError {
  return new SnapcloneError({
    kind: "input",
    message: `the latest ${label(latest)} was not taken for the triggers of the program: the snapshot that they ask for would hold the data as they are now, and the volume could not be reverted to the one before; nothing was reverted`,
    hint: `Set triggers back, run \`pulumi up\` with the changed revertTriggers alone, and change triggers after that. If an interrupted run has taken the latest one, delete it to revert to the one before: \`openstack volume snapshot delete ${latest.id}\`.`,
  });
}

/** The preview has named the other one, and how old the data would be. */
export function otherLatest(latest: SnapshotRow, named: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `the latest snapshot that the state names, ${named}, is gone or can't be used, and a revert to the one before, ${label(latest)}, would lose more data; nothing was reverted`,
    hint: "Run `pulumi refresh`. The next preview names the snapshot that the volume would be reverted to. To give the revert up, set revertTriggers back to the value before.",
  });
}

export function nothingToRevertTo(volumeId: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `the series has no snapshot that volume ${volumeId} could be reverted to; nothing was reverted`,
    hint: "Set revertTriggers back to the value before, and run `pulumi up`: the series then takes a snapshot of the volume as it is.",
  });
}

/** True if Cinder has decided, so that the update need not fail for a snapshot that stays for now. */
export function isRefusal(error: unknown): error is SnapcloneError {
  return isKind(error, "refused", "failed", "forbidden");
}

export function notDeleted(row: SnapshotRow, { parts }: SnapcloneError): string {
  const hint = parts.hint === undefined ? "" : ` ${parts.hint}`;
  return `${label(row)} should have been deleted and is still there: ${parts.message.replace(/\.$/, "")}.${hint} The next \`pulumi up\` tries again.`;
}

function label(row: SnapshotRow): string {
  const { id, name, createdAt } = instantOf(row);
  return `snapshot ${id}${name ? ` "${name}"` : ""}${createdAt ? ` of ${createdAt}` : ""}`;
}

/** Runs `work` on all rows at once, waits until each has ended, and throws all failures as one error. */
export async function forEachRow<Result>(
  rows: readonly SnapshotRow[],
  work: (row: SnapshotRow) => Promise<Result>,
): Promise<Result[]> {
  const outcomes = await Promise.allSettled(rows.map(work));
  const failures = outcomes.flatMap((outcome, at) => {
    const row = rows[at];
    return outcome.status === "rejected" && row ? [{ row, error: outcome.reason as unknown }] : [];
  });
  if (failures.length === 0) return outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  throw oneError(failures, rows.length);
}

/** The first failure gives the kind. "notFound" is about one snapshot and must not become the kind of the whole. */
function oneError(failures: readonly { row: SnapshotRow; error: unknown }[], all: number): unknown {
  const expected = failures.flatMap(({ row, error }) => (error instanceof SnapcloneError ? [{ row, error }] : []));
  if (expected.length < failures.length) return failures.find(({ error }) => !(error instanceof SnapcloneError))?.error;
  const worst = expected.find(({ error }) => !isKind(error, "notFound")) ?? expected[0];
  if (worst === undefined || (all === 1 && failures.length === 1)) return worst?.error;
  const messages = expected.map(({ row, error }) => {
    return error.parts.message.includes(row.id) ? error.parts.message : `${label(row)}: ${error.parts.message}`;
  });
  return new SnapcloneError({
    ...worst.error.parts,
    message: `${failures.length} of ${all} snapshots failed: ${messages.join("; ")}`,
  });
}
