// What Nova shows of a server and of its versions.

import type { VolumeRow } from "../cinder/model";
import type { Microversions } from "../openstack/wsgi";
import type { ServerRow } from "./model";

type View = Record<string, unknown>;

export const VERSIONS: Microversions = {
  serviceType: "compute",
  olderHeader: "X-OpenStack-Nova-API-Version",
  min: "2.1",
  max: "2.93",
};

/** nova/api/openstack/compute/views/servers.py show, without what a network and an image service would add. */
export function serverView(server: ServerRow, volumes: readonly VolumeRow[], base: string, isAdmin: boolean): View {
  const { id, name, host, vm_state, task_state, launched_at } = server;
  const [volume] = volumes;
  return {
    id,
    name,
    status: statusOf(server),
    tenant_id: volume?.project_id,
    user_id: volume?.user_id,
    metadata: {},
    addresses: {},
    config_drive: "",
    links: [{ rel: "self", href: `${base}/v2.1/servers/${id}` }],
    "OS-EXT-STS:power_state": vm_state === "active" ? 1 : 4,
    "OS-EXT-STS:task_state": task_state,
    "OS-EXT-STS:vm_state": vm_state,
    "OS-SRV-USG:launched_at": launched_at,
    ...(isAdmin ? { "OS-EXT-SRV-ATTR:host": host } : {}),
    "os-extended-volumes:volumes_attached": volumes.map((row) => ({ id: row.id })),
  };
}

/** nova/api/openstack/common.py _STATE_MAP */
function statusOf({ vm_state, task_state }: ServerRow): string {
  if (vm_state === "stopped") return "SHUTOFF";
  return task_state === "rebooting" ? "REBOOT" : "ACTIVE";
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
