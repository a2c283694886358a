// What the HTTP client is asked to send and what it answers.

import type { ZodType } from "zod";
import type { ErrorKind } from "../errors";

export interface HttpRequest<T> {
  method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  url: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** The name of the service for messages: "Cinder". */
  service: string;
  /** What the answer's body must be. Without it the body is ignored. */
  schema?: ZodType<T>;
  /** Set for idempotent POSTs: they are repeated even if the outcome of the first attempt is unknown. */
  idempotent?: boolean;
  /** The statuses that are no error. Default: 200–299. */
  accept?: readonly number[];
  /** Finds the secrets in an answer's text, so that no message quotes them. */
  secretsIn?: (text: string) => readonly string[];
  /** Reads the service's own error body. The status decides what it leaves out. */
  parseError?: (answer: RawResponse) => Partial<ParsedError> | undefined;
  signal?: AbortSignal | undefined;
}

export interface RawResponse {
  status: number;
  headers: Record<string, string>;
  text: string;
  /** The parsed body; undefined if it is not JSON. */
  json: unknown;
  /** The body was larger than any answer should be, and was dropped. */
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

/** Repeating the request has the same effect as sending it once (RFC 9110 §9.2.2). */
export function isIdempotent({ method, idempotent }: HttpRequest<unknown>): boolean {
  return idempotent ?? (method !== "POST" && method !== "PATCH");
}

/** For messages. */
export function describe(request: HttpRequest<unknown>): string {
  return `${request.method} ${request.url}`;
}
