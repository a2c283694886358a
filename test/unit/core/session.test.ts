// One login for all who wait, one rule for a refused one: for the session itself and for the three clients that use it.

import { SnapcloneError } from "../../../provider/core/errors";
import { Session } from "../../../provider/core/session";
import type { Clock } from "../../../provider/core/util/clock";
import { KeystoneSession } from "../../../provider/openstack/keystone";
import { ViprClient } from "../../../provider/vipr/client";
import { ZStackClient } from "../../../provider/zstack/client";
import { failure } from "../../support/failures";
import { type Call, fakeClock, type Reply, settingsFor, startCloud, tokenReply } from "../openstack/openstackContext";

describe("the session", () => {
  const refused = () => new SnapcloneError({ kind: "unauthorized", message: "wrong password", status: 401 });
  const isRefused = (error: unknown): error is SnapcloneError =>
    error instanceof SnapcloneError && error.kind === "unauthorized";

  function sessionOf(logIn: (previous: string | undefined) => Promise<string>, more: object = {}) {
    const clock = fakeClock();
    return { clock, session: new Session<string>({ clock, operation: "log in at https://k", logIn, ...more }) };
  }

  test("gives the previous login to the next one, and keeps the new one", async () => {
    const previous: unknown[] = [];
    let fresh = true;
    const { session } = sessionOf(
      async (login) => {
        previous.push(login);
        return `login-${previous.length}`;
      },
      { isFresh: () => fresh },
    );
    expect([session.current, await session.open(undefined), session.current]).toEqual([
      undefined,
      "login-1",
      "login-1",
    ]);
    fresh = false;
    expect(await session.open(undefined)).toBe("login-2");
    expect(previous).toEqual([undefined, "login-1"]);
    expect([await session.end(), await session.end()]).toEqual(["login-2", undefined]);
  });

  test("the end waits for a login that is under way, and for one that fails", async () => {
    let finish: (login: string) => void = () => {};
    let fail: (error: Error) => void = () => {};
    const { session } = sessionOf(
      () =>
        new Promise((resolve, reject) => {
          finish = resolve;
          fail = reject;
        }),
    );
    const stop = new AbortController();
    const left = failure(session.open(stop.signal));
    stop.abort();
    expect((await left).kind).toBe("stopped");
    const ended = session.end();
    finish("login-1");
    expect([await ended, session.current]).toEqual(["login-1", undefined]);

    const other = failure(session.open(undefined));
    const endedAfterFailure = session.end();
    fail(refused());
    expect([await endedAfterFailure, (await other).kind]).toEqual([undefined, "unauthorized"]);
  });

  test("an unexpected error keeps its stack, and is a failed login like any other", async () => {
    let logins = 0;
    const { session } = sessionOf(async () => {
      logins += 1;
      throw new TypeError("oops");
    });
    const { message } = await failure(session.open(undefined));
    expect(message).toMatch(/cannot log in at https:\/\/k: unexpected error, please report it: TypeError: oops/);
    await failure(session.open(undefined));
    expect(logins).toBe(1);
  });

  test("a login that is due serves while the backend cannot be reached, and not after a refusal", async () => {
    let error: SnapcloneError | undefined;
    let fresh = true;
    const { session, clock } = sessionOf(
      async () => {
        if (error) throw error;
        return "login";
      },
      { isFresh: () => fresh, serves: () => true },
    );
    await session.open(undefined);
    fresh = false;
    error = new SnapcloneError({ kind: "transient", message: "503" });
    expect(await session.open(undefined)).toBe("login");
    clock.advance(2_001);
    error = refused();
    expect((await failure(session.open(undefined))).kind).toBe("unauthorized");
  });

  test("a second rejection is worded by the caller; any other error is thrown as it is", async () => {
    let logins = 0;
    const { session } = sessionOf(async () => `login-${++logins}`);
    const always = session.send(
      () => Promise.reject(refused()),
      undefined,
      isRefused,
      ({ parts }) => new SnapcloneError({ ...parts, hint: "again" }),
    );
    expect((await failure(always)).parts.hint).toBe("again");
    expect(logins).toBe(2);
    const other = new SnapcloneError({ kind: "refused", message: "no" });
    await expect(session.send(() => Promise.reject(other), undefined, isRefused)).rejects.toBe(other);
    expect(logins).toBe(2);
  });
});

const UUID = (n: number) => n.toString(16).padStart(32, "0");
const source = { source: "stack config snapclone:connections.default", warnings: [], tls: { insecure: false } };

interface Client {
  name: string;
  make(url: string, clock: Clock): { ask(signal?: AbortSignal): Promise<unknown>; close(): Promise<unknown> };
  isLogin(call: Call): boolean;
  /** The end of the first session, where the backend counts sessions, so that a run must leave none. */
  isLogout?(call: Call): boolean;
  /** The backend's answer to the nth login, to a refused one, and to a request with a login that it does not know. */
  login(n: number): Reply;
  refused: Reply;
  lost: Reply;
  answer: Reply;
}

const SESSION = "urn:storageos:BlockSnapshotSession:5e0f7c1a-6d2b-4b43-8f0a-3f6f2f7a9b10:vdc1";
const CLIENTS: Client[] = [
  {
    name: "Keystone",
    make(url, clock) {
      const session = new KeystoneSession(settingsFor(url, { endpointOverride: { blockStorage: url } }), { clock });
      const ask = (signal?: AbortSignal) =>
        session.request("blockStorage", { method: "GET", path: "/things", ...(signal ? { signal } : {}) });
      return { ask, close: () => session.close() };
    },
    isLogin: ({ path }) => path === "/v3/auth/tokens",
    login: (n) => tokenReply(`token-${n}`),
    refused: { status: 401, body: { error: { code: 401, message: "no" } } },
    lost: { status: 401, body: { error: { code: 401, message: "no" } } },
    answer: { body: {} },
  },
  {
    name: "ViPR",
    make(url, clock) {
      const settings = {
        ...source,
        url,
        username: "ann",
        password: "s3cret-of-ann",
        sourceKind: "stackConfig",
      } as const;
      const client = new ViprClient(settings, { clock });
      return { ask: (signal) => client.showSession(SESSION, signal), close: () => client.logout() };
    },
    isLogin: ({ path }) => path === "/login",
    isLogout: ({ path, headers }) => path === "/logout" && headers["x-sds-auth-token"] === "token-1",
    login: (n) => ({ headers: { "x-sds-auth-token": `token-${n}` }, body: {} }),
    refused: { status: 401, body: "" },
    lost: { status: 401, body: "" },
    answer: { body: { id: SESSION, name: "nightly", inactive: false, linked_targets: [] } },
  },
  {
    name: "ZStack",
    make(url, clock) {
      const auth = { method: "account", accountName: "ann", password: "s3cret-of-ann" } as const;
      const settings = { ...source, base: `${url}/zstack`, auth, dryRun: false, sourceKind: "stackConfig" } as const;
      const client = new ZStackClient(settings, { clock });
      return {
        ask: (signal) => client.queryVolumes([], signal),
        close: () => client.logOut().finally(() => client.close()),
      };
    },
    isLogin: ({ path }) => path === "/zstack/v1/accounts/login",
    isLogout: ({ method, path }) => method === "DELETE" && path === `/zstack/v1/accounts/sessions/${UUID(1)}`,
    login: (n) => ({ body: { inventory: { uuid: UUID(n) } } }),
    refused: { status: 503, body: { error: { code: "ID.1000", description: "d", details: "wrong" } } },
    lost: { status: 503, body: { error: { code: "ID.1001", description: "d", details: "lost" } } },
    answer: { body: { inventories: [] } },
  },
];

const endings: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

describe.each(CLIENTS)("$name", (kind) => {
  async function start(
    logIn: (n: number) => Reply | Promise<Reply>,
    answer: (call: Call) => Reply = () => kind.answer,
  ) {
    let logins = 0;
    const cloud = await startCloud((call) => {
      if (!kind.isLogin(call)) return answer(call);
      logins += 1;
      return logIn(logins);
    });
    const clock = fakeClock();
    const client = kind.make(cloud.url, clock);
    endings.push(
      () => client.close().catch(() => {}),
      () => cloud.close(),
    );
    return { client, clock, logins: () => logins, requests: () => cloud.calls.filter((call) => !kind.isLogin(call)) };
  }
  const tokenOf = ({ headers }: Call) =>
    headers["x-auth-token"] ?? headers["x-sds-auth-token"] ?? headers.authorization?.replace(/^OAuth 0*/, "token-");

  test("one login serves all who wait for it", async () => {
    const { client, logins } = await start(kind.login);
    await Promise.all(Array.from({ length: 20 }, () => client.ask()));
    expect(logins()).toBe(1);
  });

  test("a wrong password is sent once in a run", async () => {
    const { client, clock, logins } = await start(() => kind.refused);
    const errors = await Promise.all(Array.from({ length: 20 }, () => failure(client.ask())));
    for (const wait of [1_000, 60_000, 24 * 3_600_000]) {
      clock.advance(wait);
      errors.push(await failure(client.ask()));
    }
    expect(new Set(errors.map(({ kind: what }) => what))).toEqual(new Set(["unauthorized"]));
    expect(errors[0]?.message).toMatch(/^cannot log in at http/);
    expect(logins()).toBe(1);
  });

  test("a login that got no answer is tried again after two seconds, not by each who waits", async () => {
    const { client, clock, logins } = await start((n) => (n <= 3 ? "reset" : kind.login(n)));
    const errors = await Promise.all([failure(client.ask()), failure(client.ask())]);
    errors.push(await failure(client.ask()));
    expect(errors.map(({ kind: what }) => what)).toEqual(["transient", "transient", "transient"]);
    // The HTTP client itself sends a login three times.
    expect(logins()).toBe(3);
    clock.advance(2_001);
    await client.ask();
    expect(logins()).toBe(4);
  });

  test("requests that lose the session share one new login, and each is sent once more", async () => {
    const { client, logins, requests } = await start(kind.login, (call) =>
      tokenOf(call) === "token-1" ? kind.lost : kind.answer,
    );
    await Promise.all(Array.from({ length: 10 }, () => client.ask()));
    expect(logins()).toBe(2);
    expect(requests().filter((call) => tokenOf(call) === "token-2")).toHaveLength(10);
  });

  test("a session that is lost again right after the login is an error, not a loop", async () => {
    const { client, logins, requests } = await start(kind.login, () => kind.lost);
    expect((await failure(client.ask())).kind).toBe("unauthorized");
    expect([logins(), requests().length]).toEqual([2, 2]);
  });

  test("an abort ends one caller's wait and leaves the others their login", async () => {
    let release: (reply: Reply) => void = () => {};
    const held = new Promise<Reply>((resolve) => {
      release = resolve;
    });
    const { client, logins } = await start(() => held);
    const stop = new AbortController();
    const aborted = failure(client.ask(stop.signal));
    const other = client.ask();
    stop.abort();
    expect((await aborted).kind).toBe("stopped");
    release(kind.login(1));
    await other;
    expect((await failure(client.ask(AbortSignal.abort()))).kind).toBe("stopped");
    expect(logins()).toBe(1);
  });

  const { isLogout } = kind;
  if (isLogout)
    test("a login that is under way when the run is stopped leaves no session", async () => {
      let release: (reply: Reply) => void = () => {};
      let asked = () => {};
      const isAsked = new Promise<void>((resolve) => {
        asked = resolve;
      });
      const { client, requests } = await start(() => {
        asked();
        return new Promise<Reply>((resolve) => {
          release = resolve;
        });
      });
      const stop = new AbortController();
      const aborted = failure(client.ask(stop.signal));
      await isAsked;
      stop.abort();
      await aborted;
      const closed = client.close();
      release(kind.login(1));
      await closed;
      expect(requests().filter(isLogout)).toHaveLength(1);
    });
});
