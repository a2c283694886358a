// Secret inputs: Pulumi hands dynamic providers plain values, and the class says in `__secrets` which of them are secret.
// Their values are kept out of messages, and outputs that repeat them are marked as secret.

import { UNKNOWN } from "../core/check";
import type { AnyDefinition, HiddenInputs } from "../core/definition";
import { registerSecret } from "../core/errors";

/** Pulumi's form of a secret value on the wire (sdk/nodejs/runtime/rpc.ts, `specialSigKey`, `specialSecretSig`). */
const SIGNATURE_KEY = "4dabf18193072939515e22adb298388d";
const SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270";

/** No message shows the secret values among `props` from now on. */
export function protectSecretInputs(props: HiddenInputs): void {
  if (!Array.isArray(props.__secrets)) return;
  for (const leaf of props.__secrets.flatMap((path) => valuesAt(props, path)).flatMap(leavesOf)) {
    registerSecret(leaf);
    // Some backends cut blanks off, and so do their messages.
    registerSecret(leaf.trim());
  }
}

/** More than one where a key has a dot in it: `metadata.a.b` is the key "a.b" of metadata, or "b" of its "a". */
function valuesAt(value: unknown, path: string): unknown[] {
  if (path === "") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    [key, `.${key}`, `[${key}]`]
      .filter((prefix) => path.startsWith(prefix) && /^($|[.[])/.test(path.slice(prefix.length)))
      .flatMap((prefix) => valuesAt(inner, path.slice(prefix.length))),
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
  const { __secrets: paths } = outs as HiddenInputs;
  if (!Array.isArray(paths) || paths.length === 0) return outs;
  const secret = new Set(paths.map((path) => /^[^.[]*/.exec(path)?.[0]));
  const derived = Object.entries(definition.derivedOutputs ?? {})
    .filter(([output, inputs]) => outs[output] !== undefined && inputs.some((input) => secret.has(input)))
    .map(([output]) => [output, { [SIGNATURE_KEY]: SECRET_SIGNATURE, value: outs[output] }]);
  return { ...outs, ...Object.fromEntries(derived) };
}
