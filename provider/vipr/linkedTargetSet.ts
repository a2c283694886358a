// LinkedTargetSet: so many targets linked to a ViPR snapshot session. A larger count links more, a smaller one unlinks
// the last, another session of the same source relinks them in place.

import { z } from "zod";
import type { Accepted, Definition, Job, Observed, OpenObject, State, Task as Work } from "../core/definition";
import { canonical } from "../core/diff";
import { isKind, SnapcloneError } from "../core/errors";
import { waitFor } from "../core/wait";
import { codeOf, type LinkedTarget, type SnapshotSession, type Task, type ViprClient } from "./client";
import { type Controller, hasEnded, orMissing, vipr } from "./controller";
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
  sourceOf,
  TARGET_NAME_MOST,
  type TargetOutput,
  type View,
} from "./targetSet";

export interface LinkedTargetSetInputs {
  snapshotSessionId: string;
  targetName: string;
  count: number;
  copyMode: "copy" | "nocopy";
  deleteTargetsOnUnlink: boolean;
  refreshTriggers?: unknown[];
  connection?: string;
}

/** What ViPR's tasks are called that change who is linked to what (§3, "Task model"). */
const LINKING = /SNAPSHOT SESSION/;
const NAMES = {
  link: /^LINK SNAPSHOT SESSION/,
  unlink: /^UNLINK SNAPSHOT SESSION/,
  relink: /^RELINK (CONSISTENCY GROUP )?SNAPSHOT SESSION/,
} as const;
type Kind = keyof typeof NAMES;

/** What operations take turns at: ViPR lets two link or unlink requests run against each other (§0.13). */
const SESSION = "snapshot session";
/** After a lost reply: how long to look for the task that it would have told of, in milliseconds between looks. */
const LOST_REPLY_LOOKS_MS = [0, 1_000, 2_000, 4_000];
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
    count: {
      onChange: "update",
      schema: z
        .number(requiredOr("must be a whole number from 1 to 1024"))
        .int("must be a whole number from 1 to 1024")
        .min(1, "must be at least 1")
        .max(1024, "must not be more than 1024, which is all that a source can have"),
    },
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
  const known: State = { ...before, ...inputs };
  let view = await atRest(controller, id, known, job, [asText(before.snapshotSessionId)]);
  const session = await destination(controller, wanted, job.signal);
  const home = view.members.find((member) => member.session)?.session;
  if (home && !isOfSameSource(home, session)) throw otherSource(view, session);

  view = await unlink(controller, view, ({ groups, broken }) => [...groups.slice(count), ...broken].flat(), known, job);

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

// --- tasks

interface Errand {
  kind: Kind;
  session: string;
  /** One request, never repeated. */
  send(): Promise<Task>;
  /** What the targets will have been refreshed by when it has ended well. */
  refreshedBy: unknown;
}

/** Sends the request and waits for its task. A lost reply is made up for by the session's own tasks. */
async function carryOut(
  controller: Controller,
  { kind, session, send, refreshedBy: by }: Errand,
  view: View,
  job: Job,
  inputs?: LinkedTargetSetInputs,
): Promise<void> {
  const before = new Set((await controller.client.listSessionTasks(session, job.signal)).map(({ id }) => id));
  let task: Task;
  try {
    task = await send();
  } catch (error) {
    const found = isKind(error, "ambiguous") ? await lostTask(controller, kind, session, before, job) : undefined;
    if (found === undefined) throw error;
    task = found;
  }
  job.accepted({ ...work(kind, session, task), ...(by === undefined ? {} : { refreshedBy: JSON.stringify(by) }) });
  const end = await controller.ended(task.id, doing(kind), job, task);
  if (end?.state === "error") throw taskFailed(end, view, inputs);
  job.done();
}

async function lostTask(
  { client }: Controller,
  kind: Kind,
  session: string,
  before: ReadonlySet<string>,
  job: Job,
): Promise<Task | undefined> {
  for (const pause of LOST_REPLY_LOOKS_MS) {
    await job.clock.sleep(pause, job.signal);
    const tasks = await client.listSessionTasks(session, job.signal).catch(() => []);
    const found = tasks.find(({ id, name }) => !before.has(id) && NAMES[kind].test(name ?? ""));
    if (found) return found;
  }
  return undefined;
}

/** Waits for what is at work on these sessions: ViPR itself lets one request run into another (§0.13). */
async function idle(controller: Controller, sessions: readonly string[], job: Job): Promise<void> {
  for (const session of new Set(sessions)) {
    const tasks = (await orMissing(controller.client.listSessionTasks(session, job.signal))) ?? [];
    for (const task of tasks) {
      if (hasEnded(task) || !LINKING.test(task.name ?? "")) continue;
      await controller.ended(task.id, `${task.description ?? task.name} before`, job, task);
    }
  }
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

function work(kind: Kind, session: string, task: Task): Work {
  return { kind, session, task: task.id };
}

function refreshedBy({ refreshedBy: by }: Work): unknown {
  return typeof by === "string" ? JSON.parse(by) : undefined;
}

function doing(kind: unknown): string {
  return typeof kind === "string" && kind in NAMES ? `${kind}ing targets` : "working on targets";
}

// --- what went wrong

/** That one thing is missing does not make the set gone: only a look at all of it tells. */
function neverGone(error: unknown): unknown {
  return isKind(error, "notFound") ? new SnapcloneError({ ...error.parts, kind: "refused" }) : error;
}

function taskFailed(task: Task, view: View, inputs: LinkedTargetSetInputs | undefined): SnapcloneError {
  const { service_error: error, message, description, id } = task;
  const why = error
    ? `code ${error.code}, ${[error.description, error.details].filter(Boolean).join(": ")}`
    : message || "it does not say why";
  const there = inputs ? ` ${view.groups.length} of ${inputs.count} are there.` : "";
  return new SnapcloneError({
    kind: "failed",
    said: `ViPR's task ${id} (${description ?? task.name ?? "no description"}) ended in error: ${why.trim()}.${there}`,
    remedy: "Look at the storage array and its provider (SMI-S).",
  });
}

function tooFew(view: View, { count }: LinkedTargetSetInputs): SnapcloneError {
  const said = `ViPR says that the targets are linked, and ${view.groups.length} of ${count} are`;
  return new SnapcloneError({ kind: "failed", said, remedy: "Look at the tasks of the snapshot session." });
}

function stillLinked(left: Group): SnapcloneError {
  const names = left.map(({ row }) => row.name).join(", ");
  return new SnapcloneError({ kind: "failed", said: `ViPR says that they are unlinked, and these are not: ${names}` });
}

function linkedNowhere(stray: Group): SnapcloneError {
  const names = stray.map(({ row }) => `${row.name} (${row.id})`).join(", ");
  return new SnapcloneError({
    kind: "failed",
    said: `ViPR has these targets, on the array as well, and no snapshot session to unlink them from: ${names}`,
    remedy: "Look at them in ViPR, and delete them there: POST /block/snapshots/{id}/deactivate.",
  });
}

function noSession(id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    said: `there is no snapshot session ${id}`,
    remedy: "Name a session that exists: GET /block/volumes/{id}/protection/snapshot-sessions lists those of a volume.",
  });
}

function otherSource(view: View, session: SnapshotSession): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    said: `the snapshot session "${session.name}" (${session.id}) is of another source (${sourceOf(session)}) than the targets (${view.source}): they can't be relinked to it`,
    remedy:
      'Nothing was changed. Run the same command again: it now knows, and replaces the set. To have that at once another time, give the resource the option replaceOnChanges: ["snapshotSessionId"].',
  });
}

// --- what the inputs may be

function sessionId() {
  return z
    .string(requiredOr("must be a string"))
    .trim()
    .superRefine((id, context) => {
      const type = /^urn:storageos:([A-Za-z]+):[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[A-Za-z0-9]*$/i.exec(
        id,
      )?.[1];
      const like = "urn:storageos:BlockSnapshotSession:5e0f7c1a-6d2b-4b43-8f0a-3f6f2f7a9b10:vdc1";
      if (type === undefined)
        context.addIssue({ code: "custom", message: `must be the URN of a session, like ${like}` });
      else if (type.toLowerCase() !== "blocksnapshotsession") {
        context.addIssue({
          code: "custom",
          message: `is the URN of a ${type}; it must be that of a BlockSnapshotSession`,
        });
      }
    });
}

/** ViPR itself takes an empty name, and none at all, for one (§3, "Validation of link-targets"). */
function targetName() {
  return z
    .string(requiredOr("must be a string"))
    .trim()
    .superRefine((name, context) => {
      const refuse = (message: string) => context.addIssue({ code: "custom", message });
      if (name === "") refuse("must not be empty");
      else if (/\p{Cc}/u.test(name)) refuse("must not contain line breaks, tabs or other control characters");
      // What is left of it on the array (§4, "Names").
      else if (!/[a-zA-Z0-9_#@+-]/.test(name))
        refuse("must have letters, digits or _ # @ + - in it: ViPR leaves out all else");
      if (name.length > TARGET_NAME_MOST) {
        refuse(
          `must not be longer than ${TARGET_NAME_MOST} characters: ViPR allows 63, and the rest tells the targets apart`,
        );
      }
    });
}

/** "default" is what no connection means, so both are the same in the state. */
function connectionName() {
  return z
    .string("must be the name of a connection")
    .min(1, "must be the name of a connection")
    .transform((name) => (name === "default" ? undefined : name));
}

function requiredOr(message: string) {
  return { error: (issue: { input?: unknown }) => (issue.input === undefined ? "is required" : message) };
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined;
}
