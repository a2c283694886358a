// Fault rules: which requests fail, how, and how many times.

import { isObject } from "./http";

export const FAULT_ACTIONS = [
  "hang",
  "reset",
  "drop-response",
  "slow-body",
  "infinite-body",
  "truncate",
  "garbage",
  "html",
  "redirect",
  "expire-token",
] as const;

/** Names that early builds had. The next release refuses them. */
const DEPRECATED_ACTIONS = {
  "lose-reply": "drop-response",
  trickle: "slow-body",
  endless: "infinite-body",
} as const;

/** @deprecated Use "drop-response", "slow-body" and "infinite-body". */
export type DeprecatedFaultAction = keyof typeof DEPRECATED_ACTIONS;

export type FaultAction = (typeof FAULT_ACTIONS)[number] | DeprecatedFaultAction;

export interface FaultMatch {
  /** "keystone", "cinder", … */
  readonly service?: string;
  /** "snapshots.create", "tokens.issue", …: `GET /_emulator/coverage` lists them. */
  readonly operation?: string;
  readonly method?: string;
  /** A string is the exact path (with its query if it contains "?"); an expression is tried on path and query. */
  readonly path?: string | RegExp;
  /** The first matching request that the rule applies to, counted from 1. @default 1 */
  readonly nth?: number;
}

/**
 * Makes requests fail. The emulator applies a rule to the requests that fit all of `match`, and refuses a rule with an
 * unknown field.
 *
 * @example
 * ```ts
 * // Cinder creates the snapshot, and the client sees a closed connection.
 * emulator.faults.add({ match: { operation: "snapshots.create" }, action: "drop-response" });
 * // The third and the fourth request to Cinder get a 503.
 * emulator.faults.add({
 *   match: { service: "cinder", nth: 3 },
 *   times: 2,
 *   status: 503,
 *   headers: { "Retry-After": "1" },
 * });
 * ```
 */
export interface FaultRule {
  readonly match: FaultMatch;
  /** How many requests the rule applies to. @default 1 */
  readonly times?: number;
  /**
   * A rate limit: in each window of the emulator's clock it lets so many of the matching requests through. The others get 429,
   * or `status`, with the rest of the window as `Retry-After`. `times` is then without an end by default.
   */
  readonly limit?: { readonly requests: number; readonly seconds: number };
  /** The status of the answer. Without an action, the service does not execute the request. */
  readonly status?: number;
  /** Added to the answer. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
  readonly action?: FaultAction;
  /** For "garbage": the length of the body. @default 64 */
  readonly bytes?: number;
  /** For "redirect": the target. */
  readonly location?: string;
  /** Real milliseconds to wait before anything else. */
  readonly delayMs?: number;
}

export interface FaultHandle {
  readonly id: string;
  /** How many requests the rule was applied to. */
  readonly hits: number;
  remove(): void;
}

/** A rule that was checked, under the current name of its action. */
export interface CheckedRule extends Omit<FaultRule, "action"> {
  readonly action?: (typeof FAULT_ACTIONS)[number];
}

export interface RequestToMatch {
  readonly service: string;
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly target: string;
}

interface ActiveRule {
  readonly id: string;
  readonly rule: CheckedRule;
  matched: number;
  hits: number;
  /** The limit's present window. */
  window: { end: number; requests: number };
}

export class Faults {
  private active: ActiveRule[] = [];
  private count = 0;

  add(rule: FaultRule): FaultHandle {
    const checked = checkRule(rule);
    this.count += 1;
    const entry: ActiveRule = {
      id: `fault-${this.count}`,
      rule: checked,
      matched: 0,
      hits: 0,
      window: { end: 0, requests: 0 },
    };
    this.active.push(entry);
    return {
      id: entry.id,
      get hits() {
        return entry.hits;
      },
      remove: () => {
        this.active = this.active.filter((other) => other !== entry);
      },
    };
  }

  /** Whether there was such a rule. */
  remove(id: string): boolean {
    const before = this.active.length;
    this.active = this.active.filter((entry) => entry.id !== id);
    return this.active.length < before;
  }

  clear(): void {
    this.active = [];
  }

  reset(): void {
    this.clear();
    this.count = 0;
  }

  /** The first rule that applies to this request, counted as a hit. Every rule counts the requests that match it. */
  match(request: RequestToMatch, now: Date): { id: string; rule: CheckedRule } | undefined {
    let applied: ActiveRule | undefined;
    for (const entry of this.active) {
      if (!matches(entry.rule.match, request)) continue;
      entry.matched += 1;
      const { match, limit, times = limit ? Infinity : 1 } = entry.rule;
      const isWithin = limit !== undefined && isWithinLimit(entry, limit, now.getTime());
      const applies = entry.matched >= (match.nth ?? 1) && entry.hits < times && !isWithin;
      if (applies && applied === undefined) applied = entry;
    }
    if (applied === undefined) return undefined;
    applied.hits += 1;
    const { id, rule, window } = applied;
    if (rule.limit === undefined) return { id, rule };
    const headers = { "Retry-After": String(Math.ceil((window.end - now.getTime()) / 1000)), ...rule.headers };
    return { id, rule: { ...rule, status: rule.status ?? 429, headers } };
  }

  /** The rules in the form of `POST /_emulator/faults`. */
  list(): readonly object[] {
    return this.active.map(({ id, rule, matched, hits }) => {
      const { path } = rule.match;
      const match =
        path instanceof RegExp ? { ...rule.match, path: `re:${path.source.replaceAll("\\/", "/")}` } : rule.match;
      return { id, ...rule, match, ...(rule.times === Infinity ? { times: "Infinity" } : {}), seen: matched, hits };
    });
  }
}

/** Counts the request in the window that it belongs to. */
function isWithinLimit(
  { window }: ActiveRule,
  { requests, seconds }: NonNullable<FaultRule["limit"]>,
  now: number,
): boolean {
  if (now >= window.end) Object.assign(window, { end: now + seconds * 1000, requests: 0 });
  window.requests += 1;
  return window.requests <= requests;
}

/** Reads a rule from JSON: a path "re:…" is a regular expression, `times` may be the string "Infinity". */
export function ruleFromJson(value: unknown): FaultRule {
  if (!isObject(value)) throw new Error("a fault rule is an object");
  const rule: Record<string, unknown> = { ...value };
  if (rule.times === "Infinity") rule.times = Infinity;
  if (isObject(rule.match) && typeof rule.match.path === "string" && rule.match.path.startsWith("re:"))
    rule.match = { ...rule.match, path: new RegExp(rule.match.path.slice(3)) };
  return checkRule(rule);
}

function matches(match: FaultMatch, request: RequestToMatch): boolean {
  return (
    (match.service === undefined || match.service === request.service) &&
    (match.operation === undefined || match.operation === request.operation) &&
    (match.method === undefined || match.method.toUpperCase() === request.method) &&
    (match.path === undefined || matchesPath(match.path, request))
  );
}

function matchesPath(path: string | RegExp, request: RequestToMatch): boolean {
  // search() ignores lastIndex, so an expression with the g flag does not remember the previous request.
  if (path instanceof RegExp) return request.target.search(path) >= 0;
  return path === (path.includes("?") ? request.target : request.path);
}

const RULE_KEYS = ["match", "times", "limit", "status", "headers", "body", "action", "bytes", "location", "delayMs"];
const MATCH_KEYS = ["service", "operation", "method", "path", "nth"];

/** Refuses a misspelt rule: a rule that never applies makes a test pass for the wrong reason. */
function checkRule(rule: unknown): CheckedRule {
  if (!isObject(rule)) throw new Error("a fault rule is an object");
  refuseUnknown("fault rule", rule, RULE_KEYS);
  if (!isObject(rule.match)) throw new Error("a fault rule needs match: {…}");
  refuseUnknown("match of a fault rule", rule.match, MATCH_KEYS);
  for (const key of ["service", "operation", "method"]) expectType(rule.match, key, "string");
  const path = rule.match.path;
  if (path !== undefined && typeof path !== "string" && !(path instanceof RegExp))
    throw new Error("path of a fault rule is a string or a regular expression");
  expectCount(rule.match, "nth");
  expectCount(rule, "times");
  expectCount(rule, "bytes");
  expectType(rule, "delayMs", "number");
  expectType(rule, "location", "string");
  checkLimit(rule.limit);
  checkAnswer(rule);
  const action = currentAction(rule.action);
  if (action === "redirect" && rule.location === undefined) throw new Error('action "redirect" needs a location');
  return { ...rule, ...(action === undefined ? {} : { action }) } as unknown as CheckedRule;
}

function checkLimit(limit: unknown): void {
  if (limit === undefined) return;
  if (!isObject(limit)) throw new Error("limit of a fault rule is {requests, seconds}");
  refuseUnknown("limit of a fault rule", limit, ["requests", "seconds"]);
  for (const key of ["requests", "seconds"]) {
    if (limit[key] === undefined) throw new Error(`limit of a fault rule needs ${key}`);
    expectCount(limit, key);
  }
}

function checkAnswer(rule: Record<string, unknown>): void {
  if (
    rule.status !== undefined &&
    !(Number.isInteger(rule.status) && Number(rule.status) >= 200 && Number(rule.status) < 600)
  )
    throw new Error(`status of a fault rule is 200 to 599, not ${String(rule.status)}`);
  if (
    rule.headers !== undefined &&
    !(isObject(rule.headers) && Object.values(rule.headers).every((v) => typeof v === "string"))
  )
    throw new Error("headers of a fault rule are strings by name");
  if (rule.body !== undefined && typeof rule.body !== "string" && (typeof rule.body !== "object" || rule.body === null))
    throw new Error("body of a fault rule is a string or an object");
}

function currentAction(given: unknown): CheckedRule["action"] {
  if (given === undefined) return undefined;
  const renamed = Object.entries(DEPRECATED_ACTIONS).find(([name]) => name === given)?.[1];
  const action = renamed ?? FAULT_ACTIONS.find((one) => one === given);
  if (action === undefined)
    throw new Error(`action of a fault rule is one of ${FAULT_ACTIONS.join(", ")}, not ${String(given)}`);
  return action;
}

function refuseUnknown(what: string, value: Record<string, unknown>, known: readonly string[]): void {
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  if (unknown.length > 0)
    throw new Error(`unknown field in ${what}: ${unknown.join(", ")} (known: ${known.join(", ")})`);
}

function expectType(value: Record<string, unknown>, key: string, type: "string" | "number"): void {
  if (value[key] !== undefined && typeof value[key] !== type) throw new Error(`${key} of a fault rule is a ${type}`);
}

function expectCount(value: Record<string, unknown>, key: string): void {
  const count = value[key];
  if (count === undefined || count === Infinity) return;
  if (!(Number.isInteger(count) && Number(count) >= 1))
    throw new Error(`${key} of a fault rule is a whole number from 1`);
}
