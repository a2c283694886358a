// Deleting what Cinder has (snapshots, volumes): asked for as soon as the status allows it, ended when it is truly gone.

import type { BatchPoller } from "../core/batchPoller";
import type { OperationContext } from "../core/definition";
import type { DurationEstimator } from "../core/durationEstimator";
import { isKind, SnapcloneError } from "../core/errors";
import { poll } from "../core/poll";
import type { CinderClient } from "./cinder";

/**
 * Half a second is what a small snapshot takes (docs/wire/openstack.md#seen-times), and 10 s is how Cinder polls Nova
 * itself (docs/wire/openstack.md#b5).
 */
export const INTERVAL = { first: 500, most: 10_000 };

export interface Deletion {
  noun: "snapshot" | "volume";
  id: string;
  cinder: CinderClient;
  /** One DELETE. */
  ask(): Promise<void>;
  poller: BatchPoller<StatusRow>;
  estimator: DurationEstimator;
  /** What to do where Cinder began and took it back. */
  whenTakenBack: string;
  /** What to do where only an administrator can end it. */
  whenFailed: string;
}

export interface StatusRow {
  id: string;
  status: string;
}

/**
 * DELETE is refused unless the status is available or error (docs/wire/openstack.md#a9, #a13). "missing": Cinder
 * did not know the object when it was asked first.
 */
export async function deleteUntilGone(deletion: Deletion, job: OperationContext): Promise<"deleted" | "missing"> {
  const { noun, id, poller: looks, estimator: experience } = deletion;
  const leave = looks.register();
  const refusedIn = new Set<string>();
  let accepted = false;
  let seen = false;
  try {
    let refusal = await askToDelete(deletion);
    seen = true;
    accepted = refusal === undefined;
    await poll<StatusRow | undefined>({
      description: `${noun} ${id} to be deleted`,
      fetch: (signal) => looks.fetch(id, signal),
      notified: (signal) => looks.subscribe(id, signal),
      evaluate: async (row) => {
        const status = row?.status.toLowerCase();
        if (!row || status === undefined || status === "deleted") return { is: "done", progress: "deleted" };
        if (status === "error_deleting") return { is: "failed", error: await deletionFailed(deletion, row) };
        if (/^(available|in-use|error)/.test(status)) {
          // It was on its way and came back: the backend could not let go of it, and says so nowhere else
          // (docs/wire/openstack.md#a8).
          if (accepted) return { is: "failed", error: await deletionFailed(deletion, row) };
          // Refused although the status allows it, or attached: the refusal names the reason.
          if (refusal && (status === "in-use" || refusedIn.has(status))) return { is: "failed", error: refusal };
          refusal = await askToDelete(deletion);
          accepted = refusal === undefined;
          refusedIn.add(status);
        } else if (status === "deleting") accepted = true;
        return { is: "pending", progress: `${accepted ? "" : "waiting to delete: "}${row.status}` };
      },
      ...(accepted ? { initial: { id, status: "deleting" } } : {}),
      interval: INTERVAL,
      estimator: experience,
      context: job,
    });
    return "deleted";
  } catch (error) {
    if (!isKind(error, "notFound")) throw error;
    return seen ? "deleted" : "missing";
  } finally {
    leave();
  }
}

/** undefined: accepted. A refusal is judged by the status; what is missing is thrown, and is success. */
async function askToDelete({ ask }: Deletion): Promise<SnapcloneError | undefined> {
  try {
    await ask();
    return undefined;
  } catch (error) {
    if (isKind(error, "refused") && error.parts.status === 400) return error;
    throw error;
  }
}

async function deletionFailed(
  { noun, cinder, whenTakenBack, whenFailed }: Deletion,
  { id, status }: StatusRow,
): Promise<SnapcloneError> {
  const why = await cinder.whyError(id);
  const back = status.toLowerCase() !== "error_deleting";
  return new SnapcloneError({
    kind: "failed",
    message: `Cinder began to delete ${noun} ${id} and ${back ? `took it back to "${status}"` : "failed"}${why ? `: ${why}` : ""}`,
    hint: back ? whenTakenBack : whenFailed,
  });
}
