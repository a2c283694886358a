// LinkedTargetSet: so many targets linked to a ViPR snapshot session. A larger count links more, a smaller one unlinks
// the last, another session of the same source relinks them in place.

import { z } from "zod";
import type { Accepted, Definition, Job, Observed, OpenObject, State } from "../core/definition";
import { canonical } from "../core/diff";
import { isKind, SnapcloneError } from "../core/errors";
import { connectionName } from "../core/inputs";
import { waitFor } from "../core/wait";
import { codeOf, type LinkedTarget, type SnapshotSession, type Task, type ViprClient } from "./client";
import { type Controller, orMissing, vipr } from "./controller";
import { carryOut, doing, type Errand, idle, refreshedBy, work } from "./errands";
import { count, type LinkedTargetSetInputs, sessionId, targetName } from "./inputs";
import {
  ADOPTED,
  asList,
  asPromoted,
  asText,
  type Group,
  isOfSameSource,
  isOpen,
  lookAt,
  MARK_LENGTHS,
  type Member,
  markOf,
  membersByName,
  newId,
  nextBatch,
  observedOf,
  type PromotedVolume,
  placeOf,
  SETTLED,
  type TargetOutput,
  type View,
} from "./targetSet";
import { linkedNowhere, neverGone, noSession, otherSource, stillLinked, taskFailed, tooFew } from "./troubles";

/** What operations take turns at: ViPR lets two link or unlink requests run against each other (§0.13). */
const SESSION = "snapshot session";
/** What ViPR says of a target that is not where it was a moment ago (§3, "unlink"). */
const GONE_MEANWHILE = [1004, 1006, 1013];

export const linkedTargetSet: Definition<LinkedTargetSetInputs, Controller> = {
  noun: "linked target set",
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
    // It can't be changed on a linked target, nor be read back (§0.8).
    copyMode: {
      onChange: "replace",
      schema: z.enum(["copy", "nocopy"], 'must be "copy" or "nocopy"').default("nocopy"),
    },
    deleteTargetsOnUnlink: { onChange: "update", schema: z.boolean("must be true or false").default(true) },
    refreshTriggers: { onChange: "update", schema: z.array(z.unknown(), "must be a list").optional() },
    connection: { onChange: "replace", schema: connectionName().optional() },
  },
  // Steps of a consistency group, of unlinks and of relinks come one after another (§4).
  timeouts: { create: "30m", update: "30m", delete: "30m" },
  markLengths: MARK_LENGTHS,
  // A failed link leaves some of its targets linked (§0.7): the others are linked, and those that are there stay.
  afterFailedCreate: "update",

  describe: ({ targetName, id }) => `linked target set ${typeof targetName === "string" ? `"${targetName}"` : id}`,

  openIn: ({ owner }, { targetName }) => placeOf(String(targetName), owner),

  async listOpen(controller, place) {
    const sets = await membersByName(controller, place);
    return [...sets].filter(([, members]) => isOpen(members)).flatMap(([id, members]) => openObject(id, members));
  },

  async claim(controller, id, run) {
    await tagAll(controller, id, ({ row }) => ({
      add: [`${ADOPTED}${run}`],
      // A run that adopted it and was killed, too.
      remove: row.tags.filter((tag) => tag.startsWith(ADOPTED)),
    }));
  },

  async settle(controller, id) {
    await tagAll(controller, id, () => ({ add: [SETTLED] }));
  },

  async start(controller, inputs, marker, job) {
    const { snapshotSessionId: session, count } = inputs;
    const free = await controller.turns.take([session], SESSION, job);
    try {
      await idle(controller, [session], job);
      await destination(controller, session, job.signal);
      const id = newId(inputs.targetName, marker);
      const task = await controller.client.linkTargets(session, {
        count,
        target_name: `${id}g1`,
        copy_mode: inputs.copyMode,
      });
      // The turn is over when the targets are linked.
      controller.hold(id, free);
      return { id, task: work("link", session, task), seen: task };
    } catch (error) {
      free();
      throw isKind(error, "notFound") ? noSession(session) : error;
    }
  },

  async finish(controller, accepted, inputs, job) {
    const { id } = accepted;
    try {
      const { task: taskId, session, kind } = accepted.task;
      let task: Task | undefined;
      if (typeof taskId === "string") {
        task = await controller.ended(taskId, doing(kind), job, accepted.seen as Task | undefined);
      }
      const known: State = { ...inputs, refreshedBy: refreshedBy(accepted.task) ?? inputs.refreshTriggers ?? [] };
      const view = await waitFor({
        what: "a look at the targets",
        look: () => atRest(controller, id, known, job, [asText(session)]),
        judge: ({ groups }) => ({ is: "done", progress: `${groups.length} linked` }),
        pace: { first: 1_000, most: 10_000 },
        job,
      });
      if (task?.state === "error") throw taskFailed(task, view, inputs);
      // Only a link that has just been made is measured by the count that was asked for.
      if (accepted.seen !== undefined && view.groups.length < inputs.count) throw tooFew(view, inputs);
      return observedOf(view, known);
    } catch (error) {
      throw neverGone(error);
    } finally {
      controller.release(id);
    }
  },

  async observe(controller, id, known, signal) {
    const view = await lookAt(controller, id, known, signal);
    // Work that is not finished may have nothing to show yet, and one that failed nothing to show for it.
    if (view.members.length === 0 && known.pending === undefined) return undefined;
    return observedOf(view, known);
  },

  async change(controller, id, from, inputs, known, job) {
    if (known.pending === undefined && isAsWanted(from.state, inputs)) return stated(from, inputs);
    const targets = asList<TargetOutput>(from.state.targets);
    const free = await controller.turns.take(
      [inputs.snapshotSessionId, ...targets.map(({ snapshotSessionId }) => snapshotSessionId)],
      SESSION,
      job,
    );
    try {
      // What an unfinished relink has refreshed, only its task knows: it is in `from`.
      return await bringIntoLine(controller, id, inputs, { ...known, refreshedBy: from.state.refreshedBy }, job);
    } catch (error) {
      throw neverGone(error);
    } finally {
      free();
    }
  },

  async remove(controller, id, known, job) {
    const sessions = asList<TargetOutput>(known.targets).map(({ snapshotSessionId }) => snapshotSessionId);
    const free = await controller.turns.take(
      [...sessions, asText(known.snapshotSessionId)].filter(isDefined),
      SESSION,
      job,
    );
    try {
      const before = await atRest(controller, id, known, job);
      const after = await unlink(controller, before, ({ members }) => members, known, job);
      await forgetDebris(controller, after);
      const stray = after.loose.filter(({ row }) => isProvisioned(row));
      if (stray.length > 0) throw linkedNowhere(stray);
      const kept = after.promoted.map((volume) => `${volume.name} (${volume.id})`);
      if (known.deleteTargetsOnUnlink === false && kept.length > 0) {
        job.warn(`kept as volumes, which nobody manages from now on: ${kept.join(", ")}`);
      }
    } catch (error) {
      throw neverGone(error);
    } finally {
      free();
    }
  },
};

// --- bringing a set into line

function isAsWanted(state: State, inputs: LinkedTargetSetInputs): boolean {
  const targets = asList<TargetOutput>(state.targets);
  return (
    state.count === inputs.count &&
    targets.every(({ snapshotSessionId }) => snapshotSessionId === inputs.snapshotSessionId) &&
    !wantsRefresh(inputs, state)
  );
}

/** What nobody has noted is not to be refreshed: the targets have just been linked. */
function wantsRefresh(inputs: LinkedTargetSetInputs, { refreshedBy }: State): boolean {
  return refreshedBy !== undefined && canonical(refreshedBy) !== canonical(inputs.refreshTriggers);
}

function stated(observed: Observed, inputs: LinkedTargetSetInputs): Observed {
  return { ...observed, state: { ...observed.state, refreshedBy: inputs.refreshTriggers ?? [] } };
}

async function bringIntoLine(
  controller: Controller,
  id: string,
  inputs: LinkedTargetSetInputs,
  before: State,
  job: Job,
): Promise<Observed> {
  const { snapshotSessionId: wanted, count } = inputs;
  // What was linked to is looked at as well, and what was kept stays in the outputs.
  let known: State = { ...before, ...inputs };
  let view = await atRest(controller, id, known, job, [asText(before.snapshotSessionId)]);
  const session = await destination(controller, wanted, job.signal);
  const home = view.members.find((member) => member.session)?.session;
  if (home && !isOfSameSource(home, session)) throw otherSource(view, session);

  view = await unlink(controller, view, ({ groups, broken }) => [...groups.slice(count), ...broken].flat(), known, job);
  known = { ...known, promotedVolumes: view.promoted };

  const refresh = wantsRefresh(inputs, before);
  const moving = view.groups.flat().filter((member) => refresh || member.session?.id !== wanted);
  if (moving.length > 0) {
    const ids = moving.map(({ row }) => row.id);
    const relinked: Errand = {
      kind: "relink",
      session: wanted,
      send: () => controller.client.relinkTargets(wanted, ids),
      refreshedBy: inputs.refreshTriggers ?? [],
    };
    await carryOut(controller, relinked, view, job, inputs);
    view = await lookAt(controller, id, known, job.signal);
  }

  await forgetDebris(controller, view);
  const missing = count - view.groups.length;
  if (missing > 0) {
    const targets = { count: missing, target_name: nextBatch(view), copy_mode: inputs.copyMode };
    const linked: Errand = {
      kind: "link",
      session: wanted,
      send: () => controller.client.linkTargets(wanted, targets),
      refreshedBy: inputs.refreshTriggers ?? [],
    };
    await carryOut(controller, linked, view, job, inputs);
    view = await lookAt(controller, id, known, job.signal);
    if (view.groups.length < count) throw tooFew(view, inputs);
  }
  return stated(observedOf(view, known), inputs);
}

/** Unlinks what `which` says of the set, the last linked first. Returns what is there afterwards. */
async function unlink(
  controller: Controller,
  view: View,
  which: (view: View) => readonly Member[],
  known: State,
  job: Job,
): Promise<View> {
  const deleting = known.deleteTargetsOnUnlink !== false;
  const kept: PromotedVolume[] = [...asList<PromotedVolume>(known.promotedVolumes)];
  let now = view;
  let refused: SnapcloneError | undefined;
  for (;;) {
    const surplus = which(now).filter((member) => member.session);
    const first = surplus.at(-1);
    if (!first?.session) return now;
    const session = first.session.id;
    const here = surplus.filter((member) => member.session?.id === session).reverse();
    if (!deleting && known.copyMode !== "copy") {
      job.warn(
        "targets in copy mode nocopy are kept as volumes: what they hold is not guaranteed once they are unlinked",
      );
    }
    const targets = here.map(({ row }) => ({ id: row.id, delete_target: deleting }));
    const send = () => controller.client.unlinkTargets(session, targets);
    try {
      await carryOut(controller, { kind: "unlink", session, send, refreshedBy: known.refreshedBy }, now, job);
      refused = undefined;
      if (!deleting) kept.push(...(await keptVolumes(controller.client, here, job.signal)));
    } catch (error) {
      // One of them may have been unlinked by somebody else in the meantime: then a fresh look shows fewer.
      const isMeanwhile = isKind(error, "refused") && GONE_MEANWHILE.includes(codeOf(error) ?? 0);
      if (!isMeanwhile && !isKind(error, "notFound")) throw error;
      if (refused) throw error;
      refused = error as SnapcloneError;
    }
    const after = await lookAt(controller, view.id, { ...known, promotedVolumes: kept }, job.signal);
    const left = which(after).filter((member) => here.some(({ row }) => row.id === member.row.id) && member.session);
    if (refused && left.length === here.length) throw refused;
    if (!refused && left.length > 0) throw stillLinked(left);
    if (!refused && !deleting) warnOfUnseen(here, after, job);
    now = after;
  }
}

/** Nothing but the world-wide name leads from a target to the volume that it has become (§0.14). */
async function keptVolumes(client: ViprClient, members: Group, signal: AbortSignal): Promise<PromotedVolume[]> {
  const ids: string[] = [];
  for (const { row } of members) {
    if (row.wwn) ids.push(...(await client.searchVolumes({ wwn: row.wwn }, signal)));
  }
  const volumes = ids.length > 0 ? await client.bulkVolumes([...new Set(ids)], signal) : [];
  return volumes.filter(({ inactive }) => !inactive).map(asPromoted);
}

function warnOfUnseen(unlinked: Group, { promoted }: View, job: Job): void {
  const unseen = unlinked.filter(({ row }) => !promoted.some(({ wwn, name }) => wwn === row.wwn || name === row.name));
  for (const { row } of unseen) {
    job.warn(`${row.name} was kept, and ViPR shows no volume for it: look for the WWN ${row.wwn ?? "(none)"}`);
  }
}

/** Names that a link has taken and never provisioned stay taken (§0.6). */
async function forgetDebris({ client }: Controller, { loose }: View): Promise<void> {
  for (const { row } of loose) {
    if (!isProvisioned(row)) await client.forgetTarget(row.id);
  }
}

function isProvisioned({ wwn, native_id }: LinkedTarget): boolean {
  return Boolean(wwn || native_id);
}

/** A fresh look at a set on which nobody is at work: what is not linked then, never will be. */
async function atRest(
  controller: Controller,
  id: string,
  known: State,
  job: Job,
  more: readonly (string | undefined)[] = [],
): Promise<View> {
  const recorded = asList<TargetOutput>(known.targets).map(({ snapshotSessionId }) => snapshotSessionId);
  const sessions = [asText(known.snapshotSessionId), ...recorded, ...more].filter(isDefined);
  await idle(controller, sessions, job);
  const view = await lookAt(controller, id, known, job.signal, sessions);
  if (view.loose.length === 0) return view;
  // The request that made these may have gone to another session of the source than all that we know of.
  const others = [...view.sessions.keys()].filter((session) => !sessions.includes(session));
  await idle(controller, others, job);
  return lookAt(controller, id, known, job.signal, [...sessions, ...others]);
}

async function destination(controller: Controller, id: string, signal: AbortSignal): Promise<SnapshotSession> {
  const session = await orMissing(controller.client.showSession(id, signal));
  if (!session) throw noSession(id);
  if (!session.inactive) return session;
  const said = `the snapshot session "${session.name}" (${id}) is deleted; ViPR only has not cleared it away yet`;
  throw new SnapcloneError({ kind: "refused", said, remedy: "Name a session that exists." });
}

async function tagAll(
  controller: Controller,
  id: string,
  tagsFor: (member: Member) => { add: string[]; remove?: string[] },
): Promise<void> {
  const [first, ...rest] = (await membersByName(controller, `${id}g`)).get(id) ?? [];
  // One is enough, so that one is there for certain before the others are under way.
  if (first) await controller.client.tagTarget(first.row.id, tagsFor(first));
  await Promise.all(rest.map((member) => controller.client.tagTarget(member.row.id, tagsFor(member))));
}

function openObject(id: string, members: Group): OpenObject[] {
  const mark = markOf(id);
  if (!mark) return [];
  const { owner, inputs, targetName } = mark;
  const task: Accepted["task"] = {};
  return [{ id, task, owner, inputs, state: { targetName, targets: members.map(({ row }) => ({ id: row.id })) } }];
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined;
}
