// How a set of clones is found again. PowerVC lists neither its tasks nor its clones, and stores nothing of ours except the
// display name. So the set is recorded in three places, one for each stage of its life (docs/wire/powervc.md#f1, #h):
//
// - The *pending create* is metadata of the first source volume. It is written before the request and rewritten with the
//   task's id after it. It holds the ownership record and the time, and is removed when the clones have the record.
// - The *temporary name* `snapclone-<24 hex>` is the display name of the request. PowerVC gives it to every clone, whatever
//   the prefix is. The clones are renamed to what the program wants when PowerVC has finished.
// - The *tags* are metadata of each clone. They are written when PowerVC has told which clone is whose, and contain the
//   ownership record.
//
// A copy of a volume may have the volume's metadata. So each record names the volume that it was written on, and counts
// on no other volume.

import { randomBytes } from "node:crypto";
import type {
  AcceptedOperation,
  ListScope,
  OperationContext,
  OwnedObject,
  OwnershipRecord,
  Task,
} from "../../core/definition";
import { isKind } from "../../core/errors";
import { shortOwner } from "../../core/ownership";
import type { Metadata, VolumeRow } from "../../openstack/cinder";
import { missingObject } from "../../openstack/cinderErrors";
import type { PowerVcContext } from "../context";

/** A pending create must fit into one metadata value of 255 characters: then it takes one request to write or remove. */
export const RECORD_LENGTHS = { owner: 100, inputs: 16, attempt: 16 };
const MAX_VALUE_LENGTH = 255;
/** Characters of a UUID that tell a volume from its copies, and a group from the next one. */
const SHORT_ID = 8;

const SET_ID = "snapclone-[0-9a-f]{24}";
const TEMPORARY_NAME = new RegExp(`^(.*)(${SET_ID})(?:-\\d+)?$`, "s");
/** Early builds wrote `intent`, with several keys and without a time. */
const PENDING_CREATE = new RegExp(`^snapclone:(${SET_ID}):(pending|intent)$`);

export const OWNERSHIP_KEYS = {
  stack: "snapclone:stack",
  owner: "snapclone:owner",
  inputs: "snapclone:inputs",
  attempt: "snapclone:attempt",
  /** `failed` on a clone that a failed task has left. Early builds wrote `open` or `settled`. */
  phase: "snapclone:phase",
  set: "snapclone:set",
  /** The clone's own id. */
  volume: "snapclone:volume",
  source: "snapclone:source",
  /** `2/3` is the clone of the second of three volumes in the program's list. */
  index: "snapclone:index",
  prefix: "snapclone:prefix",
  /** The name that PowerVC gives a single clone without a display name. It can't be derived later. */
  name: "snapclone:name",
  task: "snapclone:task",
  /** The clone's own id, on a clone that was imported: `name` is then the name that it had. */
  imported: "snapclone:imported",
} as const;

/** The Pulumi id of a set. The provider makes it, because the id must be known before PowerVC answers. */
export function newSetId(): string {
  return `snapclone-${randomBytes(12).toString("hex")}`;
}

/** A set that PowerVC was asked for, or was about to be asked for. */
export interface PendingCreate {
  id: string;
  /** The volume that it is written on: the first source of the set. */
  volumeId: string;
  /** Time of the request by the backend's clock, ISO 8601. Early builds wrote none. */
  since?: string | undefined;
  /**
   * Id, or beginning of the id, of the group that the volume was in before the request. PowerVC's flow moves the volume into
   * a group of its own.
   */
  groupBefore?: string | undefined;
  taskId?: string | undefined;
  /** Early builds wrote no `stack`. */
  record: Omit<OwnershipRecord, "stack"> & { stack?: string | undefined };
  /** The metadata keys that it consists of. The first key alone makes it a pending create. */
  keys: readonly string[];
}

/** A clone of a set, and the volume that it is a clone of, if that is known. */
export interface Member {
  row: VolumeRow;
  source: string | undefined;
}

// --- the pending create, on the first source volume

export async function writePendingCreate(cloud: PowerVcContext, pendingCreate: PendingCreate): Promise<void> {
  const { id, volumeId, since = "", groupBefore = "-", taskId = "-", record } = pendingCreate;
  const value = (task: string) =>
    [
      volumeId.slice(0, SHORT_ID),
      groupBefore.slice(0, SHORT_ID),
      since,
      record.stack,
      record.inputs,
      record.attempt ?? "-",
      task,
      record.owner,
    ].join(" ");
  // Leave out a task id that does not fit: the clones are found by their names as well, only later.
  const text = value(taskId).length <= MAX_VALUE_LENGTH ? value(taskId) : value("-");
  const key = pendingKey(id);
  cloud.pendingCreates.set(id, { ...pendingCreate, keys: [key] });
  await cloud.cinder.createVolumeMetadata(volumeId, { [key]: text });
  // An early build adopts what has the old keys.
  if (!pendingCreate.keys.includes(key)) await removeKeys(cloud, volumeId, pendingCreate.keys);
}

/** Called when the state has the set, or its clones have the record. It is no error if the keys are already gone. */
export async function clearPendingCreate(cloud: PowerVcContext, id: string, volumeId: string): Promise<void> {
  await removeKeys(cloud, volumeId, cloud.pendingCreates.get(id)?.keys ?? [pendingKey(id)]);
  cloud.pendingCreates.delete(id);
}

/** Warns if a policy forbids to remove metadata. No later run could remove the note either, so a person has to. */
export async function clearPendingCreateOrWarn(
  cloud: PowerVcContext,
  id: string,
  volumeId: string,
  context: Pick<OperationContext, "warnForbidden">,
): Promise<void> {
  const [key = pendingKey(id)] = cloud.pendingCreates.get(id)?.keys ?? [];
  try {
    await clearPendingCreate(cloud, id, volumeId);
  } catch (error) {
    if (!isKind(error, "forbidden")) throw error;
    const way = `Remove it: \`openstack volume unset --property ${key} ${volumeId}\``;
    context.warnForbidden(`the note of the request could not be removed from the volume ${volumeId}. ${way}`, error);
  }
}

async function removeKeys(cloud: PowerVcContext, volumeId: string, keys: readonly string[]): Promise<void> {
  // The first key goes first: without it the other keys mean nothing.
  for (const key of keys) {
    try {
      await cloud.cinder.deleteVolumeMetadataKey(volumeId, key);
    } catch (error) {
      if (!isKind(error, "notFound") || missingObject(error) === undefined) throw error;
    }
  }
}

/** The pending creates in the metadata of this volume. */
export function pendingCreatesOn(row: VolumeRow): PendingCreate[] {
  return Object.entries(row.metadata).flatMap(([key, value]): PendingCreate[] => {
    const [, id, form] = PENDING_CREATE.exec(key) ?? [];
    if (id === undefined) return [];
    if (form === "intent") return oldIntent(row, id, value);
    const [writtenOn = "", group = "", since, stack, inputs = "", attempt, task, ...owner] = value.split(" ");
    if (!row.id.startsWith(writtenOn) || writtenOn.length < SHORT_ID) return [];
    return [
      {
        id,
        volumeId: row.id,
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

/** Early builds wrote `…:intent` as "<volume> <inputs> <group>", and `…:owner` and `…:task` as keys of their own. */
function oldIntent(row: VolumeRow, id: string, value: string): PendingCreate[] {
  const [writtenOn, inputs = "", group = "-"] = value.split(" ");
  if (writtenOn !== row.id) return [];
  const beginning = `snapclone:${id}:`;
  const others = Object.keys(row.metadata).filter((key) => key.startsWith(beginning) && !PENDING_CREATE.test(key));
  const owner = row.metadata[`${beginning}owner`] ?? "";
  return [
    {
      id,
      volumeId: row.id,
      groupBefore: textOf(group),
      taskId: row.metadata[`${beginning}task`],
      record: { owner: shortened(owner), inputs: inputs.slice(0, RECORD_LENGTHS.inputs) },
      keys: [`${beginning}intent`, ...others],
    },
  ];
}

/** Early builds stored owners of up to 255 characters. */
function shortened(owner: string): string {
  return shortOwner({ recordLengths: RECORD_LENGTHS }, "", owner);
}

function textOf(part: string | undefined): string | undefined {
  return part === undefined || part === "" || part === "-" ? undefined : part;
}

export function pendingKey(id: string): string {
  return `snapclone:${id}:pending`;
}

/** What this run and later runs need to go on waiting. The keys are in users' states: `place` is the first source volume. */
export function taskOf(
  { volumeId, since, groupBefore, taskId, record }: PendingCreate,
  more: { backend?: string | undefined; sourceName?: string | undefined },
): Task {
  const all = { place: volumeId || undefined, since, groupBefore, taskId, ...record, ...more };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** The pending create of accepted work: from this run, from the task in the state, or from the first volume itself. */
export async function pendingCreateOf(
  cloud: PowerVcContext,
  { id, task, initialState }: Pick<AcceptedOperation, "id" | "task" | "initialState">,
  volumes: readonly string[],
): Promise<PendingCreate> {
  const seen = cloud.pendingCreates.get(id);
  if (seen) return seen;
  const { place = volumes[0] ?? "", since, groupBefore, taskId, stack, owner, inputs = "", attempt } = textsIn(task);
  const known: PendingCreate = {
    id,
    volumeId: place,
    since,
    groupBefore,
    taskId,
    record: { owner: owner ?? "", inputs, ...(stack === undefined ? {} : { stack }), ...(attempt ? { attempt } : {}) },
    keys: [],
  };
  // Read the volume unless the task has everything. A killed run may have sent the request again since the task was
  // stored, and early builds wrote the owner on the volume only.
  const isComplete =
    initialState !== undefined || cloud.requested.has(id) || (taskId !== undefined && owner !== undefined);
  if (isComplete) return known;
  const row = await cloud.volume(place);
  const written = row && pendingCreatesOn(row).find((one) => one.id === id);
  if (written) cloud.pendingCreates.set(id, written);
  return written ? { ...written, taskId: written.taskId ?? taskId } : known;
}

/**
 * True if PowerVC was certainly not asked for the set. The run that stored the task knew that. A later run that asks, and is
 * killed, can't change the task, but rewrites the note on the volume before it asks. So the task counts only beside the note
 * of its own time; a note that is gone proves nothing.
 */
export function isUnsent(task: Task, { keys, since, taskId }: PendingCreate): boolean {
  return task.unsent === true && keys.length > 0 && taskId === undefined && since === textsIn(task).since;
}

/** The entries of a map whose values are text. */
export function textsIn(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

// --- the sets of a stack

/** The sets of this stack among these volumes, and the sets that an early build left `open`. */
export function ownedSets(cloud: PowerVcContext, rows: readonly VolumeRow[], { stack }: ListScope): OwnedObject[] {
  return recordedSets(cloud, rows).filter((set) => {
    if (set.phase === "open") cloud.openSets.add(set.id);
    return set.stack === stack || (set.stack === undefined && set.phase === "open");
  });
}

/** The sets among these volumes, whichever stack's. */
export function recordedSets(cloud: PowerVcContext, rows: readonly VolumeRow[]): OwnedObject[] {
  const pending = new Map(rows.flatMap(pendingCreatesOn).map((one) => [one.id, one]));
  for (const one of pending.values()) cloud.pendingCreates.set(one.id, one);
  const tagged = new Map<string, Member[]>();
  for (const row of rows) {
    const { [OWNERSHIP_KEYS.set]: id, [OWNERSHIP_KEYS.source]: source } = row.metadata;
    if (id !== undefined && isTagged(row) && !/^delet/i.test(row.status))
      tagged.set(id, [...(tagged.get(id) ?? []), { row, source }]);
  }
  const ids = new Set([...pending.keys(), ...tagged.keys()]);
  return [...ids].map((id) => ownedSet(id, rows, pending.get(id), tagged.get(id) ?? []));
}

function ownedSet(
  id: string,
  rows: readonly VolumeRow[],
  pendingCreate: PendingCreate | undefined,
  tagged: readonly Member[],
): OwnedObject {
  const tags = tagged[0]?.row.metadata ?? {};
  const clones = tagged.flatMap(({ row, source }) => (source ? [[source, row.id]] : []));
  // The pending create counts more than the tags: an adoption writes it first, and may have been killed after that.
  const record = pendingCreate?.record ?? recordIn(tags);
  // Clones without name and tags, of a flow that still runs, look like any other volume.
  const made = membersOf(rows, id, []).flatMap(({ row }) => createdAt(row) ?? []);
  const volumeId =
    pendingCreate?.volumeId ?? tagged.find(({ row }) => row.metadata[OWNERSHIP_KEYS.index]?.startsWith("1/"))?.source;
  const source = rows.find((row) => row.id === volumeId);
  const known: PendingCreate = pendingCreate ?? {
    id,
    volumeId: volumeId ?? "",
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
    objects: tagged.map(({ row }) => row.id),
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

/** The ownership record as tags. A resource without an owner has none. */
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

// --- the clones of a set

/** The clones of the set among these volumes. A source volume is never one of them, whatever its name is. */
export function membersOf(rows: readonly VolumeRow[], id: string, sources: readonly string[]): Member[] {
  return rows.flatMap((row) => {
    if (sources.includes(row.id)) return [];
    const { [OWNERSHIP_KEYS.set]: set, [OWNERSHIP_KEYS.source]: tagged } = row.metadata;
    if (set !== undefined && isTagged(row)) {
      return set === id ? { row, source: tagged || (isOfFailedTask(row) && row.source_volid) || undefined } : [];
    }
    if (TEMPORARY_NAME.exec(row.name ?? "")?.[2] !== id) return [];
    const of = row.source_volid ?? undefined;
    // A copy of a clone may have the clone's name.
    if (of !== undefined && sources.length > 0 && !sources.includes(of)) return [];
    return { row, source: of ?? (sources.length === 1 ? sources[0] : undefined) };
  });
}

/** All tags of a clone of this set. `shared` are the tags that all clones of the set have in common. */
export function tagsFor(
  { row, source = "" }: Member,
  shared: Metadata,
  volumes: readonly string[],
  sourceName: string,
): Metadata {
  const before = isTagged(row) ? row.metadata : {};
  const prefix = prefixOf(row.name, before);
  const name = before[OWNERSHIP_KEYS.name] ?? `${prefix}${sourceName || source}`.slice(0, MAX_VALUE_LENGTH);
  return {
    ...emptiedCopies(row),
    ...shared,
    [OWNERSHIP_KEYS.volume]: row.id,
    [OWNERSHIP_KEYS.source]: source,
    [OWNERSHIP_KEYS.index]: indexTag(volumes, source),
    [OWNERSHIP_KEYS.prefix]: prefix,
    ...(volumes.length === 1 ? { [OWNERSHIP_KEYS.name]: name } : {}),
  };
}

/**
 * The tags of a clone that a failed task has left, so that the set's deletion finds it. They don't name its source: a set whose
 * clones all do counts as whole.
 */
export function tagsAfterFailure(
  row: VolumeRow,
  id: string,
  taskId: string | undefined,
  record: OwnershipRecord,
): Metadata {
  return {
    ...emptiedCopies(row),
    ...recordTags(record),
    ...(taskId === undefined ? {} : { [OWNERSHIP_KEYS.task]: taskId }),
    [OWNERSHIP_KEYS.set]: id,
    [OWNERSHIP_KEYS.volume]: row.id,
    [OWNERSHIP_KEYS.source]: "",
    [OWNERSHIP_KEYS.prefix]: prefixOf(row.name, {}),
    [OWNERSHIP_KEYS.phase]: "failed",
  };
}

export function isOfFailedTask(row: VolumeRow): boolean {
  return isTagged(row) && row.metadata[OWNERSHIP_KEYS.phase] === "failed";
}

/** The clock of an API's host and the clock that dates its rows may differ by this much. */
const CLOCK_SKEW_MS = 300_000;

/** True if nothing contradicts PowerVC's task, which names the volume as a clone of this set. */
export function canBeCloneOf(
  row: VolumeRow,
  id: string,
  sources: readonly string[],
  since: string | undefined,
): boolean {
  const isOfOtherSet = isTagged(row) && row.metadata[OWNERSHIP_KEYS.set] !== id;
  const isOfSource = row.source_volid == null || sources.includes(row.source_volid);
  return !sources.includes(row.id) && !isOfOtherSet && isOfSource && isLater(row, since);
}

/** A volume that is older than the request is no clone of the set, whatever names it. */
export function isLater(row: VolumeRow, since: string | undefined): boolean {
  return Date.parse(createdAt(row) ?? "") > Date.parse(since ?? "") - CLOCK_SKEW_MS;
}

/** The tags of a clone that an import takes over. Those that an interrupted import of the same set wrote stay. */
export function importedTags(
  row: VolumeRow,
  source: string | undefined,
  volumes: readonly string[],
  id: string,
  prefix: string,
): Metadata {
  const isWritten = isImported(row) && row.metadata[OWNERSHIP_KEYS.set] === id;
  const before = isWritten ? row.metadata : {};
  return {
    ...emptiedCopies(row),
    [OWNERSHIP_KEYS.set]: id,
    [OWNERSHIP_KEYS.volume]: row.id,
    [OWNERSHIP_KEYS.imported]: row.id,
    [OWNERSHIP_KEYS.source]: source ?? "",
    [OWNERSHIP_KEYS.index]: before[OWNERSHIP_KEYS.index] ?? indexTag(volumes, source),
    [OWNERSHIP_KEYS.prefix]: before[OWNERSHIP_KEYS.prefix] ?? prefix,
    [OWNERSHIP_KEYS.name]: before[OWNERSHIP_KEYS.name] ?? row.name ?? "",
  };
}

export function isImported(row: VolumeRow): boolean {
  return isTagged(row) && row.metadata[OWNERSHIP_KEYS.imported] === row.id;
}

/** If the source is a clone of ours, PowerVC copies its tags. This empties those that `tagsFor` may not overwrite. */
function emptiedCopies(row: VolumeRow): Metadata {
  const copied = [OWNERSHIP_KEYS.task, OWNERSHIP_KEYS.attempt, OWNERSHIP_KEYS.phase].filter(
    (key) => !isTagged(row) && row.metadata[key],
  );
  return Object.fromEntries(copied.map((key) => [key, ""]));
}

export function indexTag(volumes: readonly string[], source: string | undefined): string {
  return `${volumes.indexOf(source ?? "") + 1}/${volumes.length}`;
}

/**
 * The prefix that PowerVC puts before names (`powervc-config storage clone-name-prefix`), as a clone's name or tags show it.
 * Default: PowerVC's default (docs/wire/powervc.md#f2).
 */
export function prefixOf(name: string | null, tags: VolumeRow["metadata"]): string {
  return TEMPORARY_NAME.exec(name ?? "")?.[1] ?? tags[OWNERSHIP_KEYS.prefix] ?? "clone-";
}

/** True if the volume has tags that were written on it, and not on a volume that it is a copy of. */
export function isTagged({ id, metadata }: VolumeRow): boolean {
  return metadata[OWNERSHIP_KEYS.volume] === id;
}

/** True for the name that a clone has until it gets the name that the program wants. */
export function isTemporaryName(name: string | null): boolean {
  return TEMPORARY_NAME.test(name ?? "");
}

/** Cinder's times are UTC, without a zone (docs/wire/openstack.md#a3). */
export function createdAt({ created_at }: VolumeRow): string | undefined {
  return created_at === null ? undefined : `${created_at.replace(/Z$/, "")}Z`;
}
