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
import type { SnapshotRow, VolumeRow, VolumeType } from "../model";
import * as schemas from "../schemas";
import { columnOf, isTrueWord, strings, stripped, updateNames, words } from "../values";
import { typeView, volumeSummary, volumeView } from "../views";
import { checkImage, imageMetadata, readImage } from "./images";
import { checkGigabytes, checkQuota } from "./quotas";

const FILTERS = words("name status metadata bootable migration_status availability_zone group_id consumes_quota");
const SORTABLE = words("id name display_name status size created_at updated_at availability_zone bootable");

/** storage_availability_zone */
const ZONE = "nova";

/** A volume in another status can't be deleted without force. */
const DELETABLE_STATUSES = ["available", "error", "error_restoring", "error_extending", "error_managing"];

export function create(context: CinderContext): Reply {
  const { model, minor, projectId } = context;
  const given = validated(minor >= 53 ? schemas.VOLUME_CREATE_353 : schemas.VOLUME_CREATE, context, "volume");
  const snapshot = given.snapshot_id == null ? undefined : findSnapshot(context, given.snapshot_id);
  if (snapshot !== undefined && snapshot.status !== "available")
    throw invalid("Invalid snapshot: Originating snapshot status must be one of 'available' values");
  const source = given.source_volid == null ? undefined : findVolume(context, given.source_volid);
  if (source !== undefined && !["available", "in-use"].includes(source.status))
    throw invalid("Invalid volume: Originating source volume status must be one of 'available, in-use' values");
  const image = readImage(context, given.imageRef ?? given.image_id);
  const size = readSize(given.size, snapshot, source);
  if (image !== undefined) checkImage(image, size);
  const origin = source ?? (snapshot === undefined ? undefined : model.volumes.get(snapshot.volume_id));
  const type = findVolumeType(context, given.volume_type || (origin?.volume_type_id ?? "default"));
  const zone = readZone(context, given.availability_zone, origin?.availability_zone, snapshot);
  checkQuota(context, "volumes", size);
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
    multiattach: given.multiattach === true,
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
    metadataFilterSince: 0,
    notFound: volumeNotFound,
  };
  return listReply(context, kind, (row) =>
    form === "summary" ? volumeSummary(row, context) : volumeView(row, context, form),
  );
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
  const { model, request } = context;
  const row = findVolume(context);
  const force = context.minor >= 23 && isTrueWord(request.query.get("force"));
  if (force) requireAdmin(context.identity, "volume:force_delete");
  const cascade = isTrueWord(request.query.get("cascade"));
  const snapshots = model.snapshotsOf(row.id);
  const deletable = snapshots.every(
    ({ status, group_snapshot_id }) =>
      ["available", "error", "error_deleting"].includes(status) && group_snapshot_id === null,
  );
  const fits =
    (force || DELETABLE_STATUSES.includes(row.status)) &&
    row.attachments.length === 0 &&
    row.group_id === null &&
    row.migration_status === null;
  // One text for all reasons (exchanges: 'delete volume with snapshots', 'delete in-use volume').
  if (!fits || (cascade ? !deletable : snapshots.length > 0))
    throw invalid(
      `Invalid volume: Volume status must be ${DELETABLE_STATUSES.join(" or ")} and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.`,
    );
  // A volume that no backend has is gone at once (cinder/volume/api.py:426-455).
  if (row.host === null) model.removeVolume(row.id);
  else model.startVolumeDelete(row, snapshots, context.requestId);
  return accepted();
}

export function listTypes({ model }: CinderContext): Reply {
  return json(200, { volume_types: [...model.volumeTypes.values()].map(typeView) });
}

export function showType(context: CinderContext): Reply {
  return json(200, { volume_type: typeView(findVolumeType(context, context.params.id ?? "")) });
}

function findVolumeType({ model }: CinderContext, given: unknown): VolumeType {
  const idOrName = String(given);
  const wanted = idOrName === "default" ? "__DEFAULT__" : idOrName;
  const type = model.volumeTypes.get(wanted) ?? [...model.volumeTypes.values()].find((row) => row.name === wanted);
  if (type !== undefined) return type;
  // cinder/exception.py:361-368
  const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(idOrName);
  throw new HttpError(404, `Volume type ${isId ? "" : "with name "}${idOrName} could not be found.`);
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

function resetStatus(context: CinderContext): Reply {
  const { status } = validated(schemas.RESET_STATUS, context, "os-reset_status");
  const row = findVolume(context);
  requireAdmin(context.identity, "volume_extension:volume_admin_actions:reset_status");
  if (typeof status === "string") row.status = status;
  row.updated_at = context.model.stamp();
  return acceptedJson();
}

function forceDelete(context: CinderContext): Reply {
  const row = findVolume(context);
  requireAdmin(context.identity, "volume_extension:volume_admin_actions:force_delete");
  context.model.startVolumeDelete(row);
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
  checkGigabytes(context, size - row.size);
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
