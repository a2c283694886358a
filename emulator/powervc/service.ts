// IBM PowerVC: its Keystone and its Cinder under the paths of its proxy (docs/wire/powervc.md#f3), and the two calls
// that it adds to Cinder (docs/wire/powervc.md#f1).

import { FAULTS, invalid } from "../cinder/errors";
import type { CinderModel } from "../cinder/model";
import type { CinderService } from "../cinder/service";
import {
  type Call,
  type EmulatorRequest,
  matchRoute,
  type OperationInfo,
  type Reply,
  type RouteMatch,
  type Service,
  UNROUTED,
} from "../core/http";
import type { Ids } from "../core/ids";
import type { KeystoneModel } from "../keystone/model";
import type { KeystoneService } from "../keystone/service";
import * as wsgi from "../openstack/wsgi";
import type { PowerVcContext } from "./handlers";
import type { PowerVcModel } from "./model";
import { PROXY, ROUTES } from "./routes";

export class PowerVcService implements Service {
  readonly name = "powervc";
  readonly prefix = "/powervc";

  constructor(
    readonly model: PowerVcModel,
    private readonly cinder: CinderModel,
    private readonly keystone: KeystoneModel,
    private readonly behind: { readonly keystone: KeystoneService; readonly cinder: CinderService },
    private readonly ids: Ids,
  ) {}

  resolve(request: EmulatorRequest): Call {
    if (!request.path.startsWith(PROXY)) return { operation: UNROUTED, run: wsgi.notRouted };
    const path = request.path.slice(PROXY.length);
    const match = matchRoute(ROUTES, request.method, path);
    if (match !== undefined) return { operation: match.route.operation, run: () => this.answer(match, request) };
    const service = Object.values(this.behind).find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
    if (service === undefined) return { operation: UNROUTED, run: wsgi.notRouted };
    const call = service.resolve({ ...request, path, target: request.target.slice(PROXY.length) });
    return {
      operation: call.operation,
      run: () => {
        this.model.advance();
        return call.run();
      },
    };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
    return this.behind.cinder.errorReply(status, request);
  }

  operations(): readonly OperationInfo[] {
    return wsgi.operationsOf(ROUTES, PROXY);
  }

  state(): unknown {
    this.model.advance();
    return {
      tasks: [...this.model.tasks.values()].map((task) => ({ ...task, clones: Object.fromEntries(task.clones) })),
    };
  }

  reset(): void {
    this.model.reset();
  }

  private answer({ route, params }: RouteMatch<(context: PowerVcContext) => Reply>, request: EmulatorRequest): Reply {
    const { model, cinder } = this;
    model.advance();
    const requestId = wsgi.newRequestId(this.ids);
    return wsgi.authenticated(this.keystone, request, (identity) => {
      const reply = wsgi.catchErrors(
        () => {
          if (params.project !== identity.projectId) throw invalid("Malformed request url");
          return route.handler({ model, cinder, request, identity });
        },
        (error) => wsgi.faultReply(error, FAULTS),
      );
      return wsgi.withHeaders(reply, { "x-openstack-request-id": requestId });
    });
  }
}
