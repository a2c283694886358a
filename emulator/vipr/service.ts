// ViPR Controller 3.x (CoprHD) for snapshot sessions and their linked targets: logins, sessions, targets, tags, searches,
// tasks (docs/wire/vipr.md). The paths of its API begin after /vipr here.

import {
  type Call,
  type EmulatorRequest,
  header,
  isKnownPath,
  matchRoute,
  type OperationInfo,
  type Reply,
  type Route,
  type Service,
  UNROUTED,
} from "../core/http";
import { challenge, refusal, toLogin, undecodable, VIPR_UNAVAILABLE, ViprError } from "./errors";
import type { ViprModel } from "./model";
import { ROUTES } from "./routes";
import { loggedIn, written } from "./views";

export class ViprService implements Service {
  readonly name = "vipr";
  readonly prefix = "/vipr";
  private readonly authRoutes: readonly Route<(request: EmulatorRequest) => Reply>[] = [
    { operation: "login", method: "GET", path: "/login", handler: (request) => this.login(request) },
    { operation: "logout", method: "GET", path: "/logout", handler: (request) => this.logout(request) },
  ];

  constructor(readonly model: ViprModel) {}

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    const login = matchRoute(this.authRoutes, request.method, path);
    if (login)
      return { operation: login.route.operation, run: () => answered(request, () => login.route.handler(request)) };
    const match = matchRoute(ROUTES, request.method, path);
    return {
      operation: match?.route.operation ?? UNROUTED,
      run: () =>
        answered(request, () => {
          const { model } = this;
          model.advance();
          const user = model.auth.identify(header(request, "X-SDS-AUTH-TOKEN"));
          if (user === "garbage") return undecodable();
          if (typeof user === "string") return toLogin(request);
          if (match === undefined) {
            // An unknown path has no details (docs/wire/vipr.md#s5).
            throw isKnownPath(ROUTES, path) ? new ViprError(405, 1007) : new ViprError(404, 2000);
          }
          const { status, body, root, headers } = match.route.handler({ model, request, params: match.params, user });
          return written(request, status, body, root, headers);
        }),
    };
  }

  errorReply(status: number, request: EmulatorRequest): Reply {
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
      volumes: [...volumes.values()],
      groups: [...groups.values()],
      sessions: [...sessions.values()].map((session) => ({ ...session, linked: [...session.linked] })),
      targets: [...targets.values()].map((target) => ({ ...target, tags: [...target.tags] })),
      tasks: [...tasks.values()],
      tokens: auth.alive,
    };
  }

  reset(): void {
    this.model.reset();
  }

  /** Checks the token before the credentials (docs/wire/vipr.md#s1). */
  private login(request: EmulatorRequest): Reply {
    const { auth } = this.model;
    const token = header(request, "X-SDS-AUTH-TOKEN");
    const user = auth.identify(token);
    if (user === "garbage") return undecodable();
    if (typeof user !== "string") return loggedIn(request, user.name, token ?? "");
    const [, basic] = /^Basic (.+)$/i.exec(header(request, "Authorization") ?? "") ?? [];
    if (basic === undefined) return challenge();
    const text = Buffer.from(basic, "base64").toString("utf8");
    const colon = text.indexOf(":");
    const issued = auth.login(text.slice(0, colon), text.slice(colon + 1));
    return issued === undefined ? challenge() : loggedIn(request, text.slice(0, colon).toLowerCase(), issued);
  }

  private logout(request: EmulatorRequest): Reply {
    const force = request.query.get("force") === "true";
    const user = this.model.auth.logout(header(request, "X-SDS-AUTH-TOKEN") ?? "", force);
    return written(request, 200, { user }, "loggedOut");
  }
}

function answered(request: EmulatorRequest, answer: () => Reply): Reply {
  try {
    return answer();
  } catch (error) {
    if (error instanceof ViprError) return refusal(request, error);
    throw error;
  }
}
