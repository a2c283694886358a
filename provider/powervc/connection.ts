// Where a PowerVC connection comes from: the same places as OpenStack's, since PowerVC signs in by Keystone and its own
// `powervcrc` sets OS_*. Some fields may be left out, and some PowerVC does not have.

import type { RawFields } from "../core/connection/settings";
import { SnapcloneError } from "../core/errors";
import { type OpenStackRequest, type OpenStackSettings, resolveOpenStack, type Variant } from "../openstack/connection";

/** docs/wire/powervc.md#f3: project, domain and port as the installer leaves them. */
const DEFAULTS = {
  project_name: "ibm-default",
  user_domain_name: "Default",
  project_domain_name: "Default",
};
const KEYSTONE_PORT = 5000;

const POWERVC: Variant = {
  kind: "powervc",
  name: "PowerVC",
  fields: { host: { type: "text" } },
  complete({ host, ...entry }, refuse) {
    const signsInElsewhere = entry.cloud !== undefined;
    if (host !== undefined && (entry.auth_url !== undefined || signsInElsewhere)) {
      throw refuse(`\`host\` can't be combined with \`${signsInElsewhere ? "cloud" : "authUrl"}\``);
    }
    if (signsInElsewhere) return entry;
    if (host !== undefined && !isHostName(host)) {
      throw refuse("`host` is not a host name; give an address with a port or a path as `authUrl`");
    }
    const given: RawFields = { ...(host === undefined ? {} : { auth_url: keystoneAt(String(host)) }), ...entry };
    // A user or project by id needs no domain, and a domain beside it is not sent.
    const missing = Object.entries(DEFAULTS).filter(
      ([key]) => given[key] === undefined && given[key.replace(/_name$/, "_id")] === undefined,
    );
    return { ...Object.fromEntries(missing), ...given };
  },
};

/** Throws a SnapcloneError of kind "config". Opens no socket. */
export function resolvePowerVc(request: Omit<OpenStackRequest, "variant">): OpenStackSettings {
  const settings = resolveOpenStack({ ...request, variant: POWERVC });
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

function isHostName(host: unknown): boolean {
  return /^(?!\d+$)[\w.-]+$|^\[[0-9a-fA-F:]+\]$/.test(String(host).trim());
}

/** `powervc.example.com` → `https://powervc.example.com:5000/v3`: how it is from PowerVC 2.0 on. */
function keystoneAt(host: string): string {
  return `https://${host.trim()}:${KEYSTONE_PORT}/v3`;
}
