// The package's schema (docs/native.md), which `npm run docs` makes from the sdk's comments and the definitions' rules. What
// the provider itself needs of it: the names of a resource's outputs, and the arguments of the lookups.

import { version } from "../version";
import type { Failure } from "./provider";

interface PropertySpec {
  type?: string;
  $ref?: string;
}

interface Spec {
  resources: Record<string, { properties: Record<string, PropertySpec> }>;
  functions: Record<string, { inputs: { properties: Record<string, PropertySpec> } }>;
}

const spec = require("./schema.json") as Spec;

/** As GetSchema answers it. */
export function schemaText(): string {
  return JSON.stringify({ ...spec, version });
}

export function outputNames(type: string): string[] {
  return Object.keys(spec.resources[type]?.properties ?? {});
}

/** A program in YAML has no types. */
export function checkArguments(token: string, args: Readonly<Record<string, unknown>>): Failure[] {
  const properties = spec.functions[token]?.inputs.properties;
  if (properties === undefined) return [{ property: "", reason: `snapclone has no function ${token}` }];
  return Object.entries(args).flatMap(([property, value]): Failure[] => {
    const expected = properties[property];
    if (expected === undefined)
      return [{ property, reason: `is not an argument: there are ${Object.keys(properties).join(", ")}` }];
    if (value === null || value === undefined || expected.type === undefined) return [];
    const isRight = typeof value === expected.type;
    return isRight
      ? []
      : [{ property, reason: `must be ${expected.type === "object" ? "an object" : `a ${expected.type}`}` }];
  });
}
