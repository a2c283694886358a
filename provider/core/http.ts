// The one HTTP client. It sends one request, says exactly what became of it (carried out, refused, not sent, unknown),
// repeats only what is safe to repeat, and turns every answer into a checked value or a typed error.

import { readFileSync } from "node:fs";
import type { Dispatcher } from "undici";
import type { ZodType } from "zod";
import { type Clock, systemClock } from "./clock";
import { type ErrorKind, isKind, protect, SnapcloneError, truncate } from "./errors";
import { Slots } from "./slots";
import { sleepUnlessStopped, stopped } from "./stop";

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
  repeatable?: boolean;
  /** Statuses that are an answer rather than an error. Default: 200–299. */
  accept?: readonly number[];
  /** The secrets in an answer's text: whatever becomes of the answer, no message quotes them. */
  secretsIn?: (text: string) => readonly string[];
  /** Reads the service's own error body; what it leaves out is filled in from the status. */
  explain?: (answer: RawAnswer) => Partial<Explained> | undefined;
  signal?: AbortSignal | undefined;
}

export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  text: string;
  /** The parsed body; undefined if it is not JSON. */
  json: unknown;
  /** There was more than any answer should have: none of it was kept. */
  tooLarge?: true;
}

export interface Explained {
  kind: ErrorKind;
  said: string;
  remedy: string;
  requestId: string;
}

export interface HttpAnswer<T> {
  status: number;
  headers: Record<string, string>;
  body: T;
}

/** How often a request that is safe to repeat is sent in all, and the bounds of the pause between. */
const ATTEMPTS = 3;
const PAUSE_MS = { first: 250, most: 4_000, retryAfterMost: 30_000 };
/** Requests under way at once, those that change something and those that don't: each is a connection. */
const AT_ONCE = 64;

export class Http {
  private readonly clock: Clock;
  private readonly asking = new Slots(AT_ONCE);
  private readonly changing = new Slots(AT_ONCE);
  private pools: { shared: Dispatcher; fresh: Dispatcher } | undefined;
  /** By origin: the server's clock minus ours, from the `Date` of its latest answer. */
  private readonly clockOffsets = new Map<string, number>();

  constructor(private readonly options: HttpOptions = {}) {
    this.clock = options.clock ?? systemClock;
  }

  async request<T>(request: HttpRequest<T>): Promise<HttpAnswer<T>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.once(request);
      } catch (error) {
        if (attempt >= ATTEMPTS || !maySendAgain(request, error)) throw error;
        await sleepUnlessStopped(this.clock, pauseMs(attempt, error), request.signal);
      }
    }
  }

  /** What time it is at the server of `url`; undefined before its first dated answer. */
  serverTime(url: string): Date | undefined {
    const offset = this.clockOffsets.get(new URL(url).origin);
    return offset === undefined ? undefined : new Date(offset + this.clock.now());
  }

  async close(): Promise<void> {
    const pools = this.pools;
    this.pools = undefined;
    await Promise.all([pools?.shared.destroy(), pools?.fresh.destroy()]);
  }

  private async once<T>(request: HttpRequest<T>): Promise<HttpAnswer<T>> {
    if (request.signal?.aborted) throw stopped(undefined, describe(request));
    // Questions don't queue behind what changes something.
    const slots = isRepeatable(request) ? this.asking : this.changing;
    const answer = await slots.run(() => this.exchange(request), request.signal);
    const date = Date.parse(answer.headers.date ?? "");
    if (!Number.isNaN(date)) this.clockOffsets.set(new URL(request.url).origin, date - this.clock.now());
    for (const secret of request.secretsIn?.(answer.text) ?? []) protect(secret);
    const { status } = answer;
    const accepted = request.accept ? request.accept.includes(status) : status >= 200 && status < 300;
    if (!accepted) throw refusal(request, answer);
    if (!request.schema) return { status, headers: answer.headers, body: undefined as T };

    const malformed = (said: string) => malformedAnswer(request, answer, said);
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
  protected async exchange(request: HttpRequest<unknown>): Promise<RawAnswer> {
    // A keep-alive connection that the server closes while a request is on its way leaves the outcome unknown. What
    // must not be repeated gets a connection of its own instead, so that this race cannot happen to it.
    const pools = this.connect();
    const dispatcher = isRepeatable(request) ? pools.shared : pools.fresh;
    const deadline = AbortSignal.timeout(this.options.attemptMs ?? 60_000);
    const signal = request.signal ? AbortSignal.any([request.signal, deadline]) : deadline;
    try {
      const { request: send } = undici();
      const response = await send(request.url, {
        dispatcher,
        method: request.method,
        headers: {
          accept: "application/json",
          "user-agent": "pulumi-snapclone",
          ...(request.body === undefined ? {} : { "content-type": "application/json" }),
          ...request.headers,
        },
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal,
      });
      const headers = flatten(response.headers);
      const text = await readText(response.body, this.options.maxBytes ?? 8 * 2 ** 20);
      const status = response.statusCode;
      if (text === undefined) return { status, headers, text: "", json: undefined, tooLarge: true };
      return { status, headers, text, json: parseJson(text) };
    } catch (error) {
      if (error instanceof SnapcloneError) throw error;
      if (request.signal?.aborted && isRepeatable(request)) throw stopped(undefined, describe(request));
      throw unanswered(request, error, deadline.aborted);
    }
  }

  private connect(): { shared: Dispatcher; fresh: Dispatcher } {
    if (this.pools) return this.pools;
    const { EnvHttpProxyAgent } = undici();
    const { tls = {}, connectMs = 10_000 } = this.options;
    const verified = {
      ...(tls.cacert ? { ca: pem(tls.cacert, "cacert") } : {}),
      ...(tls.cert ? { cert: pem(tls.cert, "cert") } : {}),
      ...(tls.key ? { key: pem(tls.key, "key") } : {}),
      rejectUnauthorized: tls.insecure !== true,
    };
    const common = {
      connect: { ...verified, timeout: connectMs },
      requestTls: verified,
      bodyTimeout: 0,
      headersTimeout: 0,
    };
    this.pools ??= {
      shared: new EnvHttpProxyAgent({ ...common, keepAliveTimeout: 4_000 }),
      fresh: new EnvHttpProxyAgent({ ...common, pipelining: 0 }),
    };
    return this.pools;
  }
}

/** Loaded on first use: a preview sends nothing and should not pay for an HTTP stack. */
function undici(): typeof import("undici") {
  return require("undici");
}

function isRepeatable({ method, repeatable }: HttpRequest<unknown>): boolean {
  return repeatable ?? (method !== "POST" && method !== "PATCH");
}

/**
 * What never reached the server may be sent again whatever it was. What may have been carried out may be sent again
 * only if doing it twice is the same as once (RFC 9110 §9.2.2). A 429 was turned away before it was carried out.
 */
function maySendAgain(request: HttpRequest<unknown>, error: unknown): boolean {
  if (!isKind(error, "transient")) return false;
  return isRepeatable(request) || error.parts.status === 429 || error.parts.status === undefined;
}

function pauseMs(attempt: number, error: unknown): number {
  const asked = error instanceof SnapcloneError ? error.retryAfterMs : undefined;
  if (asked !== undefined) return Math.min(asked, PAUSE_MS.retryAfterMost);
  const full = Math.min(PAUSE_MS.most, PAUSE_MS.first * 2 ** (attempt - 1));
  return full / 2 + (Math.random() * full) / 2;
}

/** A complete answer with a status that is not a success. */
function refusal(request: HttpRequest<unknown>, answer: RawAnswer): SnapcloneError {
  const { status, headers } = answer;
  const explained = request.explain?.(answer);
  const said = explained?.said ?? `${describeText(answer)}`;
  return new SnapcloneError({
    kind: explained?.kind ?? kindOf(request, status),
    said: `${request.service} answered ${status}: ${said}`,
    remedy: explained?.remedy,
    request: describe(request),
    requestId: explained?.requestId ?? headers["x-openstack-request-id"],
    retryAfterMs: retryAfterMs(headers),
    status,
  });
}

function kindOf(request: HttpRequest<unknown>, status: number): ErrorKind {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 429) return "transient";
  // A 5xx can come from a proxy in front of a server that goes on working: for a POST nobody knows what became of it.
  if (status >= 500) return isRepeatable(request) ? "transient" : "ambiguous";
  // 404 too: only the service's own error body (`explain`) proves that an object is absent; a bare 404 is a wrong address.
  if (status >= 400) return "refused";
  // A redirect may be the answer to what was carried out (303 See Other).
  return isRepeatable(request) ? "malformed" : "ambiguous";
}

function malformedAnswer(request: HttpRequest<unknown>, answer: RawAnswer, said: string): SnapcloneError {
  return new SnapcloneError({
    // The status said yes to something that must not be done twice: it has probably been done.
    kind: isRepeatable(request) ? "malformed" : "ambiguous",
    said,
    request: describe(request),
    requestId: answer.headers["x-openstack-request-id"],
    status: answer.status,
    remedy: `Check that the address is ${request.service}'s own and that no proxy answers in its place.`,
  });
}

const NOT_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** No complete answer: what the socket says decides whether the request may have been carried out. */
function unanswered(request: HttpRequest<unknown>, error: unknown, tookTooLong: boolean): SnapcloneError {
  const code = codeOf(error);
  const base = { request: describe(request), cause: error };
  if (isCertificateProblem(code)) {
    return new SnapcloneError({
      ...base,
      kind: "config",
      said: `the TLS certificate of ${request.service} is not trusted (${code})`,
      remedy:
        "Set `cacert` of the connection to the authority that signed it. `insecure: true` turns verification off, for a laboratory only.",
    });
  }
  if (NOT_SENT.has(code)) {
    return new SnapcloneError({
      ...base,
      kind: "transient",
      said: `${request.service} cannot be reached (${code})`,
      remedy: "Check the address, the network and HTTPS_PROXY/NO_PROXY, then run again.",
    });
  }
  const what = tookTooLong ? "did not answer in time" : `broke off the connection (${code || String(error)})`;
  return new SnapcloneError({
    ...base,
    kind: isRepeatable(request) ? "transient" : "ambiguous",
    said: `${request.service} ${what}`,
    remedy: isRepeatable(request)
      ? "Run again when the service is well."
      : "The request may have been carried out. Run again: the next run looks for its outcome before it asks anew.",
  });
}

function isCertificateProblem(code: string): boolean {
  return /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/.test(
    code,
  );
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

function describeText({ status, text, headers, tooLarge }: RawAnswer): string {
  if (tooLarge) return "a body larger than any it should give";
  const { location } = headers;
  if (status >= 300 && status < 400 && location) return `a redirect to ${location}, which is not followed`;
  if (text.trim() === "") return "an empty body";
  const type = headers["content-type"] ?? "";
  if (/html/i.test(type) || /^\s*</.test(text)) {
    const title = /<title>([^<]*)/i.exec(text)?.[1]?.trim();
    return title ? `an HTML page ("${truncate(title, 120)}")` : "an HTML page";
  }
  return `"${truncate(text.trim(), 200)}"`;
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
    if (field === "key") protect(pathOrText);
    return pathOrText;
  }
  try {
    return readFileSync(pathOrText, "utf8");
  } catch (error) {
    const said = `\`${field}\` of the connection cannot be read: ${error instanceof Error ? error.message : error}`;
    throw new SnapcloneError({ kind: "config", said });
  }
}
