// The one HTTP client. It sends a request, repeats it only where that is safe, and returns a checked value or throws a
// typed error that says what became of the request: carried out, refused, not sent, unknown. The stages are files of
// this folder: retry.ts, rateGate.ts, proxy.ts, tls.ts, classify.ts.

import type { Socket } from "node:net";
import type { Dispatcher } from "undici";
import { currentOperation, UNBOUND_PATIENCE_MS } from "../currentOperation";
import { registerSecret, SnapcloneError } from "../errors";
import { linkedAbort, stopped } from "../util/abort";
import { type Clock, systemClock } from "../util/clock";
import { Semaphore } from "../util/semaphore";
import { NotConnected, networkError, parseJson, toResponse } from "./classify";
import { type Environment, type HttpProxy, openTunnel, ownRefusal, ProxyUnreachable, proxyFor } from "./proxy";
import { notSent, type Patience, RateGate, timeLeft } from "./rateGate";
import { describe, type HttpRequest, type HttpResponse, isIdempotent, type RawResponse } from "./request";
import { retry } from "./retry";
import { clientCertificate, type TlsSettings, trustOf } from "./tls";

export interface HttpOptions {
  tls?: TlsSettings;
  clock?: Clock;
  /** Milliseconds for one attempt, from connecting to the last byte. Default 60 000. */
  attemptMs?: number;
  /** Milliseconds to connect. Default 10 000. */
  connectMs?: number;
  /** Answers above this many bytes are refused. Default 8 MiB: a full page of 1000 Cinder snapshots is below 1 MiB. */
  maxBytes?: number;
  /** The environment that names proxies. Default: the process's. */
  env?: Environment;
  /** For requests that belong to no operation. Default: ten minutes, and no progress is shown. */
  patience?(): Patience;
}

/** What a connection hands on to its HTTP client. */
export type HttpSettings = Pick<HttpOptions, "clock" | "env" | "patience">;

/** The limit of concurrent requests, one for those that change something and one for the others. Each is a connection. */
const MAX_CONCURRENT = 64;

/**
 * Idempotent requests share kept-alive connections. Any other request gets a fresh one: if the server closes a kept-alive
 * connection while a request is on its way, the outcome of that request is unknown.
 */
interface Pools {
  shared: Dispatcher;
  fresh: Dispatcher;
}

export class HttpClient {
  private readonly clock: Clock;
  private readonly readLimit = new Semaphore(MAX_CONCURRENT);
  private readonly writeLimit = new Semaphore(MAX_CONCURRENT);
  /** By proxy; "" is no proxy. */
  private readonly pools = new Map<string, Pools>();
  /** By the name of the service. */
  private readonly gates = new Map<string, RateGate>();
  /** By origin: the server's clock minus ours, from the `Date` of its latest answer. */
  private readonly clockOffsets = new Map<string, number>();

  constructor(private readonly options: HttpOptions = {}) {
    this.clock = options.clock ?? systemClock;
  }

  async request<T>(request: HttpRequest<T>): Promise<HttpResponse<T>> {
    const operation = currentOperation();
    const given = operation ?? this.options.patience?.() ?? { deadline: this.clock.now() + UNBOUND_PATIENCE_MS };
    const { deadline } = given;
    const signal = request.signal ?? given.signal;
    const patience: Patience = {
      deadline,
      signal,
      progress: (text) => given.progress?.(text),
      isShared: operation === undefined,
    };
    const gate = this.gateOf(request.service);
    return retry(request, () => gate.pass(() => this.attempt(request, patience), patience), patience, this.clock);
  }

  /** What time it is at the server of `url`; undefined before its first dated answer. */
  serverTime(url: string): Date | undefined {
    const offset = this.clockOffsets.get(new URL(url).origin);
    return offset === undefined ? undefined : new Date(offset + this.clock.now());
  }

  async close(): Promise<void> {
    const all = [...this.pools.values()].flatMap(({ shared, fresh }) => [shared, fresh]);
    this.pools.clear();
    await Promise.all(all.map((pool) => pool.destroy()));
  }

  private gateOf(service: string): RateGate {
    const gate = this.gates.get(service) ?? new RateGate(service, this.clock);
    this.gates.set(service, gate);
    return gate;
  }

  private async attempt<T>(request: HttpRequest<T>, patience: Patience): Promise<HttpResponse<T>> {
    if (request.signal?.aborted) throw stopped(undefined, describe(request));
    // Requests that only read do not queue behind those that change something.
    const limit = isIdempotent(request) ? this.readLimit : this.writeLimit;
    // Undici has no queue of its own: each request that gets a place here has a connection at once.
    const send = async () => {
      await this.clock.yield?.();
      return this.exchange(request);
    };
    const answer = await limit.run(send, patience.signal, {
      clock: this.clock,
      ms: timeLeft(patience, this.clock),
      tooLong: () => notSent(request.service, MAX_CONCURRENT),
    });
    await this.clock.yield?.();
    const date = Date.parse(answer.headers.date ?? "");
    if (!Number.isNaN(date)) this.clockOffsets.set(new URL(request.url).origin, date - this.clock.now());
    for (const secret of request.secretsIn?.(answer.text) ?? []) registerSecret(secret);
    return toResponse(request, answer);
  }

  /** One exchange on the wire. Throws "transient", "ambiguous" or "config" where there is no complete answer. */
  protected async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    const proxy = proxyFor(request.url, this.options.env ?? process.env);
    const pools = this.poolsFor(proxy);
    const dispatcher = isIdempotent(request) ? pools.shared : pools.fresh;
    // A request of plain http to a proxy carries the whole address (RFC 9112 §3.2.2). https goes through a tunnel.
    const forwarded = proxy && request.url.startsWith("http:") ? proxy : undefined;
    const attempt = linkedAbort(request.signal);
    let tookTooLong = false;
    const timer = setTimeout(() => {
      tookTooLong = true;
      attempt.abort();
    }, this.options.attemptMs ?? 60_000).unref();
    try {
      const { origin, pathname, search, host } = new URL(request.url);
      const path = `${pathname}${search}`;
      const response = await dispatcher.request({
        ...(forwarded ? { origin: forwarded.origin, path: `${origin}${path}` } : { origin, path }),
        method: request.method,
        headers: {
          accept: "application/json",
          "user-agent": "pulumi-snapclone",
          ...(request.body === undefined ? {} : { "content-type": "application/json" }),
          ...request.headers,
          ...(forwarded ? { host } : {}),
          ...(forwarded?.authorization === undefined ? {} : { "proxy-authorization": forwarded.authorization }),
        },
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal: attempt.signal,
      });
      const headers = flatten(response.headers);
      const text = await readText(response.body, this.options.maxBytes ?? 8 * 2 ** 20);
      const status = response.statusCode;
      const refusal = forwarded && ownRefusal(forwarded, { status, headers });
      if (refusal) throw new NotConnected(refusal);
      if (text === undefined) return { status, headers, text: "", json: undefined, tooLarge: true };
      return { status, headers, text, json: parseJson(text) };
    } catch (error) {
      if (error instanceof SnapcloneError) throw error;
      if (request.signal?.aborted && isIdempotent(request)) throw stopped(undefined, describe(request));
      throw networkError(request, error, tookTooLong);
    } finally {
      clearTimeout(timer);
      attempt.release();
    }
  }

  private poolsFor(proxy: HttpProxy | undefined): Pools {
    const key = proxy ? `${proxy.origin} ${proxy.authorization ?? ""}` : "";
    const earlier = this.pools.get(key);
    if (earlier) return earlier;
    const { Agent, buildConnector } = undici();
    const { tls = {}, connectMs = 10_000 } = this.options;
    const trust = trustOf(tls, this.options.env ?? process.env);
    const direct = buildConnector({ ...trust, ...clientCertificate(tls), timeout: connectMs });
    const connect: typeof direct = (options, callback) => {
      const done: typeof callback = (...[error, socket]) =>
        error ? callback(new NotConnected(error), null) : callback(null, socket as Socket);
      if (proxy === undefined || options.protocol !== "https:") {
        direct(options, (...[error, socket]) => {
          if (error) done(proxy ? new ProxyUnreachable(proxy, error) : error, null);
          else done(null, socket);
        });
        return;
      }
      const target = `${options.hostname}:${options.port || "443"}`;
      openTunnel(proxy, { target, timeoutMs: connectMs, tls: trust }).then(
        (httpSocket) => direct({ ...options, httpSocket }, done),
        (error) => done(error, null),
      );
    };
    const common = { connect, bodyTimeout: 0, headersTimeout: 0 };
    const pools = {
      shared: new Agent({ ...common, keepAliveTimeout: 4_000 }),
      fresh: new Agent({ ...common, pipelining: 0 }),
    };
    this.pools.set(key, pools);
    return pools;
  }
}

/**
 * Loaded on first use: a preview sends nothing and should not pay for loading an HTTP stack. By its file: under the bare name,
 * Bun hands out a stand-in (docs/wire/pulumi-engine.md#provider-folder), and a lookup runs in the program's process.
 */
function undici(): typeof import("undici") {
  return require("undici/index.js") as typeof import("undici");
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return flat;
}

/** undefined when the body is larger than `maxBytes`: the rest is not read, and the connection is closed. */
async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
