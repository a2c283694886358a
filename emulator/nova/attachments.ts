// One server, and the volumes that are attached to a server (nova/api/openstack/compute/volumes.py:227-350).

import type { VolumeRow } from "../cinder/model";
import { json, type Reply } from "../core/http";
import { HttpError } from "../openstack/wsgi";
import type { NovaContext } from "./context";
import { checkQuery, readCount } from "./query";
import { type AttachedServer, attachedServers, projectOf } from "./serverList";
import { attachmentView, serverView } from "./views";

/** `[api]max_limit` */
const MAX_LIMIT = 1000;

export function showServer(context: NovaContext): Reply {
  return json(200, { server: serverView(findServer(context), context, "show") });
}

export function listAttachments(context: NovaContext): Reply {
  const { request, minor } = context;
  checkQuery(request.query, minor, { limit: "count", offset: "count" });
  const { server, volumes } = findServer(context);
  const offset = readCount(request.query, "offset") ?? 0;
  // Unlike in the list of servers, 0 is no limit (nova/api/openstack/common.py:222-239).
  const limit = Math.min(readCount(request.query, "limit") || MAX_LIMIT, MAX_LIMIT);
  const rows = volumes.slice(offset, offset + limit).map((volume) => attachmentView(server, volume, minor));
  return json(200, { volumeAttachments: rows });
}

export function showAttachment(context: NovaContext): Reply {
  const { minor, params } = context;
  const { server, volumes } = findServer(context);
  const volume = volumes.find(({ id }: VolumeRow) => id === params.volume);
  if (volume === undefined)
    throw new HttpError(404, `Instance ${server.id} is not attached to volume ${params.volume}`);
  return json(200, { volumeAttachment: attachmentView(server, volume, minor) });
}

function findServer(context: NovaContext): AttachedServer {
  const { identity, params } = context;
  const found = attachedServers(context).find(({ server }) => server.id === params.id);
  // To a member, another project's server is as absent as one that never was.
  if (found === undefined || !(identity.isAdmin || identity.projectId === projectOf(found.volumes)))
    throw new HttpError(404, `Instance ${params.id} could not be found.`);
  return found;
}
