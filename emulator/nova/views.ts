// What Nova shows of a server and of its versions.

import { createHash } from "node:crypto";
import type { VolumeRow } from "../cinder/model";
import type { Microversions } from "../openstack/wsgi";
import type { NovaContext } from "./context";
import { FLAVOR, type ServerRow } from "./model";
import type { AttachedServer } from "./serverList";
import { statusOf } from "./states";

type View = Record<string, unknown>;

const ZONE = "nova";
const ROOT = "/dev/vda";

/** nova/api/openstack/compute/views/servers.py:43-50 */
const PROGRESSING = ["ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"];

export const VERSIONS: Microversions = {
  serviceType: "compute",
  olderHeader: "X-OpenStack-Nova-API-Version",
  min: "2.1",
  max: "2.93",
};

/** By name of the table's columns: what a list filters and sorts by. */
export function columnsOf({ server, volumes }: AttachedServer): View {
  const [volume] = volumes;
  return {
    ...server,
    uuid: server.id,
    display_name: server.name,
    display_description: null,
    hostname: hostnameOf(server),
    node: server.host,
    project_id: volume?.project_id,
    user_id: volume?.user_id,
    reservation_id: reservationOf(server),
    image_ref: "",
    flavor: FLAVOR.id,
    instance_type_id: FLAVOR.id,
    availability_zone: ZONE,
    config_drive: "",
    key_name: null,
    terminated_at: null,
    power_state: powerOf(server),
    progress: 0,
    launch_index: 0,
    kernel_id: "",
    ramdisk_id: "",
    root_device_name: ROOT,
  };
}

/**
 * nova/api/openstack/compute/views/servers.py:187-364, of a server that booted from a volume and has no network
 * (docs/wire/openstack.md#servers).
 */
export function serverView(row: AttachedServer, context: NovaContext, form: "show" | "detail"): View {
  const { server, volumes } = row;
  const { base, minor, identity } = context;
  const { id, name, host, vm_state, task_state, launched_at } = server;
  const project = volumes[0]?.project_id ?? "";
  const status = statusOf(server);
  return {
    id,
    name,
    status,
    tenant_id: project,
    user_id: volumes[0]?.user_id ?? "",
    metadata: {},
    hostId: host === null ? "" : createHash("sha224").update(`${project}${host}`).digest("hex"),
    image: "",
    flavor: minor < 47 ? { id: FLAVOR.id, links: linksOf(base, "flavors", FLAVOR.id).slice(1) } : embeddedFlavor(),
    created: seconds(server.created_at),
    updated: seconds(server.updated_at),
    addresses: {},
    accessIPv4: "",
    accessIPv6: "",
    links: linksOf(base, "servers", id),
    "OS-DCF:diskConfig": "MANUAL",
    ...(PROGRESSING.includes(status) ? { progress: 0 } : {}),
    "OS-EXT-AZ:availability_zone": ZONE,
    config_drive: "",
    key_name: null,
    "OS-SRV-USG:launched_at": launched_at,
    "OS-SRV-USG:terminated_at": null,
    ...(identity.isAdmin ? extendedAttributes(server, minor) : {}),
    "OS-EXT-STS:task_state": task_state,
    "OS-EXT-STS:vm_state": vm_state,
    "OS-EXT-STS:power_state": powerOf(server),
    "os-extended-volumes:volumes_attached": volumes.map((volume) => ({
      id: volume.id,
      ...(minor >= 3 ? { delete_on_termination: false } : {}),
    })),
    ...laterFields(server, context, form),
  };
}

function extendedAttributes(server: ServerRow, minor: number): View {
  const { host } = server;
  const prefix = "OS-EXT-SRV-ATTR:";
  return {
    [`${prefix}host`]: host,
    [`${prefix}instance_name`]: `instance-${digest(server.id).slice(0, 8)}`,
    [`${prefix}hypervisor_hostname`]: host,
    ...(minor < 3
      ? {}
      : {
          [`${prefix}reservation_id`]: reservationOf(server),
          [`${prefix}launch_index`]: 0,
          [`${prefix}hostname`]: hostnameOf(server),
          [`${prefix}kernel_id`]: "",
          [`${prefix}ramdisk_id`]: "",
          [`${prefix}root_device_name`]: ROOT,
          [`${prefix}user_data`]: null,
        }),
  };
}

function laterFields(server: ServerRow, { minor, identity }: NovaContext, form: "show" | "detail"): View {
  return {
    ...(minor >= 16 && identity.isAdmin ? { host_status: server.host === null ? "" : "UP" } : {}),
    ...(minor >= 9 ? { locked: false } : {}),
    ...(minor >= 73 ? { locked_reason: null } : {}),
    ...(minor >= 19 ? { description: null } : {}),
    ...(minor >= 26 ? { tags: [] } : {}),
    ...(minor >= 63 ? { trusted_image_certificates: null } : {}),
    ...(minor >= 90 && !identity.isAdmin ? { "OS-EXT-SRV-ATTR:hostname": hostnameOf(server) } : {}),
    ...(minor >= 71 && form === "show" ? { server_groups: [] } : {}),
  };
}

/** nova/api/openstack/compute/volumes.py:227-268 */
export function attachmentView({ id }: ServerRow, volume: VolumeRow, minor: number): View {
  const attachment = volume.attachments.find(({ server_id }) => server_id === id);
  return {
    ...(minor < 89 ? { id: volume.id } : {}),
    volumeId: volume.id,
    serverId: id,
    ...(attachment?.device ? { device: attachment.device } : {}),
    ...(minor >= 70 ? { tag: null } : {}),
    ...(minor >= 79 ? { delete_on_termination: false } : {}),
    ...(minor >= 89 ? { attachment_id: attachment?.attachment_id ?? null, bdm_uuid: mappingId(id, volume.id) } : {}),
  };
}

export function flavorSummary(base: string, minor: number): View {
  const { id, name } = FLAVOR;
  return { id, name, links: linksOf(base, "flavors", id), ...(minor >= 55 ? { description: null } : {}) };
}

export function flavorView(base: string, minor: number): View {
  const { id, name, ram, disk, vcpus } = FLAVOR;
  return {
    id,
    name,
    ram,
    disk,
    swap: minor >= 75 ? 0 : "",
    "OS-FLV-EXT-DATA:ephemeral": 0,
    "OS-FLV-DISABLED:disabled": false,
    vcpus,
    "os-flavor-access:is_public": true,
    rxtx_factor: 1,
    links: linksOf(base, "flavors", id),
    ...(minor >= 55 ? { description: null } : {}),
    ...(minor >= 61 ? { extra_specs: {} } : {}),
  };
}

function embeddedFlavor(): View {
  const { name, ram, disk, vcpus } = FLAVOR;
  return { vcpus, ram, disk, ephemeral: 0, swap: 0, original_name: name, extra_specs: {} };
}

export function linksOf(base: string, collection: string, id: string): { rel: string; href: string }[] {
  return [
    { rel: "self", href: `${base}/v2.1/${collection}/${id}` },
    { rel: "bookmark", href: `${base}/${collection}/${id}` },
  ];
}

function powerOf({ vm_state }: ServerRow): number {
  return vm_state === "active" ? 1 : 4;
}

function hostnameOf({ name }: ServerRow): string {
  return name.toLowerCase().replace(/[^a-z0-9-]+/g, "-");
}

function reservationOf({ id }: ServerRow): string {
  return `r-${digest(id).slice(0, 8)}`;
}

/** The block device mapping has an id of its own, which nothing else shows. */
function mappingId(server: string, volume: string): string {
  const [a, b, c, d, e] = /^(.{8})(.{4}).(.{3}).(.{3})(.{12})/.exec(digest(`${server}/${volume}`))?.slice(1) ?? [];
  return `${a}-${b}-4${c}-8${d}-${e}`;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function seconds(column: string): string {
  return `${column.slice(0, 19)}Z`;
}

export function versionsView(base: string): View {
  const self = (id: string) => [{ rel: "self", href: `${base}/${id}/` }];
  const old = { id: "v2.0", status: "SUPPORTED", version: "", min_version: "", updated: "2011-01-21T11:33:21Z" };
  return { versions: [{ ...old, links: self("v2") }, version21(self("v2.1"))] };
}

export function versionView(base: string): View {
  const links = [
    { rel: "self", href: `${base}/v2.1/` },
    { rel: "describedby", type: "text/html", href: "http://docs.openstack.org/" },
  ];
  const media = [{ base: "application/json", type: "application/vnd.openstack.compute+json;version=2.1" }];
  return { version: { ...version21(links), "media-types": media } };
}

function version21(links: readonly object[]): View {
  const { min, max } = VERSIONS;
  return { id: "v2.1", status: "CURRENT", version: max, min_version: min, updated: "2013-07-23T11:33:21Z", links };
}
