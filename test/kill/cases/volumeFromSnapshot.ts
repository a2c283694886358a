// VolumeFromSnapshot in the kill suite: several volumes of one snapshot, told apart by the record in their metadata.

import { SEED_VOLUMES, startEmulator, type VolumeRow } from "../../../emulator/index";
import { SCENARIOS } from "../plan";
import { type BackendFixture, type Copy, LATENCY_MS, programOf, RequestSpy, type ResourceCase } from "../resourceCase";

const SNAPSHOTS = ["9b9e0504-bec0-4e6d-a5ba-83cce6a19555", "4f22f084-3ee8-43d2-b3c8-f1d93325a024"] as const;

export const volumeFromSnapshot: ResourceCase = {
  type: "VolumeFromSnapshot",
  scenarios: SCENARIOS,
  sourceInput: "snapshotId",
  size: 3,
  openBackend,
  program: ({ sources: [snapshotId] }, size) =>
    programOf(size, (name) => ({
      snapshotId,
      name: `${name} of the day`,
      sizeGiB: 12,
      metadata: { keep: "7", team: "shop" },
    })),
  changed: ({ snapshotId, name }) => ({
    snapshotId,
    name: `${name} anew`,
    sizeGiB: 15,
    metadata: { keep: "30", tier: "gold" },
  }),
  expectedCopies: ({ snapshotId, name, sizeGiB, metadata }) => [
    {
      source: String(snapshotId),
      attributes: { status: "available", name, size: sizeGiB, metadata: sorted(metadata as Record<string, string>) },
    },
  ],
  copyIdsOf: ({ id }) => [id],
  isComplete: ({ status }) => status === "available",
  namesCopies: true,
};

async function openBackend(): Promise<BackendFixture> {
  const cloud = await startEmulator({
    latencyMs: LATENCY_MS,
    timings: { volumeCreate: 600, volumeDelete: 300, volumeExtend: 300 },
  });
  const { cinder, requests } = cloud;
  const spy = new RequestSpy(requests, {
    create: /^volumes\.create$/,
    delete: /^volumes\.delete$/,
    poll: /^volumes\.(detail|show)$/,
  });
  const rows = () => [...cinder.volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null);
  spy.watch(cinder.volumes, ({ snapshot_id }) => snapshot_id !== null);
  const startDelete = cinder.startVolumeDelete.bind(cinder);
  cinder.startVolumeDelete = (row, ...more) => {
    const others = rows().filter((other) => other !== row && ownerOf(other) === ownerOf(row));
    spy.recordDeletion(
      copyOf(row),
      others.some(({ status }) => status === "available"),
    );
    startDelete(row, ...more);
  };
  const prepare = () => {
    for (const id of SNAPSHOTS) cinder.createSnapshot({ id, volume_id: SEED_VOLUMES.data });
  };
  prepare();
  return {
    connections: { default: { ...cloud.openstack.connection() } },
    sources: [...SNAPSHOTS],
    async copies() {
      cinder.advance();
      return rows().map(copyOf);
    },
    async reset() {
      cloud.reset();
      prepare();
      spy.clear();
    },
    spy,
    close: () => cloud.close(),
  };
}

function copyOf(row: VolumeRow): Copy {
  const foreign = Object.entries(row.metadata).filter(([key]) => !key.startsWith("snapclone:"));
  return {
    id: row.id,
    owner: ownerOf(row),
    source: row.snapshot_id ?? "",
    attributes: {
      status: row.status,
      name: row.name,
      size: row.size,
      metadata: sorted(Object.fromEntries(foreign)),
    },
    hasRecord: row.metadata["snapclone:attempt"] !== undefined,
    isDeleting: row.status === "deleting",
  };
}

function ownerOf({ metadata }: VolumeRow): string {
  return metadata["snapclone:owner"] ?? "";
}

function sorted(metadata: Record<string, string>): [string, string][] {
  return Object.entries(metadata).sort();
}
