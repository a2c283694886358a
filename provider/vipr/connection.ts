// Where a ViPR connection comes from: the stack config or VIPR_*, the first that has one. Nothing here opens a socket.

import { isAbsolute, join } from "node:path";
import { z } from "zod";
import { type ConnectionRequest, DEFAULT_CONNECTION, plainHttpWarning } from "../core/connection/connections";
import { registerSecret, SnapcloneError } from "../core/errors";
import { nearest } from "../core/util/nearest";
import { flag, isBlank, isRecord } from "../core/util/values";

export interface ViprSettings {
  /** The REST API's own address, without a slash at the end. */
  url: string;
  username: string;
  password: string;
  tls: { cacert?: string; insecure: boolean };
  /** For messages: `stack config snapclone:connections.default`, `the environment (VIPR_*)`. */
  source: string;
  sourceKind: "stackConfig" | "environment";
  warnings: readonly string[];
}

/** nginx serves the API here; 443 is the portal (docs/wire/vipr.md#ports). */
const API_PORT = "4443";

const FIELDS = ["url", "username", "password", "cacert", "insecure"] as const;
type Field = (typeof FIELDS)[number];
type Fields = Partial<Record<Field, unknown>>;

const Text = z.union([z.string(), z.int().transform(String)]);
const Entry = z.strictObject({
  kind: z.literal("vipr", 'must be "vipr"').optional(),
  url: z.string("must be text").optional(),
  // `pulumi config set --path` turns digits into a number.
  username: Text.optional(),
  password: Text.optional(),
  cacert: z.string("must be text").optional(),
  insecure: z.union([z.boolean(), z.string()], "must be true or false").optional(),
});

type Request = Omit<ConnectionRequest, "patience">;

/** Throws a "config" error that names every place looked at, or every field that is wrong. */
export function resolveVipr(request: Request): ViprSettings {
  const { name, env } = request;
  const key = `snapclone:connections.${name}`;
  if (!isBlank(request.config)) {
    return settle(readEntry(request), `stack config ${key}`, "stackConfig", request);
  }
  const given = Object.fromEntries(FIELDS.map((field) => [field, env[variable(field)]]));
  if (name === DEFAULT_CONNECTION && !(isBlank(given.url) && isBlank(given.username) && isBlank(given.password))) {
    return settle(given, "the environment (VIPR_*)", "environment", request);
  }
  const environment =
    name === DEFAULT_CONNECTION
      ? "(2) VIPR_URL, VIPR_USERNAME, VIPR_PASSWORD: not set"
      : `(2) VIPR_*: serve the connection "${DEFAULT_CONNECTION}" only`;
  throw new SnapcloneError({
    kind: "config",
    message: `there is no ViPR connection "${name}"; looked at, in this order: (1) stack config ${key}: not set; ${environment}`,
    hint: `Configure it in the stack: pulumi config set --path ${key}.url https://vipr.example.com:${API_PORT} (and kind vipr, username; --secret for password). See docs/connections.md.`,
  });
}

function readEntry({ name, config }: Request): Fields {
  // Before anything can fail: what is below may quote names, and must not quote these.
  if (isRecord(config)) registerSecret(isBlank(config.password) ? undefined : String(config.password));
  const key = `snapclone:connections.${name}`;
  const filled = isRecord(config)
    ? Object.fromEntries(Object.entries(config).filter(([, value]) => !isBlank(value)))
    : config;
  const parsed = Entry.safeParse(filled);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue) => {
    if (issue.code !== "unrecognized_keys") return [`\`${issue.path.join(".")}\` ${issue.message}`];
    return issue.keys.map((typo) => {
      const near = nearest(typo, ["kind", ...FIELDS]);
      return `unknown field \`${typo.slice(0, 40)}\`${near === undefined ? "" : `; did you mean \`${near}\`?`}`;
    });
  });
  throw new SnapcloneError({
    kind: "config",
    message: `stack config ${key}: ${isRecord(config) ? problems.join("; ") : "is not an object of fields"}`,
    hint: `Correct it: pulumi config set --path ${key}.<field> …, or pulumi config rm --path ${key}.<field>. The fields are in docs/connections.md.`,
  });
}

function settle(
  fields: Fields,
  source: string,
  sourceKind: ViprSettings["sourceKind"],
  { cwd }: Request,
): ViprSettings {
  const label = (field: Field) => (sourceKind === "environment" ? variable(field) : `\`${field}\``);
  const problems: string[] = [];
  const warnings: string[] = [];
  const required = (field: Field): string => {
    const value = fields[field];
    if (isBlank(value)) problems.push(`${label(field)} is missing`);
    return isBlank(value) ? "" : String(value);
  };

  const url = apiUrl(required("url"), label("url"), problems);
  const username = required("username").trim();
  // What follows the first colon is the password (RFC 7617 §2).
  if (username.includes(":")) problems.push(`${label("username")} has a colon in it, which a login cannot carry`);
  const password = required("password");
  registerSecret(password);
  if (/[\r\n]$/.test(password)) {
    warnings.push(`${source}: ${label("password")} ends in a line break, which is sent along`);
  }
  const insecure = isBlank(fields.insecure) ? false : flag(fields.insecure);
  if (insecure === undefined) problems.push(`${label("insecure")} is neither true nor false`);
  if (insecure) {
    warnings.push(
      `${source}: certificates are not verified (insecure: true). Set \`cacert\` to the appliance's instead.`,
    );
  }
  if (problems.length > 0) {
    throw new SnapcloneError({
      kind: "config",
      message: `${source}: ${problems.join("; ")}`,
      hint: `An address is like https://vipr.example.com:${API_PORT}; the fields are in docs/connections.md.`,
    });
  }
  const plain = plainHttpWarning(url, source);
  if (plain !== undefined) warnings.push(plain);
  const cacert = isBlank(fields.cacert) ? undefined : String(fields.cacert);
  return {
    url,
    username,
    password,
    tls: { ...(cacert === undefined ? {} : { cacert: absolute(cacert, cwd) }), insecure: insecure === true },
    source,
    sourceKind,
    warnings,
  };
}

/** Without a port it is the API's, not the portal's. */
function apiUrl(given: string, label: string, problems: string[]): string {
  const text = given.trim().replace(/\/+$/, "");
  if (text === "") return "";
  const parsed = /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (parsed === undefined) problems.push(`${label} is not a URL that begins with https:// or http://`);
  else if (parsed.username !== "" || parsed.password !== "") {
    problems.push(`${label} has a user or password in it: they belong into fields of their own`);
  } else if (parsed.search !== "" || parsed.hash !== "") {
    problems.push(`${label} has a ? or # part, which the API's address has not`);
  } else if (parsed.protocol === "https:" && !/^https:\/\/[^/]*:\d+(\/|$)/i.test(text)) {
    parsed.port = API_PORT;
    return parsed.href.replace(/\/+$/, "");
  }
  return text;
}

function absolute(pathOrText: string, cwd: string): string {
  return pathOrText.includes("-----BEGIN") || isAbsolute(pathOrText) ? pathOrText : join(cwd, pathOrText);
}

function variable(field: Field): string {
  return `VIPR_${field.toUpperCase()}`;
}
