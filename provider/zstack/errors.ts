// ZStack's errors: how they are read from answers and jobs, which kind each of their codes is, and what a user can do.
// The facts are in docs/wire/zstack.md#s2-8 and #s6.

import { type ErrorKind, type ErrorParts, SnapcloneError, truncate } from "../core/errors";
import type { ParsedError, RawResponse } from "../core/http/request";
import { isRecord } from "../core/util/values";
import type { ZStackSettings } from "./connection";

/** An error that ZStack itself reports. Match it by `codes`: `details` may be Chinese (docs/wire/zstack.md#s2-8). */
export interface Fault {
  /** The error's own code, then those of its causes at any depth. */
  codes: readonly string[];
  message: string;
}

export class ZStackError extends SnapcloneError {
  constructor(
    parts: ErrorParts,
    readonly codes: readonly string[],
  ) {
    super(parts);
  }

  override withOperation(operation: string, hint?: string): ZStackError {
    return new ZStackError(
      { ...this.parts, operation: this.parts.operation ?? operation, hint: this.parts.hint ?? hint },
      this.codes,
    );
  }
}

/** The server has received this job id before. */
export class DuplicateJob extends SnapcloneError {}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof ZStackError && error.codes.includes(code);
}

/** The session was lost. ZStack rejected the request before it did anything (docs/wire/zstack.md#s1-3). */
export const SESSION_LOST = "ID.1001";
const NOT_FOUND = "SYS.1003";

/** A refusal of the call itself, before anything was done. ZStack never answers 401 (docs/wire/zstack.md#s1-3), a gateway may. */
export function isSessionLost(error: unknown): error is SnapcloneError {
  return hasCode(error, SESSION_LOST) || (error instanceof SnapcloneError && error.parts.status === 401);
}

/** `missing header 'Authorization'` (docs/wire/zstack.md#s1-3). */
export function isSessionWanted(error: unknown): boolean {
  return error instanceof SnapcloneError && error.parts.status === 400 && error.parts.message.includes("Authorization");
}

/** Whether the answer to the query of a job says that there is no such job, and not that the job has failed. */
export function isOfUnknownJob(error: SnapcloneError, job: string): boolean {
  const { status, message } = error.parts;
  if (status === 404) return error.kind === "notFound" || error instanceof ZStackError;
  return hasCode(error, NOT_FOUND) && message.includes(job);
}

/** A message timed out or got lost on its way to an agent: the work may continue for hours (docs/wire/zstack.md#s6). */
const OUTCOME_UNKNOWN = /^SYS\.(1001|1011|1015|1016)$/;

export function isOutcomeUnknown({ codes }: Pick<Fault, "codes">): boolean {
  return codes.some((code) => OUTCOME_UNKNOWN.test(code));
}

/** Finds `{"error": {…}}` in a 503, in a job's 200 and in an entry of a clone's result. `success: false` is an error, too. */
export function faultIn(body: unknown): Fault | undefined {
  if (!isRecord(body)) return undefined;
  if (isRecord(body.error)) return faultOf(body.error);
  return body.success === false ? { codes: [], message: "ZStack reports a failure without a reason" } : undefined;
}

function faultOf(error: Record<string, unknown>): Fault {
  const chain: { code: string; text: string }[] = [];
  const walk = (one: unknown, depth: number) => {
    if (!isRecord(one) || depth > 20) return;
    const text = [one.details, one.description].find((words) => typeof words === "string" && words.trim() !== "");
    chain.push({ code: typeof one.code === "string" ? one.code : "", text: unescapeHtml(String(text ?? "")).trim() });
    walk(one.cause, depth + 1);
    if (Array.isArray(one.causes)) for (const cause of one.causes) walk(cause, depth + 1);
  };
  walk(error, 0);
  const [own, ...causes] = chain;
  const deepest = causes.at(-1);
  const line = ({ code, text }: { code: string; text: string }) =>
    [code, truncate(text, 400)].filter(Boolean).join(": ");
  const cause = deepest && deepest.text !== own?.text ? line(deepest) : deepest?.code;
  const first = own && line(own) !== "" ? line(own) : "an error without a code";
  return {
    codes: chain.map(({ code }) => code).filter(Boolean),
    message: cause ? `${first} (cause: ${cause})` : first,
  };
}

/** Gson escapes for HTML (docs/wire/zstack.md#s2-7). JSON.parse has undone its \u003d, but some layers add entities. */
function unescapeHtml(text: string): string {
  const named: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(
    /&(?:#(\d+)|(lt|gt|quot|apos|amp));/g,
    (_all, code: string | undefined, name: string | undefined) =>
      code === undefined ? (named[name ?? ""] ?? "") : String.fromCodePoint(Math.min(Number(code), 0x10ffff)),
  );
}

/** ZStack's own errors are a 503 with JSON; everything else is plain text (docs/wire/zstack.md#s2-6). */
export function parseError(
  { status, json, text }: RawResponse,
  { method, path }: { method: string; path: string },
  settings: ZStackSettings,
): Partial<ParsedError> | undefined {
  const fault = faultIn(json);
  if (fault) {
    const from = path.startsWith("/api-jobs/") ? "job" : method === "GET" ? "query" : "request";
    return { message: fault.message, ...classify(fault.codes, from, settings) };
  }
  if (status >= 300 && status < 400 && path === "/accounts/login") {
    return {
      kind: "config",
      message: "the address has moved",
      hint: `Credentials are not sent to the target of a redirect. Set that target as the address in ${settings.source}: often the same address with https.`,
    };
  }
  if (/^\s*</.test(text)) return undefined;
  const quoted = text.trim() === "" ? {} : { message: `"${truncate(unescapeHtml(text.trim()), 400)}"` };
  // ZStack never answers 401 (docs/wire/zstack.md#s1-3): a gateway in front of ZStack asks for credentials.
  if (status === 401) return { ...quoted, hint: `The credentials come from ${settings.source}.` };
  // ZStack answers 403 to access keys only (docs/wire/zstack.md#s1-4).
  if (status === 403 && settings.auth.method === "accessKey") {
    return { kind: "unauthorized", ...quoted, hint: accessKeyHint(settings) };
  }
  // ZStack's words are "the job has been expired"; those of an address that there is not are others.
  if (status === 404 && path.startsWith("/api-jobs/") && !text.includes("no api mapping")) {
    return { kind: "notFound", ...quoted };
  }
  if (status === 404) {
    return {
      kind: "config",
      ...quoted,
      hint: `Correct the address in ${settings.source}: http://<host>:8080/zstack.`,
    };
  }
  return status === 400 || status === 405 ? { kind: "refused", ...quoted } : undefined;
}

/** The error of a job that has failed. */
export function jobError(fault: Fault, job: string, settings: ZStackSettings): ZStackError {
  const { kind, hint } = classify(fault.codes, "job", settings);
  return new ZStackError({ kind, message: fault.message, hint, request: `job ${job}` }, fault.codes);
}

/** The error of a job that ZStack has forgotten, when the effect of the job does not show either. */
export function forgottenJob(operation: string, job: string): SnapcloneError {
  const message = `ZStack no longer knows the job that was to ${operation}, and nothing shows that the job succeeded`;
  return new SnapcloneError({ kind: "transient", message, request: `job ${job}` });
}

/** One error for several. Every message is kept; the kind is "notFound" only if no error has another kind. */
export function combineErrors(errors: readonly SnapcloneError[]): SnapcloneError {
  const [first, ...others] = [...errors].sort((a, b) => priority(b) - priority(a));
  if (first === undefined) throw new Error("there is no error to combine");
  if (others.length === 0) return first;
  const message = [...new Set([first, ...others].map(({ parts }) => parts.message))].join("; ");
  return new SnapcloneError({ ...first.parts, message });
}

/** The next run resumes work that was stopped or ran out of time, so these kinds must survive a combination. */
function priority({ kind }: SnapcloneError): number {
  if (kind === "notFound") return 0;
  return kind === "stopped" || kind === "deadline" ? 2 : 1;
}

/** Classifies by code alone (docs/wire/zstack.md#s6). The first code is the error's own. */
function classify(
  codes: readonly string[],
  from: "query" | "request" | "job",
  settings: ZStackSettings,
): { kind: ErrorKind; hint?: string } {
  const has = (pattern: RegExp) => codes.some((code) => pattern.test(code));
  if (has(/^ID\.(1000|1001|1005|1006|2\d\d\d)$/)) {
    const login = Object.entries(LOGIN_HINTS).find(([code]) => codes.includes(code))?.[1] ?? "";
    const hint = [`The credentials come from ${settings.source}.`, login, staleConfigHint(settings)];
    return { kind: "unauthorized", hint: hint.filter(Boolean).join(" ") };
  }
  if (has(/^ID\.1002$/)) {
    return { kind: "forbidden", hint: "The account's roles do not allow this. Ask an administrator." };
  }
  const kind: ErrorKind = from === "job" ? "failed" : "refused";
  // A query that finds nothing returns an empty list (docs/wire/zstack.md#s9-5): this code in a query proves nothing.
  if (codes[0] === NOT_FOUND && from !== "query") return { kind: "notFound" };
  const text = HINTS.find(([pattern]) => has(pattern))?.[1];
  const hint = text === undefined ? {} : { hint: text };
  // ZStack did nothing, and the cause passes: the management node or its message bus is starting.
  if (from !== "job" && has(/^SYS\.(1010|1011|1012|2111)$/)) return { kind: "transient", ...hint };
  if (from === "query" && has(/^SYS\.(1000|1001|1015|1016)$/)) return { kind: "transient", ...hint };
  return { kind, ...hint };
}

function accessKeyHint(settings: ZStackSettings): string {
  const { auth, source } = settings;
  const zone = (auth.method === "accessKey" ? auth.timeZone : undefined) ?? "this machine's own";
  return [
    `The access key comes from ${source}. Check its id and secret, and that it is enabled.`,
    // `rest/checkTimeZone` is off by default, so ZStack compares wall clocks, within 15 minutes
    // (docs/wire/zstack.md#s1-4).
    `ZStack compares the digits of the request's clock with its own wall clock and ignores the zone. The time zone in use is ${zone}; set \`timeZone\` to the management node's (such as Asia/Shanghai).`,
    staleConfigHint(settings),
  ]
    .filter(Boolean)
    .join(" ");
}

/** docs/wire/pulumi-engine.md#rotation. */
function staleConfigHint({ sourceKind }: ZStackSettings): string {
  return sourceKind === "stackConfig"
    ? "`pulumi refresh` and `pulumi destroy` use the stack configuration of the last `pulumi up`: after a change of credentials run them with `--run-program`."
    : "";
}

const LOGIN_HINTS: Readonly<Record<string, string>> = {
  "ID.1000": "ZStack gives the same answer for an unknown account and for a wrong password.",
  "ID.1005": "The account must change its password first, in ZStack's own interface.",
  "ID.1006": "The account has too many sessions: close some, or use an access key.",
};

export const HINTS: readonly (readonly [RegExp, string])[] = [
  [/^ID\.1003$/, "The account's quota is full: remove what is no longer needed, or ask an administrator for more."],
  [/^HOST_ALLOCATION\./, "No host has room: free processors or memory, add a host, or choose another cluster."],
  [/^PS\.1000$/, "The primary storage has no space left."],
  [/^PS\.1003$/, "The primary storage is not connected."],
  [/^L3\.1000$/, "The network has no free address."],
  [/^VM\.1010$/, "The VM is in a state that does not allow this. Run again when the state has changed."],
  [/^LICENSE\./, "The licence does not allow this."],
  [/^SYS\.(1010|1011|1012|2111)$/, "The management node is not ready. Run again when it is."],
];
