// Secret inputs: Pulumi hands dynamic providers plain values, and the class says in `__secrets` which of them are secret.
// Their values are kept out of messages, and outputs that repeat them are marked as secret.

import { UNKNOWN } from "../core/check";
import type { AnyDefinition, HiddenInputs } from "../core/definition";
import { registerSecret } from "../core/errors";
import { SIGNATURE_KEY } from "../core/util/assets";

/** Pulumi's form of a secret value on the wire (sdk/nodejs/runtime/rpc.ts, `specialSecretSig`). */
export const SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270";

/** No message shows the secret values among `props` from now on. */
export function protectSecretInputs(props: HiddenInputs): void {
  if (!Array.isArray(props.__secrets)) return;
  const values = props.__secrets.flatMap((path) => keyPathsAt(props, path)).map((path) => valueAt(props, path));
  for (const leaf of values.flatMap(leavesOf)) {
    registerSecret(leaf);
    // Some backends cut blanks off, and so do their messages.
    registerSecret(leaf.trim());
  }
}

/** The keys on the way to a value. An index of a list is one, too. */
export type KeyPath = readonly string[];

/** As the core names a path (`HiddenInputs.__secrets`): `metadata.hidden`, `triggers[0]`. */
export function pathText(path: KeyPath): string {
  return path
    .map((part, index) => (/^\d+$/.test(part) && index > 0 ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join("");
}

/** More than one where a key has a dot in it: `metadata.a.b` is the key "a.b" of metadata, or "b" of its "a". */
export function keyPathsAt(value: unknown, path: string): KeyPath[] {
  if (path === "") return [[]];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    [key, `.${key}`, `[${key}]`]
      .filter((prefix) => path.startsWith(prefix) && /^($|[.[])/.test(path.slice(prefix.length)))
      .flatMap((prefix) => keyPathsAt(inner, path.slice(prefix.length)))
      .map((rest) => [key, ...rest]),
  );
}

export function valueAt(value: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
}

function leavesOf(value: unknown): string[] {
  if (typeof value === "object" && value !== null) return Object.values(value).flatMap(leavesOf);
  return (typeof value === "string" && value !== UNKNOWN) || typeof value === "number" ? [String(value)] : [];
}

/**
 * Marks outputs as secret for Pulumi. Pulumi marks an output again that has the name of a secret input. An output that
 * repeats the value under another name (a clone's name in a list of clones) is marked here.
 */
export function wrapSecrets(definition: AnyDefinition, outs: Record<string, unknown>): Record<string, unknown> {
  const derived = derivedSecrets(definition, outs as HiddenInputs).filter((output) => outs[output] !== undefined);
  if (derived.length === 0) return outs;
  return { ...outs, ...Object.fromEntries(derived.map((output) => [output, markSecret(outs[output])])) };
}

/** The outputs that repeat a secret input under another name. */
export function derivedSecrets(definition: AnyDefinition, { __secrets: paths = [] }: HiddenInputs): string[] {
  if (!Array.isArray(paths) || paths.length === 0) return [];
  const secret = new Set(paths.map((path) => /^[^.[]*/.exec(path)?.[0]));
  return Object.entries(definition.derivedOutputs ?? {}).flatMap(([output, inputs]) =>
    inputs.some((input) => secret.has(input)) ? [output] : [],
  );
}

export function markSecret(value: unknown): Record<string, unknown> {
  return { [SIGNATURE_KEY]: SECRET_SIGNATURE, value };
}
