// The emulator's own time: it decides when asynchronous work ends and what created_at and expires_at say.

export type ClockMode = "real" | "instant" | "manual" | { readonly scale: number };

export class Clock {
  readonly mode: ClockMode;
  private originReal = Date.now();
  private ticked = 0;
  private lastStamp = 0;

  constructor(mode: ClockMode = "real") {
    if (typeof mode === "object" && !(Number.isFinite(mode.scale) && mode.scale > 0))
      throw new Error(`clock scale must be a positive number, not ${mode.scale}`);
    this.mode = mode;
  }

  /**
   * Starts at the real time in every mode, because clients compare `expires_at` with their own clock. Then it runs as
   * the mode says. Under `instant` the time is real, and work takes none of it.
   */
  nowMs(): number {
    if (this.mode === "manual") return this.originReal + this.ticked;
    const passed = Date.now() - this.originReal;
    return this.originReal + (typeof this.mode === "object" ? passed * this.mode.scale : passed) + this.ticked;
  }

  now(): Date {
    return new Date(this.nowMs());
  }

  /** Advances the time. Meant for `manual`; works in the other modes, too. */
  tick(ms: number): void {
    if (!Number.isFinite(ms) || ms < 0) throw new Error(`tick needs milliseconds >= 0, not ${ms}`);
    this.ticked += ms;
  }

  /** How long work takes in this mode. Infinity stays Infinity. */
  duration(ms: number): number {
    return this.mode === "instant" && Number.isFinite(ms) ? 0 : ms;
  }

  /** Microseconds since the epoch, each value once: rows created in the same millisecond keep their order. */
  stamp(atMs: number = this.nowMs()): number {
    this.lastStamp = Math.max(this.lastStamp + 1, Math.round(atMs * 1000));
    return this.lastStamp;
  }

  reset(): void {
    this.originReal = Date.now();
    this.ticked = 0;
    this.lastStamp = 0;
  }
}

/** `2026-11-21T01:43:31.709994`: microseconds, no zone, as OpenStack's services print their UTC columns. */
export function isoMicroseconds(microseconds: number): string {
  const ms = Math.floor(microseconds / 1000);
  const rest = String(microseconds - ms * 1000).padStart(3, "0");
  return new Date(ms).toISOString().replace("Z", rest);
}
