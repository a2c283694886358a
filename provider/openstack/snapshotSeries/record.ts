// What each snapshot of a series has: the ownership record, the id of the series, and the digest of the triggers that it
// was taken for. The keys are other than those of a Snapshot, so that neither kind of resource takes the other's snapshots
// for its own.

import type { OwnershipRecord } from "../../core/definition";
import { canonical, earlierCanonical } from "../../core/diff";
import { digest } from "../../core/util/digest";
import type { Metadata } from "../cinder";

export const SERIES_KEYS = {
  series: "snapclone:series",
  /** Digest of the triggers that the snapshot was taken for. */
  instant: "snapclone:series-instant",
  stack: "snapclone:series-stack",
  owner: "snapclone:series-owner",
  inputs: "snapclone:series-inputs",
  attempt: "snapclone:series-attempt",
} as const;

/**
 * The Pulumi id of a series. The provider makes it before the first request, so that the first snapshot has it. The
 * attempt is in the state before the create, and each attempt is another.
 */
export function seriesId({ attempt = "" }: OwnershipRecord): string {
  return `series-${attempt}`;
}

/** No triggers and an empty list are equal. */
export function instantKey(triggers: unknown): string {
  return digest(canonical(triggers)).slice(0, 32);
}

/** True if an instant with this digest was taken for the triggers, by this build or an earlier one. */
export function isTakenFor(key: unknown, triggers: unknown): boolean {
  return key === instantKey(triggers) || key === digest(earlierCanonical(triggers)).slice(0, 32);
}

/** A series without an owner still needs its id on each snapshot: nothing else tells which snapshots it consists of. */
export function recordMetadata(id: string, { stack, owner, inputs, attempt }: OwnershipRecord): Metadata {
  if (owner === "") return { [SERIES_KEYS.series]: id };
  return {
    [SERIES_KEYS.series]: id,
    [SERIES_KEYS.stack]: stack,
    [SERIES_KEYS.owner]: owner,
    [SERIES_KEYS.inputs]: inputs,
    ...(attempt === undefined ? {} : { [SERIES_KEYS.attempt]: attempt }),
  };
}

/** What a later run needs to go on waiting for a snapshot. The key is in users' states. */
export function taskOf(snapshot: string): { snapshot: string } {
  return { snapshot };
}
