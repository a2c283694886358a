// Cinder's list parameters: paging, sorting, filters (cinder/api/common.py, exchanges: 'limit 2' to 'limit twice').

import { parseDictLiteral } from "../core/pythonRepr";
import { invalid } from "./errors";
import { isTrueWord, readBoolean } from "./values";

export interface ListedRow {
  readonly id: string;
  readonly created_at: string;
}

/** What differs from list to list. */
export interface ListKind<Row extends ListedRow> {
  /** The path of the list below the project. */
  readonly collection: string;
  /** The names in the answer, where they don't follow from the path. */
  readonly keys?: { readonly rows: string; readonly links: string };
  /** The rows that this caller may see. */
  readonly rows: readonly Row[];
  /** Filters that a member may use (/etc/cinder/resource_filters.json). */
  readonly memberFilters: readonly string[];
  /** The microversion 3.x from which a member's other filter is refused: 3.31 if there is none. */
  readonly filtersSince?: number;
  /** Columns that are compared as times: `gt:2026-11-28T00:00:00`. */
  readonly times?: readonly string[];
  /** A boolean column whose filter refuses other words, from that microversion on. */
  readonly booleanSince?: Readonly<Record<string, number>>;
  /** The value of a database column; undefined if there is no such column. */
  column(row: Row, name: string): unknown;
  /** Columns that can be sorted by. */
  readonly sortable: readonly string[];
  /** The microversion 3.x from which the metadata filter counts. */
  readonly metadataFilterSince: number;
  /** undefined: a list that ignores an unknown marker. */
  readonly notFound: ((id: string) => Error) | undefined;
}

/** What the meaning of the parameters depends on. */
export interface ListContext {
  readonly identity: { readonly isAdmin: boolean };
  /** 3.x as the number x. */
  readonly minor: number;
}

export interface ListPage<Row> {
  readonly rows: readonly Row[];
  /** The query of the next page when this one is full. */
  readonly next: string | undefined;
  /** The number of all rows that match, when with_count asks for it. */
  readonly count: number | undefined;
}

const MAX_LIMIT = 1000; // osapi_max_limit (docs/wire/openstack.md#a6)

export function listPage<Row extends ListedRow>(
  query: URLSearchParams,
  kind: ListKind<Row>,
  context: ListContext,
): ListPage<Row> {
  const params = new Params(query);
  const order = readSort(params);
  const { limit, marker, offset } = readPaging(params);
  const withCount = readWithCount(params, context);
  params.take("all_tenants");
  const keep = readFilters(params, kind, context);
  const compare = comparison(order, kind);

  const matching = kind.rows.filter(keep).sort(compare);
  const from = marker === undefined ? 0 : matching.findIndex((row) => row.id === marker) + 1;
  // The id of no row at all is a 404 (exchanges: 'marker unknown').
  if (marker !== undefined && kind.notFound !== undefined && !kind.rows.some((row) => row.id === marker))
    throw kind.notFound(marker);
  const rows = matching.slice(from + offset, from + offset + limit);
  const last = rows.at(-1);
  // A full page has a link even when nothing follows (docs/wire/openstack.md#a6).
  const next = last === undefined || rows.length < limit ? undefined : nextQuery(query, last.id);
  return { rows, next, count: withCount ? matching.length : undefined };
}

/** Query parameters with duplicates: `take` removes the first of them (exchanges: 'limit twice'). */
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

function readSort(params: Params): readonly Order[] {
  const legacy = params.has("sort_key") || params.has("sort_dir");
  const sort = params.take("sort");
  if (sort !== undefined && legacy)
    throw invalid(
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

function readPaging(params: Params): { limit: number; marker: string | undefined; offset: number } {
  const limit = params.take("limit") ?? String(MAX_LIMIT);
  if (!/^\s*[+-]?\d+\s*$/.test(limit)) throw invalid("limit param must be an integer");
  if (Number(limit) < 0) throw invalid("limit param must be positive");
  const marker = params.take("marker");
  const offset = params.take("offset") ?? "0";
  if (!/^\s*[+-]?\d+\s*$/.test(offset)) throw invalid("offset must be an integer");
  if (Number(offset) < 0) throw invalid("offset must be >= 0");
  return { limit: Math.min(Number(limit), MAX_LIMIT), marker, offset: Number(offset) };
}

function readWithCount(params: Params, { minor }: ListContext): boolean {
  // Before 3.45 with_count counts as a filter (exchanges: 'with_count too old').
  const value = minor < 45 ? undefined : params.take("with_count");
  if (value === undefined) return false;
  const wanted = readBoolean(value.trim());
  if (wanted === undefined) throw invalid(`Value '${value}' for 'with_count' is not a boolean.`);
  return wanted;
}

function readFilters<Row extends ListedRow>(
  params: Params,
  kind: ListKind<Row>,
  context: ListContext,
): (row: Row) => boolean {
  const { minor, identity } = context;
  // Below 3.22 Cinder ignores the metadata filter of snapshots and lists every row
  // (docs/wire/openstack.md#metadata-as-record; cinder/api/v3/snapshots.py _process_snapshot_filtering).
  let filters = params.rest().filter(([key]) => key !== "metadata" || minor >= kind.metadataFilterSince);
  const foreign = filters.filter(([key]) => !kind.memberFilters.includes(key));
  if (!identity.isAdmin && minor >= (kind.filtersSince ?? 31) && foreign.length > 0)
    throw invalid(`Invalid filters ${foreign.map(([key]) => key).join(",")} are found in query options.`);
  if (!identity.isAdmin) filters = filters.filter(([key]) => kind.memberFilters.includes(key));
  // cinder/api/v3/volumes.py:102-111 drops these before 3.31, and not from there on, whatever 3.60 says of them.
  const times = minor >= 31 ? (kind.times ?? []) : [];
  filters = filters.filter(([key]) => times.includes(key) || kind.times?.includes(key) !== true);
  checkBooleans(filters, kind, minor);
  const tests = filters.map(([key, value]) =>
    times.includes(key) ? timeTest(key, value, kind) : (row: Row) => passes(row, key, value, kind),
  );
  return (row) => tests.every((test) => test(row));
}

function checkBooleans<Row extends ListedRow>(
  filters: readonly (readonly [string, string])[],
  { booleanSince = {} }: ListKind<Row>,
  minor: number,
): void {
  for (const [key, value] of filters) {
    if (readBoolean(value) !== undefined) continue;
    // The filter has the name of the column by then.
    if (key === "consumes_quota") throw invalid(`Value '${value}' for 'use_quota' is not a boolean.`);
    if (minor >= (booleanSince[key] ?? Infinity)) throw invalid(`Invalid input received: '${key} = ${value}'`);
  }
}

const COMPARISONS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  gt: (a, b) => a > b,
  gte: (a, b) => a >= b,
  eq: (a, b) => a === b,
  neq: (a, b) => a !== b,
  lt: (a, b) => a < b,
  lte: (a, b) => a <= b,
};

/** Any of the comparisons suffices (cinder/db/sqlalchemy/api.py _filter_time_comparison), and none holds for null. */
function timeTest<Row extends ListedRow>(key: string, value: string, kind: ListKind<Row>): (row: Row) => boolean {
  const wanted = value.split(",").map((unit) => {
    const [operator = "", ...rest] = unit.split(":");
    const compare = COMPARISONS[operator];
    if (compare === undefined) throw invalid(`Invalid ${operator} operator`);
    const text = rest.length === 0 ? operator : rest.join(":");
    const time = readTime(text);
    if (time === undefined) throw invalid(`Invalid ${text} value`);
    return { compare, time };
  });
  return (row) => {
    const column = kind.column(row, key);
    const at = typeof column === "string" ? readTime(column) : undefined;
    return at !== undefined && wanted.some(({ compare, time }) => compare(at, time));
  };
}

/** In UTC if there is no offset (oslo_utils timeutils.parse_isotime). */
function readTime(text: string): number | undefined {
  const found = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  if (found === null) return undefined;
  const [, day = "", time = "00:00", offset = "Z"] = found;
  const ms = Date.parse(`${day}T${time}${offset}`);
  return Number.isNaN(ms) ? undefined : ms;
}

function passes<Row extends ListedRow>(row: Row, key: string, value: string, kind: ListKind<Row>): boolean {
  if (key === "metadata" || key === "extra_specs") return hasMetadata(kind.column(row, key), value);
  const like = key.endsWith("~");
  const column = kind.column(row, like ? key.slice(0, -1) : key);
  // A filter on no column finds nothing (exchanges: 'bogus filter admin 3.66').
  if (column === undefined || column === null) return false;
  if (typeof column === "boolean") return column === isTrueWord(value);
  return like ? String(column).toLowerCase().includes(value.toLowerCase()) : String(column) === value;
}

/** All pairs must be there. Text that is no dict literal matches nothing. */
function hasMetadata(metadata: unknown, literal: string): boolean {
  const wanted = parseDictLiteral(literal);
  if (wanted === undefined) return false;
  const present = new Map(Object.entries(metadata ?? {}));
  return Object.entries(wanted).every(([key, value]) => present.get(key) === value);
}

function comparison<Row extends ListedRow>(order: readonly Order[], kind: ListKind<Row>): (a: Row, b: Row) => number {
  for (const { key } of order)
    if (!kind.sortable.includes(key)) throw invalid("Invalid input received: Invalid sort key");
  for (const { direction } of order)
    if (!["asc", "desc"].includes(direction))
      throw invalid("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.");
  // Cinder adds created_at and id in the direction of the first key (cinder/db/sqlalchemy/api.py process_sort_params;
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
