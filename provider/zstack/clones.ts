// The making, counting and removing of single clones, as ClonedVm's hooks use it. The order of steps is what keeps a
// killed run harmless: the intent, the clone, the end of its job, the marks, and the name last. "reference" is zstack.md.

import { z } from "zod";
import type { Job, Task } from "../core/definition";
import { isKind, SnapcloneError } from "../core/errors";
import { sleepUnlessStopped } from "../core/stop";
import { waitFor } from "../core/wait";
import { faultIn, hasCode, SESSION_LOST, type Submitted, type VmRow } from "./client";
import type { ClonedVmInputs } from "./clonedVmInputs";
import { asMembers, type Member, type Stock, type taskOf } from "./clonedVmState";
import { type JobEnd, type Marks, plainName, provisionalName, type ZStackCloud } from "./cloud";

/** States in which a VM is between two others (reference §4, "States"). */
export const MOVING =
  /^(Starting|Stopping|Rebooting|Destroying|Migrating|Expunging|Pausing|Resuming|VolumeMigrating|VolumeRecovering)$/;
/** States in which nothing more comes by itself. One that nobody has heard of is waited out. */
const RESTING = /^(Created|Running|Stopped|Paused|Unknown|NoState|Error|Crashed)$/;
/** A clone that ended in one of these never became a VM to use: without a root volume, or broken (reference §3.1, §3.4). */
const UNFINISHED = /^(Created|Error)$/;
export const PACE = { first: 500, most: 5_000 };
/** After a lost reply: how long to look for the job, in milliseconds between looks. */
const LOST_REPLY_LOOKS_MS = [0, 1_000, 2_000, 4_000];
/** The server's own limit for a clone where it does not know X-API-Timeout (reference §2.4, §2.5). */
const OWN_TIMEOUT_SECONDS = 36 * 3600;
/** What the server may take beyond its limit before a job that still runs is taken for one that nobody works on. */
const SLACK_SECONDS = 300;

/** Inputs that an older server drops in silence, so that the clone would be another than was asked for (reference §2.7, §3.1). */
const SINCE: readonly (readonly [keyof ClonedVmInputs, string])[] = [
  ["full", "2.5.0"],
  ["primaryStorageUuidForRootVolume", "3.1.0"],
  ["primaryStorageUuidForDataVolume", "3.1.0"],
  ["volumeProvisioningStrategy", "3.1.0"],
  ["clusterUuid", "4.6.11"],
  ["hostUuid", "4.6.11"],
];

// --- making clones

/** Says what it is about to do, then does it, once: whatever happens in between, the next run finds the tag. */
export async function askForClones(
  cloud: ZStackCloud,
  set: { id: string; job: string; open?: { inputs: string; owner: string } },
  wanted: readonly string[],
  inputs: ClonedVmInputs,
  job: Job,
): Promise<Task> {
  const version = await supportedVersion(cloud, inputs, job);
  const timeoutSeconds = Math.max(60, Math.ceil((job.deadline - job.clock.now()) / 1000));
  const limit = atLeast(version, "3.2.0") ? timeoutSeconds : OWN_TIMEOUT_SECONDS;
  const until = Math.ceil(job.clock.date().getTime() / 1000) + limit + SLACK_SECONDS;
  const { vmInstanceUuid: source } = inputs;
  try {
    const open = set.open ? { open: set.open } : {};
    await cloud.markIntent(set.id, { job: set.job, until, source, ...open }, job);
  } catch (error) {
    if (!isKind(error, "notFound")) throw error;
    const said = `the VM ${source} does not exist, or belongs to another account`;
    throw new SnapcloneError({ ...error.parts, kind: "refused", said, remedy: "Correct vmInstanceUuid." });
  }
  const names = wanted.map((name) => provisionalName(name, set.id));
  try {
    const send = () => sendClone(cloud, inputs, names, { job: set.job, timeoutSeconds });
    const submitted = await sendOnce(cloud, send, set.job, version, job);
    return { job: submitted.job, until, names: [...wanted] };
  } catch (error) {
    // A clear no: nothing is under way, and nothing has to be looked for.
    if (isKind(error, "refused", "config", "unauthorized", "forbidden", "notFound", "transient")) {
      const { intents } = await cloud.marks(set.id).catch(() => ({ intents: [] }));
      const own = intents.filter((intent) => intent.job === set.job).map(({ tag }) => tag);
      await cloud.untag(own, cloud.shortly()).catch(() => {});
    }
    throw isKind(error, "refused") && error.parts.status === 400 ? await explained(cloud, error) : error;
  }
}

export function sendClone(
  cloud: ZStackCloud,
  inputs: ClonedVmInputs,
  provisional: readonly string[],
  options: { job: string; timeoutSeconds?: number; more?: readonly string[] },
): Promise<Submitted> {
  const { affinityGroupUuid, volumeProvisioningStrategy, systemTags: tags = [], full } = inputs;
  const provisioning =
    volumeProvisioningStrategy === undefined
      ? undefined
      : [`volumeProvisioningStrategy::${volumeProvisioningStrategy}`];
  const request = {
    names: provisional,
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

/** After a lost reply the job tells: the id was ours. Sent again only where the server would know it again (reference §5). */
async function sendOnce(
  cloud: ZStackCloud,
  send: () => Promise<Submitted>,
  jobUuid: string,
  version: string | undefined,
  job: Job,
): Promise<Submitted> {
  let lost: SnapcloneError;
  try {
    return await send();
  } catch (error) {
    if (!isKind(error, "ambiguous")) throw error;
    lost = error;
  }
  let unknown = false;
  for (const pause of LOST_REPLY_LOOKS_MS) {
    await sleepUnlessStopped(job.clock, pause, job.signal);
    const answer = await cloud.wire.queryJob(jobUuid).catch(() => undefined);
    if (answer && answer.is !== "gone") return { job: jobUuid };
    unknown = answer !== undefined;
  }
  if (unknown && version !== undefined && atLeast(version, "4.5.0")) {
    try {
      return await send();
    } catch (error) {
      if (!isKind(error, "ambiguous")) throw error;
      lost = error;
    }
  }
  throw new SnapcloneError({
    ...lost.parts,
    kind: "failed",
    remedy:
      "Whether it was carried out is not known. Run again: the next run looks for what came of it before it clones anew.",
  });
}

export async function explained(cloud: ZStackCloud, error: SnapcloneError): Promise<SnapcloneError> {
  const apis = await cloud.wire.getSupportAPIs().catch(() => undefined);
  if (apis === undefined || apis.includes("APICloneVmInstanceMsg")) return error;
  const said = "this edition of ZStack cannot clone VMs (it has no APICloneVmInstanceMsg)";
  return new SnapcloneError({ ...error.parts, said, remedy: "The call is part of the enterprise editions." });
}

/** Inputs that this server would drop are refused before anything is sent. */
export async function supportedVersion(cloud: ZStackCloud, inputs: ClonedVmInputs, job: Pick<Job, "warn">) {
  const version = await cloud.version();
  const gated = SINCE.filter(([input]) => inputs[input] !== undefined && inputs[input] !== false);
  const needed = inputs.strategy === "CreateStopped" ? [...gated, ["strategy", "3.9.0"] as const] : gated;
  if (version === undefined) {
    if (needed.length > 0) {
      const list = needed.map(([input]) => input).join(", ");
      job.warn(`ZStack does not tell its version: whether it knows ${list} is not checked, and an old one drops them`);
    }
    return undefined;
  }
  const missing = needed.filter(([, since]) => !atLeast(version, since));
  if (missing.length === 0) return version;
  const list = missing.map(([input, since]) => `${input} (since ${since})`).join(", ");
  throw new SnapcloneError({
    kind: "refused",
    said: `this ZStack is ${version} and would drop ${list} in silence`,
    remedy: "Leave it out, or use a newer ZStack.",
  });
}

export function endOf(cloud: ZStackCloud, task: ReturnType<typeof taskOf>, job: Job): Promise<JobEnd> {
  if (task.job === undefined) return Promise.resolve({ is: "lost" });
  return cloud.jobEnd(cloning(task.names), task.job, job, { until: task.until, clones: true });
}

export function isSessionLost(end: JobEnd): boolean {
  return end.is === "failed" && hasCode(end.error, SESSION_LOST);
}

function cloning(wanted: readonly string[]): string {
  return wanted.length === 0 ? "cloning" : `cloning ${wanted.length === 1 ? wanted[0] : `${wanted.length} VMs`}`;
}

/** "notFound": nothing at all came of it, so there is nothing to record. */
export function cloneFailure(
  kind: "failed" | "notFound",
  missing: readonly string[],
  there: readonly Member[],
  reasons: readonly string[],
  jobUuid: string | undefined,
): SnapcloneError {
  const done = there.length === 0 ? "none was cloned" : `cloned: ${there.map(({ name }) => name).join(", ")}`;
  const why = reasons.length === 0 ? "ZStack gives no reason" : [...new Set(reasons)].join("; ");
  return new SnapcloneError({
    kind,
    said: `${missing.join(", ")} could not be cloned (${done}): ${why}`,
    request: jobUuid === undefined ? undefined : `job ${jobUuid}`,
    remedy: there.length === 0 ? "Nothing was left behind. Run again when the cause is gone." : undefined,
  });
}

// --- what is there

/**
 * Waits until everything that was begun for this set has ended, completes what is whole, destroys what is not, and says
 * what there is. Nothing is cloned before this has been done.
 */
export async function takeStock(
  cloud: ZStackCloud,
  id: string,
  inputs: ClonedVmInputs,
  known: readonly string[],
  job: Job,
  ended?: { job: string | undefined; end: JobEnd },
): Promise<Stock> {
  const marks = await cloud.marks(id, job.signal);
  const reasons: string[] = [];
  const condemned = new Map<string, string>();
  if (ended) readEnd(ended.end, reasons, condemned);
  for (const intent of marks.intents) {
    if (intent.job === ended?.job) continue;
    const end = await cloud.jobEnd("clones of an earlier run", intent.job, job, { until: intent.until, clones: true });
    readEnd(end, reasons, condemned);
  }

  const rows = await atRest(cloud, id, marks, known, job);
  const young = rows.filter(({ name }) => plainName(name, id) !== name);
  const taken = new Set(rows.filter((row) => !young.includes(row)).map(({ name }) => name));
  const disks = inputs.full && young.length > 0 ? await dataVolumesOf(cloud, inputs.vmInstanceUuid, job.signal) : 0;
  const whole: VmRow[] = [];
  const broken: VmRow[] = [];
  for (const row of young.toSorted((a, b) => (a.uuid < b.uuid ? -1 : 1))) {
    const name = plainName(row.name, id);
    const why =
      condemned.get(row.uuid) ??
      (UNFINISHED.test(row.state) ? `was left in state ${row.state}` : undefined) ??
      (dataVolumes(row).length < disks ? `has ${dataVolumes(row).length} of ${disks} data volumes` : undefined) ??
      (taken.has(name) ? "was cloned twice" : undefined);
    if (why === undefined) {
      taken.add(name);
      whole.push(row);
    } else {
      broken.push(row);
      reasons.push(`"${name}" ${why}, and was removed`);
    }
  }
  await all(whole, (row) => onMember(plainName(row.name, id), () => complete(cloud, id, row, inputs, job)));
  await all(broken, async (row) => {
    // Its disks first bear the mark: a run killed in between must not leave them to nobody.
    await all(dataVolumes(row), (disk) => cloud.markDisk(id, row.uuid, disk, job));
    const now = await cloud.marks(id, job.signal);
    await destroy(cloud, id, row, now, { expunge: true, keep: false }, job);
  });
  await cloud.untag(
    marks.intents.filter(({ open }) => !open).map(({ tag }) => tag),
    job,
  );
  const none = { members: [], marks, reasons };
  if (young.length === 0) return { ...none, members: asMembers(id, rows) };
  // What has just been completed is asked for by its uuid, too: it is there whether its mark is listed or not.
  return refreshed(cloud, id, none, job, [...known, ...whole.map(({ uuid }) => uuid)]);
}

export async function refreshed(
  cloud: ZStackCloud,
  id: string,
  stock: Stock,
  job: Job,
  known: readonly string[] = [],
): Promise<Stock> {
  const marks = await cloud.marks(id, job.signal);
  const before = stock.members.map(({ row }) => row.uuid);
  const rows = await cloud.members(id, marks, [...known, ...before], job.signal);
  return { ...stock, marks, members: asMembers(id, rows) };
}

/** What a job's end tells of single VMs. A failed one's entry has an error, and may have its inventory (reference §3.4). */
function readEnd(end: JobEnd, reasons: string[], condemned: Map<string, string>): void {
  if (end.is === "failed") reasons.push(end.error.parts.said);
  if (end.is !== "done") return;
  const parsed = resultSchema.safeParse(end.body);
  for (const { error, inventory } of parsed.data?.result?.inventories ?? []) {
    const fault = faultIn({ error });
    if (!fault) continue;
    if (inventory) condemned.set(inventory.uuid, `failed (${fault.said})`);
    else reasons.push(fault.said);
  }
}

export const resultSchema = z.looseObject({
  result: z
    .looseObject({
      inventories: z.array(
        z.looseObject({ error: z.unknown().optional(), inventory: z.looseObject({ uuid: z.string() }).nullish() }),
      ),
    })
    .optional(),
});

/** All members, once none of the new ones is between two states. */
async function atRest(cloud: ZStackCloud, id: string, marks: Marks, known: readonly string[], job: Job) {
  return waitFor<VmRow[]>({
    what: "the clones to come to rest",
    look: (signal) => cloud.members(id, marks, known, signal),
    judge: (rows) => {
      const moving = rows.filter(({ name, state }) => plainName(name, id) !== name && !RESTING.test(state));
      if (moving.length === 0) return { is: "done", progress: `${rows.length} VMs` };
      const states = moving.map(({ name, state }) => `${plainName(name, id)} ${state}`).join(", ");
      return { is: "pending", progress: states };
    },
    pace: PACE,
    job,
  });
}

/** Marks, then the name of the program: from then on the tag is what tells whose it is. */
async function complete(cloud: ZStackCloud, id: string, row: VmRow, inputs: ClonedVmInputs, job: Job): Promise<void> {
  const name = plainName(row.name, id);
  if (inputs.full) await all(dataVolumes(row), (disk) => cloud.markDisk(id, row.uuid, disk, job));
  await cloud.markMember(id, row.uuid, job);
  const changes = { name, ...(inputs.description === undefined ? {} : { description: inputs.description }) };
  await cloud.run(`"${name}" to get its name`, (one) => cloud.wire.updateVmInstance(row.uuid, changes, one), job);
}

async function dataVolumesOf(cloud: ZStackCloud, vm: string, signal: AbortSignal): Promise<number> {
  const rows = await cloud.wire.queryVolumes([`vmInstanceUuid=${vm}`, "type=Data"], signal);
  return rows.filter((row) => row.vmInstanceUuid === vm && row.type === "Data").length;
}

function dataVolumes({ allVolumes }: VmRow): string[] {
  return (allVolumes ?? []).filter(({ type }) => type === "Data").map(({ uuid: one }) => one);
}

// --- removing

/** Returns when the server says that it is gone: in the recycle bin, or expunged. Its cloned disks go along, or stay. */
export async function destroy(
  cloud: ZStackCloud,
  id: string,
  row: VmRow,
  marks: Marks,
  { expunge, keep }: { expunge: boolean; keep: boolean },
  job: Job,
): Promise<void> {
  const name = plainName(row.name, id);
  const { uuid: vm } = row;
  const until = (done: (state: string | undefined) => boolean) =>
    waitFor<VmRow | undefined>({
      what: `"${name}" to be gone`,
      look: async (signal) => (await cloud.vms([vm], signal))[0],
      judge: (seen) => ({ is: done(seen?.state) ? "done" : "pending", progress: `${name} ${seen?.state ?? "gone"}` }),
      pace: PACE,
      job,
    });
  if (row.state !== "Destroyed") {
    await unlessMissing(cloud.run(`"${name}" to be destroyed`, (one) => cloud.wire.destroyVmInstance(vm, one), job));
  }
  const gone = await until((state) => state === undefined || state === "Destroyed" || state === "Expunging");
  if (expunge && gone) {
    // Not idempotent: what is gone already is an error there (reference §4, "Expunge").
    await unlessMissing(cloud.run(`"${name}" to be expunged`, (one) => cloud.wire.expungeVmInstance(vm, one), job));
    await until((state) => state === undefined);
  }
  if (keep) return;
  const disks = marks.disks.filter((disk) => disk.vm === vm);
  await all(disks, ({ volume }) => deleteDisk(cloud, volume, vm, expunge, job));
}

/** What is not there need not be removed; whether it is gone, a look tells. */
async function unlessMissing(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isKind(error, "notFound")) throw error;
  });
}

/** A clone that vanishes under our hands is one that is missing: the set itself is still there. */
export async function onMember(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isKind(error, "notFound")) throw error;
    const said = `"${name}" vanished: ${error.parts.said}`;
    throw new SnapcloneError({ ...error.parts, kind: "failed", said });
  }
}

/** Destroying a VM detaches its data volumes and keeps them (reference §4, "Data volumes"). */
export async function deleteDisk(
  cloud: ZStackCloud,
  volume: string,
  vm: string,
  expunge: boolean,
  job: Job,
): Promise<void> {
  const [row] = await cloud.wire.queryVolumes([`uuid=${volume}`], job.signal);
  if (!row || row.uuid !== volume) return;
  const { vmInstanceUuid: at } = row;
  if (at !== undefined && at !== null && at !== vm) {
    job.warn(`the data volume ${volume} was cloned with ${vm} and is attached to the VM ${at} now: it was left alone`);
    return;
  }
  const { wire } = cloud;
  if (row.status !== "Deleted") {
    await cloud.run(`the volume ${volume} to be deleted`, (one) => wire.deleteDataVolume(volume, one), job);
  }
  if (expunge)
    await cloud.run(`the volume ${volume} to be expunged`, (one) => wire.expungeDataVolume(volume, one), job);
}

/** All of them to their end, whatever becomes of one; then the first failure. */
export async function all<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(items.map(work));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
}

/** Versions below 1.9 had no REST API (reference §3.1): such a number is ZSvirt's, which counts anew and has all of it (§0). */
function atLeast(version: string | undefined, wanted: string): boolean {
  if (version === undefined) return true;
  const numbers = (text: string) => text.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const compare = (a: number[], b: number[]) => {
    const at = b.findIndex((part, index) => (a[index] ?? 0) !== part);
    return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
  };
  const own = numbers(version);
  return compare(own, [1, 9]) < 0 || compare(own, numbers(wanted)) >= 0;
}
