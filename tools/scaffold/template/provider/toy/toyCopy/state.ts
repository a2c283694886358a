// What a ToyCopy looks like on Toy, and what that says about its creation and its deletion.

import type { AbsenceTimer } from "../../core/absence";
import type { Observed } from "../../core/definition";
import type { Evaluation } from "../../core/poll";
import type { CopyRow } from "../client";
import { creationFailed, deletionFailed, vanished } from "./errors";

export function observed({ source, name, status, created_at }: CopyRow): Observed {
  return { state: { source, name, status, createdAt: created_at } };
}

/** A status that this build does not know is waited for, until the deadline. */
export function evaluateCreation(id: string, row: CopyRow | undefined, absence: AbsenceTimer): Evaluation {
  const isGone = absence.isProven(row !== undefined);
  if (row === undefined)
    return isGone ? { is: "failed", error: vanished(id) } : { is: "pending", progress: "not found" };
  if (row.status === "available") return { is: "done", progress: "available" };
  return row.status === "error"
    ? { is: "failed", error: creationFailed(row) }
    : { is: "pending", progress: row.status };
}

export function evaluateDeletion(row: CopyRow | undefined): Evaluation {
  if (row === undefined) return { is: "done", progress: "deleted" };
  if (row.status === "deleting") return { is: "pending", progress: row.status };
  // Toy accepted the deletion and then kept the copy.
  return /^(available|error)$/.test(row.status)
    ? { is: "failed", error: deletionFailed(row) }
    : { is: "pending", progress: row.status };
}
