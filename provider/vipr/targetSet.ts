// What of ViPR's linked targets makes up one set, told by their names: ViPR's tasks never name the targets that they have
// made (reference vipr.md §0.4), and a name is all that a target can be given when it is made.

import { randomBytes } from "node:crypto";
import type { Marker, Observed, State } from "../core/definition";
import type { LinkedTarget, SnapshotSession, Volume } from "./client";
import { type Controller, orMissing } from "./controller";

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

export interface Member {
  row: LinkedTarget;
  /** How many times targets had been linked for this set, this time included. */
  batch: number;
  /** ViPR's own number within the batch, from 1. */
  index: number;
  /** In a consistency group: which of its volumes. */
  part: string;
  /** undefined: not linked, because it is being provisioned, or because it never was. */
  session?: SnapshotSession;
}

/** What is linked, unlinked and relinked as a whole: one target, or one for each volume of the consistency group. */
export type Group = readonly Member[];

export interface View {
  id: string;
  members: readonly Member[];
  groups: readonly Group[];
  /** Groups of which a part is missing: no copy of the consistency group, so they don't count. */
  broken: readonly Group[];
  loose: readonly Member[];
  sessions: ReadonlyMap<string, SnapshotSession>;
  /** The volume or consistency group that the linked ones are copies of. */
  source?: string;
  promoted: readonly PromotedVolume[];
  /** A session that the set was to move to and can't. */
  unfit?: string;
}

// --- names: <targetName>-<mark>g<batch>-<index>[-<part>]; the last two are ViPR's (§4, "Names")

export const MARK_LENGTHS = { owner: 8, inputs: 4 };
const RANDOM_LENGTH = 6;
const ID = /^(.+)-([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{6})$/s;
const NAME = /^(.+-[0-9a-f]{18})g(\d+)-(\d+)(?:-(.+))?$/s;
/** ViPR refuses more (§3, "Validation of link-targets"), after it has made what comes before (§0.6). */
const NAME_MOST = 63;
/** `-`, mark, `g`, three digits, `-`, four digits. */
const SUFFIX_MOST = 28;
export const TARGET_NAME_MOST = NAME_MOST - SUFFIX_MOST;
const BATCHES_MOST = 999;

/** The id of a new set: what its targets' names begin with. */
export function newId(targetName: string, { owner, inputs }: Marker): string {
  const random = randomBytes(RANDOM_LENGTH).toString("hex").slice(0, RANDOM_LENGTH);
  return `${placeOf(targetName, owner)}${inputs}${random}`;
}

/** What the names of all sets of this owner begin with. */
export function placeOf(targetName: string, owner: string): string {
  // Without an owner (a program of another kind) nothing is ever adopted.
  return `${targetName}-${owner === "" ? "0".repeat(MARK_LENGTHS.owner) : owner}`;
}

export function markOf(id: string): { targetName: string; owner: string; inputs: string } | undefined {
  const [, targetName, owner, inputs] = ID.exec(id) ?? [];
  return targetName === undefined || owner === undefined || inputs === undefined
    ? undefined
    : { targetName, owner, inputs };
}

/** A name that no target of the set has had, as far as can be seen: ViPR's numbers begin at 1 in every call (§0.5). */
export function nextBatch(view: View): string {
  const used = new Set([
    ...view.members.map(({ batch }) => batch),
    ...view.promoted.flatMap(({ name }) => parseName(name)?.batch ?? []),
  ]);
  let batch = Math.max(0, ...used) + 1;
  for (let free = 1; batch > BATCHES_MOST; free += 1) if (!used.has(free)) batch = free;
  return `${view.id}g${batch}`;
}

function parseName(name: string): { id: string; batch: number; index: number; part: string } | undefined {
  const [, id, batch, index, part = ""] = NAME.exec(name) ?? [];
  return id === undefined ? undefined : { id, batch: Number(batch), index: Number(index), part };
}

// --- tags: open is what has no tag

export const SETTLED = "snapclone:settled";
export const ADOPTED = "snapclone:adopted=";

/** One tag is enough: targets that were linked later, or whose tag was lost, belong to a set that is known. */
export function isOpen(members: readonly Member[]): boolean {
  return !members.some(({ row }) => row.tags.includes(SETTLED));
}

function adoptedBy(members: readonly Member[]): string | undefined {
  for (const { row } of members) {
    const tag = row.tags.find((one) => one.startsWith(ADOPTED));
    if (tag !== undefined) return tag.slice(ADOPTED.length);
  }
  return undefined;
}

// --- looking

/** The targets whose names say so, by set. `prefix` may end anywhere in the mark. */
export async function membersByName(
  { client }: Controller,
  prefix: string,
  signal?: AbortSignal,
): Promise<Map<string, Member[]>> {
  const rows = await rowsOf(await client.searchTargets(prefix, signal), (ids) => client.bulkTargets(ids, signal));
  const sets = new Map<string, Member[]>();
  for (const row of rows) {
    const member = asMember(row);
    // The search knows neither case nor what is inactive.
    if (member === undefined || !row.name.startsWith(prefix) || row.inactive) continue;
    sets.set(member.id, [...(sets.get(member.id) ?? []), member]);
  }
  return sets;
}

/**
 * All that there is of a set. `known` is what the state or the inputs say; `others` are sessions that may matter besides
 * those. What is recorded and not found by its name is asked for on its own: a search leaves out what the user may not
 * see, and that must not look as if it were gone.
 */
export async function lookAt(
  controller: Controller,
  id: string,
  known: State,
  signal?: AbortSignal,
  others: readonly string[] = [],
): Promise<View> {
  const { client } = controller;
  const byName = (await membersByName(controller, `${id}g`, signal)).get(id) ?? [];
  const recorded = asList<TargetOutput>(known.targets);
  const members = [...byName];
  for (const { id: target } of recorded) {
    if (byName.some(({ row }) => row.id === target)) continue;
    const row = await orMissing(client.showTarget(target, signal));
    const member = row && !row.inactive ? asMember(row) : undefined;
    if (member?.id === id) members.push(member);
  }
  members.sort(inOrder);

  const sessions = new Map<string, SnapshotSession>();
  const wanted = asText(known.snapshotSessionId);
  const likely = [wanted, ...recorded.map(({ snapshotSessionId }) => snapshotSessionId), ...others].filter(isText);
  if (members.length > 0) await addSessions(controller, sessions, likely, signal);
  link(members, sessions);

  const home = members.find(({ session }) => session)?.session ?? sessions.get(wanted ?? "");
  const source = (home && sourceOf(home)) ?? asText(known.sourceId) ?? members[0]?.row.parent?.id;
  if (members.some(({ session }) => !session) && source !== undefined) {
    // Relinked by hand to a session that we know nothing of.
    const all = (await orMissing(client.listSessions(source, signal))) ?? [];
    await addSessions(controller, sessions, all, signal);
    link(members, sessions);
  }

  const linkedSource = members.find(({ session }) => session)?.session;
  const asked = sessions.get(wanted ?? "");
  const unfit = linkedSource && asked && !isOfSameSource(linkedSource, asked) ? asked.id : asText(known.unfitSessionId);
  return {
    id,
    members,
    ...groupsOf(members),
    loose: members.filter(({ session }) => !session),
    sessions,
    ...(source === undefined ? {} : { source }),
    promoted: await promotedOf(controller, id, known, signal),
    ...(unfit === undefined ? {} : { unfit }),
  };
}

/** The set as outputs; undefined where no target of it is left. */
export function observedOf(view: View, known: State): Observed {
  const linked = view.members.flatMap((member) => (member.session ? [{ ...member, session: member.session }] : []));
  const wanted = asText(known.snapshotSessionId);
  const elsewhere = linked.find(({ session }) => session.id !== wanted)?.session.id;
  const mark = markOf(view.id);
  return {
    state: {
      targetName: mark?.targetName,
      // If only one is somewhere else, that is the difference to show.
      snapshotSessionId: elsewhere ?? wanted,
      count: view.groups.length,
      targets: linked.map(asOutput),
      promotedVolumes: [...view.promoted],
      sourceId: view.source,
      refreshedBy: known.refreshedBy,
      unfitSessionId: view.unfit,
    },
    openOwner: view.members.length > 0 && isOpen(view.members) ? mark?.owner : undefined,
    adoptedBy: adoptedBy(view.members),
  };
}

/** The volume, or the consistency group and the group on the array (§7, "Refresh"). */
export function isOfSameSource(a: SnapshotSession, b: SnapshotSession): boolean {
  return sourceOf(a) === sourceOf(b) && (a.replication_group_instance ?? "") === (b.replication_group_instance ?? "");
}

export function sourceOf({ parent, consistency_group }: SnapshotSession): string | undefined {
  return consistency_group?.id ?? parent?.id;
}

async function addSessions(
  { client }: Controller,
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

/** `linked_targets` may name what is not there any more (§0.11); what is not in it is not linked. */
function link(members: readonly Member[], sessions: ReadonlyMap<string, SnapshotSession>): void {
  for (const session of sessions.values()) {
    if (session.inactive) continue;
    const ids = new Set(session.linked_targets.map(({ id }) => id));
    for (const member of members) if (ids.has(member.row.id)) member.session = session;
  }
}

/** Whole is what has as many parts as any other: ViPR says nowhere how many volumes a session has. */
function groupsOf(members: readonly Member[]): Pick<View, "groups" | "broken"> {
  const sets = new Map<string, Member[]>();
  for (const member of members) {
    const key = `${member.batch}-${member.index}`;
    sets.set(key, [...(sets.get(key) ?? []), member]);
  }
  const size = Math.max(0, ...[...sets.values()].map(({ length }) => length));
  const linked = [...sets.values()]
    .map((set) => set.filter(({ session }) => session))
    .filter(({ length }) => length > 0);
  return {
    groups: linked.filter(({ length }) => length === size),
    broken: linked.filter(({ length }) => length < size),
  };
}

/** Volumes that bear the name of a target of the set were one: ViPR gives them the target's name (§4, "What unlink does"). */
async function promotedOf(
  { client }: Controller,
  id: string,
  known: State,
  signal: AbortSignal | undefined,
): Promise<PromotedVolume[]> {
  const recorded = asList<PromotedVolume>(known.promotedVolumes).map((volume) => volume.id);
  if (recorded.length === 0 && known.deleteTargetsOnUnlink !== false) return [];
  const named = await client.searchVolumes({ name: `${id}g` }, signal);
  const rows = await rowsOf([...new Set([...recorded, ...named])], (ids) => client.bulkVolumes(ids, signal));
  return rows
    .filter(({ id: volume, name, inactive }) => !inactive && (recorded.includes(volume) || parseName(name)?.id === id))
    .map(asPromoted)
    .sort((a, b) => inOrder(a, b));
}

export function asPromoted({ id, name, wwn }: Volume): PromotedVolume {
  return { id, name, ...(wwn ? { wwn } : {}) };
}

function asMember(row: LinkedTarget): (Member & { id: string }) | undefined {
  const parsed = parseName(row.name);
  return parsed && { row, ...parsed };
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

async function rowsOf<Row>(ids: readonly string[], bulk: (ids: readonly string[]) => Promise<Row[]>): Promise<Row[]> {
  return ids.length === 0 ? [] : bulk(ids);
}

/** As they were linked: by batch, by ViPR's number, by the volume's place in its group. */
function inOrder(a: Member | PromotedVolume, b: Member | PromotedVolume): number {
  const [one, other] = [placeIn(a), placeIn(b)];
  return (
    one.batch - other.batch || one.index - other.index || one.part.localeCompare(other.part, "en", { numeric: true })
  );
}

function placeIn(one: Member | PromotedVolume): { batch: number; index: number; part: string } {
  if ("row" in one) return one;
  // A volume that was renamed since goes last.
  return parseName(one.name) ?? { batch: Number.MAX_SAFE_INTEGER, index: 0, part: one.name };
}

export function asList<T>(value: unknown): readonly T[] {
  return Array.isArray(value) ? (value as T[]) : [];
}

export function asText(value: unknown): string | undefined {
  return isText(value) ? value : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
