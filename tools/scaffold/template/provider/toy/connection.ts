// Where a Toy connection comes from: the stack config or TOY_*, the first that has one. Opens no socket.

import type { ConnectionRequest } from "../core/connection/connections";
import { type CommonSettings, configKey, type Product, readSettings, tlsFields } from "../core/connection/settings";
import type { TlsSettings } from "../core/http/tls";

export interface ToySettings extends CommonSettings<"stackConfig" | "environment"> {
  /** The API's address as far as `/v1`, without a slash at the end. */
  url: string;
  username: string;
  password: string;
  tls: TlsSettings;
}

const TOY: Product = {
  kind: "toy",
  name: "Toy",
  fields: {
    url: { type: "url", env: ["TOY_URL"], required: true, identifies: true },
    username: { type: "text", env: ["TOY_USERNAME"], required: true, identifies: true },
    password: { type: "text", env: ["TOY_PASSWORD"], secret: true, required: true },
    ...tlsFields("TOY"),
  },
};

/** Throws a "config" error that names every place looked at, or every field that is wrong. */
export function resolveToy(request: Pick<ConnectionRequest, "name" | "config" | "env" | "cwd" | "home">): ToySettings {
  const key = configKey(request.name);
  const hint = `Configure it in the stack: pulumi config set --path ${key}.url https://toy.example.com (and kind toy, username; --secret for password).`;
  const reader = readSettings(TOY, request, hint);
  const url = (reader.url("url") ?? "").replace(/\/+$/, "");
  const username = reader.text("username")?.trim() ?? "";
  const password = reader.secret("password");
  const tls = reader.tls();
  reader.warnOfPlainHttp(url);
  return { url, username, password, tls, ...reader.finish() };
}
