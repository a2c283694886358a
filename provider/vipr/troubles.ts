// What can go wrong with a LinkedTargetSet, in words.

import { isKind, SnapcloneError } from "../core/errors";
import type { SnapshotSession, Task } from "./client";
import type { LinkedTargetSetInputs } from "./inputs";
import { type Group, sourceOf, type View } from "./targetSet";

/** That one thing is missing does not make the set gone: only a look at all of it tells. */
export function neverGone(error: unknown): unknown {
  return isKind(error, "notFound") ? new SnapcloneError({ ...error.parts, kind: "refused" }) : error;
}

export function taskFailed(task: Task, view: View, inputs: LinkedTargetSetInputs | undefined): SnapcloneError {
  const { service_error: error, message, description, id } = task;
  const why = error
    ? `code ${error.code}, ${[error.description, error.details].filter(Boolean).join(": ")}`
    : message || "it does not say why";
  const there = inputs ? ` ${view.groups.length} of ${inputs.count} are there.` : "";
  return new SnapcloneError({
    kind: "failed",
    said: `ViPR's task ${id} (${description ?? task.name ?? "no description"}) ended in error: ${why.trim()}.${there}`,
    remedy: "Look at the storage array and its provider (SMI-S).",
  });
}

export function tooFew(view: View, { count }: LinkedTargetSetInputs): SnapcloneError {
  const said = `ViPR says that the targets are linked, and ${view.groups.length} of ${count} are`;
  return new SnapcloneError({ kind: "failed", said, remedy: "Look at the tasks of the snapshot session." });
}

export function stillLinked(left: Group): SnapcloneError {
  const names = left.map(({ row }) => row.name).join(", ");
  return new SnapcloneError({ kind: "failed", said: `ViPR says that they are unlinked, and these are not: ${names}` });
}

export function linkedNowhere(stray: Group): SnapcloneError {
  const names = stray.map(({ row }) => `${row.name} (${row.id})`).join(", ");
  return new SnapcloneError({
    kind: "failed",
    said: `ViPR has these targets, on the array as well, and no snapshot session to unlink them from: ${names}`,
    remedy: "Look at them in ViPR, and delete them there: POST /block/snapshots/{id}/deactivate.",
  });
}

export function noSession(id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    said: `there is no snapshot session ${id}`,
    remedy: "Name a session that exists: GET /block/volumes/{id}/protection/snapshot-sessions lists those of a volume.",
  });
}

export function otherSource(view: View, session: SnapshotSession): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    said: `the snapshot session "${session.name}" (${session.id}) is of another source (${sourceOf(session)}) than the targets (${view.source}): they can't be relinked to it`,
    remedy:
      'Nothing was changed. Run the same command again: it now knows, and replaces the set. To have that at once another time, give the resource the option replaceOnChanges: ["snapshotSessionId"].',
  });
}
