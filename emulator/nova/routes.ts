// Nova's routing table.

import { json, type Reply } from "../core/http";
import { routesOf } from "../openstack/wsgi";
import {
  createSnapshot,
  deleteSnapshot,
  listAttachments,
  listServers,
  type NovaContext,
  showServer,
  showVersion,
} from "./handlers";
import { versionsView } from "./views";

const ASSISTED_SNAPSHOTS = "/v2.1/os-assisted-volume-snapshots";

const listVersions = (base: string) => json(200, versionsView(base));

/** These need no token. */
export const VERSION_ROUTES = routesOf<(base: string) => Reply>([
  ["versions.list", "GET", "", listVersions],
  ["versions.list", "GET", "/", listVersions],
]);

export const ROUTES = routesOf<(context: NovaContext) => Reply>([
  ["versions.show", "GET", "/v2.1/", showVersion],
  ["servers.list", "GET", "/v2.1/servers", (context) => listServers(context, false)],
  ["servers.detail", "GET", "/v2.1/servers/detail", (context) => listServers(context, true)],
  ["servers.attachments", "GET", "/v2.1/servers/{id}/os-volume_attachments", listAttachments],
  ["servers.show", "GET", "/v2.1/servers/{id}", showServer],
  ["assistedSnapshots.create", "POST", ASSISTED_SNAPSHOTS, createSnapshot],
  ["assistedSnapshots.delete", "DELETE", `${ASSISTED_SNAPSHOTS}/{id}`, deleteSnapshot],
]);
