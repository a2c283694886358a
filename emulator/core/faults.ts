// Fault rules: which request goes wrong, how, and how many times.

import { isObject } from "./http";

export const FAULT_ACTIONS = [
  "hang",
  "reset",
  "lose-reply",
  "trickle",
  "endless",
  "truncate",
  "garbage",
  "html",
  "redirect",
  "expire-token",
] as const;

export type FaultAction = (typeof FAULT_ACTIONS)[number];

export interface FaultMatch {
  /** "keystone", "cinder", … */
  readonly service?: string;
  /** "snapshots.create", "tokens.issue", …: `GET /_emulator/coverage` lists them. */
  readonly operation?: string;
  readonly method?: string;
  /** A string is the exact path (with its query if it contains "?"); an expression is tried on path and query. */
  readonly path?: string | RegExp;
  /** Start with the nth request that matches, counted from 1. */
  readonly nth?: number;
}

export interface FaultRule {
  readonly match: FaultMatch;
  /** How many requests it befalls; 1 if not said. */
  readonly times?: number;
  /** With no action: answered with this instead of being carried out. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
  readonly action?: FaultAction;
  /** For "garbage": how many. */
  readonly bytes?: number;
  /** For "redirect": where to. */
  readonly location?: string;
  /** Real milliseconds before anything else happens. */
  readonly delayMs?: number;
}

export interface FaultHandle {
  readonly id: string;
  /** How many requests it has befallen. */
  readonly hits: number;
  remove(): void;
}

export interface FaultedRequest {
  readonly service: string;
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly target: string;
}

interface Armed {
  readonly id: string;
  readonly rule: FaultRule;
  seen: number;
  hits: number;
}

export class Faults {
  private armed: Armed[] = [];
  private count = 0;

  add(rule: FaultRule): FaultHandle {
    checkRule(rule);
    this.count += 1;
    const armed: Armed = { id: `fault-${this.count}`, rule, seen: 0, hits: 0 };
    this.armed.push(armed);
    return {
      id: armed.id,
      get hits() {
        return armed.hits;
      },
      remove: () => {
        this.armed = this.armed.filter((other) => other !== armed);
      },
    };
  }

  clear(): void {
    this.armed = [];
  }

  reset(): void {
    this.clear();
    this.count = 0;
  }

  /** The first rule that befalls this request. A request is counted by every rule that matches it. */
  take(request: FaultedRequest): { id: string; rule: FaultRule } | undefined {
    let taken: Armed | undefined;
    for (const armed of this.armed) {
      if (!matches(armed.rule.match, request)) continue;
      armed.seen += 1;
      const due = armed.seen >= (armed.rule.match.nth ?? 1) && armed.hits < (armed.rule.times ?? 1);
      if (due && taken === undefined) taken = armed;
    }
    if (taken === undefined) return undefined;
    taken.hits += 1;
    return { id: taken.id, rule: taken.rule };
  }

  /** As they would be written in JSON. */
  list(): readonly object[] {
    return this.armed.map(({ id, rule, seen, hits }) => {
      const { path } = rule.match;
      const match =
        path instanceof RegExp ? { ...rule.match, path: `re:${path.source.replaceAll("\\/", "/")}` } : rule.match;
      return { id, ...rule, match, ...(rule.times === Infinity ? { times: "Infinity" } : {}), seen, hits };
    });
  }
}

/** A rule that came as JSON: a path "re:…" is a regular expression, times may be the string "Infinity". */
export function ruleFromJson(value: unknown): FaultRule {
  if (!isObject(value)) throw new Error("a fault rule is an object");
  const rule: Record<string, unknown> = { ...value };
  if (rule.times === "Infinity") rule.times = Infinity;
  if (isObject(rule.match) && typeof rule.match.path === "string" && rule.match.path.startsWith("re:"))
    rule.match = { ...rule.match, path: new RegExp(rule.match.path.slice(3)) };
  checkRule(rule);
  return rule;
}

function matches(match: FaultMatch, request: FaultedRequest): boolean {
  return (
    (match.service === undefined || match.service === request.service) &&
    (match.operation === undefined || match.operation === request.operation) &&
    (match.method === undefined || match.method.toUpperCase() === request.method) &&
    (match.path === undefined || matchesPath(match.path, request))
  );
}

function matchesPath(path: string | RegExp, request: FaultedRequest): boolean {
  // search() ignores lastIndex, so an expression with the g flag doesn't remember the request before.
  if (path instanceof RegExp) return request.target.search(path) >= 0;
  return path === (path.includes("?") ? request.target : request.path);
}

const RULE_KEYS = ["match", "times", "status", "headers", "body", "action", "bytes", "location", "delayMs"];
const MATCH_KEYS = ["service", "operation", "method", "path", "nth"];

/** A misspelt rule that never fires makes a test pass for the wrong reason, so it is refused. */
function checkRule(rule: unknown): asserts rule is FaultRule {
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
  if (rule.action !== undefined && !(FAULT_ACTIONS as readonly unknown[]).includes(rule.action))
    throw new Error(`action of a fault rule is one of ${FAULT_ACTIONS.join(", ")}, not ${String(rule.action)}`);
  if (rule.action === "redirect" && rule.location === undefined) throw new Error('action "redirect" needs a location');
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
