// Time, injected: everything that waits takes a Clock, so that tests run hours in milliseconds and a wall clock that
// jumps (NTP, a laptop's sleep) moves no deadline.

import { setTimeout as delay } from "node:timers/promises";

export interface Clock {
  /** Milliseconds that only ever grow; the zero is arbitrary. For deadlines and intervals. */
  now(): number;
  /** The calendar. For records that people read. */
  date(): Date;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, signal ? { signal } : undefined);
    } catch (error) {
      // Node wraps the reason in an AbortError of its own; callers want what they aborted with.
      throw signal?.aborted ? signal.reason : error;
    }
  },
};
