// ViPR Controller 3.x (CoprHD) as far as snapshot sessions and their linked targets go: logins, sessions, targets, tags,
// searches, tasks (docs/wire/vipr.md). The API's paths begin after /vipr here.

import {
  type Call,
  type EmulatorRequest,
  header,
  isKnownPath,
  isObject,
  json,
  matchRoute,
  type OperationInfo,
  type Reply,
  type Route,
  type Service,
  UNROUTED,
} from "../core/http";
import type { ViprAuth, ViprUser } from "./auth";
import {
  ViprError,
  type ViprGroup,
  type ViprModel,
  type ViprSession,
  type ViprTarget,
  type ViprTask,
  type ViprVolume,
} from "./model";

interface Context {
  readonly request: EmulatorRequest;
  readonly params: Readonly<Record<string, string>>;
  readonly user: ViprUser;
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  /** The XML root element; JSON has none (docs/wire/vipr.md#s0-1). */
  readonly root: string;
  readonly headers?: Record<string, string>;
}

type Handler = (context: Context) => Answer;

/** `description` is the fixed text of the code (docs/wire/vipr.md#s5). */
const DESCRIPTIONS: Readonly<Record<number, string>> = {
  999: "An unexpected error occurred, please check the ViPR logs for more information",
  1002: "URI parameter is invalid",
  1003: "Unsupported or missing media type",
  1004: "Request parameter cannot be found",
  1005: "Required parameter is missing or empty",
  1006: "Request parameter is inactive and marked for deletion",
  1007: "Method not supported",
  1008: "Parameter was provided but invalid",
  1013: "Bad request",
  1020: "Resource is being referenced",
  1031: "Exceeding limit",
  1056: "Operation not allowed because there is another task updating this resource",
  2000: "Unable to find entity in request URL",
  2001: "URI parameter is inactive and marked for deletion",
  3000: "This operation is forbidden for this resource using the specified credentials",
  4000: "Invalid credentials or authentication token provided to access to this resource",
  7000: "An error occurred in the API Service",
  9501: "The coordinator was unable to locate the service",
  10001: "An error occurred while encoding/decoding of tokens",
};
const URN = /^urn:storageos:([A-Z]+):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:([A-Z0-9]+)?$/i;
const BULK_MOST = 4000;
const PROJECT = "urn:storageos:Project:3e9226a8-33eb-419f-a7ab-4669eb93485c:global";
const TENANT = "urn:storageos:TenantOrg:4f245ed0-dc0c-4ec1-9239-0154f05ef939:global";
const SYSTEM = "urn:storageos:StorageSystem:ed5035a8-5f72-43e8-b970-847b4d76e17c:vdc1";
const VARRAY = "urn:storageos:VirtualArray:110acf4a-2459-4025-adff-ce429fc4c5c3:vdc1";
const VDC = "urn:storageos:VirtualDataCenter:13c56135-2b07-4a6d-9f94-ec0787c73d28:vdc1";

/** The three kinds of 503 (docs/wire/vipr.md#s0-15, #s8-1-15), as a fault rule's answer. */
export const VIPR_UNAVAILABLE = {
  nginx: {
    status: 503,
    headers: { "Content-Type": "application/json" },
    body: {
      code: 6503,
      description: "Unable to connect to the service. The service is unavailable, try again later.",
      details:
        "The service is currently unavailable because a connection failed to a core component. Please contact an administrator or try again later.",
      retryable: true,
    },
  },
  locator: {
    status: 503,
    headers: { "Content-Type": "application/json", "Retry-After": "30" },
    body: {
      code: 9501,
      retryable: true,
      description: "The coordinator was unable to locate the service",
      details:
        "Unable to locate service with name: controllersvc, version: 1, tag: vmax and end point key: BlockController",
    },
  },
  cluster: {
    status: 503,
    headers: { "Content-Type": "application/json", "Retry-After": "30" },
    body: { code: 30000, retryable: false, description: "Cluster state is not stable" },
  },
} as const;

export class ViprService implements Service {
  readonly name = "vipr";
  readonly prefix = "/vipr";
  private readonly routes: readonly Route<Handler>[];
  private readonly authRoutes: readonly Route<(request: EmulatorRequest) => Reply>[];

  constructor(
    readonly model: ViprModel,
    private readonly auth: ViprAuth,
  ) {
    this.authRoutes = [
      { operation: "login", method: "GET", path: "/login", handler: (request) => this.login(request) },
      { operation: "logout", method: "GET", path: "/logout", handler: (request) => this.logout(request) },
    ];
    this.routes = this.buildRoutes();
  }

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    const login = matchRoute(this.authRoutes, request.method, path);
    if (login)
      return { operation: login.route.operation, run: () => this.worded(request, () => login.route.handler(request)) };
    const match = matchRoute(this.routes, request.method, path);
    return {
      operation: match?.route.operation ?? UNROUTED,
      run: () =>
        this.worded(request, () => {
          this.model.settle();
          const who = this.auth.identify(header(request, "X-SDS-AUTH-TOKEN"));
          if (who === "garbage") return undecodable();
          if (typeof who === "string") return toLogin(request);
          if (match === undefined) {
            // An unknown path has no details (docs/wire/vipr.md#s5).
            throw isKnownPath(this.routes, path) ? new ViprError(405, 1007) : new ViprError(404, 2000);
          }
          const { status, body, root, headers } = match.route.handler({ request, params: match.params, user: who });
          return written(request, status, body, root, headers);
        }),
    };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
    if (status === 401 && request.path === `${this.prefix}/login`) return challenge();
    // A GET gets a 401 where it has been to the login already (docs/wire/vipr.md#no-token).
    if (status === 401 || status === 302) return toLogin(request, status);
    if (status === 502 || status === 503) {
      return { ...VIPR_UNAVAILABLE.nginx, body: JSON.stringify(VIPR_UNAVAILABLE.nginx.body) };
    }
    const code: Record<number, number> = { 400: 1013, 403: 3000, 404: 2000, 405: 1007, 500: 7000 };
    return refusal(request, new ViprError(status, code[status] ?? 999, "The emulator was told to answer like this."));
  }

  operations(): readonly OperationInfo[] {
    return [...this.authRoutes, ...this.routes].map(({ operation, method, path }) => ({
      operation,
      method,
      path: `${this.prefix}${path}`,
    }));
  }

  state(): unknown {
    this.model.settle();
    const { volumes, groups, sessions, targets, tasks } = this.model;
    return {
      volumes: [...volumes.values()],
      groups: [...groups.values()],
      sessions: [...sessions.values()].map((session) => ({ ...session, linked: [...session.linked] })),
      targets: [...targets.values()].map((target) => ({ ...target, tags: [...target.tags] })),
      tasks: [...tasks.values()],
      tokens: this.auth.alive,
    };
  }

  reset(): void {
    this.auth.reset();
    this.model.reset();
  }

  private buildRoutes(): Route<Handler>[] {
    const routes: Route<Handler>[] = [];
    const add = (operation: string, method: string, path: string, handler: Handler) =>
      routes.push({ operation, method, path, handler });
    const sessions = "/block/snapshot-sessions";
    add("sessions.search", "GET", `${sessions}/search`, (context) =>
      this.search(context, this.model.sessions, sessions, ({ label }) => label),
    );
    add("sessions.bulk", "POST", `${sessions}/bulk`, (context) =>
      this.bulk(context, this.model.sessions, "block_snapshot_session", (row) => this.sessionView(row)),
    );
    add("sessions.show", "GET", `${sessions}/{id}`, (context) => ({
      status: 200,
      root: "block_snapshot_session",
      body: this.sessionView(this.read(context, this.model.sessions)),
    }));
    add("sessions.tasks", "GET", `${sessions}/{id}/tasks`, (context) => {
      const { id } = this.read(context, this.model.sessions);
      const tasks = [...this.model.tasks.values()].filter(({ resource }) => resource.id === id);
      return { status: 200, root: "tasks", body: { task: tasks.map(taskView) } };
    });
    add("sessions.task", "GET", `${sessions}/{id}/tasks/{task}`, (context) => {
      const { id } = this.read(context, this.model.sessions);
      const wanted = context.params.task;
      // By either of its ids here, unlike /vdc/tasks (docs/wire/vipr.md#s3).
      const task = [...this.model.tasks.values()].find(
        (one) => one.resource.id === id && (one.id === wanted || one.opId === wanted),
      );
      if (task === undefined) throw missing(wanted ?? "");
      return { status: 200, root: "task", body: taskView(task) };
    });
    add("sessions.link", "POST", `${sessions}/{id}/link-targets`, (context) => this.link(context));
    add("sessions.unlink", "POST", `${sessions}/{id}/unlink-targets`, (context) => this.unlink(context));
    add("sessions.relink", "POST", `${sessions}/{id}/relink-targets`, (context) => this.relink(context));
    add("sessions.deactivate", "POST", `${sessions}/{id}/deactivate`, (context) => {
      const session = this.write(context, this.model.sessions);
      return accepted({ task: [taskView(this.model.deactivateSession(session))] }, "tasks");
    });

    const targets = "/block/snapshots";
    add("targets.search", "GET", `${targets}/search`, (context) =>
      this.search(context, this.model.targets, targets, ({ label }) => label),
    );
    add("targets.bulk", "POST", `${targets}/bulk`, (context) =>
      this.bulk(context, this.model.targets, "block_snapshot", (row) => this.targetView(row)),
    );
    add("targets.show", "GET", `${targets}/{id}`, (context) => ({
      status: 200,
      root: "block_snapshot",
      body: this.targetView(this.read(context, this.model.targets)),
    }));
    add("targets.tags", "GET", `${targets}/{id}/tags`, (context) => ({
      status: 200,
      root: "tags",
      body: { tag: [...this.read(context, this.model.targets).tags] },
    }));
    add("targets.tag", "PUT", `${targets}/{id}/tags`, (context) => this.tag(context));
    add("targets.deactivate", "POST", `${targets}/{id}/deactivate`, (context) => this.deactivate(context));

    const volumes = "/block/volumes";
    add("volumes.search", "GET", `${volumes}/search`, (context) => this.searchVolumes(context, volumes));
    add("volumes.bulk", "POST", `${volumes}/bulk`, (context) =>
      this.bulk(context, this.model.volumes, "volume", volumeView),
    );
    add("volumes.show", "GET", `${volumes}/{id}`, (context) => ({
      status: 200,
      root: "volume",
      body: volumeView(this.read(context, this.model.volumes)),
    }));
    add("volumes.sessions", "GET", `${volumes}/{id}/protection/snapshot-sessions`, (context) =>
      this.sessionsOf(this.read(context, this.model.volumes).id),
    );
    add("volumes.snapshots", "GET", `${volumes}/{id}/protection/snapshots`, (context) => {
      const { id } = this.read(context, this.model.volumes);
      const rows = [...this.model.targets.values()].filter(({ parent }) => parent === id);
      rows.sort((a, b) => Number(a.inactive) - Number(b.inactive));
      const body = { snapshot: rows.map((row) => named(row, targets)) };
      return { status: 200, root: "snapshots", body };
    });
    add("groups.show", "GET", "/block/consistency-groups/{id}", (context) => ({
      status: 200,
      root: "consistency_group",
      body: this.groupView(this.read(context, this.model.groups)),
    }));
    add("groups.sessions", "GET", "/block/consistency-groups/{id}/protection/snapshot-sessions", (context) =>
      this.sessionsOf(this.read(context, this.model.groups).id),
    );

    // Of whoever asks; a named reference (TenantResponse).
    add("tenant.show", "GET", "/tenant", ({ user: { tenant = TENANT } }) => ({
      status: 200,
      root: "tenant",
      body: { name: "Provider Tenant", ...link(tenant, "/tenants") },
    }));

    add("tasks.bulk", "POST", "/vdc/tasks/bulk", (context) => this.bulk(context, this.model.tasks, "task", taskView));
    add("tasks.show", "GET", "/vdc/tasks/{id}", (context) => ({
      status: 200,
      root: "task",
      body: taskView(this.read(context, this.model.tasks)),
    }));
    add("tasks.resume", "POST", "/vdc/tasks/{id}/resume", (context) => {
      this.model.resume(this.read(context, this.model.tasks).id);
      return { status: 200, root: "", body: {} };
    });
    add("tasks.rollback", "POST", "/vdc/tasks/{id}/rollback", (context) => {
      this.model.rollback(this.read(context, this.model.tasks).id);
      return { status: 200, root: "", body: {} };
    });
    return routes;
  }

  // --- logins (docs/wire/vipr.md#s1)

  private login(request: EmulatorRequest): Reply {
    const token = header(request, "X-SDS-AUTH-TOKEN");
    const who = this.auth.identify(token);
    // Looked at before the credentials are.
    if (who === "garbage") return undecodable();
    if (typeof who !== "string") return loggedIn(request, who.name, token ?? "");
    const [, basic] = /^Basic (.+)$/i.exec(header(request, "Authorization") ?? "") ?? [];
    if (basic === undefined) return challenge();
    const text = Buffer.from(basic, "base64").toString("utf8");
    const colon = text.indexOf(":");
    const issued = this.auth.login(text.slice(0, colon), text.slice(colon + 1));
    return issued === undefined ? challenge() : loggedIn(request, text.slice(0, colon).toLowerCase(), issued);
  }

  private logout(request: EmulatorRequest): Reply {
    const user = this.auth.logout(header(request, "X-SDS-AUTH-TOKEN") ?? "", request.query.get("force") === "true");
    return written(request, 200, { user }, "loggedOut");
  }

  // --- sessions

  private link(context: Context): Answer {
    const session = this.write(context, this.model.sessions);
    const given = readBody(context.request, "SnapshotSessionLinkTargetsParam", ["new_linked_targets"]);
    const param = given.new_linked_targets;
    if (param === undefined || param === null) throw required("new_linked_targets");
    const targets = fieldsOf(param, "SnapshotSessionNewTargetsParam", ["count", "target_name", "copy_mode"]);
    // Not enforced as required: a missing count is a null pointer, a missing name the word (docs/wire/vipr.md#s3).
    if (targets.count === undefined || targets.count === null || targets.count === "") throw new ViprError(500, 999);
    const count = integer(targets.count);
    const name = targets.target_name === undefined || targets.target_name === null ? "null" : text(targets.target_name);
    const copyMode = targets.copy_mode === undefined || targets.copy_mode === null ? "nocopy" : text(targets.copy_mode);
    return accepted({ task: [taskView(this.model.link(session, count, name, copyMode))] }, "tasks");
  }

  private unlink(context: Context): Answer {
    const session = this.write(context, this.model.sessions);
    const { linked_targets } = readBody(context.request, "SnapshotSessionUnlinkTargetsParam", ["linked_targets"]);
    if (linked_targets === undefined || linked_targets === null) throw required("linked_target");
    const wanted = asArray(linked_targets).map((one) =>
      fieldsOf(one, "SnapshotSessionUnlinkTargetParam", ["id", "delete_target"]),
    );
    const { model } = this;
    if (![...session.linked].some((id) => model.targets.get(id)?.inactive === false)) {
      throw new ViprError(400, 1013, `Snapshot session ${session.id} does not have any linked targets.`);
    }
    const flags = new Map<string, boolean>();
    for (const { id, delete_target } of wanted) {
      const target = this.embedded(id);
      if (!session.linked.has(target.id)) {
        throw new ViprError(400, 1013, `Target ${target.id} is not linked to snapshot session ${session.id}.`);
      }
      if (target.exported) {
        const said = `The snapshot session target ${target.id} cannot be unlinked as it is currently exported to a host.`;
        throw new ViprError(400, 1013, said);
      }
      flags.set(target.id, delete_target === true || delete_target === "true");
    }
    return accepted(taskView(model.unlink(session, flags)), "task");
  }

  /** {id} is where they are to be linked to (docs/wire/vipr.md#s3). */
  private relink(context: Context): Answer {
    const session = this.write(context, this.model.sessions);
    const { ids } = readBody(context.request, "SnapshotSessionRelinkTargetsParam", ["ids"]);
    if (ids === undefined || ids === null) throw required("id");
    const targets = asArray(ids).map((id) => this.embedded(id));
    if (targets.length === 0) throw new ViprError(500, 999);
    const sources = new Set<string>();
    for (const target of targets) {
      const home = this.model.isLinkedTo(target);
      if (home === undefined) {
        const said = `The requested target ${target.id} cannot be re-linked as it is not currently linked to an active snapshot session.`;
        throw new ViprError(400, 1013, said);
      }
      sources.add(this.model.sourceOf(home));
    }
    if (sources.size > 1) {
      const said = "All requested targets must be linked to active snapshot sessions of the same source.";
      throw new ViprError(400, 1013, said);
    }
    const [source] = sources;
    if (source !== this.model.sourceOf(session)) {
      throw new ViprError(
        400,
        1013,
        `The target snapshot session must have the same source, ${source}, as the snapshot sessions to which the targets are currently linked.`,
      );
    }
    return accepted({ task: [taskView(this.model.relink(session, targets))] }, "tasks");
  }

  private sessionsOf(source: string): Answer {
    const rows = [...this.model.sessions.values()].filter(
      (session) => !session.inactive && this.model.sourceOf(session) === source,
    );
    const body = { snapshot_session: rows.map((row) => named(row, "/block/snapshot-sessions")) };
    return { status: 200, root: "block_snapshot_sessions", body };
  }

  // --- targets

  private tag(context: Context): Answer {
    const target = this.write(context, this.model.targets, "inactive too");
    const { add = [], remove = [] } = readBody(context.request, "TagAssignment", ["add", "remove"]);
    for (const tag of asArray(add)) {
      if (text(tag).length < 2) throw new ViprError(400, 1008, "Parameter Tag should have at least 2 characters.");
      target.tags.add(text(tag));
    }
    for (const tag of asArray(remove)) target.tags.delete(text(tag));
    return { status: 200, root: "tags", body: { tag: [...target.tags] } };
  }

  private deactivate(context: Context): Answer {
    const target = this.write(context, this.model.targets, "inactive too");
    if (target.exported && !target.inactive) {
      throw new ViprError(400, 1020, `BlockSnapshot ${target.id} has active references of type ExportGroup`);
    }
    const home = this.model.isLinkedTo(target);
    const linked = home !== undefined && !target.inactive && context.request.query.get("type") !== "VIPR_ONLY";
    const task = linked ? this.model.unlink(home, new Map([[target.id, true]])) : this.model.forget(target);
    return accepted({ task: [taskView(task)] }, "tasks");
  }

  /** By prefix, case aside (TaggedResource.search); whoever may see nothing finds nothing. */
  private search<Row extends { id: string; inactive: boolean }>(
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
    const resource = found.map((row) => ({ ...link(row.id, path), match: nameOf(row) }));
    return { status: 200, root: "results", body: { resource } };
  }

  private searchVolumes(context: Context, path: string): Answer {
    const wwn = context.request.query.get("wwn");
    if (wwn === null) return this.search(context, this.model.volumes, path, ({ label }) => label);
    const rows = [...this.model.volumes.values()].filter(
      (row) => context.user.role !== "none" && !row.inactive && row.wwn === wwn.toUpperCase(),
    );
    const resource = rows.map((row) => ({ ...link(row.id, path), match: row.wwn }));
    return { status: 200, root: "results", body: { resource } };
  }

  /** What is not there, or not for this user, is left out. */
  private bulk<Row>(
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

  // --- finding what an id means

  private read<Row>({ params, user }: Context, rows: ReadonlyMap<string, Row>): Row {
    const id = params.id ?? "";
    if (!URN.test(id)) throw new ViprError(400, 1002, `Parameter ${id} is not a valid URI`);
    const row = rows.get(id);
    if (row === undefined) throw missing(id);
    if (user.role === "none") throw new ViprError(403, 3000, `Insufficient permissions for user ${user.name}.`);
    return row;
  }

  private write<Row extends { inactive: boolean }>(
    context: Context,
    rows: ReadonlyMap<string, Row>,
    which: "active only" | "inactive too" = "active only",
  ): Row {
    const row = this.read(context, rows);
    if (row.inactive && which === "active only") {
      const said = `Entity specified in URL with the given id ${context.params.id} is inactive and marked for deletion`;
      throw new ViprError(404, 2001, said);
    }
    if (context.user.role !== "admin") {
      throw new ViprError(403, 3000, `Insufficient permissions for user ${context.user.name}.`);
    }
    return row;
  }

  /** What is missing in a body is a 400, not a 404 (docs/wire/vipr.md#s5-b). */
  private embedded(id: unknown): ViprTarget {
    if (typeof id !== "string" || !URN.test(id))
      throw new ViprError(400, 1002, `Parameter ${String(id)} is not a valid URI`);
    const target = this.model.targets.get(id);
    if (target === undefined) throw new ViprError(400, 1004, `Unable to find entity with the given id ${id}`);
    if (target.inactive) {
      throw new ViprError(400, 1006, `Entity with the given id ${id} is inactive and marked for deletion`);
    }
    return target;
  }

  // --- views: keys and their order as executed (docs/wire/vipr.md#s8)

  private sessionView(session: ViprSession): Record<string, unknown> {
    const group = session.group === undefined ? undefined : this.model.groups.get(session.group);
    const linked = [...session.linked];
    // A hash set has no order (docs/wire/vipr.md#s0-11).
    linked.sort((a, b) => (a.slice(-12) < b.slice(-12) ? -1 : 1));
    return {
      name: session.label,
      ...link(session.id, "/block/snapshot-sessions"),
      ...common(session),
      protocols: [],
      ...(session.volume === undefined ? {} : { parent: link(session.volume, "/block/volumes") }),
      project: link(PROJECT, "/projects"),
      creation_time: Math.round(session.createdAt),
      storage_controller: SYSTEM,
      ...(group === undefined
        ? {}
        : {
            consistency_group: link(group.id, "/block/consistency-groups"),
            replication_group_instance: group.replicationGroup,
          }),
      session_label: session.label,
      ...(group === undefined ? {} : { session_set_name: session.label }),
      linked_targets: linked.map((id) => link(id, "/block/snapshots")),
    };
  }

  private groupView(group: ViprGroup): Record<string, unknown> {
    const volumes = [...this.model.volumes.values()].filter((volume) => volume.group === group.id && !volume.inactive);
    return {
      name: group.label,
      ...link(group.id, "/block/consistency-groups"),
      ...common(group),
      storage_controller: { id: SYSTEM, link: link(SYSTEM, "/vdc/storage-systems").link },
      project: link(PROJECT, "/projects"),
      volumes: volumes.map(({ id }) => link(id, "/block/volumes")),
      types: ["LOCAL"],
    };
  }

  private targetView(target: ViprTarget): Record<string, unknown> {
    const { wwn, nativeId = "" } = target;
    const source = this.model.volumes.get(target.parent);
    const isActive = wwn !== undefined;
    return {
      name: target.label,
      ...link(target.id, "/block/snapshots"),
      ...common(target, [...target.tags]),
      ...(wwn === undefined ? {} : { wwn }),
      protocols: ["FC"],
      parent: link(target.parent, "/block/volumes"),
      project: link(PROJECT, "/projects"),
      creation_time: Math.round(target.createdAt),
      storage_controller: SYSTEM,
      varray: link(VARRAY, "/vdc/varrays"),
      device_label: isActive ? target.label : "",
      native_id: nativeId,
      ...(source?.group === undefined ? {} : { consistency_group: link(source.group, "/block/consistency-groups") }),
      replication_group_instance: "",
      source_native_id: source?.nativeId ?? "",
      is_sync_active: isActive,
      replica_state: isActive ? "SYNCHRONIZED" : "PREPARED",
      read_only: false,
      snapset_label: target.snapsetLabel,
      provisioned_capacity_gb: (isActive ? (source?.capacityGb ?? 0) : 0).toFixed(2),
      allocated_capacity_gb: isActive ? "0.01" : "0.00",
      technology_type: "NATIVE",
    };
  }

  private worded(request: EmulatorRequest, answer: () => Reply): Reply {
    try {
      return answer();
    } catch (error) {
      if (error instanceof ViprError) return refusal(request, error);
      throw error;
    }
  }
}

function taskView(task: ViprTask): Record<string, unknown> {
  const { id, name, path } = task.resource;
  return {
    name: task.name,
    ...link(task.id, "/vdc/tasks"),
    ...common({ inactive: false }),
    resource: { id, name, link: link(id, path).link },
    tenant: link(TENANT, "/tenants"),
    ...(task.message === undefined ? {} : { message: task.message }),
    state: task.state,
    description: task.description,
    progress: task.progress,
    ...(task.workflow === undefined ? {} : { workflow: link(task.workflow, "/vdc/workflows") }),
    creation_time: Math.round(task.startedAt),
    ...(task.error === undefined
      ? {}
      : {
          service_error: {
            code: task.error.code,
            retryable: false,
            description: task.error.description,
            details: task.error.details,
          },
        }),
    op_id: task.opId,
    // Never the new targets (docs/wire/vipr.md#s0-4).
    associated_resources: [],
    start_time: Math.round(task.startedAt),
    ...(task.endedAt === undefined ? {} : { end_time: Math.round(task.endedAt) }),
    allowed_operations: task.allowedOperations,
  };
}

function volumeView(volume: ViprVolume): Record<string, unknown> {
  return {
    name: volume.label,
    ...link(volume.id, "/block/volumes"),
    ...common(volume),
    wwn: volume.wwn,
    protocols: ["FC"],
    project: link(PROJECT, "/projects"),
    storage_controller: SYSTEM,
    native_id: volume.nativeId,
    ...(volume.group === undefined ? {} : { consistency_group: link(volume.group, "/block/consistency-groups") }),
    provisioned_capacity_gb: volume.capacityGb.toFixed(2),
  };
}

function common({ inactive }: { inactive: boolean }, tags: readonly string[] = []): Record<string, unknown> {
  return { inactive, global: false, remote: false, vdc: link(VDC, "/vdc"), tags, internal: false };
}

/** Paths only, no host (docs/wire/vipr.md#links). */
function link(id: string, path: string): { id: string; link: { rel: string; href: string } } {
  return { id, link: { rel: "self", href: `${path}/${id}` } };
}

function named({ id, label }: { id: string; label: string }, path: string): Record<string, unknown> {
  return { ...link(id, path), name: label };
}

function accepted(body: Record<string, unknown>, root: string): Answer {
  return { status: 202, body, root };
}

// --- bodies

/** Jackson's way: unknown fields are refused, the words for it are its own (docs/wire/vipr.md#input-leniency). */
function readBody(request: EmulatorRequest, type: string, known: readonly string[]): Record<string, unknown> {
  if (header(request, "Content-Type") !== "application/json") throw new ViprError(415, 1003);
  // EOFException (docs/wire/vipr.md#s3).
  if (request.text.trim() === "") throw new ViprError(500, 999);
  let body: unknown;
  try {
    body = JSON.parse(request.text);
  } catch (error) {
    throw new ViprError(400, 1013, `Unexpected character: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (body === null) throw new ViprError(400, 1002, `Parameter ${type} cannot be null or empty`);
  return fieldsOf(body, type, known);
}

function fieldsOf(value: unknown, type: string, known: readonly string[]): Record<string, unknown> {
  if (!isObject(value))
    throw new ViprError(400, 1013, `Can not deserialize instance of com.emc.storageos.model.block.${type}`);
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown === undefined) return value;
  const said = `Unrecognized field "${unknown}" (Class com.emc.storageos.model.block.${type}), not marked as ignorable`;
  throw new ViprError(400, 1013, said);
}

function integer(value: unknown): number {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number === "number" && Number.isFinite(number)) return Math.trunc(number);
  throw new ViprError(400, 1013, `Can not construct instance of java.lang.Integer from ${JSON.stringify(value)}`);
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new ViprError(400, 1013, "Can not deserialize instance of java.lang.String");
}

function asArray(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw new ViprError(400, 1013, "Can not deserialize instance of java.util.ArrayList");
}

// --- answers

/** JSON for exactly that media type, XML for everything else (docs/wire/vipr.md#negotiation). */
function written(
  request: EmulatorRequest,
  status: number,
  body: Record<string, unknown>,
  root: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  if (root === "") return { status, headers, body: "" };
  if (header(request, "Accept") === "application/json") return json(status, body, headers);
  const declaration = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
  return { status, headers: { "Content-Type": "application/xml", ...headers }, body: declaration + xml(root, body) };
}

function xml(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((item) => xml(name, item)).join("");
  const inner = isObject(value)
    ? Object.entries(value)
        .map(([key, item]) => xml(key, item))
        .join("")
    : String(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<${name}>${inner}</${name}>`;
}

function refusal(request: EmulatorRequest, { status, code, details }: ViprError): Reply {
  const error = {
    code,
    // Of the 503s only some (docs/wire/vipr.md#s0-15).
    retryable: code === 9501,
    description: DESCRIPTIONS[code] ?? DESCRIPTIONS[999] ?? "",
    ...(details === undefined ? {} : { details }),
  };
  return written(request, status, error, "error", status === 503 ? { "Retry-After": "30" } : {});
}

function loggedIn(request: EmulatorRequest, user: string, token: string): Reply {
  return written(request, 200, { user }, "loggedIn", { "X-SDS-AUTH-TOKEN": token });
}

/** Without credentials and with wrong ones (docs/wire/vipr.md#login). */
function challenge(): Reply {
  const headers = {
    "WWW-Authenticate": 'basic realm="ViPR"',
    "Cache-Control": "no-cache, no-store",
    Pragma: "no-cache",
  };
  return { status: 401, headers, body: "" };
}

/** No token, or one that has ended (docs/wire/vipr.md#s0-9). */
function toLogin(request: EmulatorRequest, status = request.method === "GET" ? 302 : 401): Reply {
  const service = encodeURIComponent(`${request.origin}${request.target}`);
  const Location = `${request.origin}/vipr/login?service=${service}`;
  if (status === 302) return { status, headers: { Location }, body: "" };
  const said = `Error 401 Non GET Unauthenticated request: authenticate using ${Location}`;
  const headers = { Location, "Content-Type": "text/html;charset=ISO-8859-1" };
  return { status, headers, body: `<html><head><title>${said}</title></head><body>${said}</body></html>\n` };
}

/** XML whatever was asked for (docs/wire/vipr.md#s0-9). */
function undecodable(): Reply {
  const body = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<error><code>10001</code><description>${DESCRIPTIONS[10001]}</description><details>Unable to decode token.</details><retryable>false</retryable></error>`;
  return { status: 401, headers: { "Content-Type": "application/xml" }, body };
}

function required(name: string): ViprError {
  return new ViprError(400, 1005, `Required parameter ${name} was missing or empty`);
}

function missing(id: string): ViprError {
  return new ViprError(404, 2000, `Unable to find entity specified in URL with the given id ${id}`);
}
