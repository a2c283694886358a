// A VolumeFromSnapshot's outputs, from Cinder's row.

import type { Observed } from "../../core/definition";
import { utc, type VolumeRow } from "../cinder";
import { isReservedKey } from "../snapshot/inputs";

/** Of the metadata, the outputs have only the keys that the program manages. The other keys belong to others. */
export function observed(row: VolumeRow, managed: readonly string[] | "all"): Observed {
  const keys = managed === "all" ? Object.keys(row.metadata).filter((key) => !isReservedKey(key)) : managed;
  return {
    state: {
      snapshotId: row.snapshot_id ?? undefined,
      name: row.name ?? undefined,
      description: row.description ?? undefined,
      metadata: Object.fromEntries(
        keys.filter((key) => Object.hasOwn(row.metadata, key)).map((key) => [key, row.metadata[key]]),
      ),
      sizeGiB: row.size,
      volumeType: row.volume_type ?? undefined,
      availabilityZone: row.availability_zone ?? undefined,
      status: row.status,
      bootable: row.bootable?.toLowerCase() === "true",
      createdAt: utc(row.created_at),
      updatedAt: utc(row.updated_at),
      attachments: row.attachments.map(({ server_id, device }) => ({
        serverId: server_id ?? undefined,
        device: device ?? undefined,
      })),
    },
  };
}
