// The copies in a Cinder project: snapshots of volumes, series of them, overlays on them, volumes made from snapshots, and
// PowerVC's clones.

import {
  hasOverlay,
  RECORD_KEYS as OVERLAY_KEYS,
  overlayOwner,
} from "../../provider/openstack/assistedSnapshot/ownership";
import { type SnapshotRow, utc, type VolumeRow } from "../../provider/openstack/cinder";
import type { OpenStackContext } from "../../provider/openstack/context";
import { managedBy } from "../../provider/openstack/snapshot/ownership";
import { SERIES_KEYS } from "../../provider/openstack/snapshotSeries/record";
import { isTagged, OWNERSHIP_KEYS, pendingCreatesOn } from "../../provider/powervc/volumeClone/ownership";
import { type CopyNode, keyOf } from "./model";
import type { Owners } from "./owners";
import type { ReadLineage } from "./read";

const NO_RECORD = { owner: undefined, stack: undefined, attempt: undefined };

/** PowerVC's Cinder shows which clone is of which volume in our tags alone. */
export async function readCinder(
  { cinder, session }: Pick<OpenStackContext, "cinder" | "session">,
  owners: Owners,
): Promise<ReadLineage> {
  const [volumes, { snapshots }] = await Promise.all([cinder.listVolumesDetail(), cinder.listSnapshotsDetail()]);
  return {
    backend: await session.identity("blockStorage"),
    now: session.serverTime("blockStorage"),
    nodes: [
      ...volumes.map((row) => volumeNode(row, owners)),
      ...seriesNodes(snapshots, owners),
      ...snapshots.flatMap((row) => snapshotNodes(row, owners)),
      ...volumes.flatMap((row) => pendingNodes(row, owners)),
    ],
    notes: [],
  };
}

function volumeNode(row: VolumeRow, owners: Owners): CopyNode {
  const key = keyOf("volume", row.id);
  const tags = isTagged(row) ? row.metadata : undefined;
  const source = tags?.[OWNERSHIP_KEYS.source] || row.source_volid;
  const parent = row.snapshot_id ? keyOf("snapshot", row.snapshot_id) : source ? keyOf("volume", source) : undefined;
  // A clone may have a copy of its source's metadata, record included (docs/wire/powervc.md#f2).
  const isRecordOwn = tags !== undefined || !!row.snapshot_id;
  const record = isRecordOwn ? row.metadata : {};
  const { [OWNERSHIP_KEYS.owner]: owner, [OWNERSHIP_KEYS.stack]: stack, [OWNERSHIP_KEYS.attempt]: attempt } = record;
  const createdAt = utc(row.created_at);
  return {
    key,
    kind: "volume",
    id: row.id,
    name: owners.nameOf(key, row.name),
    state: row.status,
    sizeGiB: row.size,
    createdAt,
    owner: owners.of(key, { owner, stack, attempt, createdAt }),
    parent,
  };
}

function snapshotNodes(row: SnapshotRow, owners: Owners): CopyNode[] {
  const key = keyOf("snapshot", row.id);
  const { metadata } = row;
  const series = metadata[SERIES_KEYS.series];
  const { owner, stack, attempt } =
    series === undefined ? (managedBy(row, new Date(0)) ?? NO_RECORD) : seriesRecord(metadata);
  const createdAt = utc(row.created_at);
  const node: CopyNode = {
    key,
    kind: "snapshot",
    id: row.id,
    name: owners.nameOf(key, row.name),
    state: row.status,
    sizeGiB: row.size,
    createdAt,
    owner: owners.of(key, { owner, stack, attempt, createdAt }),
    parent: series === undefined ? keyOf("volume", row.volume_id) : seriesKey(series, row.volume_id),
  };
  return hasOverlay(row) ? [node, overlayNode(row, owners)] : [node];
}

function overlayNode(row: SnapshotRow, owners: Owners): CopyNode {
  const id = `${row.volume_id}/${row.id}`;
  const key = keyOf("overlay", id);
  const { owner, stack, file = "", phase = "" } = overlayOwner(row) ?? {};
  return {
    key,
    kind: "overlay",
    id,
    name: owners.nameOf(key, file),
    state: phase,
    owner: owners.of(key, { owner, stack, attempt: row.metadata[OVERLAY_KEYS.attempt] }),
    parent: keyOf("snapshot", row.id),
  };
}

/** One for each series, between the volume and its instants. */
function seriesNodes(rows: readonly SnapshotRow[], owners: Owners): CopyNode[] {
  const members = new Map<string, SnapshotRow[]>();
  for (const row of rows) {
    const series = row.metadata[SERIES_KEYS.series];
    if (series === undefined) continue;
    const key = seriesKey(series, row.volume_id);
    members.set(key, [...(members.get(key) ?? []), row]);
  }
  return [...members].flatMap(([key, instants]) => seriesNode(key, instants, owners));
}

function seriesNode(key: string, instants: readonly SnapshotRow[], owners: Owners): CopyNode[] {
  const [first] = instants;
  if (first === undefined) return [];
  const { metadata, volume_id: volume } = first;
  const createdAt = instants.flatMap((row) => utc(row.created_at) ?? []).sort()[0];
  const record = { ...seriesRecord(metadata), createdAt };
  const held = instants.find(({ id }) => owners.holds(keyOf("snapshot", id))) ?? first;
  const triggers = new Set(instants.map((row) => row.metadata[SERIES_KEYS.instant] ?? row.id));
  return [
    {
      key,
      kind: "series",
      id: metadata[SERIES_KEYS.series] ?? "",
      name: owners.resourceName(record),
      state: `${count(instants.length, "snapshot")} of ${count(triggers.size, "trigger")}`,
      createdAt,
      owner: owners.of(keyOf("snapshot", held.id), record),
      parent: keyOf("volume", volume),
    },
  ];
}

function seriesRecord(metadata: SnapshotRow["metadata"]) {
  return {
    owner: metadata[SERIES_KEYS.owner],
    stack: metadata[SERIES_KEYS.stack],
    attempt: metadata[SERIES_KEYS.attempt],
  };
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function seriesKey(series: string, volume: string): string {
  return keyOf("series", `${series} ${volume}`);
}

/** A flow that PowerVC was asked for, and whose clones do not have their tags yet. */
function pendingNodes(row: VolumeRow, owners: Owners): CopyNode[] {
  return pendingCreatesOn(row).map(({ id, since, record }) => {
    const key = keyOf("clone set", id);
    return {
      key,
      kind: "clone set",
      id,
      name: owners.resourceName(record),
      state: "being made",
      createdAt: since,
      owner: owners.of(key, { ...record, createdAt: since }),
      parent: keyOf("volume", row.id),
    };
  });
}
