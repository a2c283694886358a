// ViPR's answers: keys in the order in which ViPR writes them (docs/wire/vipr.md#s8).

import type { ViprModel } from "./model";
import type { ViprGroup, ViprSession, ViprTarget, ViprTask, ViprVolume } from "./rows";

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  /** The XML root element, absent in JSON (docs/wire/vipr.md#s0-1). */
  readonly root: string;
  readonly headers?: Record<string, string>;
}

export const PROJECT = "urn:storageos:Project:3e9226a8-33eb-419f-a7ab-4669eb93485c:global";
export const PROJECT_NAME = "storage";
export const TENANT = "urn:storageos:TenantOrg:4f245ed0-dc0c-4ec1-9239-0154f05ef939:global";
const SYSTEM = "urn:storageos:StorageSystem:ed5035a8-5f72-43e8-b970-847b4d76e17c:vdc1";
const VARRAY = "urn:storageos:VirtualArray:110acf4a-2459-4025-adff-ce429fc4c5c3:vdc1";
const VPOOL = "urn:storageos:VirtualPool:6a1f2bd8-5b0e-4c1a-9d0e-2b8f1c3d4e5f:vdc1";
const POOL = "urn:storageos:StoragePool:0c8d7e6f-1a2b-4c3d-8e4f-5a6b7c8d9e0f:vdc1";
const VDC = "urn:storageos:VirtualDataCenter:13c56135-2b07-4a6d-9f94-ec0787c73d28:vdc1";

export function sessionView(model: ViprModel, session: ViprSession): Record<string, unknown> {
  const group = session.group === undefined ? undefined : model.groups.get(session.group);
  const linked = [...session.linked];
  // A hash set has no order (docs/wire/vipr.md#s0-11).
  linked.sort((a, b) => (a.slice(-12) < b.slice(-12) ? -1 : 1));
  return {
    name: session.label,
    ...linkTo(session.id, "/block/snapshot-sessions"),
    ...common(session, session.tags),
    protocols: [],
    ...(session.volume === undefined ? {} : { parent: linkTo(session.volume, "/block/volumes") }),
    project: linkTo(PROJECT, "/projects"),
    creation_time: Math.round(session.createdAt),
    storage_controller: SYSTEM,
    ...(group === undefined
      ? {}
      : {
          consistency_group: linkTo(group.id, "/block/consistency-groups"),
          replication_group_instance: group.replicationGroup,
        }),
    session_label: session.label,
    ...(group === undefined ? {} : { session_set_name: session.label }),
    linked_targets: linked.map((id) => linkTo(id, "/block/snapshots")),
  };
}

export function groupView(model: ViprModel, group: ViprGroup): Record<string, unknown> {
  const volumes = [...model.volumes.values()].filter((volume) => volume.group === group.id && !volume.inactive);
  const hasVolumes = volumes.length > 0;
  return {
    name: group.label,
    ...linkTo(group.id, "/block/consistency-groups"),
    ...common(group, group.tags),
    volumes: volumes.map(({ id }) => linkTo(id, "/block/volumes")),
    project: linkTo(PROJECT, "/projects"),
    types: hasVolumes ? ["LOCAL"] : [],
    creation_time: Math.round(group.createdAt),
    // A group without volumes is in ViPR's database only, not on an array.
    ...(hasVolumes ? { storage_controller: linkTo(SYSTEM, "/vdc/storage-systems") } : {}),
    supports_snapshot_sessions: hasVolumes,
    array_consistency: true,
    ...(hasVolumes ? { system_consistency_groups: [{ value: group.replicationGroup, name: SYSTEM }] } : {}),
  };
}

export function targetView(model: ViprModel, target: ViprTarget): Record<string, unknown> {
  const { wwn, nativeId = "" } = target;
  const source = model.volumes.get(target.parent);
  const isActive = wwn !== undefined;
  return {
    name: target.label,
    ...linkTo(target.id, "/block/snapshots"),
    ...common(target, target.tags),
    ...(wwn === undefined ? {} : { wwn }),
    protocols: ["FC"],
    parent: linkTo(target.parent, "/block/volumes"),
    project: linkTo(PROJECT, "/projects"),
    creation_time: Math.round(target.createdAt),
    storage_controller: SYSTEM,
    varray: linkTo(VARRAY, "/vdc/varrays"),
    device_label: isActive ? target.label : "",
    native_id: nativeId,
    ...(source?.group === undefined ? {} : { consistency_group: linkTo(source.group, "/block/consistency-groups") }),
    replication_group_instance: "",
    source_native_id: source?.nativeId ?? "",
    is_sync_active: isActive,
    replica_state: isActive ? "SYNCHRONIZED" : "PREPARED",
    read_only: false,
    snapset_label: target.snapsetLabel,
    provisioned_capacity_gb: (isActive ? (source?.capacityGb ?? 0) : 0).toFixed(2),
    allocated_capacity_gb: isActive ? "0.01" : "0.00",
    technology_type: "NATIVE",
  };
}

export function taskView(task: ViprTask): Record<string, unknown> {
  const { id, name, path } = task.resource;
  return {
    name: task.name,
    ...linkTo(task.id, "/vdc/tasks"),
    ...common({ inactive: false }, task.tags),
    resource: { id, name, link: linkTo(id, path).link },
    tenant: linkTo(TENANT, "/tenants"),
    ...(task.message === undefined ? {} : { message: task.message }),
    state: task.state,
    description: task.description,
    progress: task.progress,
    ...(task.workflow === undefined ? {} : { workflow: linkTo(task.workflow, "/vdc/workflows") }),
    creation_time: Math.round(task.startedAt),
    ...(task.error === undefined
      ? {}
      : {
          service_error: {
            code: task.error.code,
            retryable: false,
            description: task.error.description,
            details: task.error.details,
          },
        }),
    op_id: task.opId,
    // Never contains the new targets (docs/wire/vipr.md#s0-4).
    associated_resources: [],
    start_time: Math.round(task.startedAt),
    ...(task.endedAt === undefined ? {} : { end_time: Math.round(task.endedAt) }),
    allowed_operations: task.allowedOperations,
  };
}

/** A volume of a VMAX3 (docs/wire/vipr.md#volume-model). */
export function volumeView(model: ViprModel, volume: ViprVolume): Record<string, unknown> {
  const group = volume.group === undefined ? undefined : model.groups.get(volume.group);
  const capacity = volume.capacityGb.toFixed(2);
  return {
    name: volume.label,
    ...linkTo(volume.id, "/block/volumes"),
    ...common(volume, volume.tags),
    wwn: volume.wwn,
    protocols: ["FC"],
    project: linkTo(PROJECT, "/projects"),
    tenant: linkTo(TENANT, "/tenants"),
    // Written though it is null: its getter has no annotation (docs/wire/vipr.md#nulls).
    protection: null,
    creation_time: Math.round(volume.createdAt),
    storage_controller: SYSTEM,
    varray: linkTo(VARRAY, "/vdc/varrays"),
    device_label: volume.label,
    native_id: volume.nativeId,
    ...(group === undefined ? {} : { consistency_group: linkTo(group.id, "/block/consistency-groups") }),
    replication_group_instance: group?.replicationGroup ?? "",
    provisioned_capacity_gb: capacity,
    allocated_capacity_gb: capacity,
    requested_capacity_gb: capacity,
    pre_allocation_size_gb: "0.00",
    is_composite: false,
    thinly_provisioned: true,
    high_availability_backing_volumes: [],
    storage_pool: linkTo(POOL, `/vdc/storage-systems/${SYSTEM}/storage-pools`),
    volume_groups: [],
    supports_snapshot_sessions: true,
    system_type: "vmax3",
    vpool: linkTo(VPOOL, "/block/vpools"),
  };
}

/** One path from a host to an exported target (ExportUtils.java:411-450; which host and which port is made up). */
export function exportView(target: ViprTarget): Record<string, unknown> {
  const [initiator, port, group] = ["Initiator", "StoragePort", "ExportGroup"].map((type) =>
    target.id.replace("BlockSnapshot", type),
  ) as [string, string, string];
  return {
    hlu: 1,
    initiator: { ...linkTo(initiator, "/compute/initiators"), port: "10:00:00:00:C9:5C:90:43" },
    export: named({ id: group, label: "hosts" }, "/block/exports"),
    device: { ...linkTo(target.id, "/block/snapshots"), ...(target.wwn ? { wwn: target.wwn.toUpperCase() } : {}) },
    target: { ...linkTo(port, `/vdc/storage-systems/${SYSTEM}/storage-ports`), port: "50:00:09:73:98:00:10:04" },
  };
}

function common({ inactive }: { inactive: boolean }, tags: ReadonlySet<string>): Record<string, unknown> {
  return { inactive, global: false, remote: false, vdc: linkTo(VDC, "/vdc"), tags: [...tags], internal: false };
}

/** A path without a host (docs/wire/vipr.md#links). */
export function linkTo(id: string, path: string): { id: string; link: { rel: string; href: string } } {
  return { id, link: { rel: "self", href: `${path}/${id}` } };
}

/** The name stands between the others: CoprHD's classes are written with the fields of the subclass first. */
export function named({ id, label }: { id: string; label: string }, path: string): Record<string, unknown> {
  return { id, name: label, link: linkTo(id, path).link };
}

export function accepted(body: Record<string, unknown>, root: string): Answer {
  return { status: 202, body, root };
}
