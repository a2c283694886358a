// How the text, the picture and the page name things: the same words in each.

import { formatDuration } from "../../provider/core/util/duration";
import { printable } from "../printable";
import { type CopyNode, inOrder, type Lineage, type Owner } from "./model";

const DAY_MS = 24 * 3_600_000;

/** How the legend, and each object, names the kind of an owner. */
export const OWNER_NAMES: Readonly<Record<Owner["is"], string>> = {
  recorded: "this stack",
  unrecorded: "this stack, in no state",
  pending: "this stack, pending",
  newer: "this stack, newer than the state",
  "other stack": "another stack",
  claimed: "a stack",
  nobody: "nobody",
};

export function ownerText(owner: Owner): string {
  if (owner.is === "nobody") return OWNER_NAMES.nobody;
  return owner.is === "claimed" ? owner.who : `${OWNER_NAMES[owner.is]}: ${owner.who}`;
}

export const OWNER_HELP: Readonly<Record<Owner["is"], string>> = {
  recorded: "the state holds it",
  unrecorded: "it has this stack's record, and the state does not hold it: see snapclone orphans",
  pending: "its create was interrupted: the next pulumi up adopts it",
  newer: "it was made after the state was saved: export the state again",
  "other stack": "it has the record of another stack",
  claimed: "it has a record; give --state to compare",
  nobody: "no resource of this package has made or adopted it",
};

/** `volume data`; an object without a name by its id. */
export function labelOf({ kind, name, id }: CopyNode): string {
  return `${kind} ${name === "" ? shortId(id) : printable(name)}`;
}

/** The beginning of a UUID, also within a URN or a pair of ids, or of another id. */
export function shortId(id: string): string {
  const uuid = /[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}(?=:\w*$|$)/i.exec(id)?.[0];
  return uuid === undefined ? printable(id).slice(0, 16) : uuid.slice(0, 8);
}

export function sizeText({ sizeGiB }: CopyNode): string {
  return sizeGiB === undefined ? "" : `${sizeGiB} GiB`;
}

export function ageText({ createdAt }: CopyNode, now: Date): string {
  const age = createdAt === undefined ? Number.NaN : now.getTime() - Date.parse(createdAt);
  if (Number.isNaN(age)) return "";
  if (age < 1000) return "now";
  return age < DAY_MS ? formatDuration(age) : `${Math.floor(age / DAY_MS)} d`;
}

/** "12 objects, 3 of them copies that this stack has, …". */
export function summaryOf({ forest, lone }: Lineage): string {
  const counts = new Map<string, number>();
  for (const { tree } of inOrder(forest)) counts.set(tree.node.owner.is, (counts.get(tree.node.owner.is) ?? 0) + 1);
  const words: readonly [Owner["is"], string][] = [
    ["recorded", "of this stack"],
    ["unrecorded", "of this stack in no state"],
    ["pending", "of this stack pending"],
    ["newer", "of this stack newer than the state"],
    ["other stack", "of other stacks"],
    ["claimed", "recorded by a stack"],
    ["nobody", "of nobody"],
  ];
  const parts = words.flatMap(([is, word]) => (counts.has(is) ? [`${counts.get(is)} ${word}`] : []));
  const hidden = lone === 0 ? "" : ` ${lone} without copies left out (--all shows them).`;
  return parts.length === 0 ? `No copies.${hidden}` : `Objects: ${parts.join(", ")}.${hidden}`;
}
