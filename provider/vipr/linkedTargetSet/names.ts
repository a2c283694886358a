// Names of a set's targets: `<targetName>-<record>g<batch>-<index>[-<part>]`. ViPR adds the index and the part itself
// (docs/wire/vipr.md#names). The part before the `g` is the id of the set.

import { randomBytes } from "node:crypto";
import type { OwnershipRecord } from "../../core/definition";
import type { LinkedTarget } from "../client";

export const RECORD_LENGTHS = { owner: 8, inputs: 4, attempt: 6 };
const ID = /^(.+)-([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{6})$/s;
const NAME = /^(.+-[0-9a-f]{18})g(\d+)-(\d+)(?:-(.+))?$/s;
/**
 * ViPR refuses a longer name (docs/wire/vipr.md#validation-of-link-targets), but only after it has made the targets whose
 * names come before it (docs/wire/vipr.md#s0-6).
 */
const MAX_NAME_LENGTH = 63;
/** `-`, record, `g`, three digits, `-`, four digits. */
const MAX_SUFFIX_LENGTH = 28;
export const MAX_TARGET_NAME_LENGTH = MAX_NAME_LENGTH - MAX_SUFFIX_LENGTH;

export interface NameParts {
  /** How many link requests the set had, this one included. */
  batch: number;
  /** ViPR's number within the request, from 1. */
  index: number;
  /** In a consistency group: which of its volumes. */
  part: string;
}

/** The id of a new set. */
export function newSetId(targetName: string, { owner, inputs, attempt = "" }: OwnershipRecord): string {
  // A set without an owner is never adopted.
  const who = owner === "" ? "0".repeat(RECORD_LENGTHS.owner) : owner;
  const which = /^[0-9a-f]{6}$/.test(attempt) ? attempt : randomBytes(3).toString("hex");
  return `${targetName}-${who}${inputs}${which}`;
}

export function parseSetId(
  id: string,
): { targetName: string; owner: string; inputs: string; attempt: string } | undefined {
  const [, targetName, owner, inputs, attempt] = ID.exec(id) ?? [];
  if (targetName === undefined || owner === undefined || inputs === undefined || attempt === undefined)
    return undefined;
  return { targetName, owner, inputs, attempt };
}

export function batchName(id: string, batch: number): string {
  return `${id}g${batch}`;
}

export function parseName(name: string): (NameParts & { id: string }) | undefined {
  const [, id, batch, index, part = ""] = NAME.exec(name) ?? [];
  return id === undefined ? undefined : { id, batch: Number(batch), index: Number(index), part };
}

/** The tag of an imported target. ViPR can't rename a target, so the tag has the name that the set would have given. */
export const NAME_TAG = "snapclone:as=";

/** The name by which a target belongs to a set. */
export function nameInSet({ name, tags }: Pick<LinkedTarget, "name" | "tags">): string {
  return tags.find((tag) => tag.startsWith(NAME_TAG))?.slice(NAME_TAG.length) ?? name;
}

/** The order in which targets were linked. A volume that was renamed since goes last. */
export function compareNames(a: string, b: string): number {
  const parts = (name: string) => parseName(name) ?? { batch: Number.MAX_SAFE_INTEGER, index: 0, part: name };
  return compareParts(parts(a), parts(b));
}

export function compareParts(a: NameParts, b: NameParts): number {
  return a.batch - b.batch || a.index - b.index || a.part.localeCompare(b.part, "en", { numeric: true });
}
