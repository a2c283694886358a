// Keystone v3 as keystone 22.0.2 answers (docs/wire/openstack.md#c, test/contract/exchanges/keystone.txt): tokens by
// password, application credential and token, the service catalogue, and the administration that a set-up needs.

import type { Clock } from "../core/clock";
import {
  type Call,
  type EmulatorRequest,
  matchRoute,
  type OperationInfo,
  type Reply,
  type Service,
  UNROUTED,
} from "../core/http";
import type { Ids } from "../core/ids";
import { catchErrors, HttpError, INJECTED_ERROR, newRequestId, operationsOf, withHeaders } from "../openstack/wsgi";
import { errorReply, methodNotAllowed, UNAUTHORIZED, unrouted } from "./errors";
import type { KeystoneModel } from "./model";
import { ROUTES } from "./routes";

export class KeystoneService implements Service {
  readonly name = "keystone";
  readonly prefix = "/identity";

  constructor(
    readonly model: KeystoneModel,
    private readonly ids: Ids,
    private readonly clock: Clock,
  ) {}

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    const match = matchRoute(ROUTES, request.method, path);
    if (match === undefined) return { operation: UNROUTED, run: () => this.finish(request, () => this.unrouted(path)) };
    const { model, clock } = this;
    const { route, params } = match;
    const base = `${request.origin}${this.prefix}/v3`;
    const run = () => this.finish(request, () => route.handler({ model, clock, request, params, base }));
    return { operation: route.operation, run };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
    return this.finish(request, () => {
      throw new HttpError(status, status === 401 ? UNAUTHORIZED : INJECTED_ERROR);
    });
  }

  operations(): readonly OperationInfo[] {
    return operationsOf(ROUTES, this.prefix);
  }

  state(): unknown {
    const { model } = this;
    return {
      projects: [...model.projects.values()],
      users: [...model.users.values()].map(({ password: _, ...user }) => user),
      assignments: model.assignments,
      applicationCredentials: [...model.applicationCredentials.values()].map(({ secret: _, ...rest }) => rest),
      catalogue: model.catalogue,
      tokens: [...model.tokens.values()].filter((token) => model.valid(token.id) !== undefined).length,
    };
  }

  reset(): void {
    this.model.reset();
  }

  private unrouted(path: string): Reply {
    const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    const known = methods.filter((method) => matchRoute(ROUTES, method, path) !== undefined);
    return known.length === 0 ? unrouted() : methodNotAllowed([...known, "OPTIONS"]);
  }

  /** Every answer has a request id, the unrouted ones too. */
  private finish(request: EmulatorRequest, handle: () => Reply): Reply {
    const reply = catchErrors(handle, (error) => errorReply(error, request));
    return withHeaders(reply, { Vary: "X-Auth-Token", "x-openstack-request-id": newRequestId(this.ids) });
  }
}
