// The merge of an overlay: checked, asked for once with a complete delete_info, and waited for as far as Cinder's row can
// show it.

import type { Job, State } from "../core/definition";
import { isKind, SnapcloneError } from "../core/errors";
import type { Verdict } from "../core/wait";
import {
  type Checked,
  failed,
  howToSay,
  inFlight,
  isReported,
  mergeUnknown,
  mismatch,
  putInto,
  refuse,
  unknown,
  untilFree,
  untilReported,
  whyUnseen,
} from "./assistedChecks";
import { nullableFileName } from "./assistedInputs";
import { INTERRUPTED, LOOK, mark, present, progressOf, quietly, REPORTED, STEP, stepOf, wordsOf } from "./assistedRow";
import type { SnapshotRow } from "./cinder";
import { ASSISTED, type Cloud } from "./cloud";
import type { DeleteInfo } from "./nova";

export async function removeOverlay(cloud: Cloud, row: SnapshotRow, known: State, job: Job): Promise<void> {
  const info = deleteInfo(row, known);
  const step = stepOf(row);
  switch (step) {
    case STEP.merged:
    case STEP.none:
      return tidy(cloud, row, known);
    case STEP.made:
    case STEP.unseen:
      return askToMerge(cloud, row.id, info, known, job);
    case STEP.asking:
    case STEP.asked:
      if (isReported(row, "creating")) return askToMerge(cloud, row.id, info, known, job);
      // Nova has reported that it could not.
      if (step === STEP.asked && row.status.toLowerCase() === "error")
        return mark(cloud, row.id, { [ASSISTED.step]: STEP.none });
      throw unknown(
        row.id,
        String(known.newFile),
        `Cinder's record is "${row.status}" and shows no outcome of the create`,
      );
    case STEP.mergeAsking:
    case STEP.mergeAsked:
      return untilMerged(cloud, row, info, known, step === STEP.mergeAsked ? undefined : INTERRUPTED, job);
    default:
      throw new SnapcloneError({
        kind: "refused",
        said: `snapshot ${row.id} no longer bears the mark of this resource, so whether there is anything to merge is not known, and nothing was asked of Nova`,
        remedy: howToSay(
          row.id,
          `${STEP.made} if the disk is on ${String(known.newFile)}`,
          `${STEP.merged} if it is not`,
        ),
      });
  }
}

/** What Nova merges follows from these four alone. */
function deleteInfo(row: SnapshotRow, known: State): DeleteInfo {
  const name = (key: "fileToMerge" | "mergeTargetFile") => {
    const result = nullableFileName().safeParse(known[key]);
    if (result.success) return result.data ?? null;
    throw new SnapcloneError({
      kind: "input",
      said: `${key} in the state is not a file's name: nothing was asked of Nova`,
    });
  };
  return {
    volume_id: row.volume_id,
    type: "qcow2",
    file_to_merge: name("fileToMerge"),
    merge_target_file: name("mergeTargetFile"),
  };
}

function mayMerge({ volume, row, others }: Checked, managed: boolean): Verdict {
  const wrong = mismatch(volume, row);
  if (wrong) return refuse(wrong);
  const busy = inFlight(others);
  if (busy) return { is: "pending", progress: `waiting: ${busy}` };
  const status = row.status.toLowerCase();
  if (status === "error_deleting" && !managed) {
    return refuse(
      `snapshot ${row.id} is in status "${row.status}": it takes no further report, so a merge could not be seen`,
      "An administrator has to reset it first (`openstack volume snapshot set --state available`); `manageStatus: true` does that.",
    );
  }
  if (isReported(row, "deleting") && !managed) {
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

async function askToMerge(cloud: Cloud, id: string, info: DeleteInfo, known: State, job: Job): Promise<void> {
  const managed = known.manageStatus === true;
  const ids = { volumeId: info.volume_id, snapshotId: id };
  const row = await untilFree(cloud, ids, job, (facts) => mayMerge(facts, managed));
  const before = stepOf(row) ?? STEP.made;
  const deleting = row.status.toLowerCase() === "deleting";
  // A report that is there already can't be told from the one to come.
  const fresh = deleting && progressOf(row) !== undefined && !isReported(row, "deleting");
  const put = managed && progressOf(row) !== undefined && !fresh;
  const shows = put || fresh;
  const takeBack = async (step: string) => {
    await quietly(mark(cloud, id, { [ASSISTED.step]: step }));
    if (put) await quietly(cloud.cinder.resetSnapshotStatus(id, row.status));
  };

  if (put) await putInto(cloud, row, "deleting");
  try {
    await mark(cloud, id, { [ASSISTED.step]: STEP.mergeAsking, [ASSISTED.phase]: "settled" });
  } catch (error) {
    await takeBack(before);
    throw error;
  }
  let doubt: string | undefined;
  try {
    await cloud.nova.deleteAssistedSnapshot(id, info);
    await quietly(mark(cloud, id, { [ASSISTED.step]: STEP.mergeAsked }));
  } catch (error) {
    // Nova's own word that there is nothing to merge.
    if (isKind(error, "notFound")) return takeBack(STEP.merged);
    if (!isKind(error, "ambiguous")) {
      await takeBack(before);
      throw error;
    }
    doubt = error.parts.said;
    if (!shows) throw mergeUnknown(id, info, doubt);
  }
  return untilMerged(cloud, await present(cloud, id, job.signal), info, known, doubt, job);
}

/** Nova was asked, by this run or by an earlier one; `doubt` is why that is not sure. */
async function untilMerged(
  cloud: Cloud,
  first: SnapshotRow,
  info: DeleteInfo,
  known: State,
  doubt: string | undefined,
  job: Job,
): Promise<void> {
  const { id } = first;
  const asked = doubt === undefined;
  const row = await untilReported(cloud.assistedMerging, first, "deleting", {
    work: "merge",
    asked,
    judge: (seen) => judgeMerge(cloud, seen, id, info, asked),
    tooLate: ({ parts }) =>
      asked
        ? new SnapcloneError({ ...parts, remedy: `Asked was ${JSON.stringify(info)}. ${LOOK}` })
        : mergeUnknown(id, info, `${doubt}; ${parts.said}`),
    job,
  });
  if (!row) return;
  if (!isReported(row, "deleting")) {
    job.warn(
      `the merge of snapshot ${id} (${JSON.stringify(info)}) was asked for and could not be seen to be done: ${whyUnseen(row, "deleting")}`,
    );
  }
  await tidy(cloud, row, known);
}

async function judgeMerge(
  cloud: Cloud,
  row: SnapshotRow | undefined,
  id: string,
  info: DeleteInfo,
  asked: boolean,
): Promise<Verdict> {
  if (!row) return { is: "done", progress: "the snapshot is gone" };
  switch (row.status.toLowerCase()) {
    case "error_deleting":
      // The overlay is still there; whoever has removed the cause may try again.
      await quietly(mark(cloud, id, { [ASSISTED.step]: STEP.made }));
      return failed(
        `Nova could not merge snapshot ${id}: Cinder's record went to "error_deleting". Asked was ${JSON.stringify(info)}`,
        `${LOOK} A merge needs names of files in the disk's chain, which must be linked by relative names. Correct fileToMerge and mergeTargetFile if they are wrong (after \`pulumi refresh\` that changes the state alone), have the status reset, and delete again.`,
      );
    default:
      if (asked) return { is: "done", progress: wordsOf(row) };
      return {
        is: "failed",
        error: mergeUnknown(id, info, `the record is in status "${row.status}", which shows nothing`),
      };
  }
}

/** The overlay is gone. Its trace stays, so that a delete that comes again asks Nova for nothing. */
async function tidy(cloud: Cloud, row: SnapshotRow, known: State): Promise<void> {
  const step = stepOf(row) === STEP.none ? STEP.none : STEP.merged;
  await mark(cloud, row.id, { [ASSISTED.step]: step, [ASSISTED.phase]: "settled" });
  if (known.manageStatus !== true || row.status.toLowerCase() !== "deleting") return;
  await cloud.cinder.resetSnapshotStatus(row.id, "available");
}
