// What POST /v3/auth/tokens checks, in Keystone's order: the form, the methods, the scope, then the proof of identity
// (keystone/auth/core.py, docs/wire/openstack.md#c1).

import { isObject } from "../core/http";
import { HttpError } from "../openstack/wsgi";
import { type KeystoneContext, knownToken, readBody } from "./context";
import { credentialNotFound, expecting, schemaError, unauthorized } from "./errors";
import type { ApplicationCredential, Domain, KeystoneModel, Project, Token, User } from "./model";
import { expiryMs } from "./times";

type Scope = { kind: "default" } | { kind: "unscoped" } | { kind: "system" } | { kind: "project"; projectId: string };
type Given = Record<string, unknown>;

interface AuthIdentity extends Given {
  readonly methods: readonly string[];
}

interface Proof {
  readonly user: User;
  readonly methods: string[];
  readonly parent?: Token;
  readonly credential?: ApplicationCredential;
}

/** The token that the request asks for, ready to be issued. */
export function requestedToken(context: KeystoneContext): Parameters<KeystoneModel["issue"]>[0] {
  const { identity, scope: given } = readAuth(context);
  checkMethods(identity);
  // Keystone looks the scope up before it authenticates anybody (keystone/auth/core.py AuthInfo.create).
  const scope = readScope(context, identity, given);
  return scopedToken(context, authenticate(context, identity), scope);
}

function readAuth(context: KeystoneContext): { identity: AuthIdentity; scope: unknown } {
  const auth = readBody(context, "auth");
  // exchanges: 'empty'
  if (auth === undefined) throw expecting("auth", "request body");
  const { identity, scope } = auth;
  if (!isObject(identity)) throw schemaError({ message: "'identity' is a required property", keyword: "required" });
  const { methods } = identity;
  if (!Array.isArray(methods)) throw schemaError({ message: "'methods' is a required property", keyword: "required" });
  return { identity: { ...identity, methods: methods.map(String) }, scope };
}

/** Each method must have its data; only then must each be supported (keystone/auth/core.py _validate_auth_methods). */
function checkMethods(identity: AuthIdentity): void {
  const { methods } = identity;
  const missing = methods.find((method) => !(method in identity));
  if (missing !== undefined) throw expecting(missing, "identity");
  if (methods.length > 0 && methods.every((method) => Object.hasOwn(PROOFS, method))) return;
  const supported = ["external", "password", "token", "oauth1", "mapped", "application_credential"];
  throw new HttpError(401, "Attempted to authenticate with an unsupported method.", {
    identity: { methods: supported },
  });
}

function readScope(context: KeystoneContext, { methods }: AuthIdentity, scope: unknown): Scope {
  if (scope === undefined) return { kind: "default" };
  if (methods.includes("application_credential"))
    // exchanges: 'app cred with scope'
    throw new HttpError(
      401,
      "Error authenticating with application credential: Application credentials cannot request a scope.",
      { identity: {} },
    );
  if (scope === "unscoped") return { kind: "unscoped" };
  const kinds = ["system", "project", "domain", "OS-TRUST:trust", "unscoped"];
  const [kind, ...others] = isObject(scope) ? kinds.filter((key) => key in scope) : [];
  // exchanges: 'two scopes', 'empty scope' have the same text
  if (!isObject(scope) || kind === undefined || others.length > 0)
    throw expecting("system, project, domain, OS-TRUST:trust or unscoped", "scope");
  if (kind === "unscoped" || kind === "system") return { kind };
  // Nobody has a role on a domain or a trust here. Keystone then says the same as for a wrong password
  // (exchanges: 'domain scope').
  const project = kind === "project" ? findProject(context, scope.project) : undefined;
  if (project === undefined) throw unauthorized();
  return { kind: "project", projectId: project.id };
}

function scopedToken({ model }: KeystoneContext, proof: Proof, scope: Scope): Parameters<KeystoneModel["issue"]>[0] {
  const { user, methods, parent, credential } = proof;
  const token = {
    userId: user.id,
    methods,
    applicationCredentialId: credential?.id ?? parent?.applicationCredentialId ?? null,
    ...(parent ? { parent } : {}),
    projectId: null,
    system: false,
    roles: [],
  };
  if (credential !== undefined) return { ...token, projectId: credential.projectId, roles: credential.roles };
  if (scope.kind === "project") {
    const { projectId } = scope;
    const bound = model.applicationCredentials.get(parent?.applicationCredentialId ?? "");
    const boundRoles = bound?.projectId === projectId ? bound.roles : [];
    return { ...token, projectId, roles: someRoles(bound ? boundRoles : model.rolesOn(user.id, projectId)) };
  }
  if (scope.kind === "system") return { ...token, system: true, roles: someRoles(model.rolesOn(user.id, null)) };
  return token;
}

function someRoles(roles: string[]): string[] {
  if (roles.length === 0) throw unauthorized();
  return roles;
}

const PROOFS: Readonly<Record<string, (context: KeystoneContext, given: unknown) => Proof>> = {
  password: byPassword,
  token: byToken,
  application_credential: byApplicationCredential,
};

function authenticate(context: KeystoneContext, identity: AuthIdentity): Proof {
  const proofs = identity.methods.flatMap((method) => PROOFS[method]?.(context, identity[method]) ?? []);
  const [first] = proofs;
  if (first === undefined || proofs.some((proof) => proof.user !== first.user)) throw unauthorized();
  return { ...first, methods: [...new Set(proofs.flatMap((proof) => proof.methods))] };
}

function byPassword(context: KeystoneContext, given: unknown): Proof {
  if (!isObject(given) || !isObject(given.user)) throw expecting("user", "password");
  const user = findUser(context, given.user);
  if (user === undefined || !user.enabled || user.password !== given.user.password) throw unauthorized();
  return { user, methods: ["password"] };
}

function byToken(context: KeystoneContext, given: unknown): Proof {
  const token = knownToken(context, isObject(given) && typeof given.id === "string" ? given.id : "");
  const user = context.model.users.get(token.userId);
  if (user === undefined) throw unauthorized();
  return { user, methods: ["token", ...token.methods.filter((method) => method !== "token")], parent: token };
}

function byApplicationCredential(context: KeystoneContext, given: unknown): Proof {
  if (!isObject(given)) throw expecting("application_credential", "identity");
  const credential = findApplicationCredential(context, given);
  if (credential === undefined) throw unauthorized();
  const user = context.model.users.get(credential.userId);
  const expired = credential.expiresAt !== null && expiryMs(credential.expiresAt) <= context.clock.nowMs();
  if (user === undefined || !user.enabled || expired || credential.secret !== given.secret) throw unauthorized();
  return { user, methods: ["application_credential"], credential };
}

function findApplicationCredential(context: KeystoneContext, given: Given): ApplicationCredential | undefined {
  const { applicationCredentials } = context.model;
  if (typeof given.id === "string") {
    const found = applicationCredentials.get(given.id);
    // 404, not 401 (exchanges: 'app cred unknown')
    if (found === undefined) throw credentialNotFound(given.id);
    return found;
  }
  if (typeof given.name !== "string") throw expecting("id or name", "application_credential");
  if (!isObject(given.user)) throw expecting("user", "application_credential");
  const user = findUser(context, given.user);
  return [...applicationCredentials.values()].find(({ name, userId }) => name === given.name && userId === user?.id);
}

function findUser({ model }: KeystoneContext, given: unknown): User | undefined {
  return findInDomain(model, model.users, given, "user");
}

function findProject({ model }: KeystoneContext, given: unknown): Project | undefined {
  return findInDomain(model, model.projects, given, "project");
}

function findInDomain<Row extends { name: string; domainId: string }>(
  { domains }: KeystoneModel,
  rows: ReadonlyMap<string, Row>,
  given: unknown,
  noun: string,
): Row | undefined {
  if (isObject(given) && typeof given.id === "string") return rows.get(given.id);
  if (!isObject(given) || typeof given.name !== "string") throw expecting("id or name", noun);
  const domain = findDomain(domains, given.domain, noun);
  return [...rows.values()].find(({ name, domainId }) => name === given.name && domainId === domain?.id);
}

function findDomain(domains: ReadonlyMap<string, Domain>, given: unknown, noun: string): Domain | undefined {
  // exchanges: 'no user domain', 'project without domain'
  if (!isObject(given)) throw expecting("domain", noun);
  if (typeof given.id === "string") return domains.get(given.id);
  if (typeof given.name !== "string") throw expecting("id or name", "domain");
  return [...domains.values()].find(({ name }) => name === given.name);
}
