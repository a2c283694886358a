// PowerVC's rules for the names of clones, forwards and backwards (docs/wire/powervc.md#f2). The table of the
// document has one dash more than its examples: the examples count. N is the place in the program's list.

import { type Member, OWNERSHIP_KEYS } from "./ownership";

/** Joins texts that should be one. No input may have a line break, so what it makes equals none. */
export const SEPARATOR = "\n";

/** undefined: nothing tells which volume it is a clone of. */
export function wantedName(member: Member, displayName: string | undefined, volumes: readonly string[]) {
  const index = volumes.indexOf(member.source ?? "");
  if (index < 0) return undefined;
  const prefix = member.row.metadata[OWNERSHIP_KEYS.prefix] ?? "";
  if (displayName === undefined) return nameWithout(member, volumes.length);
  return volumes.length === 1 ? `${prefix}${displayName}` : `${prefix}${displayName}-${index + 1}`;
}

/**
 * The display name that these names come from, in this order of the volumes. Where they come from none, or from several,
 * all of them in one text: it differs from any that a program can ask for, and so shows what somebody has renamed, or what
 * a failed update has not.
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

function nameWithout({ row }: Member, count: number): string {
  return count === 1 ? (row.metadata[OWNERSHIP_KEYS.name] ?? row.name ?? "") : `volume-${row.id}`;
}
