// clone-volumes and its progress, as "Clone volume API" of IBM's documentation has them (docs/wire/powervc.md#f1).

import { invalid, volumeNotFound } from "../cinder/errors";
import type { CinderModel } from "../cinder/model";
import { type EmulatorRequest, json, type Reply } from "../core/http";
import type { Identity } from "../keystone/model";
import { element, notRouted, parseJson } from "../openstack/wsgi";
import { taskNotFound, volumeTypeNotFound, wrongStatus } from "./errors";
import type { CloneRequest, PowerVcModel } from "./model";
import { besideDetails, insideDetails } from "./views";

export interface PowerVcContext {
  readonly model: PowerVcModel;
  readonly cinder: CinderModel;
  readonly request: EmulatorRequest;
  readonly identity: Identity;
}

const FIELDS = ["volumes", "display-name", "description", "target-volume-type-id"];

export function cloneVolumes(context: PowerVcContext): Reply {
  const { model, identity } = context;
  const projectId = identity.projectId ?? "";
  const { id } = model.start(readRequest(context, projectId), projectId, identity.userId);
  const query = `action=clone-volumes&task_id=${id}`;
  const uri = `https://${model.internalHost}/v3/${identity.projectId}/clone-volumes/get_progress?${query}`;
  return json(200, { "clone-volumes": { task_uri: uri } });
}

export function showProgress({ model, request: { query }, identity }: PowerVcContext): Reply {
  if (query.get("action") !== "clone-volumes") throw invalid("Invalid input received: action");
  const id = query.get("task_id");
  const task = model.tasks.get(id ?? "");
  if (task !== undefined && task.project_id === identity.projectId)
    return json(200, model.form === "beside" ? besideDetails(task) : insideDetails(task));
  // The document says nothing of a task that PowerVC has forgotten (docs/wire/powervc.md#h).
  if (model.forgets === "empty") return json(200, { details: {} });
  if (model.forgets === "unrouted") return notRouted();
  throw taskNotFound(id);
}

function readRequest({ model, cinder, request }: PowerVcContext, projectId: string): CloneRequest {
  const given = element(parseJson(request.text), "clone-volumes");
  const { volumes, "target-volume-type-id": type } = given;
  const unknown = Object.keys(given).find((key) => !FIELDS.includes(key));
  if (unknown !== undefined) throw invalid(`Additional properties are not allowed ('${unknown}' was unexpected)`);
  if (!Array.isArray(volumes) || volumes.length === 0) throw invalid("'volumes' is a required property");
  const displayName = readText(given, "display-name");
  const description = readText(given, "description");
  for (const [index, id] of volumes.entries()) {
    const row = cinder.volumes.get(String(id));
    if (row === undefined || row.project_id !== projectId) throw volumeNotFound(String(id));
    if (volumes.indexOf(id) < index) throw invalid(`Invalid input received: volume ${row.id} is given twice`);
    // "volumes that are available or attached to a virtual machine"
    if (!["available", "in-use"].includes(row.status)) throw wrongStatus(row);
  }
  if (type !== undefined && !cinder.volumeTypes.has(String(type))) throw volumeTypeNotFound(type);
  const longestName = `${model.prefix}${displayName ?? ""}-${volumes.length}`;
  if (longestName.length > 255) throw invalid("Invalid input received: display-name has too many characters");
  return {
    displayName,
    description,
    volumes: volumes.map(String),
    volumeTypeId: type === undefined ? undefined : String(type),
  };
}

function readText(given: Record<string, unknown>, name: string): string | undefined {
  const value = given[name];
  if (value === undefined) return undefined;
  if (typeof value === "string" && value.length <= 255) return value;
  throw invalid(`Invalid input for field/attribute ${name}.`);
}
