// An HTTP server whose responses the test writes, for responses that no real service and no emulator would send.

import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "../../../provider/core/util/clock";
import type { OpenStackSettings } from "../../../provider/openstack/connection";

export interface Call {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: unknown;
}

/** "hang" never answers, "reset" closes the connection. A string body is sent as it is. */
export type Reply = { status?: number; headers?: Record<string, string>; body?: unknown } | "hang" | "reset";

export interface Cloud {
  url: string;
  calls: Call[];
  count(method: string, path: RegExp): number;
  close(): Promise<void>;
}

export async function startCloud(answer: (call: Call) => Reply | Promise<Reply>): Promise<Cloud> {
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", async () => {
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://cloud");
      const text = Buffer.concat(chunks).toString("utf8");
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      const call = {
        method: request.method ?? "",
        path: pathname,
        query: searchParams,
        headers: request.headers,
        body,
      };
      calls.push(call);
      const reply = await answer(call);
      if (reply === "hang") return;
      if (reply === "reset") {
        request.socket.destroy();
        return;
      }
      response.writeHead(reply.status ?? 200, { "content-type": "application/json", ...reply.headers });
      response.end(typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    count: (method, path) => calls.filter((call) => call.method === method && path.test(call.path)).length,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export const PROJECT = "38d2d7a82d9c4142a295298087bf9459";
export const isLogin = ({ method, path }: Call): boolean => method === "POST" && path.endsWith("/auth/tokens");

/** A project-scoped token that lives for an hour by the server's clock. */
export function tokenReply(token: string, body: object = {}, headers: Record<string, string> = {}): Reply {
  return {
    status: 201,
    headers: { "x-subject-token": token, ...headers },
    body: {
      token: {
        issued_at: "2026-11-21T01:00:00.000000Z",
        expires_at: "2026-11-21T02:00:00.000000Z",
        user: { id: "u1" },
        project: { id: PROJECT },
        catalog: [],
        ...body,
      },
    },
  };
}

export function settingsFor(url: string, changes: Partial<OpenStackSettings> = {}): OpenStackSettings {
  const domain = { name: "Default" };
  return {
    authUrl: `${url}/v3`,
    auth: {
      method: "password",
      user: { name: "admin", domain },
      password: "correct horse",
      scope: { project: { name: "admin", domain } },
    },
    interface: "public",
    endpointOverride: {},
    serviceType: {},
    serviceRegion: {},
    serviceInterface: {},
    tls: { insecure: false },
    source: 'cloud "lab" of /etc/openstack/clouds.yaml',
    sourceKind: "cloudsYaml",
    warnings: [],
    ...changes,
  };
}

/** A clock that only moves by `advance` and by `sleep`. */
export function fakeClock(): Clock & { advance(ms: number): void } {
  let now = 5_000;
  return {
    now: () => now,
    date: () => new Date(0),
    sleep: (ms) => {
      // That long are only deadlines: a wait for answers must not jump to its end.
      if (ms >= 600_000) return new Promise(() => {});
      now += ms;
      return Promise.resolve();
    },
    advance: (ms) => {
      now += ms;
    },
  };
}
