// JSON schema as far as Cinder and Nova use it. A refusal has the words of Python's jsonschema
// (cinder/api/validation/validators.py, nova/api/validation/validators.py).

import { isObject } from "../core/http";
import { repr, str } from "../core/pythonRepr";

export type Schema = {
  readonly types?: readonly ("string" | "null" | "object" | "boolean" | "integer" | "array")[];
  readonly enum?: readonly unknown[];
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly minimum?: number;
  /** A check that raises an exception of its own: the answer is its message, without the field's name. */
  readonly format?: (value: unknown) => string | undefined;
  /** A refusal prints `text()`. */
  readonly pattern?: { matches(value: string): boolean; text(): string };
  /** oneOf or anyOf over formats. A refusal names none of them. */
  readonly oneOf?: (value: unknown) => boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly patternKeys?: { readonly expression: RegExp; readonly values: Schema };
  readonly additional?: false;
  readonly anyRequired?: readonly string[];
  readonly minProperties?: number;
};

/** The message for the first error, in the order of the schema's keywords; undefined if the schema accepts the body. */
export function refusal(schema: Schema, body: unknown): string | undefined {
  const error = firstError(schema, body, undefined);
  if (error === undefined) return undefined;
  // An error of the whole body has no field to name (exchanges: 'empty object').
  if (error.field === undefined) return error.message;
  return `Invalid input for field/attribute ${error.field}. Value: ${str(error.value)}. ${error.message}`;
}

interface SchemaError {
  readonly field: string | undefined;
  readonly value: unknown;
  readonly message: string;
}

function firstError(schema: Schema, value: unknown, field: string | undefined): SchemaError | undefined {
  const fail = (message: string): SchemaError => ({ field, value, message });
  if (schema.oneOf !== undefined && !schema.oneOf(value))
    return fail(`${repr(value)} is not valid under any of the given schemas`);
  if (schema.types !== undefined && !schema.types.some((type) => isType(value, type)))
    return fail(`${repr(value)} is not of type ${schema.types.map(repr).join(", ")}`);
  const raised = schema.format?.(value);
  if (raised !== undefined) return { field: undefined, value, message: raised };
  if (schema.enum !== undefined && !schema.enum.includes(value))
    return fail(`${repr(value)} is not one of ${repr(schema.enum)}`);
  if (schema.minimum !== undefined && typeof value === "number" && value < schema.minimum)
    return fail(`${repr(value)} is less than the minimum of ${schema.minimum}`);
  if (typeof value === "string") return stringError(schema, value, fail);
  return isObject(value) ? objectError(schema, value, fail) : undefined;
}

function stringError(schema: Schema, value: string, fail: (message: string) => SchemaError): SchemaError | undefined {
  const length = [...value].length;
  if (schema.minLength !== undefined && length < schema.minLength) return fail(`${repr(value)} is too short`);
  if (schema.maxLength !== undefined && length > schema.maxLength) return fail(`${repr(value)} is too long`);
  if (schema.pattern !== undefined && !schema.pattern.matches(value))
    return fail(`${repr(value)} does not match ${repr(schema.pattern.text())}`);
  return undefined;
}

function objectError(
  schema: Schema,
  value: Record<string, unknown>,
  fail: (message: string) => SchemaError,
): SchemaError | undefined {
  if (schema.minProperties !== undefined && Object.keys(value).length < schema.minProperties)
    return fail(`${repr(value)} does not have enough properties`);
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const error = name in value ? firstError(property, value[name], name) : undefined;
    if (error !== undefined) return error;
  }
  if (schema.patternKeys !== undefined) {
    const { expression, values } = schema.patternKeys;
    for (const [name, item] of Object.entries(value)) {
      const error = expression.test(name) ? firstError(values, item, name) : undefined;
      if (error !== undefined) return error;
    }
  }
  const missing = schema.required?.find((name) => !(name in value));
  if (missing !== undefined) return fail(`${repr(missing)} is a required property`);
  const extra = schema.additional === false ? additional(schema, value) : undefined;
  if (extra !== undefined) return fail(extra);
  if (schema.anyRequired !== undefined && !schema.anyRequired.some((name) => name in value))
    return fail(`${repr(value)} is not valid under any of the given schemas`);
  return undefined;
}

function additional(schema: Schema, value: Record<string, unknown>): string | undefined {
  const known = Object.keys(schema.properties ?? {});
  const expression = schema.patternKeys?.expression;
  const extra = Object.keys(value).filter((name) => !known.includes(name) && expression?.test(name) !== true);
  if (extra.length === 0) return undefined;
  const names = extra.map(repr).join(", ");
  // exchanges: 'metadata key 256', 'metadata empty key'
  if (expression !== undefined)
    return `${names} ${extra.length === 1 ? "does" : "do"} not match any of the regexes: '${expression.source.replaceAll("\\/", "/")}'`;
  return `Additional properties are not allowed (${names} ${extra.length === 1 ? "was" : "were"} unexpected)`;
}

function isType(value: unknown, type: string): boolean {
  if (type === "null") return value === null;
  if (type === "object") return isObject(value);
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}

/** A body that is one object under one name. */
export function wrapped(name: string, schema: Schema): Schema {
  return {
    types: ["object"],
    properties: { [name]: { types: ["object"], additional: false, ...schema } },
    required: [name],
    additional: false,
  };
}
