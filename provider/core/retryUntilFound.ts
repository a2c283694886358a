// After a lost reply the object that the request may have made is searched for: the backend may need a moment to show it.

import type { OperationContext } from "./definition";
import { abortableSleep } from "./util/abort";

/** Milliseconds before each search. */
const INTERVALS_MS = [0, 1_000, 2_000, 4_000];

/** Calls `find` until it returns something; undefined after the last call. A call that throws has found nothing. */
export async function retryUntilFound<T>(
  find: () => Promise<T | undefined>,
  { clock, signal }: Pick<OperationContext, "clock" | "signal">,
): Promise<T | undefined> {
  for (const interval of INTERVALS_MS) {
    await abortableSleep(clock, interval, signal);
    const found = await find().catch(() => undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}
