// The interface between the server and a service: a service names the operation of a request and answers it.

import type { IncomingHttpHeaders } from "node:http";

export interface EmulatorRequest {
  readonly method: string;
  /** Without the query, still encoded. */
  readonly path: string;
  /** Path and query, still encoded. */
  readonly target: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** Scheme and host as the client sees them. The catalogue and links start with it. */
  readonly origin: string;
  readonly text: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A request with its operation, before the service executes it. */
export interface Call {
  readonly operation: string;
  run(): Reply;
}

export interface OperationInfo {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
}

export interface Service {
  readonly name: string;
  /** First path segment, with its slash. */
  readonly prefix: string;
  resolve(request: EmulatorRequest): Call;
  /** This service's own error with that status, for fault rules that have a status and no body. */
  errorReply(status: number, request: EmulatorRequest): Reply;
  operations(): readonly OperationInfo[];
  /** Path and query for the log, for a service that has secrets in them. */
  loggable?(target: string): string;
  /** The service's part of `GET /_emulator/state`, without secrets. */
  state(): unknown;
  reset(): void;
}

export function serviceAt(services: readonly Service[], path: string): Service | undefined {
  return services.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
}

export interface Route<Handler> extends OperationInfo {
  readonly handler: Handler;
}

export interface RouteMatch<Handler> {
  readonly route: Route<Handler>;
  readonly params: Readonly<Record<string, string>>;
}

export const UNROUTED = "unrouted";

/**
 * Finds the route of a path. It decodes the path before it splits it, as WSGI does: a `%2F` in a metadata key is a
 * separator there, so such a key has no address of its own.
 */
export function matchRoute<Handler>(
  routes: readonly Route<Handler>[],
  method: string,
  path: string,
): RouteMatch<Handler> | undefined {
  const segments = splitPath(path);
  for (const route of routes) {
    if (route.method !== method) continue;
    const params = matchSegments(splitPath(route.path), segments);
    if (params !== undefined) return { route, params };
  }
  return undefined;
}

/** Whether any method is routed at this path. */
export function isKnownPath<Handler>(routes: readonly Route<Handler>[], path: string): boolean {
  const segments = splitPath(path);
  return routes.some((route) => matchSegments(splitPath(route.path), segments) !== undefined);
}

export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function header(request: EmulatorRequest, name: string): string | undefined {
  const value = request.headers[name.toLowerCase()];
  return Array.isArray(value) ? value.join(", ") : value;
}

function matchSegments(template: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (template.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of template.entries()) {
    const segment = segments[index] ?? "";
    if (part.startsWith("{")) {
      if (segment === "") return undefined;
      params[part.slice(1, -1)] = segment;
    } else if (part !== segment) return undefined;
  }
  return params;
}

function splitPath(path: string): string[] {
  let decoded = path;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    // A malformed percent sequence stays as it is and matches no route.
  }
  return decoded.split("/");
}
