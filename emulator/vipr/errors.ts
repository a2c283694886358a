// ViPR's errors: the table of codes, the answer to a token that ViPR did not issue, and the texts that several handlers share
// (docs/wire/vipr.md#s5).

import type { EmulatorRequest, Reply } from "../core/http";
import { formOfError, writtenAs } from "./negotiation";

/** ViPR refuses the request; `refusal` writes the answer. */
export class ViprError extends Error {
  constructor(
    readonly status: number,
    readonly code: number,
    readonly details?: string,
  ) {
    super(details ?? `code ${code}`);
  }
}

/** ViPR's three kinds of 503, as answers for fault rules (docs/wire/vipr.md#s0-15, #s8-1-15). */
export const VIPR_UNAVAILABLE = {
  nginx: {
    status: 503,
    headers: { "Content-Type": "application/json" },
    body: {
      code: 6503,
      description: "Unable to connect to the service. The service is unavailable, try again later.",
      details:
        "The service is currently unavailable because a connection failed to a core component. Please contact an administrator or try again later.",
      retryable: true,
    },
  },
  locator: {
    status: 503,
    headers: { "Content-Type": "application/json", "Retry-After": "30" },
    body: {
      code: 9501,
      retryable: true,
      description: "The coordinator was unable to locate the service",
      details:
        "Unable to locate service with name: controllersvc, version: 1, tag: vmax and end point key: BlockController",
    },
  },
  cluster: {
    status: 503,
    headers: { "Content-Type": "application/json", "Retry-After": "30" },
    body: { code: 30000, retryable: false, description: "Cluster state is not stable" },
  },
} as const;

export function refusal(request: EmulatorRequest, { status, code, details }: ViprError): Reply {
  const error = {
    code,
    // Only some of the 503s are (docs/wire/vipr.md#s0-15).
    retryable: code === 9501,
    description: DESCRIPTIONS[code] ?? DESCRIPTIONS[999] ?? "",
    ...(details === undefined ? {} : { details }),
  };
  return writtenAs(formOfError(request), status, error, "error", status === 503 ? { "Retry-After": "30" } : {});
}

/** For a token that ViPR did not issue. XML, whatever the request accepts (docs/wire/vipr.md#s0-9). */
export function undecodable(): Reply {
  const body = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<error><code>10001</code><description>${DESCRIPTIONS[10001]}</description><details>Unable to decode token.</details><retryable>false</retryable></error>`;
  return { status: 401, headers: { "Content-Type": "application/xml" }, body };
}

export function required(name: string): ViprError {
  return new ViprError(400, 1005, `Required parameter ${name} was missing or empty`);
}

export function missing(id: string): ViprError {
  return new ViprError(404, 2000, `Unable to find entity specified in URL with the given id ${id}`);
}

export function insufficientPermissions(user: string): ViprError {
  return new ViprError(403, 3000, `Insufficient permissions for user ${user}.`);
}

/** The fixed `description` of each code (docs/wire/vipr.md#s5). */
const DESCRIPTIONS: Readonly<Record<number, string>> = {
  999: "An unexpected error occurred, please check the ViPR logs for more information",
  1002: "URI parameter is invalid",
  1003: "Unsupported or missing media type",
  1004: "Request parameter cannot be found",
  1005: "Required parameter is missing or empty",
  1006: "Request parameter is inactive and marked for deletion",
  1007: "Method not supported",
  1008: "Parameter was provided but invalid",
  1013: "Bad request",
  1020: "Resource is being referenced",
  1031: "Exceeding limit",
  1056: "Operation not allowed because there is another task updating this resource",
  2000: "Unable to find entity in request URL",
  2001: "URI parameter is inactive and marked for deletion",
  3000: "This operation is forbidden for this resource using the specified credentials",
  4000: "Invalid credentials or authentication token provided to access to this resource",
  7000: "An error occurred in the API Service",
  9501: "The coordinator was unable to locate the service",
  10001: "An error occurred while encoding/decoding of tokens",
};
