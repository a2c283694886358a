// A set of clones as the outputs show it, and how its clones are found from what the state knows.

import type { Observed, Pending, State } from "../../core/definition";
import type { VolumeRow } from "../../openstack/cinder";
import type { PowerVcContext } from "../context";
import { displayNameOf, SEPARATOR } from "./names";
import {
  createdAt,
  importedTags,
  indexTag,
  isTagged,
  isTemporaryName,
  type Member,
  membersOf,
  OWNERSHIP_KEYS,
  prefixOf,
  textsIn,
} from "./ownership";

/** An item of the output `clonedVolumes`. */
export interface ClonedVolume {
  sourceId?: string | undefined;
  id: string;
  name?: string | undefined;
  description?: string | undefined;
  sizeGiB: number;
  status: string;
  volumeType?: string | undefined;
  createdAt?: string | undefined;
}

/** The members that an observation was made from: an update need not fetch them again. */
export const membersBehind = new WeakMap<Observed, readonly Member[]>();

/**
 * The clones of a set that exist. They are found by the ids in the state. If the state does not name a clone of each
 * volume, they are found by tags and names as well.
 */
export async function findMembers(
  cloud: PowerVcContext,
  id: string,
  known: State,
  signal?: AbortSignal,
): Promise<Member[]> {
  const sources = stringsIn(known.volumes);
  const recorded = recordedClones(known);
  const filter = { metadata: { [OWNERSHIP_KEYS.set]: id } };
  const byId = await cloud.volumes([...recorded.keys()], filter, signal);
  const members = byId.map((row) =>
    withTags({ row, source: recorded.get(row.id) ?? sourceIn(row) }, id, sources, known),
  );
  if (hasCloneOfEach(sources, recorded)) return members;
  // A resource that is only read (`get`) knows no source volumes: its clones are found by their tags.
  const rows = sources.length > 0 ? await cloud.listAll(signal) : await cloud.cinder.listVolumesDetail(filter, signal);
  return [...members, ...membersOf(rows, id, sources).filter(({ row }) => !recorded.has(row.id))];
}

/** From the id of each clone that the state names to its source volume, if the state knows that. */
export function recordedClones(known: State): Map<string, string | undefined> {
  const sources = stringsIn(known.volumes);
  const rows = Array.isArray(known.clonedVolumes) ? (known.clonedVolumes as Partial<ClonedVolume>[]) : [];
  const recorded = new Map<string, string | undefined>();
  for (const { id, sourceId } of rows) if (typeof id === "string") recorded.set(id, sourceId);
  for (const [source, clone] of Object.entries(textsIn(known.clones))) recorded.set(clone, source);
  // A source volume is never a clone of the set, even if an early build has recorded it as one.
  for (const source of sources) recorded.delete(source);
  return recorded;
}

export function hasCloneOfEach(sources: readonly string[], recorded: ReadonlyMap<string, string | undefined>): boolean {
  const known = new Set(recorded.values());
  return sources.length > 0 && sources.every((source) => known.has(source));
}

function sourceIn(row: VolumeRow): string | undefined {
  return isTagged(row) ? row.metadata[OWNERSHIP_KEYS.source] : undefined;
}

/** If somebody has removed a clone's tags, or an import has not written them yet, this puts back what the state knows. */
function withTags({ row, source }: Member, id: string, sources: readonly string[], known: State): Member {
  if (isTagged(row)) return { row, source };
  const prefix = typeof known.namePrefix === "string" ? known.namePrefix : prefixOf(row.name, {});
  if (known.__imported !== undefined) {
    return {
      source,
      row: { ...row, metadata: { ...row.metadata, ...importedTags(row, source, sources, id, prefix) } },
    };
  }
  const tags = {
    [OWNERSHIP_KEYS.volume]: row.id,
    [OWNERSHIP_KEYS.index]: indexTag(sources, source),
    [OWNERSHIP_KEYS.prefix]: prefix,
  };
  return { source, row: { ...row, metadata: { ...row.metadata, ...tags } } };
}

export function observedOf(found: readonly Member[], known: State): Observed {
  const recorded = stringsIn(known.volumes);
  const byTag = [...found].sort((a, b) => indexIn(a.row) - indexIn(b.row)).flatMap(({ source }) => source ?? []);
  // The volumes as they were asked for, in the program's order. A clone that is missing is missing from these.
  const volumes = recorded.length > 0 ? recorded : byTag;
  const order = ({ row, source }: Member) => {
    const index = volumes.indexOf(source ?? "");
    return index < 0 ? volumes.length + indexIn(row) : index;
  };
  const members = [...found].sort((a, b) => order(a) - order(b));
  const rows = members.map(({ row }) => row);
  const isMapped = rows.every(isTagged) && members.every(({ source }) => source !== undefined);
  const gone = volumes.filter((volume) => !members.some(({ source }) => source === volume));
  const isNamed = isMapped && !rows.some(({ name }) => isTemporaryName(name));
  const descriptions = [...new Set(rows.map(({ description }) => description ?? ""))];
  const tags = rows[0]?.metadata ?? {};
  const observed = {
    state: {
      volumes,
      ...(isNamed
        ? { displayName: displayNameOf(members, volumes), description: descriptions.join(SEPARATOR) || undefined }
        : {}),
      clones: Object.fromEntries(members.flatMap(({ row, source }) => (source ? [[source, row.id]] : []))),
      clonedVolumes: members.map(({ row, source }) => clonedVolume(row, source)),
      // Until PowerVC has told which clone is whose, nobody knows which one is missing.
      missing: isMapped && gone.length > 0 ? gone : undefined,
      namePrefix: tags[OWNERSHIP_KEYS.prefix],
      taskId: tags[OWNERSHIP_KEYS.task] || known.taskId,
      flow: known.flow,
    },
  };
  membersBehind.set(observed, members);
  return observed;
}

function clonedVolume(row: VolumeRow, sourceId: string | undefined): ClonedVolume {
  return {
    sourceId,
    id: row.id,
    name: row.name ?? undefined,
    description: row.description || undefined,
    sizeGiB: row.size,
    status: row.status,
    volumeType: row.volume_type ?? undefined,
    createdAt: createdAt(row),
  };
}

/** The create in the state that PowerVC may still be working on. */
export function unfinishedCreate({ pending }: State): Pending | undefined {
  const work = pending as Pending | undefined;
  return work?.operation === "create" && !work.failed ? work : undefined;
}

function indexIn({ metadata }: VolumeRow): number {
  return Number.parseInt(metadata[OWNERSHIP_KEYS.index] ?? "0", 10);
}

/** The items of a list that are text. */
export function stringsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
