// What a handler of Cinder is given, and how it finds the rows that its caller may see.

import { type EmulatorRequest, header, json, type Reply } from "../core/http";
import type { GlanceModel } from "../glance/model";
import type { Identity } from "../keystone/model";
import type { Schema } from "../openstack/jsonSchema";
import { HttpError, parseJson, validated as validatedBody } from "../openstack/wsgi";
import { snapshotNotFound, volumeNotFound } from "./errors";
import { type ListedRow, type ListKind, listPage } from "./lists";
import type { CinderModel, SnapshotRow, VolumeRow } from "./model";
import { readBooleanParam } from "./values";

export interface CinderContext {
  readonly model: CinderModel;
  readonly glance: GlanceModel;
  readonly request: EmulatorRequest;
  readonly identity: Identity;
  readonly projectId: string;
  /** 3.x as the number x. */
  readonly minor: number;
  readonly params: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly requestId: string;
  /** `http://host/volume/v3/<project id>`, the beginning of all links. */
  readonly base: string;
  /** Filters that a member may use on snapshots from 3.31 on. */
  readonly snapshotFilters: readonly string[];
}

export type CinderHandler = (context: CinderContext) => Reply;

/** A body without Content-Type counts as no body: undefined. */
export function readBody(request: EmulatorRequest): unknown {
  const type = header(request, "Content-Type")?.split(";")[0]?.trim();
  if (request.text === "" || type === undefined) return undefined;
  if (!["application/json", "application/vnd.openstack.volume+json"].includes(type))
    throw new HttpError(415, "Unsupported Content-Type");
  return parseJson(request.text);
}

export function requireBody({ body }: CinderContext): unknown {
  // Python calls the method without its argument (exchanges: 'no body').
  if (body === undefined)
    throw new HttpError(500, "The server has either erred or is incapable of performing the requested operation.");
  return body;
}

export function validated(schema: Schema, context: CinderContext, name: string): Record<string, unknown> {
  return validatedBody(schema, requireBody(context), name);
}

export function findSnapshot(context: CinderContext, id: unknown = context.params.id): SnapshotRow {
  const row = context.model.snapshots.get(String(id));
  if (row === undefined || !isVisible(row, context)) throw snapshotNotFound(id);
  return row;
}

export function findVolume(context: CinderContext, id: unknown = context.params.id): VolumeRow {
  // The id is compared as it is written: upper case finds nothing (exchanges: 'volume_id uppercase').
  const row = context.model.volumes.get(String(id));
  if (row === undefined || !isVisible(row, context)) throw volumeNotFound(id);
  return row;
}

/**
 * An administrator sees the rows of all projects. To a member, another project's row is as absent as one that never was
 * (exchanges: 'show from other project').
 */
export function isVisible(row: { project_id: string }, { identity, projectId }: CinderContext): boolean {
  return identity.isAdmin || row.project_id === projectId;
}

/** Even an administrator's list is of one project, unless it asks for all_tenants (docs/wire/openstack.md#a6). */
export function listedRows<Row extends { project_id: string }>(
  rows: ReadonlyMap<string, Row>,
  { identity, request, projectId }: CinderContext,
  everywhere = (query: URLSearchParams) => readBooleanParam(query, "all_tenants"),
): Row[] {
  const all = identity.isAdmin && everywhere(request.query);
  return [...rows.values()].filter((row) => all || row.project_id === projectId);
}

export function listReply<Row extends ListedRow>(
  context: CinderContext,
  kind: ListKind<Row>,
  view: (row: Row) => unknown,
  query: URLSearchParams = context.request.query,
): Reply {
  const name = kind.collection.split("/")[0] ?? "";
  const keys = kind.keys ?? { rows: name, links: `${name}_links` };
  const { rows, next, count } = listPage(query, kind, context);
  const href = `${context.base}/${kind.collection}?${next}`;
  return json(200, {
    [keys.rows]: rows.map(view),
    ...(next === undefined ? {} : { [keys.links]: [{ rel: "next", href }] }),
    ...(count === undefined ? {} : { count }),
  });
}

export function accepted(): Reply {
  return { status: 202, headers: { "Content-Type": "text/html; charset=UTF-8" }, body: "" };
}

/** Some actions announce JSON and send nothing (exchanges: 'reset by admin'). */
export function acceptedJson(status = 202): Reply {
  return { status, headers: { "Content-Type": "application/json" }, body: "" };
}
