// One login to an OpenStack cloud, shared by everything that uses the connection: the token, the service catalogue, and
// requests to the catalogue's services that carry the token.

import { z } from "zod";
import { isKind, registerSecret, SnapcloneError } from "../core/errors";
import {
  HttpClient,
  type HttpRequest,
  type HttpResponse,
  type ParsedError,
  type RawResponse,
} from "../core/http/client";
import type { Patience } from "../core/http/rateGate";
import { stopped, withAbort } from "../core/util/abort";
import { type Clock, systemClock } from "../core/util/clock";
import type { OpenStackSettings } from "./connection";

export type Service = "blockStorage" | "compute";

export interface ServiceRequest<T> extends Omit<HttpRequest<T>, "url" | "service"> {
  /** What follows the endpoint, beginning with "/". */
  path: string;
  query?: Query;
  /** Instead of the endpoint: another address of the same service, on the same origin, since the token goes there. */
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
    // Absent from an unscoped token (docs/wire/openstack.md#c1).
    catalog: z.array(z.looseObject({ type: z.string(), endpoints: z.array(endpointSchema) })).default([]),
  }),
});

type TokenBody = z.infer<typeof tokenSchema>["token"];
type Endpoint = z.infer<typeof endpointSchema> & { type: string };

interface Login {
  token: string;
  body: TokenBody;
  /** By the monotonic clock: from when a new token is asked for, and until when this one is good. */
  renewAt: number;
  expiresAt: number;
}

/** keystoneauth's MIN_TOKEN_LIFE_SECONDS (identity/base.py:34): long enough for a request to be checked on all its way. */
const MARGIN_MS = 120_000;

/** How long an unreachable Keystone is left alone: a wave of callers fails with the first, the next poll tries anew. */
const UNREACHABLE_MS = 2_000;

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
  private current: Login | undefined;
  private loggingIn: Promise<Login> | undefined;
  private failed: { error: SnapcloneError; until: number } | undefined;

  constructor(
    private readonly settings: OpenStackSettings,
    options: { http?: HttpClient; clock?: Clock; patience?: () => Patience } = {},
  ) {
    this.clock = options.clock ?? systemClock;
    this.ownsHttp = options.http === undefined;
    const { patience } = options;
    this.http =
      options.http ?? new HttpClient({ tls: settings.tls, clock: this.clock, ...(patience ? { patience } : {}) });
    const { auth } = settings;
    registerSecret(auth.method === "password" ? auth.password : auth.method === "token" ? auth.token : auth.secret);
  }

  async token(signal?: AbortSignal): Promise<string> {
    return (await this.login(signal)).token;
  }

  async userId(signal?: AbortSignal): Promise<string> {
    return (await this.login(signal)).body.user.id;
  }

  async projectId(signal?: AbortSignal): Promise<string> {
    return this.projectOf((await this.login(signal)).body);
  }

  /** The project and the region that a service is asked in: what an absence is proof for. */
  async identity(service: Service, signal?: AbortSignal): Promise<string> {
    const login = await this.login(signal);
    const region = this.place(service).region ?? this.regionIn(login, service);
    return `project ${this.projectOf(login.body)}${region === undefined ? "" : `, region ${region}`}`;
  }

  /** The service's clock; undefined before its first answer. */
  serverTime(service: Service): Date | undefined {
    return this.current && this.http.serverTime(this.endpointOf(this.current, service));
  }

  /** The service's address as the catalogue or the override has it, without a slash at the end. */
  async endpoint(service: Service, signal?: AbortSignal): Promise<string> {
    return this.endpointOf(await this.login(signal), service);
  }

  /**
   * Sends the request with the token. A 401 costs the token, one new login and one repetition, as in keystoneauth
   * (docs/wire/openstack.md#c3).
   */
  async request<T>(service: Service, request: ServiceRequest<T>): Promise<HttpResponse<T>> {
    const first = await this.login(request.signal);
    try {
      return await this.send(first, service, request);
    } catch (error) {
      if (!wasTurnedAway(error)) throw error;
    }
    // Of many requests that come back with the same old token only the first drops it; the others find the new one.
    if (this.current === first) this.current = undefined;
    const second = await this.login(request.signal);
    try {
      return await this.send(second, service, request);
    } catch (error) {
      if (!wasTurnedAway(error)) throw error;
      const { name } = SERVICES[service];
      const { method, path } = request;
      // keystonemiddleware answers so to what no access rule covers (auth_token/__init__.py, _validate_token).
      const rules =
        this.settings.auth.method === "applicationCredential"
          ? ` Or the application credential has access rules, and none of them allows ${method} ${path} (\`openstack application credential show\`, \`openstack access rule list\`).`
          : "";
      const hint = `Keystone issued this token a moment ago, so ${name} cannot check it: its endpoint belongs to another cloud, or its own link to Keystone ([keystone_authtoken]) is broken.${rules}`;
      throw new SnapcloneError({ ...error.parts, hint });
    }
  }

  /** Ends the connections. An Http that was handed in belongs to whoever made it. */
  async close(): Promise<void> {
    if (this.ownsHttp) await this.http.close();
  }

  private async login(signal: AbortSignal | undefined): Promise<Login> {
    if (signal?.aborted) throw stopped();
    if (this.current && this.clock.now() < this.current.renewAt) return this.current;
    // One login for all who wait: it obeys nobody's signal, each waits for it as long as its own allows.
    this.loggingIn ??= this.authenticate().finally(() => {
      this.loggingIn = undefined;
    });
    try {
      return await withAbort(this.loggingIn, signal);
    } catch (error) {
      // Keystone is away, the token still has part of its margin left: go on with it.
      const { current } = this;
      if (isKind(error, "transient") && current && this.clock.now() < current.expiresAt) return current;
      throw error;
    }
  }

  private async authenticate(): Promise<Login> {
    if (this.failed && this.clock.now() < this.failed.until) throw this.failed.error;
    try {
      this.current = await this.issueToken();
      this.failed = undefined;
      return this.current;
    } catch (error) {
      const failure = this.asLoginFailure(error);
      // A credential that was refused is refused for the life of this session: asking again for each of a hundred
      // resources locks the account ([security_compliance] lockout_failure_attempts in keystone.conf).
      const passing = isKind(failure, "transient", "malformed");
      this.failed = { error: failure, until: passing ? this.clock.now() + UNREACHABLE_MS : Number.POSITIVE_INFINITY };
      throw failure;
    }
  }

  private async issueToken(): Promise<Login> {
    const { settings } = this;
    // Before the request, so that the time on the wire shortens the token's life here and never lengthens it.
    const asked = this.clock.now();
    const answer = await this.http.request({
      method: "POST",
      url: `${settings.authUrl.replace(/\/+$/, "")}/auth/tokens`,
      service: "Keystone",
      body: { auth: authBody(settings.auth) },
      // It changes nothing at the other end.
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
    // A token made from a token keeps the first one's end (docs/wire/openstack.md#c1): asking before that end brings
    // nothing.
    const margin = settings.auth.method === "token" ? 0 : Math.min(MARGIN_MS, life / 2);
    return { token, body, renewAt: asked + life - margin, expiresAt: asked + life };
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

  private endpointOf({ body }: Login, service: Service): string {
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
    // The same type may occur more than once, also without endpoints (docs/wire/openstack.md#c1): look through all
    // entries.
    const all = body.catalog.flatMap(({ type, endpoints }) => endpoints.map((endpoint) => ({ ...endpoint, type })));
    for (const type of wanted) {
      const found = all.filter((endpoint) => endpoint.type === type && this.matches(endpoint, service));
      const [first] = found;
      if (!first) continue;
      const regions = new Set(found.map(regionOf));
      // Taking the first, as other clients do, would look for a resource in the wrong region and report it gone.
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

  /** Where the settings name no region: the catalogue's, if there is only one. */
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

  /** Which of a service's endpoints: its own settings go before the connection's. */
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

  private asLoginFailure(error: unknown): SnapcloneError {
    const operation = `log in at ${this.settings.authUrl}`;
    if (error instanceof SnapcloneError) return error.withOperation(operation);
    return new SnapcloneError({ kind: "failed", message: String(error), operation, cause: error });
  }

  /** docs/wire/openstack.md#c2. */
  private explain({ status, json, headers }: RawResponse): Partial<ParsedError> | undefined {
    const { authUrl, source, auth } = this.settings;
    // Not a refusal: the first factor was right, and here is a receipt for it (Keystone's guide, "Multi-Factor Auth").
    if (status === 401 && headers["openstack-auth-receipt"] !== undefined) {
      registerSecret(headers["openstack-auth-receipt"]);
      const required = receiptSchema.safeParse(json).data?.required_auth_methods ?? [];
      const ways = required.map((methods) => methods.join(" and ")).join(", or ");
      return {
        kind: "unauthorized",
        message: `the ${auth.method === "token" ? "token" : "password"} is right, and this user must sign in with more than one factor${ways ? `: ${ways}` : ""}`,
        hint: `A run has nobody to ask for a second factor. Make an application credential for this user (\`openstack application credential create\`), which needs none, and set it in ${source}.`,
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
    const said = `"${brief(message)}"`;
    if (status === 400) {
      const domain = /Expecting to find domain in (user|project)/.exec(message)?.[1];
      const what = domain ? `A ${domain} given by name needs its domain. Set it` : "Check the credentials";
      return { kind: "config", message: said, hint: `${what} in ${source}.` };
    }
    if (status === 403) {
      return {
        kind: "forbidden",
        message: said,
        hint: `Keystone knows the credential in ${source} and does not let it in.`,
      };
    }
    // An unknown application credential and an unknown token are a 404 (docs/wire/openstack.md#c2).
    if (status !== 401 && status !== 404) return { message: said };
    const methods = identity?.methods?.length ? ` Keystone accepts: ${identity.methods.join(", ")}.` : "";
    return {
      kind: "unauthorized",
      message: said,
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
  // Said in so many words: without a scope Keystone takes the user's default project.
  if (scope === "unscoped") return "unscoped";
  return "system" in scope ? { system: { all: true } } : scope;
}

/**
 * How long the token is good, told by the server's own clock on both ends: `issued_at` and `expires_at` are stamped
 * together, the Date header is second best. Without either, until a service says 401.
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

function wasTurnedAway(error: unknown): error is SnapcloneError {
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
function brief(message: string): string {
  return message.split("\n", 1)[0] ?? message;
}
