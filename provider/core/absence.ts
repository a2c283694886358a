// What a "not found" proves: nothing in the first seconds after the backend has accepted something, since a replica or a
// cell may lag behind.

import { isKind } from "./errors";
import type { Clock } from "./util/clock";

/** Lags of replicas and message queues end in seconds. */
const GRACE_MS = 30_000;

/** In a poll: an accepted object is proven gone when every fetch for half a minute has said "not found". */
export class AbsenceTimer {
  private since: number | undefined;

  constructor(private readonly clock: Clock) {}

  isProven(found: boolean): boolean {
    if (found) {
      this.since = undefined;
      return false;
    }
    this.since ??= this.clock.now();
    return this.clock.now() - this.since >= GRACE_MS;
  }
}

/** undefined where the error proves that the object is gone; throws every other error. */
export async function orUndefined<T>(
  request: Promise<T>,
  isGone: (error: unknown) => boolean = (error) => isKind(error, "notFound"),
): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
