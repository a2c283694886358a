// The only loop that waits. It knows nothing of any backend: how to look, how to judge what was seen and how patient to
// be are handed in, and so is the clock.

import type { Job } from "./definition";
import { formatDuration } from "./duration";
import { asSnapcloneError, isKind, SnapcloneError } from "./errors";
import { sleepUnlessStopped, stopped } from "./stop";

export type Verdict =
  | { is: "done"; progress: string }
  | { is: "pending"; progress: string }
  | { is: "failed"; error: SnapcloneError };

export interface Wait<Seen> {
  /** Completes "waiting for …" and names the object. */
  what: string;
  look(signal: AbortSignal): Promise<Seen>;
  judge(seen: Seen): Verdict | Promise<Verdict>;
  /** Seen already, with the answer that accepted the work: saves the first look. */
  first?: Seen;
  /** Milliseconds between looks: doubles from `first` to `most`, each drawn from its upper half. */
  pace: { first: number; most: number };
  job: Pick<Job, "clock" | "deadline" | "signal" | "progress">;
}

/** A look may outlive the deadline by this much, so that the last one can still bring the good news. */
const LAST_LOOK_MS = 10_000;
/** A server's `Retry-After` is honoured up to here: a date far off must not stop the wait for a day. */
const RETRY_AFTER_MOST_MS = 120_000;

export async function waitFor<Seen>(wait: Wait<Seen>): Promise<Seen> {
  const { clock, deadline } = wait.job;
  const begun = clock.now();
  const history = new Map<string, number>();
  let pause = wait.pace.first;
  let told = "";
  let looked = wait.first !== undefined;
  let seen = wait.first;
  let trouble: SnapcloneError | undefined;

  for (;;) {
    if (!looked) {
      ({ seen, trouble } = await lookOnce(wait));
      if (trouble) count(history, `${trouble.parts.said}`);
    }
    looked = false;
    if (!trouble) {
      const verdict = await wait.judge(seen as Seen);
      if (verdict.is === "failed") throw verdict.error;
      if (verdict.progress !== told) wait.job.progress(verdict.progress);
      told = verdict.progress;
      if (verdict.is === "done") return seen as Seen;
      count(history, told);
    }
    const left = deadline - clock.now();
    if (left <= 0) throw tooLate(wait, clock.now() - begun, history);
    const asked = trouble?.retryAfterMs;
    const next = asked === undefined ? pause / 2 + (Math.random() * pause) / 2 : Math.min(asked, RETRY_AFTER_MOST_MS);
    pause = Math.min(pause * 2, wait.pace.most);
    await sleepUnlessStopped(clock, Math.max(1, Math.min(next, left)), wait.job.signal, stoppedWaiting(wait));
  }
}

/** One look. What may pass by itself does not end the wait; it is counted and told if the deadline comes. */
async function lookOnce<Seen>(wait: Wait<Seen>): Promise<{ seen?: Seen; trouble?: SnapcloneError }> {
  const { clock, deadline, signal } = wait.job;
  const own = new AbortController();
  const giveUp = new AbortController();
  const forward = () => own.abort(signal.reason);
  signal.addEventListener("abort", forward, { once: true });
  if (signal.aborted) forward();
  const limit = Math.max(0, deadline - clock.now()) + LAST_LOOK_MS;
  const tooLong = clock.sleep(limit, giveUp.signal).then(
    () => own.abort(new SnapcloneError({ kind: "transient", said: "the last look got no answer" })),
    () => {},
  );
  try {
    return { seen: await wait.look(own.signal) };
  } catch (error) {
    if (signal.aborted) throw stopped(stoppedWaiting(wait));
    if (own.signal.aborted) return { trouble: asSnapcloneError(own.signal.reason, wait.what) };
    if (isKind(error, "transient", "malformed")) return { trouble: error };
    throw error;
  } finally {
    signal.removeEventListener("abort", forward);
    giveUp.abort();
    await tooLong;
  }
}

function stoppedWaiting({ what }: Wait<unknown>): string {
  return `the run was stopped while waiting for ${what}`;
}

function tooLate(wait: Wait<unknown>, waited: number, history: Map<string, number>): SnapcloneError {
  const seen = [...history].map(([what, times]) => (times === 1 ? what : `${what} (${times}×)`)).join(", then ");
  return new SnapcloneError({
    kind: "deadline",
    said: `waited ${formatDuration(waited)} for ${wait.what}; seen: ${seen || "nothing"}`,
  });
}

function count(history: Map<string, number>, what: string): void {
  history.set(what, (history.get(what) ?? 0) + 1);
}
