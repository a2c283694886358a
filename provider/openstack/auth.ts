// How to sign in to Keystone, read from the fields of a connection: the method, the user, and what the token is for.

import type { SettingsReader } from "../core/connection/settings";
import { truncate } from "../core/errors";
import { flag, isBlank } from "../core/util/values";

export type Auth =
  | { method: "password"; user: UserRef; password: string; scope: Scope }
  // An application credential has its project built in: Keystone refuses a scope beside it.
  | { method: "applicationCredential"; id?: string; name?: string; user?: UserRef; secret: string }
  | { method: "token"; token: string; scope: Scope };

export type DomainRef = { id: string } | { name: string };
export type UserRef = { id: string } | { name: string; domain: DomainRef };
export type ProjectRef = { id: string } | { name: string; domain: DomainRef };
/** `unscoped`: none was configured; a login without a scope gets the user's default project, if there is one. */
export type Scope = { project: ProjectRef } | { domain: DomainRef } | { system: true } | "unscoped";

export function readAuth(reader: SettingsReader): Auth {
  if (reader.has("trust_id")) reader.problem("trust_id", "is not supported");
  const method = methodOf(reader);
  if (method === undefined) {
    const type = truncate(reader.text("auth_type") ?? "", 40);
    reader.problem("auth_type", `"${type}" is not supported: use password, token or v3applicationcredential`);
    return { method: "token", token: "", scope: "unscoped" };
  }
  if (method === "applicationCredential") {
    const secret = reader.secret("application_credential_secret");
    const id = reader.text("application_credential_id");
    if (id !== undefined) return { method, id, secret };
    const name = reader.text("application_credential_name");
    if (name === undefined) reader.problem("application_credential_id", "is missing");
    return { method, name: name ?? "", user: readUser(reader), secret };
  }
  if (method === "token") return { method, token: reader.secret("token"), scope: readScope(reader) };
  return { method, user: readUser(reader), password: reader.secret("password"), scope: readScope(reader) };
}

const METHODS: Readonly<Record<string, Auth["method"] | undefined>> = {
  password: "password",
  v3password: "password",
  token: "token",
  v3token: "token",
  applicationcredential: "applicationCredential",
  v3applicationcredential: "applicationCredential",
};

function methodOf(reader: SettingsReader): Auth["method"] | undefined {
  const type = reader.text("auth_type")?.trim().toLowerCase().replaceAll(/[-_]/g, "");
  // openstacksdk wants auth_type for anything but a password. Without a password only one method is possible.
  if (type === undefined && !reader.has("password")) {
    if (reader.has("application_credential_secret")) return "applicationCredential";
    if (reader.has("token")) return "token";
  }
  if (type === undefined) return "password";
  return Object.hasOwn(METHODS, type) ? METHODS[type] : undefined;
}

function readUser(reader: SettingsReader): UserRef {
  const id = reader.text("user_id");
  if (id !== undefined) return { id };
  const name = reader.text("username");
  if (name !== undefined) return { name, domain: domainOf(reader, "user") };
  reader.problem("username", "is missing");
  return { id: "" };
}

function readScope(reader: SettingsReader): Scope {
  const hasProject = reader.has("project_id") || reader.has("project_name");
  const domain = readDomain(reader, "domain");
  const system = isSystemScope(reader);
  if (system && (hasProject || domain !== undefined)) reader.problem("system_scope", "excludes a project and a domain");
  if (hasProject) {
    const id = reader.text("project_id");
    if (id !== undefined) return { project: { id } };
    return { project: { name: reader.text("project_name") ?? "", domain: domainOf(reader, "project") } };
  }
  if (domain !== undefined) return { domain };
  return system ? { system } : "unscoped";
}

function isSystemScope(reader: SettingsReader): true | undefined {
  const value = reader.raw("system_scope");
  if (isBlank(value) || flag(value) === false) return undefined;
  if (flag(value) !== true && String(value).trim().toLowerCase() !== "all") {
    reader.problem("system_scope", 'can only be "all"');
  }
  return true;
}

/**
 * The domain of the user or project. Where it is not given, `domain_*` serves (unless that is a scope itself), then
 * `default_domain_*`.
 */
function domainOf(reader: SettingsReader, owner: "user" | "project"): DomainRef {
  const scopedToProject = reader.has("project_id") || reader.has("project_name");
  const kinds = scopedToProject ? [`${owner}_domain`, "domain"] : [`${owner}_domain`];
  // By id and by name separately, as openstacksdk fans them out: an id wins over a name (loader.py:641).
  for (const kind of kinds) {
    const id = reader.text(`${kind}_id`);
    if (id !== undefined) return { id };
  }
  for (const kind of kinds) {
    const name = reader.text(`${kind}_name`);
    if (name !== undefined) return { name };
  }
  const fallback = readDomain(reader, "default_domain");
  if (fallback !== undefined) return fallback;
  reader.problem(`${owner}_domain_name`, `is missing (a ${owner}'s name is unique in its domain only)`);
  return { id: "" };
}

function readDomain(reader: SettingsReader, kind: string): DomainRef | undefined {
  const id = reader.text(`${kind}_id`);
  if (id !== undefined) return { id };
  const name = reader.text(`${kind}_name`);
  return name === undefined ? undefined : { name };
}
