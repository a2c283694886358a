// Where a PowerVC connection comes from: the same places as OpenStack's, since PowerVC signs in by Keystone and its own
// `powervcrc` sets OS_*. What differs is what may be left out, and what PowerVC does not have.

import { SnapcloneError } from "../core/errors";
import { isJsonObject, protectSecrets } from "../openstack/cloudsYaml";
import { type OpenStackRequest, type OpenStackSettings, resolveOpenStack } from "../openstack/connection";

/** docs/wire/powervc.md#f3: project, domain and port as the installer leaves them. */
const DEFAULTS = {
  projectName: "ibm-default",
  userDomainName: "Default",
  projectDomainName: "Default",
};
const KEYSTONE_PORT = 5000;

/** Throws a SnapcloneError of kind "config". Opens no socket. */
export function resolvePowerVc(request: OpenStackRequest): OpenStackSettings {
  // Before anything can fail, as OpenStack's resolver does it.
  protectSecrets(request.config);
  const config = isJsonObject(request.config) ? openStackEntry(request.config, request.name) : request.config;
  const settings = resolveOpenStack({ ...request, config, product: "PowerVC" });
  if (settings.auth.method === "applicationCredential") {
    throw new SnapcloneError({
      kind: "config",
      message: `${settings.source}: PowerVC does not take application credentials`,
      hint: 'Sign in with user name and password (IBM, "Supported OpenStack Identity APIs").',
    });
  }
  // Cinder's type in PowerVC's catalogue (docs/wire/powervc.md#f3: IBM/ansible-powervc).
  return { ...settings, serviceType: { blockStorage: "volume", ...settings.serviceType } };
}

/** An entry of the stack config as OpenStack's resolver understands it. */
function openStackEntry(config: Record<string, unknown>, name: string): Record<string, unknown> {
  const { kind: _kind, host, ...entry } = config;
  const signsInElsewhere = entry.cloud !== undefined;
  if (host === undefined && (signsInElsewhere || Object.keys(entry).length === 0)) return entry;
  if (host !== undefined && (entry.authUrl !== undefined || signsInElsewhere)) {
    throw refuse(name, `\`host\` can't be combined with \`${signsInElsewhere ? "cloud" : "authUrl"}\``);
  }
  const given = { ...(host === undefined ? {} : { authUrl: keystoneAt(host, name) }), ...entry };
  const missing = Object.entries(DEFAULTS).filter(([key]) => {
    const byId = key.replace(/Name$/, "Id");
    return given[key as keyof typeof given] === undefined && given[byId as keyof typeof given] === undefined;
  });
  // A user or project by id needs no domain, and a domain beside it is not sent.
  return { ...Object.fromEntries(missing), ...given };
}

/** `powervc.example.com` → `https://powervc.example.com:5000/v3`: how it is from PowerVC 2.0 on. */
function keystoneAt(host: unknown, name: string): string {
  if (typeof host !== "string" || !/^[\w.-]+$|^\[[0-9a-fA-F:]+\]$/.test(host.trim())) {
    throw refuse(name, "`host` is not a host name; give an address with a port or a path as `authUrl`");
  }
  return `https://${host.trim()}:${KEYSTONE_PORT}/v3`;
}

function refuse(name: string, problem: string): SnapcloneError {
  return new SnapcloneError({
    kind: "config",
    message: `stack config snapclone:connections.${name}: ${problem}`,
    hint: `Correct it: pulumi config set --path snapclone:connections.${name}.<field> … The fields are in docs/connections.md.`,
  });
}
