// What PowerVC's proxy routes to its own plugin; the rest goes to Keystone and Cinder behind it.

import type { Reply } from "../core/http";
import { routesOf } from "../openstack/wsgi";
import { cloneVolumes, type PowerVcContext, showProgress } from "./handlers";

/** `https://host/powervc/openstack/volume/…` (IBM/powervc-pluggable-storage keystoneUtils) */
export const PROXY = "/powervc/openstack";

const CLONES = "/volume/v3/{project}/clone-volumes";

export const ROUTES = routesOf<(context: PowerVcContext) => Reply>([
  ["clones.create", "POST", CLONES, cloneVolumes],
  ["clones.progress", "GET", `${CLONES}/get_progress`, showProgress],
]);
