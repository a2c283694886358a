// An overlay: checked, asked for once, and waited for as far as Cinder's row can show it.

import type { Job } from "../core/definition";
import { isKind, SnapcloneError } from "../core/errors";
import type { Verdict } from "../core/wait";
import {
  type Checked,
  failed,
  inFlight,
  mismatch,
  putInto,
  refuse,
  unknown,
  untilFree,
  untilReported,
} from "./assistedChecks";
import type { AssistedSnapshotInputs } from "./assistedInputs";
import { BEGUN, isOccupied, LOOK, mark, progressOf, quietly, REPORTED, STEP, stepOf, wordsOf } from "./assistedRow";
import type { SnapshotRow } from "./cinder";
import { ASSISTED, type Cloud } from "./cloud";

/** All checks, the mark, and the one request. Its outcome comes later. */
export async function askForOverlay(
  cloud: Cloud,
  inputs: AssistedSnapshotInputs,
  own: Record<string, string>,
  job: Job,
): Promise<void> {
  const { volumeId, snapshotId, newFile, type, manageStatus } = inputs;
  const row = await untilFree(cloud, { volumeId, snapshotId }, job, (found) => mayCreate(found, inputs));
  const managed = manageStatus === true && row.status.toLowerCase() === "available" && progressOf(row) !== undefined;
  if (managed) await putInto(cloud, row, "creating");
  try {
    await mark(cloud, snapshotId, { ...own, [ASSISTED.file]: newFile, [ASSISTED.step]: STEP.asking });
    const info = { snapshot_id: snapshotId, type, new_file: newFile, id: snapshotId };
    await cloud.nova.createAssistedSnapshot(volumeId, info);
  } catch (error) {
    // Whatever else it is, Nova was not asked, or has said no.
    if (!isKind(error, "ambiguous")) {
      await quietly(mark(cloud, snapshotId, { [ASSISTED.step]: STEP.none, [ASSISTED.phase]: "settled" }));
      if (managed) await quietly(cloud.cinder.resetSnapshotStatus(snapshotId, row.status));
    }
    throw error;
  }
  // Nova has accepted it: nothing may hide that.
  await quietly(mark(cloud, snapshotId, { [ASSISTED.step]: STEP.asked }));
}

/** Everything that Nova does not look at. */
function mayCreate({ volume, row, others }: Checked, { manageStatus }: AssistedSnapshotInputs): Verdict {
  const wrong = mismatch(volume, row);
  if (wrong) return refuse(wrong);
  if (isOccupied(row)) {
    const owner = row.metadata[ASSISTED.owner];
    return refuse(
      `snapshot ${row.id} has an overlay already: its mark says "${stepOf(row)}"${owner ? `, made for ${owner}` : ""}`,
      "One AssistedSnapshot for each snapshot. To replace one, let the old one go first (deleteBeforeReplace).",
    );
  }
  const busy = inFlight(others);
  if (busy) return { is: "pending", progress: `waiting: ${busy}` };

  const status = row.status.toLowerCase();
  const progress = progressOf(row);
  if (status === "available") return { is: "done", progress: "" };
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
  cloud: Cloud,
  first: SnapshotRow,
  asked: boolean,
  inputs: AssistedSnapshotInputs,
  job: Job,
): Promise<SnapshotRow> {
  const row = await untilReported(cloud.assistedCreating, first, "creating", {
    work: "overlay",
    asked,
    judge: (row) => judgeSwitch(cloud, row, first.id, asked, inputs),
    tooLate: ({ parts }) =>
      asked ? new SnapcloneError({ ...parts, remedy: LOOK }) : unknown(first.id, inputs.newFile, parts.said),
    job,
  });
  return row as SnapshotRow;
}

async function judgeSwitch(
  cloud: Cloud,
  row: SnapshotRow | undefined,
  id: string,
  asked: boolean,
  { manageStatus, newFile }: AssistedSnapshotInputs,
): Promise<Verdict> {
  if (!row) {
    return failed(
      `Cinder's snapshot ${id} vanished, so the outcome of the overlay can't be seen`,
      `If the disk of the server is on ${newFile} (\`virsh domblklist\`), it stays there.`,
    );
  }
  switch (row.status.toLowerCase()) {
    case "error":
      await quietly(mark(cloud, id, { [ASSISTED.step]: STEP.none }));
      // The copy itself is as good as before: we had put it into `creating`.
      if (manageStatus) await quietly(cloud.cinder.resetSnapshotStatus(id, "available"));
      return failed(
        `Nova could not switch the disk to ${newFile}: Cinder's record of snapshot ${id} went to "error". The disk is as it was`,
        LOOK,
      );
    case "deleting":
    case "error_deleting":
    case "unmanaging":
      return failed(`somebody else is removing snapshot ${id} (status "${row.status}")`, LOOK);
    default:
      if (asked) return { is: "done", progress: wordsOf(row) };
      return {
        is: "failed",
        error: unknown(id, newFile, `the record is in status "${row.status}", which shows nothing`),
      };
  }
}
