// SnapshotSeries: the last snapshots of a Cinder volume as one resource. A changed trigger takes a new snapshot in place,
// and then those go that are neither among the newest `keep` nor younger than `keepWithin`.

import type {
  Definition,
  HiddenOutputs,
  Observed,
  OperationContext,
  OwnershipRecord,
  State,
} from "../../core/definition";
import { isKind } from "../../core/errors";
import { ownershipRecord } from "../../core/ownership";
import type { SnapshotRow } from "../cinder";
import { undefinedIfMissing } from "../cinderErrors";
import { type OpenStackContext, openstack } from "../context";
import { revertVolume } from "../revert/revert";
import { reverting } from "../revert/reverting";
import { diagnosis } from "../snapshot/errors";
import { forEachRow, instantFailed, nothingToRevertTo, otherLatest, snapshotIsDue } from "./errors";
import { importer, refuseDue } from "./import";
import { inputRules, type SnapshotSeriesInputs } from "./inputs";
import {
  deletionOf,
  listInstants,
  now,
  prune,
  requestInstant,
  takeInstant,
  waitForInstant,
  withBegun,
} from "./instants";
import { listOwned, listRecorded, recordOwnership, writtenRecord } from "./ownership";
import { instantKey, isTakenFor, SERIES_KEYS, seriesId, taskOf } from "./record";
import {
  dueRows,
  heldIds,
  type Instant,
  instantOf,
  isBehindLatest,
  isFailed,
  isTaken,
  isUsable,
  newestFirst,
  observedSeries,
  rowsBehind,
  withNewest,
} from "./state";

export const snapshotSeries: Definition<SnapshotSeriesInputs, OpenStackContext> = {
  displayName: "snapshot series",
  connection: openstack,
  import: importer,
  inputs: inputRules,
  validate: reverting.validate,
  autoName: "name",
  // An update makes a snapshot and deletes others; a destroy deletes many, and one NFS backend deletes them one after
  // another (docs/wire/openstack.md#seen-times).
  timeouts: { create: "30m", update: "1h", delete: "1h" },
  // The series stays: the next `up` removes the snapshot that failed, and takes another.
  onFailedCreate: "update",
  derivedOutputs: { snapshots: ["name"], pruned: ["name"], takenFor: ["triggers"], ...reverting.derivedOutputs },
  members: heldIds,

  divergence(olds, news) {
    const { latest, takenFor, failed, overdue } = olds;
    const isEmpty = latest === undefined || latest === null;
    if (isEmpty || !isTakenFor(takenFor, news.triggers)) return { output: "latest", effect: "update" };
    if (hasItems(failed)) return { output: "failed", effect: "update" };
    return hasItems(overdue) ? { output: "overdue", effect: "update" } : undefined;
  },

  describe: ({ name, id, volumeId }) =>
    typeof name === "string" ? `snapshot series "${name}"` : `snapshot series ${id ?? `of volume ${volumeId}`}`,

  announceUpdate(_id, olds, news) {
    const latest = ((olds.snapshots ?? []) as Instant[]).find(({ id }) => id === olds.latest);
    const target = olds.latest ? `the latest snapshot ${String(olds.latest)}` : "the latest snapshot";
    return reverting.announceUpdate(olds, news, { target, since: latest?.createdAt });
  },

  listOwned,
  listRecorded,
  recordOwnership,

  async beginCreate(cloud, inputs, record, context) {
    const id = seriesId(record);
    const row = await requestInstant(cloud, id, inputs, record, context);
    return { id, task: taskOf(row.id), initialState: [row] };
  },

  async waitForCreate(cloud, { task, initialState }, inputs, context) {
    const known = { ...inputs, ...reverting.create(inputs) };
    // The task of an interrupted revert: the update that follows does the rest.
    if (reverting.isTask(task)) return { state: { volumeId: inputs.volumeId } };
    const snapshot = String(task.snapshot);
    if (initialState === undefined) return resumeWait(cloud, snapshot, inputs, context);
    const rows = initialState as readonly SnapshotRow[];
    const begun = rows.find((row) => row.id === snapshot);
    const made = await waitForInstant(cloud, snapshot, begun, context);
    return observedSeries([made, ...rows.filter((row) => row !== begun)], known, inputs, now(cloud, context));
  },

  async read(cloud, id, known, signal) {
    const rows = await listInstants(cloud, id, known, signal);
    if (rows.length === 0 && !(await isEmptySeries(cloud, known, signal))) return undefined;
    const isNew = known.snapshots === undefined;
    const before = withBegun(cloud, id, known, rows);
    return observedSeries(rows, { ...before, ...reverting.read(known, isNew) }, known, now(cloud));
  },

  async update(cloud, id, from, inputs, olds, context) {
    const { volumeId, triggers } = inputs;
    const { takenFor, __programUnknown: isImported = false } = olds as HiddenOutputs & State;
    // The state may have the digest of an early build. Pulumi's own import has not known the triggers.
    const isTakenBefore = isImported || isTakenFor(takenFor, triggers);
    const recorded: State = { ...olds, volumeId, takenFor: isTakenBefore ? instantKey(triggers) : takenFor };
    const listed = rowsBehind.get(from) ?? (await listInstants(cloud, id, recorded));
    let before = withBegun(cloud, id, recorded, listed);
    let rows = newestFirst(listed, before);
    if (isImported) refuseDue(dueRows(rows, before, inputs, now(cloud, context)), rows.length);
    let failed = rows.filter((row) => isFailed(row, before));
    const { outputs: reverts } = await reverting.update(olds, from, inputs, async (wanted) => {
      const { id: snapshotId } = latestForRevert(rows, before, inputs);
      // A failed snapshot never was a copy. To Cinder it is the newest snapshot, so it is deleted first.
      const gone = await prune(cloud, failed, context);
      rows = rows.filter((row) => !gone.includes(row));
      failed = failed.filter((row) => !gone.includes(row));
      return revertVolume({ cloud, volumeId, snapshotId, ...wanted }, context);
    });
    if (!isTaken(rows, before, triggers)) {
      const record = writtenRecord(cloud, id) ?? recordOf(context.stack, olds, inputs);
      try {
        const made = await takeInstant(cloud, id, rows, inputs, record, context);
        rows = [made, ...rows.filter((row) => row.id !== made.id)];
        before = withNewest(before, made);
      } catch (error) {
        if (!isKind(error, "failed", "notFound")) throw error;
        // A storage that can make none must not fill up with those that failed before.
        await prune(cloud, failed, context).catch(() => {});
        throw instantFailed(error);
      }
    }
    const due = dueRows(rows, before, inputs, now(cloud, context));
    const gone = await prune(cloud, [...failed, ...due], context);
    rows = rows.filter((row) => !gone.includes(row));
    const pruned: Instant[] = gone.filter((row) => !failed.includes(row)).map(instantOf);
    const known = { ...before, pruned, ...reverts };
    return observedSeries(rows, known, inputs, now(cloud, context));
  },

  async delete(cloud, id, known, context) {
    const rows = newestFirst(await listInstants(cloud, id, known), known).reverse();
    const outcomes = await forEachRow(rows, deletionOf(cloud, rows.length, context));
    const deleted = outcomes.filter((outcome) => outcome === "deleted").length;
    if (deleted > 0) context.info(`deleted ${deleted === 1 ? "1 snapshot" : `${deleted} snapshots`} of the series`);
    return deleted > 0 ? "deleted" : "missing";
  },

  async diagnose(cloud, _id, { snapshots, failed }) {
    const unusable = (snapshots as Instant[]).filter(({ status }) => /^error/i.test(status));
    const instants = unusable.map(
      async ({ id, status }) => `snapshot ${id} ${await diagnosis(cloud.cinder, id, status)}`,
    );
    const left = (failed as string[]).map(
      (id) => `snapshot ${id} is in status "error": it never was a copy, and the next \`pulumi up\` deletes it`,
    );
    const problems = [...(await Promise.all(instants)), ...left];
    return problems.length === 0 ? undefined : problems.join("; ");
  },

  identity: (cloud, _known, signal) => cloud.session.identity("blockStorage", signal),
  serverTime: (cloud) => cloud.session.serverTime("blockStorage"),
};

/** The snapshot that a revert goes to: no older one than the preview has named. Throws if the program asks for another one, too. */
function latestForRevert(rows: readonly SnapshotRow[], before: State, inputs: SnapshotSeriesInputs): SnapshotRow {
  const latest = rows.find(isUsable);
  if (latest === undefined) throw nothingToRevertTo(inputs.volumeId);
  if (isBehindLatest(latest, before)) throw otherLatest(latest, String(before.latest));
  if (!isTaken(rows, before, inputs.triggers)) throw snapshotIsDue(latest);
  return latest;
}

/**
 * A later run waits for what an earlier one had begun. Whatever came of it: the update that follows lists the series, and
 * takes another instant where this one came to nothing. If the program asks for another instant by now, a snapshot that
 * never becomes available must not hold that up.
 */
async function resumeWait(
  cloud: OpenStackContext,
  snapshot: string,
  { volumeId, triggers }: SnapshotSeriesInputs,
  context: OperationContext,
): Promise<Observed> {
  const row = await cloud.snapshot(snapshot, context.signal);
  if (row === undefined || isTakenFor(row.metadata[SERIES_KEYS.instant], triggers)) {
    try {
      await waitForInstant(cloud, snapshot, row, context);
    } catch (error) {
      if (!isKind(error, "failed", "notFound")) throw error;
    }
  }
  return { state: { volumeId } };
}

/** The record of an instant that an update takes: the same as on the series' other snapshots. */
function recordOf(stack: string, known: State, inputs: SnapshotSeriesInputs): OwnershipRecord {
  const { __owner = "", __attempt } = known as HiddenOutputs;
  return ownershipRecord(snapshotSeries, stack, __owner, __attempt, { ...inputs });
}

/**
 * True if somebody has deleted every snapshot, and the volume is there: the next `up` takes a new snapshot. If the volume is gone,
 * too, the series is gone. A login to another project sees neither, and proves nothing.
 */
async function isEmptySeries(cloud: OpenStackContext, known: State, signal: AbortSignal): Promise<boolean> {
  const { __backend } = known as HiddenOutputs;
  const { volumeId } = known;
  if (typeof volumeId !== "string" || __backend === undefined) return false;
  if ((await cloud.session.identity("blockStorage", signal)) !== __backend) return false;
  return (await undefinedIfMissing(cloud.cinder.showVolume(volumeId, signal), "volume")) !== undefined;
}

function hasItems(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}
