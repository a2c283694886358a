// Cinder's routing table.

import { isObject, type Reply, type Route } from "../core/http";
import { type RouteRow, routesOf } from "../openstack/wsgi";
import type { CinderContext, CinderHandler } from "./context";
import { invalid } from "./errors";
import * as messages from "./handlers/messages";
import { metadataRoutes, SNAPSHOT_METADATA, VOLUME_METADATA } from "./handlers/metadata";
import * as quotas from "./handlers/quotas";
import * as snapshots from "./handlers/snapshots";
import * as types from "./handlers/types";
import { listVersions, redirectToVersion, showVersion, type VersionHandler } from "./handlers/versions";
import * as volumes from "./handlers/volumes";

/** Discovery has no microversion. */
export const VERSION_ROUTES = routesOf<VersionHandler>([
  ["versions.list", "GET", "", listVersions],
  ["versions.list", "GET", "/", listVersions],
  ["versions.redirect", "GET", "/v3", redirectToVersion],
  ["versions.show", "GET", "/v3/", showVersion],
]);

/** The microversion 3.x in which an operation appeared. */
export const SINCE: Readonly<Record<string, number>> = {
  "messages.list": 3,
  "messages.show": 3,
  "messages.delete": 3,
  "volumes.summary": 12,
};

const ACTIONS: Readonly<Record<string, Readonly<Record<string, CinderHandler>>>> = {
  "snapshots.action": snapshots.ACTIONS,
  "volumes.action": volumes.ACTIONS,
};

const PROJECT_ROUTES: readonly RouteRow<CinderHandler>[] = [
  ["snapshots.create", "POST", "/snapshots", snapshots.create],
  ["snapshots.list", "GET", "/snapshots", (context) => snapshots.list(context, "summary")],
  ["snapshots.detail", "GET", "/snapshots/detail", (context) => snapshots.list(context, "extended")],
  ["snapshots.show", "GET", "/snapshots/{id}", snapshots.show],
  ["snapshots.update", "PUT", "/snapshots/{id}", snapshots.update],
  ["snapshots.delete", "DELETE", "/snapshots/{id}", snapshots.remove],
  ["snapshots.action", "POST", "/snapshots/{id}/action", (context) => act(snapshots.ACTIONS, context)],
  ...metadataRoutes("snapshots", SNAPSHOT_METADATA),
  ["volumes.create", "POST", "/volumes", volumes.create],
  ["volumes.list", "GET", "/volumes", (context) => volumes.list(context, "summary")],
  ["volumes.detail", "GET", "/volumes/detail", (context) => volumes.list(context, "extended")],
  ["volumes.summary", "GET", "/volumes/summary", volumes.summary],
  ["volumes.show", "GET", "/volumes/{id}", volumes.show],
  ["volumes.update", "PUT", "/volumes/{id}", volumes.update],
  ["volumes.delete", "DELETE", "/volumes/{id}", volumes.remove],
  ["volumes.action", "POST", "/volumes/{id}/action", (context) => act(volumes.ACTIONS, context)],
  ...metadataRoutes("volumes", VOLUME_METADATA),
  ["messages.list", "GET", "/messages", messages.list],
  ["messages.show", "GET", "/messages/{id}", messages.show],
  ["messages.delete", "DELETE", "/messages/{id}", messages.remove],
  ["types.list", "GET", "/types", types.list],
  ["types.show", "GET", "/types/{id}", types.show],
  ["limits.show", "GET", "/limits", quotas.showLimits],
  ["quotas.show", "GET", "/os-quota-sets/{target}", quotas.show],
  ["quotas.update", "PUT", "/os-quota-sets/{target}", quotas.update],
  ["quotas.delete", "DELETE", "/os-quota-sets/{target}", quotas.remove],
  ["quotas.defaults", "GET", "/os-quota-sets/{target}/defaults", quotas.showDefaults],
];

/**
 * On a server that knows 3.67, a path may omit the project, whatever version the request asks for
 * (exchanges: 'no project in url, 3.0').
 */
export function cinderRoutes(projectIsOptional: boolean): Route<CinderHandler>[] {
  const prefixes = projectIsOptional ? ["/v3/{project}", "/v3"] : ["/v3/{project}"];
  return PROJECT_ROUTES.flatMap((row) => prefixes.flatMap((prefix) => routesOf([row], prefix)));
}

/** An action is an operation of its own: `snapshots.os-reset_status`. */
export function operationOf(operation: string, text: string): string {
  const [name] = bodyKeys(text);
  return name !== undefined && name in (ACTIONS[operation] ?? {}) ? actionOperation(operation, name) : operation;
}

export function operationsAt(operation: string): string[] {
  const actions = ACTIONS[operation];
  return actions === undefined ? [operation] : Object.keys(actions).map((name) => actionOperation(operation, name));
}

function actionOperation(operation: string, name: string): string {
  return `${operation.slice(0, operation.indexOf("."))}.${name}`;
}

function act(actions: Readonly<Record<string, CinderHandler>>, context: CinderContext): Reply {
  const [name, ...more] = bodyKeys(context.request.text);
  // exchanges: 'empty action'
  if (name === undefined || more.length > 0) throw invalid("Malformed request body");
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action === undefined)
    throw invalid(`There is no such action: ${name}. Verify the request body and Content-Type header and try again.`);
  return action(context);
}

function bodyKeys(text: string): string[] {
  try {
    const body: unknown = JSON.parse(text);
    return isObject(body) ? Object.keys(body) : [];
  } catch {
    return [];
  }
}
