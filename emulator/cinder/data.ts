// The data that a user gives Cinder: volumes, snapshots, volume types.

import * as z from "zod";
import { column, type DataDefinition, gibibytes, given, instant, rowNamed, texts, uuid } from "../core/data";
import type { KeystoneModel } from "../keystone/model";
import type { CinderModel } from "./model";

export interface CinderData {
  volumeTypes?: { id?: string | undefined; name: string; description?: string | undefined }[] | undefined;
  volumes?: CinderVolume[] | undefined;
  snapshots?: CinderSnapshot[] | undefined;
}

export interface CinderVolume {
  id?: string | undefined;
  name?: string | undefined;
  description?: string | undefined;
  /** @default 1 */
  sizeGiB?: number | undefined;
  /** @default "available" */
  status?: string | undefined;
  /** A volume type's id or name. */
  volumeType?: string | undefined;
  availabilityZone?: string | undefined;
  bootable?: boolean | undefined;
  /** A project's id or name. @default "demo" */
  project?: string | undefined;
  metadata?: Record<string, string> | undefined;
  /** In UTC. @default the emulator's start */
  createdAt?: string | undefined;
}

export interface CinderSnapshot {
  id?: string | undefined;
  /** A volume's id or name. */
  volume: string;
  name?: string | undefined;
  description?: string | undefined;
  /** @default "available" */
  status?: string | undefined;
  metadata?: Record<string, string> | undefined;
  /** In UTC. @default the emulator's start */
  createdAt?: string | undefined;
}

/** cinder/objects/fields.py VolumeStatus, SnapshotStatus: those that a row can rest in. */
const VOLUME_STATUSES = [
  "available",
  "in-use",
  "error",
  "error_deleting",
  "error_extending",
  "error_restoring",
  "maintenance",
] as const;
const SNAPSHOT_STATUSES = ["available", "error", "error_deleting", "backing-up"] as const;

const text = () => z.string().max(255);

export const volumeSchema = z.strictObject({
  id: uuid().optional(),
  name: text().optional(),
  description: text().optional(),
  sizeGiB: gibibytes().optional(),
  status: z.enum(VOLUME_STATUSES).optional(),
  volumeType: z.string().optional(),
  availabilityZone: z.string().min(1).optional(),
  bootable: z.boolean().optional(),
  project: z.string().optional(),
  metadata: texts().optional(),
  createdAt: instant().optional(),
});

/** What a volume names, wherever its list is. */
export const volumeReferences = {
  "volumes.*.volumeType": "cinder.volumeTypes",
  "volumes.*.project": "keystone.projects",
} as const;

export function cinderData(keystone: () => KeystoneModel): DataDefinition<CinderModel, CinderData> {
  return {
    schema: z.strictObject({
      volumeTypes: z
        .array(z.strictObject({ id: uuid().optional(), name: text().min(1), description: text().optional() }))
        .optional(),
      volumes: z.array(volumeSchema).optional(),
      snapshots: z
        .array(
          z.strictObject({
            id: uuid().optional(),
            volume: z.string(),
            name: text().optional(),
            description: text().optional(),
            status: z.enum(SNAPSHOT_STATUSES).optional(),
            metadata: texts().optional(),
            createdAt: instant().optional(),
          }),
        )
        .optional(),
    }),
    references: { ...volumeReferences, "snapshots.*.volume": "volumes" },
    known: ({ volumes, snapshots, volumeTypes }) => ({
      volumes: [...volumes.values()],
      snapshots: [...snapshots.values()],
      volumeTypes: [...volumeTypes.values()],
    }),
    load(model, { volumeTypes = [], volumes = [], snapshots = [] }) {
      for (const type of volumeTypes) model.createVolumeType(given(type));
      for (const volume of volumes) loadVolume(model, keystone(), volume);
      for (const { volume, createdAt, ...row } of snapshots) {
        const { id, project_id, user_id } = rowNamed(model.volumes.values(), volume);
        const created_at = createdAt === undefined ? undefined : column(createdAt);
        model.createSnapshot({ ...given({ ...row, created_at }), volume_id: id, project_id, user_id });
      }
    },
  };
}

export function loadVolume(model: CinderModel, keystone: KeystoneModel, volume: CinderVolume): void {
  const { sizeGiB, volumeType, availabilityZone, project, createdAt, ...row } = volume;
  const type = volumeType === undefined ? undefined : rowNamed(model.volumeTypes.values(), volumeType).id;
  const owner = project === undefined ? undefined : rowNamed(keystone.projects.values(), project).id;
  const fields = {
    ...row,
    size: sizeGiB,
    volume_type_id: type,
    availability_zone: availabilityZone,
    project_id: owner,
    created_at: createdAt === undefined ? undefined : column(createdAt),
  };
  model.createVolume(given(fields));
}
