// Keystone's calls: tokens, the catalogue, application credentials, and the administration that a set-up needs
// (docs/wire/openstack.md#c, test/contract/exchanges/keystone.txt).

import { header, json, type Reply } from "../core/http";
import { HttpError } from "../openstack/wsgi";
import { requestedToken } from "./authentication";
import { caller, type KeystoneContext, knownToken, readBody, requireAdmin } from "./context";
import { credentialNotFound, expecting, forbidden } from "./errors";
import { INTERFACES, REGION, type Token } from "./model";
import { catalogueView, credentialView, projectView, tokenView, versionView } from "./views";

const NO_CONTENT: Reply = { status: 204, headers: {}, body: "" };

/** exchanges: 'versions' */
export function listVersions({ base }: KeystoneContext): Reply {
  return json(300, { versions: { values: [versionView(base)] } }, { Location: `${base}/` });
}

export function showVersion({ base }: KeystoneContext): Reply {
  return json(200, { version: versionView(base) });
}

export function issueToken(context: KeystoneContext): Reply {
  return tokenReply(201, context, context.model.issue(requestedToken(context)));
}

export function validateToken(context: KeystoneContext): Reply {
  return tokenReply(200, context, subjectToken(context, "identity:validate_token"));
}

export function checkToken(context: KeystoneContext): Reply {
  return { ...validateToken(context), body: "" };
}

export function revokeToken(context: KeystoneContext): Reply {
  context.model.revoke(subjectToken(context, "identity:revoke_token").id);
  return NO_CONTENT;
}

function tokenReply(status: number, { model, request }: KeystoneContext, token: Token): Reply {
  const catalogue = request.query.has("nocatalog") ? undefined : catalogueView(model.catalogue, token, request.origin);
  return json(status, { token: tokenView(model, token, catalogue) }, { "X-Subject-Token": token.id });
}

/** The token that the call is about: the caller's own, or any for an administrator. */
function subjectToken(context: KeystoneContext, action: string): Token {
  const { userId, roles } = caller(context);
  const subject = knownToken(context, header(context.request, "X-Subject-Token") ?? "");
  if (subject.userId !== userId && !roles.includes("admin")) throw forbidden(action);
  return subject;
}

export function listCatalog(context: KeystoneContext): Reply {
  const catalog = catalogueView(context.model.catalogue, caller(context), context.request.origin);
  return json(200, { catalog, links: { self: `${context.base}/auth/catalog` } });
}

export function listOwnProjects(context: KeystoneContext): Reply {
  const { model, base } = context;
  const { userId } = caller(context);
  const projects = [...model.projects.values()].filter(({ id }) => model.rolesOn(userId, id).length > 0);
  const links = { self: `${base}/auth/projects`, next: null, previous: null };
  return json(200, { projects: projects.map(projectView), links });
}

export function createApplicationCredential(context: KeystoneContext): Reply {
  const { model, base } = context;
  const { userId, projectId, roles } = requireSelf(context, "identity:create_application_credential");
  const given = readBody(context, "application_credential");
  if (typeof given?.name !== "string" || projectId === null) throw expecting("name", "application_credential");
  const row = model.createApplicationCredential({
    userId,
    projectId,
    name: given.name,
    roles,
    ...(typeof given.secret === "string" ? { secret: given.secret } : {}),
    ...(typeof given.description === "string" ? { description: given.description } : {}),
    ...(typeof given.expires_at === "string" ? { expiresAt: given.expires_at } : {}),
    ...(typeof given.unrestricted === "boolean" ? { unrestricted: given.unrestricted } : {}),
  });
  return json(201, { application_credential: { ...credentialView(model, row, base), secret: row.secret } });
}

export function listApplicationCredentials(context: KeystoneContext): Reply {
  const { model, base } = context;
  const { userId } = requireSelf(context, "identity:list_application_credentials");
  const rows = [...model.applicationCredentials.values()].filter((row) => row.userId === userId);
  return json(200, { application_credentials: rows.map((row) => credentialView(model, row, base)) });
}

export function deleteApplicationCredential(context: KeystoneContext): Reply {
  const { model, params } = context;
  const id = params.id ?? "";
  requireSelf(context, "identity:delete_application_credential");
  if (!model.applicationCredentials.delete(id)) throw credentialNotFound(id);
  for (const token of model.tokens.values()) if (token.applicationCredentialId === id) token.revoked = true;
  return NO_CONTENT;
}

/** The caller's token, if the caller is the user in the path. */
function requireSelf(context: KeystoneContext, action: string): Token {
  const token = caller(context);
  if (token.userId !== context.params.user) throw forbidden(action);
  return token;
}

export function createService(context: KeystoneContext): Reply {
  requireAdmin(context, "identity:create_service");
  const given = readBody(context, "service");
  if (typeof given?.type !== "string") throw expecting("type", "service");
  const name = typeof given.name === "string" ? given.name : "";
  const { id, type } = context.model.addService({ type: given.type, name });
  return json(201, { service: { name, id, type, enabled: true, links: { self: `${context.base}/services/${id}` } } });
}

export function createEndpoint(context: KeystoneContext): Reply {
  const { model, base } = context;
  requireAdmin(context, "identity:create_endpoint");
  const given = readBody(context, "endpoint");
  const kind = INTERFACES.find((name) => name === given?.interface);
  if (typeof given?.service_id !== "string" || typeof given.url !== "string" || kind === undefined)
    throw expecting("service_id, interface and url", "endpoint");
  const service = model.catalogue.find(({ id }) => id === given.service_id);
  if (service === undefined) throw new HttpError(400, `Service ${given.service_id} does not exist.`);
  const region = typeof given.region_id === "string" ? given.region_id : REGION;
  const { id, url } = model.addEndpoint(service, { interface: kind, region, url: given.url });
  return json(201, {
    endpoint: {
      id,
      interface: kind,
      region_id: region,
      service_id: service.id,
      url,
      enabled: true,
      region,
      links: { self: `${base}/endpoints/${id}` },
    },
  });
}
