// Deleting what Cinder has (snapshots, volumes): asked for as soon as the status allows it, ended when it is truly gone.

import type { OperationContext } from "../core/definition";
import { isKind, SnapcloneError } from "../core/errors";
import type { Experience } from "../core/experience";
import type { SharedLook } from "../core/sharedLook";
import { waitFor } from "../core/wait";
import type { Cinder } from "./cinder";

/**
 * Half a second is what a small snapshot takes (docs/wire/openstack.md#seen-times), and 10 s is how Cinder polls Nova
 * itself (docs/wire/openstack.md#b5).
 */
export const PACE = { first: 500, most: 10_000 };

export interface Deletion {
  noun: "snapshot" | "volume";
  id: string;
  cinder: Cinder;
  /** One DELETE. */
  ask(): Promise<void>;
  looks: SharedLook<StatusRow>;
  experience: Experience;
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
  const { noun, id, looks, experience } = deletion;
  const leave = looks.join();
  const refusedIn = new Set<string>();
  let accepted = false;
  let seen = false;
  try {
    let refusal = await askToDelete(deletion);
    seen = true;
    accepted = refusal === undefined;
    await waitFor<StatusRow | undefined>({
      what: `${noun} ${id} to be deleted`,
      look: (signal) => looks.look(id, signal),
      news: (signal) => looks.news(id, signal),
      judge: async (row) => {
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
      ...(accepted ? { first: { id, status: "deleting" } } : {}),
      pace: PACE,
      experience,
      job,
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
    said: `Cinder began to delete ${noun} ${id} and ${back ? `took it back to "${status}"` : "failed"}${why ? `: ${why}` : ""}`,
    remedy: back ? whenTakenBack : whenFailed,
  });
}
