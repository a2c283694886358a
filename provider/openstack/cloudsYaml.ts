// Finds and reads clouds.yaml, clouds-public.yaml, secure.yaml and OS_* as openstacksdk does, so that a cloud that works with
// the `openstack` command works here. Facts: openstacksdk 0.101 openstack/config/loader.py, cited below by line.

import { readFileSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { type RawFields, registerSecretsIn, SECRET_NAME } from "../core/connection/settings";
import { SnapcloneError } from "../core/errors";
import { isBlank } from "../core/util/values";

export type Json = Readonly<Record<string, unknown>>;

export interface Environment {
  env: NodeJS.ProcessEnv;
  cwd: string;
  home: string;
  /** Default: this machine's. */
  platform?: NodeJS.Platform;
}

/** The clouds of the first clouds file, with the secure file laid over it. */
export interface CloudFiles {
  clouds: ReadonlyMap<string, Json>;
  /** The files that were read, for messages. */
  paths: readonly string[];
  /** The folders that were searched, in order; the files of OS_CLIENT_*_FILE first. */
  searched: readonly string[];
  warnings: readonly string[];
}

export function readCloudFiles(environment: Environment): CloudFiles {
  const { env } = environment;
  const warnings: string[] = [];
  const main = firstFile("clouds", env.OS_CLIENT_CONFIG_FILE, environment, warnings);
  // Searched for by itself, not beside the clouds file (loader.py:195).
  const secure = firstFile("secure", env.OS_CLIENT_SECURE_FILE, environment, warnings);
  const clouds = new Map<string, Json>();
  for (const file of [main, secure]) {
    if (file === undefined) continue;
    for (const [name, cloud] of Object.entries(section(file, "clouds"))) {
      if (cloud !== null && !isJsonObject(cloud))
        throw broken(file.path, `the cloud "${name}" is not a map of settings`);
      clouds.set(name, merge(clouds.get(name) ?? {}, cloud ?? {}));
    }
  }
  const given = [env.OS_CLIENT_CONFIG_FILE].flatMap((path) => (isBlank(path) ? [] : [String(path)]));
  return {
    clouds,
    paths: [main?.path, secure?.path].flatMap((path) => path ?? []),
    searched: [...given, ...folders(environment)],
    warnings,
  };
}

/** OS_* as a cloud. `profile` and the other settings work as in a file (loader.py:354). */
export function environmentCloud(env: NodeJS.ProcessEnv): Json {
  const cloud: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(env)) {
    // OS_TEST_*, OS_STD*, OS_LOG* belong to OpenStack's own test runs (loader.py:361).
    if (/^OS_(?!TEST|STD|LOG|CLOUD$|CLOUD_NAME$|CLIENT_)/.test(name)) cloud[name.slice(3).toLowerCase()] = value;
  }
  return cloud;
}

export interface Flattened {
  /** By the canonical name: `auth_url`, `project_name`, `region_name`, …. */
  fields: RawFields;
  warnings: readonly string[];
  problems: readonly string[];
}

/** One cloud in the canonical form: the profile below it, the region over it, old names replaced by present ones. */
export function flatten(cloud: Json, wantedRegion: string | undefined, environment: Environment): Flattened {
  const warnings: string[] = [];
  const problems: string[] = [];
  const own = normaliseKeys(cloud);
  // `cloud` is the old name of `profile` (loader.py:531).
  const named = own.profile ?? own.cloud;
  const base = isBlank(named) ? {} : profile(String(named), environment, warnings);
  const region = chooseRegion(own, base, wantedRegion, problems);
  const top: Json = { ...layer(layer(base, own), region.values), region_name: region.name };
  const auth = isJsonObject(top.auth) ? top.auth : {};
  if (top.auth !== undefined && !isJsonObject(top.auth)) problems.push("`auth` is not a map of settings");
  registerSecretsIn(top);

  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(top)) if (key !== "auth") put(fields, key, value);
  for (const [key, value] of Object.entries(auth)) if (!NOT_AUTH.test(key)) put(fields, key, value);
  // A later alias wins, and `auth` wins over the top level (loader.py:659, 937: _fix_backwards_project, _validate_auth).
  for (const [name, aliases] of Object.entries(ALIASES)) {
    for (const alias of aliases) for (const place of [top, auth]) put(fields, name, place[alias]);
  }
  putServiceSettings(fields, top);
  for (const key of EXPANDED) {
    const value = fields[key];
    if (typeof value === "string") fields[key] = expand(value, key, top, problems);
  }
  return { fields, warnings, problems };
}

function putServiceSettings(fields: Record<string, unknown>, cloud: Json): void {
  for (const [service, types] of Object.entries(SERVICE_TYPES)) {
    for (const setting of SERVICE_SETTINGS) {
      const name = `${service}_${CURRENT[setting] ?? setting}`;
      // The official type comes first and wins (cloud_region.py:392).
      for (const type of types.toReversed()) put(fields, name, cloud[`${type}_${setting}`]);
    }
  }
}

function isJsonObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

const ALIASES: Readonly<Record<string, readonly string[]>> = {
  project_id: ["tenant_id", "project_id"],
  project_name: ["tenant_name", "project_name"],
  username: ["user_name", "username"],
  token: ["auth_token", "token"],
  auth_type: ["auth_plugin", "auth_type"],
  // The openstack command takes OS_DEFAULT_DOMAIN for an id (python-openstackclient, --os-default-domain).
  default_domain_id: ["default_domain", "default_domain_id"],
  // The old name wins (loader.py:1054).
  interface: ["interface", "endpoint_type"],
};
const CURRENT: Readonly<Record<string, string>> = { endpoint: "endpoint_override", endpoint_type: "interface" };
/** Read beside `auth` only. */
const NOT_AUTH =
  /^(auth_type|auth_plugin|region_name|interface|endpoint_type|cacert|cert|key|insecure|verify)$|_(endpoint|override|type|interface)$/;
/** From os-service-types: the official type, then its aliases. */
const SERVICE_TYPES: Readonly<Record<string, readonly string[]>> = {
  block_storage: ["block_storage", "volumev3", "volumev2", "volume", "block_store"],
  compute: ["compute"],
};
const SERVICE_SETTINGS = ["endpoint", "endpoint_override", "service_type", "interface", "endpoint_type", "region_name"];
const EXPANDED = [
  "auth_url",
  "cacert",
  "cert",
  "key",
  "block_storage_endpoint_override",
  "compute_endpoint_override",
] as const;

interface ReadFile {
  path: string;
  content: Json;
}

/** The first file that exists and can be read. Later ones are ignored (loader.py:405). */
function firstFile(
  name: string,
  override: string | undefined,
  environment: Environment,
  warnings: string[],
): ReadFile | undefined {
  const candidates = folders(environment).flatMap((folder) =>
    ["yaml", "yml", "json"].map((suffix) => join(folder, `${name}.${suffix}`)),
  );
  const given = isBlank(override) ? undefined : resolve(environment.cwd, String(override));
  for (const candidate of [...(given === undefined ? [] : [given]), ...candidates]) {
    let text: string;
    try {
      text = readFileSync(candidate, "utf8");
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "unreadable";
      // openstacksdk goes on in silence. A file that the user names, or that exists, is warned of.
      if (candidate === given || (code !== "ENOENT" && code !== "ENOTDIR")) {
        // A shell expands it outside of quotes only, and openstacksdk never does.
        const why = candidate === given && override?.startsWith("~") ? `${code}; a ~ is not expanded here` : code;
        warnings.push(`${candidate} could not be read (${why}); the search goes on`);
      }
      continue;
    }
    return { path: candidate, content: parse(candidate, text) };
  }
  return undefined;
}

/** loader.py:38–62 (0.101), with the folders of appdirs. */
function folders({ env, cwd, home, platform = process.platform }: Environment): string[] {
  const filled = (name: string) => (isBlank(env[name]) ? undefined : env[name]);
  // appdirs' folders of the application "openstack" by "OpenStack": the user's, and all users'.
  const windows = platform === "win32" ? [filled("LOCALAPPDATA"), filled("PROGRAMDATA")] : [];
  const shared = (filled("XDG_CONFIG_DIRS") ?? "/etc/xdg").split(":").filter((folder) => isAbsolute(folder));
  return [
    ...new Set([
      cwd,
      join(filled("XDG_CONFIG_HOME") ?? join(home, ".config"), "openstack"),
      ...(platform === "darwin" ? [join(home, "Library", "Application Support", "openstack")] : []),
      // A snap has a HOME of its own (loader.py:47).
      join(filled("SNAP_REAL_HOME") ?? home, ".config", "openstack"),
      ...windows.flatMap((folder) => (folder === undefined ? [] : [join(folder, "OpenStack", "openstack")])),
      ...shared.map((folder) => join(folder, "openstack")),
      "/etc/openstack",
    ]),
  ];
}

function parse(file: string, text: string): Json {
  // Loaded on first use: many users have no such file.
  const { LineCounter, parseDocument, visit } = require("yaml") as typeof import("yaml");
  const lines = new LineCounter();
  // PyYAML reads YAML 1.1; ids of digits only must not lose any.
  const document = parseDocument(text, {
    version: "1.1",
    intAsBigInt: true,
    prettyErrors: false,
    // The last of two equal keys counts, as for PyYAML.
    uniqueKeys: false,
    logLevel: "silent",
    lineCounter: lines,
  });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    // The parser's own text may quote the line, and the line may hold a password.
    throw broken(`${file}:${line}:${col}`, `not valid YAML (${error.code.toLowerCase().replaceAll("_", " ")})`);
  }
  // No setting is a number: a password `0089`, a project `12e4`, `0x1F` or `12:34:56` and a phone's `+49…` mean their text.
  // (PyYAML reads most of them as text, and some as a number without its zeros.)
  visit(document, {
    Scalar(_key, node) {
      if ((typeof node.value === "number" || typeof node.value === "bigint") && node.source !== undefined)
        node.value = node.source;
    },
  });
  let content: unknown;
  try {
    content = document.toJS();
  } catch {
    throw broken(file, "not valid YAML (an alias that leads nowhere, or too many of them)");
  }
  if (content === null || content === undefined) return {};
  if (!isJsonObject(content)) throw broken(file, "not a map of settings at the top");
  return content;
}

function section(file: ReadFile, name: string): Json {
  const value = Object.hasOwn(file.content, name) ? file.content[name] : undefined;
  if (value === undefined || value === null) return {};
  if (!isJsonObject(value)) throw broken(file.path, `"${name}" is not a map`);
  return value;
}

function broken(where: string, message: string): SnapcloneError {
  return new SnapcloneError({
    kind: "config",
    message: `${where}: ${message}`,
    hint: "Correct the file; `openstack --os-cloud <name> token issue` reads the same one.",
  });
}

function profile(name: string, environment: Environment, warnings: string[]): Json {
  const file = firstFile("clouds-public", undefined, environment, warnings);
  const found = file === undefined ? undefined : section(file, "public-clouds")[name];
  if (isJsonObject(found)) return normaliseKeys(found);
  warnings.push(
    `the profile "${name}" is in no clouds-public file, and those inside openstacksdk are not known here: it is left out`,
  );
  return {};
}

function chooseRegion(
  own: Json,
  base: Json,
  wanted: string | undefined,
  problems: string[],
): { name: unknown; values: Json } {
  const listed = own.regions ?? (isBlank(own.region_name) ? base.regions : undefined);
  if (!isBlank(listed) && !Array.isArray(listed)) problems.push("`regions` is not a list");
  if (Array.isArray(listed) && listed.length > 0) {
    const regions = listed.map((region: unknown) =>
      isJsonObject(region)
        ? { name: region.name, values: isJsonObject(region.values) ? normaliseKeys(region.values) : {} }
        : { name: region, values: {} },
    );
    const chosen = wanted === undefined ? regions[0] : regions.find((region) => String(region.name) === wanted);
    if (chosen !== undefined) return chosen;
    problems.push(`the region is none of its regions (${regions.map((region) => String(region.name)).join(", ")})`);
    return { name: wanted, values: {} };
  }
  const single = own.region_name ?? base.region_name;
  // A list, or a list in a string, means its first entry (loader.py:457).
  const first = Array.isArray(single) ? single[0] : typeof single === "string" ? single.split(",")[0] : single;
  return { name: wanted ?? first, values: {} };
}

/** `over` wins, except that `auth` is merged. */
function layer(under: Json, over: Json): Json {
  const set = Object.fromEntries(Object.entries(over).filter(([, value]) => !isBlank(value)));
  const both = isJsonObject(under.auth) && isJsonObject(set.auth);
  return both ? { ...under, ...set, auth: layer(under.auth as Json, set.auth as Json) } : { ...under, ...set };
}

function merge(under: Json, over: Json): Json {
  const out = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const old = out.get(key);
    out.set(key, isJsonObject(old) && isJsonObject(value) ? merge(old, value) : value);
  }
  return Object.fromEntries(out);
}

/** `-` and `_` are the same in names (openstack/config/_util.py). */
function normaliseKeys(value: Json): Json {
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replaceAll("-", "_"),
      isJsonObject(item) ? normaliseKeys(item) : item,
    ]),
  );
}

function put(fields: Record<string, unknown>, key: string, value: unknown): void {
  if (!isBlank(value) && key !== "__proto__") fields[key] = value;
}

/** Python's `{name}` in a value stands for another one (loader.py:1072, 1147). */
function expand(text: string, key: string, top: Json, problems: string[]): string {
  return text.replaceAll(/\{\{|\}\}|\{([^{}]*)\}/g, (whole, name: string | undefined) => {
    if (name === undefined) return whole.slice(1);
    const value = Object.hasOwn(top, name) ? top[name] : undefined;
    if (typeof value === "string" && !SECRET_NAME.test(name)) return value;
    problems.push(`\`${key}\` refers to {${name}}, which is not set`);
    return "";
  });
}
