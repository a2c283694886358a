// One ViPR connection of a run: its client, the requests that its waits share, the locks of its sessions, and what the run
// knows beyond the state.

import { AbsenceTimer, orUndefined } from "../core/absence";
import { BatchPoller } from "../core/batchPoller";
import type { ConnectionKind } from "../core/connection/connections";
import { beginShared, waitForShared } from "../core/currentOperation";
import type { OperationContext } from "../core/definition";
import { poll } from "../core/poll";
import { type Clock, systemClock } from "../core/util/clock";
import { KeyedMutex } from "../core/util/keyedMutex";
import { type Found, type Task, ViprClient } from "./client";
import { resolveVipr } from "./connection";

/** ViPR's documents recommend ten seconds (docs/wire/vipr.md#s6). A small link takes less. */
const INTERVAL = { first: 2_000, most: 10_000 };

export const vipr: ConnectionKind<ViprContext> = {
  kind: "vipr",
  open(request) {
    const settings = resolveVipr(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new ViprContext(new ViprClient(settings, { patience: request.patience, env: request.env }));
  },
  // The tenant is the user's.
  target: ({ client }) => ({ url: client.settings.url, username: client.settings.username }),
  async diagnose(controller, diagnosis) {
    const { client } = controller;
    diagnosis.settings(client.settings);
    diagnosis.address("ViPR", client.settings.url, client.settings.tls);
    const login = await diagnosis.attempt(
      "login",
      () => controller.showTenant(),
      (tenant) => `user ${client.settings.username}, tenant ${tenant}`,
    );
    if (login === undefined) return;
    diagnosis.clock(client.serverTime());
    const search = () => client.searchTargets("snapclone-doctor-");
    await diagnosis.attempt("rights", search, () => "may search linked targets");
    diagnosis.unproven("whether the login may link, relink and unlink targets is not known without doing it");
  },
  close: (controller) => controller.client.logout(),
};

export class ViprContext {
  readonly sessionLocks = new KeyedMutex();
  /** Ids of sets whose first link request this run has sent. */
  readonly begunSets = new Set<string>();
  /** Ids of all sets that this run has listed, whoever made them. */
  readonly listedSets = new Set<string>();
  /** Ids of targets that this run has unlinked. Searches show them for a while. */
  readonly unlinkedTargets = new Set<string>();
  /** The last search of the latest delete. The list at the end of the run uses it, and needs no search of its own. */
  latestSearch: { prefix: string; found: readonly Found[] } | undefined;
  /** By set: the `refreshTriggers` of a relink that ended well in this run. */
  readonly refreshedBy = new Map<string, unknown>();
  /** By set: the warnings of the latest refresh. */
  readonly warnings = new Map<string, readonly string[]>();
  /** By task: how many waits there are for it. */
  private readonly waits = new Map<string, number>();
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
      fetchOne: (id) => orUndefined(client.showTask(id)),
      fetchAll: async () => new Map((await client.bulkTasks([...this.waits.keys()])).map((task) => [task.id, task])),
    });
  }

  /** Sends one request for the whole run. */
  showTenant(): Promise<string> {
    this.tenant ??= beginShared(() => this.client.showTenant()).catch((error: unknown) => {
      this.tenant = undefined;
      throw error;
    });
    return waitForShared(this.tenant, "to learn the tenant");
  }

  holdLock(id: string, free: () => void): void {
    this.heldLocks.set(id, free);
  }

  releaseLock(id: string): void {
    this.heldLocks.get(id)?.();
    this.heldLocks.delete(id);
  }

  /**
   * Waits until a task has ended, well or badly. undefined if ViPR does not have the task any more: it keeps tasks for seven
   * days (docs/wire/vipr.md#related), so the task has ended.
   */
  async waitForTask(id: string, what: string, context: OperationContext, first?: Task): Promise<Task | undefined> {
    const leave = this.tasks.register();
    this.waits.set(id, (this.waits.get(id) ?? 0) + 1);
    const absence = new AbsenceTimer(context.clock);
    let warned = false;
    try {
      return await poll<Task | undefined>({
        description: `ViPR's task ${id} (${what})`,
        fetch: (signal) => this.tasks.fetch(id, signal),
        evaluate: (task) => {
          const isGone = absence.isProven(task !== undefined);
          if (task === undefined && !isGone) return { is: "pending", progress: `${what}: ViPR does not show its task` };
          if (task === undefined) return { is: "done", progress: `${what}: ViPR does not have its task any more` };
          if (hasEnded(task)) return { is: "done", progress: `${what}: ${task.state}` };
          const suspended = suspension(task);
          if (suspended === undefined)
            return { is: "pending", progress: `${what}: ${task.state} ${task.progress ?? 0} %` };
          if (!warned) context.warn(suspended);
          warned = true;
          return { is: "pending", progress: suspended };
        },
        ...(first === undefined ? {} : { initial: first }),
        interval: INTERVAL,
        context: context,
      });
    } finally {
      leave();
      const others = (this.waits.get(id) ?? 1) - 1;
      if (others > 0) this.waits.set(id, others);
      else this.waits.delete(id);
    }
  }
}

/** In every other state, known or unknown, the task is still running (docs/wire/vipr.md#task-model; #s9). */
export function hasEnded({ state }: Task): boolean {
  return state === "ready" || state === "error";
}

function suspension({ id, state, description, allowed_operations, message }: Task): string | undefined {
  if (!state.startsWith("suspended")) return undefined;
  const allowed =
    allowed_operations && allowed_operations !== "none_specified" ? ` Allowed: ${allowed_operations}.` : "";
  const explanation = message ? ` ViPR says: ${message.trim().replace(/\.$/, "")}.` : "";
  return (
    `ViPR has suspended the task ${id} (${description ?? "no description"}): ${state}.${explanation} It will not resume by itself: ` +
    `an operator has to resume it or roll it back (POST /vdc/tasks/${id}/resume or /rollback).${allowed}`
  );
}
