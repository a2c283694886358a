// The lists of servers: filters, order, pages (nova/api/openstack/compute/servers.py:116-347, docs/wire/openstack.md#servers).

import type { VolumeRow } from "../cinder/model";
import { json, type Reply } from "../core/http";
import { HttpError, requireAdmin } from "../openstack/wsgi";
import type { NovaContext } from "./context";
import { invalid } from "./errors";
import type { ServerRow } from "./model";
import { checkQuery, expression, type QueryKind, readCount, readFlag, readTime } from "./query";
import { statesOf } from "./states";
import { columnsOf, linksOf, serverView } from "./views";

/** A server is shown by its volumes, and belongs to their project. */
export interface AttachedServer {
  readonly server: ServerRow;
  readonly volumes: readonly VolumeRow[];
}

/** `[api]max_limit` */
const MAX_LIMIT = 1000;

type How = "regex" | "exact" | "time";

interface Filter {
  readonly column: string;
  readonly how: How;
  /** The microversion 2.x from which a member may use the filter; none: never. */
  readonly memberSince?: number;
}

/** nova/api/openstack/compute/servers.py:1382-1406, nova/db/main/api.py instance_get_all_by_filters_sort */
const FILTERS: Readonly<Record<string, Filter>> = {
  reservation_id: { column: "reservation_id", how: "regex", memberSince: 1 },
  name: { column: "display_name", how: "regex", memberSince: 1 },
  image: { column: "image_ref", how: "exact", memberSince: 1 },
  flavor: { column: "flavor", how: "exact", memberSince: 1 },
  ip: { column: "ip", how: "regex", memberSince: 1 },
  "changes-since": { column: "updated_at", how: "time", memberSince: 1 },
  ip6: { column: "ip6", how: "regex", memberSince: 5 },
  "changes-before": { column: "updated_at", how: "time", memberSince: 66 },
  ...Object.fromEntries(
    ["availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at", "power_state"].map(
      (column) => [column, { column, how: "regex", memberSince: 83 } as const],
    ),
  ),
  progress: { column: "progress", how: "regex", memberSince: 83 },
  task_state: { column: "task_state", how: "exact", memberSince: 83 },
  vm_state: { column: "vm_state", how: "exact", memberSince: 83 },
  user_id: { column: "user_id", how: "exact", memberSince: 83 },
  hostname: { column: "hostname", how: "regex", memberSince: 90 },
  ...Object.fromEntries(["host", "uuid", "image_ref"].map((column) => [column, { column, how: "exact" } as const])),
  ...Object.fromEntries(
    ["node", "launch_index", "kernel_id", "ramdisk_id", "display_name", "root_device_name", "access_ip_v4"].map(
      (column) => [column, { column, how: "regex" } as const],
    ),
  ),
  ...Object.fromEntries(
    ["access_ip_v6", "auto_disk_config", "locked_by"].map((column) => [column, { column, how: "regex" } as const]),
  ),
  description: { column: "display_description", how: "regex" },
  display_description: { column: "display_description", how: "regex" },
};

/** Filters by a joined table are an error, where they are not dropped (schemas/servers.py:523-531). */
const JOINED = [
  "block_device_mapping",
  "services",
  "metadata",
  "system_metadata",
  "info_cache",
  "security_groups",
  "pci_devices",
];

/** schemas/servers.py:537-560: the last row is ignored, and refused from 2.75 on. */
const SORT_KEYS = [
  ..."access_ip_v4 access_ip_v6 auto_disk_config availability_zone config_drive created_at display_description".split(
    " ",
  ),
  ..."display_name host hostname image_ref instance_type_id kernel_id key_name launch_index launched_at locked_by".split(
    " ",
  ),
  ..."node power_state progress project_id ramdisk_id root_device_name task_state terminated_at updated_at".split(" "),
  ..."user_id uuid vm_state".split(" "),
];
const IGNORED_SORT_KEYS = [
  ..."architecture cell_name cleaned default_ephemeral_device default_swap_device deleted deleted_at".split(" "),
  ..."disable_terminate ephemeral_gb ephemeral_key_uuid id key_data launched_on locked memory_mb os_type".split(" "),
  ..."reservation_id root_gb shutdown_terminate user_data vcpus vm_mode".split(" "),
];

export function listServers(context: NovaContext, detail: boolean): Reply {
  const { identity, request, base, minor } = context;
  const { query } = request;
  checkQuery(query, minor, kindsAt(minor), (name) => `'${name}' does not match any of the regexes: '^_'`);
  const filters = usedFilters(context);
  const statuses = statusTest(context);
  if (statuses === undefined) return json(200, { servers: [] });
  const everywhere = asksForAll(context, detail);
  const { limit, marker } = readPage(query);
  const compare = readOrder(context);
  const own = attachedServers(context).filter(({ volumes }) => everywhere || projectOf(volumes) === identity.projectId);
  if (marker !== undefined && !own.some(({ server }) => server.id === marker))
    throw invalid(`marker [${marker}] not found`);
  const matching = own
    .filter((row) => statuses(row.server) && filters.every((test) => test(columnsOf(row))))
    .sort((a, b) => compare(columnsOf(a), columnsOf(b)));
  const start = marker === undefined ? 0 : matching.findIndex(({ server }) => server.id === marker) + 1;
  const page = matching.slice(start, start + limit);
  const servers = page.map((row) => (detail ? serverView(row, context, "detail") : summary(row, base)));
  // A page that is exactly full has a link, whatever follows (nova/api/openstack/common.py:416-446).
  const last = page.at(-1);
  if (last === undefined || page.length < limit) return json(200, { servers });
  const href = `${base}/v2.1/servers${detail ? "/detail" : ""}?${nextQuery(query, last.server.id)}`;
  return json(200, { servers, servers_links: [{ rel: "next", href }] });
}

/** All servers, the newest first. */
export function attachedServers({ cinder, model }: NovaContext): AttachedServer[] {
  const volumes = [...cinder.volumes.values()];
  const ids = new Set(volumes.flatMap(({ attachments }) => attachments.map(({ server_id }) => server_id)));
  return [...ids].reverse().flatMap((id) => {
    const attached = volumes.filter(({ attachments }) => attachments.some(({ server_id }) => server_id === id));
    const server = attached[0] && model.serverOf(attached[0].id, id);
    return server === undefined ? [] : [{ server, volumes: attached }];
  });
}

export function projectOf(volumes: readonly VolumeRow[]): string {
  return volumes[0]?.project_id ?? "";
}

function summary({ server: { id, name } }: AttachedServer, base: string) {
  return { id, name, links: linksOf(base, "servers", id) };
}

function kindsAt(minor: number): Record<string, QueryKind> {
  const text = ["user_id", "project_id", "tenant_id", "image_ref", "image", "vm_state", "task_state", "host", "uuid"];
  const more = ["sort_dir", "all_tenants", "soft_deleted", "deleted", "status", "marker", "launch_index", ...JOINED];
  const expressions = Object.entries(FILTERS).filter(([name, { how }]) => how === "regex" && name !== "launch_index");
  const tags = ["tags", "tags-any", "not-tags", "not-tags-any"];
  const of = (names: readonly string[], kind: QueryKind) => Object.fromEntries(names.map((name) => [name, kind]));
  return {
    ...of([...text, ...more], "text"),
    ...of(
      expressions.map(([name]) => name),
      "regex",
    ),
    ...of(["flavor"], "regex"),
    sort_key: { oneOf: minor >= 75 ? SORT_KEYS : [...SORT_KEYS, ...IGNORED_SORT_KEYS] },
    "changes-since": "time",
    limit: "count",
    ...(minor >= 26 ? of(tags, "regex") : {}),
    ...(minor >= 66 ? of(["changes-before"], "time") : {}),
    ...(minor >= 73 ? of(["locked"], "text") : {}),
  };
}

type Columns = Readonly<Record<string, unknown>>;

function usedFilters({ request: { query }, identity, minor }: NovaContext): ((columns: Columns) => boolean)[] {
  const refused = [...query.keys()].find((name) => JOINED.includes(name) || name.startsWith("_"));
  // A member's are dropped before anybody looks at them.
  if (identity.isAdmin && refused !== undefined) throw invalid(`Invalid filter field: ${refused}.`);
  const tests = [...new Set(query.keys())].flatMap((name) => {
    const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    const value = query.getAll(name).at(-1) ?? "";
    const allowed = identity.isAdmin || (filter?.memberSince ?? Infinity) <= minor;
    return filter === undefined || !allowed ? [] : [filterTest(name, filter, value)];
  });
  // No server is locked, deleted or tagged.
  const locked = minor >= 73 && query.has("locked") && readFlag(query, "locked");
  const deleted =
    identity.isAdmin && query.has("deleted") && /^\s*(1|t|true|on|y|yes)\s*$/i.test(query.get("deleted") ?? "");
  const tagged = minor >= 26 && (query.has("tags") || query.has("tags-any"));
  return locked || deleted || tagged ? [() => false] : tests;
}

function filterTest(name: string, { column, how }: Filter, value: string): (columns: Columns) => boolean {
  const pattern = how === "regex" ? expression(value) : undefined;
  const time = how === "time" ? (readTime(value) ?? 0) : 0;
  return (columns) => {
    const actual = columns[column];
    if (actual === null || actual === undefined) return false;
    if (how === "time") {
      const at = Date.parse(`${String(actual)}Z`);
      return name === "changes-since" ? at >= time : at <= time;
    }
    return pattern === undefined ? String(actual) === value : pattern.test(String(actual));
  };
}

/** undefined: nothing can have such a status. */
function statusTest({ request, identity, minor }: NovaContext): ((server: ServerRow) => boolean) | undefined {
  const statuses = request.query.getAll("status");
  if (statuses.length === 0) return () => true;
  const { vm, task } = statesOf(statuses);
  if (vm.length === 0 && minor >= 38) throw invalid("Invalid status value");
  if (vm.length === 0) return undefined;
  if (vm.length === 1 && vm[0] === "deleted" && !identity.isAdmin)
    throw new HttpError(403, "Only administrators may list deleted instances");
  return ({ vm_state, task_state }) =>
    vm.includes(vm_state) && (task === undefined || (task_state !== null && task.includes(task_state)));
}

function asksForAll({ request, identity }: NovaContext, detail: boolean): boolean {
  if (!readFlag(request.query, "all_tenants")) return false;
  requireAdmin(identity, `os_compute_api:servers:${detail ? "detail" : "index"}:get_all_tenants`);
  return true;
}

function readPage(query: URLSearchParams): { limit: number; marker: string | undefined } {
  const limit = Math.min(readCount(query, "limit") ?? MAX_LIMIT, MAX_LIMIT);
  return { limit, marker: query.getAll("marker").at(-1) };
}

/** nova/api/openstack/common.py get_sort_params, servers.py remove_invalid_sort_keys: created_at comes last, as does the age. */
function readOrder({ request: { query }, identity, minor }: NovaContext): (a: Columns, b: Columns) => number {
  const directions = query.getAll("sort_dir").map((word) => word.trim());
  const ignored = minor >= 73 ? IGNORED_SORT_KEYS.filter((key) => key !== "locked") : IGNORED_SORT_KEYS;
  const given = query.getAll("sort_key").map((key, index) => ({ key: key.trim(), direction: directions[index] }));
  const keys = given.filter(({ key }) => !ignored.includes(key));
  const hidden = keys.find(({ key }) => ["host", "node"].includes(key));
  if (hidden !== undefined && !identity.isAdmin)
    throw new HttpError(403, `Only administrators can sort servers by ${hidden.key}`);
  if (directions.some((word) => !["asc", "desc"].includes(word)))
    throw invalid("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'");
  const order = [...keys, { key: "created_at", direction: keys[0]?.direction ?? directions[0] }];
  return (a, b) => {
    for (const { key, direction } of order) {
      const result = compareValues(a[key], b[key]);
      if (result !== 0) return direction === "asc" ? result : -result;
    }
    return 0;
  };
}

function compareValues(a: unknown, b: unknown): number {
  const [one, other] = [String(a ?? ""), String(b ?? "")];
  return one === other ? 0 : one < other ? -1 : 1;
}

/** Sorted by name; a marker keeps its place there (nova/api/openstack/common.py:388-396). */
function nextQuery(query: URLSearchParams, marker: string): string {
  const last = new Map([...query].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  last.set("marker", marker);
  return new URLSearchParams([...last]).toString();
}
