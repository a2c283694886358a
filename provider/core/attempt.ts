// The attempt says which create made an object. `check` writes it into a hidden input, so the state's entry and its pending
// operation have the same text as the object. Without the request's seed (docs/wire/pulumi-engine.md#request-fields) the
// attempt is unnamed, and the state does not have it. All are 16 hex digits. Backends with little room store the beginning.

import { randomBytes } from "node:crypto";
import { digest } from "./util/digest";

/** The id of an entry whose create had an unknown outcome. If the object exists, it has this attempt. */
const PROVISIONAL = /^unknown-([0-9a-f]{16})$/;

export function namedAttempt(seed: string): string {
  // Only unnamed attempts begin with a zero.
  return digest(seed).slice(0, 16).replace(/^0/, "1");
}

export function unnamedAttempt(): string {
  return withPendingCreates(randomBytes(8).toString("hex"), 1);
}

/** `count`: the number of pending creates of the resource that the state shows without a named attempt, this one included. */
export function withPendingCreates(attempt: string, count: number): string {
  const digits = Math.min(Math.max(1, count), 255).toString(16).padStart(2, "0");
  return `0${digits}${attempt.slice(3)}`;
}

/** The part of an attempt that does not change with its count. */
export function attemptKey(attempt: string): string {
  return pendingCreatesOf(attempt) === undefined ? attempt : attempt.slice(3);
}

/** undefined for a named attempt. */
export function pendingCreatesOf(attempt: string): number | undefined {
  const [, count] = /^0([0-9a-f]{2})/.exec(attempt) ?? [];
  return count === undefined ? undefined : Number.parseInt(count, 16);
}

/** True if they are equal, or one is the beginning of the other. */
export function isSameAttempt(one: string | undefined, other: string | undefined): boolean {
  if (!one || !other) return false;
  return one.startsWith(other) || other.startsWith(one);
}

export function provisionalId(attempt: string): string {
  return `unknown-${attempt}`;
}

/** The attempt in a provisional id; undefined for an id that the backend knows. */
export function attemptInId(id: string): string | undefined {
  return PROVISIONAL.exec(id)?.[1];
}
