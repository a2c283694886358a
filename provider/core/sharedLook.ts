// Polling that costs one request, not N: looks at objects of the same kind on the same endpoint that fall together are
// answered by one list.

import type { Clock } from "./clock";
import { stopped, unlessStopped } from "./stop";

export interface SharedLookOptions<Row> {
  clock: Clock;
  /** One object; undefined if the backend says that it does not exist. */
  one(id: string): Promise<Row | undefined>;
  /** Many at once. May leave out some that exist: those are asked for one by one. */
  many(): Promise<ReadonlyMap<string, Row>>;
  /** A list is worth its size from this many objects on. */
  listFrom?: number;
  /** Milliseconds between the beginnings of two lists, and how long a look waits for company. */
  gapMs?: number;
}

interface Waiting<Row> {
  id: string;
  resolve(row: Row | undefined): void;
  reject(error: unknown): void;
}

export class SharedLook<Row> {
  private waiting: Waiting<Row>[] = [];
  private interested = 0;
  private lastBatch = Number.NEGATIVE_INFINITY;
  private scheduled = false;

  constructor(private readonly options: SharedLookOptions<Row>) {}

  /** Says that a wait is on its way, so that its looks are worth gathering with the others'. Call the result when it ends. */
  join(): () => void {
    this.interested += 1;
    let left = false;
    return () => {
      if (!left) this.interested -= 1;
      left = true;
    };
  }

  /** What is there now: never an answer that was begun before this call. */
  async look(id: string, signal: AbortSignal): Promise<Row | undefined> {
    if (signal.aborted) throw stopped();
    const { one, listFrom = 3 } = this.options;
    const answer =
      Math.max(this.interested, this.waiting.length + 1) < listFrom
        ? one(id)
        : new Promise<Row | undefined>((resolve, reject) => {
            this.waiting.push({ id, resolve, reject });
            if (!this.scheduled) void this.batch();
          });
    return unlessStopped(answer, signal);
  }

  private async batch(): Promise<void> {
    const { clock, many, one, gapMs = 400 } = this.options;
    this.scheduled = true;
    await clock.sleep(Math.max(gapMs / 4, this.lastBatch + gapMs - clock.now()));
    this.scheduled = false;
    this.lastBatch = clock.now();
    const batch = this.waiting;
    this.waiting = [];
    let rows: ReadonlyMap<string, Row>;
    try {
      rows = await many();
    } catch (error) {
      for (const { reject } of batch) reject(error);
      return;
    }
    for (const { id, resolve, reject } of batch) {
      const row = rows.get(id);
      if (row !== undefined) resolve(row);
      else one(id).then(resolve, reject);
    }
  }
}
