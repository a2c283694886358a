// What Cinder shows of its rows (cinder/api/v3/views). The keys have the order of the recorded answers.

import type { Microversions } from "../openstack/wsgi";
import type { CinderContext } from "./context";
import type { MessageRow, Quotas, SnapshotRow, VolumeRow, VolumeType } from "./model";

type View = Record<string, unknown>;

/** exchanges: 'show available 3.66'. Show and detail are the extended form, create and update the plain one. */
export function snapshotView(row: SnapshotRow, { minor }: CinderContext, form: "summary" | "plain" | "extended"): View {
  const summary = {
    ...pick(row, "id", "created_at", "updated_at", "name", "description", "volume_id", "status"),
    size: row.volume_size,
    metadata: row.metadata,
  };
  if (form === "summary") return summary;
  return {
    ...summary,
    ...(minor >= 14 ? { group_snapshot_id: row.group_snapshot_id } : {}),
    ...(minor >= 41 ? { user_id: row.user_id } : {}),
    ...(minor >= 65 ? { consumes_quota: row.consumes_quota } : {}),
    ...(form === "extended"
      ? {
          "os-extended-snapshot-attributes:project_id": row.project_id,
          "os-extended-snapshot-attributes:progress": row.progress,
        }
      : {}),
  };
}

/** exchanges: 'the clone'; the microversions are those of cinder/api/v3/views/volumes.py. */
export function volumeView(row: VolumeRow, context: CinderContext, form: "plain" | "extended"): View {
  const { minor, model } = context;
  const { isAdmin } = context.identity;
  const isMade = row.status !== "creating";
  return {
    ...pick(row, "id", "status", "size", "availability_zone", "created_at", "updated_at", "name", "description"),
    volume_type: model.volumeTypes.get(row.volume_type_id)?.name ?? null,
    ...pick(row, "snapshot_id", "source_volid", "metadata"),
    links: links(context, "volumes", row.id),
    user_id: row.user_id,
    bootable: String(row.bootable),
    encrypted: false,
    replication_status: null,
    consistencygroup_id: null,
    ...pick(row, "multiattach", "attachments"),
    ...(isAdmin ? { migration_status: row.migration_status } : {}),
    ...(minor >= 13 ? { group_id: row.group_id } : {}),
    ...(minor >= 21 && isAdmin ? { provider_id: null } : {}),
    ...(minor >= 48 ? { shared_targets: !isMade, service_uuid: isMade ? model.serviceUuid : null } : {}),
    ...(minor >= 61 && isAdmin ? { cluster_name: null } : {}),
    ...(minor >= 63 ? { volume_type_id: row.volume_type_id } : {}),
    ...(minor >= 65 ? { consumes_quota: row.consumes_quota } : {}),
    ...(form === "extended" && isAdmin
      ? {
          "os-vol-host-attr:host": row.host,
          "os-vol-mig-status-attr:migstat": row.migration_status,
          "os-vol-mig-status-attr:name_id": null,
        }
      : {}),
    ...(form === "extended" ? { "os-vol-tenant-attr:tenant_id": row.project_id } : {}),
    ...(form === "extended" && row.image_metadata !== null ? { volume_image_metadata: row.image_metadata } : {}),
  };
}

export function volumeSummary(row: VolumeRow, context: CinderContext): View {
  return { id: row.id, name: row.name, links: links(context, "volumes", row.id) };
}

export function messageView(row: MessageRow, context: CinderContext): View {
  const { project_id: _, resource_type, resource_uuid, ...message } = row;
  return { ...message, links: links(context, "messages", row.id), resource_type, resource_uuid };
}

/** Only administrators see the quality of service (cinder/api/v3/views/types.py:23-49; exchanges: 'types'). */
export function typeView(type: VolumeType, isAdmin: boolean): View {
  return {
    ...pick(type, "id", "name", "is_public", "description"),
    extra_specs: {},
    ...(isAdmin ? { qos_specs_id: null } : {}),
    "os-volume-type-access:is_public": type.is_public,
  };
}

/** exchanges: 'limits' */
export function limitsView(quotas: Readonly<Record<string, number>>, used: Quotas): View {
  return {
    maxTotalVolumes: quotas.volumes,
    maxTotalSnapshots: quotas.snapshots,
    maxTotalVolumeGigabytes: quotas.gigabytes,
    maxTotalBackups: quotas.backups,
    maxTotalBackupGigabytes: quotas.backup_gigabytes,
    totalVolumesUsed: used.volumes,
    totalGigabytesUsed: used.gigabytes,
    totalSnapshotsUsed: used.snapshots,
    totalBackupsUsed: 0,
    totalBackupGigabytesUsed: 0,
  };
}

/** docs/wire/openstack.md#a4 */
export function versionsView(base: string, { min, max }: Microversions): View {
  const version = {
    id: "v3.0",
    status: "CURRENT",
    version: max,
    min_version: min,
    updated: "2022-08-31T00:00:00Z",
    links: [
      { rel: "describedby", type: "text/html", href: "https://docs.openstack.org/" },
      { rel: "self", href: `${base}/v3/` },
    ],
    "media-types": [{ base: "application/json", type: "application/vnd.openstack.volume+json;version=3" }],
  };
  return { versions: [version] };
}

function pick<Row, Key extends keyof Row>(row: Row, ...keys: Key[]): Pick<Row, Key> {
  return Object.fromEntries(keys.map((key) => [key, row[key]])) as Pick<Row, Key>;
}

function links({ base }: CinderContext, collection: string, id: string): { rel: string; href: string }[] {
  const bookmark = base.replace("/volume/v3/", "/volume/");
  return [
    { rel: "self", href: `${base}/${collection}/${id}` },
    { rel: "bookmark", href: `${bookmark}/${collection}/${id}` },
  ];
}
