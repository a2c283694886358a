// LinkedTargetSet: a number of targets that are linked to a ViPR snapshot session.

import * as z from "zod";
import { orUndefined } from "../../core/absence";
import type { Task as AcceptedTask, Definition, OperationContext, Pending, State } from "../../core/definition";
import { isKind, type SnapcloneError } from "../../core/errors";
import { connectionName } from "../../core/inputs";
import { withAbort } from "../../core/util/abort";
import { isConsistencyGroup, type Task, type Tasks } from "../client";
import { type ViprContext, vipr } from "../context";
import {
  endOf,
  missingMemberIsNotGone,
  nameIsTaken,
  noSession,
  perhapsRelinked,
  stillLinked,
  taskFailed,
  taskGone,
  tooFewTargets,
  unlinkableTargets,
  warningsAbout,
} from "./errors";
import { importer } from "./import";
import { count, type LinkedTargetSetInputs, sessionId, targetName } from "./inputs";
import { lockForLink, lockForUpdate } from "./locks";
import { batchName, newSetId, parseSetId, RECORD_LENGTHS } from "./names";
import { listRecorded, listScopeOf, listSets, writeRecord } from "./ownership";
import {
  asList,
  asText,
  fetchSet,
  linkedBy,
  observedOf,
  recordedIds,
  type TargetOutput,
  type TargetSetState,
  unlinkedTargetsOf,
} from "./state";
import {
  acceptedTask,
  beingProvisioned,
  describeTask,
  fetchIdleSet,
  findLostTask,
  refreshedBy,
  waitUntilShown,
} from "./tasks";
import { forgetRefusedLink, forgetUnprovisioned, type QuickUnlink, unlink, unlinkRecorded } from "./unlink";
import { isAsWanted, reconcileTargets, withTriggers } from "./update";

export const linkedTargetSet: Definition<LinkedTargetSetInputs, ViprContext> = {
  displayName: "linked target set",
  connection: vipr,
  stableOutputs: ["sourceId"],
  import: importer,
  inputs: {
    // Only ViPR knows whether another session has the same source, and `diff` must not ask it. So the change is an update
    // until an update has found that the session is incompatible.
    snapshotSessionId: {
      onChange: (olds, news) => (news.snapshotSessionId === olds.unfitSessionId ? "replace" : "update"),
      schema: sessionId(),
    },
    targetName: { onChange: "replace", schema: targetName() },
    count: { onChange: "update", schema: count() },
    // ViPR neither changes nor shows the mode of a linked target (docs/wire/vipr.md#s0-8).
    copyMode: {
      onChange: "replace",
      schema: z.enum(["copy", "nocopy"], 'must be "copy" or "nocopy"').default("nocopy"),
    },
    deleteTargetsOnUnlink: { onChange: "update", schema: z.boolean("must be true or false").default(true) },
    refreshTriggers: { onChange: "update", schema: z.array(z.unknown(), "must be a list").optional() },
    connection: { onChange: "replace", schema: connectionName().optional(), default: "default" },
  },
  // ViPR unlinks, relinks, and works on the volumes of a consistency group one after another (docs/wire/vipr.md#s4).
  timeouts: { create: "30m", update: "30m", delete: "30m" },
  recordLengths: RECORD_LENGTHS,
  // A failed link may have linked some targets (docs/wire/vipr.md#s0-7). They stay, and an update links the others.
  onFailedCreate: "update",
  derivedOutputs: {
    targets: ["targetName"],
    promotedVolumes: ["targetName"],
    unlinkedTargets: ["targetName"],
  },
  members: recordedIds,

  divergence: ({ remains }) => (asList(remains).length > 0 ? { output: "remains", effect: "update" } : undefined),

  describe: ({ targetName, id }) => `linked target set ${typeof targetName === "string" ? `"${targetName}"` : id}`,

  listScope: ({ owner }, { targetName, __owner }) => listScopeOf(String(targetName), owner, asText(__owner) ?? ""),

  listOwned: (controller, { stack, place }) => listSets(controller, stack, place),

  listRecorded,

  recordOwnership: (controller, id, record, known) => writeRecord(controller, id, record, known),

  async beginCreate(controller, inputs, record, context) {
    const { snapshotSessionId: session, count, copyMode } = inputs;
    const id = newSetId(inputs.targetName, record);
    if (controller.listedSets.has(id)) throw nameIsTaken(id);
    const free = await lockForLink(controller, session, context);
    const linked = { batch: 1, count };
    try {
      const targets = { count, target_name: batchName(id, linked.batch), copy_mode: copyMode };
      controller.begunSets.add(id);
      controller.latestSearches.clear();
      const tasks = await controller.client.linkTargets(session, targets);
      for (const { id: task } of tasks) controller.ownTasks.add(task);
      // `waitForCreate` releases the lock when the task has ended.
      controller.holdLock(id, free);
      return { id, task: acceptedTask("link", session, tasks, linked), initialState: tasks };
    } catch (error) {
      free();
      if (isKind(error, "notFound")) throw noSession(session, error);
      await forgetRefusedLink(controller, id, linked, { snapshotSessionId: session }, error, context.signal);
      throw error;
    }
  },

  async waitForCreate(controller, accepted, inputs, context) {
    const { id, task: acceptedTask, initialState } = accepted;
    // Only the link of this run must have made all targets. After any other task, an update links those that are missing.
    const isOwnLink = controller.begunSets.delete(id);
    const leave = controller.register();
    try {
      const { session } = acceptedTask;
      const task = await endOfLink(controller, acceptedTask, initialState as Tasks | undefined, context);
      // The next link of the session need not wait for what follows.
      controller.releaseLock(id);
      const hasFailed = task?.state === "error";
      const known: State = { ...inputs, refreshedBy: refreshedByTask(acceptedTask, inputs, hasFailed) };
      const linked = linkedBy(acceptedTask);
      const gone = goneTask(acceptedTask, task);
      if (gone && refreshedBy(acceptedTask) !== undefined && acceptedTask.kind === "relink")
        context.warn(perhapsRelinked(gone));
      const isEnough = ({ groups }: TargetSetState) => !isOwnLink || hasFailed || groups.length >= inputs.count;
      // After the task of this run's own link no other task can be running for the set.
      const fetch = (signal: AbortSignal) =>
        isOwnLink && task
          ? fetchSet(controller, id, known, { signal, linked })
          : fetchIdleSet(controller, id, known, context, { sessions: [session], linked });
      const underWay = (seen: TargetSetState) => (gone ? beingProvisioned(seen, linked) : []);
      const set = await waitUntilShown(fetch, isEnough, context, underWay);
      if (hasFailed && isOwnLink) throw taskFailed(task, set, inputs);
      if (hasFailed) context.warn(`${endOf(task)}. This run does what the task has left undone`);
      if (!isEnough(set)) throw tooFewTargets(set, inputs, gone);
      return observedOf(set, known);
    } catch (error) {
      throw missingMemberIsNotGone(error);
    } finally {
      controller.releaseLock(id);
      leave();
    }
  },

  async read(controller, id, known, signal) {
    // `get` takes any text as the id, and knows nothing else. Another text would be the beginning of foreign names.
    const isGet = known.snapshotSessionId === undefined;
    if (isGet && parseSetId(id) === undefined) return undefined;
    // An update of this run may have relinked the targets before it failed.
    const refreshed = controller.refreshedBy.get(id) ?? known.refreshedBy ?? triggersOfFailedCreate(known);
    const leave = controller.register();
    const set = await fetchSet(controller, id, known, { signal }).finally(leave);
    controller.warnings.set(id, await warningsAtRefresh(controller, set, known, signal));
    // The set is gone if the state names targets and none exists. Unfinished or failed work may have made no target yet.
    const hasTargets = recordedIds(known).length > 0;
    if (set.members.length === 0 && (hasTargets || isGet) && known.pending === undefined) return undefined;
    return observedOf(set, { ...known, refreshedBy: refreshed });
  },

  async update(controller, id, from, inputs, known, context) {
    if (known.pending === undefined && isAsWanted(from.state, inputs)) return withTriggers(from, inputs);
    const targets = asList<TargetOutput>(from.state.targets);
    const { snapshotSessionId } = inputs;
    const free = await lockForUpdate(controller, { snapshotSessionId, targets }, context);
    try {
      // After an unfinished relink only its task, and so `from`, has the triggers.
      const refreshed = from.state.refreshedBy ?? known.refreshedBy;
      // After an adoption only `from` has the targets.
      const hasTargets = known.batches !== undefined || known.targets !== undefined;
      const { batches, sourceId } = from.state;
      const seen = hasTargets ? {} : { batches, targets, sourceId };
      return await reconcileTargets(controller, id, inputs, { ...known, ...seen, refreshedBy: refreshed }, context);
    } catch (error) {
      throw missingMemberIsNotGone(error);
    } finally {
      free();
    }
  },

  async delete(controller, id, known, context) {
    const leave = controller.register();
    try {
      const quick = await unlinkRecorded(controller, id, known, context);
      return quick.isAll ? "deleted" : await removeRest(controller, id, known, quick, context);
    } catch (error) {
      throw missingMemberIsNotGone(error);
    } finally {
      leave();
    }
  },

  async diagnose(controller, id) {
    const warnings = controller.warnings.get(id) ?? [];
    return warnings.length === 0 ? undefined : warnings.join(".\n");
  },

  async identity(controller, _known, signal) {
    return `tenant ${await withAbort(controller.showTenant(), signal)}`;
  },

  /** Another VDC of the same tenant, and a user who has lost the project, see neither the session nor the source. */
  async doubtAbsence({ client }, { snapshotSessionId, sourceId }, signal) {
    const session = asText(snapshotSessionId);
    const source = asText(sourceId);
    if (session && (await orUndefined(client.showSession(session, signal)))) return undefined;
    if (source && (await orUndefined(client.showSource(source, signal).then(() => true)))) return undefined;
    return `this login sees neither the snapshot session ${session}${source ? ` nor its source ${source}` : ""}`;
  },

  serverTime: ({ client }) => client.serverTime(),
};

/** Decides by what is linked, so no other operation may change that in the meantime. */
async function removeRest(
  controller: ViprContext,
  id: string,
  known: State,
  { unlinked, lost, doubt }: QuickUnlink,
  context: OperationContext,
): Promise<"deleted" | "missing"> {
  const free = await lockForUpdate(controller, known, context);
  try {
    if (lost) await findLostTask(controller, lost, context);
    const before = await settledSet(controller, id, known, doubt, context);
    if (before.members.length === 0) return unlinked ? "deleted" : "missing";
    const after = await unlink(controller, before, ({ members }) => members, known, context);
    await forgetUnprovisioned(controller, after);
    const unlinkable = unlinkedTargetsOf(after);
    if (unlinkable.length > 0) throw unlinkableTargets(unlinkable);
    const kept = after.promoted.map((volume) => `${volume.name} (${volume.id})`);
    if (known.deleteTargetsOnUnlink === false && kept.length > 0) {
      context.warn(`these targets were kept as volumes, and no stack manages them any more: ${kept.join(", ")}`);
    }
    return "deleted";
  } finally {
    free();
  }
}

/** The set when nothing that is known works on it any more. */
async function settledSet(
  controller: ViprContext,
  id: string,
  known: State,
  doubt: QuickUnlink["doubt"],
  context: OperationContext,
): Promise<TargetSetState> {
  const pending = known.pending as Pending | undefined;
  const accepted = pending && !pending.failed ? pending.task : {};
  const isGone = goneTask(accepted, await endOfLink(controller, accepted, undefined, context)) !== undefined;
  const fetch = () => fetchIdleSet(controller, id, known, context);
  const linkedIn = ({ members }: TargetSetState) =>
    members.filter(({ row, session }) => session && doubt?.ids.includes(row.id));
  if (doubt !== undefined && !doubt.isLost) {
    const set = await waitUntilShown(fetch, (seen) => linkedIn(seen).length === 0, context);
    if (linkedIn(set).length > 0) throw stillLinked(linkedIn(set), doubt.error);
    return set;
  }
  if (!isGone) return fetch();
  return waitUntilShown(
    fetch,
    () => true,
    context,
    (seen) => beingProvisioned(seen, linkedBy(accepted)),
  );
}

/** The error of an accepted task that ViPR does not have any more. */
function goneTask({ task, kind }: AcceptedTask, end: Task | undefined): SnapcloneError | undefined {
  return typeof task === "string" && end === undefined ? taskGone(task, describeTask(kind)) : undefined;
}

/** The end of the task that has linked the targets; undefined where the task is not known, or gone. */
async function endOfLink(
  controller: ViprContext,
  { task, kind }: AcceptedTask,
  /** As the request of this run was answered. */
  begun: Tasks | undefined,
  context: OperationContext,
): Promise<Task | undefined> {
  if (typeof task !== "string") return undefined;
  const what = describeTask(kind);
  if (begun === undefined) return controller.waitForTask(task, what, context);
  return controller.waitForTasks(begun, what, context, controller.durations.link);
}

/**
 * The targets that a failed create has linked are of its triggers. A refresh forgets the failure, and what there is may be all that
 * the program wants by then: without this no later change of the triggers would refresh them.
 */
function triggersOfFailedCreate({ pending, refreshTriggers }: State): unknown {
  const { operation, failed } = (pending ?? {}) as Partial<Pending>;
  return operation === "create" && failed ? (refreshTriggers ?? []) : undefined;
}

/** The triggers that the targets have after this task. undefined if they still have those of the state. */
function refreshedByTask(task: AcceptedTask, inputs: LinkedTargetSetInputs, hasFailed: boolean) {
  const triggers = refreshedBy(task);
  if (triggers === undefined) return inputs.refreshTriggers ?? [];
  return hasFailed ? undefined : triggers;
}

/** Fetches the number of volumes that the consistency group has by now, because the targets do not show it. */
async function warningsAtRefresh(
  { client }: ViprContext,
  set: TargetSetState,
  known: State,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const wanted = asText(known.snapshotSessionId);
  const { source } = set;
  if (source === undefined || !isConsistencyGroup(source) || set.groups.length === 0) return warningsAbout(set, wanted);
  const group = await client.showGroup(source, signal).catch(() => undefined);
  return warningsAbout(set, wanted, group?.volumes.length);
}
