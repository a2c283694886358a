// Errors and warnings of a LinkedTargetSet, and their texts.

import { isKind, SnapcloneError } from "../../core/errors";
import { codeOf, type SnapshotSession, type Task } from "../client";
import type { LinkedTargetSetInputs } from "./inputs";
import { type SessionGroup, sourceOf, type TargetSetState, unlinkedTargetsOf } from "./state";
import type { Doubt } from "./tasks";

/** A text names at most this many targets. */
const MAX_NAMED = 10;

/** A "not found" about one target or session must not end the resource: the set is gone only if all its targets are. */
export function missingMemberIsNotGone(error: unknown): unknown {
  return isKind(error, "notFound") ? new SnapcloneError({ ...error.parts, kind: "refused" }) : error;
}

export function taskFailed(
  task: Task,
  set: TargetSetState | undefined,
  inputs: LinkedTargetSetInputs | undefined,
): SnapcloneError {
  const there = inputs && set ? ` ${set.groups.length} of ${inputs.count} are there.` : "";
  return new SnapcloneError({
    kind: "failed",
    message: `${endOf(task)}.${there}`,
    hint: "Check the storage array and its SMI-S provider.",
  });
}

/** How a task ended, as a sentence without its full stop. */
export function endOf({ service_error: error, message, description, name, id }: Task): string {
  const why = error
    ? `code ${error.code}, ${[error.description, error.details].filter(Boolean).join(": ")}`
    : message || "ViPR gives no reason";
  return `ViPR's task ${id} (${description ?? name ?? "no description"}) ended in error: ${why.trim().replace(/\.$/, "")}`;
}

/**
 * ViPR does not show the task of a request any more. That is no end: ViPR lets a user delete the task of work that goes on
 * (docs/wire/vipr.md#tasks-delete).
 */
export function taskGone(task: string, what: string): SnapcloneError {
  return new SnapcloneError({
    kind: "ambiguous",
    message: `ViPR does not have the task ${task} (${what}) any more, so how it ended is not known`,
    hint: "ViPR may still be working on the targets. Run the same command again when it has ended: it begins with what is linked then.",
  });
}

/** Nothing tells whether ViPR will ever provision these targets. */
export function stillProvisioned(error: SnapcloneError, targets: SessionGroup): SnapcloneError {
  return new SnapcloneError({
    ...error.parts,
    hint:
      `ViPR's task is gone, and these targets are neither linked nor failed: ${namesOf(targets)}. If ViPR does not work on ` +
      "them any more, take them out of its database: POST /block/snapshots/{id}/deactivate?type=VIPR_ONLY. Then run again.",
  });
}

/** `gone`: the error of a task that ViPR does not have any more. */
export function tooFewTargets(
  { groups }: TargetSetState,
  { count }: LinkedTargetSetInputs,
  gone?: SnapcloneError,
): SnapcloneError {
  const message = `${gone?.parts.message ?? "ViPR's task ended well"}, and ${groups.length} of ${count} targets are linked`;
  return new SnapcloneError({ kind: "failed", message, hint: "Check the tasks of the snapshot session in ViPR." });
}

export function stillLinked(left: SessionGroup, doubt: SnapcloneError | undefined): SnapcloneError {
  return notDone(`these targets are still linked: ${namesOf(left)}`, doubt);
}

export function notRelinked(left: SessionGroup, doubt: SnapcloneError | undefined): SnapcloneError {
  return notDone(`these targets are still linked to another session: ${namesOf(left)}`, doubt);
}

/** `doubt`: the reply was lost, and the task that was found is then another client's; or the task is gone. */
function notDone(what: string, doubt: SnapcloneError | undefined): SnapcloneError {
  if (doubt === undefined)
    return new SnapcloneError({ kind: "failed", message: `ViPR's task ended well, and ${what}` });
  return new SnapcloneError({ ...doubt.parts, message: `${doubt.parts.message}; ${what}` });
}

/** The reply to a refresh was lost, and the session's new task may have relinked other targets; or the task is gone. */
export function perhapsNotRefreshed({ error, isLost }: Doubt): SnapcloneError {
  const why = "the session has targets of others, so whether its latest relink was of this set is not known";
  const message = isLost
    ? `${error.parts.message}; ${why}`
    : `${error.parts.message}, and the targets don't show whether they were relinked`;
  return new SnapcloneError({
    ...error.parts,
    message,
    hint: "The next `pulumi up` relinks the targets, perhaps for the second time: what was written to them is then lost.",
  });
}

/** A killed run has asked for a refresh, and its task is gone. To relink again would lose what was written since. */
export function perhapsRelinked(gone: SnapcloneError): string {
  return (
    `${gone.parts.message}. The targets don't show whether they were relinked, and count as relinked. If they were not, change ` +
    "`refreshTriggers`: that relinks them"
  );
}

export function unlinkableTargets(targets: SessionGroup): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `these targets exist in ViPR and on the array, and there is no snapshot session to unlink them from: ${namesOf(targets)}`,
    hint: "Check that nobody needs them, and delete them in ViPR: POST /block/snapshots/{id}/deactivate. Then run again.",
  });
}

export function noSession(id: string, error?: SnapcloneError): SnapcloneError {
  const isDeleted = codeOf(error) === 2001;
  return new SnapcloneError({
    kind: "refused",
    message: isDeleted
      ? `the snapshot session ${id} is deleted, although ViPR still shows it`
      : `there is no snapshot session ${id}`,
    hint: "Name a session that exists: GET /block/volumes/{id}/protection/snapshot-sessions lists those of a volume.",
  });
}

export function deletedSession({ id, name }: SnapshotSession): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `the snapshot session "${name}" (${id}) is deleted, although ViPR still shows it`,
    hint: "Name a session that exists.",
  });
}

export function incompatibleSession(set: TargetSetState, session: SnapshotSession): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `the snapshot session "${session.name}" (${session.id}) is of another source (${sourceOf(session)}) than the targets (${set.source}), so they can't be relinked to it`,
    hint: 'Nothing was changed. The state now records that the session does not fit: run the same command again, and it replaces the set. To replace the set at once in future, give the resource the option replaceOnChanges: ["snapshotSessionId"].',
  });
}

export function nameIsTaken(id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `ViPR already has targets with names that begin with ${id}g, and this run did not make them`,
    hint: "Run the same command again: each run uses new names.",
  });
}

/**
 * Warnings about a set for what no update corrects. `volumes` is the number of volumes of the consistency group, if it was
 * fetched.
 */
export function warningsAbout(set: TargetSetState, wantedSession: string | undefined, volumes = 0): string[] {
  const warnings: string[] = [];
  const unlinked = unlinkedTargetsOf(set);
  if (unlinked.length > 0) {
    const session = set.sessions.get(wantedSession ?? "");
    const why = session && !session.inactive ? "" : `; the snapshot session ${wantedSession} is deleted`;
    warnings.push(
      `ViPR has targets of this set that no snapshot session has. They don't count, and can't be relinked or unlinked: ${namesOf(unlinked)}${why}. ` +
        "Delete them in ViPR if nobody needs them: POST /block/snapshots/{id}/deactivate",
    );
  }
  if (set.uncertain.length > 0) {
    warnings.push(
      `the groups of these targets are smaller than other groups: ${namesOf(set.uncertain.flat())}. An early build ` +
        "of this package has not recorded how many targets a group should have, so these don't count and are not unlinked. Unlink them in ViPR if nobody needs them",
    );
  }
  if (set.foreign.length > 0) {
    const names = listed(set.foreign.map(({ id, name }) => `${name} (${id})`));
    warnings.push(
      `these targets have names of this set, and the set has not made them: ${names}. They don't count and are left alone`,
    );
  }
  const sizes = set.batches.flatMap(({ parts, targetIds }) =>
    parts === undefined || targetIds.length === 0 ? [] : parts,
  );
  const largest = Math.max(volumes, ...sizes);
  const smaller = set.groups.filter((group) => group.length < largest);
  if (smaller.length > 0) warnings.push(consistencyGroupHasGrown(smaller, largest));
  return warnings;
}

/** These targets were linked when the consistency group had fewer volumes. */
function consistencyGroupHasGrown(smaller: readonly SessionGroup[], volumes: number): string {
  return (
    `the consistency group has grown to ${volumes} volumes since these targets were linked, so they are not a copy of the whole group: ` +
    `${namesOf(smaller.flat())}. They stay. To get a copy of the whole group, replace the set: \`pulumi up --replace <urn>\``
  );
}

function namesOf(members: SessionGroup): string {
  return listed(members.map(({ row }) => `${row.name} (${row.id})`));
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMED;
  return [...names.slice(0, MAX_NAMED), ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}
