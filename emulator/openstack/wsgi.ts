// What OpenStack's API servers have in common: tokens, microversions, request ids, bodies and faults
// (docs/wire/openstack.md#a4, #a10). The differences are data: `Microversions` and `FaultStyle`.

import { type EmulatorRequest, header, isObject, json, type OperationInfo, type Reply, type Route } from "../core/http";
import type { Ids } from "../core/ids";
import type { Identity, KeystoneModel } from "../keystone/model";
import { refusal, type Schema } from "./jsonSchema";

/** A row of a routing table. */
export type RouteRow<Handler> = readonly [operation: string, method: string, path: string, handler: Handler];

export interface Microversions {
  /** The name of the service in OpenStack-API-Version. */
  readonly serviceType: "volume" | "compute";
  /** An older header with the same meaning. */
  readonly olderHeader?: string;
  readonly min: string;
  readonly max: string;
}

export interface FaultStyle {
  /** The name of the fault by status; any other status is a `computeFault`. */
  readonly names: Readonly<Record<number, string>>;
  readonly contentType: string;
}

/** An error that becomes the answer. The details become fields of its body. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}

/** The message of an error whose status a fault rule gives. */
export const INJECTED_ERROR = "The emulator was told to answer like this.";

/** The names that Cinder and Nova share (cinder/api/openstack/wsgi.py Fault, nova/api/openstack/wsgi.py Fault). */
export const FAULT_NAMES: Readonly<Record<number, string>> = {
  400: "badRequest",
  401: "unauthorized",
  403: "forbidden",
  404: "itemNotFound",
  405: "badMethod",
  409: "conflictingRequest",
  413: "overLimit",
  415: "badMediaType",
  501: "notImplemented",
  503: "serviceUnavailable",
};

// ---- routes -----------------------------------------------------------------------------------------------------

export function routesOf<Handler>(rows: readonly RouteRow<Handler>[], prefix = ""): Route<Handler>[] {
  return rows.map(([operation, method, path, handler]) => ({ operation, method, path: `${prefix}${path}`, handler }));
}

export function operationsOf(routes: readonly OperationInfo[], prefix: string): OperationInfo[] {
  return routes.map(({ operation, method, path }) => ({ operation, method, path: `${prefix}${path}` }));
}

// ---- tokens -----------------------------------------------------------------------------------------------------

/** keystonemiddleware stands in front of the router: without a valid token, an unknown path is a 401, too. */
export function authenticated(
  keystone: KeystoneModel,
  request: EmulatorRequest,
  handle: (identity: Identity) => Reply,
): Reply {
  const identity = keystone.identify(header(request, "X-Auth-Token"));
  return identity === undefined ? unauthenticated(request) : handle(identity);
}

/** keystonemiddleware's own form (docs/wire/openstack.md#a10). */
function unauthenticated(request: EmulatorRequest): Reply {
  const body = {
    error: { code: 401, title: "Unauthorized", message: "The request you have made requires authentication." },
  };
  return json(401, body, { "WWW-Authenticate": `Keystone uri="${request.origin}/identity"` });
}

export function requireAdmin({ isAdmin }: Identity, policy: string): void {
  if (!isAdmin) throw new HttpError(403, `Policy doesn't allow ${policy} to be performed.`);
}

// ---- errors -----------------------------------------------------------------------------------------------------

export function catchErrors(handle: () => Reply, toReply: (error: HttpError) => Reply): Reply {
  try {
    return handle();
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    return toReply(error);
  }
}

export function faultReply({ status, message, details }: HttpError, style: FaultStyle): Reply {
  const body = { [style.names[status] ?? "computeFault"]: { code: status, message, ...details } };
  const { retryAfter } = details;
  return json(status, body, {
    "Content-Type": style.contentType,
    ...(retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) }),
  });
}

export function injectedFault(status: number, request: EmulatorRequest, style: FaultStyle): Reply {
  return status === 401 ? unauthenticated(request) : faultReply(new HttpError(status, INJECTED_ERROR), style);
}

/**
 * webob's own form for an address that no route matches. It names no object, so it proves of none that it is gone
 * (exchanges: 'the documented singular path', 'GET one').
 */
export function notRouted(): Reply {
  return json(404, {
    message: "The resource could not be found.<br /><br />\n\n\n",
    code: "404 Not Found",
    title: "Not Found",
  });
}

// ---- request ids and microversions ------------------------------------------------------------------------------

export function newRequestId(ids: Ids): string {
  return `req-${ids.uuid("request")}`;
}

export function withHeaders(reply: Reply, headers: Readonly<Record<string, string>>): Reply {
  return { ...reply, headers: { ...reply.headers, ...headers } };
}

/**
 * Runs a handler at the microversion that the request asks for. A malformed version is answered without version headers
 * (exchanges: 'mv malformed'); one that is too new is echoed in them ('mv too high').
 */
export function atMicroversion(
  versions: Microversions,
  style: FaultStyle,
  request: EmulatorRequest,
  handle: (minor: number) => Reply,
): Reply {
  const toFault = (error: HttpError) => faultReply(error, style);
  return catchErrors(() => {
    const version = requestedVersion(versions, request);
    const reply = catchErrors(() => handle(minorOf(versions, version)), toFault);
    return withHeaders(reply, versionHeaders(versions, version));
  }, toFault);
}

/** The header may name several services, and by a type that need not be the catalogue's (docs/wire/openstack.md#a4). */
function requestedVersion({ serviceType, olderHeader, min, max }: Microversions, request: EmulatorRequest): string {
  const entries = (header(request, "OpenStack-API-Version") ?? "").split(",").map((entry) => entry.trim().split(/\s+/));
  const named = entries.find(([service]) => service === serviceType)?.[1];
  const wanted = named ?? (olderHeader === undefined ? undefined : header(request, olderHeader));
  if (wanted === undefined) return min;
  if (wanted === "latest") return max;
  if (!/^[1-9]\d*\.(0|[1-9]\d*)$/.test(wanted))
    throw new HttpError(400, `API Version String ${wanted} is of invalid format. Must be of format MajorNum.MinorNum.`);
  return wanted;
}

function minorOf({ min, max }: Microversions, version: string): number {
  const [[major, minor], [minMajor, minMinor], [, maxMinor]] = [parts(version), parts(min), parts(max)];
  if (major === minMajor && minor >= minMinor && minor <= maxMinor) return minor;
  throw new HttpError(406, `Version ${version} is not supported by the API. Minimum is ${min} and maximum is ${max}.`);
}

function parts(version: string): [major: number, minor: number] {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return [major, minor];
}

function versionHeaders({ serviceType, olderHeader }: Microversions, version: string): Record<string, string> {
  const older = olderHeader === undefined ? {} : { [olderHeader]: version };
  const headers = { "OpenStack-API-Version": `${serviceType} ${version}`, ...older };
  return { ...headers, Vary: Object.keys(headers).join(", ") };
}

// ---- bodies -----------------------------------------------------------------------------------------------------

export function parseJson(text: string, malformed = "Malformed request body"): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError(400, malformed);
  }
}

/** The object under `name` of a body that the schema accepts. */
export function validated(schema: Schema, body: unknown, name: string): Record<string, unknown> {
  const message = refusal(schema, body);
  if (message !== undefined) throw new HttpError(400, message);
  return objectIn(body, name) ?? {};
}

/** The check of methods without a schema (exchanges: 'metadata is a string', 'metadata body empty'). */
export function element(body: unknown, name: string): Record<string, unknown> {
  const inner = objectIn(body, name);
  if (inner === undefined) throw new HttpError(400, `Missing required element '${name}' in request body.`);
  return inner;
}

export function objectIn(body: unknown, name: string): Record<string, unknown> | undefined {
  const inner = isObject(body) ? body[name] : undefined;
  return isObject(inner) ? inner : undefined;
}
