// Images: list, show, download (glance/api/v2/images.py, image_data.py). Nothing here makes or changes an image.

import { type EmulatorRequest, json, type Reply } from "../core/http";
import type { Identity } from "../keystone/model";
import { HttpError } from "../openstack/wsgi";
import { type GlanceModel, hashesOf, type ImageRow, VISIBILITIES } from "./model";
import { imagesView, imageView } from "./views";

export interface GlanceContext {
  readonly model: GlanceModel;
  readonly request: EmulatorRequest;
  readonly identity: Identity;
  readonly params: Readonly<Record<string, string>>;
}

/** limit_param_default, api_limit_max */
const DEFAULT_LIMIT = 25;
const MAX_LIMIT = 1000;
/** Fields that a filter compares as they are. Any other name is a property. */
const FIELDS = [
  "id",
  "name",
  "status",
  "disk_format",
  "container_format",
  "owner",
  "checksum",
  "os_hash_value",
] as const;
const MEMBER_STATUSES = ["pending", "accepted", "rejected", "all"];
const NUMBERS = ["size_min", "size_max", "min_disk", "min_ram"] as const;

export function list({ model, identity, request: { query } }: GlanceContext): Reply {
  const matching = model.visibleTo(identity).filter(filterOf(query, identity)).sort(comparison(query));
  const limit = readLimit(query.get("limit"));
  const marker = query.get("marker");
  const from = marker === null ? 0 : matching.findIndex(({ id }) => id === marker) + 1;
  if (marker !== null && from === 0) throw new HttpError(400, `No image found with ID ${marker}`);
  const rows = matching.slice(from, from + limit);
  // A full page has a link even when nothing follows.
  const last = rows.length > 0 && rows.length === limit ? rows.at(-1)?.id : undefined;
  return json(200, imagesView(rows, query, last));
}

export function show(context: GlanceContext): Reply {
  return json(200, imageView(findImage(context)));
}

/** A location without data is a 204 (glance/api/v2/image_data.py ResponseSerializer.download). */
export function download(context: GlanceContext): Reply {
  const row = findImage(context);
  if (row.status === "deactivated" && !context.identity.isAdmin)
    throw new HttpError(403, "The requested image has been deactivated. Image data download is forbidden.");
  const { checksum } = hashesOf(row);
  if (row.content === undefined) return { status: 204, headers: {}, body: "" };
  return {
    status: 200,
    headers: { "Content-Type": "application/octet-stream", "Content-MD5": checksum ?? "" },
    body: row.content.toString("utf8"),
  };
}

function findImage({ model, identity, params }: GlanceContext): ImageRow {
  const row = model.visibleTo(identity).find(({ id }) => id === params.id);
  if (row === undefined) throw new HttpError(404, `No image found with ID ${params.id}`);
  return row;
}

function filterOf(query: URLSearchParams, identity: Identity): (row: ImageRow) => boolean {
  const visibility = query.get("visibility");
  if (visibility !== null && visibility !== "all" && !VISIBILITIES.some((one) => one === visibility))
    throw new HttpError(400, `Invalid visibility value: ${visibility}`);
  if (query.has("changes-since")) throw new HttpError(400, 'The "changes-since" filter is no longer available on v2.');
  const memberStatus = query.get("member_status") ?? "accepted";
  if (!MEMBER_STATUSES.includes(memberStatus)) throw new HttpError(400, `Invalid status: ${memberStatus}`);
  if (["size_min", "size_max"].some((name) => query.has(name) && !/^-?\d+$/.test(query.get(name) ?? "")))
    throw new HttpError(400, "Unable to filter on a range with a non-numeric value.");
  const isHidden = readFlag(query, "os_hidden") ?? false;
  const isProtected = readFlag(query, "protected");
  const tags = query.getAll("tag");
  const owned = ["limit", "marker", "sort", "sort_key", "sort_dir", "member_status", "visibility", "os_hidden", "tag"];
  const others = [...query].filter(([name]) => !owned.includes(name) && name !== "protected");
  return (row) => {
    // Without a filter, a list has no community image but one's own.
    if (visibility === null && row.visibility === "community" && row.owner !== identity.projectId) return false;
    if (visibility !== null && visibility !== "all" && row.visibility !== visibility) return false;
    if (row.os_hidden !== isHidden || (isProtected !== undefined && row.protected !== isProtected)) return false;
    return tags.every((tag) => row.tags.includes(tag)) && others.every(([name, value]) => matches(row, name, value));
  };
}

/** `in:a,b` is a list of values (glance/common/utils.py split_filter_value_for_quotes). */
function matches(row: ImageRow, name: string, value: string): boolean {
  const number = NUMBERS.find((one) => one === name);
  if (number === "size_min") return row.size !== null && row.size >= Number(value);
  if (number === "size_max") return row.size !== null && row.size <= Number(value);
  if (number !== undefined) return row[number] === Number(value);
  const field = FIELDS.find((one) => one === name);
  const { checksum, sha512 } = hashesOf(row);
  const own = { ...row, checksum, os_hash_value: sha512 };
  const present = field === undefined ? row.properties[name] : own[field];
  const wanted = value.startsWith("in:") ? value.slice(3).split(",") : [value];
  return wanted.includes(String(present));
}

function readFlag(query: URLSearchParams, name: string): boolean | undefined {
  const value = query.get(name);
  if (value === null) return undefined;
  const word = name === "os_hidden" ? value.toLowerCase() : value;
  if (word !== "true" && word !== "false")
    throw new HttpError(400, `Invalid value '${word}' for '${name}' filter. Valid values are 'true' or 'false'.`);
  return word === "true";
}

function readLimit(text: string | null): number {
  if (text === null) return DEFAULT_LIMIT;
  if (!/^[+-]?\d+$/.test(text)) throw new HttpError(400, "limit param must be an integer");
  if (Number(text) < 0) throw new HttpError(400, "limit param must be positive");
  return Math.min(Number(text), MAX_LIMIT);
}

/** `sort=name:asc,size` or `sort_key=name&sort_dir=asc`; the newest first by default. */
function comparison(query: URLSearchParams): (a: ImageRow, b: ImageRow) => number {
  const sort = query.get("sort");
  const keys = query.getAll("sort_key");
  const dirs = query.getAll("sort_dir");
  if (sort !== null && keys.length + dirs.length > 0)
    throw new HttpError(400, "Old and new sorting syntax cannot be combined");
  const order =
    sort === null
      ? (keys.length > 0 ? keys : ["created_at"]).map((key, at) => [key, dirs[at] ?? dirs[0] ?? "desc"] as const)
      : sort.split(",").map((one) => {
          const [key = "", dir = "desc"] = one.split(":").map((part) => part.trim());
          return [key, dir] as const;
        });
  for (const [key, dir] of order) {
    if (!SORTABLE.includes(key))
      throw new HttpError(400, `Invalid sort key: ${key}. It must be one of the following: ${SORTABLE.join(", ")}.`);
    if (dir !== "asc" && dir !== "desc") throw new HttpError(400, `Invalid sort direction: ${dir}`);
  }
  return (a, b) => {
    for (const [key, dir] of order) {
      const difference = compare(columnOf(a, key), columnOf(b, key));
      if (difference !== 0) return dir === "asc" ? difference : -difference;
    }
    return a.id < b.id ? 1 : -1;
  };
}

/** glance/api/v2/images.py RequestDeserializer._available_sort_keys, in its order. */
const SORTABLE = ["name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"];

function columnOf(row: ImageRow, key: string): string | number {
  const value = Object.entries(row).find(([column]) => column === key)?.[1];
  return typeof value === "number" ? value : String(value ?? "");
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
