// The ViPR client and answers that the emulator never gives: malformed, in XML, cut off, from a proxy.

import type { ErrorKind } from "../../../provider/core/errors";
import { codeOf, ViprClient } from "../../../provider/vipr/client";
import { failure } from "../../support/failures";
import { type Call, type Cloud, fakeClock, type Reply, startCloud } from "../openstack/openstackContext";

const SESSION = "urn:storageos:BlockSnapshotSession:5e0f7c1a-6d2b-4b43-8f0a-3f6f2f7a9b10:vdc1";
const TARGET = "urn:storageos:BlockSnapshot:c1b2af4a-1ece-4d56-bcca-9c6d629fb554:vdc1";
const TASK = "urn:storageos:Task:8d9fe442-540e-4b31-9604-837c5181bcb6:vdc1";
const LINK = { count: 1, target_name: "dev", copy_mode: "copy" };

const session = { id: SESSION, name: "nightly-1", inactive: false, linked_targets: [] };
const task = { id: TASK, name: "LINK SNAPSHOT SESSION TARGETS", state: "pending", progress: 0 };
const refusal = (status: number, code: number, details?: string, more: object = {}): Reply => ({
  status,
  body: { code, retryable: false, description: "Words of the code", details, ...more },
});

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

/** A ViPR that accepts every login. The test gives the other answers. */
async function viprOf(answer: (call: Call) => Reply, login?: () => Reply) {
  let logins = 0;
  const cloud: Cloud = await startCloud((call) => {
    if (call.path === "/logout") return { body: { user: "root" } };
    if (call.path !== "/login") return answer(call);
    logins += 1;
    return login?.() ?? { headers: { "x-sds-auth-token": `BAAc-token-${logins}` }, body: { user: "root" } };
  });
  const client = new ViprClient(
    {
      url: cloud.url,
      username: "root",
      password: "ChängeMe!",
      tls: { insecure: false },
      source: "stack config snapclone:connections.default",
      sourceKind: "stackConfig",
      warnings: [],
    },
    { clock: fakeClock() },
  );
  endings.push(
    () => client.logout(),
    () => cloud.close(),
  );
  return { client, cloud, logins: () => logins, sent: () => cloud.calls.filter(({ path }) => path !== "/login") };
}

test("requests: have the exact media types and the token, and never the password beside the token", async () => {
  const { client, cloud } = await viprOf(({ method }) =>
    method === "GET" ? { body: session } : { body: { task: [task] } },
  );
  await client.showSession(SESSION);
  await client.linkTargets(SESSION, LINK);
  const [login, get, post] = cloud.calls;
  expect(login?.headers).toMatchObject({
    accept: "application/json",
    authorization: `Basic ${Buffer.from("root:ChängeMe!", "latin1").toString("base64")}`,
  });
  expect(login?.headers).not.toHaveProperty("x-sds-auth-token");
  expect(get?.headers).toMatchObject({ accept: "application/json", "x-sds-auth-token": "BAAc-token-1" });
  expect(get?.headers).not.toHaveProperty("authorization");
  expect(get?.headers).not.toHaveProperty("content-type");
  expect(post).toMatchObject({
    path: `/block/snapshot-sessions/${SESSION}/link-targets`,
    // Bare: no root element (docs/wire/vipr.md#s0-1).
    body: { new_linked_targets: LINK },
  });
  expect(post?.headers["content-type"]).toBe("application/json");
});

describe("an unexpected answer has the right kind of error", () => {
  const cases: [string, Reply, (client: ViprClient) => Promise<unknown>, ErrorKind][] = [
    ["a session without linked_targets", { body: { ...session, linked_targets: undefined } }, show, "malformed"],
    ["an id that is no URN", { body: { ...session, id: "nightly-1" } }, show, "malformed"],
    ["a list of tasks instead of a session", { body: [task] }, show, "malformed"],
    [
      "HTML",
      { headers: { "content-type": "text/html" }, body: "<html><title>Portal</title></html>" },
      show,
      "malformed",
    ],
    ["XML", { headers: { "content-type": "application/xml" }, body: "<block_snapshot_session/>" }, show, "malformed"],
    ["nothing", { body: "" }, show, "malformed"],
    ["a bare 404 of a wrong address", { status: 404, body: "" }, show, "refused"],
    ["an unknown path: code 2000 and no details (docs/wire/vipr.md#s5)", refusal(404, 2000), show, "refused"],
    ["ViPR's own 404", refusal(404, 2000, `given id ${SESSION}`), show, "notFound"],
    [
      "a redirect to somewhere else",
      { status: 302, headers: { location: "/maintenance" }, body: "" },
      show,
      "malformed",
    ],
    // ViPR may have carried these out, so they are not sent again.
    ["link: no task in the list", { status: 202, body: { task: [] } }, link, "ambiguous"],
    ["link: a task without an id", { status: 202, body: { task: [{ ...task, id: undefined }] } }, link, "ambiguous"],
    ["link: 502 from a proxy", { status: 502, body: "<html/>" }, link, "ambiguous"],
    ["link: 503 from nginx, which says retryable", refusal(503, 6503, "d", { retryable: true }), link, "ambiguous"],
    ["link: the connection breaks off", "reset", link, "ambiguous"],
    [
      "link: not dispatched (docs/wire/vipr.md#what-link-does)",
      refusal(503, 9501, "d", { retryable: true }),
      link,
      "transient",
    ],
    ["link: refused", refusal(400, 1008, "already exists."), link, "refused"],
    ["link: forbidden", refusal(403, 3000, "Insufficient permissions for user x."), link, "forbidden"],
    ["link: the session is deleted", refusal(404, 2001, `given id ${SESSION}`), link, "notFound"],
    ["unlink: an empty list", { status: 202, body: { task: [] } }, unlink, "ambiguous"],
  ];
  it.each(cases)("%s", async (_what, reply, work, kind) => {
    const { client, sent } = await viprOf(() => reply);
    expect((await failure(work(client))).kind).toBe(kind);
    if (work !== show) expect(sent()).toHaveLength(1);
  });

  function show(client: ViprClient) {
    return client.showSession(SESSION);
  }
  function link(client: ViprClient) {
    return client.linkTargets(SESSION, LINK);
  }
  function unlink(client: ViprClient) {
    return client.unlinkTargets(SESSION, [{ id: TARGET, delete_target: true }]);
  }
});

test("answers: may have a single object instead of a list, unknown keys and unknown states", async () => {
  const { client } = await viprOf(({ path }) =>
    path.endsWith("tasks") || path.includes("/vdc/")
      ? { body: { task: { ...task, state: "paused_for_review", warning_messages: ["w"] } } }
      : { body: { ...session, linked_targets: { id: TARGET }, new_key: 7 } },
  );
  expect((await client.showSession(SESSION)).linked_targets).toEqual([{ id: TARGET }]);
  expect(await client.listSessionTasks(SESSION)).toMatchObject([{ state: "paused_for_review" }]);
});

test("errors: are read from XML like from JSON", async () => {
  const xml = (code: number, details: string) =>
    `<?xml version="1.0"?><error><code>${code}</code><description>d</description><details>${details}</details><retryable>false</retryable></error>`;
  const { client } = await viprOf(({ method }) => ({
    status: method === "GET" ? 404 : 400,
    headers: { "content-type": "application/xml" },
    body: method === "GET" ? xml(2000, `given id ${SESSION}`) : xml(1013, "is currently exported to a host."),
  }));
  expect((await failure(client.showSession(SESSION))).kind).toBe("notFound");
  const refused = await failure(client.linkTargets(SESSION, LINK));
  expect([refused.kind, codeOf(refused)]).toEqual(["refused", 1013]);
});

test.each([
  ["nginx, retryable", refusal(503, 6503, "d", { retryable: true })],
  [
    "ViPR, not retryable, with Retry-After (docs/wire/vipr.md#s0-15)",
    { ...(refusal(503, 30000) as object), headers: { "retry-after": "2" } },
  ],
  ["a proxy, as an HTML page", { status: 504, body: "<html/>" }],
])("retries: a GET is repeated after a 503 of %s", async (_what, reply) => {
  const replies: Reply[] = [reply, reply, { body: session }];
  const { client } = await viprOf(() => replies.shift() ?? "reset");
  expect(await client.showSession(SESSION)).toMatchObject({ id: SESSION });
});

describe("the token", () => {
  const toLogin: Reply = { status: 302, headers: { location: "https://elsewhere:4443/login?service=x" }, body: "" };
  const html: Reply = { status: 401, headers: { "content-type": "text/html" }, body: "<html>Error 401</html>" };

  it.each([
    ["302 to the login of another host, which is not followed", toLogin],
    ["401 in HTML", html],
    [
      "401 in XML",
      { status: 401, body: "<error><code>10001</code><details>Unable to decode token.</details></error>" },
    ],
  ])("is renewed once when it is stale, and the requests are repeated: %s", async (_what, turnedAway) => {
    const { client, logins, sent } = await viprOf(({ headers }) =>
      headers["x-sds-auth-token"] === "BAAc-token-1" ? turnedAway : { body: { task: [task] } },
    );
    await Promise.all([1, 2, 3].map(() => client.linkTargets(SESSION, LINK)));
    expect(logins()).toBe(2);
    expect(sent()).toHaveLength(6);
  });

  it("causes an error that names its origin if ViPR never accepts it, and no loop", async () => {
    const { client, logins, sent } = await viprOf(() => toLogin);
    const error = await failure(client.showSession(SESSION));
    expect(error.kind).toBe("unauthorized");
    expect(error.message).toMatch(/stack config snapclone:connections\.default.*--run-program/);
    expect([logins(), sent().length]).toEqual([2, 2]);
  });

  it("is required in the answer to a login, and never part of an error", async () => {
    const { client } = await viprOf(
      () => ({ body: session }),
      () => ({ body: { user: "root" } }),
    );
    const error = await failure(client.showSession(SESSION));
    expect([error.kind, error.message]).toEqual(["malformed", expect.stringContaining("4443")]);
    const { client: echo } = await viprOf(({ headers }) => ({
      status: 500,
      body: `${headers["x-sds-auth-token"]} ${Buffer.from("root:ChängeMe!", "latin1").toString("base64")} ChängeMe!`,
    }));
    const { message } = await failure(echo.linkTargets(SESSION, LINK));
    expect(message).toContain("[redacted] [redacted] [redacted]");
  });

  it("is requested again later when ViPR was unreachable", async () => {
    const replies: Reply[] = ["reset", "reset", "reset"];
    const { client, logins } = await viprOf(
      () => ({ body: session }),
      () => replies.shift() ?? { status: 401, body: "" },
    );
    expect((await failure(client.showSession(SESSION))).kind).toBe("transient");
    // The next callers come while the client still pauses.
    expect((await failure(client.showSession(SESSION))).kind).toBe("transient");
    expect(logins()).toBe(3);
  });
});

test("bulk requests: have at most a thousand ids", async () => {
  const ids = Array.from({ length: 2500 }, (_, n) => TARGET.replace("c1b2af4a", n.toString(16).padStart(8, "0")));
  const { client, sent } = await viprOf(({ body }) => ({
    body: { block_snapshot: (body as { id: string[] }).id.map((id) => ({ id, name: "n", inactive: false })) },
  }));
  expect((await client.bulkTargets(ids)).map(({ id }) => id)).toEqual(ids);
  expect(sent()).toHaveLength(3);
  expect(await client.bulkTargets([])).toEqual([]);
  expect(sent()).toHaveLength(3);
});
