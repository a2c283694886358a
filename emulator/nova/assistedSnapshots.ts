// Nova's calls on assisted snapshots, which answer at once and check little (docs/wire/openstack.md#b,
// nova/api/openstack/compute/assisted_volume_snapshots.py).

import { isObject, json, type Reply } from "../core/http";
import { type Schema, wrapped } from "../openstack/jsonSchema";
import { type HttpError, parseJson, requireAdmin, validated } from "../openstack/wsgi";
import type { NovaContext } from "./context";
import { invalid, unexpected, wrongState } from "./errors";
import type { ServerRow } from "./model";

/** Zed allows administrators only; the role `service` is not enough (exchanges: 'service role'). */
const POLICY = "os_compute_api:os-assisted-volume-snapshots";

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
