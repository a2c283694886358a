// How a set of clones is found again. PowerVC lists neither its tasks nor its clones, and takes no word of ours but the
// display name, so there are three places, one for each stage of a set's life (docs/wire/powervc.md#f1, #h):
//
// - The *pending create*: metadata of the first source volume, written before the request and rewritten with the task's id
//   after it. It has the ownership record and its own time, and goes as soon as the clones bear the record.
// - The *name*: the request asks for `snapclone-<24 hex>` as display name, so that every clone bears it whatever the
//   prefix. The name that the program wants comes after that.
// - The *tags*: metadata of each clone, from the moment when PowerVC has told which clone is whose. The ownership record is
//   among them.
//
// Whatever copies a volume may copy its metadata, so each record names the volume that it was written on, and means
// nothing on any other.

import { randomBytes } from "node:crypto";
import type { AnyDefinition, ListScope, OwnedObject, OwnershipRecord, Task } from "../../core/definition";
import { isKind } from "../../core/errors";
import { shortOwner } from "../../core/ownership";
import { type Metadata, type VolumeRow, whatIsMissing } from "../../openstack/cinder";
import type { PowerVcContext } from "../context";

/** A pending create is one value of at most 255 characters, so that it costs one request to write and one to remove. */
export const RECORD_LENGTHS = { owner: 100, inputs: 16, attempt: 16 };
const VALUE_LENGTH = 255;
/** Enough of a UUID to tell one volume from its copies, and one group from the next. */
const SHORT_ID = 8;

const SET_ID = "snapclone-[0-9a-f]{24}";
const NAMED = new RegExp(`^(.*)(${SET_ID})(?:-\\d+)?$`, "s");
/** `intent` is the form of builds before 0.2: several keys, no time. */
const PENDING_CREATE = new RegExp(`^snapclone:(${SET_ID}):(pending|intent)$`);

export const OWNERSHIP_KEYS = {
  stack: "snapclone:stack",
  owner: "snapclone:owner",
  inputs: "snapclone:inputs",
  attempt: "snapclone:attempt",
  /** Of builds before 0.2: `open` or `settled`. */
  phase: "snapclone:phase",
  set: "snapclone:set",
  /** The clone's own id. */
  volume: "snapclone:volume",
  source: "snapclone:source",
  /** `2/3`: which of the program's volumes it is a clone of. */
  index: "snapclone:index",
  prefix: "snapclone:prefix",
  /** What PowerVC would call it without a display name, where that can't be told later. */
  name: "snapclone:name",
  task: "snapclone:task",
} as const;

/** The Pulumi id of a set: made here, since it has to be known before PowerVC says anything. */
export function newSetId(): string {
  return `snapclone-${randomBytes(12).toString("hex")}`;
}

/** A set that PowerVC was asked for, or was about to be. */
export interface PendingCreate {
  id: string;
  /** The volume that it is written on, the first of the set. */
  place: string;
  /** By the backend's clock, ISO 8601. Absent in the form of builds before 0.2. */
  since?: string | undefined;
  /** The group that the volume was in before, or its beginning: the flow puts the volume into a group of its own. */
  groupBefore?: string | undefined;
  taskId?: string | undefined;
  /** `stack` is absent in the form of builds before 0.2. */
  record: Omit<OwnershipRecord, "stack"> & { stack?: string | undefined };
  /** The metadata keys that it consists of; the first makes it one. */
  keys: readonly string[];
}

/** A clone of a set, and whose clone it is, where that is known. */
export interface Member {
  row: VolumeRow;
  source: string | undefined;
}

export async function writePendingCreate(cloud: PowerVcContext, pendingCreate: PendingCreate): Promise<void> {
  const { id, place, since = "", groupBefore = "-", taskId = "-", record } = pendingCreate;
  const value = (task: string) =>
    [
      place.slice(0, SHORT_ID),
      groupBefore.slice(0, SHORT_ID),
      since,
      record.stack,
      record.inputs,
      record.attempt ?? "-",
      task,
      record.owner,
    ].join(" ");
  // The clones' names find them without the task, if later.
  const text = value(taskId).length <= VALUE_LENGTH ? value(taskId) : value("-");
  const key = pendingKey(id);
  cloud.pendingCreates.set(id, { ...pendingCreate, keys: [key] });
  await cloud.cinder.createVolumeMetadata(place, { [key]: text });
  // The form of builds before 0.2 would have one of those adopt the set.
  if (!pendingCreate.keys.includes(key)) await removeKeys(cloud, place, pendingCreate.keys);
}

/** The state holds the set, or its clones bear the record. What is gone already is no failure. */
export async function clearPendingCreate(cloud: PowerVcContext, id: string, place: string): Promise<void> {
  await removeKeys(cloud, place, cloud.pendingCreates.get(id)?.keys ?? [pendingKey(id)]);
  cloud.pendingCreates.delete(id);
}

async function removeKeys(cloud: PowerVcContext, place: string, keys: readonly string[]): Promise<void> {
  // First the key that makes it a pending create: without that one the others mean nothing.
  for (const key of keys) {
    try {
      await cloud.cinder.deleteVolumeMetadataKey(place, key);
    } catch (error) {
      if (!isKind(error, "notFound") || whatIsMissing(error) === undefined) throw error;
    }
  }
}

/** The pending creates that are written on this volume. */
export function pendingCreatesOn(row: VolumeRow): PendingCreate[] {
  return Object.entries(row.metadata).flatMap(([key, value]): PendingCreate[] => {
    const [, id, form] = PENDING_CREATE.exec(key) ?? [];
    if (id === undefined) return [];
    if (form === "intent") return oldIntent(row, id, value);
    const [place = "", group = "", since, stack, inputs = "", attempt, task, ...owner] = value.split(" ");
    if (!row.id.startsWith(place) || place.length < SHORT_ID) return [];
    return [
      {
        id,
        place: row.id,
        since: since || undefined,
        groupBefore: textOf(group),
        taskId: textOf(task),
        record: {
          ...(stack === undefined ? {} : { stack }),
          owner: owner.join(" "),
          inputs,
          ...(textOf(attempt) === undefined ? {} : { attempt: attempt as string }),
        },
        keys: [key],
      },
    ];
  });
}

/** Of builds before 0.2: `…:intent` is "<volume> <inputs> <group>", `…:owner` and `…:task` stand beside it. */
function oldIntent(row: VolumeRow, id: string, value: string): PendingCreate[] {
  const [place, inputs = "", group = "-"] = value.split(" ");
  if (place !== row.id) return [];
  const beginning = `snapclone:${id}:`;
  const others = Object.keys(row.metadata).filter((key) => key.startsWith(beginning) && !PENDING_CREATE.test(key));
  const owner = row.metadata[`${beginning}owner`] ?? "";
  return [
    {
      id,
      place,
      groupBefore: textOf(group),
      taskId: row.metadata[`${beginning}task`],
      record: { owner: shortened(owner), inputs: inputs.slice(0, RECORD_LENGTHS.inputs) },
      keys: [`${beginning}intent`, ...others],
    },
  ];
}

/** Builds before 0.2 stored owners of up to 255 characters. */
function shortened(owner: string): string {
  return shortOwner({ recordLengths: RECORD_LENGTHS } as AnyDefinition, "", owner);
}

function textOf(part: string | undefined): string | undefined {
  return part === undefined || part === "" || part === "-" ? undefined : part;
}

export function pendingKey(id: string): string {
  return `snapclone:${id}:pending`;
}

/** What waits need to go on, in this run and in a later one. */
export function taskOf(
  { place, since, groupBefore, taskId, record }: PendingCreate,
  more: { backend?: string | undefined; sourceName?: string | undefined },
): Task {
  const all = { place, since, groupBefore, taskId, ...record, ...more };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** The sets of this stack that these volumes show, and those with an `open` mark of an earlier build. */
export function ownedSets(cloud: PowerVcContext, rows: readonly VolumeRow[], { stack }: ListScope): OwnedObject[] {
  const pending = new Map(rows.flatMap(pendingCreatesOn).map((one) => [one.id, one]));
  for (const one of pending.values()) cloud.pendingCreates.set(one.id, one);
  const tagged = new Map<string, Member[]>();
  for (const row of rows) {
    const { [OWNERSHIP_KEYS.set]: id, [OWNERSHIP_KEYS.source]: source } = row.metadata;
    if (id !== undefined && isTagged(row) && !/^delet/i.test(row.status))
      tagged.set(id, [...(tagged.get(id) ?? []), { row, source }]);
  }
  return [...new Set([...pending.keys(), ...tagged.keys()])]
    .map((id) => ownedSet(id, rows, pending.get(id), tagged.get(id) ?? []))
    .filter((set) => {
      if (set.phase === "open") cloud.openMarks.add(set.id);
      return set.stack === stack || (set.stack === undefined && set.phase === "open");
    });
}

function ownedSet(
  id: string,
  rows: readonly VolumeRow[],
  pendingCreate: PendingCreate | undefined,
  tagged: readonly Member[],
): OwnedObject {
  const tags = tagged[0]?.row.metadata ?? {};
  const clones = tagged.flatMap(({ row, source }) => (source ? [[source, row.id]] : []));
  // Where an adoption was killed half-way, the pending create has what it wrote first.
  const record = pendingCreate?.record ?? recordIn(tags);
  // Unnamed and untagged clones of a flow under way can't be told from anybody's.
  const made = membersOf(rows, id, []).flatMap(({ row }) => createdAt(row) ?? []);
  const place =
    pendingCreate?.place ?? tagged.find(({ row }) => row.metadata[OWNERSHIP_KEYS.index]?.startsWith("1/"))?.source;
  const source = rows.find((row) => row.id === place);
  const known: PendingCreate = pendingCreate ?? {
    id,
    place: place ?? "",
    taskId: textOf(tags[OWNERSHIP_KEYS.task]),
    record,
    keys: [],
  };
  const isOpen = tags[OWNERSHIP_KEYS.phase] === "open" || (pendingCreate !== undefined && record.stack === undefined);
  return {
    id,
    task: taskOf(known, { sourceName: source?.name ?? undefined }),
    initialState: tagged,
    ...record,
    phase: isOpen ? "open" : undefined,
    createdAt: pendingCreate?.since ?? made.sort()[0],
    state: { clones: Object.fromEntries(clones) },
  };
}

function recordIn(tags: Metadata): PendingCreate["record"] {
  const {
    [OWNERSHIP_KEYS.stack]: stack,
    [OWNERSHIP_KEYS.owner]: owner = "",
    [OWNERSHIP_KEYS.inputs]: inputs = "",
    [OWNERSHIP_KEYS.attempt]: attempt,
  } = tags;
  return {
    ...(stack === undefined ? {} : { stack }),
    owner: shortened(owner),
    inputs: inputs.slice(0, RECORD_LENGTHS.inputs),
    ...(attempt === undefined ? {} : { attempt }),
  };
}

/** The ownership record as tags; none for a resource without an owner. */
export function recordTags(record: OwnershipRecord | undefined): Metadata {
  if (record === undefined || record.owner === "") return {};
  const { stack, owner, inputs, attempt } = record;
  return {
    [OWNERSHIP_KEYS.stack]: stack,
    [OWNERSHIP_KEYS.owner]: owner,
    [OWNERSHIP_KEYS.inputs]: inputs,
    ...(attempt === undefined ? {} : { [OWNERSHIP_KEYS.attempt]: attempt }),
  };
}

/** Which of these volumes are clones of the set. A source volume never is, whatever it is called. */
export function membersOf(rows: readonly VolumeRow[], id: string, sources: readonly string[]): Member[] {
  return rows.flatMap((row) => {
    if (sources.includes(row.id)) return [];
    const { [OWNERSHIP_KEYS.set]: set, [OWNERSHIP_KEYS.source]: tagged } = row.metadata;
    if (set !== undefined && isTagged(row)) return set === id ? { row, source: tagged } : [];
    if (NAMED.exec(row.name ?? "")?.[2] !== id) return [];
    const of = row.source_volid ?? undefined;
    // A copy of a clone may bear the clone's name.
    if (of !== undefined && sources.length > 0 && !sources.includes(of)) return [];
    return { row, source: of ?? (sources.length === 1 ? sources[0] : undefined) };
  });
}

/** What PowerVC puts before names (`powervc-config storage clone-name-prefix`): seen on a clone, the default else (docs/wire/powervc.md#f2). */
export function prefixOf(name: string | null, tags: VolumeRow["metadata"]): string {
  return NAMED.exec(name ?? "")?.[1] ?? tags[OWNERSHIP_KEYS.prefix] ?? "clone-";
}

/** Has tags, and they are its own. */
export function isTagged({ id, metadata }: VolumeRow): boolean {
  return metadata[OWNERSHIP_KEYS.volume] === id;
}

/** Not yet given the name that the program wants. */
export function isTechnicalName(name: string | null): boolean {
  return NAMED.test(name ?? "");
}

/** UTC, and Cinder does not say so (docs/wire/openstack.md#a3). */
export function createdAt({ created_at }: VolumeRow): string | undefined {
  return created_at === null ? undefined : `${created_at.replace(/Z$/, "")}Z`;
}
