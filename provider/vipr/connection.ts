// Where a ViPR connection comes from: the stack config or VIPR_*, the first that has one. Opens no socket.

import type { ConnectionRequest } from "../core/connection/connections";
import {
  type CommonSettings,
  configKey,
  type Product,
  readSettings,
  type SettingsReader,
  tlsFields,
} from "../core/connection/settings";
import type { TlsSettings } from "../core/http/tls";

export interface ViprSettings extends CommonSettings<"stackConfig" | "environment"> {
  /** The REST API's own address, without a slash at the end. */
  url: string;
  username: string;
  password: string;
  tls: TlsSettings;
}

/** nginx serves the API here; 443 is the portal (docs/wire/vipr.md#ports). */
const API_PORT = "4443";

const VIPR: Product = {
  kind: "vipr",
  name: "ViPR",
  fields: {
    url: { type: "url", env: ["VIPR_URL"], required: true, identifies: true },
    username: { type: "text", env: ["VIPR_USERNAME"], required: true, identifies: true },
    password: { type: "text", env: ["VIPR_PASSWORD"], secret: true, required: true, identifies: true },
    ...tlsFields("VIPR"),
  },
};

/** Throws a "config" error that names every place that was read, or every field that is wrong. */
export function resolveVipr(
  request: Pick<ConnectionRequest, "name" | "config" | "configured" | "env" | "cwd" | "home">,
): ViprSettings {
  const key = configKey(request.name);
  const reader = readSettings(
    VIPR,
    request,
    `Configure it in the stack: pulumi config set --path ${key}.url https://vipr.example.com:${API_PORT} (and kind vipr, username; --secret for password).`,
  );
  const url = apiUrl(reader);
  const username = reader.text("username")?.trim() ?? "";
  // What follows the first colon is the password (RFC 7617 §2).
  if (username.includes(":")) reader.problem("username", "has a colon in it, which a login cannot carry");
  const password = reader.secret("password");
  // ViPR reads a login as ISO 8859-1 (docs/wire/vipr.md#credentials).
  for (const [field, text] of [
    ["username", username],
    ["password", password],
  ] as const) {
    if (/[^\0-\xff]/.test(text))
      reader.problem(field, "has a character outside ISO 8859-1, which ViPR cannot read in a login");
  }
  const tls = reader.tls();
  reader.warnOfPlainHttp(url);
  return { url, username, password, tls, ...reader.finish() };
}

/** An address without a port gets the API's: 443 is the portal's. */
function apiUrl(reader: SettingsReader): string {
  const text = (reader.url("url") ?? "").replace(/\/+$/, "");
  const isBare = /^https:\/\/[^/]+/i.test(text) && !/^https:\/\/[^/]*:\d+(\/|$)/i.test(text);
  if (!isBare || !URL.canParse(text)) return text;
  const parsed = new URL(text);
  parsed.port = API_PORT;
  return parsed.href.replace(/\/+$/, "");
}
