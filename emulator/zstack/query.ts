// ZStack's queries: the parameters that RestServer reads, and then conditions, order and page as ZQL carries them out.

import type { Reply } from "../core/http";
import { type Condition, compareBy, compileCondition, readCondition, syntaxError, zqlError } from "./conditions";
import type { Context } from "./context";
import { Failure, invalidArgument, Refusal } from "./errors";
import { INVENTORIES, type Inventory, type InventoryName, type Row } from "./inventories";
import { result } from "./views";

export interface Query {
  readonly conditions: readonly Condition[];
  readonly limit: number;
  readonly start: number;
  /** `count` gives the number alone, `replyWithCount` gives it beside the page (QueryFacadeImpl.java). */
  readonly count: boolean;
  readonly replyWithCount: boolean;
  readonly filterName: string | undefined;
  readonly sort: { readonly field: string; readonly direction: 1 | -1 } | undefined;
  readonly fields: readonly string[] | undefined;
}

/**
 * What RestServer reads and refuses before anything checks the session (RestServer.java:1083–1196). With a uuid in the path
 * it reads nothing else.
 */
export function readQuery(parameters: URLSearchParams, uuid: string | undefined): Query {
  const given = uuid === undefined ? parameters : new URLSearchParams();
  const value = (name: string) => given.get(name)?.trim();
  const conditions: Condition[] = given.getAll("q").map(readCondition);
  if (uuid !== undefined) conditions.push({ field: "uuid", operator: "=", value: uuid });
  const isTrue = (name: string) => value(name)?.toLowerCase() === "true";
  return {
    conditions,
    limit: integer("limit", value("limit")) ?? 1000,
    start: integer("start", value("start")) ?? 0,
    count: isTrue("count"),
    replyWithCount: isTrue("replyWithCount"),
    filterName: value("filterName"),
    sort: readSort(value("sort")),
    fields: value("fields")
      ?.split(",")
      .map((field) => field.trim()),
  };
}

export function runQuery(context: Context, name: InventoryName, query: Query): Reply {
  const { model } = context;
  const inventory = INVENTORIES[name];
  checkQuery(inventory, query);
  const conditions = query.conditions.map((condition) => compileCondition(model, inventory, condition));
  const rows = model.settings.revoked ? [] : inventory.rows(model);
  const found = rows.filter((row) => conditions.every((holds) => holds(row)));
  const { sort, start, limit, fields } = query;
  if (sort) {
    const compare = compareBy(sort.field);
    found.sort((a, b) => sort.direction * compare(a, b));
  }
  const total = query.count || query.replyWithCount ? { total: found.length } : {};
  if (query.count) return result(context, total, "query");
  const page = found.slice(start, start + limit).map((row) => withFields(inventory.whole?.(model, row) ?? row, fields));
  return result(context, { inventories: page, ...total }, "query");
}

/** What ZQL refuses beside the conditions (docs/wire/zstack.md#query-fields). */
function checkQuery({ className, fields: known }: Inventory, { filterName, sort, fields, limit, start }: Query): void {
  const unknown = fields?.find((field) => !Object.hasOwn(known, field));
  if (unknown === "") throw syntaxError("");
  // The server prints its format as it stands (ZQLMetadata.java:113).
  if (unknown !== undefined) throw zqlError(`inventory[\${selfInventoryClass}] has no field[${unknown}]`);
  if (filterName) {
    if (!/^[^:]*:./.test(filterName)) {
      throw new Failure(invalidArgument("filterName must be formatted as [filterType:condition(s)]"));
    }
    throw zqlError(`unable to find QueryBelongFilter with type[${filterName}]`);
  }
  if (sort && !/^\w+$/.test(sort.field)) throw syntaxError(sort.field);
  if (sort && !Object.hasOwn(known, sort.field)) {
    const simple = className.slice(className.lastIndexOf(".") + 1);
    throw zqlError(
      `invalid order by clause, inventory[${simple}] doesn't have field[${sort.field}]`,
      "org.zstack.zql.ast.visitors.ZQLError",
    );
  }
  // JPA's setMaxResults and setFirstResult.
  const negative = Math.min(limit, start);
  if (negative < 0) throw zqlError(`Negative value (${negative})`, "java.lang.IllegalArgumentException");
}

function readSort(text: string | undefined): Query["sort"] {
  if (text === undefined) return undefined;
  const [, sign = "", field = ""] = /^(\++|-+)?(.*)$/s.exec(text) ?? [];
  return { field, direction: sign.startsWith("-") ? -1 : 1 };
}

function integer(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[-+]?\d+$/.test(text) || Math.abs(Number(text)) > 2 ** 31 - 1) {
    throw new Refusal(400, `Invalid query parameter. '${name}' must be an integer`);
  }
  return Number(text);
}

/** Only the fields that the query asks for. The others are null there, so they are in no answer. */
function withFields(inventory: Row, asked: readonly string[] | undefined): Row {
  if (asked === undefined) return inventory;
  const others = Object.keys(inventory).filter((key) => !asked.includes(key));
  return { ...inventory, ...Object.fromEntries(others.map((key) => [key, null])) };
}
