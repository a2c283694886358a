// AssistedSnapshot under the kill tests: an overlay on each of several disks, seen in the chain of the disk's files. Nova
// tells nothing, so where a kill leaves it open what was done, the user is asked to look: `help` looks.

import { type SnapshotRow, startEmulator } from "../../../emulator/index";
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
  // A replacement is another file on the same chain: its parts are the stories of create and delete.
  stories: ["up", "up, killed again while it recovers", "one removed in between", "during destroy"],
  size: SIZE,
  ground,
  program: (_ground, size) =>
    programOf(size, (name, at) => ({
      volumeId: VOLUMES[at],
      snapshotId: SNAPSHOTS[at],
      newFile: `overlay-${name}`,
      fileToMerge: null,
      mergeTargetFile: null,
      manageStatus: true,
    })),
  changed: (args) => args,
  wanted: ({ volumeId, newFile }) => [
    { from: String(volumeId), shows: { files: [newFile, `volume-${volumeId}`], step: "made", status: "available" } },
  ],
  // While Nova is at work there is no overlay yet.
  idsOf: ({ id, outputs }) => (outputs.pending === undefined ? [id] : []),
  isWhole: ({ verified, status }) => verified === true && status === "available",
};

async function ground(stackName: string): Promise<BackendFixture> {
  const cloud = await startEmulator({
    latencyMs: LATENCY_MS,
    timings: { assistedCreate: 600, assistedDelete: 300 },
  });
  const { cinder, nova, requests } = cloud;
  const witness = new RequestSpy(requests, {
    create: /^assistedSnapshots\.create$/,
    delete: /^assistedSnapshots\.delete$/,
    look: /^snapshots\.(detail|show)$/,
  });
  const resourceOf = (snapshotId: string) => namesOf(SIZE)[SNAPSHOTS.indexOf(snapshotId)] ?? "";
  const idOf = ({ id, volume_id }: SnapshotRow) => `${volume_id}/${id}`;
  const copyOf = (row: SnapshotRow): Copy => ({
    id: idOf(row),
    // A record has the whole URN, if it isn't longer than Cinder's 255 characters.
    owner: row.metadata[OWNER] ?? urnOf(stackName, "AssistedSnapshot", resourceOf(row.id)),
    from: row.volume_id,
    shows: { files: nova.chain(row.volume_id), step: row.metadata[STEP], status: row.status },
    open: row.metadata[OWNER] !== undefined,
    leaving: row.metadata[STEP]?.startsWith("merge") ?? false,
  });
  /** The overlay is the active file, with something below it: not switched to yet, or merged, it is no copy. */
  const isInPlace = ({ id, volume_id }: SnapshotRow) => {
    const [active, below] = nova.chain(volume_id);
    return active === `overlay-${resourceOf(id)}` && below !== undefined;
  };
  const startCreate = nova.startCreate.bind(nova);
  nova.startCreate = (volumeId, info) => {
    witness.made.push(`${volumeId}/${info.snapshot_id}`);
    startCreate(volumeId, info);
  };
  const startDelete = nova.startDelete.bind(nova);
  nova.startDelete = (volumeId, snapshotId, info) => {
    const owner = urnOf(stackName, "AssistedSnapshot", resourceOf(snapshotId));
    witness.deleted({ id: `${volumeId}/${snapshotId}`, owner }, false);
    startDelete(volumeId, snapshotId, info);
  };
  const prepare = () => {
    for (const [at, id] of VOLUMES.entries()) {
      cinder.createVolume({ id, status: "in-use" });
      cinder.createSnapshot({ id: SNAPSHOTS[at] ?? "", volume_id: id });
      nova.createFile(id, `overlay-${namesOf(SIZE)[at]}`);
    }
    witness.forget();
  };
  prepare();
  return {
    connections: { default: { ...cloud.admin.connection() } },
    sources: VOLUMES as [string, string],
    async copies() {
      nova.settle();
      return SNAPSHOTS.flatMap((id) => cinder.snapshots.get(id) ?? [])
        .filter(isInPlace)
        .map(copyOf);
    },
    async reset() {
      cloud.reset();
      prepare();
    },
    witness,
    /** As the error has it: look at the disk, say on the record what is so, run again. */
    help(said) {
      const commands = [
        ...said.matchAll(/`openstack volume snapshot set (\S.*?) ([0-9a-f-]{36})`: (\w+) if .*?, (\w+) if/g),
      ];
      for (const [, properties = "", id = "", one = "", other = ""] of commands) {
        const row = cinder.snapshots.get(id);
        if (row === undefined) continue;
        const absent = one === "made" ? other : one;
        for (const [, key = "", value = ""] of properties.matchAll(/--property ([^=\s]+)=(\S+)/g)) {
          row.metadata[key] = value === "…" ? (isInPlace(row) ? "made" : absent) : value;
        }
      }
      return commands.length > 0;
    },
    close: () => cloud.close(),
  };
}
