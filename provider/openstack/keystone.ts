// One login to an OpenStack cloud, shared by everything that uses the connection: the token, the service catalogue, and
// requests to the catalogue's services that carry the token.

import * as z from "zod";
import { isKind, registerSecret, SnapcloneError } from "../core/errors";
import { HttpClient, type HttpSettings } from "../core/http/client";
import type { HttpRequest, HttpResponse, ParsedError, RawResponse } from "../core/http/request";
import { Session } from "../core/session";
import { type Clock, systemClock } from "../core/util/clock";
import type { OpenStackSettings } from "./connection";

export type Service = "blockStorage" | "compute";

export interface ServiceRequest<T> extends Omit<HttpRequest<T>, "url" | "service"> {
  /** The part after the endpoint, beginning with "/". */
  path: string;
  query?: Query;
  /** Another address of the service, in place of the endpoint. It must have the endpoint's origin, since the token goes there. */
  base?: string;
}

export type Query = Record<string, string | number | boolean | undefined>;

const endpointSchema = z.looseObject({
  interface: z.string(),
  url: z.string(),
  region: z.string().nullish(),
  region_id: z.string().nullish(),
});

const tokenSchema = z.looseObject({
  token: z.looseObject({
    expires_at: z.string(),
    issued_at: z.string().optional(),
    user: z.looseObject({ id: z.string() }),
    project: z.looseObject({ id: z.string() }).optional(),
    roles: z
      .array(z.looseObject({ name: z.string() }))
      .optional()
      .catch(undefined),
    // Absent from an unscoped token (docs/wire/openstack.md#c1).
    catalog: z.array(z.looseObject({ type: z.string(), endpoints: z.array(endpointSchema) })).default([]),
  }),
});

type TokenBody = z.infer<typeof tokenSchema>["token"];
type Endpoint = z.infer<typeof endpointSchema> & { type: string };

interface Login {
  token: string;
  body: TokenBody;
  /** By the monotonic clock: when to request a new token, and when this one expires. */
  renewAt: number;
  expiresAt: number;
}

/** keystoneauth's MIN_TOKEN_LIFE_SECONDS (identity/base.py:34): the services that a request passes through check the token, too. */
const MARGIN_MS = 120_000;

const SERVICES: Record<Service, { name: string; what: string; types: readonly string[] }> = {
  // The order of docs/wire/openstack.md#c3 without volumev2, whose API has no microversions. PowerVC calls it "volume"
  // (docs/wire/powervc.md#f3).
  blockStorage: { name: "Cinder", what: "block storage", types: ["block-storage", "volumev3", "volume"] },
  compute: { name: "Nova", what: "compute", types: ["compute"] },
};

export class KeystoneSession {
  private readonly http: HttpClient;
  private readonly ownsHttp: boolean;
  private readonly clock: Clock;
  private readonly session: Session<Login>;
  private readonly endpoints = new WeakMap<Login, Map<Service, string>>();

  constructor(
    readonly settings: OpenStackSettings,
    options: HttpSettings & { http?: HttpClient } = {},
  ) {
    this.clock = options.clock ?? systemClock;
    this.ownsHttp = options.http === undefined;
    this.http = options.http ?? new HttpClient({ ...options, tls: settings.tls, clock: this.clock });
    this.session = new Session({
      clock: this.clock,
      operation: `log in at ${settings.authUrl}`,
      logIn: () => this.issueToken(),
      isFresh: ({ renewAt }) => this.clock.now() < renewAt,
      // While Keystone is away, the token serves for the rest of its margin.
      serves: ({ expiresAt }) => this.clock.now() < expiresAt,
    });
    const { auth } = settings;
    registerSecret(auth.method === "password" ? auth.password : auth.method === "token" ? auth.token : auth.secret);
  }

  async token(signal?: AbortSignal): Promise<string> {
    return (await this.session.open(signal)).token;
  }

  async userId(signal?: AbortSignal): Promise<string> {
    return (await this.session.open(signal)).body.user.id;
  }

  async projectId(signal?: AbortSignal): Promise<string> {
    return this.projectOf((await this.session.open(signal)).body);
  }

  /** The names of the login's roles, as far as Keystone tells them. */
  async roles(signal?: AbortSignal): Promise<string[]> {
    return ((await this.session.open(signal)).body.roles ?? []).map(({ name }) => name);
  }

  /** The project and the region of a service's requests: a "not found" proves nothing beyond them. */
  async identity(service: Service, signal?: AbortSignal): Promise<string> {
    const login = await this.session.open(signal);
    const region = this.place(service).region ?? this.regionIn(login, service);
    return `project ${this.projectOf(login.body)}${region === undefined ? "" : `, region ${region}`}`;
  }

  /** The service's clock; undefined before its first answer. */
  serverTime(service: Service): Date | undefined {
    const { current } = this.session;
    return current && this.http.serverTime(this.endpointOf(current, service));
  }

  /** The service's address as the catalogue or the override has it, without a slash at the end. */
  async endpoint(service: Service, signal?: AbortSignal): Promise<string> {
    return this.endpointOf(await this.session.open(signal), service);
  }

  /**
   * Sends the request with the token. After a 401 it logs in again and repeats the request once, as keystoneauth does
   * (docs/wire/openstack.md#c3).
   */
  async request<T>(service: Service, request: ServiceRequest<T>): Promise<HttpResponse<T>> {
    return this.session.send(
      (login) => this.send(login, service, request),
      request.signal,
      wasRejected,
      (error) => this.rejectedAgain(error, service, request),
    );
  }

  private rejectedAgain<T>(
    error: SnapcloneError,
    service: Service,
    { method, path }: ServiceRequest<T>,
  ): SnapcloneError {
    const { name } = SERVICES[service];
    // keystonemiddleware answers 401 to a request that no access rule covers (auth_token/__init__.py, validate_allowed_request).
    const rules =
      this.settings.auth.method === "applicationCredential"
        ? ` Or the application credential has access rules, and none of them allows ${method} ${path} (\`openstack application credential show\`, \`openstack access rule list\`).`
        : "";
    const hint = `Keystone issued this token a moment ago, so ${name} cannot check it: its endpoint belongs to another cloud, or its own link to Keystone ([keystone_authtoken]) is broken.${rules}`;
    return new SnapcloneError({ ...error.parts, hint });
  }

  /** Closes the HTTP client, unless the caller has made it. */
  async close(): Promise<void> {
    if (this.ownsHttp) await this.http.close();
  }

  private async issueToken(): Promise<Login> {
    const { settings } = this;
    // Taken before the request, so that the time on the wire can only shorten the token's life.
    const sentAt = this.clock.now();
    const answer = await this.http.request({
      method: "POST",
      url: `${settings.authUrl.replace(/\/+$/, "")}/auth/tokens`,
      service: "Keystone",
      body: { auth: authBody(settings.auth) },
      // A login changes nothing in Keystone.
      idempotent: true,
      schema: tokenSchema,
      parseError: (refused) => this.explain(refused),
    });
    const token = answer.headers["x-subject-token"];
    if (!token) {
      throw new SnapcloneError({
        kind: "malformed",
        message: `Keystone answered ${answer.status} without a token (header X-Subject-Token)`,
        hint: `Check that ${settings.authUrl} is Keystone's own address and that no proxy takes its headers away.`,
      });
    }
    registerSecret(token);
    const body = answer.body.token;
    const life = lifeMs(body, answer.headers.date);
    // A token made from a token expires with the first one (docs/wire/openstack.md#c1), so an early renewal gains nothing.
    const margin = settings.auth.method === "token" ? 0 : Math.min(MARGIN_MS, life / 2);
    return { token, body, renewAt: sentAt + life - margin, expiresAt: sentAt + life };
  }

  private async send<T>(login: Login, service: Service, request: ServiceRequest<T>): Promise<HttpResponse<T>> {
    const { path, query, base, ...rest } = request;
    const endpoint = this.endpointOf(login, service);
    if (base !== undefined && new URL(base).origin !== new URL(endpoint).origin) {
      throw new SnapcloneError({
        kind: "config",
        message: `${base} is not an address of ${endpoint}: no token goes there`,
      });
    }
    return this.http.request<T>({
      ...rest,
      url: `${base ?? endpoint}${path}${queryString(query)}`,
      service: SERVICES[service].name,
      headers: { ...request.headers, "x-auth-token": login.token },
    });
  }

  /** Asked for by every request, and the catalogue may be long. */
  private endpointOf(login: Login, service: Service): string {
    const known = this.endpoints.get(login) ?? new Map<Service, string>();
    this.endpoints.set(login, known);
    const endpoint = known.get(service) ?? this.findEndpoint(login, service);
    known.set(service, endpoint);
    return endpoint;
  }

  private findEndpoint({ body }: Login, service: Service): string {
    const { settings } = this;
    const { what, types } = SERVICES[service];
    const override = settings.endpointOverride[service];
    if (override !== undefined) {
      // keystoneauth fills the project in (keystoneauth1/session.py _StringFormatter).
      const filled = override.replace(/%\((project|tenant)_id\)s/g, () => this.projectOf(body));
      return this.httpAddress(filled, `the endpoint override for ${what}`);
    }

    const requested = settings.serviceType[service];
    const wanted = requested === undefined ? types : [requested, ...types.filter((type) => type !== requested)];
    // The same type may occur more than once, also without endpoints (docs/wire/openstack.md#c1), so all entries
    // are searched.
    const all = body.catalog.flatMap(({ type, endpoints }) => endpoints.map((endpoint) => ({ ...endpoint, type })));
    for (const type of wanted) {
      const found = all.filter((endpoint) => endpoint.type === type && this.matches(endpoint, service));
      const [first] = found;
      if (!first) continue;
      const regions = new Set(found.map(regionOf));
      // The first one, which other clients take, may be the wrong region, where every resource would count as gone.
      if (regions.size > 1) {
        throw this.misconfigured(
          `${what} is in ${regions.size} regions: ${[...regions].join(", ")}`,
          `Set the region in ${settings.source}.`,
        );
      }
      return this.httpAddress(first.url, `the catalogue's ${what} endpoint`);
    }
    throw this.notInCatalogue(service, wanted, all, body);
  }

  /** The catalogue's region, if it has only one. */
  private regionIn({ body }: Login, service: Service): string | undefined {
    const { types } = SERVICES[service];
    const regions = body.catalog
      .filter(({ type }) => types.includes(type))
      .flatMap(({ type, endpoints }) => endpoints.map((endpoint) => regionOf({ ...endpoint, type })));
    return new Set(regions).size === 1 ? regions[0] : undefined;
  }

  private projectOf({ project }: TokenBody): string {
    if (!project) throw this.withoutProject();
    return project.id;
  }

  /** Region and interface of a service. Its own settings go before the connection's. */
  private place(service: Service): Pick<OpenStackSettings, "region" | "interface"> {
    const { settings } = this;
    const region = settings.serviceRegion[service] ?? settings.region;
    const chosen = { interface: settings.serviceInterface[service] ?? settings.interface };
    return region === undefined ? chosen : { ...chosen, region };
  }

  private matches(endpoint: Endpoint, service: Service): boolean {
    const { region, interface: wanted } = this.place(service);
    return (
      endpoint.interface.replace(/URL$/, "") === wanted &&
      (region === undefined || endpoint.region === region || endpoint.region_id === region)
    );
  }

  private notInCatalogue(
    service: Service,
    wanted: readonly string[],
    all: Endpoint[],
    body: TokenBody,
  ): SnapcloneError {
    // The catalogue of a token without a project lacks every endpoint that has the project in its address
    // (docs/wire/openstack.md#c1).
    if (!body.project) return this.withoutProject();
    const { region, interface: chosen } = this.place(service);
    const ofType = all.filter(({ type }) => wanted.includes(type));
    const place = region === undefined ? "" : ` in region "${region}"`;
    const has = ofType.length
      ? `It has ${ofType.map((endpoint) => `${endpoint.type} (${endpoint.interface}, ${regionOf(endpoint)})`).join(", ")}.`
      : `None of the types ${wanted.join(", ")} is in it; it has ${[...new Set(body.catalog.map(({ type }) => type))].join(", ") || "no service at all"}.`;
    return this.misconfigured(
      `Keystone's service catalogue has no ${SERVICES[service].what} endpoint for the interface "${chosen}"${place}`,
      `${has} Correct region, interface or service type in ${this.settings.source}, or set the endpoint there.`,
    );
  }

  private withoutProject(): SnapcloneError {
    const { auth, source } = this.settings;
    const scope = auth.method === "applicationCredential" ? undefined : auth.scope;
    const what =
      scope === undefined || scope === "unscoped"
        ? "has no scope"
        : "system" in scope
          ? "has the whole system as its scope"
          : "has a domain as its scope";
    return this.misconfigured(
      `the login ${what} and so no project, and volumes, servers and their snapshots belong to projects`,
      `Set the project in ${source}.`,
    );
  }

  private misconfigured(message: string, hint: string): SnapcloneError {
    return new SnapcloneError({ kind: "config", message, hint });
  }

  private httpAddress(address: string, what: string): string {
    if (URL.canParse(address) && /^https?:$/.test(new URL(address).protocol)) return address.replace(/\/+$/, "");
    throw this.misconfigured(
      `${what} is not an http address: "${address}"`,
      `Set the endpoint in ${this.settings.source}.`,
    );
  }

  /** docs/wire/openstack.md#c2. */
  private explain({ status, json, headers }: RawResponse): Partial<ParsedError> | undefined {
    const { authUrl, source, auth } = this.settings;
    // The receipt says that the first factor was right (docs/wire/openstack.md#c2).
    if (status === 401 && headers["openstack-auth-receipt"] !== undefined) {
      registerSecret(headers["openstack-auth-receipt"]);
      const required = receiptSchema.safeParse(json).data?.required_auth_methods ?? [];
      // Sorted: Keystone keeps each rule as a set and lists its methods in another order after each start.
      const ways = required
        .map((methods) => [...methods].sort().join(" and "))
        .sort()
        .join(", or ");
      return {
        kind: "unauthorized",
        message: `the ${auth.method === "token" ? "token" : "password"} is right, and this user must sign in with more than one factor${ways ? `: ${ways}` : ""}`,
        hint: `A run cannot ask for a second factor. Make an application credential for this user (\`openstack application credential create\`), which needs none, and set it in ${source}.`,
      };
    }
    const fault = faultSchema.safeParse(json);
    if (status === 404 && !fault.success) {
      return {
        kind: "config",
        message: `there is no Keystone at ${authUrl}`,
        hint: `Correct the authentication URL in ${source}: Keystone's address up to and including /v3.`,
      };
    }
    if (status >= 300 && status < 400) {
      return {
        kind: "config",
        message: "the address has moved",
        hint: `Credentials are not sent after a redirect. Set the address it leads to in ${source}: often the same with https.`,
      };
    }
    if (!fault.success) return undefined;
    const { message, identity } = fault.data.error;
    const quoted = `"${firstLine(message)}"`;
    if (status === 400) {
      const domain = /Expecting to find domain in (user|project)/.exec(message)?.[1];
      const what = domain ? `A ${domain} given by name needs its domain. Set it` : "Check the credentials";
      return { kind: "config", message: quoted, hint: `${what} in ${source}.` };
    }
    if (status === 403) {
      return {
        kind: "forbidden",
        message: quoted,
        hint: `Keystone knows the credential in ${source} and does not let it in.`,
      };
    }
    // An unknown application credential and an unknown token are a 404 (docs/wire/openstack.md#c2).
    if (status !== 401 && status !== 404) return { message: quoted };
    const methods = identity?.methods?.length ? ` Keystone accepts: ${identity.methods.join(", ")}.` : "";
    return {
      kind: "unauthorized",
      message: quoted,
      hint: [
        `The credentials come from ${source}.${methods}`,
        CAUSES[auth.method],
        this.settings.sourceKind === "stackConfig" ? STALE_CONFIG : "",
      ]
        .filter((line) => line !== "")
        .join(" "),
    };
  }
}

const receiptSchema = z.looseObject({ required_auth_methods: z.array(z.array(z.string())).default([]) });

const faultSchema = z.looseObject({
  error: z.looseObject({
    message: z.string(),
    identity: z.looseObject({ methods: z.array(z.string()).optional() }).optional(),
  }),
});

const CAUSES: Record<OpenStackSettings["auth"]["method"], string> = {
  password:
    "Keystone gives one answer for all of these: a wrong password, an unknown or disabled user or its domain, an unknown or disabled project or its domain, no role on that project (domain, system), a locked account.",
  applicationCredential:
    "Check its id (or name and user) and secret, that it has not expired or been deleted, and that its user still has the roles it was made with.",
  token:
    "The token has expired, was revoked or has no role on the scope asked for. A token given as a credential cannot be renewed: issue a new one, or use a password or an application credential for runs that last.",
};

/** Seen on the real engine (docs/wire/pulumi-engine.md#rotation). */
const STALE_CONFIG =
  "`pulumi refresh` and `pulumi destroy` see the stack configuration of the last `pulumi up`: after a change of credentials run them with `--run-program`.";

function authBody(auth: OpenStackSettings["auth"]): unknown {
  switch (auth.method) {
    case "password":
      return {
        identity: { methods: ["password"], password: { user: { ...auth.user, password: auth.password } } },
        scope: scopeBody(auth.scope),
      };
    case "applicationCredential": {
      const { id, name, user, secret } = auth;
      // It carries its own scope, and Keystone refuses a second one (docs/wire/openstack.md#c2). With an id, name and
      // user say nothing more.
      const application_credential = id === undefined ? { name, user, secret } : { id, secret };
      return { identity: { methods: ["application_credential"], application_credential } };
    }
    case "token":
      return { identity: { methods: ["token"], token: { id: auth.token } }, scope: scopeBody(auth.scope) };
  }
}

type ScopedAuth = Exclude<OpenStackSettings["auth"], { method: "applicationCredential" }>;

function scopeBody(scope: ScopedAuth["scope"]): unknown {
  // Stated explicitly: without a scope Keystone takes the user's default project.
  if (scope === "unscoped") return "unscoped";
  return "system" in scope ? { system: { all: true } } : scope;
}

/**
 * The token's life by the server's own clock: `expires_at` less `issued_at`, or less the Date header. Without either, the
 * token counts as good until a service answers 401.
 */
function lifeMs({ issued_at, expires_at }: TokenBody, date: string | undefined): number {
  const end = Date.parse(expires_at);
  for (const start of [issued_at, date]) {
    const life = start === undefined ? Number.NaN : end - Date.parse(start);
    if (life > 0) return life;
  }
  return Number.POSITIVE_INFINITY;
}

function regionOf({ region, region_id }: Endpoint): string {
  return region_id ?? region ?? "no region";
}

function wasRejected(error: unknown): error is SnapcloneError {
  return isKind(error, "unauthorized") && error.parts.status === 401;
}

function queryString(query: Query | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) parameters.append(name, String(value));
  }
  return parameters.size === 0 ? "" : `?${parameters}`;
}

/** Keystone prints its JSON schema into some 400s (test/contract/exchanges/keystone.txt, "auth empty"). */
function firstLine(message: string): string {
  return message.split("\n", 1)[0] ?? message;
}
