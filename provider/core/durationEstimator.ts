// How long the backend has taken for its latest pieces of work of one kind: so that the first look at the next one comes
// when it is probably done, neither at random before nor at random after.

/** One piece of work: not done yet at this age, done at that one. */
interface Span {
  pending: number;
  done: number;
}

/** So many are remembered: a backend that has become faster or slower is noticed after as many. */
const MAX_SPANS = 64;
/** Known well enough: looking for the exact moment would cost more requests than it saves time. */
const CLOSE_MS = 50;
const CLOSE_SHARE = 0.05;

export class DurationEstimator {
  private readonly spans: Span[] = [];
  private bounds: Span | undefined;

  record(pending: number, done: number): void {
    this.spans.push({ pending, done });
    if (this.spans.length > MAX_SPANS) this.spans.shift();
    this.bounds = undefined;
  }

  /** The age at which work of `age` milliseconds is worth a look; undefined when there is no telling. */
  nextFetch(age: number): number | undefined {
    if (this.spans.length === 0) return undefined;
    this.bounds ??= {
      pending: Math.max(...this.spans.map(({ pending }) => pending)),
      done: Math.min(...this.spans.map(({ done }) => done)),
    };
    const { pending, done } = this.bounds;
    // Where all take the same time, it lies between the two: halving what is between them finds it.
    const open = done - pending > Math.max(CLOSE_MS, done * CLOSE_SHARE);
    const middle = (pending + done) / 2;
    if (open && age < middle) return middle;
    return age < done ? done : undefined;
  }
}
