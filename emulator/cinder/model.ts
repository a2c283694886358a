// The state of the block storage service: volumes, snapshots, messages, quotas, and how its backend behaves. Tests use
// it directly; handlers/ put the API in front of it.

import { type Clock, isoMicroseconds } from "../core/clock";
import type { Ids } from "../core/ids";
import { TaskRunner } from "../core/tasks";
import {
  applies,
  type Behaviour,
  createEnd,
  deleteEnd,
  type Event,
  MESSAGES,
  type MessageKind,
  revertEnds,
  volumeCreateEnd,
  volumeExtendEnd,
} from "./behaviours";

export type { Behaviour } from "./behaviours";

/** A row of the snapshots table: plain and mutable. */
export interface SnapshotRow {
  id: string;
  project_id: string;
  user_id: string;
  volume_id: string;
  volume_size: number;
  name: string | null;
  description: string | null;
  status: string;
  progress: string;
  metadata: Record<string, string>;
  group_snapshot_id: string | null;
  consumes_quota: boolean;
  created_at: string;
  updated_at: string | null;
}

export interface VolumeAttachment {
  id: string;
  attachment_id: string;
  volume_id: string;
  server_id: string;
  host_name: string | null;
  device: string;
  attached_at: string;
}

export interface VolumeRow {
  id: string;
  project_id: string;
  user_id: string;
  name: string | null;
  description: string | null;
  size: number;
  status: string;
  availability_zone: string;
  volume_type_id: string;
  snapshot_id: string | null;
  source_volid: string | null;
  metadata: Record<string, string>;
  /** What the volume keeps of the image that it was made from, if it was. */
  image_metadata: Record<string, string> | null;
  bootable: boolean;
  multiattach: boolean;
  attachments: VolumeAttachment[];
  /** What an administrator has set it to; null: the attachments tell. */
  attach_status: "attached" | "detached" | null;
  group_id: string | null;
  migration_status: string | null;
  /** null until the volume is scheduled. */
  host: string | null;
  consumes_quota: boolean;
  created_at: string;
  updated_at: string | null;
}

export interface VolumeType {
  id: string;
  name: string;
  description: string | null;
  is_public: boolean;
  created_at: string;
}

export interface MessageRow {
  id: string;
  project_id: string;
  event_id: string;
  user_message: string;
  message_level: string;
  resource_type: string;
  resource_uuid: string;
  request_id: string;
  created_at: string;
  guaranteed_until: string;
}

export interface Quotas {
  volumes: number;
  snapshots: number;
  gigabytes: number;
}

export interface CinderTimings {
  snapshotCreate: number;
  snapshotDelete: number;
  snapshotRevert: number;
  volumeCreate: number;
  volumeDelete: number;
  volumeExtend: number;
}

export interface BehaviourHandle {
  remove(): void;
}

/** default_volume_type */
const DEFAULT_TYPE = "__DEFAULT__";

export const SEED_VOLUMES = {
  data: "11111111-1111-4111-8111-111111111111",
  logs: "22222222-2222-4222-8222-222222222222",
} as const;

export class CinderModel {
  readonly volumes = new Map<string, VolumeRow>();
  readonly snapshots = new Map<string, SnapshotRow>();
  readonly volumeTypes = new Map<string, VolumeType>();
  /** What a volume shows as its service_uuid. */
  serviceUuid = "";
  readonly messages = new Map<string, MessageRow>();
  /** What was set, by project id. A resource that is not set has its default. */
  readonly quotas = new Map<string, Partial<Quotas> & Record<string, number>>();
  readonly defaultQuotas: Quotas;
  private behaviours: { rule: Behaviour; left: number }[] = [];
  private readonly snapshotTasks: TaskRunner<SnapshotRow, Event>;
  private readonly volumeTasks: TaskRunner<VolumeRow, Event>;
  private readonly dependents: (() => void)[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly ids: Ids,
    private readonly timings: CinderTimings,
    quotas: Partial<Quotas>,
    private readonly owner: () => { projectId: string; userId: string },
  ) {
    this.defaultQuotas = { volumes: 1000, snapshots: 1000, gigabytes: 100_000, ...quotas };
    this.snapshotTasks = new TaskRunner(clock, (row, event, atMs) => this.afterStep(this.snapshots, row, event, atMs));
    this.volumeTasks = new TaskRunner(clock, (row, event, atMs) => this.afterStep(this.volumes, row, event, atMs));
    this.reset();
  }

  /** The project "demo", where the seed volumes are. */
  get projectId(): string {
    return this.owner().projectId;
  }

  reset(): void {
    for (const map of [this.volumes, this.snapshots, this.volumeTypes, this.messages, this.quotas]) map.clear();
    this.behaviours = [];
    this.snapshotTasks.reset();
    this.volumeTasks.reset();
    this.serviceUuid = this.ids.uuid("cinder service");
    for (const name of [DEFAULT_TYPE, "ssd"]) {
      this.createVolumeType({ name, description: name === DEFAULT_TYPE ? "Default Volume Type" : null });
    }
    this.createVolume({ id: SEED_VOLUMES.data, name: "data", size: 10 });
    this.createVolume({ id: SEED_VOLUMES.logs, name: "logs", size: 20, status: "in-use" });
  }

  /** Finishes the work that is due. The API calls it before every answer; a test that reads rows directly may too. */
  advance(): void {
    this.snapshotTasks.advance();
    this.volumeTasks.advance();
    for (const advance of this.dependents) advance();
  }

  /** @deprecated Use `advance`. */
  settle(): void {
    this.advance();
  }

  /** Registers a service whose work ends in a status update at Cinder: it advances together with Cinder. */
  addDependent(advance: () => void): void {
    this.dependents.push(advance);
  }

  /** Adds a volume at once, in any status. */
  createVolume(given: Partial<VolumeRow> = {}): VolumeRow {
    const id = given.id ?? this.ids.uuid("volume");
    const created_at = this.stamp();
    const inUse = given.status === "in-use";
    const row: VolumeRow = {
      project_id: given.project_id ?? this.projectId,
      user_id: given.user_id ?? this.owner().userId,
      name: null,
      description: null,
      size: 1,
      status: "available",
      availability_zone: "nova",
      volume_type_id: [...this.volumeTypes.keys()][0] ?? "",
      snapshot_id: null,
      source_volid: null,
      metadata: {},
      image_metadata: null,
      bootable: false,
      multiattach: false,
      attachments: inUse ? [this.attachment(id, created_at)] : [],
      attach_status: null,
      group_id: null,
      migration_status: null,
      host: "emulator@lvm#lvm",
      consumes_quota: true,
      created_at,
      updated_at: null,
      ...given,
      id,
    };
    this.volumes.set(id, row);
    return row;
  }

  createVolumeType(given: Partial<VolumeType> & Pick<VolumeType, "name">): VolumeType {
    const id = given.id ?? this.ids.uuid("volume type");
    const row: VolumeType = { description: null, is_public: true, created_at: this.stamp(), ...given, id };
    this.volumeTypes.set(id, row);
    return row;
  }

  /** Attaches the volume to a server at once. */
  attach(id: string, server: string, device: string): void {
    const row = this.volumes.get(id);
    if (row === undefined) throw new Error(`the emulator has no volume ${id}`);
    row.status = "in-use";
    row.attach_status = null;
    row.attachments.push({ ...this.attachment(id, this.stamp()), server_id: server, device });
  }

  /** Adds a snapshot at once: `available`, unless another status is given. */
  createSnapshot(given: Partial<SnapshotRow> & { volume_id: string }): SnapshotRow {
    const row: SnapshotRow = {
      id: given.id ?? this.ids.uuid("snapshot"),
      project_id: this.projectId,
      user_id: this.owner().userId,
      volume_size: this.volumes.get(given.volume_id)?.size ?? 1,
      name: null,
      description: null,
      status: "available",
      progress: (given.status ?? "available") === "available" ? "100%" : "0%",
      metadata: {},
      group_snapshot_id: null,
      consumes_quota: true,
      created_at: this.stamp(),
      updated_at: null,
      ...given,
    };
    this.snapshots.set(row.id, row);
    return row;
  }

  isAttached({ attach_status, attachments }: VolumeRow): boolean {
    return attach_status === null ? attachments.length > 0 : attach_status === "attached";
  }

  get defaultVolumeType(): VolumeType {
    const type = [...this.volumeTypes.values()].find(({ name }) => name === DEFAULT_TYPE);
    if (type === undefined) throw new Error(`the emulator has no volume type ${DEFAULT_TYPE}`);
    return type;
  }

  /** Removes the snapshot without a request, as if another client had deleted it. */
  removeSnapshot(id: string): boolean {
    const row = this.snapshots.get(id);
    if (row !== undefined) this.snapshotTasks.cancel(row);
    return this.snapshots.delete(id);
  }

  removeVolume(id: string): boolean {
    const row = this.volumes.get(id);
    if (row !== undefined) this.volumeTasks.cancel(row);
    return this.volumes.delete(id);
  }

  behaviour(rule: Behaviour): BehaviourHandle {
    const entry = { rule, left: rule.times ?? Infinity };
    this.behaviours.push(entry);
    return {
      remove: () => {
        this.behaviours = this.behaviours.filter((other) => other !== entry);
      },
    };
  }

  /** Makes the next creation or deletion of a snapshot fail like this. */
  failNext(
    outcome: { create: NonNullable<Behaviour["create"]> } | { delete: NonNullable<Behaviour["delete"]> },
  ): BehaviourHandle {
    return this.behaviour({ ...outcome, times: 1 });
  }

  /** Why Cinder refuses Nova's report on a snapshot, if it does (cinder/api/contrib/snapshot_actions.py). */
  statusUpdateRefusal(id: string, status: string): string | undefined {
    const row = this.snapshots.get(id);
    if (row === undefined) return `Snapshot ${id} could not be found.`;
    const next = STATUS_UPDATES[row.status];
    if (next === undefined) return `Snapshot status ${row.status} not allowed for update_snapshot_status`;
    if (!next.includes(status))
      return `Provided snapshot status ${status} not allowed for snapshot with status ${row.status}.`;
    return undefined;
  }

  updateStatus(row: SnapshotRow, status: string, progress: string | undefined, atMs?: number): void {
    if (progress !== undefined) row.progress = progress;
    row.status = status;
    row.updated_at = this.stamp(atMs);
  }

  snapshotsOf(volumeId: string): SnapshotRow[] {
    return [...this.snapshots.values()].filter((row) => row.volume_id === volumeId);
  }

  quotasOf(projectId: string): Quotas {
    return { ...this.defaultQuotas, ...this.quotas.get(projectId) };
  }

  /** Counts the rows of all volume types, or of one. */
  usageOf(projectId: string, typeId?: string): Quotas {
    const counts = (row: VolumeRow | SnapshotRow) => {
      const type = "volume_id" in row ? this.volumes.get(row.volume_id)?.volume_type_id : row.volume_type_id;
      return row.project_id === projectId && row.consumes_quota && (typeId === undefined || type === typeId);
    };
    const volumes = [...this.volumes.values()].filter(counts);
    const snapshots = [...this.snapshots.values()].filter(counts);
    // Snapshots count in gigabytes too, unless no_snapshot_gb_quota is set (docs/wire/openstack.md#a10).
    const gigabytes = sum(volumes.map((row) => row.size)) + sum(snapshots.map((row) => row.volume_size));
    return { volumes: volumes.length, snapshots: snapshots.length, gigabytes };
  }

  /** The backend begins to create the snapshot; its row is `creating`. */
  startSnapshotCreate(row: SnapshotRow, requestId: string): void {
    const rule = this.takeBehaviour(row, "create");
    const afterMs = rule?.create === "stuck" ? Infinity : (rule?.createMs ?? this.timings.snapshotCreate);
    this.snapshotTasks.start(row, {
      while: { status: "creating" },
      steps: [{ afterMs, ...createEnd(rule?.create, requestId) }],
    });
  }

  startSnapshotDelete(row: SnapshotRow, requestId: string): void {
    const rule = this.takeBehaviour(row, "delete");
    const afterMs = rule?.delete === "stuck" ? Infinity : (rule?.deleteMs ?? this.timings.snapshotDelete);
    row.status = "deleting";
    this.snapshotTasks.start(row, {
      while: { status: "deleting" },
      steps: [{ afterMs, ...deleteEnd(rule?.delete, requestId) }],
    });
  }

  /** The volume is `bootable` from the end of its creation on (cinder/volume/flows/manager/create_volume.py:482-496). */
  startVolumeCreate(row: VolumeRow, requestId = "", bootable = row.bootable): void {
    const rule = this.takeBehaviour(row, "create");
    const afterMs = rule?.create === "stuck" ? Infinity : (rule?.createMs ?? this.timings.volumeCreate);
    this.volumeTasks.start(row, {
      while: { status: "creating" },
      steps: [{ afterMs, ...volumeCreateEnd(rule?.create, requestId, bootable) }],
    });
  }

  /** The snapshots of `cascade` are deleted first, which takes longer. */
  startVolumeDelete(row: VolumeRow, cascade: readonly SnapshotRow[] = [], requestId = ""): void {
    const rule = this.takeBehaviour(row, "delete");
    row.status = "deleting";
    row.updated_at = this.stamp();
    for (const snapshot of cascade) {
      this.startSnapshotDelete(snapshot, requestId);
      snapshot.updated_at = this.stamp();
    }
    const usualMs = this.timings.volumeDelete + (cascade.length > 0 ? this.timings.snapshotDelete : 0);
    const afterMs = rule?.delete === "stuck" ? Infinity : (rule?.deleteMs ?? usualMs);
    // A driver that finds the volume busy leaves no message, and neither does one that fails (cinder/volume/manager.py
    // delete_volume).
    const ends = { busy: "available", error: "error_deleting", stuck: "deleting" } as const;
    const end =
      rule?.delete === undefined ? { emit: { kind: "gone" } as const } : { set: { status: ends[rule.delete] } };
    this.volumeTasks.start(row, { while: { status: "deleting" }, steps: [{ afterMs, ...end }] });
  }

  /** cinder/volume/manager.py:2936-3008, cinder/scheduler/manager.py:457-487 */
  startVolumeExtend(row: VolumeRow, size: number, requestId: string): void {
    const rule = this.takeBehaviour(row, "extend");
    const afterMs = rule?.extend === "stuck" ? Infinity : this.timings.volumeExtend;
    const back = row.status;
    row.status = "extending";
    row.updated_at = this.stamp();
    this.volumeTasks.start(row, {
      while: { status: "extending" },
      steps: [{ afterMs, ...volumeExtendEnd(rule?.extend, requestId, size, back) }],
    });
  }

  /**
   * With a driver that has a revert of its own, such as LVM's: the data from before are in a snapshot of their own until the
   * revert has succeeded (cinder/volume/manager.py:1143-1164).
   */
  startRevert(volume: VolumeRow, snapshot: SnapshotRow): void {
    const outcome = this.takeBehaviour(volume, "revert")?.revert;
    const afterMs = outcome === "stuck" ? Infinity : this.timings.snapshotRevert;
    const ends = revertEnds(outcome);
    volume.status = "reverting";
    volume.updated_at = this.stamp();
    snapshot.status = "restoring";
    snapshot.updated_at = this.stamp();
    const backup = this.createSnapshot({
      volume_id: volume.id,
      project_id: volume.project_id,
      name: `[revert] volume ${volume.id} backup snapshot`,
      description:
        "This is only used for backup when reverting. If the reverting process failed, you can restore you data by creating new volume with this snapshot.",
      status: "creating",
      consumes_quota: false,
    });
    this.volumeTasks.start(volume, { while: { status: "reverting" }, steps: [{ afterMs, ...ends.volume }] });
    this.snapshotTasks.start(snapshot, { while: { status: "restoring" }, steps: [{ afterMs, ...ends.snapshot }] });
    this.snapshotTasks.start(backup, { while: { status: "creating" }, steps: [{ afterMs, ...ends.backup }] });
  }

  /** The current time as the columns print it; never the same twice. */
  stamp(atMs?: number): string {
    return isoMicroseconds(this.clock.stamp(atMs));
  }

  private attachment(volumeId: string, at: string): VolumeAttachment {
    return {
      id: volumeId,
      attachment_id: this.ids.uuid("attachment"),
      volume_id: volumeId,
      server_id: this.ids.uuid("server"),
      host_name: null,
      device: "/dev/vdb",
      attached_at: at,
    };
  }

  private takeBehaviour(
    row: SnapshotRow | VolumeRow,
    work: "create" | "delete" | "extend" | "revert",
  ): Behaviour | undefined {
    const coversWork = (rule: Behaviour) =>
      rule[work] !== undefined || ((work === "create" || work === "delete") && rule[`${work}Ms`] !== undefined);
    const found = this.behaviours.find(({ rule, left }) => left > 0 && coversWork(rule) && applies(rule, row));
    if (found !== undefined) found.left -= 1;
    return found?.rule;
  }

  private afterStep<Row extends SnapshotRow | VolumeRow>(
    table: Map<string, Row>,
    row: Row,
    event: Event | undefined,
    atMs: number,
  ): void {
    row.updated_at = this.stamp(atMs);
    // A volume is not deleted while it has snapshots.
    if (event?.kind === "gone" && this.snapshotsOf(row.id).length > 0) row.status = "error_deleting";
    else if (event?.kind === "gone") table.delete(row.id);
    if (event?.kind === "message") this.addMessage(event.message, row, event.requestId, atMs);
  }

  private addMessage(kind: MessageKind, row: SnapshotRow | VolumeRow, requestId: string, atMs: number): void {
    const id = this.ids.uuid("message");
    this.messages.set(id, {
      id,
      project_id: row.project_id,
      ...MESSAGES[kind],
      message_level: "ERROR",
      created_at: this.stamp(atMs),
      // message_ttl is 30 days (exchanges: 'messages for it')
      guaranteed_until: isoMicroseconds(Math.round((atMs + 30 * 86_400_000) * 1000)),
      request_id: requestId,
      resource_type: "volume_id" in row ? "VOLUME_SNAPSHOT" : "VOLUME",
      resource_uuid: row.id,
    });
  }
}

/** The statuses that a status update may set, by the status before. */
const STATUS_UPDATES: Readonly<Record<string, readonly string[]>> = {
  creating: ["creating", "available", "error"],
  deleting: ["deleting", "error_deleting"],
};

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
