// An overlay: checked, recorded, asked for once, and waited for as far as Cinder's row can show it.

import { AbsenceTimer } from "../../core/absence";
import type { OperationContext } from "../../core/definition";
import { isKind } from "../../core/errors";
import type { Evaluation } from "../../core/poll";
import type { Metadata, SnapshotRow } from "../cinder";
import { ASSISTED, type OpenStackContext } from "../context";
import type { AssistedSnapshotInputs } from "./inputs";
import {
  claim,
  inFlight,
  isClaimed,
  leftBehind,
  mustStillBeOurs,
  resourceOf,
  serverNow,
  TakenOver,
  takeBack,
} from "./ownership";
import {
  type Checked,
  failed,
  mayBeDone,
  mismatch,
  noReport,
  notRunning,
  refuse,
  setStatus,
  unknown,
  untilReported,
} from "./preconditions";
import {
  atRest,
  BEGUN,
  ignoreErrors,
  isOccupied,
  MERGE_INTERVAL,
  PHASE,
  phaseOf,
  progressOf,
  REPORTED,
  recordOn,
  unlessHidden,
  Vanished,
  wordsOf,
  write,
} from "./state";

export interface Asked {
  row: SnapshotRow;
  /** False: Nova's answer was lost, or it was not asked. */
  asked: boolean;
  /** Nova was not asked, or has said no, and what was written could not be taken back. */
  failure?: unknown;
}

/** All checks, the record, and the one request. Its outcome comes later. */
export async function askForOverlay(
  cloud: OpenStackContext,
  inputs: AssistedSnapshotInputs,
  record: Metadata,
  context: OperationContext,
  /** The steps of this resource's own record at which Nova was surely not asked. */
  unsent: readonly string[] = [PHASE.preparing],
): Promise<Asked> {
  const { volumeId, snapshotId, newFile, type } = inputs;
  const who = { stack: record[ASSISTED.stack] ?? "", owner: record[ASSISTED.owner] ?? "" };
  const isManaged = (row: SnapshotRow) => inputs.manageStatus === true && progressOf(row) !== undefined;
  const isUnsent = (row: SnapshotRow) => isOf(row, who) && unsent.includes(phaseOf(row) ?? "");
  const now = serverNow(cloud, context);
  const judge = (facts: Checked) => mayCreate(facts, { inputs, who, now, isUnsent, context });
  const entries = { ...record, [ASSISTED.step]: PHASE.preparing };
  const one = { cloud, volumeId, snapshotId, who, needsGuest: true, judge, entries, context };
  const { before, nonceId, ...claimed } = await claim(one);
  let { row } = claimed;
  const isOurStatus = before.status.toLowerCase() === "available" || isUnsent(before);
  const managed = isManaged(before) && isOurStatus;
  let isPut = false;
  const giveUp = async () => {
    // Said first: a run that dies in between leaves no question open.
    await write(cloud, row, { [ASSISTED.step]: PHASE.preparing });
    if (isPut) await cloud.cinder.resetSnapshotStatus(snapshotId, "available");
    await takeBack(cloud, before, nonceId);
  };
  const done = () => {
    isPut = true;
  };
  try {
    if (managed) row = await setStatus(cloud, row, "creating", done);
    row = await write(cloud, row, { ...record, [ASSISTED.step]: PHASE.asking });
    mustStillBeOurs(row, nonceId);
    const info = { snapshot_id: snapshotId, type, new_file: newFile, id: snapshotId };
    await unlessHidden(cloud.nova.createAssistedSnapshot(volumeId, info, context));
  } catch (error) {
    if (error instanceof TakenOver) throw error;
    if (isKind(error, "ambiguous")) return { row, asked: false };
    // Nova was not asked, or has said no.
    isPut ||= managed && mayBeDone(error);
    const isTakenBack = await giveUp().then(
      () => true,
      () => false,
    );
    if (isTakenBack) throw error;
    return { row, asked: false, failure: error };
  }
  // Nova has accepted it: nothing may hide that.
  const accepted = await write(cloud, row, { ...record, [ASSISTED.step]: PHASE.asked }).catch(() => row);
  return { row: accepted, asked: true };
}

function isOf(row: SnapshotRow, who: { stack: string; owner: string }): boolean {
  const { stack = who.stack, owner } = recordOn(row);
  return owner !== undefined && owner === who.owner && stack === who.stack;
}

/** Everything that Nova does not look at. */
function mayCreate(
  facts: Checked,
  {
    inputs: { manageStatus },
    who,
    now,
    isUnsent,
    context,
  }: {
    inputs: AssistedSnapshotInputs;
    who: { stack: string; owner: string };
    now: Date;
    isUnsent(row: SnapshotRow): boolean;
    context: OperationContext;
  },
): Evaluation {
  const { volume, row, others } = facts;
  const wrong = mismatch(volume, row) ?? notRunning(facts);
  if (wrong) return refuse(wrong);
  const { owner } = recordOn(row);
  const isResumed = isUnsent(row);
  if (isOccupied(row) && !isResumed) {
    return refuse(
      `snapshot ${row.id} has an overlay already: its record says "${phaseOf(row)}"${owner ? `, made for ${owner}` : ""}`,
      "One AssistedSnapshot for each snapshot. To replace one, let the old one go first (deleteBeforeReplace).",
    );
  }
  const resource = resourceOf(who);
  const claimants = isResumed || !isClaimed(row, resource) ? others : [row, ...others];
  const left = leftBehind(claimants, resource, now, context.deadline - context.clock.now());
  if (left) return refuse(...left);
  const busy = inFlight(claimants, resource);
  if (busy) return { is: "pending", progress: `waiting: ${busy}` };

  const status = row.status.toLowerCase();
  const progress = progressOf(row);
  if (status === "available") return { is: "done", progress: "" };
  if (status === "creating" && isResumed && manageStatus) return { is: "done", progress: "" };
  if (status === "creating" && progress !== undefined && progress !== BEGUN && progress !== REPORTED) {
    // Finished once, and put back by an administrator, so that the outcome can be seen.
    return { is: "done", progress: "" };
  }
  if (status === "creating" || status === "backing-up" || status === "restoring") {
    return { is: "pending", progress: `waiting: snapshot ${row.id} is ${row.status} ${progress ?? ""}`.trim() };
  }
  return refuse(
    `snapshot ${row.id} is in status "${row.status}": Nova's report on the new overlay would be refused`,
    manageStatus
      ? "Only an `available` snapshot is put into `creating`. Reset it first (`openstack volume snapshot set --state available`)."
      : "It has to be `available`, or `creating` for the outcome to be seen.",
  );
}

export async function untilSwitched(
  cloud: OpenStackContext,
  first: SnapshotRow,
  asked: boolean,
  inputs: AssistedSnapshotInputs,
  context: OperationContext,
): Promise<SnapshotRow> {
  const absence = new AbsenceTimer(context.clock);
  const row = await untilReported(cloud.assistedCreating, first, "creating", {
    work: "overlay",
    asked,
    judge: (seen, report) => {
      const isGone = absence.isProven(seen !== undefined);
      return report ?? judgeSwitch(cloud, seen, { id: first.id, isGone, asked, inputs });
    },
    tooLate: (error) =>
      asked ? noReport(first.id, inputs.newFile, error) : unknown(first.id, inputs.newFile, error.parts.message),
    context,
  });
  return row as SnapshotRow;
}

async function judgeSwitch(
  cloud: OpenStackContext,
  row: SnapshotRow | undefined,
  { id, isGone, asked, inputs }: { id: string; isGone: boolean; asked: boolean; inputs: AssistedSnapshotInputs },
): Promise<Evaluation> {
  const { manageStatus, newFile } = inputs;
  if (isGone) {
    const message = `Cinder's snapshot ${id} vanished, so the outcome of the overlay can't be seen`;
    const hint = `If the disk of the server is on ${newFile} (\`virsh domblklist\`), it stays there.`;
    return { is: "failed", error: new Vanished(message, hint) };
  }
  if (!row) return { is: "pending", progress: `Cinder does not show snapshot ${id}` };
  switch (row.status.toLowerCase()) {
    case "error":
      await ignoreErrors(write(cloud, row, atRest(row, PHASE.none)));
      // The copy itself is as good as before: we had put it into `creating`.
      if (manageStatus) await ignoreErrors(cloud.cinder.resetSnapshotStatus(id, "available"));
      return failed(
        `Nova could not switch the disk to ${newFile}: Cinder's record of snapshot ${id} went to "error". The disk is as it was`,
        MERGE_INTERVAL,
      );
    case "deleting":
    case "error_deleting":
    case "unmanaging":
      return failed(`somebody else is removing snapshot ${id} (status "${row.status}")`, MERGE_INTERVAL);
    default:
      if (asked) return { is: "done", progress: wordsOf(row) };
      return {
        is: "failed",
        error: unknown(id, newFile, `the record is in status "${row.status}", which shows nothing`),
      };
  }
}
