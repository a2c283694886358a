// What the three resources on OpenStack have in common in the fault table: the login, the list of versions, and the form of
// OpenStack's errors.

import type { Emulator } from "../../emulator/index";
import type { HttpClient } from "../../provider/core/http/client";
import type { Clock } from "../../provider/core/util/clock";
import type { OpenStackSettings } from "../../provider/openstack/connection";
import { OpenStackContext } from "../../provider/openstack/context";
import { KeystoneSession } from "../../provider/openstack/keystone";
import type { Answer, RequestSite } from "./resourceUnderTest";
import { get, post, request } from "./sites";

export const PASSWORD = "planted-pass%word \"7'";

const TOKEN_FIELDS = [
  "token",
  "token.expires_at",
  "token.issued_at",
  "token.user",
  "token.user.id",
  "token.project",
  "token.project.id",
  "token.catalog",
  "token.catalog.0.type",
  "token.catalog.0.endpoints",
  "token.catalog.0.endpoints.0.interface",
  "token.catalog.0.endpoints.0.url",
] as const;

/** `success`: the counts after a create that succeeds. */
export function loginSite(success: readonly [number, number], fields: readonly string[] = TOKEN_FIELDS): RequestSite {
  const call = post(/\/auth\/tokens$/);
  return request("create", "login", call, "`POST /auth/tokens`", fields, { success, failure: [0, 0] });
}

/** Cinder lists its versions at two addresses: the second one stands in for the first. */
export function versionsSite(success: readonly [number, number]): RequestSite {
  const fields = ["versions", "versions.0.id", "versions.0.version", "versions.0.min_version"];
  return request("create", "fallback", get(/\/volume\/$/), "`GET /` (versions)", fields, { success, failure: [0, 0] });
}

export function notFound(site: string, message: string): Answer {
  return { status: 404, body: faultBody(site, "itemNotFound", 404, message) };
}

export function quotaExceeded(site: string, message: string): Answer {
  return { status: 413, headers: { "Retry-After": "0" }, body: faultBody(site, "overLimit", 413, message) };
}

/** Keystone's errors have another form than those of Cinder and Nova. */
function faultBody(site: string, name: string, code: number, message: string): object {
  return site === "login" ? { error: { code, message, title: name } } : { [name]: { code, message } };
}

export function secretsOf({ keystone }: Emulator): string[] {
  return [PASSWORD, encodeURIComponent(PASSWORD), ...keystone.tokens.keys()];
}

export function openCloud(authUrl: string, clock: Clock, http: HttpClient, name = "demo"): OpenStackContext {
  return new OpenStackContext(new KeystoneSession(settingsOf(authUrl, name), { clock, http }), clock);
}

export function settingsOf(authUrl: string, name: string): OpenStackSettings {
  const domain = { name: "Default" };
  return {
    authUrl,
    auth: {
      method: "password",
      user: { name, domain },
      password: PASSWORD,
      scope: { project: { name, domain } },
    },
    region: "RegionOne",
    interface: "public",
    endpointOverride: {},
    serviceType: {},
    serviceRegion: {},
    serviceInterface: {},
    tls: { insecure: false },
    source: 'cloud "lab" of /etc/openstack/clouds.yaml',
    sourceKind: "cloudsYaml",
    warnings: [],
  };
}
