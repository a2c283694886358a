// How a set of clones is found again. PowerVC lists neither its tasks nor its clones, and takes no word of ours but the
// display name, so there are three places, one for each stage of a set's life (reference openstack-powervc.md §F1, §H):
//
// - The *intent*: metadata of the first source volume, written before the request and joined by the task's id after it.
//   It says that a set was asked for. While it is there, the set is open; settling takes it away.
// - The *name*: the request asks for `snapclone-<24 hex>` as display name, so that every clone bears it whatever the
//   prefix. The name that the program wants comes after that.
// - The *tags*: metadata of each clone, from the moment when PowerVC has told which clone is whose.
//
// Whatever copies a volume may copy its metadata, so each record names the volume that it was written on, and means
// nothing on any other.

import { randomBytes } from "node:crypto";
import type { Marker, OpenObject, Task } from "../core/definition";
import { isKind } from "../core/errors";
import { type VolumeRow, whatIsMissing } from "../openstack/cinder";
import type { PowerVc } from "./cloud";

const SET_ID = "snapclone-[0-9a-f]{24}";
const NAMED = new RegExp(`^(.*)(${SET_ID})(?:-\\d+)?$`, "s");
const INTENT = new RegExp(`^snapclone:(${SET_ID}):intent$`);

export const TAGS = {
  owner: "snapclone:owner",
  inputs: "snapclone:inputs",
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

export interface Intent {
  id: string;
  owner: string;
  inputs: string;
  /** The group that the volume was in before: the flow puts it into one of its own. */
  groupBefore: string | undefined;
  taskId: string | undefined;
  adoptedBy: string | undefined;
}

/** A clone of a set, and whose clone it is, where that is known. */
export interface Member {
  row: VolumeRow;
  source: string | undefined;
}

export async function noteIntent(cloud: PowerVc, id: string, source: VolumeRow, marker: Marker): Promise<void> {
  cloud.places.set(id, source.id);
  await cloud.cinder.createVolumeMetadata(source.id, {
    [key(id, "intent")]: [source.id, marker.inputs, source.group_id ?? "-"].join(" "),
    [key(id, "owner")]: marker.owner,
  });
}

export async function noteTask(cloud: PowerVc, id: string, place: string, taskId: string): Promise<void> {
  await cloud.cinder.createVolumeMetadata(place, { [key(id, "task")]: taskId });
}

export async function noteAdoption(cloud: PowerVc, id: string, run: string): Promise<void> {
  const place = cloud.places.get(id);
  if (place !== undefined) await cloud.cinder.createVolumeMetadata(place, { [key(id, "adopted")]: run });
}

/** The set is open no more. What is gone already is no trouble. */
export async function withdrawIntent(cloud: PowerVc, id: string, place: string): Promise<void> {
  const source = await cloud.volume(place);
  const keys = Object.keys(source?.metadata ?? {}).filter((name) => name.startsWith(key(id, "")));
  const intent = key(id, "intent");
  // First the key that makes it one: without it the others mean nothing.
  for (const names of [keys.filter((name) => name === intent), keys.filter((name) => name !== intent)]) {
    await Promise.all(
      names.map(async (name) => {
        try {
          await cloud.cinder.deleteVolumeMetadataKey(place, name);
        } catch (error) {
          if (!isKind(error, "notFound") || whatIsMissing(error) === undefined) throw error;
        }
      }),
    );
  }
}

export function intentsOn(row: VolumeRow): Intent[] {
  return Object.entries(row.metadata).flatMap(([name, value]) => {
    const id = INTENT.exec(name)?.[1];
    const [place, inputs = "", group = "-"] = value.split(" ");
    if (id === undefined || place !== row.id) return [];
    return {
      id,
      inputs,
      owner: row.metadata[key(id, "owner")] ?? "",
      groupBefore: group === "-" ? undefined : group,
      taskId: row.metadata[key(id, "task")],
      adoptedBy: row.metadata[key(id, "adopted")],
    };
  });
}

/** All open sets, by their intents; by the tags of their clones where the source volume is gone. */
export function openSets(cloud: PowerVc, rows: readonly VolumeRow[]): OpenObject[] {
  const sets = new Map<string, OpenObject>();
  for (const row of rows) {
    for (const { id, owner, inputs, taskId, groupBefore } of intentsOn(row)) {
      cloud.places.set(id, row.id);
      // Of a request whose answer this very run has lost, the intent says what we know already: it takes a trace of the
      // flow to say more. A later run has no other word than the intent, and looks for longer.
      const shows = () => (row.group_id ?? undefined) !== groupBefore || membersOf(rows, id, []).length > 0;
      if (cloud.asked.has(id) && taskId === undefined && !shows()) continue;
      sets.set(id, { id, owner, inputs, task: taskOf(taskId, groupBefore), state: {} });
    }
  }
  for (const { metadata, id: self } of rows) {
    const id = metadata[TAGS.set];
    if (id === undefined || metadata[TAGS.volume] !== self || metadata[TAGS.phase] !== "open" || sets.has(id)) continue;
    const { [TAGS.owner]: owner = "", [TAGS.inputs]: inputs = "", [TAGS.task]: taskId } = metadata;
    sets.set(id, { id, owner, inputs, task: taskOf(taskId, undefined), state: {} });
  }
  return [...sets.values()];
}

export function taskOf(taskId: string | undefined, groupBefore: string | undefined): Task {
  return {
    ...(taskId === undefined ? {} : { taskId }),
    ...(groupBefore === undefined ? {} : { groupBefore }),
  };
}

/** Which of these volumes are clones of the set. A source volume never is, whatever it is called. */
export function membersOf(rows: readonly VolumeRow[], id: string, sources: readonly string[]): Member[] {
  return rows.flatMap((row) => {
    if (sources.includes(row.id)) return [];
    const { [TAGS.set]: set, [TAGS.volume]: self, [TAGS.source]: tagged } = row.metadata;
    if (set !== undefined && self === row.id) return set === id ? { row, source: tagged } : [];
    if (NAMED.exec(row.name ?? "")?.[2] !== id) return [];
    const of = row.source_volid ?? undefined;
    // A copy of a clone may bear the clone's name.
    if (of !== undefined && sources.length > 0 && !sources.includes(of)) return [];
    return { row, source: of ?? (sources.length === 1 ? sources[0] : undefined) };
  });
}

/** What PowerVC puts before names (`powervc-config storage clone-name-prefix`): seen on a clone, the default else (§F2). */
export function prefixOf(name: string | null, tags: VolumeRow["metadata"]): string {
  return NAMED.exec(name ?? "")?.[1] ?? tags[TAGS.prefix] ?? "clone-";
}

/** Has tags, and they are its own. */
export function isTagged({ id, metadata }: VolumeRow): boolean {
  return metadata[TAGS.volume] === id;
}

/** Not yet given the name that the program wants. */
export function isTechnicalName(name: string | null): boolean {
  return NAMED.test(name ?? "");
}

function key(id: string, what: "intent" | "owner" | "task" | "adopted" | ""): string {
  return `snapclone:${id}:${what}`;
}
