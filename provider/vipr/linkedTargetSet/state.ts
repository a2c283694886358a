// What of ViPR's linked targets makes up one set. ViPR's tasks never name the targets that they have made (reference
// vipr.md docs/wire/vipr.md#s0-4), and a name is all that a target can be given when it is made. So names tell what a
// request has just linked; from then on the state knows the set's targets by their ids, and how many belong together.

import { createHash, randomBytes } from "node:crypto";
import type { Observed, OwnedObject, OwnershipRecord, Pending, State, Task } from "../../core/definition";
import { type Found, isConsistencyGroup, type LinkedTarget, type SnapshotSession, type Volume } from "../client";
import { orMissing, type ViprContext } from "../context";

/** A target as the outputs show it. */
export interface TargetOutput {
  id: string;
  name: string;
  wwn?: string;
  nativeId?: string;
  /** The session that it is linked to. */
  snapshotSessionId: string;
  /** The volume that it is a copy of. */
  sourceVolumeId?: string;
  capacityGiB?: number;
}

/** A target that was unlinked and kept: a volume now. */
export interface PromotedVolume {
  id: string;
  name: string;
  wwn?: string;
}

/** What one request has linked, noted when it was done. An output. */
export interface Batch {
  batch: number;
  /**
   * How many targets belong together: one, or one for each volume that the consistency group had then. Absent in a set of a
   * build before 0.2, which noted none.
   */
  parts?: number;
  /** Those that are still there. */
  targetIds: readonly string[];
}

export interface Member {
  row: LinkedTarget;
  /** How many times targets had been linked for this set, this time included. */
  batch: number;
  /** ViPR's own number within the batch, from 1. */
  index: number;
  /** In a consistency group: which of its volumes. */
  part: string;
  /** undefined: not linked, because it is being provisioned, or was not, or because its session is gone. */
  session?: SnapshotSession;
}

/** What is linked, unlinked and relinked as a whole: one target, or one for each volume of the consistency group. */
export type SessionGroup = readonly Member[];

export interface TargetSetState {
  id: string;
  members: readonly Member[];
  groups: readonly SessionGroup[];
  /** Groups of which a part is missing that was noted: no copy of the consistency group, so they don't count. */
  broken: readonly SessionGroup[];
  /** Groups smaller than others of their batch, where no size was noted. */
  uncertain: readonly SessionGroup[];
  unlinked: readonly Member[];
  /** They bear a name of the set, and the set has not made them. */
  foreign: readonly LinkedTarget[];
  batches: readonly Batch[];
  sessions: ReadonlyMap<string, SnapshotSession>;
  /** The volume or consistency group that the targets are copies of. */
  source?: string;
  promoted: readonly PromotedVolume[];
  /** A session that the set was to move to and can't. */
  incompatibleSession?: string;
}

// --- names: <targetName>-<record>g<batch>-<index>[-<part>]; the last two are ViPR's (docs/wire/vipr.md#names)

export const RECORD_LENGTHS = { owner: 8, inputs: 4, attempt: 6 };
const ID = /^(.+)-([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{6})$/s;
const NAME = /^(.+-[0-9a-f]{18})g(\d+)-(\d+)(?:-(.+))?$/s;
/**
 * ViPR refuses more (docs/wire/vipr.md#validation-of-link-targets), after it has made what comes before
 * (docs/wire/vipr.md#s0-6).
 */
const NAME_MOST = 63;
/** `-`, record, `g`, three digits, `-`, four digits. */
const SUFFIX_MOST = 28;
export const TARGET_NAME_MOST = NAME_MOST - SUFFIX_MOST;
const BATCHES_MOST = 999;

/** The id of a new set: what its targets' names begin with. */
export function newId(targetName: string, { owner, inputs, attempt = "" }: OwnershipRecord): string {
  // Without an owner (a resource that is only tried out) nothing is ever adopted.
  const who = owner === "" ? "0".repeat(RECORD_LENGTHS.owner) : owner;
  const which = /^[0-9a-f]{6}$/.test(attempt) ? attempt : randomBytes(3).toString("hex");
  return `${targetName}-${who}${inputs}${which}`;
}

function partsOfId(id: string): { targetName: string; owner: string; inputs: string; attempt: string } | undefined {
  const [, targetName, owner, inputs, attempt] = ID.exec(id) ?? [];
  if (targetName === undefined || owner === undefined || inputs === undefined || attempt === undefined)
    return undefined;
  return { targetName, owner, inputs, attempt };
}

/**
 * A number that no target of the set has had, as far as can be seen: ViPR's own begin at 1 in every call
 * (docs/wire/vipr.md#s0-5).
 */
export function nextBatch({ batches, members, foreign, promoted }: TargetSetState): number {
  const used = new Set([
    ...batches.map(({ batch }) => batch),
    ...members.map(({ batch }) => batch),
    ...[...foreign, ...promoted].flatMap(({ name }) => parseName(name)?.batch ?? []),
  ]);
  const next = Math.max(0, ...used) + 1;
  if (next <= BATCHES_MOST) return next;
  const free = Array.from({ length: BATCHES_MOST }, (_, index) => index + 1).find((batch) => !used.has(batch));
  return free ?? next;
}

export function batchName(id: string, batch: number): string {
  return `${id}g${batch}`;
}

function parseName(name: string): { id: string; batch: number; index: number; part: string } | undefined {
  const [, id, batch, index, part = ""] = NAME.exec(name) ?? [];
  return id === undefined ? undefined : { id, batch: Number(batch), index: Number(index), part };
}

// --- the ownership record: in the name, and in tags where it had to be written anew

const TAGS = {
  stack: "snapclone:stack=",
  owner: "snapclone:owner=",
  inputs: "snapclone:inputs=",
  attempt: "snapclone:attempt=",
} as const;
/** Builds before 0.2 adopt what has no such tag. */
const SETTLED = "snapclone:settled";

/** What narrows the list to the sets that may be those of one resource. */
interface Place {
  targetName: string;
  owner: string;
  /** The owner as builds before 0.2 wrote it: a digest of the URN alone. */
  formerOwner: string;
}

export function listScopeOf(targetName: string, owner: string, urn: string): string {
  const formerOwner = createHash("sha256").update(urn).digest("hex").slice(0, RECORD_LENGTHS.owner);
  return JSON.stringify({ targetName, owner, formerOwner } satisfies Place);
}

/** Every set whose name or tags say that it is of this stack, and the sets of earlier builds that have the URN's mark. */
export async function listSets(controller: ViprContext, stack: string, place: string): Promise<OwnedObject[]> {
  const wanted = JSON.parse(place) as Place;
  const prefix = `${wanted.targetName}-`;
  const { latestSearch } = controller;
  controller.latestSearch = undefined;
  const found = latestSearch?.prefix === prefix ? latestSearch.found : await controller.client.searchTargets(prefix);
  const rows = await rowsOf(
    controller,
    found.filter(({ id }) => !controller.unlinked.has(id)),
    (name) => partsOfId(parseName(name)?.id ?? "")?.targetName === wanted.targetName,
  );
  const sets = new Map<string, LinkedTarget[]>();
  for (const row of rows) {
    const id = parseName(row.name)?.id ?? "";
    if (!row.inactive) sets.set(id, [...(sets.get(id) ?? []), row]);
  }
  for (const id of sets.keys()) controller.seen.add(id);
  return [...sets].flatMap(([id, members]) => ownedObject(id, members, stack, wanted) ?? []);
}

/** After a delete: ids of all targets that bear the set's names. */
export async function searchSet(controller: ViprContext, id: string, signal: AbortSignal): Promise<string[]> {
  const prefix = `${partsOfId(id)?.targetName ?? id}-`;
  const found = await controller.client.searchTargets(prefix, signal);
  controller.latestSearch = { prefix, found };
  return found.filter(({ match }) => match === undefined || match.startsWith(`${id}g`)).map((one) => one.id);
}

function ownedObject(
  id: string,
  members: readonly LinkedTarget[],
  stack: string,
  place: Place,
): OwnedObject | undefined {
  const named = partsOfId(id);
  if (named === undefined) return undefined;
  const made = Math.min(...members.map(({ creation_time }) => creation_time ?? Number.NaN));
  const object = {
    id,
    task: {},
    inputs: named.inputs,
    createdAt: Number.isNaN(made) ? undefined : new Date(made).toISOString(),
    state: { targetName: named.targetName },
  };
  const tagged = recordInTags(members, named.inputs);
  if (tagged) return { ...object, ...tagged };
  if (named.owner === place.owner) return { ...object, stack, owner: named.owner, attempt: named.attempt };
  if (named.owner !== place.formerOwner) return undefined;
  const isSettled = members.some(({ tags }) => tags.includes(SETTLED));
  return { ...object, owner: place.owner, phase: isSettled ? "settled" : "open" };
}

/** One target's tags are enough: whoever was interrupted has tagged the first ones. */
function recordInTags(members: readonly LinkedTarget[], inputs: string): OwnershipRecord | undefined {
  const inOrder = [...members].sort((a, b) => compareNames(a.name, b.name));
  for (const { tags } of inOrder) {
    const value = (prefix: string) => tags.find((tag) => tag.startsWith(prefix))?.slice(prefix.length);
    const owner = value(TAGS.owner);
    if (owner === undefined) continue;
    const attempt = value(TAGS.attempt);
    return {
      stack: value(TAGS.stack) ?? "",
      owner,
      inputs: value(TAGS.inputs) ?? inputs,
      ...(attempt === undefined ? {} : { attempt }),
    };
  }
  return undefined;
}

/** Names can't change in ViPR: the record goes into tags, which survive a relink (docs/wire/vipr.md#related). */
export async function writeRecord(
  controller: ViprContext,
  id: string,
  { stack, owner, inputs, attempt }: OwnershipRecord,
  known: State,
): Promise<void> {
  const recorded = new Set(recordedIds(known));
  const rows = await rowsNamed(controller, `${id}g`, (name) => parseName(name)?.id === id);
  const members = rows
    .filter((row) => !row.inactive && (recorded.size === 0 || recorded.has(row.id)))
    .sort((a, b) => compareNames(a.name, b.name));
  const add = [
    `${TAGS.stack}${stack}`,
    `${TAGS.owner}${owner}`,
    `${TAGS.inputs}${inputs}`,
    ...(attempt === undefined ? [] : [`${TAGS.attempt}${attempt}`]),
    SETTLED,
  ];
  const tag = async (row: LinkedTarget) => {
    const remove = row.tags.filter((old) => !add.includes(old) && /^snapclone:\w+=/.test(old));
    // One that has just gone is for the next look to see.
    await orMissing(controller.client.tagTarget(row.id, { add, ...(remove.length === 0 ? {} : { remove }) }));
  };
  const [first, ...rest] = members;
  // One is enough, so that one is there for certain before the others are under way.
  if (first) await tag(first);
  await Promise.all(rest.map(tag));
}

// --- looking

export interface Look {
  signal?: AbortSignal | undefined;
  /** Sessions that may matter besides those that the state names. */
  sessions?: readonly string[];
  /** What was just linked, or is being linked. */
  linked?: LinkRequest | undefined;
}

/** One request's targets are called `<id>g<batch>-1` to `<id>g<batch>-<count>`. */
export type LinkRequest = Readonly<Record<"batch" | "count", number>>;

/** What a link that was accepted has asked for. */
export function linkedBy({ kind, batch, count }: Task): LinkRequest | undefined {
  return kind === "link" && typeof batch === "number" && typeof count === "number" ? { batch, count } : undefined;
}

/**
 * All that there is of a set. `known` is what the state or the inputs say. What is recorded and not found by its name is
 * asked for by its id: a search leaves out what the user may not see, and that must not look as if it were gone.
 */
export async function lookAt(
  controller: ViprContext,
  id: string,
  known: State,
  { signal, sessions: others = [], linked }: Look = {},
): Promise<TargetSetState> {
  const { client } = controller;
  const rows = await rowsOfSet(controller, id, recordedIds(known), signal);
  const active = rows.filter(({ row }) => !row.inactive);

  const sessions = new Map<string, SnapshotSession>();
  const wanted = asText(known.snapshotSessionId);
  const recordedSessions = asList<TargetOutput>(known.targets).map(({ snapshotSessionId }) => snapshotSessionId);
  const likely = [wanted, ...recordedSessions, ...others].filter(isText);
  if (active.length > 0) await addSessions(controller, sessions, likely, signal);
  const home = sessions.get(wanted ?? "") ?? [...sessions.values()][0];
  const source = asText(known.sourceId) ?? (home && sourceOf(home)) ?? active[0]?.row.parent?.id;

  const pending = (known.pending as Pending | undefined)?.task;
  const asked = linked ?? (pending && linkedBy(pending));
  const isOurs = membership(known, source, asked);
  const members = active.filter(isOurs).sort(inOrder);
  link(members, sessions);
  if (members.some(({ session }) => !session) && source !== undefined) {
    // Relinked by hand to a session that we know nothing of.
    const all = (await orMissing(client.listSessions(source, signal))) ?? [];
    await addSessions(controller, sessions, all, signal);
    link(members, sessions);
  }

  const batches = notedBatches(known, members, rows.filter(isOurs), asked?.batch);
  const linkedTo = members.find(({ session }) => session)?.session;
  const named = sessions.get(wanted ?? "");
  const isUnfit = linkedTo && named && !isOfSameSource(linkedTo, named);
  const incompatible = isUnfit ? named.id : asText(known.unfitSessionId);
  return {
    id,
    members,
    ...groupsOf(members, batches),
    unlinked: members.filter(({ session }) => !session),
    foreign: active.filter((one) => !isOurs(one)).map(({ row }) => row),
    batches,
    sessions,
    ...(source === undefined ? {} : { source }),
    promoted: await promotedOf(controller, id, known, signal),
    ...(incompatible === undefined ? {} : { incompatibleSession: incompatible }),
  };
}

/** Ids of the targets that the state knows as the set's. */
export function recordedIds(known: State): string[] {
  const noted = asList<Batch>(known.batches).flatMap(({ targetIds }) => targetIds);
  return [...new Set([...noted, ...asList<TargetOutput>(known.targets).map(({ id }) => id)])].filter(isText);
}

/** Targets that bear the set's names, and those that the state knows, inactive ones included. */
async function rowsOfSet(
  controller: ViprContext,
  id: string,
  recorded: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Member[]> {
  const { client } = controller;
  const rows = await rowsNamed(controller, `${id}g`, (name) => parseName(name)?.id === id, signal);
  const found = new Map(rows.map((row) => [row.id, row]));
  const missing = () => recorded.filter((target) => !found.has(target));
  if (missing().length > 1) for (const row of await client.bulkTargets(missing(), signal)) found.set(row.id, row);
  // A bulk request leaves out what the user may not see: one by one, ViPR says which it is.
  const shown = await Promise.all(missing().map((target) => orMissing(client.showTarget(target, signal))));
  for (const row of shown) if (row) found.set(row.id, row);
  return [...found.values()].flatMap((row) => {
    const parsed = parseName(row.name);
    return parsed?.id === id ? [{ row, batch: parsed.batch, index: parsed.index, part: parsed.part }] : [];
  });
}

/** Targets whose names begin so, inactive ones included. */
async function rowsNamed(
  controller: ViprContext,
  prefix: string,
  isWanted: (name: string) => boolean,
  signal?: AbortSignal,
): Promise<LinkedTarget[]> {
  return rowsOf(controller, await controller.client.searchTargets(prefix, signal), isWanted, signal);
}

async function rowsOf(
  { client }: ViprContext,
  found: readonly Found[],
  isWanted: (name: string) => boolean,
  signal?: AbortSignal,
): Promise<LinkedTarget[]> {
  const ids = found.filter(({ match }) => match === undefined || isWanted(match)).map(({ id }) => id);
  const rows = ids.length === 0 ? [] : await client.bulkTargets(ids, signal);
  return rows.filter(({ name }) => isWanted(name));
}

/**
 * Which targets that bear the set's names are the set's: those that the state knows by their ids; and, of requests later than
 * the last one that the state knows, those that the request can have made.
 */
function membership(
  known: State,
  source: string | undefined,
  linked: LinkRequest | undefined,
): (one: Member) => boolean {
  const noted = asList<Batch>(known.batches);
  const isNoted = Array.isArray(known.batches);
  const ids = new Set(recordedIds(known));
  const last = isNoted ? Math.max(0, ...noted.map(({ batch }) => batch)) : lastRecordedBatch(known);
  return (one) => {
    // Earlier builds recorded whatever bore the name.
    if (ids.has(one.row.id)) return isNoted || fitsSource(one, source);
    const isAsked = one.batch === linked?.batch ? one.index <= linked.count : one.batch > last;
    return isAsked && fitsSource(one, source);
  };
}

function lastRecordedBatch(known: State): number {
  const all = [...asList<TargetOutput>(known.targets), ...asList<PromotedVolume>(known.promotedVolumes)];
  return Math.max(0, ...all.map(({ name }) => parseName(name ?? "")?.batch ?? 0));
}

/**
 * ViPR adds a part to the name only where the session is of a consistency group, and leaves it out of the label that the
 * targets of one group share (docs/wire/vipr.md#names).
 */
function fitsSource({ row, part }: Member, source: string | undefined): boolean {
  if (source === undefined) return true;
  if (!isConsistencyGroup(source)) return part === "" && (!row.parent || row.parent.id === source);
  const isOwnLabel = row.snapset_label === row.name.replace(/[^a-zA-Z0-9_#@+-]/g, "");
  if (/^\d+$/.test(part) && isOwnLabel) return false;
  return !row.consistency_group || row.consistency_group.id === source;
}

/** What was noted, without what is gone; and the notes for what is seen for the first time. */
function notedBatches(known: State, members: readonly Member[], all: readonly Member[], asked = 0): Batch[] {
  const noted = asList<Batch>(known.batches);
  const ofEarlierBuild = Array.isArray(known.batches) ? 0 : lastRecordedBatch(known);
  // A number whose targets all failed is not given again: ViPR shows them for a while, as inactive.
  const last = Math.max(asked, ofEarlierBuild, ...[...noted, ...all].map(({ batch }) => batch));
  const numbers = new Set([...members.map(({ batch }) => batch), ...(last > 0 ? [last] : [])]);
  return [...numbers]
    .sort((a, b) => a - b)
    .map((batch) => {
      const own = members.filter((member) => member.batch === batch);
      const earlier = noted.find((note) => note.batch === batch);
      const parts =
        earlier !== undefined
          ? earlier.parts
          : batch <= ofEarlierBuild
            ? recordedSize(known, batch)
            : // ViPR makes all targets of a request before it answers, and shows the failed ones as inactive (docs/wire/vipr.md#s4).
              Math.max(...sizesOf(all.filter((member) => member.batch === batch)));
      const size = parts === undefined || !Number.isFinite(parts) ? {} : { parts };
      return { batch, ...size, targetIds: own.map(({ row }) => row.id) };
    });
}

function sizesOf(members: readonly Member[]): number[] {
  // One and the same name may be there twice: of a link that was not carried out, and of the one that was sent again.
  return groupsByIndex(members).map((group) => new Set(group.map(({ part }) => part)).size);
}

/** Of a state of a build before 0.2: how many belong together, if its targets leave no doubt. */
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

/** Whole is what has as many linked parts as were noted when it was linked. */
function groupsOf(
  members: readonly Member[],
  batches: readonly Batch[],
): Pick<TargetSetState, "groups" | "broken" | "uncertain"> {
  const linked = groupsByIndex(members.filter(({ session }) => session));
  const noted = new Map(batches.map(({ batch, parts }) => [batch, parts]));
  const sizeOf = (group: SessionGroup): number | undefined => noted.get(group[0]?.batch ?? 0);
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

/** What the next update takes away: what is left of broken groups, and what was never provisioned. */
export function remainsOf({ broken, unlinked }: TargetSetState): Member[] {
  return [...broken.flat(), ...unlinked.filter(({ row }) => !isProvisioned(row))];
}

/** Targets on the array that no session has: what is left when a session was deleted under them. */
export function straysOf({ unlinked }: TargetSetState): Member[] {
  return unlinked.filter(({ row }) => isProvisioned(row));
}

/** The set as outputs. */
export function observedOf(set: TargetSetState, known: State): Observed {
  const linked = set.members.flatMap((member) => (member.session ? [{ ...member, session: member.session }] : []));
  const wanted = asText(known.snapshotSessionId);
  const elsewhere = linked.find(({ session }) => session.id !== wanted)?.session.id;
  const strays = straysOf(set);
  return {
    state: {
      targetName: partsOfId(set.id)?.targetName,
      // If only one is somewhere else, that is the difference to show.
      snapshotSessionId: elsewhere ?? wanted,
      count: set.groups.length,
      targets: linked.map(asOutput),
      promotedVolumes: [...set.promoted],
      sourceId: set.source,
      // What the targets have last been refreshed by: if that is not what the program says, the difference is there.
      ...(known.refreshedBy === undefined ? {} : { refreshTriggers: nonEmpty(known.refreshedBy) }),
      refreshedBy: known.refreshedBy,
      unfitSessionId: set.incompatibleSession,
      batches: [...set.batches],
      remains: remainsOf(set).map(({ row }) => row.id),
      unlinkedTargets: strays.map(({ row: { id, name } }) => ({ id, name })),
    },
  };
}

/** The volume, or the consistency group and the group on the array (docs/wire/vipr.md#refresh). */
export function isOfSameSource(a: SnapshotSession, b: SnapshotSession): boolean {
  return sourceOf(a) === sourceOf(b) && (a.replication_group_instance ?? "") === (b.replication_group_instance ?? "");
}

export function sourceOf({ parent, consistency_group }: SnapshotSession): string | undefined {
  return consistency_group?.id ?? parent?.id;
}

async function addSessions(
  { client }: ViprContext,
  to: Map<string, SnapshotSession>,
  ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const missing = [...new Set(ids)].filter((id) => !to.has(id));
  const bulk = missing.length > 1 ? await client.bulkSessions(missing, signal) : [];
  for (const session of bulk) to.set(session.id, session);
  // A bulk request leaves out what the user may not see as well: one by one, ViPR says which it is.
  for (const id of missing) {
    if (to.has(id)) continue;
    const session = await orMissing(client.showSession(id, signal));
    if (session) to.set(id, session);
  }
}

/** `linked_targets` may name what is not there any more (docs/wire/vipr.md#s0-11); what is not in it is not linked. */
function link(members: readonly Member[], sessions: ReadonlyMap<string, SnapshotSession>): void {
  for (const session of sessions.values()) {
    if (session.inactive) continue;
    const ids = new Set(session.linked_targets.map(({ id }) => id));
    for (const member of members) if (ids.has(member.row.id)) member.session = session;
  }
}

/**
 * Volumes that bear the name of a target of the set were one: ViPR gives them the target's name
 * (docs/wire/vipr.md#what-unlink-does).
 */
async function promotedOf(
  { client }: ViprContext,
  id: string,
  known: State,
  signal: AbortSignal | undefined,
): Promise<PromotedVolume[]> {
  const recorded = asList<PromotedVolume>(known.promotedVolumes).map((volume) => volume.id);
  if (recorded.length === 0 && known.deleteTargetsOnUnlink !== false) return [];
  const named = await client.searchVolumes({ name: `${id}g` }, signal);
  const ids = [...new Set([...recorded, ...named])];
  const rows = ids.length === 0 ? [] : await client.bulkVolumes(ids, signal);
  return rows
    .filter(({ id: volume, name, inactive }) => !inactive && (recorded.includes(volume) || parseName(name)?.id === id))
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

/** As they were linked: by batch, by ViPR's number, by the volume's place in its group. */
function inOrder(a: Pick<Member, "batch" | "index" | "part">, b: Pick<Member, "batch" | "index" | "part">): number {
  return a.batch - b.batch || a.index - b.index || a.part.localeCompare(b.part, "en", { numeric: true });
}

/** A volume that was renamed since goes last. */
function compareNames(a: string, b: string): number {
  const placeIn = (name: string) => parseName(name) ?? { batch: Number.MAX_SAFE_INTEGER, index: 0, part: name };
  return inOrder(placeIn(a), placeIn(b));
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
