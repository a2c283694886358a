// How a client logs in to ViPR and out of it, where a request's token stands, and the answers to a request without one
// (docs/wire/vipr.md#s1).

import { type EmulatorRequest, header, type Reply } from "../core/http";
import type { ViprAuth, ViprUser } from "./auth";
import { undecodable, ViprError } from "./errors";
import { written } from "./negotiation";

const TOKEN = "X-SDS-AUTH-TOKEN";
/** Marks a request that already comes from the login (RequestProcessingUtils.java:26). */
const REDIRECTED = "auth-redirected";

/** "none": without a token, or with one that has ended. "garbage": a text that is no token. */
export type Caller = { readonly user: ViprUser; readonly token: string } | "none" | "garbage";

/** The header comes first, and then ViPR reads no cookie (AbstractRequestWrapperFilter.java:192-240). */
export function callerOf(auth: ViprAuth, request: EmulatorRequest): Caller {
  const given = header(request, TOKEN);
  for (const token of given === undefined ? cookiesOf(request) : [given]) {
    const user = auth.identify(token);
    if (user === "garbage") return "garbage";
    if (typeof user !== "string") return { user, token };
  }
  return "none";
}

/** ViPR checks the token first, then whether the address is locked, then the credentials (AuthenticationResource.java:321-343). */
export function login(auth: ViprAuth, request: EmulatorRequest): Reply {
  const caller = callerOf(auth, request);
  if (caller === "garbage") return undecodable();
  auth.refuseLocked();
  const credentials = credentialsOf(request);
  // Credentials make a new token, also for whoever has one (AuthenticationResource.java:873-905).
  if (credentials === undefined) return caller === "none" ? challenge() : loggedIn(auth, request, caller);
  const token = auth.login(credentials.name, credentials.password);
  const user = auth.users.get(credentials.name.toLowerCase());
  if (token === undefined || user === undefined) return challenge();
  return loggedIn(auth, request, { user, token });
}

/** `force` ends all of the user's tokens, `username` those of another user (AuthenticationResource.java:520-563). */
export function logout(auth: ViprAuth, request: EmulatorRequest): Reply {
  const caller = callerOf(auth, request);
  if (caller === "garbage") return undecodable();
  if (caller === "none") throw new ViprError(401, 4000, "Token not found or invalid token provided");
  const { user, token } = caller;
  const other = request.query.get("username")?.trim() ?? "";
  if (other !== "") {
    if (user.role !== "admin") {
      throw new ViprError(403, 3000, `User ${user.name} not permitted to logout another user`);
    }
    auth.revokeAllOf(other);
    return written(request, 200, { user: other }, "LoggedOut");
  }
  const force = request.query.get("force")?.toLowerCase() === "true";
  return written(request, 200, { user: auth.logout(token, force) }, "LoggedOut");
}

/** For missing and for wrong credentials (docs/wire/vipr.md#login). */
export function challenge(): Reply {
  const headers = {
    "WWW-Authenticate": 'basic realm="ViPR"',
    "Cache-Control": "no-cache, no-store",
    Pragma: "no-cache",
  };
  return { status: 401, headers, body: "" };
}

/** For a missing or expired token (docs/wire/vipr.md#no-token). */
export function toLogin(request: EmulatorRequest, told?: number): Reply {
  const [path = "", query = ""] = request.target.split(/\?(.*)/s);
  const rest = query.split("&").filter((pair) => pair !== "" && !isNamed(pair, "using-cookies"));
  const service = encodeURIComponent(`${request.origin}${path}${rest.length > 0 ? `?${rest.join("&")}` : ""}`);
  const page = asksFor(request, "using-formlogin") ? "formlogin" : "login";
  const cookies = asksFor(request, "using-cookies") ? "&using-cookies=true" : "";
  const Location = `${request.origin}/vipr/${page}?service=${service}${cookies}`;
  const isLoop = query.includes(REDIRECTED);
  const status = told ?? (request.method === "GET" && !isLoop ? 302 : 401);
  if (status === 302) return { status, headers: { Location }, body: "" };
  const reason = isLoop
    ? 'using cookies? retry using "using-cookies" query parameter'
    : `Non GET Unauthenticated request: authenticate using ${Location}`;
  const message = `Error 401 ${reason}`;
  const headers = { Location, "Content-Type": "text/html;charset=ISO-8859-1" };
  return { status, headers, body: `<html><head><title>${message}</title></head><body>${message}</body></html>\n` };
}

/** A 302 to `service`, if the login came from there (AuthenticationResource.java:359-382). */
function loggedIn(
  auth: ViprAuth,
  request: EmulatorRequest,
  { user, token }: { readonly user: ViprUser; readonly token: string },
): Reply {
  const cookie = `${TOKEN}=${token};HttpOnly;Version=1;Max-Age=${auth.lifeInSeconds};Secure`;
  const headers = { [TOKEN]: token, ...(asksFor(request, "using-cookies") ? { "Set-Cookie": cookie } : {}) };
  const service = request.query.get("service") ?? "";
  if (service === "") return written(request, 200, { user: user.name }, "loggedIn", headers);
  return { status: 302, headers: { ...headers, Location: backTo(request, service) }, body: "" };
}

const URI = /^(?:([a-z][a-z\d+.-]*):)?(?:\/\/(?:[^/?#]*?)(?::(\d+))?(?=[/?#]|$))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/i;

/** Leads to no other host: the request's own replaces the one of `service` (AuthenticationResource.java:243-293). */
function backTo(request: EmulatorRequest, service: string): string {
  const badSyntax = new ViprError(400, 1008, "The provided service URI has invalid format");
  let decoded: string;
  try {
    decoded = decodeURIComponent(service.replaceAll("+", " "));
  } catch {
    throw badSyntax;
  }
  const parts = /[\s<>"{}|\\^`]/.test(decoded) ? null : URI.exec(decoded);
  if (parts === null) throw badSyntax;
  const [, scheme = "https", port, path = "", query, fragment] = parts;
  const host = `${scheme}://${new URL(request.origin).hostname}${port === undefined ? "" : `:${port}`}`;
  const place = path === "" || path.startsWith("/") ? path : `/${path}`;
  const asked = query ? `?${query}&${REDIRECTED}` : `?${REDIRECTED}`;
  return `${host}${place}${asked}${fragment ? `#${fragment}` : ""}`;
}

/** ViPR decodes as ISO 8859-1, whatever the scheme; a text without a colon is an exception (AuthenticationResource.java:1024-1042). */
function credentialsOf(request: EmulatorRequest): { name: string; password: string } | undefined {
  const authorization = header(request, "Authorization");
  if (authorization === undefined) return undefined;
  const encoded = authorization.slice(authorization.indexOf(" ") + 1);
  const text = Buffer.from(encoded, "base64").toString("latin1");
  const colon = text.indexOf(":");
  if (colon < 0) throw new ViprError(500, 999);
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

function cookiesOf(request: EmulatorRequest): string[] {
  const cookies = (header(request, "Cookie") ?? "").split(";").map((cookie) => /^([^=]*)=(.*)$/s.exec(cookie.trim()));
  return cookies.flatMap((cookie) =>
    cookie?.[1]?.trim().toUpperCase() === TOKEN ? [(cookie[2] ?? "").trim().replace(/^"(.*)"$/, "$1")] : [],
  );
}

/** True for `name` and `name=true` in any case (RequestProcessingUtils.java:108-134). */
function asksFor(request: EmulatorRequest, name: string): boolean {
  const [, query = ""] = request.target.split(/\?(.*)/s);
  return query.split("&").some((pair) => isNamed(pair, name) && /^[^=]*(=true)?$/i.test(pair));
}

function isNamed(pair: string, name: string): boolean {
  return pair.split("=", 1)[0]?.toLowerCase() === name;
}
