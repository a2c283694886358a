// The Block Storage API v3 on the wire: every call on snapshots and their metadata, the calls on volumes that copies need,
// and the messages and limits that explain them. Field names are the API's own. Nothing here waits.

import * as z from "zod";
import { beginShared, waitForShared } from "../core/currentOperation";
import { SnapcloneError } from "../core/errors";
import { withAbort } from "../core/util/abort";
import { compareVersions } from "../core/util/version";
import { cinderError } from "./cinderErrors";
import { type Listing, type Page, readAllPages } from "./cinderLists";
import { negotiateMicroversion, versionHeader } from "./cinderVersion";
import type { KeystoneSession, Query, ServiceRequest } from "./keystone";
import { blockStorageAddress, pathSegment } from "./urls";

const nullableString = z.string().nullable().default(null);

/**
 * OpenStack's ids are UUIDs. What only speaks like Cinder may have others, so a list's row is refused where it certainly has none:
 * a word such as a status would be recorded as the id of an object, and never be found again.
 */
const idSchema = z.string().regex(/^(?=.*\d)[\w-]+$/, "not an id");

const snapshotSchema = z.looseObject({
  id: idSchema,
  volume_id: z.string(),
  /** Usually one of docs/wire/openstack.md#a8. A plain string, since forks add their own. */
  status: z.string(),
  size: z.number(),
  metadata: z.record(z.string(), z.string()),
  name: nullableString,
  description: nullableString,
  /** UTC without a zone. */
  created_at: nullableString,
  updated_at: nullableString,
  /** From 3.14, 3.41 and 3.65 on, and never in a list without details (docs/wire/openstack.md#a3). */
  group_snapshot_id: z.string().nullish(),
  user_id: z.string().nullish(),
  consumes_quota: z.boolean().nullish(),
  /** Only from show and detail, and only where policy allows them (docs/wire/openstack.md#a3). */
  "os-extended-snapshot-attributes:project_id": z.string().nullish(),
  "os-extended-snapshot-attributes:progress": z.string().nullish(),
});

const volumeSchema = z.looseObject({
  id: idSchema,
  status: z.string(),
  size: z.number(),
  name: nullableString,
  description: nullableString,
  metadata: z.preprocess((value) => value ?? {}, z.record(z.string(), z.string())),
  attachments: z.preprocess(
    (value) => value ?? [],
    z.array(
      z.looseObject({
        server_id: z.string().nullish(),
        host_name: z.string().nullish(),
        device: z.string().nullish(),
      }),
    ),
  ),
  volume_type: z.string().nullish(),
  multiattach: z.boolean().nullish(),
  /** From 3.13 on. */
  group_id: z.string().nullish(),
  source_volid: z.string().nullish(),
  snapshot_id: z.string().nullish(),
  availability_zone: z.string().nullish(),
  /** "true" or "false". */
  bootable: z.string().nullish(),
  /** Only for administrators. */
  migration_status: z.string().nullish(),
  "os-vol-mig-status-attr:migstat": z.string().nullish(),
  created_at: nullableString,
  updated_at: nullableString,
});

const messageSchema = z.looseObject({
  id: z.string().min(1),
  user_message: z.string(),
  created_at: nullableString,
  event_id: z.string().nullish(),
  message_level: z.string().nullish(),
  request_id: z.string().nullish(),
  resource_type: z.string().nullish(),
  resource_uuid: z.string().nullish(),
});

/** -1 means "no limit". */
const limitsSchema = z.looseObject({
  maxTotalSnapshots: z.number().optional(),
  totalSnapshotsUsed: z.number().optional(),
});

const links = z.array(z.looseObject({ rel: z.string(), href: z.string() })).default([]);

// Whole response bodies. Made once: zod compiles a schema on first use.
const responses = {
  snapshot: z.looseObject({ snapshot: snapshotSchema }),
  // The provider reads, changes and deletes this id from now on, and nothing else confirms it: the form is checked.
  created: z.looseObject({ snapshot: snapshotSchema.extend({ id: z.uuid("is not a UUID") }) }),
  snapshots: z
    .looseObject({ snapshots: z.array(snapshotSchema), snapshots_links: links, count: z.number().optional() })
    .transform(({ snapshots, snapshots_links, count }) => ({ rows: snapshots, links: snapshots_links, count })),
  metadata: z.looseObject({ metadata: z.record(z.string(), z.string()) }),
  messages: z.looseObject({ messages: z.array(messageSchema) }),
  volume: z.looseObject({ volume: volumeSchema }),
  createdVolume: z.looseObject({ volume: volumeSchema.extend({ id: z.uuid("is not a UUID") }) }),
  volumes: z
    .looseObject({ volumes: z.array(volumeSchema), volumes_links: links })
    .transform(({ volumes, volumes_links }) => ({ rows: volumes, links: volumes_links })),
  limits: z.looseObject({ limits: z.looseObject({ absolute: limitsSchema }) }),
};

export type SnapshotRow = z.infer<typeof snapshotSchema>;
export type VolumeRow = z.infer<typeof volumeSchema>;
export type MessageRow = z.infer<typeof messageSchema>;
export type Limits = z.infer<typeof limitsSchema>;
export type Metadata = Record<string, string>;

export interface CreateSnapshot {
  volume_id: string;
  name?: string | null | undefined;
  description?: string | null | undefined;
  metadata?: Metadata | undefined;
  /** Sent only below 3.66, where an attached volume needs it. From 3.66 on, `false` is an error (docs/wire/openstack.md#a5). */
  force?: boolean | undefined;
}

export interface UpdateSnapshot {
  name?: string | null | undefined;
  description?: string | null | undefined;
}

/** Each cloud allows filters of its own choice (/etc/cinder/resource_filters.json, docs/wire/openstack.md#a6). */
export interface ListSnapshots {
  name?: string | undefined;
  "name~"?: string | undefined;
  status?: string | undefined;
  volume_id?: string | undefined;
  availability_zone?: string | undefined;
  consumes_quota?: boolean | undefined;
  project_id?: string | undefined;
  /**
   * A row must have every entry. Checked here too, since Cinder below 3.22 ignores the filter without an error
   * (docs/wire/openstack.md#metadata-as-record).
   */
  metadata?: Metadata | undefined;
  /** Only takes effect for an administrator. */
  all_tenants?: boolean | undefined;
  /** For example `created_at:desc,id`. */
  sort?: string | undefined;
  sort_key?: string | undefined;
  sort_dir?: "asc" | "desc" | undefined;
  /** The page size. All pages are read. */
  limit?: number | undefined;
  /** The id after which the first page begins. */
  marker?: string | undefined;
  offset?: number | undefined;
  /** From 3.45 on. */
  with_count?: boolean | undefined;
}

export interface CreateVolume {
  snapshot_id: string;
  /** In GiB. The snapshot's where it is absent. */
  size?: number | undefined;
  name?: string | undefined;
  description?: string | undefined;
  volume_type?: string | undefined;
  availability_zone?: string | undefined;
  metadata?: Metadata | undefined;
}

export interface UpdateVolume {
  name?: string | null | undefined;
  description?: string | null | undefined;
}

/** The filters that a member may use by default (/etc/cinder/resource_filters.json, docs/wire/openstack.md#a6). */
export interface ListVolumes {
  name?: string | undefined;
  status?: string | undefined;
  /** A row must have every entry. Checked here too. */
  metadata?: Metadata | undefined;
  /** The page size. All pages are read. */
  limit?: number | undefined;
}

export interface SnapshotList {
  snapshots: SnapshotRow[];
  /** With `with_count`: how many snapshots match, including those that `marker` and `offset` skipped. */
  count?: number;
}

interface Endpoint {
  /** The address without version and project. */
  root: string;
  /** The address with both. */
  api: string;
  microversion: string;
}

type Call<T> = Pick<ServiceRequest<T>, "method" | "path" | "body" | "schema" | "signal" | "idempotent"> & {
  query?: Query;
};

export class CinderClient {
  /** Microversions by `Endpoint.root`, negotiated or being negotiated. */
  private readonly microversions = new Map<string, Promise<string>>();

  constructor(private readonly session: KeystoneSession) {}

  async createSnapshot(snapshot: CreateSnapshot): Promise<SnapshotRow> {
    const { force, ...rest } = snapshot;
    const sent = force === undefined || (await this.atLeast("3.66")) ? rest : { ...rest, force };
    const body = { snapshot: sent };
    const request = { method: "POST", path: "/snapshots", body, schema: responses.created } as const;
    return (await this.call(request)).snapshot;
  }

  async showSnapshot(id: string, signal?: AbortSignal): Promise<SnapshotRow> {
    return this.snapshot({ method: "GET", path: snapshotPath(id), signal });
  }

  async listSnapshotsDetail(query: ListSnapshots = {}, signal?: AbortSignal): Promise<SnapshotList> {
    return snapshotList(await this.list(["snapshots", "/snapshots/detail"], query, responses.snapshots, signal));
  }

  /** Cinder allows it in any status. */
  async updateSnapshot(id: string, snapshot: UpdateSnapshot): Promise<SnapshotRow> {
    return this.snapshot({ method: "PUT", path: snapshotPath(id), body: { snapshot } });
  }

  /** Returns when Cinder has accepted the request. The snapshot is gone when `showSnapshot` answers notFound. */
  async deleteSnapshot(id: string): Promise<void> {
    await this.delete(snapshotPath(id));
  }

  /** Sets any status and keeps the progress. Administrators only (docs/wire/openstack.md#a12). */
  async resetSnapshotStatus(id: string, status: string): Promise<void> {
    await this.snapshotAction(id, { "os-reset_status": { status } }, true);
  }

  /**
   * The call by which Nova reports. Cinder accepts it from `creating` to creating, available or error, and from
   * `deleting` to deleting or error_deleting (docs/wire/openstack.md#a12).
   */
  async updateSnapshotStatus(id: string, status: string, progress: string, idempotent = false): Promise<void> {
    await this.snapshotAction(id, { "os-update_snapshot_status": { status, progress } }, idempotent);
  }

  async showSnapshotMetadata(id: string, signal?: AbortSignal): Promise<Metadata> {
    return this.metadata({ method: "GET", path: metadataPath(snapshotPath(id)), signal });
  }

  /** Adds these entries, overwrites those with the same keys, and returns all metadata. */
  async createSnapshotMetadata(id: string, metadata: Metadata): Promise<Metadata> {
    return this.mergeMetadata(snapshotPath(id), metadata);
  }

  /** Replaces all metadata, including what others have set. */
  async replaceSnapshotMetadata(id: string, metadata: Metadata): Promise<Metadata> {
    return this.metadata({ method: "PUT", path: metadataPath(snapshotPath(id)), body: { metadata } });
  }

  async deleteSnapshotMetadataKey(id: string, key: string): Promise<void> {
    await this.delete(metadataKeyPath(snapshotPath(id), key));
  }

  /** Cinder's messages to the user about a resource: the newest twenty, newest first. Empty below 3.3. */
  async listMessages(resourceUuid: string, signal?: AbortSignal): Promise<MessageRow[]> {
    if (!(await this.atLeast("3.3", signal))) return [];
    // Filter, sort and limit came with 3.5 (docs/wire/openstack.md#a4, #a11). Before that Cinder sends all messages.
    const query = (await this.atLeast("3.5", signal))
      ? { resource_uuid: resourceUuid, sort: "created_at:desc", limit: 20 }
      : {};
    const request = { method: "GET", path: "/messages", query, schema: responses.messages, signal } as const;
    const { messages } = await this.call(request);
    return messages
      .filter(({ resource_uuid }) => resource_uuid === resourceUuid)
      .sort((a, b) => (b.created_at ?? "").localeCompare(a.created_at ?? ""))
      .slice(0, 20);
  }

  async createVolume(volume: CreateVolume): Promise<VolumeRow> {
    const body = { volume };
    const request = { method: "POST", path: "/volumes", body, schema: responses.createdVolume } as const;
    return (await this.call(request)).volume;
  }

  async showVolume(id: string, signal?: AbortSignal): Promise<VolumeRow> {
    return this.volume({ method: "GET", path: volumePath(id), signal });
  }

  async listVolumesDetail(query: ListVolumes = {}, signal?: AbortSignal): Promise<VolumeRow[]> {
    const { rows } = await this.list(["volumes", "/volumes/detail"], query, responses.volumes, signal);
    return rows.filter((row) => !isMigrationTarget(row));
  }

  /** Cinder allows it in any status except migrating (cinder/volume/api.py, update). */
  async updateVolume(id: string, volume: UpdateVolume): Promise<VolumeRow> {
    return this.volume({ method: "PUT", path: volumePath(id), body: { volume } });
  }

  /** Returns when Cinder has accepted the request. An attached volume can grow from 3.42 on. */
  async extendVolume(id: string, size: number): Promise<void> {
    const body = { "os-extend": { new_size: size } };
    await this.call({ method: "POST", path: `${volumePath(id)}/action`, body });
  }

  /**
   * From 3.40 on. Returns when Cinder has accepted the request: then the volume is `reverting`, or has been. The snapshot must
   * be the volume's newest one (docs/wire/openstack.md#revert).
   */
  async revertVolume(id: string, snapshotId: string): Promise<void> {
    const body = { revert: { snapshot_id: snapshotId } };
    await this.call({ method: "POST", path: `${volumePath(id)}/action`, body });
  }

  /** Returns when Cinder has accepted the request. The volume is gone when `showVolume` answers notFound. */
  async deleteVolume(id: string): Promise<void> {
    await this.delete(volumePath(id));
  }

  /**
   * Adds these entries, overwrites those with the same keys, and returns all metadata. Cinder refuses it while the volume
   * is in maintenance or uploading (cinder/volume/api.py, _update_volume_metadata).
   */
  async createVolumeMetadata(id: string, metadata: Metadata): Promise<Metadata> {
    return this.mergeMetadata(volumePath(id), metadata);
  }

  async deleteVolumeMetadataKey(id: string, key: string): Promise<void> {
    await this.delete(metadataKeyPath(volumePath(id), key));
  }

  /** The project's quota and its use. */
  async limits(signal?: AbortSignal): Promise<Limits> {
    return (await this.call({ method: "GET", path: "/limits", schema: responses.limits, signal })).limits.absolute;
  }

  /**
   * Why a resource is in an error status, in Cinder's words. The scheduler leaves no message when it finds no backend
   * (docs/wire/openstack.md#a8). Never throws.
   */
  async whyError(resourceUuid: string, signal?: AbortSignal): Promise<string | undefined> {
    try {
      const [newest] = await this.listMessages(resourceUuid, signal);
      if (!newest) return undefined;
      return newest.request_id ? `${newest.user_message} (request id ${newest.request_id})` : newest.user_message;
    } catch {
      return undefined;
    }
  }

  /** The version that requests to this endpoint use: the lower of what Cinder and this code know. */
  async microversion(signal?: AbortSignal): Promise<string> {
    return (await this.endpoint(signal)).microversion;
  }

  async atLeast(version: string, signal?: AbortSignal): Promise<boolean> {
    return compareVersions(await this.microversion(signal), version) >= 0;
  }

  private async snapshot(call: Omit<Call<unknown>, "schema">): Promise<SnapshotRow> {
    return (await this.call({ ...call, schema: responses.snapshot })).snapshot;
  }

  private async snapshotAction(id: string, body: object, idempotent: boolean): Promise<void> {
    await this.call({ method: "POST", path: `${snapshotPath(id)}/action`, body, idempotent });
  }

  private async volume(call: Omit<Call<unknown>, "schema">): Promise<VolumeRow> {
    return (await this.call({ ...call, schema: responses.volume })).volume;
  }

  private async metadata(call: Omit<Call<unknown>, "schema">): Promise<Metadata> {
    return (await this.call({ ...call, schema: responses.metadata })).metadata;
  }

  private mergeMetadata(objectPath: string, metadata: Metadata): Promise<Metadata> {
    return this.metadata({ method: "POST", path: metadataPath(objectPath), body: { metadata }, idempotent: true });
  }

  private async delete(path: string): Promise<void> {
    await this.call({ method: "DELETE", path });
  }

  private async list<Row extends { id: string; metadata: Metadata }>(
    [noun, path]: [noun: string, path: string],
    { metadata, ...query }: ListSnapshots | ListVolumes,
    schema: z.ZodType<Page<Row>>,
    signal: AbortSignal | undefined,
  ): Promise<Listing<Row>> {
    const filters: Query = metadata ? { ...query, metadata: JSON.stringify(metadata) } : query;
    const list = await readAllPages(noun, filters, (query) =>
      this.call({ method: "GET", path, query, schema, signal }),
    );
    const wanted = Object.entries(metadata ?? {});
    const hasAll = (row: Row) => wanted.every(([key, value]) => row.metadata[key] === value);
    return { ...list, rows: list.rows.filter(hasAll) };
  }

  private async call<T>(call: Call<T>): Promise<T> {
    const { root, api, microversion } = await this.endpoint(call.signal);
    try {
      const response = await this.session.request<T>("blockStorage", {
        ...call,
        base: api,
        headers: versionHeader(microversion),
        parseError: cinderError,
      });
      return response.body;
    } catch (error) {
      // An older API has replaced this one, or servers of several versions share the address: negotiate again next time.
      if (error instanceof SnapcloneError && error.parts.status === 406) this.microversions.delete(root);
      throw error;
    }
  }

  private async endpoint(signal: AbortSignal | undefined): Promise<Endpoint> {
    const address = await this.session.endpoint("blockStorage", signal);
    const { root, api } = blockStorageAddress(address, await this.session.projectId(signal));
    let microversion = this.microversions.get(root);
    if (!microversion) {
      microversion = beginShared(() => negotiateMicroversion(this.session, root, api));
      this.microversions.set(root, microversion);
      microversion.catch(() => this.microversions.delete(root));
    }
    return {
      root,
      api,
      microversion: await waitForShared(withAbort(microversion, signal), "to learn Cinder's version"),
    };
  }
}

/** Adds the zone that Cinder's times lack: they are UTC (docs/wire/openstack.md#a3). */
export function utc(time: string | null): string | undefined {
  if (time === null) return undefined;
  return /(Z|[+-]\d\d:?\d\d)$/.test(time) ? time : `${time}Z`;
}

/**
 * The volume that a migration copies to has all metadata of the one that is migrated, and takes its place in the end. Cinder
 * lists it for administrators only (docs/wire/openstack.md#volumes).
 */
function isMigrationTarget(row: VolumeRow): boolean {
  return (row["os-vol-mig-status-attr:migstat"] ?? row.migration_status ?? "").startsWith("target:");
}

function snapshotList({ rows, count }: Listing<SnapshotRow>): SnapshotList {
  return count === undefined ? { snapshots: rows } : { snapshots: rows, count };
}

function snapshotPath(id: string): string {
  return `/snapshots/${pathSegment(id, "a snapshot id")}`;
}

function volumePath(id: string): string {
  return `/volumes/${pathSegment(id, "a volume id")}`;
}

function metadataPath(objectPath: string): string {
  return `${objectPath}/metadata`;
}

function metadataKeyPath(objectPath: string, key: string): string {
  // Cinder routes by the decoded path and reads it as Latin-1 (seen on 21.3). "a/b" finds no route. "é" becomes another
  // key, so that a delete would look as if the key had been deleted before.
  if (!/^[ -.0-~]+$/.test(key)) {
    throw new SnapcloneError({
      kind: "input",
      message: `Cinder cannot address the metadata key "${key}" by itself`,
      hint: "A key with a slash or with characters beyond ASCII can be set and removed with the whole metadata only.",
    });
  }
  return `${metadataPath(objectPath)}/${pathSegment(key, "a metadata key")}`;
}
