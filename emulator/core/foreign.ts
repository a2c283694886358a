// Keeps foreign web pages away from the page and the control API: a browser on this machine can be made to send requests
// here by any page that its user visits.

import { isIP } from "node:net";
import { type EmulatorRequest, header, json, type Reply } from "./http";

/** The refusal of a request that a foreign web page may have caused. `listening` is the address of `--host`. */
export function refuseForeign(request: EmulatorRequest, listening: string): Reply | undefined {
  const host = header(request, "Host") ?? "";
  if (!isOwnHost(host, listening))
    return refused(`the Host "${host}" is not a name of this emulator; use an IP address or localhost`);
  if (request.method === "GET" || request.method === "HEAD") return undefined;
  const origin = header(request, "Origin");
  const site = header(request, "Sec-Fetch-Site");
  if (origin !== undefined && origin !== request.origin)
    return refused(`the web page at ${origin} may not control this emulator`);
  if (site !== undefined && site !== "same-origin" && site !== "none")
    return refused("another site's web page may not control this emulator");
  return undefined;
}

/**
 * DNS rebinding points a domain of the attacker at 127.0.0.1, so that the browser takes the emulator for that domain. An
 * address, localhost and a name without dots cannot be an attacker's domain.
 */
function isOwnHost(host: string, listening: string): boolean {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  const address = name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name;
  if (isIP(address) !== 0 || name === listening.toLowerCase()) return true;
  return /^[a-z0-9_-]+$/.test(name) || name.endsWith(".localhost");
}

function refused(reason: string): Reply {
  return json(403, { error: reason });
}
