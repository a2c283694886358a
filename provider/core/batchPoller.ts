// Polling that costs one request instead of N: fetches of objects of one kind on one endpoint that come at the same time
// are answered by one list.

import { beginShared } from "./currentOperation";
import { isKind } from "./errors";
import type { Listener } from "./poll";
import { stopped, withAbort } from "./util/abort";
import type { Clock } from "./util/clock";

export interface BatchPollerOptions<Row> {
  clock: Clock;
  /** One object; undefined if the backend says that it does not exist. */
  fetchOne(id: string): Promise<Row | undefined>;
  /** Many at once: those that are asked for, or all. An object that the list omits is fetched by itself. */
  fetchAll(ids: readonly string[]): Promise<ReadonlyMap<string, Row>>;
  /** From this many objects on, a list is cheaper than single fetches. Default 3. */
  listFrom?: number;
  /** When the list omits an id, fetch it at once: the object has probably reached the awaited state. */
  resolveWhenMissing?: boolean;
}

/** Between the beginnings of two lists. */
const GAP_MS = 400;
/** A list waits for other fetches until none has come for so long, and none is due. */
const QUIET_MS = 50;
/**
 * And at most so long. The engine begins the creates of a wave one after another, so their fetches come one after another. Longer
 * than the gap: two parts of a wave that a list has split come together again.
 */
const GATHER_MS = 450;

interface Waiting<Row> {
  id: string;
  resolve(row: Row | undefined): void;
  reject(error: unknown): void;
}

interface Subscription<Row> extends Listener<Row | undefined> {
  id: string;
}

export class BatchPoller<Row> {
  private waiting: Waiting<Row>[] = [];
  private readonly listening = new Set<Subscription<Row>>();
  private registered = 0;
  private nextBatch = Number.NEGATIVE_INFINITY;
  /** When the latest fetch has come. */
  private latest = 0;
  private scheduled = false;
  /** A policy lets this login fetch an object, and no list. */
  private isListForbidden = false;

  constructor(private readonly options: BatchPollerOptions<Row>) {}

  /** Announces a poll, so that its fetches are batched with those of others. Call the result when the poll ends. */
  register(): () => void {
    this.registered += 1;
    let left = false;
    return () => {
      if (!left) this.registered -= 1;
      left = true;
    };
  }

  /** The present state: never an answer to a request that began before this call. */
  async fetch(id: string, signal: AbortSignal): Promise<Row | undefined> {
    if (signal.aborted) throw stopped();
    const { fetchOne, listFrom = 3 } = this.options;
    const answer =
      Math.max(this.registered, this.waiting.length + 1) < listFrom
        ? fetchOne(id)
        : new Promise<Row | undefined>((resolve, reject) => {
            this.waiting.push({ id, resolve, reject });
            this.latest = this.options.clock.now();
            if (!this.scheduled) void beginShared(() => this.batch());
          });
    return withAbort(answer, signal);
  }

  /** Tells the listener whenever a later list shows the object. Call the result to stop. */
  subscribe(id: string, listener: Listener<Row | undefined>): () => void {
    const subscription = { ...listener, id };
    this.listening.add(subscription);
    return () => {
      this.listening.delete(subscription);
    };
  }

  private async batch(): Promise<void> {
    const { clock, fetchAll, fetchOne } = this.options;
    this.scheduled = true;
    const gathered = clock.now() + GATHER_MS;
    for (let left = QUIET_MS; left > 0; ) {
      await clock.sleep(left);
      const quiet = Math.min(Math.max(this.latest, this.lastDue(gathered)) + QUIET_MS, gathered);
      left = Math.max(quiet, this.nextBatch) - clock.now();
    }
    this.scheduled = false;
    const begun = clock.now();
    this.nextBatch = begun + GAP_MS;
    const batch = this.waiting;
    const listening = [...this.listening];
    this.waiting = [];
    let rows: ReadonlyMap<string, Row> = new Map();
    try {
      if (!this.isListForbidden) rows = await fetchAll([...new Set(batch.map(({ id }) => id))]);
    } catch (error) {
      this.isListForbidden = isKind(error, "forbidden");
      if (!this.isListForbidden) {
        for (const { reject } of batch) reject(error);
        return;
      }
    } finally {
      // A list of thousands takes its time here and on the backend, so lists take a quarter of the time at most.
      this.nextBatch = begun + Math.max(GAP_MS, 4 * (clock.now() - begun));
    }
    for (const { id, resolve, reject } of batch) {
      const row = rows.get(id);
      if (row !== undefined) resolve(row);
      else fetchOne(id).then(resolve, reject);
    }
    if (this.isListForbidden) return;
    for (const listener of listening) void this.notify(listener, rows);
  }

  /** When the last of those fetches is due that a list can wait for. */
  private lastDue(until: number): number {
    let last = Number.NEGATIVE_INFINITY;
    for (const { dueAt } of this.listening) {
      const due = dueAt?.();
      if (due !== undefined && due <= until) last = Math.max(last, due);
    }
    return last;
  }

  private async notify(listener: Subscription<Row>, rows: ReadonlyMap<string, Row>): Promise<void> {
    const { fetchOne, resolveWhenMissing } = this.options;
    const listed = rows.get(listener.id);
    if (!this.listening.has(listener) || (listed === undefined && !resolveWhenMissing)) return;
    if (listed === undefined) listener.coming();
    try {
      const row = listed ?? (await fetchOne(listener.id));
      if (this.listening.has(listener)) listener.hear(row);
    } catch {
      // The subscriber's own next fetch meets the error.
    }
  }
}
