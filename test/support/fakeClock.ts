// A clock for tests: time passes only while somebody sleeps, and then at once.

import type { Clock } from "../../provider/core/util/clock";

interface Sleeper {
  until: number;
  wake(): void;
}

export class FakeClock implements Clock {
  private time = 0;
  private sleepers: Sleeper[] = [];
  /** What was slept, in order. */
  readonly slept: number[] = [];

  now(): number {
    return this.time;
  }

  date(): Date {
    return new Date(Date.UTC(2026, 0, 1) + this.time);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    this.slept.push(ms);
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.sleepers = this.sleepers.filter((other) => other !== sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        until: this.time + ms,
        wake: () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        },
      };
      this.sleepers.push(sleeper);
      signal?.addEventListener("abort", abort);
    });
  }

  /** Runs `work`, letting time jump to the next sleeper whenever nothing else moves. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    let ended = false;
    const result = work().finally(() => {
      ended = true;
    });
    result.catch(() => {});
    while (!ended) {
      for (let turn = 0; turn < 20 && !ended; turn += 1) await new Promise(setImmediate);
      this.sleepers.sort((a, b) => a.until - b.until);
      const next = ended ? undefined : this.sleepers.shift();
      if (next) {
        this.time = Math.max(this.time, next.until);
        next.wake();
      }
    }
    return result;
  }
}
