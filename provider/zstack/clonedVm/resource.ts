// ClonedVm: a set of clones of a ZStack VM. All names are cloned in one call; a name added later clones one more, a name
// removed destroys that one. A clone is its uuid: its tag, or the state, has the program's name for it, and the name on
// the server is an attribute that can drift. The facts are in docs/wire/zstack.md.
//
// What keeps a killed run harmless: before a clone is asked for, a tag on the source says so, with the id of the set and
// of the job (the intent). The clones are born under temporary names that hold the set's id, then they are tagged, and
// then they get their final names. So at any instant all that belongs to a set can be found by its id, and nothing is
// cloned before all that was begun earlier has come to its end.

import { z } from "zod";
import type {
  AcceptedOperation,
  CheckFailure,
  Definition,
  Observed,
  OperationContext,
  OwnedObject,
  OwnershipRecord,
  State,
} from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { connectionName } from "../../core/inputs";
import { BASE_PATHS } from "../client";
import { isGone, newUuid, type ZStackContext, zstack } from "../context";
import { explained, hasResult, refuseUnsupported, sendClone, workOf } from "./create";
import { type ClonedVmInputs, description, names, oneOf, systemTags, userTags, uuid } from "./inputs";
import { cloneFailure, Members } from "./members";
import { DRY_RUN, type Intent, isUuid, readTags, type SetTags, tagsOfStack, urnPrefix } from "./ownership";
import {
  asRecords,
  asTexts,
  isCloning,
  knownPlaces,
  knownVms,
  managedTags,
  observed,
  pendingTask,
  removalOf,
} from "./state";

export const clonedVm: Definition<ClonedVmInputs, ZStackContext> = {
  displayName: "set of clones",
  connection: zstack,
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
  // Three hours are how long ZStack's own SDK waits, and how long it keeps the result of a job
  // (docs/wire/zstack.md#s2-4).
  timeouts: { create: "3h", update: "3h", delete: "30m" },
  // What has been cloned is of use: the next run clones the rest.
  onFailedCreate: "update",
  derivedOutputs: {
    vms: ["names", "description", "userTags"],
    leftovers: ["names"],
    doubles: ["names"],
    __managedTags: ["userTags"],
  },

  validate(inputs, unsure) {
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

  dryRun,

  // Clones under way, and what is left of clones or tags that the program does not want any more.
  divergence({ unfinished, leftovers, __managedTags }, news) {
    if (asTexts(unfinished).length > 0) return { output: "unfinished", effect: "update" };
    const strays = asTexts(__managedTags).some((tag) => !asTexts(news.userTags).includes(tag));
    if (strays) return { output: "userTags", effect: "update" };
    const unwanted = asRecords(leftovers).some(({ name }) => !asTexts(news.names).includes(String(name)));
    return unwanted ? { output: "leftovers", effect: "update" } : undefined;
  },

  describe: ({ names: given, id }) =>
    Array.isArray(given) && given.length > 0
      ? `clones ${given
          .slice(0, 5)
          .map((name) => `"${name}"`)
          .join(", ")}${given.length > 5 ? ", …" : ""}`
      : `clones ${id ?? ""}`,

  listScope: ({ owner }) => urnPrefix(owner),

  async listOwned(cloud, { stack, place }) {
    const sets = readTags(await cloud.listTags(tagsOfStack(place)));
    const ours = [...sets].flatMap(([id, tags]) => {
      const object = ownedObject(id, tags, stack);
      return object ? [{ object, tags }] : [];
    });
    // A set whose VMs all lie in the bin is gone, though they bear its tags for a week.
    const unsure = ours.filter(({ tags }) => tags.intents.length === 0);
    const living = new Set(await cloud.living(unsure.flatMap(({ tags }) => tags.members.map(({ on }) => on))));
    return ours
      .filter(({ tags }) => tags.intents.length > 0 || tags.members.some(({ on }) => living.has(on)))
      .map(({ object }) => object);
  },

  async recordOwnership(cloud, id, record, known, inputs) {
    const waiting = cloud.shortDeadline();
    const set = new Members(cloud, id, knownVms(known), inputs.vmInstanceUuid);
    await set.load(waiting.signal);
    await set.rewrite(record, waiting);
  },

  async beginCreate(cloud, inputs, record, context) {
    const id = newUuid();
    const set = new Members(cloud, id, [], inputs.vmInstanceUuid);
    const { task, intent } = await set.begin(inputs.names, inputs, record, context, id);
    const begun: Begun = { intent, reasons: set.reasons };
    return { id, task, initialState: begun };
  },

  waitForCreate,

  async read(cloud, id, known, signal) {
    // Given to `get` by hand: no id of ours, and perhaps an operator to ZStack's queries.
    if (!isUuid(id)) return undefined;
    const set = new Members(cloud, id, knownVms(known), sourceOf(known));
    await set.load(signal, { listed: true, unnamed: isCloning(known) || known.vms === undefined });
    if (managedTags(known).length > 0) await set.loadUserTags(signal);
    const isBusy = set.tags.intents.length > 0 || set.newcomers.length > 0 || isCloning(known);
    const seen = await observed(set, known, signal);
    return set.living.length === 0 && !isBusy && seen.state.leftovers === undefined ? undefined : seen;
  },

  update,

  async delete(cloud, id, known, context) {
    const set = new Members(cloud, id, knownVms(known), sourceOf(known));
    const task = isCloning(known) ? pendingTask(known) : undefined;
    await set.load(context.signal, { listed: true, unnamed: task !== undefined });
    const wasNowhere = set.isNowhere && task === undefined;
    const works = set.works(task);
    // A clone under way would come to life after its set is gone.
    if (works.length > 0) {
      await set.waitForWorks(works, context);
      await set.load(context.signal, { unnamed: true });
    }
    await set.noteNewcomers(context);
    await set.remove(set.everything(), removalOf(known), context);
    if (set.tags.intents.length + set.tags.oldAdoptions.length > 0) await set.withdraw();
    return wasNowhere ? "missing" : "deleted";
  },

  async diagnose(_cloud, _id, { vms, doubles, leftovers }) {
    const bad = asRecords(vms).filter(({ state }) => /^(Unknown|NoState|Error|Crashed)$/.test(String(state)));
    const which = bad.map(({ name, state }) => `"${name}" is in state ${state}`).join(", ");
    const told = [
      bad.length === 0
        ? ""
        : `${which}. Unknown means that its host is lost, not that it is deleted: look at the host.`,
      ...asRecords(doubles).map(({ uuid: vm, name }) => doubleText(String(name), String(vm))),
      ...asRecords(leftovers).map(({ name, volumes }) => {
        const left =
          asTexts(volumes).length === 0 ? "the VM in the recycle bin" : `the volumes ${asTexts(volumes).join(", ")}`;
        return `of "${name}", which is gone, there is still ${left}: \`pulumi destroy\` removes it.`;
      }),
    ];
    return told.filter(Boolean).join(" ") || undefined;
  },

  // A zone's or a management node's address may change; the VM that is cloned can't, and the witness is asked for it.
  identity: async (_cloud, known) => `the ZStack with the VM ${sourceOf(known) ?? "that was cloned"}`,

  async doubtAbsence(cloud, known, signal) {
    const source = sourceOf(known);
    if (source !== undefined && (await cloud.vms([source], signal)).length > 0) return undefined;
    const places = knownPlaces(known);
    for (const place of BASE_PATHS) {
      if (places[place].length > 0 && (await cloud.wire.queryPlaces(place, places[place], signal)).length > 0) {
        return undefined;
      }
    }
    const others = BASE_PATHS.flatMap((place) => places[place].map((one) => `${NOUNS[place]} ${one}`));
    return [
      `the state has clones of the VM ${source}${others.length === 0 ? "" : ` in ${others.join(", ")}`},`,
      `and this login (${cloud.account} at ${cloud.settings.base}) sees none of these:`,
      "it reaches another ZStack, or the account has lost its rights",
    ].join(" ");
  },

  serverTime: (cloud) => cloud.wire.serverTime(),
};

const NOUNS = { zones: "the zone", "primary-storage": "the primary storage", "l3-networks": "the network" } as const;

// --- creating

/** What `beginCreate` hands to `waitForCreate` of the same run: what fails is this run's failure. */
interface Begun {
  intent: Intent;
  reasons: readonly string[];
}

async function waitForCreate(
  cloud: ZStackContext,
  accepted: AcceptedOperation,
  inputs: ClonedVmInputs,
  context: OperationContext,
): Promise<Observed> {
  const set = new Members(cloud, accepted.id, [], inputs.vmInstanceUuid);
  const begun = accepted.initialState as Begun | undefined;
  if (begun) return finishCreate(set, begun, accepted, inputs, context);
  // `update` comes next, puts right what was taken in, and clones what is missing.
  await set.load(context.signal, { unnamed: true });
  await set.takeIn(set.works(accepted.task), inputs, set.tags.intents, context);
  for (const reason of set.reasons) context.warn(reason);
  // The clones' own tags tell of them now. Where there are none, the intent goes on telling of the set.
  if (set.living.length > 0) await set.withdraw();
  return observed(set, { ...inputs }, context.signal);
}

async function finishCreate(
  set: Members,
  begun: Begun,
  accepted: AcceptedOperation,
  inputs: ClonedVmInputs,
  context: OperationContext,
): Promise<Observed> {
  set.reasons.push(...begun.reasons);
  set.expectIntent(begun.intent);
  let { task } = accepted;
  let { intent } = begun;
  for (let attempt = 1; ; attempt += 1) {
    const work = workOf(task);
    const { isTurnedAway } = await set.takeIn(work ? [work] : [], inputs, [intent], context);
    if (!isTurnedAway || attempt > 2 || !intent.record) break;
    // Turned away before anything was done (docs/wire/zstack.md#s1-3). The old job id is burnt, so it gets a fresh one.
    ({ task, intent } = await set.begin(inputs.names, inputs, intent.record, context));
    context.accepted(task);
  }
  const missing = inputs.names.filter((name) => set.named(name) === undefined);
  if (set.living.length === 0) {
    await set.withdraw();
    throw cloneFailure(missing, set, intent.job);
  }
  await set.reconcile(inputs, [], context);
  if (inputs.powerState !== undefined) await set.power(inputs.powerState, context);
  if (missing.length > 0) throw cloneFailure(missing, set, intent.job);
  return observed(set, { ...inputs }, context.signal);
}

// --- changing

/** What is missing is cloned first; what leaves goes last, once everything else stands. */
async function update(
  cloud: ZStackContext,
  id: string,
  _from: Observed,
  inputs: ClonedVmInputs,
  known: State,
  context: OperationContext,
): Promise<Observed> {
  const set = new Members(cloud, id, knownVms(known), inputs.vmInstanceUuid);
  await set.load(context.signal);
  const works = set.works();
  if (works.length > 0 || set.newcomers.length > 0) await set.takeIn(works, inputs, set.tags.intents, context);
  const missing = inputs.names.filter((name) => set.named(name) === undefined);
  const failure = missing.length === 0 ? undefined : await cloneMore(set, missing, inputs, known, context);

  // Adopted: nobody knows what the killed run had put on them, and all of it was ours.
  const managed = known.vms === undefined ? "all" : managedTags(known);
  if (inputs.userTags !== undefined || managed.length > 0) await set.loadUserTags(context.signal);
  const emptied = inputs.description === undefined && typeof known.description === "string";
  await set.reconcile(emptied ? { ...inputs, description: "" } : inputs, managed, context);
  if (inputs.powerState !== undefined) await set.power(inputs.powerState, context);
  // What could not be cloned keeps what it was to replace.
  if (failure) throw failure;

  const isKnown = (uuid: string) => knownVms(known).some((one) => one.uuid === uuid);
  const leaving = set.all.filter(
    ({ uuid, name, row, disks }) =>
      !inputs.names.includes(name) && (!isGone(row) || disks.length > 0 || (row !== undefined && isKnown(uuid))),
  );
  if (leaving.length > 0) {
    context.accepted({ leaving: leaving.map(({ uuid }) => uuid) });
    await set.remove(leaving, removalOf({ ...inputs }), context);
    context.done();
  }
  for (const { name, uuid: vm } of set.doubles) context.warn(doubleText(name, vm));
  return observed(set, { ...inputs }, context.signal);
}

/** Returns why something is missing still; throws where that is not known yet, so that the next run resumes the wait. */
async function cloneMore(
  set: Members,
  missing: readonly string[],
  inputs: ClonedVmInputs,
  known: State,
  context: OperationContext,
): Promise<SnapcloneError | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    const begun = await set
      .begin(missing, inputs, set.record ?? recordOf(known, context), context)
      .catch((error: unknown) => {
        if (isKind(error, "failed", "refused", "notFound")) return error;
        throw error;
      });
    if (begun instanceof SnapcloneError) return begun;
    const { task, intent } = begun;
    context.accepted(task);
    const work = workOf(task);
    const { isTurnedAway } = await set.takeIn(work ? [work] : [], inputs, [intent], context);
    if (isTurnedAway && attempt === 1) continue;
    const failed = missing.filter((name) => set.named(name) === undefined);
    if (failed.length > 0)
      return new SnapcloneError({ ...cloneFailure(failed, set, intent.job).parts, kind: "failed" });
    context.done();
    return undefined;
  }
}

/** For a set whose tags say nothing: an older build wrote them, or somebody took them away. */
function recordOf(known: State, { stack }: OperationContext): OwnershipRecord {
  const { __owner: owner, __attempt: attempt } = known;
  return {
    stack,
    owner: typeof owner === "string" ? owner.slice(0, 255) : "",
    inputs: "",
    attempt: typeof attempt === "string" ? attempt : "recorded",
  };
}

function doubleText(name: string, vm: string): string {
  return `"${name}" is there twice: the VM ${vm} bears the set's tag, too. It was probably recovered from the recycle bin after its successor was cloned. Destroy it, or remove its tag snapclone::set::… to keep it as a VM of its own; \`pulumi destroy\` removes both.`;
}

// --- ownership

function ownedObject(id: string, tags: SetTags, stack: string): OwnedObject | undefined {
  const bearers = [...tags.intents, ...tags.members];
  const bearer =
    bearers.find(({ record }) => record?.stack === stack) ?? tags.intents.find((one) => one.isOld && one.record);
  const record = bearer?.record;
  if (!bearer || !record) return undefined;
  const isOld = "isOld" in bearer && bearer.isOld;
  const [intent] = tags.intents;
  const names = tags.members.flatMap(({ name }) => name ?? []);
  return {
    id,
    task: intent ? { job: intent.job, until: intent.until } : {},
    stack: isOld ? undefined : record.stack,
    // What a dry run has left is told and never adopted.
    owner: record.attempt === DRY_RUN ? "" : record.owner,
    inputs: record.inputs,
    attempt: record.attempt,
    phase: isOld ? "open" : undefined,
    createdAt: timeOf(bearer),
    label: names.length === 0 ? undefined : names.join(", "),
    state: {},
  };
}

function timeOf(bearer: Intent | { time: number | undefined }): string | undefined {
  // Builds before 0.2 noted the end of the server's time alone: three hours and five minutes later, unless customTimeouts
  // said otherwise.
  const seconds = bearer.time ?? ("until" in bearer ? bearer.until - 11_100 : undefined);
  return seconds === undefined ? undefined : new Date(seconds * 1000).toISOString();
}

function sourceOf({ vmInstanceUuid }: State): string | undefined {
  return typeof vmInstanceUuid === "string" && isUuid(vmInstanceUuid) ? vmInstanceUuid : undefined;
}

// --- the dry run

/**
 * `ephemeral::validationOnly` runs the checks of the server and ends (docs/wire/zstack.md#s3-7). Whether clone heeds it
 * everywhere has been seen on no live server (docs/wire/zstack.md#s10-6): so an intent marks what may be made, as for a
 * clone in earnest. Nothing is sent unless the connection asks for it.
 */
async function dryRun(
  cloud: ZStackContext,
  inputs: ClonedVmInputs,
  run: Pick<OperationContext, "clock" | "signal" | "warn" | "stack"> & { owner: string },
): Promise<CheckFailure[]> {
  if (!cloud.settings.dryRun) return [];
  const { clock, signal, warn, stack, owner } = run;
  const context = { clock, signal, warn, deadline: clock.now() + 60_000, progress() {} };
  const job = newUuid();
  const set = new Members(cloud, job, [], inputs.vmInstanceUuid);
  const record = { stack, owner: owner.slice(0, 255), inputs: "", attempt: DRY_RUN };
  const time = cloud.now();
  const intent = {
    set: job,
    job,
    until: time + 3600,
    time,
    clones: inputs.names.length,
    disks: 0,
    record,
    isOld: false,
  };
  try {
    await refuseUnsupported(cloud, inputs, context);
    await set.writeIntent(intent, inputs.vmInstanceUuid, context);
    const more = ["ephemeral::validationOnly"];
    const submitted = await sendClone(cloud, inputs, inputs.names, job, { job, more }).catch(async (error: unknown) => {
      if (isKind(error, "refused")) await set.withdraw();
      throw error;
    });
    const end = await cloud.jobEnd("asking for a dry run", submitted.job, context);
    const isEarnest = end.is === "done" && hasResult(end.body);
    await set.waitForWorks([], context);
    if (isEarnest || set.newcomers.length > 0) {
      await set.noteNewcomers(context);
      await set.remove(set.everything(), { expunge: true, keep: false }, context);
      warn(
        "this ZStack does not know the dry run and cloned in earnest; the clones were destroyed. Turn `dryRun` off.",
      );
    }
    await set.withdraw();
    if (end.is === "failed") throw cloud.wire.jobError(end.fault, submitted.job);
    return [];
  } catch (error) {
    if (isKind(error, "notFound")) return [{ property: "vmInstanceUuid", reason: error.parts.message }];
    if (isKind(error, "refused", "failed", "forbidden")) {
      const told = await explained(cloud, error);
      return [{ property: "names", reason: [told.parts.message, told.parts.hint].filter(Boolean).join(" ") }];
    }
    throw error;
  }
}
