// Cinder's list parameters: paging, sorting, filters (cinder/api/common.py, exchanges: 'limit 2' to 'limit twice').

import { parseDictLiteral } from "../core/pythonRepr";

export interface ListedRow {
  readonly id: string;
  readonly created_at: string;
}

/** What differs between the lists. */
export interface ListKind<Row extends ListedRow> {
  /** As it is in the URL and in the body. */
  readonly collection: string;
  /** Rows that this caller may see, filtered by project already. */
  readonly rows: readonly Row[];
  /** Filters that a member may use from 3.31 on (/etc/cinder/resource_filters.json). */
  readonly memberFilters: readonly string[];
  /** Value of a database column; undefined if there is no such column. */
  column(row: Row, name: string): unknown;
  /** Columns that can be sorted by. */
  readonly sortable: readonly string[];
  /** 3.x from which the metadata filter counts. */
  readonly metadataFilterSince: number;
  readonly notFound: (id: string) => Error;
}

export interface ListContext {
  readonly isAdmin: boolean;
  /** 3.x as the number x. */
  readonly minor: number;
  readonly invalid: (message: string) => Error;
}

export interface ListPage<Row> {
  readonly rows: readonly Row[];
  /** Query of the next page when this one is full. */
  readonly next: string | undefined;
  /** Number of all that match, when with_count asks for it. */
  readonly count: number | undefined;
}

const MAX_LIMIT = 1000; // osapi_max_limit (docs/wire/openstack.md#a6)

export function listPage<Row extends ListedRow>(
  query: URLSearchParams,
  kind: ListKind<Row>,
  context: ListContext,
): ListPage<Row> {
  const params = new Params(query);
  const order = readSort(params, context);
  const { limit, marker, offset } = readPaging(params, context);
  const withCount = readWithCount(params, context);
  params.take("all_tenants");
  const keep = readFilters(params, kind, context);
  const compare = comparison(order, kind, context);

  const matching = kind.rows.filter(keep).sort(compare);
  const from = marker === undefined ? 0 : matching.findIndex((row) => row.id === marker) + 1;
  // A marker that isn't there at all is a 404 (exchanges: 'marker unknown').
  if (marker !== undefined && !kind.rows.some((row) => row.id === marker)) throw kind.notFound(marker);
  const rows = matching.slice(from + offset, from + offset + limit);
  const last = rows.at(-1);
  // A full page has a link, also when nothing follows (docs/wire/openstack.md#a6).
  const next = last === undefined || rows.length < limit ? undefined : nextQuery(query, last.id);
  return { rows, next, count: withCount ? matching.length : undefined };
}

/** Query parameters with duplicates: taking one leaves the others behind (exchanges: 'limit twice'). */
class Params {
  private readonly pairs: [string, string][];

  constructor(query: URLSearchParams) {
    this.pairs = [...query];
  }

  has(name: string): boolean {
    return this.pairs.some(([key]) => key === name);
  }

  take(name: string): string | undefined {
    const index = this.pairs.findIndex(([key]) => key === name);
    return index < 0 ? undefined : this.pairs.splice(index, 1)[0]?.[1];
  }

  rest(): readonly [string, string][] {
    return this.pairs;
  }
}

interface Order {
  readonly key: string;
  readonly descending: boolean;
  readonly direction: string;
}

function readSort(params: Params, context: ListContext): readonly Order[] {
  const legacy = params.has("sort_key") || params.has("sort_dir");
  const sort = params.take("sort");
  if (sort !== undefined && legacy)
    throw context.invalid(
      "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.",
    );
  const pairs =
    sort === undefined
      ? [[params.take("sort_key") ?? "created_at", params.take("sort_dir") ?? "desc"]]
      : sort.split(",").map((item) => item.split(":"));
  return pairs.map(([key = "", direction]) => {
    const word = (direction?.trim() ?? "") || "desc";
    return { key: key.trim(), descending: word === "desc", direction: word };
  });
}

function readPaging(
  params: Params,
  context: ListContext,
): { limit: number; marker: string | undefined; offset: number } {
  const limit = params.take("limit") ?? String(MAX_LIMIT);
  if (!/^\s*[+-]?\d+\s*$/.test(limit)) throw context.invalid("limit param must be an integer");
  if (Number(limit) < 0) throw context.invalid("limit param must be positive");
  const marker = params.take("marker");
  const offset = params.take("offset") ?? "0";
  if (!/^\s*[+-]?\d+\s*$/.test(offset)) throw context.invalid("offset must be an integer");
  if (Number(offset) < 0) throw context.invalid("offset must be >= 0");
  return { limit: Math.min(Number(limit), MAX_LIMIT), marker, offset: Number(offset) };
}

function readWithCount(params: Params, context: ListContext): boolean {
  // Before 3.45 it is taken for a filter (exchanges: 'with_count too old').
  if (context.minor < 45 || !params.has("with_count")) return false;
  const value = params.take("with_count") ?? "";
  const word = value.trim().toLowerCase();
  if (["1", "t", "true", "on", "y", "yes"].includes(word)) return true;
  if (["0", "f", "false", "off", "n", "no"].includes(word)) return false;
  throw context.invalid(`Value '${value}' for 'with_count' is not a boolean.`);
}

function readFilters<Row extends ListedRow>(
  params: Params,
  kind: ListKind<Row>,
  context: ListContext,
): (row: Row) => boolean {
  const { minor, isAdmin } = context;
  // Below 3.22 the metadata filter of snapshots is dropped in silence and every row comes back
  // (docs/wire/openstack.md#metadata-as-record; cinder/api/v3/snapshots.py _process_snapshot_filtering).
  let filters = params.rest().filter(([key]) => key !== "metadata" || minor >= kind.metadataFilterSince);
  const foreign = filters.filter(([key]) => !kind.memberFilters.includes(key));
  if (!isAdmin && minor >= 31 && foreign.length > 0)
    throw context.invalid(`Invalid filters ${foreign.map(([key]) => key).join(",")} are found in query options.`);
  if (!isAdmin) filters = filters.filter(([key]) => kind.memberFilters.includes(key));
  return (row) => filters.every(([key, value]) => passes(row, key, value, kind));
}

function passes<Row extends ListedRow>(row: Row, key: string, value: string, kind: ListKind<Row>): boolean {
  if (key === "metadata") return hasMetadata(kind.column(row, "metadata"), value);
  const like = key.endsWith("~");
  const column = kind.column(row, like ? key.slice(0, -1) : key);
  // No such column: nothing is found (exchanges: 'bogus filter admin 3.66').
  if (column === undefined || column === null) return false;
  if (typeof column === "boolean") return column === ["1", "t", "true", "on", "y", "yes"].includes(value.toLowerCase());
  return like ? String(column).toLowerCase().includes(value.toLowerCase()) : String(column) === value;
}

/** All the pairs must be there. What is no dict literal matches nothing. */
function hasMetadata(metadata: unknown, literal: string): boolean {
  const wanted = parseDictLiteral(literal);
  if (wanted === undefined) return false;
  const present = new Map(Object.entries(metadata ?? {}));
  return Object.entries(wanted).every(([key, value]) => present.get(key) === value);
}

function comparison<Row extends ListedRow>(
  order: readonly Order[],
  kind: ListKind<Row>,
  context: ListContext,
): (a: Row, b: Row) => number {
  for (const { key } of order)
    if (!kind.sortable.includes(key)) throw context.invalid("Invalid input received: Invalid sort key");
  for (const { direction } of order)
    if (!["asc", "desc"].includes(direction))
      throw context.invalid("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.");
  // created_at and id are added in the direction of the first key (cinder/db/sqlalchemy/api.py process_sort_params;
  // exchanges: 'sort name asc').
  const descending = order[0]?.descending ?? true;
  const keys = [...order, { key: "created_at", descending }, { key: "id", descending }];
  return (a, b) => {
    for (const { key, descending: down } of keys) {
      const result = compareValues(kind.column(a, key), kind.column(b, key));
      if (result !== 0) return down ? -result : result;
    }
    return 0;
  };
}

/** null comes first in ascending order (exchanges: 'sort name asc'). */
function compareValues(a: unknown, b: unknown): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a) < String(b) ? -1 : 1;
}

function nextQuery(query: URLSearchParams, marker: string): string {
  const params = new URLSearchParams(query);
  params.set("marker", marker);
  return params.toString();
}
