// Asking ZStack for clones, once, and waiting for the end of it: what its job says, or the VMs themselves where the job says
// nothing. The facts are in docs/wire/zstack.md.

import { z } from "zod";
import type { OperationContext, Task } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { poll } from "../../core/poll";
import { abortableSleep } from "../../core/util/abort";
import {
  faultIn,
  hasCode,
  isOutcomeUnknown,
  type JobAnswer,
  SESSION_LOST,
  type Submitted,
  type VmRow,
} from "../client";
import { finalName, GRACE_MS, temporaryName, type Waiting, type ZStackContext } from "../context";
import type { ClonedVmInputs } from "./inputs";

/** States in which nothing more comes by itself. One that nobody has heard of is waited out. */
export const RESTING = /^(Created|Running|Stopped|Paused|Unknown|NoState|Error|Crashed)$/;
/**
 * A clone that stays in one of these never became a VM to use: without a root volume, or broken
 * (docs/wire/zstack.md#s3-1, #s3-4).
 */
export const UNFINISHED = /^(Created|Error)$/;
const PACE = { first: 1_000, most: 5_000 };
/** After a lost reply: how long to look for the job, in milliseconds between looks. */
const LOST_REPLY_LOOKS_MS = [0, 1_000, 2_000, 4_000];
/** A job that the server does not know, and of which nothing was ever seen, has never reached it. */
const NEVER_SEEN_GRACE_MS = 60_000;
/**
 * From this age on a job's progress is asked for, too: that keeps the session alive, as polling a job does not
 * (docs/wire/zstack.md#s1-2).
 */
const PROGRESS_AFTER_MS = 5_000;

/**
 * Inputs that an older server drops in silence, so that the clone would be another than was asked for
 * (docs/wire/zstack.md#s2-7, #s3-1).
 */
const SINCE: readonly (readonly [keyof ClonedVmInputs, string])[] = [
  ["full", "2.5.0"],
  ["primaryStorageUuidForRootVolume", "3.1.0"],
  ["primaryStorageUuidForDataVolume", "3.1.0"],
  ["volumeProvisioningStrategy", "3.1.0"],
  ["clusterUuid", "4.6.11"],
  ["hostUuid", "4.6.11"],
];

// --- asking

/** Inputs that this server would drop are refused before anything is sent. */
export async function refuseUnsupported(
  cloud: ZStackContext,
  inputs: ClonedVmInputs,
  context: Pick<OperationContext, "warn">,
): Promise<void> {
  const gated = SINCE.filter(([input]) => inputs[input] !== undefined && inputs[input] !== false);
  const needed = inputs.strategy === "CreateStopped" ? [...gated, ["strategy", "3.9.0"] as const] : gated;
  if (needed.length === 0) return;
  const version = await cloud.version();
  if (version === undefined) {
    const list = needed.map(([input]) => input).join(", ");
    context.warn(
      `ZStack does not tell its version: whether it knows ${list} is not checked, and an old one drops them`,
    );
    return;
  }
  const missing = needed.filter(([, since]) => !atLeast(version, since));
  if (missing.length === 0) return;
  const list = missing.map(([input, since]) => `${input} (since ${since})`).join(", ");
  throw new SnapcloneError({
    kind: "refused",
    message: `this ZStack is ${version} and would drop ${list} in silence`,
    hint: "Leave it out, or use a newer ZStack.",
  });
}

export function sendClone(
  cloud: ZStackContext,
  inputs: ClonedVmInputs,
  names: readonly string[],
  set: string,
  options: { job: string; timeoutSeconds?: number; more?: readonly string[] },
): Promise<Submitted> {
  const { affinityGroupUuid, volumeProvisioningStrategy, systemTags: tags = [], full } = inputs;
  const provisioning =
    volumeProvisioningStrategy === undefined
      ? undefined
      : [`volumeProvisioningStrategy::${volumeProvisioningStrategy}`];
  const request = {
    names: names.map((name) => temporaryName(name, set)),
    strategy: inputs.strategy ?? "InstantStart",
    full: full === true,
    // Provisioning is a tag of the volumes, the affinity group one of the VM (the vendor's page for CloneVmInstance).
    rootVolumeSystemTags: provisioning,
    dataVolumeSystemTags: full ? provisioning : undefined,
    primaryStorageUuidForRootVolume: inputs.primaryStorageUuidForRootVolume,
    primaryStorageUuidForDataVolume: inputs.primaryStorageUuidForDataVolume,
    clusterUuid: inputs.clusterUuid,
    hostUuid: inputs.hostUuid,
  };
  const group = affinityGroupUuid === undefined ? [] : [`affinityGroupUuid::${affinityGroupUuid}`];
  const { more = [], ...rest } = options;
  return cloud.wire.cloneVmInstance(inputs.vmInstanceUuid, request, {
    ...rest,
    systemTags: [...group, ...tags, ...more],
  });
}

/**
 * After a lost reply the job tells: its id was ours. Sent again only where the server would know it again
 * (docs/wire/zstack.md#s5).
 */
export async function sendOnce(
  cloud: ZStackContext,
  send: () => Promise<Submitted>,
  job: string,
  context: OperationContext,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await send();
      return;
    } catch (error) {
      if (!isKind(error, "ambiguous")) throw error;
      if (await isKnown(cloud, job, context)) return;
      const version = await cloud.version().catch(() => undefined);
      if (attempt > 1 || version === undefined || !atLeast(version, "4.5.0")) throw error;
    }
  }
}

async function isKnown(cloud: ZStackContext, job: string, { clock, signal }: OperationContext): Promise<boolean> {
  for (const pause of LOST_REPLY_LOOKS_MS) {
    await abortableSleep(clock, pause, signal);
    const answer = await cloud.wire.queryJob(job, signal).catch(() => undefined);
    if (answer && answer.is !== "gone") return true;
  }
  return false;
}

/** A plain 400 may mean that this edition has no such call. */
export async function explained(cloud: ZStackContext, error: SnapcloneError): Promise<SnapcloneError> {
  if (error.kind !== "refused" || error.parts.status !== 400) return error;
  const apis = await cloud.wire.getSupportAPIs().catch(() => undefined);
  if (apis === undefined || apis.includes("APICloneVmInstanceMsg")) return error;
  const message = "this edition of ZStack cannot clone VMs (it has no APICloneVmInstanceMsg)";
  return new SnapcloneError({ ...error.parts, message, hint: "The call is part of the enterprise editions." });
}

// --- waiting for the end of it

/** Clones that were asked for and have not come to their end, as far as anybody knows. */
export interface Work {
  job: string;
  until: number | undefined;
  /** How many VMs it makes. */
  clones: number | undefined;
  /** For messages. */
  what: string;
  /** Another run asked for it, so that it may be over already. */
  isEarlier: boolean;
}

/** Of a task in the state; undefined for one that is not about clones. */
export function workOf(task: Task | undefined): Work | undefined {
  const { job, until, names } = task ?? {};
  if (typeof job !== "string" || !/^[0-9a-f]{32}$/i.test(job)) return undefined;
  const clones = Array.isArray(names) ? names.length : undefined;
  const what = clones === 1 ? `cloning ${names}` : `cloning ${clones ?? ""} VMs`;
  return { job, until: typeof until === "number" ? until : undefined, clones, what, isEarlier: false };
}

/** What the ends of jobs tell of single VMs. */
export interface Outcome {
  /** Why something that was asked for was not made. */
  reasons: string[];
  /** By uuid: why ZStack says that it failed. */
  failed: Map<string, string>;
  /** ZStack says that these are whole. */
  whole: Set<string>;
  /** The job was turned away, since the session was lost. */
  isTurnedAway: boolean;
}

interface Look {
  answer: JobAnswer;
  progress?: string | undefined;
  /** Only where the job does not tell. */
  rows?: VmRow[];
}

/**
 * Waits until it has come to its end. Where its job says nothing (a time-out of ZStack's own, a job that is not known, one
 * that is stuck), the VMs tell: all are there and at rest, or nothing has changed for a grace time.
 */
export async function waitForWork(
  cloud: ZStackContext,
  work: Work,
  queryClones: (signal: AbortSignal) => Promise<VmRow[]>,
  waiting: Waiting,
): Promise<JobAnswer> {
  const { job, what } = work;
  const { clock } = waiting;
  const begun = clock.now();
  const change = { of: "", at: begun };
  let wasSeen = false;
  const { answer } = await poll<Look>({
    description: what,
    ...(work.isEarlier ? {} : { initial: { answer: { is: "running" } } }),
    fetch: async (signal) => {
      const answer = await cloud.wire.queryJob(job, signal);
      if (answer.is !== "gone") wasSeen = true;
      if (answer.is === "done" && !hasResult(answer.body)) throw withoutResult(job);
      if (hasEnded(answer)) return { answer };
      const isUnclear = answer.is !== "running" || isStuck(work, cloud.now());
      if (!isUnclear && clock.now() - begun < PROGRESS_AFTER_MS) return { answer };
      const progress = await cloud.wire.progress(job, signal).catch(() => undefined);
      return isUnclear ? { answer, progress, rows: await queryClones(signal) } : { answer, progress };
    },
    evaluate: ({ answer, progress, rows }) => {
      const shown = `${what}${progress === undefined ? "" : ` ${progress} %`}`;
      if (hasEnded(answer)) return { is: "done", progress: `${what}: ended` };
      if (rows === undefined) return { is: "pending", progress: shown };
      const seen = JSON.stringify([progress, rows.map(({ uuid, state }) => `${uuid} ${state}`).sort()]);
      if (seen !== change.of) Object.assign(change, { of: seen, at: clock.now() });
      if (rows.length > 0 || progress !== undefined) wasSeen = true;
      const isFinished = rows.every(({ state }) => RESTING.test(state) && !UNFINISHED.test(state));
      if (isFinished && rows.length >= (work.clones ?? Number.POSITIVE_INFINITY)) {
        return { is: "done", progress: `${what}: all are there` };
      }
      const grace = wasSeen ? GRACE_MS : NEVER_SEEN_GRACE_MS;
      if (clock.now() - change.at >= grace) return { is: "done", progress: `${what}: nothing more comes` };
      const why = answer.is === "gone" ? "ZStack does not know their job" : "ZStack has stopped waiting for them";
      return { is: "pending", progress: `${shown}: ${why}, ${rows.length} VMs are to be seen` };
    },
    interval: PACE,
    estimator: cloud.cloneDuration,
    context: waiting,
  });
  return answer;
}

/**
 * Adds to `outcome` what the end of a job says. A failed clone's entry has an error, and may have its inventory
 * (docs/wire/zstack.md#s3-4).
 */
export function readEnd(cloud: ZStackContext, answer: JobAnswer, job: string, set: string, outcome: Outcome): void {
  if (answer.is === "failed") {
    if (hasCode(cloud.wire.jobError(answer.fault, job), SESSION_LOST)) outcome.isTurnedAway = true;
    else outcome.reasons.push(answer.fault.message);
  }
  if (answer.is !== "done") return;
  for (const { error, inventory } of resultSchema.safeParse(answer.body).data?.result?.inventories ?? []) {
    const fault = faultIn({ error });
    if (fault && !inventory) outcome.reasons.push(fault.message);
    if (!inventory) continue;
    if (!fault) outcome.whole.add(inventory.uuid);
    // A start that timed out may still succeed: the VM tells.
    if (!fault || isOutcomeUnknown(fault)) continue;
    const name = typeof inventory.name === "string" ? `"${finalName(inventory.name, set)}": ` : "";
    outcome.failed.set(inventory.uuid, `${name}${fault.message}`);
  }
}

function hasEnded(answer: JobAnswer): boolean {
  return answer.is === "done" || (answer.is === "failed" && !isOutcomeUnknown(answer.fault));
}

/** Its management node has crashed: the row says "processing" for ever (docs/wire/zstack.md#s2-4). */
function isStuck({ until }: Work, now: number): boolean {
  return until !== undefined && now >= until;
}

const resultSchema = z.looseObject({
  result: z
    .looseObject({
      inventories: z.array(
        z.looseObject({
          error: z.unknown().optional(),
          inventory: z.looseObject({ uuid: z.string(), name: z.unknown().optional() }).nullish(),
        }),
      ),
    })
    .optional(),
});

/** Of a clone there always is a result, if of none that was made (docs/wire/zstack.md#s3-4). */
export function hasResult(body: unknown): boolean {
  return resultSchema.safeParse(body).data?.result !== undefined;
}

function withoutResult(job: string): SnapcloneError {
  const message = "ZStack's answer says that the clones' job has ended, and has no result of it";
  return new SnapcloneError({ kind: "malformed", message, request: `job ${job}` });
}

/**
 * Versions below 1.9 had no REST API (docs/wire/zstack.md#s3-1): such a number is ZSvirt's, which counts anew and has
 * all of it (docs/wire/zstack.md#s0).
 */
function atLeast(version: string, wanted: string): boolean {
  const numbers = (text: string) => text.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const compare = (a: number[], b: number[]) => {
    const at = b.findIndex((part, index) => (a[index] ?? 0) !== part);
    return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
  };
  const own = numbers(version);
  return compare(own, [1, 9]) < 0 || compare(own, numbers(wanted)) >= 0;
}
