// What a service's answers show of its rate limit: so many requests in so long a time. The service does not tell its limit. It
// refuses, and names the time to come back. So the limit is measured by what passed before a refusal, and by probes: requests
// beyond the measured limit, which are sent more seldom the more of them are refused. Limiters count in different ways (a
// bucket that refills, a minute of the calendar, a window since the first request). What is measured here is a rate that each
// of them lets through.

/** A request that the service has not refused. */
export interface Sent {
  /** On the gate's clock. */
  readonly at: number;
  /** Sent only when the limit had room for it. */
  readonly hasWaited: boolean;
  /** Sent beyond the measured limit. */
  readonly isProbe: boolean;
}

interface Measured {
  requests: number;
  periodMs: number;
}

/** The refusals of requests that were sent before the service named the time to come back. Each of them corrects the measure. */
interface Wave {
  /** The first request that was refused. */
  refused: Sent;
  /** Milliseconds to wait if a refusal names no time. */
  waitMs: number;
  /** Since when the service had taken requests. */
  openedAt: number;
  /** What was measured before. */
  before: Measured | undefined;
  periodsBetweenProbesBefore: number;
}

/**
 * Milliseconds to wait after a refusal that names no time; doubled with each wave of which nothing passed. A named time that
 * comes too early again and again is lengthened in the same way, up to `mostNamed`.
 */
const DEFAULT_WAIT = { first: 1_000, most: 60_000, mostNamed: 30_000 };
/** After probes that were refused, the next one waits for so many periods at most. */
const MOST_PERIODS_BETWEEN_PROBES = 8;
/** A little slower than what passed, because answers and clocks are never quite on time. */
const MARGIN = 1.02;
/** A limit of more requests than this is none. */
const MOST_REMEMBERED = 1_000;

export class LearnedLimit {
  private measured: Measured | undefined;
  /** Oldest first. */
  private sent: Sent[] = [];
  private reopensAt = Number.NEGATIVE_INFINITY;
  private wave: Wave | undefined;
  /** When the first request was sent that passed after the service had last taken requests again. */
  private firstPassedAt = Number.NEGATIVE_INFINITY;
  /** Before the latest refusals, something passed. */
  private hasPassed = false;
  private wavesInARow = 0;
  private probe = { isUnderWay: false, raise: 1, periodsBetween: 0, notBefore: Number.NEGATIVE_INFINITY };

  /** When the service takes requests again, by its own word. */
  get opensAt(): number {
    return this.reopensAt;
  }

  /** Before the latest refusals, requests have passed up to the measured limit. */
  get isConfirmed(): boolean {
    return this.hasPassed && this.probe.periodsBetween > 0;
  }

  /** When a request fits into the measured limit that has so many others before it. */
  freeAt(before = 0): number {
    const { measured, sent } = this;
    if (measured === undefined || measured.requests > MOST_REMEMBERED) return Number.NEGATIVE_INFINITY;
    const { requests, periodMs } = measured;
    // Each of the others also follows a request by one period.
    const periods = Math.max(0, Math.ceil((before + 1) / requests) - 1);
    const earlier = sent[sent.length + before - (periods + 1) * requests];
    return earlier === undefined ? Number.NEGATIVE_INFINITY : earlier.at + (periods + 1) * periodMs;
  }

  /** When one more request than the limit has room for may find out whether more passes. */
  probeAt(): number {
    const { isUnderWay, notBefore, periodsBetween } = this.probe;
    if (isUnderWay) return Number.POSITIVE_INFINITY;
    if (periodsBetween === 0) return notBefore;
    // Not at once, because some limiters refuse what follows too soon; and the later the more probes were refused.
    const freeAt = this.freeAt();
    const last = this.sent.at(-1)?.at ?? notBefore;
    return Math.max(notBefore, freeAt - (freeAt - last) / (2 * periodsBetween));
  }

  send(now: number, { hasWaited, isProbe }: { hasWaited: boolean; isProbe: boolean }): Sent {
    const sent: Sent = { at: now, hasWaited, isProbe };
    this.sent.push(sent);
    if (this.sent.length > MOST_REMEMBERED) this.sent.shift();
    if (isProbe) this.probe.isUnderWay = true;
    return sent;
  }

  /** Nothing shows whether the service counts the request. */
  unanswered({ isProbe }: Sent): void {
    if (isProbe) this.probe.isUnderWay = false;
  }

  /** For any answer but a refusal. */
  passed({ at, isProbe }: Sent): void {
    const { probe, measured } = this;
    if (isProbe) probe.isUnderWay = false;
    // A probe from before the last refusal does not show that more passes now.
    if (at < this.reopensAt || !isProbe || measured === undefined) return;
    // Twice as much at each step: a limit that was lifted is soon forgotten.
    measured.requests += probe.raise;
    probe.raise *= 2;
    if (probe.periodsBetween === 0) return;
    probe.periodsBetween = Math.max(1, Math.floor(probe.periodsBetween / 2));
    probe.notBefore = at + measured.periodMs;
  }

  /** `namedMs`: the service's `Retry-After`; 0 if there is none. */
  refused(sent: Sent, now: number, namedMs: number): void {
    const { probe, wave } = this;
    this.sent = this.sent.filter((other) => other !== sent);
    if (sent.isProbe) probe.isUnderWay = false;
    if (wave && sent.at < this.reopensAt) {
      this.reopensAt = Math.max(this.reopensAt, now + (namedMs > 0 ? namedMs : wave.waitMs));
      this.measure(wave);
      return;
    }
    const openedAt = this.reopensAt;
    const [first] = this.sentSince(openedAt);
    this.wavesInARow = first ? 1 : this.wavesInARow + 1;
    const most = namedMs > 0 ? DEFAULT_WAIT.mostNamed : DEFAULT_WAIT.most;
    const byDefault = Math.min(most, DEFAULT_WAIT.first * 2 ** (this.wavesInARow - 1));
    const waitMs = this.wavesInARow === 1 && namedMs > 0 ? namedMs : Math.max(namedMs, byDefault);
    this.reopensAt = now + waitMs;
    probe.raise = 1;
    this.wave = {
      refused: sent,
      waitMs,
      openedAt: this.measured ? openedAt : now - waitMs,
      before: this.measured,
      periodsBetweenProbesBefore: probe.periodsBetween,
    };
    this.measure(this.wave);
  }

  private measure({ refused, openedAt, before, periodsBetweenProbesBefore }: Wave): void {
    const { reopensAt, probe } = this;
    const passed = this.sentSince(openedAt).filter(({ at }) => at <= refused.at);
    const [first] = passed;
    if (first === undefined) {
      // The period that has begun before is not over yet.
      const { requests = 1, periodMs = 0 } = before ?? {};
      this.measured = { requests, periodMs: Math.max(periodMs, reopensAt - Math.max(this.firstPassedAt, openedAt)) };
    } else if (before === undefined || (!refused.isProbe && refused.at - first.at < before.periodMs)) {
      this.measured = { requests: passed.length, periodMs: reopensAt - first.at };
    } else {
      const ofPeriod = passed.filter(({ at }) => at > refused.at - before.periodMs).length;
      const requests = refused.isProbe ? before.requests : Math.max(1, Math.min(before.requests, ofPeriod));
      // As long as requests have had to wait, what passed from one refusal to the next is the whole of what is allowed.
      const busy = passed.slice(passed.findLastIndex(({ hasWaited }) => !hasWaited) + 1);
      const busyFrom = busy.length >= requests ? busy[0]?.at : undefined;
      const periodMs =
        busyFrom === undefined ? before.periodMs : (MARGIN * requests * (reopensAt - busyFrom)) / busy.length;
      this.measured = { requests, periodMs };
    }
    this.hasPassed = first !== undefined;
    if (first) this.firstPassedAt = first.at;
    probe.periodsBetween =
      first && before
        ? Math.min(MOST_PERIODS_BETWEEN_PROBES, Math.max(1, 2 * periodsBetweenProbesBefore))
        : periodsBetweenProbesBefore;
    probe.notBefore = reopensAt + probe.periodsBetween * this.measured.periodMs;
  }

  private sentSince(time: number): Sent[] {
    return this.sent.filter(({ at }) => at >= time);
  }
}
