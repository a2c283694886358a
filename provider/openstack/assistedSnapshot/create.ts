// Makes an overlay: checks, writes the record, asks Nova once, and waits for Nova's report in Cinder's row.

import { AbsenceTimer } from "../../core/absence";
import type { Observed, OperationContext, OwnershipRecord, Task } from "../../core/definition";
import { isKind } from "../../core/errors";
import type { Evaluation } from "../../core/poll";
import type { Metadata, SnapshotRow } from "../cinder";
import { withTransientNotFound } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import { statusCommand } from "../wait";
import {
  assertClaimHeld,
  claimVolume,
  expiredClaim,
  isClaimedByOther,
  operationInFlight,
  resourceDigest,
  restoreRecord,
} from "./claim";
import {
  ClaimLost,
  fail,
  ignoreErrors,
  mayHaveTakenEffect,
  NOVA_LOG_HINT,
  noSwitchReport,
  recordMissing,
  refuse,
  replacedByAnother,
  switchFailed,
  switchUnknown,
  switchUnseen,
  unknownStatus,
} from "./errors";
import type { AssistedSnapshotInputs } from "./inputs";
import {
  finalPhase,
  hasOverlay,
  type Owner,
  ownershipMismatch,
  PHASE,
  phaseOf,
  RECORD_KEYS,
  recordMetadata,
  recordOn,
  taskOf,
  write,
} from "./ownership";
import { otherWork, serverProblem, type VolumeFacts, volumeProblem } from "./preconditions";
import {
  BEGUN,
  FINISHED,
  hasKnownStatus,
  isReported,
  observed,
  progressOf,
  REPORTED,
  setStatus,
  unverifiedReason,
  waitForReport,
  waitUntilVisible,
} from "./state";

export interface OverlayRequest {
  row: SnapshotRow;
  /** False if Nova's response was lost, or Nova was not asked. */
  accepted: boolean;
  /** Set if Nova was not asked or has refused, and the rollback failed. */
  failure?: unknown;
}

/** Checks everything, writes the record, and sends the one request. Does not wait for its outcome. */
export async function requestOverlay(
  cloud: OpenStackContext,
  inputs: AssistedSnapshotInputs,
  record: Metadata,
  context: OperationContext,
  /** The phases of this resource's own record in which Nova was certainly not asked. */
  unsentPhases: readonly string[] = [PHASE.preparing],
): Promise<OverlayRequest> {
  const { volumeId, snapshotId, newFile, type } = inputs;
  const owner = { stack: record[RECORD_KEYS.stack] ?? "", owner: record[RECORD_KEYS.owner] ?? "" };
  const isUnsent = (row: SnapshotRow) => isOwnedBy(row, owner) && unsentPhases.includes(phaseOf(row) ?? "");
  const claim = await claimVolume({
    cloud,
    volumeId,
    snapshotId,
    owner,
    needsRunningServer: true,
    evaluate: (facts) => evaluateRequest(facts, { cloud, inputs, owner, isUnsent, context }),
    entries: { ...record, [RECORD_KEYS.phase]: PHASE.preparing },
    context,
  });
  const { before, nonceId } = claim;
  const isSettable = before.status.toLowerCase() === "available" || isUnsent(before);
  const setsStatus = inputs.manageStatus === true && progressOf(before) !== undefined && isSettable;
  let { row } = claim;
  let isStatusSet = false;
  try {
    if (setsStatus) {
      row = await setStatus(cloud, row, "creating", () => {
        isStatusSet = true;
      });
    }
    row = await write(cloud, row, { ...record, [RECORD_KEYS.phase]: PHASE.asking });
    assertClaimHeld(row, nonceId);
    const info = { snapshot_id: snapshotId, type, new_file: newFile, id: snapshotId };
    await withTransientNotFound(cloud.nova.createAssistedSnapshot(volumeId, info));
  } catch (error) {
    if (error instanceof ClaimLost) throw error;
    if (isKind(error, "ambiguous")) return { row, accepted: false };
    // Nova was not asked, or it has refused.
    isStatusSet ||= setsStatus && mayHaveTakenEffect(error);
    try {
      // The phase first: if the run dies in between, the next run knows that Nova was not asked.
      await write(cloud, row, { [RECORD_KEYS.phase]: PHASE.preparing });
      if (isStatusSet) await cloud.cinder.resetSnapshotStatus(snapshotId, "available");
      await restoreRecord(cloud, before, nonceId);
    } catch {
      return { row, accepted: false, failure: error };
    }
    throw error;
  }
  // Nova has accepted the request: no later failure may hide that.
  const accepted = await write(cloud, row, { ...record, [RECORD_KEYS.phase]: PHASE.asked }).catch(() => row);
  return { row: accepted, accepted: true };
}

/** Makes up for what Nova does not check. */
function evaluateRequest(
  facts: VolumeFacts,
  request: {
    cloud: OpenStackContext;
    inputs: AssistedSnapshotInputs;
    owner: Owner;
    isUnsent(row: SnapshotRow): boolean;
    context: OperationContext;
  },
): Evaluation {
  const { row, others } = facts;
  const { cloud, inputs, isUnsent, context } = request;
  const problem = volumeProblem(facts) ?? serverProblem(facts);
  if (problem) return refuse(problem);
  const work = otherWork(facts);
  if (work) return work;
  const { owner } = recordOn(row);
  const isResumed = isUnsent(row);
  if (hasOverlay(row) && !isResumed) {
    return refuse(
      `snapshot ${row.id} has an overlay already: its record says "${phaseOf(row)}"${owner ? `, made for ${owner}` : ""}`,
      "A snapshot takes one AssistedSnapshot. To replace it, delete the old one first (deleteBeforeReplace).",
    );
  }
  const resource = resourceDigest(request.owner);
  const claimants = isResumed || !isClaimedByOther(row, resource) ? others : [row, ...others];
  const expired = expiredClaim(claimants, resource, cloud, context);
  if (expired) return refuse(...expired);
  const busy = operationInFlight(claimants, resource);
  if (busy) return { is: "pending", progress: `waiting: ${busy}` };
  return evaluateStatus(row, inputs.manageStatus === true, isResumed);
}

function evaluateStatus(row: SnapshotRow, manageStatus: boolean, isResumed: boolean): Evaluation {
  const status = row.status.toLowerCase();
  const progress = progressOf(row);
  if (status === "available") return { is: "done", progress: "" };
  if (status === "creating" && isResumed && manageStatus) return { is: "done", progress: "" };
  if (status === "creating" && progress !== undefined && progress !== BEGUN && progress !== REPORTED) {
    // Cinder had finished the snapshot, and an administrator set the status back so that the outcome can be seen.
    return { is: "done", progress: "" };
  }
  if (status === "creating" || status === "backing-up" || status === "restoring") {
    return { is: "pending", progress: `waiting: snapshot ${row.id} is ${row.status} ${progress ?? ""}`.trim() };
  }
  return refuse(
    `snapshot ${row.id} is in status "${row.status}": Cinder would refuse Nova's report on the new overlay`,
    manageStatus
      ? `Only an \`available\` snapshot is put into \`creating\`. Reset its status first (${statusCommand("snapshot", row.id, "available")}).`
      : "The snapshot has to be `available`, or `creating` for the outcome to be seen.",
  );
}

/** Takes an overlay from the phase that the row shows to its end, as far as the end can be seen. */
export async function completeOverlay(
  cloud: OpenStackContext,
  first: SnapshotRow,
  task: Task,
  /** The record that belongs to the task. */
  record: OwnershipRecord,
  inputs: AssistedSnapshotInputs,
  context: OperationContext,
): Promise<Observed> {
  const { id } = first;
  const phase = phaseOf(first);
  const isUnsent = task.sent === false && (phase === undefined || phase === PHASE.asking);
  assertOwned(first, task, record, inputs.newFile, isUnsent);
  let row = first;
  let accepted = task.asked === true || phase === PHASE.asked;
  // Nova was not asked before the run was stopped, or a user has seen that there is no overlay.
  if (isUnsent || phase === PHASE.none || phase === PHASE.preparing) {
    const unsentPhases = isUnsent ? [PHASE.preparing, PHASE.asking] : [PHASE.preparing];
    // Prefer what the row has: early builds kept neither owner nor stack in the task, and wrote no stack.
    const full = { ...record, stack: record.stack || context.stack };
    const entries = { ...recordMetadata(full, inputs.newFile), ...entriesOn(first) };
    const request = await requestOverlay(cloud, inputs, entries, context, unsentPhases);
    context.accepted(taskAfter(request, { ...full, owner: entries[RECORD_KEYS.owner] ?? "" }));
    if (request.failure !== undefined) throw request.failure;
    ({ row, accepted } = request);
  }
  if (phaseOf(row) === PHASE.unseen) return observed(row, { ...inputs });
  if (phaseOf(row) !== PHASE.made) {
    row = await waitForSwitch(cloud, row, accepted, inputs, context);
    const isSeen = isReported(row, "creating");
    row = await write(cloud, row, finalPhase(row, isSeen ? PHASE.made : PHASE.unseen));
    if (!isSeen) {
      const reason = unverifiedReason(row, "creating");
      context.warn(`Nova was asked for the overlay of snapshot ${id}, and its outcome could not be seen: ${reason}`);
      return observed(row, { ...inputs, unverifiedReason: reason });
    }
  }
  // Cinder leaves the row in "creating", and Nova polls it twice a second until it changes (docs/wire/openstack.md#b4).
  if (inputs.manageStatus !== true) return observed(row, { ...inputs });
  if (!hasKnownStatus(row)) throw unknownStatus(row);
  if (row.status.toLowerCase() === "creating") row = await makeAvailable(cloud, id, context);
  return observed(row, { ...inputs });
}

/** The task that the state keeps after the request. */
export function taskAfter({ accepted, failure }: OverlayRequest, record: OwnershipRecord): Task {
  return { ...taskOf(accepted, record), ...(failure === undefined ? {} : { sent: false }) };
}

/** While an overlay is waited for, its record may be lost, and its snapshot may get another resource's overlay. */
function assertOwned(
  row: SnapshotRow,
  task: Task,
  record: OwnershipRecord,
  newFile: string,
  allowUnowned: boolean,
): void {
  const expected = { ...record, file: newFile };
  if (!allowUnowned && phaseOf(row) === undefined) throw recordMissing(row.id, expected);
  // Early builds kept no owner in the task.
  const known = task.owner === undefined && !allowUnowned ? { file: newFile } : expected;
  const mismatch = ownershipMismatch(row, known, { allowUnowned });
  if (mismatch !== undefined) throw replacedByAnother(mismatch);
}

function isOwnedBy(row: SnapshotRow, { stack, owner }: Owner): boolean {
  const found = recordOn(row);
  return found.owner !== undefined && found.owner === owner && (found.stack ?? stack) === stack;
}

function entriesOn({ metadata }: SnapshotRow): Metadata {
  const { stack, owner, inputs, attempt, file } = RECORD_KEYS;
  const keys = [stack, owner, inputs, attempt, file];
  return Object.fromEntries(keys.flatMap((key) => (metadata[key] === undefined ? [] : [[key, metadata[key]]])));
}

async function waitForSwitch(
  cloud: OpenStackContext,
  first: SnapshotRow,
  accepted: boolean,
  { manageStatus, newFile }: AssistedSnapshotInputs,
  context: OperationContext,
): Promise<SnapshotRow> {
  const { id } = first;
  const absence = new AbsenceTimer(context.clock);
  const row = await waitForReport(cloud, first, {
    status: "creating",
    noun: "overlay",
    accepted,
    evaluatePresence: (found) => (absence.isProven(found) ? switchUnseen(id, newFile) : undefined),
    evaluateFailure: async (row) => {
      switch (row.status.toLowerCase()) {
        case "error":
          await ignoreErrors(write(cloud, row, finalPhase(row, PHASE.none)));
          // The snapshot itself is unharmed: this resource had put it into `creating`.
          if (manageStatus) await ignoreErrors(cloud.cinder.resetSnapshotStatus(id, "available"));
          return switchFailed(id, newFile);
        case "deleting":
        case "error_deleting":
        case "unmanaging":
          return fail(`somebody else is removing snapshot ${id} (status "${row.status}")`, NOVA_LOG_HINT);
        default:
          return undefined;
      }
    },
    unknown: (reason) => switchUnknown(id, newFile, reason),
    timedOut: (error) =>
      accepted ? noSwitchReport(id, newFile, error) : switchUnknown(id, newFile, error.parts.message),
    context,
  });
  return row as SnapshotRow;
}

/** Cinder accepts this once (docs/wire/openstack.md#a12). After a lost response or a refusal, the row tells. */
async function makeAvailable(cloud: OpenStackContext, id: string, context: OperationContext): Promise<SnapshotRow> {
  let failure: unknown;
  try {
    await withTransientNotFound(cloud.cinder.updateSnapshotStatus(id, "available", FINISHED));
  } catch (error) {
    if (!isKind(error, "ambiguous", "refused")) throw error;
    failure = error;
  }
  const row = await waitUntilVisible(cloud, id, context);
  if (!hasKnownStatus(row)) throw unknownStatus(row);
  if (failure !== undefined && row.status.toLowerCase() === "creating") throw failure;
  return row;
}
