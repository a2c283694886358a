// What a handler of Keystone is given, and the checks that several handlers make.

import type { Clock } from "../core/clock";
import { type EmulatorRequest, header, type Reply } from "../core/http";
import { HttpError, objectIn, parseJson } from "../openstack/wsgi";
import { credentialNotFound, expecting, expectingText, forbidden, unauthorized } from "./errors";
import type { KeystoneModel, Token } from "./model";

export interface KeystoneContext {
  readonly model: KeystoneModel;
  readonly clock: Clock;
  readonly request: EmulatorRequest;
  readonly params: Readonly<Record<string, string>>;
  /** `http://host/identity/v3` */
  readonly base: string;
}

export type KeystoneHandler = (context: KeystoneContext) => Reply;

/** The object under `name` in the body; undefined if there is none. */
export function readBody({ request }: KeystoneContext, name: string): Record<string, unknown> | undefined {
  const type = header(request, "Content-Type")?.split(";")[0]?.trim();
  // exchanges: 'text/plain', 'bad json'
  if (request.text !== "" && type !== "application/json") throw expecting("application/json", "Content-Type header");
  return objectIn(parseJson(request.text, expectingText("valid JSON", "request body")), name);
}

/** What a list says of itself: the whole address, as the client wrote it. */
export function requestUrl({ origin, target }: EmulatorRequest): string {
  return `${origin}${target}`;
}

/** The caller's own token. */
export function caller({ model, request }: KeystoneContext): Token {
  const id = header(request, "X-Auth-Token") ?? "";
  const credential = model.tokens.get(id)?.applicationCredentialId ?? null;
  // Seen: Keystone looks the credential up before it looks at the token (docs/wire/openstack.md#application-credentials).
  if (credential !== null && !model.applicationCredentials.has(credential)) throw credentialNotFound(credential);
  const token = model.valid(id);
  // exchanges: 'no token', 'catalog after revoke'
  if (token === undefined) throw unauthorized();
  return token;
}

export function requireAdmin(context: KeystoneContext, action: string): void {
  if (!caller(context).roles.includes("admin")) throw forbidden(action);
}

/** A token that the request names as data. Both ways to be bad end in 404, unlike those of the caller's own token. */
export function knownToken({ model }: KeystoneContext, id: string): Token {
  // exchanges: 'bad token', 'validate bogus'
  if (!model.tokens.has(id)) throw new HttpError(404, "Could not recognize Fernet token");
  const token = model.valid(id);
  // keystone/token/provider.py _is_valid_token, check_revocation
  if (token === undefined) throw new HttpError(404, "Failed to validate token");
  return token;
}
