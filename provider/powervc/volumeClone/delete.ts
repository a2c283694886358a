// Deletes the clones of a set. Never deletes a source volume, nor a volume that is not proven to be a clone of the set.

import type { HiddenOutputs, OperationContext, Pending, State } from "../../core/definition";
import { isKind } from "../../core/errors";
import type { VolumeRow } from "../../openstack/cinder";
import { type Deletion, type DeletionContext, deleteUntilGone } from "../../openstack/deletion";
import type { PowerVcContext } from "../context";
import { attachedToVm, flowStillRuns, perhapsLeft } from "./errors";
import {
  canBeCloneOf,
  clearPendingCreateOrWarn,
  isUnsent,
  pendingCreateOf,
  pendingCreatesOn,
  textsIn,
} from "./ownership";
import { findMembers, hasCloneOfEach, recordedClones, stringsIn, unfinishedCreate } from "./state";
import { forEachSettled } from "./volumes";
import { flowEnd, flowOf, isInternalError, refuseOtherBackend } from "./wait";

type Deletable = Pick<VolumeRow, "id" | "name"> & Partial<VolumeRow>;

/**
 * Waits for the flow that still makes the set, if there is one: no call cancels it, and no stack would manage what it makes
 * after the delete. Returns the ids that PowerVC's task names as clones.
 */
export async function waitForFlow(
  cloud: PowerVcContext,
  id: string,
  known: State,
  context: OperationContext,
): Promise<readonly string[]> {
  const pending = unfinishedCreate(known);
  if (pending === undefined) return clonesOfFailed(cloud, id, known, context);
  const accepted = { id, task: pending.task };
  await refuseOtherBackend(cloud, accepted);
  const sources = stringsIn(known.volumes);
  const pendingCreate = await pendingCreateOf(cloud, accepted, sources);
  if (isUnsent(pending.task, pendingCreate)) return [];
  const outcome = await flowEnd(cloud, flowOf(pendingCreate, sources), context).catch((error: unknown) => {
    throw isKind(error, "deadline") ? flowStillRuns(error, pendingCreate) : error;
  });
  if (outcome.is !== "made" && outcome.perhaps?.length) context.warn(perhapsLeft(id, outcome.perhaps));
  return outcome.is === "nothing" ? [] : Object.values(outcome.clones);
}

/** The clones that a failed task has named. A run may have been unable to tag them. */
async function clonesOfFailed(
  cloud: PowerVcContext,
  id: string,
  { pending }: State,
  context: Pick<OperationContext, "warn">,
): Promise<readonly string[]> {
  const { operation, task = {} } = (pending as Pending | undefined) ?? {};
  const { taskId } = textsIn(task);
  if (operation !== "create" || taskId === undefined) return [];
  await refuseOtherBackend(cloud, { id, task });
  const progress = await cloud.client.progress(taskId).catch((error: unknown) => {
    // PowerVC may answer so for ever about a task that it has forgotten.
    if (!isInternalError(error)) throw error;
    context.warn(
      `${error.parts.message}: whether the failed task ${taskId} has named clones of the set ${id} is not known. Those without its name or its record stay`,
    );
    return undefined;
  });
  return Object.values(progress?.clones ?? {});
}

/**
 * The volumes that a failed task has named as clones, and that have neither the set's record nor its name. undefined if PowerVC
 * does not show what the task has named.
 */
export async function clonesLeft(
  cloud: PowerVcContext,
  id: string,
  known: State,
  signal: AbortSignal,
): Promise<readonly VolumeRow[] | undefined> {
  let isKnown = true;
  const warn = () => {
    isKnown = false;
  };
  const named = await clonesOfFailed(cloud, id, known, { warn });
  return isKnown ? unrecordedClones(await cloud.volumes(named, undefined, signal), id, known) : undefined;
}

function unrecordedClones(rows: readonly VolumeRow[], id: string, known: State): VolumeRow[] {
  const { since } = textsIn((known.pending as Pending | undefined)?.task);
  return rows.filter((row) => canBeCloneOf(row, id, stringsIn(known.volumes), since));
}

/**
 * The clones of the set: those that the state names, those that have its record, and those that PowerVC's task names
 * (`named`) if nothing contradicts it.
 */
export async function deletableClones(
  cloud: PowerVcContext,
  id: string,
  known: State,
  named: readonly string[],
): Promise<Deletable[]> {
  const sources = stringsIn(known.volumes);
  const recorded = recordedClones(known);
  for (const [clone, source = sources[0]] of recorded)
    if (source !== undefined) cloud.sourcesOfDeleted.set(clone, source);
  // A single clone is deleted without fetching it first: there is no other clone that could be lost if Cinder refuses.
  const [only] = recorded.keys();
  if (known.pending === undefined && recorded.size === 1 && only !== undefined && hasCloneOfEach(sources, recorded)) {
    return [{ id: only, name: null }];
  }
  const members = await findMembers(cloud, id, known);
  const others = named.filter((clone) => !sources.includes(clone) && !members.some(({ row }) => row.id === clone));
  const rows = await cloud.volumes(others, undefined);
  return [...members.map(({ row }) => row), ...unrecordedClones(rows, id, known)];
}

/** Deletes all of them or, if a VM has one of them, none: half a set would be neither there nor gone. */
export async function deleteClones(
  cloud: PowerVcContext,
  rows: readonly Deletable[],
  context: OperationContext,
): Promise<readonly ("deleted" | "missing")[]> {
  const attached = attachedToVm(rows);
  if (attached) throw attached;
  try {
    return await deleteAll(cloud, rows, context);
  } catch (error) {
    const [only] = rows;
    if (rows.length === 1 && only && isKind(error, "refused")) {
      const row = await cloud.volume(only.id);
      throw (row && attachedToVm([row])) ?? error;
    }
    throw error;
  }
}

/** A failure of one does not keep the others from being deleted. */
async function deleteAll(
  cloud: PowerVcContext,
  rows: readonly Pick<VolumeRow, "id" | "name">[],
  context: OperationContext,
): Promise<readonly ("deleted" | "missing")[]> {
  const { clock, deadline, signal } = context;
  let gone = 0;
  const items = rows.map((row) => ({ row }));
  return forEachSettled(items, async ({ row }) => {
    // The resource's row in Pulumi shows how many are gone, and not what each of them does.
    const outcome = await deleteOne(cloud, row.id, { clock, deadline, signal, progress: () => {} });
    gone += 1;
    context.progress(`${gone} of ${rows.length} clones deleted`);
    return outcome;
  });
}

/**
 * Cinder refuses the DELETE while the volume is busy, attached, in a group or has snapshots, with one text for all of these
 * (docs/wire/openstack.md#a13).
 */
function deleteOne(cloud: PowerVcContext, id: string, context: DeletionContext): Promise<"deleted" | "missing"> {
  const deletion: Deletion = {
    noun: "volume",
    id,
    cinder: cloud.cinder,
    send: () => cloud.cinder.deleteVolume(id),
    poller: cloud.deletions,
    estimator: cloud.estimators.deleting,
    revertedHint:
      "Something still uses the volume: copies or snapshots of it on the storage may have to be deleted first.",
  };
  return deleteUntilGone(deletion, context);
}

/**
 * Removes what is left of the pending create. A completed set has left nothing. A set that was never completed, or that an
 * early build made, may have left it on the first volume.
 */
export async function clearAfterDelete(
  cloud: PowerVcContext,
  id: string,
  known: State,
  context: OperationContext,
): Promise<void> {
  const { __owner, __stack } = known as HiddenOutputs;
  const pending = known.pending as Pending | undefined;
  const isOld = __owner !== undefined && __stack === undefined;
  const { place } = textsIn(pending?.task);
  if (!cloud.pendingCreates.has(id) && place !== undefined) {
    await clearPendingCreateOrWarn(cloud, id, place, context);
    return;
  }
  if (!cloud.pendingCreates.has(id) && (pending || isOld)) {
    const row = await cloud.volume(stringsIn(known.volumes)[0] ?? "");
    for (const one of row ? pendingCreatesOn(row) : []) cloud.pendingCreates.set(one.id, one);
  }
  const left = cloud.pendingCreates.get(id);
  if (left) await clearPendingCreateOrWarn(cloud, id, left.volumeId, context);
}
