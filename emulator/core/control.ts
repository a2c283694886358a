// The control API under /_emulator/: what the library offers, for programs in another process. JSON in and out, no
// authentication, and no fault rule applies to it. Each service adds the routes of its own control.ts.

import type { Clock } from "./clock";
import { FAULT_ACTIONS, type Faults, ruleFromJson } from "./faults";
import { type EmulatorRequest, isObject, json, matchRoute, type Reply, type Route, type Service } from "./http";
import { searchLog } from "./logSearch";
import type { WritableLog } from "./requestLog";
import { CONTROL_PREFIX } from "./server";

export type ControlHandler = (body: unknown, params: Readonly<Record<string, string>>, query: URLSearchParams) => Reply;

export type ControlRoute = Route<ControlHandler>;

export interface ControlParts {
  readonly services: readonly Service[];
  readonly faults: Faults;
  readonly log: WritableLog;
  readonly clock: Clock;
  readonly seed: number;
  /** The routes of the services. */
  readonly routes: readonly ControlRoute[];
  revokeTokens(): void;
  reset(): void;
}

export function createControl(parts: ControlParts): (request: EmulatorRequest) => Reply {
  const routes = [...commonRoutes(parts), ...parts.routes];
  return (request) => {
    const match = matchRoute(routes, request.method, request.path.slice(CONTROL_PREFIX.length));
    if (match === undefined)
      return json(404, {
        error: `no such control: ${request.method} ${request.path}`,
        controls: routes.map((r) => `${r.method} ${CONTROL_PREFIX}${r.path}`),
      });
    try {
      const body: unknown = request.text === "" ? undefined : JSON.parse(request.text);
      return match.route.handler(body, match.params, request.query);
    } catch (error) {
      return json(400, { error: error instanceof Error ? error.message : String(error) });
    }
  };
}

function commonRoutes(parts: ControlParts): ControlRoute[] {
  const { services, faults, log, clock } = parts;
  return [
    controlRoute("GET", "/state", () => json(200, stateOf(parts))),
    controlRoute("GET", "/requests", (_body, _params, query) => json(200, searchLog(log, query))),
    controlRoute("DELETE", "/requests", () => {
      log.clear();
      return ok();
    }),
    controlRoute("GET", "/coverage", () =>
      json(200, {
        operations: services.flatMap((service) =>
          service.operations().map((operation) => ({ service: service.name, ...operation })),
        ),
        faultActions: FAULT_ACTIONS,
      }),
    ),
    controlRoute("POST", "/faults", (body) => json(201, { id: faults.add(ruleFromJson(body)).id })),
    controlRoute("DELETE", "/faults", () => {
      faults.clear();
      return ok();
    }),
    controlRoute("DELETE", "/faults/{id}", (_, { id }) => removed("fault rule", id, faults.remove(id ?? ""))),
    controlRoute("POST", "/tick", (body) => {
      const ms = isObject(body) ? body.ms : undefined;
      if (typeof ms !== "number") throw new Error('tick needs {"ms": number}');
      clock.tick(ms);
      return json(200, { now: clock.now().toISOString() });
    }),
    controlRoute("POST", "/reset", () => {
      parts.reset();
      return ok();
    }),
    controlRoute("DELETE", "/tokens", () => {
      parts.revokeTokens();
      return ok();
    }),
  ];
}

function stateOf({ clock, seed, services, faults, log }: ControlParts): object {
  return {
    clock: { mode: clock.mode, now: clock.now().toISOString() },
    seed,
    services: Object.fromEntries(services.map((service) => [service.name, service.state()])),
    faults: faults.list(),
    requests: log.entries.length,
  };
}

// The functions below are for the control.ts of the services.

export function controlRoute(method: string, path: string, handler: ControlHandler): ControlRoute {
  return { operation: `control ${method} ${path}`, method, path, handler };
}

export function ok(status = 200): Reply {
  return json(status, { ok: true });
}

/** The answer to a DELETE, and to any request for a row that does not exist. */
export function removed(what: string, id: string | undefined, found: boolean): Reply {
  return found ? ok() : json(404, { error: `no such ${what}: ${id}` });
}

/** The body's fields. It refuses a field that is not `known`, so that a misspelt one has no silent effect. */
export function knownFields<Row>(body: unknown, known: readonly string[]): Partial<Row> {
  const given = body ?? {};
  if (!isObject(given)) throw new Error("the body is an object");
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`unknown field: ${unknown.join(", ")} (known: ${known.join(", ")})`);
  return given as Partial<Row>;
}

interface WithNamePattern {
  readonly match?: { readonly name?: string | RegExp };
}

/** Reads `match.name`: a text that begins with "re:" is a regular expression. */
export function withNamePattern<Rule extends WithNamePattern>(rule: Rule): Rule {
  const name = rule.match?.name;
  if (typeof name !== "string" || !name.startsWith("re:")) return rule;
  return { ...rule, match: { ...rule.match, name: new RegExp(name.slice(3)) } };
}
