// Nova v2.1 as nova 26.2.2 (Zed) answers: os-assisted-volume-snapshots, and what it shows of servers
// (docs/wire/openstack.md#b, #servers, #seen, test/contract/exchanges/nova.txt).

import type { CinderModel } from "../cinder/model";
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
import type { Identity, KeystoneModel } from "../keystone/model";
import * as wsgi from "../openstack/wsgi";
import type { NovaHandler } from "./context";
import { FAULTS } from "./errors";
import type { NovaModel } from "./model";
import { ROUTES, VERSION_ROUTES } from "./routes";
import { VERSIONS } from "./views";

export class NovaService implements Service {
  readonly name = "nova";
  readonly prefix = "/compute";

  constructor(
    readonly model: NovaModel,
    private readonly cinder: CinderModel,
    private readonly keystone: KeystoneModel,
    private readonly ids: Ids,
  ) {}

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    const discovery = matchRoute(VERSION_ROUTES, request.method, path)?.route;
    if (discovery !== undefined)
      return {
        operation: discovery.operation,
        run: () => discovery.handler({ base: `${request.origin}${this.prefix}`, request }),
      };
    const match = matchRoute(ROUTES, request.method, path);
    return {
      operation: match?.route.operation ?? UNROUTED,
      run: () => {
        this.model.advance();
        return wsgi.authenticated(this.keystone, request, (identity) =>
          match === undefined ? wsgi.notRouted() : this.answer(match, request, identity),
        );
      },
    };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
    return wsgi.injectedFault(status, request, FAULTS);
  }

  operations(): readonly OperationInfo[] {
    return wsgi.operationsOf([...VERSION_ROUTES, ...ROUTES], this.prefix);
  }

  state(): unknown {
    this.model.advance();
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

  private answer({ route, params }: RouteMatch<NovaHandler>, request: EmulatorRequest, identity: Identity): Reply {
    const { model, cinder, keystone } = this;
    const base = `${request.origin}${this.prefix}`;
    const reply = wsgi.atMicroversion(VERSIONS, FAULTS, request, (minor) =>
      route.handler({ model, cinder, keystone, request, identity, minor, params, base }),
    );
    const requestId = wsgi.newRequestId(this.ids);
    return wsgi.withHeaders(reply, { "x-openstack-request-id": requestId, "x-compute-request-id": requestId });
  }
}
