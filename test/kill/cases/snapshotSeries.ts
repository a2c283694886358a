// SnapshotSeries in the kill suite: several series of one volume, told apart by the record in their snapshots' metadata. A
// series that is new has one snapshot.

import type { Backend, BackendSnapshot } from "../../scenarios/backend";
import { onRealSnapshots, openSnapshots } from "../cinderFixture";
import { SCENARIOS } from "../plan";
import { type Copy, programOf, type ResourceCase } from "../resourceCase";

export const snapshotSeries: ResourceCase = {
  type: "SnapshotSeries",
  scenarios: SCENARIOS,
  size: 4,
  openBackend: () => openSnapshots(copyOf),
  program: ({ sources: [volumeId] }, size) =>
    programOf(size, (name) => ({ volumeId, keep: 2, name, description: "at night", triggers: ["monday"] })),
  // Texts hold for the next snapshot. A changed trigger takes one more, which test/engine/snapshotSeries.test.ts kills.
  changed: (args) => ({ ...args, keep: 3, keepWithin: "7d" }),
  expectedCopies: ({ volumeId, name, description }) => [
    { source: String(volumeId), attributes: { status: "available", name, description } },
  ],
  copyIdsOf: ({ outputs }) => ((outputs.snapshots ?? []) as { id: string }[]).map(({ id }) => id),
  isComplete: ({ latest, failed }) => typeof latest === "string" && Array.isArray(failed) && failed.length === 0,
};

export function seriesOnBackend(open: () => Backend): ResourceCase {
  return {
    ...snapshotSeries,
    size: 3,
    openBackend: async (stackName) => onRealSnapshots(open(), stackName, ownerOf, copyOf),
  };
}

function copyOf(row: BackendSnapshot): Copy {
  const { id, volume_id, name, status, description, metadata } = row;
  return {
    id,
    owner: ownerOf(row),
    source: volume_id,
    attributes: { status, name: name?.replace(/-\d{8}T\d{6}Z$/, ""), description },
    hasRecord: metadata["snapclone:series"] !== undefined && metadata["snapclone:series-attempt"] !== undefined,
    isDeleting: status === "deleting",
  };
}

function ownerOf({ metadata }: Pick<BackendSnapshot, "metadata">): string {
  return metadata["snapclone:series-owner"] ?? "";
}
