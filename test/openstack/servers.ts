// Programs from Debian's packages that a test puts between the product and the lab: squid, tinyproxy, nginx. Each has a folder
// and ports of its own, listens on the loopback, and is ended by its process id.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export interface LocalServer {
  readonly port: number;
  /** What the server has written to this file of its folder. */
  read(file: string): string;
  path(file: string): string;
  stop(): Promise<void>;
}

const START_MS = 20_000;

/** Ports that are free now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((one) => new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve))));
  const ports = servers.map((one) => (one.address() as AddressInfo).port);
  await Promise.all(servers.map((one) => new Promise((resolve) => one.close(resolve))));
  return ports;
}

/** `files`: the contents of the files in the server's folder, once that is known. */
async function start(
  port: number,
  files: (folder: string) => Record<string, string>,
  command: (folder: string) => readonly string[],
): Promise<LocalServer> {
  const folder = mkdtempSync(join(tmpdir(), "snapclone-server-"));
  // Squid and nginx give up root's rights.
  chmodSync(folder, 0o777);
  for (const [name, content] of Object.entries(files(folder))) writeFileSync(join(folder, name), content);
  const [program = "", ...args] = command(folder);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += String(chunk)));
  const server: LocalServer = {
    port,
    read: (file) => (existsSync(join(folder, file)) ? readFileSync(join(folder, file), "utf8") : ""),
    path: (file) => join(folder, file),
    stop: async () => {
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  const deadline = Date.now() + START_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      const log = `${output}\n${server.read("cache.log")}\n${server.read("error.log")}`;
      await server.stop();
      throw new Error(`${program} does not listen on port ${port}: ${log.slice(-2_000)}`);
    }
    await delay(50);
  }
  return server;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  // The whole group: squid and nginx have children.
  process.kill(-child.pid, "SIGTERM");
  if ((await Promise.race([ended, delay(5_000, "late", { ref: false })])) === "late")
    process.kill(-child.pid, "SIGKILL");
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

export const PROXY_PASSWORD = "s cret@1";
/** Tinyproxy's configuration has no quotes. */
export const TINYPROXY_PASSWORD = "s3cretOfAnn";

/**
 * Lets in `users`, forbids forbidden.test, and knows the names of test hosts. Its access.log has a line for each request:
 * method, address, status, user.
 */
export async function startSquid(users: readonly string[]): Promise<LocalServer> {
  const [port = 0] = await freePorts(1);
  const hash = execFileSync("openssl", ["passwd", "-apr1", PROXY_PASSWORD], { encoding: "utf8" }).trim();
  const files = (folder: string) => ({
    hosts: "127.0.0.1 keystone.test cinder.test forbidden.test\n",
    passwords: users.map((name) => `${name}:${hash}\n`).join(""),
    "squid.conf": `
http_port 127.0.0.1:${port}
pid_filename none
cache_log ${folder}/cache.log
logformat plain %rm %ru %>Hs %[un
access_log stdio:${folder}/access.log plain
cache deny all
hosts_file ${folder}/hosts
visible_hostname snapclone.test
shutdown_lifetime 0 seconds
strip_query_terms off
max_filedescriptors 1024
coredump_dir none
netdb_filename none
pinger_enable off
auth_param basic program /usr/lib/squid/basic_ncsa_auth ${folder}/passwords
auth_param basic children 2
acl known proxy_auth REQUIRED
acl forbidden dstdomain forbidden.test
http_access deny forbidden
http_access allow known
http_access deny all
`,
  });
  return start(port, files, (folder) => ["/usr/sbin/squid", "-N", "-f", join(folder, "squid.conf")]);
}

/** Wants credentials, and forbids hosts with "forbidden" in their names. */
export async function startTinyproxy(): Promise<LocalServer> {
  const [port = 0] = await freePorts(1);
  const files = (folder: string) => ({
    filter: "forbidden\n",
    "tinyproxy.conf": `
Port ${port}
Listen 127.0.0.1
Timeout 60
MaxClients 50
LogFile "${folder}/access.log"
LogLevel Connect
BasicAuth ann ${TINYPROXY_PASSWORD}
Filter "${folder}/filter"
`,
  });
  return start(port, files, (folder) => ["/usr/bin/tinyproxy", "-d", "-c", join(folder, "tinyproxy.conf")]);
}

export interface Nginx extends LocalServer {
  /** By the names of `servers`. */
  readonly urls: Readonly<Record<string, string>>;
  /** The certificate of the https servers, as PEM. */
  readonly certificate: string;
}

/** Forwards each of `servers`, by plain http or with a self-signed certificate. `limit`: nginx's `limit_req` in front. */
export async function startNginx(
  servers: Readonly<Record<string, { to: string; tls?: true; limit?: { perMinute: number; burst: number } }>>,
): Promise<Nginx> {
  const entries = Object.entries(servers);
  const ports = await freePorts(entries.length);
  const blocks = (folder: string) =>
    entries.map(([name, { to, tls, limit }], at) => {
      const zone = limit ? `limit_req_zone $server_port zone=${name}:1m rate=${limit.perMinute}r/m;` : "";
      const guard = limit
        ? `limit_req zone=${name} burst=${limit.burst} nodelay; limit_req_status 429; add_header Retry-After ${Math.ceil(60 / limit.perMinute)} always;`
        : "";
      const listen = tls
        ? `listen 127.0.0.1:${ports[at]} ssl; ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;`
        : `listen 127.0.0.1:${ports[at]};`;
      // The services put the host of the request into their links.
      return `${zone} server { ${listen} access_log ${folder}/${name}.log plain; location / { ${guard} proxy_pass ${to}; proxy_set_header Host $http_host; proxy_read_timeout 60s; } }`;
    });
  const files = (folder: string) => {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const names = [
      "-subj",
      "/CN=127.0.0.1",
      "-addext",
      "subjectAltName=IP:127.0.0.1,DNS:keystone.test,DNS:cinder.test",
    ];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    execFileSync("openssl", ["req", "-x509", ...curve, ...names, "-keyout", key, "-out", cert], { stdio: "ignore" });
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (kind) => `${kind}_temp_path ${folder}/${kind};`,
    );
    return {
      "nginx.conf": `daemon off; user root; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 512; }
http { log_format plain '$request_method $request_uri $status'; ${temporary.join(" ")}
${blocks(folder).join("\n")}
}
`,
    };
  };
  const command = (folder: string) => [
    "/usr/sbin/nginx",
    "-c",
    join(folder, "nginx.conf"),
    "-e",
    join(folder, "error.log"),
  ];
  const server = await start(ports[0] ?? 0, files, command);
  const urlOf = ([name, { tls }]: (typeof entries)[number], at: number) =>
    [name, `${tls ? "https" : "http"}://127.0.0.1:${ports[at]}`] as const;
  return { ...server, urls: Object.fromEntries(entries.map(urlOf)), certificate: server.read("cert.pem") };
}
