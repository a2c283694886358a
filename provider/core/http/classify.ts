// What became of a request: makes a checked value or a typed error of a complete answer, and of a broken connection an
// error that says whether the request may have been carried out.

import { type ErrorKind, SnapcloneError, truncate } from "../errors";
import { codeOf } from "./nodeErrors";
import { explainRefusal, ProxyRefusal, ProxyUnreachable } from "./proxy";
import { describe, type HttpRequest, type HttpResponse, isIdempotent, type RawResponse } from "./request";
import { ADDRESS, explainTls } from "./tls";

/** Checks a complete answer against the request's schema. Throws where the answer is anything else. */
export function toResponse<T>(request: HttpRequest<T>, answer: RawResponse): HttpResponse<T> {
  const { status, headers } = answer;
  const accepted = request.accept ? request.accept.includes(status) : status >= 200 && status < 300;
  if (!accepted) throw httpError(request, answer);
  if (!request.schema) return { status, headers, body: undefined as T };

  const malformed = (message: string) => parseError(request, answer, message);
  if (answer.tooLarge) throw malformed(`${request.service}'s answer is larger than any it should give`);
  if (answer.json === undefined) throw malformed(`${request.service} answered ${describeText(answer)} instead of JSON`);
  const parsed = request.schema.safeParse(answer.json);
  if (parsed.success) return { status, headers, body: parsed.data };
  const issue = parsed.error.issues[0];
  const path = issue?.path.map(String).join(".") || "the whole body";
  throw malformed(`${request.service}'s answer is not what its API promises at ${path}: ${issue?.message}`);
}

/** Nothing was sent: there was no connection to the server yet, or the TLS handshake failed. */
export class NotConnected extends Error {
  constructor(override readonly cause: unknown) {
    super("not connected");
  }
}

/** A complete answer with a status that is not a success. */
function httpError(request: HttpRequest<unknown>, answer: RawResponse): SnapcloneError {
  const { status, headers } = answer;
  const explained = request.parseError?.(answer);
  const message = explained?.message ?? `${describeText(answer)}`;
  const setting = status === 400 ? WEB_SERVER_ERRORS.find(([words]) => words.test(answer.text))?.[1] : undefined;
  if (setting !== undefined) {
    return new SnapcloneError({
      kind: "config",
      message: `${request.service} answered 400: ${describeText(answer)}`,
      hint: setting,
      request: describe(request),
      status,
    });
  }
  const rateLimited = isRateLimited(answer);
  return new SnapcloneError({
    kind: rateLimited ? "transient" : (explained?.kind ?? kindOf(request, status)),
    message: `${request.service} answered ${status}: ${message}`,
    hint: explained?.hint,
    request: describe(request),
    requestId: explained?.requestId ?? headers["x-openstack-request-id"],
    retryAfterMs: retryAfterMs(headers),
    rateLimited: rateLimited || undefined,
    status,
  });
}

/**
 * A limit answers before anything is carried out: 429 (RFC 6585 §4), 503 with `Retry-After` (RFC 9110 §15.6.4), and 413
 * from OpenStack's older limiters. A full quota is a 413 too, with `Retry-After: 0` (docs/wire/openstack.md#a10).
 */
function isRateLimited(answer: RawResponse): boolean {
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
  // A proxy may answer 5xx while the server behind it goes on working, so the outcome of a POST is unknown.
  if (status >= 500) return isIdempotent(request) ? "transient" : "ambiguous";
  // A bare 404 is a wrong address: only the service's own error body (`parseError`) proves that an object is absent.
  if (status >= 400) return "refused";
  // A redirect may be the answer to a request that was carried out (303 See Other).
  return isIdempotent(request) ? "malformed" : "ambiguous";
}

function parseError(request: HttpRequest<unknown>, answer: RawResponse, message: string): SnapcloneError {
  return new SnapcloneError({
    // By its status the request succeeded, so one that is not idempotent was probably carried out.
    kind: isIdempotent(request) ? "malformed" : "ambiguous",
    message,
    request: describe(request),
    requestId: answer.headers["x-openstack-request-id"],
    status: answer.status,
    tooLarge: answer.tooLarge,
    hint: `Check that the address is ${request.service}'s own and that no proxy answers in its place.`,
  });
}

/** For a request without a complete answer: the place of the failure decides whether it may have been carried out. */
export function networkError(request: HttpRequest<unknown>, error: unknown, tookTooLong: boolean): SnapcloneError {
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
      : `The request may have been carried out. Run again: the next run checks its outcome before it sends another one.${url.startsWith("http:") && !tookTooLong ? HTTPS_PERHAPS : ""}`,
  });
}

/** A TLS server of Node.js closes the connection without an answer when a client speaks plain http to it. */
const HTTPS_PERHAPS = " If it never answers here, its port may want https://.";

/** 400s of nginx and Apache themselves, with the setting to change. The service behind them has not seen the request. */
const WEB_SERVER_ERRORS: readonly (readonly [RegExp, string])[] = [
  [
    /plain HTTP request was sent to HTTPS port|speaking plain HTTP to an SSL/i,
    `Let the address begin with https://: ${ADDRESS}.`,
  ],
  [
    /No required SSL certificate was sent|SSL certificate error/i,
    "Set `cert` and `key` of the connection to a client certificate that the server accepts.",
  ],
];

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

/** The fields under which middlewares and gateways put their sentences, the general ones first. */
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
  // A map with one entry of any name: `{"overLimitFault": {…}}`.
  const inner = Object.values(json);
  return found.length > 0 || inner.length !== 1 ? [...new Set(found)] : wordsOfJson(inner[0], depth + 1);
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

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
