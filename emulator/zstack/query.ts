// ZStack's query language: conditions, order and pages of a list.

import type { Reply } from "../core/http";
import type { Context } from "./context";
import { Refusal } from "./errors";
import { reply, schemaOf } from "./views";

/**
 * Splits each condition as RestServer does: at the first operator of its list that occurs anywhere in the text
 * (docs/wire/zstack.md#query-gotchas).
 */
export function query<Row extends object>(
  { model, request }: Context,
  rows: readonly Row[],
  view: (row: Row) => unknown,
): Reply {
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
  const page = found.slice(start, start + limit).map(view);
  return reply(model, 200, { inventories: page, schema: schemaOf(page.length) });
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
