// What ViPR does with sessions, targets and volumes.

import { asArray, fieldsOf, integer, readBody, text } from "./body";
import type { Context } from "./context";
import { missing, required, ViprError } from "./errors";
import { findForWrite, invalidUri, isUrn } from "./find";
import type { ViprModel } from "./model";
import type { ViprSession, ViprTarget } from "./rows";
import { type Answer, accepted, exportView, named, taskView } from "./views";

export function linkTargets(context: Context, session = sessionOf(context)): Answer {
  const given = readBody(context.request, "SnapshotSessionLinkTargetsParam", ["new_linked_targets"]);
  const param = given.new_linked_targets;
  if (param === undefined || param === null) throw required("new_linked_targets");
  const targets = fieldsOf(param, "SnapshotSessionNewTargetsParam", ["count", "target_name", "copy_mode"]);
  // ViPR does not enforce them: a missing count is a null pointer, a missing name the text "null" (docs/wire/vipr.md#s3).
  if (targets.count === undefined || targets.count === null || targets.count === "") throw new ViprError(500, 999);
  const count = integer(targets.count);
  const name = targets.target_name === undefined || targets.target_name === null ? "null" : text(targets.target_name);
  const copyMode = targets.copy_mode === undefined || targets.copy_mode === null ? "nocopy" : text(targets.copy_mode);
  return accepted({ task: [taskView(context.model.link(session, count, name, copyMode))] }, "tasks");
}

export function unlinkTargets(context: Context, session = sessionOf(context)): Answer {
  const { linked_targets } = readBody(context.request, "SnapshotSessionUnlinkTargetsParam", ["linked_targets"]);
  if (linked_targets === undefined || linked_targets === null) throw required("linked_target");
  const wanted = asArray(linked_targets).map((one) =>
    fieldsOf(one, "SnapshotSessionUnlinkTargetParam", ["id", "delete_target"]),
  );
  const { model } = context;
  if (![...session.linked].some((id) => model.targets.get(id)?.inactive === false)) {
    throw new ViprError(400, 1013, `Snapshot session ${session.id} does not have any linked targets.`);
  }
  const flags = new Map<string, boolean>();
  for (const { id, delete_target } of wanted) {
    const target = findInBody(context.model, id);
    if (!session.linked.has(target.id)) {
      throw new ViprError(400, 1013, `Target ${target.id} is not linked to snapshot session ${session.id}.`);
    }
    if (target.exported) {
      const message = `The snapshot session target ${target.id} cannot be unlinked as it is currently exported to a host.`;
      throw new ViprError(400, 1013, message);
    }
    flags.set(target.id, delete_target === true || delete_target === "true");
  }
  return accepted(taskView(model.unlink(session, flags)), "task");
}

/** The `{id}` of the path is the new session (docs/wire/vipr.md#s3). */
export function relinkTargets(context: Context, session = sessionOf(context)): Answer {
  const { ids } = readBody(context.request, "SnapshotSessionRelinkTargetsParam", ["ids"]);
  if (ids === undefined || ids === null) throw required("id");
  const targets = asArray(ids).map((id) => findInBody(context.model, id));
  if (targets.length === 0) throw new ViprError(500, 999);
  const sources = new Set<string>();
  for (const target of targets) {
    const home = context.model.isLinkedTo(target);
    if (home === undefined) {
      const message = `The requested target ${target.id} cannot be re-linked as it is not currently linked to an active snapshot session.`;
      throw new ViprError(400, 1013, message);
    }
    sources.add(context.model.sourceOf(home));
  }
  if (sources.size > 1) {
    const message = "All requested targets must be linked to active snapshot sessions of the same source.";
    throw new ViprError(400, 1013, message);
  }
  const [source] = sources;
  if (source !== context.model.sourceOf(session)) {
    throw new ViprError(
      400,
      1013,
      `The target snapshot session must have the same source, ${source}, as the snapshot sessions to which the targets are currently linked.`,
    );
  }
  return accepted({ task: [taskView(context.model.relink(session, targets))] }, "tasks");
}

export function sessionsOf({ model }: Context, source: string): Answer {
  const rows = [...model.sessions.values()].filter(
    (session) => !session.inactive && model.sourceOf(session) === source,
  );
  const body = { snapshot_session: rows.map((row) => named(row, "/block/snapshot-sessions")) };
  return { status: 200, root: "snapshot_sessions", body };
}

export function deactivateTarget(context: Context): Answer {
  const target = findForWrite(context, context.model.targets, "inactive too");
  if (target.exported && !target.inactive) {
    throw new ViprError(400, 1020, `BlockSnapshot ${target.id} has active references of type ExportGroup`);
  }
  const home = context.model.isLinkedTo(target);
  const linked = home !== undefined && !target.inactive && context.request.query.get("type") !== "VIPR_ONLY";
  const task = linked ? context.model.unlink(home, new Map([[target.id, true]])) : context.model.forget(target);
  return accepted({ task: [taskView(task)] }, "tasks");
}

/** An unknown id in a body is a 400, not a 404 (docs/wire/vipr.md#s5-b). */
function findInBody(model: ViprModel, id: unknown): ViprTarget {
  if (typeof id !== "string" || !isUrn(id)) throw invalidUri(String(id));
  const target = model.targets.get(id);
  if (target === undefined) throw new ViprError(400, 1004, `Unable to find entity with the given id ${id}`);
  if (target.inactive) {
    throw new ViprError(400, 1006, `Entity with the given id ${id} is inactive and marked for deletion`);
  }
  return target;
}

export function deactivateSession(context: Context, session = sessionOf(context)): Answer {
  return accepted({ task: [taskView(context.model.deactivateSession(session))] }, "tasks");
}

/** The paths to an exported target; an inactive one is not found (ExportUtils.java:76-106, 387-393). */
export function exportsOf(id: string, row: { inactive: boolean }, targets: ReadonlyMap<string, ViprTarget>): Answer {
  if (row.inactive) throw missing(id);
  const target = targets.get(id);
  return { status: 200, root: "itls", body: { itl: target?.exported ? [exportView(target)] : [] } };
}

function sessionOf(context: Context): ViprSession {
  return findForWrite(context, context.model.sessions);
}
