// What Toy does with a request that it has authenticated.

import { type EmulatorRequest, isObject, json, type Reply } from "../core/http";
import { copyNotFound, ToyError } from "./errors";
import type { ToyCopyRow, ToyModel } from "./model";
import { copyView } from "./views";

export interface Context {
  readonly model: ToyModel;
  readonly request: EmulatorRequest;
  readonly params: Readonly<Record<string, string>>;
}

/** Accepted, with nothing to say. */
const EMPTY: Reply = { status: 202, headers: {}, body: "" };

export function listCopies({ model, request }: Context): Reply {
  const [key = "", value] = (request.query.get("label") ?? "").split("=");
  const rows = [...model.copies.values()].filter(({ labels }) => key === "" || labels[key] === value);
  return json(200, { copies: rows.map(copyView) });
}

export function showCopy(context: Context): Reply {
  return json(200, { copy: copyView(find(context)) });
}

export function createCopy({ model, request }: Context): Reply {
  const { source, name, labels } = copyIn(request);
  if (typeof source !== "string" || !model.volumes.has(source)) {
    throw new ToyError(404, "VolumeNotFound", `volume ${String(source)} could not be found`);
  }
  const row = model.startCreate(source, typeof name === "string" ? name : "", labelsOf(labels));
  return json(202, { copy: copyView(row) });
}

export function renameCopy(context: Context): Reply {
  const row = find(context);
  const { name } = copyIn(context.request);
  if (typeof name !== "string") throw new ToyError(400, "BadRequest", "the copy has no name");
  row.name = name;
  return json(200, { copy: copyView(row) });
}

export function labelCopy(context: Context): Reply {
  const row = find(context);
  Object.assign(row.labels, labelsOf(bodyOf(context.request).labels));
  return EMPTY;
}

export function deleteCopy(context: Context): Reply {
  const row = find(context);
  if (row.status === "creating") throw new ToyError(409, "CopyBusy", `copy ${row.id} is being created`);
  context.model.startDelete(row);
  return EMPTY;
}

function find({ model, params }: Context): ToyCopyRow {
  const row = model.copies.get(params.id ?? "");
  if (row === undefined) throw copyNotFound(params.id ?? "");
  return row;
}

function copyIn(request: EmulatorRequest): Record<string, unknown> {
  const { copy } = bodyOf(request);
  if (!isObject(copy)) throw new ToyError(400, "BadRequest", "the body has no copy");
  return copy;
}

function bodyOf(request: EmulatorRequest): Record<string, unknown> {
  const body: unknown = request.text === "" ? undefined : JSON.parse(request.text);
  if (!isObject(body)) throw new ToyError(400, "BadRequest", "the body is not an object");
  return body;
}

function labelsOf(labels: unknown): Record<string, string> {
  if (!isObject(labels)) return {};
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)]));
}
