// The catalogue's administration: services and endpoints (keystone/api/services.py, endpoints.py).

import { json, type Reply } from "../core/http";
import { HttpError } from "../openstack/wsgi";
import { type KeystoneContext, readBody, requestUrl, requireAdmin } from "./context";
import { expecting, notFound } from "./errors";
import { type CatalogueEndpoint, type CatalogueEntry, INTERFACES, REGION } from "./model";
import { collectionView, endpointView, serviceView } from "./views";

export function createService(context: KeystoneContext): Reply {
  requireAdmin(context, "identity:create_service");
  const given = readBody(context, "service");
  if (typeof given?.type !== "string") throw expecting("type", "service");
  const name = typeof given.name === "string" ? given.name : "";
  return json(201, { service: serviceView(context.model.addService({ type: given.type, name }), context.base) });
}

export function listServices(context: KeystoneContext): Reply {
  requireAdmin(context, "identity:list_services");
  const { model, request, base } = context;
  const rows = model.catalogue.filter((row) => fits(request.query, { type: row.type, name: row.name }));
  const views = rows.map((row) => serviceView(row, base));
  return json(200, collectionView("services", views, { url: requestUrl(request) }));
}

export function showService(context: KeystoneContext): Reply {
  requireAdmin(context, "identity:get_service");
  const id = context.params.id ?? "";
  const row = context.model.catalogue.find((one) => one.id === id);
  if (row === undefined) throw notFound("service", id);
  return json(200, { service: serviceView(row, context.base) });
}

export function createEndpoint(context: KeystoneContext): Reply {
  const { model, base, request } = context;
  requireAdmin(context, "identity:create_endpoint");
  const given = readBody(context, "endpoint");
  const kind = INTERFACES.find((name) => name === given?.interface);
  if (typeof given?.service_id !== "string" || typeof given.url !== "string" || kind === undefined)
    throw expecting("service_id, interface and url", "endpoint");
  const service = model.catalogue.find(({ id }) => id === given.service_id);
  if (service === undefined) throw new HttpError(400, `Service ${given.service_id} does not exist.`);
  const region = typeof given.region_id === "string" ? given.region_id : REGION;
  const row = model.addEndpoint(service, { interface: kind, region, url: given.url });
  return json(201, { endpoint: endpointView(service, row, base, request.origin) });
}

export function listEndpoints(context: KeystoneContext): Reply {
  requireAdmin(context, "identity:list_endpoints");
  const { request, base } = context;
  const rows = allEndpoints(context).filter(({ service, row }) =>
    fits(request.query, { interface: row.interface, service_id: service.id, region_id: row.region }),
  );
  const views = rows.map(({ service, row }) => endpointView(service, row, base, request.origin));
  return json(200, collectionView("endpoints", views, { url: requestUrl(request) }));
}

/** Whether there is such an endpoint comes before whether the caller may see it (exchanges: 'endpoint unknown'). */
export function showEndpoint(context: KeystoneContext): Reply {
  const id = context.params.id ?? "";
  const found = allEndpoints(context).find(({ row }) => row.id === id);
  if (found === undefined) throw notFound("endpoint", id);
  requireAdmin(context, "identity:get_endpoint");
  return json(200, { endpoint: endpointView(found.service, found.row, context.base, context.request.origin) });
}

function allEndpoints({ model }: KeystoneContext): { service: CatalogueEntry; row: CatalogueEndpoint }[] {
  return model.catalogue.flatMap((service) => service.endpoints.map((row) => ({ service, row })));
}

function fits(query: URLSearchParams, columns: Readonly<Record<string, string>>): boolean {
  return Object.entries(columns).every(([key, value]) => (query.get(key) ?? value) === value);
}
