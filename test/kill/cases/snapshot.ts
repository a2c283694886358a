// Snapshot in the kill suite: several of one volume, told apart by the record in their metadata.

import type { SnapshotRow } from "../../../emulator/index";
import type { Backend, BackendSnapshot } from "../../scenarios/backend";
import { onRealSnapshots, openSnapshots, visibleMetadata } from "../cinderFixture";
import { SCENARIOS } from "../plan";
import { type Copy, programOf, type RecordOnBackend, type ResourceCase } from "../resourceCase";

export const snapshot: ResourceCase = {
  type: "Snapshot",
  scenarios: SCENARIOS,
  size: 5,
  openBackend: () => openSnapshots(copyOf, recordOf),
  program: ({ sources: [volumeId] }, size) =>
    programOf(size, (name) => ({ volumeId, name: `${name} of the day`, metadata: { keep: "7", team: "shop" } })),
  changed: ({ volumeId, name }) => ({ volumeId, name: `${name} anew`, metadata: { keep: "30", tier: "gold" } }),
  expectedCopies: ({ volumeId, name, metadata }) => [
    {
      source: String(volumeId),
      attributes: { status: "available", name, metadata: visibleMetadata(metadata as Record<string, string>) },
    },
  ],
  copyIdsOf: ({ id }) => [id],
  isComplete: ({ status }) => status === "available",
  namesCopies: true,
};

export function onBackend(open: () => Backend): ResourceCase {
  return {
    ...snapshot,
    size: 3,
    openBackend: async (stackName) => onRealSnapshots(open(), stackName, ownerOf, copyOf),
  };
}

function copyOf(row: BackendSnapshot): Copy {
  return {
    id: row.id,
    owner: ownerOf(row),
    source: row.volume_id,
    attributes: { status: row.status, name: row.name, metadata: visibleMetadata(row.metadata) },
    hasRecord: row.metadata["snapclone:attempt"] !== undefined,
    isDeleting: row.status === "deleting",
  };
}

function recordOf({ id, metadata, created_at }: SnapshotRow): RecordOnBackend | undefined {
  const { "snapclone:owner": owner, "snapclone:attempt": attempt } = metadata;
  if (owner === undefined || attempt === undefined) return undefined;
  return { id, owner, attempt, madeAt: Date.parse(`${created_at}Z`) };
}

function ownerOf({ metadata }: Pick<BackendSnapshot, "metadata">): string {
  return metadata["snapclone:owner"] ?? "";
}
