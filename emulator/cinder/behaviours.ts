// How the work of Cinder's backends goes: what a test asks for, how the work ends, and what it leaves in the messages.

import type { SnapshotRow, VolumeRow } from "./model";

/**
 * How the work on snapshots goes, or with `of: "volume"` the work on volumes. `create`: "error" leaves a message,
 * "error-silent" leaves none (as when the scheduler refuses a snapshot), "no-backend" is a scheduler's refusal of a volume,
 * "stuck" never ends, "vanish" ends in 404. `delete`: "busy" ends in available, "error" in error_deleting, "stuck" never
 * ends. `extend`, of volumes: "error" ends in error_extending, "no-backend" in the status before, "stuck" never ends. `revert`,
 * of volumes: "error" ends in error and leaves Cinder's copy of the data before, "stuck" never ends. The rule is chosen when the
 * work begins, by the name that the object then has.
 */
export interface Behaviour {
  /** @default "snapshot" */
  readonly of?: "snapshot" | "volume";
  readonly match?: { readonly name?: string | RegExp; readonly volumeId?: string };
  readonly create?: "error" | "error-silent" | "no-backend" | "stuck" | "vanish";
  readonly delete?: "busy" | "error" | "stuck";
  readonly extend?: "error" | "no-backend" | "stuck";
  readonly revert?: "error" | "stuck";
  readonly createMs?: number;
  readonly deleteMs?: number;
  /** How many creations or deletions the rule applies to; default: all. */
  readonly times?: number;
}

export function applies({ of = "snapshot", match }: Behaviour, row: SnapshotRow | VolumeRow): boolean {
  if (of !== ("volume_id" in row ? "snapshot" : "volume")) return false;
  if (match?.volumeId !== undefined && match.volumeId !== ("volume_id" in row ? row.volume_id : row.id)) return false;
  if (match?.name === undefined) return true;
  const name = row.name ?? "";
  return match.name instanceof RegExp ? name.search(match.name) >= 0 : name === match.name;
}

export type Event =
  | { readonly kind: "gone" }
  | { readonly kind: "message"; readonly message: MessageKind; readonly requestId: string };

export type MessageKind =
  | "create-failed"
  | "busy"
  | "delete-failed"
  | "volume-create-failed"
  | "volume-no-backend"
  | "extend-failed"
  | "extend-no-backend";

/** cinder/message/message_field.py; the texts from exchanges: 'messages for it', 'busy messages', 'error_deleting messages' */
export const MESSAGES: Readonly<Record<MessageKind, { event_id: string; user_message: string }>> = {
  "create-failed": {
    event_id: "VOLUME_VOLUME_SNAPSHOT_009_013",
    user_message: "create snapshot:Snapshot failed to create.",
  },
  busy: { event_id: "VOLUME_VOLUME_SNAPSHOT_010_015", user_message: "delete snapshot:Snapshot is busy." },
  "delete-failed": {
    event_id: "VOLUME_VOLUME_SNAPSHOT_010_016",
    user_message: "delete snapshot:Snapshot failed to delete.",
  },
  // docs/wire/openstack.md#volume-from-snapshot
  "volume-create-failed": {
    event_id: "VOLUME_VOLUME_008_012",
    user_message: "create volume from backend storage:Driver failed to create the volume.",
  },
  "volume-no-backend": {
    event_id: "VOLUME_VOLUME_001_003",
    user_message: "schedule allocate volume:Could not find any available weighted backend.",
  },
  "extend-failed": {
    event_id: "VOLUME_VOLUME_007_010",
    user_message: "extend volume:Volume Driver failed to extend volume.",
  },
  "extend-no-backend": {
    event_id: "VOLUME_VOLUME_007_003",
    user_message: "extend volume:Could not find any available weighted backend.",
  },
};

type End<Row = SnapshotRow> = { readonly set?: Partial<Row>; readonly emit?: Event };

export function volumeCreateEnd(outcome: Behaviour["create"], requestId: string, bootable: boolean): End<VolumeRow> {
  if (outcome === "vanish") return { emit: { kind: "gone" } };
  if (outcome === "error")
    return { set: { status: "error" }, emit: { kind: "message", message: "volume-create-failed", requestId } };
  if (outcome === "error-silent") return { set: { status: "error" } };
  // No backend has the volume (cinder/scheduler/flows/create_volume.py:150-165).
  if (outcome === "no-backend")
    return {
      set: { status: "error", host: null },
      emit: { kind: "message", message: "volume-no-backend", requestId },
    };
  return { set: { status: "available", bootable } };
}

export function volumeExtendEnd(
  outcome: Behaviour["extend"],
  requestId: string,
  size: number,
  back: string,
): End<VolumeRow> {
  if (outcome === "error")
    return { set: { status: "error_extending" }, emit: { kind: "message", message: "extend-failed", requestId } };
  if (outcome === "no-backend")
    return { set: { status: back }, emit: { kind: "message", message: "extend-no-backend", requestId } };
  return { set: { status: back, size } };
}

/** cinder/volume/manager.py:1166-1253: the volume, the snapshot, and the copy of the data before the revert. */
export function revertEnds(outcome: Behaviour["revert"]): { volume: End<VolumeRow>; snapshot: End; backup: End } {
  const failed = outcome === "error";
  return {
    // No message is left (cinder/message/message_field.py has none for a revert).
    volume: { set: { status: failed ? "error" : "available" } },
    snapshot: { set: { status: "available" } },
    backup: failed ? { set: { status: "available", progress: "100%" } } : { emit: { kind: "gone" } },
  };
}

export function createEnd(outcome: Behaviour["create"], requestId: string): End {
  if (outcome === "vanish") return { emit: { kind: "gone" } };
  // progress stays "0%" when the creation ends in error (docs/wire/openstack.md#a3)
  if (outcome === "error")
    return { set: { status: "error" }, emit: { kind: "message", message: "create-failed", requestId } };
  // A refusal by the scheduler leaves no message (docs/wire/openstack.md#a11).
  if (outcome === "error-silent") return { set: { status: "error" } };
  return { set: { status: "available", progress: "100%" } };
}

/** cinder/volume/manager.py:1338 (busy), 1314 (failure) */
export function deleteEnd(outcome: Behaviour["delete"], requestId: string): End {
  if (outcome === "busy")
    return { set: { status: "available" }, emit: { kind: "message", message: "busy", requestId } };
  if (outcome === "error")
    return { set: { status: "error_deleting" }, emit: { kind: "message", message: "delete-failed", requestId } };
  return { emit: { kind: "gone" } };
}
