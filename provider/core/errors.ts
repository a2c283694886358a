// Every failure that the provider expects is a SnapcloneError: which operation failed on which object, the backend's message,
// and what the user can do. This is the only place where errors become text, and secrets are redacted here.

import { inspect, types } from "node:util";

export type ErrorKind =
  /** The user's inputs are wrong; nothing was sent. */
  | "input"
  /** A connection is missing or wrong; nothing was sent. */
  | "config"
  /** The credential was not accepted. */
  | "unauthorized"
  /** The credential was accepted and may not do this. Never read as "gone". */
  | "forbidden"
  /** The backend itself says that this object does not exist. The only proof of absence. */
  | "notFound"
  /** The backend understood the request and refused it. Trying again changes nothing. */
  | "refused"
  /** Not carried out, or idempotent: may be sent again. */
  | "transient"
  /** Sent, and no usable answer came: the request may have been carried out. Never sent again blindly. */
  | "ambiguous"
  /** The answer is not what the API promises (HTML, cut off, wrong type, too large). */
  | "malformed"
  /** The backend accepted the work, and the work failed. */
  | "failed"
  /** The operation's deadline came before the end of the backend's work. */
  | "deadline"
  /** The run was cancelled. */
  | "stopped";

export interface ErrorParts {
  kind: ErrorKind;
  /** What went wrong, in the backend's words where there are any. */
  message: string;
  /** The operation that failed: `create snapshot "nightly"`. Usually added by `withOperation`. */
  operation?: string | undefined;
  /** What the user can do about it. Holds no text of a backend, so it is not redacted. */
  hint?: string | undefined;
  /** Method and URL of the request, where one was made. */
  request?: string | undefined;
  status?: number | undefined;
  requestId?: string | undefined;
  /** The server's `Retry-After`, in milliseconds. */
  retryAfterMs?: number | undefined;
  /** The answer was larger than any should be. A request for less may succeed. */
  tooLarge?: true | undefined;
  /** A rate limit refused the request before it was carried out. */
  rateLimited?: true | undefined;
  cause?: unknown;
}

export class SnapcloneError extends Error {
  readonly parts: Readonly<ErrorParts>;

  constructor(parts: ErrorParts) {
    // Cinder prints whole regular expressions into a 400 (docs/wire/openstack.md#a2); proxies send whole pages.
    const clean: ErrorParts = { ...parts, message: truncate(parts.message, 1000) };
    if (parts.operation !== undefined) clean.operation = redact(parts.operation);
    if (parts.request !== undefined) clean.request = redact(parts.request);
    if (parts.cause !== undefined) clean.cause = redactedCause(parts.cause);
    super(text(clean), clean.cause === undefined ? undefined : { cause: clean.cause });
    this.name = "SnapcloneError";
    this.parts = clean;
    // Pulumi prints an error's `stack` for check, diff, read and delete (docs/wire/pulumi-engine.md#errors). For an
    // expected failure the message is all that a user needs.
    this.stack = this.message;
  }

  get kind(): ErrorKind {
    return this.parts.kind;
  }

  get retryAfterMs(): number | undefined {
    return this.parts.retryAfterMs;
  }

  /** The same failure with an operation and a hint, where it has none yet. */
  withOperation(operation: string, hint?: string): SnapcloneError {
    return new SnapcloneError({
      ...this.parts,
      operation: this.parts.operation ?? operation,
      hint: this.parts.hint ?? hint,
    });
  }
}

export function isKind(error: unknown, ...kinds: ErrorKind[]): error is SnapcloneError {
  return error instanceof SnapcloneError && kinds.includes(error.kind);
}

/** The text of what was thrown. Not redacted. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Anything thrown, as a SnapcloneError. An unexpected error keeps its stack in the text, since it is a bug to report. */
export function asSnapcloneError(error: unknown, operation: string): SnapcloneError {
  if (error instanceof SnapcloneError) return error.withOperation(operation);
  const message = error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error);
  return new SnapcloneError({
    kind: "failed",
    message: `unexpected error, please report it: ${message}`,
    operation,
    cause: error,
  });
}

const secrets = new Set<string>();

/** From now on `value` is redacted in every error and log line. Called where a credential or token enters. */
export function registerSecret(value: string | undefined): void {
  // A secret of one or two characters would redact half of every message and protect nothing.
  if (value !== undefined && value.length >= 3) secrets.add(value);
}

export function redact(textWithSecrets: string): string {
  let out = textWithSecrets;
  // Longest first, so that a secret that contains another one is redacted as a whole.
  for (const secret of [...secrets].sort((a, b) => b.length - a.length)) {
    for (const form of new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])) {
      out = out.replaceAll(form, "[redacted]");
    }
  }
  // Fernet tokens begin with version byte 0x80: base64 "gAAAA" (the Fernet specification). And user:password@ in URLs.
  return out.replace(/gAAAA[\w-]{16,}=*/g, "[redacted]").replace(/(https?:\/\/)[^\s/@]+@/g, "$1[redacted]@");
}

/** Causes are short chains: undici's error, and Node's below it. */
const MAX_CAUSES = 8;

/**
 * A copy of the cause without its secrets, since Node's `inspect` prints an error with its causes. Of an error's own
 * properties the copy has `code` and `errors`, which callers read.
 */
function redactedCause(cause: unknown, depth = 0): unknown {
  if (cause instanceof SnapcloneError) return cause;
  // Not by `instanceof`: under Jest, Node's own errors come from another realm.
  if (!types.isNativeError(cause)) return redact(typeof cause === "string" ? cause : inspect(cause));
  const inner = depth < MAX_CAUSES && cause.cause !== undefined ? redactedCause(cause.cause, depth + 1) : undefined;
  const copy = new Error(redact(cause.message), inner === undefined ? undefined : { cause: inner });
  copy.name = cause.name;
  copy.stack = redact(cause.stack ?? String(cause));
  const code: unknown = Reflect.get(cause, "code");
  // An AggregateError has an error for each address of a host.
  const errors: unknown = Reflect.get(cause, "errors");
  return Object.assign(copy, {
    ...(code === undefined ? {} : { code }),
    ...(Array.isArray(errors) && depth < MAX_CAUSES
      ? { errors: errors.map((one) => redactedCause(one, depth + 1)) }
      : {}),
  });
}

function text({ operation, message, hint, request, status, requestId }: ErrorParts): string {
  const facts = [
    status === undefined ? "" : `HTTP ${status}`,
    requestId ? `request id ${requestId}` : "",
    request ?? "",
  ]
    .filter((fact) => fact !== "")
    .join(", ");
  const line = `${operation ? `cannot ${operation}: ` : ""}${message}${facts ? ` (${facts})` : ""}`;
  return hint ? `${line}\n${hint}` : line;
}

/** The beginning of a text, for an error. Redacts before it cuts, since half a secret would not be recognised. */
export function truncate(text: string, limit: number): string {
  const clean = redact(text);
  return clean.length <= limit ? clean : `${clean.slice(0, limit)} … (${clean.length} characters)`;
}
