// Cinder v3 as cinder 21.3.1 (Zed) answers, and as older ones do through maxMicroversion: volumes, snapshots and their
// metadata, messages, limits, quotas, volume types (docs/wire/openstack.md#a, test/contract/exchanges/cinder.txt).

import {
  type Call,
  type EmulatorRequest,
  header,
  isObject,
  json,
  matchRoute,
  type OperationInfo,
  type Reply,
  type Route,
  type Service,
  UNROUTED,
} from "../core/http";
import type { Ids } from "../core/ids";
import type { Identity, KeystoneModel } from "../keystone/service";
import { type ListKind, type ListPage, listPage } from "./lists";
import type { CinderModel, MessageRow, Quotas, SnapshotRow, VolumeRow, VolumeType } from "./model";
import * as schemas from "./schemas";

/** A request that has got as far as the method that answers it. */
interface Context {
  readonly request: EmulatorRequest;
  readonly identity: Identity;
  readonly projectId: string;
  /** 3.x as the number x. */
  readonly minor: number;
  readonly params: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly requestId: string;
  /** `http://host/volume/v3/<project id>`: what links begin with. */
  readonly base: string;
}

interface Handler {
  readonly answer: (context: Context) => Reply;
  /** Below this 3.x the method doesn't exist. */
  readonly since: number;
}

type Action = (context: Context) => Reply;
type Metadata = Record<string, unknown>;
/** What has metadata: a snapshot or a volume. */
type Described = Pick<SnapshotRow | VolumeRow, "id" | "metadata" | "updated_at">;

const MIN_VERSION = "3.0";

const METADATA_WRITES = [
  ["POST", "merge"],
  ["PUT", "replace"],
] as const;

export class CinderService implements Service {
  readonly name = "cinder";
  readonly prefix = "/volume";
  private readonly routes: readonly Route<Handler>[];
  private readonly versionRoutes: readonly Route<(request: EmulatorRequest) => Reply>[];
  private readonly snapshotActions: Readonly<Record<string, Action>>;
  private readonly volumeActions: Readonly<Record<string, Action>>;
  private readonly maxMinor: number;
  private serviceUuid: string;

  constructor(
    readonly model: CinderModel,
    private readonly keystone: KeystoneModel,
    private readonly ids: Ids,
    private readonly maxMicroversion: string,
    private readonly snapshotFilters: readonly string[] = SNAPSHOT_FILTERS,
  ) {
    const minor = /^3\.(\d+)$/.exec(maxMicroversion)?.[1];
    if (minor === undefined) throw new Error(`maxMicroversion must be like "3.70", not "${maxMicroversion}"`);
    this.maxMinor = Number(minor);
    this.serviceUuid = ids.uuid("cinder service");
    this.snapshotActions = {
      "os-reset_status": (context) => this.resetSnapshotStatus(context),
      "os-update_snapshot_status": (context) => this.updateSnapshotStatus(context),
      "os-force_delete": (context) => this.forceDeleteSnapshot(context),
      "os-unmanage": (context) => this.unmanageSnapshot(context),
    };
    this.volumeActions = {
      "os-reset_status": (context) => this.resetVolumeStatus(context),
      "os-force_delete": (context) => this.forceDeleteVolume(context),
      "os-set_bootable": (context) => this.setBootable(context),
      revert: (context) => this.revertVolume(context),
    };
    this.versionRoutes = [
      { operation: "versions.list", method: "GET", path: "", handler: (request) => this.listVersions(request) },
      { operation: "versions.list", method: "GET", path: "/", handler: (request) => this.listVersions(request) },
      {
        operation: "versions.redirect",
        method: "GET",
        path: "/v3",
        handler: (request) => this.redirectToVersion(request),
      },
      { operation: "versions.show", method: "GET", path: "/v3/", handler: (request) => this.showVersion(request) },
    ];
    this.routes = this.buildRoutes();
  }

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    const root = matchRoute(this.versionRoutes, request.method, path);
    if (root !== undefined)
      return { operation: root.route.operation, run: () => this.withRequestId(() => root.route.handler(request)) };
    const match = matchRoute(this.routes, request.method, path);
    const routed = match !== undefined && this.isProjectRouted(match.params);
    const operation = routed ? this.operationOf(match.route.operation, request) : UNROUTED;
    return {
      operation,
      run: () =>
        this.withRequestId((requestId) => {
          this.model.settle();
          const identity = this.identify(request);
          // The token is looked at before the path (keystonemiddleware stands in front of the router).
          if (identity === undefined) return unauthenticated(request);
          if (!routed) return notRouted();
          return this.execute(match.route.handler, match.params, request, identity, requestId);
        }),
    };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
    if (status === 401) return unauthenticated(request);
    return faultReply(new CinderError(status, "The emulator was told to answer like this."));
  }

  operations(): readonly OperationInfo[] {
    const shown = [...this.versionRoutes, ...this.routes.filter((route) => route.path.includes("{project}"))].flatMap(
      (route) => {
        const actions = this.actionsOf(route.operation);
        const operations =
          actions === undefined
            ? [route.operation]
            : Object.keys(actions).map((name) => actionOperation(route.operation, name));
        return operations.map((operation) => ({
          operation,
          method: route.method,
          path: `${this.prefix}${route.path}`,
        }));
      },
    );
    return shown;
  }

  state(): unknown {
    this.model.settle();
    const { volumes, snapshots, messages } = this.model;
    return { volumes: [...volumes.values()], snapshots: [...snapshots.values()], messages: [...messages.values()] };
  }

  reset(): void {
    this.serviceUuid = this.ids.uuid("cinder service");
    this.model.reset();
  }

  private buildRoutes(): Route<Handler>[] {
    const routes: Route<Handler>[] = [];
    const add = (operation: string, method: string, path: string, answer: Handler["answer"], since = 0) => {
      routes.push({ operation, method, path: `/v3/{project}${path}`, handler: { answer, since } });
      // Since 3.67 the project may be left out; such a server takes that at any version (exchanges: 'no project in
      // url, 3.0').
      if (this.maxMinor >= 67) routes.push({ operation, method, path: `/v3${path}`, handler: { answer, since } });
    };
    add("snapshots.create", "POST", "/snapshots", (context) => this.createSnapshot(context));
    add("snapshots.list", "GET", "/snapshots", (context) => this.listSnapshots(context, "snapshots"));
    add("snapshots.detail", "GET", "/snapshots/detail", (context) => this.listSnapshots(context, "snapshots/detail"));
    add("snapshots.show", "GET", "/snapshots/{id}", (context) =>
      json(200, { snapshot: snapshotView(this.snapshot(context), context, "extended") }),
    );
    add("snapshots.update", "PUT", "/snapshots/{id}", (context) => this.updateSnapshot(context));
    add("snapshots.delete", "DELETE", "/snapshots/{id}", (context) => this.deleteSnapshot(context));
    add("snapshots.action", "POST", "/snapshots/{id}/action", (context) => this.act(this.snapshotActions, context));
    add("snapshots.metadata.list", "GET", "/snapshots/{id}/metadata", (context) =>
      json(200, { metadata: this.snapshot(context).metadata }),
    );
    for (const [method, how] of METADATA_WRITES) {
      add(`snapshots.metadata.${how}`, method, "/snapshots/{id}/metadata", (context) => {
        const given = element(context, "metadata");
        return this.writeMetadata(this.snapshot(context), how, given);
      });
      add(`volumes.metadata.${how}`, method, "/volumes/{id}/metadata", (context) => {
        const given = validated(schemas.VOLUME_METADATA_WRITE, context, "metadata");
        return this.writeMetadata(this.volumeForMetadata(context, "Updating"), how, given);
      });
    }
    add("snapshots.metadata.get", "GET", "/snapshots/{id}/metadata/{key}", (context) =>
      this.getMetadataKey(context, this.snapshot(context), "Snapshot"),
    );
    add("snapshots.metadata.set", "PUT", "/snapshots/{id}/metadata/{key}", (context) =>
      this.setMetadataKey(context, () => this.snapshot(context), element(context, "meta")),
    );
    add("snapshots.metadata.delete", "DELETE", "/snapshots/{id}/metadata/{key}", (context) =>
      this.deleteMetadataKey(context, this.snapshot(context), "Snapshot"),
    );
    add("volumes.metadata.list", "GET", "/volumes/{id}/metadata", (context) =>
      json(200, { metadata: this.volume(context).metadata }),
    );
    add("volumes.metadata.get", "GET", "/volumes/{id}/metadata/{key}", (context) =>
      this.getMetadataKey(context, this.volume(context), "Volume"),
    );
    add("volumes.metadata.set", "PUT", "/volumes/{id}/metadata/{key}", (context) => {
      const given = validated(schemas.VOLUME_METADATA_KEY, context, "meta");
      return this.setMetadataKey(context, () => this.volumeForMetadata(context, "Updating"), given);
    });
    add("volumes.metadata.delete", "DELETE", "/volumes/{id}/metadata/{key}", (context) =>
      this.deleteMetadataKey(context, this.volumeForMetadata(context, "Deleting"), "Volume"),
    );
    add("volumes.create", "POST", "/volumes", (context) => this.createVolume(context));
    add("volumes.list", "GET", "/volumes", (context) => this.listVolumes(context, "volumes"));
    add("volumes.detail", "GET", "/volumes/detail", (context) => this.listVolumes(context, "volumes/detail"));
    add("volumes.show", "GET", "/volumes/{id}", (context) =>
      json(200, { volume: this.volumeView(this.volume(context), context, "extended") }),
    );
    add("volumes.update", "PUT", "/volumes/{id}", (context) => this.updateVolume(context));
    add("volumes.delete", "DELETE", "/volumes/{id}", (context) => this.deleteVolume(context));
    add("volumes.action", "POST", "/volumes/{id}/action", (context) => this.act(this.volumeActions, context));
    add("messages.list", "GET", "/messages", (context) => this.listMessages(context), 3);
    add(
      "messages.show",
      "GET",
      "/messages/{id}",
      (context) => json(200, { message: messageView(this.message(context), context) }),
      3,
    );
    add("messages.delete", "DELETE", "/messages/{id}", (context) => this.deleteMessage(context), 3);
    add("types.list", "GET", "/types", () =>
      json(200, { volume_types: [...this.model.volumeTypes.values()].map(typeView) }),
    );
    add("types.show", "GET", "/types/{id}", (context) =>
      json(200, { volume_type: typeView(this.volumeType(context.params.id ?? "")) }),
    );
    add("limits.show", "GET", "/limits", (context) => this.showLimits(context));
    add("quotas.show", "GET", "/os-quota-sets/{target}", (context) => this.showQuotas(context));
    add("quotas.update", "PUT", "/os-quota-sets/{target}", (context) => this.updateQuotas(context));
    return routes;
  }

  // ---- from the socket to the method ----------------------------------------------------------------------------

  private withRequestId(handle: (requestId: string) => Reply): Reply {
    const requestId = `req-${this.ids.uuid("request")}`;
    const reply = handle(requestId);
    return { ...reply, headers: { ...reply.headers, "x-openstack-request-id": requestId } };
  }

  private identify(request: EmulatorRequest): Identity | undefined {
    return this.keystone.identify(header(request, "X-Auth-Token"));
  }

  /** A server that allows paths without a project tells the two apart by project_id_regex, `[0-9a-f\-]+`. */
  private isProjectRouted(params: Readonly<Record<string, string>>): boolean {
    return params.project === undefined || this.maxMinor < 67 || /^[0-9a-f-]+$/.test(params.project);
  }

  private actionsOf(operation: string): Readonly<Record<string, Action>> | undefined {
    if (operation === "snapshots.action") return this.snapshotActions;
    return operation === "volumes.action" ? this.volumeActions : undefined;
  }

  private operationOf(operation: string, request: EmulatorRequest): string {
    const actions = this.actionsOf(operation);
    if (actions === undefined) return operation;
    const [name] = bodyKeys(request.text);
    return name !== undefined && name in actions ? actionOperation(operation, name) : operation;
  }

  /** cinder/api/openstack/wsgi.py Resource: version, body, project, method, in this order. */
  private execute(
    handler: Handler,
    params: Readonly<Record<string, string>>,
    request: EmulatorRequest,
    identity: Identity,
    requestId: string,
  ): Reply {
    let version = "";
    let reply: Reply;
    try {
      version = readVersion(request, this.maxMicroversion);
      const minor = this.checkVersion(version);
      if (minor < handler.since) throw new CinderError(404, "The resource could not be found.");
      const body = readBody(request);
      if (params.project !== undefined && params.project !== identity.projectId) throw invalid("Malformed request url");
      const projectId = identity.projectId ?? "";
      const base = `${request.origin}${this.prefix}/v3/${projectId}`;
      reply = handler.answer({ request, identity, projectId, minor, params, body, requestId, base });
    } catch (error) {
      if (!(error instanceof CinderError)) throw error;
      reply = faultReply(error);
    }
    // A malformed version has no version headers (exchanges: 'mv malformed'); one too new is echoed ('mv too high').
    const versionHeaders: Record<string, string> =
      version === "" ? {} : { "OpenStack-API-Version": `volume ${version}`, Vary: "OpenStack-API-Version" };
    return { ...reply, headers: { ...reply.headers, ...versionHeaders, "x-compute-request-id": requestId } };
  }

  private checkVersion(version: string): number {
    const [major = 0, minor = 0] = version.split(".").map(Number);
    if (major === 3 && minor <= this.maxMinor) return minor;
    throw new CinderError(
      406,
      `Version ${version} is not supported by the API. Minimum is ${MIN_VERSION} and maximum is ${this.maxMicroversion}.`,
    );
  }

  // ---- discovery ------------------------------------------------------------------------------------------------

  private listVersions(request: EmulatorRequest): Reply {
    return json(300, this.versionBody(request));
  }

  private showVersion(request: EmulatorRequest): Reply {
    return this.identify(request) === undefined ? unauthenticated(request) : json(200, this.versionBody(request));
  }

  private redirectToVersion(request: EmulatorRequest): Reply {
    if (this.identify(request) === undefined) return unauthenticated(request);
    const location = `${request.origin}${this.prefix}/v3/`;
    return { status: 302, headers: { "Content-Type": "text/plain; charset=UTF-8", Location: location }, body: "" };
  }

  /** docs/wire/openstack.md#a4 */
  private versionBody(request: EmulatorRequest): unknown {
    const links = [
      { rel: "describedby", type: "text/html", href: "https://docs.openstack.org/" },
      { rel: "self", href: `${request.origin}${this.prefix}/v3/` },
    ];
    const media = [{ base: "application/json", type: "application/vnd.openstack.volume+json;version=3" }];
    return {
      versions: [
        {
          id: "v3.0",
          status: "CURRENT",
          version: this.maxMicroversion,
          min_version: MIN_VERSION,
          updated: "2022-08-31T00:00:00Z",
          links,
          "media-types": media,
        },
      ],
    };
  }

  // ---- snapshots ------------------------------------------------------------------------------------------------

  private createSnapshot(context: Context): Reply {
    const { volume_id, name, display_name, description, metadata, force } = validated(
      schemas.SNAPSHOT_CREATE,
      context,
      "snapshot",
    );
    const volume = this.volumeById(context, volume_id);
    const forced = readForce(force, context.minor);
    checkVolumeCanBeCopied(volume, context.minor, forced);
    this.checkQuota(context.projectId, "snapshots", volume.size);
    const row = this.model.createSnapshot({
      project_id: context.projectId,
      user_id: context.identity.userId,
      volume_id: volume.id,
      volume_size: volume.size,
      name: stripped(name ?? display_name),
      description: stripped(description),
      status: "creating",
      progress: "0%",
      metadata: isObject(metadata) ? strings(metadata) : {},
    });
    this.model.startSnapshotCreate(row, context.requestId);
    return json(202, { snapshot: snapshotView(row, context, "plain") });
  }

  private listSnapshots(context: Context, collection: string): Reply {
    const detail = collection !== "snapshots";
    const kind: ListKind<SnapshotRow> = {
      collection,
      rows: this.ownRows([...this.model.snapshots.values()], context),
      memberFilters: this.snapshotFilters,
      column: (row, key) => this.snapshotColumn(row, key),
      sortable: [...SNAPSHOT_COLUMNS, ...(context.minor >= 30 ? ["name"] : [])],
      metadataFilterSince: 22,
      notFound: snapshotNotFound,
    };
    const page = listPage(context.request.query, kind, listContext(context));
    return listReply("snapshots", page, kind, context, (row) =>
      snapshotView(row, context, detail ? "extended" : "summary"),
    );
  }

  private updateSnapshot(context: Context): Reply {
    const given = validated(schemas.SNAPSHOT_UPDATE, context, "snapshot");
    const row = this.snapshot(context);
    const before = row.updated_at;
    if ("name" in given || "display_name" in given) row.name = stripped(given.name ?? given.display_name);
    if ("description" in given || "display_description" in given)
      row.description = stripped(given.description ?? given.display_description);
    row.updated_at = this.model.stamp();
    // The answer is made from the object as it was loaded: its updated_at is the one before (exchanges: 'update while
    // creating' null, 'update description null' one step behind).
    return json(200, { snapshot: snapshotView({ ...row, updated_at: before }, context, "plain") });
  }

  private deleteSnapshot(context: Context): Reply {
    const row = this.snapshot(context);
    if (!["available", "error"].includes(row.status) || row.group_snapshot_id !== null) {
      // One text for all reasons (docs/wire/openstack.md#a9).
      throw invalid("Invalid snapshot: Snapshot status must be available or error and must not be part of a group.");
    }
    return this.beginSnapshotDelete(row, context);
  }

  private beginSnapshotDelete(row: SnapshotRow, context: Context): Reply {
    this.model.startSnapshotDelete(row, context.requestId);
    row.updated_at = this.model.stamp();
    return accepted();
  }

  private snapshot(context: Context): SnapshotRow {
    return this.snapshotById(context, context.params.id);
  }

  /** Another project's looks the same as none (exchanges: 'show from other project'); an administrator sees all. */
  private snapshotById(context: Context, id: unknown): SnapshotRow {
    const row = this.model.snapshots.get(String(id));
    if (row === undefined || !isVisible(row, context)) throw snapshotNotFound(id);
    return row;
  }

  private snapshotColumn(row: SnapshotRow, key: string): unknown {
    if (key === "name" || key === "display_name") return row.name;
    if (key === "display_description" || key === "description") return row.description;
    if (key === "availability_zone") return this.model.volumes.get(row.volume_id)?.availability_zone;
    if (key === "size") return undefined;
    return Object.entries(row).find(([column]) => column === key)?.[1];
  }

  // ---- metadata: of snapshots without a schema in Zed (docs/wire/openstack.md#a7), of volumes with one -------------------------

  private writeMetadata(row: Described, how: "merge" | "replace", given: Metadata): Reply {
    const metadata = how === "merge" ? { ...row.metadata, ...given } : given;
    row.metadata = checkedMetadata(metadata);
    row.updated_at = this.model.stamp();
    return json(200, { metadata: row.metadata });
  }

  private getMetadataKey(context: Context, row: Described, noun: string): Reply {
    const { key, value } = metadataItem(row, noun, context.params.key ?? "");
    return json(200, { meta: { [key]: value } });
  }

  private setMetadataKey(context: Context, row: () => Described, given: Metadata): Reply {
    const key = context.params.key ?? "";
    // exchanges: 'metadata key mismatch', 'metadata too many'
    if (!(key in given)) throw invalid("Request body and URI mismatch");
    if (Object.keys(given).length > 1) throw invalid("Request body contains too many items");
    const described = row();
    described.metadata = checkedMetadata({ ...described.metadata, ...given });
    described.updated_at = this.model.stamp();
    return json(200, { meta: { [key]: described.metadata[key] } });
  }

  private deleteMetadataKey(context: Context, row: Described, noun: string): Reply {
    const { key } = metadataItem(row, noun, context.params.key ?? "");
    const { [key]: _, ...rest } = row.metadata;
    row.metadata = rest;
    row.updated_at = this.model.stamp();
    // 200 and empty (exchanges: 'metadata delete key')
    return { status: 200, headers: HTML, body: "" };
  }

  /** cinder/volume/api.py _update_volume_metadata, delete_volume_metadata. */
  private volumeForMetadata(context: Context, doing: "Updating" | "Deleting"): VolumeRow {
    const row = this.volume(context);
    if (["maintenance", "uploading"].includes(row.status))
      throw invalid(`Invalid volume: ${doing} volume metadata is not allowed for volumes in ${row.status} status.`);
    return row;
  }

  // ---- actions --------------------------------------------------------------------------------------------------

  private act(actions: Readonly<Record<string, Action>>, context: Context): Reply {
    const [name, ...more] = bodyKeys(context.request.text);
    // exchanges: 'empty action'
    if (name === undefined || more.length > 0) throw invalid("Malformed request body");
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
    if (action === undefined)
      throw invalid(`There is no such action: ${name}. Verify the request body and Content-Type header and try again.`);
    return action(context);
  }

  private resetSnapshotStatus(context: Context): Reply {
    const { status } = validated(schemas.RESET_STATUS, context, "os-reset_status");
    const row = this.snapshot(context);
    requireAdmin(context, "volume_extension:snapshot_admin_actions:reset_status");
    if (!SNAPSHOT_STATUSES.includes(String(status)))
      throw invalid(
        `Snapshot status: ${String(status)} is invalid, valid statuses are: (${SNAPSHOT_STATUSES.map((s) => `'${s}'`).join(", ")}).`,
      );
    row.status = String(status);
    row.updated_at = this.model.stamp();
    return acceptedJson();
  }

  /** cinder/api/contrib/snapshot_actions.py; what Nova reports by. */
  private updateSnapshotStatus(context: Context): Reply {
    const { status, progress } = validated(schemas.SNAPSHOT_UPDATE_STATUS, context, "os-update_snapshot_status");
    const row = this.snapshot(context);
    const refusal = this.model.statusUpdateRefusal(row.id, String(status));
    if (refusal !== undefined) throw invalid(refusal);
    this.model.updateStatus(row, String(status), typeof progress === "string" ? checkedProgress(progress) : undefined);
    return accepted();
  }

  private forceDeleteSnapshot(context: Context): Reply {
    const row = this.snapshot(context);
    requireAdmin(context, "volume_extension:snapshot_admin_actions:force_delete");
    this.beginSnapshotDelete(row, context);
    return acceptedJson();
  }

  private unmanageSnapshot(context: Context): Reply {
    const row = this.snapshot(context);
    requireAdmin(context, "snapshot_extension:snapshot_unmanage");
    row.status = "unmanaging";
    this.model.removeSnapshot(row.id);
    return accepted();
  }

  private resetVolumeStatus(context: Context): Reply {
    const { status } = validated(schemas.RESET_STATUS, context, "os-reset_status");
    const row = this.volume(context);
    requireAdmin(context, "volume_extension:volume_admin_actions:reset_status");
    if (typeof status === "string") row.status = status;
    row.updated_at = this.model.stamp();
    return acceptedJson();
  }

  private forceDeleteVolume(context: Context): Reply {
    const row = this.volume(context);
    requireAdmin(context, "volume_extension:volume_admin_actions:force_delete");
    this.model.startVolumeDelete(row);
    return acceptedJson();
  }

  private setBootable(context: Context): Reply {
    const { bootable } = validated(schemas.SET_BOOTABLE, context, "os-set_bootable");
    const row = this.volume(context);
    row.bootable = schemas.isTrueForm(bootable);
    row.updated_at = this.model.stamp();
    return { status: 200, headers: { "Content-Type": "application/json" }, body: "" };
  }

  private revertVolume(context: Context): Reply {
    // exchanges: 'revert at 3.39'
    if (context.minor < 40) throw new CinderError(404, "The resource could not be found.");
    const { snapshot_id } = validated(schemas.REVERT, context, "revert");
    const volume = this.volume(context);
    const latest = this.model.snapshotsOf(volume.id).sort((a, b) => (a.created_at < b.created_at ? 1 : -1))[0];
    if (latest === undefined || latest.id !== snapshot_id)
      throw invalid(`Specified snapshot ${String(snapshot_id)} is None or not the latest one of volume ${volume.id}.`);
    const back = volume.status;
    if (!["available", "in-use"].includes(back))
      throw new CinderError(
        409,
        `Invalid volume: Can't revert volume ${volume.id} to its latest snapshot ${latest.id}. Volume must be detached.`,
      );
    if (latest.status !== "available") {
      // The volume is left in `reverting` by the real one, too (docs/wire/openstack.md#a13, marked as Cinder's bug).
      volume.status = "reverting";
      throw new CinderError(
        409,
        `Invalid snapshot: Can't revert volume ${volume.id} to its latest snapshot ${latest.id}. Snapshot's status must be 'available'.`,
      );
    }
    this.model.startRevert(volume, latest, back);
    return accepted();
  }

  // ---- volumes --------------------------------------------------------------------------------------------------

  private createVolume(context: Context): Reply {
    const given = validated(context.minor >= 53 ? schemas.VOLUME_CREATE_353 : schemas.VOLUME_CREATE, context, "volume");
    const snapshot = given.snapshot_id == null ? undefined : this.snapshotById(context, given.snapshot_id);
    if (snapshot !== undefined && snapshot.status !== "available")
      throw invalid("Invalid snapshot: Originating snapshot status must be one of 'available' values");
    const source = given.source_volid == null ? undefined : this.volumeById(context, given.source_volid);
    if (source !== undefined && !["available", "in-use"].includes(source.status))
      throw invalid("Invalid volume: Originating source volume status must be one of 'available, in-use' values");
    const size = volumeSize(
      given.size,
      snapshot?.volume_size ?? source?.size,
      snapshot === undefined ? "source volume" : "snapshot",
    );
    const type = this.volumeType(given.volume_type == null ? "default" : String(given.volume_type));
    this.checkQuota(context.projectId, "volumes", size);
    const row = this.model.createVolume({
      project_id: context.projectId,
      user_id: context.identity.userId,
      name: stripped(given.name ?? given.display_name),
      description: stripped(given.description ?? given.display_description),
      size,
      status: "creating",
      availability_zone: typeof given.availability_zone === "string" ? given.availability_zone : "nova",
      volume_type_id: source?.volume_type_id ?? type.id,
      snapshot_id: snapshot?.id ?? null,
      source_volid: source?.id ?? null,
      metadata: isObject(given.metadata) ? strings(given.metadata) : {},
      multiattach: given.multiattach === true,
      bootable: source?.bootable ?? false,
    });
    this.model.startVolumeCreate(row);
    return json(202, { volume: this.volumeView(row, context, "plain") });
  }

  private listVolumes(context: Context, collection: string): Reply {
    const detail = collection !== "volumes";
    const kind: ListKind<VolumeRow> = {
      collection,
      rows: this.ownRows([...this.model.volumes.values()], context),
      memberFilters: [
        "name",
        "status",
        "metadata",
        "bootable",
        "migration_status",
        "availability_zone",
        "group_id",
        "consumes_quota",
      ],
      column: (row, key) => {
        if (key === "display_name") return row.name;
        return Object.entries(row).find(([column]) => column === key)?.[1];
      },
      sortable: [
        "id",
        "name",
        "display_name",
        "status",
        "size",
        "created_at",
        "updated_at",
        "availability_zone",
        "bootable",
      ],
      metadataFilterSince: 0,
      notFound: volumeNotFound,
    };
    const page = listPage(context.request.query, kind, listContext(context));
    return listReply("volumes", page, kind, context, (row) =>
      detail ? this.volumeView(row, context, "extended") : volumeSummary(row, context),
    );
  }

  private updateVolume(context: Context): Reply {
    const given = validated(context.minor >= 53 ? schemas.VOLUME_UPDATE_353 : schemas.VOLUME_UPDATE, context, "volume");
    const row = this.volume(context);
    const before = row.updated_at;
    if ("name" in given || "display_name" in given) row.name = stripped(given.name ?? given.display_name);
    if ("description" in given || "display_description" in given)
      row.description = stripped(given.description ?? given.display_description);
    // Here metadata replaces all (docs/wire/openstack.md#volumes), and the answer's updated_at is the one before, as
    // for snapshots.
    if (isObject(given.metadata)) row.metadata = strings(given.metadata);
    row.updated_at = this.model.stamp();
    return json(200, { volume: this.volumeView({ ...row, updated_at: before }, context, "plain") });
  }

  private deleteVolume(context: Context): Reply {
    const { query } = context.request;
    const row = this.volume(context);
    const force = context.minor >= 23 && isTrueWord(query.get("force"));
    if (force) requireAdmin(context, "volume:force_delete");
    const cascade = isTrueWord(query.get("cascade"));
    const snapshots = this.model.snapshotsOf(row.id);
    const deletable = snapshots.every(
      (s) => ["available", "error", "error_deleting"].includes(s.status) && s.group_snapshot_id === null,
    );
    const statuses = ["available", "error", "error_restoring", "error_extending", "error_managing"];
    const fits =
      (force || statuses.includes(row.status)) &&
      row.attachments.length === 0 &&
      row.group_id === null &&
      row.migration_status === null;
    if (!fits || (cascade ? !deletable : snapshots.length > 0)) {
      // One text for all reasons (exchanges: 'delete volume with snapshots', 'delete in-use volume').
      throw invalid(
        `Invalid volume: Volume status must be ${statuses.join(" or ")} and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.`,
      );
    }
    this.model.startVolumeDelete(row, snapshots, context.requestId);
    return accepted();
  }

  private volume(context: Context): VolumeRow {
    return this.volumeById(context, context.params.id);
  }

  private volumeById(context: Context, id: unknown): VolumeRow {
    // Compared as it is written: upper case finds nothing (exchanges: 'volume_id uppercase').
    const row = this.model.volumes.get(String(id));
    if (row === undefined || !isVisible(row, context)) throw volumeNotFound(id);
    return row;
  }

  private volumeType(idOrName: string): VolumeType {
    const wanted = idOrName === "default" ? "__DEFAULT__" : idOrName;
    const type =
      this.model.volumeTypes.get(wanted) ?? [...this.model.volumeTypes.values()].find((row) => row.name === wanted);
    if (type === undefined) throw new CinderError(404, `Volume type with name ${idOrName} could not be found.`);
    return type;
  }

  /** Keys in the order of exchanges: 'the clone'; the microversions in cinder/api/v3/views/volumes.py. */
  private volumeView(row: VolumeRow, context: Context, form: "plain" | "extended"): Record<string, unknown> {
    const { minor, identity } = context;
    const isMade = row.status !== "creating";
    return {
      id: row.id,
      status: row.status,
      size: row.size,
      availability_zone: row.availability_zone,
      created_at: row.created_at,
      updated_at: row.updated_at,
      name: row.name,
      description: row.description,
      volume_type: this.model.volumeTypes.get(row.volume_type_id)?.name ?? null,
      snapshot_id: row.snapshot_id,
      source_volid: row.source_volid,
      metadata: row.metadata,
      links: links(context, "volumes", row.id),
      user_id: row.user_id,
      bootable: String(row.bootable),
      encrypted: false,
      replication_status: null,
      consistencygroup_id: null,
      multiattach: row.multiattach,
      attachments: row.attachments,
      ...(identity.isAdmin ? { migration_status: row.migration_status } : {}),
      ...(minor >= 13 ? { group_id: row.group_id } : {}),
      ...(minor >= 21 && identity.isAdmin ? { provider_id: null } : {}),
      ...(minor >= 48 ? { shared_targets: !isMade, service_uuid: isMade ? this.serviceUuid : null } : {}),
      ...(minor >= 61 && identity.isAdmin ? { cluster_name: null } : {}),
      ...(minor >= 63 ? { volume_type_id: row.volume_type_id } : {}),
      ...(minor >= 65 ? { consumes_quota: row.consumes_quota } : {}),
      ...(form === "extended" && identity.isAdmin
        ? {
            "os-vol-host-attr:host": row.host,
            "os-vol-mig-status-attr:migstat": row.migration_status,
            "os-vol-mig-status-attr:name_id": null,
          }
        : {}),
      ...(form === "extended" ? { "os-vol-tenant-attr:tenant_id": row.project_id } : {}),
    };
  }

  // ---- messages, limits, quotas ---------------------------------------------------------------------------------

  private listMessages(context: Context): Reply {
    const kind: ListKind<MessageRow> = {
      collection: "messages",
      rows: [...this.model.messages.values()].filter((row) => row.project_id === context.projectId),
      memberFilters: ["resource_uuid", "resource_type", "event_id", "request_id", "message_level"],
      column: (row, key) => Object.entries(row).find(([column]) => column === key)?.[1],
      sortable: [
        "id",
        "event_id",
        "resource_uuid",
        "resource_type",
        "created_at",
        "guaranteed_until",
        "request_id",
        "message_level",
      ],
      metadataFilterSince: 0,
      notFound: (id) => new CinderError(404, `Message ${id} could not be found.`),
    };
    // Parameters count from 3.5 on (cinder/api/v3/messages.py index).
    const query = context.minor >= 5 ? context.request.query : new URLSearchParams();
    return listReply("messages", listPage(query, kind, listContext(context)), kind, context, (row) =>
      messageView(row, context),
    );
  }

  private message(context: Context): MessageRow {
    const id = context.params.id ?? "";
    const row = this.model.messages.get(id);
    if (row === undefined || !isVisible(row, context)) throw new CinderError(404, `Message ${id} could not be found.`);
    return row;
  }

  private deleteMessage(context: Context): Reply {
    this.model.messages.delete(this.message(context).id);
    return { status: 204, headers: {}, body: "" };
  }

  private showLimits(context: Context): Reply {
    const quotas = this.model.quotasOf(context.projectId);
    const used = this.model.usageOf(context.projectId);
    // exchanges: 'limits'
    const absolute = {
      maxTotalVolumes: quotas.volumes,
      maxTotalSnapshots: quotas.snapshots,
      maxTotalVolumeGigabytes: quotas.gigabytes,
      maxTotalBackups: 10,
      maxTotalBackupGigabytes: 1000,
      totalVolumesUsed: used.volumes,
      totalGigabytesUsed: used.gigabytes,
      totalSnapshotsUsed: used.snapshots,
      totalBackupsUsed: 0,
      totalBackupGigabytesUsed: 0,
    };
    return json(200, { limits: { rate: [], absolute } });
  }

  private showQuotas(context: Context): Reply {
    const target = context.params.target ?? "";
    if (target !== context.projectId) requireAdmin(context, "volume_extension:quotas:show");
    return json(200, { quota_set: { id: target, ...quotaView(this.model.quotasOf(target)) } });
  }

  private updateQuotas(context: Context): Reply {
    requireAdmin(context, "volume_extension:quotas:update");
    const given = element(context, "quota_set");
    const target = context.params.target ?? "";
    const quotas = { ...this.model.quotasOf(target) };
    for (const key of ["volumes", "snapshots", "gigabytes"] as const) {
      const value = given[key];
      if (value === undefined) continue;
      if (!Number.isInteger(value) || Number(value) < -1)
        throw invalid(`Invalid input for field/attribute ${key}. Value: ${String(value)}.`);
      quotas[key] = Number(value);
    }
    this.model.quotas.set(target, quotas);
    return json(200, { quota_set: quotaView(quotas) });
  }

  /** -1 is no limit. exchanges: 'over quota: snapshots', 'gigabytes quota'. */
  private checkQuota(projectId: string, resource: "snapshots" | "volumes", gigabytes: number): void {
    const quotas = this.model.quotasOf(projectId);
    const used = this.model.usageOf(projectId);
    if (quotas.gigabytes >= 0 && used.gigabytes + gigabytes > quotas.gigabytes) {
      throw overLimit(
        `VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested ${gigabytes}G, quota is ${quotas.gigabytes}G and ${used.gigabytes}G has been consumed.`,
      );
    }
    if (quotas[resource] >= 0 && used[resource] + 1 > quotas[resource]) {
      const name = resource === "snapshots" ? "SnapshotLimitExceeded" : "VolumeLimitExceeded";
      throw overLimit(`${name}: Maximum number of ${resource} allowed (${quotas[resource]}) exceeded`);
    }
  }

  /** An administrator's list is of one project, too, unless all_tenants is asked for (docs/wire/openstack.md#a6). */
  private ownRows<Row extends { project_id: string }>(rows: readonly Row[], context: Context): Row[] {
    const all = context.identity.isAdmin && isTrueWord(context.request.query.get("all_tenants"));
    return rows.filter((row) => all || row.project_id === context.projectId);
  }
}

const HTML = { "Content-Type": "text/html; charset=UTF-8" } as const;

const SNAPSHOT_FILTERS = ["name", "status", "volume_id", "metadata", "availability_zone", "consumes_quota"];

/** Database columns, not the names of the API: `size` can't be sorted by (exchanges: 'sort_key'). */
const SNAPSHOT_COLUMNS = [
  "id",
  "created_at",
  "updated_at",
  "display_name",
  "display_description",
  "status",
  "progress",
  "volume_id",
  "volume_size",
  "user_id",
  "project_id",
  "group_snapshot_id",
];

/** cinder/objects/fields.py:113, in the order of exchanges: 'reset banana' */
const SNAPSHOT_STATUSES = [
  "error",
  "available",
  "creating",
  "deleting",
  "deleted",
  "updating",
  "error_deleting",
  "unmanaging",
  "backing-up",
  "restoring",
];

export class CinderError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfter?: string,
  ) {
    super(message);
  }
}

function invalid(message: string): CinderError {
  return new CinderError(400, message);
}

function overLimit(message: string): CinderError {
  return new CinderError(413, message, "0");
}

function snapshotNotFound(id: unknown): CinderError {
  return new CinderError(404, `Snapshot ${String(id)} could not be found.`);
}

function volumeNotFound(id: unknown): CinderError {
  // exchanges: 'volume_id null' prints Python's None
  return new CinderError(404, `Volume ${id === null ? "None" : String(id)} could not be found.`);
}

/** cinder/api/openstack/wsgi.py Fault */
const FAULT_NAMES: Readonly<Record<number, string>> = {
  400: "badRequest",
  401: "unauthorized",
  403: "forbidden",
  404: "itemNotFound",
  405: "badMethod",
  409: "conflictingRequest",
  413: "overLimit",
  415: "badMediaType",
  501: "notImplemented",
  503: "serviceUnavailable",
};

export function faultReply(error: CinderError): Reply {
  const { status, message, retryAfter } = error;
  const fault = { code: status, message, ...(retryAfter === undefined ? {} : { retryAfter }) };
  return json(
    status,
    { [FAULT_NAMES[status] ?? "computeFault"]: fault },
    retryAfter === undefined ? {} : { "Retry-After": retryAfter },
  );
}

/** keystonemiddleware's own form (docs/wire/openstack.md#a10). */
export function unauthenticated(request: EmulatorRequest): Reply {
  const body = {
    error: { code: 401, title: "Unauthorized", message: "The request you have made requires authentication." },
  };
  return json(401, body, { "WWW-Authenticate": `Keystone uri="${request.origin}/identity"` });
}

/** webob's own form: not an itemNotFound, and no proof that anything is gone (exchanges: 'the documented singular path'). */
export function notRouted(): Reply {
  return json(404, {
    message: "The resource could not be found.<br /><br />\n\n\n",
    code: "404 Not Found",
    title: "Not Found",
  });
}

function accepted(): Reply {
  return { status: 202, headers: HTML, body: "" };
}

/** Some actions say JSON and send nothing (exchanges: 'reset by admin'). */
function acceptedJson(): Reply {
  return { status: 202, headers: { "Content-Type": "application/json" }, body: "" };
}

function requireAdmin(context: Context, policy: string): void {
  if (!context.identity.isAdmin) throw new CinderError(403, `Policy doesn't allow ${policy} to be performed.`);
}

function isVisible(row: { project_id: string }, context: Context): boolean {
  return context.identity.isAdmin || row.project_id === context.projectId;
}

/**
 * The header may name several services; the type is `volume` whatever the catalogue says (docs/wire/openstack.md#a4).
 */
function readVersion(request: EmulatorRequest, max: string): string {
  const entries = (header(request, "OpenStack-API-Version") ?? "").split(",").map((entry) => entry.trim().split(/\s+/));
  const wanted = entries.find(([service]) => service === "volume")?.[1];
  if (wanted === undefined) return MIN_VERSION;
  if (wanted === "latest") return max;
  if (!/^[1-9]\d*\.(0|[1-9]\d*)$/.test(wanted))
    throw invalid(`API Version String ${wanted} is of invalid format. Must be of format MajorNum.MinorNum.`);
  return wanted;
}

/** undefined: no body, or no Content-Type, which counts as none. */
function readBody(request: EmulatorRequest): unknown {
  const type = header(request, "Content-Type")?.split(";")[0]?.trim();
  if (request.text === "" || type === undefined) return undefined;
  if (!["application/json", "application/vnd.openstack.volume+json"].includes(type))
    throw new CinderError(415, "Unsupported Content-Type");
  try {
    return JSON.parse(request.text);
  } catch {
    throw invalid("Malformed request body");
  }
}

function requireBody(context: Context): unknown {
  // exchanges: 'no body': a method called without its argument
  if (context.body === undefined)
    throw new CinderError(500, "The server has either erred or is incapable of performing the requested operation.");
  return context.body;
}

/** The object under `name` of a body that the schema accepts. */
function validated(schema: schemas.Schema, context: Context, name: string): Record<string, unknown> {
  const body = requireBody(context);
  const message = schemas.refusal(schema, body);
  if (message !== undefined) throw invalid(message);
  const inner = isObject(body) ? body[name] : undefined;
  return isObject(inner) ? inner : {};
}

/** The check of methods without a schema (exchanges: 'metadata is a string', 'metadata body empty'). */
function element(context: Context, name: string): Record<string, unknown> {
  const body = requireBody(context);
  const inner = isObject(body) ? body[name] : undefined;
  if (!isObject(inner)) throw invalid(`Missing required element '${name}' in request body.`);
  return inner;
}

function bodyKeys(text: string): string[] {
  try {
    const body: unknown = JSON.parse(text);
    return isObject(body) ? Object.keys(body) : [];
  } catch {
    return [];
  }
}

function actionOperation(operation: string, name: string): string {
  return `${operation.slice(0, operation.indexOf("."))}.${name}`;
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

/** cinder/utils.py check_metadata_properties */
function checkedMetadata(given: Record<string, unknown>): Record<string, string> {
  for (const [key, value] of Object.entries(given)) {
    if (key.length < 1)
      throw invalid(`Invalid metadata: Invalid input received: Metadata key: ${key} has 0 characters, less than 1.`);
    if (typeof value !== "string")
      throw invalid(
        `Invalid metadata: Invalid input received: Value for metadata key: ${key} is not a string or unicode`,
      );
    // 413 without Retry-After (exchanges: 'metadata value 256', 'metadata key 256')
    if ([...key].length > 255)
      throw new CinderError(413, `Invalid metadata size: Metadata property key ${key} greater than 255 characters.`);
    if ([...value].length > 255)
      throw new CinderError(
        413,
        `Invalid metadata size: Metadata property key ${key} value greater than 255 characters.`,
      );
  }
  return strings(given);
}

function metadataItem(row: Described, noun: string, key: string): { key: string; value: string } {
  const value = Object.hasOwn(row.metadata, key) ? row.metadata[key] : undefined;
  if (value === undefined) throw new CinderError(404, `${noun} ${row.id} has no metadata with key ${key}.`);
  return { key, value };
}

/** exchanges: 'bad progress', 'progress 101%' */
function checkedProgress(progress: string): string {
  const number = /^\s*([+-]?\d+)\s*%$/.exec(progress)?.[1];
  if (number === undefined) throw invalid("Invalid input received: progress must be an integer percentage");
  if (Number(number) < 0 || Number(number) > 100)
    throw invalid("Invalid input received: progress must be an integer percentage between 0 and 100");
  return progress;
}

function volumeSize(given: unknown, sourceSize: number | undefined, source: string): number {
  const size = given == null ? sourceSize : Number(given);
  if (size === undefined || !Number.isInteger(size) || size <= 0)
    throw invalid(
      `Invalid input received: Invalid volume size provided for create request: ${given == null ? "None" : String(given)} (size argument must be an integer (or string representation of an integer) and greater than zero).`,
    );
  if (sourceSize !== undefined && size < sourceSize)
    throw invalid(
      `Invalid input received: Volume size '${size}'GB cannot be smaller than the ${source} size ${sourceSize}GB. They must be >= original ${source} size.`,
    );
  return size;
}

/** `"  slow snap-001 "` comes back as `"slow snap-001"`, null stays null (docs/wire/openstack.md#a2). */
function stripped(value: unknown): string | null {
  return typeof value === "string" ? value.trim() : null;
}

function strings(values: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)]));
}

function isTrueWord(value: string | null): boolean {
  return value !== null && ["1", "t", "true", "on", "y", "yes"].includes(value.toLowerCase());
}

function listContext(context: Context) {
  return { isAdmin: context.identity.isAdmin, minor: context.minor, invalid };
}

function listReply<Row extends { id: string; created_at: string }>(
  name: string,
  page: ListPage<Row>,
  kind: ListKind<Row>,
  context: Context,
  view: (row: Row) => unknown,
): Reply {
  return json(200, {
    [name]: page.rows.map(view),
    ...(page.next === undefined
      ? {}
      : { [`${name}_links`]: [{ rel: "next", href: `${context.base}/${kind.collection}?${page.next}` }] }),
    ...(page.count === undefined ? {} : { count: page.count }),
  });
}

/** Keys in the order of exchanges: 'show available 3.66'. */
function snapshotView(
  row: SnapshotRow,
  context: Context,
  form: "summary" | "plain" | "extended",
): Record<string, unknown> {
  const { minor } = context;
  const summary = {
    id: row.id,
    created_at: row.created_at,
    updated_at: row.updated_at,
    name: row.name,
    description: row.description,
    volume_id: row.volume_id,
    status: row.status,
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

function volumeSummary(row: VolumeRow, context: Context): Record<string, unknown> {
  return { id: row.id, name: row.name, links: links(context, "volumes", row.id) };
}

function messageView(row: MessageRow, context: Context): Record<string, unknown> {
  const {
    id,
    event_id,
    user_message,
    message_level,
    created_at,
    guaranteed_until,
    request_id,
    resource_type,
    resource_uuid,
  } = row;
  return {
    id,
    event_id,
    user_message,
    message_level,
    created_at,
    guaranteed_until,
    request_id,
    links: links(context, "messages", id),
    resource_type,
    resource_uuid,
  };
}

function typeView(type: VolumeType): Record<string, unknown> {
  return { ...type, "os-volume-type-access:is_public": type.is_public, extra_specs: {}, qos_specs_id: null };
}

/** exchanges: 'set quota' */
function quotaView(quotas: Quotas): Record<string, number> {
  return {
    volumes: quotas.volumes,
    per_volume_gigabytes: -1,
    snapshots: quotas.snapshots,
    gigabytes: quotas.gigabytes,
    backups: 10,
    backup_gigabytes: 1000,
    volumes___DEFAULT__: -1,
    gigabytes___DEFAULT__: -1,
    snapshots___DEFAULT__: -1,
    groups: 10,
  };
}

function links(context: Context, collection: string, id: string): { rel: string; href: string }[] {
  const bookmark = context.base.replace("/volume/v3/", "/volume/");
  return [
    { rel: "self", href: `${context.base}/${collection}/${id}` },
    { rel: "bookmark", href: `${bookmark}/${collection}/${id}` },
  ];
}
