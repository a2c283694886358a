// A clock for tests over real sockets, which runs faster than real time. What it counts is how long this process has run: a
// step of its event loop counts as STEP_MS at most, however long the machine took for it. So a request takes the same part
// of a deadline on a loaded machine. The emulator's clock must go with it, as real time would not: see `drive`.

import type { Clock } from "../../provider/core/util/clock";

interface Sleeper {
  until: number;
  wake(): void;
}

/** Real milliseconds. */
const STEP_MS = 2;

export class ScaledClock implements Clock {
  private passedMs = 0;
  private seenAt = performance.now();
  private readonly sleepers = new Set<Sleeper>();
  private timer: NodeJS.Timeout | undefined;
  private driven: { now(): Date; tick(ms: number): void } | undefined;

  /** `origin`: the time from which dates run at this scale, too. Default: dates are real. */
  constructor(
    private readonly scale: number,
    private readonly origin?: number,
  ) {}

  /** From now on this clock advances the clock of an emulator, whose mode is `manual`. */
  drive({ clock }: { clock: { now(): Date; tick(ms: number): void } }): void {
    this.advance();
    this.driven = clock;
    // A new emulator begins at the real time. Our dates are never behind the emulator's.
    if (this.origin !== undefined) this.passedMs = Math.max(this.passedMs, clock.now().getTime() - this.origin);
  }

  now(): number {
    this.advance();
    return this.passedMs;
  }

  date(): Date {
    return this.origin === undefined ? new Date() : new Date(this.origin + this.now());
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const leave = () => {
        this.sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const wake = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const sleeper = { until: this.now() + ms, wake };
      this.sleepers.add(sleeper);
      signal?.addEventListener("abort", leave, { once: true });
      this.waitForSleepers();
    });
  }

  /** Lets time pass on this clock alone. */
  skip(ms: number): void {
    this.passedMs += ms;
  }

  private advance(): void {
    const at = performance.now();
    const ms = Math.min(at - this.seenAt, STEP_MS) * this.scale;
    this.seenAt = at;
    this.passedMs += ms;
    this.driven?.tick(ms);
  }

  private waitForSleepers(): void {
    if (this.timer !== undefined || this.sleepers.size === 0) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      const now = this.now();
      const due = [...this.sleepers].filter(({ until }) => until <= now).sort((a, b) => a.until - b.until);
      for (const sleeper of due) {
        this.sleepers.delete(sleeper);
        sleeper.wake();
      }
      this.waitForSleepers();
    }, 1);
  }
}
