// The answer to GET /_emulator/requests: the entries of the log that fit the query.

import type { RequestLogEntry, WritableLog } from "./requestLog";

interface Found {
  /** The oldest first, each with its number. */
  readonly requests: readonly (RequestLogEntry & { readonly number: number })[];
  /** How many fit, before `last` cut them off. */
  readonly matched: number;
  /** How many the log has. */
  readonly total: number;
}

const FILTERS: Readonly<Record<string, (entry: RequestLogEntry, wanted: string) => boolean>> = {
  service: (entry, wanted) => entry.service === wanted,
  operation: (entry, wanted) => entry.operation === wanted,
  method: (entry, wanted) => entry.method === wanted.toUpperCase(),
  status: (entry, wanted) => hasStatus(entry.status, wanted),
  text: (entry, wanted) => textOf(entry).includes(wanted.toLowerCase()),
};

/** Refuses an unknown or a malformed parameter: a filter without effect shows too much. */
export function searchLog(log: WritableLog, query: URLSearchParams): Found {
  const { last, ...filters } = Object.fromEntries(query);
  const unknown = Object.keys(filters).filter((name) => !Object.hasOwn(FILTERS, name));
  if (unknown.length > 0)
    throw new Error(`unknown parameter: ${unknown.join(", ")} (known: ${Object.keys(FILTERS).join(", ")}, last)`);
  if (filters.status !== undefined && !/^(\d{1,3}|[1-5]xx)$/.test(filters.status))
    throw new Error(`status is a number or like 5xx, not ${filters.status}`);
  if (last !== undefined && !/^\d+$/.test(last)) throw new Error(`last is a whole number, not ${last}`);
  const found = log.entries
    .map((entry, index) => ({ number: log.first + index + 1, ...entry }))
    .filter((entry) => Object.entries(filters).every(([name, wanted]) => FILTERS[name]?.(entry, wanted)));
  const requests = last === undefined ? found : found.slice(Math.max(0, found.length - Number(last)));
  return { requests, matched: found.length, total: log.entries.length };
}

function hasStatus(status: number, wanted: string): boolean {
  return wanted.endsWith("xx") ? Math.floor(status / 100) === Number(wanted[0]) : status === Number(wanted);
}

function textOf({ at, method, path, service, operation, body, fault }: RequestLogEntry): string {
  return JSON.stringify([at, method, path, service, operation, body, fault]).toLowerCase();
}
