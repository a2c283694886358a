// An AssistedSnapshot's outputs, and how Nova's report is seen. Both come from Cinder's row of the snapshot: Nova has no
// call that tells what became of an overlay (docs/wire/openstack.md#seen).

import { AbsenceTimer } from "../../core/absence";
import type { BatchPoller } from "../../core/batchPoller";
import type { Observed, OperationContext, State } from "../../core/definition";
import { isKind, type SnapcloneError } from "../../core/errors";
import { type Evaluation, poll } from "../../core/poll";
import type { SnapshotRow } from "../cinder";
import { withTransientNotFound } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import { INTERVAL, waitForObject } from "../wait";
import { SnapshotGone } from "./errors";
import { PHASE, phaseOf, RECORD_KEYS } from "./ownership";

/** The status in which Cinder's row can show Nova's report: on a new overlay, or on a merge. */
export type ReportingStatus = "creating" | "deleting";

/** The progress that Nova reports, in either direction. */
export const REPORTED = "90%";
/** The progress that Cinder itself writes. */
export const [BEGUN, FINISHED] = ["0%", "100%"];
/** Replaces an old report, so that a new one can be told from it. */
const NOT_REPORTED = "10%";

/** After a kill between the record and Nova's response: a report would have come by then. */
const UNCONFIRMED_TIMEOUT_MS = 60_000;

/** Cinder's snapshots (cinder/objects/fields.py, SnapshotStatus). Nothing follows from any other status. */
const STATUSES =
  /^(creating|available|deleting|deleted|error|error_deleting|updating|unmanaging|backing-up|restoring)$/i;

export const INTERRUPTED = "a run was stopped on its way to Nova";

// --- outputs

/** `mismatch` says why the record on the row is not this resource's. */
export function observed(row: SnapshotRow, known: State, mismatch?: string): Observed {
  const phase = phaseOf(row);
  const verified = mismatch === undefined && (phase === PHASE.made || (phase?.startsWith("merge-") ?? false));
  const kept = phase === PHASE.unseen ? known.unverifiedReason : undefined;
  const reason = mismatch ?? kept ?? UNVERIFIED[phase ?? ""] ?? UNRECORDED;
  return {
    state: {
      // Never changes: where the row says otherwise, the row is wrong.
      volumeId: known.volumeId ?? row.volume_id,
      snapshotId: row.id,
      status: row.status,
      progress: progressOf(row),
      verified,
      unverifiedReason: verified ? undefined : reason,
      // For `divergence`: what the next `up` has to do.
      __step: mismatch === undefined && phase !== undefined ? phase : FOREIGN,
      // For `doubtAbsence`: whether an absence is proof.
      __project: row["os-extended-snapshot-attributes:project_id"] ?? undefined,
    },
  };
}

/** In `__step`: the row has no record, or another resource's. */
const FOREIGN = "foreign";
const UNRECORDED = "Cinder's snapshot no longer has the record of this resource";

const UNVERIFIED: Readonly<Record<string, string>> = {
  [PHASE.preparing]: "a run was stopped before it asked Nova",
  [PHASE.asking]: INTERRUPTED,
  [PHASE.asked]: "Nova has accepted it, and its report has not been seen yet",
  [PHASE.unseen]:
    "Cinder's record was not in status \"creating\", or its progress is hidden, so it could not show Nova's report",
  [PHASE.none]: "there is no overlay",
  [PHASE.merged]: "the overlay has been merged",
};

/** There is no overlay, or there will be none: the next `up` makes another. */
const GONE: ReadonlySet<string> = new Set([PHASE.none, PHASE.merged, PHASE.mergeAsking, PHASE.mergeAsked]);
/** The overlay exists or is being made, and its record is not as a completed `up` leaves it. */
const UNFINISHED: ReadonlySet<string> = new Set([
  PHASE.preparing,
  PHASE.asking,
  PHASE.asked,
  PHASE.mergePreparing,
  FOREIGN,
]);

export function divergence({ __step: phase }: State): { output: string; effect: "replace" | "update" } | undefined {
  if (typeof phase !== "string") return undefined;
  if (GONE.has(phase)) return { output: "verified", effect: "replace" };
  return UNFINISHED.has(phase) ? { output: "verified", effect: "update" } : undefined;
}

// --- reading the row

export function parseId(id: string): { volumeId: string; snapshotId: string } {
  const [volumeId = "", snapshotId = ""] = id.split("/");
  return { volumeId, snapshotId };
}

export function progressOf(row: SnapshotRow): string | undefined {
  return row["os-extended-snapshot-attributes:progress"] ?? undefined;
}

/** `creating 90%`. */
export function formatStatus(row: SnapshotRow): string {
  return [row.status, progressOf(row)].filter(Boolean).join(" ");
}

export function hasKnownStatus({ status }: SnapshotRow): boolean {
  return STATUSES.test(status);
}

export function isReported(row: SnapshotRow, status: ReportingStatus): boolean {
  return row.status.toLowerCase() === status && progressOf(row) === REPORTED;
}

/** Why the row cannot show Nova's report. */
export function unverifiedReason(row: SnapshotRow, wanted: ReportingStatus): string {
  if (progressOf(row) === undefined) return "the cloud's policy hides the progress of Cinder's snapshots";
  return `Cinder's record is in status "${row.status}", and it takes Nova's report only while it is "${wanted}" (manageStatus: true puts it there)`;
}

// --- waiting

/** A lagging replica may answer "not found" for a snapshot that exists. */
export async function waitUntilVisible(
  cloud: OpenStackContext,
  id: string,
  context: OperationContext,
): Promise<SnapshotRow> {
  const absence = new AbsenceTimer(context.clock);
  const row = await poll<SnapshotRow | undefined>({
    description: `Cinder to show snapshot ${id}`,
    fetch: (signal) => cloud.snapshot(id, signal),
    evaluate: (seen) => {
      if (absence.isProven(seen !== undefined))
        return { is: "failed", error: new SnapshotGone(`Cinder's snapshot ${id} is gone`) };
      return seen ? { is: "done", progress: "" } : { is: "pending", progress: `Cinder does not show snapshot ${id}` };
    },
    interval: INTERVAL,
    context,
  });
  return row as SnapshotRow;
}

/**
 * Sets the status in which the row can show Nova's report: an administrator's call, made only with `manageStatus`. An old
 * report would be taken for the new one (docs/wire/openstack.md#seen-assisted-create), so that it is replaced. `onSet` is
 * called once the status has changed.
 */
export async function setStatus(
  cloud: OpenStackContext,
  row: SnapshotRow,
  status: ReportingStatus,
  onSet: () => void,
): Promise<SnapshotRow> {
  await withTransientNotFound(cloud.cinder.resetSnapshotStatus(row.id, status));
  onSet();
  if (progressOf(row) !== REPORTED) return { ...row, status };
  // Idempotent, since Nova is not asked yet.
  await withTransientNotFound(cloud.cinder.updateSnapshotStatus(row.id, status, NOT_REPORTED, true));
  return { ...row, status, "os-extended-snapshot-attributes:progress": NOT_REPORTED };
}

export interface ReportWait {
  status: ReportingStatus;
  /** What Nova reports on. */
  noun: "overlay" | "merge";
  /** False if the run does not know whether Nova accepted the request. It then waits only as long as a report takes. */
  accepted: boolean;
  /** Called first for each row: an evaluation if the row's presence or absence decides. */
  evaluatePresence(found: boolean): Evaluation | undefined;
  /** For a row in another status: an evaluation if that status shows a failure. */
  evaluateFailure(row: SnapshotRow): Promise<Evaluation | undefined>;
  /** The error for a row that cannot show the outcome. */
  unknown(reason: string): SnapcloneError;
  timedOut(error: SnapcloneError): SnapcloneError;
  context: OperationContext;
}

/** Returns the row that shows Nova's report, or the row that could not show it. */
export async function waitForReport(
  cloud: OpenStackContext,
  first: SnapshotRow,
  wait: ReportWait,
): Promise<SnapshotRow | undefined> {
  const { status, noun, accepted, context } = wait;
  const poller = reportPoller(cloud, status === "creating" ? PHASE.asked : PHASE.mergeAsked);
  try {
    return await waitForObject(poller, first.id, {
      description: `Nova's report on the ${noun} of snapshot ${first.id} ("${status}", ${REPORTED})`,
      initial: first,
      evaluate: (row) => evaluateReport(first.id, row, wait),
      ...(accepted ? {} : { giveUpAfterMs: UNCONFIRMED_TIMEOUT_MS }),
      context,
    });
  } catch (error) {
    throw isKind(error, "deadline") ? wait.timedOut(error) : error;
  }
}

async function evaluateReport(id: string, row: SnapshotRow | undefined, wait: ReportWait): Promise<Evaluation> {
  const decided = wait.evaluatePresence(row !== undefined);
  if (decided) return decided;
  if (!row) return { is: "pending", progress: `Cinder does not show snapshot ${id}` };
  const progress = formatStatus(row);
  if (isReported(row, wait.status)) return { is: "done", progress };
  if (!hasKnownStatus(row)) return { is: "pending", progress };
  if (row.status.toLowerCase() === wait.status) {
    // With a hidden progress the row can never show the report.
    return { is: progressOf(row) !== undefined || !wait.accepted ? "pending" : "done", progress };
  }
  const failure = await wait.evaluateFailure(row);
  if (failure) return failure;
  if (wait.accepted) return { is: "done", progress };
  return {
    is: "failed",
    error: wait.unknown(`the record is in status "${row.status}", which shows no outcome`),
  };
}

/** The waits of one phase share one list. The snapshots may belong to other projects. */
function reportPoller(cloud: OpenStackContext, phase: string): BatchPoller<SnapshotRow> {
  return cloud.poller(phase, () => cloud.snapshotsWith([{ [RECORD_KEYS.phase]: phase }], { all_tenants: true }));
}
