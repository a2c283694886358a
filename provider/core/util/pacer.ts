// Lets timers and other requests in between pieces of work that come all at once. The answers of 64 requests that arrive
// together would else be worked on in one go, and nothing else would run for a tenth of a second.

/** How long paced work may hold up the event loop. */
const BUDGET_MS = 5;
/** How many may begin before any of them has shown how long it takes: calls of one moment come before their work. */
const MOST_UNSEEN = 8;
/** How many pieces of work may begin in one iteration of the event loop, as far as the budget allows. */
const MOST_AT_ONCE = 32;

export class Pacer {
  private readonly queue: (() => void)[] = [];
  /** When the first work of this iteration of the event loop began. */
  private begun: number | undefined;
  /** How many have begun at once in this iteration. */
  private unseen = 0;
  private isScheduled = false;

  /** Resolves at once, unless this iteration of the event loop has had its share of work. First come, first served. */
  async yield(): Promise<void> {
    if (this.begun === undefined) this.begin();
    if (this.queue.length === 0 && this.unseen < MOST_UNSEEN && !this.isSpent()) {
      this.unseen += 1;
      return;
    }
    await new Promise<void>((resolve) => {
      this.queue.push(resolve);
      this.schedule();
    });
  }

  private begin(): void {
    this.begun = performance.now();
    this.unseen = 0;
    setImmediate(() => {
      this.begun = undefined;
    });
  }

  private isSpent(): boolean {
    return performance.now() - (this.begun ?? 0) > BUDGET_MS;
  }

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    const most = Math.min(MOST_AT_ONCE, this.queue.length);
    // Node.js runs these in one iteration, and what each of them resolves in between.
    for (let n = 1; n <= most; n += 1) {
      setImmediate(() => {
        if (n === 1) this.begun = performance.now();
        if (!this.isSpent()) this.queue.shift()?.();
        if (n < most) return;
        this.isScheduled = false;
        this.begun = undefined;
        if (this.queue.length > 0) this.schedule();
      });
    }
  }
}
