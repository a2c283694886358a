// One ViPR connection of a run: its client, the requests that its waits share, the locks of its sessions, and what the run
// knows beyond the state.

import { setMaxListeners } from "node:events";
import { AbsenceTimer, orUndefined } from "../core/absence";
import { BatchPoller } from "../core/batchPoller";
import type { ConnectionKind } from "../core/connection/connections";
import { beginShared, waitForShared } from "../core/currentOperation";
import type { OperationContext } from "../core/definition";
import { DurationEstimator } from "../core/durationEstimator";
import { isKind, SnapcloneError } from "../core/errors";
import { poll } from "../core/poll";
import { type Clock, systemClock } from "../core/util/clock";
import { KeyedMutex } from "../core/util/keyedMutex";
import { type Found, type LinkedTarget, type SnapshotSession, type Task, type Tasks, ViprClient } from "./client";
import { resolveVipr } from "./connection";

/** ViPR's documents recommend ten seconds (docs/wire/vipr.md#s6). A small link takes less. */
const INTERVAL = { first: 2_000, most: 10_000 };
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

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
  /** For the links of one session that must not overlap. */
  readonly linkLocks = new KeyedMutex();
  /** Ids of sets whose first link request this run has sent. */
  readonly begunSets = new Set<string>();
  /** Ids of all sets that this run has listed, whoever made them. */
  readonly listedSets = new Set<string>();
  /** Ids of targets that this run has unlinked. Searches show them for a while. */
  readonly unlinkedTargets = new Set<string>();
  /** By prefix: the last search of a delete. The list at the end of the run uses it, and needs no search of its own. */
  readonly latestSearches = new Map<string, readonly Found[]>();
  /** Ids of the tasks that answered requests of this run. */
  readonly ownTasks = new Set<string>();
  /** By set: the `refreshTriggers` of a relink that ended well in this run. */
  readonly refreshedBy = new Map<string, unknown>();
  /** By set: the warnings of the latest refresh. */
  readonly warnings = new Map<string, readonly string[]>();
  /** By task: how many waits there are for it. */
  private readonly waits = new Map<string, number>();
  private readonly tasks: BatchPoller<Task>;
  private readonly targets: BatchPoller<LinkedTarget[]>;
  private readonly sessions: BatchPoller<SnapshotSession[]>;
  private readonly sessionTasks: BatchPoller<Task[]>;
  /** How long tasks of each kind take. */
  readonly durations = {
    link: new DurationEstimator(),
    unlink: new DurationEstimator(),
    relink: new DurationEstimator(),
  };
  /** By session: whether it is of a volume, and not of a consistency group. */
  private readonly ofVolume = new Map<string, Promise<boolean>>();
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
    this.targets = new BatchPoller({
      clock,
      fetchOne: (key) => client.bulkTargets(idsOf(key)),
      fetchAll: (keys) => inOne(keys, (ids) => client.bulkTargets(ids)),
    });
    this.sessions = new BatchPoller({
      clock,
      fetchOne: (key) => sessionsOf(client, idsOf(key)),
      // If one of a group is left out, the group is fetched by itself.
      fetchAll: async (keys) => {
        const groups = await inOne(keys, (ids) => client.bulkSessions(ids));
        return new Map([...groups].filter(([key, rows]) => rows.length === idsOf(key).length));
      },
    });
    this.sessionTasks = new BatchPoller({
      clock,
      fetchOne: (id) => orUndefined(client.listSessionTasks(id)),
      fetchAll: async (ids) => {
        const lists = ids.map(async (id) => [id, await orUndefined(client.listSessionTasks(id))] as const);
        return new Map((await Promise.all(lists)).map(([id, tasks]) => [id, tasks ?? []]));
      },
    });
  }

  /** Announces an operation that fetches sets, so that its requests are shared with those of others. Call the result at its end. */
  register(): () => void {
    const leave = [this.targets, this.sessions, this.sessionTasks].map((poller) => poller.register());
    return () => {
      for (const one of leave) one();
    };
  }

  /** The targets that the user may see. */
  async fetchTargets(ids: readonly string[], signal: AbortSignal = NEVER): Promise<LinkedTarget[]> {
    return ids.length === 0 ? [] : ((await this.targets.fetch(keyOf(ids), signal)) ?? []);
  }

  /** The sessions that exist. Throws if the user may not see one of them. */
  async fetchSessions(ids: readonly string[], signal: AbortSignal = NEVER): Promise<SnapshotSession[]> {
    return ids.length === 0 ? [] : ((await this.sessions.fetch(keyOf(ids), signal)) ?? []);
  }

  /** The session's tasks of the last seven days; none of a session that does not exist. */
  async fetchSessionTasks(id: string, signal: AbortSignal): Promise<Task[]> {
    return (await this.sessionTasks.fetch(id, signal)) ?? [];
  }

  /** False if that can't be learned. Sends one request for the whole run. */
  isOfVolume(session: string): Promise<boolean> {
    const learn = async () => {
      const { parent, consistency_group } = await this.client.showSession(session);
      return Boolean(parent && !consistency_group);
    };
    const known = this.ofVolume.get(session) ?? beginShared(learn).catch(() => false);
    this.ofVolume.set(session, known);
    return waitForShared(known, `to learn the source of the snapshot session ${session}`);
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

  /** Waits until all tasks of one request have ended. Returns the worst end: an error, else undefined (see `waitForTask`). */
  async waitForTasks(
    tasks: Tasks,
    what: string,
    context: OperationContext,
    estimator: DurationEstimator,
  ): Promise<Task | undefined> {
    const ends: (Task | undefined)[] = [];
    for (const task of tasks) ends.push(await this.waitForTask(task.id, what, context, task, estimator));
    const failed = ends.find((end) => end?.state === "error");
    return failed ?? (ends.includes(undefined) ? undefined : ends[0]);
  }

  /**
   * Waits until a task has ended, well or badly. undefined if ViPR does not have the task any more. Then the work has ended only if
   * nothing of it is to be seen (docs/wire/vipr.md#tasks-delete).
   */
  async waitForTask(
    id: string,
    what: string,
    context: OperationContext,
    first?: Task,
    /** Set where the task has begun just now. */
    estimator?: DurationEstimator,
  ): Promise<Task | undefined> {
    const leave = this.tasks.register();
    this.waits.set(id, (this.waits.get(id) ?? 0) + 1);
    const absence = new AbsenceTimer(context.clock);
    let warned = false;
    try {
      return await poll<Task | undefined>({
        description: `ViPR's task ${id} (${what})`,
        fetch: (signal) => this.tasks.fetch(id, signal),
        subscribe: (listener) => this.tasks.subscribe(id, listener),
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
        ...(estimator === undefined ? {} : { estimator }),
        interval: INTERVAL,
        context,
      });
    } catch (error) {
      throw isKind(error, "deadline") ? taskDoesNotEnd(error, id) : error;
    } finally {
      leave();
      const others = (this.waits.get(id) ?? 1) - 1;
      if (others > 0) this.waits.set(id, others);
      else this.waits.delete(id);
    }
  }
}

/** A controller that broke down leaves its task as it is, for ever. */
function taskDoesNotEnd(error: SnapcloneError, id: string): SnapcloneError {
  return new SnapcloneError({
    ...error.parts,
    hint: `If ViPR does not work on the task ${id} any more, take it away: POST /vdc/tasks/${id}/delete. Then run again.`,
  });
}

/** A group of ids as one key of a BatchPoller: each operation asks for all that it needs at once. */
function keyOf(ids: readonly string[]): string {
  return [...new Set(ids)].join(" ");
}

function idsOf(key: string): string[] {
  return key.split(" ");
}

/** The rows of several groups by one request. */
async function inOne<Row extends { id: string }>(
  keys: readonly string[],
  fetch: (ids: readonly string[]) => Promise<Row[]>,
): Promise<Map<string, Row[]>> {
  const rows = await fetch([...new Set(keys.flatMap(idsOf))]);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return new Map(keys.map((key) => [key, idsOf(key).flatMap((id) => byId.get(id) ?? [])]));
}

async function sessionsOf(client: ViprClient, ids: readonly string[]): Promise<SnapshotSession[]> {
  const bulk = ids.length > 1 ? await client.bulkSessions(ids) : [];
  const missing = ids.filter((id) => !bulk.some((session) => session.id === id));
  // A bulk request leaves out what the user may not see. A request for a single session is refused instead.
  for (const id of missing) {
    const session = await orUndefined(client.showSession(id));
    if (session) bulk.push(session);
  }
  return bulk;
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
