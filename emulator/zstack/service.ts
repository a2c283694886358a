// ZStack's REST API as its server's source has it (docs/wire/zstack.md): jobs, sessions and access keys, VMs and their
// clones, volumes, user tags. The order of the checks (action, parameters, session) is the server's own.

import {
  type Call,
  type EmulatorRequest,
  isKnownPath,
  isObject,
  matchRoute,
  type OperationInfo,
  type Reply,
  type Service,
  UNROUTED,
} from "../core/http";
import { checkHeader, checkSession, PREFIX } from "./auth";
import { actionName, parse, strings } from "./body";
import { Failure, fault, localised, Refusal, text } from "./errors";
import { queryJob, submit } from "./jobs";
import type { ZStackModel } from "./model";
import { readQuery, runQuery } from "./query";
import { type Handler, ROUTES } from "./routes";

export class ZStackService implements Service {
  readonly name = "zstack";
  readonly prefix = PREFIX;

  constructor(readonly model: ZStackModel) {}

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    // The server answers a job query before any other check, authentication included (RestServer.java:665;
    // docs/wire/zstack.md#s2-4).
    const job = /^\/v1\/api-jobs\/([^/]+)$/.exec(path)?.[1];
    if (job !== undefined) return this.call("jobs.query", () => queryJob(this.model, request, job));
    const match = matchRoute(ROUTES, request.method, path);
    if (!match) {
      return this.call(UNROUTED, () => {
        throw noSuchCall(request, path);
      });
    }
    const { handler, operation } = match.route;
    if (handler.kind !== "actions") {
      return this.call(operation, () => this.answer(request, match.params, handler, undefined));
    }
    const name = actionName(request.text, handler.actions);
    return this.call(name === undefined ? operation : `${operation}.${name}`, () =>
      this.answer(request, match.params, handler, name),
    );
  }

  errorReply(status: number): Reply {
    if (status === 503) {
      return fault({ code: "SYS.1000", description: "An internal error", details: "The emulator was told to." });
    }
    return text(status, status === 429 ? "Rate limit exceeded" : "The emulator was told to answer like this.");
  }

  operations(): readonly OperationInfo[] {
    const jobs = { operation: "jobs.query", method: "GET", path: `${this.prefix}/v1/api-jobs/{uuid}` };
    const routed = ROUTES.flatMap(({ operation, method, path, handler }) =>
      (handler.kind === "actions"
        ? Object.keys(handler.actions).map((name) => `${operation}.${name}`)
        : [operation]
      ).map((one) => ({ operation: one, method, path: `${this.prefix}${path}` })),
    );
    return [jobs, ...routed];
  }

  /** A session's uuid is what its owner logs in with. */
  loggable(target: string): string {
    return target.replace(/(\/accounts\/sessions\/)[^/?]+/, "$1***");
  }

  state(): unknown {
    this.model.advance();
    const { vms, volumes, tags, jobs, sourceSnapshots } = this.model;
    return {
      vms: [...vms.values()],
      volumes: [...volumes.values()],
      tags: [...tags.values()],
      jobs: [...jobs.values()],
      sourceSnapshots,
    };
  }

  reset(): void {
    this.model.reset();
  }

  private call(operation: string, run: () => Reply): Call {
    return {
      operation,
      run: () => {
        this.model.advance();
        try {
          return run();
        } catch (error) {
          if (error instanceof Refusal) return text(error.status, error.message);
          if (error instanceof Failure) return fault(localised(error.error, this.model.settings.locale));
          throw error;
        }
      },
    };
  }

  private answer(
    request: EmulatorRequest,
    params: Readonly<Record<string, string>>,
    handler: Handler,
    name: string | undefined,
  ): Reply {
    const { model } = this;
    // The server looks for the action before it reads the header (RestServer; docs/wire/zstack.md#s9-b).
    if (handler.kind === "actions" && (name === undefined || !this.hasAction(name))) {
      parse(request.text);
      const url = request.path.slice(this.prefix.length);
      throw new Refusal(400, `the body doesn't contain action mapping to the URL[${url}]`);
    }
    const hasBody = request.method !== "GET" && request.method !== "DELETE";
    const body = hasBody && !(request.text === "" && handler.kind === "async") ? parse(request.text) : {};
    if (handler.kind !== "open") checkHeader(model, request);
    // The server reads a query's parameters before it checks the session (docs/wire/zstack.md#s1-3).
    if (handler.kind === "query") {
      const asked = readQuery(request.query, params.uuid);
      checkSession(model, request);
      return runQuery({ model, request, params, fields: {}, systemTags: [] }, handler.inventory, asked);
    }
    const inner = body[name ?? (handler.kind === "async" ? handler.parameter : undefined) ?? "params"];
    const fields = isObject(inner) ? inner : {};
    const systemTags = strings(body.systemTags ?? fields.systemTags, "systemTags");
    const context = { model, request, params, fields, systemTags };
    if (handler.kind === "open") return handler.answer(context);
    if (handler.kind === "sync") {
      checkSession(model, request);
      return handler.answer(context);
    }
    const work = handler.kind === "async" ? handler.work : handler.actions[name ?? ""];
    if (work === undefined) throw new Error(`no action ${name}`);
    return submit(context, work);
  }

  private hasAction(action: string): boolean {
    return action !== "cloneVmInstance" || this.model.canClone;
  }
}

/**
 * What the server says of an address or a method that it does not have (RestServer.java:673–677, 759–809). A real server
 * looks at the method only where several calls share the address.
 */
function noSuchCall({ method, path: uri }: EmulatorRequest, path: string): Refusal {
  if (!isKnownPath(ROUTES, path)) return new Refusal(404, `no api mapping to ${path}`);
  if (method === "PUT") return new Refusal(400, `the body doesn't contain action mapping to the URL[${path}]`);
  const kind = { GET: "query", POST: "creational", DELETE: "delete" }[method];
  if (kind !== undefined) return new Refusal(500, `No ${kind} API found for the path[${uri}]`);
  return new Refusal(405, `The method[${method}] is not allowed for the path[${uri}]`);
}
