// After a lost reply the object that the request may have made is searched for: the backend may need a moment to show it.

import type { OperationContext } from "./definition";
import { isKind } from "./errors";
import { abortableSleep } from "./util/abort";

/** Milliseconds before each search. */
const INTERVALS_MS = [0, 1_000, 2_000, 4_000];

/**
 * Calls `find` until it returns something; undefined after the last call. A call that throws has found nothing. An abort ends
 * the search without a find and throws nothing: the caller still has the error that left the outcome unknown, and only that
 * error makes a record.
 */
export async function retryUntilFound<T>(
  find: () => Promise<T | undefined>,
  { clock, signal }: Pick<OperationContext, "clock" | "signal">,
): Promise<T | undefined> {
  for (const interval of INTERVALS_MS) {
    try {
      await abortableSleep(clock, interval, signal);
    } catch (error) {
      if (isKind(error, "stopped")) return undefined;
      throw error;
    }
    const found = await find().catch(() => undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}
