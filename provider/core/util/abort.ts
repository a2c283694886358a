// How work ends when the run does: one error for it, and one way to leave work that others still wait for.

import { SnapcloneError } from "../errors";
import type { Clock } from "./clock";

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

/** Waits for work that others share: an abort ends this caller's waiting, not the work. */
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
