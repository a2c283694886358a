// PowerVC's rules for the names of clones, forwards and backwards (reference openstack-powervc.md §F2). The table of the
// document has one dash more than its examples: the examples count. N is the place in the program's list.

import { type Member, TAGS } from "./marks";

export function wantedName(member: Member, displayName: string | undefined, index: number, count: number): string {
  const prefix = member.row.metadata[TAGS.prefix] ?? "";
  if (displayName === undefined) return nameWithout(member, count);
  return count === 1 ? `${prefix}${displayName}` : `${prefix}${displayName}-${index + 1}`;
}

/**
 * The display name that these names come from. Where they come from none, or from several, all of them in one text: it
 * differs from any that a program can ask for, and so shows what somebody has renamed.
 */
export function displayNameOf(members: readonly Member[]): string | undefined {
  const names = members.map((member) => {
    const { name, metadata } = member.row;
    const { [TAGS.prefix]: prefix = "", [TAGS.index]: place = "1/1" } = metadata;
    const [index = "1", count = "1"] = place.split("/");
    if (name === nameWithout(member, Number(count))) return undefined;
    const end = count === "1" ? "" : `-${index}`;
    const fits = name?.startsWith(prefix) && name.endsWith(end) && name.length > prefix.length + end.length;
    return fits ? name?.slice(prefix.length, name.length - end.length) : null;
  });
  const [first] = names;
  if (first !== null && names.every((name) => name === first)) return first;
  return members.map(({ row }) => row.name ?? "(no name)").join(", ");
}

function nameWithout({ row }: Member, count: number): string {
  return count === 1 ? (row.metadata[TAGS.name] ?? row.name ?? "") : `volume-${row.id}`;
}
