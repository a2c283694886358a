// Where an OpenStack connection comes from: the stack config, clouds.yaml or OS_*, the first that has one. All three end
// in the same OpenStackSettings; nothing here opens a socket.

import { z } from "zod";
import { DEFAULT_CONNECTION, plainHttpWarning } from "../core/connection/connections";
import { SnapcloneError, truncate } from "../core/errors";
import { nearest } from "../core/util/nearest";
import { flag, isBlank } from "../core/util/values";
import {
  type CloudFiles,
  type Environment,
  environmentCloud,
  flatten,
  isJsonObject,
  type Json,
  path,
  protectSecrets,
  type RawFields,
  readCloudFiles,
} from "./cloudsYaml";

export interface OpenStackSettings {
  /** Ends in `/v3`. */
  authUrl: string;
  auth: Auth;
  region?: string;
  interface: Interface;
  /** Taken instead of the catalogue's address. May hold `%(project_id)s`, as keystoneauth allows (session.py). */
  endpointOverride: PerService<string>;
  /** The type under which the catalogue has the service, where the usual names don't do. */
  serviceType: PerService<string>;
  /** Where a service has another region or interface than the rest. */
  serviceRegion: PerService<string>;
  serviceInterface: PerService<Interface>;
  /** PEM text or absolute paths. */
  tls: { cacert?: string; cert?: string; key?: string; insecure: boolean };
  /** For messages: `stack config snapclone:connections.default`, `cloud "prod" in /etc/openstack/clouds.yaml`. */
  source: string;
  sourceKind: SourceKind;
  /** What the user should know and may ignore. */
  warnings: readonly string[];
}

export type Auth =
  | { method: "password"; user: UserRef; password: string; scope: Scope }
  // An application credential has its project built in: Keystone refuses a scope beside it.
  | { method: "applicationCredential"; id?: string; name?: string; user?: UserRef; secret: string }
  | { method: "token"; token: string; scope: Scope };

export type DomainRef = { id: string } | { name: string };
export type UserRef = { id: string } | { name: string; domain: DomainRef };
export type ProjectRef = { id: string } | { name: string; domain: DomainRef };
/** `unscoped`: none was configured; a login without a scope gets the user's default project, if there is one. */
export type Scope = { project: ProjectRef } | { domain: DomainRef } | { system: true } | "unscoped";
export type Interface = "public" | "internal" | "admin";
export type SourceKind = "stackConfig" | "cloudsYaml" | "environment";
export interface PerService<T> {
  blockStorage?: T;
  compute?: T;
}

export interface OpenStackRequest extends Environment {
  name: string;
  /** The entry `snapclone:connections.<name>`, parsed; undefined where there is none. */
  config: unknown;
  /** What messages call it, where it is one that signs in as OpenStack does. Default: "OpenStack". */
  product?: string;
}

/** Throws a SnapcloneError of kind "config" that names every place looked at, or every field that is wrong. */
export function resolveOpenStack(request: OpenStackRequest): OpenStackSettings {
  const { name, env } = request;
  const entry = readEntry(request);
  const key = `snapclone:connections.${name}`;
  if (entry !== undefined && entry.cloud === undefined) {
    return settle(entry.fields, { kind: "stackConfig", text: `stack config ${key}` }, request);
  }

  const files = readCloudFiles(request);
  const osCloud = isBlank(env.OS_CLOUD) ? undefined : String(env.OS_CLOUD);
  if (entry?.cloud !== undefined) {
    return fromFiles(files, entry.cloud, `${key}.cloud`, entry.fields, request);
  }
  if (name !== DEFAULT_CONNECTION) {
    if (files.clouds.has(name)) return fromFiles(files, name, "the connection's name", {}, request);
    throw nothingFound(request, [notSet(key), `(2) a cloud "${name}" in ${place(files)}`]);
  }
  const environment = isBlank(env.OS_CLOUD_NAME) ? "envvars" : String(env.OS_CLOUD_NAME);
  if (osCloud !== undefined && osCloud !== environment) {
    return fromFiles(files, osCloud, "OS_CLOUD", besideCloud(env), request);
  }
  // OS_* goes before a lone cloud in a file (openstacksdk loader.py:251).
  if (CREDENTIALS.some((variable) => !isBlank(env[variable]))) {
    const { fields, warnings, problems } = flatten(environmentCloud(env), undefined, request);
    return settle(fields, { kind: "environment", text: "the environment (OS_*)" }, request, warnings, problems);
  }
  const [only] = files.clouds.size === 1 ? files.clouds.keys() : [DEFAULT_CONNECTION];
  if (osCloud === undefined && only !== undefined && files.clouds.has(only))
    return fromFiles(files, only, "", besideCloud(env), request);
  throw nothingFound(request, [
    notSet(key),
    `(2) OS_CLOUD: ${osCloud === undefined ? "not set" : `names the environment ("${environment}")`}`,
    `(3) ${CREDENTIALS.slice(0, 3).join(", ")}, …: not set`,
    `(4) a single cloud, or one called "${DEFAULT_CONNECTION}", in ${place(files)}`,
  ]);
}

/** What the `openstack` command takes from the environment beside a cloud of a file, and over it (osc-lib shell.py). */
function besideCloud(env: NodeJS.ProcessEnv): RawFields {
  const variables = ["region_name", "interface", "cacert", "cert", "key"];
  return Object.fromEntries(
    variables.flatMap((name) => {
      const value = env[`OS_${name.toUpperCase()}`];
      return isBlank(value) ? [] : [[name, value]];
    }),
  );
}

// --- the stack config

/** `stack` is the name in the stack config; `cloud` the place in clouds.yaml. OS_* is the canonical name in capitals. */
const FIELDS: Readonly<Record<string, { stack?: string; top?: true }>> = {
  auth_url: { stack: "authUrl" },
  username: { stack: "username" },
  user_id: { stack: "userId" },
  password: { stack: "password" },
  user_domain_name: { stack: "userDomainName" },
  user_domain_id: { stack: "userDomainId" },
  project_name: { stack: "projectName" },
  project_id: { stack: "projectId" },
  project_domain_name: { stack: "projectDomainName" },
  project_domain_id: { stack: "projectDomainId" },
  domain_name: { stack: "domainName" },
  domain_id: { stack: "domainId" },
  default_domain_name: {},
  default_domain_id: {},
  system_scope: { stack: "systemScope" },
  trust_id: {},
  application_credential_id: { stack: "applicationCredentialId" },
  application_credential_name: { stack: "applicationCredentialName" },
  application_credential_secret: { stack: "applicationCredentialSecret" },
  token: { stack: "token" },
  auth_type: { stack: "authType", top: true },
  region_name: { stack: "region", top: true },
  interface: { stack: "interface", top: true },
  cacert: { stack: "cacert", top: true },
  cert: { stack: "cert", top: true },
  key: { stack: "key", top: true },
  insecure: { stack: "insecure", top: true },
  verify: { top: true },
  block_storage_endpoint_override: { stack: "blockStorageEndpoint", top: true },
  compute_endpoint_override: { stack: "computeEndpoint", top: true },
  block_storage_service_type: { stack: "blockStorageServiceType", top: true },
  compute_service_type: { stack: "computeServiceType", top: true },
  block_storage_region_name: { top: true },
  compute_region_name: { top: true },
  block_storage_interface: { top: true },
  compute_interface: { top: true },
};

/** Any of them means that OS_* describes a cloud. OS_REGION_NAME, OS_CACERT, OS_*_API_VERSION alone do not. */
const CREDENTIALS = [
  "OS_AUTH_URL",
  "OS_USERNAME",
  "OS_PASSWORD",
  "OS_USER_ID",
  "OS_TOKEN",
  "OS_AUTH_TOKEN",
  "OS_APPLICATION_CREDENTIAL_ID",
  "OS_APPLICATION_CREDENTIAL_NAME",
  "OS_APPLICATION_CREDENTIAL_SECRET",
];

// `pulumi config set --path` turns `true` and whole numbers into JSON's, also where a name of digits was meant.
const Text = z.union(
  [z.string(), z.int().transform(String)],
  "must be text; for a number, use --secret or --type string",
);
const Flag = z.union([z.boolean(), z.string(), z.int()], "must be true or false");
const Entry = z.strictObject({
  kind: z.literal("openstack", 'must be "openstack"').optional(),
  cloud: Text.optional(),
  ...Object.fromEntries(
    Object.values(FIELDS).flatMap(({ stack }) =>
      stack === undefined ? [] : [[stack, (stack === "insecure" || stack === "systemScope" ? Flag : Text).optional()]],
    ),
  ),
});

function readEntry({ name, config }: OpenStackRequest): { cloud: string | undefined; fields: RawFields } | undefined {
  if (isBlank(config)) return undefined;
  // Before anything can fail: what is below may quote names, and must not quote these.
  protectSecrets(config);
  const key = `snapclone:connections.${name}`;
  const refuse = (problems: readonly string[]) =>
    new SnapcloneError({
      kind: "config",
      message: `stack config ${key}: ${problems.join("; ")}`,
      hint: `Correct it: pulumi config set --path ${key}.<field> …, or pulumi config rm --path ${key}.<field>. The fields are in docs/connections.md.`,
    });
  if (!isJsonObject(config)) throw refuse(["is not an object of fields"]);
  const filled: Json = Object.fromEntries(Object.entries(config).filter(([, value]) => !isBlank(value)));
  const parsed = Entry.safeParse(filled);
  if (!parsed.success) throw refuse(parsed.error.issues.flatMap(describe));
  const { kind: _kind, cloud, ...rest } = parsed.data;
  const given: Json = rest;
  if (cloud === undefined && Object.keys(given).length === 0) return undefined;
  const fields: Record<string, unknown> = {};
  const mixed: string[] = [];
  for (const [canonical, { stack, top }] of Object.entries(FIELDS)) {
    const value = stack === undefined ? undefined : given[stack];
    if (value === undefined) continue;
    // Half a credential from here and half from there would be nobody's.
    if (cloud !== undefined && (!top || canonical === "auth_type")) mixed.push(`\`${stack}\``);
    fields[canonical] = value;
  }
  if (mixed.length > 0) {
    throw refuse([`\`cloud\` can't be combined with ${mixed.join(", ")}: how to sign in comes from the cloud`]);
  }
  return { cloud: cloud === undefined ? undefined : String(cloud), fields };
}

function describe(issue: z.core.$ZodIssue): string[] {
  if (issue.code !== "unrecognized_keys") return [`\`${issue.path.join(".")}\` ${issue.message}`];
  const known = ["kind", "cloud", ...Object.values(FIELDS).flatMap(({ stack }) => stack ?? [])];
  return issue.keys.map((typo) => {
    // openstacksdk's spelling, then anything near.
    const near = FIELDS[typo.replace("tenant", "project")]?.stack ?? nearest(typo.replaceAll(/[-_]/g, ""), known);
    return `unknown field \`${truncate(typo, 40)}\`${near === undefined ? "" : `; did you mean \`${near}\`?`}`;
  });
}

// --- clouds.yaml

function fromFiles(
  files: CloudFiles,
  cloud: string,
  by: string,
  over: RawFields,
  request: OpenStackRequest,
): OpenStackSettings {
  const found = files.clouds.get(cloud);
  if (found === undefined) {
    throw new SnapcloneError({
      kind: "config",
      message: `${by} names the cloud "${cloud}": not in ${place(files)}`,
      hint: "Correct the name, or set OS_CLIENT_CONFIG_FILE to the file that has it.",
    });
  }
  const region = isBlank(over.region_name) ? undefined : String(over.region_name);
  const { fields, warnings, problems } = flatten(found, region, request);
  const source = { kind: "cloudsYaml" as const, text: `cloud "${cloud}" in ${files.paths.join(" and ")}` };
  return settle({ ...fields, ...over }, source, request, [...files.warnings, ...warnings], problems);
}

function place(files: CloudFiles): string {
  const names = [...files.clouds.keys()];
  if (files.paths.length > 0)
    return `${files.paths.join(" and ")} (${names.length > 0 ? `has ${names.map((name) => `"${name}"`).join(", ")}` : "no clouds"})`;
  return `clouds.yaml, clouds.yml or clouds.json: no such file in ${files.looked.join(", ")}`;
}

// --- one form for all

interface Source {
  kind: SourceKind;
  text: string;
}

function settle(
  fields: RawFields,
  source: Source,
  request: OpenStackRequest,
  earlierWarnings: readonly string[] = [],
  earlierProblems: readonly string[] = [],
): OpenStackSettings {
  const form = new SettingsReader(fields, source, request, [...earlierWarnings], [...earlierProblems]);
  const region = form.text("region_name");
  const settings: OpenStackSettings = {
    authUrl: form.authUrl(),
    auth: form.auth(),
    ...(region === undefined ? {} : { region: region.trim() }),
    interface: form.interface("interface") ?? "public",
    endpointOverride: perService((service) => form.url(`${service}_endpoint_override`)),
    serviceType: perService((service) => form.text(`${service}_service_type`)?.trim()),
    serviceRegion: perService((service) => form.text(`${service}_region_name`)?.trim()),
    serviceInterface: perService((service) => form.interface(`${service}_interface`)),
    tls: form.tls(),
    source: source.text,
    sourceKind: source.kind,
    warnings: form.warnings,
  };
  const plain = plainHttpWarning(settings.authUrl, source.text);
  if (plain !== undefined) form.warnings.push(plain);
  if (form.problems.length > 0) {
    throw new SnapcloneError({
      kind: "config",
      message: `${source.text}: ${form.problems.join("; ")}`,
      hint: hintFor(source.kind, request.name),
    });
  }
  return settings;
}

function hintFor(source: SourceKind, name: string): string {
  switch (source) {
    case "stackConfig":
      return `Correct it: pulumi config set --path snapclone:connections.${name}.<field> <value> (--secret for a password).`;
    case "cloudsYaml":
      return "Correct the file; `openstack --os-cloud <cloud> token issue` tries the same entry.";
    case "environment":
      return "Set what is missing, or name a cloud of clouds.yaml by OS_CLOUD; `openstack token issue` tries the same variables.";
  }
}

/** Reads fields and notes what is wrong with them under the name that the user knows; goes on to find the rest. */
class SettingsReader {
  constructor(
    private readonly fields: RawFields,
    private readonly source: Source,
    private readonly surroundings: Environment,
    readonly warnings: string[],
    readonly problems: string[],
  ) {}

  text(key: string): string | undefined {
    const value = this.fields[key];
    if (isBlank(value)) return undefined;
    if (typeof value === "string") return value;
    if (typeof value === "number" || typeof value === "bigint") return String(value);
    this.problems.push(`${this.label(key)} is not text: put it into quotes`);
    return undefined;
  }

  url(key: string): string | undefined {
    const given = this.text(key);
    if (given === undefined) return undefined;
    const url = given.trim();
    if (url !== given) this.warnings.push(`${this.source.text}: the blanks around ${this.label(key)} are left out`);
    const parsed = /^https?:\/\//i.test(url) && URL.canParse(url) ? new URL(url) : undefined;
    if (parsed === undefined) {
      this.problems.push(`${this.label(key)} is not a URL that begins with https:// or http://`);
    } else if (parsed.username !== "" || parsed.password !== "") {
      this.problems.push(`${this.label(key)} has a user or password in it: they belong into fields of their own`);
    } else if (parsed.search !== "" || parsed.hash !== "") {
      this.problems.push(`${this.label(key)} has a ? or # part, which an endpoint has not`);
    }
    return url;
  }

  authUrl(): string {
    if (this.missing("auth_url")) this.problems.push(`${this.label("auth_url")} is missing`);
    const url = this.url("auth_url") ?? "";
    // Keystone's address is written in five ways: …:5000, …/v3, …/v3/, …/identity, …/identity/v3.
    return `${url
      .replace(/\/+$/, "")
      .replace(/(\/auth\/tokens)$/, "")
      .replace(/\/+v(2\.0|3)$/, "")}/v3`;
  }

  auth(): Auth {
    if (!this.missing("trust_id")) this.problems.push(`${this.label("trust_id")} is not supported`);
    const method = this.method();
    if (method === undefined) {
      this.problems.push(
        `${this.label("auth_type")} "${truncate(this.text("auth_type") ?? "", 40)}" is not supported: use password, token or v3applicationcredential`,
      );
      return { method: "token", token: "", scope: "unscoped" };
    }
    if (method === "applicationCredential") {
      const secret = this.secret("application_credential_secret");
      const id = this.text("application_credential_id");
      if (id !== undefined) return { method, id, secret };
      const name = this.text("application_credential_name");
      if (name === undefined) this.problems.push(`${this.label("application_credential_id")} is missing`);
      return { method, name: name ?? "", user: this.user(), secret };
    }
    if (method === "token") return { method, token: this.secret("token"), scope: this.scope() };
    return { method, user: this.user(), password: this.secret("password"), scope: this.scope() };
  }

  interface(key: string): Interface | undefined {
    // `publicURL` is the catalogue's spelling of version 2.
    const name = this.text(key)?.trim().replace(/URL$/i, "").toLowerCase();
    if (name === undefined || name === "public" || name === "internal" || name === "admin") return name;
    this.problems.push(`${this.label(key)} is none of public, internal, admin`);
    return undefined;
  }

  tls(): OpenStackSettings["tls"] {
    const { verify } = this.fields;
    const verified = isBlank(verify) ? undefined : flag(verify);
    const insecure = this.flag("insecure") === true || verified === false;
    if (insecure)
      this.warnings.push(`${this.source.text}: TLS certificates are not verified (${this.label("insecure")})`);
    // Python's requests takes a file of authorities for `verify`, too.
    const authorities = verified === undefined && typeof verify === "string" ? verify : undefined;
    const file = (key: string) => {
      const text = this.text(key);
      return text === undefined ? {} : { [key]: path(text, this.surroundings) };
    };
    const tls: OpenStackSettings["tls"] = {
      ...(authorities === undefined ? {} : { cacert: path(authorities, this.surroundings) }),
      ...file("cacert"),
      ...file("cert"),
      ...file("key"),
      insecure,
    };
    if (tls.key !== undefined && tls.cert === undefined) {
      // As for requests, which sends a certificate or nothing.
      this.warnings.push(
        `${this.source.text}: ${this.label("key")} is left out: there is no ${this.label("cert")} to it`,
      );
      delete tls.key;
    }
    return tls;
  }

  private method(): Auth["method"] | undefined {
    const type = this.text("auth_type")?.trim().toLowerCase().replaceAll(/[-_]/g, "");
    // openstacksdk wants auth_type for anything but a password; what else there is leaves no doubt.
    if (type === undefined && this.missing("password")) {
      if (!this.missing("application_credential_secret")) return "applicationCredential";
      if (!this.missing("token")) return "token";
    }
    return type === undefined ? "password" : METHODS[type];
  }

  private user(): UserRef {
    const id = this.text("user_id");
    if (id !== undefined) return { id };
    const name = this.text("username");
    if (name === undefined) {
      this.problems.push(`${this.label("username")} is missing`);
      return { id: "" };
    }
    return { name, domain: this.domainOf("user") };
  }

  private scope(): Scope {
    const project = !this.missing("project_id") || !this.missing("project_name");
    const domain = this.domain("domain");
    const system = this.systemScope();
    if (system && (project || domain !== undefined)) {
      this.problems.push(`${this.label("system_scope")} excludes a project and a domain`);
    }
    if (project) {
      const id = this.text("project_id");
      if (id !== undefined) return { project: { id } };
      return { project: { name: this.text("project_name") ?? "", domain: this.domainOf("project") } };
    }
    if (domain !== undefined) return { domain };
    return system ? { system } : "unscoped";
  }

  private systemScope(): true | undefined {
    const value = this.fields.system_scope;
    if (isBlank(value) || flag(value) === false) return undefined;
    if (flag(value) !== true && String(value).trim().toLowerCase() !== "all") {
      this.problems.push(`${this.label("system_scope")} can only be "all"`);
    }
    return true;
  }

  /** Whose domain is not given has `domain_*`, where that isn't a scope itself, or `default_domain_*`. */
  private domainOf(whose: "user" | "project"): DomainRef {
    const scopedToProject = !this.missing("project_id") || !this.missing("project_name");
    const kinds = scopedToProject ? [`${whose}_domain`, "domain"] : [`${whose}_domain`];
    // By id and by name separately, as openstacksdk fans them out: an id wins over a name (loader.py:641).
    for (const kind of kinds) {
      const id = this.text(`${kind}_id`);
      if (id !== undefined) return { id };
    }
    for (const kind of kinds) {
      const name = this.text(`${kind}_name`);
      if (name !== undefined) return { name };
    }
    const fallback = this.domain("default_domain");
    if (fallback !== undefined) return fallback;
    this.problems.push(
      `${this.label(`${whose}_domain_name`)} is missing (a ${whose}'s name is unique in its domain only)`,
    );
    return { id: "" };
  }

  private domain(kind: string): DomainRef | undefined {
    const id = this.text(`${kind}_id`);
    if (id !== undefined) return { id };
    const name = this.text(`${kind}_name`);
    return name === undefined ? undefined : { name };
  }

  private secret(key: string): string {
    const value = this.text(key);
    if (value === undefined) this.problems.push(`${this.label(key)} is missing`);
    if (value !== undefined && /[\r\n]$/.test(value)) {
      this.warnings.push(`${this.source.text}: ${this.label(key)} ends in a line break, which is sent along`);
    }
    return value ?? "";
  }

  private flag(key: string): boolean | undefined {
    const value = this.fields[key];
    if (isBlank(value)) return undefined;
    const read = flag(value);
    if (read === undefined) this.problems.push(`${this.label(key)} is neither true nor false`);
    return read;
  }

  private missing(key: string): boolean {
    return isBlank(this.fields[key]);
  }

  /** The field as the user knows it. */
  private label(key: string): string {
    const field = FIELDS[key];
    if (this.source.kind === "environment") return `OS_${key.toUpperCase()}`;
    if (this.source.kind === "cloudsYaml") return `\`${field?.top ? key : `auth.${key}`}\``;
    return `\`${field?.stack ?? key}\``;
  }
}

const METHODS: Readonly<Record<string, Auth["method"] | undefined>> = {
  password: "password",
  v3password: "password",
  token: "token",
  v3token: "token",
  applicationcredential: "applicationCredential",
  v3applicationcredential: "applicationCredential",
};

function perService<T>(read: (service: "block_storage" | "compute") => T | undefined): PerService<T> {
  const blockStorage = read("block_storage");
  const compute = read("compute");
  return { ...(blockStorage === undefined ? {} : { blockStorage }), ...(compute === undefined ? {} : { compute }) };
}

function notSet(key: string): string {
  return `(1) stack config ${key}: not set`;
}

function nothingFound({ name, product = "OpenStack" }: OpenStackRequest, looked: readonly string[]): SnapcloneError {
  const key = `snapclone:connections.${name}`;
  return new SnapcloneError({
    kind: "config",
    message: `there is no ${product} connection "${name}"; looked at, in this order: ${looked.join("; ")}`,
    hint: [
      `Either name a cloud of clouds.yaml: ${name === DEFAULT_CONNECTION ? "export OS_CLOUD=<cloud>" : `pulumi config set --path ${key}.cloud <cloud>`}`,
      `or configure it in the stack: pulumi config set --path ${key}.authUrl https://… (and username, userDomainName, projectName, projectDomainName; --secret for password). See docs/connections.md.`,
    ].join("\n"),
  });
}
