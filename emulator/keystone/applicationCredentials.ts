// Application credentials (keystone/api/users.py:623-782, docs/wire/openstack.md#application-credentials).

import { isObject, json, type Reply } from "../core/http";
import { repr } from "../core/pythonRepr";
import { HttpError } from "../openstack/wsgi";
import { caller, type KeystoneContext, readBody, requestUrl } from "./context";
import { COULD_NOT_COMPLY, credentialNotFound, forbidden, type SchemaRefusal, schemaError } from "./errors";
import type { AccessRule, ApplicationCredential, Token } from "./model";
import { readExpiry } from "./times";
import { collectionView, credentialView } from "./views";

type Given = Record<string, unknown>;

/** What the model of the table takes. */
const COLUMNS = ["name", "description", "secret", "expires_at", "roles", "unrestricted", "access_rules", "id"];

/** The policy, the form, what the token allows, the roles, the end, and last what is there already: in this order. */
export function create(context: KeystoneContext): Reply {
  const { model, base, params } = context;
  const token = caller(context);
  if (token.userId !== params.user) throw forbidden("identity:create_application_credential");
  const given = readBody(context, "application_credential") ?? {};
  const refusal = schemaRefusal(given);
  if (refusal !== undefined) throw schemaError(refusal);
  requireUnrestricted(context, token);
  const roles = readRoles(context, given.roles, token);
  if (typeof given.expires_at === "string") checkExpiry(context, given.expires_at);
  const { projectId } = token;
  if (projectId === null) throw forbidden("identity:create_application_credential");
  const extra = Object.keys(given).find((key) => !COLUMNS.includes(key));
  if (extra !== undefined)
    throw new HttpError(400, `'${extra}' is an invalid keyword argument for ApplicationCredentialModel`);
  const name = String(given.name);
  if (ownedBy(context, token.userId).some((row) => row.name === name))
    throw new HttpError(
      409,
      `Conflict occurred attempting to store application_credential - Duplicate entry found with name ${name}.`,
    );
  const row = model.createApplicationCredential({
    userId: token.userId,
    projectId,
    name,
    roles,
    ...(given.secret ? { secret: String(given.secret) } : {}),
    ...(typeof given.description === "string" ? { description: given.description } : {}),
    ...(typeof given.expires_at === "string" ? { expiresAt: given.expires_at } : {}),
    ...(typeof given.unrestricted === "boolean" ? { unrestricted: given.unrestricted } : {}),
    ...(Array.isArray(given.access_rules) && given.access_rules.length > 0
      ? { accessRules: given.access_rules.map((rule, index) => ruleOf(rule, `${name}-${index}`)) }
      : {}),
  });
  return json(201, { application_credential: { ...credentialView(model, row, base), secret: row.secret } });
}

export function list(context: KeystoneContext): Reply {
  const { model, base, request, params } = context;
  requireSelfOrAdmin(context, "identity:list_application_credentials", params.user);
  const rows = ownedBy(context, params.user).filter(({ name }) => nameFits(request.query, name));
  const views = rows.map((row) => credentialView(model, row, base));
  return json(200, collectionView("application_credentials", views, { url: requestUrl(request) }));
}

export function show(context: KeystoneContext): Reply {
  const row = findCredential(context, "identity:get_application_credential");
  return json(200, { application_credential: credentialView(context.model, row, context.base) });
}

export function check(context: KeystoneContext): Reply {
  return { ...show(context), body: "" };
}

export function remove(context: KeystoneContext): Reply {
  const { model } = context;
  requireOwnerOrAdmin(context, "identity:delete_application_credential");
  requireUnrestricted(context, caller(context));
  const { id } = findCredential(context, "identity:delete_application_credential");
  model.applicationCredentials.delete(id);
  for (const token of model.tokens.values()) if (token.applicationCredentialId === id) token.revoked = true;
  return { status: 204, headers: {}, body: "" };
}

function ownedBy({ model }: KeystoneContext, userId: string | undefined): ApplicationCredential[] {
  return [...model.applicationCredentials.values()].filter((row) => row.userId === userId);
}

function findCredential(context: KeystoneContext, action: string): ApplicationCredential {
  const id = context.params.id ?? "";
  requireOwnerOrAdmin(context, action);
  const row = context.model.applicationCredentials.get(id);
  if (row === undefined) throw credentialNotFound(id);
  return row;
}

/** It is the credential's user who counts, not the one in the path (users.py:179-199). */
function requireOwnerOrAdmin(context: KeystoneContext, action: string): void {
  const { model, params } = context;
  requireSelfOrAdmin(context, action, model.applicationCredentials.get(params.id ?? "")?.userId ?? params.user);
}

function requireSelfOrAdmin(context: KeystoneContext, action: string, userId: string | undefined): void {
  const token = caller(context);
  if (token.userId !== userId && !token.roles.includes("admin")) throw forbidden(action);
}

/** users.py:87-93; the two full stops are Keystone's. */
function requireUnrestricted({ model }: KeystoneContext, token: Token): void {
  if (token.applicationCredentialId !== null && model.credentialOf(token)?.unrestricted !== true)
    throw forbidden(
      "Using method 'application_credential' is not allowed for managing additional application credentials.",
    );
}

/** By id or by name, and only those of the token (users.py:645-678). */
function readRoles({ model }: KeystoneContext, given: unknown, token: Token): readonly string[] {
  if (!Array.isArray(given) || given.length === 0) return token.roles;
  const known = [...model.roles.values()];
  return given.filter(isObject).map((role) => {
    const found = known.find(({ id, name }) => (role.id === undefined ? name === role.name : id === role.id));
    if (found === undefined && role.id === undefined)
      throw new HttpError(404, `Role ${String(role.name)} is not defined`);
    if (found === undefined || !token.roles.includes(found.name))
      throw new HttpError(
        400,
        "Invalid application credential: Cannot create an application credential with unassigned role",
      );
    return found.name;
  });
}

function checkExpiry({ clock }: KeystoneContext, text: string): void {
  const ms = readExpiry(text);
  if (ms === undefined) throw new HttpError(400, `Timestamp not in expected format. ${COULD_NOT_COMPLY}`);
  if (ms < clock.nowMs()) throw new HttpError(400, `The 'expires_at' must not be before now. ${COULD_NOT_COMPLY}`);
}

function ruleOf(given: unknown, id: string): AccessRule {
  const { path, method, service } = isObject(given) ? given : {};
  return {
    id,
    ...(typeof path === "string" ? { path } : {}),
    ...(typeof method === "string" ? { method } : {}),
    ...(typeof service === "string" ? { service } : {}),
  };
}

/** keystone/server/flask/common.py build_driver_hints: `name`, `name__contains` and so on, with `i` in any case. */
function nameFits(query: URLSearchParams, name: string): boolean {
  return [...query].every(([key, value]) => {
    const comparison = /^name(?:__(i?)(contains|startswith|endswith))?$/.exec(key);
    if (comparison === null) return true;
    const [, anyCase, how] = comparison;
    const [text, wanted] = anyCase ? [name.toLowerCase(), value.toLowerCase()] : [name, value];
    if (how === "contains") return text.includes(wanted);
    if (how === "startswith") return text.startsWith(wanted);
    return how === "endswith" ? text.endsWith(wanted) : text === wanted;
  });
}

// ---- the form (keystone/application_credential/schema.py) ---------------------------------------------------------

const TYPES: Readonly<Record<string, readonly string[]>> = {
  name: ["string"],
  description: ["string", "null"],
  secret: ["null", "string"],
  expires_at: ["null", "string"],
  roles: ["array"],
  unrestricted: ["boolean"],
  access_rules: ["array"],
};

function schemaRefusal(given: Given): SchemaRefusal | undefined {
  for (const [key, types] of Object.entries(TYPES)) {
    const problem = key in given ? fieldRefusal(key, types, given[key]) : undefined;
    if (problem !== undefined) return problem;
  }
  return "name" in given ? undefined : { message: "'name' is a required property", keyword: "required" };
}

function fieldRefusal(key: string, types: readonly string[], value: unknown): SchemaRefusal | undefined {
  const place = { at: [key], schemaAt: ["properties", key] };
  const type = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  if (!types.includes(type))
    return { ...place, message: `${repr(value)} is not of type ${types.map(repr).join(", ")}`, keyword: "type" };
  if (key === "name" && value === "") return { ...place, message: "'' is too short", keyword: "minLength" };
  if (key === "name" && String(value).length > 255)
    return { ...place, message: `${repr(value)} is too long`, keyword: "maxLength" };
  if (key === "name" && !/\S/.test(String(value)))
    return { ...place, message: `${repr(value)} does not match '[\\\\S]+'`, keyword: "pattern" };
  if (key !== "roles" || !Array.isArray(value)) return undefined;
  const at = value.findIndex((role) => roleProblem(role) !== undefined);
  const problem = at < 0 ? undefined : roleProblem(value[at]);
  if (problem === undefined) return undefined;
  const [message, keyword] = problem;
  return { message, keyword, at: ["roles", at], schemaAt: ["properties", "roles", "items"] };
}

/** One of id and name. */
function roleProblem(role: unknown): [message: string, keyword: string] | undefined {
  if (!isObject(role)) return [`${repr(role)} is not of type 'object'`, "type"];
  const keys = Object.keys(role);
  if (keys.length < 1) return [`${repr(role)} does not have enough properties`, "minProperties"];
  if (keys.length > 1) return [`${repr(role)} has too many properties`, "maxProperties"];
  const extra = keys.find((key) => !["id", "name"].includes(key));
  if (extra === undefined) return undefined;
  return [`Additional properties are not allowed ('${extra}' was unexpected)`, "additionalProperties"];
}
