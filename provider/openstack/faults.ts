// The error bodies that all OpenStack services share (docs/wire/openstack.md#a10), as parts of a SnapcloneError.

import * as z from "zod";
import { truncate } from "../core/errors";
import type { ParsedError, RawResponse } from "../core/http/request";

export interface Fault {
  /** `itemNotFound`, `badRequest`, `computeFault`, … */
  name: string;
  message: string;
}

/** What one service adds to the shared reading of an error body. */
export interface FaultTexts {
  /** "the Block Storage API v3". */
  api: string;
  hints: readonly (readonly [RegExp, string])[];
  /** The hint of a 403; `rule` is the policy rule that the body names. */
  forbidden(rule: string | undefined): string;
}

const faultSchema = z.record(z.string(), z.looseObject({ message: z.string() }));
/** The body of webob, for an address that no route matches (docs/wire/openstack.md#a10). */
const unroutedSchema = z.looseObject({ message: z.string(), code: z.string(), title: z.string() });

/** Reads an error body. Parts that are left out follow from the HTTP status. */
export function faultError({ status, json }: RawResponse, texts: FaultTexts): Partial<ParsedError> | undefined {
  const fault = parseFault(json);
  if (!fault) {
    if (status !== 404 || !unroutedSchema.safeParse(json).success) return undefined;
    const hint = `The endpoint is not that of ${texts.api}. Correct it in the catalogue, or set the endpoint override.`;
    return { kind: "config", message: "there is no such address", hint };
  }
  const { name, message } = fault;
  const hint = texts.hints.find(([pattern]) => pattern.test(message))?.[1];
  const parsed: Partial<ParsedError> = { message: withoutPatterns(message), ...(hint === undefined ? {} : { hint }) };
  if (status === 404) {
    // With "The resource could not be found." the microversion lacks this call (docs/wire/openstack.md#a4). It does not
    // say that an object is absent.
    const namesObject = name === "itemNotFound" && !/^The resource could not be found/.test(message);
    return { ...parsed, kind: namesObject ? "notFound" : "refused" };
  }
  if (status === 403) {
    const rule = /Policy doesn't allow (\S+) to be performed/.exec(message)?.[1];
    return { ...parsed, kind: "forbidden", hint: texts.forbidden(rule) };
  }
  return parsed;
}

/** `{"itemNotFound": {"code": 404, "message": "…"}}`, and `{"error": {…}}` from keystonemiddleware. */
export function parseFault(json: unknown): Fault | undefined {
  const parsed = faultSchema.safeParse(json);
  const [entry, ...others] = parsed.success ? Object.entries(parsed.data) : [];
  return entry && others.length === 0 ? { name: entry[0], message: entry[1].message } : undefined;
}

/** Cinder prints the rejected value and a whole regular expression into a 400 (docs/wire/openstack.md#a2). */
function withoutPatterns(message: string): string {
  return truncate(message.replace(/ does not match '[^\n]*/, " has characters that are not allowed"), 400);
}
