// What is looked at before Nova is asked for anything, as Nova itself looks at nothing; and how what stands in the way is said.

import type { BatchPoller } from "../../core/batchPoller";
import type { OperationContext } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { type Evaluation, type Poll, poll } from "../../core/poll";
import { type SnapshotRow, type VolumeRow, whatIsMissing } from "../cinder";
import { ASSISTED, type OpenStackContext } from "../context";
import type { DeleteInfo } from "../nova";
import type { Claim } from "./ownership";
import {
  BUSY_MS,
  INTERVAL,
  isOfKnownStatus,
  MERGE_INTERVAL,
  NOT_REPORTED,
  PHASE,
  progressOf,
  REPORTED,
  UNKNOWN_MS,
  unlessHidden,
  wordsOf,
} from "./state";

interface Facts {
  volume: VolumeRow | undefined;
  /** Nova's word for the state of the volume's server, as far as it can be asked. */
  serverStatus: string | undefined;
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
  { cloud, volumeId, snapshotId, context, needsGuest }: Omit<Claim, "who" | "entries" | "judge">,
  judge: (facts: Checked) => Evaluation,
): Promise<SnapshotRow> {
  const { row } = await poll<Facts>({
    description: `volume ${volumeId} to be free of other operations`,
    fetch: async (signal) => {
      const [{ volume, serverStatus }, row, { snapshots }] = await Promise.all([
        volumeAndServer(cloud, volumeId, needsGuest, signal),
        cloud.snapshot(snapshotId, signal),
        cloud.cinder.listSnapshotsDetail({ volume_id: volumeId, all_tenants: true }, signal),
      ]);
      const others = snapshots.filter(({ id, volume_id }) => id !== snapshotId && volume_id === volumeId);
      return { volume, serverStatus, row, others };
    },
    evaluate: ({ volume, row, ...rest }) => {
      if (!row) return refuse(`Cinder has no snapshot ${snapshotId}`, NOT_THERE);
      if (!volume) return refuse(`Cinder has no volume ${volumeId}`, NOT_THERE);
      return judge({ volume, row, ...rest });
    },
    interval: INTERVAL,
    context: shorter(context, BUSY_MS),
  });
  return row as SnapshotRow;
}

const NOT_THERE =
  "It was deleted, or the connection's project or region is not the right one. Nothing was asked of Nova.";

async function volumeAndServer(cloud: OpenStackContext, id: string, needsGuest: boolean, signal: AbortSignal) {
  try {
    const volume = await cloud.cinder.showVolume(id, signal);
    const serverId = needsGuest ? volume.attachments[0]?.server_id : undefined;
    return { volume, serverStatus: serverId ? await cloud.nova.serverStatus(serverId, signal) : undefined };
  } catch (error) {
    if (whatIsMissing(error) === "volume") return { volume: undefined, serverStatus: undefined };
    throw error;
  }
}

/**
 * In these no process of the hypervisor runs: Nova says yes to an overlay, and nothing comes of it
 * (docs/wire/openstack.md#b3, #b4).
 */
const NOT_RUNNING = /^(SHUTOFF|SUSPENDED|SHELVED|SHELVED_OFFLOADED|BUILD|DELETED|SOFT_DELETED)$/i;

/** Why there is no guest to switch. A server that Nova does not show may run. */
export function notRunning({ volume, serverStatus }: Checked): string | undefined {
  if (serverStatus === undefined || !NOT_RUNNING.test(serverStatus)) return undefined;
  return `server ${volume.attachments[0]?.server_id}, which volume ${volume.id} is attached to, is ${serverStatus}: Nova would say yes, and nothing would come of it`;
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

/**
 * Waits for Nova's report; `judge` is for what a row shows in one direction alone. A run that does not know whether Nova
 * was asked waits no longer than a report takes.
 */
export async function untilReported(
  looks: BatchPoller<SnapshotRow>,
  first: SnapshotRow,
  status: "creating" | "deleting",
  { work, asked, judge, tooLate, context }: Report,
): Promise<SnapshotRow | undefined> {
  const { id } = first;
  const leave = looks.register();
  try {
    return await poll<SnapshotRow | undefined>({
      description: `Nova's report on the ${work} of snapshot ${id} ("${status}", ${REPORTED})`,
      fetch: (signal) => looks.fetch(id, signal),
      notified: (signal) => looks.subscribe(id, signal),
      evaluate: (row) => judge(row, row && judgeReport(row, status, asked)),
      initial: first,
      interval: INTERVAL,
      context: asked ? context : shorter(context, UNKNOWN_MS),
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
  /** `report` is the verdict where it is the same in both directions. */
  judge(row: SnapshotRow | undefined, report: Evaluation | undefined): Evaluation | Promise<Evaluation>;
  tooLate(error: SnapcloneError): SnapcloneError;
  context: OperationContext;
}

function judgeReport(row: SnapshotRow, status: "creating" | "deleting", asked: boolean): Evaluation | undefined {
  const done: Evaluation = { is: "done", progress: wordsOf(row) };
  const pending: Evaluation = { is: "pending", progress: wordsOf(row) };
  if (isReported(row, status)) return done;
  if (!isOfKnownStatus(row)) return pending;
  if (row.status.toLowerCase() !== status) return undefined;
  return progressOf(row) !== undefined || !asked ? pending : done;
}

export function isReported(row: SnapshotRow, status: "creating" | "deleting"): boolean {
  return row.status.toLowerCase() === status && progressOf(row) === REPORTED;
}

export function unverifiedReason(row: SnapshotRow, wanted: "creating" | "deleting"): string {
  if (progressOf(row) === undefined) return "the cloud's policy hides the progress of Cinder's snapshots";
  return `Cinder's record is in status "${row.status}", and it takes Nova's report only while it is "${wanted}" (manageStatus: true puts it there)`;
}

/**
 * An administrator's act, and only by `manageStatus`. An old report would be taken for the new one
 * (docs/wire/openstack.md#seen-assisted-create). `done` is called when the status is changed.
 */
export async function setStatus(
  cloud: OpenStackContext,
  row: SnapshotRow,
  status: "creating" | "deleting",
  done: () => void,
): Promise<SnapshotRow> {
  await unlessHidden(cloud.cinder.resetSnapshotStatus(row.id, status));
  done();
  if (progressOf(row) !== REPORTED) return { ...row, status };
  // Nova is not asked yet: the same twice is the same as once.
  await unlessHidden(cloud.cinder.updateSnapshotStatus(row.id, status, NOT_REPORTED, true));
  return { ...row, status, "os-extended-snapshot-attributes:progress": NOT_REPORTED };
}

/** Whether a request that failed like this may have been carried out. */
export function mayBeDone(error: unknown): boolean {
  return isKind(error, "transient", "malformed", "ambiguous");
}

/** Taken by `beginCreate`, kept until `waitForCreate` has ended: both are given the same context. */
export async function acquireVolume(
  cloud: OpenStackContext,
  volumeId: string,
  context: OperationContext,
): Promise<void> {
  if (cloud.assistedTurns.has(context)) return;
  cloud.assistedTurns.set(context, await cloud.turns.acquire([volumeId], "volume", context));
}

export function releaseVolume(cloud: OpenStackContext, context: OperationContext): void {
  cloud.assistedTurns.get(context)?.();
  cloud.assistedTurns.delete(context);
}

function shorter(context: OperationContext, most: number): Poll<unknown>["context"] {
  const { clock, deadline, signal } = context;
  const progress = (text: string) => context.progress(text);
  return { clock, signal, progress, deadline: Math.min(deadline, clock.now() + most) };
}

export function refuse(message: string, hint = "Nothing was asked of Nova."): Evaluation {
  return { is: "failed", error: new SnapcloneError({ kind: "refused", message, hint }) };
}

export function failed(message: string, hint: string): Evaluation {
  return { is: "failed", error: new SnapcloneError({ kind: "failed", message, hint }) };
}

/** The driver's own file, which only the driver writes, names the file that it takes for the active one. */
export function cinderDoesNotKnow(volumeId: string, what: string): string {
  return `Cinder's driver does not know that the disk of volume ${volumeId} ${what}. Before the server is stopped, moved or hard-rebooted, \`volume-${volumeId}.info\` in the volume's folder must name its files as they are (docs/assisted-snapshot.md)`;
}

/** The overlay is in place; the next run puts the record back. */
export function notPutBack({ id, status }: SnapshotRow): SnapcloneError {
  return new SnapcloneError({
    kind: "malformed",
    message: `Cinder's record of snapshot ${id} is in status "${status}", which nobody knows: it was not made "available" again`,
  });
}

/** A run was stopped between its record and Nova's answer. Neither asking again nor merging is safe before somebody has looked. */
export function unknown(id: string, newFile: string, why: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    message: `whether the disk was switched to ${newFile} is not known: ${why}`,
    hint: whereTheDiskIs(id, newFile),
  });
}

/** Nova has said yes, and its report did not come in time. */
export function noReport(id: string, newFile: string, error: SnapcloneError): SnapcloneError {
  return new SnapcloneError({ ...error.parts, hint: whereTheDiskIs(id, newFile) });
}

export function mergeUnknown(id: string, info: DeleteInfo, why: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    message: `whether Nova has merged ${JSON.stringify(info)} is not known: ${why}`,
    hint: whatWasMerged(id),
  });
}

export function noMergeReport(id: string, info: DeleteInfo, error: SnapcloneError): SnapcloneError {
  return new SnapcloneError({
    ...error.parts,
    hint: `Asked was ${JSON.stringify(info)}. ${whatWasMerged(id)}`,
  });
}

/** The three ways out (docs/assisted-snapshot.md#when-novas-report-does-not-come). */
function whereTheDiskIs(id: string, newFile: string): string {
  return `${MERGE_INTERVAL} ${howToSay(id, `${PHASE.made} if the disk is on ${newFile}`, `${PHASE.none} if it is not`)} ${UNSURE}`;
}

function whatWasMerged(id: string): string {
  return `${MERGE_INTERVAL} ${howToSay(id, `${PHASE.merged} if it has`, `${PHASE.made} if it has not`)} ${UNSURE}`;
}

const UNSURE = 'If nobody can tell: docs/assisted-snapshot.md, "When Nova\'s report does not come".';

function howToSay(id: string, ...answers: string[]): string {
  return `Look at the server's disk (\`virsh domblklist\`, \`qemu-img info --backing-chain -U\`), say what is so on Cinder's record (\`openstack volume snapshot set --property ${ASSISTED.step}=… ${id}\`: ${answers.join(", ")}), and run again.`;
}
