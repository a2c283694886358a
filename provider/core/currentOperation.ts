// On whose behalf a request is sent. The operation is bound to all asynchronous work that it begins, so every request has the
// operation's own deadline, signal and row, and no client method can forget to hand them on. Work that several operations
// share is bound to none of them: the end of one operation must not fail the others.

import { AsyncLocalStorage } from "node:async_hooks";
import { SnapcloneError } from "./errors";
import type { Patience } from "./http/rateGate";
import { withTimeLimit } from "./util/abort";
import type { Clock } from "./util/clock";

interface Binding {
  clock: Clock;
  operation: Patience | undefined;
}

/** At its deadline and afterwards, an operation asks only what became of its last request. Each such wait may take this long. */
export const LAST_WAIT_MS = 15_000;
/** How long a request that belongs to no operation, such as a refresh's or a lookup's, may wait for a rate limit. */
export const UNBOUND_PATIENCE_MS = 600_000;
const bindings = new AsyncLocalStorage<Binding | undefined>();

/** Calls `work`, which may begin several operations, one after the other. Requests belong to the latest one. */
export function withOperations<T>(clock: Clock, work: (bind: (operation: Patience) => void) => T): T {
  const binding: Binding = { clock, operation: undefined };
  return bindings.run(binding, () =>
    work((operation) => {
      binding.operation = operation;
    }),
  );
}

/** undefined in a refresh, in shared work, and outside of any operation. */
export function currentOperation(): Patience | undefined {
  return bindings.getStore()?.operation;
}

/** Begins work that other operations wait for, too. Its requests last as long as the longest operation of the run. */
export function beginShared<T>(work: () => T): T {
  return bindings.run(undefined, work);
}

/**
 * Waits for shared work until the deadline of the current operation. The work itself goes on for the others.
 */
export async function waitForShared<T>(work: Promise<T>, what: string): Promise<T> {
  const { clock, operation } = bindings.getStore() ?? {};
  if (clock === undefined || operation === undefined) return work;
  const limit = Math.max(operation.deadline - clock.now(), LAST_WAIT_MS);
  return withTimeLimit(clock, limit, work, () => {
    return new SnapcloneError({
      kind: "transient",
      message: `${what} takes longer than this operation may. Nothing else was sent`,
      hint: "Run again later, or give the operation more time (`customTimeouts`).",
    });
  });
}
