// KeystoneSession against responses that a test writes.

import fc from "fast-check";
import { z } from "zod";
import { type ErrorKind, SnapcloneError } from "../../../provider/core/errors";
import type { OpenStackSettings } from "../../../provider/openstack/connection";
import { KeystoneSession } from "../../../provider/openstack/keystone";
import {
  type Call,
  type Cloud,
  fakeClock,
  isLogin,
  PROJECT,
  type Reply,
  settingsFor,
  startCloud,
  tokenReply,
} from "./openstackContext";

const UNAUTHORIZED: Reply = {
  status: 401,
  headers: { "www-authenticate": 'Keystone uri="http://127.0.0.1:5000/v3"' },
  body: { error: { code: 401, message: "The request you have made requires authentication.", title: "Unauthorized" } },
};

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function cloudOf(answer: (call: Call, cloud: () => Cloud) => Reply | Promise<Reply>): Promise<Cloud> {
  const cloud: Cloud = await startCloud((call) => answer(call, () => cloud));
  endings.push(() => cloud.close());
  return cloud;
}

function sessionOf(cloud: Cloud, changes: Partial<OpenStackSettings> = {}, clock = fakeClock()): KeystoneSession {
  const session = new KeystoneSession(settingsFor(cloud.url, changes), { clock });
  endings.unshift(() => session.close());
  return session;
}

const override = (cloud: Cloud) => ({ endpointOverride: { blockStorage: `${cloud.url}/v3` } });
const logins = (cloud: Cloud) => cloud.calls.filter(isLogin).length;
const ask = (session: KeystoneSession, signal?: AbortSignal) =>
  session.request("blockStorage", { method: "GET", path: "/things", schema: z.unknown(), signal });

async function failure(work: Promise<unknown>): Promise<SnapcloneError> {
  const error: unknown = await work.then(
    () => new Error("it went well"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof SnapcloneError)) throw error;
  return error;
}

describe("shared logins", () => {
  it("login: 50 first calls share one", async () => {
    const cloud = await cloudOf(() => tokenReply("token-1"));
    const session = sessionOf(cloud);
    expect(new Set(await Promise.all(Array.from({ length: 50 }, () => session.token())))).toEqual(new Set(["token-1"]));
    expect(logins(cloud)).toBe(1);
  });

  it("login: 50 requests that are answered with 401 share one more, and each is repeated once", async () => {
    let issued = 0;
    const cloud = await cloudOf((call) => {
      if (isLogin(call)) return tokenReply(`token-${++issued}`);
      return call.headers["x-auth-token"] === "token-1" ? UNAUTHORIZED : { body: {} };
    });
    const session = sessionOf(cloud, override(cloud));
    await Promise.all(Array.from({ length: 50 }, () => ask(session)));
    expect(issued).toBe(2);
    const sent = cloud.calls.filter((call) => call.path === "/v3/things").map((call) => call.headers["x-auth-token"]);
    expect(sent.filter((token) => token === "token-2")).toHaveLength(50);
    expect(sent.filter((token) => token === "token-1").length).toBeLessThanOrEqual(50);
  });

  it("login: the receipt of a first factor is reported as such", async () => {
    const cloud = await cloudOf(() => ({
      status: 401,
      headers: { "openstack-auth-receipt": "gAAAAAreceipt-of-the-first-factor" },
      body: { receipt: { methods: ["password"] }, required_auth_methods: [["password", "totp"]] },
    }));
    const error = await failure(sessionOf(cloud).token());
    expect(error.kind).toBe("unauthorized");
    expect(error.message).toContain("must sign in with more than one factor: password and totp");
    expect(error.message).toContain("application credential");
    expect(error.message).not.toContain("receipt-of-the-first");
    expect(logins(cloud)).toBe(1);
  });

  it("request: an application credential's access rules are named if a service refuses a new token", async () => {
    const cloud = await cloudOf((call) => (isLogin(call) ? tokenReply("token-x") : UNAUTHORIZED));
    const auth = { method: "applicationCredential", id: "i", secret: "app-secret" } as const;
    const error = await failure(ask(sessionOf(cloud, { ...override(cloud), auth })));
    expect(error.message).toContain("none of them allows GET /things");
  });

  it("login: after a rate limit it is repeated when the server allows it", async () => {
    let asked = 0;
    const clock = fakeClock();
    const cloud = await cloudOf(() => {
      asked += 1;
      return asked < 5 ? { status: 429, headers: { "retry-after": "30" }, body: {} } : tokenReply("token-1");
    });
    expect(await sessionOf(cloud, {}, clock).token()).toBe("token-1");
    expect(asked).toBe(5);
  });

  it("request: a 401 for a new token is final", async () => {
    const cloud = await cloudOf((call) => (isLogin(call) ? tokenReply("token-x") : UNAUTHORIZED));
    const error = await failure(ask(sessionOf(cloud, override(cloud))));
    expect(error.kind).toBe("unauthorized");
    expect(error.message).toContain("Keystone issued this token a moment ago");
    expect(logins(cloud)).toBe(2);
    expect(cloud.count("GET", /things/)).toBe(2);
  });

  it("login: a caller that aborts does not end the login of the others", async () => {
    let release: (reply: Reply) => void = () => undefined;
    const held = new Promise<Reply>((resolve) => {
      release = resolve;
    });
    const cloud = await cloudOf(() => held);
    const session = sessionOf(cloud);
    const stop = new AbortController();
    const impatient = failure(session.token(stop.signal));
    const patient = session.token();
    stop.abort();
    expect((await impatient).kind).toBe("stopped");
    release(tokenReply("token-1"));
    expect(await patient).toBe("token-1");
    expect((await failure(session.token(AbortSignal.abort()))).kind).toBe("stopped");
    expect((await failure(ask(session, AbortSignal.abort()))).kind).toBe("stopped");
    expect(logins(cloud)).toBe(1);
  });
});

describe("a failed login", () => {
  it("login: a refused credential is not tried again in the run, so that no account is locked", async () => {
    const clock = fakeClock();
    const cloud = await cloudOf(() => UNAUTHORIZED);
    const session = sessionOf(cloud, {}, clock);
    const first = await Promise.all(Array.from({ length: 20 }, () => failure(session.token())));
    clock.advance(24 * 3_600_000);
    expect((await failure(session.token())).message).toBe(first[0]?.message);
    expect(logins(cloud)).toBe(1);
  });

  it("login: is tried again after a moment if there was no usable response", async () => {
    const clock = fakeClock();
    const unanswered: Reply[] = [
      { status: 503, body: "" },
      { status: 503, body: "" },
      { status: 503, body: "" },
    ];
    const replies: Reply[] = [...unanswered, "reset", "reset", "reset", { status: 201, body: "<html>" }];
    const cloud = await cloudOf(() => replies.shift() ?? tokenReply("token-1"));
    const session = sessionOf(cloud, {}, clock);
    const kinds: ErrorKind[] = [];
    for (let i = 0; i < 3; i += 1) {
      // Never "ambiguous": a login changes nothing, and the create that needs it must not search for a snapshot.
      kinds.push((await failure(session.token())).kind, (await failure(session.token())).kind);
      clock.advance(2_001);
    }
    expect(kinds).toEqual(["transient", "transient", "transient", "transient", "malformed", "malformed"]);
    // HttpClient sends a login three times if there is no response. The second caller sends none.
    expect(logins(cloud)).toBe(7);
    expect(await session.token()).toBe("token-1");
  });

  it("login: is repeated at once after a 503 and a reset, since it changes nothing", async () => {
    const replies: Reply[] = [{ status: 503, body: "" }, "reset"];
    const cloud = await cloudOf(() => replies.shift() ?? tokenReply("token-1"));
    expect(await sessionOf(cloud).token()).toBe("token-1");
    expect(logins(cloud)).toBe(3);
  });

  it("login: a closed port is reported after some pauses", async () => {
    const cloud = await startCloud(() => "hang");
    await cloud.close();
    const clock = fakeClock();
    const before = clock.now();
    const error = await failure(sessionOf(cloud, {}, clock).token());
    expect([error.kind, error.message]).toEqual(["transient", expect.stringContaining("ECONNREFUSED")]);
    expect(clock.now()).toBeGreaterThan(before);
  });
});

describe("token lifetime", () => {
  const HOUR = 3_600_000;
  const lives: [string, Reply, number][] = [
    ["issued_at and expires_at", tokenReply("t"), HOUR - 120_000],
    [
      "a server whose clock is years behind",
      tokenReply("t", { issued_at: "1999-01-01T00:00:00Z", expires_at: "1999-01-01T00:10:00Z" }),
      480_000,
    ],
    [
      "the Date header, where issued_at is missing",
      tokenReply("t", { issued_at: undefined }, { date: "Sat, 21 Nov 2026 01:30:00 GMT" }),
      HOUR / 2 - 120_000,
    ],
    ["a life below twice the margin", tokenReply("t", { expires_at: "2026-11-21T01:02:00.000000Z" }), 60_000],
  ];
  it.each(lives)("token: its lifetime is measured by %s", async (_name, reply, renewal) => {
    const clock = fakeClock();
    const cloud = await cloudOf(() => reply);
    const session = sessionOf(cloud, {}, clock);
    await session.token();
    clock.advance(renewal - 1);
    await session.token();
    expect(logins(cloud)).toBe(1);
    clock.advance(1);
    await Promise.all([session.token(), session.token()]);
    expect(logins(cloud)).toBe(2);
  });

  it("token: without readable times it lasts until a service answers 401", async () => {
    const clock = fakeClock();
    const cloud = await cloudOf(() => tokenReply("t", { issued_at: "?", expires_at: "?" }));
    const session = sessionOf(cloud, {}, clock);
    await session.token();
    clock.advance(1_000 * HOUR);
    await session.token();
    expect(logins(cloud)).toBe(1);
  });

  it("token: is used to its end if Keystone cannot be reached for the renewal", async () => {
    const clock = fakeClock();
    let away = false;
    const cloud = await cloudOf(() => (away ? { status: 503, body: "" } : tokenReply("t")));
    const session = sessionOf(cloud, {}, clock);
    await session.token();
    away = true;
    clock.advance(HOUR - 60_000);
    expect(await session.token()).toBe("t");
    clock.advance(60_000);
    expect((await failure(session.token())).kind).toBe("transient");
  });

  it("token: cannot be renewed if the credential is a token", async () => {
    const clock = fakeClock();
    let good = true;
    const unknown = { status: 404, body: { error: { code: 404, message: "Could not recognize Fernet token" } } };
    const cloud = await cloudOf(() => (good ? tokenReply("scoped") : unknown));
    const session = sessionOf(cloud, { auth: { method: "token", token: "given", scope: "unscoped" } }, clock);
    await session.token();
    clock.advance(HOUR - 1);
    good = false;
    await session.token();
    clock.advance(1);
    const error = await failure(session.token());
    expect([error.kind, error.message]).toEqual(["unauthorized", expect.stringContaining("cannot be renewed")]);
  });
});

describe("requests", () => {
  const domain = { name: "Default" };
  const user = { name: "admin", domain };
  const password = { method: "password", user, password: "correct horse" } as const;
  const byPassword = { methods: ["password"], password: { user: { ...user, password: "correct horse" } } };
  const cases: [string, OpenStackSettings["auth"], unknown][] = [
    [
      "password, project by name",
      { ...password, scope: { project: { name: "p", domain } } },
      { identity: byPassword, scope: { project: { name: "p", domain } } },
    ],
    [
      "password, user and project by id",
      { ...password, user: { id: "u" }, scope: { project: { id: "p" } } },
      {
        identity: { methods: ["password"], password: { user: { id: "u", password: "correct horse" } } },
        scope: { project: { id: "p" } },
      },
    ],
    ["domain", { ...password, scope: { domain } }, { identity: byPassword, scope: { domain } }],
    ["system", { ...password, scope: { system: true } }, { identity: byPassword, scope: { system: { all: true } } }],
    ["unscoped", { ...password, scope: "unscoped" }, { identity: byPassword, scope: "unscoped" }],
    [
      "application credential by id, never a scope",
      { method: "applicationCredential", id: "ac", secret: "shh-secret" },
      { identity: { methods: ["application_credential"], application_credential: { id: "ac", secret: "shh-secret" } } },
    ],
    [
      "application credential by name",
      { method: "applicationCredential", name: "ci", user, secret: "shh-secret" },
      {
        identity: {
          methods: ["application_credential"],
          application_credential: { name: "ci", user, secret: "shh-secret" },
        },
      },
    ],
    [
      "token",
      { method: "token", token: "given", scope: { project: { id: "p" } } },
      { identity: { methods: ["token"], token: { id: "given" } }, scope: { project: { id: "p" } } },
    ],
  ];
  it.each(cases)("login: sends the body for %s", async (_name, auth, expected) => {
    const cloud = await cloudOf(() => tokenReply("t"));
    await sessionOf(cloud, { auth }).token();
    expect(cloud.calls[0]?.path).toBe("/v3/auth/tokens");
    expect(cloud.calls[0]?.body).toEqual({ auth: expected });
  });

  it("request: goes to no other origin than the endpoint's, and follows no redirect", async () => {
    const elsewhere = await cloudOf(() => ({ body: {} }));
    const cloud = await cloudOf((call) =>
      isLogin(call) ? tokenReply("t") : { status: 302, headers: { location: `${elsewhere.url}/x` }, body: {} },
    );
    const session = sessionOf(cloud, override(cloud));
    const foreign = session.request("blockStorage", { method: "GET", path: "/x", base: elsewhere.url });
    expect((await failure(foreign)).kind).toBe("config");
    expect((await failure(ask(session))).kind).toBe("malformed");
    const moved = await cloudOf(() => ({ status: 301, headers: { location: `${elsewhere.url}/v3` }, body: "" }));
    const error = await failure(sessionOf(moved).token());
    expect([error.kind, error.message]).toEqual(["config", expect.stringContaining("redirect")]);
    expect(elsewhere.calls).toEqual([]);
  });

  it("error: contains no secret", async () => {
    const cloud = await cloudOf((call) =>
      isLogin(call) ? tokenReply("opaque-token-77") : { status: 400, body: `no: ${call.headers["x-auth-token"]}` },
    );
    expect((await failure(ask(sessionOf(cloud, override(cloud))))).message).not.toContain("opaque-token-77");
    const echo = await cloudOf((call) => ({ status: 400, body: { error: { message: JSON.stringify(call.body) } } }));
    const { message } = await failure(sessionOf(echo).token());
    expect(message).toContain("[redacted]");
    expect(message).not.toContain("correct horse");
  });
});

describe("the catalogue", () => {
  type Row = { type: string; endpoints: object[] };
  const at = (url: string, more: object = {}) => ({
    interface: "public",
    region_id: "R1",
    url: `http://${url}`,
    ...more,
  });
  const found: [string, Row[], Partial<OpenStackSettings>, string][] = [
    ["the project's usual one", [{ type: "volumev3", endpoints: [at("a/v3/p/")] }], {}, "http://a/v3/p"],
    [
      "block-storage before volumev3 before volume",
      [
        { type: "volume", endpoints: [at("c")] },
        { type: "volumev3", endpoints: [at("b")] },
        { type: "block-storage", endpoints: [at("a")] },
      ],
      {},
      "http://a",
    ],
    ["PowerVC's volume", [{ type: "volume", endpoints: [at("c")] }], {}, "http://c"],
    [
      "the type asked for before any other",
      [
        { type: "block-storage", endpoints: [at("a")] },
        { type: "volumev3", endpoints: [at("b")] },
      ],
      { serviceType: { blockStorage: "volumev3" } },
      "http://b",
    ],
    [
      "the others when the type asked for is not there",
      [{ type: "volumev3", endpoints: [at("b")] }],
      { serviceType: { blockStorage: "block-store" } },
      "http://b",
    ],
    [
      "past a twin without endpoints",
      [
        { type: "volumev3", endpoints: [] },
        { type: "volumev3", endpoints: [at("b")] },
      ],
      {},
      "http://b",
    ],
    [
      "the interface asked for, in either spelling",
      [{ type: "volumev3", endpoints: [at("a"), at("b", { interface: "internalURL" })] }],
      { interface: "internal" },
      "http://b",
    ],
    [
      "the region asked for, by region_id",
      [{ type: "volumev3", endpoints: [at("a"), at("b", { region_id: "R2" })] }],
      { region: "R2" },
      "http://b",
    ],
    [
      "the region asked for, by region",
      [{ type: "volumev3", endpoints: [at("a"), at("b", { region_id: undefined, region: "R2" })] }],
      { region: "R2" },
      "http://b",
    ],
    [
      "the service's own region and interface before the connection's",
      [{ type: "volumev3", endpoints: [at("a"), at("b", { region_id: "R2", interface: "admin" })] }],
      { region: "R1", serviceRegion: { blockStorage: "R2" }, serviceInterface: { blockStorage: "admin" } },
      "http://b",
    ],
    ["without regions at all", [{ type: "volumev3", endpoints: [at("a", { region_id: null })] }], {}, "http://a"],
    [
      "not at all when there is an override",
      [{ type: "volumev3", endpoints: [at("a")] }],
      { endpointOverride: { blockStorage: "https://mine:9000/v3/" } },
      "https://mine:9000/v3",
    ],
    [
      "the project for an override",
      [],
      { endpointOverride: { blockStorage: "https://mine:9000/v3/%(project_id)s" } },
      `https://mine:9000/v3/${PROJECT}`,
    ],
  ];
  it.each(found)("catalogue: finds %s", async (_name, catalog, changes, url) => {
    const cloud = await cloudOf(() => tokenReply("t", { catalog }));
    expect(await sessionOf(cloud, changes).endpoint("blockStorage")).toBe(url);
  });

  const missing: [string, Row[], Partial<OpenStackSettings>, string[]][] = [
    [
      "a region that is not there",
      [{ type: "volumev3", endpoints: [at("a")] }],
      { region: "R9" },
      ['region "R9"', "volumev3 (public, R1)"],
    ],
    [
      "an interface that is not there",
      [{ type: "volumev3", endpoints: [at("a")] }],
      { interface: "admin" },
      ['interface "admin"', "volumev3 (public, R1)"],
    ],
    [
      "no such service",
      [{ type: "identity", endpoints: [at("k")] }],
      {},
      ["block-storage, volumev3, volume", "identity"],
    ],
    ["an empty catalogue", [], {}, ["no service at all"]],
    [
      "two regions and none asked for",
      [{ type: "volumev3", endpoints: [at("a"), at("b", { region_id: "R2" })] }],
      {},
      ["R1, R2", "Set the region"],
    ],
    ["an address that is none", [{ type: "volumev3", endpoints: [at("a", { url: "%(x)s" })] }], {}, ["%(x)s"]],
    ["an override that is none", [], { endpointOverride: { blockStorage: "cinder:8776" } }, ["cinder:8776"]],
  ];
  it.each(missing)("catalogue: the error lists what there is: %s", async (_name, catalog, changes, texts) => {
    const cloud = await cloudOf(() => tokenReply("t", { catalog }));
    const error = await failure(sessionOf(cloud, changes).endpoint("blockStorage"));
    expect(error.kind).toBe("config");
    for (const text of [...texts, "clouds.yaml"]) expect(error.message).toContain(text);
  });

  const scopes: [string, "unscoped" | { system: true } | { domain: { id: string } }][] = [
    ["has no scope", "unscoped"],
    ["the whole system", { system: true }],
    ["a domain", { domain: { id: "default" } }],
  ];
  it.each(scopes)("catalogue: the error says what the scope is without a project: %s", async (text, scope) => {
    const cloud = await cloudOf(() => tokenReply("t", { project: undefined }));
    const auth = { method: "password", user: { id: "u" }, password: "correct horse", scope } as const;
    const session = sessionOf(cloud, { auth });
    for (const work of [session.projectId(), session.endpoint("blockStorage")]) {
      const error = await failure(work);
      expect([error.kind, error.message]).toEqual(["config", expect.stringContaining(text)]);
    }
  });

  it("token: names project and user", async () => {
    const session = sessionOf(await cloudOf(() => tokenReply("t")));
    expect([await session.projectId(), await session.userId()]).toEqual([PROJECT, "u1"]);
  });
});

describe("errors (docs/wire/openstack.md#c2)", () => {
  const error = (code: number, message: string, more: object = {}) => ({
    status: code,
    body: { error: { code, message, title: "T", ...more } },
  });
  const appCredential = { auth: { method: "applicationCredential", id: "nope", secret: "shh-secret" } } as const;
  const token = { auth: { method: "token", token: "gAAAAbogus", scope: "unscoped" } } as const;
  const cases: [string, Reply, Partial<OpenStackSettings>, ErrorKind, string][] = [
    ["wrong password", UNAUTHORIZED, {}, "unauthorized", "wrong password, an unknown or disabled user"],
    ["wrong secret", UNAUTHORIZED, appCredential, "unauthorized", "id (or name and user) and secret"],
    [
      "unknown application credential",
      error(404, "Could not find Application Credential: nope."),
      appCredential,
      "unauthorized",
      "Could not find Application Credential: nope.",
    ],
    ["bad token", error(404, "Could not recognize Fernet token"), token, "unauthorized", "cannot be renewed"],
    [
      "unknown method",
      error(401, "Attempted to authenticate with an unsupported method.", { identity: { methods: ["saml2", "totp"] } }),
      {},
      "unauthorized",
      "saml2, totp",
    ],
    [
      "user without domain",
      error(400, "Expecting to find domain in user. The server …"),
      {},
      "config",
      "A user given by name",
    ],
    [
      "project without domain",
      error(400, "Expecting to find domain in project. The server …"),
      {},
      "config",
      "A project given by name",
    ],
    [
      "a printed schema",
      error(400, "'identity' is a required property\n\nFailed validating"),
      {},
      "config",
      "clouds.yaml",
    ],
    ["locked out", error(403, "You are not authorized"), {}, "forbidden", "does not let it in"],
    [
      "no Keystone there",
      { status: 404, headers: { "content-type": "text/html" }, body: "<!doctype html><title>404 Not Found</title>" },
      {},
      "config",
      "up to and including /v3",
    ],
    ["too many", error(429, "slow down"), {}, "transient", "429"],
    ["broken", error(500, "An unexpected error prevented the server"), {}, "transient", "An unexpected error"],
    [
      "no token",
      { status: 201, body: { token: { expires_at: "x", user: { id: "u" } } } },
      {},
      "malformed",
      "X-Subject-Token",
    ],
  ];
  it.each(cases)("error: %s", async (_name, reply, changes, kind, text) => {
    const cloud = await cloudOf(() => reply);
    const failed = await failure(sessionOf(cloud, changes).token());
    expect(failed.kind).toBe(kind);
    expect(failed.message).toContain(text);
    expect(failed.message).toContain(`cannot log in at ${cloud.url}/v3`);
    if (kind === "unauthorized") expect(failed.message).toContain('cloud "lab" of /etc/openstack/clouds.yaml');
    expect(failed.message).not.toContain("--run-program");
  });

  it("error: explains how an earlier credential stays in the stack configuration", async () => {
    const cloud = await cloudOf(() => UNAUTHORIZED);
    const failed = await failure(
      sessionOf(cloud, { sourceKind: "stackConfig", source: "snapclone:connections" }).token(),
    );
    expect(failed.message).toContain("snapclone:connections");
    expect(failed.message).toContain("--run-program");
  });
});

it("login: with any JSON it returns a token or throws a SnapcloneError", async () => {
  let reply: Reply = "hang";
  const cloud = await cloudOf(() => reply);
  const token = fc.record(
    {
      expires_at: fc.oneof(fc.string(), fc.constant("2026-11-21T02:00:00Z"), fc.jsonValue()),
      issued_at: fc.oneof(fc.string(), fc.jsonValue()),
      user: fc.oneof(fc.constant({ id: "u" }), fc.jsonValue()),
      project: fc.oneof(fc.constant({ id: "p" }), fc.jsonValue()),
      catalog: fc.oneof(
        fc.array(
          fc.record({ type: fc.constantFrom("volumev3", "x"), endpoints: fc.oneof(fc.constant([]), fc.jsonValue()) }),
        ),
        fc.jsonValue(),
      ),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.jsonValue(), fc.record({ token })),
      fc.constantFrom(200, 201, 300, 400, 401, 403, 404, 500, 503),
      fc.boolean(),
      async (body, status, named) => {
        reply = { status, body, headers: named ? { "x-subject-token": "t-o-k" } : {} };
        const session = new KeystoneSession(settingsFor(cloud.url), { clock: fakeClock() });
        try {
          for (const work of [
            session.token(),
            session.userId(),
            session.projectId(),
            session.endpoint("blockStorage"),
          ]) {
            const outcome: unknown = await work.catch((error: unknown) => error);
            expect(outcome instanceof SnapcloneError || (typeof outcome === "string" && outcome !== "")).toBe(true);
          }
        } finally {
          await session.close();
        }
      },
    ),
    { numRuns: 150 },
  );
});
