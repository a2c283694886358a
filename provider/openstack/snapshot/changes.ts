// What an update has to change on an object of Cinder's: its name and description, and the metadata keys of the program.

import type { OperationContext, State } from "../../core/definition";
import { isKind } from "../../core/errors";
import type { Metadata } from "../cinder";
import { isReservedKey } from "./inputs";
import { managedText, RECORD_KEYS } from "./ownership";
import { metadataOf, removableKeys } from "./state";

/** The body of a PUT, empty if name and description are as the program wants them. */
export function namingChanges(
  present: State,
  { name, description = null }: { name?: string | undefined; description?: string | null | undefined },
): { name?: string; description?: string | null } {
  return {
    ...(name !== undefined && name !== present.name ? { name } : {}),
    ...(description !== (present.description ?? null) ? { description } : {}),
  };
}

/** The keys to set with one merging request, and those to remove, each with a request of its own. */
export function metadataChanges(present: State, known: State, wanted: Metadata): { set: Metadata; unset: string[] } {
  const onBackend = metadataOf(present);
  const removable = removableKeys(known);
  const unset = removable.filter((key) => !Object.hasOwn(wanted, key));
  const set = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => onBackend[key] !== value));
  // The record lists the program's keys.
  const managed = managedText(Object.keys(wanted));
  if (known.__owner !== undefined && managed !== managedText(removable)) {
    if (managed === undefined) unset.push(RECORD_KEYS.managed);
    else set[RECORD_KEYS.managed] = managed;
  }
  return { set, unset };
}

/** Sends a write of these metadata keys of `what`. A policy that forbids it fails no update that only writes our own keys. */
export async function writeMetadata(
  what: string,
  keys: readonly string[],
  context: Pick<OperationContext, "warnForbidden">,
  send: () => Promise<unknown>,
): Promise<void> {
  try {
    await send();
  } catch (error) {
    if (!isKind(error, "forbidden") || !keys.every(isReservedKey)) throw error;
    context.warnForbidden(`${keys.join(", ")} of ${what} could not be written`, error);
  }
}
