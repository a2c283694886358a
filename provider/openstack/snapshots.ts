// Snapshots of Cinder's, as every resource that makes or deletes one waits for them.

import { AbsenceTimer } from "../core/absence";
import type { BatchPoller } from "../core/batchPoller";
import type { OperationContext } from "../core/definition";
import type { Evaluation } from "../core/poll";
import type { SnapshotRow } from "./cinder";
import type { OpenStackContext } from "./context";
import { type DeletionContext, deleteUntilGone } from "./deletion";
import { creationFailed, removedByOthers, vanished } from "./snapshot/errors";
import { setToError, waitForObject } from "./wait";

/** A later run may resume the wait for a snapshot that somebody backs up by now, which may take hours. */
const MADE = /^(available|backing-up)$/;

/**
 * Waits until Cinder has made the snapshot. All such waits of a stack with the same `stackKey` share their lists. Throws "failed" if
 * the snapshot ended in an error, and "notFound" if it is proven gone.
 */
export async function waitUntilMade(
  cloud: OpenStackContext,
  id: string,
  initial: SnapshotRow | undefined,
  stackKey: string,
  context: OperationContext,
): Promise<SnapshotRow> {
  const absence = new AbsenceTimer(context.clock);
  const row = await waitForObject(createPoller(cloud, stackKey, context.stack), id, {
    description: `snapshot ${id} to become available`,
    initial,
    evaluate: (seen) => evaluateCreation(cloud, id, seen, absence),
    estimator: cloud.estimators.creating,
    stuckHint: () => setToError("snapshot", id),
    context,
  });
  return row as SnapshotRow;
}

/** The creates of one stack share one list of the stack's snapshots, which have the stack's digest under `stackKey`. */
export function createPoller(cloud: OpenStackContext, stackKey: string, stack: string): BatchPoller<SnapshotRow> {
  return cloud.poller(`create ${stackKey} ${stack}`, async () =>
    stack === ""
      ? (await cloud.cinder.listSnapshotsDetail({ status: "creating" })).snapshots
      : cloud.snapshotsWith([{ [stackKey]: stack }]),
  );
}

/** Statuses and their order: docs/wire/openstack.md#a8. Compared without regard to case, as openstacksdk does. */
async function evaluateCreation(
  cloud: OpenStackContext,
  id: string,
  row: SnapshotRow | undefined,
  absence: AbsenceTimer,
): Promise<Evaluation> {
  const isGone = absence.isProven(row !== undefined);
  if (!row && !isGone) return { is: "pending", progress: "Cinder does not show it yet" };
  if (!row) return { is: "failed", error: vanished(id) };
  const status = row.status.toLowerCase();
  const progress = [row.status, row["os-extended-snapshot-attributes:progress"]].filter(Boolean).join(" ");
  if (MADE.test(status)) return { is: "done", progress };
  if (status === "error") return { is: "failed", error: await creationFailed(cloud.cinder, row) };
  if (/delet|unmanag/.test(status)) return { is: "failed", error: removedByOthers(row) };
  return { is: "pending", progress };
}

/** "missing": Cinder did not know the snapshot at the first request. */
export function deleteSnapshot(
  cloud: OpenStackContext,
  id: string,
  context: DeletionContext,
): Promise<"deleted" | "missing"> {
  return deleteUntilGone(
    {
      noun: "snapshot",
      id,
      cinder: cloud.cinder,
      send: () => cloud.cinder.deleteSnapshot(id),
      poller: deletePoller(cloud),
      estimator: cloud.estimators.deleting,
      revertedHint:
        "Something still uses the snapshot: delete the volumes that were made from it, or wait for their copies to finish.",
    },
    context,
  );
}

function deletePoller(cloud: OpenStackContext): BatchPoller<SnapshotRow> {
  const list = async () => (await cloud.cinder.listSnapshotsDetail({ status: "deleting" })).snapshots;
  return cloud.poller("delete", list, { resolveWhenMissing: true });
}
