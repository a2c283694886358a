// Deletes a snapshot or a volume of Cinder's: sends the DELETE as soon as the status allows it, and waits until the object
// is gone.

import type { BatchPoller } from "../core/batchPoller";
import type { OperationContext } from "../core/definition";
import type { DurationEstimator } from "../core/durationEstimator";
import { isKind, SnapcloneError } from "../core/errors";
import type { Evaluation } from "../core/poll";
import type { CinderClient } from "./cinder";
import { StaleAnswers, setToError, statusCommand, waitForObject } from "./wait";

export interface Deletion {
  noun: "snapshot" | "volume";
  id: string;
  cinder: CinderClient;
  /** Sends one DELETE. */
  send(): Promise<void>;
  poller: BatchPoller<StatusRow>;
  estimator: DurationEstimator;
  /** For a deletion that Cinder began and reverted. */
  revertedHint: string;
}

export type DeletionContext = Pick<OperationContext, "clock" | "deadline" | "signal" | "progress">;

export interface StatusRow {
  id: string;
  status: string;
}

/** How far a deletion has got. */
interface DeletionState {
  /** Cinder knew the object at the first request. */
  found: boolean;
  accepted: boolean;
  refusal?: SnapcloneError | undefined;
  /** The statuses in which Cinder has refused a DELETE. */
  refusedIn: Set<string>;
  /** Answers that show the status before, after Cinder had accepted a DELETE. */
  readonly stale: StaleAnswers;
  /** Since when the object is in a status of `HELD`. */
  heldSince: number | undefined;
}

/** A volume that is being attached is `reserved` for seconds. If a status of `HELD` lasts longer than this, the delete fails. */
const HELD_MS = 120_000;

/** Statuses that only another service or project ends, and what the user can do. */
const HELD: Readonly<Record<string, string>> = {
  reserved:
    "A server that is shelved, or is being started or moved, holds it. `openstack --os-volume-api-version 3.27 volume attachment list --volume-id <volume>` names the server: detach the volume from it, or delete the server.",
  "awaiting-transfer":
    "It is offered to another project. `openstack volume transfer request list` names the offer: delete that, or have it accepted.",
};

/** "missing": Cinder did not know the object at the first request. */
export async function deleteUntilGone(deletion: Deletion, context: DeletionContext): Promise<"deleted" | "missing"> {
  const { noun, id, poller, estimator } = deletion;
  const state: DeletionState = {
    found: false,
    accepted: false,
    refusedIn: new Set(),
    stale: new StaleAnswers(),
    heldSince: undefined,
  };
  try {
    await waitForObject(poller, id, {
      description: `${noun} ${id} to be deleted`,
      begin: async () => {
        await sendDelete(deletion, state);
        state.found = true;
        return state.accepted ? { id, status: "deleting" } : undefined;
      },
      evaluate: (row) => evaluateDeletion(deletion, state, row, context.clock.now()),
      estimator,
      stuckHint: () => setToError(noun, id),
      context,
    });
    return "deleted";
  } catch (error) {
    if (!isKind(error, "notFound")) throw error;
    return state.found ? "deleted" : "missing";
  }
}

/** Cinder refuses a DELETE unless the status is available or error (docs/wire/openstack.md#a9, #a13). */
async function evaluateDeletion(
  deletion: Deletion,
  state: DeletionState,
  row: StatusRow | undefined,
  now: number,
): Promise<Evaluation> {
  const status = row?.status.toLowerCase();
  if (!row || status === undefined || status === "deleted") return { is: "done", progress: "deleted" };
  if (status === "error_deleting") return { is: "failed", error: await deletionFailed(deletion, row) };
  if (/^(available|in-use|error)/.test(status)) {
    // The deletion had begun and was reverted: the backend could not delete the object. Only the status shows it
    // (docs/wire/openstack.md#a8).
    if (state.accepted) {
      if (state.stale.isExcused()) return { is: "pending", progress: row.status };
      return { is: "failed", error: await deletionFailed(deletion, row) };
    }
    // Refused although the status allows a DELETE, or attached: the refusal names the reason.
    const { refusal, refusedIn } = state;
    if (refusal && (status === "in-use" || refusedIn.has(status))) return { is: "failed", error: refusal };
    await sendDelete(deletion, state);
    refusedIn.add(status);
  } else if (status === "deleting") state.accepted = true;
  const hint = state.accepted ? undefined : HELD[status];
  if (hint === undefined) state.heldSince = undefined;
  else {
    state.heldSince ??= now;
    if (now - state.heldSince >= HELD_MS) return { is: "failed", error: held(deletion, row, hint) };
  }
  return { is: "pending", progress: `${state.accepted ? "" : "waiting to delete: "}${row.status}` };
}

function held({ noun, id }: Deletion, { status }: StatusRow, hint: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `${noun} ${id} is in status "${status}", in which Cinder deletes nothing; nothing was deleted`,
    hint: `${hint} Then run the same command again.`,
  });
}

/** Keeps a refusal for later, since it may be due to the status. Throws if the object is missing. */
async function sendDelete({ send }: Deletion, state: DeletionState): Promise<void> {
  try {
    await send();
    state.refusal = undefined;
  } catch (error) {
    if (!isKind(error, "refused") || error.parts.status !== 400) throw error;
    state.refusal = error;
  }
  state.accepted = state.refusal === undefined;
}

async function deletionFailed(
  { noun, cinder, revertedHint }: Deletion,
  { id, status }: StatusRow,
): Promise<SnapcloneError> {
  const reason = await cinder.whyError(id);
  const reverted = status.toLowerCase() !== "error_deleting";
  const outcome = reverted ? `took it back to "${status}"` : "failed";
  return new SnapcloneError({
    kind: "failed",
    message: `Cinder began to delete ${noun} ${id} and ${outcome}${reason ? `: ${reason}` : ""}`,
    hint: reverted
      ? revertedHint
      : `An administrator has to look at the backend and then reset the status (${statusCommand(noun, id, "available")}). Then run the same command again.`,
  });
}
