// Cinder v3 as cinder 21.3.1 (Zed) answers, and as older ones do through maxMicroversion: volumes, snapshots and their
// metadata, messages, limits, quotas, volume types (docs/wire/openstack.md#a, test/contract/exchanges/cinder.txt).

import {
  type Call,
  type EmulatorRequest,
  matchRoute,
  type OperationInfo,
  type Reply,
  type Route,
  type RouteMatch,
  type Service,
  UNROUTED,
} from "../core/http";
import type { Ids } from "../core/ids";
import type { GlanceModel } from "../glance/model";
import type { Identity, KeystoneModel } from "../keystone/model";
import * as wsgi from "../openstack/wsgi";
import { type CinderHandler, readBody } from "./context";
import { FAULTS, invalid, noSuchMethod } from "./errors";
import { FILTERS } from "./handlers/snapshots";
import type { CinderModel } from "./model";
import { cinderRoutes, operationOf, operationsAt, SINCE, VERSION_ROUTES } from "./routes";

/** The first server whose paths may omit the project. */
const PROJECT_OPTIONAL_MINOR = 67;

export class CinderService implements Service {
  readonly name = "cinder";
  readonly prefix = "/volume";
  private readonly routes: readonly Route<CinderHandler>[];
  private readonly versions: wsgi.Microversions;
  private readonly projectIsOptional: boolean;

  constructor(
    readonly model: CinderModel,
    private readonly behind: { readonly keystone: KeystoneModel; readonly glance: GlanceModel },
    private readonly ids: Ids,
    maxMicroversion: string,
    private readonly snapshotFilters: readonly string[] = FILTERS,
  ) {
    const minor = /^3\.(\d+)$/.exec(maxMicroversion)?.[1];
    if (minor === undefined) throw new Error(`maxMicroversion must be like "3.70", not "${maxMicroversion}"`);
    this.versions = { serviceType: "volume", min: "3.0", max: maxMicroversion };
    this.projectIsOptional = Number(minor) >= PROJECT_OPTIONAL_MINOR;
    this.routes = cinderRoutes(this.projectIsOptional);
  }

  resolve(request: EmulatorRequest): Call {
    const { versions } = this;
    const { keystone } = this.behind;
    const path = request.path.slice(this.prefix.length);
    const discovery = matchRoute(VERSION_ROUTES, request.method, path);
    if (discovery !== undefined) {
      const { operation, handler } = discovery.route;
      const base = `${request.origin}${this.prefix}`;
      return { operation, run: () => this.withRequestId(() => handler({ request, keystone, versions, base })) };
    }
    const match = this.match(request.method, path);
    return {
      operation: match === undefined ? UNROUTED : operationOf(match.route.operation, request.text),
      run: () =>
        this.withRequestId((requestId) => {
          this.model.advance();
          return wsgi.authenticated(keystone, request, (identity) =>
            match === undefined ? wsgi.notRouted() : this.answer(match, request, identity, requestId),
          );
        }),
    };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
    return wsgi.injectedFault(status, request, FAULTS);
  }

  operations(): readonly OperationInfo[] {
    const routes = [...VERSION_ROUTES, ...this.routes.filter(({ path }) => path.includes("{project}"))];
    const named = routes.flatMap((route) =>
      operationsAt(route.operation).map((operation) => ({ ...route, operation })),
    );
    return wsgi.operationsOf(named, this.prefix);
  }

  state(): unknown {
    this.model.advance();
    const { volumes, snapshots, messages } = this.model;
    return { volumes: [...volumes.values()], snapshots: [...snapshots.values()], messages: [...messages.values()] };
  }

  reset(): void {
    this.model.reset();
  }

  /** A server whose paths may omit the project recognises one by project_id_regex, `[0-9a-f\-]+`. */
  private match(method: string, path: string): RouteMatch<CinderHandler> | undefined {
    const match = matchRoute(this.routes, method, path);
    const project = match?.params.project;
    return project === undefined || !this.projectIsOptional || /^[0-9a-f-]+$/.test(project) ? match : undefined;
  }

  private withRequestId(handle: (requestId: string) => Reply): Reply {
    const requestId = wsgi.newRequestId(this.ids);
    return wsgi.withHeaders(handle(requestId), { "x-openstack-request-id": requestId });
  }

  /** cinder/api/openstack/wsgi.py Resource checks the version, the method, the body and the project, in this order. */
  private answer(
    { route, params }: RouteMatch<CinderHandler>,
    request: EmulatorRequest,
    identity: Identity,
    requestId: string,
  ): Reply {
    const { model, snapshotFilters } = this;
    const { glance } = this.behind;
    const reply = wsgi.atMicroversion(this.versions, FAULTS, request, (minor) => {
      if (minor < (SINCE[route.operation] ?? 0)) throw noSuchMethod();
      const body = readBody(request);
      if (params.project !== undefined && params.project !== identity.projectId) throw invalid("Malformed request url");
      const projectId = identity.projectId ?? "";
      const base = `${request.origin}${this.prefix}/v3/${projectId}`;
      const context = {
        model,
        glance,
        snapshotFilters,
        request,
        identity,
        projectId,
        minor,
        params,
        body,
        requestId,
        base,
      };
      return route.handler(context);
    });
    return wsgi.withHeaders(reply, { "x-compute-request-id": requestId });
  }
}
