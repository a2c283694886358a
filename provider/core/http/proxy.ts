// Which proxy a request goes through, decided as python-requests and curl decide it, so that what the `openstack` command
// reaches is reached here (requests 2.34 utils.py should_bypass_proxies and select_proxy; curl 7.88 lib/noproxy.c).

import { BlockList, isIP, type Socket } from "node:net";
import { registerSecret, SnapcloneError } from "../errors";

export interface HttpProxy {
  /** Scheme, host and port: what connections go to and what messages say. Never the credentials. */
  origin: string;
  /** The value of `Proxy-Authorization`, where the variable has credentials. */
  authorization: string | undefined;
  /** Where it comes from: "HTTPS_PROXY". */
  variable: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** undefined: the request goes to its server directly. Throws a "config" error for a variable that can't be used. */
export function proxyFor(url: string, env: Environment): HttpProxy | undefined {
  const scheme = url.startsWith("https:") ? "https" : "http";
  const found = proxyVariable(`${scheme}_proxy`, env) ?? proxyVariable("all_proxy", env);
  if (found === undefined || isExempt(url, env)) return undefined;
  return parseProxy(found.variable, found.value);
}

/** The lower-case form wins, also where it is empty (Python's getproxies). */
function proxyVariable(name: string, env: Environment): { variable: string; value: string } | undefined {
  // A CGI server sets HTTP_PROXY from a request's header (CVE-2016-1000110); curl and Python ignore it there.
  const forms = name === "http_proxy" && env.REQUEST_METHOD !== undefined ? [name] : [name, name.toUpperCase()];
  const variable = forms.find((form) => env[form] !== undefined);
  const value = variable === undefined ? "" : (env[variable]?.trim() ?? "");
  return variable === undefined || value === "" ? undefined : { variable, value };
}

function parseProxy(variable: string, value: string): HttpProxy {
  const text = /^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === "" || !/^https?:$/.test(url.protocol)) {
    // The value may hold a password at any place, so it is not shown.
    const what = url && !/^https?:$/.test(url.protocol) ? `a proxy of the kind ${url.protocol}//` : "not an address";
    throw new SnapcloneError({
      kind: "config",
      message: `the environment variable ${variable} is ${what}, and only http:// and https:// proxies can be used`,
      hint: `Correct ${variable} (http://host:port; special characters of a password percent-encoded), or unset it.`,
    });
  }
  const { origin, username, password } = url;
  if (username === "" && password === "") return { origin, authorization: undefined, variable };
  const credentials = `${decoded(username)}:${decoded(password)}`;
  const encoded = Buffer.from(credentials, "utf8").toString("base64");
  for (const secret of [decoded(password), encoded]) registerSecret(secret);
  return { origin, authorization: `Basic ${encoded}`, variable };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** NO_PROXY lists hosts (and all below them) with or without a port, addresses and networks, or `*` alone. */
function isExempt(url: string, env: Environment): boolean {
  const list = env.no_proxy?.trim() || env.NO_PROXY?.trim() || "";
  if (list === "*") return true;
  const { hostname, port } = new URL(url);
  const host = hostname.toLowerCase().replace(/^\[|\]$/g, "");
  // An entry with the scheme's own port means the same server, whether or not the address spells it out.
  const present = port || (url.startsWith("https:") ? "443" : "80");
  return list.split(/[\s,]+/).some((entry) => entry !== "" && covers(entry.toLowerCase(), host, present));
}

function covers(entry: string, host: string, port: string): boolean {
  const network = /^\[?([\da-f.:]+)\]?\/(\d{1,3})$/.exec(entry);
  if (network) return isInNetwork(host, network[1] ?? "", Number(network[2]));
  const bare = /^\[(.*)\]$/.exec(entry)?.[1] ?? entry;
  if (isIP(bare)) return isInNetwork(host, bare, isIP(bare) === 4 ? 32 : 128);
  const [, name = "", entryPort] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  if (entryPort !== undefined && entryPort !== port) return false;
  const wanted = name.replace(/^\.+|\.$/g, "").replace(/^\[|\]$/g, "");
  if (isIP(wanted)) return isInNetwork(host, wanted, isIP(wanted) === 4 ? 32 : 128);
  const asked = host.replace(/\.$/, "");
  return wanted !== "" && (asked === wanted || (!isIP(asked) && asked.endsWith(`.${wanted}`)));
}

function isInNetwork(host: string, network: string, bits: number): boolean {
  const family = isIP(network);
  // python-requests knows no /0: `*` stands for everything.
  if (family === 0 || isIP(host) !== family || bits < 1 || bits > (family === 4 ? 32 : 128)) return false;
  const type = family === 4 ? "ipv4" : "ipv6";
  const members = new BlockList();
  members.addSubnet(network, bits, type);
  return members.check(host, type);
}

/** The proxy answered with an error. The request was not sent to the server. */
export class ProxyRefusal extends Error {
  constructor(
    readonly proxy: HttpProxy,
    readonly status: number,
    readonly reason: string,
  ) {
    super(`the proxy ${proxy.origin} answered ${status}`);
  }
}

/** There is no connection to the proxy. */
export class ProxyUnreachable extends Error {
  constructor(
    readonly proxy: HttpProxy,
    override readonly cause: unknown,
  ) {
    super(`the proxy ${proxy.origin} cannot be reached`);
  }
}

export interface TunnelOptions {
  target: string;
  timeoutMs: number;
  /** For a proxy that is itself reached by TLS. */
  tls: { ca?: string; rejectUnauthorized: boolean };
}

/** A socket to `target` (host:port) through the proxy, by CONNECT (RFC 9110 §9.3.6). */
export function openTunnel(proxy: HttpProxy, { target, timeoutMs, tls }: TunnelOptions): Promise<Socket> {
  const { hostname, port, protocol } = new URL(proxy.origin);
  // Loaded on first use: most runs have no proxy.
  const { request: plain } = require("node:http") as typeof import("node:http");
  const { request: secure } = require("node:https") as typeof import("node:https");
  const asked = {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port) || (protocol === "https:" ? 443 : 80),
    method: "CONNECT",
    path: target,
    agent: false as const,
    headers: {
      host: target,
      "user-agent": "pulumi-snapclone",
      ...(proxy.authorization === undefined ? {} : { "proxy-authorization": proxy.authorization }),
    },
  };
  return new Promise((resolve, reject) => {
    const request = protocol === "https:" ? secure({ ...asked, ...tls }) : plain(asked);
    const tooLong = setTimeout(() => {
      request.destroy(Object.assign(new Error("connect timed out"), { code: "UND_ERR_CONNECT_TIMEOUT" }));
    }, timeoutMs);
    request.once("error", (error) => {
      clearTimeout(tooLong);
      reject(new ProxyUnreachable(proxy, error));
    });
    request.once("connect", (response, socket) => {
      clearTimeout(tooLong);
      const { statusCode = 0, statusMessage = "" } = response;
      if (statusCode >= 200 && statusCode < 300) {
        resolve(socket);
        return;
      }
      socket.on("error", () => {}).destroy();
      reject(new ProxyRefusal(proxy, statusCode, ownWords(response.headers) ?? statusMessage));
    });
    request.end();
  });
}

/**
 * Why the proxy itself answered, where a request of plain http went to it in absolute form; undefined for the answer of
 * the server behind it. 407 is no server's own (RFC 9110 §15.5.8); squid, tinyproxy and RFC 9209 sign their errors.
 */
export function ownRefusal(
  proxy: HttpProxy,
  { status, headers }: { status: number; headers: Readonly<Record<string, string>> },
): ProxyRefusal | undefined {
  if (status === 407) return new ProxyRefusal(proxy, status, ownWords(headers) ?? "");
  const words = ownWords(headers);
  if (words !== undefined && status >= 400 && !AFTER_SENDING.test(words)) return new ProxyRefusal(proxy, status, words);
  const isSigned = /^tinyproxy\b/i.test(headers.server ?? "") && TINYPROXY_BEFORE_SENDING.includes(status);
  return isSigned ? new ProxyRefusal(proxy, status, "") : undefined;
}

/**
 * Tinyproxy answers wrong credentials with 401, a filtered host with 403, and a host that it can't connect to with 500. Its 503
 * may come after the request has gone to the server (tinyproxy src/reqs.c, handle_connection and process_server_headers).
 */
const TINYPROXY_BEFORE_SENDING = [401, 403, 500];

/** Squid's and RFC 9209's names of errors that come after the request has gone to the server. */
const AFTER_SENDING = /ZERO_SIZE|READ_|WRITE_|LIFETIME|http_(response|protocol)|connection_(read|write|terminated)/i;

function ownWords(headers: Readonly<Record<string, string | string[] | undefined>>): string | undefined {
  const squid = headers["x-squid-error"];
  if (typeof squid === "string") return squid.split(" ", 1)[0];
  const status = headers["proxy-status"];
  return typeof status === "string" ? /;\s*error=([\w-]+)/.exec(status)?.[1] : undefined;
}

/** A proxy's refusal in the user's terms. `server` is what was to be reached: "Cinder". */
export function explainRefusal(
  { proxy, status, reason }: ProxyRefusal,
  server: string,
  url: string,
): Pick<SnapcloneError["parts"], "kind" | "message" | "hint"> {
  const name = `the proxy ${proxy.origin} (${proxy.variable})`;
  const why = reason === "" ? "" : `, ${reason}`;
  const { hostname } = new URL(url);
  // Tinyproxy 1.11 answers 401 to wrong credentials. To CONNECT, only the proxy answers.
  if (status === 407 || status === 401) {
    const has = proxy.authorization !== undefined;
    return {
      kind: "config",
      message: `${name} ${has ? "does not accept the credentials it is given" : "wants credentials"} (${status}${why}); nothing was sent to ${server}`,
      hint: `${has ? "Correct the credentials" : "Put credentials"} in ${proxy.variable}, as in http://user:password@host:port, with special characters percent-encoded; or name ${hostname} in NO_PROXY.`,
    };
  }
  return {
    // A proxy's 5xx is about the moment (it does not reach the server now), everything else about its rules.
    kind: status >= 500 ? "transient" : "config",
    message: `${name} did not let the request through to ${server} (${status}${why}); nothing was sent`,
    hint: `Let the proxy allow ${hostname}, or name ${hostname} in NO_PROXY if it is reached without a proxy.`,
  };
}
