import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import type { SnapcloneError } from "../../../provider/core/errors";
import { HttpClient } from "../../../provider/core/http/client";
import { type Environment, proxyFor } from "../../../provider/core/http/proxy";
import { type Clock, systemClock } from "../../../provider/core/util/clock";

const P = "http://proxy:3128";

/** What is asked for, the variables, and the proxy's origin; undefined is a direct connection. */
const decisions: [string, Environment, string | undefined][] = [
  ["http://cinder/v3", { http_proxy: P }, P],
  ["https://cinder/v3", { http_proxy: P }, undefined],
  ["http://cinder/v3", { https_proxy: P }, undefined],
  ["https://cinder/v3", { https_proxy: P }, P],
  ["https://cinder/v3", { HTTPS_PROXY: P }, P],
  ["http://cinder/v3", { HTTP_PROXY: P }, P],
  ["http://cinder/v3", { HTTP_PROXY: P, REQUEST_METHOD: "GET" }, undefined],
  ["http://cinder/v3", { http_proxy: P, REQUEST_METHOD: "GET" }, P],
  ["https://cinder/v3", { https_proxy: P, HTTPS_PROXY: "http://other:1" }, P],
  ["https://cinder/v3", { https_proxy: "", HTTPS_PROXY: P }, undefined],
  ["https://cinder/v3", { all_proxy: P }, P],
  ["http://cinder/v3", { ALL_PROXY: P }, P],
  ["https://cinder/v3", { https_proxy: P, all_proxy: "http://other:1" }, P],
  // Without a scheme, and with every part that an address can have.
  ["https://cinder/v3", { https_proxy: "proxy:3128" }, P],
  ["https://cinder/v3", { https_proxy: "10.0.0.1:3128" }, "http://10.0.0.1:3128"],
  ["https://cinder/v3", { https_proxy: "proxy" }, "http://proxy"],
  ["https://cinder/v3", { https_proxy: " http://proxy:3128/ " }, P],
  ["https://cinder/v3", { https_proxy: "user:pass@proxy:3128" }, P],
  ["https://cinder/v3", { https_proxy: "https://proxy:3129" }, "https://proxy:3129"],
  ["https://cinder/v3", { https_proxy: "http://[::1]:3128" }, "http://[::1]:3128"],
  // no_proxy: hosts and suffixes.
  ["https://cinder/v3", { https_proxy: P, no_proxy: "cinder" }, undefined],
  ["https://CINDER/v3", { https_proxy: P, NO_PROXY: "cinder" }, undefined],
  ["https://cinder/v3", { https_proxy: P, NO_PROXY: "Cinder" }, undefined],
  ["https://cinder/v3", { https_proxy: P, no_proxy: "keystone, cinder" }, undefined],
  ["https://cinder/v3", { https_proxy: P, no_proxy: "keystone cinder" }, undefined],
  ["https://cinder/v3", { https_proxy: P, no_proxy: "", NO_PROXY: "cinder" }, undefined],
  ["https://cinder/v3", { https_proxy: P, no_proxy: "keystone", NO_PROXY: "cinder" }, P],
  ["https://cinder.example.com/v3", { https_proxy: P, no_proxy: "example.com" }, undefined],
  ["https://cinder.example.com/v3", { https_proxy: P, no_proxy: ".example.com" }, undefined],
  ["https://example.com/v3", { https_proxy: P, no_proxy: ".example.com" }, undefined],
  ["https://badexample.com/v3", { https_proxy: P, no_proxy: "example.com" }, P],
  ["https://example.com.evil/v3", { https_proxy: P, no_proxy: "example.com" }, P],
  ["https://cinder.example.com./v3", { https_proxy: P, no_proxy: "example.com" }, undefined],
  // Ports.
  ["https://cinder:8776/v3", { https_proxy: P, no_proxy: "cinder" }, undefined],
  ["https://cinder:8776/v3", { https_proxy: P, no_proxy: "cinder:8776" }, undefined],
  ["https://cinder:8777/v3", { https_proxy: P, no_proxy: "cinder:8776" }, P],
  ["https://a.cinder:8776/v3", { https_proxy: P, no_proxy: ".cinder:8776" }, undefined],
  ["https://cinder/v3", { https_proxy: P, no_proxy: "cinder:443" }, undefined],
  ["http://127.0.0.1:8776/v3", { http_proxy: P, no_proxy: "127.0.0.1:8776" }, undefined],
  ["http://127.0.0.1:8777/v3", { http_proxy: P, no_proxy: "127.0.0.1:8776" }, P],
  // Everything.
  ["https://cinder/v3", { https_proxy: P, no_proxy: "*" }, undefined],
  ["http://[::1]/v3", { http_proxy: P, no_proxy: "*" }, undefined],
  ["https://cinder/v3", { https_proxy: P, no_proxy: "localhost,*" }, P],
  // Addresses and networks.
  ["http://10.1.2.3/v3", { http_proxy: P, no_proxy: "10.1.2.3" }, undefined],
  ["http://10.1.2.3/v3", { http_proxy: P, no_proxy: "10.0.0.0/8" }, undefined],
  ["http://10.1.2.3/v3", { http_proxy: P, no_proxy: "10.1.2.0/24" }, undefined],
  ["http://10.1.3.3/v3", { http_proxy: P, no_proxy: "10.1.2.0/24" }, P],
  ["http://10.1.2.3/v3", { http_proxy: P, no_proxy: "10.1.2.9/24" }, undefined],
  ["http://10.1.2.3/v3", { http_proxy: P, no_proxy: "10.0.0.0/33" }, P],
  ["http://10.1.2.3/v3", { http_proxy: P, no_proxy: "10.0.0.0/0" }, P],
  ["http://10.1.2.3/v3", { http_proxy: P, no_proxy: "2.3" }, P],
  ["http://[::1]:9292/v3", { http_proxy: P, no_proxy: "::1" }, undefined],
  ["http://[::1]:9292/v3", { http_proxy: P, no_proxy: "[::1]" }, undefined],
  ["http://[::1]:9292/v3", { http_proxy: P, no_proxy: "[::1]:9292" }, undefined],
  ["http://[::1]:9293/v3", { http_proxy: P, no_proxy: "[::1]:9292" }, P],
  ["http://[2001:db8::5]/v3", { http_proxy: P, no_proxy: "2001:db8::/32" }, undefined],
  ["http://[2001:db9::5]/v3", { http_proxy: P, no_proxy: "2001:db8::/32" }, P],
  ["http://[2001:db8:0:0::5]/v3", { http_proxy: P, no_proxy: "2001:DB8::5" }, undefined],
  ["http://10.1.2.3/v3", { http_proxy: P, no_proxy: "::/1" }, P],
  ["http://cinder/v3", { http_proxy: P, no_proxy: "10.0.0.0/8,,cinder.other," }, P],
  ["http://cinder/v3", { no_proxy: "cinder" }, undefined],
];

test.each(decisions)("%s with %j goes to %s", (url, env, origin) => {
  expect(proxyFor(url, env)?.origin).toBe(origin);
});

test.each([
  ["user:pass@proxy:3128", "user:pass"],
  ["http://user:p%40ss%2Fw%3Ard@proxy:3128", "user:p@ss/w:rd"],
  ["http://user@proxy:3128", "user:"],
  ["http://us%er:100%@proxy", "us%er:100%"],
])("the credentials in %s", (value, credentials) => {
  const { authorization = "", origin } = proxyFor("https://cinder/", { https_proxy: value }) ?? {};
  expect(Buffer.from(authorization.replace("Basic ", ""), "base64").toString()).toBe(credentials);
  expect(origin).not.toContain("user");
});

test.each(["http://", "http://proxy:port", "http://user:pa#ss@proxy:3128", "socks5://proxy:1080", "ftp://proxy"])(
  "%s is refused by the variable's name, and not shown",
  (value) => {
    const ask = () => proxyFor("https://cinder/", { HTTPS_PROXY: value });
    expect(ask).toThrow(/the environment variable HTTPS_PROXY is/);
    expect(ask).not.toThrow(/pa#ss/);
    // What does not need it does not stumble over it.
    expect(proxyFor("http://cinder/", { HTTPS_PROXY: value })).toBeUndefined();
    expect(proxyFor("https://cinder/", { HTTPS_PROXY: value, no_proxy: "cinder" })).toBeUndefined();
  },
);

describe("on the wire", () => {
  const slept: number[] = [];
  const clock: Clock = { ...systemClock, sleep: async (ms) => void slept.push(ms) };
  const seen: { method: string; url: string; headers: IncomingMessage["headers"] }[] = [];
  const closing: (() => void)[] = [];

  afterEach(() => {
    for (const close of closing.splice(0)) close();
    seen.length = slept.length = 0;
  });

  const listen = async (server: Server | ReturnType<typeof createTcpServer>) => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => server.close());
    return (server.address() as AddressInfo).port;
  };

  /** Answers what is sent to it in absolute form, and CONNECT, with this. */
  const proxyThat = async (status: number, headers: Record<string, string> = {}) => {
    const server = createServer(({ method = "", url = "", headers: sent }, response) => {
      seen.push({ method, url, headers: sent });
      response.writeHead(status, { connection: "close", ...headers }).end("{}");
    });
    server.on("connect", ({ method = "", url = "", headers: sent }, socket) => {
      seen.push({ method, url, headers: sent });
      const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.on("error", () => {});
      socket.end(`HTTP/1.1 ${status} No\r\n${extra.join("")}\r\n`);
    });
    return listen(server);
  };

  const ask = async (url: string, env: Environment, method: "GET" | "POST" = "POST") => {
    const http = new HttpClient({ clock, env, connectMs: 2_000, attemptMs: 3_000 });
    closing.push(() => void http.close());
    return http.request({ method, url, service: "Cinder", headers: { "x-auth-token": "t0ken" } });
  };

  const failure = async (work: Promise<unknown>): Promise<SnapcloneError["parts"]> =>
    work.then(
      () => {
        throw new Error("it did not fail");
      },
      (error: SnapcloneError) => error.parts,
    );

  test("plain http is forwarded in absolute form, with the server's Host and the proxy's credentials", async () => {
    const port = await proxyThat(200);
    await ask("http://cinder.invalid:8776/v3/x?a=1", { http_proxy: `ann:s%20cret@127.0.0.1:${port}` });
    expect(seen).toMatchObject([{ method: "POST", url: "http://cinder.invalid:8776/v3/x?a=1" }]);
    expect(seen[0]?.headers).toMatchObject({
      host: "cinder.invalid:8776",
      "x-auth-token": "t0ken",
      "proxy-authorization": `Basic ${Buffer.from("ann:s cret").toString("base64")}`,
    });
  });

  test("https goes through CONNECT, and neither headers nor path reach the proxy", async () => {
    const port = await proxyThat(503);
    await failure(ask("https://cinder.invalid/v3/x", { https_proxy: `http://ann:secret@127.0.0.1:${port}` }, "GET"));
    expect(seen[0]).toMatchObject({ method: "CONNECT", url: "cinder.invalid:443" });
    expect(seen[0]?.headers["x-auth-token"]).toBeUndefined();
    expect(seen[0]?.headers["proxy-authorization"]).toBe(`Basic ${Buffer.from("ann:secret").toString("base64")}`);
  });

  test("a connection through CONNECT carries the request", async () => {
    const server = createServer((_request, response) => response.end("{}"));
    const target = await listen(server);
    const proxy = createServer().on("connect", ({ url = "" }, socket) => {
      seen.push({ method: "CONNECT", url, headers: {} });
      const through = connect(target, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        socket.pipe(through).pipe(socket);
      });
      for (const end of [socket, through]) end.on("error", () => {});
    });
    const port = await listen(proxy);
    // The server speaks no TLS: the handshake through the tunnel says so.
    const parts = await failure(ask("https://cinder.invalid:8776/v3", { https_proxy: `127.0.0.1:${port}` }));
    expect(parts).toMatchObject({ kind: "config", message: expect.stringContaining("does not speak TLS") });
    expect(seen).toMatchObject([{ url: "cinder.invalid:8776" }]);
  });

  test.each([
    ["https", 407, {}, "config", 1],
    ["https", 403, { "x-squid-error": "ERR_ACCESS_DENIED 0" }, "config", 1],
    ["https", 503, {}, "transient", 3],
    ["http", 407, {}, "config", 1],
    ["http", 403, { "x-squid-error": "ERR_ACCESS_DENIED 0" }, "config", 1],
    ["https", 401, { server: "tinyproxy/1.11.1" }, "config", 1],
    ["https", 500, { server: "tinyproxy/1.11.1" }, "transient", 3],
    ["http", 401, { server: "tinyproxy/1.11.1" }, "config", 1],
    ["http", 403, { server: "tinyproxy/1.11.1" }, "config", 1],
    ["http", 500, { server: "tinyproxy/1.11.1" }, "transient", 3],
    ["http", 503, { "x-squid-error": "ERR_CONNECT_FAIL 111" }, "transient", 3],
    ["http", 502, { "proxy-status": "edge; error=destination_unavailable" }, "transient", 3],
  ] as const)(
    "%s, and the proxy answers %d %j: not sent, by its name and status",
    async (scheme, status, headers, kind, times) => {
      const port = await proxyThat(status, headers);
      const env = { [`${scheme}_proxy`]: `http://ann:secret@127.0.0.1:${port}` };
      const parts = await failure(ask(`${scheme}://cinder.invalid/v3`, env));
      expect(parts.kind).toBe(kind);
      expect(parts.message).toContain(`the proxy http://127.0.0.1:${port} (${scheme}_proxy)`);
      expect(parts.message).toContain(`(${status}`);
      expect(parts.message).toContain("nothing was sent");
      expect(JSON.stringify(parts)).not.toContain("ann");
      expect(seen).toHaveLength(times);
    },
  );

  test.each([
    [503, {}],
    [503, { server: "tinyproxy/1.11.1" }],
    [504, { "x-squid-error": "ERR_READ_TIMEOUT 0" }],
    [502, { "x-squid-error": "ERR_ZERO_SIZE_OBJECT 0" }],
    [502, { "proxy-status": "edge; error=connection_read_timeout" }],
  ])("%d %j behind a forwarding proxy may have been carried out", async (status, headers) => {
    const port = await proxyThat(status, headers as Record<string, string>);
    const parts = await failure(ask("http://cinder.invalid/v3", { http_proxy: `127.0.0.1:${port}` }));
    expect(parts).toMatchObject({ kind: "ambiguous", status });
    expect(seen).toHaveLength(1);
  });

  test.each(["http", "https"])(
    "%s: a proxy that nobody listens at is named, and nothing is ambiguous",
    async (scheme) => {
      const parts = await failure(ask(`${scheme}://cinder.invalid/`, { all_proxy: "http://ann:secret@127.0.0.1:1" }));
      expect(parts).toMatchObject({
        kind: "transient",
        message: "the proxy http://127.0.0.1:1 (all_proxy), the way to Cinder, cannot be reached (ECONNREFUSED)",
      });
    },
  );

  test("a proxy that closes instead of an answer to CONNECT is not sent either", async () => {
    const port = await listen(createTcpServer((socket) => socket.destroy()));
    const parts = await failure(ask("https://cinder.invalid/", { https_proxy: `127.0.0.1:${port}` }));
    expect(parts).toMatchObject({
      kind: "transient",
      message: expect.stringContaining("cannot be reached (ECONNRESET)"),
    });
  });
});
