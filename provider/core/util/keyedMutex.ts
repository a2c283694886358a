// One operation at a time on an object (a snapshot session, a volume) where the backend does not exclude two itself.
// Operations that don't disturb each other share the object, and exclude the others.

import type { OperationContext } from "../definition";
import { SnapcloneError } from "../errors";
import { linkedAbort, stopped } from "./abort";
import { formatDuration } from "./duration";

/** A "shared" holder excludes only exclusive ones. */
export type LockMode = "exclusive" | "shared";

export class KeyedMutex {
  private readonly locks = new Map<string, Lock>();

  /** Waits until it holds the locks of all keys, first come, first served. Call the result to release them. */
  async acquire(
    keys: readonly string[],
    /** What the keys are: "snapshot session". */
    noun: string,
    context: Pick<OperationContext, "clock" | "deadline" | "signal" | "progress">,
    mode: LockMode = "exclusive",
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
        const lock = this.locks.get(key) ?? new Lock();
        this.locks.set(key, lock);
        if (!lock.isFree(mode)) context.progress(`waiting for another operation on the ${noun} ${key}`);
        held.push(await lock.acquire(mode, waiting.signal));
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

  /** True if an exclusive holder would not have to wait. */
  isFree(key: string): boolean {
    return this.locks.get(key)?.isFree("exclusive") ?? true;
  }
}

/** First come, first served: a shared caller waits behind an exclusive one, which would else wait for ever. */
class Lock {
  private holders = 0;
  private held: LockMode = "shared";
  private readonly queue: { mode: LockMode; enter(): void }[] = [];

  isFree(mode: LockMode): boolean {
    return this.queue.length === 0 && this.admits(mode);
  }

  /** An abort takes the caller out of the queue. */
  acquire(mode: LockMode, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.queue.splice(this.queue.indexOf(waiting), 1);
        reject(stopped());
        // The waiters behind it may have waited for it only.
        this.admitNext();
      };
      const enter = () => {
        signal.removeEventListener("abort", leave);
        this.holders += 1;
        this.held = mode;
        resolve(() => this.release());
      };
      const waiting = { mode, enter };
      this.queue.push(waiting);
      signal.addEventListener("abort", leave, { once: true });
      this.admitNext();
    });
  }

  private release(): void {
    this.holders -= 1;
    this.admitNext();
  }

  private admits(mode: LockMode): boolean {
    return this.holders === 0 || (mode === "shared" && this.held === "shared");
  }

  private admitNext(): void {
    for (let next = this.queue[0]; next && this.admits(next.mode); next = this.queue[0]) {
      this.queue.shift();
      next.enter();
    }
  }
}
