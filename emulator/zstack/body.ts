// Request bodies as ZStack's server reads them.

import { isObject } from "../core/http";
import { Refusal } from "./errors";

export function parse(body: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw new Refusal(500, "com.google.gson.stream.MalformedJsonException: Use JsonReader.setLenient(true)");
  }
  if (!isObject(parsed)) throw new Refusal(500, "java.lang.IllegalStateException: Expected BEGIN_OBJECT");
  return parsed;
}

export function actionName(body: string, actions: Readonly<Record<string, unknown>>): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    return isObject(parsed) ? Object.keys(parsed).find((key) => Object.hasOwn(actions, key)) : undefined;
  } catch {
    return undefined;
  }
}

const INTEGERS = ["cpuNum", "memorySize", "reservedMemorySize", "duration"];

/** TypeVerifier.java checks booleans and integers; Gson refuses other types (docs/wire/zstack.md#s9-9). */
export function checkTypes(fields: Record<string, unknown>): void {
  for (const name of INTEGERS) {
    const { [name]: value } = fields;
    if (value === undefined || value === null || Number.isInteger(Number(String(value).trim() || "none"))) continue;
    throw new Refusal(400, `[${name}] field is excepted an int or long, but was [${String(value)}].`);
  }
  const { full } = fields;
  if (full !== undefined && !/^(true|false)$/.test(String(full))) {
    throw new Refusal(
      400,
      `Invalid value for boolean field [full], [${String(full)}] is not a valid boolean string[true, false].`,
    );
  }
}

export function strings(value: unknown, field: string): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    throw new Refusal(500, `java.lang.IllegalStateException: Expected BEGIN_ARRAY but was STRING at path $.${field}`);
  }
  return value.map(String);
}

export function optionalText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** An integer that `checkTypes` has let through. Gson reads it from a text, too. */
export function optionalInteger(value: unknown): number | undefined {
  return value === undefined || value === null ? undefined : Number(value);
}
