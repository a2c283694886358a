// Keystone's errors. They have a title and no fault name (keystone/exception.py, docs/wire/openstack.md#c2).

import { type EmulatorRequest, json, type Reply } from "../core/http";
import { HttpError } from "../openstack/wsgi";

export const UNAUTHORIZED = "The request you have made requires authentication.";
const COULD_NOT_COMPLY =
  "The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.";

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

export function errorReply({ status, message, details }: HttpError, request: EmulatorRequest): Reply {
  const headers = status === 401 ? { "WWW-Authenticate": `Keystone uri="${request.origin}/identity/v3"` } : undefined;
  return json(status, { error: { code: status, ...details, message, title: TITLES[status] ?? "Error" } }, headers);
}

export function unauthorized(): HttpError {
  return new HttpError(401, UNAUTHORIZED);
}

export function forbidden(action: string): HttpError {
  return new HttpError(403, `You are not authorized to perform the requested action: ${action}.`);
}

/** keystone/exception.py ValidationError */
export function expecting(attribute: string, target: string): HttpError {
  return new HttpError(400, expectingText(attribute, target));
}

export function expectingText(attribute: string, target: string): string {
  return `Expecting to find ${attribute} in ${target}. ${COULD_NOT_COMPLY}`;
}

/** jsonschema's text goes on with the whole schema (exchanges: 'auth empty'); the beginning says what is wrong. */
export function schemaError(message: string): HttpError {
  return new HttpError(400, `${message}\n\nFailed validating 'required' in schema:\n    {}\n\nOn instance:\n    {}`);
}

export function credentialNotFound(id: string): HttpError {
  return new HttpError(404, `Could not find Application Credential: ${id}.`);
}

/** Flask's own page, not JSON (exchanges: 'unknown path'). */
export function unrouted(pathIsKnown: boolean): Reply {
  const [status, title, text] = pathIsKnown
    ? [405, "Method Not Allowed", "The method is not allowed for the requested URL."]
    : [
        404,
        "Not Found",
        "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.",
      ];
  return {
    status,
    headers: { "Content-Type": "text/html; charset=utf-8" },
    body: `<!doctype html>\n<html lang=en>\n<title>${status} ${title}</title>\n<h1>${title}</h1>\n<p>${text}</p>\n`,
  };
}
