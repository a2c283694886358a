// The one flavor that all servers have (nova/api/openstack/compute/views/flavors.py).

import { json, type Reply } from "../core/http";
import { HttpError } from "../openstack/wsgi";
import type { NovaContext } from "./context";
import { FLAVOR } from "./model";
import { flavorSummary, flavorView } from "./views";

export function listFlavors({ base, minor }: NovaContext, detail: boolean): Reply {
  return json(200, { flavors: [detail ? flavorView(base, minor) : flavorSummary(base, minor)] });
}

export function showFlavor({ base, minor, params }: NovaContext): Reply {
  if (params.id !== FLAVOR.id) throw new HttpError(404, `Flavor ${params.id} could not be found.`);
  return json(200, { flavor: flavorView(base, minor) });
}
