// Where an OpenStack connection comes from: the stack config, clouds.yaml or OS_*, the first that has one. All three end
// in the same OpenStackSettings. Opens no socket.

import { type ConnectionRequest, DEFAULT_CONNECTION } from "../core/connection/connections";
import {
  badEntry,
  type CommonSettings,
  configKey,
  type Field,
  nothingFound,
  notInStackConfig,
  type Product,
  type RawFields,
  readStackEntry,
  resolvePath,
  SettingsReader,
  type Source,
  stackConfig,
} from "../core/connection/settings";
import { SnapcloneError } from "../core/errors";
import type { TlsSettings } from "../core/http/tls";
import { flag, isBlank } from "../core/util/values";
import { type Auth, readAuth } from "./auth";
import { type CloudFiles, type Environment, environmentCloud, flatten, readCloudFiles } from "./cloudsYaml";

export interface OpenStackSettings extends CommonSettings<SourceKind> {
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
  tls: TlsSettings & { insecure: boolean };
}

export type Interface = "public" | "internal" | "admin";
export type SourceKind = "stackConfig" | "cloudsYaml" | "environment";
export interface PerService<T> {
  blockStorage?: T;
  compute?: T;
}

export interface OpenStackRequest extends Environment, Pick<ConnectionRequest, "name" | "config" | "configured"> {
  /** A product that signs in as OpenStack does, and has fields of its own. */
  variant?: Variant;
}

export interface Variant extends Product {
  /** An entry that signs in by itself, as OpenStack has it. Throws `refuse` of what cannot be. */
  complete(entry: RawFields, refuse: (problem: string) => SnapcloneError): RawFields;
}

/** `top`: in clouds.yaml it stands beside `auth`. A key in capitals after OS_ is the field's variable. */
type OpenStackField = Field & { top?: true };

const field = (config: string | null, more: Partial<OpenStackField> = {}): OpenStackField => ({
  type: "text",
  config,
  ...more,
});

const FIELDS: Readonly<Record<string, OpenStackField>> = {
  cloud: field("cloud"),
  auth_url: field("authUrl", { type: "url", required: true }),
  username: field("username"),
  user_id: field("userId"),
  password: field("password", { secret: true }),
  user_domain_name: field("userDomainName"),
  user_domain_id: field("userDomainId"),
  project_name: field("projectName", { aliases: ["tenant_name"] }),
  project_id: field("projectId", { aliases: ["tenant_id"] }),
  project_domain_name: field("projectDomainName"),
  project_domain_id: field("projectDomainId"),
  domain_name: field("domainName"),
  domain_id: field("domainId"),
  default_domain_name: field(null),
  default_domain_id: field(null),
  system_scope: field("systemScope", { type: "flag" }),
  trust_id: field(null),
  application_credential_id: field("applicationCredentialId"),
  application_credential_name: field("applicationCredentialName"),
  application_credential_secret: field("applicationCredentialSecret", { secret: true }),
  token: field("token", { secret: true }),
  auth_type: field("authType", { top: true }),
  region_name: field("region", { top: true }),
  interface: field("interface", { top: true, aliases: ["endpoint_type"] }),
  cacert: field("cacert", { type: "path", top: true }),
  cert: field("cert", { type: "path", top: true }),
  key: field("key", { type: "path", top: true }),
  insecure: field("insecure", { type: "flag", top: true }),
  verify: field(null, { top: true }),
  block_storage_endpoint_override: field("blockStorageEndpoint", { type: "url", top: true }),
  compute_endpoint_override: field("computeEndpoint", { type: "url", top: true }),
  block_storage_service_type: field("blockStorageServiceType", { top: true }),
  compute_service_type: field("computeServiceType", { top: true }),
  block_storage_region_name: field(null, { top: true }),
  compute_region_name: field(null, { top: true }),
  block_storage_interface: field(null, { top: true }),
  compute_interface: field(null, { top: true }),
};

const OPENSTACK: Product = { kind: "openstack", name: "OpenStack", fields: FIELDS };

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

/** Throws a SnapcloneError of kind "config" that names every place that was read, or every field that is wrong. */
export function resolveOpenStack(request: OpenStackRequest): OpenStackSettings {
  const { name, env } = request;
  const entry = readEntry(request);
  if (entry !== undefined && entry.cloud === undefined) {
    return parseSettings(entry, stackConfig(FIELDS, name), request);
  }

  const files = readCloudFiles(request);
  const osCloud = isBlank(env.OS_CLOUD) ? undefined : String(env.OS_CLOUD);
  if (entry?.cloud !== undefined) {
    const { cloud, ...over } = entry;
    return fromFiles(files, String(cloud), `${configKey(name)}.cloud`, over, request);
  }
  if (name !== DEFAULT_CONNECTION) {
    if (files.clouds.has(name)) return fromFiles(files, name, "the connection's name", {}, request);
    const looked = [notInStackConfig(name), `(2) a cloud "${name}" in ${describe(files)}`];
    throw noConnection(request, looked, [...files.clouds.keys()]);
  }
  const environment = isBlank(env.OS_CLOUD_NAME) ? "envvars" : String(env.OS_CLOUD_NAME);
  if (osCloud !== undefined && osCloud !== environment) {
    return fromFiles(files, osCloud, "OS_CLOUD", besideCloud(env), request);
  }
  // OS_* goes before a lone cloud in a file (openstacksdk loader.py:251).
  if (CREDENTIALS.some((variable) => !isBlank(env[variable]))) {
    const { fields, warnings, problems } = flatten(environmentCloud(env), undefined, request);
    return parseSettings(fields, ENVIRONMENT, request, warnings, problems);
  }
  const [only] = files.clouds.size === 1 ? files.clouds.keys() : [DEFAULT_CONNECTION];
  if (osCloud === undefined && only !== undefined && files.clouds.has(only))
    return fromFiles(files, only, "", besideCloud(env), request);
  throw noConnection(request, [
    notInStackConfig(name),
    `(2) OS_CLOUD: ${osCloud === undefined ? "not set" : `names the environment ("${environment}")`}`,
    `(3) ${CREDENTIALS.slice(0, 3).join(", ")}, …: not set`,
    `(4) a single cloud, or one called "${DEFAULT_CONNECTION}", in ${describe(files)}`,
  ]);
}

/** `ConnectionKind.target`: Keystone, project and region. An application credential has its project built in. */
export function openStackTarget(settings: OpenStackSettings): unknown {
  const { authUrl, auth, region, endpointOverride, serviceType, serviceRegion } = settings;
  const project = projectOf(auth);
  return project && { authUrl, project, region, endpointOverride, serviceType, serviceRegion };
}

function projectOf(auth: Auth): unknown {
  if (auth.method === "applicationCredential") return { id: auth.id, name: auth.name, user: auth.user };
  if (auth.scope !== "unscoped") return auth.scope;
  // The user's default project. The settings don't say whose a token is.
  return auth.method === "password" ? { user: auth.user } : undefined;
}

/** The variables that the `openstack` command lays over a cloud of a file (osc-lib shell.py). */
function besideCloud(env: NodeJS.ProcessEnv): RawFields {
  const names = ["region_name", "interface", "cacert", "cert", "key"];
  const values = names.map((name) => [name, env[`OS_${name.toUpperCase()}`]] as const);
  return Object.fromEntries(values.filter(([, value]) => !isBlank(value)));
}

// --- the stack config

function readEntry({ name, config, variant }: OpenStackRequest): RawFields | undefined {
  const product = variant ?? OPENSTACK;
  const given = readStackEntry({ ...product, fields: { ...FIELDS, ...variant?.fields } }, { name, config });
  if (given === undefined) return undefined;
  const refuse = (problem: string) => badEntry(name, [problem]);
  const { label } = stackConfig(FIELDS, name);
  // Half a credential from the entry and half from the cloud would belong to nobody.
  const mixed = Object.entries(FIELDS).flatMap(([key, { top }]) =>
    key in given && key !== "cloud" && (!top || key === "auth_type") ? [label(key)] : [],
  );
  if (given.cloud !== undefined && mixed.length > 0) {
    throw refuse(`\`cloud\` can't be combined with ${mixed.join(", ")}: how to sign in comes from the cloud`);
  }
  return variant?.complete(given, refuse) ?? given;
}

// --- clouds.yaml

const ENVIRONMENT: Source<"environment"> = {
  kind: "environment",
  text: "the environment (OS_*)",
  label: (key) => `OS_${key.toUpperCase()}`,
  hint: "Set what is missing, or name a cloud of clouds.yaml by OS_CLOUD; `openstack token issue` tries the same variables.",
};

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
      message: `${by} names the cloud "${cloud}": not in ${describe(files)}`,
      hint: "Correct the name, or set OS_CLIENT_CONFIG_FILE to the file that has it.",
    });
  }
  const region = isBlank(over.region_name) ? undefined : String(over.region_name);
  const { fields, warnings, problems } = flatten(found, region, request);
  const source: Source<"cloudsYaml"> = {
    kind: "cloudsYaml",
    text: `cloud "${cloud}" in ${files.paths.join(" and ")}`,
    label: (key) => `\`${FIELDS[key]?.top ? key : `auth.${key}`}\``,
    hint: "Correct the file; `openstack --os-cloud <cloud> token issue` tries the same entry.",
  };
  return parseSettings({ ...fields, ...over }, source, request, [...files.warnings, ...warnings], problems);
}

function describe(files: CloudFiles): string {
  const names = [...files.clouds.keys()];
  if (files.paths.length > 0)
    return `${files.paths.join(" and ")} (${names.length > 0 ? `has ${names.map((name) => `"${name}"`).join(", ")}` : "no clouds"})`;
  return `clouds.yaml, clouds.yml or clouds.json: no such file in ${files.searched.join(", ")}`;
}

// --- one form for all

function parseSettings(
  fields: RawFields,
  source: Source<SourceKind>,
  request: OpenStackRequest,
  warnings: readonly string[] = [],
  problems: readonly string[] = [],
): OpenStackSettings {
  const reader = new SettingsReader(FIELDS, fields, source, request);
  reader.warnings.push(...warnings);
  reader.problems.push(...problems);
  const authUrl = keystoneAddress(reader.url("auth_url") ?? "");
  const auth = readAuth(reader);
  const region = reader.text("region_name");
  const settings = {
    authUrl,
    auth,
    ...(region === undefined ? {} : { region: region.trim() }),
    interface: readInterface(reader, "interface") ?? "public",
    endpointOverride: perService((service) => reader.url(`${service}_endpoint_override`)),
    serviceType: perService((service) => reader.text(`${service}_service_type`)?.trim()),
    serviceRegion: perService((service) => reader.text(`${service}_region_name`)?.trim()),
    serviceInterface: perService((service) => readInterface(reader, `${service}_interface`)),
    tls: readTls(reader, request),
  };
  reader.warnOfPlainHttp(authUrl);
  return { ...settings, ...reader.finish() };
}

/** Keystone's address is written in five ways: …:5000, …/v3, …/v3/, …/identity, …/identity/v3. */
function keystoneAddress(url: string): string {
  return `${url
    .replace(/\/+$/, "")
    .replace(/(\/auth\/tokens)$/, "")
    .replace(/\/+v(2\.0|3)$/, "")}/v3`;
}

function readInterface(reader: SettingsReader, key: string): Interface | undefined {
  // `publicURL` is the catalogue's spelling of version 2.
  const name = reader.text(key)?.trim().replace(/URL$/i, "").toLowerCase();
  if (name === undefined || name === "public" || name === "internal" || name === "admin") return name;
  reader.problem(key, "is none of public, internal, admin");
  return undefined;
}

/** `verify` of clouds.yaml is python-requests' own: a flag, or a file of authorities. */
function readTls(reader: SettingsReader, request: OpenStackRequest): OpenStackSettings["tls"] {
  const verify = reader.raw("verify");
  const verified = isBlank(verify) ? undefined : flag(verify);
  const tls = reader.tls();
  if (verified === false && !tls.insecure) {
    tls.insecure = true;
    reader.warn(`TLS certificates are not verified (${reader.label("verify")})`);
  }
  if (verified === undefined && typeof verify === "string" && !isBlank(verify)) {
    tls.cacert ??= resolvePath(verify, request);
  }
  return tls;
}

function perService<T>(read: (service: "block_storage" | "compute") => T | undefined): PerService<T> {
  const blockStorage = read("block_storage");
  const compute = read("compute");
  return { ...(blockStorage === undefined ? {} : { blockStorage }), ...(compute === undefined ? {} : { compute }) };
}

function noConnection(
  { name, variant, configured = [] }: OpenStackRequest,
  looked: readonly string[],
  clouds: readonly string[] = [],
): SnapcloneError {
  const key = configKey(name);
  const hint = [
    `Either name a cloud of clouds.yaml: ${name === DEFAULT_CONNECTION ? "export OS_CLOUD=<cloud>" : `pulumi config set --path ${key}.cloud <cloud>`}`,
    `or configure it in the stack: pulumi config set --path ${key}.authUrl https://… (and username, userDomainName, projectName, projectDomainName; --secret for password).`,
  ].join("\n");
  return nothingFound((variant ?? OPENSTACK).name, name, looked, hint, [...configured, ...clouds]);
}
