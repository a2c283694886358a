// What a preview shows of a resource that is to be made or changed: the inputs, the outputs that are certain, and every other
// output as unknown, so that what depends on it is unknown as well.

import { UNKNOWN } from "../core/check";
import type { AnyDefinition } from "../core/definition";
import type { Properties } from "../core/operation";
import { visible } from "./hidden";

/** `outputNames` are the schema's. */
export function previewOfCreate(
  definition: AnyDefinition,
  inputs: Properties,
  outputNames: readonly string[],
): Properties {
  return withUnknowns({ ...definition.expectedOutputs, ...visible(inputs) }, outputNames);
}

export function previewOfUpdate(
  definition: AnyDefinition,
  olds: Properties,
  news: Properties,
  outputNames: readonly string[],
): Properties {
  const stable = (definition.stableOutputs ?? []).filter((name) => olds[name] !== undefined);
  const kept = Object.fromEntries(stable.map((name) => [name, olds[name]]));
  return withUnknowns({ ...kept, ...definition.expectedOutputs, ...visible(news) }, outputNames);
}

/** The output of an absent input is unknown, too: a backend may choose a value. */
function withUnknowns(known: Properties, outputNames: readonly string[]): Properties {
  return { ...Object.fromEntries(outputNames.map((name) => [name, UNKNOWN])), ...known };
}
