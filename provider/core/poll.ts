// The only loop that waits. It knows nothing of any backend: how to look, how to judge what was seen and how patient to
// be are handed in, and so is the clock.

import type { OperationContext } from "./definition";
import type { DurationEstimator } from "./durationEstimator";
import { asSnapcloneError, isKind, SnapcloneError } from "./errors";
import { abortableSleep, stopped } from "./util/abort";
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
  /** Seen already, with the answer that accepted the work: saves the first look. */
  initial?: Seen;
  /** What others' looks bring to light in the meantime; rejects when `signal` aborts. */
  notified?(signal: AbortSignal): Promise<Seen>;
  /** Milliseconds between looks: a quarter of the wait so far, within these bounds, drawn from its upper half. */
  interval: { first: number; most: number };
  /** Of the same kind of work, where it begins with this wait (`first` is there): times the first look. */
  estimator?: DurationEstimator;
  context: Pick<OperationContext, "clock" | "deadline" | "signal" | "progress">;
}

/** A look may outlive the deadline by this much, so that the last one can still bring the good news. */
const LAST_LOOK_MS = 10_000;
/** A server's `Retry-After` is honoured up to here: a date far off must not stop the wait for a day. */
const RETRY_AFTER_MOST_MS = 120_000;

/** Why a sleep ends that nobody needs any more. Made once: an error made anew costs its stack, each time. */
const ENOUGH = new Error("not needed any more");

export async function poll<Seen>(wait: Poll<Seen>): Promise<Seen> {
  const { clock, deadline, signal } = wait.context;
  // All waits of a run listen to one signal, and to come and go there takes as long as there are listeners: this one
  // does it once, and not for each look and each sleep.
  const own = new AbortController();
  const forward = () => own.abort(signal.reason);
  signal.addEventListener("abort", forward, { once: true });
  if (signal.aborted) forward();
  const job = { clock, deadline, signal: own.signal, progress: (text: string) => wait.context.progress(text) };
  try {
    return await untilDone({ ...wait, context: job });
  } finally {
    signal.removeEventListener("abort", forward);
  }
}

async function untilDone<Seen>(wait: Poll<Seen>): Promise<Seen> {
  const { clock, deadline } = wait.context;
  const begun = clock.now();
  const history = new Map<string, number>();
  const experience = wait.initial === undefined ? undefined : wait.estimator;
  let pendingAt = 0;
  let told = "";
  let looked = wait.initial !== undefined;
  let seen = wait.initial;
  let trouble: SnapcloneError | undefined;

  for (;;) {
    if (!looked) {
      ({ seen, trouble } = await lookOnce(wait));
      if (trouble) count(history, `${trouble.parts.message}`);
    }
    looked = false;
    if (!trouble) {
      const verdict = await wait.evaluate(seen as Seen);
      if (verdict.is === "failed") throw verdict.error;
      if (verdict.progress !== told) wait.context.progress(verdict.progress);
      told = verdict.progress;
      if (verdict.is === "done") {
        experience?.record(pendingAt, clock.now() - begun);
        return seen as Seen;
      }
      pendingAt = clock.now() - begun;
      count(history, told);
    }
    const left = deadline - clock.now();
    if (left <= 0) throw tooLate(wait, clock.now() - begun, history);
    const asked = trouble?.retryAfterMs;
    const pause = asked === undefined ? pauseAt(wait, experience, clock.now() - begun) : asked;
    const news = await rest(wait, Math.max(1, Math.min(pause, RETRY_AFTER_MOST_MS, left)));
    if (news) {
      ({ seen } = news);
      trouble = undefined;
      looked = true;
    }
  }
}

function pauseAt({ interval: pace }: Poll<unknown>, experience: DurationEstimator | undefined, age: number): number {
  const next = experience?.nextFetch(age);
  if (next !== undefined) return Math.min(next - age, pace.most);
  const pause = Math.min(Math.max(age / 4, pace.first), pace.most);
  return pause / 2 + (Math.random() * pause) / 2;
}

/** Sleeps, unless somebody else's look brings news before that. */
async function rest<Seen>(wait: Poll<Seen>, ms: number): Promise<{ seen: Seen } | undefined> {
  const { clock, signal } = wait.context;
  if (!wait.notified) {
    await abortableSleep(clock, ms, signal, stoppedWaiting(wait));
    return undefined;
  }
  const resting = new AbortController();
  const forward = () => resting.abort(signal.reason);
  signal.addEventListener("abort", forward, { once: true });
  if (signal.aborted) forward();
  try {
    return await Promise.race([
      clock.sleep(ms, resting.signal).then(() => undefined),
      wait.notified(resting.signal).then((seen) => ({ seen })),
    ]);
  } catch (error) {
    throw signal.aborted ? stopped(stoppedWaiting(wait)) : error;
  } finally {
    signal.removeEventListener("abort", forward);
    resting.abort(ENOUGH);
  }
}

/** One look. What may pass by itself does not end the wait; it is counted and told if the deadline comes. */
async function lookOnce<Seen>(wait: Poll<Seen>): Promise<{ seen?: Seen; trouble?: SnapcloneError }> {
  const { clock, deadline, signal } = wait.context;
  const own = new AbortController();
  const giveUp = new AbortController();
  const forward = () => own.abort(signal.reason);
  signal.addEventListener("abort", forward, { once: true });
  if (signal.aborted) forward();
  const limit = Math.max(0, deadline - clock.now()) + LAST_LOOK_MS;
  const tooLong = clock.sleep(limit, giveUp.signal).then(
    () => own.abort(new SnapcloneError({ kind: "transient", message: "the last look got no answer" })),
    () => {},
  );
  try {
    return { seen: await wait.fetch(own.signal) };
  } catch (error) {
    if (signal.aborted) throw stopped(stoppedWaiting(wait));
    if (own.signal.aborted) return { trouble: asSnapcloneError(own.signal.reason, wait.description) };
    if (isKind(error, "transient", "malformed")) return { trouble: error };
    throw error;
  } finally {
    signal.removeEventListener("abort", forward);
    giveUp.abort(ENOUGH);
    await tooLong;
  }
}

function stoppedWaiting({ description: what }: Poll<unknown>): string {
  return `the run was stopped while waiting for ${what}`;
}

function tooLate(wait: Poll<unknown>, waited: number, history: Map<string, number>): SnapcloneError {
  const seen = [...history].map(([what, times]) => (times === 1 ? what : `${what} (${times}×)`)).join(", then ");
  return new SnapcloneError({
    kind: "deadline",
    message: `waited ${formatDuration(waited)} for ${wait.description}; seen: ${seen || "nothing"}`,
  });
}

function count(history: Map<string, number>, what: string): void {
  history.set(what, (history.get(what) ?? 0) + 1);
}
