// Keystone's routing table.

import { routesOf } from "../openstack/wsgi";
import * as credentials from "./applicationCredentials";
import * as catalogue from "./catalogue";
import type { KeystoneHandler } from "./context";
import * as handlers from "./handlers";

const CREDENTIALS = "/v3/users/{user}/application_credentials";

export const ROUTES = routesOf<KeystoneHandler>([
  ["versions.list", "GET", "", handlers.listVersions],
  ["versions.list", "GET", "/", handlers.listVersions],
  ["versions.show", "GET", "/v3", handlers.showVersion],
  ["versions.show", "GET", "/v3/", handlers.showVersion],
  ["tokens.issue", "POST", "/v3/auth/tokens", handlers.issueToken],
  ["tokens.validate", "GET", "/v3/auth/tokens", handlers.validateToken],
  ["tokens.check", "HEAD", "/v3/auth/tokens", handlers.checkToken],
  ["tokens.revoke", "DELETE", "/v3/auth/tokens", handlers.revokeToken],
  ["catalog.list", "GET", "/v3/auth/catalog", handlers.listCatalog],
  ["projects.mine", "GET", "/v3/auth/projects", handlers.listOwnProjects],
  ["application_credentials.create", "POST", CREDENTIALS, credentials.create],
  ["application_credentials.list", "GET", CREDENTIALS, credentials.list],
  ["application_credentials.show", "GET", `${CREDENTIALS}/{id}`, credentials.show],
  ["application_credentials.check", "HEAD", `${CREDENTIALS}/{id}`, credentials.check],
  ["application_credentials.delete", "DELETE", `${CREDENTIALS}/{id}`, credentials.remove],
  ["services.create", "POST", "/v3/services", catalogue.createService],
  ["services.list", "GET", "/v3/services", catalogue.listServices],
  ["services.show", "GET", "/v3/services/{id}", catalogue.showService],
  ["endpoints.create", "POST", "/v3/endpoints", catalogue.createEndpoint],
  ["endpoints.list", "GET", "/v3/endpoints", catalogue.listEndpoints],
  ["endpoints.show", "GET", "/v3/endpoints/{id}", catalogue.showEndpoint],
]);
