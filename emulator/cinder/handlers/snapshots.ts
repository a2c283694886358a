// Snapshots: create, list, rename, delete and their actions (cinder/api/v3/snapshots.py, cinder/volume/api.py).

import { isObject, json, type Reply } from "../../core/http";
import { requireAdmin } from "../../openstack/wsgi";
import {
  accepted,
  acceptedJson,
  type CinderContext,
  findSnapshot,
  findVolume,
  listedRows,
  listReply,
  validated,
} from "../context";
import { invalid, snapshotNotFound } from "../errors";
import type { ListKind } from "../lists";
import type { SnapshotRow, VolumeRow } from "../model";
import * as schemas from "../schemas";
import { columnOf, strings, stripped, updateNames, words } from "../values";
import { snapshotView } from "../views";
import { checkQuota } from "./quotas";

export const FILTERS = ["name", "status", "volume_id", "metadata", "availability_zone", "consumes_quota"];

/** Database columns, not the names of the API: `size` can't be sorted by (exchanges: 'sort_key'). */
const SORTABLE = words(
  "id created_at updated_at display_name display_description status progress volume_id volume_size user_id project_id",
  "group_snapshot_id",
);

export function create(context: CinderContext): Reply {
  const { model, minor, projectId } = context;
  const given = validated(schemas.SNAPSHOT_CREATE, context, "snapshot");
  const volume = findVolume(context, given.volume_id);
  checkVolumeCanBeCopied(volume, minor, readForce(given.force, minor));
  checkQuota(context, "snapshots", volume.size, volume.volume_type_id);
  const row = model.createSnapshot({
    project_id: projectId,
    user_id: context.identity.userId,
    volume_id: volume.id,
    volume_size: volume.size,
    name: stripped(given.name ?? given.display_name),
    description: stripped(given.description),
    status: "creating",
    progress: "0%",
    metadata: isObject(given.metadata) ? strings(given.metadata) : {},
  });
  model.startSnapshotCreate(row, context.requestId);
  return json(202, { snapshot: snapshotView(row, context, "plain") });
}

export function list(context: CinderContext, form: "summary" | "extended"): Reply {
  const { model, minor } = context;
  const kind: ListKind<SnapshotRow> = {
    collection: form === "summary" ? "snapshots" : "snapshots/detail",
    // Unlike those of volumes, any value counts (cinder/volume/api.py get_all_snapshots; docs/wire/openstack.md#a6).
    rows: listedRows(model.snapshots, context, (query) => query.has("all_tenants")),
    memberFilters: context.snapshotFilters,
    column: (row, name) => {
      if (name === "display_name") return row.name;
      if (name === "display_description") return row.description;
      if (name === "availability_zone") return model.volumes.get(row.volume_id)?.availability_zone;
      return columnOf(row, name);
    },
    sortable: [...SORTABLE, ...(minor >= 30 ? ["name"] : [])],
    metadataFilterSince: 22,
    notFound: snapshotNotFound,
  };
  return listReply(context, kind, (row) => snapshotView(row, context, form));
}

export function show(context: CinderContext): Reply {
  return json(200, { snapshot: snapshotView(findSnapshot(context), context, "extended") });
}

export function update(context: CinderContext): Reply {
  const given = validated(schemas.SNAPSHOT_UPDATE, context, "snapshot");
  const row = findSnapshot(context);
  const before = row.updated_at;
  updateNames(row, given);
  row.updated_at = context.model.stamp();
  // Cinder answers with the updated_at that it loaded (exchanges: 'update while creating' has null, 'update description
  // null' the time of the update before).
  return json(200, { snapshot: snapshotView({ ...row, updated_at: before }, context, "plain") });
}

export function remove(context: CinderContext): Reply {
  beginDelete(findSnapshot(context), context, ["available", "error"]);
  return accepted();
}

/** cinder/volume/api.py:1233-1250. One text for all reasons (docs/wire/openstack.md#a9). */
function beginDelete(row: SnapshotRow, { model, requestId }: CinderContext, statuses?: readonly string[]): void {
  if (row.group_snapshot_id !== null || statuses?.includes(row.status) === false) {
    const status = statuses === undefined ? "" : `status must be ${statuses.join(" or ")} and`;
    throw invalid(`Invalid snapshot: Snapshot ${status} must not be part of a group.`);
  }
  model.startSnapshotDelete(row, requestId);
  row.updated_at = model.stamp();
}

export const ACTIONS = {
  "os-reset_status": resetStatus,
  "os-update_snapshot_status": updateStatus,
  "os-force_delete": forceDelete,
  "os-unmanage": unmanage,
} as const;

function resetStatus(context: CinderContext): Reply {
  const { status } = validated(schemas.SNAPSHOT_RESET_STATUS, context, "os-reset_status");
  const row = findSnapshot(context);
  requireAdmin(context.identity, "volume_extension:snapshot_admin_actions:reset_status");
  row.status = String(status).toLowerCase();
  row.updated_at = context.model.stamp();
  return acceptedJson();
}

/** Nova reports the result of its work by this action (cinder/api/contrib/snapshot_actions.py). */
function updateStatus(context: CinderContext): Reply {
  const { status, progress } = validated(schemas.SNAPSHOT_UPDATE_STATUS, context, "os-update_snapshot_status");
  const row = findSnapshot(context);
  const refusal = context.model.statusUpdateRefusal(row.id, String(status));
  if (refusal !== undefined) throw invalid(refusal);
  const checked = typeof progress === "string" ? checkedProgress(progress) : undefined;
  context.model.updateStatus(row, String(status), checked);
  return accepted();
}

function forceDelete(context: CinderContext): Reply {
  const row = findSnapshot(context);
  requireAdmin(context.identity, "volume_extension:snapshot_admin_actions:force_delete");
  beginDelete(row, context);
  return acceptedJson();
}

function unmanage(context: CinderContext): Reply {
  const row = findSnapshot(context);
  requireAdmin(context.identity, "snapshot_extension:snapshot_unmanage");
  row.status = "unmanaging";
  context.model.removeSnapshot(row.id);
  return accepted();
}

/** cinder/api/v3/snapshots.py:38 ff. */
function readForce(given: unknown, minor: number): boolean {
  if (given === undefined) return false;
  const force = schemas.isTrueForm(given);
  // exchanges: 'force false at 3.66', 'force "no" at 3.66'; the misspelling and the two blanks are Cinder's
  if (minor >= 66 && !force)
    throw invalid(
      "Since microversion 3.66 the 'force' flag is invalid for this request.  For backward compatability, however, when the 'force' flag is passed with a value evaluating to True, it is silently ignored.",
    );
  return force;
}

/** cinder/volume/api.py:1112-1135 */
function checkVolumeCanBeCopied(volume: VolumeRow, minor: number, force: boolean): void {
  if (volume.host === null)
    throw invalid("Invalid volume: The snapshot cannot be created because volume has not been scheduled to any host.");
  if (volume.status === "maintenance")
    throw invalid("Invalid volume: The snapshot cannot be created when the volume is in maintenance mode.");
  if (volume.migration_status !== null && !["success", "error", "none"].includes(volume.migration_status))
    throw invalid("Invalid volume: Snapshot cannot be created while volume is migrating.");
  if (volume.status === "error")
    throw invalid("Invalid volume: The snapshot cannot be created when the volume is in error status.");
  const allowed = minor >= 66 || force ? ["available", "in-use"] : ["available"];
  if (!allowed.includes(volume.status))
    throw invalid(
      `Invalid volume: Volume ${volume.id} status must be ${allowed.join(", ")}, but current status is: ${volume.status}.`,
    );
}

/** exchanges: 'bad progress', 'progress 101%' */
function checkedProgress(progress: string): string {
  const number = /^\s*([+-]?\d+)\s*%$/.exec(progress)?.[1];
  if (number === undefined) throw invalid("Invalid input received: progress must be an integer percentage");
  if (Number(number) < 0 || Number(number) > 100)
    throw invalid("Invalid input received: progress must be an integer percentage between 0 and 100");
  return progress;
}
