// Nova's routing table.

import { type EmulatorRequest, json, type Reply } from "../core/http";
import { atMicroversion, routesOf } from "../openstack/wsgi";
import { createSnapshot, deleteSnapshot } from "./assistedSnapshots";
import { listAttachments, showAttachment, showServer } from "./attachments";
import type { NovaHandler } from "./context";
import { FAULTS } from "./errors";
import { listFlavors, showFlavor } from "./flavors";
import { showLimits, showQuotas } from "./quotas";
import { listServers } from "./serverList";
import { VERSIONS, versionsView, versionView } from "./views";

const ASSISTED_SNAPSHOTS = "/v2.1/os-assisted-volume-snapshots";

interface Discovery {
  readonly base: string;
  readonly request: EmulatorRequest;
}

const listVersions = ({ base }: Discovery) => json(200, versionsView(base));
const showVersion = ({ base, request }: Discovery) =>
  atMicroversion(VERSIONS, FAULTS, request, () => json(200, versionView(base)));

/** These need no token (exchanges: 'v2.1'; seen with and without the slash). */
export const VERSION_ROUTES = routesOf<(discovery: Discovery) => Reply>([
  ["versions.list", "GET", "", listVersions],
  ["versions.list", "GET", "/", listVersions],
  ["versions.show", "GET", "/v2.1", showVersion],
  ["versions.show", "GET", "/v2.1/", showVersion],
]);

export const ROUTES = routesOf<NovaHandler>([
  ["servers.list", "GET", "/v2.1/servers", (context) => listServers(context, false)],
  ["servers.detail", "GET", "/v2.1/servers/detail", (context) => listServers(context, true)],
  ["servers.attachments", "GET", "/v2.1/servers/{id}/os-volume_attachments", listAttachments],
  ["servers.attachment", "GET", "/v2.1/servers/{id}/os-volume_attachments/{volume}", showAttachment],
  ["servers.show", "GET", "/v2.1/servers/{id}", showServer],
  ["flavors.list", "GET", "/v2.1/flavors", (context) => listFlavors(context, false)],
  ["flavors.detail", "GET", "/v2.1/flavors/detail", (context) => listFlavors(context, true)],
  ["flavors.show", "GET", "/v2.1/flavors/{id}", showFlavor],
  ["limits.show", "GET", "/v2.1/limits", showLimits],
  ["quotas.show", "GET", "/v2.1/os-quota-sets/{project}", (context) => showQuotas(context, "show")],
  ["quotas.detail", "GET", "/v2.1/os-quota-sets/{project}/detail", (context) => showQuotas(context, "detail")],
  ["quotas.defaults", "GET", "/v2.1/os-quota-sets/{project}/defaults", (context) => showQuotas(context, "defaults")],
  ["assistedSnapshots.create", "POST", ASSISTED_SNAPSHOTS, createSnapshot],
  ["assistedSnapshots.delete", "DELETE", `${ASSISTED_SNAPSHOTS}/{id}`, deleteSnapshot],
]);
