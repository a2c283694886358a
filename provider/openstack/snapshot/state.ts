// A Snapshot's outputs, from Cinder's row.

import type { Observed, State } from "../../core/definition";
import { type SnapshotRow, utc } from "../cinder";
import { metadataOutputs, rowBehind } from "../metadata";

/** `known`: the state before. `others`: outputs that Cinder does not show. */
export function observed(
  row: SnapshotRow,
  managed: readonly string[] | "all",
  known: State = {},
  others: State = {},
): Observed {
  const seen: Observed = {
    state: {
      volumeId: row.volume_id,
      name: row.name ?? undefined,
      description: row.description ?? undefined,
      ...metadataOutputs(row, managed, known),
      status: row.status,
      progress: row["os-extended-snapshot-attributes:progress"] ?? undefined,
      sizeGiB: row.size,
      createdAt: utc(row.created_at),
      updatedAt: utc(row.updated_at),
      projectId: row["os-extended-snapshot-attributes:project_id"] ?? undefined,
      userId: row.user_id ?? undefined,
      groupSnapshotId: row.group_snapshot_id ?? undefined,
      consumesQuota: row.consumes_quota ?? undefined,
      ...others,
    },
  };
  rowBehind.set(seen, row);
  return seen;
}
