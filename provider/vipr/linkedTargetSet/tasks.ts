// Requests that ViPR answers with a task: each is sent once, and its task is found if the reply was lost. Before that, the
// tasks that are already running on the same session must end.

import { AbsenceTimer } from "../../core/absence";
import type { Task as AcceptedTask, OperationContext, Pending, State } from "../../core/definition";
import { isKind, type SnapcloneError } from "../../core/errors";
import { poll } from "../../core/poll";
import { retryUntilFound } from "../../core/retryUntilFound";
import { isDispatched, type Task, type Tasks } from "../client";
import { hasEnded, type ViprContext } from "../context";
import { stillProvisioned, taskGone } from "./errors";
import {
  asList,
  fetchSet,
  isProvisioned,
  isText,
  type LinkRequest,
  type Member,
  type TargetOutput,
  type TargetSetState,
} from "./state";

/** Names of the tasks that link, unlink or relink targets (docs/wire/vipr.md#task-model). */
const LINKING = /SNAPSHOT SESSION/;
const NAMES = {
  link: /^LINK SNAPSHOT SESSION/,
  unlink: /^UNLINK SNAPSHOT SESSION/,
  relink: /^RELINK (CONSISTENCY GROUP )?SNAPSHOT SESSION/,
} as const;
type Kind = keyof typeof NAMES;

const INTERVAL = { first: 1_000, most: 10_000 };

export interface TaskRequest {
  kind: Kind;
  session: string;
  /** Sends the request once. */
  send(): Promise<Tasks>;
  /** The `refreshTriggers` that the targets have when the task has ended well. */
  refreshedBy: unknown;
  /** The `refreshTriggers` that the targets have had before. Default: the same. */
  refreshedBefore?: unknown;
  /** Only for a link. */
  linked?: LinkRequest;
  /** Ids of the tasks that the session had before the request. Default: `runTask` lists them. */
  before?: ReadonlySet<string>;
  /** Others send requests of this kind to the session meanwhile, so a task whose reply was lost can't be told from theirs. */
  shared?: boolean;
  /** The error for a task that ended badly. */
  failed(task: Task): SnapcloneError;
}

/** Why the end of a task does not tell what became of the request. The caller must see what is linked. */
export interface Doubt {
  /** The request's error where its reply was lost; else the error of the task that is gone. */
  error: SnapcloneError;
  /** The task that was found may be another client's. Else ViPR does not have the request's task any more. */
  isLost: boolean;
}

/** A request without a reply. */
export interface LostTask {
  kind: Kind;
  session: string;
  /** Ids of the tasks that the session had before the request. */
  before: ReadonlySet<string>;
  error: SnapcloneError;
}

/**
 * Sends the request and waits for its task. If the reply is lost, the task is found among the session's tasks: another client's
 * task looks the same. If the task is gone, the work may go on, so it stays recorded until the caller calls `done`.
 */
export async function runTask(
  controller: ViprContext,
  request: TaskRequest,
  context: OperationContext,
): Promise<Doubt | undefined> {
  const { kind, session, send, linked, shared, failed } = request;
  let by = request.refreshedBy;
  let lost: SnapcloneError | undefined;
  const before = request.before ?? (await tasksOf(controller, session, context));
  if (!shared) controller.latestSearches.clear();
  let tasks: Tasks;
  try {
    tasks = await send();
  } catch (error) {
    if (shared || !isKind(error, "ambiguous")) throw error;
    tasks = [await findLostTask(controller, { kind, session, before, error }, context)];
    lost = error;
    by = request.refreshedBefore ?? by;
  }
  for (const { id } of tasks) controller.ownTasks.add(id);
  context.accepted({
    ...acceptedTask(kind, session, tasks, linked),
    ...(by === undefined ? {} : { refreshedBy: JSON.stringify(by) }),
  });
  const [task] = tasks;
  const end = await controller.waitForTasks(tasks, describeTask(kind), context, controller.durations[kind]);
  if (end === undefined) return { isLost: false, error: taskGone(task.id, describeTask(kind)) };
  if (end.state === "error") throw failed(end);
  context.done();
  return lost && { isLost: true, error: lost };
}

async function tasksOf({ client }: ViprContext, session: string, { signal }: OperationContext): Promise<Set<string>> {
  return new Set((await client.listSessionTasks(session, signal)).map(({ id }) => id));
}

/**
 * Finds the task of a request whose reply was lost. Another client's request of the same kind may have made the task. Throws the
 * request's own error if the session shows no such task. No other request of this run may be under way on the session.
 */
export async function findLostTask(
  { client, ownTasks }: ViprContext,
  { kind, session, before, error }: LostTask,
  context: OperationContext,
): Promise<Task> {
  // Each request that ViPR's API could not dispatch has left a task in error, and the client has sent it again.
  const isOurs = (task: Task) =>
    !before.has(task.id) && !ownTasks.has(task.id) && NAMES[kind].test(task.name ?? "") && isDispatched(task);
  const search = async () => (await client.listSessionTasks(session, context.signal)).find(isOurs);
  const found = await retryUntilFound(search, context);
  if (found === undefined) throw error;
  return found;
}

/**
 * Waits until no task links or unlinks targets of these sessions. ViPR does not keep one such task from disturbing another
 * (docs/wire/vipr.md#s0-13). Returns the ids of all tasks of the sessions.
 */
export async function waitForSessions(
  controller: ViprContext,
  sessions: readonly string[],
  context: OperationContext,
  /** `beside`: not for the tasks of this run, whose locks let others run beside them. */
  { beside = false } = {},
): Promise<Set<string>> {
  const seen = new Set<string>();
  for (const session of new Set(sessions)) {
    for (const task of await controller.fetchSessionTasks(session, context.signal)) {
      seen.add(task.id);
      if (hasEnded(task) || !LINKING.test(task.name ?? "")) continue;
      if (beside && controller.ownTasks.has(task.id)) continue;
      await controller.waitForTask(task.id, `${task.description ?? task.name} before`, context, task);
    }
  }
  return seen;
}

/** A task that links, unlinks or relinks targets of the session now. */
export async function runningTask({ client }: ViprContext, session: string, signal: AbortSignal) {
  const tasks = await client.listSessionTasks(session, signal);
  return tasks.find((task) => !hasEnded(task) && LINKING.test(task.name ?? ""));
}

/** Fetches a set while no task runs on its sessions, so a target that is not linked now will not become linked. */
export async function fetchIdleSet(
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
  const set = await fetchSet(controller, id, known, { signal, sessions, linked });
  if (set.unlinked.length === 0) return set;
  // The unlinked targets may come from a request to a session of the source that the state does not name.
  const others = [...set.sessions.keys()].filter((session) => !sessions.includes(session));
  await waitForSessions(controller, others, context);
  return fetchSet(controller, id, known, { signal, sessions: [...sessions, ...others], linked });
}

/**
 * ViPR's search may lag behind: fetches until the set is as expected, or has not been for half a minute. `underWay`: targets that
 * ViPR may still be provisioning, although it does not have their task any more; the wait goes on while there are any.
 */
export async function waitUntilShown(
  fetch: (signal: AbortSignal) => Promise<TargetSetState>,
  isEnough: (set: TargetSetState) => boolean,
  context: OperationContext,
  underWay: (set: TargetSetState) => readonly Member[] = () => [],
): Promise<TargetSetState> {
  const absence = new AbsenceTimer(context.clock);
  let waitingFor: readonly Member[] = [];
  try {
    return await poll({
      description: "ViPR to show what is linked",
      fetch,
      evaluate: (seen) => {
        waitingFor = underWay(seen);
        const coming = waitingFor.length;
        const progress = `${seen.groups.length} linked${coming > 0 ? `, ${coming} being provisioned` : ""}`;
        const isSettled = isEnough(seen) || absence.isProven(coming > 0);
        return { is: isSettled && coming === 0 ? "done" : "pending", progress };
      },
      interval: INTERVAL,
      context,
    });
  } catch (error) {
    throw isKind(error, "deadline") && waitingFor.length > 0 ? stillProvisioned(error, waitingFor) : error;
  }
}

/** The targets of this request that ViPR has neither linked nor given up. */
export function beingProvisioned({ unlinked }: TargetSetState, linked: LinkRequest | undefined): Member[] {
  return unlinked.filter(({ row, batch }) => batch === linked?.batch && !isProvisioned(row));
}

export function acceptedTask(kind: Kind, session: string, [task]: Tasks, linked?: LinkRequest): AcceptedTask {
  return { kind, session, task: task.id, ...linked };
}

export function refreshedBy({ refreshedBy: by }: AcceptedTask): unknown {
  return typeof by === "string" ? JSON.parse(by) : undefined;
}

export function describeTask(kind: unknown): string {
  return typeof kind === "string" && kind in NAMES ? `${kind}ing targets` : "working on targets";
}
