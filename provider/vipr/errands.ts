// Requests that ViPR answers with a task: sent once, found again if the reply was lost, waited for; and the wait for
// what others have begun on the same session.

import type { Job, Task as Work } from "../core/definition";
import { isKind } from "../core/errors";
import { sleepUnlessStopped } from "../core/stop";
import type { Task } from "./client";
import { type Controller, hasEnded, orMissing } from "./controller";
import type { LinkedTargetSetInputs } from "./inputs";
import type { View } from "./targetSet";
import { taskFailed } from "./troubles";

/** What ViPR's tasks are called that change who is linked to what (§3, "Task model"). */
const LINKING = /SNAPSHOT SESSION/;
const NAMES = {
  link: /^LINK SNAPSHOT SESSION/,
  unlink: /^UNLINK SNAPSHOT SESSION/,
  relink: /^RELINK (CONSISTENCY GROUP )?SNAPSHOT SESSION/,
} as const;
type Kind = keyof typeof NAMES;

/** After a lost reply: how long to look for the task that it would have told of, in milliseconds between looks. */
const LOST_REPLY_LOOKS_MS = [0, 1_000, 2_000, 4_000];

export interface Errand {
  kind: Kind;
  session: string;
  /** One request, never repeated. */
  send(): Promise<Task>;
  /** What the targets will have been refreshed by when it has ended well. */
  refreshedBy: unknown;
}

/** Sends the request and waits for its task. A lost reply is made up for by the session's own tasks. */
export async function carryOut(
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
    await sleepUnlessStopped(job.clock, pause, job.signal);
    const tasks = await client.listSessionTasks(session, job.signal).catch(() => []);
    const found = tasks.find(({ id, name }) => !before.has(id) && NAMES[kind].test(name ?? ""));
    if (found) return found;
  }
  return undefined;
}

/** Waits for what is at work on these sessions: ViPR itself lets one request run into another (§0.13). */
export async function idle(controller: Controller, sessions: readonly string[], job: Job): Promise<void> {
  for (const session of new Set(sessions)) {
    const tasks = (await orMissing(controller.client.listSessionTasks(session, job.signal))) ?? [];
    for (const task of tasks) {
      if (hasEnded(task) || !LINKING.test(task.name ?? "")) continue;
      await controller.ended(task.id, `${task.description ?? task.name} before`, job, task);
    }
  }
}

export function work(kind: Kind, session: string, task: Task): Work {
  return { kind, session, task: task.id };
}

export function refreshedBy({ refreshedBy: by }: Work): unknown {
  return typeof by === "string" ? JSON.parse(by) : undefined;
}

export function doing(kind: unknown): string {
  return typeof kind === "string" && kind in NAMES ? `${kind}ing targets` : "working on targets";
}
