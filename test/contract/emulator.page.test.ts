// The emulator's page and the control API as a browser meets them: nothing from outside, no foreign page, no secret. What
// the page shows is in test/browser.

import { createHash } from "node:crypto";
import { request } from "node:http";
import { type Emulator, startEmulator } from "../../emulator";

let emulator: Emulator;

beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
});

afterEach(() => emulator.close());

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  text: string;
}

/** fetch() does not let a test choose `Host` and `Origin`. */
function send(method: string, path: string, headers: Record<string, string> = {}, body?: unknown): Promise<Answer> {
  const content = body === undefined ? "" : JSON.stringify(body);
  const length = { "Content-Length": Buffer.byteLength(content) };
  return new Promise((resolve, reject) => {
    const sent = request(`${emulator.url}${path}`, { method, headers: { ...headers, ...length } }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
    });
    sent.on("error", reject);
    sent.end(content);
  });
}

describe("the page", () => {
  it("is one document with a policy that lets nothing in from outside", async () => {
    const { status, headers, text } = await send("GET", "/");
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    const policy = String(headers["content-security-policy"]);
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^ ;]+'; script-src 'sha256-[^ ;]+';/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(text.match(/(?:src|href|action)="[^#"]*"|url\(|@import|https?:\/\//g)).toEqual(['href="data:,"']);
    expect(text).not.toMatch(/\/\* (?:style\.css|client\.js) \*\//);
  });

  it("is no request of a service: no log, no fault rule", async () => {
    emulator.faults.add({ match: {}, status: 503 });
    expect((await send("HEAD", "/")).status).toBe(200);
    expect((await send("POST", "/")).status).toBe(404);
    expect(emulator.requests).toHaveLength(0);
  });
});

describe("foreign web pages", () => {
  const port = () => new URL(emulator.url).port;

  it.each(["evil.example", "evil.example:8776", "127.0.0.1.evil.example", "localhost.evil.example", "[::1].evil"])(
    "a name that can be rebound to this machine is refused: %s",
    async (host) => {
      for (const path of ["/", "/_emulator/state", "/_emulator/requests"]) {
        const { status, text } = await send("GET", path, { Host: host });
        expect([status, text]).toEqual([403, expect.stringContaining("is not a name of this emulator")]);
      }
    },
  );

  it.each(["127.0.0.1", "localhost:1", "[::1]:8776", "192.168.1.4", "emulator:8776", "x.localhost"])(
    "a name that cannot is let in: %s",
    async (host) => expect((await send("GET", "/_emulator/state", { Host: host })).status).toBe(200),
  );

  it.each([
    ["another site", { Origin: "https://evil.example" }],
    ["another port", { Origin: "http://127.0.0.1:1" }],
    ["another scheme", { Origin: "https://127.0.0.1" }],
    ["no origin that it tells", { Origin: "null" }],
    ["a site that hides its origin", { "Sec-Fetch-Site": "cross-site" }],
    ["a neighbour", { "Sec-Fetch-Site": "same-site" }],
  ])("%s may not write", async (_, headers) => {
    const rule = { match: {}, status: 503 };
    for (const [method, path] of [
      ["POST", "/faults"],
      ["DELETE", "/requests"],
      ["POST", "/tick"],
      ["POST", "/reset"],
      ["DELETE", "/tokens"],
    ] as const) {
      const { status, text } = await send(method, `/_emulator${path}`, headers, rule);
      expect([status, text]).toEqual([403, expect.stringContaining("may not control this emulator")]);
    }
    const state = JSON.parse((await send("GET", "/_emulator/state")).text) as { faults: unknown[] };
    expect(state.faults).toEqual([]);
  });

  it("the page itself and programs may", async () => {
    const own = { Origin: emulator.url, "Sec-Fetch-Site": "same-origin" };
    expect((await send("POST", "/_emulator/tick", own, { ms: 1 })).status).toBe(200);
    expect((await send("POST", "/_emulator/tick", {}, { ms: 1 })).status).toBe(200);
    const byName = { Host: `localhost:${port()}`, Origin: `http://localhost:${port()}` };
    expect((await send("POST", "/_emulator/tick", byName, { ms: 1 })).status).toBe(200);
  });

  it("a service is as open as the real one", async () => {
    expect((await send("GET", "/volume/", { Host: "cloud.example", Origin: "https://cloud.example" })).status).toBe(
      300,
    );
  });
});

describe("the log over HTTP", () => {
  const found = async (query: string) => {
    const { status, text } = await send("GET", `/_emulator/requests?${query}`);
    expect([status, text]).toEqual([200, expect.any(String)]);
    return JSON.parse(text) as { requests: { number: number; path: string }[]; matched: number; total: number };
  };

  it("filters, numbers and cuts off", async () => {
    await send("GET", "/compute/v2.1/nothing?NAME=x");
    await send("POST", "/volume/v3/nothing", {}, { volume: { name: "Weekly" } });
    await send("GET", "/volume/");
    const numbers = async (query: string) => (await found(query)).requests.map(({ number }) => number);
    expect(await numbers("service=cinder")).toEqual([2, 3]);
    expect(await numbers("method=post")).toEqual([2]);
    expect(await numbers("status=4xx")).toEqual([1, 2]);
    expect(await numbers("status=300")).toEqual([3]);
    expect(await numbers("text=weekly")).toEqual([2]);
    expect(await numbers("text=name%3Dx&service=nova")).toEqual([1]);
    expect(await found("last=1")).toMatchObject({ requests: [{ number: 3 }], matched: 3, total: 3 });
    expect(await found("last=0")).toMatchObject({ requests: [], matched: 3 });
    await send("DELETE", "/_emulator/requests");
    await send("GET", "/volume/");
    expect(await numbers("")).toEqual([4]);
  });

  it.each(["servise=cinder", "status=often", "status=6xx", "last=-1", "toString=x"])("refuses %s", async (query) => {
    expect((await send("GET", `/_emulator/requests?${query}`)).status).toBe(400);
  });
});

it("removes one rule by its id", async () => {
  emulator.faults.add({ match: { service: "nova" }, status: 503 });
  emulator.faults.add({ match: { service: "cinder" }, status: 503 });
  expect((await send("DELETE", "/_emulator/faults/fault-1")).status).toBe(200);
  expect((await send("DELETE", "/_emulator/faults/fault-1")).status).toBe(404);
  expect((await send("GET", "/volume/")).status).toBe(503);
  expect((await send("GET", "/compute/")).status).toBe(200);
});

it("shows no secret of any login, in the state, the log and the page", async () => {
  const secrets = ["keystone-7Hq", "vipr-7Hq", "zstack-7Hq", "plain-7Hq", "new-7Hq"];
  emulator.keystone.createUser({ name: "operator", password: "keystone-7Hq" });
  emulator.vipr.auth.addUser({ name: "keeper", password: "vipr-7Hq", role: "admin" });
  emulator.zstack.accounts.set("keeper", "zstack-7Hq");
  const asJson = { "Content-Type": "application/json" };

  for (const prefix of ["", "/powervc/openstack"]) {
    const identity = (methods: object) => ({ auth: { identity: methods } });
    const user = { name: "operator", password: "keystone-7Hq", domain: { id: "default" } };
    const body = identity({ methods: ["password"], password: { user } });
    const { headers, status } = await send("POST", `${prefix}/identity/v3/auth/tokens`, asJson, body);
    expect(status).toBe(201);
    const token = String(headers["x-subject-token"]);
    secrets.push(token);
    const again = await send(
      "POST",
      `${prefix}/identity/v3/auth/tokens`,
      asJson,
      identity({ methods: ["token"], token: { id: token } }),
    );
    expect(again.status).toBe(201);
    secrets.push(String(again.headers["x-subject-token"]));
    const [credential] = emulator.keystone.applicationCredentials.values();
    const application_credential = { id: credential?.id, secret: credential?.secret };
    secrets.push(String(credential?.secret));
    await send(
      "POST",
      `${prefix}/identity/v3/auth/tokens`,
      asJson,
      identity({ methods: ["application_credential"], application_credential }),
    );
    await send("POST", `${prefix}/identity/v3/auth/tokens`, {}, "no JSON with a secret plain-7Hq");
    await send("POST", `${prefix}/identity/v3/users/x/password`, asJson, {
      user: { original_password: "keystone-7Hq", password: "new-7Hq" },
    });
  }

  const basic = { Authorization: `Basic ${Buffer.from("keeper:vipr-7Hq").toString("base64")}` };
  const vipr = await send("GET", "/vipr/login", basic);
  secrets.push(String(vipr.headers["x-sds-auth-token"]), basic.Authorization.slice(6));

  const password = createHash("sha512").update("zstack-7Hq").digest("hex");
  const login = { logInByAccount: { accountName: "keeper", password } };
  const zstack = await send("PUT", "/zstack/v1/accounts/login", asJson, login);
  const session = (JSON.parse(zstack.text) as { inventory: { uuid: string } }).inventory.uuid;
  secrets.push(session, password);
  expect((await send("GET", `/zstack/v1/accounts/sessions/${session}/valid`)).status).toBe(200);
  await send("DELETE", `/zstack/v1/accounts/sessions/${session}`, { Authorization: `OAuth ${session}` });

  expect(secrets.filter((secret) => secret === "" || secret === "undefined")).toEqual([]);
  for (const path of ["/", "/_emulator/state", "/_emulator/requests", "/_emulator/coverage"]) {
    const { text } = await send("GET", path);
    expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
  }
});
