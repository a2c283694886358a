// Reverts a volume to a snapshot exactly once for each value of `revertTriggers`. What is to be asked is noted on the snapshot
// first, what is done after it. A later run that finds a note without an end decides by what Cinder shows:
//
//   the volume or the snapshot is being reverted     wait for the end
//   the volume was not changed since the note        it has not begun: ask
//   both were changed last at the same moment        it has taken place: only Cinder's end of a revert does that
//   the volume is in an error status                 it has failed
//   anything else                                    nothing proves it: an error says how to decide
//
// This provider's own writes change the snapshot, too. So the request is sent some seconds after the note, and later writes
// note when the snapshot was changed before them.

import type { OperationContext } from "../../core/definition";
import { type ErrorKind, isKind, SnapcloneError } from "../../core/errors";
import { type Evaluation, poll } from "../../core/poll";
import { abortableSleep, stopped } from "../../core/util/abort";
import { type SnapshotRow, utc, type VolumeRow } from "../cinder";
import { notFoundAsTransient } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import { INTERVAL } from "../wait";
import {
  changedMeanwhile,
  leftReverting,
  neverBegun,
  notRecorded,
  revertFailed,
  stuckRevertHint,
  unknownOutcome,
  vanished,
  volumeMissing,
} from "./errors";
import { assertRevertible, findBackup } from "./preconditions";
import {
  type AskedRevert,
  askedMetadata,
  askedRevert,
  doneMetadata,
  doneRevert,
  isRestoring,
  openRevert,
  RESOLUTION_MS,
  REVERT_KEYS,
  updatedAt,
} from "./record";

/** A request that is still on its way, by a killed run or by another one, has arrived by then. */
const IN_FLIGHT_MS = 60_000;
/** By then the note is written: what Cinder changes for the request has a later time than the note itself. */
const NOTICE_MS = 4_000;
/** At its end, a revert changes the volume's row and then the snapshot's. */
const SAME_MOMENT_MS = 1_000;

/** After these, Cinder may have the request. */
const UNPROVEN: readonly ErrorKind[] = ["ambiguous", "malformed", "stopped", "deadline"];

const NOTHING_SENT = "the run was stopped; nothing was sent";

interface RevertRequest {
  cloud: OpenStackContext;
  volumeId: string;
  snapshotId: string;
  /** Digest of the triggers. */
  key: string;
  /** Cinder's time of the last revert that the state knows. */
  revertedAt: string | undefined;
}

interface Rows {
  volume: VolumeRow;
  snapshot: SnapshotRow;
}

/** Returns when the volume is reverted: by this run, or by an earlier one for the same triggers. The time is Cinder's. */
export async function revertVolume(request: RevertRequest, context: OperationContext): Promise<string> {
  const { volumeId, snapshotId, key } = request;
  const rows = await showBoth(request, context.signal);
  if (isDone(request, rows.snapshot)) return alreadyDone(request, rows.snapshot, context);
  const open = openRevert(rows.snapshot);
  if (open !== undefined && (open.key === key || open.key === undefined)) {
    const outcome = await watch(request, open, "earlier", context);
    if (outcome === "done") {
      context.info(
        `the revert of volume ${volumeId} to snapshot ${snapshotId} that an earlier run asked for at ${open.at} has taken place`,
      );
      return recordDone(request, context);
    }
  }
  return ask(request, await showBoth(request, context.signal), context);
}

/**
 * True if an end is noted of the revert that is wanted. An older note proves nothing: the state knows that revert, or a later
 * one, or another request for the same triggers came after it.
 */
function isDone({ key, revertedAt }: RevertRequest, snapshot: SnapshotRow): boolean {
  const done = doneRevert(snapshot);
  if (done?.key !== key) return false;
  const asked = askedRevert(snapshot);
  // By hand, as the answer to an error that names the triggers of the request.
  if (done.at === undefined) return asked?.key === undefined || asked.key === key;
  const end = Date.parse(done.at);
  return !(end <= Date.parse(revertedAt ?? "")) && !(asked?.key === key && end < Date.parse(asked.at));
}

async function ask(request: RevertRequest, rows: Rows, context: OperationContext): Promise<string> {
  const { cloud, snapshotId, volumeId, key } = request;
  await assertRevertible(cloud, rows.volume, rows.snapshot, context.signal);
  if (context.signal.aborted) throw stopped(NOTHING_SENT);
  const at = new Date(now(request, context).getTime() + NOTICE_MS);
  const metadata = await recordAsked(request, askedMetadata(key, at, rows.volume));
  const record = askedRevert({ metadata }) as AskedRevert;
  const noted = { ...rows.snapshot, metadata };
  if (isDoneSince(rows, noted, key)) return alreadyDone(request, noted, context);
  const seen = await afterNotice(request, record, context);
  if (isDoneSince(rows, seen.snapshot, key)) return alreadyDone(request, seen.snapshot, context);
  const isUnderWay = isReverting(seen.volume) && isRestoring(seen.snapshot);
  if (!isUnderWay && updatedAt(seen.volume) !== record.volumeUpdatedAt) {
    await removeAsked(request, record);
    throw changedMeanwhile(seen.volume);
  }
  context.accepted({ revert: key });
  // Another run has asked for the same at the same time.
  const reply = isUnderWay ? "accepted" : await send(request, record, context);
  const asker = reply === "accepted" ? "accepted" : "earlier";
  const outcome = await watch(request, record, asker, context, seen.snapshot);
  // Whether a reply was lost before or after Cinder had the request, the next run finds out again.
  if (outcome === "not begun") {
    context.done();
    throw reply;
  }
  context.info(`volume ${volumeId} was reverted to snapshot ${snapshotId}`);
  return recordDone(request, context);
}

/** Another run has ended the same revert since this one has looked. */
function isDoneSince({ snapshot: before }: Rows, now: SnapshotRow, key: string): boolean {
  return doneRevert(now)?.key === key && now.metadata[REVERT_KEYS.done] !== before.metadata[REVERT_KEYS.done];
}

/** What Cinder shows when the request may be sent. A failure until then takes the note away. */
async function afterNotice(request: RevertRequest, record: AskedRevert, context: OperationContext): Promise<Rows> {
  const { clock, signal } = context;
  try {
    await abortableSleep(clock, NOTICE_MS + RESOLUTION_MS, signal, NOTHING_SENT);
    const seen = await showBoth(request, signal);
    if (signal.aborted) throw stopped(NOTHING_SENT);
    return seen;
  } catch (error) {
    await removeAsked(request, record);
    throw error;
  }
}

/** A lost reply is returned: it proves nothing. A refusal takes the note away. */
async function send(
  request: RevertRequest,
  record: AskedRevert,
  context: OperationContext,
): Promise<"accepted" | SnapcloneError> {
  const { cloud, volumeId, snapshotId } = request;
  try {
    await cloud.cinder.revertVolume(volumeId, snapshotId);
    return "accepted";
  } catch (error) {
    if (!(error instanceof SnapcloneError)) throw error;
    if (UNPROVEN.includes(error.kind)) return error;
    const seen = await showBoth(request, context.signal).catch(() => undefined);
    const isLeft = isReverting(seen?.volume);
    // Another run has asked for the same at the same time.
    if (isLeft && isRestoring(seen?.snapshot)) return "accepted";
    context.done();
    await removeAsked(request, record);
    throw isLeft && error.parts.status === 409 ? leftReverting(error, volumeId) : notFoundAsTransient(error);
  }
}

type Asker =
  /** Cinder has accepted this run's request. */
  | "accepted"
  /** An earlier run has noted its request, or this run's reply was lost. */
  | "earlier";

/** Waits for the end of a revert that was noted. Throws if it has failed, or if nothing proves what came of it. */
async function watch(
  request: RevertRequest,
  record: AskedRevert,
  asker: Asker,
  context: OperationContext,
  /** The snapshot as this run saw it right before its request. */
  before?: SnapshotRow,
): Promise<"done" | "not begun"> {
  const { volumeId, snapshotId } = request;
  let hasBegun = false;
  let outcome: "done" | "not begun" = "done";
  const begunAt = context.clock.now();
  const evaluate = async ({ volume, snapshot }: Rows): Promise<Evaluation> => {
    const { status } = volume;
    if (isReverting(volume) || isRestoring(snapshot)) {
      hasBegun = true;
      context.accepted({ revert: request.key });
      return { is: "pending", progress: `${status}: to snapshot ${snapshotId}` };
    }
    if (!hasBegun && updatedAt(volume) === record.volumeUpdatedAt) {
      const since = asker === "accepted" ? undefined : Date.parse(record.at);
      if (!isOver(since, begunAt, request, context)) return { is: "pending", progress: `${status}: it has not begun` };
      if (asker === "accepted") return { is: "failed", error: neverBegun(volume, snapshot) };
      outcome = "not begun";
      return { is: "done", progress: status };
    }
    if (/^error/i.test(status)) {
      const backup = await findBackup(request.cloud, volumeId);
      return { is: "failed", error: await revertFailed(request.cloud.cinder, volume, snapshot, backup) };
    }
    if (hasBegun || asker === "accepted" || endedTogether(volume, snapshot, record, before))
      return { is: "done", progress: status };
    return { is: "failed", error: unknownOutcome(record, request.key, volume, snapshot) };
  };
  await poll<Rows>({
    description: `volume ${volumeId} to be reverted to snapshot ${snapshotId}`,
    fetch: (signal) => showBoth(request, signal),
    evaluate,
    interval: INTERVAL,
    stuckHint: () => stuckRevertHint(volumeId, snapshotId),
    context,
  });
  return outcome;
}

/** True if no request is on its way any more: by Cinder's clock since `asked`, or by ours since the first fetch. */
function isOver(
  asked: number | undefined,
  begunAt: number,
  request: RevertRequest,
  context: OperationContext,
): boolean {
  if (context.clock.now() - begunAt >= IN_FLIGHT_MS) return true;
  return asked !== undefined && now(request, context).getTime() - asked >= IN_FLIGHT_MS;
}

/** A change before the request is no revert's, nor is one by this provider: those note the time before them. */
function endedTogether(
  volume: VolumeRow,
  snapshot: SnapshotRow,
  { at, snapshotUpdatedAt }: AskedRevert,
  before: SnapshotRow | undefined,
): boolean {
  const [one = Number.NaN, other = Number.NaN] = [volume.updated_at, snapshotUpdatedAt ?? snapshot.updated_at].map(
    (time) => Date.parse(utc(time) ?? ""),
  );
  const isLater = before ? updatedAt(snapshot) !== updatedAt(before) : other >= Date.parse(at);
  return isLater && Math.abs(one - other) <= SAME_MOMENT_MS;
}

function isReverting(volume: VolumeRow | undefined): boolean {
  return /^reverting$/i.test(volume?.status ?? "");
}

// --- the rows and their record

async function showBoth({ cloud, volumeId, snapshotId }: RevertRequest, signal: AbortSignal): Promise<Rows> {
  const [volume, snapshot] = await Promise.all([
    cloud.volumes.find(volumeId, signal),
    cloud.snapshot(snapshotId, signal),
  ]);
  if (volume === undefined) throw volumeMissing(volumeId);
  if (snapshot === undefined) throw vanished("snapshot", snapshotId);
  return { volume, snapshot };
}

async function recordAsked({ cloud, snapshotId }: RevertRequest, entry: Record<string, string>) {
  try {
    return { ...(await cloud.cinder.createSnapshotMetadata(snapshotId, entry)), ...entry };
  } catch (error) {
    if (!isKind(error, "forbidden")) throw notFoundAsTransient(error);
    throw notRecorded(error);
  }
}

/** If this fails, the next run decides by what Cinder shows. */
async function removeAsked({ cloud, snapshotId }: RevertRequest, record: AskedRevert): Promise<void> {
  const row = await cloud.snapshot(snapshotId).catch(() => undefined);
  const present = row && askedRevert(row);
  if (present?.at !== record.at || present.key !== record.key) return;
  await cloud.cinder.deleteSnapshotMetadataKey(snapshotId, REVERT_KEYS.asked).catch(() => {});
}

/** The state gets the same. So a failure here fails nothing. */
async function recordDone(request: RevertRequest, context: OperationContext): Promise<string> {
  const { cloud, snapshotId, key } = request;
  const at = now(request, context);
  try {
    await cloud.cinder.createSnapshotMetadata(snapshotId, doneMetadata(key, at));
  } catch (error) {
    if (!(error instanceof SnapcloneError)) throw error;
    context.warn(`the end of the revert could not be noted on snapshot ${snapshotId}: ${error.parts.message}`);
  }
  context.done();
  return at.toISOString();
}

async function alreadyDone(request: RevertRequest, snapshot: SnapshotRow, context: OperationContext): Promise<string> {
  const at = doneRevert(snapshot)?.at;
  context.info(
    `volume ${request.volumeId} was reverted to snapshot ${request.snapshotId} for this value of revertTriggers already${at === undefined ? "" : `, at ${at}`}, and is not reverted again`,
  );
  // What a user has written has no time, by which a later run knows that it is old.
  if (at === undefined) return recordDone(request, context);
  context.done();
  return at;
}

/** Cinder's time. */
function now({ cloud }: RevertRequest, { clock }: Pick<OperationContext, "clock">): Date {
  return cloud.session.serverTime("blockStorage") ?? clock.date();
}
