// One ViPR connection of a run: its client, the look at tasks that its waits share, the turns at its sessions, and what the
// run knows beyond the state.

import { AbsenceTimer } from "../core/absence";
import { BatchPoller } from "../core/batchPoller";
import type { ConnectionKind } from "../core/connection/connections";
import type { OperationContext } from "../core/definition";
import { isKind } from "../core/errors";
import { poll } from "../core/poll";
import { type Clock, systemClock } from "../core/util/clock";
import { KeyedMutex } from "../core/util/keyedMutex";
import { type Found, type Task, ViprClient } from "./client";
import { resolveVipr } from "./connection";

/** ViPR's documents say every ten seconds (docs/wire/vipr.md#s6); a small link is done earlier. */
const PACE = { first: 2_000, most: 10_000 };

export const vipr: ConnectionKind<ViprContext> = {
  kind: "vipr",
  open(request) {
    const settings = resolveVipr(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new ViprContext(new ViprClient(settings, { patience: request.patience }));
  },
  close: (controller) => controller.client.logout(),
};

export class ViprContext {
  readonly sessionLocks = new KeyedMutex();
  /** Ids of sets that this run has sent a link request for. */
  readonly begun = new Set<string>();
  /** Ids of sets that the lists of this run have shown, whoever made them. */
  readonly seen = new Set<string>();
  /** Ids of targets that this run has unlinked, by a task that came to a good end: searches show them for a while. */
  readonly unlinked = new Set<string>();
  /** What the latest delete has found by its last search: the list at the end of the run needs no other. */
  latestSearch: { prefix: string; found: readonly Found[] } | undefined;
  /** By set: the `refreshTriggers` of a relink that came to a good end in this run. */
  readonly refreshed = new Map<string, unknown>();
  /** By set: what the latest look found to say about it. */
  readonly remarks = new Map<string, readonly string[]>();
  private readonly waited = new Map<string, number>();
  private readonly tasks: BatchPoller<Task>;
  /** Locks that a `beginCreate` has acquired, for its `waitForCreate` to release. */
  private readonly heldLocks = new Map<string, () => void>();
  private tenant: Promise<string> | undefined;

  constructor(
    readonly client: ViprClient,
    clock: Clock = systemClock,
  ) {
    this.tasks = new BatchPoller({
      clock,
      fetchOne: (id) => orMissing(client.showTask(id)),
      fetchAll: async () => new Map((await client.bulkTasks([...this.waited.keys()])).map((task) => [task.id, task])),
    });
  }

  /** Asked once a run. */
  showTenant(): Promise<string> {
    this.tenant ??= this.client.showTenant().catch((error: unknown) => {
      this.tenant = undefined;
      throw error;
    });
    return this.tenant;
  }

  holdLock(id: string, free: () => void): void {
    this.heldLocks.set(id, free);
  }

  releaseLock(id: string): void {
    this.heldLocks.get(id)?.();
    this.heldLocks.delete(id);
  }

  /**
   * Waits until a task has ended, well or badly. undefined where its record is gone: ViPR keeps it for seven days
   * (docs/wire/vipr.md#related), so the task has ended.
   */
  async ended(id: string, what: string, context: OperationContext, first?: Task): Promise<Task | undefined> {
    const leave = this.tasks.register();
    this.waited.set(id, (this.waited.get(id) ?? 0) + 1);
    const absence = new AbsenceTimer(context.clock);
    let warned = false;
    try {
      return await poll<Task | undefined>({
        description: `ViPR's task ${id} (${what})`,
        fetch: (signal) => this.tasks.fetch(id, signal),
        evaluate: (task) => {
          const isGone = absence.isProven(task !== undefined);
          if (task === undefined && !isGone) return { is: "pending", progress: `${what}: ViPR does not show its task` };
          if (task === undefined) return { is: "done", progress: `${what}: its task is not kept any more` };
          if (hasEnded(task)) return { is: "done", progress: `${what}: ${task.state}` };
          const stuck = suspension(task);
          if (stuck === undefined) return { is: "pending", progress: `${what}: ${task.state} ${task.progress ?? 0} %` };
          if (!warned) context.warn(stuck);
          warned = true;
          return { is: "pending", progress: stuck };
        },
        ...(first === undefined ? {} : { initial: first }),
        interval: PACE,
        context: context,
      });
    } finally {
      leave();
      const others = (this.waited.get(id) ?? 1) - 1;
      if (others > 0) this.waited.set(id, others);
      else this.waited.delete(id);
    }
  }
}

/** Any other state, known or not, is that of work that goes on (docs/wire/vipr.md#task-model; #s9). */
export function hasEnded({ state }: Task): boolean {
  return state === "ready" || state === "error";
}

function suspension({ id, state, description, allowed_operations, message }: Task): string | undefined {
  if (!state.startsWith("suspended")) return undefined;
  const allowed =
    allowed_operations && allowed_operations !== "none_specified" ? ` Allowed: ${allowed_operations}.` : "";
  const explanation = message ? ` ViPR says: ${message.trim().replace(/\.$/, "")}.` : "";
  return (
    `ViPR has suspended the task ${id} (${description ?? "no description"}): ${state}.${explanation} It does not go on by itself: ` +
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
