// Marks outputs as secret for Pulumi. Pulumi marks an output again that has the name of a secret input; an output that
// repeats the value under another name (a clone's name in a list of clones) is ours to mark.

import type { AnyDefinition, HiddenInputs } from "../core/definition";

/** Pulumi's form of a secret value on the wire (sdk/nodejs/runtime/rpc.ts, `specialSigKey`, `specialSecretSig`). */
const SIGNATURE_KEY = "4dabf18193072939515e22adb298388d";
const SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270";

export function markSecrets(definition: AnyDefinition, outs: Record<string, unknown>): Record<string, unknown> {
  const { __secrets: paths } = outs as HiddenInputs;
  if (!Array.isArray(paths) || paths.length === 0) return outs;
  const secret = new Set(paths.map((path) => /^[^.[]*/.exec(path)?.[0]));
  const derived = Object.entries(definition.derivedOutputs ?? {})
    .filter(([output, inputs]) => outs[output] !== undefined && inputs.some((input) => secret.has(input)))
    .map(([output]) => [output, { [SIGNATURE_KEY]: SECRET_SIGNATURE, value: outs[output] }]);
  return { ...outs, ...Object.fromEntries(derived) };
}
