// The ownership record of a set. ViPR stores a name and nothing else when it makes a target, so the record is in the name.
// Names can't change: when the record changes, it is written as tags, which count more than the name.

import { createHash } from "node:crypto";
import { orUndefined } from "../../core/absence";
import type { OwnedObject, OwnershipRecord, RecordSearch, State } from "../../core/definition";
import { shortOwner } from "../../core/ownership";
import type { LinkedTarget } from "../client";
import type { ViprContext } from "../context";
import { batchName, compareNames, NAME_TAG, nameInSet, parseName, parseSetId, RECORD_LENGTHS } from "./names";
import { asList, type Batch, fetchNamed, fetchTagged, fetchTargets, recordedIds } from "./state";

const TAGS = {
  stack: "snapclone:stack=",
  owner: "snapclone:owner=",
  inputs: "snapclone:inputs=",
  attempt: "snapclone:attempt=",
} as const;
/** Overrides the record in a name: nobody owns the target any more. */
export const NOBODY_TAG = TAGS.owner;
/** Early builds adopt every set without this tag. */
const SETTLED_TAG = "snapclone:settled";

/** The targets that may belong to one resource. As JSON text it is the `place` of a ListScope. */
interface Scope {
  targetName: string;
  owner: string;
  /** The owner as early builds wrote it: a digest of the URN alone. */
  formerOwner: string;
}

export function listScopeOf(targetName: string, owner: string, urn: string): string {
  const formerOwner = createHash("sha256").update(urn).digest("hex").slice(0, RECORD_LENGTHS.owner);
  return JSON.stringify({ targetName, owner, formerOwner } satisfies Scope);
}

/** The sets whose names or tags have this stack, and the sets of early builds that have the owner's digest. */
export async function listSets(controller: ViprContext, stack: string, place: string): Promise<OwnedObject[]> {
  const scope = JSON.parse(place) as Scope;
  const sets = await setsNamed(controller, scope.targetName);
  return [...sets].flatMap(([id, members]) => ownedObject(id, members, stack, scope) ?? []);
}

/**
 * The sets of these target names: ViPR lists nothing by a stack. A set without tags has the digest of its owner only, so it
 * is this stack's if one of its URNs has that digest.
 */
export async function listRecorded(
  controller: ViprContext,
  { stack, urns, inputs }: RecordSearch,
): Promise<OwnedObject[]> {
  const names = new Set(inputs.flatMap(({ targetName }) => (typeof targetName === "string" ? [targetName] : [])));
  const owners = new Map(urns.map((urn) => [shortOwner({ recordLengths: RECORD_LENGTHS }, stack, urn), urn]));
  const named = await Promise.all([...names].map((name) => setsNamed(controller, name)));
  const imported = (await fetchTagged(controller, "")).filter(({ inactive }) => !inactive);
  const rows = [...named.flatMap((sets) => [...sets.values()].flat()), ...imported];
  const sets = groupedBySet([...new Map(rows.map((row) => [row.id, row])).values()]);
  return [...sets].flatMap(([id, members]): OwnedObject[] => {
    const set = describeSet(id, members);
    if (set === undefined) return [];
    const { object, named } = set;
    const tagged = recordInTags(members, named.inputs);
    const { owner = named.owner, attempt = named.attempt } = tagged ?? {};
    if (owner === "") return [];
    const urn = owners.get(owner);
    const recordedStack = tagged?.stack || (urn === undefined ? undefined : stack);
    return [{ ...object, owner: urn ?? owner, attempt, stack: recordedStack || undefined }];
  });
}

/** By the set's id: its targets that exist. */
async function setsNamed(controller: ViprContext, targetName: string): Promise<Map<string, LinkedTarget[]>> {
  const prefix = `${targetName}-`;
  const found = controller.latestSearches.get(prefix) ?? (await controller.client.searchTargets(prefix));
  controller.latestSearches.delete(prefix);
  const rows = await fetchTargets(
    controller,
    found.filter(({ id }) => !controller.unlinkedTargets.has(id)),
    (name) => parseSetId(parseName(name)?.id ?? "")?.targetName === targetName,
  );
  // An imported target belongs to the set in its tag, whatever its name is.
  const isNamed = (row: LinkedTarget) => parseSetId(parseName(nameInSet(row))?.id ?? "")?.targetName === targetName;
  const sets = groupedBySet(rows.filter((row) => !row.inactive && isNamed(row)));
  for (const id of sets.keys()) controller.listedSets.add(id);
  return sets;
}

function groupedBySet(rows: readonly LinkedTarget[]): Map<string, LinkedTarget[]> {
  const sets = new Map<string, LinkedTarget[]>();
  for (const row of rows) {
    const id = parseName(nameInSet(row))?.id;
    if (id !== undefined) sets.set(id, [...(sets.get(id) ?? []), row]);
  }
  return sets;
}

/** Ids of all targets that have a name of the set. The list at the end of the run uses the same search. */
export async function searchSet(controller: ViprContext, id: string, signal: AbortSignal): Promise<string[]> {
  const prefix = `${parseSetId(id)?.targetName ?? id}-`;
  const found = await controller.client.searchTargets(prefix, signal);
  controller.latestSearches.set(prefix, found);
  return found.filter(({ match }) => match === undefined || match.startsWith(`${id}g`)).map((one) => one.id);
}

function ownedObject(
  id: string,
  members: readonly LinkedTarget[],
  stack: string,
  scope: Scope,
): OwnedObject | undefined {
  const set = describeSet(id, members);
  if (set === undefined) return undefined;
  const { object, named } = set;
  const tagged = recordInTags(members, named.inputs);
  if (tagged) return { ...object, ...tagged };
  if (named.owner === scope.owner) return { ...object, stack, owner: named.owner, attempt: named.attempt };
  if (named.owner !== scope.formerOwner) return undefined;
  const isSettled = members.some(({ tags }) => tags.includes(SETTLED_TAG));
  return { ...object, owner: scope.owner, phase: isSettled ? "settled" : "open" };
}

function describeSet(id: string, members: readonly LinkedTarget[]) {
  const named = parseSetId(id);
  if (named === undefined) return undefined;
  const made = Math.min(...members.map(({ creation_time }) => creation_time ?? Number.NaN));
  const object = {
    id,
    task: {},
    inputs: named.inputs,
    createdAt: Number.isNaN(made) ? undefined : new Date(made).toISOString(),
    objects: members.map((row) => row.id),
    state: { targetName: named.targetName },
  };
  return { named, object };
}

/** The tags of one target are enough. An interrupted run has tagged the first targets only. */
function recordInTags(members: readonly LinkedTarget[], inputs: string): OwnershipRecord | undefined {
  const inOrder = [...members].sort((a, b) => compareNames(nameInSet(a), nameInSet(b)));
  const record = inOrder.map(recordTagged).find((one) => one !== undefined);
  return record && { ...record, inputs: record.inputs ?? inputs };
}

/** The record in a target's tags. */
export function recordTagged({
  tags,
}: Pick<LinkedTarget, "tags">): (Omit<OwnershipRecord, "inputs"> & { inputs: string | undefined }) | undefined {
  const value = (prefix: string) => tags.find((tag) => tag.startsWith(prefix))?.slice(prefix.length);
  const owner = tags.includes(NOBODY_TAG) ? "" : value(TAGS.owner);
  if (owner === undefined) return undefined;
  if (owner === "") return { stack: "", owner, inputs: undefined };
  const attempt = value(TAGS.attempt);
  return {
    stack: value(TAGS.stack) ?? "",
    owner,
    inputs: value(TAGS.inputs),
    ...(attempt === undefined ? {} : { attempt }),
  };
}

/** Writes the record as tags, which survive a relink (docs/wire/vipr.md#related). */
export async function writeRecord(
  controller: ViprContext,
  id: string,
  { stack, owner, inputs, attempt }: OwnershipRecord,
  known: State,
): Promise<void> {
  const recorded = new Set(recordedIds(known));
  const rows = await fetchNamed(controller, id);
  // Imported targets have other names.
  const others = [...recorded].filter((target) => !rows.some((row) => row.id === target));
  if (others.length > 0) rows.push(...(await controller.client.bulkTargets(others)));
  const members = rows
    .filter((row) => !row.inactive && (recorded.size === 0 || recorded.has(row.id)))
    .sort((a, b) => compareNames(nameInSet(a), nameInSet(b)));
  const record = [
    `${TAGS.stack}${stack}`,
    `${TAGS.owner}${owner}`,
    `${TAGS.inputs}${inputs}`,
    ...(attempt === undefined ? [] : [`${TAGS.attempt}${attempt}`]),
    SETTLED_TAG,
  ];
  const tag = async (row: LinkedTarget) => {
    const add = [...record, ...nameTag(row, id, known)];
    const remove = row.tags.filter((old) => !add.includes(old) && /^snapclone:\w+=/.test(old));
    // A target that has just vanished is no error: the next refresh shows it.
    await orUndefined(controller.client.tagTarget(row.id, { add, ...(remove.length === 0 ? {} : { remove }) }));
  };
  const [first, ...rest] = members;
  // Tag one target before the others, since the tags of one are enough.
  if (first) await tag(first);
  await Promise.all(rest.map(tag));
}

/** For an imported target: the name that the set would have given it, by its place in the state. */
function nameTag(row: LinkedTarget, id: string, known: State): string[] {
  if (parseName(row.name)?.id === id) return [];
  const present = nameInSet(row);
  const batch = asList<Batch>(known.batches).find(({ targetIds }) => targetIds.includes(row.id));
  if (batch === undefined) return parseName(present)?.id === id ? [`${NAME_TAG}${present}`] : [];
  const part = batch.targetIds.length > 1 ? `-${batch.targetIds.indexOf(row.id) + 1}` : "";
  return [`${NAME_TAG}${batchName(id, batch.batch)}-1${part}`];
}
