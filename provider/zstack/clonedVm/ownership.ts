// The ownership of clones. Tags on VMs record it. Until a clone has its tag, its temporary name shows its set. User tags may
// have any text, unlike system tags (docs/wire/zstack.md#s3-6). There are two kinds:
//
//   snapclone::intent::<set>::<job>::<until>::<time>::<clones>::<disks>::<stack>::<attempt>::<inputs>::<owner>
//     is the tag of a pending create: on the source VM, from before the clone request until all clones have their tags;
//   snapclone::set::<set>::<time>::<disks>::<stack>::<attempt>::<inputs>::<owner>::<name>
//     is the tag of a member: on each clone, for as long as it exists. `name` is the program's name for the clone; the
//     name on the server may change. `disks` begins with `@` and the uuid of the VM: a server may copy user tags to what
//     somebody clones from a member, and the copy is no member.
//
// Times are the backend's, in seconds since 1970. The owner is a URN, which contains `::` itself.

import { waitForShared } from "../../core/currentOperation";
import type { ListScope, OperationContext, OwnedObject, OwnershipRecord } from "../../core/definition";
import type { SnapcloneError } from "../../core/errors";
import type { TagRow } from "../answers";
import { isGone, type Step, type WaitContext, type ZStackContext } from "../context";
import type { Members } from "./members";

/** Early builds noted only the end of a clone's time: three hours and five minutes after its request. */
const OLD_LIFE_SECONDS = 3 * 3600 + 300;
const PREFIX = "snapclone::";
const PART = "::";
/** Before the uuid of the VM that a member's tag was written on. */
const WRITTEN_ON = "@";
/** The attempt of a dry run. No create ever has this attempt, so no create adopts what a dry run has made. */
export const DRY_RUN = "dry-run";

/** Clones that were requested and do not all have their tags yet. */
export interface PendingCreate {
  set: string;
  job: string;
  /** Seconds since 1970. The server has given up by then. */
  until: number;
  time: number | undefined;
  /** How many VMs the job makes. undefined in tags of early builds. */
  clones: number | undefined;
  /** How many data volumes each clone gets. undefined in tags of early builds. */
  disks: number | undefined;
  /** undefined if an update of an early build requested the clones: the state has their set. */
  record: OwnershipRecord | undefined;
  isOld: boolean;
}

export interface MemberTag {
  set: string;
  /** The VM that the tag was written on. undefined in tags of early builds. */
  vm: string | undefined;
  time: number | undefined;
  /** Data volumes that were cloned with the VM. */
  disks: readonly string[];
  record: OwnershipRecord | undefined;
  /** The program's name for the clone. undefined in tags of early builds. */
  name: string | undefined;
}

export interface TagReference {
  tagUuid: string;
  vmUuid: string;
}

/** All tags of one set. */
export interface SetTags {
  pendingCreates: readonly (PendingCreate & TagReference)[];
  members: readonly (MemberTag & TagReference)[];
  /** User tags that an update was about to add. */
  notes: readonly (TagReference & { tag: string })[];
  /** Early builds tagged each cloned data volume. */
  oldDisks: readonly { volume: string; vm: string }[];
  /** Early builds noted an adoption on the source. */
  oldAdoptions: readonly TagReference[];
}

export const NO_TAGS: SetTags = { pendingCreates: [], members: [], notes: [], oldDisks: [], oldAdoptions: [] };

// --- the sets of a stack

/** `urn:pulumi:dev::shop::` for a URN of the stack dev of the project shop. */
export function urnPrefix(owner: string): string {
  const [urn = "", project = ""] = owner.split(PART);
  return owner === "" ? "" : `${urn}${PART}${project}${PART}`;
}

/** Lists the stack's sets. Reads and deletes of the same run use this list, too (`cachedTags`). */
export async function listOwned(cloud: ZStackContext, { stack, place }: ListScope): Promise<OwnedObject[]> {
  cloud.tagList = cloud.client.queryUserTags([tagsOfStack(place)]);
  // Without a handler, a rejection that nobody awaits would end the process.
  cloud.tagList.catch(() => {});
  return livingSets(cloud, readTags(await cloud.tagList), (record) => record.stack === stack);
}

/** The sets of all stacks that this account can see. */
export async function listRecorded(cloud: ZStackContext): Promise<OwnedObject[]> {
  return livingSets(cloud, readTags(await cloud.client.queryUserTags([`tag~=${PREFIX}%`])), () => true);
}

async function livingSets(
  cloud: ZStackContext,
  sets: ReadonlyMap<string, SetTags>,
  isWanted: (record: OwnershipRecord) => boolean,
): Promise<OwnedObject[]> {
  const owned = [...sets].flatMap(([id, tags]) => {
    const object = ownedObject(id, tags, isWanted);
    return object ? [{ object, tags }] : [];
  });
  // A set is gone if all its VMs are in the recycle bin, although they keep their tags there for a week.
  const candidates = owned.filter(({ tags }) => tags.pendingCreates.length === 0);
  const vms = candidates.flatMap(({ tags }) => tags.members.map(({ vmUuid }) => vmUuid));
  const living = new Set(await cloud.living(vms));
  return owned
    .filter(({ tags }) => tags.pendingCreates.length > 0 || tags.members.some(({ vmUuid }) => living.has(vmUuid)))
    .map(({ object }) => object);
}

function ownedObject(
  id: string,
  tags: SetTags,
  isWanted: (record: OwnershipRecord) => boolean,
): OwnedObject | undefined {
  const owned = [...tags.pendingCreates, ...tags.members].find(({ record }) => record && isWanted(record));
  const source = owned ?? tags.pendingCreates.find(({ isOld, record }) => isOld && record);
  const record = source?.record;
  if (!source || !record) return undefined;
  const isOld = "isOld" in source && source.isOld;
  const [pending] = tags.pendingCreates;
  const names = tags.members.flatMap(({ name }) => name ?? []);
  return {
    id,
    task: pending ? { job: pending.job, until: pending.until } : {},
    stack: isOld ? undefined : record.stack,
    // The end of a run reports what a dry run has left; no create adopts it.
    owner: record.attempt === DRY_RUN ? "" : record.owner,
    inputs: record.inputs,
    attempt: record.attempt,
    phase: isOld ? "open" : undefined,
    createdAt: createdAt(source),
    label: names.length === 0 ? undefined : names.join(", "),
    objects: tags.members.map(({ vmUuid }) => vmUuid),
    state: {},
  };
}

function createdAt(tag: PendingCreate | MemberTag): string | undefined {
  // In tags of early builds, `until` is OLD_LIFE_SECONDS after the request, unless customTimeouts set another time.
  const seconds = tag.time ?? ("until" in tag ? tag.until - OLD_LIFE_SECONDS : undefined);
  return seconds === undefined ? undefined : new Date(seconds * 1000).toISOString();
}

/** The tags of a set in the list of `listOwned`. undefined if that list has none, or is older than a change to the set. */
export async function cachedTags(cloud: ZStackContext, set: string): Promise<TagRow[] | undefined> {
  const { tagList } = cloud;
  const all = tagList === undefined ? [] : await waitForShared(tagList, "the list of tags").catch(() => []);
  const rows = all.filter(({ tag }) => tag.includes(set));
  return rows.length === 0 || cloud.changedSets.has(set) ? undefined : rows;
}

// --- writing tags

export function tagStep(cloud: ZStackContext, vm: string, tag: string, name: string): Step<readonly TagRow[]> {
  return {
    action: "tag",
    operation: `tag "${name}"`,
    member: name,
    submit: (job) => cloud.client.createUserTag("VmInstanceVO", vm, tag, job),
    isDone: (rows) => rows.some((row) => isTagOn(row, vm, tag)),
  };
}

/** With `teller`, a tag that the account may not remove is told, and fails nothing. */
export function untagStep(
  cloud: ZStackContext,
  { tagUuid, vmUuid }: TagReference,
  teller?: Pick<OperationContext, "warnForbidden">,
): Step<readonly TagRow[]> {
  const forbidden = (error: SnapcloneError) =>
    teller?.warnForbidden(`the provider's tag ${tagUuid} stays on the VM ${vmUuid}`, error);
  return {
    action: "tag",
    operation: `remove a tag of ${vmUuid}`,
    ...(teller ? { forbidden } : {}),
    submit: (job) => cloud.client.deleteTag(tagUuid, job),
    isDone: (rows) => !rows.some(({ uuid }) => uuid === tagUuid),
  };
}

/** `present`: the user tags that the VM has. `managed`: those that the provider may remove. */
export function userTagSteps(
  cloud: ZStackContext,
  { uuid, name }: { uuid: string; name: string },
  present: readonly TagRow[],
  { wanted, managed }: { wanted: readonly string[]; managed: readonly string[] },
): Step<readonly TagRow[]>[] {
  const missing = wanted.filter((tag) => !present.some((one) => one.tag === tag));
  const surplus = present.filter(({ tag }) => !wanted.includes(tag) && managed.includes(tag));
  return [
    ...missing.map((tag) => tagStep(cloud, uuid, tag, name)),
    ...surplus.map((one) => untagStep(cloud, { tagUuid: one.uuid, vmUuid: uuid })),
  ];
}

export async function removeTags(
  cloud: ZStackContext,
  tags: readonly TagReference[],
  context: WaitContext,
  teller?: Pick<OperationContext, "warnForbidden">,
): Promise<void> {
  if (tags.length === 0) return;
  const vms = [...new Set(tags.map(({ vmUuid }) => vmUuid))];
  const steps = tags.map((one) => untagStep(cloud, one, teller));
  await cloud.runSteps("tags to be removed", steps, (signal) => cloud.tagsOn(vms, signal), context);
}

/**
 * A server may copy user tags to clones. If the source is itself the clone of another set, that set would take these clones for
 * its own.
 */
export async function removeCopies(
  cloud: ZStackContext,
  rows: readonly TagRow[],
  { set, clones }: { set: string; clones: readonly string[] },
  context: WaitContext,
): Promise<void> {
  const copies = rows.filter(
    ({ resourceUuid, tag }) => clones.includes(resourceUuid) && isOwnTag(tag) && tag.split(PART)[2] !== set,
  );
  const references = copies.map(({ uuid, resourceUuid }) => ({ tagUuid: uuid, vmUuid: resourceUuid }));
  await removeTags(cloud, references, context);
}

/** Writes `record` on all VMs of the set and on the source of its pending creates, then removes older records. */
export async function writeRecord(
  { cloud, id, context, all, tags, tagRows }: Members,
  record: OwnershipRecord,
): Promise<void> {
  cloud.changedSets.add(id);
  // A VM in the recycle bin needs its tag while its cloned volumes exist: the tag names them.
  const tagged = all.filter(({ row, disks }) => row !== undefined && (!isGone(row) || disks.length > 0));
  const wanted = [
    ...tagged.map(({ uuid, name, disks, tag }) => {
      return { vm: uuid, name, text: memberTag({ set: id, vm: uuid, time: tag?.time, disks, record, name }) };
    }),
    ...tags.pendingCreates.map((one) => {
      return { vm: one.vmUuid, name: `the source VM ${one.vmUuid}`, text: pendingCreateTag({ ...one, record }) };
    }),
  ];
  const missing = wanted.filter(({ vm, text }) => !tagRows.some((row) => isTagOn(row, vm, text)));
  const steps = missing.map(({ vm, text, name }) => tagStep(cloud, vm, text, name));
  const vms = [...new Set(missing.map(({ vm }) => vm))];
  const query = (signal: AbortSignal) => cloud.tagsOn(vms, signal);
  const written =
    steps.length === 0 ? [] : await cloud.runSteps("the ownership record to be written", steps, query, context);
  // A run that was killed may have written this record on some of the VMs: their tags are current, too.
  const current = [...tagRows, ...written].filter(
    ({ uuid, tag }) => uuid !== "" && wanted.some(({ text }) => text === tag),
  );
  const older = [...tags.members, ...tags.pendingCreates, ...tags.oldAdoptions].filter(
    ({ tagUuid }) => !current.some(({ uuid }) => uuid === tagUuid),
  );
  if (older.length > 0) await removeTags(cloud, older, context);
}

export function isTagOn(row: TagRow, vm: string, text: string): boolean {
  return row.resourceUuid === vm && row.tag === text;
}

// --- the temporary name

/**
 * The name of a clone until it has its tag. It is the only sign of the set that a clone has from its first moment: ZStack
 * drops the user tags of a clone request and refuses unknown system tags (docs/wire/zstack.md#s3-6).
 */
export function temporaryName(name: string, set: string): string {
  return `${name}.sc-${set}`;
}

/** The temporary name of a clone of any set. */
export const PROVISIONAL_NAME = /\.sc-[0-9a-f]{32}$/;

/** A server may have put more behind the name, or have changed its case. */
export function isTemporary(name: string, set: string): boolean {
  return markAt(name, set) >= 0;
}

export function finalName(name: string, set: string): string {
  return isTemporary(name, set) ? name.slice(0, markAt(name, set)) : name;
}

/** Which of the requested names a clone has, though the server may have changed the name. undefined if that can't be told. */
export function requestedName(name: string, set: string, requested: readonly string[]): string | undefined {
  const found = finalName(name, set);
  if (!isTemporary(name, set) || requested.includes(found)) return found;
  const ends = requested.filter((one) => found.toLowerCase().endsWith(one.toLowerCase()));
  return ends.toSorted((a, b) => b.length - a.length)[0];
}

function markAt(name: string, set: string): number {
  return name.toLowerCase().lastIndexOf(temporaryName("", set));
}

// --- the text of the tags

export function isOwnTag(tag: string): boolean {
  return tag.startsWith(PREFIX);
}

/** The query condition for all tags of one set. */
export function tagsOfSet(set: string): string {
  return `tag~=${PREFIX}%${set}%`;
}

/** The query condition for all tags of a stack's sets, old forms included: each record contains its owner's URN. */
export function tagsOfStack(urnPrefix: string): string {
  return `tag~=${PREFIX}%${PART}${urnPrefix}%`;
}

export function pendingCreateTag({
  set,
  job,
  until,
  time,
  clones,
  disks,
  record,
}: Omit<PendingCreate, "isOld">): string {
  const parts = [set, job, until, time ?? 0, clones ?? 0, disks ?? 0, ...recordParts(record)];
  return `${PREFIX}intent${PART}${parts.join(PART)}`;
}

export function memberTag({ set, vm, time, disks, record, name = "" }: MemberTag): string {
  const uuids = [...(vm === undefined ? [] : [`${WRITTEN_ON}${vm}`]), ...disks];
  const parts = [set, time ?? 0, uuids.join(","), ...recordParts(record), escapeName(name)];
  return `${PREFIX}set${PART}${parts.join(PART)}`;
}

/** The owner is there for the list of a stack's tags. */
export function tagNote({ set, owner, tag }: { set: string; owner: string; tag: string }): string {
  return `${PREFIX}adding${PART}${[set, owner, escapeName(tag)].join(PART)}`;
}

function recordParts(record: OwnershipRecord | undefined): string[] {
  return [record?.stack ?? "", record?.attempt ?? "", record?.inputs ?? "", record?.owner ?? ""];
}

/** The name is the last part, so it must not contain the separator. */
function escapeName(name: string): string {
  return name.replaceAll("%", "%25").replaceAll(":", "%3A");
}

function unescapeName(name: string): string {
  return name.replaceAll("%3A", ":").replaceAll("%25", "%");
}

/** Groups tags by set. Leaves out foreign tags and unknown forms. */
export function readTags(rows: readonly TagRow[]): Map<string, SetTags> {
  const sets = new Map<string, { [Key in keyof SetTags]: SetTags[Key][number][] }>();
  for (const { tag, uuid, resourceUuid } of rows) {
    const [, kind, set = "", third = ""] = tag.split(PART);
    if (!isOwnTag(tag) || !isUuid(set)) continue;
    const tags = sets.get(set) ?? { pendingCreates: [], members: [], notes: [], oldDisks: [], oldAdoptions: [] };
    sets.set(set, tags);
    const reference: TagReference = { tagUuid: uuid, vmUuid: resourceUuid };
    const pending = readPendingCreate(tag);
    if (pending) tags.pendingCreates.push({ ...pending, ...reference });
    const member = kind === "set" ? readMember(tag, set) : undefined;
    const isCopy = member?.vm !== undefined && plain(member.vm) !== plain(resourceUuid);
    if (member && !isCopy) tags.members.push({ ...member, ...reference });
    if (kind === "adding") tags.notes.push({ tag: unescapeName(tag.split(PART).at(-1) ?? ""), ...reference });
    if (kind === "disk") tags.oldDisks.push({ volume: resourceUuid, vm: third });
    if (kind === "adopted") tags.oldAdoptions.push(reference);
  }
  return sets;
}

function readPendingCreate(tag: string): PendingCreate | undefined {
  const [, kind, set = "", job = "", until = "", ...rest] = tag.split(PART);
  if (!isJobId(job) || !/^\d+$/.test(until)) return undefined;
  const common = { set, job, until: Number(until) };
  if (kind === "intent") {
    const [time, clones, disks, stack = "", attempt = "", inputs = "", ...owner] = rest;
    return {
      ...common,
      time: numberIn(time),
      clones: numberIn(clones),
      disks: numberIn(disks),
      record: { stack, attempt, inputs, owner: owner.join(PART) },
      isOld: false,
    };
  }
  if (kind !== "open" && kind !== "job") return undefined;
  const [inputs = "", ...owner] = rest;
  const record = kind === "open" ? { stack: "", inputs, owner: owner.join(PART) } : undefined;
  return { ...common, time: common.until - OLD_LIFE_SECONDS, clones: undefined, disks: undefined, record, isOld: true };
}

function readMember(tag: string, set: string): MemberTag {
  const [, , , time, uuids = "", stack = "", attempt = "", inputs = "", ...rest] = tag.split(PART);
  if (rest.length === 0) return { set, vm: undefined, time: undefined, disks: [], record: undefined, name: undefined };
  // The name begins after the last separator: the owner may contain others.
  const tail = rest.join(PART);
  const at = tail.lastIndexOf(PART);
  const name = unescapeName(at < 0 ? tail : tail.slice(at + PART.length));
  const owner = at < 0 ? "" : tail.slice(0, at);
  const all = uuids.split(",");
  return {
    set,
    vm: all.find((one) => one.startsWith(WRITTEN_ON))?.slice(WRITTEN_ON.length),
    // An imported VM's time is not known.
    time: numberIn(time) || undefined,
    disks: all.filter(isUuid),
    record: { stack, attempt, inputs, owner },
    name: name === "" ? undefined : name,
  };
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A server may write uuids with dashes or in capitals. */
function plain(uuid: string): string {
  return uuid.replaceAll("-", "").toLowerCase();
}

/** A server may choose ids of other forms than the provider's. */
export function isJobId(text: string): boolean {
  return /^[\w-]{1,64}$/.test(text);
}

export function isUuid(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}
