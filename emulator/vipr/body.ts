// Request bodies as ViPR's libraries read them: Jackson reads JSON, JAXB reads XML.

import { type EmulatorRequest, header, isObject } from "../core/http";
import { ViprError } from "./errors";
import { fromXml, XmlError } from "./xml";

/** The XML root of each request, and its lists that have no wrapper (docs/wire/vipr.md#xml). */
const XML: Readonly<Record<string, { readonly root: string; readonly lists?: readonly string[] }>> = {
  SnapshotSessionLinkTargetsParam: { root: "snapshot_session_link_targets" },
  SnapshotSessionUnlinkTargetsParam: { root: "snapshot_session_unlink_targets" },
  SnapshotSessionRelinkTargetsParam: { root: "snapshot_session_relink_targets" },
  TagAssignment: { root: "tag_changes", lists: ["add", "remove"] },
  BulkIdParam: { root: "ids", lists: ["id"] },
};

/** JSON with unknown fields is refused, with Jackson's messages (docs/wire/vipr.md#input-leniency). XML may have them. */
export function readBody(request: EmulatorRequest, type: string, known: readonly string[]): Record<string, unknown> {
  // JAX-RS compares type and subtype only: a charset does no harm.
  const contentType = header(request, "Content-Type")?.split(";", 1)[0]?.trim().toLowerCase();
  if (contentType !== "application/json" && contentType !== "application/xml") throw new ViprError(415, 1003);
  // EOFException (docs/wire/vipr.md#s3).
  if (request.text.trim() === "") throw new ViprError(500, 999);
  return contentType === "application/xml" ? readXml(request.text, type) : readJson(request.text, type, known);
}

function readXml(text: string, type: string): Record<string, unknown> {
  const { root, lists = [] } = XML[type] ?? { root: type };
  try {
    return fromXml(text, root, lists);
  } catch (error) {
    if (error instanceof XmlError) throw new ViprError(400, 1013, error.message);
    throw error;
  }
}

function readJson(text: string, type: string, known: readonly string[]): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(text);
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
