// Addresses of OpenStack's services, as catalogues and endpoint overrides give them.

import { SnapcloneError } from "../core/errors";

/**
 * Catalogues and overrides end in nothing, /v3 or /v3/<project id> (docs/wire/openstack.md#a1, #a4); older ones of PowerVC
 * in /v1 (docs/wire/powervc.md#f3). Before 3.67 Cinder requires the project in the address; later it allows it.
 */
export function blockStorageAddress(endpoint: string, projectId: string): { root: string; api: string } {
  const root = withoutVersion(endpoint);
  return { root, api: `${root}/v3/${projectId}` };
}

/** Catalogues end in nothing, /v2, /v2.1 or /v2.1/<project id>. Nova never requires the project in a v2.1 address. */
export function computeAddress(endpoint: string): string {
  return `${withoutVersion(endpoint)}/v2.1`;
}

function withoutVersion(endpoint: string): string {
  const { origin, pathname } = new URL(endpoint);
  return `${origin}${pathname.replace(/\/+$/, "").replace(/\/v\d+(\.\d+)?(\/[^/]+)?$/, "")}`;
}

/** One segment of a path. An empty or dotted one would turn "delete this key" into "delete the snapshot". */
export function pathSegment(value: string, noun: string): string {
  if (value === "" || value === "." || value === "..") {
    throw new SnapcloneError({ kind: "input", message: `"${value}" cannot stand in an address as ${noun}` });
  }
  return encodeURIComponent(value);
}
