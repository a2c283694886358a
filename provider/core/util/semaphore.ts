// Limits how much work runs at once and queues the rest: a thousand requests at once would each open a connection, overrun
// the server's backlog and take longer than one after the other.

import { linkedAbort, stopped } from "./abort";
import type { Clock } from "./clock";

/** How long work may wait in the queue. */
export interface QueueLimit {
  clock: Clock;
  ms: number;
  /** The error of work that has not begun by then. */
  tooLong(): Error;
}

export class Semaphore {
  private readonly queue: (() => void)[] = [];
  private running = 0;

  constructor(private readonly limit: number) {}

  get isFull(): boolean {
    return this.running >= this.limit;
  }

  /** An abort or the end of `within` takes `work` out of the queue. Neither ends work that has begun. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal, within?: QueueLimit): Promise<T> {
    if (!this.isFull) this.running += 1;
    else if (within) await this.enqueueWithin(within, signal);
    else await this.enqueue(signal);
    try {
      return await work();
    } finally {
      // The next in the queue takes over this place.
      const next = this.queue.shift();
      if (next) next();
      else this.running -= 1;
    }
  }

  private async enqueueWithin({ clock, ms, tooLong }: QueueLimit, signal: AbortSignal | undefined): Promise<void> {
    const waiting = linkedAbort(signal);
    const ended = new AbortController();
    const limit = clock.sleep(ms, ended.signal).then(
      () => waiting.abort(),
      () => {},
    );
    try {
      await this.enqueue(waiting.signal);
    } catch (error) {
      throw signal?.aborted ? error : tooLong();
    } finally {
      waiting.release();
      ended.abort();
      await limit;
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
