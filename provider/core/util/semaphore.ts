// So many at a time, the others in a queue: a thousand requests at once would each open a connection, overrun the
// server's backlog and be slower than the same in turn.

import { stopped } from "./abort";

export class Semaphore {
  private readonly queue: (() => void)[] = [];
  private taken = 0;

  constructor(private readonly limit: number) {}

  get isFull(): boolean {
    return this.taken >= this.limit;
  }

  /** An abort takes `work` out of the queue; once begun, it is the work's own business. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.isFull) await this.turn(signal);
    else this.taken += 1;
    try {
      return await work();
    } finally {
      // The next one takes over this slot.
      const next = this.queue.shift();
      if (next) next();
      else this.taken -= 1;
    }
  }

  private turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.queue.splice(this.queue.indexOf(enter), 1);
        reject(stopped());
      };
      const enter = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      this.queue.push(enter);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }
}
