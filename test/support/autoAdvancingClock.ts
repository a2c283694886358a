// A clock for tests over real sockets: waiting costs nothing, and an exchange with a server counts as much longer than it
// takes. Whoever only sleeps is woken at once, in the right order; while a request is under way, real time passes, `scale`
// times as fast, so that an answer that never comes still meets its deadline. No machine is too slow for it: no sleeper
// is woken early because a real answer is late, except by a deadline that `scale` puts seconds away.

import type { Clock } from "../../provider/core/util/clock";

interface Sleeper {
  until: number;
  wake(): void;
}

/** Turns of the event loop after which whoever was not asleep has had his say. */
const TURNS = 3;
/** Milliseconds between two looks at the time while a request is under way. */
const LOOK_MS = 2;

export class AutoAdvancingClock implements Clock {
  /** What was slept, in order. */
  readonly slept: number[] = [];
  private jumped = 0;
  private sleepers: Sleeper[] = [];
  private exchanges = 0;
  private pumping = false;
  private dates = 0;

  constructor(
    private readonly scale: number,
    /** Whether the calendar leaps ten years to and fro each time somebody looks at it. */
    private readonly calendarJumps = false,
    /** Told of each jump: the time of whatever has none of its own to go by. */
    private readonly passes: (ms: number) => void = () => {},
  ) {}

  now(): number {
    return this.jumped + performance.now() * this.scale;
  }

  date(): Date {
    this.dates += 1;
    const years = this.calendarJumps ? (this.dates % 2 === 0 ? -10 : 10) : 0;
    return new Date(Date.now() + years * 365 * 86_400_000);
  }

  /** For as long as `exchange` lasts, time does not jump. */
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

  /** Runs as long as anybody sleeps. */
  private async pump(): Promise<void> {
    this.pumping = true;
    for (;;) {
      for (let turn = 0; turn < TURNS; turn += 1) await new Promise(setImmediate);
      const next = this.sleepers.toSorted((a, b) => a.until - b.until)[0];
      if (next === undefined) break;
      if (this.exchanges > 0 && next.until > this.now()) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        continue;
      }
      const ms = Math.max(0, next.until - this.now());
      this.jumped += ms;
      this.passes(ms);
      this.sleepers = this.sleepers.filter((other) => other !== next);
      next.wake();
    }
    this.pumping = false;
  }
}
