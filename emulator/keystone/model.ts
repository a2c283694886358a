// The state behind Keystone's API: projects, users, credentials, tokens, the catalogue. Rows are plain, and a test may
// change them at any time.

import type { Clock } from "../core/clock";
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

/** Roles of a user on a project; on the system if projectId is null. */
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
  /** ISO time in UTC, or null. */
  expiresAt: string | null;
  unrestricted: boolean | null;
  /** Calls that it is good for; null: all. */
  accessRules: AccessRule[] | null;
}

export interface AccessRule {
  id: string;
  path?: string;
  method?: string;
  service?: string;
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
  interface: (typeof INTERFACES)[number];
  region: string;
  /** May contain {origin}, the address under which the client reaches the emulator, and %(project_id)s. */
  url: string;
}

export interface CatalogueEntry {
  id: string;
  type: string;
  name: string;
  endpoints: CatalogueEndpoint[];
}

/** The caller of a service behind Keystone. */
export interface Identity {
  readonly userId: string;
  readonly projectId: string | null;
  readonly roles: readonly string[];
  readonly isAdmin: boolean;
}

export const REGION = "RegionOne";

export const INTERFACES = ["public", "internal", "admin"] as const;

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
    const row = { domainId: "default", ...project, id: project.id ?? this.ids.hex("project") };
    this.projects.set(row.id, row);
    return row;
  }

  createUser(user: { name: string; password: string; id?: string; domainId?: string }): User {
    const row = { domainId: "default", ...user, id: user.id ?? this.ids.hex("user"), enabled: true };
    this.users.set(row.id, row);
    return row;
  }

  /** Sets the roles on a project; on the system if projectId is null. */
  assign(userId: string, projectId: string | null, roles: readonly string[]): void {
    this.assignments = this.assignments.filter((a) => a.userId !== userId || a.projectId !== projectId);
    this.assignments.push({ userId, projectId, roles: [...roles] });
  }

  /** The default for the roles is all that the user has on the project. */
  createApplicationCredential(
    given: Pick<ApplicationCredential, "userId" | "projectId" | "name"> &
      Partial<Omit<ApplicationCredential, "roles">> & { readonly roles?: readonly string[] },
  ): ApplicationCredential {
    const row: ApplicationCredential = {
      description: null,
      expiresAt: null,
      unrestricted: null,
      accessRules: null,
      ...given,
      id: given.id ?? this.ids.hex("application credential"),
      secret: given.secret ?? this.ids.hex("application credential secret"),
      roles: [...(given.roles ?? this.rolesOn(given.userId, given.projectId))],
    };
    this.applicationCredentials.set(row.id, row);
    return row;
  }

  /** Adds an entry to the catalogue; with a URL also its endpoints. */
  addService(
    given: Pick<CatalogueEntry, "type" | "name"> & {
      id?: string;
      url?: string;
      interfaces?: readonly CatalogueEndpoint["interface"][];
    },
  ): CatalogueEntry {
    const { type, name, url } = given;
    const row: CatalogueEntry = { id: given.id ?? this.ids.hex("service"), type, name, endpoints: [] };
    if (url !== undefined)
      for (const kind of given.interfaces ?? INTERFACES)
        this.addEndpoint(row, { interface: kind, region: REGION, url });
    this.catalogue.push(row);
    return row;
  }

  addEndpoint(entry: CatalogueEntry, given: Omit<CatalogueEndpoint, "id">): CatalogueEndpoint {
    const endpoint = { id: this.ids.hex("endpoint"), ...given };
    entry.endpoints.push(endpoint);
    return endpoint;
  }

  /** Issues a token; a test may call it without a request. */
  issue(given: Omit<Token, "id" | "issuedAtMs" | "expiresAtMs" | "auditIds" | "revoked"> & { parent?: Token }): Token {
    const now = this.clock.nowMs();
    const { parent, ...rest } = given;
    const token: Token = {
      ...rest,
      id: this.ids.token(),
      // The audit id of the token that was rescoped follows the new one (exchanges: 'token rescope').
      auditIds: [this.ids.audit(), ...(parent?.auditIds.slice(-1) ?? [])],
      issuedAtMs: now,
      // A rescoped token ends when the first one does (docs/wire/openstack.md#c1; exchanges: 'token rescope').
      expiresAtMs: parent?.expiresAtMs ?? now + this.tokenLife(),
      revoked: false,
    };
    this.tokens.set(token.id, token);
    return token;
  }

  /** The token, unless it is revoked or expired or its user is disabled. */
  valid(id: string | undefined): Token | undefined {
    const token = id === undefined ? undefined : this.tokens.get(id);
    if (token === undefined || token.revoked || token.expiresAtMs <= this.clock.nowMs()) return undefined;
    return this.users.get(token.userId)?.enabled === true ? token : undefined;
  }

  credentialOf({ applicationCredentialId }: Token): ApplicationCredential | undefined {
    return applicationCredentialId === null ? undefined : this.applicationCredentials.get(applicationCredentialId);
  }

  identify(tokenId: string | undefined): Identity | undefined {
    const token = this.valid(tokenId);
    // A service that isn't told its own type can't compare access rules (docs/wire/openstack.md#application-credentials).
    if (token === undefined || this.credentialOf(token)?.accessRules != null) return undefined;
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

  /** Expires all tokens now. Clients keep the later expires_at that they were told. */
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
    const [userId, projectId] = [demo.user.id, demo.project.id];
    this.createApplicationCredential({ userId, projectId, name: "ci", secret: "app-secret" });
    this.addService({ type: "identity", name: "keystone", url: "{origin}/identity/v3/" });
    // As on the real server, an entry of the same type without endpoints comes first (exchanges: 'with catalog').
    this.addService({ type: "volumev3", name: "cinderv3" });
    this.addService({ type: "volumev3", name: "cinderv3", url: "{origin}/volume/v3/%(project_id)s" });
    this.addService({ type: "block-storage", name: "cinder", url: "{origin}/volume/v3/%(project_id)s" });
    // IBM's own clients find PowerVC's Cinder under the type `volume` (docs/wire/powervc.md#f3).
    this.addService({ type: "volume", name: "powervc", url: "{origin}/powervc/openstack/volume/v3/%(project_id)s" });
    this.addService({ type: "compute", name: "nova", url: "{origin}/compute/v2.1" });
    this.addService({ type: "image", name: "glance", url: "{origin}/image" });
  }
}
