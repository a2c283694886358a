// Whether an answer is JSON or XML (docs/wire/vipr.md#negotiation). Jersey chooses the form of a success, and ViPR's mapper
// chooses the form of an error.

import { type EmulatorRequest, header, json, type Reply } from "../core/http";
import { toXml } from "./xml";

export type Form = "json" | "xml";

/** The ends of a path that stand for an `Accept` (AbstractSecuredWebServer.java:289-293). */
const SUFFIXES: Readonly<Record<string, string>> = {
  json: "application/json",
  xml: "application/xml",
  "octet-stream": "application/octet-stream",
  "form-data": "multipart/form-data",
};

/** Takes `.json` off the path, which then replaces `Accept` (Jersey 1, UriConnegFilter.java). */
export function withoutSuffix(request: EmulatorRequest): EmulatorRequest {
  const [, ...ends] = (request.path.split("/").findLast((segment) => segment !== "") ?? "").split(".");
  const end = ends.findLast((one) => SUFFIXES[one] !== undefined);
  if (end === undefined) return request;
  const at = request.path.lastIndexOf(`.${end}`);
  const path = request.path.slice(0, at) + request.path.slice(at + end.length + 1);
  return { ...request, path, headers: { ...request.headers, accept: SUFFIXES[end] } };
}

/** The form of a success, or undefined if the client accepts neither: ViPR's methods produce XML and JSON, in this order. */
export function formOfSuccess(request: EmulatorRequest): Form | undefined {
  for (const { type, subtype } of accepted(request)) {
    if (type !== "*" && type !== "application") continue;
    if (subtype === "*" || subtype === "xml") return "xml";
    if (subtype === "json") return "json";
  }
  return undefined;
}

/** The first range that is exactly one of the two, without any parameter (ServiceCodeExceptionMapper.java:213-227). */
export function formOfError(request: EmulatorRequest): Form {
  const exact = accepted(request).find(
    ({ type, subtype, isBare }) => isBare && type === "application" && (subtype === "json" || subtype === "xml"),
  );
  return exact?.subtype === "json" ? "json" : "xml";
}

export function written(
  request: EmulatorRequest,
  status: number,
  body: Record<string, unknown>,
  root: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  if (root === "") return { status, headers, body: "" };
  return writtenAs(formOfSuccess(request) ?? "xml", status, body, root, headers);
}

export function writtenAs(
  form: Form,
  status: number,
  body: Record<string, unknown>,
  root: string,
  headers: Readonly<Record<string, string>>,
): Reply {
  if (form === "json") return json(status, body, headers);
  return { status, headers: { "Content-Type": "application/xml", ...headers }, body: toXml(root, body) };
}

interface Range {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
  /** True if the range has no parameter. A quality is a parameter, too (Jersey 1, AcceptableMediaType.java). */
  readonly isBare: boolean;
}

/** The ranges of `Accept`: those of a higher quality first, of one quality wildcards last. */
function accepted(request: EmulatorRequest): Range[] {
  const text = header(request, "Accept")?.trim() || "*/*";
  const wildcards = ({ type, subtype }: Range) => Number(type === "*") + Number(subtype === "*");
  return text
    .split(",")
    .map(rangeOf)
    .sort((a, b) => b.quality - a.quality || wildcards(a) - wildcards(b));
}

function rangeOf(text: string): Range {
  const [range = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const [type = "", subtype = "*"] = range.split("/");
  const quality = Number(parameters.find((one) => one.startsWith("q="))?.slice(2) ?? 1);
  return { type, subtype, quality: Number.isFinite(quality) ? quality : 1, isBare: parameters.length === 0 };
}
