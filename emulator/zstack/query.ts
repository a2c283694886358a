// ZStack's query language: conditions, order and pages of a list.

import type { Reply } from "../core/http";
import type { Context } from "./context";
import { Refusal } from "./errors";
import { result } from "./views";

/**
 * Splits each condition as RestServer does: at the first operator of its list that occurs anywhere in the text
 * (docs/wire/zstack.md#query-gotchas).
 */
export function query<Row extends object>(context: Context, rows: readonly Row[], view: (row: Row) => object): Reply {
  const { model, request } = context;
  const conditions = request.query.getAll("q").map(readCondition);
  const found = (model.settings.revoked ? [] : rows).filter((row) =>
    conditions.every(({ field, operator, value }) => {
      const own: unknown = field === "__userTag__" ? undefined : Reflect.get(row, field);
      if (field === "__userTag__") {
        const tags = model.tagsOf(String(Reflect.get(row, "uuid")));
        return tags.some((tag) => holds(tag, operator, value));
      }
      return holds(own, operator, value);
    }),
  );
  const sort = request.query.get("sort") ?? "";
  const key = sort.slice(1);
  if (key !== "") {
    const sign = sort.startsWith("-") ? -1 : 1;
    found.sort((a, b) => sign * String(Reflect.get(a, key)).localeCompare(String(Reflect.get(b, key))));
  }
  const start = Number(request.query.get("start") ?? 0);
  const limit = Number(request.query.get("limit") ?? 1000);
  const asked = (name: string) => request.query.get(name) === "true";
  // QueryFacadeImpl.java: `count` gives the number alone, `replyWithCount` gives it beside the page.
  const total = asked("count") || asked("replyWithCount") ? { total: found.length } : {};
  if (asked("count")) return result(context, total, "query");
  const page = found.slice(start, start + limit).map((row) => withFields(view(row), request.query.get("fields")));
  return result(context, { inventories: page, ...total }, "query");
}

/** Only the fields that the query asks for. The others are null there, so they are in no answer. */
function withFields(inventory: object, fields: string | null): object {
  if (fields === null || fields === "") return inventory;
  const asked = fields.split(",").map((field) => field.trim());
  const others = Object.keys(inventory).filter((key) => !asked.includes(key));
  return { ...inventory, ...Object.fromEntries(others.map((key) => [key, null])) };
}

const OPERATORS = ["!=", ">=", "<=", "!?=", "!~=", "~=", "?=", "=", ">", "<", "is null", "not null"];

interface Condition {
  field: string;
  operator: string;
  value: string;
}

function readCondition(text: string): Condition {
  const operator = OPERATORS.find((one) => text.includes(one));
  if (operator === undefined) {
    throw new Refusal(
      400,
      `Invalid query parameter. The '${text}' in the parameter[q] doesn't contain any query operator${OPERATORS.join(",")}`,
    );
  }
  const at = text.indexOf(operator);
  return { field: text.slice(0, at).trim(), operator, value: text.slice(at + operator.length) };
}

function holds(own: unknown, operator: string, value: string): boolean {
  const mine = own === null || own === undefined ? undefined : String(own);
  switch (operator) {
    case "=":
      return mine?.toLowerCase() === value.toLowerCase();
    case "!=":
      return mine?.toLowerCase() !== value.toLowerCase();
    case "?=":
      return mine !== undefined && value.split(",").includes(mine);
    case "!?=":
      return mine === undefined || !value.split(",").includes(mine);
    case "~=":
      return mine !== undefined && like(value).test(mine);
    case "!~=":
      return mine === undefined || !like(value).test(mine);
    case "is null":
      return mine === undefined;
    case "not null":
      return mine !== undefined;
    default:
      return false;
  }
}

/** SQL's LIKE, case-insensitive as MySQL's default collation. */
function like(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("%", ".*")
    .replaceAll("_", ".");
  return new RegExp(`^${escaped}$`, "is");
}
