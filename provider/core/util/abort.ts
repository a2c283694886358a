// Aborting: the error of a run that is stopped, a way to leave work that others still wait for, and linked signals.

import { SnapcloneError } from "../errors";
import type { Clock } from "./clock";

/** The reason that ends sleeps when they are no longer needed. Shared, because each new error would cost its stack. */
export const NO_LONGER_NEEDED = new Error("no longer needed");

export function stopped(message = "the run was stopped", request?: string): SnapcloneError {
  return new SnapcloneError({ kind: "stopped", message, request });
}

export async function abortableSleep(clock: Clock, ms: number, signal: AbortSignal | undefined, message?: string) {
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    throw signal?.aborted ? stopped(message) : error;
  }
}

/** Waits for work that several callers share. An abort ends this caller's wait, not the work. */
export async function withAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  let leave = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    leave = () => reject(stopped());
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** Waits for work that several callers share, for `ms` at most. Then it throws `tooLong()`, and the work goes on. */
export async function withTimeLimit<T>(clock: Clock, ms: number, work: Promise<T>, tooLong: () => Error): Promise<T> {
  const ended = new AbortController();
  const limit = clock.sleep(ms, ended.signal).then(
    () => {
      throw tooLong();
    },
    // The work has ended first, so nobody waits for this any more.
    () => undefined as never,
  );
  try {
    return await Promise.race([work, limit]);
  } finally {
    limit.catch(() => {});
    ended.abort();
  }
}

export interface LinkedAbort {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
  /** Ends the link to the outer signal. Call it when the work has ended. */
  release(): void;
}

/**
 * A signal that aborts when `outer` does, and that can be aborted by itself. It is not made by AbortSignal.any, since all
 * waits of a run listen to the run's one signal: Node.js 20 and 22 keep each signal that AbortSignal.any links to a
 * long-lived one (nodejs/node#55351). `release` removes the listener at once.
 */
export function linkedAbort(outer: AbortSignal | undefined): LinkedAbort {
  const controller = new AbortController();
  const forward = () => controller.abort(outer?.reason);
  outer?.addEventListener("abort", forward, { once: true });
  if (outer?.aborted) forward();
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    release: () => outer?.removeEventListener("abort", forward),
  };
}
