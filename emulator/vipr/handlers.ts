// What ViPR does with sessions, targets and volumes, and how it finds the rows that a request names.

import { asArray, fieldsOf, integer, readBody, text } from "./body";
import type { Context } from "./context";
import { missing, required, ViprError } from "./errors";
import type { ViprModel } from "./model";
import type { ViprTarget } from "./rows";
import { type Answer, accepted, linkTo, named, taskView } from "./views";

const URN = /^urn:storageos:([A-Z]+):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:([A-Z0-9]+)?$/i;
const BULK_MOST = 4000;

export function linkTargets(context: Context): Answer {
  const session = findForWrite(context, context.model.sessions);
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

export function unlinkTargets(context: Context): Answer {
  const session = findForWrite(context, context.model.sessions);
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
export function relinkTargets(context: Context): Answer {
  const session = findForWrite(context, context.model.sessions);
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

export function tagTarget(context: Context): Answer {
  const target = findForWrite(context, context.model.targets, "inactive too");
  const { add = [], remove = [] } = readBody(context.request, "TagAssignment", ["add", "remove"]);
  for (const tag of asArray(add)) {
    if (text(tag).length < 2) throw new ViprError(400, 1008, "Parameter Tag should have at least 2 characters.");
    target.tags.add(text(tag));
  }
  for (const tag of asArray(remove)) target.tags.delete(text(tag));
  return { status: 200, root: "tags", body: { tag: [...target.tags] } };
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

/** Searches by prefix, case-insensitive (TaggedResource.search). A user without rights finds nothing. */
export function search<Row extends { id: string; inactive: boolean }>(
  { request, user }: Context,
  rows: ReadonlyMap<string, Row>,
  path: string,
  nameOf: (row: Row) => string,
): Answer {
  const name = request.query.get("name");
  if (name === null) throw new ViprError(400, 1013, "Unknown search parameter.");
  if (name.length < 2) {
    throw new ViprError(400, 1008, `The search string ${name} is too short: name needs at least 2 characters`);
  }
  const found =
    user.role === "none"
      ? []
      : [...rows.values()].filter((row) => nameOf(row).toLowerCase().startsWith(name.toLowerCase()));
  const resource = found.map((row) => ({ ...linkTo(row.id, path), match: nameOf(row) }));
  return { status: 200, root: "results", body: { resource } };
}

/** By name, or by tag: `match` is then the tag (docs/wire/vipr.md#s3). */
export function searchTargets(context: Context, path: string): Answer {
  const { targets } = context.model;
  const tag = context.request.query.get("tag");
  if (tag === null) return search(context, targets, path, ({ label }) => label);
  if (tag.length < 2) {
    throw new ViprError(400, 1008, `The search string ${tag} is too short: tag needs at least 2 characters`);
  }
  const isMatch = (one: string) => one.toLowerCase().startsWith(tag.toLowerCase());
  const rows = context.user.role === "none" ? [] : [...targets.values()];
  const resource = rows.flatMap((row) =>
    [...row.tags].filter(isMatch).map((match) => ({ ...linkTo(row.id, path), match })),
  );
  return { status: 200, root: "results", body: { resource } };
}

export function searchVolumes(context: Context, path: string): Answer {
  const wwn = context.request.query.get("wwn");
  if (wwn === null) return search(context, context.model.volumes, path, ({ label }) => label);
  const rows = [...context.model.volumes.values()].filter(
    (row) => context.user.role !== "none" && !row.inactive && row.wwn === wwn.toUpperCase(),
  );
  const resource = rows.map((row) => ({ ...linkTo(row.id, path), match: row.wwn }));
  return { status: 200, root: "results", body: { resource } };
}

/** Leaves out rows that do not exist or that the user may not see. */
export function bulk<Row>(
  { request, user }: Context,
  rows: ReadonlyMap<string, Row>,
  field: string,
  view: (row: Row) => Record<string, unknown>,
): Answer {
  const { id = [] } = readBody(request, "BulkIdParam", ["id"]);
  const ids = [...new Set(asArray(id).map(text))];
  if (ids.length > BULK_MOST) throw new ViprError(400, 1031, `Exceeding limit ${BULK_MOST} for bulk resources`);
  const found = user.role === "none" ? [] : ids.flatMap((one) => rows.get(one) ?? []);
  return { status: 200, root: `bulk_${field}s`, body: { [field]: found.map(view) } };
}

export function find<Row>({ params, user }: Context, rows: ReadonlyMap<string, Row>): Row {
  const id = params.id ?? "";
  if (!URN.test(id)) throw new ViprError(400, 1002, `Parameter ${id} is not a valid URI`);
  const row = rows.get(id);
  if (row === undefined) throw missing(id);
  if (user.role === "none") throw new ViprError(403, 3000, `Insufficient permissions for user ${user.name}.`);
  return row;
}

function findForWrite<Row extends { inactive: boolean }>(
  context: Context,
  rows: ReadonlyMap<string, Row>,
  which: "active only" | "inactive too" = "active only",
): Row {
  const row = find(context, rows);
  if (row.inactive && which === "active only") {
    const message = `Entity specified in URL with the given id ${context.params.id} is inactive and marked for deletion`;
    throw new ViprError(404, 2001, message);
  }
  if (context.user.role !== "admin") {
    throw new ViprError(403, 3000, `Insufficient permissions for user ${context.user.name}.`);
  }
  return row;
}

/** An unknown id in a body is a 400, not a 404 (docs/wire/vipr.md#s5-b). */
function findInBody(model: ViprModel, id: unknown): ViprTarget {
  if (typeof id !== "string" || !URN.test(id))
    throw new ViprError(400, 1002, `Parameter ${String(id)} is not a valid URI`);
  const target = model.targets.get(id);
  if (target === undefined) throw new ViprError(400, 1004, `Unable to find entity with the given id ${id}`);
  if (target.inactive) {
    throw new ViprError(400, 1006, `Entity with the given id ${id} is inactive and marked for deletion`);
  }
  return target;
}

export function deactivateSession(context: Context): Answer {
  const session = findForWrite(context, context.model.sessions);
  return accepted({ task: [taskView(context.model.deactivateSession(session))] }, "tasks");
}
