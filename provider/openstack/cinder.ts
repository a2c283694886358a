// The Block Storage API v3 on the wire: every call on snapshots and their metadata, those on volumes that clones need,
// and the few on messages and limits that explain them. Field names are the API's own; nothing here waits.

import { type ZodType, z } from "zod";
import { isKind, SnapcloneError, truncate } from "../core/errors";
import type { ParsedError, RawResponse } from "../core/http/client";
import type { Patience } from "../core/http/rateGate";
import { withAbort } from "../core/util/abort";
import type { KeystoneSession, Query, ServiceRequest } from "./keystone";

const nullableString = z.string().nullable().default(null);

/** A UUID, always. What cannot stand in an address would be recorded and never be found again. */
const idSchema = z.string().regex(/^[\w-]+$/, "not an id");

const snapshotSchema = z.looseObject({
  id: idSchema,
  volume_id: z.string(),
  /** Usually one of docs/wire/openstack.md#a8; a string, since forks add their own. */
  status: z.string(),
  size: z.number(),
  metadata: z.record(z.string(), z.string()),
  name: nullableString,
  description: nullableString,
  /** UTC without a zone. */
  created_at: nullableString,
  updated_at: nullableString,
  /** From 3.14, 3.41 and 3.65 on, and never in `listSnapshots` (docs/wire/openstack.md#a3). */
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
  metadata: z.record(z.string(), z.string()).default({}),
  attachments: z.array(z.looseObject({ server_id: z.string().nullish(), device: z.string().nullish() })).default([]),
  volume_type: z.string().nullish(),
  multiattach: z.boolean().nullish(),
  /** From 3.13 on. */
  group_id: z.string().nullish(),
  source_volid: z.string().nullish(),
  created_at: nullableString,
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

/** Before the microversions the texts were empty. It goes into a header, so it has to be one. */
const versionSchema = z
  .string()
  .regex(/^(\d{1,4}\.\d{1,4})?$/)
  .default("");

/** -1 is "no limit". */
const limitsSchema = z.looseObject({
  maxTotalSnapshots: z.number().optional(),
  totalSnapshotsUsed: z.number().optional(),
  maxTotalVolumeGigabytes: z.number().optional(),
  totalGigabytesUsed: z.number().optional(),
});

// Whole answers, made once: zod compiles a schema when it is first used.
const answers = {
  snapshot: z.looseObject({ snapshot: snapshotSchema }),
  // The one answer whose id nobody knew before: taken for ours, it is looked at, changed and deleted from then on.
  created: z.looseObject({ snapshot: snapshotSchema.extend({ id: z.uuid("is not a UUID") }) }),
  snapshots: z.looseObject({
    snapshots: z.array(snapshotSchema),
    snapshots_links: z.array(z.looseObject({ rel: z.string(), href: z.string() })).default([]),
    count: z.number().optional(),
  }),
  metadata: z.looseObject({ metadata: z.record(z.string(), z.string()) }),
  messages: z.looseObject({ messages: z.array(messageSchema) }),
  volume: z.looseObject({ volume: volumeSchema }),
  volumes: z.looseObject({
    volumes: z.array(volumeSchema),
    volumes_links: z.array(z.looseObject({ rel: z.string(), href: z.string() })).default([]),
  }),
  limits: z.looseObject({ limits: z.looseObject({ absolute: limitsSchema }) }),
  versions: z.looseObject({
    versions: z.array(z.looseObject({ id: z.string(), version: versionSchema, min_version: versionSchema })),
  }),
  anything: z.unknown(),
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
  /**
   * Sent only below 3.66, where an attached volume needs it; from there on `false` is an error
   * (docs/wire/openstack.md#a5).
   */
  force?: boolean | undefined;
}

export interface UpdateSnapshot {
  name?: string | null | undefined;
  description?: string | null | undefined;
}

/**
 * Which of the filters a cloud allows is its own matter (/etc/cinder/resource_filters.json, docs/wire/openstack.md#a6).
 */
export interface ListSnapshots {
  name?: string | undefined;
  "name~"?: string | undefined;
  status?: string | undefined;
  volume_id?: string | undefined;
  availability_zone?: string | undefined;
  consumes_quota?: boolean | undefined;
  project_id?: string | undefined;
  /**
   * Every entry must be there. Checked here too: below 3.22 Cinder ignores it in silence
   * (docs/wire/openstack.md#metadata-as-record).
   */
  metadata?: Metadata | undefined;
  /** Without effect for anyone but an administrator. */
  all_tenants?: boolean | undefined;
  /** For example `created_at:desc,id`. */
  sort?: string | undefined;
  sort_key?: string | undefined;
  sort_dir?: "asc" | "desc" | undefined;
  /** The size of a page. All pages are read. */
  limit?: number | undefined;
  /** Where the first page begins. */
  marker?: string | undefined;
  offset?: number | undefined;
  /** From 3.45 on. */
  with_count?: boolean | undefined;
}

export interface UpdateVolume {
  name?: string | null | undefined;
  description?: string | null | undefined;
}

/**
 * The filters that a cloud allows to a member by default (/etc/cinder/resource_filters.json,
 * docs/wire/openstack.md#a6).
 */
export interface ListVolumes {
  name?: string | undefined;
  status?: string | undefined;
  /** Every entry must be there. Checked here too. */
  metadata?: Metadata | undefined;
  /** The size of a page. All pages are read. */
  limit?: number | undefined;
}

export interface SnapshotList {
  snapshots: SnapshotRow[];
  /** Cinder's own count, when asked for: of everything that matches, whatever `marker` and `offset` left out. */
  count?: number;
}

/**
 * The newest version whose behaviour the code knows; 3.67 and later add nothing to snapshots
 * (docs/wire/openstack.md#a4).
 */
const KNOWN = "3.66";

/** Cinder's default of osapi_max_limit (docs/wire/openstack.md#a6): what a page has at most where nothing is said. */
const FULL_PAGE = 1000;

interface Target {
  /** The address without version and project, and the one with both. */
  root: string;
  api: string;
  microversion: string;
}

type Call<T> = Pick<
  ServiceRequest<T>,
  "method" | "path" | "body" | "schema" | "signal" | "operation" | "idempotent"
> & {
  query?: Query;
};

export class CinderClient {
  /** By address: the negotiation, under way or done. */
  private readonly negotiated = new Map<string, Promise<string>>();

  constructor(private readonly session: KeystoneSession) {}

  async createSnapshot(snapshot: CreateSnapshot, operation?: Patience): Promise<SnapshotRow> {
    const { force, ...rest } = snapshot;
    const sent = force === undefined || (await this.atLeast("3.66")) ? rest : { ...rest, force };
    const body = { snapshot: sent };
    const request = { method: "POST", path: "/snapshots", body, schema: answers.created, operation } as const;
    return (await this.call(request)).snapshot;
  }

  async showSnapshot(id: string, signal?: AbortSignal): Promise<SnapshotRow> {
    return this.snapshot({ method: "GET", path: snapshotPath(id), signal });
  }

  /** Summaries: without what 3.14, 3.41, 3.65 and os-extended-snapshot-attributes add. */
  async listSnapshots(query: ListSnapshots = {}, signal?: AbortSignal): Promise<SnapshotList> {
    return snapshotList(await this.list("/snapshots", query, snapshotPage, signal));
  }

  async listSnapshotsDetail(query: ListSnapshots = {}, signal?: AbortSignal): Promise<SnapshotList> {
    return snapshotList(await this.list("/snapshots/detail", query, snapshotPage, signal));
  }

  /** In any status. */
  async updateSnapshot(id: string, snapshot: UpdateSnapshot, operation?: Patience): Promise<SnapshotRow> {
    return this.snapshot({ method: "PUT", path: snapshotPath(id), body: { snapshot }, operation });
  }

  /** Accepted, not done: gone is when `showSnapshot` says notFound. */
  async deleteSnapshot(id: string, operation?: Patience): Promise<void> {
    await this.call({ method: "DELETE", path: snapshotPath(id), operation });
  }

  /** Puts the row into any status; its progress stays. For administrators (docs/wire/openstack.md#a12). */
  async resetSnapshotStatus(id: string, status: string): Promise<void> {
    const body = { "os-reset_status": { status } };
    await this.call({ method: "POST", path: `${snapshotPath(id)}/action`, body, idempotent: true });
  }

  /**
   * What Nova reports by: only from `creating` to creating, available or error, and from `deleting` to deleting or
   * error_deleting (docs/wire/openstack.md#a12).
   */
  async updateSnapshotStatus(id: string, status: string, progress: string, repeatable = false): Promise<void> {
    const body = { "os-update_snapshot_status": { status, progress } };
    await this.call({ method: "POST", path: `${snapshotPath(id)}/action`, body, idempotent: repeatable });
  }

  async showSnapshotMetadata(id: string, signal?: AbortSignal): Promise<Metadata> {
    return this.metadata({ method: "GET", path: `${snapshotPath(id)}/metadata`, signal });
  }

  /** Adds these entries and overwrites those of the same key; returns the whole. */
  async createSnapshotMetadata(id: string, metadata: Metadata): Promise<Metadata> {
    const path = `${snapshotPath(id)}/metadata`;
    return this.metadata({ method: "POST", path, body: { metadata }, idempotent: true });
  }

  /** These and no others: takes away what anyone else has set. */
  async replaceSnapshotMetadata(id: string, metadata: Metadata): Promise<Metadata> {
    return this.metadata({ method: "PUT", path: `${snapshotPath(id)}/metadata`, body: { metadata } });
  }

  async showSnapshotMetadataKey(id: string, key: string, signal?: AbortSignal): Promise<string> {
    return this.metadataKey({ method: "GET", path: metadataKeyPath(snapshotPath(id), key), signal }, key);
  }

  /** Makes the key if it isn't there (docs/wire/openstack.md#a7). */
  async updateSnapshotMetadataKey(id: string, key: string, value: string): Promise<string> {
    return this.metadataKey(
      { method: "PUT", path: metadataKeyPath(snapshotPath(id), key), body: { meta: { [key]: value } } },
      key,
    );
  }

  async deleteSnapshotMetadataKey(id: string, key: string): Promise<void> {
    await this.call({ method: "DELETE", path: metadataKeyPath(snapshotPath(id), key) });
  }

  /** What Cinder told the user about a resource: the newest twenty, newest first. Below 3.3 there is nothing. */
  async listMessages(resourceUuid: string, signal?: AbortSignal): Promise<MessageRow[]> {
    if (!(await this.atLeast("3.3", signal))) return [];
    // Filter, sort and limit came with 3.5 (docs/wire/openstack.md#a4, #a11); 3.3 sends everything there is.
    const query = (await this.atLeast("3.5", signal))
      ? { resource_uuid: resourceUuid, sort: "created_at:desc", limit: 20 }
      : {};
    const request = { method: "GET", path: "/messages", query, schema: answers.messages, signal } as const;
    const { messages } = await this.call(request);
    return messages
      .filter(({ resource_uuid }) => resource_uuid === resourceUuid)
      .sort((a, b) => (b.created_at ?? "").localeCompare(a.created_at ?? ""))
      .slice(0, 20);
  }

  async showVolume(id: string, signal?: AbortSignal): Promise<VolumeRow> {
    return (await this.call({ method: "GET", path: volumePath(id), schema: answers.volume, signal })).volume;
  }

  async listVolumesDetail(query: ListVolumes = {}, signal?: AbortSignal): Promise<VolumeRow[]> {
    return (await this.list("/volumes/detail", query, volumePage, signal)).rows;
  }

  /** In any status (cinder/volume/api.py update refuses only a migrating one). */
  async updateVolume(id: string, volume: UpdateVolume): Promise<VolumeRow> {
    const path = volumePath(id);
    return (await this.call({ method: "PUT", path, body: { volume }, schema: answers.volume })).volume;
  }

  /** Accepted, not done: gone is when `showVolume` says notFound. */
  async deleteVolume(id: string, operation?: Patience): Promise<void> {
    await this.call({ method: "DELETE", path: volumePath(id), operation });
  }

  /**
   * Adds these entries and overwrites those of the same key; returns the whole. Refused while the volume is in
   * maintenance or uploading (cinder/volume/api.py _update_volume_metadata).
   */
  async createVolumeMetadata(id: string, metadata: Metadata): Promise<Metadata> {
    const path = `${volumePath(id)}/metadata`;
    return this.metadata({ method: "POST", path, body: { metadata }, idempotent: true });
  }

  async deleteVolumeMetadataKey(id: string, key: string): Promise<void> {
    await this.call({ method: "DELETE", path: metadataKeyPath(volumePath(id), key) });
  }

  /** The project's quota and what of it is in use. */
  async limits(signal?: AbortSignal): Promise<Limits> {
    return (await this.call({ method: "GET", path: "/limits", schema: answers.limits, signal })).limits.absolute;
  }

  /**
   * Why a resource is in an error status, in Cinder's words. The scheduler's refusals leave none
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

  /** What is spoken with this endpoint: the lower of what Cinder and this code know. */
  async microversion(signal?: AbortSignal): Promise<string> {
    return (await this.target(signal)).microversion;
  }

  async atLeast(version: string, signal?: AbortSignal): Promise<boolean> {
    return compareVersions(await this.microversion(signal), version) >= 0;
  }

  private async snapshot(call: Omit<Call<unknown>, "schema">): Promise<SnapshotRow> {
    return (await this.call({ ...call, schema: answers.snapshot })).snapshot;
  }

  private async metadata(call: Omit<Call<unknown>, "schema">): Promise<Metadata> {
    return (await this.call({ ...call, schema: answers.metadata })).metadata;
  }

  private async metadataKey(call: Omit<Call<unknown>, "schema">, key: string): Promise<string> {
    const schema = z.looseObject({ meta: z.looseObject({ [key]: z.string() }) }).transform(({ meta }) => meta[key]);
    return this.call({ ...call, schema: schema.pipe(z.string()) });
  }

  private async list<Row extends Listed>(
    path: string,
    query: ListSnapshots | ListVolumes,
    kind: Page<Row>,
    signal: AbortSignal | undefined,
  ): Promise<Listing<Row>> {
    const { metadata, ...rest } = query;
    const filters: Query = metadata ? { ...rest, metadata: JSON.stringify(metadata) } : rest;
    for (let restarts = 0; ; restarts += 1) {
      try {
        const list = await this.pages(path, filters, kind, signal);
        return { ...list, rows: list.rows.filter((row) => carries(row, metadata)) };
      } catch (error) {
        // What ended a page was deleted before the next page was asked for: begin again.
        if (!(error instanceof LostMarker)) throw error;
        if (restarts >= 3) throw error.reason;
      }
    }
  }

  private async pages<Row extends Listed>(
    path: string,
    given: Query,
    { what, schema }: Page<Row>,
    signal: AbortSignal | undefined,
  ): Promise<Listing<Row>> {
    const rows: Row[] = [];
    const seen = new Set<string>();
    let count: number | undefined;
    let filters = given;
    let query = given;
    for (;;) {
      const page = await this.call({ method: "GET", path, query, schema, signal }).catch((error: unknown) => {
        if (seen.size > 0 && isKind(error, "notFound")) throw new LostMarker(error, what);
        const smaller = Math.floor((Number(query.limit) || FULL_PAGE) / 4);
        if (!isKind(error, "malformed") || !error.parts.tooLarge || smaller < 1) throw error;
        return smaller;
      });
      if (typeof page === "number") {
        // The rest, in pages that can be read.
        filters = { ...filters, limit: page };
        query = { ...query, limit: page };
        continue;
      }
      rows.push(...page.rows);
      count ??= page.count;
      const next = page.links.find(({ rel }) => rel === "next");
      if (!next) return count === undefined ? { rows } : { rows, count };
      // The link's host is what Cinder was called (docs/wire/openstack.md#a6), often not where it can be reached: only
      // its marker counts.
      const marker = markerOf(next.href) ?? page.rows.at(-1)?.id;
      if (marker === undefined || seen.has(marker)) {
        throw new SnapcloneError({
          kind: "malformed",
          message: `Cinder's list of ${what} does not end: its next page is ${marker ? `${marker} again` : "nowhere"}`,
          hint: "Check that no proxy answers in Cinder's place or takes away the query of a request.",
        });
      }
      seen.add(marker);
      query = { ...filters, marker, offset: undefined };
    }
  }

  private async call<T>(call: Call<T>): Promise<T> {
    const { root, api, microversion } = await this.target(call.signal);
    try {
      const answer = await this.session.request<T>("blockStorage", {
        ...call,
        base: api,
        headers: versionHeader(microversion),
        parseError: explain,
      });
      return answer.body;
    } catch (error) {
      // The API was replaced by an older one under way, or several stand behind one address: ask again next time.
      if (error instanceof SnapcloneError && error.parts.status === 406) this.negotiated.delete(root);
      throw error;
    }
  }

  private async target(signal: AbortSignal | undefined): Promise<Target> {
    const endpoint = await this.session.endpoint("blockStorage", signal);
    const projectId = await this.session.projectId(signal);
    const { root, api } = blockStorageAddress(endpoint, projectId);
    let version = this.negotiated.get(root);
    if (!version) {
      version = this.negotiate(root, api);
      this.negotiated.set(root, version);
      version.catch(() => this.negotiated.delete(root));
    }
    return { root, api, microversion: await withAbort(version, signal) };
  }

  private async negotiate(root: string, api: string): Promise<string> {
    const schema = answers.versions;
    // Cinder answers 300 at its root and 200 at /v3/ with the same body; its links name whatever host it was asked by
    // (docs/wire/openstack.md#a4), and behind a proxy the root may be another service's or nobody's.
    for (const path of ["/", "/v3/"]) {
      try {
        const accept = [200, 300];
        const request = { method: "GET", base: root, path, schema, accept, explain } as const;
        const { body } = await this.session.request("blockStorage", request);
        const v3 = body.versions.find(({ id }) => /^v3(\.|$)/.test(id));
        if (v3) return chooseVersion(v3.version, v3.min_version);
      } catch (error) {
        // If the host can't be reached at all, its other addresses can't either.
        const answered = error instanceof SnapcloneError && error.parts.status !== undefined;
        if (!answered) throw error;
      }
    }
    return this.probe(api);
  }

  /** No list of versions to be had: ask for the version that is wanted, and read the answer. */
  private async probe(api: string): Promise<string> {
    const { status, headers, body } = await this.session.request("blockStorage", {
      method: "GET",
      base: api,
      path: "/snapshots",
      query: { limit: 0 },
      headers: versionHeader(KNOWN),
      schema: answers.anything,
      accept: [200, 406],
      parseError: explain,
    });
    if (status === 406) {
      const range = /Minimum is (\d+\.\d+) and maximum is (\d+\.\d+)/.exec(faultOf(body)?.message ?? "");
      return chooseVersion(range?.[2] ?? "", range?.[1] ?? "");
    }
    // An API from before the versions (Liberty) doesn't know the header and doesn't return it.
    return headers["openstack-api-version"]?.includes(KNOWN) ? KNOWN : "3.0";
  }
}

/**
 * Which object a notFound is about: a snapshot that has no such key is itself still there (docs/wire/openstack.md#a7).
 * The last two forms are those of older clouds' volume metadata (cinder/api/v2/volume_metadata.py).
 */
export function whatIsMissing(error: unknown): "snapshot" | "volume" | "metadataKey" | undefined {
  if (!isKind(error, "notFound")) return undefined;
  const { message } = error.parts;
  if (/has no metadata with key|Metadata item was not found/.test(message)) return "metadataKey";
  if (/\bSnapshot \S+ could not be found/.test(message)) return "snapshot";
  return /\bVolume \S+ could not be found|\bvolume does not exist/.test(message) ? "volume" : undefined;
}

interface Listed {
  id: string;
  metadata: Metadata;
}

interface Listing<Row> {
  rows: Row[];
  count?: number;
}

/** One page of a list, whatever its fields are called. */
interface Page<Row> {
  what: string;
  schema: ZodType<{ rows: Row[]; links: { rel: string; href: string }[]; count?: number | undefined }>;
}

const snapshotPage: Page<SnapshotRow> = {
  what: "snapshots",
  schema: answers.snapshots.transform(({ snapshots, snapshots_links, count }) => ({
    rows: snapshots,
    links: snapshots_links,
    count,
  })),
};

const volumePage: Page<VolumeRow> = {
  what: "volumes",
  schema: answers.volumes.transform(({ volumes, volumes_links }) => ({ rows: volumes, links: volumes_links })),
};

function snapshotList({ rows, count }: Listing<SnapshotRow>): SnapshotList {
  return count === undefined ? { snapshots: rows } : { snapshots: rows, count };
}

/**
 * Catalogues and overrides end in nothing, /v3 or /v3/<project id> (docs/wire/openstack.md#a1, #a4; PowerVC's older
 * ones in /v1, docs/wire/powervc.md#f3). The project belongs into the address: before 3.67 it must be there, later it
 * may.
 */
export function blockStorageAddress(endpoint: string, projectId: string): { root: string; api: string } {
  const { origin, pathname } = new URL(endpoint);
  const prefix = pathname.replace(/\/+$/, "").replace(/\/v\d+(\.\d+)?(\/[^/]+)?$/, "");
  return { root: `${origin}${prefix}`, api: `${origin}${prefix}/v3/${projectId}` };
}

/** The marker of a list was not found: out of the paging, and never out of this file. */
class LostMarker extends Error {
  readonly reason: SnapcloneError;

  constructor(notFound: SnapcloneError, what: string) {
    super("the marker of a list is gone");
    this.reason = new SnapcloneError({
      ...notFound.parts,
      kind: "transient",
      hint: `There are ${what} that vanish faster than they can be listed. Run again.`,
    });
  }
}

function carries(row: Listed, metadata: Metadata | undefined): boolean {
  return Object.entries(metadata ?? {}).every(([key, value]) => row.metadata[key] === value);
}

function markerOf(href: string): string | undefined {
  const link = URL.canParse(href, "http://link") ? new URL(href, "http://link") : undefined;
  return link?.searchParams.get("marker") ?? undefined;
}

function snapshotPath(id: string): string {
  return `/snapshots/${segment(id, "a snapshot id")}`;
}

function volumePath(id: string): string {
  return `/volumes/${segment(id, "a volume id")}`;
}

function metadataKeyPath(object: string, key: string): string {
  // Cinder routes by the decoded path and reads it as Latin-1: seen on 21.3, "a/b" finds no route, and "é" is another
  // key, so that deleting it would look as if it had been deleted before.
  if (!/^[ -.0-~]+$/.test(key)) {
    throw new SnapcloneError({
      kind: "input",
      message: `Cinder cannot address the metadata key "${key}" by itself`,
      hint: "Keys with a slash or beyond ASCII can be set and removed with the whole metadata only.",
    });
  }
  return `${object}/metadata/${segment(key, "a metadata key")}`;
}

/** One part of a path. What a URL reads as no part or a step up would make "delete this key" delete the snapshot. */
export function segment(value: string, what: string): string {
  if (value === "" || value === "." || value === "..") {
    throw new SnapcloneError({ kind: "input", message: `"${value}" cannot stand in an address as ${what}` });
  }
  return encodeURIComponent(value);
}

function versionHeader(microversion: string): Record<string, string> {
  // The service type is "volume" whatever the catalogue calls it (docs/wire/openstack.md#c3).
  return { "openstack-api-version": `volume ${microversion}` };
}

function chooseVersion(max: string, min: string): string {
  // No versions at all: the API as it was before them.
  const lower = compareVersions(max || "3.0", KNOWN) < 0 ? max || "3.0" : KNOWN;
  return compareVersions(min || "3.0", lower) > 0 ? min : lower;
}

function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA - majorB || minorA - minorB;
}

export interface Fault {
  fault: string;
  message: string;
}

const faultSchema = z.record(z.string(), z.looseObject({ message: z.string() }));
/** webob's own, for an address that no route matches (docs/wire/openstack.md#a10). */
const unroutedSchema = z.looseObject({ message: z.string(), code: z.string(), title: z.string() });

/** `{"itemNotFound": {"code": 404, "message": "…"}}`, and keystonemiddleware's `{"error": {…}}`. */
export function faultOf(json: unknown): Fault | undefined {
  const parsed = faultSchema.safeParse(json);
  const [entry, ...others] = parsed.success ? Object.entries(parsed.data) : [];
  return entry && others.length === 0 ? { fault: entry[0], message: entry[1].message } : undefined;
}

/** How a service of OpenStack words what its error bodies don't say. */
export interface Wording {
  /** "the Block Storage API v3". */
  api: string;
  hints: readonly (readonly [RegExp, string])[];
  forbidden(rule: string | undefined): string;
}

/** What the error bodies of all OpenStack services have in common. What is left out follows from the status. */
export function explainFault({ status, json }: RawResponse, wording: Wording): Partial<ParsedError> | undefined {
  const found = faultOf(json);
  if (!found) {
    if (status !== 404 || !unroutedSchema.safeParse(json).success) return undefined;
    const hint = `The endpoint is not ${wording.api}'s. Correct it in the catalogue, or set the endpoint override.`;
    return { kind: "config", message: "there is no such address", hint };
  }
  const { fault, message } = found;
  const said = withoutPatterns(message);
  const hint = wording.hints.find(([pattern]) => pattern.test(message))?.[1];
  const explained: Partial<ParsedError> = hint === undefined ? { message: said } : { message: said, hint: hint };
  if (status === 404) {
    // "The resource could not be found." is a call that this microversion does not have (docs/wire/openstack.md#a4):
    // nothing is absent.
    const named = fault === "itemNotFound" && !/^The resource could not be found/.test(message);
    return { ...explained, kind: named ? "notFound" : "refused" };
  }
  if (status === 403) {
    const rule = /Policy doesn't allow (\S+) to be performed/.exec(message)?.[1];
    return { ...explained, kind: "forbidden", hint: wording.forbidden(rule) };
  }
  return explained;
}

/** The error bodies of docs/wire/openstack.md#a10. */
export function explain(answer: RawResponse): Partial<ParsedError> | undefined {
  const { status } = answer;
  const explained = explainFault(answer, {
    api: "the Block Storage API v3",
    hints: HINTS,
    forbidden: (rule) =>
      rule
        ? `Cinder's policy rule ${rule} does not let this user do that. Ask an administrator for a role that it allows.`
        : "The user's roles on this project are not enough.",
  });
  if (!explained) return undefined;
  // Retry-After: 0 on a full quota means nothing (docs/wire/openstack.md#a10).
  if (status === 413 || status === 501) return { ...explained, kind: "refused" };
  if (status === 500) {
    return { ...explained, hint: "An error inside Cinder: its log has it under this request id." };
  }
  return explained;
}

const QUOTA =
  "The project's quota is full: delete snapshots that are no longer needed, or ask an administrator for more (`openstack quota show`, `openstack quota set --snapshots … --gigabytes …`). Snapshots count into the gigabytes too unless Cinder has no_snapshot_gb_quota.";

/** The texts of docs/wire/openstack.md#a2, #a5, #a6, #a7, #a9 and #a10, in the order in which they are looked for. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [/LimitExceeded|exceed\w*.*quota|quota.*exceed|Maximum number of .* allowed/i, QUOTA],
  [/^Malformed request url/, "The project in the address is not the token's. Take the project out of the endpoint."],
  [
    /status must be available, but current status is: in-use/,
    "The volume is attached, and this Cinder (below microversion 3.66) takes a snapshot of it only with `force: true`: a crash-consistent copy.",
  ],
  [
    /status must be .*but current status is: (creating|downloading|uploading|attaching|detaching|extending|retyping|backing-up|restoring-backup|reserved|maintenance|awaiting-transfer)/,
    "The volume is busy. Run again when it is available or in-use; `dependsOn` keeps the order within one program.",
  ],
  [/status must be .*but current status is: (deleting|error_deleting)/, "The volume is being deleted."],
  [/volume is in error status/, "The volume has failed: repair or replace it first (`openstack volume show`)."],
  [/volume is in maintenance mode/, "The volume is in maintenance mode. Run again when that has ended."],
  [/volume is migrating/, "The volume is being moved. Run again when that has ended."],
  [
    /has not been scheduled to any host|is not assigned to a host/,
    "The volume has no place on any backend yet. Run again when it is available.",
  ],
  [
    /Snapshot status must be available or error and must not be part of a group/,
    "The snapshot is busy (creating, deleting, backing up, restoring), stuck in error_deleting, which only an administrator can end (`openstack snapshot set --state error`), or part of a group snapshot, which goes as a whole (`openstack volume group snapshot delete`).",
  ],
  [
    /Volume status must be available or error or .*must not be migrating, attached, belong to a group, have snapshots/,
    "The volume is busy, attached, part of a group, or has snapshots: Cinder has one text for all of these (`openstack volume show`).",
  ],
  [/^Snapshot \S+ has no metadata with key/, "The snapshot is there, the key is not."],
  [
    /^(Snapshot|Volume) \S+ could not be found/,
    "It was deleted, or it belongs to another project or region than the connection's: Cinder gives the same answer.",
  ],
  [
    /^The resource could not be found/,
    "This Cinder does not have this call at the microversion in use: it is older than the call.",
  ],
  [
    /^Invalid filters .* are found in query options/,
    "The cloud does not allow this filter, or not at its microversion (/etc/cinder/resource_filters.json).",
  ],
  [
    /Invalid sort key/,
    "Sort by a column that Cinder has: created_at, id, status, name (display_name before 3.30), volume_size.",
  ],
  [
    /field\/attribute (display_)?description\b/,
    "A description has at most 255 printable characters: no line break, no tab.",
  ],
  [/field\/attribute (display_)?name\b/, "A name has at most 255 characters."],
  [/field\/attribute volume_id\b/, "`volumeId` must be the volume's id (a UUID), not its name."],
  [
    /field\/attribute metadata\b|Invalid metadata|does not match.*a-zA-Z0-9/,
    "Metadata: keys of 1 to 255 letters, digits and - _ : . / or blank, values that are strings of at most 255 characters.",
  ],
  [
    /^Version \S+ is not supported by the API/,
    "This address spoke another version a moment ago: the API is being replaced, or several versions stand behind it. Run again.",
  ],
];

/** Cinder prints whole regular expressions into a 400 (docs/wire/openstack.md#a2), and the value before them. */
function withoutPatterns(message: string): string {
  const text = message.replace(/ does not match '[^\n]*/, " has characters that are not allowed");
  return truncate(text, 400);
}
