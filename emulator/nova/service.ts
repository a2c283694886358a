// Nova v2.1 as nova 26.2.2 (Zed) answers, as far as os-assisted-volume-snapshots go: two calls that answer at once, check
// little, and have no way to look (docs/wire/openstack.md#b, #seen, test/contract/exchanges/nova.txt); and the state
// of one server.

import type { CinderModel, VolumeRow } from "../cinder/model";
import { refusal, type Schema } from "../cinder/schemas";
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
import type { NovaModel, ServerRow } from "./model";

interface Context {
  readonly request: EmulatorRequest;
  readonly identity: Identity;
  /** 2.x as the number x. */
  readonly minor: number;
  readonly params: Readonly<Record<string, string>>;
}

type Handler = (context: Context) => Reply;

const MIN_VERSION = "2.1";
const MAX_VERSION = "2.93";
const MAX_MINOR = 93;
const COLLECTION = "/v2.1/os-assisted-volume-snapshots";
const POLICY = "os_compute_api:os-assisted-volume-snapshots";

const TEXT: Schema = { types: ["string"], minLength: 1 };

/** nova/api/openstack/compute/schemas/assisted_volume_snapshots.py */
const CREATE: Schema = {
  types: ["object"],
  properties: {
    snapshot: {
      types: ["object"],
      properties: {
        volume_id: TEXT,
        create_info: {
          types: ["object"],
          properties: {
            snapshot_id: TEXT,
            type: { types: ["string"], enum: ["qcow2"] },
            new_file: TEXT,
            id: TEXT,
          },
          required: ["snapshot_id", "type", "new_file"],
          additional: false,
        },
      },
      required: ["volume_id", "create_info"],
      additional: false,
    },
  },
  required: ["snapshot"],
  additional: false,
};

export class NovaService implements Service {
  readonly name = "nova";
  readonly prefix = "/compute";
  private readonly routes: readonly Route<Handler>[];
  private readonly versionRoutes: readonly Route<(request: EmulatorRequest) => Reply>[];

  constructor(
    readonly model: NovaModel,
    private readonly cinder: CinderModel,
    private readonly keystone: KeystoneModel,
    private readonly ids: Ids,
  ) {
    const list = (request: EmulatorRequest) => listVersions(request, this.prefix);
    this.versionRoutes = [
      { operation: "versions.list", method: "GET", path: "", handler: list },
      { operation: "versions.list", method: "GET", path: "/", handler: list },
    ];
    this.routes = [
      { operation: "versions.show", method: "GET", path: "/v2.1/", handler: (context) => this.showVersion(context) },
      { operation: "servers.show", method: "GET", path: "/v2.1/servers/{id}", handler: (c) => this.showServer(c) },
      { operation: "assistedSnapshots.create", method: "POST", path: COLLECTION, handler: (c) => this.create(c) },
      {
        operation: "assistedSnapshots.delete",
        method: "DELETE",
        path: `${COLLECTION}/{id}`,
        handler: (context) => this.delete(context),
      },
    ];
  }

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    const root = matchRoute(this.versionRoutes, request.method, path);
    if (root !== undefined) return { operation: root.route.operation, run: () => root.route.handler(request) };
    const match = matchRoute(this.routes, request.method, path);
    return {
      operation: match?.route.operation ?? UNROUTED,
      run: () => {
        this.model.settle();
        const identity = this.keystone.identify(header(request, "X-Auth-Token"));
        if (identity === undefined) return unauthenticated(request);
        // webob's own form: no object is missing, the address is (exchanges: 'GET one').
        if (match === undefined) return notRouted();
        return this.execute(match.route.handler, match.params, request, identity);
      },
    };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
    if (status === 401) return unauthenticated(request);
    return faultReply(new NovaError(status, "The emulator was told to answer like this."));
  }

  operations(): readonly OperationInfo[] {
    return [...this.versionRoutes, ...this.routes].map(({ operation, method, path }) => ({
      operation,
      method,
      path: `${this.prefix}${path}`,
    }));
  }

  state(): unknown {
    this.model.settle();
    const attached = [...this.cinder.volumes.values()].filter(({ attachments }) => attachments.length > 0);
    return {
      servers: attached.map(({ id }) => this.model.serverOf(id)),
      disks: Object.fromEntries(attached.map(({ id }) => [id, this.model.chain(id)])),
      log: this.model.log,
    };
  }

  reset(): void {
    this.model.reset();
  }

  private execute(
    handler: Handler,
    params: Readonly<Record<string, string>>,
    request: EmulatorRequest,
    identity: Identity,
  ): Reply {
    let version = "";
    let reply: Reply;
    try {
      version = readVersion(request);
      reply = handler({ request, identity, minor: minorOf(version), params });
    } catch (error) {
      if (!(error instanceof NovaError)) throw error;
      reply = faultReply(error);
    }
    const requestId = `req-${this.ids.uuid("request")}`;
    const versionHeaders: Record<string, string> =
      version === ""
        ? {}
        : {
            "OpenStack-API-Version": `compute ${version}`,
            "X-OpenStack-Nova-API-Version": version,
            Vary: "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
          };
    const ids = { "x-openstack-request-id": requestId, "x-compute-request-id": requestId };
    return { ...reply, headers: { ...reply.headers, ...versionHeaders, ...ids } };
  }

  private showVersion({ request }: Context): Reply {
    const links = [
      { rel: "self", href: `${request.origin}${this.prefix}/v2.1/` },
      { rel: "describedby", type: "text/html", href: "http://docs.openstack.org/" },
    ];
    const media = [{ base: "application/json", type: "application/vnd.openstack.compute+json;version=2.1" }];
    return json(200, { version: { ...version21(links), "media-types": media } });
  }

  /** nova/api/openstack/compute/views/servers.py show, without what a network and an image service would add. */
  private showServer({ request, identity, params }: Context): Reply {
    const id = params.id ?? "";
    const volumes = [...this.cinder.volumes.values()].filter(({ attachments }) =>
      attachments.some(({ server_id }) => server_id === id),
    );
    const [volume] = volumes;
    const server = volume && this.model.serverOf(volume.id);
    // Another project's looks the same as none.
    if (!volume || !server || !(identity.isAdmin || identity.projectId === volume.project_id))
      throw new NovaError(404, `Instance ${id} could not be found.`);
    return json(200, {
      server: serverView(
        server,
        volume,
        volumes.map((row) => row.id),
        request.origin + this.prefix,
        identity.isAdmin,
      ),
    });
  }

  /** nova/api/openstack/compute/assisted_volume_snapshots.py create: schema, policy, attachment; then only the answer. */
  private create({ request, identity }: Context): Reply {
    const body = readBody(request);
    const message = refusal(CREATE, body);
    if (message !== undefined) throw new NovaError(400, message);
    requireAdmin(identity, "create");
    const { volume_id, create_info } = inner(body, "snapshot");
    const info = isObject(create_info) ? create_info : {};
    this.checkServer(String(volume_id), "do_volume_snapshot_create", (text) => new NovaError(400, text));
    this.model.startCreate(String(volume_id), {
      snapshot_id: String(info.snapshot_id),
      new_file: String(info.new_file),
    });
    // A bare echo: it identifies nothing (docs/wire/openstack.md#b1).
    return json(200, { snapshot: { id: info.id ?? null, volumeId: volume_id } });
  }

  /** The id of the snapshot isn't looked at; of delete_info only volume_id is (docs/wire/openstack.md#b2). */
  private delete({ request, identity, minor, params }: Context): Reply {
    const extra = [...request.query.keys()].find((key) => key !== "delete_info");
    if (minor >= 75 && extra !== undefined)
      throw new NovaError(400, `Additional properties are not allowed ('${extra}' was unexpected)`);
    requireAdmin(identity, "delete");
    const info = readDeleteInfo(request.query.get("delete_info"));
    const volumeId = String(info.volume_id);
    // The delete forgets to expect it (exchanges: 'multiattach delete').
    const server = this.checkServer(volumeId, "do_volume_snapshot_delete", () => unexpected("VolumeBDMIsMultiAttach"));
    const intermediary = info.merge_target_file !== null && info.merge_target_file !== undefined;
    if (intermediary && server.vm_state !== "active")
      throw new NovaError(
        400,
        `Instance ${server.id} in vm_state ${server.vm_state}. Cannot volume_snapshot_delete while the instance is in this state.`,
      );
    this.model.startDelete(volumeId, params.id ?? "", info);
    return { status: 204, headers: { "Content-Type": "application/json" }, body: "" };
  }

  /** nova/compute/api.py: the attachment, then check_instance_host and check_instance_state. */
  private checkServer(volumeId: string, method: string, multiattach: (text: string) => NovaError) {
    const volume = this.cinder.volumes.get(volumeId);
    const server = this.model.serverOf(volumeId);
    if (volume === undefined || server === undefined)
      throw new NovaError(400, `No volume Block Device Mapping with id ${volumeId}.`);
    if (volume.multiattach)
      throw multiattach(
        `Block Device Mapping ${volumeId} is a multi-attach volume and is not valid for this operation.`,
      );
    const state = (attribute: string, value: string) =>
      new NovaError(
        400,
        `Instance ${server.id} in ${attribute} ${value}. Cannot ${method} while the instance is in this state.`,
      );
    if (server.host === null) throw new NovaError(400, `Instance ${server.id} is not ready`);
    if (server.task_state !== null) throw state("task_state", server.task_state);
    if (server.launched_at === null) throw state("launched_at", "None");
    return server;
  }
}

function serverView(
  { id, host, vm_state, task_state, launched_at }: ServerRow,
  { project_id, user_id }: VolumeRow,
  volumeIds: readonly string[],
  base: string,
  isAdmin: boolean,
) {
  return {
    id,
    name: id,
    status: statusOf(vm_state, task_state),
    tenant_id: project_id,
    user_id,
    metadata: {},
    addresses: {},
    config_drive: "",
    links: [{ rel: "self", href: `${base}/v2.1/servers/${id}` }],
    "OS-EXT-STS:power_state": vm_state === "active" ? 1 : 4,
    "OS-EXT-STS:task_state": task_state,
    "OS-EXT-STS:vm_state": vm_state,
    "OS-SRV-USG:launched_at": launched_at,
    ...(isAdmin ? { "OS-EXT-SRV-ATTR:host": host } : {}),
    "os-extended-volumes:volumes_attached": volumeIds.map((volumeId) => ({ id: volumeId })),
  };
}

/** nova/api/openstack/common.py _STATE_MAP */
function statusOf(vmState: ServerRow["vm_state"], taskState: string | null): string {
  if (vmState === "stopped") return "SHUTOFF";
  return taskState === "rebooting" ? "REBOOT" : "ACTIVE";
}

class NovaError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

function unexpected(exception: string): NovaError {
  const name = exception === "TypeError" ? exception : `nova.exception.${exception}`;
  return new NovaError(
    500,
    `Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if possible.\n<class '${name}'>`,
  );
}

/** nova/api/openstack/wsgi.py Fault */
const FAULT_NAMES: Readonly<Record<number, string>> = {
  400: "badRequest",
  401: "unauthorized",
  403: "forbidden",
  404: "itemNotFound",
  405: "badMethod",
  409: "conflictingRequest",
  413: "overLimit",
  415: "badMediaType",
  429: "overLimit",
  501: "notImplemented",
  503: "serviceUnavailable",
};

function faultReply({ status, message }: NovaError): Reply {
  const body = { [FAULT_NAMES[status] ?? "computeFault"]: { code: status, message } };
  return json(status, body, { "Content-Type": "application/json; charset=UTF-8" });
}

/** keystonemiddleware's own form. */
function unauthenticated(request: EmulatorRequest): Reply {
  const body = {
    error: { code: 401, title: "Unauthorized", message: "The request you have made requires authentication." },
  };
  return json(401, body, { "WWW-Authenticate": `Keystone uri="${request.origin}/identity"` });
}

function notRouted(): Reply {
  return json(404, {
    message: "The resource could not be found.<br /><br />\n\n\n",
    code: "404 Not Found",
    title: "Not Found",
  });
}

/** Zed: administrators only, also not the role `service` (exchanges: 'service role'). */
function requireAdmin(identity: Identity, action: string): void {
  if (!identity.isAdmin) throw new NovaError(403, `Policy doesn't allow ${POLICY}:${action} to be performed.`);
}

/** Either header; without one 2.1 (exchanges: 'create ok'). */
function readVersion(request: EmulatorRequest): string {
  const entries = (header(request, "OpenStack-API-Version") ?? "").split(",").map((entry) => entry.trim().split(/\s+/));
  const wanted =
    entries.find(([service]) => service === "compute")?.[1] ?? header(request, "X-OpenStack-Nova-API-Version");
  if (wanted === undefined) return MIN_VERSION;
  if (wanted === "latest") return MAX_VERSION;
  if (!/^[1-9]\d*\.(0|[1-9]\d*)$/.test(wanted))
    throw new NovaError(400, `API Version String ${wanted} is of invalid format. Must be of format MajorNum.MinorNum.`);
  return wanted;
}

function minorOf(version: string): number {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major === 2 && minor >= 1 && minor <= MAX_MINOR) return minor;
  throw new NovaError(
    406,
    `Version ${version} is not supported by the API. Minimum is ${MIN_VERSION} and maximum is ${MAX_VERSION}.`,
  );
}

function readBody(request: EmulatorRequest): unknown {
  try {
    return JSON.parse(request.text);
  } catch {
    throw new NovaError(400, "Malformed request body");
  }
}

function readDeleteInfo(text: string | null): Record<string, unknown> {
  // str() of a KeyError is the key in quotes (exchanges: 'delete without delete_info').
  if (text === null) throw new NovaError(400, "'delete_info'");
  let info: unknown;
  try {
    info = JSON.parse(text);
  } catch {
    throw new NovaError(400, "Expecting value: line 1 column 1 (char 0)");
  }
  // A list or a number has no keys: an exception that nobody expects (exchanges: 'delete_info is a list').
  if (!isObject(info)) throw unexpected("TypeError");
  if (!Object.hasOwn(info, "volume_id")) throw new NovaError(400, "'volume_id'");
  return info;
}

function inner(body: unknown, name: string): Record<string, unknown> {
  const value = isObject(body) ? body[name] : undefined;
  return isObject(value) ? value : {};
}

function listVersions(request: EmulatorRequest, prefix: string): Reply {
  const self = (id: string) => [{ rel: "self", href: `${request.origin}${prefix}/${id}/` }];
  const old = { id: "v2.0", status: "SUPPORTED", version: "", min_version: "", updated: "2011-01-21T11:33:21Z" };
  return json(200, { versions: [{ ...old, links: self("v2") }, version21(self("v2.1"))] });
}

function version21(links: readonly object[]) {
  return {
    id: "v2.1",
    status: "CURRENT",
    version: MAX_VERSION,
    min_version: MIN_VERSION,
    updated: "2013-07-23T11:33:21Z",
    links,
  };
}
