// Glance v2 as glance 25.1 (Zed) answers, as far as `openstack image list` and `openstack volume create --image` need it
// (docs/wire/openstack.md#glance).

import {
  type Call,
  type EmulatorRequest,
  header,
  json,
  matchRoute,
  type OperationInfo,
  type Reply,
  type RouteMatch,
  type Service,
  UNROUTED,
} from "../core/http";
import type { Ids } from "../core/ids";
import type { KeystoneModel } from "../keystone/model";
import * as wsgi from "../openstack/wsgi";
import { errorReply, injected, UNAUTHORIZED } from "./errors";
import type { GlanceContext } from "./handlers";
import type { GlanceModel } from "./model";
import { ROUTES, VERSION_ROUTES } from "./routes";
import { imageView, versionsView } from "./views";

export class GlanceService implements Service {
  readonly name = "glance";
  readonly prefix = "/image";

  constructor(
    readonly model: GlanceModel,
    private readonly keystone: KeystoneModel,
    private readonly ids: Ids,
  ) {}

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    const discovery = matchRoute(VERSION_ROUTES, request.method, path)?.route;
    if (discovery !== undefined) {
      const base = `${request.origin}${this.prefix}`;
      return { operation: discovery.operation, run: () => json(discovery.handler, versionsView(base)) };
    }
    const match = matchRoute(ROUTES, request.method, path);
    return {
      operation: match?.route.operation ?? UNROUTED,
      run: () => {
        const reply = wsgi.catchErrors(
          () => this.answer(match, request),
          (error) => errorReply(error, request),
        );
        return wsgi.withHeaders(reply, { "x-openstack-request-id": wsgi.newRequestId(this.ids) });
      },
    };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
    return injected(status, request);
  }

  operations(): readonly OperationInfo[] {
    return wsgi.operationsOf([...VERSION_ROUTES, ...ROUTES], this.prefix);
  }

  state(): unknown {
    return { images: [...this.model.images.values()].map(imageView) };
  }

  reset(): void {
    this.model.reset();
  }

  /** keystonemiddleware leaves the refusal to Glance (delay_auth_decision, glance-api-paste.ini). */
  private answer(match: RouteMatch<(context: GlanceContext) => Reply> | undefined, request: EmulatorRequest): Reply {
    const identity = this.keystone.identify(header(request, "X-Auth-Token"));
    if (identity === undefined) throw new wsgi.HttpError(401, UNAUTHORIZED);
    if (match === undefined) throw new wsgi.HttpError(404, "The resource could not be found.");
    const { route, params } = match;
    return route.handler({ model: this.model, request, identity, params });
  }
}
