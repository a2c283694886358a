// Nova's calls: two on assisted snapshots, which answer at once and check little (docs/wire/openstack.md#b,
// nova/api/openstack/compute/assisted_volume_snapshots.py), and the state of one server.

import type { CinderModel, VolumeRow } from "../cinder/model";
import { type EmulatorRequest, isObject, json, type Reply } from "../core/http";
import type { Identity } from "../keystone/model";
import { type Schema, wrapped } from "../openstack/jsonSchema";
import { HttpError, parseJson, requireAdmin, validated } from "../openstack/wsgi";
import { invalid, unexpected, wrongState } from "./errors";
import type { NovaModel, ServerRow } from "./model";
import { serverView, versionView } from "./views";

export interface NovaContext {
  readonly model: NovaModel;
  readonly cinder: CinderModel;
  readonly request: EmulatorRequest;
  readonly identity: Identity;
  /** 2.x as the number x. */
  readonly minor: number;
  readonly params: Readonly<Record<string, string>>;
  /** `http://host/compute` */
  readonly base: string;
}

/** Zed allows administrators only; the role `service` is not enough (exchanges: 'service role'). */
const POLICY = "os_compute_api:os-assisted-volume-snapshots";

/** `[api]max_limit` */
const MAX_LIMIT = 1000;

const TEXT: Schema = { types: ["string"], minLength: 1 };

/** nova/api/openstack/compute/schemas/assisted_volume_snapshots.py */
const CREATE = wrapped("snapshot", {
  properties: {
    volume_id: TEXT,
    create_info: {
      types: ["object"],
      properties: { snapshot_id: TEXT, type: { types: ["string"], enum: ["qcow2"] }, new_file: TEXT, id: TEXT },
      required: ["snapshot_id", "type", "new_file"],
      additional: false,
    },
  },
  required: ["volume_id", "create_info"],
});

export function showVersion({ base }: NovaContext): Reply {
  return json(200, versionView(base));
}

export function showServer(context: NovaContext): Reply {
  const { server, volumes } = findServer(context);
  return json(200, { server: serverView(server, volumes, context.base, context.identity.isAdmin) });
}

/** nova/api/openstack/compute/servers.py index and detail: the project's own, of all projects to an administrator who asks. */
export function listServers(context: NovaContext, detail: boolean): Reply {
  const { cinder, identity, request, base } = context;
  const everywhere = identity.isAdmin && /^(1|true)$/i.test(request.query.get("all_tenants") ?? "");
  const own = [...cinder.volumes.values()].filter(({ project_id }) => everywhere || project_id === identity.projectId);
  const ids = [...new Set(own.flatMap(({ attachments }) => attachments.map(({ server_id }) => server_id)))];
  const marker = request.query.get("marker");
  if (marker !== null && !ids.includes(marker)) throw new HttpError(400, `marker [${marker}] not found`);
  const start = marker === null ? 0 : ids.indexOf(marker) + 1;
  const limit = Math.min(Number(request.query.get("limit") ?? MAX_LIMIT), MAX_LIMIT);
  const page = ids.slice(start, start + limit).map((id) => findServer({ ...context, params: { id } }));
  const views = page.map(({ server, volumes }) => serverView(server, volumes, base, identity.isAdmin));
  const last = views.at(-1);
  const path = `${base}/v2.1/servers${detail ? "/detail" : ""}`;
  const next = { rel: "next", href: `${path}?limit=${limit}&marker=${String(last?.id)}` };
  return json(200, {
    servers: detail ? views : views.map(({ id, name, links }) => ({ id, name, links })),
    ...(last !== undefined && start + limit < ids.length ? { servers_links: [next] } : {}),
  });
}

/** nova/api/openstack/compute/volumes.py index */
export function listAttachments(context: NovaContext): Reply {
  const { server, volumes } = findServer(context);
  const rows = volumes.map(({ id, attachments }) => ({
    id,
    volumeId: id,
    serverId: server.id,
    device: attachments.find(({ server_id }) => server_id === server.id)?.device ?? null,
  }));
  return json(200, { volumeAttachments: rows });
}

function findServer({ model, cinder, identity, params }: NovaContext): {
  server: ServerRow;
  volumes: readonly VolumeRow[];
} {
  const id = params.id ?? "";
  const volumes = [...cinder.volumes.values()].filter(({ attachments }) =>
    attachments.some(({ server_id }) => server_id === id),
  );
  const [volume] = volumes;
  const server = volume && model.serverOf(volume.id);
  // To a member, another project's server is as absent as one that never was.
  if (!volume || !server || !(identity.isAdmin || identity.projectId === volume.project_id))
    throw new HttpError(404, `Instance ${id} could not be found.`);
  return { server, volumes };
}

/** The schema comes first, then the policy, then the attachment. The work begins after the answer. */
export function createSnapshot(context: NovaContext): Reply {
  const { volume_id, create_info } = validated(CREATE, parseJson(context.request.text), "snapshot");
  requireAdmin(context.identity, `${POLICY}:create`);
  const info = isObject(create_info) ? create_info : {};
  checkedServer(context, String(volume_id), "do_volume_snapshot_create", invalid);
  context.model.startCreate(String(volume_id), {
    snapshot_id: String(info.snapshot_id),
    new_file: String(info.new_file),
  });
  // A bare echo: it identifies nothing (docs/wire/openstack.md#b1).
  return json(200, { snapshot: { id: info.id ?? null, volumeId: volume_id } });
}

/** Nova does not check the id of the snapshot, and of delete_info only volume_id (docs/wire/openstack.md#b2). */
export function deleteSnapshot(context: NovaContext): Reply {
  const { model, request, minor, params } = context;
  const extra = [...request.query.keys()].find((key) => key !== "delete_info");
  if (minor >= 75 && extra !== undefined)
    throw invalid(`Additional properties are not allowed ('${extra}' was unexpected)`);
  requireAdmin(context.identity, `${POLICY}:delete`);
  const info = readDeleteInfo(request.query.get("delete_info"));
  const volumeId = String(info.volume_id);
  // Unlike the create, the delete does not expect a multi-attach volume (exchanges: 'multiattach delete').
  const multiattach = () => unexpected("VolumeBDMIsMultiAttach");
  const server = checkedServer(context, volumeId, "do_volume_snapshot_delete", multiattach);
  const intermediary = info.merge_target_file !== null && info.merge_target_file !== undefined;
  if (intermediary && server.vm_state !== "active")
    throw wrongState(server.id, "vm_state", server.vm_state, "volume_snapshot_delete");
  model.startDelete(volumeId, params.id ?? "", info);
  return { status: 204, headers: { "Content-Type": "application/json" }, body: "" };
}

/** nova/compute/api.py: the attachment, then check_instance_host and check_instance_state. */
function checkedServer(
  { model, cinder }: NovaContext,
  volumeId: string,
  method: string,
  multiattach: (text: string) => HttpError,
): ServerRow {
  const volume = cinder.volumes.get(volumeId);
  const server = model.serverOf(volumeId);
  if (volume === undefined || server === undefined)
    throw invalid(`No volume Block Device Mapping with id ${volumeId}.`);
  if (volume.multiattach)
    throw multiattach(`Block Device Mapping ${volumeId} is a multi-attach volume and is not valid for this operation.`);
  if (server.host === null) throw invalid(`Instance ${server.id} is not ready`);
  if (server.task_state !== null) throw wrongState(server.id, "task_state", server.task_state, method);
  if (server.launched_at === null) throw wrongState(server.id, "launched_at", "None", method);
  return server;
}

function readDeleteInfo(text: string | null): Record<string, unknown> {
  // str() of a KeyError is the key in quotes (exchanges: 'delete without delete_info').
  if (text === null) throw invalid("'delete_info'");
  const info = parseJson(text, "Expecting value: line 1 column 1 (char 0)");
  // A list or a number has no keys, and Nova does not expect the TypeError (exchanges: 'delete_info is a list').
  if (!isObject(info)) throw unexpected("TypeError");
  if (!Object.hasOwn(info, "volume_id")) throw invalid("'volume_id'");
  return info;
}
