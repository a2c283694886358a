// VolumeFromSnapshot in the kill suite: several volumes of one snapshot, told apart by the record in their metadata.

import type { VolumeRow } from "../../../emulator/index";
import { openVolumes, visibleMetadata } from "../cinderFixture";
import { SCENARIOS } from "../plan";
import { type Copy, programOf, type ResourceCase } from "../resourceCase";

const SNAPSHOTS = ["9b9e0504-bec0-4e6d-a5ba-83cce6a19555", "4f22f084-3ee8-43d2-b3c8-f1d93325a024"] as const;

export const volumeFromSnapshot: ResourceCase = {
  type: "VolumeFromSnapshot",
  scenarios: SCENARIOS,
  sourceInput: "snapshotId",
  size: 3,
  openBackend: () => openVolumes(SNAPSHOTS, copyOf),
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
      attributes: {
        status: "available",
        name,
        size: sizeGiB,
        metadata: visibleMetadata(metadata as Record<string, string>),
      },
    },
  ],
  copyIdsOf: ({ id }) => [id],
  isComplete: ({ status }) => status === "available",
  namesCopies: true,
};

function copyOf(row: VolumeRow): Copy {
  return {
    id: row.id,
    owner: ownerOf(row),
    source: row.snapshot_id ?? "",
    attributes: {
      status: row.status,
      name: row.name,
      size: row.size,
      metadata: visibleMetadata(row.metadata),
    },
    hasRecord: row.metadata["snapclone:attempt"] !== undefined,
    isDeleting: row.status === "deleting",
  };
}

function ownerOf({ metadata }: VolumeRow): string {
  return metadata["snapclone:owner"] ?? "";
}
