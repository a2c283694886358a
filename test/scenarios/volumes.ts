// What the scenarios of SnapshotSeries and VolumeFromSnapshot need of a cloud besides: volumes that depend on snapshots, and
// volumes that are attached.

import type { BehaviourHandle, EmulatorOptions, VolumeRow } from "../../emulator";
import { type Backend, emulatorBackend } from "./backend";

export interface BackendVolume {
  id: string;
  name: string | null;
  description: string | null;
  status: string;
  size: number;
  snapshot_id: string | null;
  metadata: Record<string, string>;
}

export interface VolumeBackend extends Backend {
  /**
   * A volume on storage where a volume depends on the snapshot that it was made from. That storage can't extend a volume (of
   * the name CANNOT_GROW, in the emulator).
   */
  dependingVolume: string;
  /** An available snapshot of this volume, by somebody else. */
  makeSnapshot(volumeId: string): Promise<string>;
  /** An available volume from this snapshot, by somebody else. */
  makeVolume(snapshotId: string): Promise<string>;
  /** All volumes of the project that were made from a snapshot, seen without the provider. */
  volumesFromSnapshots(): Promise<BackendVolume[]>;
  /** Behind Pulumi's back, until it is gone. */
  removeVolume(id: string): Promise<void>;
  renameVolume(id: string, name: string): Promise<void>;
  setBootable(id: string): Promise<void>;
  /** Until the volume has this size, in GiB. */
  grow(id: string, size: number): Promise<void>;
  /** As Nova does it, to the server SERVER and as DEVICE. */
  attach(id: string): Promise<void>;
  detach(id: string): Promise<void>;
}

export const SERVER = "5d9e8dbb-9b0e-4a5b-9a5b-0c2a7f1f0001";
export const DEVICE = "/dev/vdc";

export const CANNOT_GROW = "on storage that can't extend it";

const DEPENDING = "33333333-3333-4333-8333-333333333333";

export async function emulatorVolumeBackend(timings: NonNullable<EmulatorOptions["timings"]>) {
  const { cloud, backend: plain } = await emulatorBackend(timings);
  const { cinder } = cloud;
  Object.assign(cinder.volumes.get(plain.volumes[0]) ?? {}, { size: 1 });
  cinder.createVolume({ id: DEPENDING, name: "on copy-on-write storage", size: 1 });
  cinder.behaviour({ of: "volume", match: { name: CANNOT_GROW }, extend: "error" });
  const fromSnapshots = () => {
    cinder.advance();
    return [...cinder.volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null);
  };
  const volume = (id: string): VolumeRow => {
    const found = cinder.volumes.get(id);
    if (!found) throw new Error(`the emulator has no volume ${id}`);
    return found;
  };
  /** By the volume that depends on the snapshot. */
  const busy = new Map<string, BehaviourHandle>();
  const removeVolume = (id: string) => {
    cinder.removeVolume(id);
    busy.get(id)?.remove();
  };
  const backend: VolumeBackend = {
    ...plain,
    dependingVolume: DEPENDING,
    makeSnapshot: async (volumeId) => cinder.createSnapshot({ volume_id: volumeId }).id,
    async makeVolume(snapshotId) {
      const snapshot = cinder.snapshots.get(snapshotId);
      if (!snapshot) throw new Error(`the emulator has no snapshot ${snapshotId}`);
      const { id } = cinder.createVolume({ snapshot_id: snapshotId, size: snapshot.volume_size });
      if (snapshot.volume_id === DEPENDING) {
        busy.set(id, cinder.behaviour({ match: { name: snapshot.name ?? "", volumeId: DEPENDING }, delete: "busy" }));
      }
      return id;
    },
    volumesFromSnapshots: async () => fromSnapshots(),
    async removeVolume(id) {
      removeVolume(id);
    },
    async renameVolume(id, name) {
      volume(id).name = name;
    },
    async setBootable(id) {
      volume(id).bootable = true;
    },
    async grow(id, size) {
      volume(id).size = size;
    },
    async attach(id) {
      const row = volume(id);
      const { created_at: attached_at } = row;
      const attachment = { id, attachment_id: "a", volume_id: id, server_id: SERVER, host_name: null, device: DEVICE };
      Object.assign(row, { status: "in-use", attachments: [{ ...attachment, attached_at }] });
    },
    async detach(id) {
      Object.assign(volume(id), { status: "available", attachments: [] });
    },
    async clear() {
      for (const { id } of fromSnapshots()) removeVolume(id);
    },
  };
  return { cloud, backend };
}
