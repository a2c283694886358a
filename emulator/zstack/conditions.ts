// The conditions of a ZStack query: RestServer takes them apart, ZQL looks their fields up and makes SQL of them
// (docs/wire/zstack.md#query-gotchas, #query-fields, #query-sql).

import { Failure, internalError, Refusal } from "./errors";
import { type FieldType, INVENTORIES, type Inventory, type Row } from "./inventories";
import type { ZStackModel } from "./model";
import { wallClock } from "./views";

export interface Condition {
  readonly field: string;
  readonly operator: Operator;
  readonly value: string;
}

/** By their form in a request, in the order in which RestServer looks for them (RestServer.java:1060–1071). */
const OPERATORS = {
  "!=": "!=",
  ">=": ">=",
  "<=": "<=",
  "!?=": "not in",
  "!~=": "not like",
  "~=": "like",
  "?=": "in",
  "=": "=",
  ">": ">",
  "<": "<",
  "is null": "is null",
  "not null": "is not null",
} as const;

type Operator = (typeof OPERATORS)[keyof typeof OPERATORS];

/** A negated operator on tags finds what has no tag for which the plain one holds (SQLConditionBuilder.java:81–84). */
const NEGATED: Partial<Record<Operator, Operator>> = { "!=": "=", "not in": "in", "not like": "like" };

/** Splits at the first operator of the list that occurs anywhere in the text. */
export function readCondition(text: string): Condition {
  const found = (Object.keys(OPERATORS) as (keyof typeof OPERATORS)[]).find((one) => text.includes(one));
  if (found === undefined) {
    const valid = Object.keys(OPERATORS).join(", ");
    throw new Refusal(
      400,
      `Invalid query parameter. The '${text}' in the parameter[q] doesn't contain any query operator. Valid query operators are [[${valid}]]`,
    );
  }
  const operator = OPERATORS[found];
  const parts = splitOnce(text, found);
  if (operator === "is null" || operator === "is not null")
    return { field: (parts[0] ?? "").trim(), operator, value: "" };
  const [field, value] = parts;
  if (field === undefined || value === undefined) {
    throw new Refusal(
      400,
      `Invalid query parameter. The '${text}' in parameter[q] is not a key-value pair split by ${operator}`,
    );
  }
  return { field: field.trim(), operator, value };
}

/** What a condition finds. Throws for a field that the inventory does not have, whether there are rows or not. */
export function compileCondition(
  model: ZStackModel,
  inventory: Inventory,
  { field, operator, value }: Condition,
): (row: Row) => boolean {
  const names = field.split(".");
  if (!names.every((name) => /^\w+$/.test(name))) throw syntaxError(field);
  return compile(model, inventory, names, operator, value);
}

/** SQL's order of two rows by a field. null comes first. */
export function compareBy(field: string): (a: Row, b: Row) => number {
  const rank = (value: unknown) => (typeof value === "string" ? collated(value) : Number(value));
  return ({ [field]: a }, { [field]: b }) => {
    if (isAbsent(a) || isAbsent(b)) return Number(isAbsent(b)) - Number(isAbsent(a));
    return order(rank(a), rank(b));
  };
}

function compile(
  model: ZStackModel,
  inventory: Inventory,
  [name = "", ...rest]: readonly string[],
  operator: Operator,
  value: string,
): (row: Row) => boolean {
  if (rest.length === 0) return compileField(model, inventory, name, operator, value);
  const expansion = inventory.expansions[name];
  if (expansion === undefined) {
    const java = `class ${inventory.className}`;
    throw zqlError(
      `invalid nested query condition[${rest.slice(0, -1).join(".")}] on ${java},the expanded target[${java}] have no expanded query[${name}]`,
    );
  }
  const { foreignKey, key } = expansion;
  // `vmInstance.uuid` is `vmInstanceUuid` (ZQLMetadata.java, lastExpandIsRedundant).
  if (rest.length === 1 && rest[0] === key) return compileField(model, inventory, foreignKey, operator, value);
  const target = INVENTORIES[expansion.inventory];
  const holds = compile(model, target, rest, operator, value);
  const keys = new Set(
    target
      .rows(model)
      .filter(holds)
      .map((row) => row[key]),
  );
  return (row) => !isAbsent(row[foreignKey]) && keys.has(row[foreignKey]);
}

function compileField(
  model: ZStackModel,
  { className, fields }: Inventory,
  name: string,
  operator: Operator,
  value: string,
): (row: Row) => boolean {
  if (name === "__userTag__") return compileTags((uuid) => model.tagsOf(uuid), operator, value);
  // The emulator keeps neither system tags nor tag patterns.
  if (name === "__systemTag__" || name === "__tagUuid__") return compileTags(() => [], operator, value);
  const type = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (type === undefined) throw zqlError(`inventory class[class ${className}] not having field[${name}]`);
  // The database maps a list of objects to no column.
  if (type === "objects") throw zqlError(`could not resolve property: ${name} of: ${className}`);
  if (operator === "is null") return (row) => isAbsent(row[name]);
  if (operator === "is not null") return (row) => !isAbsent(row[name]);
  const holds = comparison(type, operator, value, model.settings.offsetMinutes);
  // No comparison holds for SQL's NULL, not even `!=`.
  return ({ [name]: own }) => !isAbsent(own) && (Array.isArray(own) ? own.some(holds) : holds(own));
}

function compileTags(
  tagsOf: (uuid: string) => readonly string[],
  operator: Operator,
  value: string,
): (row: Row) => boolean {
  const plain = NEGATED[operator];
  const holds =
    operator === "is null" || operator === "is not null"
      ? () => operator === "is not null"
      : comparison("text", plain ?? operator, value, 0);
  return ({ uuid }) => tagsOf(String(uuid)).some(holds) === (plain === undefined);
}

/** Whether `own <operator> value` holds in MySQL, which converts the text to the type of the column. */
function comparison(
  type: FieldType,
  operator: Operator,
  value: string,
  offsetMinutes: number,
): (own: unknown) => boolean {
  const column = columnOf(type, offsetMinutes);
  switch (operator) {
    case "in":
    case "not in": {
      const values = value.split(",").map((one) => column.literal(one));
      return (own) => values.includes(column.rank(own)) === (operator === "in");
    }
    case "like":
    case "not like": {
      const pattern = like(value);
      return (own) => pattern.test(column.text(own)) === (operator === "like");
    }
    default: {
      const other = type === "boolean" ? booleanLiteral(value) : column.literal(value);
      return (own) => {
        const sign = order(column.rank(own), other);
        if (operator === "=") return sign === 0;
        if (operator === "!=") return sign !== 0;
        return sign === 0 ? operator.endsWith("=") : sign > 0 === operator.startsWith(">");
      };
    }
  }
}

interface Column {
  rank(own: unknown): string | number;
  literal(text: string): string | number;
  text(own: unknown): string;
}

function columnOf(type: FieldType, offsetMinutes: number): Column {
  if (type === "number" || type === "boolean") {
    return { rank: Number, literal: numberLiteral, text: (own) => String(Number(own)) };
  }
  if (type === "time") {
    const text = (own: unknown) => sqlTime(own as Date, offsetMinutes);
    return { rank: text, literal: (given) => (/^\d{4}-\d\d-\d\d$/.test(given) ? `${given} 00:00:00` : given), text };
  }
  return { rank: (own) => collated(String(own)), literal: collated, text: String };
}

/** MySQL takes the number at the beginning of a text, or 0. */
function numberLiteral(text: string): number {
  return Number(/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/i.exec(text)?.[0] ?? 0);
}

/** ZQL takes the quotes off, and what remains has to be a literal (SQLConditionBuilder.java, normalizeValue). */
function booleanLiteral(text: string): number {
  if (/^(true|false)$/i.test(text)) return Number(text.toLowerCase() === "true");
  if (/^[01]$/.test(text)) return Number(text);
  throw zqlError(`could not resolve property: ${text}`);
}

/** `2017-11-14 22:20:57`, on the server's clock. */
function sqlTime(time: Date, offsetMinutes: number): string {
  return wallClock(time, offsetMinutes).toISOString().slice(0, 19).replace("T", " ");
}

/** utf8_general_ci: neither case nor blanks at the end count. */
function collated(text: string): string {
  return text.toLowerCase().replace(/ +$/, "");
}

/** SQL's LIKE: `%`, `_`, and a backslash before what stands for itself. */
function like(pattern: string): RegExp {
  const source = pattern.replace(/\\?[\s\S]/g, (one) => {
    if (one === "%") return ".*";
    if (one === "_") return ".";
    return one.slice(-1).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${source}$`, "is");
}

function order(a: string | number, b: string | number): number {
  return Number(a > b) - Number(a < b);
}

function isAbsent(value: unknown): boolean {
  return value === null || value === undefined;
}

/** Java's StringUtils.splitByWholeSeparator(text, separator, 2): separators in front of a part are no parts. */
function splitOnce(text: string, separator: string): string[] {
  const parts: string[] = [];
  let begin = 0;
  for (;;) {
    const end = text.indexOf(separator, begin);
    if (end === -1 || (end > begin && parts.length === 1)) return [...parts, text.slice(begin)];
    if (end > begin) parts.push(text.slice(begin, end));
    begin = end + separator.length;
    if (begin > text.length) return parts;
  }
}

/** ZQL's errors are internal ones, with the exception in front of their text (QueryFacadeImpl.java:378–380). */
export function zqlError(message: string, exception = "org.zstack.header.exception.CloudRuntimeException"): Failure {
  return new Failure(internalError(`${exception}: ${message}`));
}

/** The parser's own text is longer. */
export function syntaxError(text: string): Failure {
  return zqlError(`error mismatched input '${text}' at line 1`, "org.antlr.v4.runtime.misc.ParseCancellationException");
}
