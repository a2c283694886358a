// One opened ZStack connection: its client, what a run remembers of ZStack, and how changes run to their end. A change is
// one job, or a step of many whose effects a single query shows. The facts are in docs/wire/zstack.md.

import { randomUUID } from "node:crypto";
import { AbsenceTimer } from "../core/absence";
import type { ConnectionKind } from "../core/connection/connections";
import { beginShared, waitForShared } from "../core/currentOperation";
import type { OperationContext } from "../core/definition";
import { DurationEstimator } from "../core/durationEstimator";
import { asSnapcloneError, isKind, SnapcloneError } from "../core/errors";
import type { HttpClient, HttpSettings } from "../core/http/client";
import { type Evaluation, poll } from "../core/poll";
import { type Clock, systemClock } from "../core/util/clock";
import type { TagRow, VmRow, VolumeRow } from "./answers";
import { type JobAnswer, type Submitted, ZStackClient } from "./client";
import { resolveZStack, type ZStackSettings } from "./connection";
import { diagnoseZStack } from "./diagnose";
import { combineErrors, forgottenJob, hasCode, isOutcomeUnknown, SESSION_LOST } from "./errors";

export const zstack: ConnectionKind<ZStackContext> = {
  kind: "zstack",
  open(request) {
    const settings = resolveZStack(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new ZStackContext(settings, systemClock, undefined, { patience: request.patience, env: request.env });
  },
  target: ({ settings: { base, auth } }) => ({ base, account: auth.method === "account" ? auth.accountName : auth.id }),
  diagnose: diagnoseZStack,
  async close({ client }) {
    try {
      await client.logOut();
    } finally {
      await client.close();
    }
  },
};

/** The part of an operation's context that a wait needs. */
export type WaitContext = Pick<OperationContext, "clock" | "deadline" | "signal" | "progress">;

type SilentContext = WaitContext & Pick<OperationContext, "warn" | "warnForbidden">;

/** The kinds of changes. Changes of one kind take about the same time. */
export type Action =
  | "tag"
  | "updateVm"
  | "startVm"
  | "stopVm"
  | "destroyVm"
  | "expungeVm"
  | "detachVolume"
  | "deleteVolume"
  | "expungeVolume";

/** One change, and how its effect shows in the rows of a query. */
export interface Step<Rows> {
  action: Action;
  /** Completes "could not …": `rename "web-1"`. */
  operation: string;
  submit(job: string): Promise<Submitted>;
  isDone(rows: Rows): boolean;
  /** True if the rows show that ZStack works on the change, so that its job need not be queried. */
  isUnderWay?(rows: Rows): boolean;
  /** The progress that the rows show. */
  progress?(rows: Rows): string;
  /** Called in place of a failure if the account's roles forbid the change, which then stays undone. */
  forbidden?(error: SnapcloneError): void;
  /** The member that the step changes. A step without a member removes something: "not found" means that it is done. */
  member?: string;
}

/** How long a job with an unknown outcome may show no effect before it counts as ended. */
export const UNKNOWN_OUTCOME_GRACE_MS = 300_000;
/** Tags and names take a tenth of a second on an idle node. */
const CHANGE_INTERVAL = { first: 300, most: 5_000 };
/** A uuid and its comma take 33 characters; the length of an address is limited. */
const UUIDS_PER_QUERY = 100;
const SHORT_DEADLINE_MS = 300_000;
/** In the recycle bin, on the way into it, or on the way out of it (docs/wire/zstack.md#s4, #s11-7). */
const GONE = /^(Destroyed|Destroying|Expunging)$/;

export function isGone(row: Pick<VmRow, "state"> | undefined): boolean {
  return row === undefined || GONE.test(row.state);
}

/** 32 hex digits of a version 4 UUID: ZStack checks the version (docs/wire/zstack.md#s2-5, #destroy). */
export function newUuid(): string {
  return randomUUID().replaceAll("-", "");
}

export class ZStackContext {
  readonly client: ZStackClient;
  readonly cloneDuration = new DurationEstimator();
  /** VMs that this process has seen gone. The list at the end of its run need not query them again. */
  readonly seenGone = new Set<string>();
  /** Clone jobs whose end this process has seen. */
  readonly endedJobs = new Set<string>();
  /** Sets whose tags this process has changed since `tagList`. */
  readonly changedSets = new Set<string>();
  /** All tags of the stack, as the run's first query showed them. */
  tagList: Promise<TagRow[]> | undefined;
  private readonly durations = new Map<Action, DurationEstimator>();
  private versionQuery: Promise<string | undefined> | undefined;

  constructor(
    readonly settings: ZStackSettings,
    private readonly clock: Clock = systemClock,
    http?: HttpClient,
    settingsOfHttp: HttpSettings = {},
  ) {
    this.client = new ZStackClient(settings, { ...settingsOfHttp, clock, ...(http ? { http } : {}) });
  }

  /** undefined if the server does not report its version. Queried once a run. */
  async version(): Promise<string | undefined> {
    this.versionQuery ??= beginShared(() => this.client.getVersion()).catch((error: unknown) => {
      this.versionQuery = undefined;
      if (isKind(error, "refused", "malformed")) return undefined;
      throw error;
    });
    return waitForShared(this.versionQuery, "to learn ZStack's version");
  }

  /** The account or access key of this connection, for messages. */
  get account(): string {
    const { auth } = this.settings;
    return auth.method === "account" ? `account ${auth.accountName}` : `access key ${auth.id}`;
  }

  /** Seconds since 1970, by the management node's clock. */
  now(): number {
    return Math.floor((this.client.serverTime() ?? this.clock.date()).getTime() / 1000);
  }

  /** For hooks without an OperationContext, and for cleaning up after the operation's deadline. */
  shortDeadline(signal: AbortSignal = new AbortController().signal): SilentContext {
    const deadline = this.clock.now() + SHORT_DEADLINE_MS;
    return { clock: this.clock, deadline, signal, progress() {}, warn() {}, warnForbidden() {} };
  }

  // --- queries by uuid. Each filters the server's answer: a condition that the server ignores must not widen it.

  async vms(uuids: readonly string[], signal?: AbortSignal): Promise<VmRow[]> {
    const rows = await inChunks(uuids, async (chunk) => {
      const found = await this.client.queryVmInstances([`uuid?=${chunk.join(",")}`], signal);
      return found.filter(({ uuid }) => chunk.includes(uuid));
    });
    const found = new Map(rows.map((row) => [row.uuid, row]));
    for (const uuid of uuids) {
      if (isGone(found.get(uuid))) this.seenGone.add(uuid);
      // A list may lag behind the job that has made the VM.
      else this.seenGone.delete(uuid);
    }
    return rows;
  }

  /** The uuids of those VMs that exist and are not in the recycle bin. */
  async living(uuids: readonly string[]): Promise<string[]> {
    const candidates = uuids.filter((uuid) => !this.seenGone.has(uuid));
    const rows = await inChunks(candidates, (chunk) =>
      this.client.queryVmInstances(["state!=Destroyed", `uuid?=${chunk.join(",")}`]),
    );
    return rows.filter((row) => !isGone(row)).map(({ uuid }) => uuid);
  }

  volumes(uuids: readonly string[], signal?: AbortSignal): Promise<VolumeRow[]> {
    return inChunks(uuids, async (chunk) => {
      const found = await this.client.queryVolumes([`uuid?=${chunk.join(",")}`], signal);
      return found.filter(({ uuid }) => chunk.includes(uuid));
    });
  }

  tagsOn(vms: readonly string[], signal?: AbortSignal): Promise<TagRow[]> {
    return inChunks(vms, async (chunk) => {
      const found = await this.client.queryUserTags([`resourceUuid?=${chunk.join(",")}`], signal);
      return found.filter(({ resourceUuid }) => chunk.includes(resourceUuid));
    });
  }

  // --- jobs

  /** Runs one idempotent change to the end of its job. If the session is lost, logs in anew and uses a new job id. */
  async run(
    { operation, action, submit }: Pick<Step<never>, "operation" | "action" | "submit">,
    context: WaitContext,
  ): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      const submitted = await submit(newUuid());
      const end = await this.jobEnd(operation, submitted.job, context, this.duration(action));
      if (end.is === "done") return end.body;
      if (end.is === "gone") throw forgottenJob(operation, submitted.job);
      const error = this.client.jobError(end.fault, submitted.job);
      if (attempt > 1 || !hasCode(error, SESSION_LOST)) throw error;
      this.client.forget(submitted.session);
    }
  }

  async jobEnd(
    operation: string,
    job: string,
    context: WaitContext,
    estimator?: DurationEstimator,
  ): Promise<Exclude<JobAnswer, { is: "running" }>> {
    const absence = new AbsenceTimer(context.clock);
    const end = await poll<JobAnswer>({
      description: `the job to ${operation}`,
      initial: { is: "running" },
      fetch: (signal) => this.client.queryJob(job, signal),
      evaluate: (answer) => {
        const isForgotten = absence.isProven(answer.is !== "gone");
        const hasEnded = answer.is === "done" || answer.is === "failed" || isForgotten;
        return { is: hasEnded ? "done" : "pending", progress: operation };
      },
      interval: CHANGE_INTERVAL,
      ...(estimator === undefined ? {} : { estimator }),
      context,
    });
    return end as Exclude<JobAnswer, { is: "running" }>;
  }

  /**
   * Sends all steps, then repeats one query until it shows the effects of all of them. A step's job is queried only if its
   * effect does not show. Every step runs to its end, even if another one fails.
   */
  async runSteps<Rows>(
    description: string,
    steps: readonly Step<Rows>[],
    query: (signal: AbortSignal) => Promise<Rows>,
    context: WaitContext,
  ): Promise<Rows> {
    const running = steps.map((step) => new RunningStep(step, this.client, context.clock));
    await Promise.all(running.map((one) => one.send()));
    const [first] = steps;
    if (running.length > 0 && running.every(({ failure }) => failure !== undefined)) throw combined(running);
    const last = await poll<{ rows?: Rows }>({
      description,
      // No effect shows at once, so the first query comes after a pause.
      ...(running.some(({ isOver }) => !isOver) ? { initial: {} } : {}),
      fetch: async (signal) => {
        const rows = await query(signal);
        await Promise.all(running.map((one) => one.update(rows, signal)));
        return { rows };
      },
      evaluate: (): Evaluation => {
        const left = running.filter(({ isOver }) => !isOver);
        const states = left.flatMap((one) => one.progress ?? []).slice(0, 5);
        const count = left.length === 0 ? "" : ` (${running.length - left.length} of ${running.length})`;
        const progress = states.length > 0 ? states.join(", ") : `${description}${count}`;
        return { is: left.length === 0 ? "done" : "pending", progress };
      },
      interval: CHANGE_INTERVAL,
      ...(first === undefined ? {} : { estimator: this.duration(first.action) }),
      context,
    });
    if (running.some(({ failure }) => failure !== undefined)) throw combined(running);
    return last.rows as Rows;
  }

  /** How long changes of this kind have taken in this run. */
  private duration(action: Action): DurationEstimator {
    const known = this.durations.get(action) ?? new DurationEstimator();
    this.durations.set(action, known);
    return known;
  }
}

class RunningStep<Rows> {
  isOver = false;
  failure: SnapcloneError | undefined;
  progress: string | undefined;
  private submitted: Submitted | undefined;
  private hasJobEnded = false;
  private refusal: SnapcloneError | undefined;
  private submits = 0;
  private updates = 0;
  private unknownSince: number | undefined;
  private readonly absence: AbsenceTimer;

  constructor(
    private readonly step: Step<Rows>,
    private readonly client: ZStackClient,
    private readonly clock: Clock,
  ) {
    this.absence = new AbsenceTimer(clock);
  }

  async send(): Promise<void> {
    this.submits += 1;
    try {
      this.submitted = await this.step.submit(newUuid());
    } catch (error) {
      const failure = error instanceof SnapcloneError ? error : asSnapcloneError(error, this.step.operation);
      // A request that was sent twice may be refused because the first has had its effect.
      if (isKind(failure, "refused")) this.refusal = failure;
      else this.fail(failure);
    }
  }

  async update(rows: Rows, signal: AbortSignal): Promise<void> {
    if (this.isOver) return;
    this.updates += 1;
    this.progress = this.step.progress?.(rows);
    // The end of its job completes a change, since lists may lag. It does not complete a removal: the object still shows.
    const isChange = this.step.member !== undefined;
    if (this.step.isDone(rows) || (this.hasJobEnded && isChange)) this.isOver = true;
    else if (this.refusal) this.fail(this.refusal);
    else if (this.isJobDue(rows)) await this.queryJob(signal);
  }

  /** Most changes show before the third update. A VM may stay in its transient state for ever. */
  private isJobDue(rows: Rows): boolean {
    if (this.hasJobEnded) return false;
    return this.updates % (this.step.isUnderWay?.(rows) ? 10 : 3) === 0;
  }

  private async queryJob(signal: AbortSignal): Promise<void> {
    const { job = "", session } = this.submitted ?? {};
    const answer = await this.client.queryJob(job, signal);
    if (this.absence.isProven(answer.is !== "gone")) this.fail(forgottenJob(this.step.operation, job));
    // The next update shows the effect.
    if (answer.is === "done") this.hasJobEnded = true;
    if (answer.is !== "failed") return;
    const error = this.client.jobError(answer.fault, job);
    if (hasCode(error, SESSION_LOST) && this.submits === 1) {
      this.client.forget(session);
      return this.send();
    }
    if (isOutcomeUnknown(answer.fault)) {
      this.unknownSince ??= this.clock.now();
      if (this.clock.now() - this.unknownSince < UNKNOWN_OUTCOME_GRACE_MS) return;
    }
    this.fail(error);
  }

  private fail(error: SnapcloneError): void {
    const { member, operation } = this.step;
    const isMissing = error.kind === "notFound";
    if (isMissing && member === undefined) {
      this.hasJobEnded = true;
      return;
    }
    this.isOver = true;
    if (error.kind === "forbidden" && this.step.forbidden) {
      this.step.forbidden(error);
      return;
    }
    // The set still exists when one of its clones is missing, so the kind must not be "notFound".
    this.failure = isMissing
      ? new SnapcloneError({ ...error.parts, kind: "failed", message: `"${member}" vanished: ${error.parts.message}` })
      : new SnapcloneError({ ...error.parts, message: `could not ${operation}: ${error.parts.message}` });
  }
}

function combined(steps: readonly { failure: SnapcloneError | undefined }[]): SnapcloneError {
  return combineErrors(steps.flatMap(({ failure }) => failure ?? []));
}

/** Runs all to their end, even if one fails. */
export async function runAll(...tasks: (() => Promise<void>)[]): Promise<void> {
  const results = await Promise.allSettled(tasks.map((task) => task()));
  const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  const unexpected = failures.find((failure) => !(failure instanceof SnapcloneError));
  if (unexpected !== undefined) throw unexpected;
  if (failures.length > 0) throw combineErrors(failures);
}

async function inChunks<Row>(uuids: readonly string[], query: (chunk: string[]) => Promise<Row[]>): Promise<Row[]> {
  const rows: Row[] = [];
  for (let at = 0; at < uuids.length; at += UUIDS_PER_QUERY) {
    rows.push(...(await query(uuids.slice(at, at + UUIDS_PER_QUERY))));
  }
  return rows;
}
