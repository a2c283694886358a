// LinkedTargetSet: so many targets linked to a ViPR snapshot session. A larger count links more, a smaller one unlinks
// the last, another session of the same source relinks them in place.

import { z } from "zod";
import { AbsenceTimer } from "../../core/absence";
import type {
  Task as AcceptedTask,
  Definition,
  Observed,
  OperationContext,
  Pending,
  State,
} from "../../core/definition";
import { canonical } from "../../core/diff";
import { isKind, SnapcloneError } from "../../core/errors";
import { connectionName } from "../../core/inputs";
import { poll } from "../../core/poll";
import { withAbort } from "../../core/util/abort";
import { codeOf, isConsistencyGroup, type SnapshotSession, type Task, type ViprClient } from "../client";
import { orMissing, type ViprContext, vipr } from "../context";
import {
  endOf,
  missingMemberIsNotGone,
  nameIsTaken,
  noSession,
  otherSource,
  remarksOn,
  stillLinked,
  taskFailed,
  tooFewTargets,
  unlinkableTargets,
} from "./errors";
import { count, type LinkedTargetSetInputs, sessionId, targetName } from "./inputs";
import {
  asList,
  asText,
  batchName,
  isOfSameSource,
  isProvisioned,
  isText,
  type LinkRequest,
  linkedBy,
  listScopeOf,
  listSets,
  lookAt,
  type Member,
  newId,
  nextBatch,
  observedOf,
  type PromotedVolume,
  promotedFrom,
  RECORD_LENGTHS,
  recordedIds,
  remainsOf,
  searchSet,
  sourceOf,
  straysOf,
  type TargetOutput,
  type TargetSetState,
  writeRecord,
} from "./state";
import { acceptedTask, doing, refreshedBy, runTask, type TaskRequest, waitForSessions } from "./tasks";

/**
 * What operations take turns at: ViPR lets two link or unlink requests run against each other
 * (docs/wire/vipr.md#s0-13).
 */
const SESSION = "snapshot session";
/** What ViPR says of a target that is not where it was a moment ago (docs/wire/vipr.md#unlink). */
const GONE_MEANWHILE = [1004, 1006, 1013];
/** What ViPR says of a name that is taken or too long (docs/wire/vipr.md#validation-of-link-targets). */
const REFUSED_PARAMETER = 1008;
const PACE = { first: 1_000, most: 10_000 };

export const linkedTargetSet: Definition<LinkedTargetSetInputs, ViprContext> = {
  displayName: "linked target set",
  connection: vipr,
  inputs: {
    // Whether another session has the same source is ViPR's to say, and a diff does not ask it: it is an update, until
    // an update has been told otherwise.
    snapshotSessionId: {
      onChange: (olds, news) => (news.snapshotSessionId === olds.unfitSessionId ? "replace" : "update"),
      schema: sessionId(),
    },
    targetName: { onChange: "replace", schema: targetName() },
    count: { onChange: "update", schema: count() },
    // It can't be changed on a linked target, nor be read back (docs/wire/vipr.md#s0-8).
    copyMode: {
      onChange: "replace",
      schema: z.enum(["copy", "nocopy"], 'must be "copy" or "nocopy"').default("nocopy"),
    },
    deleteTargetsOnUnlink: { onChange: "update", schema: z.boolean("must be true or false").default(true) },
    refreshTriggers: { onChange: "update", schema: z.array(z.unknown(), "must be a list").optional() },
    connection: { onChange: "replace", schema: connectionName().optional(), default: "default" },
  },
  // Steps of a consistency group, of unlinks and of relinks come one after another (docs/wire/vipr.md#s4).
  timeouts: { create: "30m", update: "30m", delete: "30m" },
  recordLengths: RECORD_LENGTHS,
  // A failed link leaves some of its targets linked (docs/wire/vipr.md#s0-7): the others are linked, and those that are
  // there stay.
  onFailedCreate: "update",
  derivedOutputs: {
    targets: ["targetName"],
    promotedVolumes: ["targetName"],
    unlinkedTargets: ["targetName"],
  },

  divergence: ({ remains }) => (asList(remains).length > 0 ? { output: "remains", effect: "update" } : undefined),

  describe: ({ targetName, id }) => `linked target set ${typeof targetName === "string" ? `"${targetName}"` : id}`,

  listScope: ({ owner }, { targetName, __owner }) => listScopeOf(String(targetName), owner, asText(__owner) ?? ""),

  listOwned: (controller, { stack, place }) => listSets(controller, stack, place),

  recordOwnership: (controller, id, record, known) => writeRecord(controller, id, record, known),

  async beginCreate(controller, inputs, record, context) {
    const { snapshotSessionId: session, count, copyMode } = inputs;
    const id = newId(inputs.targetName, record);
    if (controller.seen.has(id)) throw nameIsTaken(id);
    const free = await controller.sessionLocks.acquire([session], SESSION, context);
    try {
      const targets = { count, target_name: batchName(id, 1), copy_mode: copyMode };
      controller.begun.add(id);
      controller.latestSearch = undefined;
      const task = await controller.client.linkTargets(session, targets);
      // The turn is over when the targets are linked.
      controller.holdLock(id, free);
      return { id, task: acceptedTask("link", session, task, { batch: 1, count }), initialState: task };
    } catch (error) {
      free();
      if (isKind(error, "notFound")) throw noSession(session, error);
      await forgetRefusedLink(
        controller,
        id,
        { batch: 1, count },
        { snapshotSessionId: session },
        error,
        context.signal,
      );
      throw error;
    }
  },

  async waitForCreate(controller, accepted, inputs, context) {
    const { id } = accepted;
    // Only a link of this run is measured by the count: after any other, an update brings the rest.
    const isOwnLink = controller.begun.delete(id);
    try {
      const { task: taskId, session, kind } = accepted.task;
      const task =
        typeof taskId === "string"
          ? await controller.ended(taskId, doing(kind), context, accepted.initialState as Task | undefined)
          : undefined;
      const hasFailed = task?.state === "error";
      const known: State = { ...inputs, refreshedBy: refreshedByTask(accepted.task, inputs, hasFailed) };
      const absence = new AbsenceTimer(context.clock);
      const linked = linkedBy(accepted.task);
      const isEnough = ({ groups }: TargetSetState) => !isOwnLink || hasFailed || groups.length >= inputs.count;
      const set = await poll({
        description: "the linked targets to be shown",
        // The task of this link has ended, and nothing else is known to be at work.
        fetch: (signal) =>
          isOwnLink && task
            ? lookAt(controller, id, known, { signal, linked })
            : lookAtRest(controller, id, known, context, { sessions: [session], linked }),
        evaluate: (seen) => {
          const progress = `${seen.groups.length} linked`;
          return isEnough(seen) || absence.isProven(false) ? { is: "done", progress } : { is: "pending", progress };
        },
        interval: PACE,
        context: context,
      });
      if (hasFailed && isOwnLink) throw taskFailed(task, set, inputs);
      if (hasFailed) context.warn(`${endOf(task)}. What it has left undone is done now`);
      if (!isEnough(set)) throw tooFewTargets(set, inputs);
      return observedOf(set, known);
    } catch (error) {
      throw missingMemberIsNotGone(error);
    } finally {
      controller.releaseLock(id);
    }
  },

  async read(controller, id, known, signal) {
    // A step of this run that came to its end before another failed.
    const refreshed = controller.refreshed.get(id) ?? known.refreshedBy;
    const set = await lookAt(controller, id, known, { signal });
    controller.remarks.set(id, await remarksAtRefresh(controller, set, known, signal));
    // Gone is what the state names. Work that is not finished, or that failed, may have nothing to show for it.
    const isNamed = recordedIds(known).length > 0;
    if (set.members.length === 0 && isNamed && known.pending === undefined) return undefined;
    return observedOf(set, { ...known, refreshedBy: refreshed });
  },

  async update(controller, id, from, inputs, known, context) {
    if (known.pending === undefined && isAsWanted(from.state, inputs)) return stated(from, inputs);
    const targets = asList<TargetOutput>(from.state.targets);
    const free = await controller.sessionLocks.acquire(
      [inputs.snapshotSessionId, ...targets.map(({ snapshotSessionId }) => snapshotSessionId)],
      SESSION,
      context,
    );
    try {
      // What an unfinished relink has refreshed, only its task knows: it is in `from`.
      const refreshed = from.state.refreshedBy ?? known.refreshedBy;
      // Of a set that was just adopted only `from` knows the targets.
      const isKnown = known.batches !== undefined || known.targets !== undefined;
      const { batches, sourceId } = from.state;
      const seen = isKnown ? {} : { batches, targets, sourceId };
      return await reconcile(controller, id, inputs, { ...known, ...seen, refreshedBy: refreshed }, context);
    } catch (error) {
      throw missingMemberIsNotGone(error);
    } finally {
      free();
    }
  },

  async delete(controller, id, known, context) {
    const sessions = asList<TargetOutput>(known.targets).map(({ snapshotSessionId }) => snapshotSessionId);
    const free = await controller.sessionLocks.acquire(
      [...sessions, asText(known.snapshotSessionId)].filter(isText),
      SESSION,
      context,
    );
    try {
      const { isAll, unlinked } = await unlinkRecorded(controller, id, known, context);
      if (isAll) return "deleted";
      const before = await lookAtRest(controller, id, known, context);
      if (before.members.length === 0) return unlinked ? "deleted" : "missing";
      const after = await unlink(controller, before, ({ members }) => members, known, context);
      await forgetUnprovisioned(controller, after);
      const strays = straysOf(after);
      if (strays.length > 0) throw unlinkableTargets(strays);
      const kept = after.promoted.map((volume) => `${volume.name} (${volume.id})`);
      if (known.deleteTargetsOnUnlink === false && kept.length > 0) {
        context.warn(`kept as volumes, which nobody manages from now on: ${kept.join(", ")}`);
      }
      return "deleted";
    } catch (error) {
      throw missingMemberIsNotGone(error);
    } finally {
      free();
    }
  },

  async diagnose(controller, id) {
    const remarks = controller.remarks.get(id) ?? [];
    return remarks.length === 0 ? undefined : remarks.join(".\n");
  },

  async identity(controller, _known, signal) {
    return `tenant ${await withAbort(controller.showTenant(), signal)}`;
  },

  /** Another VDC of the same tenant, or a user who has lost the project, sees neither the session nor the source. */
  async doubtAbsence({ client }, { snapshotSessionId, sourceId }, signal) {
    const session = asText(snapshotSessionId);
    const source = asText(sourceId);
    if (session && (await orMissing(client.showSession(session, signal)))) return undefined;
    if (source && (await isThere(client.showSource(source, signal)))) return undefined;
    return `this login sees neither the snapshot session ${session}${source ? ` nor its source ${source}` : ""}`;
  },

  serverTime: ({ client }) => client.serverTime(),
};

async function isThere(asked: Promise<void>): Promise<boolean> {
  return (await orMissing(asked.then(() => true))) ?? false;
}

// --- reconciling a set with its inputs

function isAsWanted(state: State, inputs: LinkedTargetSetInputs): boolean {
  const targets = asList<TargetOutput>(state.targets);
  return (
    state.count === inputs.count &&
    targets.every(({ snapshotSessionId }) => snapshotSessionId === inputs.snapshotSessionId) &&
    asList(state.remains).length === 0 &&
    !wantsRefresh(inputs, state)
  );
}

/** What nobody has noted is not to be refreshed: the targets have just been linked. */
function wantsRefresh(inputs: LinkedTargetSetInputs, { refreshedBy }: State): boolean {
  return refreshedBy !== undefined && canonical(refreshedBy) !== canonical(inputs.refreshTriggers);
}

/** What the targets have been refreshed by when this task has ended; undefined: by what the state says. */
function refreshedByTask(task: AcceptedTask, inputs: LinkedTargetSetInputs, hasFailed: boolean) {
  const noted = refreshedBy(task);
  if (noted === undefined) return inputs.refreshTriggers ?? [];
  return hasFailed ? undefined : noted;
}

function stated(observed: Observed, { refreshTriggers }: LinkedTargetSetInputs): Observed {
  return { ...observed, state: { ...observed.state, refreshTriggers, refreshedBy: refreshTriggers ?? [] } };
}

async function reconcile(
  controller: ViprContext,
  id: string,
  inputs: LinkedTargetSetInputs,
  before: State,
  context: OperationContext,
): Promise<Observed> {
  const { snapshotSessionId: wanted, count, copyMode } = inputs;
  const { client } = controller;
  const told = new Set<string>();
  const tell = (seen: TargetSetState) => {
    const remarks = remarksOn(seen, wanted).filter((remark) => !told.has(remark));
    for (const remark of remarks) {
      context.warn(remark);
      told.add(remark);
    }
  };
  // What was linked to is looked at as well, and what was kept stays in the outputs.
  let known: State = { ...before, ...inputs };
  let set = await lookAtRest(controller, id, known, context, { sessions: [before.snapshotSessionId] });
  tell(set);
  const session = await destination(controller, wanted, context.signal);
  if (!fits(set, session)) throw otherSource(set, session);
  const failed = (task: Task) => taskFailed(task, set, inputs);

  const kept = set.groups.slice(0, count);
  const refresh = wantsRefresh(inputs, before);
  const moving = kept.flat().filter((member) => refresh || member.session?.id !== wanted);
  if (moving.length > 0) {
    const ids = moving.map(({ row }) => row.id);
    const refreshedBy = inputs.refreshTriggers ?? [];
    const send = () => client.relinkTargets(wanted, ids);
    await runTask(controller, { kind: "relink", session: wanted, send, refreshedBy, failed }, context);
    controller.refreshed.set(id, refreshedBy);
    known = { ...known, refreshedBy };
    set = await lookAgain(controller, set, known, context);
  }

  const missing = count - kept.length;
  if (missing > 0) {
    await forgetUnprovisioned(controller, set);
    const batch = nextBatch(set);
    const linked = { batch, count: missing };
    const targets = { count: missing, target_name: batchName(id, batch), copy_mode: copyMode };
    const send = () => client.linkTargets(wanted, targets);
    try {
      await runTask(
        controller,
        { kind: "link", session: wanted, send, refreshedBy: known.refreshedBy, linked, failed },
        context,
      );
    } catch (error) {
      await forgetRefusedLink(controller, id, linked, { ...known, batches: set.batches }, error, context.signal);
      throw error;
    }
    set = await lookAgain(controller, set, known, context, linked);
    if (set.groups.length < count) throw tooFewTargets(set, inputs);
  }

  // What is not wanted any more goes last: what replaces it is there.
  set = await unlink(
    controller,
    set,
    (seen) => [...seen.groups.slice(count).flat(), ...linkedRemains(seen)],
    known,
    context,
  );
  await forgetUnprovisioned(controller, set);
  if (remainsOf(set).length > 0) set = await lookAgain(controller, set, known, context);
  tell(set);
  return stated(observedOf(set, known), inputs);
}

function linkedRemains(set: TargetSetState): Member[] {
  return remainsOf(set).filter(({ session }) => session);
}

/** Targets that no session has tell their source, too: a set is of one source. */
function fits(set: TargetSetState, session: SnapshotSession): boolean {
  const home = set.members.find((member) => member.session)?.session;
  if (home) return isOfSameSource(home, session);
  return set.members.length === 0 || set.source === undefined || set.source === sourceOf(session);
}

/** Looks with what the set is known to be by now. */
function lookAgain(
  controller: ViprContext,
  { id, batches, promoted, source }: TargetSetState,
  known: State,
  { signal }: OperationContext,
  linked?: LinkRequest,
): Promise<TargetSetState> {
  const now = { ...known, batches, targets: [], promotedVolumes: promoted, sourceId: source ?? known.sourceId };
  const sessions = asList<TargetOutput>(known.targets).map(({ snapshotSessionId }) => snapshotSessionId);
  return lookAt(controller, id, now, { signal, sessions, linked });
}

/** Unlinks what `which` says of the set, the last linked first. Returns what is there afterwards. */
async function unlink(
  controller: ViprContext,
  set: TargetSetState,
  which: (set: TargetSetState) => readonly Member[],
  known: State,
  context: OperationContext,
): Promise<TargetSetState> {
  const deleting = known.deleteTargetsOnUnlink !== false;
  const kept: PromotedVolume[] = [...set.promoted];
  let now = set;
  let refused: SnapcloneError | undefined;
  for (;;) {
    const surplus = which(now).filter((member) => member.session);
    const first = surplus.at(-1);
    if (!first?.session) return now;
    const session = first.session.id;
    const here = surplus.filter((member) => member.session?.id === session).reverse();
    if (!deleting && known.copyMode !== "copy") {
      context.warn(
        "targets in copy mode nocopy are kept as volumes: what they hold is not guaranteed once they are unlinked",
      );
    }
    try {
      await runTask(
        controller,
        unlinking(
          controller,
          session,
          here.map(({ row }) => row.id),
          known,
          now,
        ),
        context,
      );
      refused = undefined;
      if (!deleting) kept.push(...(await keptVolumes(controller.client, here, context.signal)));
    } catch (error) {
      // One of them may have been unlinked by somebody else in the meantime: then a fresh look shows fewer.
      if (!isGoneMeanwhile(error) || refused) throw error;
      refused = error;
    }
    const after = await lookAgain(controller, { ...now, promoted: kept }, known, context);
    const left = which(after).filter((member) => here.some(({ row }) => row.id === member.row.id) && member.session);
    if (refused && left.length === here.length) throw refused;
    if (!refused && left.length > 0) throw stillLinked(left);
    if (!refused && !deleting) warnOfUnseen(here, after, context);
    now = after;
  }
}

function unlinking(
  { client }: ViprContext,
  session: string,
  ids: readonly string[],
  known: State,
  set: TargetSetState | undefined,
): TaskRequest {
  const targets = ids.map((id) => ({ id, delete_target: known.deleteTargetsOnUnlink !== false }));
  return {
    kind: "unlink",
    session,
    send: () => client.unlinkTargets(session, targets),
    refreshedBy: known.refreshedBy,
    failed: (task) => taskFailed(task, set, undefined),
  };
}

/**
 * Unlinks what the state names, without a look: ViPR refuses the whole request if one of the targets is not there
 * (docs/wire/vipr.md#unlink). `isAll`: no other target bears the set's names.
 */
async function unlinkRecorded(
  controller: ViprContext,
  id: string,
  known: State,
  context: OperationContext,
): Promise<{ isAll: boolean; unlinked: boolean }> {
  const targets = asList<TargetOutput>(known.targets);
  const ids = new Set(targets.map((target) => target.id));
  const isRest = known.pending === undefined && recordedIds(known).every((target) => ids.has(target));
  // Kept targets are looked up by what ViPR shows of them before.
  if (targets.length === 0 || !isRest || known.deleteTargetsOnUnlink === false)
    return { isAll: false, unlinked: false };
  const sessions = [...new Set(targets.map(({ snapshotSessionId }) => snapshotSessionId))];
  let unlinked = false;
  for (const session of sessions) {
    const here = targets.filter((target) => target.snapshotSessionId === session).map((target) => target.id);
    const request = unlinking(controller, session, here.reverse(), known, undefined);
    try {
      const before = await waitForSessions(controller, [session], context);
      await runTask(controller, { ...request, before }, context);
      for (const target of here) controller.unlinked.add(target);
      unlinked = true;
    } catch (error) {
      if (isGoneMeanwhile(error)) return { isAll: false, unlinked };
      throw error;
    }
  }
  const others = await searchSet(controller, id, context.signal);
  return { isAll: others.every((target) => ids.has(target)), unlinked };
}

function isGoneMeanwhile(error: unknown): error is SnapcloneError {
  return isKind(error, "notFound") || (isKind(error, "refused") && GONE_MEANWHILE.includes(codeOf(error) ?? 0));
}

/** Nothing but the world-wide name leads from a target to the volume that it has become (docs/wire/vipr.md#s0-14). */
async function keptVolumes(client: ViprClient, members: readonly Member[], signal: AbortSignal) {
  const ids: string[] = [];
  for (const { row } of members) {
    if (row.wwn) ids.push(...(await client.searchVolumes({ wwn: row.wwn }, signal)));
  }
  const volumes = ids.length > 0 ? await client.bulkVolumes([...new Set(ids)], signal) : [];
  return volumes.filter(({ inactive }) => !inactive).map(promotedFrom);
}

function warnOfUnseen(unlinked: readonly Member[], { promoted }: TargetSetState, context: OperationContext): void {
  const unseen = unlinked.filter(({ row }) => !promoted.some(({ wwn, name }) => wwn === row.wwn || name === row.name));
  for (const { row } of unseen) {
    context.warn(`${row.name} was kept, and ViPR shows no volume for it: look for the WWN ${row.wwn ?? "(none)"}`);
  }
}

/** Names that a link has taken and never provisioned stay taken (docs/wire/vipr.md#s0-6). */
async function forgetUnprovisioned({ client }: ViprContext, { unlinked }: TargetSetState): Promise<void> {
  for (const { row } of unlinked) {
    if (!isProvisioned(row)) await client.forgetTarget(row.id);
  }
}

/**
 * A link that ViPR refuses for one name has made targets of the names before it, and leaves them
 * (docs/wire/vipr.md#s0-6).
 */
async function forgetRefusedLink(
  controller: ViprContext,
  id: string,
  linked: LinkRequest,
  known: State,
  error: unknown,
  signal: AbortSignal,
): Promise<void> {
  if (!isKind(error, "refused") || codeOf(error) !== REFUSED_PARAMETER) return;
  try {
    const set = await lookAt(controller, id, known, { signal, linked });
    const made = set.unlinked.filter(({ batch }) => batch === linked.batch);
    await forgetUnprovisioned(controller, { ...set, unlinked: made });
  } catch {
    // What ViPR has refused is the news. The next update takes the names back.
  }
}

/** A fresh look at a set on which nobody is at work: what is not linked then, never will be. */
async function lookAtRest(
  controller: ViprContext,
  id: string,
  known: State,
  context: OperationContext,
  more: { sessions?: readonly unknown[]; linked?: LinkRequest | undefined } = {},
): Promise<TargetSetState> {
  const { signal } = context;
  const pending = (known.pending as Pending | undefined)?.task;
  const { linked } = more;
  const recorded = asList<TargetOutput>(known.targets).map(({ snapshotSessionId }) => snapshotSessionId);
  const sessions = [known.snapshotSessionId, ...recorded, pending?.session, ...(more.sessions ?? [])].filter(isText);
  await waitForSessions(controller, sessions, context);
  const set = await lookAt(controller, id, known, { signal, sessions, linked });
  if (set.unlinked.length === 0) return set;
  // The request that made these may have gone to another session of the source than all that we know of.
  const others = [...set.sessions.keys()].filter((session) => !sessions.includes(session));
  await waitForSessions(controller, others, context);
  return lookAt(controller, id, known, { signal, sessions: [...sessions, ...others], linked });
}

async function destination(controller: ViprContext, id: string, signal: AbortSignal): Promise<SnapshotSession> {
  const session = await orMissing(controller.client.showSession(id, signal));
  if (!session) throw noSession(id);
  if (!session.inactive) return session;
  const message = `the snapshot session "${session.name}" (${id}) is deleted; ViPR only has not cleared it away yet`;
  throw new SnapcloneError({ kind: "refused", message, hint: "Name a session that exists." });
}

/** A refresh asks what no target tells: how many volumes the consistency group has by now. */
async function remarksAtRefresh(
  { client }: ViprContext,
  set: TargetSetState,
  known: State,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const wanted = asText(known.snapshotSessionId);
  const { source } = set;
  if (source === undefined || !isConsistencyGroup(source) || set.groups.length === 0) return remarksOn(set, wanted);
  const group = await client.showGroup(source, signal).catch(() => undefined);
  return remarksOn(set, wanted, group?.volumes.length);
}
