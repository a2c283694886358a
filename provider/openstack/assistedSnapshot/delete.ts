// Merges an overlay, if the record on Cinder's row is this resource's: checks, asks Nova once with a complete delete_info,
// and waits for Nova's report in Cinder's row.

import type { OperationContext, Pending, State } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import type { Evaluation } from "../../core/poll";
import type { SnapshotRow } from "../cinder";
import { withTransientNotFound } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import type { DeleteInfo } from "../nova";
import { statusCommand } from "../wait";
import {
  assertClaimHeld,
  type Claim,
  claimVolume,
  expiredClaim,
  operationInFlight,
  resourceDigest,
  restoreRecord,
} from "./claim";
import {
  ClaimLost,
  driverWarning,
  ignoreErrors,
  mayHaveTakenEffect,
  mergeFailed,
  mergeUnknown,
  noMergeReport,
  notOursToMerge,
  recordMissingBeforeMerge,
  refuse,
  switchUnknown,
} from "./errors";
import { optionalFileName } from "./inputs";
import {
  type ExpectedRecord,
  finalPhase,
  mismatchWithKeysLeft,
  ownershipMismatch,
  PHASE,
  phaseOf,
  RECORD_KEYS,
  removeRecord,
  write,
} from "./ownership";
import { otherWork, type VolumeFacts, volumeProblem } from "./preconditions";
import {
  FINISHED,
  INTERRUPTED,
  isReported,
  progressOf,
  REPORTED,
  setStatus,
  unverifiedReason,
  waitForReport,
} from "./state";

interface Merge {
  cloud: OpenStackContext;
  info: DeleteInfo;
  expected: ExpectedRecord;
  manageStatus: boolean;
  context: OperationContext;
}

/** From any phase of the row: returns with the overlay and its record gone, or throws. */
export async function removeOverlay(
  cloud: OpenStackContext,
  row: SnapshotRow,
  expected: ExpectedRecord,
  known: State,
  context: OperationContext,
): Promise<void> {
  const info = deleteInfo(known);
  const merge: Merge = { cloud, info, expected, manageStatus: known.manageStatus === true, context };
  const phase = phaseOf(row);
  if (
    isUnsent(known) &&
    (phase === undefined || phase === PHASE.asking) &&
    ownershipMismatch(row, expected, { allowUnowned: true }) === undefined
  ) {
    return restoreSnapshot(merge, await write(cloud, row, finalPhase(row, PHASE.none)));
  }
  assertOwned(row, expected);
  switch (phase) {
    case PHASE.merged:
    case PHASE.none:
    case PHASE.preparing:
      return restoreSnapshot(merge, row);
    case PHASE.made:
    case PHASE.unseen:
    case PHASE.mergePreparing:
      return requestMerge(merge, row.id);
    case PHASE.asking:
    case PHASE.asked:
      if (isReported(row, "creating")) return requestMerge(merge, row.id);
      // Nova has reported that the switch failed.
      if (phase === PHASE.asked && row.status.toLowerCase() === "error") {
        return restoreSnapshot(merge, await write(cloud, row, finalPhase(row, PHASE.none)));
      }
      throw switchUnknown(
        row.id,
        expected.file,
        `Cinder's record is "${row.status}" and shows no outcome of the create`,
      );
    default:
      return waitForMerge(merge, row, phase === PHASE.mergeAsked ? undefined : INTERRUPTED);
  }
}

/** The create failed before it asked Nova, and so did its rollback. */
function isUnsent({ pending }: State): boolean {
  const { task } = (pending ?? {}) as Partial<Pending>;
  return task?.sent === false;
}

/** Nova knows no records: it would merge an overlay of any resource. */
function assertOwned(row: SnapshotRow, expected: ExpectedRecord): void {
  if (phaseOf(row) === undefined) throw recordMissingBeforeMerge(row.id, expected);
  const mismatch = mismatchWithKeysLeft(row, expected);
  if (mismatch !== undefined) throw notOursToMerge(row, expected, mismatch);
}

/** Nova merges what these four fields say, and ignores everything else. */
function deleteInfo(known: State): DeleteInfo {
  const fileName = (key: "fileToMerge" | "mergeTargetFile") => {
    const result = optionalFileName().safeParse(known[key]);
    if (result.success) return result.data ?? null;
    throw new SnapcloneError({
      kind: "input",
      message: `${key} in the state is not a file's name; nothing was asked of Nova`,
    });
  };
  return {
    volume_id: String(known.volumeId),
    type: "qcow2",
    file_to_merge: fileName("fileToMerge"),
    merge_target_file: fileName("mergeTargetFile"),
  };
}

function evaluateRequest(facts: VolumeFacts, { cloud, expected, manageStatus, context }: Merge): Evaluation {
  const { row, others } = facts;
  const problem = volumeProblem(facts) ?? ownershipMismatch(row, expected);
  if (problem) return refuse(problem);
  const work = otherWork(facts);
  if (work) return work;
  const resource = resourceDigest(expected);
  const expired = expiredClaim(others, resource, cloud, context);
  if (expired) return refuse(...expired);
  const busy = operationInFlight(others, resource);
  if (busy) return { is: "pending", progress: `waiting: ${busy}` };
  const status = row.status.toLowerCase();
  const reset = `An administrator has to reset the status first (${statusCommand("snapshot", row.id, "available")}); \`manageStatus: true\` does that.`;
  if (status === "error_deleting" && !manageStatus) {
    return refuse(
      `snapshot ${row.id} is in status "${row.status}", in which Cinder takes no report: a merge could not be seen`,
      reset,
    );
  }
  if (isReported(row, "deleting") && !manageStatus) {
    return refuse(
      `Cinder's record of snapshot ${row.id} shows the report of an earlier merge (deleting ${REPORTED}), and the next report could not be told from it`,
      reset,
    );
  }
  if (status === "creating" && !isReported(row, "creating")) {
    return { is: "pending", progress: `waiting: snapshot ${row.id} is ${row.status} ${progressOf(row) ?? ""}`.trim() };
  }
  if (status === "backing-up" || status === "restoring") {
    return { is: "pending", progress: `waiting: snapshot ${row.id} is ${row.status}` };
  }
  return { is: "done", progress: "" };
}

async function requestMerge(merge: Merge, snapshotId: string): Promise<void> {
  const { cloud, info, expected, manageStatus, context } = merge;
  const claim = await claimVolume({
    cloud,
    volumeId: info.volume_id,
    snapshotId,
    owner: expected,
    // Nova can merge for a stopped server too, and refuses if it can't (docs/wire/openstack.md#b3).
    needsRunningServer: false,
    evaluate: (facts) => evaluateRequest(facts, merge),
    entries: { [RECORD_KEYS.phase]: PHASE.mergePreparing },
    context,
  });
  const { before, nonceId } = claim;
  const canReport =
    before.status.toLowerCase() === "deleting" && progressOf(before) !== undefined && !isReported(before, "deleting");
  const setsStatus = manageStatus && progressOf(before) !== undefined && !canReport;
  let { row } = claim;
  let isStatusSet = false;
  let doubt: string | undefined;
  try {
    if (setsStatus) {
      row = await setStatus(cloud, row, "deleting", () => {
        isStatusSet = true;
      });
    }
    row = await write(cloud, row, { [RECORD_KEYS.phase]: PHASE.mergeAsking });
    assertClaimHeld(row, nonceId);
    await cloud.nova.deleteAssistedSnapshot(snapshotId, info);
    row = await write(cloud, row, { [RECORD_KEYS.phase]: PHASE.mergeAsked }).catch(() => row);
  } catch (error) {
    if (error instanceof ClaimLost) throw error;
    // Nova itself says that there is nothing to merge.
    if (isKind(error, "notFound")) {
      row = await write(cloud, row, finalPhase(row, PHASE.merged)).catch(() => row);
      if (isStatusSet) await ignoreErrors(cloud.cinder.resetSnapshotStatus(snapshotId, before.status));
      return restoreSnapshot(merge, row);
    }
    if (!isKind(error, "ambiguous")) {
      isStatusSet ||= setsStatus && mayHaveTakenEffect(error);
      await ignoreErrors(rollBack(merge, { ...claim, row }, isStatusSet));
      throw error;
    }
    doubt = error.parts.message;
    if (!setsStatus && !canReport) throw mergeUnknown(snapshotId, info, doubt);
  }
  return waitForMerge(merge, row, doubt);
}

/** Nova was not asked, or it has refused. */
async function rollBack({ cloud }: Merge, { row, before, nonceId }: Claim, isStatusSet: boolean): Promise<void> {
  // The phase first: if the run dies in between, the next run knows that Nova was not asked.
  await ignoreErrors(write(cloud, row, { [RECORD_KEYS.phase]: PHASE.mergePreparing }));
  if (isStatusSet) await cloud.cinder.resetSnapshotStatus(row.id, before.status);
  await restoreRecord(cloud, before, nonceId);
}

/** `doubt` is why it is not certain that Nova was asked, by this run or by an earlier one. */
async function waitForMerge(merge: Merge, first: SnapshotRow, doubt: string | undefined): Promise<void> {
  const { cloud, info, context } = merge;
  const { id } = first;
  const accepted = doubt === undefined;
  const row = await waitForReport(cloud, first, {
    status: "deleting",
    noun: "merge",
    accepted,
    evaluatePresence: (found) => (found ? undefined : { is: "done", progress: "the snapshot is gone" }),
    evaluateFailure: async (row) => {
      if (row.status.toLowerCase() !== "error_deleting") return undefined;
      // The overlay is still there. Once the cause is removed, it can be deleted again.
      await ignoreErrors(write(cloud, row, finalPhase(row, PHASE.made)));
      return mergeFailed(id, info);
    },
    unknown: (reason) => mergeUnknown(id, info, reason),
    timedOut: (error) =>
      accepted ? noMergeReport(id, info, error) : mergeUnknown(id, info, `${doubt}; ${error.parts.message}`),
    context,
  });
  if (!row) return;
  if (!isReported(row, "deleting")) {
    context.warn(
      `Nova was asked for the merge of snapshot ${id} (${JSON.stringify(info)}), and its outcome could not be seen: ${unverifiedReason(row, "deleting")}`,
    );
  }
  await restoreSnapshot(merge, row);
}

/**
 * There is no overlay any more: restores Cinder's snapshot. In this order, so that a repeated delete does not ask Nova again,
 * wherever this one is stopped.
 */
async function restoreSnapshot(
  { cloud, info, expected, manageStatus, context }: Merge,
  row: SnapshotRow,
): Promise<void> {
  const phase = phaseOf(row);
  const isFinal = phase === PHASE.merged || phase === PHASE.none;
  const end = phase === PHASE.preparing ? PHASE.none : PHASE.merged;
  const last = isFinal ? row : await write(cloud, row, finalPhase(row, end));
  if (phaseOf(last) === PHASE.merged) {
    const { file_to_merge, merge_target_file } = info;
    const change = merge_target_file === null ? `is on ${expected.file} for good` : `has lost ${file_to_merge}`;
    context.warn(driverWarning(info.volume_id, change));
  }
  // Nova's report never came, or nobody has ended the status that could show it. Cinder does not delete such a snapshot.
  if (manageStatus && /^(creating|deleting)$/i.test(row.status)) {
    // A reset keeps the progress, which is Nova's report (docs/wire/openstack.md#a12).
    if (isReported(row, "deleting")) {
      await withTransientNotFound(cloud.cinder.updateSnapshotStatus(row.id, row.status, FINISHED, true));
    }
    await withTransientNotFound(cloud.cinder.resetSnapshotStatus(row.id, "available"));
  }
  try {
    await removeRecord(cloud, last);
  } catch (error) {
    if (!isKind(error, "forbidden")) throw error;
    context.warnForbidden(`the record of the overlay stays on snapshot ${row.id}`, error);
  }
}
