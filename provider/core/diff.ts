// What Pulumi's `diff` does for every resource, from the rules each input carries. Pure: the engine also calls it
// backwards, to show what a refresh found.

import { unknownPaths } from "./check";
import type { AnyDefinition, HiddenInputs, HiddenOutputs, InputRule, Pending, State } from "./definition";
import { hashedAsset } from "./util/assets";

export interface Difference {
  /** undefined where there are changes: the engine compares the inputs and shows the details. */
  changes?: boolean;
  replaces?: string[];
  deleteBeforeReplace?: boolean;
}

/**
 * `stack` is the present one's digest (OwnershipRecord). `targetOf` is `Connections.target` of a connection's name.
 */
export function diff(
  definition: AnyDefinition,
  olds: State,
  news: State,
  stack = "",
  targetOf: (connection: string | undefined) => string | undefined = () => undefined,
): Difference {
  const effects = changedInputs(definition, olds, news, targetOf);
  const replaces = [...effects].filter(([, effect]) => effect === "replace").map(([key]) => key);

  const pending = olds.pending as Pending | undefined;
  // A create that has failed for good left an object of no use.
  const isUseless = pending?.failed && definition.onFailedCreate === "replace";
  // A create of unknown outcome has no id. The create that replaces it adopts the object.
  const isUnknown = pending?.task.outcome === "unknown";
  if (pending?.operation === "create" && (isUseless || isUnknown)) replaces.push("pending");
  const divergence = pending === undefined ? definition.divergence?.(olds, news) : undefined;
  if (divergence?.effect === "replace") replaces.push(divergence.output);
  if (replaces.length > 0) {
    return {
      // Otherwise the engine compares inputs alone, and these do not show the difference.
      ...(effects.size === 0 || divergence || pending ? { changes: true } : {}),
      replaces,
      deleteBeforeReplace: definition.deleteBeforeReplace ?? false,
    };
  }
  if (effects.size > 0) return divergence || pending ? { changes: true } : {};
  // Pending work is a difference, because `update` resumes it. Another owner is one, because `update` rewrites the record.
  return { changes: pending !== undefined || divergence !== undefined || ownerChanged(olds, news, stack) };
}

/** The inputs that differ, each with what its change does. Without those whose change has no effect. */
export function changedInputs(
  definition: AnyDefinition,
  olds: State,
  news: State,
  targetOf: (connection: string | undefined) => string | undefined,
): Map<string, "replace" | "update"> {
  const effects = new Map<string, "replace" | "update">();
  for (const [key, rule] of Object.entries(definition.inputs)) {
    if (!differ(rule, olds[key], news[key])) continue;
    // `check` names everything but what is imported, which keeps its name.
    if (key === definition.autoName && canonical(news[key]) === "null") continue;
    const effect = typeof rule.onChange === "function" ? rule.onChange(olds, news) : rule.onChange;
    if (effect === "ignore") continue;
    if (key === "connection" && isRenamed(olds, news, targetOf)) {
      effects.set(key, "update");
      continue;
    }
    // An imported entry lacks inputs that were never read. Nothing is replaced for that.
    effects.set(key, effect === "replace" && !isKnown(rule, olds, key) ? "update" : effect);
  }
  return effects;
}

/**
 * Another name with settings that reach the same backend. A diff sends nothing, so the settings must tell: the backend's
 * own identity (`__backend`) takes a login. The update then reads the object by its id, which proves it.
 */
function isRenamed(
  { __target }: HiddenOutputs & State,
  { connection }: State,
  targetOf: (connection: string | undefined) => string | undefined,
): boolean {
  if (__target === undefined || unknownPaths(connection).length > 0) return false;
  return targetOf(typeof connection === "string" ? connection : undefined) === __target;
}

/** After an alias, a rename or a move, the object's record names the former owner. */
function ownerChanged(olds: HiddenOutputs & State, { __owner }: HiddenInputs & State, stack: string): boolean {
  if (olds.__owner === undefined || __owner === undefined) return false;
  return olds.__owner !== __owner || (olds.__stack !== undefined && stack !== "" && olds.__stack !== stack);
}

/** Outputs that this provider has written hold all inputs that the program gave. */
function isKnown(rule: InputRule<unknown>, olds: State, key: string): boolean {
  if (olds[key] !== undefined && olds[key] !== null) return true;
  const { __owner, __programUnknown } = olds as HiddenOutputs;
  if (__programUnknown) return false;
  const required = !rule.schema.safeParse(undefined).success;
  return !required && __owner !== undefined;
}

export function differ(rule: InputRule<unknown>, old: unknown, now: unknown): boolean {
  if (unknownPaths(now).length > 0) return true;
  if (sameAsAbsent(rule, old) && sameAsAbsent(rule, now)) return false;
  return canonical(old) !== canonical(now);
}

/** Absent, or equal to the default. */
export function sameAsAbsent(rule: Pick<InputRule<unknown>, "default">, value: unknown): boolean {
  const text = canonical(value);
  return text === "null" || (rule.default !== undefined && text === canonical(rule.default));
}

/** JSON with sorted keys. Absent values, null and empty collections are equal, and so are assets with the same hash. */
export function canonical(value: unknown): string {
  return JSON.stringify(sorted(value, hashedAsset)) ?? "null";
}

/** The form by which early builds made digests that states still have: an asset with its path or text. */
export function earlierCanonical(value: unknown): string {
  return JSON.stringify(sorted(value, () => undefined)) ?? "null";
}

function sorted(value: unknown, reduced: (value: object) => object | undefined): unknown {
  const inner = (one: unknown) => sorted(one, reduced);
  if (Array.isArray(value)) return value.length === 0 ? null : value.map(inner);
  if (typeof value !== "object" || value === null) return value ?? null;
  const entries = Object.entries(reduced(value) ?? value)
    .filter(([, one]) => one !== undefined && one !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? null : Object.fromEntries(entries.map(([key, one]) => [key, inner(one)]));
}
