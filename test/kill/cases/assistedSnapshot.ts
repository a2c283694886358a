// AssistedSnapshot in the kill suite: an overlay on each of several disks. The disk's chain of files shows the overlays. Nova
// reports no outcome, so after some kills an error asks the user to look at the disk: `followAdvice` does that.

import { type Emulator, type SnapshotRow, startEmulator } from "../../../emulator/index";
import { followAssistedSnapshotAdvice } from "../../support/assistedSnapshotAdvice";
import {
  type BackendFixture,
  type Copy,
  LATENCY_MS,
  namesOf,
  programOf,
  RequestSpy,
  type ResourceCase,
  urnOf,
} from "../resourceCase";

const SIZE = 3;
const VOLUMES = [1, 2, 3].map((n) => `7000000${n}-1111-4111-8111-111111111111`);
const SNAPSHOTS = [1, 2, 3].map((n) => `8000000${n}-1111-4111-8111-111111111111`);
const STEP = "snapclone:assisted-step";
const OWNER = "snapclone:assisted-owner";

export const assistedSnapshot: ResourceCase = {
  type: "AssistedSnapshot",
  // A replacement is another file on the same chain. The scenarios of create and delete cover its parts.
  scenarios: ["up", "up, killed again while it recovers", "one removed in between", "during destroy"],
  size: SIZE,
  openBackend,
  program: (_backend, size) =>
    programOf(size, (name, at) => ({
      volumeId: VOLUMES[at],
      snapshotId: SNAPSHOTS[at],
      newFile: `overlay-${name}`,
      fileToMerge: null,
      mergeTargetFile: null,
      manageStatus: true,
    })),
  changed: (args) => args,
  expectedCopies: ({ volumeId, newFile }) => [
    {
      source: String(volumeId),
      attributes: { files: [newFile, `volume-${volumeId}`], step: "made", status: "available" },
    },
  ],
  // While Nova is working, there is no overlay yet.
  copyIdsOf: ({ id, outputs }) => (outputs.pending === undefined ? [id] : []),
  isComplete: ({ verified, status }) => verified === true && status === "available",
};

async function openBackend(stackName: string): Promise<BackendFixture> {
  const cloud = await startEmulator({
    latencyMs: LATENCY_MS,
    timings: { assistedCreate: 600, assistedDelete: 300 },
  });
  const { cinder, nova, requests } = cloud;
  const spy = new RequestSpy(requests, {
    create: /^assistedSnapshots\.create$/,
    delete: /^assistedSnapshots\.delete$/,
    poll: /^snapshots\.(detail|show)$/,
  });
  const { copyOf, isInPlace } = copyReader(cloud, stackName);
  const startCreate = nova.startCreate.bind(nova);
  nova.startCreate = (volumeId, info) => {
    spy.made.push(`${volumeId}/${info.snapshot_id}`);
    startCreate(volumeId, info);
  };
  const startDelete = nova.startDelete.bind(nova);
  nova.startDelete = (volumeId, snapshotId, info) => {
    const owner = urnOf(stackName, "AssistedSnapshot", resourceOf(snapshotId));
    spy.recordDeletion({ id: `${volumeId}/${snapshotId}`, owner }, false);
    startDelete(volumeId, snapshotId, info);
  };
  const prepare = () => {
    for (const [at, id] of VOLUMES.entries()) {
      cinder.createVolume({ id, status: "in-use" });
      cinder.createSnapshot({ id: SNAPSHOTS[at] ?? "", volume_id: id });
      nova.createFile(id, `overlay-${namesOf(SIZE)[at]}`);
    }
    spy.clear();
  };
  prepare();
  return {
    connections: { default: { ...cloud.openstack.connection("admin") } },
    sources: VOLUMES as [string, string],
    async copies() {
      nova.advance();
      return SNAPSHOTS.flatMap((id) => cinder.snapshots.get(id) ?? [])
        .filter(isInPlace)
        .map(copyOf);
    },
    async reset() {
      cloud.reset();
      prepare();
    },
    spy,
    followAdvice: (output) => followAssistedSnapshotAdvice(output, cinder.snapshots, isInPlace) > 0,
    close: () => cloud.close(),
  };
}

function copyReader({ nova }: Emulator, stackName: string) {
  return {
    copyOf: (row: SnapshotRow): Copy => ({
      id: `${row.volume_id}/${row.id}`,
      // The record has the whole URN unless it is longer than Cinder's 255 characters.
      owner: row.metadata[OWNER] ?? urnOf(stackName, "AssistedSnapshot", resourceOf(row.id)),
      source: row.volume_id,
      attributes: { files: nova.chain(row.volume_id), step: row.metadata[STEP], status: row.status },
      hasRecord: row.metadata[OWNER] !== undefined,
      isDeleting: row.metadata[STEP]?.startsWith("merge") ?? false,
    }),
    /** True if the overlay is the active file and has a file below it. Before the switch and after the merge it is no copy. */
    isInPlace: ({ id, volume_id }: SnapshotRow): boolean => {
      const [active, below] = nova.chain(volume_id);
      return active === `overlay-${resourceOf(id)}` && below !== undefined;
    },
  };
}

function resourceOf(snapshotId: string): string {
  return namesOf(SIZE)[SNAPSHOTS.indexOf(snapshotId)] ?? "";
}
