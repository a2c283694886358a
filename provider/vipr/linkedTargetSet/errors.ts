// What can go wrong with a LinkedTargetSet, in words.

import { isKind, SnapcloneError } from "../../core/errors";
import { codeOf, type SnapshotSession, type Task } from "../client";
import type { LinkedTargetSetInputs } from "./inputs";
import { type SessionGroup, sourceOf, straysOf, type TargetSetState } from "./state";

/** More than this are counted and not named. */
const NAMED_AT_ONCE = 10;

/** That one thing is missing does not make the set gone: only a look at all of it tells. */
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
    hint: "Look at the storage array and its provider (SMI-S).",
  });
}

/** How a task ended, without a full stop. */
export function endOf({ service_error: error, message, description, name, id }: Task): string {
  const why = error
    ? `code ${error.code}, ${[error.description, error.details].filter(Boolean).join(": ")}`
    : message || "it does not say why";
  return `ViPR's task ${id} (${description ?? name ?? "no description"}) ended in error: ${why.trim().replace(/\.$/, "")}`;
}

export function tooFewTargets({ groups }: TargetSetState, { count }: LinkedTargetSetInputs): SnapcloneError {
  const message = `ViPR says that the targets are linked, and ${groups.length} of ${count} are`;
  return new SnapcloneError({ kind: "failed", message, hint: "Look at the tasks of the snapshot session." });
}

export function stillLinked(left: SessionGroup): SnapcloneError {
  const message = `ViPR says that they are unlinked, and these are not: ${namesOf(left)}`;
  return new SnapcloneError({ kind: "failed", message });
}

export function unlinkableTargets(strays: SessionGroup): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `ViPR has these targets, on the array as well, and no snapshot session to unlink them from: ${namesOf(strays)}`,
    hint: "Look at them in ViPR, and delete them there: POST /block/snapshots/{id}/deactivate. Then run again.",
  });
}

export function noSession(id: string, error?: SnapcloneError): SnapcloneError {
  const isDeleted = codeOf(error) === 2001;
  return new SnapcloneError({
    kind: "refused",
    message: isDeleted
      ? `the snapshot session ${id} is deleted; ViPR only has not cleared it away yet`
      : `there is no snapshot session ${id}`,
    hint: "Name a session that exists: GET /block/volumes/{id}/protection/snapshot-sessions lists those of a volume.",
  });
}

export function otherSource(set: TargetSetState, session: SnapshotSession): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `the snapshot session "${session.name}" (${session.id}) is of another source (${sourceOf(session)}) than the targets (${set.source}): they can't be relinked to it`,
    hint: 'Nothing was changed. Run the same command again: it now knows, and replaces the set. To have that at once another time, give the resource the option replaceOnChanges: ["snapshotSessionId"].',
  });
}

export function nameIsTaken(id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `ViPR has targets named ${id}g… already, and this run did not make them`,
    hint: "Run the same command again: each run gives new names.",
  });
}

/** What a user is told of a set that no update puts right. `volumes`: of the consistency group, where it was asked. */
export function remarksOn(set: TargetSetState, wantedSession: string | undefined, volumes = 0): string[] {
  const remarks: string[] = [];
  const strays = straysOf(set);
  if (strays.length > 0) {
    const session = set.sessions.get(wantedSession ?? "");
    const why = session && !session.inactive ? "" : `; the snapshot session ${wantedSession} is deleted`;
    remarks.push(
      `ViPR has targets of this set that no snapshot session has, so they don't count and can't be relinked or unlinked: ${namesOf(strays)}${why}. ` +
        "Delete them in ViPR if nobody needs them: POST /block/snapshots/{id}/deactivate",
    );
  }
  if (set.uncertain.length > 0) {
    remarks.push(
      `of these targets others of the same group are missing, or never were: ${namesOf(set.uncertain.flat())}. An earlier ` +
        "version has not noted how many there should be, so they don't count and are not unlinked. Unlink them in ViPR if nobody needs them",
    );
  }
  if (set.foreign.length > 0) {
    const names = listed(set.foreign.map(({ id, name }) => `${name} (${id})`));
    remarks.push(
      `these targets bear names of this set, and it has not made them: ${names}. They don't count and are left alone`,
    );
  }
  const sizes = set.batches.flatMap(({ parts, targetIds }) =>
    parts === undefined || targetIds.length === 0 ? [] : parts,
  );
  const largest = Math.max(volumes, ...sizes);
  const smaller = set.groups.filter((group) => group.length < largest);
  if (smaller.length > 0) remarks.push(grownGroup(smaller, largest));
  return remarks;
}

/** Targets were linked when the consistency group had fewer volumes. */
function grownGroup(smaller: readonly SessionGroup[], volumes: number): string {
  return (
    `the consistency group has grown to ${volumes} volumes since these targets were linked, and they are no copy of all of it: ` +
    `${namesOf(smaller.flat())}. They stay. To have whole ones, replace the set: \`pulumi up --replace <urn>\``
  );
}

function namesOf(members: SessionGroup): string {
  return listed(members.map(({ row }) => `${row.name} (${row.id})`));
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMED_AT_ONCE;
  return [...names.slice(0, NAMED_AT_ONCE), ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}
