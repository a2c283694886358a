// Toy's REST API in front of its model: logins, and the routes behind them.

import {
  type Call,
  type EmulatorRequest,
  header,
  isObject,
  json,
  matchRoute,
  type OperationInfo,
  type Reply,
  type Service,
  UNROUTED,
} from "../core/http";
import { refusal, ToyError } from "./errors";
import { TOY_TENANT, type ToyModel } from "./model";
import { LOGIN, LOGOUT, ROUTES } from "./routes";

export class ToyService implements Service {
  readonly name = "toy";
  readonly prefix = "/toy";

  constructor(readonly model: ToyModel) {}

  resolve(request: EmulatorRequest): Call {
    const path = request.path.slice(this.prefix.length);
    const { method } = request;
    if (path === LOGIN.path && method === LOGIN.method) return this.call(LOGIN.operation, () => this.logIn(request));
    const match = matchRoute(ROUTES, method, path);
    const isLogout = path === LOGOUT.path && method === LOGOUT.method;
    return this.call(isLogout ? LOGOUT.operation : (match?.route.operation ?? UNROUTED), () => {
      const token = header(request, "x-toy-token") ?? "";
      if (!this.model.sessions.has(token)) throw new ToyError(401, "Unauthorized", "the token is unknown");
      if (isLogout) this.model.sessions.delete(token);
      if (isLogout) return json(200, {});
      if (match === undefined) throw new ToyError(404, "NoSuchPath", `there is no ${request.method} ${path}`);
      return match.route.handler({ model: this.model, request, params: match.params });
    });
  }

  errorReply(status: number): Reply {
    return refusal(new ToyError(status, "Emulated", "The emulator was told to answer like this."));
  }

  operations(): readonly OperationInfo[] {
    return [LOGIN, LOGOUT, ...ROUTES].map(({ operation, method, path }) => ({
      operation,
      method,
      path: `${this.prefix}${path}`,
    }));
  }

  state(): unknown {
    this.model.advance();
    return { copies: [...this.model.copies.values()], sessions: this.model.sessions.size };
  }

  reset(): void {
    this.model.reset();
  }

  private call(operation: string, answer: () => Reply): Call {
    return {
      operation,
      run: () => {
        this.model.advance();
        try {
          return answer();
        } catch (error) {
          if (error instanceof ToyError) return refusal(error);
          if (error instanceof SyntaxError) return refusal(new ToyError(400, "BadRequest", "the body is not JSON"));
          throw error;
        }
      },
    };
  }

  private logIn(request: EmulatorRequest): Reply {
    const body: unknown = JSON.parse(request.text);
    const { username, password } = isObject(body) ? body : {};
    const token = this.model.logIn(String(username), String(password));
    if (token === undefined) throw new ToyError(401, "Unauthorized", "the user name or the password is wrong");
    return json(201, { token, tenant: TOY_TENANT });
  }
}
