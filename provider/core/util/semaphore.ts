// Limits how much work runs at once and queues the rest: a thousand requests at once would each open a connection, overrun
// the server's backlog and take longer than one after the other.

import { stopped } from "./abort";

export class Semaphore {
  private readonly queue: (() => void)[] = [];
  private running = 0;

  constructor(private readonly limit: number) {}

  get isFull(): boolean {
    return this.running >= this.limit;
  }

  /** An abort takes `work` out of the queue. It does not end work that has begun. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.isFull) await this.enqueue(signal);
    else this.running += 1;
    try {
      return await work();
    } finally {
      // The next in the queue takes over this place.
      const next = this.queue.shift();
      if (next) next();
      else this.running -= 1;
    }
  }

  private enqueue(signal: AbortSignal | undefined): Promise<void> {
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
