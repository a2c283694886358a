// The merge of an overlay: only of the one that this resource's record names, checked, asked for once with a complete
// delete_info, and waited for as far as Cinder's row can show it.

import type { OperationContext, Pending, State } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import type { Evaluation } from "../../core/poll";
import type { SnapshotRow } from "../cinder";
import { ASSISTED, type OpenStackContext } from "../context";
import type { DeleteInfo } from "../nova";
import { nullableFileName } from "./inputs";
import { claim, inFlight, leftBehind, mustStillBeOurs, resourceOf, serverNow, TakenOver, takeBack } from "./ownership";
import {
  type Checked,
  cinderDoesNotKnow,
  failed,
  isReported,
  mayBeDone,
  mergeUnknown,
  mismatch,
  noMergeReport,
  refuse,
  setStatus,
  unknown,
  untilReported,
  unverifiedReason,
} from "./preconditions";
import {
  atRest,
  type Expected,
  FINISHED,
  howToRecord,
  INTERRUPTED,
  ignoreErrors,
  MERGE_INTERVAL,
  notOurs,
  PHASE,
  phaseOf,
  progressOf,
  REPORTED,
  recordOn,
  removeRecord,
  unlessHidden,
  wordsOf,
  write,
} from "./state";

interface Merge {
  cloud: OpenStackContext;
  info: DeleteInfo;
  expected: Expected;
  manageStatus: boolean;
  context: OperationContext;
}

/** Whatever the row says, it ends with the overlay gone and no record left, or with an error. */
export async function removeOverlay(
  cloud: OpenStackContext,
  row: SnapshotRow,
  expected: Expected,
  known: State,
  context: OperationContext,
): Promise<void> {
  const info = deleteInfo(known);
  const merge: Merge = { cloud, info, expected, manageStatus: known.manageStatus === true, context };
  const step = phaseOf(row);
  // Its create had not asked Nova when it failed.
  if (
    isUnsent(known) &&
    (step === undefined || step === PHASE.asking) &&
    notOurs(row, expected, "or nobody's") === undefined
  ) {
    return tidy(merge, await write(cloud, row, atRest(row, PHASE.none)));
  }
  mustBeOurs(row, expected);
  switch (step) {
    case PHASE.merged:
    case PHASE.none:
    case PHASE.preparing:
      return tidy(merge, row);
    case PHASE.made:
    case PHASE.unseen:
    case PHASE.mergePreparing:
      return askToMerge(merge, row.id);
    case PHASE.asking:
    case PHASE.asked:
      if (isReported(row, "creating")) return askToMerge(merge, row.id);
      // Nova has reported that it could not.
      if (step === PHASE.asked && row.status.toLowerCase() === "error") {
        return tidy(merge, await write(cloud, row, atRest(row, PHASE.none)));
      }
      throw unknown(row.id, expected.file, `Cinder's record is "${row.status}" and shows no outcome of the create`);
    default:
      return untilMerged(merge, row, step === PHASE.mergeAsked ? undefined : INTERRUPTED);
  }
}

function isUnsent({ pending }: State): boolean {
  const { task } = (pending ?? {}) as Partial<Pending>;
  return task?.sent === false;
}

/** Nova looks at no record: it would merge anybody's overlay. */
function mustBeOurs(row: SnapshotRow, expected: Expected): void {
  const { id } = row;
  if (phaseOf(row) === undefined) {
    throw new SnapcloneError({
      kind: "refused",
      message: `snapshot ${id} no longer bears the record of this resource, so whether there is anything to merge is not known, and nothing was asked of Nova`,
      hint: `Look at the server's disk (\`virsh domblklist\`), write the record anew (${howToRecord(id, expected, PHASE.made, PHASE.merged)}: ${PHASE.made} if the disk is on ${expected.file}, ${PHASE.merged} if it is not), and run again.`,
    });
  }
  // The rest of a record that was being taken away: there is nothing to merge.
  const isRest = recordOn(row).owner === undefined && (phaseOf(row) === PHASE.merged || phaseOf(row) === PHASE.none);
  const whose = isRest ? undefined : notOurs(row, expected);
  if (whose === undefined) return;
  throw new SnapcloneError({
    kind: "refused",
    message: `${whose}: it is not merged for this resource, and nothing was asked of Nova`,
    hint: `If this resource's overlay is gone, take it out of the state (\`pulumi state delete <urn>\`). If the overlay is its own all the same, and nobody else manages it, write its record: ${howToRecord(id, expected, phaseOf(row) ?? PHASE.made)}.`,
  });
}

/** What Nova merges follows from these four alone. */
function deleteInfo(known: State): DeleteInfo {
  const name = (key: "fileToMerge" | "mergeTargetFile") => {
    const result = nullableFileName().safeParse(known[key]);
    if (result.success) return result.data ?? null;
    throw new SnapcloneError({
      kind: "input",
      message: `${key} in the state is not a file's name: nothing was asked of Nova`,
    });
  };
  return {
    volume_id: String(known.volumeId),
    type: "qcow2",
    file_to_merge: name("fileToMerge"),
    merge_target_file: name("mergeTargetFile"),
  };
}

function mayMerge({ volume, row, others }: Checked, { cloud, expected, manageStatus, context }: Merge): Evaluation {
  const wrong = mismatch(volume, row) ?? notOurs(row, expected);
  if (wrong) return refuse(wrong);
  const resource = resourceOf(expected);
  const left = leftBehind(others, resource, serverNow(cloud, context), context.deadline - context.clock.now());
  if (left) return refuse(...left);
  const busy = inFlight(others, resource);
  if (busy) return { is: "pending", progress: `waiting: ${busy}` };
  const status = row.status.toLowerCase();
  if (status === "error_deleting" && !manageStatus) {
    return refuse(
      `snapshot ${row.id} is in status "${row.status}": it takes no further report, so a merge could not be seen`,
      "An administrator has to reset it first (`openstack volume snapshot set --state available`); `manageStatus: true` does that.",
    );
  }
  if (isReported(row, "deleting") && !manageStatus) {
    return refuse(
      `Cinder's record of snapshot ${row.id} shows a report on a merge (deleting ${REPORTED}) that was there before`,
      "The next one could not be told from it. An administrator has to reset the status first (`openstack volume snapshot set --state available`); `manageStatus: true` does that.",
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

async function askToMerge(merge: Merge, snapshotId: string): Promise<void> {
  const { cloud, info, expected, manageStatus, context } = merge;
  // A report that is there already can't be told from the one to come.
  const isFresh = (row: SnapshotRow) =>
    row.status.toLowerCase() === "deleting" && progressOf(row) !== undefined && !isReported(row, "deleting");
  const entries = { [ASSISTED.step]: PHASE.mergePreparing };
  const judge = (facts: Checked) => mayMerge(facts, merge);
  const claimed = await claim({
    cloud,
    volumeId: info.volume_id,
    snapshotId,
    who: expected,
    // Nova merges below a stopped server, too, and refuses where it can't (docs/wire/openstack.md#b3).
    needsGuest: false,
    judge,
    entries,
    context,
  });
  const { before, nonceId } = claimed;
  let { row } = claimed;
  const managed = manageStatus && progressOf(before) !== undefined && !isFresh(before);
  let isPut = false;
  const done = () => {
    isPut = true;
  };
  const takeAllBack = async (step: string) => {
    // Said first: a run that dies in between leaves no question open.
    const entries = step === PHASE.merged ? atRest(row, step) : { [ASSISTED.step]: step };
    row = await write(cloud, row, entries).catch(() => row);
    if (isPut) await cloud.cinder.resetSnapshotStatus(snapshotId, before.status);
    if (step === PHASE.mergePreparing) await takeBack(cloud, before, nonceId);
  };

  let doubt: string | undefined;
  try {
    if (managed) row = await setStatus(cloud, row, "deleting", done);
    row = await write(cloud, row, { [ASSISTED.step]: PHASE.mergeAsking });
    mustStillBeOurs(row, nonceId);
    await cloud.nova.deleteAssistedSnapshot(snapshotId, info);
    row = await write(cloud, row, { [ASSISTED.step]: PHASE.mergeAsked }).catch(() => row);
  } catch (error) {
    if (error instanceof TakenOver) throw error;
    // Nova's own word that there is nothing to merge.
    if (isKind(error, "notFound")) {
      await ignoreErrors(takeAllBack(PHASE.merged));
      return tidy(merge, row);
    }
    if (!isKind(error, "ambiguous")) {
      isPut ||= managed && mayBeDone(error);
      await ignoreErrors(takeAllBack(PHASE.mergePreparing));
      throw error;
    }
    doubt = error.parts.message;
    if (!managed && !isFresh(before)) throw mergeUnknown(snapshotId, info, doubt);
  }
  return untilMerged(merge, row, doubt);
}

/** Nova was asked, by this run or by an earlier one; `doubt` is why that is not sure. */
async function untilMerged(merge: Merge, first: SnapshotRow, doubt: string | undefined): Promise<void> {
  const { cloud, info, context } = merge;
  const { id } = first;
  const asked = doubt === undefined;
  const row = await untilReported(cloud.assistedMerging, first, "deleting", {
    work: "merge",
    asked,
    judge: (seen, report) => report ?? judgeMerge(cloud, seen, id, info, asked),
    tooLate: (error) =>
      asked ? noMergeReport(id, info, error) : mergeUnknown(id, info, `${doubt}; ${error.parts.message}`),
    context,
  });
  if (!row) return;
  if (!isReported(row, "deleting")) {
    context.warn(
      `the merge of snapshot ${id} (${JSON.stringify(info)}) was asked for and could not be seen to be done: ${unverifiedReason(row, "deleting")}`,
    );
  }
  await tidy(merge, row);
}

async function judgeMerge(
  cloud: OpenStackContext,
  row: SnapshotRow | undefined,
  id: string,
  info: DeleteInfo,
  asked: boolean,
): Promise<Evaluation> {
  if (!row) return { is: "done", progress: "the snapshot is gone" };
  switch (row.status.toLowerCase()) {
    case "error_deleting":
      // The overlay is still there; whoever has removed the cause may try again.
      await ignoreErrors(write(cloud, row, atRest(row, PHASE.made)));
      return failed(
        `Nova could not merge snapshot ${id}: Cinder's record went to "error_deleting". Asked was ${JSON.stringify(info)}`,
        `${MERGE_INTERVAL} A merge needs names of files in the disk's chain, which must be linked by relative names. Correct fileToMerge and mergeTargetFile if they are wrong (after \`pulumi refresh\` that changes the state alone), have the status reset, and delete again.`,
      );
    default:
      if (asked) return { is: "done", progress: wordsOf(row) };
      return {
        is: "failed",
        error: mergeUnknown(id, info, `the record is in status "${row.status}", which shows nothing`),
      };
  }
}

/**
 * There is no overlay any more: Cinder's row becomes what it was before. In this order, so that a delete that comes again
 * asks Nova for nothing, wherever this one ends.
 */
async function tidy({ cloud, info, expected, manageStatus, context }: Merge, row: SnapshotRow): Promise<void> {
  const step = phaseOf(row);
  const isSaid = step === PHASE.merged || step === PHASE.none || step === PHASE.preparing;
  const message = isSaid ? row : await write(cloud, row, atRest(row, PHASE.merged));
  if (phaseOf(message) === PHASE.merged) {
    const { file_to_merge, merge_target_file } = info;
    const what = merge_target_file === null ? `is on ${expected.file} for good` : `has lost ${file_to_merge}`;
    context.warn(cinderDoesNotKnow(info.volume_id, what));
  }
  // Nova's report never came, or nobody has ended what it was to report on: Cinder lets no such snapshot be deleted.
  if (manageStatus && /^(creating|deleting)$/i.test(row.status)) {
    // A reset leaves the progress as Nova has reported it (docs/wire/openstack.md#a12).
    const { status } = row;
    if (isReported(row, "deleting"))
      await unlessHidden(cloud.cinder.updateSnapshotStatus(row.id, status, FINISHED, true));
    await unlessHidden(cloud.cinder.resetSnapshotStatus(row.id, "available"));
  }
  try {
    await removeRecord(cloud, message);
  } catch (error) {
    if (!isKind(error, "forbidden")) throw error;
    context.warn(`the record of the overlay stays on snapshot ${row.id}: ${error.parts.message}`);
  }
}
