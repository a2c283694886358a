// The product through real proxies: squid and tinyproxy from Debian's packages, in front of a real Keystone and Cinder. What
// goes through a proxy is compared with python-requests, which gets the same variables.

import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { HttpClient } from "../../provider/core/http/client";
import { systemClock } from "../../provider/core/util/clock";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { OpenStackContext } from "../../provider/openstack/context";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { failure } from "../support/failures";
import { FakeEngine } from "../support/fakeEngine";
import { labBackend } from "./backend";
import { describeOpenStack } from "./lab";
import {
  type LocalServer,
  type Nginx,
  PROXY_PASSWORD,
  startNginx,
  startSquid,
  startTinyproxy,
  TINYPROXY_PASSWORD,
} from "./servers";

/** What is reached directly, by the kind of the entry. Every row asks for http and https addresses of 127.0.0.1. */
const NO_PROXY = [
  "",
  "127.0.0.1",
  "127.0.0.0/8",
  "10.0.0.0/8",
  "*",
  "keystone.test",
  ".test",
  "::1",
  "other, 127.0.0.1",
];
/** Replaced by the ports of Keystone and of the TLS server in front of Keystone. */
const WITH_PORTS = ["127.0.0.1:HTTP", "127.0.0.1:HTTPS", "127.0.0.1:1"];
const ROWS = [...NO_PROXY, ...WITH_PORTS];
const USERS = ROWS.flatMap((_row, at) => [`ours-${at}`, `theirs-${at}`]);

/** Each row: variables and addresses. What is no answer counts as none. */
const SCRIPT = `
import json, os, sys, requests
for variables, addresses, certificate in json.load(sys.stdin):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(variables)
    for address in addresses:
        try:
            requests.get(address, timeout=20, verify=certificate)
        except requests.RequestException as error:
            print(error, file=sys.stderr)
`;

describeOpenStack("real proxies", (lab) => {
  let squid: LocalServer;
  let tinyproxy: LocalServer;
  let nginx: Nginx;
  const clients: HttpClient[] = [];

  beforeAll(async () => {
    const { origin: keystone } = new URL(lab().connection.authUrl);
    const { origin: cinder } = new URL(lab().cinderUrl);
    [squid, tinyproxy, nginx] = await Promise.all([
      startSquid(["ann", ...USERS]),
      startTinyproxy(),
      startNginx({ keystone: { to: keystone, tls: true }, cinder: { to: cinder, tls: true } }),
    ]);
  }, 60_000);
  afterAll(async () => {
    await Promise.all([...clients.map((one) => one.close()), ...[squid, tinyproxy, nginx].map((one) => one?.stop())]);
  });

  const squidUrl = (user = "ann", password = PROXY_PASSWORD) =>
    `http://${user}:${encodeURIComponent(password)}@127.0.0.1:${squid.port}`;
  const tinyproxyUrl = (password = TINYPROXY_PASSWORD) => `http://ann:${password}@127.0.0.1:${tinyproxy.port}`;
  const clientWith = (env: Record<string, string>, cacert?: string) => {
    const client = new HttpClient({ env, ...(cacert === undefined ? {} : { tls: { cacert } }) });
    clients.push(client);
    return client;
  };
  /** Through hosts that only squid knows, or by TLS. */
  const addresses = (scheme: "http" | "https", host: "127.0.0.1" | "test") => {
    const at = (name: "keystone" | "cinder", plain: string) => {
      const { port } = new URL(scheme === "https" ? (nginx.urls[name] ?? "") : plain);
      return `${scheme}://${host === "test" ? `${name}.test` : host}:${port}`;
    };
    return {
      authUrl: `${at("keystone", lab().connection.authUrl)}/v3`,
      blockStorageEndpoint: `${at("cinder", lab().cinderUrl)}/v3/%(project_id)s`,
    };
  };

  test.each([
    ["squid", "http", "test"],
    ["squid", "https", "test"],
    ["tinyproxy", "http", "127.0.0.1"],
    ["tinyproxy", "https", "127.0.0.1"],
  ] as const)(
    "a snapshot is made and deleted through %s by %s",
    async (name, scheme, host) => {
      const proxy = name === "squid" ? squid : tinyproxy;
      const env = { [`${scheme}_proxy`]: name === "squid" ? squidUrl() : tinyproxyUrl() };
      const config = {
        ...lab().connection,
        ...addresses(scheme, host),
        ...(scheme === "https" ? { cacert: nginx.certificate } : {}),
      };
      const settings = resolveOpenStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
      const client = clientWith(env, settings.tls.cacert);
      const session = new KeystoneSession(settings, { http: client });
      const cloud = new OpenStackContext(session);
      const definition = { ...snapshot, connection: { kind: "openstack", open: () => cloud } };
      const engine = new FakeEngine(definition, { clock: systemClock, project: `proxy-${name}-${scheme}` });
      const before = linesOf(proxy).length;
      const program = { one: { volumeId: lab().volumes[0] ?? "", name: `through-${name}-${scheme}` } };
      expect((await engine.up(program)).errors).toEqual([]);
      expect((await labBackend(lab()).snapshots()).map((one) => one.name)).toContain(`through-${name}-${scheme}`);
      expect((await engine.destroy()).errors).toEqual([]);
      await client.close();
      const last = scheme === "http" ? /DELETE http:\S+\/snapshots\// : /CONNECT/;
      const lines = () => linesOf(proxy).slice(before).join("\n");
      await within(10_000, () => last.test(lines()));
      if (scheme === "http") {
        expect(lines()).toMatch(/POST http:\/\/(keystone\.test|127\.0\.0\.1):\d+\/v3\/auth\/tokens/);
        expect(lines()).toMatch(/DELETE http:\/\/(cinder\.test|127\.0\.0\.1):\d+\/v3\/\w+\/snapshots\//);
      } else {
        // The proxy sees hosts and ports, and neither paths nor methods.
        expect(lines()).toMatch(/CONNECT (cinder\.test|127\.0\.0\.1):\d+/);
        expect(lines()).not.toMatch(/POST|GET|\/v3/);
      }
    },
    120_000,
  );

  test("no_proxy: what goes through squid is what python-requests sends through it", async () => {
    const [http, https] = [addresses("http", "127.0.0.1").authUrl, addresses("https", "127.0.0.1").authUrl];
    const ports = { HTTP: new URL(http).port, HTTPS: new URL(https).port };
    const variables = (user: string, row: string) => ({
      http_proxy: squidUrl(user),
      https_proxy: squidUrl(user),
      no_proxy: row.replace(/:(HTTPS?)$/, (_all, scheme: "HTTP" | "HTTPS") => `:${ports[scheme]}`),
    });
    await Promise.all(
      ROWS.map(async (row, at) => {
        const client = clientWith(variables(`ours-${at}`, row), nginx.certificate);
        for (const url of [http, https]) await client.request({ method: "GET", url, service: "Keystone" });
        // Squid writes the line of a tunnel when the tunnel ends.
        await client.close();
      }),
    );
    const certificate = nginx.path("cert.pem");
    const input = ROWS.map((row, at) => [variables(`theirs-${at}`, row), [http, https], certificate]);
    const running = promisify(execFile)("/usr/bin/python3", ["-c", SCRIPT], { timeout: 60_000 });
    running.child.stdin?.end(JSON.stringify(input));
    expect((await running).stderr).toBe("");
    const through = (user: string) =>
      linesOf(squid)
        .filter((line) => line.endsWith(` ${user}`))
        .map((line) => line.replace(/ \S+$/, ""))
        .sort();
    const decide = () => ROWS.map((row, at) => ({ row, ours: through(`ours-${at}`), theirs: through(`theirs-${at}`) }));
    const both = [`CONNECT 127.0.0.1:${ports.HTTPS} 200`, `GET ${http} 200`];
    // A line too many comes at once, as the clients have ended. A line of a tunnel may take a while on a busy machine.
    await delay(300);
    await within(10_000, () =>
      decide().every(({ row, ours, theirs }) => String(theirs) === String(WITH_PORTS.includes(row) ? both : ours)),
    );
    const decisions = decide();
    for (const { row, ours, theirs } of decisions) {
      if (WITH_PORTS.includes(row)) expect([row, theirs]).toEqual([row, both]);
      else expect([row, ours]).toEqual([row, theirs]);
    }
    // An address with a port: requests compares ports of names only, and the product of addresses, too.
    const withPorts = decisions.filter(({ row }) => WITH_PORTS.includes(row)).map(({ ours }) => ours);
    expect(withPorts).toEqual([[both[0]], [both[1]], both]);
    // Both kinds of outcome occur.
    expect(decisions.filter(({ theirs }) => theirs.length === 2).length).toBeGreaterThan(3);
    expect(decisions.filter(({ theirs }) => theirs.length === 0).length).toBeGreaterThan(3);
  }, 120_000);

  /** Reads a request and closes: it may have carried it out. */
  const closing = createServer((socket) => {
    socket.once("data", () => socket.destroy()).on("error", () => {});
  });
  beforeAll(() => new Promise<void>((resolve) => closing.listen(0, "127.0.0.1", resolve)));
  afterAll(() => new Promise((resolve) => closing.close(resolve)));
  const closingAt = () => `127.0.0.1:${Object(closing.address()).port}`;

  test.each([
    ["squid", "wrong credentials", "127.0.0.1:1", "config", /does not accept the credentials it is given \(407/],
    ["squid", "no credentials", "127.0.0.1:1", "config", /wants credentials \(407/],
    ["squid", "a host that it forbids", "forbidden.test:5000", "config", /let the request through to Cinder \(403/],
    ["squid", "a host that it cannot reach", "127.0.0.1:1", "transient", /\(503.*nothing was sent/],
    ["tinyproxy", "wrong credentials", "127.0.0.1:1", "config", /does not accept the credentials it is given \(401/],
    ["tinyproxy", "no credentials", "127.0.0.1:1", "config", /wants credentials \(407/],
    ["tinyproxy", "a host that it forbids", "forbidden.test:5000", "config", /let the request through to Cinder \(403/],
    ["tinyproxy", "a host that it cannot reach", "127.0.0.1:1", "transient", /\(500.*nothing was sent/],
  ] as const)("%s and %s: a POST was not sent, and the proxy is named", async (name, why, host, kind, message) => {
    const proxy = name === "squid" ? squid : tinyproxy;
    const origin = `http://127.0.0.1:${proxy.port}`;
    const right = name === "squid" ? squidUrl() : tinyproxyUrl();
    const wrong = name === "squid" ? squidUrl("ann", "Wr0ngOfAnn") : tinyproxyUrl("Wr0ngOfAnn");
    const value = why === "wrong credentials" ? wrong : why === "no credentials" ? origin : right;
    for (const scheme of ["http", "https"]) {
      const client = clientWith({ [`${scheme}_proxy`]: value });
      const { parts } = await failure(
        client.request({ method: "POST", url: `${scheme}://${host}/v3`, service: "Cinder" }),
      );
      expect([scheme, parts.kind]).toEqual([scheme, kind]);
      expect(parts.message).toContain(`the proxy ${origin} (${scheme}_proxy)`);
      expect(parts.message).toMatch(message);
      expect(JSON.stringify(parts)).not.toMatch(/ann\b|Wr0ng|cret/);
    }
  });

  test.each(["squid", "tinyproxy"])(
    "%s, and the server behind it closes after it has read a POST: that may have been carried out",
    async (name) => {
      const client = clientWith({ http_proxy: name === "squid" ? squidUrl() : tinyproxyUrl() });
      const request = { method: "POST", url: `http://${closingAt()}/v3`, service: "Cinder", body: { a: 1 } } as const;
      expect((await failure(client.request(request))).kind).toBe("ambiguous");
    },
  );
});

/** A log is written a moment after what it tells of. What never comes, the test's own expectations say. */
async function within(ms: number, isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + ms;
  while (!isSo() && Date.now() < deadline) await delay(50);
}

function linesOf(proxy: LocalServer): string[] {
  return proxy.read("access.log").split("\n").filter(Boolean);
}
