// An emulated Cinder for the kill suite: the copies are its snapshots, or those of its volumes that a snapshot became.

import { type Emulator, SEED_VOLUMES, type SnapshotRow, startEmulator, type VolumeRow } from "../../emulator/index";
import type { Backend, BackendSnapshot } from "../scenarios/backend";
import { type BackendFixture, type Copy, LATENCY_MS, type RecordOnBackend, RequestSpy } from "./resourceCase";

export async function openSnapshots(
  copyOf: (row: SnapshotRow) => Copy,
  recordOf?: (row: SnapshotRow) => RecordOnBackend | undefined,
): Promise<BackendFixture> {
  const cloud = await startEmulator({ latencyMs: LATENCY_MS, timings: { snapshotCreate: 600, snapshotDelete: 300 } });
  const { cinder } = cloud;
  const spy = spyOn(cloud, "snapshots");
  spy.watch(cinder.snapshots);
  const rows = () => [...cinder.snapshots.values()];
  const startDelete = cinder.startSnapshotDelete.bind(cinder);
  cinder.startSnapshotDelete = (row, requestId) => {
    recordDeletion(spy, row, rows(), copyOf);
    startDelete(row, requestId);
  };
  const fixture = fixtureOf(cloud, spy, [SEED_VOLUMES.data, SEED_VOLUMES.logs], () => rows().map(copyOf));
  if (recordOf === undefined) return fixture;
  return { ...fixture, records: () => rows().flatMap((row) => recordOf(row) ?? []) };
}

/** The volumes are made from these snapshots of one volume. */
export async function openVolumes(
  snapshotIds: readonly [string, string],
  copyOf: (row: VolumeRow) => Copy,
): Promise<BackendFixture> {
  const cloud = await startEmulator({
    latencyMs: LATENCY_MS,
    timings: { volumeCreate: 600, volumeDelete: 300, volumeExtend: 300 },
  });
  const { cinder } = cloud;
  const spy = spyOn(cloud, "volumes");
  const isCopy = ({ snapshot_id }: VolumeRow) => snapshot_id !== null;
  spy.watch(cinder.volumes, isCopy);
  const rows = () => [...cinder.volumes.values()].filter(isCopy);
  const startDelete = cinder.startVolumeDelete.bind(cinder);
  cinder.startVolumeDelete = (row, ...more) => {
    recordDeletion(spy, row, rows(), copyOf);
    startDelete(row, ...more);
  };
  const prepare = () => {
    for (const id of snapshotIds) cinder.createSnapshot({ id, volume_id: SEED_VOLUMES.data });
  };
  prepare();
  return fixtureOf(cloud, spy, snapshotIds, () => rows().map(copyOf), prepare);
}

function spyOn({ requests }: Emulator, objects: "snapshots" | "volumes"): RequestSpy {
  return new RequestSpy(requests, {
    create: new RegExp(`^${objects}\\.create$`),
    delete: new RegExp(`^${objects}\\.delete$`),
    // Lists and reads: the first list of a run finds what this stack owns, the others wait for something.
    poll: new RegExp(`^${objects}\\.(detail|show)$`),
  });
}

function recordDeletion<Row>(spy: RequestSpy, row: Row, rows: Row[], copyOf: (row: Row) => Copy): void {
  const copy = copyOf(row);
  const others = rows.filter((other) => other !== row).map(copyOf);
  spy.recordDeletion(
    copy,
    others.some(({ owner, attributes }) => owner === copy.owner && attributes.status === "available"),
  );
}

function fixtureOf(
  cloud: Emulator,
  spy: RequestSpy,
  sources: readonly [string, string],
  copies: () => Copy[],
  prepare?: () => void,
): BackendFixture {
  return {
    connections: { default: { ...cloud.openstack.connection() } },
    sources: [...sources],
    async copies() {
      cloud.cinder.advance();
      return copies();
    },
    async reset() {
      cloud.reset();
      prepare?.();
      spy.clear();
    },
    spy,
    close: () => cloud.close(),
  };
}

/** A real cloud, of which the rows alone are seen, and a stack name of our own among other people's snapshots. */
export function onRealSnapshots(
  backend: Backend,
  stackName: string,
  ownerOf: (row: BackendSnapshot) => string,
  copyOf: (row: BackendSnapshot) => Copy,
): BackendFixture {
  const ours = async () =>
    (await backend.snapshots()).filter((row) => ownerOf(row).startsWith(`urn:pulumi:${stackName}::`));
  return {
    connections: backend.connections,
    finishAbandonedRequests: async () => backend.finishAbandonedRequests?.(),
    sources: backend.volumes,
    copies: async () => (await ours()).map(copyOf),
    async reset() {
      for (const { id } of await ours()) await backend.remove(id);
    },
    close: () => backend.close(),
  };
}

/** The metadata of a copy without the provider's keys, to compare with what the program gives. */
export function visibleMetadata(metadata: Record<string, string>): [string, string][] {
  return Object.entries(metadata)
    .filter(([key]) => !key.startsWith("snapclone:"))
    .sort();
}
