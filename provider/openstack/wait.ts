// How a wait watches one object of Cinder's.

import type { BatchPoller } from "../core/batchPoller";
import { type Poll, poll } from "../core/poll";

/**
 * A small snapshot takes half a second (docs/wire/openstack.md#seen-times). Cinder itself polls Nova every 10 s
 * (docs/wire/openstack.md#b5).
 */
export const INTERVAL = { first: 500, most: 10_000 };

/** In how many answers an object may still show the status before a request that Cinder has accepted: a replica may lag. */
const STALE_ANSWERS = 3;

/** Counts the answers that show the status before a request that Cinder has accepted. */
export class StaleAnswers {
  private left = STALE_ANSWERS;

  /** Called for each such answer. True while a replica may have given it. */
  isExcused(): boolean {
    this.left -= 1;
    return this.left >= 0;
  }

  /** An answer has shown the work: no later one shows the status before it. */
  end(): void {
    this.left = 0;
  }
}

export interface ObjectWait<Row>
  extends Pick<
    Poll<Row | undefined>,
    "description" | "evaluate" | "estimator" | "giveUpAfterMs" | "stuckHint" | "context"
  > {
  /** The row as the accepting response showed it. Saves the first request. */
  initial?: Row | undefined;
  /** Starts the work once the wait is registered. May return the first row. */
  begin?(): Promise<Row | undefined>;
}

/** Polls the object until `evaluate` says that the work has ended. Waits with the same `poller` share its lists. */
export async function waitForObject<Row>(
  poller: BatchPoller<Row>,
  id: string,
  { begin, ...wait }: ObjectWait<Row>,
): Promise<Row | undefined> {
  const unregister = poller.register();
  try {
    const initial = begin ? await begin() : wait.initial;
    return await poll<Row | undefined>({
      description: wait.description,
      fetch: (signal) => poller.fetch(id, signal),
      subscribe: (listener) => poller.subscribe(id, listener),
      evaluate: wait.evaluate,
      ...(initial === undefined ? {} : { initial }),
      ...(wait.estimator === undefined ? {} : { estimator: wait.estimator }),
      ...(wait.giveUpAfterMs === undefined ? {} : { giveUpAfterMs: wait.giveUpAfterMs }),
      ...(wait.stuckHint === undefined ? {} : { stuckHint: wait.stuckHint }),
      interval: INTERVAL,
      context: wait.context,
    });
  } finally {
    unregister();
  }
}

/**
 * A cinder-volume that dies leaves the status of what it was working on. Only its restart, or an administrator, ends that
 * (cinder/volume/manager.py, _do_cleanup).
 */
export function setToError(noun: "snapshot" | "volume", id: string): string {
  return (
    `Check that cinder-volume is up (\`openstack volume service list\`). If nothing works on the ${noun} any more, its status stays: ` +
    `an administrator sets it to error (${statusCommand(noun, id, "error")}). Then run the same command again.`
  );
}

/** For a hint: the command by which an administrator resets a status, ready to be copied. */
export function statusCommand(
  noun: "snapshot" | "volume",
  id: string,
  status: "available" | "in-use" | "error",
): string {
  return `\`openstack volume ${noun === "snapshot" ? "snapshot " : ""}set --state ${status} ${id}\``;
}
