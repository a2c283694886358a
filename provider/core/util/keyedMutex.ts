// One operation at a time on an object (a snapshot session, a volume) where the backend does not exclude two itself.

import type { OperationContext } from "../definition";
import { SnapcloneError } from "../errors";
import { linkedAbort, stopped } from "./abort";
import { formatDuration } from "./duration";
import { Semaphore } from "./semaphore";

export class KeyedMutex {
  private readonly locks = new Map<string, Semaphore>();

  /** Waits until it holds the locks of all keys, first come, first served. Call the result to release them. */
  async acquire(
    keys: readonly string[],
    /** What the keys are: "snapshot session". */
    noun: string,
    context: Pick<OperationContext, "clock" | "deadline" | "signal" | "progress">,
  ): Promise<() => void> {
    const { clock, deadline, signal } = context;
    const begun = clock.now();
    const waiting = linkedAbort(signal);
    const ended = new AbortController();
    const tooLong = clock.sleep(Math.max(0, deadline - begun), ended.signal).then(
      () => waiting.abort(),
      () => {},
    );
    const held: (() => void)[] = [];
    try {
      // All callers acquire in the same order, so that no two of them each hold the lock that the other waits for.
      for (const key of [...new Set(keys)].sort()) {
        waiting.signal.throwIfAborted();
        const lock = this.locks.get(key) ?? new Semaphore(1);
        this.locks.set(key, lock);
        if (lock.isFull) context.progress(`waiting for another operation on the ${noun} ${key}`);
        held.push(await hold(lock, waiting.signal));
      }
      return () => {
        for (const release of held.splice(0)) release();
      };
    } catch {
      for (const release of held) release();
      if (signal.aborted) throw stopped("the run was stopped; nothing was sent");
      throw new SnapcloneError({
        kind: "deadline",
        message: `waited ${formatDuration(clock.now() - begun)} for other work of this run on the same ${noun}; nothing was sent`,
        hint: "Run again, or give the resource more time by customTimeouts.",
      });
    } finally {
      waiting.release();
      ended.abort();
      await tooLong;
    }
  }
}

function hold(lock: Semaphore, signal: AbortSignal): Promise<() => void> {
  return new Promise((resolve, reject) => {
    lock.run(() => new Promise<void>((release) => resolve(release)), signal).catch(reject);
  });
}
