// Warns at the end of a run about orphans: objects on the backend that this stack made and that no state holds.

import type { AnyDefinition, OwnedObject } from "./definition";
import { messageOf } from "./errors";
import { isCopy, isHeldBy, type OwnershipTracker, type StackState, StateUnavailable } from "./ownership";
import { formatDuration } from "./util/duration";

/** The objects of one definition on one connection. */
export interface Watched {
  definition: AnyDefinition;
  tracker: OwnershipTracker;
  /** Ids that the engine has shown, so the state has an entry for them. */
  recordedIds: ReadonlySet<string>;
  /** The backend's time. */
  now: Date;
}

export interface OrphanQuestion {
  /** What the URNs of this stack's resources begin with. */
  urnPrefix: string;
  exportState(): Promise<StackState>;
  describe(definition: AnyDefinition, object: OwnedObject, now: Date): string;
}

/** Older orphans are not named: the user may have released them on purpose (`retainOnDelete`). */
const NAMED_WITHIN_MS = 7 * 24 * 3_600_000;
/** A warning names this many orphans and counts the others. */
const NAMED_AT_ONCE = 20;

/** The texts of the warnings. */
export async function orphanWarnings(watched: readonly Watched[], question: OrphanQuestion): Promise<string[]> {
  const { urnPrefix, describe } = question;
  const suspects: (Watched & { all: OwnedObject[]; objects: OwnedObject[] })[] = [];
  for (const one of watched) {
    const { tracker, recordedIds } = one;
    const all = await tracker.current(urnPrefix).catch(() => tracker.madeObjects());
    const objects = all.filter(({ id }) => tracker.madeHere(id) || !recordedIds.has(id));
    if (objects.length > 0) suspects.push({ ...one, all, objects });
  }
  if (suspects.length === 0) return [];
  const exported = await question.exportState().catch((error: unknown) => ({ error }));
  // A run that cannot export the state at all says so when it would have adopted something.
  if ("error" in exported && exported.error instanceof StateUnavailable) return [];
  const warnings: string[] = [];
  for (const { definition, tracker, now, all, objects } of suspects) {
    const unrecorded = objects.filter((object) => {
      // Without the state, only the objects that this run made may be unrecorded.
      if ("error" in exported) return tracker.madeHere(object.id);
      if (isHeldBy(exported, object)) return false;
      // Another tool has copied the metadata of an object that the state holds.
      if (all.some((other) => isCopy(object, other) && isHeldBy(exported, other))) return false;
      return tracker.madeHere(object.id) || ageMs(object, now) <= NAMED_WITHIN_MS;
    });
    const orphans = unrecorded.length === 0 ? [] : await stillThere(unrecorded, tracker, urnPrefix);
    const described = orphans.map((object) => describe(definition, object, now));
    if (orphans.length > 0) warnings.push(warningText(definition, described, reasonOf(exported)));
  }
  return warnings;
}

/** The id of an object and, unless it is secret, its name; its age and its owner. */
export function describeOwned({ id, label, createdAt, owner }: OwnedObject, now: Date): string {
  const age = createdAt === undefined ? Number.NaN : now.getTime() - Date.parse(createdAt);
  const made = Number.isNaN(age) ? "" : `, made ${createdAt} (${formatDuration(Math.max(0, age))} ago)`;
  return `${id}${label ? ` "${label}"` : ""}${made}${owner ? `, for ${owner}` : ""}`;
}

/** A list from the beginning of the run shows what another process of the run has deleted since (`--replace "**"`). */
async function stillThere(
  objects: readonly OwnedObject[],
  tracker: OwnershipTracker,
  urnPrefix: string,
): Promise<readonly OwnedObject[]> {
  const current = await tracker.current(urnPrefix, "afresh").catch(() => undefined);
  if (current === undefined) return objects;
  const ids = new Set(current.map(({ id }) => id));
  return objects.filter(({ id }) => ids.has(id));
}

function reasonOf(exported: StackState | { error: unknown }): string | undefined {
  if (!("error" in exported)) return undefined;
  return messageOf(exported.error);
}

function warningText({ displayName }: AnyDefinition, orphans: readonly string[], reason: string | undefined): string {
  const lines = orphans.slice(0, NAMED_AT_ONCE).map((orphan) => `  ${orphan}`);
  if (orphans.length > lines.length) lines.push(`  and ${orphans.length - lines.length} more`);
  const article = /^[aeiou]/.test(displayName) ? "an" : "a";
  const counted = orphans.length === 1 ? `${article} ${displayName}` : `${orphans.length} of the kind ${displayName}`;
  const head =
    reason === undefined
      ? `in no state: ${counted} that this stack made and its state does not hold`
      : `perhaps in no state (${reason}): what this run made of the kind ${displayName}`;
  return [
    `${head}:`,
    ...lines,
    "The next `pulumi up` adopts an object that an interrupted run left, if its resource is still in the program. Delete the " +
      "others on the backend if nobody needs them. An object that `pulumi state move` gave to another stack is named here " +
      'until the next `pulumi up` of that stack (docs/ownership.md, "Objects in no state").',
  ].join("\n");
}

function ageMs({ createdAt }: OwnedObject, now: Date): number {
  const made = createdAt === undefined ? Number.NaN : Date.parse(createdAt);
  return Number.isNaN(made) ? 0 : now.getTime() - made;
}
