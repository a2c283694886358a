// Snapshot under the kill tests: several of one volume, told apart by the record in their metadata.

import { startEmulator } from "../../../emulator/index";
import type { Backend, BackendSnapshot } from "../../scenarios/backend";
import { STORIES } from "../plan";
import { type BackendFixture, type Copy, LATENCY_MS, programOf, RequestSpy, type ResourceCase } from "../resourceCase";

export const snapshot: ResourceCase = {
  type: "Snapshot",
  stories: STORIES,
  size: 5,
  ground: emulatorGround,
  program: ({ sources: [volumeId] }, size) =>
    programOf(size, (name) => ({ volumeId, name: `${name} of the day`, metadata: { keep: "7", team: "shop" } })),
  changed: ({ volumeId, name }) => ({ volumeId, name: `${name} anew`, metadata: { keep: "30", tier: "gold" } }),
  wanted: ({ volumeId, name, metadata }) => [
    {
      from: String(volumeId),
      shows: { status: "available", name, metadata: sorted(metadata as Record<string, string>) },
    },
  ],
  idsOf: ({ id }) => [id],
  isWhole: ({ status }) => status === "available",
  namesCopies: true,
};

/** A real cloud, of which the rows alone are seen, and a stack name of our own among other people's snapshots. */
export function onBackend(open: () => Backend): ResourceCase {
  return {
    ...snapshot,
    size: 3,
    async ground(stackName) {
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

async function emulatorGround(): Promise<BackendFixture> {
  const cloud = await startEmulator({
    latencyMs: LATENCY_MS,
    timings: { snapshotCreate: 600, snapshotDelete: 300 },
  });
  const { cinder, requests } = cloud;
  const witness = new RequestSpy(requests, {
    create: /^snapshots\.create$/,
    delete: /^snapshots\.delete$/,
    // The first list of a run looks for what is ours; the others wait for something.
    look: /^snapshots\.(detail|show)$/,
  });
  witness.watch(cinder.snapshots);
  const startDelete = cinder.startSnapshotDelete.bind(cinder);
  cinder.startSnapshotDelete = (row, requestId) => {
    const others = [...cinder.snapshots.values()].filter((other) => other !== row && ownerOf(other) === ownerOf(row));
    witness.deleted(
      copyOf(row),
      others.some(({ status }) => status === "available"),
    );
    startDelete(row, requestId);
  };
  return {
    connections: { default: { ...cloud.connection() } },
    sources: ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"],
    async copies() {
      cinder.settle();
      return [...cinder.snapshots.values()].map(copyOf);
    },
    async reset() {
      cloud.reset();
      witness.forget();
    },
    witness,
    close: () => cloud.close(),
  };
}

function copyOf(row: BackendSnapshot): Copy {
  const foreign = Object.entries(row.metadata).filter(([key]) => !key.startsWith("snapclone:"));
  return {
    id: row.id,
    owner: ownerOf(row),
    from: row.volume_id,
    shows: { status: row.status, name: row.name, metadata: sorted(Object.fromEntries(foreign)) },
    open: row.metadata["snapclone:attempt"] !== undefined,
    leaving: row.status === "deleting",
  };
}

function ownerOf({ metadata }: Pick<BackendSnapshot, "metadata">): string {
  return metadata["snapclone:owner"] ?? "";
}

function sorted(metadata: Record<string, string>): [string, string][] {
  return Object.entries(metadata).sort();
}
