// A VolumeFromSnapshot's outputs, from Cinder's row.

import type { Observed, State } from "../../core/definition";
import { utc, type VolumeRow } from "../cinder";
import { metadataOutputs, rowBehind } from "../metadata";

/** `known`: the state before. */
export function observed(row: VolumeRow, managed: readonly string[] | "all", known: State = {}): Observed {
  const seen: Observed = {
    state: {
      snapshotId: row.snapshot_id ?? undefined,
      name: row.name ?? undefined,
      description: row.description ?? undefined,
      ...metadataOutputs(row, managed, known),
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
  rowBehind.set(seen, row);
  return seen;
}
