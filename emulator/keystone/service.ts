// Keystone v3 as keystone 22.0.2 answers (docs/wire/openstack.md#c, test/contract/exchanges/keystone.txt): tokens by
// password, application credential and token, the service catalogue, and the little administration a set-up needs.

import type { Clock } from "../core/clock";
import {
  type Call,
  type EmulatorRequest,
  header,
  isKnownPath,
  isObject,
  json,
  matchRoute,
  type OperationInfo,
  type Reply,
  type Route,
  type Service,
  UNROUTED,
} from "../core/http";
import type { Ids } from "../core/ids";

export interface Domain {
  id: string;
  name: string;
}

export interface User {
  id: string;
  name: string;
  password: string;
  domainId: string;
  enabled: boolean;
}

export interface Project {
  id: string;
  name: string;
  domainId: string;
}

export interface Role {
  id: string;
  name: string;
}

/** Roles of a user on a project, or on the system when projectId is null. */
export interface Assignment {
  userId: string;
  projectId: string | null;
  roles: string[];
}

export interface ApplicationCredential {
  id: string;
  name: string;
  description: string | null;
  secret: string;
  userId: string;
  projectId: string;
  roles: string[];
  /** ISO time or null. */
  expiresAt: string | null;
  unrestricted: boolean | null;
}

export interface Token {
  id: string;
  userId: string;
  methods: string[];
  auditIds: string[];
  issuedAtMs: number;
  expiresAtMs: number;
  projectId: string | null;
  system: boolean;
  roles: string[];
  applicationCredentialId: string | null;
  revoked: boolean;
}

export interface CatalogueEndpoint {
  id: string;
  interface: "public" | "internal" | "admin";
  region: string;
  /** May contain {origin} (where the emulator is seen) and %(project_id)s. */
  url: string;
}

export interface CatalogueEntry {
  id: string;
  type: string;
  name: string;
  endpoints: CatalogueEndpoint[];
}

/** Who is asking, as the services behind Keystone see it. */
export interface Identity {
  readonly userId: string;
  readonly projectId: string | null;
  readonly roles: readonly string[];
  readonly isAdmin: boolean;
}

export const REGION = "RegionOne";

/** The state behind the API. Everything is plain and may be changed by a test at any time. */
export class KeystoneModel {
  readonly domains = new Map<string, Domain>();
  readonly projects = new Map<string, Project>();
  readonly users = new Map<string, User>();
  readonly roles = new Map<string, Role>();
  readonly applicationCredentials = new Map<string, ApplicationCredential>();
  readonly tokens = new Map<string, Token>();
  assignments: Assignment[] = [];
  catalogue: CatalogueEntry[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly ids: Ids,
    private readonly tokenLife: () => number,
  ) {
    this.reset();
  }

  reset(): void {
    for (const map of [this.domains, this.projects, this.users, this.roles, this.applicationCredentials, this.tokens])
      map.clear();
    this.assignments = [];
    this.catalogue = [];
    this.seed();
  }

  createProject(project: { name: string; id?: string; domainId?: string }): Project {
    const row: Project = {
      id: project.id ?? this.ids.hex("project"),
      name: project.name,
      domainId: project.domainId ?? "default",
    };
    this.projects.set(row.id, row);
    return row;
  }

  createUser(user: { name: string; password: string; id?: string; domainId?: string }): User {
    const row: User = {
      id: user.id ?? this.ids.hex("user"),
      name: user.name,
      password: user.password,
      domainId: user.domainId ?? "default",
      enabled: true,
    };
    this.users.set(row.id, row);
    return row;
  }

  /** Roles on a project, or on the system with null. */
  assign(userId: string, projectId: string | null, roles: readonly string[]): void {
    this.assignments = this.assignments.filter((a) => a.userId !== userId || a.projectId !== projectId);
    this.assignments.push({ userId, projectId, roles: [...roles] });
  }

  createApplicationCredential(given: {
    userId: string;
    projectId: string;
    name: string;
    id?: string;
    secret?: string;
    description?: string | null;
    roles?: readonly string[];
    expiresAt?: string | null;
    unrestricted?: boolean | null;
  }): ApplicationCredential {
    const row: ApplicationCredential = {
      id: given.id ?? this.ids.hex("application credential"),
      name: given.name,
      description: given.description ?? null,
      secret: given.secret ?? this.ids.hex("application credential secret"),
      userId: given.userId,
      projectId: given.projectId,
      roles: [...(given.roles ?? this.rolesOn(given.userId, given.projectId))],
      expiresAt: given.expiresAt ?? null,
      unrestricted: given.unrestricted ?? null,
    };
    this.applicationCredentials.set(row.id, row);
    return row;
  }

  addService(entry: {
    type: string;
    name: string;
    id?: string;
    url?: string;
    interfaces?: readonly CatalogueEndpoint["interface"][];
  }): CatalogueEntry {
    const { url } = entry;
    const interfaces = url === undefined ? [] : (entry.interfaces ?? INTERFACES);
    const row: CatalogueEntry = {
      id: entry.id ?? this.ids.hex("service"),
      type: entry.type,
      name: entry.name,
      endpoints: interfaces.map((name) => ({
        id: this.ids.hex("endpoint"),
        interface: name,
        region: REGION,
        url: url ?? "",
      })),
    };
    this.catalogue.push(row);
    return row;
  }

  /** A token as Keystone would issue it; for tests that want one without asking. */
  issue(given: Omit<Token, "id" | "issuedAtMs" | "expiresAtMs" | "auditIds" | "revoked"> & { parent?: Token }): Token {
    const now = this.clock.nowMs();
    const { parent, ...rest } = given;
    const token: Token = {
      ...rest,
      id: this.ids.token(),
      // exchanges: 'token rescope' has the new audit id first, then that of the token it came from
      auditIds: [this.ids.audit(), ...(parent?.auditIds.slice(-1) ?? [])],
      issuedAtMs: now,
      // a rescoped token keeps the end of the first one (docs/wire/openstack.md#c1; exchanges: 'token rescope')
      expiresAtMs: parent?.expiresAtMs ?? now + this.tokenLife(),
      revoked: false,
    };
    this.tokens.set(token.id, token);
    return token;
  }

  /** The token if it is good now. */
  valid(id: string | undefined): Token | undefined {
    const token = id === undefined ? undefined : this.tokens.get(id);
    if (token === undefined || token.revoked || token.expiresAtMs <= this.clock.nowMs()) return undefined;
    return this.users.get(token.userId)?.enabled === true ? token : undefined;
  }

  identify(tokenId: string | undefined): Identity | undefined {
    const token = this.valid(tokenId);
    if (token === undefined) return undefined;
    const { userId, projectId, roles } = token;
    return { userId, projectId, roles, isAdmin: roles.includes("admin") };
  }

  revoke(id: string): void {
    const token = this.tokens.get(id);
    if (token !== undefined) token.revoked = true;
  }

  revokeAll(): void {
    for (const token of this.tokens.values()) token.revoked = true;
  }

  /** All tokens have reached their end; their printed expires_at stays what clients have been told. */
  expireAll(): void {
    const now = this.clock.nowMs();
    for (const token of this.tokens.values()) token.expiresAtMs = Math.min(token.expiresAtMs, now);
  }

  rolesOn(userId: string, projectId: string | null): string[] {
    return this.assignments.find((a) => a.userId === userId && a.projectId === projectId)?.roles ?? [];
  }

  projectNamed(name: string): Project {
    const project = [...this.projects.values()].find((p) => p.name === name);
    if (project === undefined) throw new Error(`the emulator has no project ${name}`);
    return project;
  }

  userNamed(name: string): User {
    const user = [...this.users.values()].find((u) => u.name === name);
    if (user === undefined) throw new Error(`the emulator has no user ${name}`);
    return user;
  }

  private seed(): void {
    this.domains.set("default", { id: "default", name: "Default" });
    for (const name of ["admin", "member", "reader"]) {
      const id = this.ids.hex("role");
      this.roles.set(name, { id, name });
    }
    const [demo, other, admin] = ["demo", "other", "admin"].map((name) => ({
      project: this.createProject({ name }),
      user: this.createUser({ name, password: "secret" }),
    }));
    if (demo === undefined || other === undefined || admin === undefined) return;
    this.assign(demo.user.id, demo.project.id, ["member", "reader"]);
    this.assign(other.user.id, other.project.id, ["member", "reader"]);
    for (const scope of [admin.project.id, demo.project.id, null])
      this.assign(admin.user.id, scope, ["admin", "member", "reader"]);
    this.createApplicationCredential({
      userId: demo.user.id,
      projectId: demo.project.id,
      name: "ci",
      secret: "app-secret",
    });
    this.addService({ type: "identity", name: "keystone", url: "{origin}/identity/v3/" });
    // A twin without endpoints comes first, as on the real one (exchanges: 'with catalog').
    this.addService({ type: "volumev3", name: "cinderv3" });
    this.addService({ type: "volumev3", name: "cinderv3", url: "{origin}/volume/v3/%(project_id)s" });
    this.addService({ type: "block-storage", name: "cinder", url: "{origin}/volume/v3/%(project_id)s" });
    // PowerVC's Cinder, under the type that IBM's own clients look for (docs/wire/powervc.md#f3).
    this.addService({ type: "volume", name: "powervc", url: "{origin}/powervc/openstack/volume/v3/%(project_id)s" });
    this.addService({ type: "compute", name: "nova", url: "{origin}/compute/v2.1" });
  }
}

const INTERFACES = ["public", "internal", "admin"] as const;

type Handler = (request: EmulatorRequest, params: Readonly<Record<string, string>>) => Reply;

export class KeystoneService implements Service {
  readonly name = "keystone";
  readonly prefix = "/identity";
  private readonly routes: readonly Route<Handler>[];

  constructor(
    readonly model: KeystoneModel,
    private readonly ids: Ids,
    private readonly clock: Clock,
  ) {
    this.routes = this.buildRoutes();
  }

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    const match = matchRoute(this.routes, request.method, path);
    if (match !== undefined) {
      const { operation, handler } = match.route;
      return { operation, run: () => this.finish(() => handler(request, match.params), request) };
    }
    return { operation: UNROUTED, run: () => this.finish(() => unrouted(isKnownPath(this.routes, path)), request) };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
    return this.finish(() => {
      throw new KeystoneError(status, status === 401 ? UNAUTHORIZED : "The emulator was told to answer like this.");
    }, request);
  }

  operations(): readonly OperationInfo[] {
    return this.routes.map(({ operation, method, path }) => ({ operation, method, path: `${this.prefix}${path}` }));
  }

  state(): unknown {
    const { model } = this;
    return {
      projects: [...model.projects.values()],
      users: [...model.users.values()].map(({ password: _, ...user }) => user),
      assignments: model.assignments,
      applicationCredentials: [...model.applicationCredentials.values()].map(({ secret: _, ...rest }) => rest),
      catalogue: model.catalogue,
      tokens: [...model.tokens.values()].filter((token) => model.valid(token.id) !== undefined).length,
    };
  }

  reset(): void {
    this.model.reset();
  }

  private buildRoutes(): Route<Handler>[] {
    const route = (operation: string, method: string, path: string, handler: Handler) => ({
      operation,
      method,
      path,
      handler,
    });
    return [
      route("versions.list", "GET", "", (request) => this.listVersions(request)),
      route("versions.list", "GET", "/", (request) => this.listVersions(request)),
      route("versions.show", "GET", "/v3", (request) => json(200, { version: version(request) })),
      route("versions.show", "GET", "/v3/", (request) => json(200, { version: version(request) })),
      route("tokens.issue", "POST", "/v3/auth/tokens", (request) => this.issueToken(request)),
      route("tokens.validate", "GET", "/v3/auth/tokens", (request) => this.validateToken(request)),
      route("tokens.check", "HEAD", "/v3/auth/tokens", (request) => ({ ...this.validateToken(request), body: "" })),
      route("tokens.revoke", "DELETE", "/v3/auth/tokens", (request) => this.revokeToken(request)),
      route("catalog.list", "GET", "/v3/auth/catalog", (request) => this.listCatalog(request)),
      route("projects.mine", "GET", "/v3/auth/projects", (request) => this.listOwnProjects(request)),
      route("application_credentials.create", "POST", "/v3/users/{user}/application_credentials", (request, { user }) =>
        this.createApplicationCredential(request, user ?? ""),
      ),
      route("application_credentials.list", "GET", "/v3/users/{user}/application_credentials", (request, { user }) =>
        this.listApplicationCredentials(request, user ?? ""),
      ),
      route(
        "application_credentials.delete",
        "DELETE",
        "/v3/users/{user}/application_credentials/{id}",
        (request, params) => this.deleteApplicationCredential(request, params.user ?? "", params.id ?? ""),
      ),
      route("services.create", "POST", "/v3/services", (request) => this.createService(request)),
      route("endpoints.create", "POST", "/v3/endpoints", (request) => this.createEndpoint(request)),
    ];
  }

  /** Errors become Keystone's error bodies; every answer gets the headers every answer has. */
  private finish(handle: () => Reply, request: EmulatorRequest): Reply {
    const reply = errorsToReplies(handle, request);
    return {
      ...reply,
      headers: { ...reply.headers, Vary: "X-Auth-Token", "x-openstack-request-id": `req-${this.ids.uuid("request")}` },
    };
  }

  private listVersions(request: EmulatorRequest): Reply {
    // exchanges: 'versions'
    return json(300, { versions: { values: [version(request)] } }, { Location: `${request.origin}/identity/v3/` });
  }

  private issueToken(request: EmulatorRequest): Reply {
    const auth = readAuth(request);
    const { identity, scope } = checkShape(auth);
    checkMethods(identity);
    const wanted = this.readScope(identity, scope);
    const proof = this.authenticate(identity);
    const token = this.model.issue(this.scoped(proof, wanted));
    const withCatalogue = !request.query.has("nocatalog");
    return json(201, { token: this.view(token, request, withCatalogue) }, { "X-Subject-Token": token.id });
  }

  /** What the token shall be for, looked up before anybody is authenticated (keystone/auth/core.py AuthInfo.create). */
  private readScope(identity: AuthIdentity, scope: unknown): Scope {
    if (scope === undefined) return { kind: "default" };
    if (identity.methods.includes("application_credential"))
      // exchanges: 'app cred with scope'
      throw new KeystoneError(
        401,
        "Error authenticating with application credential: Application credentials cannot request a scope.",
        { identity: {} },
      );
    if (scope === "unscoped") return { kind: "unscoped" };
    const kinds = isObject(scope)
      ? ["system", "project", "domain", "OS-TRUST:trust", "unscoped"].filter((key) => key in scope)
      : [];
    const [kind] = kinds;
    // exchanges: 'two scopes', 'empty scope' have the same text
    if (!isObject(scope) || kind === undefined || kinds.length > 1)
      throw expecting("system, project, domain, OS-TRUST:trust or unscoped", "scope");
    if (kind === "unscoped") return { kind: "unscoped" };
    if (kind === "system") return { kind: "system" };
    if (kind === "project") {
      const project = this.findProject(scope.project);
      if (project === undefined) throw unauthorized();
      return { kind: "project", projectId: project.id };
    }
    // Nobody has a role on a domain or a trust here; Keystone then says the same as for a wrong password
    // (exchanges: 'domain scope').
    throw unauthorized();
  }

  private authenticate(identity: AuthIdentity): Proof {
    const proofs = identity.methods.map((method) => {
      if (method === "password") return this.byPassword(identity.password);
      if (method === "token") return this.byToken(identity.token);
      return this.byApplicationCredential(identity.application_credential);
    });
    const [first] = proofs;
    if (first === undefined || proofs.some((proof) => proof.user !== first.user)) throw unauthorized();
    return { ...first, methods: [...new Set(proofs.flatMap((proof) => proof.methods))] };
  }

  private byPassword(given: unknown): Proof {
    if (!isObject(given) || !isObject(given.user)) throw expecting("user", "password");
    const user = this.findUser(given.user);
    if (user === undefined || !user.enabled || user.password !== given.user.password) throw unauthorized();
    return { user, methods: ["password"] };
  }

  private byToken(given: unknown): Proof {
    const id = isObject(given) && typeof given.id === "string" ? given.id : "";
    const token = this.knownToken(id);
    const user = this.model.users.get(token.userId);
    if (user === undefined) throw unauthorized();
    return { user, methods: ["token", ...token.methods.filter((method) => method !== "token")], parent: token };
  }

  private byApplicationCredential(given: unknown): Proof {
    if (!isObject(given)) throw expecting("application_credential", "identity");
    const credential = this.findApplicationCredential(given);
    if (credential === undefined) throw unauthorized();
    const user = this.model.users.get(credential.userId);
    const expired = credential.expiresAt !== null && Date.parse(credential.expiresAt) <= this.clock.nowMs();
    if (user === undefined || !user.enabled || expired || credential.secret !== given.secret) throw unauthorized();
    return { user, methods: ["application_credential"], credential };
  }

  private findApplicationCredential(given: Record<string, unknown>): ApplicationCredential | undefined {
    if (typeof given.id === "string") {
      const found = this.model.applicationCredentials.get(given.id);
      // exchanges: 'app cred unknown': 404, not 401
      if (found === undefined) throw new KeystoneError(404, `Could not find Application Credential: ${given.id}.`);
      return found;
    }
    if (typeof given.name !== "string") throw expecting("id or name", "application_credential");
    if (!isObject(given.user)) throw expecting("user", "application_credential");
    const user = this.findUser(given.user);
    return [...this.model.applicationCredentials.values()].find((c) => c.name === given.name && c.userId === user?.id);
  }

  private scoped(proof: Proof, scope: Scope): Parameters<KeystoneModel["issue"]>[0] {
    const { user, methods, parent, credential } = proof;
    const base = {
      userId: user.id,
      methods,
      applicationCredentialId: credential?.id ?? parent?.applicationCredentialId ?? null,
      ...(parent ? { parent } : {}),
    };
    if (credential !== undefined)
      return { ...base, projectId: credential.projectId, system: false, roles: credential.roles };
    if (scope.kind === "project") {
      const bound = this.model.applicationCredentials.get(parent?.applicationCredentialId ?? "");
      const roles =
        bound === undefined
          ? this.model.rolesOn(user.id, scope.projectId)
          : bound.projectId === scope.projectId
            ? bound.roles
            : [];
      if (roles.length === 0) throw unauthorized();
      return { ...base, projectId: scope.projectId, system: false, roles };
    }
    if (scope.kind === "system") {
      const roles = this.model.rolesOn(user.id, null);
      if (roles.length === 0) throw unauthorized();
      return { ...base, projectId: null, system: true, roles };
    }
    return { ...base, projectId: null, system: false, roles: [] };
  }

  private findUser(given: Record<string, unknown>): User | undefined {
    if (typeof given.id === "string") return this.model.users.get(given.id);
    if (typeof given.name !== "string") throw expecting("id or name", "user");
    const domain = this.findDomain(given.domain, "user");
    return [...this.model.users.values()].find((user) => user.name === given.name && user.domainId === domain?.id);
  }

  private findProject(given: unknown): Project | undefined {
    if (!isObject(given)) throw expecting("id or name", "project");
    if (typeof given.id === "string") return this.model.projects.get(given.id);
    if (typeof given.name !== "string") throw expecting("id or name", "project");
    const domain = this.findDomain(given.domain, "project");
    return [...this.model.projects.values()].find(
      (project) => project.name === given.name && project.domainId === domain?.id,
    );
  }

  private findDomain(given: unknown, of: string): Domain | undefined {
    // exchanges: 'no user domain', 'project without domain'
    if (!isObject(given)) throw expecting("domain", of);
    if (typeof given.id === "string") return this.model.domains.get(given.id);
    if (typeof given.name !== "string") throw expecting("id or name", "domain");
    return [...this.model.domains.values()].find((domain) => domain.name === given.name);
  }

  /** A token given as data (not as the caller's own): the two ways to be bad both end in 404. */
  private knownToken(id: string): Token {
    // exchanges: 'bad token', 'validate bogus'
    if (!this.model.tokens.has(id)) throw new KeystoneError(404, "Could not recognize Fernet token");
    const token = this.model.valid(id);
    // keystone/token/provider.py _is_valid_token, check_revocation
    if (token === undefined) throw new KeystoneError(404, "Failed to validate token");
    return token;
  }

  private caller(request: EmulatorRequest): Token {
    const token = this.model.valid(header(request, "X-Auth-Token"));
    // exchanges: 'no token', 'catalog after revoke'
    if (token === undefined) throw unauthorized();
    return token;
  }

  private admin(request: EmulatorRequest, action: string): void {
    if (!this.caller(request).roles.includes("admin")) throw forbidden(action);
  }

  private subject(request: EmulatorRequest, action: string): Token {
    const caller = this.caller(request);
    const subject = this.knownToken(header(request, "X-Subject-Token") ?? "");
    if (subject.userId !== caller.userId && !caller.roles.includes("admin")) throw forbidden(action);
    return subject;
  }

  private validateToken(request: EmulatorRequest): Reply {
    const subject = this.subject(request, "identity:validate_token");
    const withCatalogue = !request.query.has("nocatalog");
    return json(200, { token: this.view(subject, request, withCatalogue) }, { "X-Subject-Token": subject.id });
  }

  private revokeToken(request: EmulatorRequest): Reply {
    this.model.revoke(this.subject(request, "identity:revoke_token").id);
    return { status: 204, headers: {}, body: "" };
  }

  private listCatalog(request: EmulatorRequest): Reply {
    const caller = this.caller(request);
    return json(200, {
      catalog: this.catalogueOf(caller, request.origin),
      links: { self: `${request.origin}/identity/v3/auth/catalog` },
    });
  }

  private listOwnProjects(request: EmulatorRequest): Reply {
    const caller = this.caller(request);
    const projects = [...this.model.projects.values()]
      .filter((project) => this.model.rolesOn(caller.userId, project.id).length > 0)
      .map(({ id, name, domainId }) => ({
        id,
        name,
        domain_id: domainId,
        enabled: true,
        is_domain: false,
        parent_id: domainId,
      }));
    return json(200, {
      projects,
      links: { self: `${request.origin}/identity/v3/auth/projects`, next: null, previous: null },
    });
  }

  private createApplicationCredential(request: EmulatorRequest, userId: string): Reply {
    const caller = this.caller(request);
    if (caller.userId !== userId) throw forbidden("identity:create_application_credential");
    const body = readJson(request);
    const given = isObject(body) ? body.application_credential : undefined;
    if (!isObject(given) || typeof given.name !== "string" || caller.projectId === null)
      throw expecting("name", "application_credential");
    const row = this.model.createApplicationCredential({
      userId,
      projectId: caller.projectId,
      name: given.name,
      roles: caller.roles,
      ...(typeof given.secret === "string" ? { secret: given.secret } : {}),
      ...(typeof given.description === "string" ? { description: given.description } : {}),
      ...(typeof given.expires_at === "string" ? { expiresAt: given.expires_at } : {}),
      ...(typeof given.unrestricted === "boolean" ? { unrestricted: given.unrestricted } : {}),
    });
    return json(201, { application_credential: { ...this.credentialView(row, request), secret: row.secret } });
  }

  private listApplicationCredentials(request: EmulatorRequest, userId: string): Reply {
    if (this.caller(request).userId !== userId) throw forbidden("identity:list_application_credentials");
    const rows = [...this.model.applicationCredentials.values()].filter((row) => row.userId === userId);
    return json(200, { application_credentials: rows.map((row) => this.credentialView(row, request)) });
  }

  private deleteApplicationCredential(request: EmulatorRequest, userId: string, id: string): Reply {
    if (this.caller(request).userId !== userId) throw forbidden("identity:delete_application_credential");
    if (!this.model.applicationCredentials.delete(id))
      throw new KeystoneError(404, `Could not find Application Credential: ${id}.`);
    for (const token of this.model.tokens.values()) if (token.applicationCredentialId === id) token.revoked = true;
    return { status: 204, headers: {}, body: "" };
  }

  private createService(request: EmulatorRequest): Reply {
    this.admin(request, "identity:create_service");
    const body = readJson(request);
    const given = isObject(body) ? body.service : undefined;
    if (!isObject(given) || typeof given.type !== "string") throw expecting("type", "service");
    const name = typeof given.name === "string" ? given.name : "";
    const entry = this.model.addService({ type: given.type, name });
    const links = { self: `${request.origin}/identity/v3/services/${entry.id}` };
    return json(201, { service: { name, id: entry.id, type: entry.type, enabled: true, links } });
  }

  private createEndpoint(request: EmulatorRequest): Reply {
    this.admin(request, "identity:create_endpoint");
    const body = readJson(request);
    const given = isObject(body) ? body.endpoint : undefined;
    const kind = INTERFACES.find((name) => isObject(given) && given.interface === name);
    if (!isObject(given) || typeof given.service_id !== "string" || typeof given.url !== "string" || kind === undefined)
      throw expecting("service_id, interface and url", "endpoint");
    const service = this.model.catalogue.find((entry) => entry.id === given.service_id);
    if (service === undefined) throw new KeystoneError(400, `Service ${given.service_id} does not exist.`);
    const region = typeof given.region_id === "string" ? given.region_id : REGION;
    const endpoint: CatalogueEndpoint = { id: this.ids.hex("endpoint"), interface: kind, region, url: given.url };
    service.endpoints.push(endpoint);
    return json(201, {
      endpoint: {
        id: endpoint.id,
        interface: kind,
        region_id: region,
        service_id: service.id,
        url: endpoint.url,
        enabled: true,
        region,
        links: { self: `${request.origin}/identity/v3/endpoints/${endpoint.id}` },
      },
    });
  }

  /** Keys in the order of exchanges: 'password project scoped', 'system scope', 'app cred by id'. */
  private view(token: Token, request: EmulatorRequest, withCatalogue: boolean): Record<string, unknown> {
    const user = this.model.users.get(token.userId);
    const project = token.projectId === null ? undefined : this.model.projects.get(token.projectId);
    const credential = this.model.applicationCredentials.get(token.applicationCredentialId ?? "");
    const isScoped = project !== undefined || token.system;
    return {
      methods: token.methods,
      user: { domain: this.domainView(user?.domainId), id: token.userId, name: user?.name, password_expires_at: null },
      audit_ids: token.auditIds,
      expires_at: seconds(token.expiresAtMs),
      issued_at: seconds(token.issuedAtMs),
      ...(project
        ? {
            project: { domain: this.domainView(project.domainId), id: project.id, name: project.name },
            is_domain: false,
          }
        : {}),
      ...(isScoped ? { roles: token.roles.map((name) => this.model.roles.get(name) ?? { id: name, name }) } : {}),
      ...(token.system ? { system: { all: true } } : {}),
      ...(isScoped && withCatalogue ? { catalog: this.catalogueOf(token, request.origin) } : {}),
      ...(credential
        ? {
            application_credential: {
              id: credential.id,
              name: credential.name,
              restricted: credential.unrestricted !== true,
            },
          }
        : {}),
    };
  }

  private catalogueOf(token: Token, origin: string): unknown[] {
    return this.model.catalogue.map(({ id, type, name, endpoints }) => ({
      endpoints: endpoints
        // An endpoint whose template needs a project is left out of a token without one (docs/wire/openstack.md#c1).
        .filter((endpoint) => token.projectId !== null || !endpoint.url.includes(PROJECT_TEMPLATE))
        .map((endpoint) => ({
          id: endpoint.id,
          interface: endpoint.interface,
          region_id: endpoint.region,
          url: endpoint.url.replace("{origin}", origin).replace(PROJECT_TEMPLATE, token.projectId ?? ""),
          region: endpoint.region,
        })),
      id,
      type,
      name,
    }));
  }

  private domainView(id: string | undefined): Domain | null {
    const domain = this.model.domains.get(id ?? "");
    return domain === undefined ? null : { id: domain.id, name: domain.name };
  }

  private credentialView(row: ApplicationCredential, request: EmulatorRequest): Record<string, unknown> {
    return {
      id: row.id,
      name: row.name,
      description: row.description,
      user_id: row.userId,
      project_id: row.projectId,
      system: null,
      expires_at: row.expiresAt,
      unrestricted: row.unrestricted,
      roles: row.roles.map((name) => ({
        id: this.model.roles.get(name)?.id ?? name,
        name,
        domain_id: null,
        description: null,
        options: { immutable: true },
      })),
      links: { self: `${request.origin}/identity/v3/application_credentials/${row.id}` },
    };
  }
}

const PROJECT_TEMPLATE = "%(project_id)s";
const UNAUTHORIZED = "The request you have made requires authentication.";
const COULD_NOT_COMPLY =
  "The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.";

type Scope = { kind: "default" } | { kind: "unscoped" } | { kind: "system" } | { kind: "project"; projectId: string };

interface Proof {
  readonly user: User;
  readonly methods: string[];
  readonly parent?: Token;
  readonly credential?: ApplicationCredential;
}

interface AuthIdentity extends Record<string, unknown> {
  readonly methods: readonly string[];
}

class KeystoneError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly extra: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}

function errorsToReplies(handle: () => Reply, request: EmulatorRequest): Reply {
  try {
    return handle();
  } catch (error) {
    if (!(error instanceof KeystoneError)) throw error;
    const { status, message, extra } = error;
    const headers = status === 401 ? { "WWW-Authenticate": `Keystone uri="${request.origin}/identity/v3"` } : undefined;
    return json(status, { error: { code: status, ...extra, message, title: TITLES[status] ?? "Error" } }, headers);
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

function unauthorized(): KeystoneError {
  return new KeystoneError(401, UNAUTHORIZED);
}

function forbidden(action: string): KeystoneError {
  return new KeystoneError(403, `You are not authorized to perform the requested action: ${action}.`);
}

/** keystone/exception.py ValidationError. */
function expecting(attribute: string, target: string): KeystoneError {
  return new KeystoneError(400, `Expecting to find ${attribute} in ${target}. ${COULD_NOT_COMPLY}`);
}

function readJson(request: EmulatorRequest): unknown {
  const type = header(request, "Content-Type")?.split(";")[0]?.trim();
  // exchanges: 'text/plain', 'bad json'
  if (request.text !== "" && type !== "application/json")
    throw new KeystoneError(400, `Expecting to find application/json in Content-Type header. ${COULD_NOT_COMPLY}`);
  try {
    return JSON.parse(request.text);
  } catch {
    throw new KeystoneError(400, `Expecting to find valid JSON in request body. ${COULD_NOT_COMPLY}`);
  }
}

function readAuth(request: EmulatorRequest): Record<string, unknown> {
  const body = readJson(request);
  const auth = isObject(body) ? body.auth : undefined;
  // exchanges: 'empty'
  if (!isObject(auth)) throw expecting("auth", "request body");
  return auth;
}

function checkShape(auth: Record<string, unknown>): { identity: AuthIdentity; scope: unknown } {
  const { identity, scope } = auth;
  if (!isObject(identity)) throw schemaError("'identity' is a required property");
  const { methods } = identity;
  if (!Array.isArray(methods)) throw schemaError("'methods' is a required property");
  return { identity: { ...identity, methods: methods.map(String) }, scope };
}

function checkMethods(identity: AuthIdentity): void {
  // keystone/auth/core.py _validate_auth_methods: first that each has its data, then that each is supported
  const missing = identity.methods.find((method) => !(method in identity));
  if (missing !== undefined) throw expecting(missing, "identity");
  const supported = ["external", "password", "token", "oauth1", "mapped", "application_credential"];
  if (
    identity.methods.length === 0 ||
    identity.methods.some((method) => !["password", "token", "application_credential"].includes(method))
  )
    throw new KeystoneError(401, "Attempted to authenticate with an unsupported method.", {
      identity: { methods: supported },
    });
}

/** jsonschema's text goes on with the whole schema (exchanges: 'auth empty'); its beginning is what tells something. */
function schemaError(message: string): KeystoneError {
  return new KeystoneError(
    400,
    `${message}\n\nFailed validating 'required' in schema:\n    {}\n\nOn instance:\n    {}`,
  );
}

function version(request: EmulatorRequest): unknown {
  return {
    id: "v3.14",
    status: "stable",
    updated: "2020-04-07T00:00:00Z",
    links: [{ rel: "self", href: `${request.origin}/identity/v3/` }],
    "media-types": [{ base: "application/json", type: "application/vnd.openstack.identity-v3+json" }],
  };
}

/** exchanges: 'unknown path': Flask's own page, not JSON. */
function unrouted(isKnown: boolean): Reply {
  const [status, title, text] = isKnown
    ? [405, "Method Not Allowed", "The method is not allowed for the requested URL."]
    : [
        404,
        "Not Found",
        "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.",
      ];
  return {
    status,
    headers: { "Content-Type": "text/html; charset=utf-8" },
    body: `<!doctype html>\n<html lang=en>\n<title>${status} ${title}</title>\n<h1>${title}</h1>\n<p>${text}</p>\n`,
  };
}

/** Keystone prints whole seconds with six zeros. */
function seconds(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}.000000Z`;
}
