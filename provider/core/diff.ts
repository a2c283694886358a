// What Pulumi's `diff` does for every resource, from the rules each input carries. Pure: the engine also calls it
// backwards, to show what a refresh found.

import { unknownPaths } from "./check";
import type { AnyDefinition, Effect, Pending, State } from "./definition";

export interface Difference {
  /** undefined: there is one, and the engine may work out and show the details. */
  changes?: boolean;
  replaces?: string[];
  deleteBeforeReplace?: boolean;
}

export function diff(definition: AnyDefinition, olds: State, news: State): Difference {
  const effects = new Map<string, Effect>();
  for (const [key, rule] of Object.entries(definition.inputs)) {
    const effect = typeof rule.onChange === "function" ? rule.onChange(olds, news) : rule.onChange;
    if (effect !== "ignore" && differ(olds[key], news[key])) effects.set(key, effect);
  }
  const replaces = [...effects].filter(([, effect]) => effect === "replace").map(([key]) => key);

  const pending = olds.pending as Pending | undefined;
  // A create that failed for good left something that is of no use. Its marker is the record of the failure itself.
  if (pending?.failed && pending.operation === "create" && definition.afterFailedCreate === "replace") {
    replaces.push("pending");
  }
  if (replaces.length > 0) {
    return {
      ...(effects.size === 0 ? { changes: true } : {}),
      replaces,
      deleteBeforeReplace: definition.deleteBeforeReplace ?? false,
    };
  }
  if (effects.size > 0) return {};
  // Hidden inputs are no difference. Work that has not come to its end is: `update` goes on with it.
  return { changes: pending !== undefined };
}

function differ(old: unknown, now: unknown): boolean {
  if (unknownPaths(now).length > 0) return true;
  return canonical(old) !== canonical(now);
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
