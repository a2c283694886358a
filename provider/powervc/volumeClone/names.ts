// PowerVC's rules for the names of clones, from a display name to the names and back (docs/wire/powervc.md#f2). The table
// in IBM's document has one dash more than its examples. This file follows the examples. The number in a name is the
// position in the program's list.

import { isImported, type Member, OWNERSHIP_KEYS } from "./ownership";

/** Joins texts that should be equal but are not. No input may contain a line break, so the result equals no input. */
export const SEPARATOR = "\n";

/** undefined if nothing tells which volume the member is a clone of. */
export function wantedName(member: Member, displayName: string | undefined, volumes: readonly string[]) {
  const index = volumes.indexOf(member.source ?? "");
  if (index < 0) return undefined;
  const prefix = member.row.metadata[OWNERSHIP_KEYS.prefix] ?? "";
  if (displayName === undefined) return nameWithout(member, volumes.length);
  return volumes.length === 1 ? `${prefix}${displayName}` : `${prefix}${displayName}-${index + 1}`;
}

/**
 * The display name that these names come from, given the order of the volumes. If they come from none or from several, the
 * result is all names in one text. That text differs from every display name, so the next preview shows a clone that
 * somebody renamed, or that a failed update did not reach.
 */
export function displayNameOf(members: readonly Member[], volumes: readonly string[]): string | undefined {
  const count = volumes.length;
  const names = members.map((member) => {
    const { name, metadata } = member.row;
    if (name === nameWithout(member, count)) return undefined;
    const { [OWNERSHIP_KEYS.prefix]: prefix = "" } = metadata;
    const end = count === 1 ? "" : `-${volumes.indexOf(member.source ?? "") + 1}`;
    const fits = name?.startsWith(prefix) && name.endsWith(end) && name.length > prefix.length + end.length;
    return fits ? name?.slice(prefix.length, name.length - end.length) : null;
  });
  const [first] = names;
  if (first !== null && names.every((name) => name === first)) return first;
  const all = members.map(({ row }) => row.name ?? "(no name)");
  return all.length > 1 ? all.join(SEPARATOR) : `${all[0]}${SEPARATOR}`;
}

/** The name of a clone without a display name: the one that it was imported with, or the one that PowerVC gives. */
function nameWithout({ row }: Member, count: number): string {
  if (isImported(row)) return row.metadata[OWNERSHIP_KEYS.name] ?? "";
  return count === 1 ? (row.metadata[OWNERSHIP_KEYS.name] ?? row.name ?? "") : `volume-${row.id}`;
}
