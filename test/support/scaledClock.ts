// A clock that runs faster than real time, for tests whose emulator has `clock: { scale }` with the same scale.

import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../../provider/core/util/clock";

export class ScaledClock implements Clock {
  private skippedMs = 0;

  /** `origin`: the time from which dates run at this scale, too. Default: dates are real. */
  constructor(
    private readonly scale: number,
    private readonly origin?: number,
  ) {}

  now(): number {
    return performance.now() * this.scale + this.skippedMs;
  }

  date(): Date {
    if (this.origin === undefined) return new Date();
    return new Date(this.origin + (Date.now() - this.origin) * this.scale);
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await delay(ms / this.scale, undefined, signal ? { signal } : undefined);
  }

  /** Lets time pass on this clock alone. */
  skip(ms: number): void {
    this.skippedMs += ms;
  }
}
