// VolumeClone in the kill suite: sets of two volumes, each set with its own sources, on a PowerVC that copies a source's
// metadata, with the provider's records in it.

import { type Emulator, startEmulator, type VolumeRow } from "../../../emulator/index";
import { COMMON_SCENARIOS } from "../plan";
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

const SOURCES = [1, 2, 3, 4, 5, 6].map((n) => `5000000${n}-1111-4111-8111-111111111111`);
const SIZE = 3;

export const volumeClone: ResourceCase = {
  type: "VolumeClone",
  scenarios: COMMON_SCENARIOS,
  size: SIZE,
  openBackend,
  program: (_backend, size) =>
    programOf(size, (name, at) => ({ volumes: sourcesOf(at), displayName: name, description: "of the day" })),
  changed: ({ volumes, displayName }) => ({ volumes, displayName: `${displayName}-anew`, description: "anew" }),
  expectedCopies: ({ volumes, displayName, description }) =>
    (volumes as string[]).map((source, at) => ({
      source,
      attributes: { status: "available", name: `clone-${displayName}-${at + 1}`, description },
    })),
  copyIdsOf: ({ outputs }) => Object.values((outputs.clones ?? {}) as Record<string, string>),
  // The flow's id is no criterion: if the reply was lost, the provider found the clones by their names.
  isComplete: ({ clonedVolumes, volumes }) =>
    Array.isArray(clonedVolumes) && clonedVolumes.length === (volumes as string[]).length,
};

async function openBackend(stackName: string): Promise<BackendFixture> {
  const cloud = await startEmulator({ latencyMs: LATENCY_MS, timings: { cloneStep: 40, volumeDelete: 300 } });
  const { cinder, powervc, requests } = cloud;
  const spy = new RequestSpy(requests, {
    create: /^clones\.create$/,
    delete: /^volumes\.delete$/,
    poll: /^(clones\.progress|volumes\.(detail|show))$/,
  });
  const isClone = ({ source_volid }: VolumeRow) => source_volid !== null;
  spy.watch(cinder.volumes, isClone);
  const { copyOf, ownerOf } = copyReader(cloud, stackName);
  const startDelete = cinder.startVolumeDelete.bind(cinder);
  cinder.startVolumeDelete = (row, ...more) => {
    const others = [...cinder.volumes.values()].filter(
      (other) => other !== row && other.source_volid === row.source_volid,
    );
    spy.recordDeletion(
      copyOf(row),
      others.some(({ status }) => status === "available"),
    );
    startDelete(row, ...more);
  };
  const prepare = () => {
    for (const id of SOURCES) cinder.createVolume({ id, name: `source ${id[7]}`, metadata: { team: "shop" } });
    spy.clear();
  };
  prepare();
  return {
    connections: { default: { ...cloud.powervc.connection() } },
    sources: SOURCES as [string, string],
    async copies() {
      powervc.advance();
      return [...cinder.volumes.values()].filter(isClone).map(copyOf);
    },
    recordOwners: () =>
      SOURCES.filter((id) =>
        Object.keys(cinder.volumes.get(id)?.metadata ?? {}).some((key) => /snapclone/.test(key)),
      ).map(ownerOf),
    async reset() {
      cloud.reset();
      prepare();
    },
    spy,
    close: () => cloud.close(),
  };
}

function copyReader({ cinder }: Emulator, stackName: string) {
  const ownerOf = (source: string) => urnOf(stackName, "VolumeClone", namesOf(SIZE)[setOf(source)] ?? "");
  const copyOf = (row: VolumeRow): Copy => {
    const { id, source_volid, name, status, description, metadata } = row;
    const source = source_volid ?? "";
    const own = metadata["snapclone:volume"] === id;
    const set = own ? metadata["snapclone:set"] : /snapclone-[0-9a-f]{24}/.exec(name ?? "")?.[0];
    // A pending set has a record on its first source volume. Until PowerVC's flow has named the clones, only their
    // source says which set they belong to.
    const isPending = SOURCES.some((noted) =>
      Object.keys(cinder.volumes.get(noted)?.metadata ?? {}).some((key) =>
        set === undefined
          ? noted === sourcesOf(setOf(source))[0] && key.endsWith(":pending")
          : key === `snapclone:${set}:pending`,
      ),
    );
    const hasRecord =
      isPending || (own && metadata["snapclone:owner"] !== undefined) || /snapclone-[0-9a-f]{24}/.test(name ?? "");
    return {
      id,
      owner: ownerOf(source),
      source,
      attributes: { status, name, description },
      hasRecord,
      isDeleting: status === "deleting",
    };
  };
  return { copyOf, ownerOf };
}

function sourcesOf(at: number): string[] {
  return SOURCES.slice(2 * at, 2 * at + 2);
}

function setOf(source: string): number {
  return Math.floor(SOURCES.indexOf(source) / 2);
}
