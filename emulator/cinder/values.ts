// Values of requests and rows: booleans as words, names, strings, columns.

import { invalid } from "./errors";
import type { SnapshotRow, VolumeRow } from "./model";

/** oslo_utils strutils.bool_from_string; undefined for any other word. */
export function readBoolean(value: string): boolean | undefined {
  const word = value.toLowerCase();
  if (["1", "t", "true", "on", "y", "yes"].includes(word)) return true;
  return ["0", "f", "false", "off", "n", "no"].includes(word) ? false : undefined;
}

export function isTrueWord(value: string | null): boolean {
  return value !== null && readBoolean(value) === true;
}

/** cinder/utils.py get_bool_param: absent is false, and any other word is refused. */
export function readBooleanParam(query: URLSearchParams, name: string, shownAs = name): boolean {
  const value = query.get(name);
  if (value === null) return false;
  const wanted = readBoolean(value);
  if (wanted === undefined) throw invalid(`Value '${value}' for '${shownAs}' is not a boolean.`);
  return wanted;
}

/** `"  slow snap-001 "` comes back as `"slow snap-001"`, null stays null (docs/wire/openstack.md#a2). */
export function stripped(value: unknown): string | null {
  return typeof value === "string" ? value.trim() : null;
}

export function strings(values: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)]));
}

/** Sets the name and the description where the body has them, under the new or the old key. */
export function updateNames(row: SnapshotRow | VolumeRow, given: Record<string, unknown>): void {
  if ("name" in given || "display_name" in given) row.name = stripped(given.name ?? given.display_name);
  if ("description" in given || "display_description" in given)
    row.description = stripped(given.description ?? given.display_description);
}

/** Splits lines into words, for lists that are too long for one line of literals. */
export function words(...lines: string[]): string[] {
  return lines.flatMap((line) => line.split(" "));
}

export function columnOf(row: object, name: string): unknown {
  return Object.entries(row).find(([column]) => column === name)?.[1];
}
