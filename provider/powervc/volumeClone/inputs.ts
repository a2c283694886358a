// Inputs of a VolumeClone: their types, their schemas, and what a change of `volumes` does.

import * as z from "zod";
import type { State } from "../../core/definition";
import { printable, uuid } from "../../openstack/inputs";
import { isTemporaryName } from "./ownership";
import { stringsIn } from "./state";

export interface VolumeCloneInputs {
  volumes: string[];
  displayName?: string;
  description?: string;
  targetVolumeTypeId?: string;
  triggers?: unknown[];
  connection?: string;
}

/** The order of `volumes` only numbers the clones. A program may also give up the volumes whose clones are gone. */
export function changeOfVolumes(olds: State, news: State): "update" | "replace" {
  const missing = stringsIn(olds.missing);
  const present = stringsIn(olds.volumes).filter((volume) => !missing.includes(volume));
  return [olds.volumes, present].some((volumes) => isSameSet(volumes, news.volumes)) ? "update" : "replace";
}

function isSameSet(a: unknown, b: unknown): boolean {
  return Array.isArray(a) && Array.isArray(b) && JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());
}

/** Reports all problems of the list at once. */
export function sourceVolumes() {
  const schema = uuid("a volume");
  return z.unknown().transform((value, context): string[] => {
    const refuse = (message: string, ...path: number[]) => {
      context.addIssue({ code: "custom", message, path, input: value });
    };
    if (!Array.isArray(value)) {
      refuse(value === undefined ? "is required" : "must be a list of the UUIDs of volumes");
      return z.NEVER;
    }
    if (value.length === 0) refuse("must have at least one volume");
    const parsed = value.map((id: unknown) => schema.safeParse(typeof id === "string" ? id : ""));
    const ids = parsed.map(({ data }) => data);
    for (const [index, { success, error, data }] of parsed.entries()) {
      if (!success) refuse(error.issues[0]?.message ?? "is not a UUID", index);
      else if (ids.indexOf(data) < index) refuse(`is the same volume as volumes[${ids.indexOf(data)}]`, index);
    }
    return ids as string[];
  });
}

export function displayName() {
  return (
    z
      .string("must be a string")
      .trim()
      .min(1, "must not be empty")
      // PowerVC adds a prefix ("clone-" by default) and a number. 240 leaves room for both.
      .max(240, "must not be longer than 240 characters: a prefix and a number are added, and a name has at most 255")
      .refine((name) => !isTemporaryName(name), "must not have the form of a name that the provider uses itself")
      .pipe(printable())
  );
}

export function description() {
  return printable().transform((text) => (text === "" ? undefined : text));
}
