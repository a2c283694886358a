// A service's rate limit, shared by all requests of one connection. A request that the limit turned away is sent again at
// the time that the server named. Until then no other request is sent, and afterwards few at first: a hundred resources
// that came back together would use up the next minute's allowance with refusals.

import { SnapcloneError } from "../errors";
import { abortableSleep, withAbort, withTimeLimit } from "../util/abort";
import type { Clock } from "../util/clock";
import { formatDuration } from "../util/duration";

/** How long a request may be repeated, and where its waits are shown. An OperationContext is one. */
export interface Patience {
  /** On the client's clock. Afterwards nothing is sent again. */
  readonly deadline: number;
  /** Ends a pause. It does not end a request that is under way. */
  readonly signal?: AbortSignal | undefined;
  progress?(text: string): void;
  /** Set for the run's own patience: a wait of many requests is then shown once. */
  readonly isShared?: boolean;
}

/** Milliseconds between two requests where the server names no time; doubled with each refusal in a row. */
const DEFAULT_INTERVAL = { first: 1_000, most: 60_000 };
/** The refusals of one wave come within this time, so that they are shown once. */
const SAME_WAVE_MS = 5_000;
/** When this many requests pass at once, the limit counts as gone. */
const UNLIMITED_FROM = 64;

export class RateGate {
  private opensAt = Number.NEGATIVE_INFINITY;
  private refusal: SnapcloneError | undefined;
  private refusalsInARow = 0;
  private allowedAtOnce = Number.POSITIVE_INFINITY;
  private underWay = 0;
  private waiting: (() => void)[] = [];
  private shownUntil = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly service: string,
    private readonly clock: Clock,
  ) {}

  /** Calls `send` again as long as the service's limit refuses it and `patience` lasts. */
  async pass<T>(send: () => Promise<T>, patience: Patience): Promise<T> {
    // The budget limits the sum of the pauses, in addition to the deadline.
    const wait = { patience, budget: patience.deadline - this.clock.now(), waitedFor: Number.NEGATIVE_INFINITY };
    for (;;) {
      await this.enter(wait);
      try {
        const answer = await send();
        this.open();
        return answer;
      } catch (error) {
        if (!wasRateLimited(error)) {
          this.open();
          throw error;
        }
        this.close(error);
      } finally {
        this.leave();
      }
    }
  }

  private async enter(wait: { patience: Patience; budget: number; waitedFor: number }): Promise<void> {
    const { patience } = wait;
    for (;;) {
      const { opensAt } = this;
      const ms = Math.ceil(opensAt - this.clock.now());
      if (ms > 0 && opensAt !== wait.waitedFor) {
        if (ms > wait.budget) throw this.tooLong(ms);
        this.showWait(patience, ms);
        await abortableSleep(
          this.clock,
          ms,
          patience.signal,
          `the run was stopped while it waited for ${this.service}'s rate limit; nothing was sent`,
        );
        wait.budget -= ms;
        wait.waitedFor = opensAt;
      } else if (this.underWay < this.allowedAtOnce) {
        this.underWay += 1;
        return;
      } else {
        await this.waitForOthers(patience);
      }
    }
  }

  /** Until one of the requests that are allowed at once has its answer, or until the operation's deadline. */
  private async waitForOthers({ deadline, signal }: Patience): Promise<void> {
    const left = deadline - this.clock.now();
    if (left <= 0) throw this.tooLong(0);
    const next = new Promise<void>((resolve) => this.waiting.push(resolve));
    await withTimeLimit(this.clock, left, withAbort(next, signal), () => this.tooLong(0));
  }

  private leave(): void {
    this.underWay -= 1;
    const { waiting } = this;
    this.waiting = [];
    for (const wake of waiting) wake();
  }

  /** Any answer but a refusal shows that requests pass again. */
  private open(): void {
    this.refusalsInARow = 0;
    this.allowedAtOnce *= 2;
    if (this.allowedAtOnce <= UNLIMITED_FROM) return;
    this.allowedAtOnce = Number.POSITIVE_INFINITY;
    this.refusal = undefined;
  }

  private close(refusal: SnapcloneError): void {
    const now = this.clock.now();
    const asked = refusal.retryAfterMs ?? 0;
    const byDefault = Math.min(DEFAULT_INTERVAL.most, DEFAULT_INTERVAL.first * 2 ** this.refusalsInARow);
    // Requests that were sent together count as one refusal. A request that was sent after the wait counts again.
    if (now >= this.opensAt) this.refusalsInARow += 1;
    this.opensAt = Math.max(this.opensAt, now + (asked > 0 ? asked : byDefault));
    this.allowedAtOnce = 1;
    this.refusal = refusal;
  }

  private showWait(patience: Patience, ms: number): void {
    const now = this.clock.now();
    if (patience.isShared) {
      if (now < this.shownUntil) return;
      this.shownUntil = now + ms + SAME_WAVE_MS;
    }
    const maintained = this.refusal?.parts.status === 503;
    const what = maintained
      ? `${this.service}, which is overloaded or being maintained`
      : `${this.service}'s rate limit`;
    patience.progress?.(`waiting for ${what}, ${formatDuration(ms)}`);
  }

  private tooLong(ms: number): SnapcloneError {
    const pause =
      ms > 0 ? `; the next attempt is due in ${formatDuration(ms)}, which is later than this operation may take` : "";
    return new SnapcloneError({
      kind: "transient",
      ...this.refusal?.parts,
      message: `${this.refusal?.parts.message ?? `${this.service} limits its requests`}${pause}. The request was not carried out`,
      hint: "Run again later, with fewer resources at once (`--parallel`), or give the operation more time (`customTimeouts`).",
    });
  }
}

function wasRateLimited(error: unknown): error is SnapcloneError {
  return error instanceof SnapcloneError && error.parts.rateLimited === true;
}
