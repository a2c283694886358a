// Where a ZStack connection comes from: the stack config, or for the connection `default` the variables that ZStack's own
// Terraform provider reads (ZSTACK_HOST, ZSTACK_ACCOUNT_NAME, …). Nothing here opens a socket.

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { type ConnectionRequest, DEFAULT_CONNECTION, plainHttpWarning } from "../core/connection/connections";
import { registerSecret, SnapcloneError } from "../core/errors";
import type { TlsSettings } from "../core/http/client";
import { nearest } from "../core/util/nearest";
import { isBlank } from "../core/util/values";

export interface ZStackSettings {
  /** Scheme, host, port and context path, as far as the `/v1` that follows: `http://10.0.0.2:8080/zstack`. */
  base: string;
  auth: ZStackAuth;
  /** Whether `check` may ask the server for a dry run. Off by default: previews need no network. */
  dryRun: boolean;
  tls: TlsSettings;
  /** For messages: `stack config snapclone:connections.default`. */
  source: string;
  sourceKind: "stackConfig" | "environment";
  warnings: readonly string[];
}

export type ZStackAuth =
  | { method: "account"; accountName: string; password: string }
  /** `timeZone`: the management node's, an IANA name or an offset; undefined for this machine's own. */
  | { method: "accessKey"; id: string; secret: string; timeZone: string | undefined };

type Request = Pick<ConnectionRequest, "name" | "config" | "env" | "cwd" | "home">;

const TEXTS = [
  "url",
  "accountName",
  "password",
  "accessKeyId",
  "accessKeySecret",
  "timeZone",
  "cacert",
  "cert",
  "key",
] as const;
const FLAGS = ["dryRun", "insecure"] as const;
type Fields = Partial<Record<(typeof TEXTS)[number] | (typeof FLAGS)[number], string>>;

/** The names are ZStack's own (Terraform provider and packer plugin); ZSTACK_URL is for what they can't say: https, another path. */
const VARIABLES: Fields = {
  url: "ZSTACK_URL",
  accountName: "ZSTACK_ACCOUNT_NAME",
  password: "ZSTACK_ACCOUNT_PASSWORD",
  accessKeyId: "ZSTACK_ACCESS_KEY_ID",
  accessKeySecret: "ZSTACK_ACCESS_KEY_SECRET",
  timeZone: "ZSTACK_TIME_ZONE",
  cacert: "ZSTACK_CACERT",
  cert: "ZSTACK_CERT",
  key: "ZSTACK_KEY",
  insecure: "ZSTACK_INSECURE",
  dryRun: "ZSTACK_DRY_RUN",
};

/** Throws a "config" error that names every place looked at, or every field that is wrong. */
export function resolveZStack(request: Request): ZStackSettings {
  const key = `snapclone:connections.${request.name}`;
  const entry = readEntry(key, request.config);
  if (entry) return settle(entry, `stack config ${key}`, "stackConfig", (field) => `\`${field}\``, request);
  const environment = request.name === DEFAULT_CONNECTION ? readEnvironment(request.env) : undefined;
  if (environment) {
    const label = (field: keyof Fields) => (field === "url" ? "ZSTACK_HOST" : (VARIABLES[field] ?? field));
    return settle(environment, "the environment (ZSTACK_*)", "environment", label, request);
  }
  const second =
    request.name === DEFAULT_CONNECTION
      ? "; (2) ZSTACK_URL, ZSTACK_HOST, ZSTACK_ACCOUNT_NAME, ZSTACK_ACCESS_KEY_ID: not set"
      : "";
  throw new SnapcloneError({
    kind: "config",
    message: `there is no ZStack connection "${request.name}"; looked at, in this order: (1) ${key}: not set${second}`,
    hint: `Configure it: pulumi config set --path ${key}.url http://<management node>:8080 (and accountName and --secret password, or accessKeyId and --secret accessKeySecret). See docs/connections.md.`,
  });
}

// `pulumi config set --path` turns `true` and whole numbers into JSON's, also where a text of digits was meant.
const Text = z.union([z.string(), z.int().transform(String)], "must be text; for a number, use --secret");
const Flag = z.union([z.boolean(), z.string(), z.int()], "must be true or false").transform(String);
const Entry = z.strictObject({
  kind: z.literal("zstack", 'must be "zstack"').optional(),
  ...Object.fromEntries(TEXTS.map((name) => [name, Text.optional()])),
  ...Object.fromEntries(FLAGS.map((name) => [name, Flag.optional()])),
});

function readEntry(key: string, config: unknown): Fields | undefined {
  if (isBlank(config)) return undefined;
  const refuse = (problems: readonly string[]) =>
    new SnapcloneError({
      kind: "config",
      message: `stack config ${key}: ${problems.join("; ")}`,
      hint: `Correct it: pulumi config set --path ${key}.<field> …, or pulumi config rm --path ${key}.<field>. The fields are in docs/connections.md.`,
    });
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw refuse(["is not an object of fields"]);
  }
  // Before anything can fail: what is below may quote values, and must not quote these.
  for (const [name, value] of Object.entries(config)) if (/password|secret/i.test(name)) registerSecret(String(value));
  const filled = Object.fromEntries(Object.entries(config).filter(([, value]) => !isBlank(value)));
  const parsed = Entry.safeParse(filled);
  if (!parsed.success) throw refuse(parsed.error.issues.flatMap(describe));
  const { kind, ...fields } = parsed.data;
  return kind === undefined && Object.keys(fields).length === 0 ? undefined : (fields as Fields);
}

function describe(issue: z.core.$ZodIssue): string[] {
  if (issue.code !== "unrecognized_keys") return [`\`${issue.path.join(".")}\` ${issue.message}`];
  return issue.keys.map((typo) => {
    const near = nearest(typo.replaceAll(/[-_]/g, ""), ["kind", ...TEXTS, ...FLAGS]);
    return `unknown field \`${typo.slice(0, 40)}\`${near === undefined ? "" : `; did you mean \`${near}\`?`}`;
  });
}

function readEnvironment(env: NodeJS.ProcessEnv): Fields | undefined {
  const fields: Fields = {};
  for (const [field, variable] of Object.entries(VARIABLES) as [keyof Fields, string][]) {
    const value = env[variable];
    if (value !== undefined && !isBlank(value)) fields[field] = value;
  }
  registerSecret(fields.password);
  registerSecret(fields.accessKeySecret);
  // Port 8080 and plain http are ZStack's defaults (conf/springConfigXml/RESTFacade.xml; docs/wire/zstack.md#s2-1).
  const { ZSTACK_HOST: host, ZSTACK_PORT: port } = env;
  if (fields.url === undefined && !isBlank(host)) fields.url = `http://${host}:${isBlank(port) ? 8080 : port}`;
  const names = fields.url ?? fields.accountName ?? fields.accessKeyId;
  return names === undefined ? undefined : fields;
}

function settle(
  fields: Fields,
  source: string,
  sourceKind: ZStackSettings["sourceKind"],
  label: (field: keyof Fields) => string,
  request: Request,
): ZStackSettings {
  const problems: string[] = [];
  const warnings: string[] = [];
  const flag = (field: "dryRun" | "insecure") => {
    const value = fields[field]?.trim().toLowerCase();
    if (value === undefined || /^(false|0|no)$/.test(value)) return false;
    if (!/^(true|1|yes)$/.test(value)) problems.push(`${label(field)} must be true or false`);
    return true;
  };
  const insecure = flag("insecure");
  if (insecure) warnings.push(`${source}: TLS certificates are not verified (${label("insecure")})`);
  if (fields.key !== undefined && fields.cert === undefined) {
    problems.push(`${label("key")} is set without ${label("cert")}`);
  }
  const file = (field: "cacert" | "cert" | "key") => {
    const value = fields[field];
    return value === undefined ? {} : { [field]: place(value, request) };
  };
  const settings: ZStackSettings = {
    base: baseOf(fields.url, label("url"), problems),
    auth: authOf(fields, label, problems),
    dryRun: flag("dryRun"),
    tls: { ...file("cacert"), ...file("cert"), ...file("key"), insecure },
    source,
    sourceKind,
    warnings,
  };
  // An access key signs its requests, and is itself never sent.
  const plain = settings.auth.method === "account" ? plainHttpWarning(settings.base, source) : undefined;
  if (plain !== undefined) warnings.push(plain);
  if (problems.length === 0) return settings;
  const hint =
    sourceKind === "environment"
      ? "Set what is missing in the environment."
      : `Correct it: pulumi config set --path snapclone:connections.${request.name}.<field> <value> (--secret for a password).`;
  throw new SnapcloneError({ kind: "config", message: `${source}: ${problems.join("; ")}`, hint });
}

/**
 * Written in three ways: the bare address, with the context path `/zstack`, with `/zstack/v1`
 * (docs/wire/zstack.md#s2-1).
 */
function baseOf(text: string | undefined, label: string, problems: string[]): string {
  if (text === undefined) {
    problems.push(`${label} is missing`);
    return "";
  }
  const given = text.trim();
  if (!/^https?:\/\//i.test(given) || !URL.canParse(given)) {
    problems.push(`${label} is not a URL that begins with http:// or https://`);
    return "";
  }
  const { origin, pathname, username, password, search, hash } = new URL(given);
  if (username !== "" || password !== "") problems.push(`${label} has a user or password in it`);
  if (search !== "" || hash !== "") problems.push(`${label} has a ? or # part, which an endpoint has not`);
  const path = pathname.replace(/\/+$/, "").replace(/\/v1$/, "");
  return `${origin}${path === "" ? "/zstack" : path}`;
}

function authOf(fields: Fields, label: (field: keyof Fields) => string, problems: string[]): ZStackAuth {
  const { accountName, password, accessKeyId, accessKeySecret, timeZone } = fields;
  const account = accountName !== undefined || password !== undefined;
  const accessKey = accessKeyId !== undefined || accessKeySecret !== undefined;
  const needed = (field: keyof Fields, value: string | undefined) => {
    if (value === undefined) problems.push(`${label(field)} is missing`);
    return value ?? "";
  };
  if (account && accessKey) {
    problems.push(`${label("accountName")} and ${label("accessKeyId")} are two ways to sign in: give one of them`);
  }
  if (accessKey) {
    const zone = timeZone?.trim();
    if (zone !== undefined && !isTimeZone(zone)) {
      problems.push(`${label("timeZone")} is neither a time zone like Asia/Shanghai nor an offset like +08:00`);
    }
    const id = needed("accessKeyId", accessKeyId).trim();
    return { method: "accessKey", id, secret: needed("accessKeySecret", accessKeySecret).trim(), timeZone: zone };
  }
  if (timeZone !== undefined) problems.push(`${label("timeZone")} is for access keys only`);
  return {
    method: "account",
    accountName: needed("accountName", accountName),
    password: needed("password", password),
  };
}

function isTimeZone(zone: string): boolean {
  if (/^[+-]\d\d:\d\d$/.test(zone)) return true;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }) !== undefined;
  } catch {
    return false;
  }
}

/** A file's path as a user may write it; PEM text stays as it is. */
function place(text: string, { cwd, home = homedir() }: Pick<Request, "cwd" | "home">): string {
  if (text.includes("-----BEGIN")) return text;
  return resolve(cwd, text === "~" || text.startsWith("~/") ? join(home, text.slice(1)) : text);
}
