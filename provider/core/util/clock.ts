// Time, injected: everything that waits takes a Clock, so that tests run hours in milliseconds and a wall clock that
// jumps (NTP, a laptop's sleep) moves no deadline.

import { Pacer } from "./pacer";

export interface Clock {
  /** Milliseconds that only ever grow; the zero is arbitrary. For deadlines and intervals. */
  now(): number;
  /** The calendar. For records that people read. */
  date(): Date;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Call it between pieces of work that may come by the hundred. A clock that skips time has no need of it. */
  yield?(): Promise<void>;
}

/** The longest timer of Node.js, 24.8 days: a longer one would end at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const pacer = new Pacer();

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  yield: () => pacer.yield(),
  sleep(ms, signal) {
    // Not node:timers/promises: when hundreds of sleeps are aborted together, each would cost an error with its stack.
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const leave = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const end = performance.now() + ms;
      const goOn = () => {
        const left = end - performance.now();
        if (left > LONGEST_TIMER_MS) {
          timer = setTimeout(goOn, LONGEST_TIMER_MS);
          return;
        }
        timer = setTimeout(() => {
          signal?.removeEventListener("abort", leave);
          resolve();
        }, left);
      };
      let timer: NodeJS.Timeout | undefined;
      goOn();
      signal?.addEventListener("abort", leave, { once: true });
    });
  },
};
