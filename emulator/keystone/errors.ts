// Keystone's errors. They have a title and no fault name (keystone/exception.py, docs/wire/openstack.md#c2).

import { type EmulatorRequest, json, type Reply } from "../core/http";
import { HttpError } from "../openstack/wsgi";

export const UNAUTHORIZED = "The request you have made requires authentication.";
export const COULD_NOT_COMPLY =
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

/** What jsonschema says of a part of a body: the keyword that refused it, and where the part is. */
export interface SchemaRefusal {
  readonly message: string;
  readonly keyword: string;
  /** The steps to the part in the body, and those in the schema. */
  readonly at?: readonly (string | number)[];
  readonly schemaAt?: readonly string[];
}

/** jsonschema's text goes on with the whole schema (exchanges: 'auth empty'); the beginning says what is wrong. */
export function schemaError({ message, keyword, at = [], schemaAt = [] }: SchemaRefusal): HttpError {
  const where = at.length === 0 ? "" : `Invalid input for field '${at.join("/")}': `;
  const inSchema = schemaAt.map((step) => `['${step}']`).join("");
  const onInstance = at.map((step) => (typeof step === "number" ? `[${step}]` : `['${step}']`)).join("");
  const failed = `Failed validating '${keyword}' in schema${inSchema}:\n    {}`;
  return new HttpError(400, `${where}${message}\n\n${failed}\n\nOn instance${onInstance}:\n    {}`);
}

export function credentialNotFound(id: string): HttpError {
  return new HttpError(404, `Could not find Application Credential: ${id}.`);
}

export function notFound(noun: string, id: string): HttpError {
  return new HttpError(404, `Could not find ${noun}: ${id}.`);
}

/** Flask's own page, not JSON (exchanges: 'unknown path'). */
export function unrouted(): Reply {
  const text =
    "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.";
  return {
    status: 404,
    headers: { "Content-Type": "text/html; charset=utf-8" },
    body: `<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>${text}</p>\n`,
  };
}

/** Flask-RESTful's answer at a path that has other methods (exchanges: 'method not allowed'). */
export function methodNotAllowed(methods: readonly string[]): Reply {
  return json(405, { message: "The method is not allowed for the requested URL." }, { Allow: methods.join(", ") });
}
