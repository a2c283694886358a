// Which of ViPR's linked targets make up a set, and how the outputs show the set. ViPR's tasks never name the targets that
// they have made (docs/wire/vipr.md#s0-4), and a target can be given only a name when it is made. So the names show what a
// request has just linked. From then on the state records the ids of the targets, and how many belong together.

import { orUndefined } from "../../core/absence";
import type { Observed, Pending, State, Task } from "../../core/definition";
import { type Found, isConsistencyGroup, type LinkedTarget, type SnapshotSession, type Volume } from "../client";
import type { ViprContext } from "../context";
import { compareNames, compareParts, NAME_TAG, type NameParts, nameInSet, parseName, parseSetId } from "./names";

/** An item of the output `targets`. */
export interface TargetOutput {
  id: string;
  name: string;
  wwn?: string;
  nativeId?: string;
  /** The session that the target is linked to. */
  snapshotSessionId: string;
  /** The volume that the target is a copy of. */
  sourceVolumeId?: string;
  capacityGiB?: number;
}

/** An item of the output `promotedVolumes`: a target that was unlinked and kept, and is a volume now. */
export interface PromotedVolume {
  id: string;
  name: string;
  wwn?: string;
}

/** An item of the output `batches`: what one request has linked, recorded when the request had ended. */
export interface Batch {
  batch: number;
  /**
   * How many targets belong together: one, or one for each volume that the consistency group had then. Early builds
   * recorded no number.
   */
  parts?: number;
  /** The targets that still exist. */
  targetIds: readonly string[];
}

export interface Member extends NameParts {
  row: LinkedTarget;
  /** Absent while the target is provisioned, if its provisioning has failed, and if its session is gone. */
  session?: SnapshotSession;
}

/** Targets that are linked, unlinked and relinked together: one, or one for each volume of the consistency group. */
export type SessionGroup = readonly Member[];

export interface TargetSetState {
  id: string;
  members: readonly Member[];
  groups: readonly SessionGroup[];
  /** Groups with fewer parts than recorded. They are no copy of the consistency group, so they don't count. */
  broken: readonly SessionGroup[];
  /** Groups that are smaller than others of their batch, if no size was recorded. */
  uncertain: readonly SessionGroup[];
  /** Members without a session. */
  unlinked: readonly Member[];
  /** Targets that have a name of the set and were not made for it. */
  foreign: readonly LinkedTarget[];
  batches: readonly Batch[];
  sessions: ReadonlyMap<string, SnapshotSession>;
  /** The volume or consistency group that the targets are copies of. */
  source?: string;
  promoted: readonly PromotedVolume[];
  /** A session that the set should move to, and that has another source. */
  incompatibleSession?: string;
}

const MAX_BATCH = 999;

/**
 * A batch number that no visible target of the set has had. It keeps names apart, because ViPR's own numbers begin at 1 in
 * each request (docs/wire/vipr.md#s0-5).
 */
export function nextBatch({ batches, members, foreign, promoted }: TargetSetState): number {
  const used = new Set([
    ...batches.map(({ batch }) => batch),
    ...members.map(({ batch }) => batch),
    ...[...foreign, ...promoted].flatMap(({ name }) => parseName(name)?.batch ?? []),
  ]);
  const next = Math.max(0, ...used) + 1;
  if (next <= MAX_BATCH) return next;
  const free = Array.from({ length: MAX_BATCH }, (_, index) => index + 1).find((batch) => !used.has(batch));
  return free ?? next;
}

export interface FetchOptions {
  signal?: AbortSignal | undefined;
  /** Sessions that may have targets of the set, besides those that the state names. */
  sessions?: readonly string[];
  /** The link request that this run has sent. */
  linked?: LinkRequest | undefined;
}

/** The targets of one request have the names `<id>g<batch>-1` to `<id>g<batch>-<count>`. */
export type LinkRequest = Readonly<Record<"batch" | "count", number>>;

/** The link request of an accepted task. */
export function linkedBy({ kind, batch, count }: Task): LinkRequest | undefined {
  return kind === "link" && typeof batch === "number" && typeof count === "number" ? { batch, count } : undefined;
}

/**
 * Fetches a set with all its targets. `known` is the state or the inputs. A recorded target that the search by name leaves
 * out is fetched by its id: a search leaves out what the user may not see, and that must not seem to be gone.
 */
export async function fetchSet(
  controller: ViprContext,
  id: string,
  known: State,
  { signal, sessions: others = [], linked }: FetchOptions = {},
): Promise<TargetSetState> {
  const { client } = controller;
  const rows = await rowsOfSet(controller, id, known, signal);
  const active = rows.filter(({ row }) => !row.inactive);

  const sessions = new Map<string, SnapshotSession>();
  const wanted = asText(known.snapshotSessionId);
  const recordedSessions = asList<TargetOutput>(known.targets).map(({ snapshotSessionId }) => snapshotSessionId);
  const likely = [wanted, ...recordedSessions, ...others].filter(isText);
  if (active.length > 0) await addSessions(controller, sessions, likely, signal);
  const home = sessions.get(wanted ?? "") ?? [...sessions.values()][0];
  const source = asText(known.sourceId) ?? (home && sourceOf(home)) ?? sourceOfTargets(active);

  const pending = (known.pending as Pending | undefined)?.task;
  const asked = linked ?? (pending && linkedBy(pending));
  const promoted = await promotedOf(controller, id, known, active, signal);
  const used = new Set([...rows, ...promoted.flatMap(({ name }) => parseName(name) ?? [])].map(({ batch }) => batch));
  const isOurs = membership(known, source, asked, used);
  const members = active.filter(isOurs).sort(compareParts);
  assignSessions(members, sessions);
  if (members.some(({ session }) => !session) && source !== undefined) {
    // Somebody may have relinked a target to a session that the state does not name.
    const all = (await orUndefined(client.listSessions(source, signal))) ?? [];
    await addSessions(controller, sessions, all, signal);
    assignSessions(members, sessions);
  }

  const batches = batchesOf(known, members, rows.filter(isOurs), asked?.batch);
  const linkedTo = members.find(({ session }) => session)?.session;
  const named = sessions.get(wanted ?? "");
  const isIncompatible = linkedTo && named && !isOfSameSource(linkedTo, named);
  const incompatible = isIncompatible ? named.id : asText(known.unfitSessionId);
  return {
    id,
    members,
    ...groupsOf(members, batches),
    unlinked: members.filter(({ session }) => !session),
    foreign: active.filter((one) => !isOurs(one)).map(({ row }) => row),
    batches,
    sessions,
    ...(source === undefined ? {} : { source }),
    promoted,
    ...(incompatible === undefined ? {} : { incompatibleSession: incompatible }),
  };
}

/** Ids of the set's targets in the state. */
export function recordedIds(known: State): string[] {
  const inBatches = asList<Batch>(known.batches).flatMap(({ targetIds }) => targetIds);
  return [...new Set([...inBatches, ...asList<TargetOutput>(known.targets).map(({ id }) => id)])].filter(isText);
}

/** Targets that have a name of the set, and targets that the state names, inactive ones included. */
async function rowsOfSet(
  controller: ViprContext,
  id: string,
  known: State,
  signal: AbortSignal | undefined,
): Promise<Member[]> {
  const { client } = controller;
  const recorded = recordedIds(known);
  // A state knows its imported targets by their ids. `get` knows nothing.
  const isGet = known.snapshotSessionId === undefined;
  const tagged = isGet ? await fetchTagged(controller, `${id}g`, signal) : [];
  const rows = [...(await fetchNamed(controller, id, signal)), ...tagged.filter((row) => isNamedIn(row, id))];
  const found = new Map(rows.map((row) => [row.id, row]));
  const missing = () => recorded.filter((target) => !found.has(target));
  if (missing().length > 1) for (const row of await controller.fetchTargets(missing(), signal)) found.set(row.id, row);
  // A bulk request leaves out what the user may not see. A request for a single target is refused instead.
  const shown = await Promise.all(missing().map((target) => orUndefined(client.showTarget(target, signal))));
  for (const row of shown) if (row) found.set(row.id, row);
  return [...found.values()].flatMap((row) => {
    const place = placeOf(row, id, recorded.includes(row.id) ? known : {});
    return place === undefined ? [] : [{ row, ...place }];
  });
}

/**
 * A target's place in the set, by its name. An imported target may lack its tag (a policy forbids it), and then only the
 * state has its place.
 */
function placeOf(row: LinkedTarget, id: string, recordedIn: State): NameParts | undefined {
  const batches = asList<Batch>(recordedIn.batches);
  const batch = batches.find(({ targetIds }) => targetIds.includes(row.id))?.batch;
  const names = batch === undefined ? [nameInSet(row)] : [nameInSet(row), row.name];
  for (const name of names) {
    const parsed = parseName(name);
    if (parsed?.id === id) return { batch: parsed.batch, index: parsed.index, part: parsed.part };
  }
  return batch === undefined ? undefined : { batch, index: 1, part: row.name };
}

function isNamedIn(row: LinkedTarget, id: string): boolean {
  return parseName(nameInSet(row))?.id === id;
}

/** Targets that have a name of the set, inactive ones included. */
export async function fetchNamed(controller: ViprContext, id: string, signal?: AbortSignal): Promise<LinkedTarget[]> {
  const found = await controller.client.searchTargets(`${id}g`, signal);
  const rows = await fetchTargets(controller, found, (name) => parseName(name)?.id === id, signal);
  // An imported target belongs to the set in its tag, whatever its name is.
  return rows.filter((row) => isNamedIn(row, id));
}

/** The imported targets whose names in their sets begin with this. */
export async function fetchTagged(
  { client }: ViprContext,
  name: string,
  signal?: AbortSignal,
): Promise<LinkedTarget[]> {
  const found = await client.searchTargetsByTag(`${NAME_TAG}${name}`, signal);
  return found.length === 0 ? [] : client.bulkTargets([...new Set(found.map(({ id }) => id))], signal);
}

/** The targets of a search whose names are wanted. */
export async function fetchTargets(
  controller: ViprContext,
  found: readonly Found[],
  isWanted: (name: string) => boolean,
  signal?: AbortSignal,
): Promise<LinkedTarget[]> {
  const ids = found.filter(({ match }) => match === undefined || isWanted(match)).map(({ id }) => id);
  const rows = await controller.fetchTargets(ids, signal);
  return rows.filter(({ name }) => isWanted(name));
}

/**
 * Decides which targets with a name of the set belong to it: those that the state records by their ids, those of the request
 * in `linked`, and those of batches that a killed run can have linked since: `nextBatch` numbers a request by what was visible.
 */
function membership(
  known: State,
  source: string | undefined,
  linked: LinkRequest | undefined,
  /** The batches of all names of the set that ViPR shows. */
  used: ReadonlySet<number>,
): (one: Member) => boolean {
  const recorded = asList<Batch>(known.batches);
  const hasBatches = Array.isArray(known.batches);
  const ids = new Set(recordedIds(known));
  const last = hasBatches ? Math.max(0, ...recorded.map(({ batch }) => batch)) : lastRecordedBatch(known);
  const canBeNext = (batch: number) => last === 0 || batch === last + 1 || used.has(batch - 1);
  return (one) => {
    // Early builds, which recorded no batches, recorded every target with a name of the set.
    if (ids.has(one.row.id)) return hasBatches || fitsSource(one, source);
    const isRequested =
      one.batch === linked?.batch ? one.index <= linked.count : one.batch > last && canBeNext(one.batch);
    return isRequested && fitsSource(one, source);
  };
}

function lastRecordedBatch(known: State): number {
  const all = [...asList<TargetOutput>(known.targets), ...asList<PromotedVolume>(known.promotedVolumes)];
  return Math.max(0, ...all.map(({ name }) => parseName(name ?? "")?.batch ?? 0));
}

/**
 * ViPR adds a part to the name only if the session is of a consistency group. The label that the targets of a group share
 * does not have the part (docs/wire/vipr.md#names).
 */
function fitsSource({ row, part }: Member, source: string | undefined): boolean {
  if (source === undefined) return true;
  if (!isConsistencyGroup(source)) return part === "" && (!row.parent || row.parent.id === source);
  const isOwnLabel = row.snapset_label === row.name.replace(/[^a-zA-Z0-9_#@+-]/g, "");
  if (/^\d+$/.test(part) && isOwnLabel) return false;
  return !row.consistency_group || row.consistency_group.id === source;
}

/** The recorded batches without the targets that are gone, and records of the batches that are seen for the first time. */
function batchesOf(known: State, members: readonly Member[], all: readonly Member[], requested = 0): Batch[] {
  const recorded = asList<Batch>(known.batches);
  const lastOfOldBuild = Array.isArray(known.batches) ? 0 : lastRecordedBatch(known);
  // Keep the last batch even if all its targets have failed, so that its number is not used again: ViPR shows its targets
  // as inactive for a while.
  const last = Math.max(requested, lastOfOldBuild, ...[...recorded, ...all].map(({ batch }) => batch));
  const numbers = new Set([...members.map(({ batch }) => batch), ...(last > 0 ? [last] : [])]);
  return [...numbers]
    .sort((a, b) => a - b)
    .map((batch) => {
      const targetIds = members.filter((member) => member.batch === batch).map(({ row }) => row.id);
      const earlier = recorded.find((one) => one.batch === batch);
      if (earlier) return { batch, ...partsOf(earlier.parts), targetIds };
      const inBatch = all.filter((member) => member.batch === batch);
      const parts = batch <= lastOfOldBuild ? recordedSize(known, batch) : largestGroup(inBatch);
      return { batch, ...partsOf(parts), targetIds };
    });
}

function partsOf(parts: number | undefined): { parts?: number } {
  return parts === undefined || !Number.isFinite(parts) ? {} : { parts };
}

/**
 * ViPR makes all targets of a request before it answers, and shows the failed ones as inactive (docs/wire/vipr.md#s4), so
 * the largest group is complete.
 */
function largestGroup(members: readonly Member[]): number {
  // A name may exist twice: of a request that ViPR did not carry out, and of the same request when it was sent again.
  const sizes = groupsByIndex(members).map((group) => new Set(group.map(({ part }) => part)).size);
  return Math.max(...sizes);
}

/** How many targets belong together in a state of an early build, if all groups have the same size. */
function recordedSize({ targets, sourceId }: State, batch: number): number | undefined {
  const isOfGroup = isConsistencyGroup(asText(sourceId) ?? "");
  const recorded = asList<TargetOutput>(targets)
    .map(({ name }) => parseName(name ?? ""))
    .filter((parsed) => parsed?.batch === batch && (isOfGroup || parsed.part === ""));
  const sizes = new Map<number, number>();
  for (const parsed of recorded) if (parsed) sizes.set(parsed.index, (sizes.get(parsed.index) ?? 0) + 1);
  const [size, ...others] = new Set(sizes.values());
  return others.length === 0 ? size : undefined;
}

function groupsByIndex(members: readonly Member[]): Member[][] {
  const groups = new Map<string, Member[]>();
  for (const member of members) {
    const key = `${member.batch}-${member.index}`;
    groups.set(key, [...(groups.get(key) ?? []), member]);
  }
  return [...groups.values()];
}

/** A group is whole if it has as many linked parts as were recorded when it was linked. */
function groupsOf(
  members: readonly Member[],
  batches: readonly Batch[],
): Pick<TargetSetState, "groups" | "broken" | "uncertain"> {
  const linked = groupsByIndex(members.filter(({ session }) => session));
  const sizes = new Map(batches.map(({ batch, parts }) => [batch, parts]));
  const sizeOf = (group: SessionGroup): number | undefined => sizes.get(group[0]?.batch ?? 0);
  const largest = (batch: number | undefined) =>
    Math.max(...linked.filter((group) => group[0]?.batch === batch).map(({ length }) => length));
  const isWhole = (group: SessionGroup) => group.length >= (sizeOf(group) ?? largest(group[0]?.batch));
  return {
    groups: linked.filter(isWhole),
    broken: linked.filter((group) => !isWhole(group) && sizeOf(group) !== undefined),
    uncertain: linked.filter((group) => !isWhole(group) && sizeOf(group) === undefined),
  };
}

export function isProvisioned({ wwn, native_id }: LinkedTarget): boolean {
  return Boolean(wwn || native_id);
}

/** The targets that the next update removes: those of broken groups, and those that were never provisioned. */
export function remainsOf({ broken, unlinked }: TargetSetState): Member[] {
  return [...broken.flat(), ...unlinked.filter(({ row }) => !isProvisioned(row))];
}

/** Targets that exist on the array and have no session: somebody has deleted the session under them. */
export function unlinkedTargetsOf({ unlinked }: TargetSetState): Member[] {
  return unlinked.filter(({ row }) => isProvisioned(row));
}

export function observedOf(set: TargetSetState, known: State): Observed {
  const linked = set.members.flatMap((member) => (member.session ? [{ ...member, session: member.session }] : []));
  const wanted = asText(known.snapshotSessionId);
  const elsewhere = linked.find(({ session }) => session.id !== wanted)?.session.id;
  const unlinked = unlinkedTargetsOf(set);
  return {
    state: {
      targetName: parseSetId(set.id)?.targetName,
      // If one target is linked to another session, the preview must show that as a difference.
      snapshotSessionId: elsewhere ?? wanted,
      count: set.groups.length,
      targets: linked.map(asOutput),
      promotedVolumes: [...set.promoted],
      sourceId: set.source,
      // The triggers of the last refresh that ended well. If the program has others, the preview shows a difference.
      ...(known.refreshedBy === undefined ? {} : { refreshTriggers: nonEmpty(known.refreshedBy) }),
      refreshedBy: known.refreshedBy,
      unfitSessionId: set.incompatibleSession,
      batches: [...set.batches],
      remains: remainsOf(set).map(({ row }) => row.id),
      unlinkedTargets: unlinked.map(({ row: { id, name } }) => ({ id, name })),
    },
  };
}

/** True if both are of one volume, or of one consistency group and one replication group (docs/wire/vipr.md#refresh). */
export function isOfSameSource(a: SnapshotSession, b: SnapshotSession): boolean {
  return sourceOf(a) === sourceOf(b) && (a.replication_group_instance ?? "") === (b.replication_group_instance ?? "");
}

/**
 * What the targets are copies of, if the session is gone and the state does not know its source yet. Only a target of a
 * consistency group's session has a part in its name (docs/wire/vipr.md#names).
 */
function sourceOfTargets(targets: readonly Member[]): string | undefined {
  const ofGroup = targets.find(({ row, part }) => part !== "" && row.consistency_group);
  return ofGroup?.row.consistency_group?.id ?? targets[0]?.row.parent?.id;
}

export function sourceOf({ parent, consistency_group }: SnapshotSession): string | undefined {
  return consistency_group?.id ?? parent?.id;
}

async function addSessions(
  controller: ViprContext,
  to: Map<string, SnapshotSession>,
  ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const missing = ids.filter((id) => !to.has(id));
  for (const session of await controller.fetchSessions(missing, signal)) to.set(session.id, session);
}

/**
 * A target is linked to a session that names it in `linked_targets`. That list may also name targets that do not exist any
 * more (docs/wire/vipr.md#s0-11).
 */
function assignSessions(members: readonly Member[], sessions: ReadonlyMap<string, SnapshotSession>): void {
  for (const session of sessions.values()) {
    if (session.inactive) continue;
    const ids = new Set(session.linked_targets.map(({ id }) => id));
    for (const member of members) if (ids.has(member.row.id)) member.session = session;
  }
}

/**
 * A volume with the name of a target of the set was that target: ViPR gives the volume the target's name
 * (docs/wire/vipr.md#what-unlink-does).
 */
async function promotedOf(
  { client }: ViprContext,
  id: string,
  known: State,
  active: readonly Member[],
  signal: AbortSignal | undefined,
): Promise<PromotedVolume[]> {
  const recorded = asList<PromotedVolume>(known.promotedVolumes).map((volume) => volume.id);
  if (recorded.length === 0 && known.deleteTargetsOnUnlink !== false) return [];
  const ids = [...recorded, ...(await client.searchVolumes({ name: `${id}g` }, signal))];
  // An imported target has a name of its own, and only its WWN leads to its volume (docs/wire/vipr.md#s0-14).
  const gone = asList<TargetOutput>(known.targets).filter(
    (target) => parseName(target.name)?.id !== id && !active.some(({ row }) => row.id === target.id),
  );
  for (const { wwn } of gone) if (wwn) ids.push(...(await client.searchVolumes({ wwn }, signal)));
  const wasGone = (volume: Volume) => gone.some(({ name, wwn }) => wwn === volume.wwn && name === volume.name);
  const rows = ids.length === 0 ? [] : await client.bulkVolumes([...new Set(ids)], signal);
  return rows
    .filter((row) => !row.inactive && (recorded.includes(row.id) || parseName(row.name)?.id === id || wasGone(row)))
    .map(promotedFrom)
    .sort((a, b) => compareNames(a.name, b.name));
}

export function promotedFrom({ id, name, wwn }: Volume): PromotedVolume {
  return { id, name, ...(wwn ? { wwn } : {}) };
}

function asOutput({ row, session }: Member & { session: SnapshotSession }): TargetOutput {
  const capacity = Number(row.provisioned_capacity_gb ?? "");
  return {
    id: row.id,
    name: row.name,
    ...(row.wwn ? { wwn: row.wwn } : {}),
    ...(row.native_id ? { nativeId: row.native_id } : {}),
    snapshotSessionId: session.id,
    ...(row.parent ? { sourceVolumeId: row.parent.id } : {}),
    ...(capacity > 0 ? { capacityGiB: capacity } : {}),
  };
}

function nonEmpty(value: unknown): unknown {
  return Array.isArray(value) && value.length === 0 ? undefined : value;
}

export function asList<T>(value: unknown): readonly T[] {
  return Array.isArray(value) ? (value as T[]) : [];
}

export function asText(value: unknown): string | undefined {
  return isText(value) ? value : undefined;
}

export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
