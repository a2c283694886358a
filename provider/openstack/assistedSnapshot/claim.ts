// Makes this run the only one that asks Nova to change a volume's chain of files. Nova would carry out two requests at
// once, and Cinder has no compare-and-set. So a run writes a nonce to Cinder's row, lists the volume's snapshots twice, some
// seconds apart, and goes on only if no snapshot shows another run (docs/ownership.md, rule 6). The nonce is written once.
// Cinder answers each later write with all metadata: while they have our nonce, no other run has claimed the row.

import { randomBytes } from "node:crypto";
import type { OperationContext } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import { abortableSleep } from "../../core/util/abort";
import { digest } from "../../core/util/digest";
import { formatDuration } from "../../core/util/duration";
import { type Metadata, type SnapshotRow, utc } from "../cinder";
import { withTransientNotFound } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import { ClaimLost, expiredClaimHint, ignoreErrors } from "./errors";
import {
  IN_FLIGHT,
  type Nonce,
  nonceOf,
  nonceText,
  type Owner,
  phaseOf,
  RECORD_KEYS,
  removeKey,
  write,
} from "./ownership";
import { IDLE_TIMEOUT_MS, type IdleWait, othersOf, waitForIdleVolume } from "./preconditions";
import { formatStatus, waitUntilVisible } from "./state";

/** Between the two lists. A lagging replica catches up in less. */
const SECOND_LIST_DELAY_MS = 5_000;
/** Random, so that two runs that have met do not meet again. */
const BACKOFF_MS = 8_000;

export interface ClaimRequest extends IdleWait {
  owner: Owner;
  /** Written to the row once no other run is there: the record and the phase. */
  entries: Metadata;
}

export interface Claim {
  row: SnapshotRow;
  /** The row before the claim, to be restored if Nova refuses. */
  before: SnapshotRow;
  nonceId: string;
}

/** Returns when `entries` are written, and no other run was there before or since. */
export async function claimVolume(request: ClaimRequest): Promise<Claim> {
  const { volumeId, context } = request;
  const giveUpAt = context.clock.now() + IDLE_TIMEOUT_MS;
  for (;;) {
    const before = await waitForIdleVolume(request);
    const nonce = newNonce(request);
    const result = await tryClaim(request, before, nonce);
    if (typeof result !== "string") return { row: result, before, nonceId: nonce.id };
    if (context.clock.now() >= giveUpAt) {
      throw new SnapcloneError({
        kind: "refused",
        message: `another operation on volume ${volumeId} began at the same time, and did not end within ${formatDuration(IDLE_TIMEOUT_MS)}: ${result}`,
        hint: "Nothing was asked of Nova. Run again when the other operation has ended.",
      });
    }
    context.progress(`waiting: ${result}`);
    await abortableSleep(context.clock, BACKOFF_MS * (0.5 + Math.random()), context.signal);
  }
}

/** Returns the row with everything written to it; or who else is there, with the row restored. */
async function tryClaim(request: ClaimRequest, before: SnapshotRow, nonce: Nonce): Promise<SnapshotRow | string> {
  const { cloud, context, entries } = request;
  try {
    await write(cloud, before, { [RECORD_KEYS.nonce]: nonceText(nonce) });
    let conflict = await findConflict(request, before, nonce);
    if (conflict === undefined) {
      await abortableSleep(context.clock, SECOND_LIST_DELAY_MS, context.signal);
      conflict = await findConflict(request, before, nonce);
    }
    if (conflict === undefined) {
      const row = await write(cloud, before, entries);
      conflict = laterClaim(row, nonce.id);
      if (conflict === undefined) return row;
    }
    await restoreRecord(cloud, before, nonce.id);
    return conflict;
  } catch (error) {
    await ignoreErrors(restoreRecord(cloud, before, nonce.id));
    throw error;
  }
}

/** Throws if the row shows that another run has claimed it. Give it the row of the last write before Nova is asked. */
export function assertClaimHeld(row: SnapshotRow, nonceId: string): void {
  const conflict = laterClaim(row, nonceId);
  if (conflict !== undefined) throw new ClaimLost(conflict);
}

/** Restores the row's record, unless another run has claimed the row since. */
export async function restoreRecord(cloud: OpenStackContext, before: SnapshotRow, nonceId: string): Promise<void> {
  // Without the operation's signal: a stopped run has to restore the record too.
  const row = await cloud.snapshot(before.id);
  if (!row || nonceOf(row)?.id !== nonceId) return;
  const keys = Object.values(RECORD_KEYS);
  const changed = keys.filter(
    (key) => before.metadata[key] !== undefined && before.metadata[key] !== row.metadata[key],
  );
  const added = keys.filter((key) => before.metadata[key] === undefined && row.metadata[key] !== undefined);
  if (changed.length > 0) {
    const old = Object.fromEntries(changed.map((key) => [key, before.metadata[key] ?? ""]));
    await withTransientNotFound(cloud.cinder.createSnapshotMetadata(before.id, old));
  }
  // The phase first: a record without one means nothing. The nonce last: until then the row is ours. The record is written as a
  // whole, so where any of it shows, the phase is there, even if the answer does not show the phase.
  const { phase, nonce } = RECORD_KEYS;
  const others = added.filter((key) => key !== nonce && key !== phase);
  const hasPhase = added.includes(phase) || others.length > 0;
  if (before.metadata[phase] === undefined && hasPhase) await removeKey(cloud, before.id, phase);
  await Promise.all(others.map((key) => removeKey(cloud, before.id, key)));
  if (added.includes(nonce)) await removeKey(cloud, before.id, nonce);
}

// --- other operations on the volume

/** Another run that is at work on the volume, or about to be. */
async function findConflict(
  { cloud, snapshotId, volumeId, entries, context }: ClaimRequest,
  before: SnapshotRow,
  nonce: Nonce,
): Promise<string | undefined> {
  const query = { volume_id: volumeId, all_tenants: true };
  const { snapshots } = await cloud.cinder.listSnapshotsDetail(query, context.signal);
  const own = snapshots.find(({ id }) => id === snapshotId) ?? (await waitUntilVisible(cloud, snapshotId, context));
  const conflict = laterClaim(own, nonce.id);
  if (conflict !== undefined) return conflict;
  const phase = phaseOf(own);
  const isOurs = phase === phaseOf(before) || phase === entries[RECORD_KEYS.phase];
  if (!isOurs) return `snapshot ${snapshotId} is ${formatStatus(own)}, its record says "${phase}"`;
  return operationInFlight(othersOf(snapshots, volumeId, snapshotId), nonce.resource);
}

/** The run that has claimed the row after us. */
function laterClaim(row: SnapshotRow, nonceId: string): string | undefined {
  const nonce = nonceOf(row);
  if (nonce?.id === nonceId) return undefined;
  const claimant = nonce
    ? `for ${nonce.owner || "an unknown owner"} (run ${nonce.id}, ${nonce.since})`
    : "by an unknown run";
  return `snapshot ${row.id} was claimed ${claimant} at the same time`;
}

/** An operation on one of the snapshots, by its status in Cinder or by the record on it. */
export function operationInFlight(rows: readonly SnapshotRow[], resource: string): string | undefined {
  const busy = rows.find(
    (row) => /^(creating|deleting|restoring)$/i.test(row.status) || isClaimedByOther(row, resource),
  );
  if (!busy) return undefined;
  const message = `snapshot ${busy.id} of the same volume is ${formatStatus(busy)}`;
  return isClaimedByOther(busy, resource) ? `${message}, ${describeClaim(busy)}` : message;
}

/** A resource has one operation at a time: a claim of its own without a record was left by a killed run. */
export function isClaimedByOther(row: SnapshotRow, resource: string): boolean {
  if (IN_FLIGHT.has(phaseOf(row) ?? "")) return true;
  const nonce = nonceOf(row);
  return nonce?.isClaim === true && (nonce.resource === NO_OWNER || nonce.resource !== resource);
}

/** A claim of a run whose deadline has passed: the message and the hint of the refusal. */
export function expiredClaim(
  rows: readonly SnapshotRow[],
  resource: string,
  cloud: OpenStackContext,
  context: OperationContext,
): [message: string, hint: string] | undefined {
  const now = serverTime(cloud, context).getTime();
  for (const row of rows.filter((one) => isClaimedByOther(one, resource))) {
    // Early builds wrote no time. For their claims, count this operation's time from the row's last change.
    const until = Date.parse(nonceOf(row)?.until ?? "") || Date.parse(utc(row.updated_at) ?? "") + timeLeft(context);
    if (!(now > until)) continue;
    const message = `snapshot ${row.id} is ${formatStatus(row)}, ${describeClaim(row)}: the deadline of that run passed at ${new Date(until).toISOString()}`;
    return [message, expiredClaimHint(row)];
  }
  return undefined;
}

function describeClaim(row: SnapshotRow): string {
  const nonce = nonceOf(row);
  const phase = phaseOf(row) ?? "";
  const owner = row.metadata[RECORD_KEYS.owner] ?? nonce?.owner;
  const since = nonce === undefined ? "" : ` since ${nonce.since} (run ${nonce.id})`;
  return `${IN_FLIGHT.has(phase) ? `its record says "${phase}"` : "it is claimed"} for ${owner || "an unknown owner"}${since}`;
}

// --- the nonce

/** The digest of a resource without an owner, which cannot be told from any other. */
const NO_OWNER = "-";

export function resourceDigest({ stack, owner }: Owner): string {
  return owner === "" ? NO_OWNER : digest(`${stack} ${owner}`).slice(0, 16);
}

function newNonce({ cloud, owner, context }: ClaimRequest): Nonce {
  const now = serverTime(cloud, context);
  return {
    id: `${cloud.runId}-${randomBytes(3).toString("hex")}`,
    since: now.toISOString(),
    until: new Date(now.getTime() + Math.max(0, timeLeft(context))).toISOString(),
    resource: resourceDigest(owner),
    owner: owner.owner.slice(-120),
    isClaim: true,
  };
}

function timeLeft({ deadline, clock }: OperationContext): number {
  return deadline - clock.now();
}

/** Cinder's clock; this machine's if no response had a date. */
function serverTime(cloud: OpenStackContext, { clock }: OperationContext): Date {
  return cloud.session.serverTime("blockStorage") ?? clock.date();
}

// --- operations of this run

const held = new WeakMap<OperationContext, () => void>();

/** Lets the operation alone use the volume within this run. `beginCreate` locks, and `waitForCreate` unlocks. */
export async function lockVolume(cloud: OpenStackContext, volumeId: string, context: OperationContext): Promise<void> {
  if (!held.has(context)) held.set(context, await cloud.volumeLocks.acquire([volumeId], "volume", context));
}

export function unlockVolume(context: OperationContext): void {
  held.get(context)?.();
  held.delete(context);
}
