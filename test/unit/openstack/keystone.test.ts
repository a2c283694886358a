// KeystoneSession against responses that a test writes.

import fc from "fast-check";
import { z } from "zod";
import { type ErrorKind, SnapcloneError } from "../../../provider/core/errors";
import type { OpenStackSettings } from "../../../provider/openstack/connection";
import { KeystoneSession } from "../../../provider/openstack/keystone";
import { failure } from "../../support/failures";
import { cloudOf, override, sessionOf, UNAUTHORIZED } from "./keystoneFixture";
import { type Cloud, fakeClock, isLogin, type Reply, settingsFor, startCloud, tokenReply } from "./openstackContext";

const logins = (cloud: Cloud) => cloud.calls.filter(isLogin).length;

const ask = (session: KeystoneSession, signal?: AbortSignal) =>
  session.request("blockStorage", { method: "GET", path: "/things", schema: z.unknown(), signal });

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
      body: {
        receipt: { methods: ["password"] },
        required_auth_methods: [
          ["totp", "password"],
          ["password", "mapped"],
        ],
      },
    }));
    const error = await failure(sessionOf(cloud).token());
    expect(error.kind).toBe("unauthorized");
    // In one order, whatever order Keystone's sets have today.
    expect(error.message).toContain("more than one factor: mapped and password, or password and totp");
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
