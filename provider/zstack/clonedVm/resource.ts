// ClonedVm: a set of clones of a ZStack VM. The program's names are cloned in one request; a name that is added later clones
// one more VM, a name that is removed deletes one. The facts are in docs/wire/zstack.md.

import * as z from "zod";
import type { Definition, OperationContext, OwnershipRecord, State, Task } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { connectionName } from "../../core/inputs";
import { isGone, newUuid, type ZStackContext, zstack } from "../context";
import { cloneJobOf } from "./create";
import { dryRun } from "./dryRun";
import { cloneFailure, duplicateWarning, leftoverWarning } from "./errors";
import { importer } from "./import";
import { type ClonedVmInputs, description, names, oneOf, systemTags, userTags, uuid } from "./inputs";
import { Members } from "./members";
import { isUuid, listOwned, listRecorded, type PendingCreate, urnPrefix, writeRecord } from "./ownership";
import { OTHER_WORK_MS } from "./power";
import {
  asRecords,
  asTexts,
  deleteOptions,
  doubtAbsence,
  heldVms,
  isCloning,
  managedTags,
  observed,
  pendingTask,
  sourceOf,
} from "./state";
import { notedTags, noteNewTags, removeTagNotes } from "./tagNotes";

export const clonedVm: Definition<ClonedVmInputs, ZStackContext> = {
  displayName: "set of clones",
  connection: zstack,
  import: importer,
  inputs: {
    vmInstanceUuid: { onChange: "replace", schema: uuid("a VM") },
    names: { onChange: "update", schema: names() },
    strategy: {
      onChange: "ignore",
      schema: oneOf("InstantStart", "CreateStopped").optional(),
      default: "InstantStart",
    },
    full: { onChange: "replace", schema: z.boolean("must be true or false").optional(), default: false },
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
    deletion: { onChange: "update", schema: oneOf("destroy", "expunge").optional(), default: "destroy" },
    keepDataVolumes: { onChange: "update", schema: z.boolean("must be true or false").optional(), default: false },
    connection: { onChange: "replace", schema: connectionName().optional() },
  },
  // ZStack's own SDK waits three hours, and ZStack keeps a job's result for three hours (docs/wire/zstack.md#s2-4).
  timeouts: { create: "3h", update: "3h", delete: "30m" },
  // The clones that exist are of use: the next run clones the missing ones.
  onFailedCreate: "update",
  derivedOutputs: {
    vms: ["names", "description", "userTags"],
    leftovers: ["names"],
    doubles: ["names"],
    __managedTags: ["userTags"],
    __notedTags: ["userTags"],
  },
  members: heldVms,

  validate(inputs, unknown) {
    const failures = [];
    const { systemTags: tags = [] } = inputs;
    if (inputs.hostUuid !== undefined && inputs.clusterUuid !== undefined) {
      failures.push({
        property: "hostUuid",
        reason: "a host is in one cluster: give hostUuid or clusterUuid, not both",
      });
    }
    if (inputs.primaryStorageUuidForDataVolume !== undefined && inputs.full !== true && !unknown.has("full")) {
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

  dryRun,

  // Clones that are still being made, and VMs, volumes or tags that the program no longer wants.
  divergence({ unfinished, leftovers, __managedTags, __notedTags }, news) {
    if (asTexts(unfinished).length > 0) return { output: "unfinished", effect: "update" };
    const isTagSurplus = [...asTexts(__managedTags), ...asTexts(__notedTags)].some(
      (tag) => !asTexts(news.userTags).includes(tag),
    );
    if (isTagSurplus) return { output: "userTags", effect: "update" };
    const isVmSurplus = asRecords(leftovers).some(({ name }) => !asTexts(news.names).includes(String(name)));
    return isVmSurplus ? { output: "leftovers", effect: "update" } : undefined;
  },

  describe({ names: given, id }) {
    if (!Array.isArray(given) || given.length === 0) return `clones ${id ?? ""}`;
    const shown = given.slice(0, 5).map((name) => `"${name}"`);
    return `clones ${shown.join(", ")}${given.length > 5 ? ", …" : ""}`;
  },

  // --- create

  listScope: ({ owner }) => urnPrefix(owner),

  listOwned,
  listRecorded,

  async recordOwnership(cloud, id, record, known, { vmInstanceUuid }) {
    const members = new Members(cloud, id, cloud.shortDeadline(), { ...known, vmInstanceUuid });
    await members.list();
    await writeRecord(members, record);
  },

  async beginCreate(cloud, inputs, record, context) {
    const id = newUuid();
    const members = new Members(cloud, id, context, { ...inputs });
    // The set and its first job have the same id, so the job can be found by the set's id.
    const { task, pending } = await members.create(inputs.names, inputs, record, id);
    const begun: BegunCreate = { pending, reasons: members.reasons };
    return { id, task, initialState: begun };
  },

  async waitForCreate(cloud, accepted, inputs, context) {
    const { id, task, initialState } = accepted;
    const members = new Members(cloud, id, context, { ...inputs });
    const begun = initialState as BegunCreate | undefined;
    if (begun) {
      await finishCreate(members, begun, task, inputs, context);
    } else {
      // An earlier run requested the clones. `update` follows: it reconciles them, and clones the missing names.
      await members.list({ unnamed: true });
      await members.finish(members.jobs(task), inputs, members.tags.pendingCreates);
      for (const reason of members.reasons) context.warn(reason);
      // Without any clone, only the pending create shows that the set exists.
      if (members.living.length > 0) await members.clearPendingCreates();
    }
    return observed(members, { ...inputs });
  },

  // --- read, update, delete

  async read(cloud, id, known, signal) {
    // `get` takes any text as the id. A text that is no uuid could contain an operator of ZStack's queries.
    if (!isUuid(id)) return undefined;
    const members = new Members(cloud, id, cloud.shortDeadline(signal), known);
    await members.list({ cached: true, unnamed: isCloning(known) || known.vms === undefined });
    // If the source is gone, nothing else shows the clones that a killed update has requested.
    if (members.living.length === 0 && members.untagged.length === 0) await members.list({ unnamed: true });
    if (managedTags(known).length + members.tags.notes.length > 0) await members.listUserTags();
    const isPending = members.tags.pendingCreates.length > 0 || members.untagged.length > 0 || isCloning(known);
    const seen = await observed(members, known);
    const exists = members.living.length > 0 || isPending || seen.state.leftovers !== undefined;
    return exists ? seen : undefined;
  },

  // The order keeps the user's data: missing names are cloned first, and VMs are deleted last.
  async update(cloud, id, _from, inputs, known, context) {
    // What was adopted in this run has no inputs in its state.
    const { vmInstanceUuid, full } = inputs;
    const members = new Members(cloud, id, context, { ...known, vmInstanceUuid, full });
    await members.list({ unnamed: true });
    const jobs = members.jobs();
    if (jobs.length > 0 || members.untagged.length > 0) {
      await members.finish(jobs, inputs, members.tags.pendingCreates);
      for (const reason of members.reasons) context.warn(reason);
    }
    const failure = await cloneMissing(members, inputs, known, context);

    // In an adopted set, only these notes tell a killed run's tags from those of others.
    const managed = [...managedTags(known), ...notedTags(members)];
    if (inputs.userTags !== undefined || managed.length > 0) await members.listUserTags();
    await noteNewTags(members, inputs.userTags ?? [], managed);
    const isDescriptionRemoved = inputs.description === undefined && typeof known.description === "string";
    await members.reconcile(isDescriptionRemoved ? { ...inputs, description: "" } : inputs, managed);
    await removeTagNotes(members, inputs.userTags ?? [], managedTags(known));
    // A VM that the missing clone was to replace must stay.
    if (failure) throw failure;

    const surplus = members.all.filter(
      ({ uuid, name, row, disks }) =>
        !inputs.names.includes(name) &&
        (!isGone(row) || disks.length > 0 || (row !== undefined && members.isKnown(uuid))),
    );
    if (surplus.length > 0) {
      context.accepted({ leaving: surplus.map(({ uuid }) => uuid) });
      await members.delete(surplus, deleteOptions({ ...inputs }));
      context.done();
    }
    await members.releaseBinned(inputs.names);
    for (const { name, uuid: vm } of members.duplicates) context.warn(duplicateWarning(name, vm));
    return observed(members, { ...inputs });
  },

  async delete(cloud, id, known, context) {
    const members = new Members(cloud, id, context, known);
    const task = isCloning(known) ? pendingTask(known) : undefined;
    // The tag of a pending create goes with its source, and a killed update's state has no task.
    await members.list({ cached: true, unnamed: true });
    const jobs = members.jobs(task);
    // The VMs of a running job would appear after their set is deleted.
    if (jobs.length > 0) {
      await members.waitForJobs(jobs, OTHER_WORK_MS);
      await members.list({ unnamed: true });
    }
    // That work was pending proves nothing: a job's end can be asked without a login, and a login without rights sees no VM.
    const wasMissing = members.everything.every(({ row }) => row === undefined);
    await members.tagClonesWithDisks();
    await members.delete(members.everything, deleteOptions(known));
    if (members.tags.pendingCreates.length + members.tags.oldAdoptions.length > 0) await members.clearPendingCreates();
    return wasMissing ? "missing" : "deleted";
  },

  // --- refresh

  async diagnose(_cloud, _id, { vms, doubles, leftovers }) {
    const bad = asRecords(vms).filter(({ state }) => /^(Unknown|NoState|Error|Crashed)$/.test(String(state)));
    const states = bad.map(({ name, state }) => `"${name}" is in state ${state}`).join(", ");
    const warnings = [
      bad.length === 0
        ? ""
        : `${states}. Unknown means that ZStack has lost the host, not that the VM is deleted: check the host.`,
      ...asRecords(doubles).map(({ uuid: vm, name }) => duplicateWarning(String(name), String(vm))),
      ...asRecords(leftovers).map(({ name, volumes }) => leftoverWarning(String(name), asTexts(volumes))),
    ];
    return warnings.filter(Boolean).join(" ") || undefined;
  },

  // Addresses of zones and management nodes may change. The source VM's uuid cannot.
  identity: async (_cloud, known) => `the ZStack with the VM ${sourceOf(known) ?? "that was cloned"}`,

  doubtAbsence,

  serverTime: (cloud) => cloud.client.serverTime(),
};

/** If ZStack loses the session of a clone job, the job does nothing (docs/wire/zstack.md#s1-3), and the clones are asked for again. */
const CLONE_ATTEMPTS = 3;

/** `beginCreate` hands this to `waitForCreate` of the same run. */
interface BegunCreate {
  pending: PendingCreate;
  reasons: readonly string[];
}

/** Waits for clones that this run has requested. Throws if a name is missing, after reconciling the others. */
async function finishCreate(
  members: Members,
  begun: BegunCreate,
  begunTask: Task,
  inputs: ClonedVmInputs,
  context: OperationContext,
): Promise<void> {
  members.reasons.push(...begun.reasons);
  members.requested.push(...inputs.names);
  members.expectPendingCreate(begun.pending);
  let { pending } = begun;
  let task = begunTask;
  for (let attempt = 1; ; attempt += 1) {
    const job = cloneJobOf(task);
    const { isSessionLost } = await members.finish(job ? [job] : [], inputs, [pending]);
    if (!isSessionLost || attempt === CLONE_ATTEMPTS || !pending.record) break;
    // ZStack did nothing (docs/wire/zstack.md#s1-3), but it has recorded the job id, so a retry needs a new one.
    ({ task, pending } = await members.create(inputs.names, inputs, pending.record));
    context.accepted(task);
  }
  const missing = members.missing(inputs.names);
  if (members.living.length === 0) await members.clearPendingCreates();
  else await members.reconcile(inputs, []);
  if (members.living.length === 0 || missing.length > 0) throw cloneFailure(missing, members, pending.job);
}

/**
 * Clones the names without a member. Returns the failure if a clone is missing for good. Throws if the outcome is unknown:
 * then the next run resumes the wait.
 */
async function cloneMissing(
  members: Members,
  inputs: ClonedVmInputs,
  known: State,
  context: OperationContext,
): Promise<SnapcloneError | undefined> {
  const missing = members.missing(inputs.names);
  if (missing.length === 0) return undefined;
  for (let attempt = 1; ; attempt += 1) {
    const record = members.record ?? recordOf(known, context.stack);
    const begun = await members.create(missing, inputs, record).catch((error: unknown) => {
      if (isKind(error, "failed", "refused", "notFound")) return error;
      throw error;
    });
    if (begun instanceof SnapcloneError) return begun;
    const { task, pending } = begun;
    context.accepted(task);
    const job = cloneJobOf(task);
    const { isSessionLost } = await members.finish(job ? [job] : [], inputs, [pending]);
    if (isSessionLost && attempt < CLONE_ATTEMPTS) continue;
    const failed = members.missing(missing);
    if (failed.length > 0) {
      return new SnapcloneError({ ...cloneFailure(failed, members, pending.job).parts, kind: "failed" });
    }
    context.done();
    return undefined;
  }
}

/** The record of a set without a record in its tags: an early build wrote them, or somebody has removed them. */
function recordOf({ __owner: owner, __attempt: attempt }: State, stack: string): OwnershipRecord {
  return {
    stack,
    owner: typeof owner === "string" ? owner.slice(0, 255) : "",
    inputs: "",
    attempt: typeof attempt === "string" ? attempt : "recorded",
  };
}
