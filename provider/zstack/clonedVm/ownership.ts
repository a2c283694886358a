// Our user tags: what they say and how they are read. A user tag takes any text, unlike a system tag
// (docs/wire/zstack.md docs/wire/zstack.md#s3-6). There are two kinds:
//
//   snapclone::intent::<set>::<job>::<until>::<time>::<clones>::<disks>::<stack>::<attempt>::<inputs>::<owner>
//     on the source VM, from before a clone is asked for until the clones bear tags of their own;
//   snapclone::set::<set>::<time>::<disks>::<stack>::<attempt>::<inputs>::<owner>::<name>
//     on each clone, for as long as it lives. `name` is the one in the program: the server's own name may change.
//
// Times are the backend's, in seconds since 1970. The owner is a URN, which holds `::` itself.

import type { OwnershipRecord } from "../../core/definition";
import type { TagRow } from "../client";

/** What builds before 0.2 gave a clone from its request on: three hours and some slack. They noted only the end of that. */
const OLD_LIFE_SECONDS = 3 * 3600 + 300;
const PREFIX = "snapclone::";
const PART = "::";
/** The attempt of a dry run: no create is ever pending under it, so nobody adopts what a dry run has made. */
export const DRY_RUN = "dry-run";

/** Clones that were asked for and do not bear tags of their own yet. */
export interface Intent {
  set: string;
  job: string;
  /** Seconds since 1970: the server has given up by then. */
  until: number;
  time: number | undefined;
  /** How many VMs the job makes; undefined in intents of builds before 0.2. */
  clones: number | undefined;
  /** How many data volumes each of them gets; undefined in intents of builds before 0.2. */
  disks: number | undefined;
  /** undefined: an update asked for it (builds before 0.2), so the state has the set. */
  record: OwnershipRecord | undefined;
  isOld: boolean;
}

export interface MemberRecord {
  set: string;
  time: number | undefined;
  /** Data volumes that were cloned with the VM. */
  disks: readonly string[];
  record: OwnershipRecord | undefined;
  /** The program's name for it; undefined in tags of builds before 0.2. */
  name: string | undefined;
}

/** The uuid of a tag, and of the VM that bears it. */
export interface Placed {
  tag: string;
  on: string;
}

/** All tags of one set. */
export interface SetTags {
  intents: readonly (Intent & Placed)[];
  members: readonly (MemberRecord & Placed)[];
  /** Builds before 0.2 tagged each cloned data volume. */
  oldDisks: readonly { volume: string; vm: string }[];
  /** Builds before 0.2 noted an adoption on the source. */
  oldAdoptions: readonly Placed[];
}

export const NO_TAGS: SetTags = { intents: [], members: [], oldDisks: [], oldAdoptions: [] };

export function isOwnTag(tag: string): boolean {
  return tag.startsWith(PREFIX);
}

/** A condition that lists all tags of one set. */
export function tagsOfSet(set: string): string {
  return `tag~=${PREFIX}%${set}%`;
}

/** A condition that lists all tags of a stack's sets, old ones included: each record names its owner's URN. */
export function tagsOfStack(urnPrefix: string): string {
  return `tag~=${PREFIX}%${PART}${urnPrefix}%`;
}

/** `urn:pulumi:dev::shop::` of a URN of the stack dev of the project shop. */
export function urnPrefix(owner: string): string {
  const [urn = "", project = ""] = owner.split(PART);
  return owner === "" ? "" : `${urn}${PART}${project}${PART}`;
}

export function intentTag({ set, job, until, time, clones, disks, record }: Omit<Intent, "isOld">): string {
  const parts = [set, job, until, time ?? 0, clones ?? 0, disks ?? 0, ...recordParts(record)];
  return `${PREFIX}intent${PART}${parts.join(PART)}`;
}

export function memberTag({ set, time, disks, record, name = "" }: MemberRecord): string {
  const parts = [set, time ?? 0, disks.join(","), ...recordParts(record), escaped(name)];
  return `${PREFIX}set${PART}${parts.join(PART)}`;
}

function recordParts(record: OwnershipRecord | undefined): string[] {
  return [record?.stack ?? "", record?.attempt ?? "", record?.inputs ?? "", record?.owner ?? ""];
}

/** The name is the last part, so it must not hold the separator. */
function escaped(name: string): string {
  return name.replaceAll("%", "%25").replaceAll(":", "%3A");
}

function unescaped(name: string): string {
  return name.replaceAll("%3A", ":").replaceAll("%25", "%");
}

/** By set. What is no tag of ours, or of a form that nobody has heard of, is left out. */
export function readTags(rows: readonly TagRow[]): Map<string, SetTags> {
  const sets = new Map<string, { [Key in keyof SetTags]: SetTags[Key][number][] }>();
  for (const { tag, uuid, resourceUuid } of rows) {
    const [, kind, set = "", third = ""] = tag.split(PART);
    if (!isOwnTag(tag) || !isUuid(set)) continue;
    const tags = sets.get(set) ?? { intents: [], members: [], oldDisks: [], oldAdoptions: [] };
    sets.set(set, tags);
    const placed: Placed = { tag: uuid, on: resourceUuid };
    const intent = readIntent(tag);
    if (intent) tags.intents.push({ ...intent, ...placed });
    if (kind === "set") tags.members.push({ ...readMember(tag, set), ...placed });
    if (kind === "disk") tags.oldDisks.push({ volume: resourceUuid, vm: third });
    if (kind === "adopted") tags.oldAdoptions.push(placed);
  }
  return sets;
}

function readIntent(tag: string): Intent | undefined {
  const [, kind, set = "", job = "", until = "", ...rest] = tag.split(PART);
  if (!isUuid(job) || !/^\d+$/.test(until)) return undefined;
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

function readMember(tag: string, set: string): MemberRecord {
  const [, , , time, disks = "", stack = "", attempt = "", inputs = "", ...rest] = tag.split(PART);
  if (rest.length === 0) return { set, time: undefined, disks: [], record: undefined, name: undefined };
  // By its last separator: the owner may hold others.
  const tail = rest.join(PART);
  const at = tail.lastIndexOf(PART);
  const name = unescaped(at < 0 ? tail : tail.slice(at + PART.length));
  const owner = at < 0 ? "" : tail.slice(0, at);
  return {
    set,
    time: numberIn(time),
    disks: disks.split(",").filter(isUuid),
    record: { stack, attempt, inputs, owner },
    name: name === "" ? undefined : name,
  };
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

export function isUuid(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}
