// Which requests are sent again after which failure, and when.

import { isKind, SnapcloneError } from "../errors";
import { abortableSleep } from "../util/abort";
import type { Clock } from "../util/clock";
import { codeOf } from "./nodeErrors";
import type { Patience } from "./rateGate";
import { type HttpRequest, isIdempotent } from "./request";

/** How often a request that may be repeated is sent, the first time included. */
const ATTEMPTS = 3;
/** Milliseconds between two attempts. */
const INTERVAL = { first: 250, most: 4_000, retryAfterMost: 30_000 };
/** A refused connection may mean that the API or its load balancer restarts. Retries wait for it up to this sum. */
const RESTART_MS = 15_000;

/** Calls `attempt` until it succeeds, or until it fails in a way that rules out another attempt. */
export async function retry<T>(
  request: HttpRequest<unknown>,
  attempt: () => Promise<T>,
  { deadline, signal }: Patience,
  clock: Clock,
): Promise<T> {
  let restarting = Math.min(RESTART_MS, deadline - clock.now());
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      const pause = intervalAfter(count, error);
      if (isKind(error, "transient") && codeOf(error.parts.cause) === "ECONNREFUSED") {
        if (restarting <= 0) throw error;
        restarting -= pause;
      } else if (count >= ATTEMPTS || !isRetryable(request, error)) throw error;
      await abortableSleep(clock, pause, signal);
    }
  }
}

/**
 * A request that never reached the server may be repeated. A request that the server may have carried out may be repeated
 * only if it is idempotent (RFC 9110 §9.2.2).
 */
function isRetryable(request: HttpRequest<unknown>, error: unknown): boolean {
  // A rate limit was waited for as long as the operation may (rateGate.ts).
  if (!isKind(error, "transient") || error.parts.rateLimited) return false;
  return isIdempotent(request) || error.parts.status === undefined;
}

function intervalAfter(attempt: number, error: unknown): number {
  const asked = error instanceof SnapcloneError ? error.retryAfterMs : undefined;
  if (asked !== undefined) return Math.min(asked, INTERVAL.retryAfterMost);
  const full = Math.min(INTERVAL.most, INTERVAL.first * 2 ** (attempt - 1));
  return full / 2 + (Math.random() * full) / 2;
}
