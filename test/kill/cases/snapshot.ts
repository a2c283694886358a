// Snapshot in the kill suite: several of one volume, told apart by the record in their metadata.

import { startEmulator } from "../../../emulator/index";
import type { Backend, BackendSnapshot } from "../../scenarios/backend";
import { SCENARIOS } from "../plan";
import { type BackendFixture, type Copy, LATENCY_MS, programOf, RequestSpy, type ResourceCase } from "../resourceCase";

export const snapshot: ResourceCase = {
  type: "Snapshot",
  scenarios: SCENARIOS,
  size: 5,
  openBackend: openEmulator,
  program: ({ sources: [volumeId] }, size) =>
    programOf(size, (name) => ({ volumeId, name: `${name} of the day`, metadata: { keep: "7", team: "shop" } })),
  changed: ({ volumeId, name }) => ({ volumeId, name: `${name} anew`, metadata: { keep: "30", tier: "gold" } }),
  expectedCopies: ({ volumeId, name, metadata }) => [
    {
      source: String(volumeId),
      attributes: { status: "available", name, metadata: sorted(metadata as Record<string, string>) },
    },
  ],
  copyIdsOf: ({ id }) => [id],
  isComplete: ({ status }) => status === "available",
  namesCopies: true,
};

/** A real cloud, of which the rows alone are seen, and a stack name of our own among other people's snapshots. */
export function onBackend(open: () => Backend): ResourceCase {
  return {
    ...snapshot,
    size: 3,
    async openBackend(stackName) {
      const backend = open();
      const ours = async () =>
        (await backend.snapshots()).filter((row) => ownerOf(row).startsWith(`urn:pulumi:${stackName}::`));
      return {
        connections: backend.connections,
        sources: backend.volumes,
        copies: async () => (await ours()).map(copyOf),
        async reset() {
          for (const { id } of await ours()) await backend.remove(id);
        },
        close: () => backend.close(),
      };
    },
  };
}

async function openEmulator(): Promise<BackendFixture> {
  const cloud = await startEmulator({
    latencyMs: LATENCY_MS,
    timings: { snapshotCreate: 600, snapshotDelete: 300 },
  });
  const { cinder, requests } = cloud;
  const spy = new RequestSpy(requests, {
    create: /^snapshots\.create$/,
    delete: /^snapshots\.delete$/,
    // Lists and reads: the first list of a run finds what this stack owns, the others wait for something.
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
  const foreign = Object.entries(row.metadata).filter(([key]) => !key.startsWith("snapclone:"));
  return {
    id: row.id,
    owner: ownerOf(row),
    source: row.volume_id,
    attributes: { status: row.status, name: row.name, metadata: sorted(Object.fromEntries(foreign)) },
    hasRecord: row.metadata["snapclone:attempt"] !== undefined,
    isDeleting: row.status === "deleting",
  };
}

function ownerOf({ metadata }: Pick<BackendSnapshot, "metadata">): string {
  return metadata["snapclone:owner"] ?? "";
}

function sorted(metadata: Record<string, string>): [string, string][] {
  return Object.entries(metadata).sort();
}
