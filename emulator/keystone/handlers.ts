// Keystone's calls about tokens: issue, validate, revoke, and what the caller's token is good for
// (docs/wire/openstack.md#c, test/contract/exchanges/keystone.txt).

import { header, json, type Reply } from "../core/http";
import { requestedToken } from "./authentication";
import { caller, type KeystoneContext, knownToken } from "./context";
import { forbidden } from "./errors";
import type { Token } from "./model";
import { catalogueView, collectionView, projectView, tokenView, versionView } from "./views";

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
  const views = projects.map((row) => projectView(row, base));
  return json(200, collectionView("projects", views, { url: `${base}/auth/projects` }));
}
