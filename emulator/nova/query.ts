// The check of a query by its schema, which comes before everything else (nova/api/validation, docs/wire/openstack.md#servers).

import { isObject } from "../core/http";
import { repr } from "../core/pythonRepr";
import { invalid } from "./errors";

/** What a value of a parameter must be. */
export type QueryKind = "text" | "regex" | "count" | "time" | { readonly oneOf: readonly string[] };

/** From 2.75 on an unknown parameter is refused, in these words, where the schema has patterns and where it has none. */
type UnknownText = (name: string) => string;

const UNEXPECTED: UnknownText = (name) => `Additional properties are not allowed ('${name}' was unexpected)`;

export function checkQuery(
  query: URLSearchParams,
  minor: number,
  kinds: Readonly<Record<string, QueryKind>>,
  unknown: UnknownText = UNEXPECTED,
): void {
  for (const [name, kind] of Object.entries(kinds))
    for (const value of query.getAll(name)) {
      const problem = valueProblem(value, kind);
      if (problem !== undefined)
        throw invalid(`Invalid input for query parameters ${name}. Value: ${value}. ${problem}`);
    }
  const extra = [...query.keys()].find((name) => !Object.hasOwn(kinds, name) && !name.startsWith("_"));
  if (minor >= 75 && extra !== undefined) throw invalid(unknown(extra));
}

/** The number that counts: the last one, as WebOb reads a query. */
export function readCount(query: URLSearchParams, name: string): number | undefined {
  const text = query.getAll(name).at(-1);
  return text === undefined ? undefined : Number(text);
}

/** oslo_utils strutils.bool_from_string, strict; a parameter without a value is true. */
export function readFlag(query: URLSearchParams, name: string): boolean {
  const value = query.getAll(name).at(-1);
  if (value === undefined) return false;
  const word = value.trim().toLowerCase();
  if (["", "1", "t", "true", "on", "y", "yes"].includes(word)) return true;
  if (["0", "f", "false", "off", "n", "no"].includes(word)) return false;
  throw invalid(
    `Unrecognized value '${value}', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'`,
  );
}

export function readTime(text: string): number | undefined {
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text)
    ? Date.parse(/(Z|[+-]\d{2}:?\d{2})$/i.test(text) || text.length === 10 ? text : `${text}Z`)
    : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** A filter that is a regular expression, as MySQL compares it: in any case of letters. */
export function expression(text: string): RegExp | undefined {
  try {
    return new RegExp(text, "i");
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function valueProblem(value: string, kind: QueryKind): string | undefined {
  if (isObject(kind))
    return kind.oneOf.includes(value) ? undefined : `${repr(value)} is not one of ${repr(kind.oneOf)}`;
  if (kind === "count" && value === "") return "'' is too short";
  if (kind === "count" && !/^[0-9]*$/.test(value)) return `${repr(value)} does not match '^[0-9]*$'`;
  if (kind === "regex" && expression(value) === undefined) return `${repr(value)} is not a 'regex'`;
  if (kind === "time" && readTime(value) === undefined) return `${repr(value)} is not a 'date-time'`;
  return undefined;
}
