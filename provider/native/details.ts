// The detailed diff: for each input that differs, the places inside it that differ, so that a preview shows `metadata.keep`
// and not the whole of `metadata`.

import { propertyPath } from "../core/check";
import type { AnyDefinition, State } from "../core/definition";
import { canonical, changedInputs, type Difference } from "../core/diff";
import { hashedAsset } from "../core/util/assets";

export type DiffKind = "add" | "delete" | "update";

export interface Detail {
  path: string;
  kind: DiffKind;
  replaces: boolean;
}

/** `difference` is what `diff` has decided about the same values. */
export function detailsOf(
  definition: AnyDefinition,
  olds: State,
  news: State,
  difference: Difference,
  targetOf: (connection: string | undefined) => string | undefined,
): Detail[] {
  const details = [...changedInputs(definition, olds, news, targetOf)].flatMap(([key, effect]) =>
    differences(olds[key], news[key], [key]).map(
      ({ path, kind }): Detail => ({ path: propertyPath(path), kind, replaces: effect === "replace" }),
    ),
  );
  // Outputs that show what is missing or unfinished.
  const others = new Set([
    ...(difference.replaces ?? []).filter((key) => !(key in definition.inputs)),
    ...(difference.changes && olds.pending !== undefined ? ["pending"] : []),
  ]);
  const replaces = (key: string) => difference.replaces?.includes(key) ?? false;
  return [...details, ...[...others].map((key): Detail => ({ path: key, kind: "delete", replaces: replaces(key) }))];
}

interface Place {
  /** An index of a list is a number. */
  path: readonly (string | number)[];
  kind: DiffKind;
}

function differences(old: unknown, now: unknown, path: Place["path"]): Place[] {
  if (canonical(old) === canonical(now)) return path.length > 1 ? [] : [{ path, kind: kindOf(old, now) }];
  if (typeof old !== "object" || typeof now !== "object" || old === null || now === null || isAsset(old, now)) {
    return [{ path, kind: kindOf(old, now) }];
  }
  if (Array.isArray(old) !== Array.isArray(now)) return [{ path, kind: "update" }];
  const keys = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  const partOf = (key: string) => (Array.isArray(now) ? Number(key) : key);
  return keys.flatMap((key) => differences(Reflect.get(old, key), Reflect.get(now, key), [...path, partOf(key)]));
}

/** A change of an asset is one of its hash: where it lies, a diff does not know. */
function isAsset(old: object, now: object): boolean {
  return hashedAsset(old) !== undefined || hashedAsset(now) !== undefined;
}

function kindOf(old: unknown, now: unknown): DiffKind {
  if (old === undefined || old === null) return "add";
  return now === undefined || now === null ? "delete" : "update";
}
