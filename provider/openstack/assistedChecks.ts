// What is looked at before Nova is asked for anything, as Nova itself looks at nothing; and how what stands in the way is said.

import type { Job } from "../core/definition";
import { isKind, SnapcloneError } from "../core/errors";
import type { SharedLook } from "../core/sharedLook";
import { type Verdict, type Wait, waitFor } from "../core/wait";
import {
  BUSY_MS,
  IN_FLIGHT,
  isOfKnownStatus,
  NOT_REPORTED,
  PACE,
  progressOf,
  quietly,
  REPORTED,
  STEP,
  stepOf,
  UNKNOWN_MS,
  wordsOf,
} from "./assistedRow";
import { type SnapshotRow, type VolumeRow, whatIsMissing } from "./cinder";
import { ASSISTED, type Cloud } from "./cloud";
import type { DeleteInfo } from "./nova";

interface Facts {
  volume: VolumeRow | undefined;
  row: SnapshotRow | undefined;
  /** The volume's other snapshots. */
  others: SnapshotRow[];
}

export interface Checked extends Facts {
  volume: VolumeRow;
  row: SnapshotRow;
}

/** Asks Cinder until nothing else is under way on the volume, for a while; the last answers are the ones that count. */
export async function untilFree(
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
export function mismatch(volume: VolumeRow, row: SnapshotRow): string | undefined {
  if (row.volume_id !== volume.id) return `snapshot ${row.id} is of volume ${row.volume_id}, not of ${volume.id}`;
  if (volume.multiattach || volume.attachments.length > 1)
    return `volume ${volume.id} may be attached to several servers`;
  if (volume.status.toLowerCase() !== "in-use" || volume.attachments.length === 0) {
    return `volume ${volume.id} is attached to no server (status "${volume.status}"), and only a running server's disk can be switched or merged`;
  }
  return undefined;
}

/** What else is going on in the volume's chain of files, by Cinder's word and by our marks. */
export function inFlight(others: readonly SnapshotRow[]): string | undefined {
  const busy = others.find(
    (row) => /^(creating|deleting|restoring)$/i.test(row.status) || IN_FLIGHT.has(stepOf(row) ?? ""),
  );
  if (!busy) return undefined;
  const step = stepOf(busy);
  const ours =
    step !== undefined && IN_FLIGHT.has(step)
      ? `, marked "${step}" for ${busy.metadata[ASSISTED.owner] ?? "somebody"}`
      : "";
  return `snapshot ${busy.id} of the same volume is ${wordsOf(busy)}${ours}`;
}

/**
 * Waits for Nova's report; `judge` is for what a row shows in one direction alone. A run that does not know whether Nova
 * was asked waits no longer than a report takes.
 */
export async function untilReported(
  looks: SharedLook<SnapshotRow>,
  first: SnapshotRow,
  status: "creating" | "deleting",
  { work, asked, judge, tooLate, job }: Report,
): Promise<SnapshotRow | undefined> {
  const { id } = first;
  const leave = looks.join();
  try {
    return await waitFor<SnapshotRow | undefined>({
      what: `Nova's report on the ${work} of snapshot ${id} ("${status}", ${REPORTED})`,
      look: (signal) => looks.look(id, signal),
      news: (signal) => looks.news(id, signal),
      judge: (row) => (row && judgeReport(row, status, asked)) ?? judge(row),
      first,
      pace: PACE,
      job: asked ? job : shorter(job, UNKNOWN_MS),
    });
  } catch (error) {
    throw isKind(error, "deadline") ? tooLate(error) : error;
  } finally {
    leave();
  }
}

interface Report {
  /** What it is on: "overlay". */
  work: string;
  asked: boolean;
  judge(row: SnapshotRow | undefined): Promise<Verdict>;
  tooLate(error: SnapcloneError): SnapcloneError;
  job: Job;
}

function judgeReport(row: SnapshotRow, status: "creating" | "deleting", asked: boolean): Verdict | undefined {
  const done: Verdict = { is: "done", progress: wordsOf(row) };
  const pending: Verdict = { is: "pending", progress: wordsOf(row) };
  if (isReported(row, status)) return done;
  if (!isOfKnownStatus(row)) return pending;
  if (row.status.toLowerCase() !== status) return undefined;
  return progressOf(row) !== undefined || !asked ? pending : done;
}

export function isReported(row: SnapshotRow, status: "creating" | "deleting"): boolean {
  return row.status.toLowerCase() === status && progressOf(row) === REPORTED;
}

export function whyUnseen(row: SnapshotRow, wanted: "creating" | "deleting"): string {
  if (progressOf(row) === undefined) return "the cloud's policy hides the progress of Cinder's snapshots";
  return `Cinder's record is in status "${row.status}", and it takes Nova's report only while it is "${wanted}" (manageStatus: true puts it there)`;
}

/** An administrator's act, and only by `manageStatus`. An old report would be taken for the new one (openstack-seen.md). */
export async function putInto(cloud: Cloud, row: SnapshotRow, status: "creating" | "deleting"): Promise<void> {
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
export async function takeTurn(cloud: Cloud, volumeId: string, job: Job): Promise<void> {
  if (cloud.assistedTurns.has(job)) return;
  cloud.assistedTurns.set(job, await cloud.turns.take([volumeId], "volume", job));
}

export function leaveTurn(cloud: Cloud, job: Job): void {
  cloud.assistedTurns.get(job)?.();
  cloud.assistedTurns.delete(job);
}

function shorter(job: Job, most: number): Wait<unknown>["job"] {
  const { clock, deadline, signal } = job;
  return { clock, signal, progress: (text) => job.progress(text), deadline: Math.min(deadline, clock.now() + most) };
}

export function refuse(said: string, remedy = "Nothing was asked of Nova."): Verdict {
  return { is: "failed", error: new SnapcloneError({ kind: "refused", said, remedy }) };
}

export function failed(said: string, remedy: string): Verdict {
  return { is: "failed", error: new SnapcloneError({ kind: "failed", said, remedy }) };
}

/** The overlay is in place; the next run puts the record back. */
export function notPutBack({ id, status }: SnapshotRow): SnapcloneError {
  return new SnapcloneError({
    kind: "malformed",
    said: `Cinder's record of snapshot ${id} is in status "${status}", which nobody knows: it was not made "available" again`,
  });
}

/** A run was stopped between its mark and Nova's answer. Neither asking again nor merging is safe before somebody has looked. */
export function unknown(id: string, newFile: string, why: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    said: `whether the disk was switched to ${newFile} is not known: ${why}`,
    remedy: howToSay(id, `${STEP.asked} if the disk is on ${newFile}`, `${STEP.none} if it is not`),
  });
}

export function mergeUnknown(id: string, info: DeleteInfo, why: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    said: `whether Nova has merged ${JSON.stringify(info)} is not known: ${why}`,
    remedy: howToSay(id, `${STEP.merged} if it has`, `${STEP.made} if it has not`),
  });
}

export function howToSay(id: string, ...answers: string[]): string {
  return `Look at the server's disk (\`virsh domblklist\`, \`qemu-img info --backing-chain -U\`), say what is so on Cinder's record (\`openstack volume snapshot set --property ${ASSISTED.step}=… ${id}\`: ${answers.join(", ")}), and run again.`;
}
