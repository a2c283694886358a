// ViPR's answers: keys in the order in which ViPR writes them (docs/wire/vipr.md#s8), as JSON or XML.

import { type EmulatorRequest, header, json, type Reply } from "../core/http";
import type { ViprModel } from "./model";
import type { ViprGroup, ViprSession, ViprTarget, ViprTask, ViprVolume } from "./rows";
import { toXml } from "./xml";

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  /** The XML root element, absent in JSON (docs/wire/vipr.md#s0-1). */
  readonly root: string;
  readonly headers?: Record<string, string>;
}

const PROJECT = "urn:storageos:Project:3e9226a8-33eb-419f-a7ab-4669eb93485c:global";
export const TENANT = "urn:storageos:TenantOrg:4f245ed0-dc0c-4ec1-9239-0154f05ef939:global";
const SYSTEM = "urn:storageos:StorageSystem:ed5035a8-5f72-43e8-b970-847b4d76e17c:vdc1";
const VARRAY = "urn:storageos:VirtualArray:110acf4a-2459-4025-adff-ce429fc4c5c3:vdc1";
const VDC = "urn:storageos:VirtualDataCenter:13c56135-2b07-4a6d-9f94-ec0787c73d28:vdc1";

export function sessionView(model: ViprModel, session: ViprSession): Record<string, unknown> {
  const group = session.group === undefined ? undefined : model.groups.get(session.group);
  const linked = [...session.linked];
  // A hash set has no order (docs/wire/vipr.md#s0-11).
  linked.sort((a, b) => (a.slice(-12) < b.slice(-12) ? -1 : 1));
  return {
    name: session.label,
    ...linkTo(session.id, "/block/snapshot-sessions"),
    ...common(session),
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
  return {
    name: group.label,
    ...linkTo(group.id, "/block/consistency-groups"),
    ...common(group),
    storage_controller: { id: SYSTEM, link: linkTo(SYSTEM, "/vdc/storage-systems").link },
    project: linkTo(PROJECT, "/projects"),
    volumes: volumes.map(({ id }) => linkTo(id, "/block/volumes")),
    types: ["LOCAL"],
  };
}

export function targetView(model: ViprModel, target: ViprTarget): Record<string, unknown> {
  const { wwn, nativeId = "" } = target;
  const source = model.volumes.get(target.parent);
  const isActive = wwn !== undefined;
  return {
    name: target.label,
    ...linkTo(target.id, "/block/snapshots"),
    ...common(target, [...target.tags]),
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
    ...common({ inactive: false }),
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

export function volumeView(volume: ViprVolume): Record<string, unknown> {
  return {
    name: volume.label,
    ...linkTo(volume.id, "/block/volumes"),
    ...common(volume),
    wwn: volume.wwn,
    protocols: ["FC"],
    project: linkTo(PROJECT, "/projects"),
    storage_controller: SYSTEM,
    native_id: volume.nativeId,
    ...(volume.group === undefined ? {} : { consistency_group: linkTo(volume.group, "/block/consistency-groups") }),
    provisioned_capacity_gb: volume.capacityGb.toFixed(2),
  };
}

function common({ inactive }: { inactive: boolean }, tags: readonly string[] = []): Record<string, unknown> {
  return { inactive, global: false, remote: false, vdc: linkTo(VDC, "/vdc"), tags, internal: false };
}

/** A path without a host (docs/wire/vipr.md#links). */
export function linkTo(id: string, path: string): { id: string; link: { rel: string; href: string } } {
  return { id, link: { rel: "self", href: `${path}/${id}` } };
}

export function named({ id, label }: { id: string; label: string }, path: string): Record<string, unknown> {
  return { ...linkTo(id, path), name: label };
}

export function accepted(body: Record<string, unknown>, root: string): Answer {
  return { status: 202, body, root };
}

export function loggedIn(request: EmulatorRequest, user: string, token: string): Reply {
  return written(request, 200, { user }, "loggedIn", { "X-SDS-AUTH-TOKEN": token });
}

/** JSON if Accept is exactly application/json, otherwise XML (docs/wire/vipr.md#negotiation). */
export function written(
  request: EmulatorRequest,
  status: number,
  body: Record<string, unknown>,
  root: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  if (root === "") return { status, headers, body: "" };
  if (header(request, "Accept") === "application/json") return json(status, body, headers);
  return { status, headers: { "Content-Type": "application/xml", ...headers }, body: toXml(root, body) };
}
