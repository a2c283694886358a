// Volumes: create, list, update, delete and their actions (cinder/api/v3/volumes.py, docs/wire/openstack.md#volumes).

import { isObject, json, type Reply } from "../../core/http";
import { HttpError, requireAdmin } from "../../openstack/wsgi";
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
import { invalid, noSuchMethod, volumeNotFound } from "../errors";
import type { ListKind } from "../lists";
import type { SnapshotRow, VolumeRow } from "../model";
import * as schemas from "../schemas";
import { columnOf, readBooleanParam, strings, stripped, updateNames, words } from "../values";
import { volumeSummary, volumeView } from "../views";
import { checkImage, imageMetadata, readImage } from "./images";
import { checkGigabytes, checkQuota, checkVolumeSize } from "./quotas";
import { findByNameOrId } from "./types";

const FILTERS = words(
  "name status metadata bootable migration_status availability_zone group_id size created_at updated_at consumes_quota",
);
const SORTABLE = words("id name display_name status size created_at updated_at availability_zone bootable");

/** storage_availability_zone */
const ZONE = "nova";

/** A volume in another status can't be deleted without force. */
const DELETABLE_STATUSES = ["available", "error", "error_restoring", "error_extending", "error_managing"];

/** The statuses of a migration that has ended (cinder/volume/api.py:108). */
const AVAILABLE_MIGRATION_STATUSES = [null, "deleting", "error", "success"];

export function create(context: CinderContext): Reply {
  const { model, minor, projectId } = context;
  const given = validated(minor >= 53 ? schemas.VOLUME_CREATE_353 : schemas.VOLUME_CREATE, context, "volume");
  const named = given.volume_type ? findByNameOrId(context, given.volume_type) : undefined;
  const snapshot = given.snapshot_id == null ? undefined : findSnapshot(context, given.snapshot_id);
  if (snapshot !== undefined && snapshot.status !== "available")
    throw invalid("Invalid snapshot: Originating snapshot status must be one of 'available' values");
  const source = given.source_volid == null ? undefined : findVolume(context, given.source_volid);
  if (source !== undefined && !["available", "in-use"].includes(source.status))
    throw invalid("Invalid volume: Originating source volume status must be one of 'available, in-use' values");
  const image = readImage(context, given.imageRef ?? given.image_id);
  checkNoMultiattach(given.multiattach);
  const size = readSize(given.size, snapshot, source);
  if (image !== undefined) checkImage(image, size);
  const origin = source ?? (snapshot === undefined ? undefined : model.volumes.get(snapshot.volume_id));
  const type = named ?? model.volumeTypes.get(origin?.volume_type_id ?? "") ?? model.defaultVolumeType;
  const zone = readZone(context, given.availability_zone, origin?.availability_zone, snapshot);
  checkVolumeSize(context, size);
  checkQuota(context, "volumes", size, type.id);
  const row = model.createVolume({
    project_id: projectId,
    user_id: context.identity.userId,
    name: stripped(given.name ?? given.display_name),
    description: stripped(given.description ?? given.display_description),
    size,
    status: "creating",
    availability_zone: zone,
    volume_type_id: type.id,
    snapshot_id: snapshot?.id ?? null,
    source_volid: source?.id ?? null,
    metadata: isObject(given.metadata) ? strings(given.metadata) : {},
    image_metadata: image === undefined ? (origin?.image_metadata ?? null) : imageMetadata(image),
    bootable: false,
  });
  model.startVolumeCreate(row, context.requestId, origin?.bootable ?? image !== undefined);
  return json(202, { volume: volumeView(row, context, "plain") });
}

export function list(context: CinderContext, form: "summary" | "extended"): Reply {
  const kind: ListKind<VolumeRow> = {
    collection: form === "summary" ? "volumes" : "volumes/detail",
    rows: listedRows(context.model.volumes, context),
    memberFilters: FILTERS,
    column: (row, name) => columnOf(row, name === "display_name" ? "name" : name),
    sortable: SORTABLE,
    times: ["created_at", "updated_at"],
    booleanSince: { bootable: 2 },
    metadataFilterSince: 0,
    notFound: volumeNotFound,
  };
  return listReply(context, kind, (row) =>
    form === "summary" ? volumeSummary(row, context) : volumeView(row, context, form),
  );
}

/** cinder/api/v3/volumes.py:195-217: it counts the volumes of a project, whatever the query asks for beside all projects. */
export function summary(context: CinderContext): Reply {
  const rows = listedRows(context.model.volumes, context);
  const metadata: Record<string, string[]> = {};
  for (const [key, value] of rows.flatMap((row) => Object.entries(row.metadata))) {
    metadata[key] = [...new Set([...(metadata[key] ?? []), value])];
  }
  const total_size = rows.reduce((total, { size }) => total + size, 0);
  const counted = { total_count: rows.length, total_size };
  return json(200, { "volume-summary": { ...counted, ...(context.minor >= 36 ? { metadata } : {}) } });
}

export function show(context: CinderContext): Reply {
  return json(200, { volume: volumeView(findVolume(context), context, "extended") });
}

export function update(context: CinderContext): Reply {
  const schema = context.minor >= 53 ? schemas.VOLUME_UPDATE_353 : schemas.VOLUME_UPDATE;
  const given = validated(schema, context, "volume");
  const row = findVolume(context);
  const before = row.updated_at;
  updateNames(row, given);
  // Here metadata replaces all (docs/wire/openstack.md#volumes). As with snapshots, updated_at is that of before.
  if (isObject(given.metadata)) row.metadata = strings(given.metadata);
  row.updated_at = context.model.stamp();
  return json(200, { volume: volumeView({ ...row, updated_at: before }, context, "plain") });
}

export function remove(context: CinderContext): Reply {
  const { request, minor } = context;
  const cascade = readBooleanParam(request.query, "cascade");
  const force = minor >= 23 && readBooleanParam(request.query, "force");
  const row = findVolume(context);
  if (force) requireAdmin(context.identity, "volume:force_delete");
  deleteVolume(context, row, { force, cascade });
  return accepted();
}

/** cinder/volume/api.py:412-530: force waives the status, and nothing else. */
function deleteVolume(
  { model, requestId }: CinderContext,
  row: VolumeRow,
  { force, cascade }: { force: boolean; cascade: boolean },
): void {
  // A volume that no backend has is gone at once, whatever its state is.
  if (row.host === null) {
    model.removeVolume(row.id);
    return;
  }
  const snapshots = model.snapshotsOf(row.id);
  const fits =
    (force || DELETABLE_STATUSES.includes(row.status)) &&
    !model.isAttached(row) &&
    row.group_id === null &&
    AVAILABLE_MIGRATION_STATUSES.includes(row.migration_status);
  const deletable = force || snapshots.every(({ status }) => ["available", "error"].includes(status));
  if (!fits || (cascade ? !deletable : snapshots.length > 0)) {
    // One text for all reasons (exchanges: 'delete volume with snapshots', 'delete in-use volume').
    const status = force ? "" : `status must be ${DELETABLE_STATUSES.join(" or ")} and`;
    throw invalid(
      `Invalid volume: Volume ${status} must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.`,
    );
  }
  // Cinder looks at the groups of the snapshots later, when it has begun.
  if (snapshots.some(({ group_snapshot_id }) => group_snapshot_id !== null)) {
    row.status = "error_deleting";
    throw invalid("Invalid volume: Failed to update snapshot.");
  }
  model.startVolumeDelete(row, snapshots, requestId);
}

/** utils.get_bool_param and cinder/api/v3/volumes.py:389-396 */
function checkNoMultiattach(given: unknown): void {
  if (given === null) throw invalid("Value 'None' for 'multiattach' is not a boolean.");
  if (given !== undefined && schemas.isTrueForm(given))
    throw invalid(
      "multiattach parameter has been removed. The default behavior is to use multiattach enabled volume types. Contact your administrator to create a multiattach enabled volume type and use it to create multiattach volumes.",
    );
}

/** cinder/volume/api.py:261-266, cinder/volume/flows/api/create_volume.py:153-213 */
function readSize(given: unknown, snapshot: SnapshotRow | undefined, source: VolumeRow | undefined): number {
  const size = given == null ? (snapshot?.volume_size ?? source?.size) : Number(given);
  if (size === undefined || !Number.isInteger(size) || size <= 0)
    throw invalid(
      `Invalid input received: Invalid volume size provided for create request: ${given == null ? "None" : String(given)} (size argument must be an integer (or string representation of an integer) and greater than zero).`,
    );
  if (source !== undefined && size < source.size)
    throw invalid(
      // The two blanks are Cinder's.
      `Invalid input received: Volume size '${size}'GB cannot be smaller than original volume size  ${source.size}GB. They must be >= original volume size.`,
    );
  if (source === undefined && snapshot !== undefined && size < snapshot.volume_size)
    throw invalid(
      `Invalid input received: Volume size '${size}'GB cannot be smaller than the snapshot size ${snapshot.volume_size}GB. They must be >= original snapshot size.`,
    );
  return size;
}

/**
 * cinder/exception.py:202, cinder/volume/flows/api/create_volume.py:262-353, with the default options: no fallback to
 * another zone, and a copy stays in the zone of its source.
 */
function readZone(
  { model }: CinderContext,
  given: unknown,
  originZone: string | undefined,
  snapshot: SnapshotRow | undefined,
): string {
  const zone = typeof given === "string" ? given : (originZone ?? ZONE);
  const zones = [ZONE, ...[...model.volumes.values()].map(({ availability_zone }) => availability_zone)];
  if (!zones.includes(zone)) throw invalid(`Availability zone '${zone}' is invalid.`);
  if (originZone !== undefined && zone !== originZone)
    throw invalid(
      `Invalid input received: Volume must be in the same availability zone as the ${snapshot === undefined ? "source volume" : "snapshot"}`,
    );
  return zone;
}

export const ACTIONS = {
  "os-reset_status": resetStatus,
  "os-force_delete": forceDelete,
  "os-set_bootable": setBootable,
  "os-extend": extend,
  revert,
} as const;

/** cinder/api/contrib/admin_actions.py:157-197 */
function resetStatus(context: CinderContext): Reply {
  const given = validated(schemas.VOLUME_RESET_STATUS, context, "os-reset_status");
  const [status, attachStatus, migrationStatus] = [given.status, given.attach_status, given.migration_status].map(
    (value) => (typeof value === "string" && value !== "" ? value.toLowerCase() : undefined),
  );
  const row = findVolume(context);
  requireAdmin(context.identity, "volume_extension:volume_admin_actions:reset_status");
  // A comma is missing after 'error_deleting' in Cinder's list, so it refuses neither that status nor 'detaching'.
  if (status === "deleting") throw invalid("Cannot reset-state to deleting");
  if (status === "in-use" && row.attachments.length === 0)
    throw invalid("Cannot reset-state to in-use because volume does not have any attachments.");
  if (status !== undefined) row.status = status;
  if (migrationStatus !== undefined) row.migration_status = migrationStatus === "none" ? null : migrationStatus;
  if (attachStatus === "attached") row.attach_status = attachStatus;
  if (attachStatus === "detached") detachAll(row);
  row.updated_at = context.model.stamp();
  return acceptedJson();
}

/** The last attachment that goes sets the status again (cinder/db/sqlalchemy/api.py:2246-2299). */
function detachAll(row: VolumeRow): void {
  const isBusy = row.status === "uploading" || row.migration_status !== null;
  if (row.attachments.length > 0 && !(isBusy && !["success", "error"].includes(String(row.migration_status))))
    row.status = "available";
  row.attachments = [];
  row.attach_status = null;
}

function forceDelete(context: CinderContext): Reply {
  const row = findVolume(context);
  requireAdmin(context.identity, "volume_extension:volume_admin_actions:force_delete");
  deleteVolume(context, row, { force: true, cascade: false });
  return acceptedJson();
}

function setBootable(context: CinderContext): Reply {
  const { bootable } = validated(schemas.SET_BOOTABLE, context, "os-set_bootable");
  const row = findVolume(context);
  row.bootable = schemas.isTrueForm(bootable);
  row.updated_at = context.model.stamp();
  return acceptedJson(200);
}

/** cinder/api/contrib/volume_actions.py:265-283, cinder/volume/api.py:1548-1676 */
function extend(context: CinderContext): Reply {
  const { new_size } = validated(schemas.EXTEND, context, "os-extend");
  const row = findVolume(context);
  const size = Number(new_size);
  if (size <= row.size)
    throw invalid(
      `Invalid input received: New size for extend must be greater than current size. (current: ${row.size}, extended: ${size}).`,
    );
  // Before 3.42 an attached volume counts as one in a wrong status.
  const expected = context.minor >= 42 && row.status === "in-use" ? "in-use" : "available";
  if (row.status !== expected)
    throw invalid(
      `Invalid volume: Volume ${row.id} status must be '{'status': '${expected}'}' to extend, currently ${row.status}.`,
    );
  checkVolumeSize(context, size);
  checkGigabytes(context, size - row.size, row.volume_type_id);
  context.model.startVolumeExtend(row, size, context.requestId);
  return accepted();
}

function revert(context: CinderContext): Reply {
  // exchanges: 'revert at 3.39'
  if (context.minor < 40) throw noSuchMethod();
  const { snapshot_id } = validated(schemas.REVERT, context, "revert");
  const volume = findVolume(context);
  const { id, status } = volume;
  const [latest] = context.model.snapshotsOf(id).sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
  if (latest === undefined) throw invalid(`Volume ${id} doesn't have any snapshots.`);
  if (latest.id !== snapshot_id)
    throw invalid(
      `Specified snapshot ${snapshot_id == null ? "None" : String(snapshot_id)} is None or not the latest one of volume ${id}.`,
    );
  const refusal = `Can't revert volume ${id} to its latest snapshot ${latest.id}.`;
  if (volume.size !== latest.volume_size)
    throw invalid(`${refusal} The volume size must be equal to the snapshot size.`);
  // cinder/volume/api.py:394-401
  if (status !== "available")
    throw new HttpError(409, `Invalid volume: ${refusal} Volume's status must be 'available'.`);
  if (latest.status !== "available") {
    // The real server also leaves the volume in `reverting` (docs/wire/openstack.md#revert calls it Cinder's bug).
    volume.status = "reverting";
    throw new HttpError(409, `Invalid snapshot: ${refusal} Snapshot's status must be 'available'.`);
  }
  context.model.startRevert(volume, latest);
  return accepted();
}
