// IBM PowerVC: its Keystone and its Cinder under the paths of its proxy (docs/wire/powervc.md#f3), and the two calls
// that it adds to Cinder, as "Clone volume API" of its documentation has them (docs/wire/powervc.md#f1). What the
// document leaves open (error bodies, a task that is forgotten) is answered as Cinder would.

import type { CinderModel } from "../cinder/model";
import { CinderError, type CinderService, faultReply, notRouted, unauthenticated } from "../cinder/service";
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
} from "../core/http";
import type { Ids } from "../core/ids";
import type { Identity, KeystoneModel, KeystoneService } from "../keystone/service";
import type { CloneRequest, CloneTask, PowerVcModel } from "./model";

type Handler = (request: EmulatorRequest, identity: Identity) => Reply;

/** `https://host/powervc/openstack/volume/…` (IBM/powervc-pluggable-storage keystoneUtils) */
const PROXY = "/powervc/openstack";
const CLONES = "/volume/v3/{project}/clone-volumes";

export class PowerVcService implements Service {
  readonly name = "powervc";
  readonly prefix = "/powervc";
  private readonly routes: readonly Route<Handler>[];

  constructor(
    readonly model: PowerVcModel,
    private readonly cinder: CinderModel,
    private readonly keystone: KeystoneModel,
    private readonly behind: { readonly keystone: KeystoneService; readonly cinder: CinderService },
    private readonly ids: Ids,
  ) {
    this.routes = [
      { operation: "clones.create", method: "POST", path: CLONES, handler: (...args) => this.clone(...args) },
      {
        operation: "clones.progress",
        method: "GET",
        path: `${CLONES}/get_progress`,
        handler: (...args) => this.progress(...args),
      },
    ];
  }

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(PROXY.length);
    const match = request.path.startsWith(PROXY) ? matchRoute(this.routes, request.method, path) : undefined;
    if (match !== undefined) {
      const { route, params } = match;
      return { operation: route.operation, run: () => this.execute(route.handler, request, params.project) };
    }
    const service = Object.values(this.behind).find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
    if (service === undefined || !request.path.startsWith(PROXY)) return { operation: "unrouted", run: notRouted };
    const call = service.resolve({ ...request, path, target: request.target.slice(PROXY.length) });
    return {
      operation: call.operation,
      run: () => {
        this.model.settle();
        return call.run();
      },
    };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
    return this.behind.cinder.errorReply(status, request);
  }

  operations(): readonly OperationInfo[] {
    return this.routes.map(({ operation, method, path }) => ({ operation, method, path: `${PROXY}${path}` }));
  }

  state(): unknown {
    this.model.settle();
    return {
      tasks: [...this.model.tasks.values()].map((task) => ({ ...task, clones: Object.fromEntries(task.clones) })),
    };
  }

  reset(): void {
    this.model.reset();
  }

  private execute(handler: Handler, request: EmulatorRequest, project: string | undefined): Reply {
    this.model.settle();
    const requestId = { "x-openstack-request-id": `req-${this.ids.uuid("request")}` };
    const identity = this.keystone.identify(header(request, "X-Auth-Token"));
    if (identity === undefined) return unauthenticated(request);
    let reply: Reply;
    try {
      if (project !== identity.projectId) throw invalid("Malformed request url");
      reply = handler(request, identity);
    } catch (error) {
      if (!(error instanceof CinderError)) throw error;
      reply = faultReply(error);
    }
    return { ...reply, headers: { ...reply.headers, ...requestId } };
  }

  private clone(request: EmulatorRequest, { projectId, userId }: Identity): Reply {
    const given = this.readRequest(request, projectId ?? "");
    const task = this.model.start(given, projectId ?? "", userId);
    const query = `action=clone-volumes&task_id=${task.id}`;
    const uri = `https://${this.model.internalHost}/v3/${projectId}/clone-volumes/get_progress?${query}`;
    return json(200, { "clone-volumes": { task_uri: uri } });
  }

  private readRequest(request: EmulatorRequest, projectId: string): CloneRequest {
    const given = bodyOf(request);
    const { volumes, "display-name": displayName, description, "target-volume-type-id": type } = given;
    const known = ["volumes", "display-name", "description", "target-volume-type-id"];
    const unknown = Object.keys(given).find((key) => !known.includes(key));
    if (unknown !== undefined) throw invalid(`Additional properties are not allowed ('${unknown}' was unexpected)`);
    if (!Array.isArray(volumes) || volumes.length === 0) throw invalid("'volumes' is a required property");
    for (const [name, value] of Object.entries({ "display-name": displayName, description }))
      if (value !== undefined && (typeof value !== "string" || value.length > 255))
        throw invalid(`Invalid input for field/attribute ${name}.`);
    for (const [index, id] of volumes.entries()) {
      const row = this.cinder.volumes.get(String(id));
      if (row === undefined || row.project_id !== projectId)
        throw new CinderError(404, `Volume ${String(id)} could not be found.`);
      if (volumes.indexOf(id) < index) throw invalid(`Invalid input received: volume ${row.id} is given twice`);
      // "volumes that are available or attached to a virtual machine"
      if (!["available", "in-use"].includes(row.status))
        throw invalid(
          `Invalid volume: Volume ${row.id} status must be available, in-use, but current status is: ${row.status}.`,
        );
    }
    if (type !== undefined && !this.cinder.volumeTypes.has(String(type)))
      throw new CinderError(404, `Volume type ${String(type)} could not be found.`);
    const longest = `${this.model.prefix}${String(displayName ?? "")}-${volumes.length}`;
    if (longest.length > 255) throw invalid("Invalid input received: display-name has too many characters");
    return {
      displayName: typeof displayName === "string" ? displayName : undefined,
      description: typeof description === "string" ? description : undefined,
      volumes: volumes.map(String),
      volumeTypeId: type === undefined ? undefined : String(type),
    };
  }

  private progress({ query }: EmulatorRequest, { projectId }: Identity): Reply {
    if (query.get("action") !== "clone-volumes") throw invalid("Invalid input received: action");
    const task = this.model.tasks.get(query.get("task_id") ?? "");
    if (task === undefined || task.project_id !== projectId) {
      if (this.model.forgets === "empty") return json(200, { details: {} });
      if (this.model.forgets === "unrouted") return notRouted();
      throw new CinderError(404, `Task ${query.get("task_id")} could not be found.`);
    }
    return json(200, this.model.form === "beside" ? besideDetails(task) : insideDetails(task));
  }
}

/** The document's first sample, with the braces where they can only be meant. */
function besideDetails(task: CloneTask): unknown {
  const of = (...states: string[]) =>
    Object.fromEntries(
      task.steps.filter(({ state }) => states.includes(state)).map(({ name, state }) => [name, state]),
    );
  const completed = { ...of("SUCCESS", "FAILURE", "REVERTED"), _TaskFlow_INJECTOR: "SUCCESS" };
  const pending = task.state === "RUNNING" ? of("RUNNING", "PENDING") : {};
  return {
    details: { results: resultsOf(task), completed_tasks: completed },
    pending_tasks: pending,
    progress: percentOf(task),
    flow_details: { cloneFlow: task.state },
  };
}

/** The document's use cases. */
function insideDetails(task: CloneTask): unknown {
  return { details: { results: resultsOf(task), progress: percentOf(task), flow_details: { cloneFlow: task.state } } };
}

function resultsOf({ state, failure, clones }: CloneTask): Record<string, string> {
  if (state === "REVERTED") return { failure: failure ?? "" };
  return state === "SUCCESS" ? Object.fromEntries(clones) : {};
}

/** 100 for what was taken back, too: the document's second use case. */
function percentOf({ state, steps }: CloneTask): number {
  if (state === "SUCCESS" || state === "REVERTED") return 100;
  return Math.floor((100 * steps.filter((step) => step.state === "SUCCESS").length) / steps.length);
}

function bodyOf(request: EmulatorRequest): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(request.text);
  } catch {
    throw invalid("Malformed request body");
  }
  const given = isObject(body) ? body["clone-volumes"] : undefined;
  if (!isObject(given)) throw invalid("Missing required element 'clone-volumes' in request body.");
  return given;
}

function invalid(message: string): CinderError {
  return new CinderError(400, message);
}
