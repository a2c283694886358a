// Request bodies as ViPR's JSON library Jackson reads them.

import { type EmulatorRequest, header, isObject } from "../core/http";
import { ViprError } from "./errors";

/** Refuses unknown fields, with Jackson's messages (docs/wire/vipr.md#input-leniency). */
export function readBody(request: EmulatorRequest, type: string, known: readonly string[]): Record<string, unknown> {
  if (header(request, "Content-Type") !== "application/json") throw new ViprError(415, 1003);
  // EOFException (docs/wire/vipr.md#s3).
  if (request.text.trim() === "") throw new ViprError(500, 999);
  let body: unknown;
  try {
    body = JSON.parse(request.text);
  } catch (error) {
    throw new ViprError(400, 1013, `Unexpected character: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (body === null) throw new ViprError(400, 1002, `Parameter ${type} cannot be null or empty`);
  return fieldsOf(body, type, known);
}

export function fieldsOf(value: unknown, type: string, known: readonly string[]): Record<string, unknown> {
  if (!isObject(value))
    throw new ViprError(400, 1013, `Can not deserialize instance of com.emc.storageos.model.block.${type}`);
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown === undefined) return value;
  const message = `Unrecognized field "${unknown}" (Class com.emc.storageos.model.block.${type}), not marked as ignorable`;
  throw new ViprError(400, 1013, message);
}

export function integer(value: unknown): number {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number === "number" && Number.isFinite(number)) return Math.trunc(number);
  throw new ViprError(400, 1013, `Can not construct instance of java.lang.Integer from ${JSON.stringify(value)}`);
}

export function text(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new ViprError(400, 1013, "Can not deserialize instance of java.lang.String");
}

export function asArray(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw new ViprError(400, 1013, "Can not deserialize instance of java.util.ArrayList");
}
