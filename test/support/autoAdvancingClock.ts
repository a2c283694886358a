// A clock for tests over real sockets (like sinon's `shouldAdvanceTime`). While nothing but sleepers is waiting, the clock
// jumps to the next of them, in the right order. While a request is running, real time passes `scale` times as fast, so that
// a missing answer still meets its deadline. A slow machine wakes no sleeper early, except at a deadline, which `scale` puts
// seconds away.

import type { Clock } from "../../provider/core/util/clock";

interface Sleeper {
  until: number;
  wake(): void;
}

/** Turns of the event loop to wait before time advances, so that pending callbacks of promises can run. */
const EVENT_LOOP_TURNS = 3;
/** Milliseconds between two checks of the time while a request is running. */
const CHECK_INTERVAL_MS = 2;

export class AutoAdvancingClock implements Clock {
  /** The milliseconds of each sleep, in order. */
  readonly slept: number[] = [];
  private jumped = 0;
  private sleepers: Sleeper[] = [];
  private exchanges = 0;
  private pumping = false;
  private dates = 0;

  constructor(
    private readonly scale: number,
    /** True if the date jumps ten years forth and back at each call. */
    private readonly calendarJumps = false,
    /** Called with the milliseconds of each jump, to advance another clock. */
    private readonly onAdvance: (ms: number) => void = () => {},
  ) {}

  now(): number {
    return this.jumped + performance.now() * this.scale;
  }

  date(): Date {
    this.dates += 1;
    const years = this.calendarJumps ? (this.dates % 2 === 0 ? -10 : 10) : 0;
    return new Date(Date.now() + years * 365 * 86_400_000);
  }

  /** Time does not jump while `exchange` is running. */
  async during<T>(exchange: () => Promise<T>): Promise<T> {
    this.exchanges += 1;
    try {
      return await exchange();
    } finally {
      this.exchanges -= 1;
    }
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
        until: this.now() + ms,
        wake: () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        },
      };
      this.sleepers.push(sleeper);
      signal?.addEventListener("abort", abort, { once: true });
      if (!this.pumping) void this.pump();
    });
  }

  /** Runs while there is a sleeper. */
  private async pump(): Promise<void> {
    this.pumping = true;
    for (;;) {
      for (let turn = 0; turn < EVENT_LOOP_TURNS; turn += 1) await new Promise(setImmediate);
      const next = this.sleepers.toSorted((a, b) => a.until - b.until)[0];
      if (next === undefined) break;
      if (this.exchanges > 0 && next.until > this.now()) {
        await new Promise((resolve) => setTimeout(resolve, CHECK_INTERVAL_MS));
        continue;
      }
      const ms = Math.max(0, next.until - this.now());
      this.jumped += ms;
      this.onAdvance(ms);
      this.sleepers = this.sleepers.filter((other) => other !== next);
      next.wake();
    }
    this.pumping = false;
  }
}
