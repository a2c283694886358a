// One operation at a time on a thing (a snapshot session, a volume) where the backend lets two run against each other.

import type { OperationContext } from "../definition";
import { SnapcloneError } from "../errors";
import { stopped } from "./abort";
import { formatDuration } from "./duration";
import { Semaphore } from "./semaphore";

export class KeyedMutex {
  private readonly locks = new Map<string, Semaphore>();

  /** Waits for its turn at all of them, first come, first served. Call the result when the work has ended. */
  async acquire(
    things: readonly string[],
    /** What the things are: "snapshot session". */
    noun: string,
    job: Pick<OperationContext, "clock" | "deadline" | "signal" | "progress">,
  ): Promise<() => void> {
    const begun = job.clock.now();
    const giveUp = new AbortController();
    const enough = new AbortController();
    const forward = () => giveUp.abort();
    job.signal.addEventListener("abort", forward, { once: true });
    if (job.signal.aborted) forward();
    const tooLong = job.clock.sleep(Math.max(0, job.deadline - begun), enough.signal).then(forward, () => {});
    const taken: (() => void)[] = [];
    try {
      // In one order for all, so that no two of them each hold what the other waits for.
      for (const thing of [...new Set(things)].sort()) {
        giveUp.signal.throwIfAborted();
        const line = this.locks.get(thing) ?? new Semaphore(1);
        this.locks.set(thing, line);
        if (line.isFull) job.progress(`waiting for another operation on the ${noun} ${thing}`);
        taken.push(await enter(line, giveUp.signal));
      }
      return () => {
        for (const leave of taken.splice(0)) leave();
      };
    } catch {
      for (const leave of taken) leave();
      if (job.signal.aborted) throw stopped("the run was stopped; nothing was sent");
      throw new SnapcloneError({
        kind: "deadline",
        message: `waited ${formatDuration(job.clock.now() - begun)} for other work of this run on the same ${noun}; nothing was sent`,
        hint: "Run again, or give it more time by customTimeouts.",
      });
    } finally {
      job.signal.removeEventListener("abort", forward);
      enough.abort();
      await tooLong;
    }
  }
}

function enter(line: Semaphore, signal: AbortSignal): Promise<() => void> {
  return new Promise((resolve, reject) => {
    line.run(() => new Promise<void>((leave) => resolve(leave)), signal).catch(reject);
  });
}
