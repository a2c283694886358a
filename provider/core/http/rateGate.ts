// A service's rate limit, shared by all requests of one connection. A request that the limit turned away is sent again at
// the time that the server named. Until then no other request is sent, and afterwards no more than the limit has let through
// before (learnedLimit.ts): a hundred resources that came back together would be refused together. Who waits stands in line.

import { LAST_WAIT_MS } from "../currentOperation";
import { SnapcloneError } from "../errors";
import { linkedAbort, NO_LONGER_NEEDED, stopped } from "../util/abort";
import type { Clock } from "../util/clock";
import { formatDuration } from "../util/duration";
import { LearnedLimit, type Sent } from "./learnedLimit";

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

/** A request that is to be sent. */
interface Waiting {
  patience: Patience;
  /** Limits the sum of the pauses, in addition to the deadline. */
  budget: number;
  /** The time that was waited for, so that no clock can make it wait for the same time twice. */
  waitedFor: number;
  /** It had to wait for the limit, and not for the answers to other requests alone. */
  hasWaited: boolean;
  isHoldShown: boolean;
  wake(): void;
}

/** The refusals of one wave come within this time, so that they are shown once. */
const SAME_WAVE_MS = 5_000;
/** A shorter wait for the measured limit is not shown. */
const SHOWN_FROM_MS = 2_000;
/** How many requests are sent at once before the first answer. Each answer then allows two more. */
const AT_ONCE_AT_FIRST = 8;
/** When this many requests pass at once after a refusal, as many as the limit allows may be under way. */
const ENOUGH_AT_ONCE = 64;

export class RateGate {
  private readonly limit = new LearnedLimit();
  private refusal: SnapcloneError | undefined;
  private allowedAtOnce = AT_ONCE_AT_FIRST;
  private underWay = 0;
  /** Only the first in line may be sent. */
  private readonly line: Waiting[] = [];
  private shownUntil = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly service: string,
    private readonly clock: Clock,
  ) {}

  /** Calls `send` again as long as the service's limit refuses it and `patience` lasts. */
  async pass<T>(send: () => Promise<T>, patience: Patience): Promise<T> {
    const waiting: Waiting = {
      patience,
      budget: timeLeft(patience, this.clock),
      waitedFor: Number.NEGATIVE_INFINITY,
      hasWaited: false,
      isHoldShown: false,
      wake: () => {},
    };
    for (;;) {
      const sent = await this.enter(waiting);
      try {
        const answer = await send();
        this.open(sent);
        return answer;
      } catch (error) {
        if (!wasRateLimited(error)) {
          if (wasAnswered(error)) this.open(sent);
          else this.limit.unanswered(sent);
          throw error;
        }
        this.close(sent, error);
      } finally {
        this.underWay -= 1;
        this.line[0]?.wake();
      }
    }
  }

  /** Stands in line until the request may be sent. */
  private async enter(waiting: Waiting): Promise<Sent> {
    this.line.push(waiting);
    try {
      waiting.hasWaited = false;
      for (;;) {
        const now = this.clock.now();
        const { opensAt } = this.limit;
        if (opensAt > now && opensAt !== waiting.waitedFor) await this.waitForOpening(waiting, opensAt - now);
        else if (this.line[0] === waiting && this.underWay < this.allowedAtOnce) {
          const freeAt = this.limit.freeAt();
          const probeAt = this.limit.probeAt();
          const isProbe = freeAt > now && freeAt !== waiting.waitedFor;
          if (!isProbe || probeAt <= now) {
            this.underWay += 1;
            return this.limit.send(now, { hasWaited: waiting.hasWaited, isProbe });
          }
          await this.waitForOthers(waiting, Math.min(freeAt, probeAt));
        } else await this.waitForOthers(waiting, Number.POSITIVE_INFINITY);
      }
    } finally {
      this.line.splice(this.line.indexOf(waiting), 1);
      this.line[0]?.wake();
    }
  }

  /** The server has named the time, so a wait that is too long is known at once. */
  private async waitForOpening(waiting: Waiting, left: number): Promise<void> {
    const { opensAt } = this.limit;
    const ms = Math.ceil(left);
    if (ms > this.left(waiting)) throw this.tooLong(ms);
    this.showWait(waiting.patience, ms);
    waiting.hasWaited = true;
    if (await this.rest(waiting, ms)) waiting.waitedFor = opensAt;
  }

  /** Until `freeAt`, or until one of the requests before this one has its answer, or until the operation's deadline. */
  private async waitForOthers(waiting: Waiting, freeAt: number): Promise<void> {
    const { patience } = waiting;
    const now = this.clock.now();
    const left = this.left(waiting);
    if (left <= 0) throw this.tooLong(0);
    if (this.limit.freeAt() > now) {
      waiting.hasWaited = true;
      const expected = this.limit.freeAt(this.line.indexOf(waiting)) - now;
      if (expected >= SHOWN_FROM_MS && !waiting.isHoldShown) this.showWait(patience, expected);
      waiting.isHoldShown ||= expected >= SHOWN_FROM_MS;
    }
    const ms = Math.ceil(Math.min(freeAt - now, left));
    if ((await this.rest(waiting, ms)) && now + ms >= freeAt) waiting.waitedFor = freeAt;
  }

  /** How long the request may wait. After its deadline an operation waits for no limit. */
  private left({ patience, budget }: Waiting): number {
    return this.refusal ? Math.min(budget, patience.deadline - this.clock.now()) : budget;
  }

  /** False if something has changed before the time is over. */
  private async rest(waiting: Waiting, ms: number): Promise<boolean> {
    const { signal } = waiting.patience;
    const resting = linkedAbort(signal);
    const woken = new Promise<boolean>((resolve) => {
      waiting.wake = () => resolve(false);
    });
    const begun = this.clock.now();
    try {
      const isOver = await Promise.race([woken, this.clock.sleep(ms, resting.signal).then(() => true)]);
      waiting.budget -= isOver ? ms : this.clock.now() - begun;
      return isOver;
    } catch (error) {
      if (!signal?.aborted) throw error;
      const what = this.refusal
        ? `while it waited for ${this.service}'s rate limit`
        : `before ${this.service} was asked`;
      throw stopped(`the run was stopped ${what}; nothing was sent`);
    } finally {
      resting.release();
      resting.abort(NO_LONGER_NEEDED);
    }
  }

  /** Any answer but a refusal shows that requests pass again. */
  private open(sent: Sent): void {
    this.limit.passed(sent);
    this.allowedAtOnce += this.refusal ? this.allowedAtOnce : 2;
    if (this.allowedAtOnce > ENOUGH_AT_ONCE) this.allowedAtOnce = Number.POSITIVE_INFINITY;
  }

  private close(sent: Sent, refusal: SnapcloneError): void {
    this.limit.refused(sent, this.clock.now(), refusal.retryAfterMs ?? 0);
    this.allowedAtOnce = this.limit.isConfirmed ? Number.POSITIVE_INFINITY : 1;
    this.refusal = refusal;
    // Each of them now waits for the time that the server has named, or learns that this is too late.
    for (const waiting of this.line) waiting.wake();
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
    if (this.refusal === undefined) return notSent(this.service, this.underWay);
    const pause =
      ms > 0 ? `; the next attempt is due in ${formatDuration(ms)}, which is later than this operation may take` : "";
    return new SnapcloneError({
      ...this.refusal.parts,
      message: `${this.refusal.parts.message}${pause}. The request was not carried out`,
      hint: "Run again later, with fewer resources at once (`--parallel`), or give the operation more time (`customTimeouts`).",
    });
  }
}

/** How long a request may wait for others that have no answer yet. */
export function timeLeft({ deadline }: Patience, clock: Clock): number {
  const left = deadline - clock.now();
  return left > 0 ? left : LAST_WAIT_MS;
}

export function notSent(service: string, others: number): SnapcloneError {
  return new SnapcloneError({
    kind: "deadline",
    message: `the operation's time was over before ${service} could be asked: ${others} other requests of this run had no answer yet; nothing was sent`,
    hint: "Run again, with fewer resources at once (`--parallel`), or give the operation more time (`customTimeouts`).",
  });
}

function wasAnswered(error: unknown): boolean {
  return error instanceof SnapcloneError && error.parts.status !== undefined;
}

function wasRateLimited(error: unknown): error is SnapcloneError {
  return error instanceof SnapcloneError && error.parts.rateLimited === true;
}
