// Alone on a volume's chain of files. Nova would carry out two requests at once, and Cinder has no compare-and-set: so
// whoever is about to ask Nova says so on Cinder's row with a nonce, looks twice, apart, and goes on only if no other is
// to be seen on any snapshot of the volume (docs/ownership.md, rule 6). The nonce is written once. Cinder answers each
// later write with all metadata: as long as those have our nonce, nobody has claimed the row after us.

import { randomBytes } from "node:crypto";
import type { OperationContext } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import type { Evaluation } from "../../core/poll";
import { abortableSleep } from "../../core/util/abort";
import { digest } from "../../core/util/digest";
import { formatDuration } from "../../core/util/duration";
import type { Metadata, SnapshotRow } from "../cinder";
import { ASSISTED, type OpenStackContext } from "../context";
import { type Checked, untilFree } from "./preconditions";
import {
  BUSY_MS,
  IN_FLIGHT,
  ignoreErrors,
  type Nonce,
  nonceOf,
  nonceText,
  phaseOf,
  present,
  removeKey,
  unlessHidden,
  utc,
  wordsOf,
  write,
} from "./state";

/** Between the two looks. What a replica hides ends in less. */
const APART_MS = 5_000;
/** Two that have met stand back for different times. */
const STAND_BACK_MS = 8_000;

export interface Claimed {
  row: SnapshotRow;
  /** The row as it was: what is to be put back if Nova says no. */
  before: SnapshotRow;
  nonceId: string;
}

export interface Claim {
  cloud: OpenStackContext;
  snapshotId: string;
  volumeId: string;
  /** Stack and owner. */
  who: { stack: string; owner: string };
  /** What the row gets when nobody else is there: the record, and how far it has got. */
  entries: Metadata;
  /** Whether the volume's server has to run. */
  needsGuest: boolean;
  /** Whether Nova may be asked at all. */
  judge(facts: Checked): Evaluation;
  context: OperationContext;
}

/** Returns when `entries` are written and nobody else was there before or meanwhile. */
export async function claim(one: Claim): Promise<Claimed> {
  const { context, judge } = one;
  const giveUpAt = context.clock.now() + BUSY_MS;
  for (;;) {
    const before = await untilFree(one, judge);
    const nonce = newNonce(one);
    const other = await tryToBeAlone(one, before, nonce);
    if (typeof other !== "string") return { row: other, before, nonceId: nonce.id };
    if (context.clock.now() >= giveUpAt) {
      throw new SnapcloneError({
        kind: "refused",
        message: `another operation on volume ${one.volumeId} began at the same time, and did not end within ${formatDuration(BUSY_MS)}: ${other}`,
        hint: "Nothing was asked of Nova. Run again when the other has ended.",
      });
    }
    context.progress(`waiting: ${other}`);
    await abortableSleep(context.clock, STAND_BACK_MS * (0.5 + Math.random()), context.signal);
  }
}

/** The row with everything written on it, or who else is there; then all is as before. */
async function tryToBeAlone(one: Claim, before: SnapshotRow, nonce: Nonce): Promise<SnapshotRow | string> {
  const { cloud, context, entries } = one;
  try {
    await write(cloud, before, { [ASSISTED.nonce]: nonceText(nonce) });
    let other = await whoElse(one, before, nonce);
    if (other === undefined) {
      await abortableSleep(context.clock, APART_MS, context.signal);
      other = await whoElse(one, before, nonce);
    }
    if (other === undefined) {
      const row = await write(cloud, before, entries);
      other = whoHas(row, nonce.id);
      if (other === undefined) return row;
    }
    await takeBack(cloud, before, nonce.id);
    return other;
  } catch (error) {
    await ignoreErrors(takeBack(cloud, before, nonce.id));
    throw error;
  }
}

/** Who has claimed the row after us; undefined: nobody. */
function whoHas(row: SnapshotRow, nonceId: string): string | undefined {
  const found = nonceOf(row);
  if (found?.id === nonceId) return undefined;
  return `snapshot ${row.id} was claimed ${found ? by(found) : "by somebody"} at the same time`;
}

/** Somebody else has claimed the row: it is not ours to write to any more. */
export class TakenOver extends SnapcloneError {}

/** To be called with the answer to the last write before Nova is asked. */
export function mustStillBeOurs(row: SnapshotRow, nonceId: string): void {
  const other = whoHas(row, nonceId);
  if (other === undefined) return;
  throw new TakenOver({
    kind: "refused",
    message: other,
    hint: "Nothing was asked of Nova. Run again when the other has ended.",
  });
}

/** Anybody but us who is at work on the volume, or about to be. */
async function whoElse(
  { cloud, snapshotId, volumeId, entries, context }: Claim,
  before: SnapshotRow,
  nonce: Nonce,
): Promise<string | undefined> {
  const query = { volume_id: volumeId, all_tenants: true };
  const { snapshots } = await cloud.cinder.listSnapshotsDetail(query, context.signal);
  const own = snapshots.find(({ id }) => id === snapshotId) ?? (await present(cloud, snapshotId, context));
  const other = whoHas(own, nonce.id);
  if (other !== undefined) return other;
  const step = phaseOf(own);
  const isOurs = step === phaseOf(before) || step === entries[ASSISTED.step];
  if (!isOurs) return `snapshot ${snapshotId} is ${wordsOf(own)}, its record says "${step}"`;
  return inFlight(
    snapshots.filter(({ id, volume_id }) => id !== snapshotId && volume_id === volumeId),
    nonce.resource,
  );
}

/** Puts the row's record back to what it was, if nobody else has claimed it since. */
export async function takeBack(cloud: OpenStackContext, before: SnapshotRow, nonceId: string): Promise<void> {
  // Not the operation's own signal: what was begun is to be taken back when the run is stopped, too.
  const row = await cloud.snapshot(before.id);
  if (!row || nonceOf(row)?.id !== nonceId) return;
  const keys = Object.values(ASSISTED);
  const changed = keys.filter(
    (key) => before.metadata[key] !== undefined && before.metadata[key] !== row.metadata[key],
  );
  const added = keys.filter((key) => before.metadata[key] === undefined && row.metadata[key] !== undefined);
  if (changed.length > 0) {
    const old = Object.fromEntries(changed.map((key) => [key, before.metadata[key] ?? ""]));
    await unlessHidden(cloud.cinder.createSnapshotMetadata(before.id, old));
  }
  // The step first: what is left of a record without one means nothing. The nonce last: until then the row is ours.
  const others = added.filter((key) => key !== ASSISTED.nonce && key !== ASSISTED.step);
  if (added.includes(ASSISTED.step)) await removeKey(cloud, before.id, ASSISTED.step);
  await Promise.all(others.map((key) => removeKey(cloud, before.id, key)));
  if (added.includes(ASSISTED.nonce)) await removeKey(cloud, before.id, ASSISTED.nonce);
}

// --- what else is under way on the volume

/** What else is going on in the volume's chain of files, by Cinder's word and by the records on its rows. */
export function inFlight(others: readonly SnapshotRow[], resource: string): string | undefined {
  const busy = others.find((row) => /^(creating|deleting|restoring)$/i.test(row.status) || isClaimed(row, resource));
  if (!busy) return undefined;
  const message = `snapshot ${busy.id} of the same volume is ${wordsOf(busy)}`;
  return isClaimed(busy, resource) ? `${message}, ${claimOf(busy)}` : message;
}

/** A claim without a record was left by a killed run if it is of the resource that asks: a resource has one run at a time. */
export function isClaimed(row: SnapshotRow, resource: string): boolean {
  if (IN_FLIGHT.has(phaseOf(row) ?? "")) return true;
  const nonce = nonceOf(row);
  return nonce?.isClaim === true && (nonce.resource === NOBODY || nonce.resource !== resource);
}

/** Work of a run whose time is over, and that nobody will end: whose it is, and how to take it away. */
export function leftBehind(
  rows: readonly SnapshotRow[],
  resource: string,
  now: Date,
  ownMs: number,
): [string, string] | undefined {
  for (const row of rows.filter((one) => isClaimed(one, resource))) {
    const nonce = nonceOf(row);
    // Builds before 0.2 wrote no time: Cinder notes when the row was changed last.
    const until = Date.parse(nonce?.until ?? "") || Date.parse(utc(row.updated_at) ?? "") + ownMs;
    if (!(now.getTime() > until)) continue;
    const message = `snapshot ${row.id} is ${wordsOf(row)}, ${claimOf(row)}: the time of that run was over at ${new Date(until).toISOString()}`;
    const set = `openstack volume snapshot set --property ${ASSISTED.nonce}= --property ${ASSISTED.step}`;
    const step = phaseOf(row);
    if (!IN_FLIGHT.has(step ?? "")) {
      return [
        message,
        `If that run has ended, take its claim away: \`openstack volume snapshot unset --property ${ASSISTED.nonce} ${row.id}\`. It has asked Nova for nothing.`,
      ];
    }
    const [yes, no] = step?.startsWith("merge") ? ["merged", "made"] : ["made", "none"];
    const what = step?.startsWith("merge") ? "it has been merged" : "the disk is on its file";
    return [
      message,
      `If that run has ended, look at the server's disk (\`virsh domblklist\`) and say what is so: \`${set}=${yes} ${row.id}\` if ${what}, \`${set}=${no} ${row.id}\` if not.`,
    ];
  }
  return undefined;
}

function claimOf(row: SnapshotRow): string {
  const nonce = nonceOf(row);
  const step = phaseOf(row);
  const owner = row.metadata[ASSISTED.owner] ?? nonce?.owner;
  const since = nonce === undefined ? "" : ` since ${nonce.since} (run ${nonce.id})`;
  const what = IN_FLIGHT.has(step ?? "") ? `its record says "${step}"` : "it is claimed";
  return `${what} for ${owner || "somebody"}${since}`;
}

function by({ owner, id, since }: Nonce): string {
  return `by ${owner || "somebody"} (run ${id}, ${since})`;
}

// --- the nonce

/** A resource without an owner can't be told from any other. */
const NOBODY = "-";

function newNonce({ cloud, who, context }: Claim): Nonce {
  const now = serverNow(cloud, context);
  const left = Math.max(0, context.deadline - context.clock.now());
  return {
    id: `${cloud.runId}-${randomBytes(3).toString("hex")}`,
    since: now.toISOString(),
    until: new Date(now.getTime() + left).toISOString(),
    resource: resourceOf(who),
    owner: who.owner.slice(-120),
    isClaim: true,
  };
}

export function resourceOf({ stack, owner }: { stack: string; owner: string }): string {
  return owner === "" ? NOBODY : digest(`${stack} ${owner}`).slice(0, 16);
}

/** Cinder's clock; ours where no answer had a date. */
export function serverNow(cloud: OpenStackContext, { clock }: Pick<OperationContext, "clock">): Date {
  return cloud.session.serverTime("blockStorage") ?? clock.date();
}
