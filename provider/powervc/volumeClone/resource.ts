// VolumeClone: copies of several volumes at one consistent instant, by IBM PowerVC. All of them are available when `up`
// returns; all of them are gone when `destroy` returns.

import { z } from "zod";
import { AbsenceTimer } from "../../core/absence";
import type {
  AcceptedOperation,
  Definition,
  HiddenOutputs,
  Observed,
  OperationContext,
  Pending,
  State,
} from "../../core/definition";
import { isKind, SnapcloneError, truncate } from "../../core/errors";
import { connectionName } from "../../core/inputs";
import { abortableSleep } from "../../core/util/abort";
import type { Metadata, VolumeRow } from "../../openstack/cinder";
import { uuid } from "../../openstack/inputs";
import { type PowerVcContext, powervc } from "../context";
import { displayNameOf, SEPARATOR, wantedName } from "./names";
import {
  clearPendingCreate,
  createdAt,
  isTagged,
  isTechnicalName,
  type Member,
  membersOf,
  newSetId,
  OWNERSHIP_KEYS,
  ownedSets,
  type PendingCreate,
  pendingCreatesOn,
  pendingKey,
  prefixOf,
  RECORD_LENGTHS,
  recordTags,
  taskOf,
  writePendingCreate,
} from "./ownership";
import { forEachSettled, type Pair, refuseAttached, removeAll, waitUntilAvailable } from "./volumes";
import { type Flow, flowEnd, type Outcome } from "./wait";

export interface VolumeCloneInputs {
  volumes: string[];
  displayName?: string;
  description?: string;
  targetVolumeTypeId?: string;
  triggers?: unknown[];
  connection?: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const volumeClone: Definition<VolumeCloneInputs, PowerVcContext> = {
  displayName: "volume clone",
  connection: powervc,
  inputs: {
    volumes: {
      onChange: changeOfVolumes,
      // In another order the clones are the same; their numbers change.
      immutableKey: (volumes) => [...(volumes ?? [])].sort(),
      schema: sourceVolumes(),
    },
    displayName: { onChange: "update", schema: displayName().optional() },
    description: { onChange: "update", schema: description().optional() },
    targetVolumeTypeId: { onChange: "replace", schema: uuid("a volume type").optional() },
    triggers: { onChange: "replace", schema: z.array(z.unknown(), "must be a list").optional() },
    connection: { onChange: "replace", schema: connectionName().optional(), default: "default" },
  },
  // Group clones copy data, and PowerVC tells no limit; an hour is twice what Snapshot has.
  timeouts: { create: "1h", update: "5m", delete: "30m" },
  // What PowerVC has taken back holds no consistent instant.
  onFailedCreate: "replace",
  recordLengths: RECORD_LENGTHS,
  derivedOutputs: {
    clones: ["volumes"],
    clonedVolumes: ["volumes", "displayName", "description"],
    missing: ["volumes"],
  },

  describe({ displayName, volumes, id }) {
    if (typeof displayName === "string") return `volume clone "${displayName}"`;
    const count = Array.isArray(volumes) ? volumes.length : 0;
    return `volume clone ${id ?? (count === 1 ? `of volume ${volumes}` : `of ${count} volumes`)}`;
  },

  divergence(olds, news) {
    // One clone can't be made again alone: its instant has passed.
    const wanted = strings(news.volumes);
    const isLacking = strings(olds.missing).some((source) => wanted.includes(source));
    return isLacking ? { output: "missing", effect: "replace" } : undefined;
  },

  async listOwned(cloud, scope) {
    // No filter: a pending create's key has the set's id in it, and filters compare whole keys.
    return ownedSets(cloud, await cloud.listOnce(), scope);
  },

  async recordOwnership(cloud, id, record, known) {
    cloud.records.set(id, record);
    const pendingCreate = cloud.pendingCreates.get(id);
    if (pendingCreate) {
      const since = pendingCreate.since ?? cloud.now().toISOString();
      await writePendingCreate(cloud, { ...pendingCreate, since, record });
    }
    const { __owner, __stack } = known as HiddenOutputs;
    const isOld = cloud.openMarks.has(id) || (__owner !== undefined && __stack === undefined);
    // Builds before 0.2 look for `open` alone: they must not adopt what is adopted here.
    const tags = { ...recordTags(record), ...(isOld ? { [OWNERSHIP_KEYS.phase]: "settled" } : {}) };
    const clones = new Set([...notedClones(known).keys(), ...(cloud.completed.get(id) ?? [])]);
    const items = [...clones].map((clone) => ({ row: { id: clone, name: null } }));
    await forEachSettled(items, ({ row }) => tagIfThere(cloud, row.id, tags));
  },

  async beginCreate(cloud, inputs, record) {
    const [place = ""] = inputs.volumes;
    // The list of what is ours has just shown it.
    const source = cloud.lastSeen(place) ?? (await cloud.cinder.showVolume(place));
    const since = cloud.now().toISOString();
    const backend = await cloud.session.identity("blockStorage");
    const groupBefore = source.group_id ?? undefined;
    const pendingCreate = { id: newSetId(), place, since, groupBefore, record, keys: [] };
    const more = { backend, sourceName: source.name ?? undefined };
    cloud.records.set(pendingCreate.id, record);
    let mayBeNoted = false;
    try {
      if (record.owner !== "") {
        await writePendingCreate(cloud, pendingCreate).catch((error: unknown) => {
          mayBeNoted = isKind(error, "transient", "malformed");
          throw error;
        });
        mayBeNoted = true;
      }
      const taskId = await ask(cloud, pendingCreate, inputs);
      return { id: pendingCreate.id, task: taskOf({ ...pendingCreate, taskId }, more) };
    } catch (error) {
      // Of unknown outcome: the set is recorded by the id that every clone of it will bear, and looked for.
      if (cloud.asked.get(pendingCreate.id)) return { id: pendingCreate.id, task: taskOf(pendingCreate, more) };
      if (!mayBeNoted) throw error;
      const unsent = await withdraw(cloud, pendingCreate, error);
      return { id: pendingCreate.id, task: { ...taskOf(pendingCreate, more), ...unsent } };
    }
  },

  async waitForCreate(cloud, accepted, inputs, context) {
    await refuseOtherBackend(cloud, accepted);
    const pendingCreate = await pendingCreateOf(cloud, accepted, inputs.volumes);
    try {
      const outcome = await madeBy(cloud, accepted, pendingCreate, inputs, context);
      const observed = await complete(cloud, accepted, pendingCreate, outcome, inputs, context);
      if (mayHavePendingCreate(cloud, accepted)) await clearOrWarn(cloud, accepted.id, pendingCreate.place, context);
      return observed;
    } catch (error) {
      // The state holds what has failed, so nobody has to find it.
      if (isKind(error, "failed")) await clearPendingCreate(cloud, accepted.id, pendingCreate.place).catch(() => {});
      throw error;
    }
  },

  async read(cloud, id, known, signal) {
    const members = await find(cloud, id, known, signal);
    if (members.length > 0) return observe(members, known);
    // While PowerVC's flow goes on there may be no clone yet: that is not "gone".
    return unfinished(known) ? { state: {} } : undefined;
  },

  async update(cloud, id, from, inputs, known) {
    const members = behind.get(from) ?? (await find(cloud, id, { ...known, ...from.state }));
    const gone = inputs.volumes.filter((volume) => !members.some(({ source }) => source === volume));
    if (gone.length > 0) {
      throw new SnapcloneError({
        kind: "failed",
        message: `${gone.length} of ${inputs.volumes.length} clones are gone: those of ${gone.join(", ")}. Nothing was changed`,
        hint: AFTER_A_LOSS,
      });
    }
    return observe(await reconcile(cloud, members, inputs), { ...known, ...from.state, volumes: inputs.volumes });
  },

  async delete(cloud, id, known, context) {
    const sources = strings(known.volumes);
    const pending = unfinished(known);
    let told: readonly string[] = [];
    if (pending) {
      // There is no call that cancels a flow, and what it made after us would be nobody's.
      const accepted = { id, task: pending.task };
      await refuseOtherBackend(cloud, accepted);
      const flow = flowOf(id, await pendingCreateOf(cloud, accepted, sources), sources);
      const end = pending.task.unsent === true ? undefined : flowEnd(cloud, flow, context);
      const outcome = (await end?.catch((error: unknown) => {
        throw isKind(error, "deadline") ? stuck(error, flow) : error;
      })) ?? { is: "nothing" };
      told = outcome.is === "nothing" ? [] : Object.values(outcome.clones);
    }
    const rows = await removable(cloud, id, known, told);
    const outcomes = await removeClones(cloud, rows, context);
    await clearAfterDelete(cloud, id, known, context);
    return outcomes.includes("deleted") ? "deleted" : "missing";
  },

  async diagnose(cloud, _id, { clonedVolumes, missing }) {
    const rows = Array.isArray(clonedVolumes) ? (clonedVolumes as ClonedVolume[]) : [];
    const bad = rows.filter(({ status }) => /^error/i.test(status));
    const why = await Promise.all(bad.map(({ id }) => cloud.cinder.whyError(id)));
    const message = bad.map(
      ({ id, status }, at) => `the clone ${id} is in status "${status}"${why[at] ? `: ${why[at]}` : ""}`,
    );
    const gone = strings(missing);
    if (gone.length > 0) {
      const all = gone.length + rows.length;
      message.push(`${gone.length} of ${all} clones are gone: those of ${gone.join(", ")}. ${AFTER_A_LOSS}`);
    }
    return message.length === 0 ? undefined : message.join("; ");
  },

  identity: (cloud, _known, signal) => cloud.session.identity("blockStorage", signal),
  serverTime: (cloud) => cloud.session.serverTime("blockStorage"),
};

const AFTER_A_LOSS =
  "The rest is no whole instant any more: the next `pulumi up` makes a new consistent set of all volumes, and then deletes the rest of this one.";

/** A clone as `clonedVolumes` shows it. */
interface ClonedVolume {
  sourceId?: string | undefined;
  id: string;
  name?: string | undefined;
  description?: string | undefined;
  sizeGiB: number;
  status: string;
  volumeType?: string | undefined;
  createdAt?: string | undefined;
}

type Made = Extract<Outcome, { is: "made" }> & { taskId: string | undefined };

// --- asking for a set, and waiting for it

/** The one request that makes something, and the note of what it was answered. */
async function ask(cloud: PowerVcContext, pendingCreate: PendingCreate, inputs: VolumeCloneInputs): Promise<string> {
  const { id, record } = pendingCreate;
  let taskId: string;
  try {
    taskId = await cloud.client.cloneVolumes({
      // The set's id, by which every clone can be found whatever becomes of this run; the program's name comes later.
      "display-name": id,
      description: inputs.description,
      volumes: inputs.volumes,
      "target-volume-type-id": inputs.targetVolumeTypeId,
    });
    cloud.asked.set(id, undefined);
  } catch (error) {
    if (isKind(error, "ambiguous")) cloud.asked.set(id, error);
    throw error;
  }
  // The clones' names find them without it, if later.
  if (record.owner !== "") await writePendingCreate(cloud, { ...pendingCreate, taskId }).catch(() => {});
  return taskId;
}

/**
 * Nothing was asked for, or PowerVC has refused: takes the note of the request away, and throws the reason. Where the note
 * stays, the set is recorded, so that a later run does that or asks.
 */
async function withdraw(cloud: PowerVcContext, { id, place }: PendingCreate, reason: unknown): Promise<typeof UNSENT> {
  try {
    await clearPendingCreate(cloud, id, place);
  } catch {
    cloud.unsent.set(id, reason);
    return UNSENT;
  }
  throw reason;
}

/** In the task of a set that PowerVC was certainly not asked for. */
const UNSENT = { unsent: true } as const;

/** What is known of the request: in this run, from the task in the state, or on the first volume itself. */
async function pendingCreateOf(
  cloud: PowerVcContext,
  { id, task, initialState }: Pick<AcceptedOperation, "id" | "task" | "initialState">,
  volumes: readonly string[],
): Promise<PendingCreate> {
  const seen = cloud.pendingCreates.get(id);
  if (seen) return seen;
  const { place = volumes[0] ?? "", since, groupBefore, taskId, stack, owner, inputs = "", attempt } = textsIn(task);
  const known: PendingCreate = {
    id,
    place,
    since,
    groupBefore,
    taskId,
    record: { owner: owner ?? "", inputs, ...(stack === undefined ? {} : { stack }), ...(attempt ? { attempt } : {}) },
    keys: [],
  };
  // A run that was killed since may have asked again; and builds before 0.2 noted the owner on the volume alone.
  const isEnough = initialState !== undefined || cloud.asked.has(id) || (taskId !== undefined && owner !== undefined);
  if (isEnough) return known;
  const row = await cloud.volume(place);
  const written = row && pendingCreatesOn(row).find((one) => one.id === id);
  if (written) cloud.pendingCreates.set(id, written);
  return written ? { ...written, taskId: written.taskId ?? taskId } : known;
}

/** Where nothing can be seen of the set, nothing follows from that nothing is seen. */
async function refuseOtherBackend(
  cloud: PowerVcContext,
  { id, task }: Pick<AcceptedOperation, "id" | "task">,
): Promise<void> {
  const { backend } = textsIn(task);
  const present = backend === undefined ? undefined : await cloud.session.identity("blockStorage");
  if (present === backend) return;
  throw new SnapcloneError({
    kind: "refused",
    message: `the set ${id} is being made on another backend: the state says ${backend}, and the connection reaches ${present}. Nothing was changed`,
    hint: "Correct the connection (docs/connections.md).",
  });
}

function flowOf(id: string, pendingCreate: PendingCreate, sources: readonly string[]): Flow {
  const { place, since, groupBefore, taskId } = pendingCreate;
  return { id, sources, taskId, place, since, groupBefore };
}

/** Waits until PowerVC has made the set. Asks again where an earlier run has not come to ask. */
async function madeBy(
  cloud: PowerVcContext,
  accepted: AcceptedOperation,
  pendingCreate: PendingCreate,
  inputs: VolumeCloneInputs,
  context: OperationContext,
): Promise<Made> {
  const { id } = accepted;
  // Tags come when PowerVC has told of success: where all have theirs, nobody has to be asked.
  const tagged = Array.isArray(accepted.initialState) ? (accepted.initialState as Member[]) : [];
  const clones = Object.fromEntries(tagged.flatMap(({ row, source }) => (source ? [[source, row.id]] : [])));
  if (inputs.volumes.every((volume) => clones[volume] !== undefined)) {
    return { is: "made", clones, flow: {}, taskId: pendingCreate.taskId };
  }

  const unsent = cloud.unsent.get(id);
  if (unsent !== undefined) throw isKind(unsent, "notFound", "failed") ? asRefusal(unsent) : unsent;
  let flow: Flow = { ...flowOf(id, pendingCreate, inputs.volumes), isNew: cloud.asked.has(id) };
  let outcome: Outcome = accepted.task.unsent === true ? { is: "nothing" } : await endOf(cloud, flow, context);
  if (outcome.is === "nothing" && flow.taskId === undefined && !cloud.asked.has(id)) {
    flow = await askAgain(cloud, pendingCreate, inputs, context);
    outcome = await endOf(cloud, flow, context);
  }
  if (outcome.is === "made") return { ...outcome, taskId: flow.taskId };
  throw await flowFailed(cloud, flow, outcome);
}

/** It says nothing about the set, which is recorded. */
function asRefusal(error: SnapcloneError): SnapcloneError {
  return new SnapcloneError({ ...error.parts, kind: "refused" });
}

/** What the request was answered is what the user must see, where nothing has come of it. */
async function endOf(cloud: PowerVcContext, flow: Flow, context: OperationContext): Promise<Outcome> {
  const unanswered = cloud.asked.get(flow.id);
  try {
    const outcome = await flowEnd(cloud, flow, context);
    // It is recorded. Only a later run asks again: this one has sent the request.
    if (outcome.is === "nothing" && unanswered) throw unanswered;
    return outcome;
  } catch (error) {
    if (!isKind(error, "deadline") || unanswered === undefined) throw error;
    throw new SnapcloneError({ ...unanswered.parts, message: `${unanswered.parts.message}; ${error.parts.message}` });
  }
}

async function askAgain(
  cloud: PowerVcContext,
  earlier: PendingCreate,
  inputs: VolumeCloneInputs,
  context: OperationContext,
): Promise<Flow> {
  context.progress("nothing shows of the interrupted request: asking for it");
  const [first = ""] = inputs.volumes;
  const source = await cloud.volume(first);
  // With the time of this request: whoever comes after a kill must look for this one, too, before asking once more.
  const since = cloud.now().toISOString();
  const pendingCreate: PendingCreate = { ...earlier, since, groupBefore: source?.group_id ?? undefined };
  const more = { backend: await cloud.session.identity("blockStorage"), sourceName: source?.name ?? undefined };
  if (pendingCreate.record.owner !== "") await writePendingCreate(cloud, pendingCreate);
  try {
    const taskId = await ask(cloud, pendingCreate, inputs);
    context.accepted(taskOf({ ...pendingCreate, taskId }, more));
    return { ...flowOf(pendingCreate.id, { ...pendingCreate, taskId }, inputs.volumes), isNew: true };
  } catch (error) {
    if (isKind(error, "ambiguous")) {
      context.accepted(taskOf(pendingCreate, more));
      return { ...flowOf(pendingCreate.id, pendingCreate, inputs.volumes), isNew: true };
    }
    // Nothing has been made, and PowerVC says that nothing will be.
    if (isKind(error, "refused", "notFound", "forbidden")) throw new SnapcloneError({ ...error.parts, kind: "failed" });
    throw error;
  }
}

/** Looks at what is left, and says it: the failure alone would leave the user to search for it. */
async function flowFailed(
  cloud: PowerVcContext,
  { id, sources }: Flow,
  outcome: Exclude<Outcome, { is: "made" }>,
): Promise<SnapcloneError> {
  const message =
    outcome.is === "failed"
      ? outcome.message
      : "PowerVC does not know the task any more, and nothing of it is to be seen";
  let left: string;
  try {
    const rows = await cloud.listAll();
    const named = outcome.is === "failed" ? Object.values(outcome.clones) : [];
    const ids = new Set(membersOf(rows, id, sources).map(({ row }) => row.id));
    for (const row of rows) if (named.includes(row.id) && !sources.includes(row.id)) ids.add(row.id);
    left = ids.size === 0 ? "No volume of the set is left behind" : `Left behind: ${[...ids].join(", ")}`;
  } catch {
    left = "Whether anything is left behind could not be seen";
  }
  return new SnapcloneError({ kind: "failed", message: `${message}. ${left}` });
}

function stuck(error: SnapcloneError, { id, taskId, place }: Flow): SnapcloneError {
  const which = taskId === undefined ? `the flow whose clones are called "…${id}…"` : `the clone task ${taskId}`;
  return new SnapcloneError({
    ...error.parts,
    hint: [
      `No call cancels a flow of PowerVC's, and what it makes later would be nobody's. Have an administrator look at ${which}, then run again.`,
      `If it will never end: \`pulumi state delete <urn>\` takes the set out of the state. What it leaves has ${id} in its name, or in the metadata \`${OWNERSHIP_KEYS.set}\`: delete that by hand, and take the note off the volume (\`openstack volume unset --property ${pendingKey(id)} ${place}\`).`,
    ].join("\n"),
  });
}

// --- from what PowerVC made to what the program asked for

/** Told apart, tagged, available, named. A clone that vanishes meanwhile fails the set, and hides none of the others. */
async function complete(
  cloud: PowerVcContext,
  { id, task }: AcceptedOperation,
  pendingCreate: PendingCreate,
  { clones, flow, taskId }: Made,
  inputs: VolumeCloneInputs,
  context: OperationContext,
): Promise<Observed> {
  const { volumes } = inputs;
  const pairs = volumes.flatMap((source): Pair[] => {
    const clone = clones[source];
    // A source among the clones would be renamed, and one day deleted.
    return clone === undefined || volumes.includes(clone) ? [] : [{ source, clone }];
  });
  const { stack = context.stack, ...record } = pendingCreate.record;
  const shared: Metadata = {
    [OWNERSHIP_KEYS.set]: id,
    ...recordTags(cloud.records.get(id) ?? { stack, ...record }),
    ...(taskId === undefined ? {} : { [OWNERSHIP_KEYS.task]: taskId }),
  };
  const memberOf = (row: VolumeRow): Member => ({ row, source: pairs.find(({ clone }) => clone === row.id)?.source });
  const sourceName = volumes.length === 1 ? await nameOfSource(cloud, textsIn(task).sourceName, volumes[0] ?? "") : "";
  const tag = async (row: VolumeRow): Promise<VolumeRow> => {
    const tags = { ...copiedTags(row), ...shared, ...tagsOf(memberOf(row), volumes, sourceName) };
    if (Object.entries(tags).every(([key, value]) => row.metadata[key] === value)) return row;
    return { ...row, metadata: await cloud.cinder.createVolumeMetadata(row.id, tags) };
  };

  cloud.completed.set(
    id,
    pairs.map(({ clone }) => clone),
  );
  // What is there is tagged before anything can fail: from here on it can be found under whatever name.
  const seen = await cloud.volumes(
    pairs.map(({ clone }) => clone),
    undefined,
    context.signal,
  );
  const tagged = await forEachSettled(seen.map(memberOf), async ({ row }) => {
    try {
      return await tag(row);
    } catch (error) {
      if (isKind(error, "notFound")) return undefined;
      throw error;
    }
  });
  if (pairs.length < volumes.length || new Set(pairs.map(({ clone }) => clone)).size < pairs.length) {
    throw tooFew(pairs, volumes);
  }

  const absence = new AbsenceTimer(context.clock);
  const refusals = new AbsenceTimer(context.clock);
  let first: VolumeRow[] | undefined = tagged.filter((row) => row !== undefined);
  for (;;) {
    const rows = await waitUntilAvailable(cloud, pairs, absence, first, context);
    try {
      const members = await forEachSettled(rows.map(memberOf), async (member) => ({
        ...member,
        row: await tag(member.row),
      }));
      const named = await reconcile(cloud, members, inputs);
      return observe(named, { volumes, taskId, flow: nonEmpty(flow) });
    } catch (error) {
      // It has gone since the look, or the address that was asked lags behind: the next looks tell.
      if (!isKind(error, "notFound")) throw error;
      if (refusals.isProven(false)) throw new SnapcloneError({ ...error.parts, kind: "failed" });
      await abortableSleep(context.clock, 1_000, context.signal);
      first = undefined;
    }
  }
}

function tooFew(pairs: readonly Pair[], volumes: readonly string[]): SnapcloneError {
  const untold = volumes.filter((volume) => !pairs.some(({ source }) => source === volume));
  const none = untold.length > 0 ? `; none of ${untold.join(", ")}` : "";
  return new SnapcloneError({
    kind: "failed",
    message: `PowerVC's clone task ended in success with ${new Set(pairs.map(({ clone }) => clone)).size} of ${volumes.length} clones${none}`,
  });
}

/** Of a single clone without display name, PowerVC's name is made from the source's: it is kept for comparison. */
async function nameOfSource(cloud: PowerVcContext, noted: string | undefined, source: string): Promise<string> {
  return noted ?? cloud.lastSeen(source)?.name ?? (await cloud.volume(source))?.name ?? "";
}

function tagsOf({ row, source = "" }: Member, volumes: readonly string[], sourceName: string): Metadata {
  const before = isTagged(row) ? row.metadata : {};
  const prefix = prefixOf(row.name, before);
  const name = before[OWNERSHIP_KEYS.name] ?? `${prefix}${sourceName || source}`.slice(0, 255);
  return {
    [OWNERSHIP_KEYS.volume]: row.id,
    [OWNERSHIP_KEYS.source]: source,
    [OWNERSHIP_KEYS.index]: placeIn(volumes, source),
    [OWNERSHIP_KEYS.prefix]: prefix,
    ...(volumes.length === 1 ? { [OWNERSHIP_KEYS.name]: name } : {}),
  };
}

/** Of a source that is itself a clone of ours, PowerVC copies the tags: what is not overwritten must say nothing. */
function copiedTags(row: VolumeRow): Metadata {
  const copied = [OWNERSHIP_KEYS.task, OWNERSHIP_KEYS.attempt, OWNERSHIP_KEYS.phase].filter(
    (key) => !isTagged(row) && row.metadata[key],
  );
  return Object.fromEntries(copied.map((key) => [key, ""]));
}

async function tagIfThere(cloud: PowerVcContext, clone: string, tags: Metadata): Promise<void> {
  try {
    await cloud.cinder.createVolumeMetadata(clone, tags);
  } catch (error) {
    if (!isKind(error, "notFound")) throw error;
  }
}

/** Numbers, names and descriptions as the program wants them; only what differs is sent. */
async function reconcile(
  cloud: PowerVcContext,
  members: readonly Member[],
  inputs: VolumeCloneInputs,
): Promise<Member[]> {
  const { volumes, displayName, description = null } = inputs;
  const wanted = (member: Member) => wantedName(member, displayName, volumes) ?? member.row.name;
  const long = members.map(wanted).find((name) => (name ?? "").length > 255);
  if (long) {
    const message = `the name "${truncate(long, 40)}" would have ${long.length} characters, and Cinder takes 255`;
    throw new SnapcloneError({ kind: "input", message, hint: "Make `displayName` shorter." });
  }
  return forEachSettled(members, async (member) => {
    let { row } = member;
    // The number first: a name that was not changed any more shows as a difference, a number does not.
    const index = placeIn(volumes, member.source);
    if (row.metadata[OWNERSHIP_KEYS.index] !== index) {
      row = { ...row, metadata: await cloud.cinder.createVolumeMetadata(row.id, { [OWNERSHIP_KEYS.index]: index }) };
    }
    const name = wanted(member);
    const patch = {
      ...(name !== row.name ? { name } : {}),
      ...((row.description || null) !== description ? { description } : {}),
    };
    if (Object.keys(patch).length > 0) row = await cloud.cinder.updateVolume(row.id, patch);
    return { ...member, row };
  });
}

function mayHavePendingCreate(cloud: PowerVcContext, { id, initialState }: AcceptedOperation): boolean {
  // What this run's list has shown of a set is all there is; of a set from the state it has shown nothing.
  return cloud.pendingCreates.has(id) || (initialState === undefined && !cloud.asked.has(id));
}

/** Without the right to remove it there is no end to trying: a person has to. */
async function clearOrWarn(cloud: PowerVcContext, id: string, place: string, context: OperationContext): Promise<void> {
  const [key = pendingKey(id)] = cloud.pendingCreates.get(id)?.keys ?? [];
  try {
    await clearPendingCreate(cloud, id, place);
  } catch (error) {
    if (!isKind(error, "forbidden")) throw error;
    context.warn(
      `the note of the request could not be taken off the volume ${place}: ${error.parts.message}. Remove it: \`openstack volume unset --property ${key} ${place}\``,
    );
  }
}

// --- what is there

/** The clones' rows behind an observation, so that an update need not ask for them again. */
const behind = new WeakMap<Observed, readonly Member[]>();

/** The clones that the state names, from which volume. */
function notedClones(known: State): Map<string, string | undefined> {
  const sources = strings(known.volumes);
  const rows = Array.isArray(known.clonedVolumes) ? (known.clonedVolumes as Partial<ClonedVolume>[]) : [];
  const noted = new Map<string, string | undefined>();
  for (const { id, sourceId } of rows) if (typeof id === "string") noted.set(id, sourceId);
  for (const [source, clone] of Object.entries(textsIn(known.clones))) noted.set(clone, source);
  // A source among the clones is never one of them, whatever an earlier build has noted.
  for (const source of sources) noted.delete(source);
  return noted;
}

function namesAll(noted: ReadonlyMap<string, string | undefined>, sources: readonly string[]): boolean {
  const told = new Set(noted.values());
  return sources.length > 0 && sources.every((source) => told.has(source));
}

/** The clones of a set that are there: by the ids in the state, and where it does not know all, by tags and names, too. */
async function find(cloud: PowerVcContext, id: string, known: State, signal?: AbortSignal): Promise<Member[]> {
  const sources = strings(known.volumes);
  const noted = notedClones(known);
  const filter = { metadata: { [OWNERSHIP_KEYS.set]: id } };
  const byId = await cloud.volumes([...noted.keys()], filter, signal);
  const members = byId.map((row) => asTagged({ row, source: noted.get(row.id) ?? sourceIn(row) }, sources, known));
  if (namesAll(noted, sources)) return members;
  // A resource that is only read (`get`) knows nothing but the id.
  const rows = sources.length > 0 ? await cloud.listAll(signal) : await cloud.cinder.listVolumesDetail(filter, signal);
  return [...members, ...membersOf(rows, id, sources).filter(({ row }) => !noted.has(row.id))];
}

function sourceIn(row: VolumeRow): string | undefined {
  return isTagged(row) ? row.metadata[OWNERSHIP_KEYS.source] : undefined;
}

/** Where somebody has taken the tags away, the state knows what they said. */
function asTagged({ row, source }: Member, sources: readonly string[], { namePrefix }: State): Member {
  if (isTagged(row)) return { row, source };
  const prefix = typeof namePrefix === "string" ? namePrefix : prefixOf(row.name, {});
  const tags = {
    [OWNERSHIP_KEYS.volume]: row.id,
    [OWNERSHIP_KEYS.index]: placeIn(sources, source),
    [OWNERSHIP_KEYS.prefix]: prefix,
  };
  return { source, row: { ...row, metadata: { ...row.metadata, ...tags } } };
}

function observe(found: readonly Member[], known: State): Observed {
  const noted = strings(known.volumes);
  const byTag = [...found].sort((a, b) => indexIn(a.row) - indexIn(b.row)).flatMap(({ source }) => source ?? []);
  // What was asked for, in the program's order: that is what the clones there are judged by.
  const volumes = noted.length > 0 ? noted : byTag;
  const order = ({ row, source }: Member) => {
    const index = volumes.indexOf(source ?? "");
    return index < 0 ? volumes.length + indexIn(row) : index;
  };
  const members = [...found].sort((a, b) => order(a) - order(b));
  const rows = members.map(({ row }) => row);
  const isTold = rows.every(isTagged) && members.every(({ source }) => source !== undefined);
  const gone = volumes.filter((volume) => !members.some(({ source }) => source === volume));
  const isNamed = isTold && !rows.some(({ name }) => isTechnicalName(name));
  const descriptions = [...new Set(rows.map(({ description }) => description ?? ""))];
  const tags = rows[0]?.metadata ?? {};
  const observed = {
    state: {
      volumes,
      ...(isNamed
        ? { displayName: displayNameOf(members, volumes), description: descriptions.join(SEPARATOR) || undefined }
        : {}),
      clones: Object.fromEntries(members.flatMap(({ row, source }) => (source ? [[source, row.id]] : []))),
      clonedVolumes: members.map(({ row, source }) => clonedVolume(row, source)),
      // While PowerVC has not told whose clone is whose, nobody knows which is missing.
      missing: isTold && gone.length > 0 ? gone : undefined,
      namePrefix: tags[OWNERSHIP_KEYS.prefix],
      taskId: tags[OWNERSHIP_KEYS.task] || known.taskId,
      flow: known.flow,
    },
  };
  behind.set(observed, members);
  return observed;
}

function clonedVolume(row: VolumeRow, sourceId: string | undefined): ClonedVolume {
  return {
    sourceId,
    id: row.id,
    name: row.name ?? undefined,
    description: row.description || undefined,
    sizeGiB: row.size,
    status: row.status,
    volumeType: row.volume_type ?? undefined,
    createdAt: createdAt(row),
  };
}

// --- removing

/** So far the clock of an API's host and the one that dates its rows may be apart. */
const CLOCKS_APART_MS = 300_000;

/** What of the set may be removed: by the state's ids, by our record, or by PowerVC's word on our own request. */
async function removable(
  cloud: PowerVcContext,
  id: string,
  known: State,
  told: readonly string[],
): Promise<(Pick<VolumeRow, "id" | "name"> & Partial<VolumeRow>)[]> {
  const sources = strings(known.volumes);
  const noted = notedClones(known);
  for (const [clone, source = sources[0]] of noted) if (source !== undefined) cloud.witnesses.set(clone, source);
  // Of a single one, Cinder itself says what keeps it: there is no half of it that could be lost.
  const [only] = noted.keys();
  if (known.pending === undefined && noted.size === 1 && only !== undefined && namesAll(noted, sources)) {
    return [{ id: only, name: null }];
  }
  const members = await find(cloud, id, known);
  const others = told.filter((clone) => !sources.includes(clone) && !members.some(({ row }) => row.id === clone));
  const { since = "" } = textsIn((known.pending as Pending | undefined)?.task);
  const untold = (await cloud.volumes(others, undefined)).filter((row) => {
    const isOfOther = isTagged(row) && row.metadata[OWNERSHIP_KEYS.set] !== id;
    const isOfOurs = row.source_volid == null || sources.includes(row.source_volid);
    // What was there before the request is no clone of it, whatever the task says.
    const isLater = Date.parse(createdAt(row) ?? "") > Date.parse(since) - CLOCKS_APART_MS;
    return !isOfOther && isOfOurs && isLater;
  });
  return [...members.map(({ row }) => row), ...untold];
}

async function removeClones(
  cloud: PowerVcContext,
  rows: readonly (Pick<VolumeRow, "id" | "name"> & Partial<VolumeRow>)[],
  context: OperationContext,
): Promise<readonly ("deleted" | "missing")[]> {
  refuseAttached(rows);
  try {
    return await removeAll(cloud, rows, context);
  } catch (error) {
    const [only] = rows;
    if (rows.length === 1 && only && isKind(error, "refused")) {
      const row = await cloud.volume(only.id);
      if (row) refuseAttached([row]);
    }
    throw error;
  }
}

/** A set that was completed has left nothing on its first volume; one that was not, or an earlier build's, may have. */
async function clearAfterDelete(
  cloud: PowerVcContext,
  id: string,
  known: State,
  context: OperationContext,
): Promise<void> {
  const { __owner, __stack } = known as HiddenOutputs;
  const pending = known.pending as Pending | undefined;
  const isOld = __owner !== undefined && __stack === undefined;
  const { place } = textsIn(pending?.task);
  if (!cloud.pendingCreates.has(id) && place !== undefined) {
    await clearOrWarn(cloud, id, place, context);
    return;
  }
  if (!cloud.pendingCreates.has(id) && (pending || isOld)) {
    const row = await cloud.volume(strings(known.volumes)[0] ?? "");
    for (const one of row ? pendingCreatesOn(row) : []) cloud.pendingCreates.set(one.id, one);
  }
  const left = cloud.pendingCreates.get(id);
  if (left) await clearOrWarn(cloud, id, left.place, context);
}

// --- small things

function changeOfVolumes(olds: State, news: State): "update" | "replace" {
  const missing = strings(olds.missing);
  const present = strings(olds.volumes).filter((volume) => !missing.includes(volume));
  // In another order the clones are the same; and who gives up the volumes of those that are gone keeps the others.
  return [olds.volumes, present].some((volumes) => sameSet(volumes, news.volumes)) ? "update" : "replace";
}

function unfinished({ pending }: State): Pending | undefined {
  const work = pending as Pending | undefined;
  return work?.operation === "create" && !work.failed ? work : undefined;
}

function placeIn(volumes: readonly string[], source: string | undefined): string {
  return `${volumes.indexOf(source ?? "") + 1}/${volumes.length}`;
}

function indexIn({ metadata }: VolumeRow): number {
  return Number.parseInt(metadata[OWNERSHIP_KEYS.index] ?? "0", 10);
}

function sameSet(a: unknown, b: unknown): boolean {
  return Array.isArray(a) && Array.isArray(b) && JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function textsIn(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length > 0 ? value : undefined;
}

// --- what the inputs may be ---

/** All that is wrong with the list at once. */
function sourceVolumes() {
  return z.unknown().transform((value, context): string[] => {
    const refuse = (message: string, ...path: number[]) => {
      context.addIssue({ code: "custom", message, path, input: value });
    };
    if (!Array.isArray(value)) {
      refuse(value === undefined ? "is required" : "must be a list of the UUIDs of volumes");
      return z.NEVER;
    }
    if (value.length === 0) refuse("must have at least one volume");
    const ids = value.map((id: unknown) => (typeof id === "string" ? id.toLowerCase() : id));
    for (const [index, id] of ids.entries()) {
      if (typeof id !== "string" || !UUID.test(id)) refuse(shape("a volume"), index);
      else if (ids.indexOf(id) < index) refuse(`is the same volume as volumes[${ids.indexOf(id)}]`, index);
    }
    return ids as string[];
  });
}

function shape(what: string): string {
  return `must be the UUID of ${what}, such as 11111111-2222-4333-8444-555555555555`;
}

function displayName() {
  return (
    printable()
      .min(1, "must not be empty")
      // The prefix is the server's: "clone-" by default. What is left is enough for it and for a number of 4 digits.
      .max(240, "must not be longer than 240 characters: a prefix and a number are added, and a name has at most 255")
      .refine((name) => !isTechnicalName(name), "must not look like a name of the provider's own")
  );
}

function description() {
  return printable()
    .max(255, "must not be longer than 255 characters")
    .transform((text) => (text === "" ? undefined : text));
}

function printable() {
  // Cinder strips blanks (docs/wire/openstack.md#a2): with them, every refresh would show a drift.
  return z
    .string("must be a string")
    .trim()
    .regex(/^\P{Cc}*$/u, "must not contain line breaks, tabs or other control characters");
}
