// What Pulumi's `diff` does for every resource, from the rules each input carries. Pure: the engine also calls it
// backwards, to show what a refresh found.

import { unknownPaths } from "./check";
import type { AnyDefinition, ChangeEffect, HiddenInputs, HiddenOutputs, InputRule, Pending, State } from "./definition";

export interface Difference {
  /** undefined: there is one, and the engine may work out and show the details. */
  changes?: boolean;
  replaces?: string[];
  deleteBeforeReplace?: boolean;
}

/** `stack` is the present one's digest (OwnershipRecord). */
export function diff(definition: AnyDefinition, olds: State, news: State, stack = ""): Difference {
  const effects = new Map<string, ChangeEffect>();
  for (const [key, rule] of Object.entries(definition.inputs)) {
    if (!differ(rule, olds[key], news[key])) continue;
    const effect = typeof rule.onChange === "function" ? rule.onChange(olds, news) : rule.onChange;
    if (effect === "ignore") continue;
    // Absent is not different: an imported entry doesn't hold what was never read, and nothing is replaced for that.
    effects.set(key, effect === "replace" && !isKnown(rule, olds, key) ? "update" : effect);
  }
  const replaces = [...effects].filter(([, effect]) => effect === "replace").map(([key]) => key);

  const pending = olds.pending as Pending | undefined;
  // A create that failed for good left something that is of no use.
  const isUseless = pending?.failed && definition.onFailedCreate === "replace";
  // One of unknown outcome has no id yet: the create that replaces it adopts what was made.
  const isUnknown = pending?.task.outcome === "unknown";
  if (pending?.operation === "create" && (isUseless || isUnknown)) replaces.push("pending");
  const divergence = pending === undefined ? definition.divergence?.(olds, news) : undefined;
  if (divergence?.effect === "replace") replaces.push(divergence.output);
  if (replaces.length > 0) {
    return {
      // Without a word on it the engine compares inputs, and those show nothing of what the outputs know.
      ...(effects.size === 0 || divergence || pending ? { changes: true } : {}),
      replaces,
      deleteBeforeReplace: definition.deleteBeforeReplace ?? false,
    };
  }
  if (effects.size > 0) return divergence || pending ? { changes: true } : {};
  // Work that has not ended is a difference: `update` resumes it. Another owner is one, too: `update` rewrites the record.
  return { changes: pending !== undefined || divergence !== undefined || ownerChanged(olds, news, stack) };
}

/** An alias, a rename or a move: the object's record names who owned it before. */
function ownerChanged(olds: HiddenOutputs & State, { __owner }: HiddenInputs & State, stack: string): boolean {
  if (olds.__owner === undefined || __owner === undefined) return false;
  return olds.__owner !== __owner || (olds.__stack !== undefined && stack !== "" && olds.__stack !== stack);
}

/** Outputs that this provider has written hold every input that the program gave: what they lack was not given. */
function isKnown(rule: InputRule<unknown>, olds: State, key: string): boolean {
  if (olds[key] !== undefined && olds[key] !== null) return true;
  const required = !rule.schema.safeParse(undefined).success;
  return !required && (olds as HiddenOutputs).__owner !== undefined;
}

function differ(rule: InputRule<unknown>, old: unknown, now: unknown): boolean {
  if (unknownPaths(now).length > 0) return true;
  if (sameAsAbsent(rule, old) && sameAsAbsent(rule, now)) return false;
  return canonical(old) !== canonical(now);
}

/** Nothing, or the default written out. */
export function sameAsAbsent(rule: Pick<InputRule<unknown>, "default">, value: unknown): boolean {
  const text = canonical(value);
  return text === "null" || (rule.default !== undefined && text === canonical(rule.default));
}

/** JSON with sorted keys; what is absent, null or an empty collection is all the same: nothing. */
export function canonical(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? "null";
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? null : value.map(sorted);
  if (typeof value !== "object" || value === null) return value ?? null;
  const entries = Object.entries(value)
    .filter(([, inner]) => inner !== undefined && inner !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? null : Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
