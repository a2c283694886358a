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
import { connectionName } from "../core/inputs";
import { waitFor } from "../core/wait";
import type { TagRow, VmRow } from "./client";
import { type ClonedVmInputs, description, names, oneOf, systemTags, userTags, uuid } from "./clonedVmInputs";
import {
  asMembers,
  asTexts,
  asVms,
  isPending,
  knownUuids,
  type Member,
  observed,
  type Stock,
  tagsOf,
  taskOf,
} from "./clonedVmState";
import {
  all,
  askForClones,
  cloneFailure,
  deleteDisk,
  destroy,
  endOf,
  explained,
  isSessionLost,
  MOVING,
  onMember,
  PACE,
  refreshed,
  resultSchema,
  sendClone,
  supportedVersion,
  takeStock,
} from "./clones";
import { newUuid, provisionalName, type ZStackCloud, zstack } from "./cloud";

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
    // Given to `get` by hand: no id of ours, and perhaps an operator to ZStack's queries.
    if (!/^[0-9a-f]{32}$/.test(id)) return undefined;
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
      if (one !== undefined) await cloud.jobEnd("clones that are still being made", one, job, { until, clones: true });
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
  await all(members, (member) => onMember(member.name, () => align(cloud, member, tags, inputs, managed, job)));
}

async function align(
  cloud: ZStackCloud,
  { row, name }: Member,
  tags: readonly TagRow[],
  inputs: ClonedVmInputs,
  managed: readonly string[] | "all",
  job: Job,
): Promise<void> {
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

function openAs({ owner, inputs }: Marker): { open?: { inputs: string; owner: string } } {
  return owner === "" ? {} : { open: { inputs, owner } };
}
