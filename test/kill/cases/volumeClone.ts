// VolumeClone under the kill tests: sets of two volumes, each set with sources of its own, on a PowerVC that copies a
// source's notes with its metadata.

import { startEmulator, type VolumeRow } from "../../../emulator/index";
import { COMMON_STORIES } from "../plan";
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
  stories: COMMON_STORIES,
  size: SIZE,
  ground,
  program: (_ground, size) =>
    programOf(size, (name, at) => ({ volumes: sourcesOf(at), displayName: name, description: "of the day" })),
  changed: ({ volumes, displayName }) => ({ volumes, displayName: `${displayName}-anew`, description: "anew" }),
  wanted: ({ volumes, displayName, description }) =>
    (volumes as string[]).map((from, at) => ({
      from,
      shows: { status: "available", name: `clone-${displayName}-${at + 1}`, description },
    })),
  idsOf: ({ outputs }) => Object.values((outputs.clones ?? {}) as Record<string, string>),
  // Not by the flow: where its number was lost with the reply, the clones were found by their names.
  isWhole: ({ clonedVolumes, volumes }) =>
    Array.isArray(clonedVolumes) && clonedVolumes.length === (volumes as string[]).length,
};

async function ground(stackName: string): Promise<BackendFixture> {
  const cloud = await startEmulator({ latencyMs: LATENCY_MS, timings: { cloneStep: 40, volumeDelete: 300 } });
  const { cinder, powervc, requests } = cloud;
  const witness = new RequestSpy(requests, {
    create: /^clones\.create$/,
    delete: /^volumes\.delete$/,
    look: /^(clones\.progress|volumes\.(detail|show))$/,
  });
  const ownerOf = (source: string) => urnOf(stackName, "VolumeClone", namesOf(SIZE)[setOf(source)] ?? "");
  const isClone = ({ source_volid }: VolumeRow) => source_volid !== null;
  witness.watch(cinder.volumes, isClone);
  const copyOf = (row: VolumeRow): Copy => {
    const { id, source_volid, name, status, description, metadata } = row;
    const from = source_volid ?? "";
    const own = metadata["snapclone:volume"] === id;
    const set = own ? metadata["snapclone:set"] : /snapclone-[0-9a-f]{24}/.exec(name ?? "")?.[0];
    // A set that is being made is noted on its first volume. Until the flow has named the clones, only whose source it is
    // tells.
    const isPending = SOURCES.some((source) =>
      Object.keys(cinder.volumes.get(source)?.metadata ?? {}).some((key) =>
        set === undefined
          ? source === sourcesOf(setOf(from))[0] && key.endsWith(":pending")
          : key === `snapclone:${set}:pending`,
      ),
    );
    const open =
      isPending || (own && metadata["snapclone:owner"] !== undefined) || /snapclone-[0-9a-f]{24}/.test(name ?? "");
    return {
      id,
      owner: ownerOf(from),
      from,
      shows: { status, name, description },
      open,
      leaving: status === "deleting",
    };
  };
  const startDelete = cinder.startVolumeDelete.bind(cinder);
  cinder.startVolumeDelete = (row, ...more) => {
    const others = [...cinder.volumes.values()].filter(
      (other) => other !== row && other.source_volid === row.source_volid,
    );
    witness.deleted(
      copyOf(row),
      others.some(({ status }) => status === "available"),
    );
    startDelete(row, ...more);
  };
  const prepare = () => {
    for (const id of SOURCES) cinder.createVolume({ id, name: `source ${id[7]}`, metadata: { team: "shop" } });
    witness.forget();
  };
  prepare();
  return {
    connections: { default: { ...cloud.powervcLogin.connection() } },
    sources: SOURCES as [string, string],
    async copies() {
      powervc.settle();
      return [...cinder.volumes.values()].filter(isClone).map(copyOf);
    },
    traces: () =>
      SOURCES.filter((id) =>
        Object.keys(cinder.volumes.get(id)?.metadata ?? {}).some((key) => /snapclone/.test(key)),
      ).map(ownerOf),
    async reset() {
      cloud.reset();
      prepare();
    },
    witness,
    close: () => cloud.close(),
  };
}

function sourcesOf(at: number): string[] {
  return SOURCES.slice(2 * at, 2 * at + 2);
}

function setOf(source: string): number {
  return Math.floor(SOURCES.indexOf(source) / 2);
}
