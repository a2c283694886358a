// The provider's real HTTP client, which can send one kind of request elsewhere or change the response.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpClient, type HttpOptions } from "../../provider/core/http/client";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import type { AutoAdvancingClock } from "../support/autoAdvancingClock";
import type { Call } from "./resourceUnderTest";

export interface Interference {
  at: Call;
  /** The origin that gets the request instead. */
  origin?: string;
  /** The value of `http_proxy` for the request. */
  proxy?: string;
  mutate?: (json: unknown) => unknown;
}

export class FaultyHttp extends HttpClient {
  /** How many requests the interference has hit. */
  hits = 0;
  interference: Interference | undefined;

  private readonly env: Record<string, string>;

  constructor(
    private readonly advancing: AutoAdvancingClock,
    options: HttpOptions,
  ) {
    const env: Record<string, string> = {};
    super({ ...options, clock: advancing, env });
    this.env = env;
  }

  protected override exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    return this.advancing.during(async () => {
      const { interference } = this;
      if (!interference || !isCall(interference.at, request)) return super.exchange(request);
      this.hits += 1;
      const { pathname, search } = new URL(request.url);
      const { origin, mutate, proxy } = interference;
      if (proxy !== undefined) return this.through(proxy, request);
      const url = origin === undefined ? request.url : `${origin}${pathname}${search}`;
      const answer = await super.exchange({ ...request, url });
      if (!mutate) return answer;
      const json = mutate(answer.json);
      return { ...answer, json, text: JSON.stringify(json) ?? "" };
    });
  }

  private through(proxy: string, request: HttpRequest<unknown>): Promise<RawResponse> {
    this.env.http_proxy = proxy;
    try {
      // The client chooses the proxy before it waits for anything.
      return super.exchange(request);
    } finally {
      delete this.env.http_proxy;
    }
  }
}

export const PROXY_PASSWORD = "planted-proxy-pass";

/** A forwarding proxy that refuses every request in the same way. */
export async function startRefusingProxy(): Promise<OffOriginServer & { answer: ProxyAnswer }> {
  const reached: string[] = [];
  const proxy = { answer: { status: 502 } as ProxyAnswer };
  const server = createServer((request, response) => {
    reached.push(`${request.method} ${request.url}`);
    response.writeHead(proxy.answer.status, { ...proxy.answer.headers, connection: "close" }).end("<html>no</html>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(proxy, {
    url: `http://snapclone:${PROXY_PASSWORD}@127.0.0.1:${port}`,
    reached,
    close: () => closed(server),
  });
}

export interface ProxyAnswer {
  status: number;
  headers?: Readonly<Record<string, string>>;
}

function isCall({ method, path }: Call, request: HttpRequest<unknown>): boolean {
  const { pathname, search } = new URL(request.url);
  return request.method === method && path.test(pathname + search);
}

/** A server that no request may reach. It records each one that does. */
export interface OffOriginServer {
  url: string;
  reached: string[];
  close(): Promise<void>;
}

/** An https server has a self-signed certificate. */
export async function startOffOriginServer(scheme: "http" | "https"): Promise<OffOriginServer> {
  const reached: string[] = [];
  const listener: Parameters<typeof createServer>[1] = (request, response) => {
    reached.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`);
    response.end("{}");
  };
  const server: Server = scheme === "http" ? createServer(listener) : createTlsServer(selfSigned(), listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reached,
    close: () => closed(server),
  };
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

function selfSigned(): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), "snapclone-faults-"));
  try {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const resource = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    execFileSync("openssl", ["req", "-x509", ...curve, "-days", "2", ...resource, "-keyout", key, "-out", cert], {
      stdio: "ignore",
    });
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
