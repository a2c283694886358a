// Reads the settings of a connection. Every kind of connection gives a table of its fields; this file knows what a text, a
// flag, a path and an address are, and words what is wrong with one. So the four kinds read alike. Opens no socket.

import { join, resolve } from "node:path";
import { registerSecret, SnapcloneError, truncate } from "../errors";
import type { TlsSettings } from "../http/tls";
import { nearest } from "../util/nearest";
import { flag, isBlank, isRecord } from "../util/values";
import { type ConnectionRequest, DEFAULT_CONNECTION } from "./connections";

export interface Field {
  type: "text" | "flag" | "path" | "url" | "number";
  /** Its name in the stack config, where that is not the key in the table; null: the stack config does not have it. */
  config?: string | null;
  /** The environment's variables that hold it. The first that is set wins. */
  env?: readonly string[];
  /** Other names that users know it by: for "did you mean". */
  aliases?: readonly string[];
  secret?: true;
  required?: true;
  /** When one of its variables is set, the environment describes a connection. */
  identifies?: true;
}

export type FieldTable = Readonly<Record<string, Field>>;
/** One raw value a field, by its key in the table. */
export type RawFields = Readonly<Record<string, unknown>>;
/** Where relative paths and `~` start. */
export type Folders = Pick<ConnectionRequest, "cwd" | "home">;

export interface Product {
  /** Its value of `kind` in the stack config. */
  kind: string;
  /** For messages: "ViPR". */
  name: string;
  fields: FieldTable;
}

export interface Source<Kind extends string = string> {
  kind: Kind;
  /** For messages: `stack config snapclone:connections.default`. */
  text: string;
  /** The field as the user knows it: "`authUrl`", "OS_AUTH_URL". */
  label(field: string): string;
  /** How to correct what is wrong. */
  hint: string;
}

/** What all settings have in common. */
export interface CommonSettings<Kind extends string> {
  /** For messages: `stack config snapclone:connections.default`, `the environment (VIPR_*)`. */
  source: string;
  sourceKind: Kind;
  /** What the user should know and may ignore. */
  warnings: readonly string[];
  /** The settings that were given, by the user's names. The value of a secret is not among them. */
  given?: readonly { label: string; value: string }[];
}

/** The fields of TLS, which every kind has. `prefix` is that of the variables: "VIPR". */
export function tlsFields(prefix: string): { cacert: Field; cert: Field; key: Field; insecure: Field } {
  return {
    cacert: { type: "path", env: [`${prefix}_CACERT`] },
    cert: { type: "path", env: [`${prefix}_CERT`] },
    key: { type: "path", env: [`${prefix}_KEY`] },
    insecure: { type: "flag", env: [`${prefix}_INSECURE`] },
  };
}

type Request = Pick<ConnectionRequest, "name" | "config" | "configured" | "env" | "cwd" | "home">;

/** The stack config, else (for the connection `default`) the environment. Throws where neither has the connection. */
export function readSettings(
  product: Product,
  request: Request,
  hint: string,
): SettingsReader<"stackConfig" | "environment"> {
  const { name, env } = request;
  const entry = readStackEntry(product, request);
  if (entry !== undefined) return new SettingsReader(product.fields, entry, stackConfig(product.fields, name), request);
  const variables = Object.values(product.fields).flatMap((field) => (field.identifies ? (field.env ?? []) : []));
  const [prefix] = (variables[0] ?? "").split("_");
  const looked = [notInStackConfig(name)];
  if (name !== DEFAULT_CONNECTION) {
    looked.push(`(2) ${prefix}_*: these serve the connection "${DEFAULT_CONNECTION}" only`);
  } else if (variables.some((variable) => !isBlank(env[variable]))) {
    const { values, label } = readEnvironment(product.fields, env);
    const source = {
      kind: "environment" as const,
      text: `the environment (${prefix}_*)`,
      label,
      hint: "Correct the environment. The variables are in docs/connections.md.",
    };
    return new SettingsReader(product.fields, values, source, request);
  } else {
    looked.push(`(2) ${variables.join(", ")}: not set`);
  }
  throw nothingFound(product.name, name, looked, hint, request.configured);
}

/** The connection's entry in the stack config; undefined where there is none, or nothing in it but its kind. */
export function readStackEntry(
  { kind, fields }: Product,
  { name, config }: Pick<Request, "name" | "config">,
): RawFields | undefined {
  if (isBlank(config)) return undefined;
  // Before anything can fail: no message may quote a secret.
  registerSecretsIn(config);
  if (!isRecord(config)) throw badEntry(name, ["is not an object of fields"]);
  const keys = new Map(configNames(fields).map(([key, configName]) => [configName, key]));
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [given, value] of Object.entries(config)) {
    const key = keys.get(given);
    if (isBlank(value)) continue;
    if (given === "kind") {
      if (value !== kind) problems.push(`\`kind\` must be "${kind}"`);
    } else if (key === undefined) {
      problems.push(unknownField(given, fields));
    } else {
      const problem = typeProblem(fields[key]?.type, value);
      if (problem !== undefined) problems.push(`\`${given}\` ${problem}`);
      values[key] = value;
    }
  }
  if (problems.length > 0) throw badEntry(name, problems);
  return Object.keys(values).length === 0 ? undefined : values;
}

export function stackConfig(fields: FieldTable, name: string): Source<"stackConfig"> {
  const names = new Map(configNames(fields));
  return {
    kind: "stackConfig",
    text: `stack config ${configKey(name)}`,
    label: (key) => `\`${names.get(key) ?? key}\``,
    hint: correctEntry(name),
  };
}

export function badEntry(name: string, problems: readonly string[]): SnapcloneError {
  const message = `stack config ${configKey(name)}: ${problems.join("; ")}`;
  return new SnapcloneError({ kind: "config", message, hint: correctEntry(name) });
}

/** No place that was read has the connection. */
export class ConnectionNotFound extends SnapcloneError {}

/** `looked` lists the keys, variables and files that were read, numbered and in order. `known` are the names that exist. */
export function nothingFound(
  product: string,
  name: string,
  looked: readonly string[],
  hint: string,
  known: readonly string[] = [],
): SnapcloneError {
  const near = nearest(name, known);
  const meant = near === undefined ? "" : `; did you mean "${near}"?`;
  const message = `there is no ${product} connection "${name}"${meant}; looked at, in this order: ${looked.join("; ")}`;
  return new ConnectionNotFound({ kind: "config", message, hint: `${hint} See docs/connections.md.` });
}

export function notInStackConfig(name: string): string {
  return `(1) stack config ${configKey(name)}: not set`;
}

export function configKey(name: string): string {
  return `snapclone:connections.${name}`;
}

/** Reads field by field and goes on after a problem, so that the user hears of all problems at once. */
export class SettingsReader<Kind extends string = string> {
  readonly problems: string[] = [];
  readonly warnings: string[] = [];

  constructor(
    private readonly fields: FieldTable,
    private readonly values: RawFields,
    readonly source: Source<Kind>,
    private readonly folders: Folders,
  ) {
    for (const [key, { secret }] of Object.entries(fields)) {
      if (secret && this.has(key)) registerSecret(String(values[key]));
    }
  }

  has(key: string): boolean {
    return !isBlank(this.raw(key));
  }

  raw(key: string): unknown {
    return Object.hasOwn(this.values, key) ? this.values[key] : undefined;
  }

  text(key: string): string | undefined {
    const value = this.raw(key);
    if (isBlank(value)) return undefined;
    if (typeof value === "string") return value;
    // `pulumi config set --path` stores whole numbers as JSON's, also where a name of digits was meant.
    if (typeof value === "number" || typeof value === "bigint") return String(value);
    this.problem(key, "is not text: put it into quotes");
    return undefined;
  }

  /** A text that the settings need for a reason that the table does not know. */
  need(key: string): string {
    // `finish` tells of what the table itself requires.
    if (!this.has(key) && !this.fields[key]?.required) this.problem(key, "is missing");
    return this.text(key) ?? "";
  }

  /** Sent as it stands, also where it ends in a line break. */
  secret(key: string): string {
    const value = this.need(key);
    if (/[\r\n]$/.test(value)) this.warn(`${this.label(key)} ends in a line break, which is sent along`);
    return value;
  }

  flag(key: string): boolean | undefined {
    const value = this.raw(key);
    if (isBlank(value)) return undefined;
    const read = flag(value);
    if (read === undefined) this.problem(key, "is neither true nor false");
    return read;
  }

  number(key: string): number | undefined {
    const text = this.text(key)?.trim();
    if (text === undefined || /^\d{1,15}$/.test(text)) return text === undefined ? undefined : Number(text);
    this.problem(key, "is not a whole number");
    return undefined;
  }

  /** Absolute; PEM text in place of a path stays as it is. */
  path(key: string): string | undefined {
    const text = this.text(key);
    return text === undefined ? undefined : resolvePath(text, this.folders);
  }

  url(key: string): string | undefined {
    const given = this.text(key);
    if (given === undefined) return undefined;
    const url = given.trim();
    if (url !== given) this.warn(`the blanks around ${this.label(key)} are left out`);
    const parsed = /^https?:\/\//i.test(url) && URL.canParse(url) ? new URL(url) : undefined;
    if (parsed === undefined) {
      this.problem(key, "is not a URL that begins with https:// or http://");
    } else if (parsed.username !== "" || parsed.password !== "") {
      this.problem(key, "has a user or password in it: they belong into fields of their own");
    } else if (parsed.search !== "" || parsed.hash !== "") {
      this.problem(key, "has a ? or # part, which an endpoint has not");
    }
    return url;
  }

  tls(): TlsSettings & { insecure: boolean } {
    const insecure = this.flag("insecure") === true;
    if (insecure) this.warn(`TLS certificates are not verified (${this.label("insecure")})`);
    const tls: TlsSettings & { insecure: boolean } = { insecure };
    for (const key of ["cacert", "cert", "key"] as const) {
      const path = this.path(key);
      if (path !== undefined) tls[key] = path;
    }
    if (tls.key !== undefined && tls.cert === undefined) {
      // As for python-requests, which sends a certificate with its key or nothing.
      this.warn(`${this.label("key")} is left out: there is no ${this.label("cert")} to it`);
      delete tls.key;
    }
    return tls;
  }

  /** For an address that credentials go to in plain text, other than this machine's own. */
  warnOfPlainHttp(url: string): void {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (parsed?.protocol !== "http:" || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(parsed.hostname)) return;
    const advice = "use https:// where the server has it";
    this.warn(`credentials and tokens are sent unencrypted to ${parsed.origin} (${advice})`);
  }

  label(key: string): string {
    return this.source.label(key);
  }

  problem(key: string, problem: string): void {
    this.problems.push(`${this.label(key)} ${problem}`);
  }

  warn(warning: string): void {
    this.warnings.push(`${this.source.text}: ${warning}`);
  }

  /** Throws one "config" error that tells all problems. */
  finish(): CommonSettings<Kind> {
    const { kind, text, hint } = this.source;
    for (const [key, { required }] of Object.entries(this.fields)) {
      if (required && !this.has(key)) this.problem(key, "is missing");
    }
    if (this.problems.length > 0) {
      throw new SnapcloneError({ kind: "config", message: `${text}: ${this.problems.join("; ")}`, hint });
    }
    return { source: text, sourceKind: kind, warnings: this.warnings, given: this.given() };
  }

  private given(): NonNullable<CommonSettings<Kind>["given"]> {
    return Object.entries(this.fields).flatMap(([key, { secret }]) => {
      if (!this.has(key)) return [];
      const text = String(this.raw(key));
      const isHidden = secret === true || text.includes("-----BEGIN");
      return [{ label: this.label(key), value: isHidden ? "(given, not shown)" : truncate(text, 100) }];
    });
  }
}

/** Values under these names are secrets, wherever they stand. */
export const SECRET_NAME = /^(password|passcode|passwd|.*secret|.*token)$/;

/** Keeps the secrets in a configuration of unknown form out of every message. */
export function registerSecretsIn(value: unknown, isSecret = false): void {
  if (Array.isArray(value)) {
    for (const item of value) registerSecretsIn(item, isSecret);
  } else if (isRecord(value)) {
    for (const [key, item] of Object.entries(value)) {
      registerSecretsIn(item, isSecret || SECRET_NAME.test(key.toLowerCase().replaceAll(/[-_]/g, "")));
    }
  } else if (isSecret || (typeof value === "string" && value.includes("PRIVATE KEY"))) {
    registerSecret(value === null || value === undefined ? undefined : String(value));
  }
}

/** A file's path as a user may write it: `~`, or relative to the working folder. PEM text stays as it is. */
export function resolvePath(text: string, { cwd, home }: Folders): string {
  if (text.includes("-----BEGIN")) return text;
  return resolve(cwd, text === "~" || text.startsWith("~/") ? join(home, text.slice(1)) : text);
}

function readEnvironment(fields: FieldTable, env: NodeJS.ProcessEnv) {
  const variableOf = (key: string) => {
    const variables = fields[key]?.env ?? [];
    return variables.find((variable) => !isBlank(env[variable])) ?? variables[0] ?? key;
  };
  const values = Object.fromEntries(Object.keys(fields).map((key) => [key, env[variableOf(key)]]));
  return { values, label: variableOf };
}

function correctEntry(name: string): string {
  const field = `${configKey(name)}.<field>`;
  return `Correct it: pulumi config set --path ${field} <value> (--secret for a password), or pulumi config rm --path ${field}. The fields are in docs/connections.md.`;
}

/** Key in the table and name in the stack config. */
function configNames(fields: FieldTable): [string, string][] {
  return Object.entries(fields).flatMap(([key, { config = key }]): [string, string][] =>
    config === null ? [] : [[key, config]],
  );
}

function typeProblem(type: Field["type"] | undefined, value: unknown): string | undefined {
  if (typeof value === "string" || Number.isSafeInteger(value)) return undefined;
  if (type === "flag") return typeof value === "boolean" ? undefined : "must be true or false";
  return type === "number" ? "is not a whole number" : "must be text; for a number, use --secret or --type string";
}

/** "Did you mean" ignores case, `_` and `-`, and knows the names of other tools. */
function unknownField(given: string, fields: FieldTable): string {
  const bare = (name: string) => name.toLowerCase().replaceAll(/[-_]/g, "");
  const spellings = new Map([["kind", "kind"]]);
  for (const [key, name] of configNames(fields)) {
    const { aliases = [], env = [] } = fields[key] ?? {};
    for (const spelling of [...env, ...aliases, key, name]) spellings.set(bare(spelling), name);
  }
  const spelling = nearest(bare(given), [...spellings.keys()]);
  const near = spelling === undefined ? undefined : spellings.get(spelling);
  return `unknown field \`${truncate(given, 40)}\`${near === undefined ? "" : `; did you mean \`${near}\`?`}`;
}
