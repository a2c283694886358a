// The copies on a ViPR Controller: sessions of volumes and consistency groups, and the targets linked to them. ViPR lists
// nothing as a whole for a user (docs/wire/vipr.md#s3), so the way begins at what the state or `--source` names.

import { orUndefined } from "../../provider/core/absence";
import { resources } from "../../provider/resources";
import { isConsistencyGroup, type LinkedTarget, type SnapshotSession } from "../../provider/vipr/client";
import type { ViprContext } from "../../provider/vipr/context";
import { parseName, parseSetId } from "../../provider/vipr/linkedTargetSet/names";
import { recordTagged } from "../../provider/vipr/linkedTargetSet/ownership";
import { objectsOf } from "../heldObjects";
import { type CopyNode, type Kind, keyOf } from "./model";
import type { Owners, PossibleRecord } from "./owners";
import type { ReadLineage } from "./read";

/** `sources` are URNs of volumes, consistency groups and sessions. */
export async function readVipr(
  controller: ViprContext,
  owners: Owners,
  sources: readonly string[],
): Promise<ReadLineage> {
  const { client } = controller;
  const stated = owners.resources.flatMap(({ inputs: { snapshotSessionId: id } }) =>
    typeof id === "string" ? [id] : [],
  );
  const begin = [...new Set([...stated, ...sources.filter((urn) => isOf(urn, "BlockSnapshotSession"))])];
  const given = sources.filter((urn) => isOf(urn, "Volume") || isConsistencyGroup(urn));
  const first = await client.bulkSessions(begin);
  const places = [...new Set([...given, ...first.flatMap(placeOf)])];
  const listed = await Promise.all(places.map(async (place) => (await orUndefined(client.listSessions(place))) ?? []));
  const sessions = await client.bulkSessions([...new Set([...begin, ...listed.flat()])]);
  const living = sessions.filter(({ inactive }) => !inactive);
  const targets = await client.bulkTargets(living.flatMap((one) => one.linked_targets.map(({ id }) => id)));
  const sessionOf = new Map(living.flatMap((one) => one.linked_targets.map(({ id }) => [id, one.id])));
  return {
    backend: await resources.linkedTargetSet().identity(controller, {}, new AbortController().signal),
    now: client.serverTime(),
    nodes: [
      ...(await placeNodes(controller, places)),
      ...living.map(sessionNode),
      ...(await promotedNodes(controller, owners)),
      ...targets.filter(({ inactive }) => !inactive).map((row) => targetNode(row, sessionOf.get(row.id), owners)),
    ],
    notes:
      places.length > 0 || begin.length > 0
        ? []
        : [
            "ViPR lists copies by their source only: give --state, or --source with the URN of a volume, group or session",
          ],
  };
}

async function placeNodes({ client }: ViprContext, places: readonly string[]): Promise<CopyNode[]> {
  const groups = await Promise.all(places.filter(isConsistencyGroup).map((id) => orUndefined(client.showGroup(id))));
  const volumes = await client.bulkVolumes(places.filter((id) => !isConsistencyGroup(id)));
  return [
    ...groups.flatMap((row) => (row === undefined ? [] : placeNode(row.id, row.name, `${row.volumes.length} volumes`))),
    ...volumes.map(({ id, name, inactive }) => placeNode(id, name, inactive ? "inactive" : "active")),
  ];
}

function placeNode(id: string, name: string, state: string): CopyNode {
  const kind = kindOfPlace(id);
  return { key: keyOf(kind, id), kind, id, name, state, owner: { is: "nobody" } };
}

/** A session is made outside of this package, and has no record. */
function sessionNode(row: SnapshotSession): CopyNode {
  const [place] = placeOf(row);
  return {
    key: keyOf("session", row.id),
    kind: "session",
    id: row.id,
    name: row.name,
    state: "active",
    createdAt: timeOf(row.creation_time),
    owner: { is: "nobody" },
    parent: place === undefined ? undefined : keyOf(kindOfPlace(place), place),
  };
}

function targetNode(row: LinkedTarget, session: string | undefined, owners: Owners): CopyNode {
  const key = keyOf("target", row.id);
  const record = recordTagged(row) ?? recordNamed(row, owners);
  const createdAt = timeOf(row.creation_time);
  const size = Number(row.provisioned_capacity_gb ?? Number.NaN);
  return {
    key,
    kind: "target",
    id: row.id,
    name: owners.nameOf(key, row.name),
    state: row.wwn ? "linked" : "being linked",
    sizeGiB: Number.isNaN(size) ? undefined : size,
    createdAt,
    owner: owners.of(key, { ...record, createdAt }),
    parent: session === undefined ? undefined : keyOf("session", session),
  };
}

/** Only a set whose record has changed has tags. Before that, its targets' names have a digest of the owner. */
function recordNamed({ name }: LinkedTarget, owners: Owners): PossibleRecord {
  const id = parseName(name)?.id;
  const named = parseSetId(id ?? "");
  if (named === undefined) return { owner: id };
  const record = owners.recordOf("linkedTargetSet", named.owner) ?? { owner: id };
  return { ...record, attempt: named.attempt };
}

/** What was unlinked and kept is a volume: the state alone says which. */
async function promotedNodes({ client }: ViprContext, owners: Owners): Promise<CopyNode[]> {
  const promoted = owners.resources.flatMap((entry) => objectsOf(entry).filter(({ kind }) => kind === "volume"));
  const rows = await client.bulkVolumes(promoted.map(({ id }) => id));
  return rows
    .filter(({ inactive }) => !inactive)
    .map(({ id, name }) => {
      const key = keyOf("volume", id);
      const parent = promoted.find((one) => one.id === id)?.parent;
      return { ...placeNode(id, owners.nameOf(key, name), "kept after unlinking"), owner: owners.of(key, {}), parent };
    });
}

function placeOf({ consistency_group: group, parent }: SnapshotSession): string[] {
  const id = group?.id ?? parent?.id;
  return id === undefined ? [] : [id];
}

function kindOfPlace(id: string): Kind {
  return isConsistencyGroup(id) ? "group" : "volume";
}

function isOf(urn: string, type: string): boolean {
  return urn.toLowerCase().startsWith(`urn:storageos:${type.toLowerCase()}:`);
}

function timeOf(ms: unknown): string | undefined {
  return typeof ms === "number" ? new Date(ms).toISOString() : undefined;
}
