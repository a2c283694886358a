// Requests that ViPR answers with a task: sent once, found again if the reply was lost, waited for; and the wait for
// what others have begun on the same session.

import type { Task as AcceptedTask, OperationContext } from "../../core/definition";
import { isKind, type SnapcloneError } from "../../core/errors";
import { abortableSleep } from "../../core/util/abort";
import { isDispatched, type Task } from "../client";
import { hasEnded, orMissing, type ViprContext } from "../context";
import type { LinkRequest } from "./state";

/** What ViPR's tasks are called that change who is linked to what (docs/wire/vipr.md#task-model). */
const LINKING = /SNAPSHOT SESSION/;
const NAMES = {
  link: /^LINK SNAPSHOT SESSION/,
  unlink: /^UNLINK SNAPSHOT SESSION/,
  relink: /^RELINK (CONSISTENCY GROUP )?SNAPSHOT SESSION/,
} as const;
type Kind = keyof typeof NAMES;

/** After a lost reply: how long to look for the task that it would have told of, in milliseconds between looks. */
const LOST_REPLY_LOOKS_MS = [0, 1_000, 2_000, 4_000];

export interface TaskRequest {
  kind: Kind;
  session: string;
  /** One request. */
  send(): Promise<Task>;
  /** What the targets will have been refreshed by when the task has ended well. */
  refreshedBy: unknown;
  /** Of a link. */
  linked?: LinkRequest;
  /** Ids of the tasks that the session had before, where they were just listed. */
  before?: ReadonlySet<string>;
  /** What has to be said of a task that ended in error. */
  failed(task: Task): SnapcloneError;
}

/** Sends the request and waits for its task. A lost reply is made up for by the session's own tasks. */
export async function runTask(
  controller: ViprContext,
  { kind, session, send, refreshedBy: by, linked, before: listed, failed }: TaskRequest,
  context: OperationContext,
): Promise<void> {
  const before = listed ?? (await tasksOf(controller, session, context));
  controller.latestSearch = undefined;
  let task: Task;
  try {
    task = await send();
  } catch (error) {
    const found = isKind(error, "ambiguous") ? await lostTask(controller, kind, session, before, context) : undefined;
    if (found === undefined) throw error;
    task = found;
  }
  context.accepted({
    ...acceptedTask(kind, session, task, linked),
    ...(by === undefined ? {} : { refreshedBy: JSON.stringify(by) }),
  });
  const end = await controller.ended(task.id, doing(kind), context, task);
  if (end?.state === "error") throw failed(end);
  context.done();
}

async function tasksOf({ client }: ViprContext, session: string, { signal }: OperationContext): Promise<Set<string>> {
  return new Set((await client.listSessionTasks(session, signal)).map(({ id }) => id));
}

async function lostTask(
  { client }: ViprContext,
  kind: Kind,
  session: string,
  before: ReadonlySet<string>,
  context: OperationContext,
): Promise<Task | undefined> {
  for (const pause of LOST_REPLY_LOOKS_MS) {
    await abortableSleep(context.clock, pause, context.signal);
    const tasks = await client.listSessionTasks(session, context.signal).catch(() => []);
    // The client sends again what ViPR's API could not pass on, and each time leaves a task in error.
    const found = tasks.find((task) => !before.has(task.id) && NAMES[kind].test(task.name ?? "") && isDispatched(task));
    if (found) return found;
  }
  return undefined;
}

/**
 * Waits for what is at work on these sessions: ViPR itself lets one request run into another (docs/wire/vipr.md#s0-13).
 * Returns the ids of their tasks.
 */
export async function waitForSessions(
  controller: ViprContext,
  sessions: readonly string[],
  context: OperationContext,
): Promise<Set<string>> {
  const seen = new Set<string>();
  for (const session of new Set(sessions)) {
    const tasks = (await orMissing(controller.client.listSessionTasks(session, context.signal))) ?? [];
    for (const task of tasks) {
      seen.add(task.id);
      if (hasEnded(task) || !LINKING.test(task.name ?? "")) continue;
      await controller.ended(task.id, `${task.description ?? task.name} before`, context, task);
    }
  }
  return seen;
}

export function acceptedTask(kind: Kind, session: string, task: Task, linked?: LinkRequest): AcceptedTask {
  return { kind, session, task: task.id, ...linked };
}

export function refreshedBy({ refreshedBy: by }: AcceptedTask): unknown {
  return typeof by === "string" ? JSON.parse(by) : undefined;
}

export function doing(kind: unknown): string {
  return typeof kind === "string" && kind in NAMES ? `${kind}ing targets` : "working on targets";
}
