// ViPR Controller 3.x (CoprHD) for snapshot sessions and their linked targets: logins, sessions, targets, tags, searches,
// tasks (docs/wire/vipr.md). The paths of its API begin after /vipr here.

import {
  type Call,
  type EmulatorRequest,
  isKnownPath,
  matchRoute,
  type OperationInfo,
  type Reply,
  type Route,
  type Service,
  UNROUTED,
} from "../core/http";
import { refusal, undecodable, VIPR_UNAVAILABLE, ViprError } from "./errors";
import { callerOf, challenge, login, logout, toLogin } from "./login";
import type { ViprModel } from "./model";
import { formOfSuccess, withoutSuffix, written } from "./negotiation";
import { ROUTES } from "./routes";
import type { Tagged } from "./rows";

export class ViprService implements Service {
  readonly name = "vipr";
  readonly prefix = "/vipr";
  private readonly authRoutes: readonly Route<(request: EmulatorRequest) => Reply>[] = [
    { operation: "login", method: "GET", path: "/login", handler: (request) => login(this.model.auth, request) },
    { operation: "logout", method: "GET", path: "/logout", handler: (request) => logout(this.model.auth, request) },
  ];

  constructor(readonly model: ViprModel) {}

  resolve(original: EmulatorRequest): Call {
    const request = withoutSuffix(original);
    const path = request.path.slice(this.prefix.length);
    const entry = matchRoute(this.authRoutes, request.method, path);
    if (entry) {
      const run = () => {
        checkAcceptable(request);
        return entry.route.handler(request);
      };
      return { operation: entry.route.operation, run: () => answered(request, run) };
    }
    const match = matchRoute(ROUTES, request.method, path);
    return {
      operation: match?.route.operation ?? UNROUTED,
      run: () =>
        answered(request, () => {
          const { model } = this;
          model.advance();
          const caller = callerOf(model.auth, request);
          if (caller === "garbage") return undecodable();
          if (caller === "none") return toLogin(request);
          if (match === undefined) {
            // An unknown path has no details (docs/wire/vipr.md#s5).
            throw isKnownPath(ROUTES, path) ? new ViprError(405, 1007) : new ViprError(404, 2000);
          }
          checkAcceptable(request);
          const { user } = caller;
          const { status, body, root, headers } = match.route.handler({ model, request, params: match.params, user });
          return written(request, status, body, root, headers);
        }),
    };
  }

  errorReply(status: number, original: EmulatorRequest): Reply {
    const request = withoutSuffix(original);
    if (status === 401 && request.path === `${this.prefix}/login`) return challenge();
    // A GET that already came from the login gets a 401 (docs/wire/vipr.md#no-token).
    if (status === 401 || status === 302) return toLogin(request, status);
    if (status === 502 || status === 503) {
      return { ...VIPR_UNAVAILABLE.nginx, body: JSON.stringify(VIPR_UNAVAILABLE.nginx.body) };
    }
    const code: Record<number, number> = { 400: 1013, 403: 3000, 404: 2000, 405: 1007, 500: 7000 };
    return refusal(request, new ViprError(status, code[status] ?? 999, "The emulator was told to answer like this."));
  }

  operations(): readonly OperationInfo[] {
    return [...this.authRoutes, ...ROUTES].map(({ operation, method, path }) => ({
      operation,
      method,
      path: `${this.prefix}${path}`,
    }));
  }

  state(): unknown {
    this.model.advance();
    const { volumes, groups, sessions, targets, tasks, auth } = this.model;
    return {
      volumes: plain(volumes),
      groups: plain(groups),
      sessions: plain(sessions).map((session) => ({ ...session, linked: [...session.linked] })),
      targets: plain(targets),
      tasks: plain(tasks),
      tokens: auth.alive,
    };
  }

  reset(): void {
    this.model.reset();
  }
}

/** A method that matches and produces nothing that the client accepts (docs/wire/vipr.md#negotiation). */
function checkAcceptable(request: EmulatorRequest): void {
  if (formOfSuccess(request) === undefined) throw new ViprError(406, 999);
}

/** Rows with their tags as a list, for JSON. */
function plain<Row extends Tagged>(rows: ReadonlyMap<string, Row>): (Omit<Row, "tags"> & { tags: string[] })[] {
  return [...rows.values()].map((row) => ({ ...row, tags: [...row.tags] }));
}

function answered(request: EmulatorRequest, answer: () => Reply): Reply {
  try {
    return answer();
  } catch (error) {
    if (error instanceof ViprError) return refusal(request, error);
    throw error;
  }
}
