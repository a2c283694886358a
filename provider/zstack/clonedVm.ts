// ClonedVm: a set of clones of a ZStack VM, told apart by their names. All names are cloned in one call; a name added
// later clones one more, a name removed destroys that one. "reference" is zstack.md.
//
// What keeps a killed run harmless: before a clone is asked for, a tag on the source says so, with the id of the set and
// of the job (Intent). The clones are born under provisional names that hold the set's id; once their job has ended and
// they are complete, they are tagged and get the names of the program. So at any instant all that belongs to a set can be
// found by its id, and nothing is cloned before all that was begun earlier has come to its end.

import { z } from "zod";
import type { Accepted, Definition, Job, Marker, Observed, OpenObject, State, Task } from "../core/definition";
import { isKind, SnapcloneError } from "../core/errors";
import { sleepUnlessStopped } from "../core/stop";
import { waitFor } from "../core/wait";
import { faultIn, hasCode, SESSION_LOST, type Submitted, type TagRow, type VmRow } from "./client";
import {
  isMark,
  type JobEnd,
  type Marks,
  newUuid,
  plainName,
  provisionalName,
  type ZStackCloud,
  zstack,
} from "./cloud";

export interface ClonedVmInputs {
  vmInstanceUuid: string;
  names: string[];
  strategy?: "InstantStart" | "CreateStopped";
  full?: boolean;
  description?: string;
  powerState?: "Running" | "Stopped";
  userTags?: string[];
  affinityGroupUuid?: string;
  volumeProvisioningStrategy?: "ThinProvisioning" | "ThickProvisioning";
  systemTags?: string[];
  clusterUuid?: string;
  hostUuid?: string;
  primaryStorageUuidForRootVolume?: string;
  primaryStorageUuidForDataVolume?: string;
  deletion?: "destroy" | "expunge";
  keepDataVolumes?: boolean;
  connection?: string;
}

/** One clone, as it is there. */
interface Member {
  row: VmRow;
  name: string;
}

interface Stock {
  members: Member[];
  marks: Marks;
  /** Why something that was asked for is not among them. */
  reasons: string[];
}

/** States in which a VM is between two others (reference §4, "States"). */
const MOVING =
  /^(Starting|Stopping|Rebooting|Destroying|Migrating|Expunging|Pausing|Resuming|VolumeMigrating|VolumeRecovering)$/;
/** A clone that ended in one of these never became a VM to use: without a root volume, or broken (reference §3.1, §3.4). */
const UNFINISHED = /^(Created|Error)$/;
const PACE = { first: 500, most: 5_000 };
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

export const clonedVm: Definition<ClonedVmInputs, ZStackCloud> = {
  noun: "set of clones",
  connection: zstack,
  inputs: {
    vmInstanceUuid: { onChange: "replace", schema: uuid("a VM") },
    names: { onChange: "update", schema: names() },
    strategy: { onChange: "ignore", schema: oneOf("InstantStart", "CreateStopped").optional() },
    full: { onChange: "replace", schema: z.boolean("must be true or false").optional() },
    description: { onChange: "update", schema: description().optional() },
    powerState: { onChange: "update", schema: oneOf("Running", "Stopped").optional() },
    userTags: { onChange: "update", schema: userTags().optional() },
    affinityGroupUuid: { onChange: "replace", schema: uuid("an affinity group").optional() },
    volumeProvisioningStrategy: {
      onChange: "replace",
      schema: oneOf("ThinProvisioning", "ThickProvisioning").optional(),
    },
    systemTags: { onChange: "replace", schema: systemTags().optional() },
    clusterUuid: { onChange: "replace", schema: uuid("a cluster").optional() },
    hostUuid: { onChange: "replace", schema: uuid("a host").optional() },
    primaryStorageUuidForRootVolume: { onChange: "replace", schema: uuid("a primary storage").optional() },
    primaryStorageUuidForDataVolume: { onChange: "replace", schema: uuid("a primary storage").optional() },
    deletion: { onChange: "update", schema: oneOf("destroy", "expunge").optional() },
    keepDataVolumes: { onChange: "update", schema: z.boolean("must be true or false").optional() },
    connection: { onChange: "replace", schema: connectionName().optional() },
  },
  // Three hours are how long ZStack's own SDK waits, and how long it keeps the result of a job (reference §2.4).
  timeouts: { create: "3h", update: "3h", delete: "30m" },
  // What has been cloned is of use: the next run clones the rest.
  afterFailedCreate: "update",

  contradictions(inputs, unsure) {
    const failures = [];
    const { systemTags: tags = [] } = inputs;
    if (inputs.hostUuid !== undefined && inputs.clusterUuid !== undefined) {
      failures.push({
        property: "hostUuid",
        reason: "a host is in one cluster: give hostUuid or clusterUuid, not both",
      });
    }
    if (inputs.primaryStorageUuidForDataVolume !== undefined && inputs.full !== true && !unsure.has("full")) {
      const reason = "data volumes are cloned with full: true only";
      failures.push({ property: "primaryStorageUuidForDataVolume", reason });
    }
    for (const [index, tag] of tags.entries()) {
      if (inputs.affinityGroupUuid !== undefined && tag.startsWith("affinityGroupUuid::")) {
        failures.push({ property: `systemTags[${index}]`, reason: "contradicts affinityGroupUuid: give one of them" });
      }
    }
    return failures;
  },

  rehearse: dryRun,

  describe: ({ names: given, id }) =>
    Array.isArray(given) && given.length > 0
      ? `clones ${given
          .slice(0, 5)
          .map((name) => `"${name}"`)
          .join(", ")}${given.length > 5 ? ", …" : ""}`
      : `clones ${id ?? ""}`,

  async listOpen(cloud) {
    const byId = new Map<string, OpenObject>();
    for (const { id, job, until, open } of await cloud.openIntents()) {
      // A set may have several: its create was asked for again under another job id.
      byId.set(id, { id, task: { job, until }, owner: open?.owner ?? "", inputs: open?.inputs ?? "", state: {} });
    }
    return [...byId.values()];
  },

  async claim(cloud, id, run) {
    const marks = await cloud.marks(id);
    const source = marks.intents.find(({ open }) => open)?.source;
    if (source === undefined) return;
    const waiting = cloud.shortly();
    await cloud.markAdoption(id, source, run, waiting);
    await cloud.untag(
      marks.adoptions.filter((one) => one.run !== run).map(({ tag }) => tag),
      waiting,
    );
  },

  async settle(cloud, id) {
    const { intents, adoptions } = await cloud.marks(id);
    const open = [...intents.filter((intent) => intent.open), ...adoptions];
    await cloud.untag(
      open.map(({ tag }) => tag),
      cloud.shortly(),
    );
  },

  async start(cloud, inputs, marker, job) {
    const id = newUuid();
    const task = await askForClones(cloud, { id, job: id, ...openAs(marker) }, inputs.names, inputs, job);
    // `seen` says that this run has asked for it: what fails is this run's failure.
    return { id, task, seen: true };
  },

  finish,

  async observe(cloud, id, known, signal) {
    const marks = await cloud.marks(id, signal);
    const rows = await cloud.members(id, marks, knownUuids(known), signal);
    if (rows.length === 0 && !isPending(known)) return undefined;
    return observed(cloud, { members: asMembers(id, rows), marks }, known, signal);
  },

  change,

  async remove(cloud, id, known, job) {
    const pending = taskOf((known.pending as { task?: Task } | undefined)?.task ?? {});
    const before = await cloud.marks(id, job.signal);
    const running = [...before.intents, ...(pending.job === undefined || !isPending(known) ? [] : [pending])];
    // A clone under way would come to life after its set is gone.
    for (const { job: one, until } of running) {
      if (one !== undefined) await cloud.jobEnd("clones that are still being made", one, job, { until, reports: true });
    }
    const { deletion, keepDataVolumes } = known;
    const how = { expunge: deletion === "expunge", keep: keepDataVolumes === true };
    const marks = await cloud.marks(id, job.signal);
    const rows = await cloud.members(id, marks, knownUuids(known), job.signal, "with the gone");
    await all(rows, (row) => destroy(cloud, id, row, marks, how, job));
    // Disks of VMs that somebody has expunged by hand.
    const others = marks.disks.filter(({ vm }) => !rows.some(({ uuid: one }) => one === vm));
    if (!how.keep) await all(others, ({ volume, vm }) => deleteDisk(cloud, volume, vm, how.expunge, job));
    await cloud.untag(
      [...marks.intents, ...marks.adoptions].map(({ tag }) => tag),
      job,
    );
  },

  async problem(_cloud, _id, { vms }) {
    const bad = asVms(vms).filter(({ state }) => /^(Unknown|NoState|Error|Crashed)$/.test(String(state)));
    if (bad.length === 0) return undefined;
    const which = bad.map(({ name, state }) => `"${name}" is in state ${state}`).join(", ");
    return `${which}. Unknown means that its host is lost, not that it is deleted: look at the host.`;
  },
};

// --- making clones

/** Says what it is about to do, then does it, once: whatever happens in between, the next run finds the tag. */
async function askForClones(
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

function sendClone(
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

async function explained(cloud: ZStackCloud, error: SnapcloneError): Promise<SnapcloneError> {
  const apis = await cloud.wire.getSupportAPIs().catch(() => undefined);
  if (apis === undefined || apis.includes("APICloneVmInstanceMsg")) return error;
  const said = "this edition of ZStack cannot clone VMs (it has no APICloneVmInstanceMsg)";
  return new SnapcloneError({ ...error.parts, said, remedy: "The call is part of the enterprise editions." });
}

/** Inputs that this server would drop are refused before anything is sent. */
async function supportedVersion(cloud: ZStackCloud, inputs: ClonedVmInputs, job: Pick<Job, "warn">) {
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

async function finish(cloud: ZStackCloud, accepted: Accepted, inputs: ClonedVmInputs, job: Job): Promise<Observed> {
  const { id } = accepted;
  const fresh = accepted.seen !== undefined;
  let task = taskOf(accepted.task);
  let end = await endOf(cloud, task, job);
  // Turned away before anything was done (reference §1.3). The old job id is burnt, so it gets a fresh one.
  for (let attempt = 1; fresh && attempt <= 2 && isSessionLost(end); attempt += 1) {
    const { intents } = await cloud.marks(id, job.signal);
    const old = intents.find((intent) => intent.job === task.job);
    const set = { id, job: newUuid(), ...(old?.open ? { open: old.open } : {}) };
    const again = await askForClones(cloud, set, task.names, inputs, job);
    job.accepted(again);
    if (old) await cloud.untag([old.tag], job);
    task = taskOf(again);
    end = await endOf(cloud, task, job);
  }

  const stock = await takeStock(cloud, id, inputs, [], job, { job: task.job, end });
  if (!fresh) {
    // `change` comes next and clones what is missing.
    for (const reason of stock.reasons) job.warn(reason);
    return observed(cloud, stock, { ...inputs }, job.signal);
  }
  const missing = task.names.filter((name) => !stock.members.some((member) => member.name === name));
  if (stock.members.length === 0) {
    await cloud.untag(
      [...stock.marks.intents, ...stock.marks.adoptions].map(({ tag }) => tag),
      job,
    );
    throw cloneFailure("notFound", missing, [], stock.reasons, task.job);
  }
  await bringIntoLine(cloud, stock, inputs, [], job);
  if (missing.length > 0) throw cloneFailure("failed", missing, stock.members, stock.reasons, task.job);
  const after = await refreshed(cloud, id, stock, job);
  return observed(cloud, after, { ...inputs }, job.signal);
}

function endOf(cloud: ZStackCloud, task: ReturnType<typeof taskOf>, job: Job): Promise<JobEnd> {
  if (task.job === undefined) return Promise.resolve({ is: "lost" });
  return cloud.jobEnd(cloning(task.names), task.job, job, { until: task.until, reports: true });
}

function isSessionLost(end: JobEnd): boolean {
  return end.is === "failed" && hasCode(end.error, SESSION_LOST);
}

function cloning(wanted: readonly string[]): string {
  return wanted.length === 0 ? "cloning" : `cloning ${wanted.length === 1 ? wanted[0] : `${wanted.length} VMs`}`;
}

/** "notFound": nothing at all came of it, so there is nothing to record. */
function cloneFailure(
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
    remedy:
      there.length === 0
        ? "Nothing was left behind. Run again when the cause is gone."
        : "The next `pulumi up` clones only what is missing.",
  });
}

// --- what is there

/**
 * Waits until everything that was begun for this set has ended, completes what is whole, destroys what is not, and says
 * what there is. Nothing is cloned before this has been done.
 */
async function takeStock(
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
    const end = await cloud.jobEnd("clones of an earlier run", intent.job, job, { until: intent.until, reports: true });
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
  await all(whole, (row) => complete(cloud, id, row, inputs, job));
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
  return young.length === 0 ? { ...none, members: asMembers(id, rows) } : refreshed(cloud, id, none, job, known);
}

async function refreshed(
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

const resultSchema = z.looseObject({
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
      const moving = rows.filter(({ name, state }) => plainName(name, id) !== name && MOVING.test(state));
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

// --- changing

async function change(
  cloud: ZStackCloud,
  id: string,
  from: Observed,
  inputs: ClonedVmInputs,
  known: State,
  job: Job,
): Promise<Observed> {
  let stock = await takeStock(cloud, id, inputs, knownUuids(known), job);
  const there = new Set(stock.members.map(({ name }) => name));
  const missing = inputs.names.filter((name) => !there.has(name));
  let failure: SnapcloneError | undefined;
  if (missing.length > 0) {
    const open = stock.marks.intents.find((intent) => intent.open)?.open;
    try {
      stock = await cloneMore(cloud, id, missing, open, inputs, knownUuids(known), job);
    } catch (error) {
      // What was accepted and has not ended is gone on with by the next run; what has failed must not keep the rest back.
      if (!isKind(error, "failed", "refused", "notFound")) throw error;
      failure = error;
      stock = await refreshed(cloud, id, stock, job, knownUuids(known));
    }
  }

  const { deletion, keepDataVolumes } = inputs;
  const how = { expunge: deletion === "expunge", keep: keepDataVolumes === true };
  const leaving = stock.members.filter(({ name }) => !inputs.names.includes(name));
  await all(leaving, ({ row }) => destroy(cloud, id, row, stock.marks, how, job));
  stock = { ...stock, members: stock.members.filter((member) => !leaving.includes(member)) };

  // Adopted: nobody knows what the killed run had put on them, and all of it was ours.
  const managed = known.vms === undefined ? "all" : asTexts(known.userTags);
  const emptied = inputs.description === undefined && typeof known.description === "string";
  await bringIntoLine(cloud, stock, emptied ? { ...inputs, description: "" } : inputs, managed, job);
  if (failure) throw failure;
  const after = await refreshed(cloud, id, stock, job);
  const result = await observed(cloud, after, { ...inputs }, job.signal);
  return { ...result, openOwner: result.openOwner ?? from.openOwner, adoptedBy: result.adoptedBy ?? from.adoptedBy };
}

async function cloneMore(
  cloud: ZStackCloud,
  id: string,
  missing: readonly string[],
  open: { inputs: string; owner: string } | undefined,
  inputs: ClonedVmInputs,
  known: readonly string[],
  job: Job,
): Promise<Stock> {
  for (let attempt = 1; ; attempt += 1) {
    const set = { id, job: newUuid(), ...(open ? { open } : {}) };
    const accepted = await askForClones(cloud, set, missing, inputs, job);
    job.accepted(accepted);
    const task = taskOf(accepted);
    const end = await endOf(cloud, task, job);
    const stock = await takeStock(cloud, id, inputs, known, job, { job: task.job, end });
    if (attempt === 1 && isSessionLost(end)) continue;
    const failed = missing.filter((name) => !stock.members.some((member) => member.name === name));
    if (failed.length > 0) throw cloneFailure("failed", failed, stock.members, stock.reasons, task.job);
    job.done();
    return stock;
  }
}

/** Description, tags and power of each clone, and only what differs. */
async function bringIntoLine(
  cloud: ZStackCloud,
  { members }: Stock,
  inputs: ClonedVmInputs,
  managed: readonly string[] | "all",
  job: Job,
): Promise<void> {
  const tags = await tagsOf(cloud, members, inputs.userTags ?? managed, job.signal);
  await all(members, async ({ row, name }) => {
    const { description: wanted } = inputs;
    if (wanted !== undefined && (row.description ?? "") !== wanted) {
      const changes = { description: wanted };
      await cloud.run(`"${name}" to be described`, (one) => cloud.wire.updateVmInstance(row.uuid, changes, one), job);
    }
    const own = tags.filter(({ resourceUuid }) => resourceUuid === row.uuid);
    const wantedTags = inputs.userTags ?? [];
    const unset = own.filter(({ tag }) => !wantedTags.includes(tag) && (managed === "all" || managed.includes(tag)));
    for (const tag of wantedTags) {
      if (!own.some((one) => one.tag === tag)) await cloud.tagVm(row.uuid, tag, job);
    }
    await cloud.untag(
      unset.map(({ uuid: tag }) => tag),
      job,
    );
    if (inputs.powerState !== undefined) await power(cloud, row, name, inputs.powerState, job);
  });
}

async function tagsOf(
  cloud: ZStackCloud,
  members: readonly Member[],
  concerned: readonly string[] | "all",
  signal: AbortSignal,
): Promise<TagRow[]> {
  if (members.length === 0 || (concerned !== "all" && concerned.length === 0)) return [];
  const rows: TagRow[] = [];
  const uuids = members.map(({ row }) => row.uuid);
  for (let at = 0; at < uuids.length; at += 100) {
    rows.push(...(await cloud.wire.queryUserTags([`resourceUuid?=${uuids.slice(at, at + 100).join(",")}`], signal)));
  }
  return rows.filter(({ tag, resourceUuid }) => !isMark(tag) && uuids.includes(resourceUuid));
}

async function power(cloud: ZStackCloud, row: VmRow, name: string, wanted: "Running" | "Stopped", job: Job) {
  const look = async (signal: AbortSignal) => (await cloud.vms([row.uuid], signal))[0];
  const rest = (until: (state: string) => boolean) =>
    waitFor<VmRow | undefined>({
      what: `"${name}" to be ${wanted}`,
      look,
      judge: (seen) => {
        if (!seen) {
          const said = `"${name}" vanished while its power state was changed: somebody destroyed it`;
          return { is: "failed", error: new SnapcloneError({ kind: "failed", said }) };
        }
        return { is: until(seen.state) ? "done" : "pending", progress: `${name} ${seen.state}` };
      },
      pace: PACE,
      job,
    });
  let { state } = row;
  if (MOVING.test(state)) state = (await rest((seen) => !MOVING.test(seen)))?.state ?? state;
  if (state === wanted) return;
  const { wire } = cloud;
  const ask = (one: string) => {
    if (wanted === "Stopped") return wire.stopVmInstance(row.uuid, "grace", one);
    return state === "Paused" ? wire.resumeVmInstance(row.uuid, one) : wire.startVmInstance(row.uuid, one);
  };
  await cloud.run(`"${name}" to be ${wanted}`, ask, job, "slow");
  await rest((seen) => seen === wanted);
}

// --- removing

/** Returns when the server says that it is gone: in the recycle bin, or expunged. Its cloned disks go along, or stay. */
async function destroy(
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
    await cloud.run(`"${name}" to be destroyed`, (one) => cloud.wire.destroyVmInstance(vm, one), job);
  }
  const gone = await until((state) => state === undefined || state === "Destroyed" || state === "Expunging");
  if (expunge && gone) {
    try {
      await cloud.run(`"${name}" to be expunged`, (one) => cloud.wire.expungeVmInstance(vm, one), job);
    } catch (error) {
      // Not idempotent: what is gone already is an error there (reference §4, "Expunge").
      if (!isKind(error, "notFound")) throw error;
    }
    await until((state) => state === undefined);
  }
  if (keep) return;
  const disks = marks.disks.filter((disk) => disk.vm === vm);
  await all(disks, ({ volume }) => deleteDisk(cloud, volume, vm, expunge, job));
}

/** Destroying a VM detaches its data volumes and keeps them (reference §4, "Data volumes"). */
async function deleteDisk(cloud: ZStackCloud, volume: string, vm: string, expunge: boolean, job: Job): Promise<void> {
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

// --- the dry run

/** `ephemeral::validationOnly` runs the checks of the server and ends (reference §3.7). Nothing is sent unless the connection asks for it. */
async function dryRun(
  cloud: ZStackCloud,
  inputs: ClonedVmInputs,
  { clock, signal, warn }: Pick<Job, "clock" | "signal" | "warn">,
) {
  if (!cloud.settings.dryRun) return [];
  const job: Job = {
    clock,
    signal,
    warn,
    deadline: clock.now() + 60_000,
    progress() {},
    accepted() {},
    done() {},
  };
  const id = newUuid();
  const names = inputs.names.map((name) => provisionalName(name, id));
  try {
    await supportedVersion(cloud, inputs, job);
    const more = ["ephemeral::validationOnly"];
    const { job: jobUuid } = await sendClone(cloud, inputs, names, { job: id, more });
    const end = await cloud.jobEnd("the dry run", jobUuid, job);
    if (end.is === "failed") throw end.error;
    if (end.is === "done" && resultSchema.safeParse(end.body).data?.result !== undefined) {
      // Whether clone heeds the tag everywhere has been seen on no live server (reference §10.6).
      const marks = await cloud.marks(id);
      const rows = await cloud.members(id, marks, []);
      await all(rows, (row) => destroy(cloud, id, row, marks, { expunge: true, keep: false }, job));
      warn(
        "this ZStack does not know the dry run and cloned in earnest; the clones were destroyed. Turn `dryRun` off.",
      );
    }
    return [];
  } catch (error) {
    if (isKind(error, "notFound")) return [{ property: "vmInstanceUuid", reason: error.parts.said }];
    if (isKind(error, "refused", "failed", "forbidden")) {
      const told = isKind(error, "refused") && error.parts.status === 400 ? await explained(cloud, error) : error;
      return [{ property: "names", reason: [told.parts.said, told.parts.remedy].filter(Boolean).join(" ") }];
    }
    throw error;
  }
}

// --- as outputs

async function observed(
  cloud: ZStackCloud,
  { members, marks }: Pick<Stock, "members" | "marks">,
  known: State,
  signal: AbortSignal,
): Promise<Observed> {
  const order = asTexts(known.names);
  const place = ({ name }: Member) => (order.includes(name) ? order.indexOf(name) : order.length);
  const sorted = members.toSorted((a, b) => place(a) - place(b) || (a.name < b.name ? -1 : 1));
  const managed = asTexts(known.userTags);
  const tags = await tagsOf(cloud, members, managed, signal);
  const onAll = managed.filter((tag) =>
    members.every(({ row }) => tags.some((one) => one.resourceUuid === row.uuid && one.tag === tag)),
  );
  const open = marks.intents.find((intent) => intent.open)?.open;
  return {
    state: {
      // While they are still being made, there is no telling which there will be.
      ...(isPending(known) ? {} : { names: sorted.map(({ name }) => name) }),
      ...(known.description === undefined ? {} : { description: descriptionOf(sorted, known.description) }),
      ...(known.powerState === undefined ? {} : { powerState: powerOf(sorted, known.powerState) }),
      ...(known.userTags === undefined ? {} : { userTags: onAll }),
      vms: sorted.map((member) => view(member, marks)),
    },
    openOwner: open?.owner,
    adoptedBy: marks.adoptions[0]?.run,
  };
}

function view({ row, name }: Member, marks: Marks): Record<string, unknown> {
  const nics = row.vmNics ?? [];
  const cloned = marks.disks.filter(({ vm }) => vm === row.uuid).map(({ volume }) => volume);
  return {
    uuid: row.uuid,
    name,
    state: row.state,
    hostUuid: row.hostUuid ?? undefined,
    clusterUuid: row.clusterUuid ?? undefined,
    zoneUuid: row.zoneUuid ?? undefined,
    ips: nics.flatMap(({ ip }) => ip ?? []),
    nics: nics.map((nic) => ({
      uuid: nic.uuid,
      ip: nic.ip ?? undefined,
      mac: nic.mac ?? undefined,
      l3NetworkUuid: nic.l3NetworkUuid ?? undefined,
    })),
    rootVolumeUuid: row.rootVolumeUuid ?? undefined,
    volumes: (row.allVolumes ?? []).map((volume) => ({
      uuid: volume.uuid,
      name: volume.name ?? undefined,
      type: volume.type ?? undefined,
      size: volume.size ?? undefined,
      primaryStorageUuid: volume.primaryStorageUuid ?? undefined,
      cloned: volume.type === "Root" || cloned.includes(volume.uuid),
    })),
  };
}

/** One word for all of them: the wanted one if it is so, else one that differs, so that a refresh shows the drift. */
function descriptionOf(members: readonly Member[], wanted: unknown): unknown {
  const other = members.find(({ row }) => (row.description ?? "") !== wanted);
  return other ? (other.row.description ?? "") : wanted;
}

function powerOf(members: readonly Member[], wanted: unknown): unknown {
  if (members.every(({ row }) => row.state === wanted)) return wanted;
  return wanted === "Running" ? "Stopped" : "Running";
}

function asMembers(id: string, rows: readonly VmRow[]): Member[] {
  return rows.map((row) => ({ row, name: plainName(row.name, id) }));
}

function asVms(value: unknown): { uuid?: unknown; name?: unknown; state?: unknown }[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "object" && one !== null) : [];
}

function knownUuids({ vms }: State): string[] {
  return asVms(vms).flatMap(({ uuid: one }) => (typeof one === "string" && /^[0-9a-f]{32}$/i.test(one) ? [one] : []));
}

function asTexts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}

/** Work that a server has accepted and that no run has seen the end of. */
function isPending({ pending }: State): boolean {
  return typeof pending === "object" && pending !== null && Reflect.get(pending, "failed") !== true;
}

function taskOf(task: Task): { job: string | undefined; until: number | undefined; names: string[] } {
  const { job, until, names: wanted } = task;
  return {
    job: typeof job === "string" ? job : undefined,
    until: typeof until === "number" ? until : undefined,
    names: asTexts(wanted),
  };
}

function openAs({ owner, inputs }: Marker): { open?: { inputs: string; owner: string } } {
  return owner === "" ? {} : { open: { inputs, owner } };
}

/** All of them to their end, whatever becomes of one; then the first failure. */
async function all<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
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

// --- what the inputs may be: reference §3.1, §3.6 and §4, "Query gotchas"

function uuid(what: string) {
  return z
    .string(requiredOr("must be a string"))
    .toLowerCase()
    .transform((text) => (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) ? text.replaceAll("-", "") : text))
    .pipe(z.string().regex(/^[0-9a-f]{32}$/, `must be the uuid of ${what}: 32 hex digits`));
}

/** RestServer looks for these anywhere in a condition: such a name would be asked for and never be found. */
const OPERATORS = /!=|>=|<=|!\?=|!~=|~=|\?=/;

function names() {
  const name = z
    // The server cuts trailing blanks off (reference §7, BUG-072): with them, every refresh would show a drift.
    .string("must be a string")
    .trim()
    .min(1, "must not be empty")
    // While it is being cloned, a VM's name has 36 more, and its volumes' and images' names some on top.
    .max(128, "must not be longer than 128 characters")
    .regex(/^\P{Cc}*$/u, "must not contain line breaks, tabs or other control characters")
    .refine(
      (text) => !OPERATORS.test(text),
      "must not contain != >= <= ~= ?=: ZStack's queries take them for operators",
    )
    .refine((text) => !/\.sc-[0-9a-f]{32}$/.test(text), "must not end like the provider's own provisional names");
  return z
    .array(name, requiredOr("must be a list of names"))
    .min(1, "must have at least one name")
    .superRefine((all, context) => {
      for (const [index, one] of all.entries()) {
        // MySQL compares case-blind, so the server takes both for one.
        if (all.findIndex((other) => other.toLowerCase() === one.toLowerCase()) === index) continue;
        const message = `"${one}" is there twice; each clone needs a name of its own`;
        context.addIssue({ code: "custom", message, path: [index], input: one });
      }
    });
}

function oneOf<const Word extends string>(...words: Word[]) {
  return z.enum(words as [Word, ...Word[]], requiredOr(`must be one of ${words.join(", ")}`));
}

function description() {
  // Null can't be set, "" can (reference §4, "Update").
  return z.string("must be a string").trim().max(2048, "must not be longer than 2048 characters");
}

function userTags() {
  const tag = z
    .string("must be a string")
    .trim()
    .min(1, "must not be empty")
    .max(1024, "must not be longer than 1024 characters")
    .refine((text) => !isMark(text), "tags that begin with snapclone:: are the provider's own");
  return z.array(tag, "must be a list of strings").transform((tags) => [...new Set(tags)]);
}

function systemTags() {
  const tag = z
    .string("must be a string")
    .trim()
    .regex(/^\S+::./, "must be a system tag such as affinityGroupUuid::<uuid>")
    .refine(
      (text) => !text.startsWith("ephemeral::validationOnly"),
      "would make it a dry run: see the connection's dryRun",
    )
    .refine(
      (text) => !text.startsWith("volumeProvisioningStrategy::"),
      "is a tag of volumes: use volumeProvisioningStrategy",
    );
  return z.array(tag, "must be a list of strings");
}

/** "default" is what no connection means, so both are the same in the state. */
function connectionName() {
  return z
    .string("must be the name of a connection")
    .min(1, "must be the name of a connection")
    .transform((name) => (name === "default" ? undefined : name));
}

function requiredOr(message: string) {
  return { error: (issue: { input?: unknown }) => (issue.input === undefined ? "is required" : message) };
}
