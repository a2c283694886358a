// Where a ZStack connection comes from: the stack config, or for the connection `default` the variables that ZStack's own
// Terraform provider reads (ZSTACK_HOST, ZSTACK_ACCOUNT_NAME, …). Opens no socket.

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

export interface ZStackSettings extends CommonSettings<"stackConfig" | "environment"> {
  /** Scheme, host, port and context path, as far as the `/v1` that follows: `http://10.0.0.2:8080/zstack`. */
  base: string;
  auth: ZStackAuth;
  /** Whether `check` may ask the server for a dry run. Off by default: previews need no network. */
  dryRun: boolean;
  tls: TlsSettings;
}

export type ZStackAuth =
  | { method: "account"; accountName: string; password: string }
  /** `timeZone`: the management node's, an IANA name or an offset; undefined for this machine's own. */
  | { method: "accessKey"; id: string; secret: string; timeZone: string | undefined };

/** ZStack's default (conf/springConfigXml/RESTFacade.xml; docs/wire/zstack.md#s2-1). */
const DEFAULT_PORT = 8080;

/**
 * The variables are those of ZStack's Terraform provider and packer plugin. ZSTACK_URL says what those cannot: https, or
 * another path.
 */
const ZSTACK: Product = {
  kind: "zstack",
  name: "ZStack",
  fields: {
    url: { type: "url", env: ["ZSTACK_URL"], identifies: true },
    host: { type: "text", config: null, env: ["ZSTACK_HOST"], identifies: true },
    port: { type: "number", config: null, env: ["ZSTACK_PORT"] },
    accountName: { type: "text", env: ["ZSTACK_ACCOUNT_NAME"], identifies: true },
    password: { type: "text", env: ["ZSTACK_ACCOUNT_PASSWORD"], secret: true },
    accessKeyId: { type: "text", env: ["ZSTACK_ACCESS_KEY_ID"], identifies: true },
    accessKeySecret: { type: "text", env: ["ZSTACK_ACCESS_KEY_SECRET"], secret: true },
    timeZone: { type: "text", env: ["ZSTACK_TIME_ZONE"] },
    dryRun: { type: "flag", env: ["ZSTACK_DRY_RUN"] },
    ...tlsFields("ZSTACK"),
  },
};

/** Throws a "config" error that names every place that was read, or every field that is wrong. */
export function resolveZStack(
  request: Pick<ConnectionRequest, "name" | "config" | "configured" | "env" | "cwd" | "home">,
): ZStackSettings {
  const key = configKey(request.name);
  const reader = readSettings(
    ZSTACK,
    request,
    `Configure it in the stack: pulumi config set --path ${key}.url http://<management node>:${DEFAULT_PORT} (and accountName and --secret password, or accessKeyId and --secret accessKeySecret).`,
  );
  const base = readBase(reader);
  const auth = readAuth(reader);
  const dryRun = reader.flag("dryRun") === true;
  const tls = reader.tls();
  // An access key signs its requests and is itself never sent.
  if (auth.method === "account") reader.warnOfPlainHttp(base);
  return { base, auth, dryRun, tls, ...reader.finish() };
}

/**
 * An address is written in three ways: bare, with the context path `/zstack`, with `/zstack/v1`
 * (docs/wire/zstack.md#s2-1).
 */
function readBase(reader: SettingsReader): string {
  const given = reader.has("url") ? reader.url("url") : addressOfHost(reader);
  if (given === undefined || !URL.canParse(given)) return "";
  const { origin, pathname } = new URL(given);
  const path = pathname.replace(/\/+$/, "").replace(/\/v1$/, "");
  return `${origin}${path === "" ? "/zstack" : path}`;
}

/** ZSTACK_HOST and ZSTACK_PORT, which only the environment has. */
function addressOfHost(reader: SettingsReader): string | undefined {
  const host = reader.text("host")?.trim();
  if (host === undefined) {
    reader.need("url");
    return undefined;
  }
  const address = `http://${host}:${reader.number("port") ?? DEFAULT_PORT}`;
  if (URL.canParse(address) && new URL(address).hostname !== "" && !/[/?#@]/.test(host)) return address;
  reader.problem("host", `is not a host name; give an address as ${reader.label("url")}`);
  return undefined;
}

function readAuth(reader: SettingsReader): ZStackAuth {
  const hasAccount = reader.has("accountName") || reader.has("password");
  const hasAccessKey = reader.has("accessKeyId") || reader.has("accessKeySecret");
  if (hasAccount && hasAccessKey) {
    const other = reader.label("accessKeyId");
    reader.problem("accountName", `and ${other} are two ways to sign in: give one of them`);
  }
  if (!hasAccessKey) {
    if (reader.has("timeZone")) reader.problem("timeZone", "is for access keys only");
    return { method: "account", accountName: reader.need("accountName"), password: reader.secret("password") };
  }
  const timeZone = reader.text("timeZone")?.trim();
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    reader.problem("timeZone", "is neither a time zone like Asia/Shanghai nor an offset like +08:00");
  }
  const id = reader.need("accessKeyId").trim();
  // A signature is made with it: a line break that a file has at its end is no part of the key.
  return { method: "accessKey", id, secret: reader.need("accessKeySecret").trim(), timeZone };
}

function isTimeZone(zone: string): boolean {
  if (/^[+-]\d\d:\d\d$/.test(zone)) return true;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }) !== undefined;
  } catch {
    return false;
  }
}
