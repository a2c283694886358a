// Which create made an object. `check` names the attempt in a hidden input, so the state's entry and its pending operation
// have the same text as the object. Where the request's seed can't be had (docs/wire/pulumi-engine.md#request-fields), the
// attempt is unnamed, and the state knows nothing of it. All are 16 hex digits; backends with little
// room store the beginning.

import { randomBytes } from "node:crypto";
import { digest } from "./util/digest";

/** The id of an entry whose create had an unknown outcome: the object may exist, and bears the attempt. */
const PROVISIONAL = /^unknown-([0-9a-f]{16})$/;

export function namedAttempt(seed: string): string {
  // A zero in front is what marks an unnamed one.
  return digest(seed).slice(0, 16).replace(/^0/, "1");
}

export function unnamedAttempt(): string {
  return withPendingCreates(randomBytes(8).toString("hex"), 1);
}

/** `count`: how many pending creates of the resource without a named attempt the state shows, this one's included. */
export function withPendingCreates(attempt: string, count: number): string {
  const digits = Math.min(Math.max(1, count), 255).toString(16).padStart(2, "0");
  return `0${digits}${attempt.slice(3)}`;
}

/** The same for an attempt whatever it counts. */
export function attemptKey(attempt: string): string {
  return pendingCreatesOf(attempt) === undefined ? attempt : attempt.slice(3);
}

/** undefined: the attempt is named. */
export function pendingCreatesOf(attempt: string): number | undefined {
  const [, count] = /^0([0-9a-f]{2})/.exec(attempt) ?? [];
  return count === undefined ? undefined : Number.parseInt(count, 16);
}

/** One of the two may be the beginning of the other. */
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
