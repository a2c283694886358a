// Polling that costs one request, not N: looks at objects of the same kind on the same endpoint that fall together are
// answered by one list.

import { stopped, withAbort } from "./util/abort";
import type { Clock } from "./util/clock";

export interface BatchPollerOptions<Row> {
  clock: Clock;
  /** One object; undefined if the backend says that it does not exist. */
  fetchOne(id: string): Promise<Row | undefined>;
  /** Many at once. May leave out some that exist: those are asked for one by one. */
  fetchAll(): Promise<ReadonlyMap<string, Row>>;
  /** A list is worth its size from this many objects on. */
  listFrom?: number;
  /** That the list leaves one out is worth asking for it at once: it was probably what all are waiting for. */
  resolveWhenMissing?: boolean;
  /** Milliseconds between the beginnings of two lists, and a quarter of it how long a look waits for company. */
  gapMs?: number;
}

interface Waiting<Row> {
  id: string;
  resolve(row: Row | undefined): void;
  reject(error: unknown): void;
}

export class BatchPoller<Row> {
  private waiting: Waiting<Row>[] = [];
  private readonly listening = new Set<Waiting<Row>>();
  private registered = 0;
  private nextBatch = Number.NEGATIVE_INFINITY;
  private scheduled = false;

  constructor(private readonly options: BatchPollerOptions<Row>) {}

  /** Says that a wait is on its way, so that its looks are worth gathering with the others'. Call the result when it ends. */
  register(): () => void {
    this.registered += 1;
    let left = false;
    return () => {
      if (!left) this.registered -= 1;
      left = true;
    };
  }

  /** What is there now: never an answer that was begun before this call. */
  async fetch(id: string, signal: AbortSignal): Promise<Row | undefined> {
    if (signal.aborted) throw stopped();
    const { fetchOne: one, listFrom = 3 } = this.options;
    const answer =
      Math.max(this.registered, this.waiting.length + 1) < listFrom
        ? one(id)
        : new Promise<Row | undefined>((resolve, reject) => {
            this.waiting.push({ id, resolve, reject });
            if (!this.scheduled) void this.batch();
          });
    return withAbort(answer, signal);
  }

  /** What others' looks bring to light about this one, from now on. Rejects when `signal` aborts, and never else. */
  subscribe(id: string, signal: AbortSignal): Promise<Row | undefined> {
    return new Promise((resolve, reject) => {
      const listener: Waiting<Row> = {
        id,
        resolve: (row) => {
          signal.removeEventListener("abort", leave);
          resolve(row);
        },
        reject,
      };
      const leave = () => {
        this.listening.delete(listener);
        reject(signal.reason);
      };
      this.listening.add(listener);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  private async batch(): Promise<void> {
    const { clock, fetchAll: many, fetchOne: one, gapMs = 400 } = this.options;
    this.scheduled = true;
    await clock.sleep(Math.max(gapMs / 4, this.nextBatch - clock.now()));
    this.scheduled = false;
    const begun = clock.now();
    this.nextBatch = begun + gapMs;
    const batch = this.waiting;
    const listening = [...this.listening];
    this.waiting = [];
    let rows: ReadonlyMap<string, Row>;
    try {
      rows = await many();
    } catch (error) {
      for (const { reject } of batch) reject(error);
      return;
    } finally {
      // A list of thousands takes its time, here and on the backend: three quarters of it are for others.
      this.nextBatch = begun + Math.max(gapMs, 4 * (clock.now() - begun));
    }
    for (const { id, resolve, reject } of batch) {
      const row = rows.get(id);
      if (row !== undefined) resolve(row);
      else one(id).then(resolve, reject);
    }
    for (const listener of listening) void this.tell(listener, rows);
  }

  private async tell(listener: Waiting<Row>, rows: ReadonlyMap<string, Row>): Promise<void> {
    const { fetchOne: one, resolveWhenMissing: absenceIsNews } = this.options;
    const seen = rows.get(listener.id);
    if (!this.listening.has(listener) || (seen === undefined && !absenceIsNews)) return;
    try {
      const row = seen ?? (await one(listener.id));
      if (this.listening.delete(listener)) listener.resolve(row);
    } catch {
      // No news: its own look will tell.
    }
  }
}
