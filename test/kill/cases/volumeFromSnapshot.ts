// VolumeFromSnapshot in the kill suite: several volumes of one snapshot, told apart by the record in their metadata.

import type { BackendVolume, VolumeBackend } from "../../scenarios/volumes";
import { openVolumes, visibleMetadata } from "../cinderFixture";
import { SCENARIOS } from "../plan";
import { type Args, type Copy, programOf, type ResourceCase } from "../resourceCase";

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

/** A real cloud, of which the rows alone are seen. Its volumes have 1 GiB. */
export function volumesOnBackend(open: () => Promise<VolumeBackend>): ResourceCase {
  const small = (args: Args): Args => ({ ...args, sizeGiB: Number(args.sizeGiB) - 10 });
  return {
    ...volumeFromSnapshot,
    size: 2,
    program: (fixture, size) =>
      Object.fromEntries(
        Object.entries(volumeFromSnapshot.program(fixture, size)).map(([name, args]) => [name, small(args)]),
      ),
    changed: (args) => ({ ...volumeFromSnapshot.changed(args), sizeGiB: Number(args.sizeGiB) + 1 }),
    async openBackend(stackName) {
      const backend = await open();
      const [one, two] = [
        await backend.makeSnapshot(backend.volumes[0]),
        await backend.makeSnapshot(backend.volumes[1]),
      ];
      const ours = async () =>
        (await backend.volumesFromSnapshots()).filter((row) => ownerOf(row).startsWith(`urn:pulumi:${stackName}::`));
      return {
        connections: backend.connections,
        finishAbandonedRequests: async () => backend.finishAbandonedRequests?.(),
        sources: [one, two],
        copies: async () => (await ours()).map(copyOf),
        async reset() {
          for (const { id } of await ours()) await backend.removeVolume(id);
        },
        async close() {
          for (const id of [one, two]) await backend.remove(id);
          await backend.close();
        },
      };
    },
  };
}

function copyOf(row: BackendVolume): Copy {
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

function ownerOf({ metadata }: Pick<BackendVolume, "metadata">): string {
  return metadata["snapclone:owner"] ?? "";
}
