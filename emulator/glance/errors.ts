// Glance's errors: webob's own form, by what the client accepts (webob/exc.py WSGIHTTPException.generate_response). The
// text of each is docs/wire/openstack.md#glance.

import { type EmulatorRequest, header, json, type Reply } from "../core/http";
import { type HttpError, INJECTED_ERROR } from "../openstack/wsgi";

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  413: "Request Entity Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** webob's HTTPUnauthorized. */
export const UNAUTHORIZED =
  "This server could not verify that you are authorized to access the document you requested. Either you supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials required.";

export function errorReply(
  { status, message }: Pick<HttpError, "status" | "message">,
  request: EmulatorRequest,
): Reply {
  const title = TITLES[status] ?? "Error";
  const challenge: Record<string, string> =
    status === 401 ? { "WWW-Authenticate": `Keystone uri="${request.origin}/identity"` } : {};
  if (/json/.test(header(request, "Accept") ?? ""))
    return json(status, { message: `${message}<br /><br />\n\n\n`, code: `${status} ${title}`, title }, challenge);
  const body = `<html>\n <head>\n  <title>${status} ${title}</title>\n </head>\n <body>\n  <h1>${status} ${title}</h1>\n  ${message}<br /><br />\n\n\n\n </body>\n</html>`;
  return { status, headers: { "Content-Type": "text/html; charset=UTF-8", ...challenge }, body };
}

export function injected(status: number, request: EmulatorRequest): Reply {
  return errorReply({ status, message: status === 401 ? UNAUTHORIZED : INJECTED_ERROR }, request);
}
