// The one HTTP client. It sends one request, says exactly what became of it (carried out, refused, not sent, unknown),
// repeats only what is safe to repeat, and turns every answer into a checked value or a typed error.

import { readFileSync, statSync } from "node:fs";
import type { Socket } from "node:net";
import type { Dispatcher } from "undici";
import type { ZodType } from "zod";
import { type ErrorKind, isKind, registerSecret, SnapcloneError, truncate } from "../errors";
import { abortableSleep, stopped } from "../util/abort";
import { type Clock, systemClock } from "../util/clock";
import { Semaphore } from "../util/semaphore";
import {
  type Environment,
  explainRefusal,
  type HttpProxy,
  openTunnel,
  ownRefusal,
  ProxyRefusal,
  ProxyUnreachable,
  proxyFor,
} from "./proxy";
import { type Patience, RateGate } from "./rateGate";

export interface TlsSettings {
  /** PEM text or a file's path. `cacert` replaces the built-in authorities, as it does for every OpenStack client. */
  cacert?: string;
  cert?: string;
  key?: string;
  insecure?: boolean;
}

export interface HttpOptions {
  tls?: TlsSettings;
  clock?: Clock;
  /** Milliseconds for one attempt, from connecting to the last byte. Default 60 000. */
  attemptMs?: number;
  /** Milliseconds to connect. Default 10 000. */
  connectMs?: number;
  /** Answers above this many bytes are refused. Default 8 MiB: a full page of 1000 Cinder snapshots is below 1 MiB. */
  maxBytes?: number;
  /** Where the variables of proxies are looked up. Default: the process's. */
  env?: Environment;
  /** For requests that don't say which operation they are part of. Default: ten minutes, and nothing is told. */
  patience?(): Patience;
}

export interface HttpRequest<T> {
  method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  url: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** The name of the service for messages: "Cinder". */
  service: string;
  /** What the body must be. Absent: the body is not looked at. */
  schema?: ZodType<T>;
  /** Of a POST that does the same twice as once: it may be sent again, whatever became of it. */
  idempotent?: boolean;
  /** Statuses that are an answer rather than an error. Default: 200–299. */
  accept?: readonly number[];
  /** The secrets in an answer's text: whatever becomes of the answer, no message quotes them. */
  secretsIn?: (text: string) => readonly string[];
  /** Reads the service's own error body; what it leaves out is filled in from the status. */
  parseError?: (answer: RawResponse) => Partial<ParsedError> | undefined;
  signal?: AbortSignal | undefined;
  /** The operation that this is part of: how long it is asked again, and where waits are told. */
  operation?: Patience | undefined;
}

export interface RawResponse {
  status: number;
  headers: Record<string, string>;
  text: string;
  /** The parsed body; undefined if it is not JSON. */
  json: unknown;
  /** There was more than any answer should have: none of it was kept. */
  tooLarge?: true;
}

export interface ParsedError {
  kind: ErrorKind;
  message: string;
  hint: string;
  requestId: string;
}

export interface HttpResponse<T> {
  status: number;
  headers: Record<string, string>;
  body: T;
}

/** How often a request that is safe to repeat is sent in all, and the bounds of the pause between. */
const ATTEMPTS = 3;
const PAUSE_MS = { first: 250, most: 4_000, retryAfterMost: 30_000 };
/** Nobody listens while an API or its load balancer is restarted: pauses up to this sum are no trouble. */
const RESTART_MS = 15_000;
/** For a request that is part of no operation. */
const PATIENCE_MS = 600_000;
/** Requests under way at once, those that change something and those that don't: each is a connection. */
const MAX_CONCURRENT = 64;

/** Questions share kept connections; what must not be repeated gets a fresh one. */
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
    const given = request.operation ?? this.options.patience?.() ?? { deadline: this.clock.now() + PATIENCE_MS };
    const { deadline } = given;
    const signal = request.signal ?? given.signal;
    const patience: Patience = {
      deadline,
      signal,
      progress: (text) => given.progress?.(text),
      isShared: request.operation === undefined,
    };
    let restarting = Math.min(RESTART_MS, deadline - this.clock.now());
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.gateOf(request.service).pass(() => this.once(request), patience);
      } catch (error) {
        const pause = pauseMs(attempt, error);
        if (isKind(error, "transient") && codeOf(error.parts.cause) === "ECONNREFUSED") {
          if (restarting <= 0) throw error;
          restarting -= pause;
        } else if (attempt >= ATTEMPTS || !isRetryable(request, error)) throw error;
        await abortableSleep(this.clock, pause, signal);
      }
    }
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

  private async once<T>(request: HttpRequest<T>): Promise<HttpResponse<T>> {
    if (request.signal?.aborted) throw stopped(undefined, describe(request));
    // Questions don't queue behind what changes something.
    const slots = isIdempotent(request) ? this.readLimit : this.writeLimit;
    const answer = await slots.run(() => this.exchange(request), request.signal);
    const date = Date.parse(answer.headers.date ?? "");
    if (!Number.isNaN(date)) this.clockOffsets.set(new URL(request.url).origin, date - this.clock.now());
    for (const secret of request.secretsIn?.(answer.text) ?? []) registerSecret(secret);
    const { status } = answer;
    const accepted = request.accept ? request.accept.includes(status) : status >= 200 && status < 300;
    if (!accepted) throw refusal(request, answer);
    if (!request.schema) return { status, headers: answer.headers, body: undefined as T };

    const malformed = (message: string) => malformedAnswer(request, answer, message);
    if (answer.tooLarge) throw malformed(`${request.service}'s answer is larger than any it should give`);
    if (answer.json === undefined)
      throw malformed(`${request.service} answered ${describeText(answer)} instead of JSON`);
    const parsed = request.schema.safeParse(answer.json);
    if (parsed.success) return { status, headers: answer.headers, body: parsed.data };
    const issue = parsed.error.issues[0];
    const path = issue?.path.map(String).join(".") || "the whole body";
    throw malformed(`${request.service}'s answer is not what its API promises at ${path}: ${issue?.message}`);
  }

  /** One attempt on the wire. Whatever has no complete answer ends in "transient", "ambiguous" or "config" here. */
  protected async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    // A keep-alive connection that the server closes while a request is on its way leaves the outcome unknown. What
    // must not be repeated gets a connection of its own instead, so that this race cannot happen to it.
    const proxy = proxyFor(request.url, this.options.env ?? process.env);
    const pools = this.poolsFor(proxy);
    const dispatcher = isIdempotent(request) ? pools.shared : pools.fresh;
    // To a proxy, a request of plain http bears the whole address (RFC 9112 §3.2.2); one of https goes through a tunnel.
    const forwarded = proxy && request.url.startsWith("http:") ? proxy : undefined;
    const deadline = AbortSignal.timeout(this.options.attemptMs ?? 60_000);
    const signal = request.signal ? AbortSignal.any([request.signal, deadline]) : deadline;
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
        signal,
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
      throw unanswered(request, error, deadline.aborted);
    }
  }

  private poolsFor(proxy: HttpProxy | undefined): Pools {
    const key = proxy ? `${proxy.origin} ${proxy.authorization ?? ""}` : "";
    const earlier = this.pools.get(key);
    if (earlier) return earlier;
    const { Agent, buildConnector } = undici();
    const { tls = {}, connectMs = 10_000 } = this.options;
    const ca = tls.cacert ? pem(tls.cacert, "cacert") : bundleOf(this.options.env ?? process.env);
    const trust = {
      ...(ca === undefined ? {} : { ca }),
      rejectUnauthorized: tls.insecure !== true,
    };
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

/** Nothing has been sent: there was no connection to the server yet, or its TLS was not agreed. */
class NotConnected extends Error {
  constructor(override readonly cause: unknown) {
    super("not connected");
  }
}

/** Loaded on first use: a preview sends nothing and should not pay for an HTTP stack. */
function undici(): typeof import("undici") {
  return require("undici");
}

function isIdempotent({ method, idempotent: repeatable }: HttpRequest<unknown>): boolean {
  return repeatable ?? (method !== "POST" && method !== "PATCH");
}

/**
 * What never reached the server may be sent again whatever it was. What may have been carried out may be sent again
 * only if doing it twice is the same as once (RFC 9110 §9.2.2).
 */
function isRetryable(request: HttpRequest<unknown>, error: unknown): boolean {
  if (!isKind(error, "transient")) return false;
  return isIdempotent(request) || error.parts.status === undefined;
}

function pauseMs(attempt: number, error: unknown): number {
  const asked = error instanceof SnapcloneError ? error.retryAfterMs : undefined;
  if (asked !== undefined) return Math.min(asked, PAUSE_MS.retryAfterMost);
  const full = Math.min(PAUSE_MS.most, PAUSE_MS.first * 2 ** (attempt - 1));
  return full / 2 + (Math.random() * full) / 2;
}

/** A complete answer with a status that is not a success. */
function refusal(request: HttpRequest<unknown>, answer: RawResponse): SnapcloneError {
  const { status, headers } = answer;
  const explained = request.parseError?.(answer);
  const message = explained?.message ?? `${describeText(answer)}`;
  const setting = status === 400 ? WEB_SERVERS_WORDS.find(([words]) => words.test(answer.text))?.[1] : undefined;
  if (setting !== undefined) {
    return new SnapcloneError({
      kind: "config",
      message: `${request.service} answered 400: ${describeText(answer)}`,
      hint: setting,
      request: describe(request),
      status,
    });
  }
  const turnedAway = isTurnedAway(answer);
  return new SnapcloneError({
    kind: turnedAway ? "transient" : (explained?.kind ?? kindOf(request, status)),
    message: `${request.service} answered ${status}: ${message}`,
    hint: explained?.hint,
    request: describe(request),
    requestId: explained?.requestId ?? headers["x-openstack-request-id"],
    retryAfterMs: retryAfterMs(headers),
    rateLimited: turnedAway || undefined,
    status,
  });
}

/**
 * A limit answers before anything is carried out: 429 (RFC 6585 §4), 503 with `Retry-After` (RFC 9110 §15.6.4), and 413
 * from OpenStack's older limiters. A full quota is a 413 too, with `Retry-After: 0` (docs/wire/openstack.md#a10).
 */
function isTurnedAway(answer: RawResponse): boolean {
  const { status, headers, text } = answer;
  const wait = retryAfterMs(headers);
  if (status === 429) return true;
  if (status === 503) return wait !== undefined;
  if (status !== 413 || /quota|LimitExceeded|Maximum number of/i.test(text)) return false;
  return (wait ?? 0) > 0 || /rate.?limit|too many requests|request\(s\) can be made/i.test(text);
}

function kindOf(request: HttpRequest<unknown>, status: number): ErrorKind {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  // A 5xx can come from a proxy in front of a server that goes on working: for a POST nobody knows what became of it.
  if (status >= 500) return isIdempotent(request) ? "transient" : "ambiguous";
  // 404 too: only the service's own error body (`explain`) proves that an object is absent; a bare 404 is a wrong address.
  if (status >= 400) return "refused";
  // A redirect may be the answer to what was carried out (303 See Other).
  return isIdempotent(request) ? "malformed" : "ambiguous";
}

function malformedAnswer(request: HttpRequest<unknown>, answer: RawResponse, message: string): SnapcloneError {
  return new SnapcloneError({
    // The status said yes to something that must not be done twice: it has probably been done.
    kind: isIdempotent(request) ? "malformed" : "ambiguous",
    message,
    request: describe(request),
    requestId: answer.headers["x-openstack-request-id"],
    status: answer.status,
    tooLarge: answer.tooLarge,
    hint: `Check that the address is ${request.service}'s own and that no proxy answers in its place.`,
  });
}

/** No complete answer: where the connection failed decides whether the request may have been carried out. */
function unanswered(request: HttpRequest<unknown>, error: unknown, tookTooLong: boolean): SnapcloneError {
  const base = { request: describe(request), cause: error };
  const { service, url } = request;
  const code = codeOf(error);
  if (error instanceof NotConnected) {
    const { cause } = error;
    if (cause instanceof ProxyRefusal) return new SnapcloneError({ ...base, ...explainRefusal(cause, service, url) });
    const tls = explainTls(request, cause);
    if (tls) return new SnapcloneError({ ...base, ...tls });
    const { proxy } = cause instanceof ProxyUnreachable ? cause : { proxy: undefined };
    const what = proxy ? `the proxy ${proxy.origin} (${proxy.variable}), the way to ${service},` : service;
    return new SnapcloneError({
      ...base,
      kind: "transient",
      message: `${what} cannot be reached (${code || String(Reflect.get(Object(cause), "message"))})`,
      hint: proxy
        ? `Check ${proxy.variable} and the proxy, or name ${new URL(url).hostname} in NO_PROXY; then run again.`
        : "Check the address, the network and HTTPS_PROXY/NO_PROXY, then run again.",
    });
  }
  const refused = explainTls(request, error);
  if (refused) return new SnapcloneError({ ...base, ...refused });
  const what = tookTooLong ? "did not answer in time" : `broke off the connection (${code || String(error)})`;
  return new SnapcloneError({
    ...base,
    kind: isIdempotent(request) ? "transient" : "ambiguous",
    message: `${service} ${what}`,
    hint: isIdempotent(request)
      ? `Run again when the service is well.${url.startsWith("http:") && !tookTooLong ? HTTPS_PERHAPS : ""}`
      : `The request may have been carried out. Run again: the next run looks for its outcome before it asks anew.${url.startsWith("http:") && !tookTooLong ? HTTPS_PERHAPS : ""}`,
  });
}

/** Node.js's own TLS server closes the connection of who speaks plain http to it, without a word. */
const HTTPS_PERHAPS = " If it never answers here, its port may want https://.";

/** What TLS did not agree on, and the setting to change; undefined where TLS is not the trouble. Nothing was carried out. */
function explainTls(
  { service, url }: HttpRequest<unknown>,
  error: unknown,
): Pick<SnapcloneError["parts"], "kind" | "message" | "hint"> | undefined {
  const code = codeOf(error);
  const { protocol, hostname, host } = new URL(url);
  const config = (message: string, hint: string) => ({
    kind: "config" as const,
    message: `${message} (${code})`,
    hint,
  });
  const lab = "`insecure: true` turns verification off, for a laboratory only.";
  if (protocol === "http:" && isTlsAlert(error)) {
    return config(
      `${service} at ${host} speaks TLS, and its address begins with http://`,
      `Let the address begin with https://: ${ADDRESS}.`,
    );
  }
  if (protocol !== "https:") return undefined;
  if (code === "EPROTO" || /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$/.test(code)) {
    const plain = /wrong version number|packet length too long|http request/i.test(`${deepest(error)} ${code}`);
    return plain
      ? config(
          `${service} at ${host} does not speak TLS, and its address begins with https://`,
          `If it is plain http on purpose, let the address begin with http://: ${ADDRESS}. Else correct the port.`,
        )
      : config(`${service} and this client agree on no version or cipher of TLS`, "Update the server's TLS.");
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return config(
      `the TLS certificate of ${service} is not for ${hostname}, but for ${namesIn(error)}`,
      `Use the name that the certificate has: ${ADDRESS}. ${lab}`,
    );
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    const when = code === "CERT_HAS_EXPIRED" ? "has expired" : "is not valid yet";
    return config(
      `the TLS certificate of ${service} ${when}`,
      `Renew it on the server, and check this machine's clock. No setting but \`insecure\` helps: ${lab}`,
    );
  }
  if (/SELF_SIGNED/.test(code)) {
    const whose = code === "DEPTH_ZERO_SELF_SIGNED_CERT" ? "is self-signed" : "is signed by an authority of its own";
    return config(
      `the TLS certificate of ${service} is not trusted: it ${whose}`,
      `Set \`cacert\` of the connection to ${code === "DEPTH_ZERO_SELF_SIGNED_CERT" ? "that certificate" : "that authority's certificate"}. ${lab}`,
    );
  }
  if (/ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|CERTIFICATE_)/.test(code)) {
    return config(
      `${service} at ${host} refused this client in the TLS handshake`,
      "It may want a client certificate: set `cert` and `key` of the connection, or correct them.",
    );
  }
  if (/^(CERT_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|INVALID_CA)/.test(code)) {
    return config(
      `the TLS certificate of ${service} is not trusted`,
      `Set \`cacert\` of the connection to the authority that signed it. ${lab}`,
    );
  }
  return undefined;
}

const ADDRESS = "authentication URL or endpoint of the connection, or the service catalogue's entry";

/** What nginx and Apache say in a 400 before the service behind them is asked, and the setting to change. */
const WEB_SERVERS_WORDS: readonly (readonly [RegExp, string])[] = [
  [
    /plain HTTP request was sent to HTTPS port|speaking plain HTTP to an SSL/i,
    `Let the address begin with https://: ${ADDRESS}.`,
  ],
  [
    /No required SSL certificate was sent|SSL certificate error/i,
    "Set `cert` and `key` of the connection to a client certificate that the server accepts.",
  ],
];

/** A TLS server's answer to plain text: an alert, which is no HTTP (RFC 8446 §5.1: record type 21, version 3.x). */
function isTlsAlert(error: unknown): boolean {
  const data = String(Reflect.get(Object(error), "data") ?? "");
  return data.startsWith("\x15\x03");
}

/** The names in a certificate that has not the right one: "DNS:a.example, IP Address:10.0.0.1". */
function namesIn(error: unknown): string {
  let at: object = Object(error);
  while (Reflect.get(at, "cert") === undefined && Reflect.get(at, "cause")) at = Object(Reflect.get(at, "cause"));
  const certificate = Object(Reflect.get(at, "cert"));
  const names: unknown = Reflect.get(certificate, "subjectaltname") ?? Reflect.get(Object(certificate.subject), "CN");
  return names === undefined ? "another host" : truncate(String(names), 200);
}

function deepest(error: unknown): string {
  let at = error;
  while (typeof at === "object" && at !== null && Reflect.get(at, "cause")) at = Reflect.get(at, "cause");
  return truncate(String(Reflect.get(Object(at), "message") ?? at), 200);
}

function codeOf(error: unknown): string {
  // By what it has and not by `instanceof`: under Jest, errors of Node's own come from another realm.
  for (let at = error; typeof at === "object" && at !== null; at = Reflect.get(at, "cause")) {
    const code: unknown = Reflect.get(at, "code");
    if (typeof code === "string") return code;
    // Happy eyeballs: every address of the host failed; they fail alike.
    const errors: unknown = Reflect.get(at, "errors");
    if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0]);
  }
  return "";
}

function describe(request: HttpRequest<unknown>): string {
  return `${request.method} ${request.url}`;
}

function describeText({ status, text, headers, tooLarge }: RawResponse): string {
  if (tooLarge) return "a body larger than any it should give";
  const { location } = headers;
  if (status >= 300 && status < 400 && location) return `a redirect to ${location}, which is not followed`;
  if (text.trim() === "") return "an empty body";
  const type = headers["content-type"] ?? "";
  if (/html/i.test(type) || /^\s*</.test(text)) {
    const title = wordsOfPage(text);
    return title ? `an HTML page ("${truncate(title, 200)}")` : "an HTML page";
  }
  const words = wordsOfJson(parseJson(text)).join(": ");
  return `"${truncate(words || text.trim(), 200)}"`;
}

/** A page's title, else its first headline, else its text. */
function wordsOfPage(page: string): string {
  const part = [/<title[^>]*>([^<]*[^<\s][^<]*)/i, /<h[1-3][^>]*>([^<]*[^<\s][^<]*)/i].flatMap(
    (tag) => tag.exec(page)?.[1] ?? [],
  )[0];
  const visible = page.replace(/<(script|style|head)\b[\s\S]*?<\/\1>/gi, " ").replace(/<[^>]*>/g, " ");
  const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: " ", "#39": "'" };
  return (part ?? visible)
    .replace(/&(amp|lt|gt|quot|nbsp|#39);/g, (whole, name: string) => entities[name] ?? whole)
    .replace(/\s+/g, " ")
    .trim();
}

/** What middlewares and gateways call their sentences, the general ones first. */
const WORDS = [
  "title",
  "error",
  "errors",
  "fault",
  "faultstring",
  "message",
  "reason",
  "detail",
  "details",
  "description",
];

/** The sentences in an error body of unknown form: `{"error": {"title": …, "message": …}}` and the like. */
function wordsOfJson(json: unknown, depth = 0): string[] {
  if (typeof json !== "object" || json === null || depth > 3) return [];
  if (Array.isArray(json)) return json.slice(0, 3).flatMap((item) => wordsOfJson(item, depth + 1));
  const found = Object.entries(json)
    .filter(([key]) => WORDS.includes(key.toLowerCase()))
    .sort(([a], [b]) => WORDS.indexOf(a.toLowerCase()) - WORDS.indexOf(b.toLowerCase()))
    .flatMap(([, value]) =>
      typeof value === "string" && value.trim() ? [value.trim()] : wordsOfJson(value, depth + 1),
    );
  // A map of one, `{"overLimitFault": {…}}`, whatever its name is.
  const inner = Object.values(json);
  return found.length > 0 || inner.length !== 1 ? [...new Set(found)] : wordsOfJson(inner[0], depth + 1);
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return flat;
}

/** undefined when there is more than `maxBytes`: the rest is not read, the connection is closed. */
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Seconds, or a date by the server's own clock (RFC 9110 §10.2.3). */
function retryAfterMs({ "retry-after": header, date: serverDate }: Record<string, string>): number | undefined {
  if (header === undefined) return undefined;
  const seconds = Number(header);
  if (header.trim() !== "" && Number.isFinite(seconds)) return seconds >= 0 ? seconds * 1000 : undefined;
  const date = Date.parse(header);
  const now = Date.parse(serverDate ?? "");
  return Number.isNaN(date) ? undefined : Math.max(0, date - (Number.isNaN(now) ? Date.now() : now));
}

function pem(pathOrText: string, field: string): string {
  if (pathOrText.includes("-----BEGIN")) {
    if (field === "key") registerSecret(pathOrText);
    return pathOrText;
  }
  try {
    return readFileSync(pathOrText, "utf8");
  } catch (error) {
    const where = /^[A-Z_]+$/.test(field) ? `the environment variable ${field}` : `\`${field}\` of the connection`;
    const message = `${where} names a file that cannot be read: ${error instanceof Error ? error.message : error}`;
    throw new SnapcloneError({ kind: "config", message });
  }
}

/** What requests trusts where nothing else is said: the file that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names. */
function bundleOf(env: Environment): string | undefined {
  const variable = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].find((name) => env[name]?.trim());
  const file = variable === undefined ? undefined : env[variable]?.trim();
  // A folder of certificates is for OpenSSL, which finds them by their hashes: Node.js has no way to use one.
  if (variable === undefined || file === undefined) return undefined;
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() ? undefined : pem(file, variable);
}

/** `cert` may hold the key too, as for every OpenStack client; a key alone is of no use to anybody, and left out. */
function clientCertificate({ cert, key }: TlsSettings): { cert?: string; key?: string } {
  if (!cert) return {};
  const certText = pem(cert, "cert");
  const keyText = key ? pem(key, "key") : certText;
  const bad = (message: string, hint: string) => new SnapcloneError({ kind: "config", message, hint });
  if (!keyText.includes("PRIVATE KEY")) {
    throw bad(
      `there is no private key in \`${key ? "key" : "cert"}\` of the connection`,
      "Set `key` to the file with the certificate's private key.",
    );
  }
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(keyText)) {
    throw bad(
      "the private key of the client certificate is encrypted, and nobody is there to be asked for its passphrase",
      "Give the connection a key without a passphrase: openssl pkey -in key.pem -out plain.pem",
    );
  }
  const { createSecureContext } = require("node:tls") as typeof import("node:tls");
  try {
    createSecureContext({ cert: certText, key: keyText });
  } catch (error) {
    throw bad(
      `the client certificate cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      "Check that `cert` and `key` of the connection are PEM and belong together.",
    );
  }
  return { cert: certText, key: keyText };
}
