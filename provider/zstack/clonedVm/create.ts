// The clone request and the evaluation of its job and its VMs. Nothing in this file sends a request. The facts are in
// docs/wire/zstack.md.

import * as z from "zod";
import type { Task } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import type { Evaluation } from "../../core/poll";
import type { Clock } from "../../core/util/clock";
import { isRecord } from "../../core/util/values";
import type { VmRow } from "../answers";
import type { CloneRequest, JobAnswer } from "../client";
import { UNKNOWN_OUTCOME_GRACE_MS } from "../context";
import { type Fault, faultIn, isOutcomeUnknown, SESSION_LOST } from "../errors";
import { unknownEnd } from "./errors";
import type { ClonedVmInputs } from "./inputs";
import { finalName, isJobId, type PendingCreate, temporaryName } from "./ownership";
import { CREATE_STOPPED_SINCE, isAtLeast, SINCE } from "./versions";

/** States that a VM does not leave by itself. A wait does not end in an unknown state. */
export const STABLE = /^(Created|Running|Stopped|Paused|Unknown|NoState|Error|Crashed)$/;
/** A clone that stays in such a state has no root volume or is broken (docs/wire/zstack.md#s3-1, #s3-4). */
const BROKEN = /^(Created|Error)$/;
/** If ZStack does not know the job, and no VM ever showed, the request never arrived. */
const NEVER_SEEN_GRACE_MS = 60_000;
/**
 * From this age on, waits also query a job's progress. That keeps the session alive; polling the job does not
 * (docs/wire/zstack.md#s1-2).
 */
const PROGRESS_AFTER_MS = 5_000;

// --- the request

/** The inputs that not every version of ZStack knows, each with its first version. */
export function versionedInputs(inputs: ClonedVmInputs): readonly (readonly [string, string])[] {
  const given = SINCE.filter(([input]) => inputs[input] !== undefined && inputs[input] !== false);
  return inputs.strategy === "CreateStopped" ? [...given, ["strategy", CREATE_STOPPED_SINCE]] : given;
}

/** Throws if this version would ignore an input; warns if the version is unknown. */
export function refuseUnsupported(
  inputs: readonly (readonly [string, string])[],
  version: string | undefined,
  warn: (text: string) => void,
): void {
  if (version === undefined) {
    const list = inputs.map(([input]) => input).join(", ");
    warn(
      `ZStack does not report its version, so the provider cannot check that it supports ${list}. An old ZStack ignores them.`,
    );
    return;
  }
  const missing = inputs.filter(([, since]) => !isAtLeast(version, since));
  if (missing.length === 0) return;
  const list = missing.map(([input, since]) => `${input} (since ${since})`).join(", ");
  throw new SnapcloneError({
    kind: "refused",
    message: `this ZStack is ${version} and would drop ${list} without an error`,
    hint: "Leave the input out, or use a newer ZStack.",
  });
}

export function cloneRequest(inputs: ClonedVmInputs, names: readonly string[], set: string): CloneRequest {
  const { volumeProvisioningStrategy: strategy, full = false } = inputs;
  const provisioning = strategy === undefined ? undefined : [`volumeProvisioningStrategy::${strategy}`];
  return {
    names: names.map((name) => temporaryName(name, set)),
    strategy: inputs.strategy ?? "InstantStart",
    full,
    rootVolumeSystemTags: provisioning,
    dataVolumeSystemTags: full ? provisioning : undefined,
    primaryStorageUuidForRootVolume: inputs.primaryStorageUuidForRootVolume,
    primaryStorageUuidForDataVolume: inputs.primaryStorageUuidForDataVolume,
    clusterUuid: inputs.clusterUuid,
    hostUuid: inputs.hostUuid,
  };
}

/** Provisioning is a tag of volumes, the affinity group a tag of the VM (the vendor's page for CloneVmInstance). */
export function vmSystemTags({ affinityGroupUuid, systemTags = [] }: ClonedVmInputs): string[] {
  return [...(affinityGroupUuid === undefined ? [] : [`affinityGroupUuid::${affinityGroupUuid}`]), ...systemTags];
}

// --- the job

/** A clone request that may not have come to its end. */
export interface CloneJob {
  job: string;
  until: number | undefined;
  /** How many VMs the job makes. */
  clones: number | undefined;
  /** How many data volumes each of them gets. */
  disks?: number | undefined;
  /** For messages. */
  description: string;
  /** An earlier run sent the request, so the job may have ended already. */
  isEarlier: boolean;
  /** The server has accepted the request. If it does not know the job, the work goes on all the same. */
  isAccepted?: boolean | undefined;
}

/** Reads a task from the state. undefined if the task does not clone. */
export function cloneJobOf(task: Task | undefined): CloneJob | undefined {
  const { job, until, names, accepted } = task ?? {};
  if (typeof job !== "string" || !isJobId(job)) return undefined;
  const clones = Array.isArray(names) ? names.length : undefined;
  const description = clones === 1 ? `cloning ${names}` : `cloning ${clones ?? ""} VMs`;
  return {
    job,
    until: typeof until === "number" ? until : undefined,
    clones,
    description,
    isEarlier: false,
    isAccepted: accepted === true,
  };
}

/** The jobs of earlier runs: those of pending creates, and the state's own task. */
export function earlierJobs(pendingCreates: readonly PendingCreate[], task: Task | undefined): CloneJob[] {
  const description = "clones that an earlier run requested";
  const jobs = pendingCreates.map(({ job, until, clones, disks }): CloneJob => {
    return { job, until, clones, disks, description, isEarlier: true };
  });
  const own = cloneJobOf(task);
  if (own && !jobs.some(({ job }) => job === own.job)) jobs.push({ ...own, isEarlier: true });
  return jobs;
}

/** What one query of a running job has shown. */
export interface JobState {
  answer: JobAnswer;
  percent?: string | undefined;
  /** The set's VMs; queried only if the job's answer does not show the outcome. */
  rows?: readonly VmRow[];
}

/**
 * Decides when a clone job has ended. If the job's own answer does not show that (a timeout inside ZStack, an unknown job, a
 * stuck job), the VMs show it: all exist and are stable, or nothing has changed for a grace time. If they do not show it
 * either, the wait fails as at a deadline, and a later run resumes it.
 */
export class JobProgress {
  private readonly begun: number;
  private readonly change: { of: string; at: number };
  private wasSeen: boolean;
  /** ZStack's own time for the job is over, or is not known. */
  private isOverdue = false;

  constructor(
    private readonly job: CloneJob,
    private readonly clock: Clock,
    /** The server does not know the ids that the provider chooses: an unknown job may have arrived all the same. */
    private readonly ignoresJobIds = false,
  ) {
    this.begun = clock.now();
    this.wasSeen = job.isAccepted === true || (ignoresJobIds && !job.isEarlier);
    this.change = { of: "", at: this.begun };
  }

  /** What else to query after this answer. `serverNow`: seconds since 1970. */
  nextQuery(answer: JobAnswer, serverNow: number): "nothing" | "progress" | "progress and VMs" {
    if (answer.is !== "gone") this.wasSeen = true;
    if (hasEnded(answer)) return "nothing";
    // A job whose management node has crashed is "processing" for ever (docs/wire/zstack.md#s2-4).
    const isStuck = this.job.until !== undefined && serverNow >= this.job.until;
    this.isOverdue = isStuck || this.job.until === undefined || answer.is === "done";
    if (answer.is !== "running" || isStuck) return "progress and VMs";
    return this.clock.now() - this.begun < PROGRESS_AFTER_MS ? "nothing" : "progress";
  }

  evaluate({ answer, percent, rows }: JobState): Evaluation {
    const { description, clones = Number.POSITIVE_INFINITY, disks = 0 } = this.job;
    const { clock, change } = this;
    const progress = `${description}${percent === undefined ? "" : ` ${percent} %`}`;
    if (hasEnded(answer)) return { is: "done", progress: `${description}: the job has ended` };
    if (rows === undefined) return { is: "pending", progress };
    const seen = JSON.stringify([
      percent,
      rows.map((row) => `${row.uuid} ${row.state} ${dataVolumes(row).length}`).sort(),
    ]);
    if (seen !== change.of) Object.assign(change, { of: seen, at: clock.now() });
    if (rows.length > 0 || percent !== undefined) this.wasSeen = true;
    const areFinished = rows.every(({ state }) => STABLE.test(state) && !BROKEN.test(state));
    // The data volumes are attached when the VMs run (docs/wire/zstack.md#s3-5).
    const haveDisks = rows.every((row) => dataVolumes(row).length >= disks);
    if (areFinished && haveDisks && rows.length >= clones)
      return { is: "done", progress: `${description}: all VMs exist` };
    const mayBeUnderWay = this.wasSeen || this.ignoresJobIds;
    const isQuiet = clock.now() - change.at >= (mayBeUnderWay ? UNKNOWN_OUTCOME_GRACE_MS : NEVER_SEEN_GRACE_MS);
    const quietEnd = isQuiet ? this.quietEnd(answer, percent, areFinished ? rows.length : 0) : "pending";
    if (quietEnd === "done") return { is: "done", progress: `${description}: nothing changes any more` };
    if (quietEnd === "unknown") return { is: "failed", error: unknownEnd(this.job, rows.length) };
    return { is: "pending", progress: `${progress}: ${WHY_VMS[answer.is]}, ${rows.length} VMs exist` };
  }

  /**
   * What a grace time without a change shows. ZStack makes the rows of all VMs before it starts one (docs/wire/zstack.md#s3-1),
   * so nothing follows when those that exist are finished. Without any, the work may only be slow.
   */
  private quietEnd(answer: JobAnswer, percent: string | undefined, finished: number): "done" | "pending" | "unknown" {
    if (!this.wasSeen) return "done";
    if (percent !== undefined && !this.isOverdue) return "pending";
    if (finished > 0) return "done";
    // After a management node has crashed, the progress of its job also stays for ever.
    const isReported = percent !== undefined && (answer.is === "gone" || answer.is === "failed");
    return this.isOverdue && !isReported ? "done" : "unknown";
  }
}

/** Why the VMs have to show the end of a job. */
const WHY_VMS: Readonly<Record<JobAnswer["is"], string>> = {
  gone: "ZStack does not know the job",
  done: "ZStack reports the end of the job without a result",
  running: "ZStack no longer waits for the job",
  failed: "ZStack no longer waits for the job",
};

function hasEnded(answer: JobAnswer): boolean {
  return (
    (answer.is === "done" && hasResult(answer.body)) || (answer.is === "failed" && !isOutcomeUnknown(answer.fault))
  );
}

// --- the result

/** What the ends of jobs report about single VMs. */
export interface JobOutcome {
  /** Why a requested clone does not exist. */
  reasons: string[];
  /** By uuid, why ZStack reports that the VM failed. */
  failed: Map<string, string>;
  /** The uuids of the VMs that ZStack reports without an error. */
  succeeded: Set<string>;
  /** By uuid, the names that the VMs had on the server when their job ended. */
  names: Map<string, string>;
  /** The data volumes of the VMs that ZStack reports. */
  volumes: Set<string>;
  /** ZStack rejected the request before it did anything, since the session was lost. */
  isSessionLost: boolean;
  /** ZStack reports that a whole job failed. Some of its VMs may exist, and be incomplete (docs/wire/zstack.md#s3-5). */
  hasFailed: boolean;
}

export function newOutcome(reasons: string[]): JobOutcome {
  return {
    reasons,
    failed: new Map(),
    succeeded: new Set(),
    names: new Map(),
    volumes: new Set(),
    isSessionLost: false,
    hasFailed: false,
  };
}

const volumesSchema = z.array(z.looseObject({ uuid: z.string(), type: z.unknown().optional() }));

const entrySchema = z.looseObject({
  error: z.unknown().optional(),
  inventory: z
    .looseObject({
      uuid: z.string(),
      name: z.unknown().optional(),
      allVolumes: volumesSchema.nullish().catch(undefined),
    })
    .nullish(),
});

const resultSchema = z.looseObject({
  numberOfClonedVm: z.number().nullish(),
  inventories: z.array(entrySchema).nullish(),
});

/** The VMs of a job's result. The vendor's servers wrap them in `result`; a list without an entry may be left out. */
function entriesOf(body: unknown): z.infer<typeof entrySchema>[] | undefined {
  const { data } = resultSchema.safeParse((isRecord(body) ? body.result : undefined) ?? body);
  return data?.inventories ?? (data?.numberOfClonedVm === 0 ? [] : undefined);
}

/** A clone job of the vendor's always has a result, even if it made no VM (docs/wire/zstack.md#s3-4). */
export function hasResult(body: unknown): boolean {
  return entriesOf(body) !== undefined;
}

/** Adds the end of a job to `outcome`. */
export function addJobEnd(outcome: JobOutcome, answer: JobAnswer, set: string): void {
  if (answer.is === "failed") addFault(outcome, answer.fault);
  if (answer.is === "done") for (const entry of entriesOf(answer.body) ?? []) addEntry(outcome, entry, set);
}

function addFault(outcome: JobOutcome, fault: Fault): void {
  if (fault.codes.includes(SESSION_LOST)) {
    outcome.isSessionLost = true;
    return;
  }
  outcome.reasons.push(fault.message);
  if (!isOutcomeUnknown(fault)) outcome.hasFailed = true;
}

/** The entry of a failed clone may have an inventory (docs/wire/zstack.md#s3-4). */
function addEntry(outcome: JobOutcome, { error, inventory }: z.infer<typeof entrySchema>, set: string): void {
  const fault = faultIn({ error });
  if (!inventory) {
    if (fault) outcome.reasons.push(fault.message);
    return;
  }
  for (const { uuid, type } of inventory.allVolumes ?? []) if (type === "Data") outcome.volumes.add(uuid);
  if (typeof inventory.name === "string") outcome.names.set(inventory.uuid, inventory.name);
  if (!fault) outcome.succeeded.add(inventory.uuid);
  // A start that timed out may still succeed: the VM's state shows the outcome.
  if (!fault || isOutcomeUnknown(fault)) return;
  const name = outcome.names.get(inventory.uuid);
  const which = name === undefined ? "" : `"${finalName(name, set)}": `;
  outcome.failed.set(inventory.uuid, `${which}${fault.message}`);
}

interface Division {
  complete: VmRow[];
  /** Complete, but for data volumes that somebody may have detached. */
  lacking: VmRow[];
  broken: VmRow[];
}

/**
 * Divides untagged clones into complete and broken ones, and adds the reasons. `disks` is the number of data volumes that the
 * source had at the time of the request: the source may have changed since. `taken` are the names of existing members;
 * `nameOf` gives the program's name for a clone. `fate` says what becomes of broken clones.
 */
export function divideClones(
  rows: readonly VmRow[],
  options: { nameOf(row: VmRow): string; disks: number; taken: ReadonlySet<string>; fate: string },
  { failed, succeeded, reasons, hasFailed }: JobOutcome,
): Division {
  const { nameOf, disks, taken, fate } = options;
  const names = new Set(taken);
  const division: Division = { complete: [], lacking: [], broken: [] };
  // If two clones have one name, the clone that the job's result names stays.
  const rank = ({ uuid }: VmRow) => `${succeeded.has(uuid) ? 0 : 1} ${uuid}`;
  for (const row of rows.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))) {
    const name = nameOf(row);
    const count = dataVolumes(row).length;
    const isLacking = count < disks && !succeeded.has(row.uuid);
    const why =
      (failed.has(row.uuid) ? `failed (${failed.get(row.uuid)})` : undefined) ??
      (BROKEN.test(row.state) ? `was left in state ${row.state}` : undefined) ??
      (isLacking && hasFailed ? `has ${count} of ${disks} data volumes` : undefined) ??
      (names.has(name) ? "was cloned twice" : undefined);
    if (why === undefined) {
      names.add(name);
      division[isLacking ? "lacking" : "complete"].push(row);
    } else {
      division.broken.push(row);
      reasons.push(`"${name}" ${why}, and ${fate}`);
    }
  }
  // ZStack itself removes a clone whose first start fails: only the entry in the result has the reason.
  for (const [uuid, message] of failed) {
    if (!rows.some((row) => row.uuid === uuid)) reasons.push(`${message} (ZStack removed it)`);
  }
  return division;
}

export function dataVolumes({ allVolumes }: VmRow): string[] {
  return (allVolumes ?? []).filter(({ type }) => type === "Data").map(({ uuid }) => uuid);
}
