// The only loop that waits. It knows no backend: the caller says how to fetch the object, how to evaluate it and how often
// to ask, and the operation's context gives the clock and the deadline.

import { isDeepStrictEqual } from "node:util";
import type { OperationContext } from "./definition";
import type { DurationEstimator, LearningWait } from "./durationEstimator";
import { asSnapcloneError, isKind, SnapcloneError } from "./errors";
import { linkedAbort, NO_LONGER_NEEDED, stopped } from "./util/abort";
import type { Clock } from "./util/clock";
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
  /** Tells the listener whenever another poll's fetch shows this object. Call the result to stop. */
  subscribe?(listener: Listener<Seen>): () => void;
  /** Bounds of the milliseconds between two fetches. Within them it is a quarter of the wait so far, less some jitter. */
  interval: { first: number; most: number };
  /**
   * Milliseconds after which the wait is given up, although the operation may take longer. They count from the first answer,
   * since a rate limit may hold up the fetch, and from the beginning as long as there are only errors.
   */
  giveUpAfterMs?: number;
  /** What to do about work that never ends. The error of a deadline has this hint, if the last fetch was answered. */
  stuckHint?(seen: Seen): string | undefined;
  /** Times the fetches by the durations of earlier work of this kind. Needs `initial`: the work begins with this poll. */
  estimator?: DurationEstimator;
  context: Pick<OperationContext, "clock" | "deadline" | "signal" | "progress">;
}

/** A wait that rests until its next fetch. */
export interface Listener<Seen> {
  /** Another fetch shows the object. */
  hear(seen: Seen): void;
  /** Such a fetch has been sent for this object alone. */
  coming(): void;
  /** By the clock: when the next fetch comes, if the work is likely to be done then. */
  dueAt(): number | undefined;
}

/** The last fetch may outlive the deadline by this much, since it may still show the awaited state. */
const LAST_FETCH_MS = 10_000;
/** `Retry-After` is honoured up to here: a date far off must not stop the wait for a day. */
const RETRY_AFTER_MOST_MS = 120_000;

const SLEPT = Symbol("slept");

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

/** A wait that is under way. */
interface Wait<Seen> extends LearningWait {
  begun: number;
  estimator: DurationEstimator | undefined;
  /** By what was seen: how many times. */
  history: Map<string, number>;
  /** The greatest age at which the work was seen pending. */
  pendingAt: number;
  shown: string;
  fetched: Fetched<Seen>;
  /** By the clock: the deadline, or the time to give up. */
  endsAt: number;
}

async function untilDone<Seen>(options: Poll<Seen>): Promise<Seen> {
  const { initial, context } = options;
  const { clock, deadline } = context;
  const begun = clock.now();
  const endOf = (start: number) => Math.min(deadline, start + (options.giveUpAfterMs ?? Number.POSITIVE_INFINITY));
  const estimator = initial === undefined ? undefined : options.estimator;
  const fetched: Fetched<Seen> = initial === undefined ? await fetchOnce(options) : { seen: initial };
  const wait: Wait<Seen> = {
    begun,
    estimator,
    history: new Map(),
    pendingAt: 0,
    shown: "",
    fetched,
    endsAt: endOf(begun),
  };
  let isAnswered = false;
  // What a list shows is known to all who wait. Other waits learn from each other how long the work takes.
  const leave = options.subscribe ? undefined : estimator?.join(wait);
  try {
    for (;;) {
      if (wait.fetched.error) count(wait.history, wait.fetched.error.parts.message);
      else {
        const { seen } = wait.fetched;
        if (!isAnswered) wait.endsAt = endOf(clock.now());
        isAnswered = true;
        const evaluation = await options.evaluate(seen);
        if (evaluation.is === "failed") throw evaluation.error;
        if (evaluation.progress !== wait.shown) context.progress(evaluation.progress);
        wait.shown = evaluation.progress;
        if (evaluation.is === "done") {
          estimator?.record(wait.pendingAt, clock.now() - begun);
          return seen;
        }
        seenPending(wait, clock);
      }
      const isOver = wait.endsAt <= clock.now() || wait.fetched.error?.kind === "deadline";
      if (isOver) throw deadlineError(options, clock.now() - begun, wait);
      wait.fetched = (await rest(options, wait)) ?? (await fetchOnce(options));
      // One list may end a thousand waits.
      await clock.yield?.();
    }
  } finally {
    leave?.();
  }
}

function seenPending(wait: Wait<unknown>, clock: Clock): void {
  wait.pendingAt = clock.now() - wait.begun;
  count(wait.history, wait.shown);
}

/** How long to sleep. Ends with the wait at the latest. `estimate`: the age at which the work is likely to be done. */
function pauseOf(
  { interval }: Pick<Poll<unknown>, "interval">,
  wait: Wait<unknown>,
  now: number,
  estimate: number | undefined,
): number {
  const pause = wait.fetched.error?.retryAfterMs ?? nextInterval(interval, wait, now - wait.begun, estimate);
  return Math.max(1, Math.min(pause, RETRY_AFTER_MOST_MS, wait.endsAt - now));
}

function nextInterval(
  { first, most }: Poll<unknown>["interval"],
  wait: Wait<unknown>,
  age: number,
  estimate: number | undefined,
): number {
  if (estimate !== undefined) return Math.min(estimate - age, most);
  const pause = Math.min(Math.max(age / 4, first), most);
  const jittered = pause / 2 + (Math.random() * pause) / 2;
  // The first waits of many find out how long the work takes, and then the others are woken in time.
  return wait.estimator?.isLearning(wait) ? Math.min(2 * jittered, most) : jittered;
}

/**
 * Sleeps. Ends early when another poll's fetch shows that the object has changed. If the fetch shows no change, the pause
 * begins anew: a list that answers a thousand waits must not wake those that it has no news for.
 */
async function rest<Seen>(options: Poll<Seen>, wait: Wait<Seen>): Promise<{ seen: Seen } | undefined> {
  const { clock, signal } = options.context;
  const resting = linkedAbort(signal);
  const { fetched } = wait;
  let wakeAt = 0;
  let isEstimated = false;
  const pauseAnew = () => {
    const now = clock.now();
    const estimate = wait.estimator?.nextFetch(now - wait.begun);
    isEstimated = estimate !== undefined;
    wakeAt = now + pauseOf(options, wait, now, estimate);
  };
  pauseAnew();
  let leave = () => {};
  const woken = new Promise<{ seen: Seen } | undefined>((resolve) => {
    wait.learned = () => {
      const age = clock.now() - wait.begun;
      const late = (wait.estimator?.nextFetch(age) ?? age) - age;
      void clock.sleep(late, resting.signal).then(() => resolve(undefined), ignored);
    };
    const hear = (seen: Seen) => {
      if (fetched.error || seen === undefined || !isDeepStrictEqual(seen, fetched.seen)) resolve({ seen });
      else {
        seenPending(wait, clock);
        pauseAnew();
      }
    };
    const dueAt = () => (isEstimated ? wakeAt : undefined);
    leave = options.subscribe?.({ hear, coming: pauseAnew, dueAt }) ?? leave;
  });
  try {
    for (let left = wakeAt - clock.now(); left > 0; left = wakeAt - clock.now()) {
      const slept = clock.sleep(left, resting.signal).then((): typeof SLEPT => SLEPT);
      const news = await Promise.race([slept, woken]);
      if (news !== SLEPT) return news;
    }
    return undefined;
  } catch (error) {
    throw signal.aborted ? stopped(stoppedWaiting(options)) : error;
  } finally {
    wait.learned = undefined;
    leave();
    resting.release();
    resting.abort(NO_LONGER_NEEDED);
  }
}

function ignored(): void {}

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
    // "deadline": the request has waited for the answers to others until then.
    if (isKind(error, "transient", "malformed", "deadline")) return { error };
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

function deadlineError<Seen>(options: Poll<Seen>, waited: number, { history, fetched }: Wait<Seen>): SnapcloneError {
  const seen = [...history].map(([what, times]) => (times === 1 ? what : `${what} (${times}×)`)).join(", then ");
  return new SnapcloneError({
    kind: "deadline",
    message: `waited ${formatDuration(waited)} for ${options.description}; seen: ${seen || "nothing"}`,
    // After a failed fetch it is not known how the object is now.
    hint: fetched.error ? undefined : options.stuckHint?.(fetched.seen),
  });
}

function count(history: Map<string, number>, what: string): void {
  history.set(what, (history.get(what) ?? 0) + 1);
}
