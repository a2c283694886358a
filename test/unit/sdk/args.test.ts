// The inputs are stated in the sdk's types, which programs are checked against, and in the definitions' schemas, which
// `check` uses. Both agree: same names, same optional ones, same types.

import path from "node:path";
import ts from "typescript";
import { type ZodType, z } from "zod";
import type { AnyDefinition, InputRule } from "../../../provider/core/definition";
import { resourceNames, resources } from "../../../provider/resources";
import { readSdk, withoutPulumi } from "../../../tools/docs/sdkSource";

const ROOT = path.resolve(__dirname, "..", "..", "..");

describe.each(resourceNames)("%s", (name) => {
  const definition: AnyDefinition = resources[name]();
  const rules = Object.entries(definition.inputs as Record<string, InputRule<unknown>>);
  const { inputs, outputs, registered } = readSdk(ROOT, name);

  test("the interface has the inputs of the definition", () => {
    expect(inputs.map((input) => input.name)).toEqual(rules.map(([input]) => input));
  });

  test.each(rules)("%s: optional or not, and of one type", (input, { schema }) => {
    const member = inputs.find((one) => one.name === input);
    if (member === undefined) throw new Error(`the interface has no ${input}`);
    const nullable = ts.isUnionTypeNode(member.type) && member.type.getText().includes("null");
    // Pulumi leaves out what is null: such an input has to be written, and the schema gets nothing.
    expect([input, schema.safeParse(undefined).success]).toEqual([input, member.optional || nullable]);
    const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
    const shape = shapeOfType(member.type);
    // A schema that reports all problems of a list at once takes `unknown` and tells its shape only when it is used.
    if (Object.keys(json).every((key) => key === "$schema"))
      expect([input, kindsTaken(schema)]).toEqual([input, [kindOf(shape)]]);
    else expect([input, shapeOfJson(json)]).toEqual([input, shape]);
  });

  test("every declared output is registered", () => {
    expect([...registered].sort()).toEqual(outputs.map((output) => output.name).sort());
  });
});

interface JsonSchema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  items?: JsonSchema;
  additionalProperties?: JsonSchema | boolean;
  anyOf?: JsonSchema[];
}

/** Lists of any values are `unknown` in a schema, and what Pulumi can store in a type. */
const SCALARS = "boolean | number | string";

const SAMPLES = { text: "a", number: 1, boolean: true, list: ["a"], map: { a: "a" } };

/** The kinds of value that the schema takes, whatever it says about what is inside. */
function kindsTaken(schema: ZodType): string[] {
  return Object.entries(SAMPLES)
    .filter(([, sample]) => schema.safeParse(sample).error?.issues.every(({ path: at }) => at.length > 0) ?? true)
    .map(([kind]) => kind);
}

function kindOf(shape: string): string {
  return shape.endsWith("[]") ? "list" : shape.startsWith("{") ? "map" : shape;
}

function shapeOfJson({ type, const: literal, enum: words, items, additionalProperties, anyOf }: JsonSchema): string {
  if (anyOf) return union(anyOf.map(shapeOfJson));
  if (words ?? literal) return union((words ?? [literal]).map((word) => JSON.stringify(word)));
  if (type === "array") return `(${shapeOfJson(items ?? {})})[]`;
  if (type === "object") return `{ [key]: ${shapeOfJson(additionalProperties as JsonSchema)} }`;
  if (type === "integer") return "number";
  return type ?? SCALARS;
}

function shapeOfType(wrapped: ts.TypeNode): string {
  const type = withoutPulumi(wrapped);
  if (ts.isUnionTypeNode(type)) return union(type.types.map(shapeOfType).filter((one) => one !== "null"));
  if (ts.isArrayTypeNode(type)) return `(${shapeOfType(type.elementType)})[]`;
  if (ts.isTypeReferenceNode(type) && type.typeName.getText() === "Record") {
    return `{ [key]: ${shapeOfType(type.typeArguments?.[1] as ts.TypeNode)} }`;
  }
  return type.getText();
}

function union(parts: readonly string[]): string {
  return [...new Set(parts.filter((part) => part !== "null"))].sort().join(" | ");
}
