// Glance's routing table, as far as a client finds an image and downloads it.

import type { Reply } from "../core/http";
import { routesOf } from "../openstack/wsgi";
import { download, type GlanceContext, list, show } from "./handlers";

/** These need no token. An unversioned address answers 300 (glance/api/versions.py). */
export const VERSION_ROUTES = routesOf<number>([
  ["versions.list", "GET", "", 300],
  ["versions.list", "GET", "/", 300],
  ["versions.list", "GET", "/versions", 200],
]);

export const ROUTES = routesOf<(context: GlanceContext) => Reply>([
  ["images.list", "GET", "/v2/images", list],
  ["images.show", "GET", "/v2/images/{id}", show],
  ["images.download", "GET", "/v2/images/{id}/file", download],
]);
