// The snapshots of a series on the backend: the list, the request for a new one, and the deletion of old ones.

import type { OperationContext, OwnershipRecord, State } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { retryUntilFound } from "../../core/retryUntilFound";
import { stopped } from "../../core/util/abort";
import type { CreateSnapshot, Metadata, SnapshotRow } from "../cinder";
import { withTransientNotFound } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import { deleteSnapshot, waitUntilMade } from "../snapshots";
import { isRefusal, notDeleted } from "./errors";
import type { SnapshotSeriesInputs } from "./inputs";
import { instantKey, isTakenFor, recordMetadata, SERIES_KEYS, taskOf } from "./record";
import { isBeingMade, knownIds, withAwaited, withNewest } from "./state";

/** Cinder's names hold 255 characters; a dash and the time take 17 of them. */
const PREFIX_LENGTH = 238;

/** Every snapshot of the series. One whose metadata somebody else has taken away is still the series', by the state. */
export async function listInstants(
  cloud: OpenStackContext,
  id: string,
  known: State,
  signal?: AbortSignal,
): Promise<SnapshotRow[]> {
  // A list that is "not found" says nothing about the series.
  const listed = await withTransientNotFound(cloud.snapshotsWith([{ [SERIES_KEYS.series]: id }], {}, signal));
  const recorded = knownIds(known);
  const missing = recorded.filter((one) => !listed.some((row) => row.id === one));
  const shown = await Promise.all(missing.map((one) => cloud.snapshot(one, signal)));
  const rows = [...listed, ...shown.filter((row) => row !== undefined)];
  // Metadata can be copied by hand: a snapshot of another volume belongs to this series only if the state says so.
  const isOurs = ({ id: one, volume_id }: SnapshotRow) => volume_id === known.volumeId || recorded.includes(one);
  return known.volumeId === undefined ? rows : rows.filter(isOurs);
}

/** Sends the POST of one snapshot. */
export async function requestInstant(
  cloud: OpenStackContext,
  id: string,
  inputs: SnapshotSeriesInputs,
  record: OwnershipRecord,
  context: OperationContext,
): Promise<SnapshotRow> {
  const { volumeId: volume_id, name = id, description, metadata = {}, triggers, force } = inputs;
  if (context.signal.aborted) throw stopped("the run was stopped; nothing was sent");
  const stamp = now(cloud, context)
    .toISOString()
    .replace(/[-:]|\.\d+/g, "");
  const request: CreateSnapshot & { metadata: Metadata } = {
    volume_id,
    name: `${name.slice(0, PREFIX_LENGTH)}-${stamp}`,
    description,
    metadata: { ...metadata, ...recordMetadata(id, record), [SERIES_KEYS.instant]: instantKey(triggers) },
    force,
  };
  return withInstant(await cloud.cinder.createSnapshot(request), request);
}

/** The instants that this run has taken, by series: if the update fails after that, the state still gets them as the newest. */
const taken = new WeakMap<OpenStackContext, Map<string, SnapshotRow>>();

/** The state as it is by what this run, or an earlier one that the state shows, has begun since. */
export function withBegun(cloud: OpenStackContext, id: string, known: State, rows: readonly SnapshotRow[]): State {
  const made = taken.get(cloud)?.get(id);
  const awaited = withAwaited(known, rows);
  return made !== undefined && rows.some((row) => row.id === made.id) ? withNewest(awaited, made) : awaited;
}

/** Takes the instant that the program asks for, or waits for the one that an interrupted run has begun. */
export async function takeInstant(
  cloud: OpenStackContext,
  id: string,
  rows: readonly SnapshotRow[],
  inputs: SnapshotSeriesInputs,
  record: OwnershipRecord,
  context: OperationContext,
): Promise<SnapshotRow> {
  const isWanted = (row: SnapshotRow) => isTakenFor(row.metadata[SERIES_KEYS.instant], inputs.triggers);
  let begun = rows.find((row) => isBeingMade(row) && isWanted(row));
  try {
    begun ??= await requestInstant(cloud, id, inputs, record, context);
  } catch (error) {
    if (!isKind(error, "ambiguous")) throw error;
    // The request is never sent again here. The next run lists the series first, and so finds what came of it.
    const earlier = new Set(rows.map((row) => row.id));
    const isNew = (row: SnapshotRow) => !earlier.has(row.id) && isWanted(row);
    begun = await retryUntilFound(
      async () => (await listInstants(cloud, id, { volumeId: inputs.volumeId })).find(isNew),
      context,
    );
    if (begun === undefined) throw error;
  }
  context.accepted(taskOf(begun.id));
  const row = await waitForInstant(cloud, begun.id, begun, context);
  context.done();
  taken.set(cloud, (taken.get(cloud) ?? new Map<string, SnapshotRow>()).set(id, row));
  return row;
}

/** Waits until Cinder has made the snapshot, as `waitUntilMade` does. */
export async function waitForInstant(
  cloud: OpenStackContext,
  snapshot: string,
  initial: SnapshotRow | undefined,
  context: OperationContext,
): Promise<SnapshotRow> {
  const row = await waitUntilMade(cloud, snapshot, initial, SERIES_KEYS.stack, context);
  return withInstant(row, initial);
}

/** What the snapshot was taken for is known from the request: an answer that lacks the key must not make another one. */
function withInstant(row: SnapshotRow, source: { metadata: Metadata } | undefined): SnapshotRow {
  const instant = source?.metadata[SERIES_KEYS.instant];
  return instant === undefined ? row : { ...row, metadata: { ...row.metadata, [SERIES_KEYS.instant]: instant } };
}

/**
 * Deletes these snapshots, and returns those that are gone. A refusal is a warning: the snapshot stays in the state, and
 * the next run tries again. What Cinder has not decided fails the update.
 */
export async function prune(
  cloud: OpenStackContext,
  rows: readonly SnapshotRow[],
  context: OperationContext,
): Promise<SnapshotRow[]> {
  const outcomes = await Promise.allSettled(rows.map(deletionOf(cloud, rows.length, context)));
  const gone: SnapshotRow[] = [];
  let undecided: unknown;
  for (const [at, outcome] of outcomes.entries()) {
    const row = rows[at] as SnapshotRow;
    if (outcome.status === "fulfilled") gone.push(row);
    else if (isRefusal(outcome.reason)) context.warn(notDeleted(row, outcome.reason));
    else undecided ??= outcome.reason;
  }
  if (undecided !== undefined) throw undecided;
  return gone;
}

/** Deletes one of `count` snapshots. The resource's row in Pulumi shows how many are gone, and not what each of them does. */
export function deletionOf(
  cloud: OpenStackContext,
  count: number,
  context: OperationContext,
): (row: SnapshotRow) => Promise<"deleted" | "missing"> {
  const { clock, deadline, signal } = context;
  let gone = 0;
  return async ({ id }) => {
    const outcome = await deleteSnapshot(cloud, id, { clock, deadline, signal, progress: () => {} });
    // The list has shown it a moment ago, so one "not found" proves little.
    if (outcome === "missing" && (await cloud.snapshot(id, signal)) !== undefined) {
      throw new SnapcloneError({
        kind: "transient",
        message: `Cinder did not find snapshot ${id} to delete it, and still shows it`,
        hint: "Run the same command again.",
      });
    }
    gone += 1;
    context.progress(`${gone} of ${count} snapshots deleted`);
    return outcome;
  };
}

/** Cinder's time, since ages are counted from Cinder's times of creation. */
export function now(cloud: OpenStackContext, context?: Pick<OperationContext, "clock">): Date {
  return cloud.session.serverTime("blockStorage") ?? context?.clock.date() ?? new Date();
}
