// The log of all requests, without secrets.

import { type EmulatorRequest, isObject } from "./http";

export interface RequestLogEntry {
  /** ISO time by the emulator's clock. */
  readonly at: string;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly service: string;
  readonly operation: string;
  /** 0 before the answer, and when the emulator closed the connection without one. */
  status: number;
  /** The parsed JSON of the request, or its text if it is not JSON. Secrets are masked. */
  readonly body?: unknown;
  /** Id of the fault rule that was applied to it. */
  fault?: string;
}

export type RequestMatch = Partial<Pick<RequestLogEntry, "method" | "service" | "operation" | "status" | "fault">> & {
  readonly path?: string | RegExp;
};

export interface RequestLog extends ReadonlyArray<RequestLogEntry> {
  count(match?: RequestMatch | ((entry: RequestLogEntry) => boolean)): number;
}

export interface WritableLog {
  readonly entries: RequestLog;
  /** The number of the first entry: how many requests came before it since the start. */
  readonly first: number;
  add(entry: RequestLogEntry): void;
  clear(): void;
}

const KEPT = 10_000;

export function createLog(): WritableLog {
  const list: RequestLogEntry[] = [];
  let first = 0;
  const entries: RequestLog = Object.assign(list, {
    count: (match: RequestMatch | ((entry: RequestLogEntry) => boolean) = {}) =>
      list.filter(typeof match === "function" ? match : (entry) => matches(entry, match)).length,
  });
  return {
    entries,
    get first() {
      return first;
    },
    add: (entry) => {
      list.push(entry);
      if (list.length > KEPT) first += list.splice(0, list.length - KEPT).length;
    },
    clear: () => {
      first += list.length;
      list.length = 0;
    },
  };
}

/** The entry of a request that has no answer yet. `target` is without secrets. */
export function entryOf(
  { method, target, text }: Pick<EmulatorRequest, "method" | "target" | "text">,
  at: Date,
  service: string,
  operation: string,
): RequestLogEntry {
  const body = loggedBody(text);
  return {
    at: at.toISOString(),
    method,
    path: target,
    service,
    operation,
    status: 0,
    ...(body === undefined ? {} : { body }),
  };
}

function loggedBody(text: string): unknown {
  if (text === "") return undefined;
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== "string") return masked(body);
  } catch {
    // Logged as text.
  }
  return SECRET_KEY.test(text) ? "(not JSON)" : text.slice(0, 1000);
}

function matches(entry: RequestLogEntry, match: RequestMatch): boolean {
  return (Object.keys(match) as (keyof RequestMatch)[]).every((key) => {
    const wanted = match[key];
    if (wanted === undefined) return true;
    if (key !== "path") return entry[key] === wanted;
    if (wanted instanceof RegExp) return entry.path.search(wanted) >= 0;
    return entry.path === wanted || entry.path.split("?")[0] === wanted;
  });
}

const SECRET_KEY = /password|secret/i;

function masked(value: unknown, key = ""): unknown {
  if (Array.isArray(value)) return value.map((item) => masked(item));
  if (!isObject(value)) return SECRET_KEY.test(key) && value !== null ? "***" : value;
  const isToken = key === "token";
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, isToken && name === "id" ? "***" : masked(item, name)]),
  );
}
