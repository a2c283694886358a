// Estimates how long work of one kind takes from the latest pieces of it, so that a poll's first fetch comes about when the
// work is done.

/** One piece of work: the greatest age at which it was seen pending, and the age at which it was seen done. */
interface Span {
  pending: number;
  done: number;
}

export interface LearningWait {
  /** Called at the first estimate. */
  learned?: (() => void) | undefined;
}

/** The number of spans that are kept. A change of the backend's speed shows after as many pieces of work. */
const MAX_SPANS = 256;
/** How many waits look as often as a single wait would: one of them may take longer than the others. */
const SCOUTS = 3;
/** From this precision on, finding the exact moment would cost more in requests than it saves in time. */
const CLOSE_MS = 50;
const CLOSE_SHARE = 0.05;
/** Nor is the exact moment searched for by a single wait for work that is done so soon. */
const QUICK_MS = 300;

export class DurationEstimator {
  private readonly spans: Span[] = [];
  private bounds: Span | undefined;
  /** The waits for work of this kind, in the order in which they began. */
  private readonly waits = new Set<LearningWait>();

  record(pending: number, done: number): void {
    this.spans.push({ pending, done });
    if (this.spans.length > MAX_SPANS) this.spans.shift();
    this.bounds = undefined;
    if (this.spans.length > 1) return;
    for (const wait of this.waits) wait.learned?.();
  }

  /** Announces a wait. Call the result at its end. */
  join(wait: LearningWait): () => void {
    this.waits.add(wait);
    return () => {
      this.waits.delete(wait);
    };
  }

  /** True where earlier waits of this kind are about to find out how long the work takes. */
  isLearning(wait: LearningWait): boolean {
    if (this.spans.length > 0 || !this.waits.has(wait)) return false;
    let position = 0;
    for (const earlier of this.waits) {
      if (earlier === wait) return false;
      position += 1;
      if (position === SCOUTS) return true;
    }
    return false;
  }

  /** The age at which to fetch work that is `age` milliseconds old; undefined without an estimate. */
  nextFetch(age: number): number | undefined {
    if (this.spans.length === 0) return undefined;
    this.bounds ??= {
      pending: Math.max(...this.spans.map(({ pending }) => pending)),
      done: Math.min(...this.spans.map(({ done }) => done)),
    };
    const { pending, done } = this.bounds;
    // If all work takes the same time, that time lies between the two bounds: bisection finds it.
    const isWorthIt = done > QUICK_MS || this.waits.size !== 1;
    const open = isWorthIt && done - pending > Math.max(CLOSE_MS, done * CLOSE_SHARE);
    const middle = (pending + done) / 2;
    if (open && age < middle) return middle;
    return age < done ? done : undefined;
  }
}
