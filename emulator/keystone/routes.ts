// Keystone's routing table.

import { routesOf } from "../openstack/wsgi";
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
  ["application_credentials.create", "POST", CREDENTIALS, handlers.createApplicationCredential],
  ["application_credentials.list", "GET", CREDENTIALS, handlers.listApplicationCredentials],
  ["application_credentials.delete", "DELETE", `${CREDENTIALS}/{id}`, handlers.deleteApplicationCredential],
  ["services.create", "POST", "/v3/services", handlers.createService],
  ["endpoints.create", "POST", "/v3/endpoints", handlers.createEndpoint],
]);
