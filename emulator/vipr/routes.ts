// The paths of ViPR's API, after /vipr.

import type { Route } from "../core/http";
import type { Context, Handler } from "./context";
import { insufficientPermissions, missing, ViprError } from "./errors";
import { find, findForWrite, invalidUri, isUrn } from "./find";
import {
  deactivateSession,
  deactivateTarget,
  exportsOf,
  linkTargets,
  relinkTargets,
  sessionsOf,
  unlinkTargets,
} from "./handlers";
import type { ViprModel } from "./model";
import type { ViprGroup, ViprSession, ViprTarget, ViprTask, ViprVolume } from "./rows";
import { type Searched, searched, tasksBy, volumesByWwn } from "./searches";
import { type Kind, sharedRoutes, taskRoutesOf } from "./shared";
import {
  type Answer,
  groupView,
  linkTo,
  named,
  PROJECT_NAME,
  sessionView,
  TENANT,
  targetView,
  taskView,
  volumeView,
} from "./views";

const SESSIONS: Kind<ViprSession> = {
  name: "sessions",
  type: "BlockSnapshotSession",
  path: "/block/snapshot-sessions",
  root: "block_snapshot_session",
  rows: ({ sessions }) => sessions,
  view: sessionView,
  active: ({ sessions }) => labelled(sessions),
  inProject: {
    name: sourceLabel,
    // ViPR looks for snapshots here (ContainmentPrefixConstraint.java:84-90).
    named: ({ targets }) => labelled(targets),
  },
};

const TARGETS: Kind<ViprTarget> = {
  name: "targets",
  type: "BlockSnapshot",
  path: "/block/snapshots",
  root: "block_snapshot",
  rows: ({ targets }) => targets,
  view: targetView,
  active: ({ targets }) => labelled(targets),
  inProject: { name: sourceLabel },
};

const VOLUMES: Kind<ViprVolume> = {
  name: "volumes",
  type: "Volume",
  path: "/block/volumes",
  root: "volume",
  rows: ({ volumes }) => volumes,
  view: volumeView,
  active: ({ volumes }) => labelled(volumes),
  inProject: { name: ({ volumes }, id) => volumes.get(id)?.label ?? "" },
  other: volumesByWwn,
};

const GROUPS: Kind<ViprGroup> = {
  name: "groups",
  type: "BlockConsistencyGroup",
  path: "/block/consistency-groups",
  root: "consistency_group",
  rows: ({ groups }) => groups,
  view: groupView,
  active: ({ groups }) => labelled(groups),
  // BlockConsistencyGroupService.java:281.
  inProject: { name: () => PROJECT_NAME },
};

const TASKS: Kind<ViprTask> = {
  name: "tasks",
  type: "Task",
  path: "/vdc/tasks",
  root: "task",
  rows: ({ tasks }) => tasks,
  view: (_model, task) => taskView(task),
  active: ({ tasks }) => [...tasks.values()].map((task) => searched(task, task.name)),
  other: tasksBy,
  tagNeedsRights: false,
};

export const ROUTES: readonly Route<Handler>[] = [
  ...sharedRoutes(SESSIONS),
  ...taskRoutesOf(SESSIONS),
  ...sessionRoutes(),
  ...sharedRoutes(TARGETS),
  ...taskRoutesOf(TARGETS),
  ...targetRoutes(),
  ...sharedRoutes(VOLUMES),
  ...taskRoutesOf(VOLUMES),
  ...volumeRoutes(),
  ...sharedRoutes(GROUPS),
  ...taskRoutesOf(GROUPS),
  ...groupRoutes(),
  // The tenant of the user, as a named reference (TenantResponse).
  route("tenant.show", "GET", "/tenant", ({ user: { tenant = TENANT } }) =>
    shown("tenant", { name: "Provider Tenant", ...linkTo(tenant, "/tenants") }),
  ),
  ...sharedRoutes(TASKS),
  ...taskRoutes(),
];

function sessionRoutes(): Route<Handler>[] {
  const { path } = SESSIONS;
  return [
    route("sessions.show", "GET", `${path}/{id}`, (context) =>
      shown(SESSIONS.root, sessionView(context.model, find(context, context.model.sessions))),
    ),
    route("sessions.link", "POST", `${path}/{id}/link-targets`, (context) => linkTargets(context)),
    route("sessions.unlink", "POST", `${path}/{id}/unlink-targets`, (context) => unlinkTargets(context)),
    route("sessions.relink", "POST", `${path}/{id}/relink-targets`, (context) => relinkTargets(context)),
    route("sessions.deactivate", "POST", `${path}/{id}/deactivate`, (context) => deactivateSession(context)),
  ];
}

function targetRoutes(): Route<Handler>[] {
  const { path, type } = TARGETS;
  return [
    route("targets.show", "GET", `${path}/{id}`, (context) =>
      shown(TARGETS.root, targetView(context.model, find(context, context.model.targets, type))),
    ),
    route("targets.exports", "GET", `${path}/{id}/exports`, (context) => {
      const { targets } = context.model;
      return exportsOf(context.params.id ?? "", find(context, targets, type), targets);
    }),
    route("targets.deactivate", "POST", `${path}/{id}/deactivate`, deactivateTarget),
  ];
}

function volumeRoutes(): Route<Handler>[] {
  const { path, type } = VOLUMES;
  return [
    route("volumes.show", "GET", `${path}/{id}`, (context) =>
      shown(VOLUMES.root, volumeView(context.model, find(context, context.model.volumes, type))),
    ),
    route("volumes.exports", "GET", `${path}/{id}/exports`, (context) =>
      exportsOf(context.params.id ?? "", find(context, context.model.volumes), context.model.targets),
    ),
    route("volumes.sessions", "GET", `${path}/{id}/protection/snapshot-sessions`, (context) =>
      sessionsOf(context, find(context, context.model.volumes).id),
    ),
    route("volumes.snapshots", "GET", `${path}/{id}/protection/snapshots`, (context) => {
      const { id } = find(context, context.model.volumes, type);
      return snapshots(context.model, (volume) => volume.id === id);
    }),
  ];
}

function groupRoutes(): Route<Handler>[] {
  const { path, type } = GROUPS;
  const ofSession = (operation: string, handler: (context: Context, session: ViprSession) => Answer) =>
    route(
      `groups.${operation}`,
      "POST",
      `${path}/{id}/protection/snapshot-sessions/{session}/${operation === "deactivate" ? operation : `${operation}-targets`}`,
      (context) => handler(context, sessionOfGroup(context)),
    );
  return [
    route("groups.show", "GET", `${path}/{id}`, (context) =>
      shown(GROUPS.root, groupView(context.model, find(context, context.model.groups, type))),
    ),
    route("groups.sessions", "GET", `${path}/{id}/protection/snapshot-sessions`, (context) =>
      sessionsOf(context, find(context, context.model.groups).id),
    ),
    route("groups.snapshots", "GET", `${path}/{id}/protection/snapshots`, (context) => {
      const { id } = find(context, context.model.groups);
      return snapshots(context.model, ({ group }) => group === id);
    }),
    ofSession("link", linkTargets),
    ofSession("unlink", unlinkTargets),
    ofSession("relink", relinkTargets),
    ofSession("deactivate", deactivateSession),
  ];
}

/** A session under the address of its group (BlockConsistencyGroupService.java:2681-2697). */
function sessionOfGroup(context: Context): ViprSession {
  const { model, params } = context;
  const group = find(context, model.groups);
  const id = params.session ?? "";
  if (!isUrn(id)) throw invalidUri(id);
  const session = model.sessions.get(id);
  if (session === undefined) throw missing(id);
  if (session.group !== group.id) {
    const message = `Snapshot session ${session.label} is not associated with consistency group ${group.label}`;
    throw new ViprError(400, 1013, message);
  }
  return findForWrite({ ...context, params: { id } }, model.sessions);
}

function taskRoutes(): Route<Handler>[] {
  const { path } = TASKS;
  return [
    route("tasks.stats", "GET", `${path}/stats`, taskStats),
    route("tasks.show", "GET", `${path}/{id}`, (context) =>
      shown("task", taskView(find(context, context.model.tasks))),
    ),
    route("tasks.resume", "POST", `${path}/{id}/resume`, (context) => {
      context.model.resume(suspended(context).id);
      return shown("", {});
    }),
    route("tasks.rollback", "POST", `${path}/{id}/rollback`, (context) => {
      context.model.rollback(suspended(context).id);
      return shown("", {});
    }),
    route("tasks.delete", "POST", `${path}/{id}/delete`, (context) => {
      const { id } = find(context, context.model.tasks);
      if (context.user.role !== "admin") throw insufficientPermissions(context.user.name);
      context.model.tasks.delete(id);
      return shown("", {});
    }),
  ];
}

/** All tasks that are neither ready nor in error count as pending (TaskService.java:153-181). */
function taskStats({ model, request, user }: Context): Answer {
  const { tenant: own = TENANT, role, name } = user;
  const tenant = request.query.get("tenant") ?? own;
  if (tenant !== own && role !== "admin") throw insufficientPermissions(name);
  const states = tenant === TENANT ? [...model.tasks.values()].map(({ state }) => state) : [];
  const count = (of: (state: string) => boolean) => states.filter(of).length;
  return shown("task_stats", {
    pending: count((state) => state !== "ready" && state !== "error"),
    ready: count((state) => state === "ready"),
    error: count((state) => state === "error"),
  });
}

/** Only what is suspended can be resumed or rolled back (TaskService.java:427-454). */
function suspended(context: Context): ViprTask {
  const task = find(context, context.model.tasks);
  if (context.user.role !== "admin") throw insufficientPermissions(context.user.name);
  if (task.workflow === undefined) {
    throw new ViprError(400, 1013, `No workflow is associated with task ID ${task.id}.`);
  }
  const state = { suspended_no_error: "SUSPENDED_NO_ERROR", suspended_error: "SUSPENDED_ERROR" }[task.state];
  if (state !== undefined) return task;
  const now = { ready: "SUCCESS", error: "ERROR" }[task.state] ?? "RUNNING";
  const message = `Invalid value ${now} for parameter Workflow completion state, expected one of [SUSPENDED_NO_ERROR, SUSPENDED_ERROR]`;
  throw new ViprError(400, 1008, message);
}

/** The active ones: an index has no others (docs/wire/vipr.md#searches). */
function snapshots(model: ViprModel, isSource: (volume: ViprVolume) => boolean): Answer {
  const sources = new Set([...model.volumes.values()].filter(isSource).map(({ id }) => id));
  const rows = [...model.targets.values()].filter(({ parent, inactive }) => !inactive && sources.has(parent));
  return shown("snapshots", { snapshot: rows.map((row) => named(row, TARGETS.path)) });
}

function labelled(
  rows: ReadonlyMap<string, { id: string; label: string; inactive: boolean; tags: Set<string> }>,
): Searched[] {
  return [...rows.values()].filter(({ inactive }) => !inactive).map((row) => searched(row, row.label));
}

/** A session and a target have the name of their source in the project's index (DefaultBlockSnapshotSessionApiImpl.java:323,370). */
function sourceLabel({ sessions, targets, volumes, groups }: ViprModel, id: string): string {
  const session = sessions.get(id);
  const parent = targets.get(id)?.parent ?? session?.volume;
  // A group's session is made from one of its volumes.
  const first = [...volumes.values()].find(({ group }) => group !== undefined && group === session?.group);
  return volumes.get(parent ?? first?.id ?? "")?.label ?? groups.get(session?.group ?? "")?.label ?? "";
}

function route(operation: string, method: string, path: string, handler: Handler): Route<Handler> {
  return { operation, method, path, handler };
}

function shown(root: string, body: Record<string, unknown>): Answer {
  return { status: 200, root, body };
}
