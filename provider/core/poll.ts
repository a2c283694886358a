// The only loop that waits. It knows no backend: the caller says how to fetch the object, how to evaluate it and how often
// to ask, and the operation's context gives the clock and the deadline.

import type { OperationContext } from "./definition";
import type { DurationEstimator } from "./durationEstimator";
import { asSnapcloneError, isKind, SnapcloneError } from "./errors";
import { abortableSleep, linkedAbort, stopped } from "./util/abort";
import { formatDuration } from "./util/duration";

export type Evaluation =
  | { is: "done"; progress: string }
  | { is: "pending"; progress: string }
  | { is: "failed"; error: SnapcloneError };

export interface Poll<Seen> {
  /** Completes "waiting for …" and names the object. */
  description: string;
  fetch(signal: AbortSignal): Promise<Seen>;
  evaluate(seen: Seen): Evaluation | Promise<Evaluation>;
  /** What the answer that accepted the work already showed. Saves the first fetch. */
  initial?: Seen;
  /** Resolves when another poll's fetch shows this object. Rejects when `signal` aborts. */
  notified?(signal: AbortSignal): Promise<Seen>;
  /** Bounds of the milliseconds between two fetches. Within them it is a quarter of the wait so far, less some jitter. */
  interval: { first: number; most: number };
  /** Times the fetches by the durations of earlier work of this kind. Needs `initial`: the work begins with this poll. */
  estimator?: DurationEstimator;
  context: Pick<OperationContext, "clock" | "deadline" | "signal" | "progress">;
}

/** The last fetch may outlive the deadline by this much, since it may still show the awaited state. */
const LAST_FETCH_MS = 10_000;
/** `Retry-After` is honoured up to here: a date far off must not stop the wait for a day. */
const RETRY_AFTER_MOST_MS = 120_000;

/** The reason that ends sleeps when they are no longer needed. Shared, because each new error would cost its stack. */
const NO_LONGER_NEEDED = new Error("no longer needed");

/** What a fetch has given: the object, or an error that may pass by itself. */
type Fetched<Seen> = { seen: Seen; error?: undefined } | { error: SnapcloneError };

export async function poll<Seen>(options: Poll<Seen>): Promise<Seen> {
  const { clock, deadline, signal } = options.context;
  // All polls of a run listen to the run's one signal, and adding or removing a listener there takes time in proportion
  // to their number. So each poll adds one listener, and its fetches and sleeps listen to the poll's own signal.
  const own = linkedAbort(signal);
  const progress = (text: string) => options.context.progress(text);
  try {
    return await untilDone({ ...options, context: { clock, deadline, signal: own.signal, progress } });
  } finally {
    own.release();
  }
}

async function untilDone<Seen>(options: Poll<Seen>): Promise<Seen> {
  const { initial, context } = options;
  const { clock, deadline } = context;
  const begun = clock.now();
  const history = new Map<string, number>();
  const estimator = initial === undefined ? undefined : options.estimator;
  let pendingAt = 0;
  let shown = "";
  let fetched: Fetched<Seen> = initial === undefined ? await fetchOnce(options) : { seen: initial };

  for (;;) {
    if (fetched.error) count(history, fetched.error.parts.message);
    else {
      const evaluation = await options.evaluate(fetched.seen);
      if (evaluation.is === "failed") throw evaluation.error;
      if (evaluation.progress !== shown) context.progress(evaluation.progress);
      shown = evaluation.progress;
      if (evaluation.is === "done") {
        estimator?.record(pendingAt, clock.now() - begun);
        return fetched.seen;
      }
      pendingAt = clock.now() - begun;
      count(history, shown);
    }
    const left = deadline - clock.now();
    if (left <= 0) throw deadlineError(options, clock.now() - begun, history);
    const pause = fetched.error?.retryAfterMs ?? nextInterval(options, estimator, clock.now() - begun);
    const notified = await rest(options, Math.max(1, Math.min(pause, RETRY_AFTER_MOST_MS, left)));
    fetched = notified ?? (await fetchOnce(options));
  }
}

function nextInterval({ interval }: Poll<unknown>, estimator: DurationEstimator | undefined, age: number): number {
  const next = estimator?.nextFetch(age);
  if (next !== undefined) return Math.min(next - age, interval.most);
  const pause = Math.min(Math.max(age / 4, interval.first), interval.most);
  return pause / 2 + (Math.random() * pause) / 2;
}

/** Sleeps. Ends early when another poll's fetch shows the object. */
async function rest<Seen>(options: Poll<Seen>, ms: number): Promise<{ seen: Seen } | undefined> {
  const { clock, signal } = options.context;
  if (!options.notified) {
    await abortableSleep(clock, ms, signal, stoppedWaiting(options));
    return undefined;
  }
  const resting = linkedAbort(signal);
  try {
    return await Promise.race([
      clock.sleep(ms, resting.signal).then(() => undefined),
      options.notified(resting.signal).then((seen) => ({ seen })),
    ]);
  } catch (error) {
    throw signal.aborted ? stopped(stoppedWaiting(options)) : error;
  } finally {
    resting.release();
    resting.abort(NO_LONGER_NEEDED);
  }
}

/** An error that may pass by itself does not end the poll: it is counted, and told when the deadline comes. */
async function fetchOnce<Seen>(options: Poll<Seen>): Promise<Fetched<Seen>> {
  const { clock, deadline, signal } = options.context;
  const own = linkedAbort(signal);
  const answered = new AbortController();
  const limit = Math.max(0, deadline - clock.now()) + LAST_FETCH_MS;
  const tooLong = clock.sleep(limit, answered.signal).then(
    () => own.abort(new SnapcloneError({ kind: "transient", message: "the last request got no answer" })),
    () => {},
  );
  try {
    return { seen: await options.fetch(own.signal) };
  } catch (error) {
    if (signal.aborted) throw stopped(stoppedWaiting(options));
    if (own.signal.aborted) return { error: asSnapcloneError(own.signal.reason, options.description) };
    if (isKind(error, "transient", "malformed")) return { error };
    throw error;
  } finally {
    own.release();
    answered.abort(NO_LONGER_NEEDED);
    await tooLong;
  }
}

function stoppedWaiting({ description }: Poll<unknown>): string {
  return `the run was stopped while waiting for ${description}`;
}

function deadlineError(options: Poll<unknown>, waited: number, history: Map<string, number>): SnapcloneError {
  const seen = [...history].map(([what, times]) => (times === 1 ? what : `${what} (${times}×)`)).join(", then ");
  return new SnapcloneError({
    kind: "deadline",
    message: `waited ${formatDuration(waited)} for ${options.description}; seen: ${seen || "nothing"}`,
  });
}

function count(history: Map<string, number>, what: string): void {
  history.set(what, (history.get(what) ?? 0) + 1);
}
