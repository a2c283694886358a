// Makes a set of clones: sends the request, waits for PowerVC's flow, and tags and names the volumes that the flow made.

import { AbsenceTimer, orUndefined } from "../../core/absence";
import type { AcceptedOperation, Observed, OperationContext, OwnershipRecord } from "../../core/definition";
import { isKind, SnapcloneError } from "../../core/errors";
import { abortableSleep } from "../../core/util/abort";
import type { Metadata, VolumeRow } from "../../openstack/cinder";
import type { PowerVcContext } from "../context";
import { notOurClones, type Pair, perhapsMade, tooFewClones } from "./errors";
import type { VolumeCloneInputs } from "./inputs";
import {
  canBeCloneOf,
  clearPendingCreate,
  isTagged,
  isUnsent,
  type Member,
  membersOf,
  newSetId,
  OWNERSHIP_KEYS,
  type PendingCreate,
  recordTags,
  tagsAfterFailure,
  tagsFor,
  taskOf,
  textsIn,
  writePendingCreate,
} from "./ownership";
import { observedOf } from "./state";
import { reconcileClones } from "./update";
import { forEachSettled, waitUntilAvailable } from "./volumes";
import { type Flow, flowEnd, flowOf, isNoCloneOf, type Outcome } from "./wait";

export type Made = Extract<Outcome, { is: "made" }> & { taskId: string | undefined };

/** In the task of a set that PowerVC was certainly not asked for by the run that wrote the task (see `isUnsent`). */
const UNSENT = { unsent: true } as const;

// --- the request

/** Writes the pending create and sends the request. A request whose outcome is unknown counts as accepted. */
export async function requestClones(
  cloud: PowerVcContext,
  inputs: VolumeCloneInputs,
  record: OwnershipRecord,
): Promise<AcceptedOperation> {
  const [volumeId = ""] = inputs.volumes;
  // The list of this stack's sets has usually shown the volume a moment ago.
  const source = cloud.lastSeen(volumeId) ?? (await cloud.cinder.showVolume(volumeId));
  const since = cloud.now().toISOString();
  const backend = await cloud.session.identity("blockStorage");
  const groupBefore = source.group_id ?? undefined;
  const pendingCreate = { id: newSetId(), volumeId, since, groupBefore, record, keys: [] };
  const more = { backend, sourceName: source.name ?? undefined };
  cloud.records.set(pendingCreate.id, record);
  let mayBeWritten = false;
  try {
    if (record.owner !== "") {
      await writePendingCreate(cloud, pendingCreate).catch((error: unknown) => {
        mayBeWritten = isKind(error, "transient", "malformed");
        throw error;
      });
      mayBeWritten = true;
    }
    const taskId = await sendRequest(cloud, pendingCreate, inputs);
    return { id: pendingCreate.id, task: taskOf({ ...pendingCreate, taskId }, more) };
  } catch (error) {
    // The outcome is unknown: record the set. Its id is in the name of every clone, so the clones can be found.
    if (cloud.requested.get(pendingCreate.id)) return { id: pendingCreate.id, task: taskOf(pendingCreate, more) };
    if (!mayBeWritten) throw error;
    const unsent = await withdraw(cloud, pendingCreate, error);
    return { id: pendingCreate.id, task: { ...taskOf(pendingCreate, more), ...unsent } };
  }
}

async function sendRequest(
  cloud: PowerVcContext,
  pendingCreate: PendingCreate,
  inputs: VolumeCloneInputs,
): Promise<string> {
  const { id, record } = pendingCreate;
  let taskId: string;
  try {
    taskId = await cloud.client.cloneVolumes({
      // With the set's id as their name, the clones can be found by any later run. They are renamed afterwards.
      "display-name": id,
      description: inputs.description,
      volumes: inputs.volumes,
      "target-volume-type-id": inputs.targetVolumeTypeId,
    });
    cloud.requested.set(id, undefined);
  } catch (error) {
    if (isKind(error, "ambiguous")) cloud.requested.set(id, error);
    throw error;
  }
  // If this fails, the clones are found by their names, only later.
  if (record.owner !== "") await writePendingCreate(cloud, { ...pendingCreate, taskId }).catch(() => {});
  return taskId;
}

/**
 * Called when the request was not sent or PowerVC refused it. Removes the pending create and throws the reason. If it can't
 * be removed, the set is recorded, so that a later run removes it or sends the request.
 */
async function withdraw(
  cloud: PowerVcContext,
  { id, volumeId }: PendingCreate,
  reason: unknown,
): Promise<typeof UNSENT> {
  try {
    await clearPendingCreate(cloud, id, volumeId);
  } catch {
    cloud.unsent.set(id, reason);
    return UNSENT;
  }
  throw reason;
}

// --- the wait for PowerVC's flow

/** Waits until PowerVC has made the set. Sends the request if an interrupted run did not come to send it. */
export async function waitUntilMade(
  cloud: PowerVcContext,
  accepted: AcceptedOperation,
  pendingCreate: PendingCreate,
  inputs: VolumeCloneInputs,
  context: OperationContext,
): Promise<Made> {
  const { id } = accepted;
  // Clones are tagged only after PowerVC has reported success: if all are tagged, there is nothing to wait for.
  const tagged = Array.isArray(accepted.initialState) ? (accepted.initialState as Member[]) : [];
  const clones = Object.fromEntries(tagged.flatMap(({ row, source }) => (source ? [[source, row.id]] : [])));
  if (inputs.volumes.every((volume) => clones[volume] !== undefined)) {
    return { is: "made", clones, flow: {}, taskId: pendingCreate.taskId };
  }

  const unsent = cloud.unsent.get(id);
  // The set is recorded, so the kind of the error must not say that it is gone or has failed.
  if (unsent !== undefined) throw isKind(unsent, "notFound", "failed") ? withKind(unsent, "refused") : unsent;
  let flow: Flow = { ...flowOf(pendingCreate, inputs.volumes), isNew: cloud.requested.has(id) };
  let outcome: Outcome = isUnsent(accepted.task, pendingCreate) ? { is: "nothing" } : await endOf(cloud, flow, context);
  if (outcome.is === "nothing" && flow.taskId === undefined && !cloud.requested.has(id)) {
    // A note that somebody has removed says that these volumes are no clones of the set.
    const { perhaps = [] } = outcome;
    if (perhaps.length > 0 && pendingCreate.keys.length > 0) throw perhapsMade(pendingCreate, perhaps);
    flow = await sendAgain(cloud, pendingCreate, inputs, context);
    outcome = await endOf(cloud, flow, context);
  }
  if (outcome.is === "made") return { ...outcome, taskId: flow.taskId };
  const rows = await cloud.listAll().catch(() => undefined);
  const members = membersOf(rows ?? [], id, flow.sources).map(({ row }) => row);
  const named =
    outcome.is === "failed" ? await tagLeftovers(cloud, flow, outcome.clones, members, pendingCreate, context) : [];
  throw flowFailed(outcome, rows && [...new Set([...members.map((row) => row.id), ...named])]);
}

function withKind(error: SnapcloneError, kind: "refused" | "failed"): SnapcloneError {
  return new SnapcloneError({ ...error.parts, kind });
}

/** If nothing came of a request whose outcome was unknown, the user must see how the request failed. */
async function endOf(cloud: PowerVcContext, flow: Flow, context: OperationContext): Promise<Outcome> {
  const unanswered = cloud.requested.get(flow.id);
  try {
    const outcome = await flowEnd(cloud, flow, context);
    // Only a later run may send the request again: this run has sent it.
    if (outcome.is === "nothing" && unanswered) throw unanswered;
    return outcome;
  } catch (error) {
    if (!isKind(error, "deadline") || unanswered === undefined) throw error;
    throw new SnapcloneError({ ...unanswered.parts, message: `${unanswered.parts.message}; ${error.parts.message}` });
  }
}

async function sendAgain(
  cloud: PowerVcContext,
  earlier: PendingCreate,
  inputs: VolumeCloneInputs,
  context: OperationContext,
): Promise<Flow> {
  context.progress("nothing is visible of the interrupted request: sending it");
  // The volume with the note: the program's order may have changed since.
  const source = await cloud.volume(earlier.volumeId);
  // Store the time of this request: if this run is killed, the next one must wait for its clones as well.
  const since = otherTime(cloud.now(), earlier.since);
  const pendingCreate: PendingCreate = { ...earlier, since, groupBefore: source?.group_id ?? undefined };
  const more = { backend: await cloud.session.identity("blockStorage"), sourceName: source?.name ?? undefined };
  if (pendingCreate.record.owner !== "") await writePendingCreate(cloud, pendingCreate);
  try {
    const taskId = await sendRequest(cloud, pendingCreate, inputs);
    context.accepted(taskOf({ ...pendingCreate, taskId }, more));
    return { ...flowOf({ ...pendingCreate, taskId }, inputs.volumes), isNew: true };
  } catch (error) {
    if (isKind(error, "ambiguous")) {
      context.accepted(taskOf(pendingCreate, more));
      return { ...flowOf(pendingCreate, inputs.volumes), isNew: true };
    }
    // PowerVC refused: nothing was made and nothing will be made.
    if (isKind(error, "refused", "notFound", "forbidden")) throw withKind(error, "failed");
    throw error;
  }
}

/** The time of an earlier request must not stay: `isUnsent` compares the two. The backend dates its answers in seconds. */
function otherTime(now: Date, earlier: string | undefined): string {
  const time = now.toISOString();
  return time === earlier ? new Date(now.getTime() + 1).toISOString() : time;
}

/**
 * Tags the clones that a failed task names, and those with its temporary name. The note on the source goes after this: if the
 * process is killed before Pulumi has saved the failure, only the tags show whose the clones are. Returns the ids of the named
 * ones. A clone that can't be tagged is named by the error, and a delete asks PowerVC for it once more.
 */
async function tagLeftovers(
  cloud: PowerVcContext,
  { id, sources, taskId, since }: Flow,
  named: Readonly<Record<string, string>>,
  members: readonly VolumeRow[],
  { record: { stack, ...record } }: PendingCreate,
  context: OperationContext,
): Promise<readonly string[]> {
  const rows = await cloud.volumes([...new Set(Object.values(named))], undefined, context.signal).catch(() => []);
  const clones = rows.filter((row) => canBeCloneOf(row, id, sources, since));
  const full = cloud.records.get(id) ?? { stack: stack ?? context.stack, ...record };
  const untagged = members.filter((row) => !isTagged(row) && canBeCloneOf(row, id, sources, since));
  const all = new Map([...untagged, ...clones].map((row) => [row.id, row]));
  const tag = (row: VolumeRow) => cloud.cinder.createVolumeMetadata(row.id, tagsAfterFailure(row, id, taskId, full));
  await Promise.allSettled([...all.values()].map(tag));
  return clones.map((row) => row.id);
}

/** The error names the volumes that are left, so that the user need not search for them. `ids` is undefined if nobody knows. */
function flowFailed(outcome: Exclude<Outcome, { is: "made" }>, ids: readonly string[] | undefined): SnapcloneError {
  const message =
    outcome.is === "failed"
      ? outcome.message
      : "PowerVC does not know the task any more, and nothing is visible of the clones";
  let left = "Whether any volume is left behind is not known: the volumes could not be listed";
  if (ids) left = ids.length === 0 ? "No volume of the set is left behind" : `Left behind: ${ids.join(", ")}`;
  const { perhaps = [] } = outcome;
  const renamed =
    perhaps.length === 0 ? "" : `. Made from the same volumes since, and perhaps of the set: ${perhaps.join(", ")}`;
  return new SnapcloneError({ kind: "failed", message: `${message}. ${left}${renamed}` });
}

// --- from PowerVC's volumes to the program's set

/**
 * Tags the clones, waits until they are available, and names them. If a clone vanishes meanwhile, the set fails; the other
 * clones are tagged and stay in the state.
 */
export async function completeClones(
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
    // PowerVC may name a source volume as a clone. It must not count: it would be renamed, and later deleted.
    return clone === undefined || volumes.includes(clone) ? [] : [{ source, clone }];
  });
  const { stack = context.stack, ...record } = pendingCreate.record;
  const shared: Metadata = {
    [OWNERSHIP_KEYS.set]: id,
    ...recordTags(cloud.records.get(id) ?? { stack, ...record }),
    ...(taskId === undefined ? {} : { [OWNERSHIP_KEYS.task]: taskId }),
  };
  const sourceName = volumes.length === 1 ? await nameOfSource(cloud, textsIn(task).sourceName, volumes[0] ?? "") : "";
  const memberOf = (row: VolumeRow): Member => ({ row, source: pairs.find(({ clone }) => clone === row.id)?.source });
  const tag = (member: Member) => tagClone(cloud, member.row, tagsFor(member, shared, volumes, sourceName));

  const ids = pairs.map(({ clone }) => clone);
  cloud.madeClones.set(id, ids);
  // Tag what is there before anything can fail: a tagged clone is found whatever its name is.
  const seen = await cloud.volumes(ids, undefined, context.signal);
  const foreign = seen.filter((row) => isNoCloneOf(row, id, pendingCreate.since));
  if (foreign.length > 0) throw notOurClones(foreign, taskId);
  const tagged = await forEachSettled(seen.map(memberOf), (member) => orUndefined(tag(member)));
  if (pairs.length < volumes.length || new Set(ids).size < pairs.length) throw tooFewClones(pairs, volumes);

  const absence = new AbsenceTimer(context.clock);
  const refusals = new AbsenceTimer(context.clock);
  let first: VolumeRow[] | undefined = tagged.filter((row) => row !== undefined);
  for (;;) {
    const rows = await waitUntilAvailable(cloud, pairs, absence, first, context);
    try {
      const members = await forEachSettled(rows.map(memberOf), async (member) => ({
        ...member,
        row: await tag(member),
      }));
      const named = await reconcileClones(cloud, members, inputs, context);
      return observedOf(named, { volumes, taskId, flow: Object.keys(flow).length > 0 ? flow : undefined });
    } catch (error) {
      // The clone has vanished since the last fetch, or Cinder answered from a replica that lags behind: fetch again.
      if (!isKind(error, "notFound")) throw error;
      if (refusals.isProven(false)) throw withKind(error, "failed");
      await abortableSleep(context.clock, 1_000, context.signal);
      first = undefined;
    }
  }
}

/** PowerVC derives the name of a single clone without a display name from the source's name. */
async function nameOfSource(cloud: PowerVcContext, recorded: string | undefined, source: string): Promise<string> {
  return recorded ?? cloud.lastSeen(source)?.name ?? (await cloud.volume(source))?.name ?? "";
}

async function tagClone(cloud: PowerVcContext, row: VolumeRow, tags: Metadata): Promise<VolumeRow> {
  if (Object.entries(tags).every(([key, value]) => row.metadata[key] === value)) return row;
  return { ...row, metadata: await cloud.cinder.createVolumeMetadata(row.id, tags) };
}
