// One opened ZStack connection, and how work on it is carried out: one job, or many whose effects a single question shows.

import { randomUUID } from "node:crypto";
import { AbsenceTimer } from "../core/absence";
import type { ConnectionKind } from "../core/connection/connections";
import type { OperationContext } from "../core/definition";
import { DurationEstimator } from "../core/durationEstimator";
import { asSnapcloneError, isKind, SnapcloneError } from "../core/errors";
import type { HttpClient } from "../core/http/client";
import type { Patience } from "../core/http/rateGate";
import { type Evaluation, poll } from "../core/poll";
import { type Clock, systemClock } from "../core/util/clock";
import {
  hasCode,
  isOutcomeUnknown,
  SESSION_LOST,
  type Submitted,
  type TagRow,
  type VmRow,
  type VolumeRow,
  ZStackClient,
} from "./client";
import type { Placed } from "./clonedVm/ownership";
import { resolveZStack, type ZStackSettings } from "./connection";

export const zstack: ConnectionKind<ZStackContext> = {
  kind: "zstack",
  open(request) {
    const settings = resolveZStack(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new ZStackContext(settings, systemClock, undefined, request.patience);
  },
  close: (cloud) => cloud.wire.logOut(),
};

/** What a wait needs of an operation. */
export type Waiting = Pick<OperationContext, "clock" | "deadline" | "signal" | "progress">;

/** One change, and how one sees that it has come about. */
export interface Step<Seen> {
  /** Completes "could not …": `rename "web-1"`. */
  what: string;
  submit(job: string): Promise<Submitted>;
  isDone(seen: Seen): boolean;
  /** It shows that the change is under way, so its job need not be asked. */
  isUnderWay?(seen: Seen): boolean;
  /** What is to be seen of it, for messages. */
  shown?(seen: Seen): string;
  /** The member that it changes. A step without one removes something: what is not found need not be removed. */
  member?: string;
}

/**
 * States in which a VM is no more: in the recycle bin, or on its way there or out of it (docs/wire/zstack.md#s4,
 * #s11-7).
 */
const GONE = /^(Destroyed|Destroying|Expunging)$/;

export function isGone(row: Pick<VmRow, "state"> | undefined): boolean {
  return row === undefined || GONE.test(row.state);
}

/** A job takes a tenth of a second on an idle node, destroying a VM some seconds. */
const QUICK_MS = { least: 200, most: 3_000 };
/** How long nothing may be seen of work whose job has an unknown outcome, before it counts as ended. */
export const GRACE_MS = 300_000;
/** What an address takes: a uuid has 33 characters with its comma. */
const AT_ONCE = 100;
const SHORTLY_MS = 300_000;

export class ZStackContext {
  readonly wire: ZStackClient;
  readonly cloneDuration = new DurationEstimator();
  /** When a job is probably done. Looking for the exact moment would cost more requests than it saves time. */
  private expectedMs = QUICK_MS.least;
  /** VMs that this process has seen gone, and that need not be asked about again when its run ends. */
  readonly seenGone = new Set<string>();
  /** Jobs of clones of which this process has seen the end. */
  readonly endedJobs = new Set<string>();
  /** Sets whose tags this process has changed. */
  readonly changedSets = new Set<string>();
  private listed: Promise<TagRow[]> | undefined;
  private versionAsked: Promise<string | undefined> | undefined;

  constructor(
    readonly settings: ZStackSettings,
    private readonly clock: Clock = systemClock,
    http?: HttpClient,
    patience?: () => Patience,
  ) {
    this.wire = new ZStackClient(settings, { clock, ...(http ? { http } : {}), ...(patience ? { patience } : {}) });
  }

  /** undefined where the server does not say; asked once a run. */
  async version(): Promise<string | undefined> {
    this.versionAsked ??= this.wire.getVersion().catch((error: unknown) => {
      this.versionAsked = undefined;
      if (isKind(error, "refused", "malformed")) return undefined;
      throw error;
    });
    return this.versionAsked;
  }

  /** Whose rights this connection has, for messages. */
  get account(): string {
    const { auth } = this.settings;
    return auth.method === "account" ? `account ${auth.accountName}` : `access key ${auth.id}`;
  }

  /** Seconds since 1970, by the management node's clock. */
  now(): number {
    return Math.floor((this.wire.serverTime() ?? this.clock.date()).getTime() / 1000);
  }

  async vms(uuids: readonly string[], signal?: AbortSignal): Promise<VmRow[]> {
    const rows = await inChunks(uuids, async (some) => {
      const found = await this.wire.queryVmInstances([`uuid?=${some.join(",")}`], signal);
      // The server's word is filtered once more: a condition that it does not understand must not widen the set.
      return found.filter(({ uuid }) => some.includes(uuid));
    });
    const there = new Map(rows.map((row) => [row.uuid, row]));
    for (const uuid of uuids) if (isGone(there.get(uuid))) this.seenGone.add(uuid);
    return rows;
  }

  /** All tags of a stack's sets. A run asks at its beginning, and its reads and deletes go by the answer, too. */
  async listTags(condition: string): Promise<TagRow[]> {
    this.listed = this.wire.queryUserTags([condition]);
    this.listed.catch(() => {});
    return this.listed;
  }

  /** The tags of one set in that list; undefined where it has none, or this process has changed them since. */
  async listedTagsOf(set: string): Promise<TagRow[] | undefined> {
    const all = (await this.listed?.catch(() => undefined)) ?? [];
    const rows = all.filter(({ tag }) => tag.includes(set));
    return rows.length === 0 || this.changedSets.has(set) ? undefined : rows;
  }

  /** Which of these are there and not in the bin. */
  async living(uuids: readonly string[]): Promise<string[]> {
    const unsure = uuids.filter((uuid) => !this.seenGone.has(uuid));
    const rows = await inChunks(unsure, (some) =>
      this.wire.queryVmInstances(["state!=Destroyed", `uuid?=${some.join(",")}`]),
    );
    return rows.filter((row) => !isGone(row)).map(({ uuid }) => uuid);
  }

  volumes(uuids: readonly string[], signal?: AbortSignal): Promise<VolumeRow[]> {
    return inChunks(uuids, async (some) => {
      const found = await this.wire.queryVolumes([`uuid?=${some.join(",")}`], signal);
      return found.filter(({ uuid }) => some.includes(uuid));
    });
  }

  tagsOn(resources: readonly string[], signal?: AbortSignal): Promise<TagRow[]> {
    return inChunks(resources, async (some) => {
      const found = await this.wire.queryUserTags([`resourceUuid?=${some.join(",")}`], signal);
      return found.filter(({ resourceUuid }) => some.includes(resourceUuid));
    });
  }

  /** One change that may be asked for twice, to the end of its job. A lost session costs a login and a fresh job id. */
  async run(what: string, submit: (job: string) => Promise<Submitted>, waiting: Waiting): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      const submitted = await submit(newUuid());
      const end = await this.jobEnd(what, submitted.job, waiting);
      if (end.is === "done") return end.body;
      if (end.is === "gone") throw jobForgotten(what, submitted.job);
      const error = this.wire.jobError(end.fault, submitted.job);
      if (attempt > 1 || !hasCode(error, SESSION_LOST)) throw error;
      this.wire.forget(submitted.session);
    }
  }

  private get pace() {
    // The first look comes between this and its double.
    return { first: 2 * this.expectedMs, most: 5_000 };
  }

  /** The next first look comes when the latest waits had ended. */
  private learn(tookMs: number, looks: number): void {
    const now = looks > 1 ? tookMs : this.expectedMs * 0.8;
    this.expectedMs = Math.min(Math.max(now, QUICK_MS.least), QUICK_MS.most);
  }

  async jobEnd(what: string, job: string, waiting: Waiting) {
    const begun = waiting.clock.now();
    let looks = 0;
    const absence = new AbsenceTimer(waiting.clock);
    type Answer = Awaited<ReturnType<ZStackClient["queryJob"]>>;
    const end = await poll<Answer>({
      description: what,
      initial: { is: "running" },
      fetch: (signal) => {
        looks += 1;
        return this.wire.queryJob(job, signal);
      },
      evaluate: (answer) => {
        const isForgotten = absence.isProven(answer.is !== "gone");
        const isOver = answer.is === "done" || answer.is === "failed" || isForgotten;
        return { is: isOver ? "done" : "pending", progress: what };
      },
      interval: this.pace,
      context: waiting,
    });
    this.learn(waiting.clock.now() - begun, looks);
    return end as Exclude<Answer, { is: "running" }>;
  }

  /**
   * Sends all of them, then looks at what they change until all of it shows: one question answers for many jobs. A job is
   * asked only where nothing shows. Each step goes to its end, whatever becomes of the others.
   */
  async runSteps<Seen>(
    what: string,
    steps: readonly Step<Seen>[],
    look: (signal: AbortSignal) => Promise<Seen>,
    waiting: Waiting,
  ): Promise<Seen> {
    const running = steps.map((step) => new RunningStep(step, this.wire, waiting.clock));
    await Promise.all(running.map((one) => one.send()));
    const begun = waiting.clock.now();
    let looks = 0;
    if (running.length > 0 && running.every(({ failure }) => failure !== undefined)) throw combined(running);
    const last = await poll<{ seen?: Seen }>({
      description: what,
      // Nothing shows at once.
      ...(running.length > 0 ? { initial: {} } : {}),
      fetch: async (signal) => {
        looks += 1;
        const seen = await look(signal);
        await Promise.all(running.map((one) => one.look(seen, signal)));
        return { seen };
      },
      evaluate: (): Evaluation => {
        const left = running.filter(({ isOver }) => !isOver);
        const shown = left.flatMap((one) => one.shown ?? []).slice(0, 5);
        const done = left.length === 0 ? "" : ` (${running.length - left.length} of ${running.length})`;
        const progress = shown.length > 0 ? shown.join(", ") : `${what}${done}`;
        return { is: left.length === 0 ? "done" : "pending", progress };
      },
      interval: this.pace,
      context: waiting,
    });
    this.learn(waiting.clock.now() - begun, looks);
    if (running.some(({ failure }) => failure !== undefined)) throw combined(running);
    return last.seen as Seen;
  }

  /** Both to their end, whatever becomes of one. */
  async together(...works: (() => Promise<void>)[]): Promise<void> {
    const outcomes = await Promise.allSettled(works.map((work) => work()));
    const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
    const unexpected = failures.find((failure) => !(failure instanceof SnapcloneError));
    if (unexpected !== undefined) throw unexpected;
    if (failures.length > 0) throw combinedErrors(failures);
  }

  tagging(vm: string, tag: string, name: string): Step<readonly TagRow[]> {
    return {
      what: `tag "${name}"`,
      member: name,
      submit: (job) => this.wire.createUserTag("VmInstanceVO", vm, tag, job),
      isDone: (rows) => rows.some((row) => row.resourceUuid === vm && row.tag === tag),
    };
  }

  untagging({ tag, on }: Placed): Step<readonly TagRow[]> {
    return {
      what: `remove a tag of ${on}`,
      submit: (job) => this.wire.deleteTag(tag, job),
      isDone: (rows) => !rows.some(({ uuid }) => uuid === tag),
    };
  }

  async untag(placed: readonly Placed[], waiting: Waiting): Promise<void> {
    if (placed.length === 0) return;
    const bearers = [...new Set(placed.map(({ on }) => on))];
    const steps = placed.map((one) => this.untagging(one));
    await this.runSteps("removing tags", steps, (signal) => this.tagsOn(bearers, signal), waiting);
  }

  /** For hooks that are given no OperationContext. */
  shortDeadline(signal: AbortSignal = new AbortController().signal): Waiting {
    return { clock: this.clock, deadline: this.clock.now() + SHORTLY_MS, signal, progress() {} };
  }
}

class RunningStep<Seen> {
  isOver = false;
  failure: SnapcloneError | undefined;
  shown: string | undefined;
  private submitted: Submitted | undefined;
  private hasEnded = false;
  private sent = 0;
  private looks = 0;
  private unknownSince: number | undefined;
  private readonly absence: AbsenceTimer;

  constructor(
    private readonly step: Step<Seen>,
    private readonly wire: ZStackClient,
    private readonly clock: Clock,
  ) {
    this.absence = new AbsenceTimer(clock);
  }

  async send(): Promise<void> {
    this.sent += 1;
    try {
      this.submitted = await this.step.submit(newUuid());
    } catch (error) {
      this.end(error instanceof SnapcloneError ? error : asSnapcloneError(error, this.step.what));
    }
  }

  async look(seen: Seen, signal: AbortSignal): Promise<void> {
    if (this.isOver) return;
    this.looks += 1;
    this.shown = this.step.shown?.(seen);
    // Of a change the end of its job is enough: lists may lag. Of a removal it is not: what still shows is still there.
    const isChange = this.step.member !== undefined;
    if (this.step.isDone(seen) || (this.hasEnded && isChange)) this.isOver = true;
    // The first look may simply have been early.
    else if (this.looks > 1 && !this.hasEnded && !this.isUnderWay(seen)) await this.askJob(signal);
  }

  /** A state that never ends is no sign of work: its job is asked now and then. */
  private isUnderWay(seen: Seen): boolean {
    return this.looks % 10 !== 0 && (this.step.isUnderWay?.(seen) ?? false);
  }

  private async askJob(signal: AbortSignal): Promise<void> {
    const { job = "", session } = this.submitted ?? {};
    const answer = await this.wire.queryJob(job, signal);
    if (this.absence.isProven(answer.is !== "gone")) this.end(jobForgotten(this.step.what, job));
    // The next look shows what it has done.
    if (answer.is === "done") this.hasEnded = true;
    if (answer.is !== "failed") return;
    const error = this.wire.jobError(answer.fault, job);
    if (hasCode(error, SESSION_LOST) && this.sent === 1) {
      this.wire.forget(session);
      return this.send();
    }
    if (isOutcomeUnknown(answer.fault)) {
      this.unknownSince ??= this.clock.now();
      if (this.clock.now() - this.unknownSince < GRACE_MS) return;
    }
    this.end(error);
  }

  private end(error: SnapcloneError): void {
    const { member, what } = this.step;
    const isMissing = error.kind === "notFound";
    if (isMissing && member === undefined) {
      this.hasEnded = true;
      return;
    }
    this.isOver = true;
    // A clone that vanishes under our hands is one that is missing: the set itself is still there.
    this.failure = isMissing
      ? new SnapcloneError({ ...error.parts, kind: "failed", message: `"${member}" vanished: ${error.parts.message}` })
      : new SnapcloneError({ ...error.parts, message: `could not ${what}: ${error.parts.message}` });
  }
}

/** No list of failures is judged by its first: all are told, and "not found" is the kind of none that has another. */
function combined(steps: readonly { failure: SnapcloneError | undefined }[]): SnapcloneError {
  return combinedErrors(steps.flatMap(({ failure }) => failure ?? []));
}

export function combinedErrors(errors: readonly SnapcloneError[]): SnapcloneError {
  const [first, ...others] = [...errors].sort((a, b) => weight(b) - weight(a));
  if (first === undefined) throw new Error("no failure to tell of");
  if (others.length === 0) return first;
  const message = [...new Set([first, ...others].map(({ parts }) => parts.message))].join("; ");
  return new SnapcloneError({ ...first.parts, message });
}

/** What is stopped or late goes on with the next run, so it must not be told as the end of anything. */
function weight({ kind }: SnapcloneError): number {
  if (kind === "notFound") return 0;
  return kind === "stopped" || kind === "deadline" ? 2 : 1;
}

function jobForgotten(what: string, job: string): SnapcloneError {
  const message = `ZStack does not know the job any more that was to ${what}, and nothing shows that it was done`;
  return new SnapcloneError({ kind: "transient", message, request: `job ${job}` });
}

async function inChunks<Row>(items: readonly string[], ask: (some: string[]) => Promise<Row[]>): Promise<Row[]> {
  const rows: Row[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) rows.push(...(await ask(items.slice(at, at + AT_ONCE))));
  return rows;
}

/**
 * What a clone is called until it bears its tag: the one sign of its set that is there from its first moment, since ZStack
 * drops the user tags of a clone and refuses unknown system tags (docs/wire/zstack.md#s3-6).
 */
export function temporaryName(name: string, set: string): string {
  return `${name}.sc-${set}`;
}

export function isTemporary(name: string, set: string): boolean {
  return name.endsWith(temporaryName("", set));
}

export function finalName(name: string, set: string): string {
  return isTemporary(name, set) ? name.slice(0, -temporaryName("", set).length) : name;
}

/** 32 hex digits, of a version 4 UUID: destroy and job ids look at that (docs/wire/zstack.md#s2-5, #destroy). */
export function newUuid(): string {
  return randomUUID().replaceAll("-", "");
}
