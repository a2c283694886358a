// Metadata of snapshots and of volumes: the same six calls (docs/wire/openstack.md#a7). In Zed, those of snapshots have
// no schema, those of volumes have one.

import { json, type Reply } from "../../core/http";
import type { Schema } from "../../openstack/jsonSchema";
import { element, HttpError, type RouteRow } from "../../openstack/wsgi";
import { type CinderContext, type CinderHandler, findSnapshot, findVolume, requireBody, validated } from "../context";
import { invalid } from "../errors";
import type { SnapshotRow, VolumeRow } from "../model";
import { VOLUME_METADATA_KEY, VOLUME_METADATA_WRITE } from "../schemas";
import { strings } from "../values";

type Metadata = Record<string, unknown>;
type Row = SnapshotRow | VolumeRow;

/** What differs between snapshots and volumes. */
interface MetadataOwner {
  readonly noun: "Snapshot" | "Volume";
  find(context: CinderContext): Row;
  /** Finds the row, and throws if its metadata may not be changed now. */
  findForChange(context: CinderContext, change: "Updating" | "Deleting"): Row;
  readonly schemas?: { readonly metadata: Schema; readonly meta: Schema };
}

export const SNAPSHOT_METADATA: MetadataOwner = {
  noun: "Snapshot",
  find: (context) => findSnapshot(context),
  findForChange: (context) => findSnapshot(context),
};

export const VOLUME_METADATA: MetadataOwner = {
  noun: "Volume",
  find: (context) => findVolume(context),
  // cinder/volume/api.py update_volume_metadata, delete_volume_metadata
  findForChange: (context, change) => {
    const row = findVolume(context);
    if (["maintenance", "uploading"].includes(row.status))
      throw invalid(`Invalid volume: ${change} volume metadata is not allowed for volumes in ${row.status} status.`);
    return row;
  },
  schemas: { metadata: VOLUME_METADATA_WRITE, meta: VOLUME_METADATA_KEY },
};

export function metadataRoutes(collection: "snapshots" | "volumes", owner: MetadataOwner): RouteRow<CinderHandler>[] {
  const all = `/${collection}/{id}/metadata`;
  const one = `${all}/{key}`;
  return [
    [`${collection}.metadata.list`, "GET", all, (context) => json(200, { metadata: owner.find(context).metadata })],
    [`${collection}.metadata.merge`, "POST", all, (context) => write(context, owner, "merge")],
    [`${collection}.metadata.replace`, "PUT", all, (context) => write(context, owner, "replace")],
    [`${collection}.metadata.get`, "GET", one, (context) => showKey(context, owner)],
    [`${collection}.metadata.set`, "PUT", one, (context) => setKey(context, owner)],
    [`${collection}.metadata.delete`, "DELETE", one, (context) => deleteKey(context, owner)],
  ];
}

function write(context: CinderContext, owner: MetadataOwner, how: "merge" | "replace"): Reply {
  const given = bodyOf(context, owner, "metadata");
  const row = owner.findForChange(context, "Updating");
  return json(200, { metadata: store(context, row, how === "merge" ? { ...row.metadata, ...given } : given) });
}

function showKey(context: CinderContext, owner: MetadataOwner): Reply {
  const { key, value } = existingItem(context, owner, owner.find(context));
  return json(200, { meta: { [key]: value } });
}

function setKey(context: CinderContext, owner: MetadataOwner): Reply {
  const given = bodyOf(context, owner, "meta");
  const key = context.params.key ?? "";
  // exchanges: 'metadata key mismatch', 'metadata too many'
  if (!(key in given)) throw invalid("Request body and URI mismatch");
  if (Object.keys(given).length > 1) throw invalid("Request body contains too many items");
  const row = owner.findForChange(context, "Updating");
  return json(200, { meta: { [key]: store(context, row, { ...row.metadata, ...given })[key] } });
}

function deleteKey(context: CinderContext, owner: MetadataOwner): Reply {
  const row = owner.findForChange(context, "Deleting");
  const { key } = existingItem(context, owner, row);
  const { [key]: _, ...rest } = row.metadata;
  row.metadata = rest;
  row.updated_at = context.model.stamp();
  // 200 with an empty page, not 204 (exchanges: 'metadata delete key')
  return { status: 200, headers: { "Content-Type": "text/html; charset=UTF-8" }, body: "" };
}

function bodyOf(context: CinderContext, { schemas }: MetadataOwner, name: "metadata" | "meta"): Metadata {
  return schemas === undefined ? element(requireBody(context), name) : validated(schemas[name], context, name);
}

function existingItem({ params }: CinderContext, { noun }: MetadataOwner, row: Row): { key: string; value: string } {
  const key = params.key ?? "";
  const value = Object.hasOwn(row.metadata, key) ? row.metadata[key] : undefined;
  if (value === undefined) throw new HttpError(404, `${noun} ${row.id} has no metadata with key ${key}.`);
  return { key, value };
}

function store({ model }: CinderContext, row: Row, metadata: Metadata): Record<string, string> {
  row.metadata = checked(metadata);
  row.updated_at = model.stamp();
  return row.metadata;
}

/** cinder/utils.py check_metadata_properties */
function checked(given: Metadata): Record<string, string> {
  for (const [key, value] of Object.entries(given)) {
    if (key.length < 1)
      throw invalid(`Invalid metadata: Invalid input received: Metadata key: ${key} has 0 characters, less than 1.`);
    if (typeof value !== "string")
      throw invalid(
        `Invalid metadata: Invalid input received: Value for metadata key: ${key} is not a string or unicode`,
      );
    if ([...key].length > 255) throw tooLong(key);
    if ([...value].length > 255) throw tooLong(`${key} value`);
  }
  return strings(given);
}

/** 413 without Retry-After (exchanges: 'metadata value 256', 'metadata key 256'). */
function tooLong(what: string): HttpError {
  return new HttpError(413, `Invalid metadata size: Metadata property key ${what} greater than 255 characters.`);
}
