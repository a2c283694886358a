// AssistedSnapshot: Nova switches a running guest's disk to an overlay file, and merges it back on deletion. The API
// answers at once, checks little and shows nothing, so all that is known comes from Cinder's record of the snapshot:
// it is checked before each request, and is where the outcome shows, if it shows (reference openstack-seen.md).

import { z } from "zod";
import type { Definition, Job, Marker, Observed, OpenObject, State } from "../core/definition";
import { isKind, SnapcloneError } from "../core/errors";
import { connectionName } from "../core/inputs";
import { type Verdict, type Wait, waitFor } from "../core/wait";
import { type SnapshotRow, type VolumeRow, whatIsMissing } from "./cinder";
import { ASSISTED, type Cloud, openstack } from "./cloud";
import { uuid } from "./inputs";
import type { DeleteInfo } from "./nova";

export interface AssistedSnapshotInputs {
  volumeId: string;
  snapshotId: string;
  newFile: string;
  type: "qcow2";
  fileToMerge?: string | undefined;
  mergeTargetFile?: string | undefined;
  manageStatus?: boolean;
  connection?: string;
}

/** Nova reports within a second or two (openstack-seen.md); Cinder itself waits 1 s, later 10 s between looks (§B5). */
const PACE = { first: 500, most: 10_000 };
/** For other operations on the volume: most of Cinder's own end in seconds, some in hours. */
const BUSY_MS = 120_000;
/** After a run that was killed on the way to Nova: by now a report would have come. */
const UNKNOWN_MS = 60_000;

/**
 * How far an overlay has got, in Cinder's row. Written before and after each request to Nova, since Nova can't be asked:
 * whatever happens in between, the next run knows whether it may ask.
 */
const STEP = {
  /** Nova is about to be asked for the overlay, or was: a run that died here can't tell. */
  asking: "asking",
  /** Nova has said yes. */
  asked: "asked",
  /** Cinder's row has shown that the overlay is in place. */
  made: "made",
  /** Nova has said yes, and Cinder's row could not show the outcome. */
  unseen: "unseen",
  mergeAsking: "merge-asking",
  mergeAsked: "merge-asked",
  merged: "merged",
  /** There is no overlay: the request was refused, or failed. */
  none: "none",
} as const;

/** An overlay is there, is coming, or is on its way out. */
const OCCUPIED: ReadonlySet<string> = new Set([
  STEP.asking,
  STEP.asked,
  STEP.made,
  STEP.unseen,
  STEP.mergeAsking,
  STEP.mergeAsked,
]);
const IN_FLIGHT: ReadonlySet<string> = new Set([STEP.asking, STEP.asked, STEP.mergeAsking, STEP.mergeAsked]);

/** Nova's sign, in either direction. */
const REPORTED = "90%";
/** Cinder's own progress, and that of a row that Cinder has only begun to make. */
const [BEGUN, FINISHED] = ["0%", "100%"];
/** Put in the place of an old report, so that the new one can be told from it. */
const NOT_REPORTED = "10%";

const INTERRUPTED = "a run was stopped on its way to Nova";
const LOOK =
  "nova-compute's log on the server's host has the reason. Usual ones: the server is not running, its driver is not libvirt, `newFile` is missing in the volume's folder or cannot be read by QEMU.";

export const assistedSnapshot: Definition<AssistedSnapshotInputs, Cloud> = {
  noun: "assisted snapshot",
  connection: openstack,
  inputs: {
    volumeId: { onChange: "replace", schema: uuid("a volume") },
    snapshotId: { onChange: "replace", schema: uuid("a snapshot") },
    newFile: { onChange: "replace", schema: fileName() },
    type: {
      onChange: "replace",
      schema: z.literal("qcow2", 'must be "qcow2", the only type there is').default("qcow2"),
    },
    fileToMerge: { onChange: correction, schema: nullable(fileName()) },
    mergeTargetFile: { onChange: correction, schema: nullable(fileName()) },
    manageStatus: { onChange: "update", schema: z.boolean("must be true or false").optional() },
    connection: { onChange: "replace", schema: connectionName().optional() },
  },
  contradictions({ fileToMerge, mergeTargetFile }, unsure) {
    if (mergeTargetFile === undefined || unsure.has("fileToMerge")) return [];
    const property = "mergeTargetFile";
    // libvirt would take the active file for what is missing, and refuse that, later and unseen.
    if (fileToMerge === undefined) return [{ property, reason: "needs fileToMerge, the file that is merged into it" }];
    if (fileToMerge !== mergeTargetFile) return [];
    return [{ property, reason: "is the same as fileToMerge: a file can't be merged into itself" }];
  },
  // Cinder gives Nova 600 s for an overlay and 7200 s for a merge (cinder/volume/drivers/remotefs.py:1917–2080).
  timeouts: { create: "10m", update: "5m", delete: "2h" },
  // One overlay for each snapshot, and a new one beside it would be merged with it.
  deleteBeforeReplace: true,
  afterFailedCreate: "replace",

  describe: ({ id, volumeId, snapshotId }) =>
    typeof snapshotId === "string"
      ? `assisted snapshot ${snapshotId} of volume ${volumeId}`
      : `assisted snapshot ${String(id)}`,

  async listOpen(cloud) {
    const filter = { metadata: { [ASSISTED.phase]: "open" }, all_tenants: true };
    const { snapshots } = await cloud.cinder.listSnapshotsDetail(filter);
    return snapshots.filter((row) => isOccupied(row)).map(openObject);
  },

  async claim(cloud, id, run) {
    await cloud.cinder.updateSnapshotMetadataKey(partsOf(id).snapshotId, ASSISTED.adopted, run);
  },

  async settle(cloud, id) {
    await cloud.cinder.updateSnapshotMetadataKey(partsOf(id).snapshotId, ASSISTED.phase, "settled");
  },

  async start(cloud, inputs, marker, job) {
    const { volumeId, snapshotId } = inputs;
    await takeTurn(cloud, volumeId, job);
    try {
      await askForOverlay(cloud, inputs, marks(marker), job);
      return { id: `${volumeId}/${snapshotId}`, task: { asked: true } };
    } catch (error) {
      leaveTurn(cloud, job);
      throw error;
    }
  },

  async finish(cloud, { id, task }, inputs, job) {
    const { volumeId, snapshotId } = partsOf(id);
    await takeTurn(cloud, volumeId, job);
    try {
      let first = await present(cloud, snapshotId, job.signal);
      // Somebody has looked: the run that was stopped on its way to Nova had not got there.
      const anew = stepOf(first) === STEP.none;
      if (anew) {
        await askForOverlay(cloud, inputs, {}, job);
        first = await present(cloud, snapshotId, job.signal);
      }
      const step = stepOf(first);
      if (step === STEP.unseen) return observed(first, {});
      if (step !== STEP.made) {
        const asked = anew || task.asked === true || step === STEP.asked;
        const row = await untilSwitched(cloud, first, asked, inputs, job);
        const seen = isReported(row, "creating");
        await mark(cloud, snapshotId, { [ASSISTED.step]: seen ? STEP.made : STEP.unseen });
        if (!seen) {
          const reason = whyUnseen(row, "creating");
          job.warn(
            `the overlay of snapshot ${snapshotId} was asked for and could not be seen to be in place: ${reason}`,
          );
          return observed(await present(cloud, snapshotId, job.signal), { unverifiedReason: reason });
        }
      }
      // Nobody else moves the row on, and Nova looks at it twice a second until somebody does (§B4).
      const row = await present(cloud, snapshotId, job.signal);
      if (inputs.manageStatus !== true || row.status.toLowerCase() !== "creating") return observed(row, {});
      await cloud.cinder.updateSnapshotStatus(snapshotId, "available", FINISHED);
      return observed(await present(cloud, snapshotId, job.signal), {});
    } finally {
      leaveTurn(cloud, job);
    }
  },

  async observe(cloud, id, known, signal) {
    const row = await cloud.snapshot(partsOf(id).snapshotId, signal);
    return row && observed(row, known);
  },

  // What may change is told to Nova at the end, and not before.
  change: async (_cloud, _id, from) => from,

  async remove(cloud, id, known, job) {
    const { volumeId, snapshotId } = partsOf(id);
    await takeTurn(cloud, volumeId, job);
    try {
      const row = await cloud.snapshot(snapshotId, job.signal);
      if (!row) {
        job.warn(
          `Cinder's snapshot ${snapshotId} is gone, so nothing was merged: if the disk of the server still is on ${String(known.newFile)}, it stays there (\`virsh domblklist\` shows it)`,
        );
        return;
      }
      await removeOverlay(cloud, row, { ...known, newFile: row.metadata[ASSISTED.file] ?? known.newFile }, job);
    } finally {
      leaveTurn(cloud, job);
    }
  },

  async problem(_cloud, id, { status }) {
    if (!/^error/i.test(String(status))) return undefined;
    return `Cinder's record of snapshot ${partsOf(id).snapshotId} is in status "${String(status)}". ${LOOK} An administrator can reset the status (\`openstack volume snapshot set --state available\`).`;
  },
};

// --- create ---

/** All checks, the mark, and the one request. Its outcome comes later. */
async function askForOverlay(
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

async function untilSwitched(
  cloud: Cloud,
  first: SnapshotRow,
  asked: boolean,
  inputs: AssistedSnapshotInputs,
  job: Job,
): Promise<SnapshotRow> {
  const { id } = first;
  const leave = cloud.assistedCreating.join();
  try {
    const row = await waitFor<SnapshotRow | undefined>({
      what: `Nova's report on the overlay of snapshot ${id} ("creating", ${REPORTED})`,
      look: (signal) => cloud.assistedCreating.look(id, signal),
      news: (signal) => cloud.assistedCreating.news(id, signal),
      judge: (row) => judgeSwitch(cloud, row, id, asked, inputs),
      first,
      pace: PACE,
      job: asked ? job : shorter(job, UNKNOWN_MS),
    });
    return row as SnapshotRow;
  } catch (error) {
    if (!isKind(error, "deadline")) throw error;
    if (!asked) throw unknown(id, inputs.newFile, error.parts.said);
    throw new SnapcloneError({ ...error.parts, remedy: LOOK });
  } finally {
    leave();
  }
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
  const progress = [row.status, progressOf(row)].filter(Boolean).join(" ");
  if (isReported(row, "creating")) return { is: "done", progress };
  switch (row.status.toLowerCase()) {
    case "creating":
      if (progressOf(row) !== undefined || !asked) return { is: "pending", progress };
      return { is: "done", progress };
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
      if (asked) return { is: "done", progress };
      return {
        is: "failed",
        error: unknown(id, newFile, `the record is in status "${row.status}", which shows nothing`),
      };
  }
}

// --- delete ---

async function removeOverlay(cloud: Cloud, row: SnapshotRow, known: State, job: Job): Promise<void> {
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
    const result = assistedSnapshot.inputs[key].schema.safeParse(known[key]);
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
  const leave = cloud.assistedMerging.join();
  let row: SnapshotRow | undefined;
  try {
    row = await waitFor<SnapshotRow | undefined>({
      what: `Nova's report on the merge of snapshot ${id} ("deleting", ${REPORTED})`,
      look: (signal) => cloud.assistedMerging.look(id, signal),
      news: (signal) => cloud.assistedMerging.news(id, signal),
      judge: (seen) => judgeMerge(cloud, seen, id, info, asked),
      first,
      pace: PACE,
      job: asked ? job : shorter(job, UNKNOWN_MS),
    });
  } catch (error) {
    if (!isKind(error, "deadline")) throw error;
    if (!asked) throw mergeUnknown(id, info, `${doubt}; ${error.parts.said}`);
    throw new SnapcloneError({ ...error.parts, remedy: `Asked was ${JSON.stringify(info)}. ${LOOK}` });
  } finally {
    leave();
  }
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
  const progress = [row.status, progressOf(row)].filter(Boolean).join(" ");
  if (isReported(row, "deleting")) return { is: "done", progress };
  switch (row.status.toLowerCase()) {
    case "deleting":
      if (progressOf(row) !== undefined || !asked) return { is: "pending", progress };
      return { is: "done", progress };
    case "error_deleting":
      // The overlay is still there; whoever has removed the cause may try again.
      await quietly(mark(cloud, id, { [ASSISTED.step]: STEP.made }));
      return failed(
        `Nova could not merge snapshot ${id}: Cinder's record went to "error_deleting". Asked was ${JSON.stringify(info)}`,
        `${LOOK} A merge needs names of files in the disk's chain, which must be linked by relative names. Correct fileToMerge and mergeTargetFile if they are wrong (after \`pulumi refresh\` that changes the state alone), have the status reset, and delete again.`,
      );
    default:
      if (asked) return { is: "done", progress };
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

// --- what both look at ---

interface Facts {
  volume: VolumeRow | undefined;
  row: SnapshotRow | undefined;
  /** The volume's other snapshots. */
  others: SnapshotRow[];
}

interface Checked extends Facts {
  volume: VolumeRow;
  row: SnapshotRow;
}

/** Asks Cinder until nothing else is under way on the volume, for a while; the last answers are the ones that count. */
async function untilFree(
  cloud: Cloud,
  { volumeId, snapshotId }: { volumeId: string; snapshotId: string },
  job: Job,
  judge: (facts: Checked) => Verdict,
): Promise<SnapshotRow> {
  const { row } = await waitFor<Facts>({
    what: `volume ${volumeId} to be free of other operations`,
    look: async (signal) => {
      const [volume, row, { snapshots }] = await Promise.all([
        volumeOf(cloud, volumeId, signal),
        cloud.snapshot(snapshotId, signal),
        cloud.cinder.listSnapshotsDetail({ volume_id: volumeId, all_tenants: true }, signal),
      ]);
      return {
        volume,
        row,
        others: snapshots.filter(({ id, volume_id }) => id !== snapshotId && volume_id === volumeId),
      };
    },
    judge: ({ volume, row, others }) => {
      if (!row) return refuse(`Cinder has no snapshot ${snapshotId}`, NOT_THERE);
      if (!volume) return refuse(`Cinder has no volume ${volumeId}`, NOT_THERE);
      return judge({ volume, row, others });
    },
    pace: PACE,
    job: shorter(job, BUSY_MS),
  });
  return row as SnapshotRow;
}

const NOT_THERE =
  "It was deleted, or the connection's project or region is not the right one. Nothing was asked of Nova.";

async function volumeOf(cloud: Cloud, id: string, signal: AbortSignal): Promise<VolumeRow | undefined> {
  try {
    return await cloud.cinder.showVolume(id, signal);
  } catch (error) {
    if (whatIsMissing(error) === "volume") return undefined;
    throw error;
  }
}

/** Why Nova must not be asked about these two, whatever the rest. */
function mismatch(volume: VolumeRow, row: SnapshotRow): string | undefined {
  if (row.volume_id !== volume.id) return `snapshot ${row.id} is of volume ${row.volume_id}, not of ${volume.id}`;
  if (volume.multiattach || volume.attachments.length > 1)
    return `volume ${volume.id} may be attached to several servers`;
  if (volume.status.toLowerCase() !== "in-use" || volume.attachments.length === 0) {
    return `volume ${volume.id} is attached to no server (status "${volume.status}"), and only a running server's disk can be switched or merged`;
  }
  return undefined;
}

/** What else is going on in the volume's chain of files, by Cinder's word and by our marks. */
function inFlight(others: readonly SnapshotRow[]): string | undefined {
  const busy = others.find(
    (row) => /^(creating|deleting|restoring)$/i.test(row.status) || IN_FLIGHT.has(stepOf(row) ?? ""),
  );
  if (!busy) return undefined;
  const step = stepOf(busy);
  const ours =
    step !== undefined && IN_FLIGHT.has(step)
      ? `, marked "${step}" for ${busy.metadata[ASSISTED.owner] ?? "somebody"}`
      : "";
  return `snapshot ${busy.id} of the same volume is ${[busy.status, progressOf(busy)].filter(Boolean).join(" ")}${ours}`;
}

function isReported(row: SnapshotRow, status: "creating" | "deleting"): boolean {
  return row.status.toLowerCase() === status && progressOf(row) === REPORTED;
}

function whyUnseen(row: SnapshotRow, wanted: "creating" | "deleting"): string {
  if (progressOf(row) === undefined) return "the cloud's policy hides the progress of Cinder's snapshots";
  return `Cinder's record is in status "${row.status}", and it takes Nova's report only while it is "${wanted}" (manageStatus: true puts it there)`;
}

/** An administrator's act, and only by `manageStatus`. An old report would be taken for the new one (openstack-seen.md). */
async function putInto(cloud: Cloud, row: SnapshotRow, status: "creating" | "deleting"): Promise<void> {
  await cloud.cinder.resetSnapshotStatus(row.id, status);
  if (progressOf(row) !== REPORTED) return;
  try {
    await cloud.cinder.updateSnapshotStatus(row.id, status, NOT_REPORTED);
  } catch (error) {
    await quietly(cloud.cinder.resetSnapshotStatus(row.id, row.status));
    throw error;
  }
}

/** Taken by `start`, kept until `finish` has ended: both are given the same job. */
async function takeTurn(cloud: Cloud, volumeId: string, job: Job): Promise<void> {
  if (cloud.assistedTurns.has(job)) return;
  cloud.assistedTurns.set(job, await cloud.turns.take([volumeId], "volume", job));
}

function leaveTurn(cloud: Cloud, job: Job): void {
  cloud.assistedTurns.get(job)?.();
  cloud.assistedTurns.delete(job);
}

function shorter(job: Job, most: number): Wait<unknown>["job"] {
  const { clock, deadline, signal } = job;
  return { clock, signal, progress: (text) => job.progress(text), deadline: Math.min(deadline, clock.now() + most) };
}

function refuse(said: string, remedy = "Nothing was asked of Nova."): Verdict {
  return { is: "failed", error: new SnapcloneError({ kind: "refused", said, remedy }) };
}

function failed(said: string, remedy: string): Verdict {
  return { is: "failed", error: new SnapcloneError({ kind: "failed", said, remedy }) };
}

/** A run was stopped between its mark and Nova's answer. Neither asking again nor merging is safe before somebody has looked. */
function unknown(id: string, newFile: string, why: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    said: `whether the disk was switched to ${newFile} is not known: ${why}`,
    remedy: howToSay(id, `${STEP.asked} if the disk is on ${newFile}`, `${STEP.none} if it is not`),
  });
}

function mergeUnknown(id: string, info: DeleteInfo, why: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    said: `whether Nova has merged ${JSON.stringify(info)} is not known: ${why}`,
    remedy: howToSay(id, `${STEP.merged} if it has`, `${STEP.made} if it has not`),
  });
}

function howToSay(id: string, ...answers: string[]): string {
  return `Look at the server's disk (\`virsh domblklist\`, \`qemu-img info --backing-chain -U\`), say what is so on Cinder's record (\`openstack volume snapshot set --property ${ASSISTED.step}=… ${id}\`: ${answers.join(", ")}), and run again.`;
}

// --- the row ---

function observed(row: SnapshotRow, { unverifiedReason }: State): Observed {
  const step = stepOf(row);
  const verified = step === STEP.made || step === STEP.mergeAsking || step === STEP.mergeAsked;
  const reason =
    unverifiedReason ?? UNVERIFIED[step ?? ""] ?? "Cinder's record no longer bears the mark of this resource";
  return {
    state: {
      volumeId: row.volume_id,
      snapshotId: row.id,
      status: row.status,
      progress: progressOf(row),
      verified,
      unverifiedReason: verified ? undefined : reason,
    },
    openOwner: row.metadata[ASSISTED.phase] === "open" ? row.metadata[ASSISTED.owner] : undefined,
    adoptedBy: row.metadata[ASSISTED.adopted],
  };
}

const UNVERIFIED: Readonly<Record<string, string>> = {
  [STEP.asking]: INTERRUPTED,
  [STEP.asked]: "Nova has accepted it, and its report has not been seen yet",
  [STEP.unseen]:
    "Cinder's record was not in status \"creating\", or its progress is hidden, so it could not show Nova's report",
  [STEP.none]: "there is no overlay",
  [STEP.merged]: "the overlay has been merged",
};

function openObject(row: SnapshotRow): OpenObject {
  return {
    id: `${row.volume_id}/${row.id}`,
    task: { asked: stepOf(row) !== STEP.asking },
    owner: row.metadata[ASSISTED.owner] ?? "",
    inputs: row.metadata[ASSISTED.inputs] ?? "",
    state: observed(row, {}).state,
  };
}

function marks({ owner, inputs }: Marker): Record<string, string> {
  return owner === "" ? {} : { [ASSISTED.owner]: owner, [ASSISTED.inputs]: inputs, [ASSISTED.phase]: "open" };
}

async function mark(cloud: Cloud, id: string, metadata: Record<string, string>): Promise<void> {
  await cloud.cinder.createSnapshotMetadata(id, metadata);
}

/** What must not stand in the way of what is being said or returned; the next run meets it as it is. */
async function quietly(work: Promise<unknown>): Promise<void> {
  await work.catch(() => {});
}

async function present(cloud: Cloud, id: string, signal: AbortSignal): Promise<SnapshotRow> {
  const row = await cloud.snapshot(id, signal);
  if (row) return row;
  throw new SnapcloneError({ kind: "failed", said: `Cinder's snapshot ${id} is gone` });
}

function isOccupied(row: SnapshotRow): boolean {
  return OCCUPIED.has(stepOf(row) ?? "");
}

function stepOf(row: SnapshotRow): string | undefined {
  return row.metadata[ASSISTED.step];
}

function progressOf(row: SnapshotRow): string | undefined {
  return row["os-extended-snapshot-attributes:progress"] ?? undefined;
}

function partsOf(id: string): { volumeId: string; snapshotId: string } {
  const [volumeId = "", snapshotId = ""] = id.split("/");
  return { volumeId, snapshotId };
}

// --- the inputs ---

/** What a delete asks can be corrected when it has failed by it; at any other time it belongs to what was made. */
function correction(olds: State): "replace" | "update" {
  return /^error_deleting$/i.test(String(olds.status)) ? "update" : "replace";
}

/**
 * A name and nothing more. With a path the switch succeeds and every later merge fails (openstack-seen.md), and a colon
 * makes QEMU read a protocol (block.c, path_has_protocol).
 */
function fileName() {
  return z
    .string("must be the name of a file")
    .min(1, "must be the name of a file")
    .max(255, "must not be longer than 255 characters")
    .regex(/^[^/\\:\p{Cc}]+$/u, "must be a plain file name: no slashes, colons or control characters")
    .refine((name) => name !== "." && !name.includes(".."), 'must not contain ".."');
}

function nullable(name: ReturnType<typeof fileName>) {
  return name.nullish().transform((given) => given ?? undefined);
}
