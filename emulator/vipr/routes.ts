// The paths of ViPR's API, after /vipr.

import type { Route } from "../core/http";
import type { Context, Handler } from "./context";
import { missing } from "./errors";
import {
  bulk,
  deactivateSession,
  deactivateTarget,
  find,
  linkTargets,
  relinkTargets,
  search,
  searchTargets,
  searchVolumes,
  sessionsOf,
  tagTarget,
  unlinkTargets,
} from "./handlers";
import { type Answer, groupView, linkTo, named, sessionView, TENANT, targetView, taskView, volumeView } from "./views";

const SESSIONS = "/block/snapshot-sessions";
const TARGETS = "/block/snapshots";
const VOLUMES = "/block/volumes";
const GROUPS = "/block/consistency-groups";
const TASKS = "/vdc/tasks";

export const ROUTES: readonly Route<Handler>[] = [
  ...sessionRoutes(),
  ...targetRoutes(),
  ...volumeRoutes(),
  ...groupRoutes(),
  // The tenant of the user, as a named reference (TenantResponse).
  route("tenant.show", "GET", "/tenant", ({ user: { tenant = TENANT } }) =>
    shown("tenant", { name: "Provider Tenant", ...linkTo(tenant, "/tenants") }),
  ),
  ...taskRoutes(),
];

function sessionRoutes(): Route<Handler>[] {
  return [
    route("sessions.search", "GET", `${SESSIONS}/search`, (context) =>
      search(context, context.model.sessions, SESSIONS, ({ label }) => label),
    ),
    route("sessions.bulk", "POST", `${SESSIONS}/bulk`, (context) =>
      bulk(context, context.model.sessions, "block_snapshot_session", (row) => sessionView(context.model, row)),
    ),
    route("sessions.show", "GET", `${SESSIONS}/{id}`, (context) =>
      shown("block_snapshot_session", sessionView(context.model, find(context, context.model.sessions))),
    ),
    route("sessions.tasks", "GET", `${SESSIONS}/{id}/tasks`, (context) => {
      const { id } = find(context, context.model.sessions);
      const tasks = [...context.model.tasks.values()].filter(({ resource }) => resource.id === id);
      return shown("tasks", { task: tasks.map(taskView) });
    }),
    route("sessions.task", "GET", `${SESSIONS}/{id}/tasks/{task}`, sessionTask),
    route("sessions.link", "POST", `${SESSIONS}/{id}/link-targets`, linkTargets),
    route("sessions.unlink", "POST", `${SESSIONS}/{id}/unlink-targets`, unlinkTargets),
    route("sessions.relink", "POST", `${SESSIONS}/{id}/relink-targets`, relinkTargets),
    route("sessions.deactivate", "POST", `${SESSIONS}/{id}/deactivate`, deactivateSession),
  ];
}

/** This path takes either id of a task, unlike /vdc/tasks (docs/wire/vipr.md#s3). */
function sessionTask(context: Context): Answer {
  const { id } = find(context, context.model.sessions);
  const wanted = context.params.task;
  const task = [...context.model.tasks.values()].find(
    (one) => one.resource.id === id && (one.id === wanted || one.opId === wanted),
  );
  if (task === undefined) throw missing(wanted ?? "");
  return shown("task", taskView(task));
}

function targetRoutes(): Route<Handler>[] {
  return [
    route("targets.search", "GET", `${TARGETS}/search`, (context) => searchTargets(context, TARGETS)),
    route("targets.bulk", "POST", `${TARGETS}/bulk`, (context) =>
      bulk(context, context.model.targets, "block_snapshot", (row) => targetView(context.model, row)),
    ),
    route("targets.show", "GET", `${TARGETS}/{id}`, (context) =>
      shown("block_snapshot", targetView(context.model, find(context, context.model.targets))),
    ),
    route("targets.tags", "GET", `${TARGETS}/{id}/tags`, (context) =>
      shown("tags", { tag: [...find(context, context.model.targets).tags] }),
    ),
    route("targets.tag", "PUT", `${TARGETS}/{id}/tags`, tagTarget),
    route("targets.deactivate", "POST", `${TARGETS}/{id}/deactivate`, deactivateTarget),
  ];
}

function volumeRoutes(): Route<Handler>[] {
  return [
    route("volumes.search", "GET", `${VOLUMES}/search`, (context) => searchVolumes(context, VOLUMES)),
    route("volumes.bulk", "POST", `${VOLUMES}/bulk`, (context) =>
      bulk(context, context.model.volumes, "volume", volumeView),
    ),
    route("volumes.show", "GET", `${VOLUMES}/{id}`, (context) =>
      shown("volume", volumeView(find(context, context.model.volumes))),
    ),
    route("volumes.sessions", "GET", `${VOLUMES}/{id}/protection/snapshot-sessions`, (context) =>
      sessionsOf(context, find(context, context.model.volumes).id),
    ),
    route("volumes.snapshots", "GET", `${VOLUMES}/{id}/protection/snapshots`, (context) => {
      const { id } = find(context, context.model.volumes);
      const rows = [...context.model.targets.values()].filter(({ parent }) => parent === id);
      rows.sort((a, b) => Number(a.inactive) - Number(b.inactive));
      return shown("snapshots", { snapshot: rows.map((row) => named(row, TARGETS)) });
    }),
  ];
}

function groupRoutes(): Route<Handler>[] {
  return [
    route("groups.show", "GET", `${GROUPS}/{id}`, (context) =>
      shown("consistency_group", groupView(context.model, find(context, context.model.groups))),
    ),
    route("groups.sessions", "GET", `${GROUPS}/{id}/protection/snapshot-sessions`, (context) =>
      sessionsOf(context, find(context, context.model.groups).id),
    ),
  ];
}

function taskRoutes(): Route<Handler>[] {
  return [
    route("tasks.bulk", "POST", `${TASKS}/bulk`, (context) => bulk(context, context.model.tasks, "task", taskView)),
    route("tasks.show", "GET", `${TASKS}/{id}`, (context) =>
      shown("task", taskView(find(context, context.model.tasks))),
    ),
    route("tasks.resume", "POST", `${TASKS}/{id}/resume`, (context) => {
      context.model.resume(find(context, context.model.tasks).id);
      return shown("", {});
    }),
    route("tasks.rollback", "POST", `${TASKS}/{id}/rollback`, (context) => {
      context.model.rollback(find(context, context.model.tasks).id);
      return shown("", {});
    }),
  ];
}

function route(operation: string, method: string, path: string, handler: Handler): Route<Handler> {
  return { operation, method, path, handler };
}

function shown(root: string, body: Record<string, unknown>): Answer {
  return { status: 200, root, body };
}
