// A service's rate limit, shared by all requests of one connection. What a limit turned away is asked again when the
// server said; until then nobody else asks either, and afterwards few at first: a hundred resources that come back
// together would use up the next minute's allowance with refusals.

import { SnapcloneError } from "../errors";
import { abortableSleep } from "../util/abort";
import type { Clock } from "../util/clock";
import { formatDuration } from "../util/duration";

/** What a request may use of the operation that it is part of: an OperationContext is one. */
export interface Patience {
  /** On the client's clock: from then on nothing is asked again. */
  readonly deadline: number;
  /** Ends a pause. A request that is under way is not ended by it. */
  readonly signal?: AbortSignal | undefined;
  progress?(text: string): void;
  /** It is the run's and not one operation's: one wait of many requests is told once. */
  readonly isShared?: boolean;
}

/** Between two requests where the server names no time: doubled with each refusal in a row. */
const UNTOLD_PAUSE_MS = { first: 1_000, most: 60_000 };
/** Refusals of one wave come within this time. */
const TOLD_AGAIN_MS = 5_000;
/** From here on the limit is taken for gone. */
const OPEN_AGAIN = 64;

export class RateGate {
  private opensAt = Number.NEGATIVE_INFINITY;
  private refusal: SnapcloneError | undefined;
  private refusalsInARow = 0;
  private allowedAtOnce = Number.POSITIVE_INFINITY;
  private underWay = 0;
  private waiting: (() => void)[] = [];
  private toldUntil = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly service: string,
    private readonly clock: Clock,
  ) {}

  /** Sends what `send` sends, again and again while the service turns it away and `patience` lasts. */
  async pass<T>(send: () => Promise<T>, patience: Patience): Promise<T> {
    // A budget beside the deadline: the sum of the pauses, whatever the clock does meanwhile.
    const turn = { patience, budget: patience.deadline - this.clock.now(), waitedFor: Number.NEGATIVE_INFINITY };
    for (;;) {
      await this.enter(turn);
      try {
        const answer = await send();
        this.open();
        return answer;
      } catch (error) {
        if (!wasTurnedAway(error)) {
          this.open();
          throw error;
        }
        this.close(error);
      } finally {
        this.leave();
      }
    }
  }

  private async enter(turn: { patience: Patience; budget: number; waitedFor: number }): Promise<void> {
    const { patience } = turn;
    for (;;) {
      const { opensAt } = this;
      const ms = Math.ceil(opensAt - this.clock.now());
      if (ms > 0 && opensAt !== turn.waitedFor) {
        if (ms > turn.budget) throw this.tooLong(ms);
        this.tellWait(patience, ms);
        await abortableSleep(
          this.clock,
          ms,
          patience.signal,
          `the run was stopped while it waited for ${this.service}'s rate limit; nothing was sent`,
        );
        turn.budget -= ms;
        turn.waitedFor = opensAt;
      } else if (this.underWay < this.allowedAtOnce) {
        this.underWay += 1;
        return;
      } else {
        await new Promise<void>((resolve) => this.waiting.push(resolve));
        if (this.refusal && this.clock.now() > patience.deadline) throw this.tooLong(0);
      }
    }
  }

  private leave(): void {
    this.underWay -= 1;
    const { waiting } = this;
    this.waiting = [];
    for (const wake of waiting) wake();
  }

  /** An answer, whatever it says, shows that requests pass again. */
  private open(): void {
    this.refusalsInARow = 0;
    this.allowedAtOnce *= 2;
    if (this.allowedAtOnce <= OPEN_AGAIN) return;
    this.allowedAtOnce = Number.POSITIVE_INFINITY;
    this.refusal = undefined;
  }

  private close(refusal: SnapcloneError): void {
    const now = this.clock.now();
    const asked = refusal.retryAfterMs ?? 0;
    const untold = Math.min(UNTOLD_PAUSE_MS.most, UNTOLD_PAUSE_MS.first * 2 ** this.refusalsInARow);
    // Refusals of requests that were sent together are one: only what was sent after the wait counts anew.
    if (now >= this.opensAt) this.refusalsInARow += 1;
    this.opensAt = Math.max(this.opensAt, now + (asked > 0 ? asked : untold));
    this.allowedAtOnce = 1;
    this.refusal = refusal;
  }

  private tellWait(patience: Patience, ms: number): void {
    const now = this.clock.now();
    if (patience.isShared) {
      if (now < this.toldUntil) return;
      this.toldUntil = now + ms + TOLD_AGAIN_MS;
    }
    const maintained = this.refusal?.parts.status === 503;
    const what = maintained
      ? `${this.service}, which is overloaded or being maintained`
      : `${this.service}'s rate limit`;
    patience.progress?.(`waiting for ${what}, ${formatDuration(ms)}`);
  }

  private tooLong(ms: number): SnapcloneError {
    const wait =
      ms > 0 ? `; it is to be asked again in ${formatDuration(ms)}, which is later than this operation may take` : "";
    return new SnapcloneError({
      kind: "transient",
      ...this.refusal?.parts,
      message: `${this.refusal?.parts.message ?? `${this.service} limits its requests`}${wait}. It was not carried out`,
      hint: "Run again later, with fewer resources at once (`--parallel`), or give the operation more time (`customTimeouts`).",
    });
  }
}

function wasTurnedAway(error: unknown): error is SnapcloneError {
  return error instanceof SnapcloneError && error.parts.rateLimited === true;
}
