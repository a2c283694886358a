// One ViPR connection of a run: its client, the look at tasks that its waits share, and the turns at its sessions.

import { type Clock, systemClock } from "../core/clock";
import type { ConnectionKind } from "../core/connections";
import type { Job } from "../core/definition";
import { isKind } from "../core/errors";
import { SharedLook } from "../core/sharedLook";
import { Turns } from "../core/turns";
import { waitFor } from "../core/wait";
import { type Task, ViprClient } from "./client";
import { resolveVipr } from "./connection";

/** ViPR's documents say every ten seconds (reference vipr.md §6); a small link is done earlier. */
const PACE = { first: 1_000, most: 10_000 };

export const vipr: ConnectionKind<Controller> = {
  kind: "vipr",
  open(request) {
    const settings = resolveVipr(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new Controller(new ViprClient(settings));
  },
  close: (controller) => controller.client.logout(),
};

export class Controller {
  readonly turns = new Turns();
  private readonly waited = new Map<string, number>();
  private readonly tasks: SharedLook<Task>;
  /** Turns that were taken by a `start`, for its `finish` to end. */
  private readonly held = new Map<string, () => void>();

  constructor(
    readonly client: ViprClient,
    clock: Clock = systemClock,
  ) {
    this.tasks = new SharedLook({
      clock,
      one: (id) => orMissing(client.showTask(id)),
      many: async () => new Map((await client.bulkTasks([...this.waited.keys()])).map((task) => [task.id, task])),
    });
  }

  hold(id: string, free: () => void): void {
    this.held.set(id, free);
  }

  release(id: string): void {
    this.held.get(id)?.();
    this.held.delete(id);
  }

  /**
   * Waits until a task has ended, well or badly. undefined where its record is gone: they are kept for seven days (§3,
   * "Related"), so it has ended.
   */
  async ended(id: string, what: string, job: Job, first?: Task): Promise<Task | undefined> {
    const leave = this.tasks.join();
    this.waited.set(id, (this.waited.get(id) ?? 0) + 1);
    let warned = false;
    try {
      return await waitFor<Task | undefined>({
        what: `ViPR's task ${id} (${what})`,
        look: (signal) => this.tasks.look(id, signal),
        judge: (task) => {
          if (task === undefined) return { is: "done", progress: `${what}: its task is not kept any more` };
          if (hasEnded(task)) return { is: "done", progress: `${what}: ${task.state}` };
          const stuck = suspension(task);
          if (stuck === undefined) return { is: "pending", progress: `${what}: ${task.state} ${task.progress ?? 0} %` };
          if (!warned) job.warn(stuck);
          warned = true;
          return { is: "pending", progress: stuck };
        },
        ...(first === undefined ? {} : { first }),
        pace: PACE,
        job,
      });
    } finally {
      leave();
      const others = (this.waited.get(id) ?? 1) - 1;
      if (others > 0) this.waited.set(id, others);
      else this.waited.delete(id);
    }
  }
}

/** Any other state, known or not, is that of work that goes on (§3, "Task model"; §9). */
export function hasEnded({ state }: Task): boolean {
  return state === "ready" || state === "error";
}

function suspension({ id, state, description, allowed_operations, message }: Task): string | undefined {
  if (!state.startsWith("suspended")) return undefined;
  const allowed =
    allowed_operations && allowed_operations !== "none_specified" ? ` Allowed: ${allowed_operations}.` : "";
  const said = message ? ` ViPR says: ${message}.` : "";
  return (
    `ViPR has suspended the task ${id} (${description ?? "no description"}): ${state}.${said} It does not go on by itself: ` +
    `an operator has to resume it or roll it back (POST /vdc/tasks/${id}/resume or /rollback).${allowed}`
  );
}

/** undefined where ViPR itself says that it does not exist. */
export async function orMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isKind(error, "notFound")) return undefined;
    throw error;
  }
}
