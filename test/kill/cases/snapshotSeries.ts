// SnapshotSeries in the kill suite: several series of one volume, told apart by the record in their snapshots' metadata. A
// series that is new has one snapshot.

import { startEmulator } from "../../../emulator/index";
import type { BackendSnapshot } from "../../scenarios/backend";
import { SCENARIOS } from "../plan";
import { type BackendFixture, type Copy, LATENCY_MS, programOf, RequestSpy, type ResourceCase } from "../resourceCase";

export const snapshotSeries: ResourceCase = {
  type: "SnapshotSeries",
  scenarios: SCENARIOS,
  size: 4,
  openBackend,
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

async function openBackend(): Promise<BackendFixture> {
  const cloud = await startEmulator({ latencyMs: LATENCY_MS, timings: { snapshotCreate: 600, snapshotDelete: 300 } });
  const { cinder, requests } = cloud;
  const spy = new RequestSpy(requests, {
    create: /^snapshots\.create$/,
    delete: /^snapshots\.delete$/,
    poll: /^snapshots\.(detail|show)$/,
  });
  spy.watch(cinder.snapshots);
  const startDelete = cinder.startSnapshotDelete.bind(cinder);
  cinder.startSnapshotDelete = (row, requestId) => {
    const others = [...cinder.snapshots.values()].filter((other) => other !== row && ownerOf(other) === ownerOf(row));
    spy.recordDeletion(
      copyOf(row),
      others.some(({ status }) => status === "available"),
    );
    startDelete(row, requestId);
  };
  return {
    connections: { default: { ...cloud.openstack.connection() } },
    sources: ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"],
    async copies() {
      cinder.advance();
      return [...cinder.snapshots.values()].map(copyOf);
    },
    async reset() {
      cloud.reset();
      spy.clear();
    },
    spy,
    close: () => cloud.close(),
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
