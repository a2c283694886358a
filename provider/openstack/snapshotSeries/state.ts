// A series' outputs, from Cinder's rows; which of its snapshots count, and which are to go.

import type { Observed, Pending, State } from "../../core/definition";
import { isRecord } from "../../core/util/values";
import { type SnapshotRow, utc } from "../cinder";
import { reverting } from "../revert/reverting";
import { ageMs, type SnapshotSeriesInputs } from "./inputs";
import { isTakenFor, SERIES_KEYS } from "./record";

/** A snapshot of a series, as the outputs show it. */
export interface Instant {
  id: string;
  name?: string | undefined;
  createdAt?: string | undefined;
  sizeGiB: number;
  status: string;
}

type Retention = Partial<Pick<SnapshotSeriesInputs, "keep" | "keepWithin">>;

/** The rows that an Observed was made of, so that the update after a read needs no list of its own. */
export const rowsBehind = new WeakMap<Observed, readonly SnapshotRow[]>();

/** `known` is the state before, which says what has been an instant already; `retention` is what the program wants to keep. */
export function observedSeries(rows: readonly SnapshotRow[], known: State, retention: Retention, now: Date): Observed {
  const sorted = newestFirst(rows, known);
  const observed: Observed = {
    state: {
      volumeId: known.volumeId ?? sorted[0]?.volume_id,
      snapshots: sorted.filter((row) => isInstant(row, known)).map(instantOf),
      latest: sorted.find(isUsable)?.id,
      pruned: known.pruned ?? [],
      overdue: dueRows(sorted, known, retention, now).map(({ id }) => id),
      failed: sorted.filter((row) => isFailed(row, known)).map(({ id }) => id),
      takenFor: takenFor(sorted, known),
      ...reverting.outputs(known),
    },
  };
  rowsBehind.set(observed, sorted);
  return observed;
}

export function instantOf(row: SnapshotRow): Instant {
  return {
    id: row.id,
    name: row.name ?? undefined,
    createdAt: utc(row.created_at),
    sizeGiB: row.size,
    status: row.status,
  };
}

/**
 * The state remembers in which order the snapshots were taken. Cinder's times do not: each host of its API dates a snapshot by its
 * own clock, and a clock may jump. So the times place only the snapshots that the state does not know. Cinder's times have whole
 * seconds: of two of the same second, what the state does not know is the newer one.
 */
export function newestFirst(rows: readonly SnapshotRow[], known: State): SnapshotRow[] {
  const order = knownOrder(known);
  const place = ({ id }: SnapshotRow) => order.indexOf(id);
  const sorted = rows.filter((row) => place(row) >= 0).sort((one, other) => place(one) - place(other));
  const unknown = rows.filter((row) => place(row) < 0);
  unknown.sort((one, other) => timeOf(one) - timeOf(other) || other.id.localeCompare(one.id));
  for (const row of unknown) {
    const older = sorted.findIndex((one) => timeOf(one) <= timeOf(row));
    sorted.splice(older < 0 ? sorted.length : older, 0, row);
  }
  return sorted;
}

/** The state with an instant that is newer than all others, as if it knew that already. */
export function withNewest(known: State, row: SnapshotRow): State {
  const others = Array.isArray(known.snapshots) ? known.snapshots.filter((one) => one?.id !== row.id) : [];
  return {
    ...known,
    snapshots: [instantOf(row), ...others],
    takenFor: row.metadata[SERIES_KEYS.instant] ?? known.takenFor,
  };
}

/** The state of a series that was waiting for an instant. The instant is the newest, whatever its time says. */
export function withAwaited(known: State, rows: readonly SnapshotRow[]): State {
  const { failed, task } = (known.pending ?? {}) as Partial<Pending>;
  const awaited = failed ? undefined : rows.find((row) => row.id === task?.snapshot && isUsable(row));
  return awaited === undefined ? known : withNewest(known, awaited);
}

/**
 * The digest of the triggers that the latest instant was taken for. An instant that the state does not know comes from a
 * killed run. If somebody else has deleted the latest instant, the state still says that it was taken.
 */
function takenFor(sorted: readonly SnapshotRow[], known: State): string | undefined {
  const order = knownOrder(known);
  const newest = sorted.find((row) => isUsable(row) && row.metadata[SERIES_KEYS.instant] !== undefined);
  const latestKnown = Array.isArray(known.snapshots) ? Date.parse(known.snapshots[0]?.createdAt ?? "") : Number.NaN;
  const isNewer =
    newest !== undefined && !order.includes(newest.id) && (Number.isNaN(latestKnown) || timeOf(newest) >= latestKnown);
  if (!isNewer && typeof known.takenFor === "string") return known.takenFor;
  return newest?.metadata[SERIES_KEYS.instant];
}

/** True if the instant that the program asks for has been taken and the series protects something. */
export function isTaken(sorted: readonly SnapshotRow[], known: State, triggers: unknown): boolean {
  return sorted.some(isUsable) && isTakenFor(takenFor(sorted, known), triggers);
}

/**
 * The snapshots that are to go, the oldest first: `keep` usable ones are newer, and the snapshot is older than `keepWithin`.
 * A snapshot that can't be used takes no place among those that are kept.
 */
export function dueRows(sorted: readonly SnapshotRow[], known: State, retention: Retention, now: Date): SnapshotRow[] {
  const { keep, keepWithin } = retention;
  if (typeof keep !== "number") return [];
  const before = typeof keepWithin === "string" ? now.getTime() - (ageMs(keepWithin) ?? 0) : Number.POSITIVE_INFINITY;
  let newer = 0;
  const due: SnapshotRow[] = [];
  for (const row of sorted) {
    if (newer >= keep && timeOf(row) < before && !isFailed(row, known) && !isBeingMade(row)) due.unshift(row);
    if (isUsable(row)) newer += 1;
  }
  return due;
}

/** Statuses: docs/wire/openstack.md#a8. */
export function isUsable({ status }: SnapshotRow): boolean {
  return !/creat|error|delet|unmanag/i.test(status);
}

export function isBeingMade({ status }: SnapshotRow): boolean {
  return /creating/i.test(status);
}

/** It never was a copy of anything. What the state knows as an instant may still hold data when its status is "error". */
export function isFailed({ id, status }: SnapshotRow, known: State): boolean {
  return /^error$/i.test(status) && !knownIds(known).includes(id);
}

function isInstant(row: SnapshotRow, known: State): boolean {
  if (isUsable(row) || /^error_deleting$/i.test(row.status)) return true;
  return /^error/i.test(row.status) && !isFailed(row, known);
}

/** Newest first. */
export function knownIds({ snapshots }: State): string[] {
  return Array.isArray(snapshots) ? snapshots.map((one: Partial<Instant>) => String(one?.id)) : [];
}

/** Newest first. A deletion that Cinder has begun is in `overdue` alone, and Cinder may take it back. */
function knownOrder(known: State): string[] {
  const overdue = itemsOf(known.overdue).filter((id) => typeof id === "string");
  return [...new Set([...knownIds(known), ...overdue.reverse()])];
}

/** The snapshots that the state says are the series'. `latest` and `overdue` are readable where `snapshots` is a secret. */
export function heldIds({ snapshots, latest, overdue, failed }: State): string[] {
  const instants = itemsOf(snapshots).map((one) => (isRecord(one) ? one.id : undefined));
  const all = [...instants, latest, ...itemsOf(overdue), ...itemsOf(failed)];
  return [...new Set(all.filter((id) => typeof id === "string"))];
}

function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** True if the row is older than the latest snapshot that the state, and so a preview, names. */
export function isBehindLatest(row: SnapshotRow, known: State): boolean {
  const order = knownIds(known);
  const latest = order.indexOf(String(known.latest));
  if (latest < 0 || row.id === known.latest) return false;
  if (order.includes(row.id)) return order.indexOf(row.id) > latest;
  return timeOf(row) < Date.parse((known.snapshots as Instant[])[latest]?.createdAt ?? "");
}

function timeOf({ created_at }: SnapshotRow): number {
  const time = Date.parse(utc(created_at) ?? "");
  // Only a row that Cinder has just begun lacks its time.
  return Number.isNaN(time) ? Number.MAX_SAFE_INTEGER : time;
}
