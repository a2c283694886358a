// A "not found" right after the backend has accepted something may come from a replica or a cell that lags behind.

import type { Clock } from "./util/clock";

/** Lags of replicas and message queues end in seconds. */
const GRACE_MS = 30_000;

/** Tells in a wait when an object that was accepted is proven gone: every look for half a minute said "not found". */
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
