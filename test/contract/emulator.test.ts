// The emulator beyond the recorded exchanges: clocks, faults, control API, seed data, command.

import { request as httpRequest } from "node:http";
import type { Emulator, FaultRule } from "../../emulator";
import { parseDictLiteral, repr } from "../../emulator/core/pythonRepr";
import { type Ask, client, create, login, read, sleep, start, statusOf } from "./emulatorClient";

describe("logging in", () => {
  it("gives a project-scoped token and a catalogue with the address that the client used", async () => {
    const emulator = await start();
    const { token, body } = await login(emulator);
    expect(token).toMatch(/^gAAAAA/);
    const entries = body.token.catalog.filter((entry) => entry.type === "volumev3");
    expect(entries.map((entry) => entry.endpoints.length)).toEqual([0, 3]);
    expect(entries[1]?.endpoints.map((e) => e.url)[0]).toBe(`${emulator.url}/volume/v3/${emulator.cinder.projectId}`);
    const viaName = await login(emulator, {}, emulator.url.replace("127.0.0.1", "localhost"));
    expect(viaName.body.token.catalog[0]?.endpoints[0]?.url).toContain("http://localhost:");
  });

  it("accepts the application credential of the seed data", async () => {
    const emulator = await start();
    const [credential] = emulator.keystone.applicationCredentials.values();
    const { status, body } = await login(emulator, {
      identity: {
        methods: ["application_credential"],
        application_credential: { id: credential?.id, secret: "app-secret" },
      },
    });
    expect(status).toBe(201);
    expect(body.token.project.name).toBe("demo");
  });

  it("tokens expire by time, by expireAll() and by revokeAll()", async () => {
    const emulator = await start({ clock: "manual", timings: { tokenLife: 60_000 } });
    const first = await client(emulator);
    expect((await first("GET", "/volumes")).status).toBe(200);
    emulator.clock.tick(60_000);
    expect((await first("GET", "/volumes")).status).toBe(401);
    const second = await client(emulator);
    emulator.keystone.expireAll();
    expect((await second("GET", "/volumes")).status).toBe(401);
    const third = await client(emulator);
    emulator.keystone.revokeAll();
    expect((await third("GET", "/volumes")).body).toEqual({
      error: { code: 401, title: "Unauthorized", message: "The request you have made requires authentication." },
    });
  });
});

describe("discovery", () => {
  it("shows its versions with 300 and no token, redirects /v3, refuses a version that is too new", async () => {
    const emulator = await start({ clock: "instant", maxMicroversion: "3.59" });
    const root = await fetch(`${emulator.url}/volume/`, { redirect: "manual" });
    expect(root.status).toBe(300);
    expect((await read(root)).body.versions[0]).toMatchObject({ id: "v3.0", version: "3.59", min_version: "3.0" });
    const { token } = await login(emulator);
    const redirect = await fetch(`${emulator.url}/volume/v3`, {
      redirect: "manual",
      headers: { "X-Auth-Token": token },
    });
    expect([redirect.status, redirect.headers.get("location")]).toEqual([302, `${emulator.url}/volume/v3/`]);
    expect((await fetch(`${emulator.url}/volume/v3/`)).status).toBe(401);
    const ask = await client(emulator);
    const tooNew = await ask("GET", "/volumes", undefined, "3.60");
    expect([tooNew.status, tooNew.body.computeFault.message]).toEqual([
      406,
      "Version 3.60 is not supported by the API. Minimum is 3.0 and maximum is 3.59.",
    ]);
  });

  it("has no paths without a project before 3.67", async () => {
    const emulator = await start({ clock: "instant", maxMicroversion: "3.59" });
    const { token } = await login(emulator);
    const reply = await fetch(`${emulator.url}/volume/v3/snapshots`, { headers: { "X-Auth-Token": token } });
    expect([reply.status, (await read(reply)).body.code]).toEqual([404, "404 Not Found"]);
  });
});

describe("clock", () => {
  it("instant: the answer says creating, the next request available", async () => {
    const ask = await client(await start());
    const { id, status } = await create(ask);
    expect(status).toBe("creating");
    expect(await statusOf(ask, id)).toBe("available");
  });

  it("manual: only tick() advances the work", async () => {
    const emulator = await start({ clock: "manual", timings: { snapshotCreate: 2000 } });
    const ask = await client(emulator);
    const { id } = await create(ask);
    emulator.clock.tick(1999);
    expect(await statusOf(ask, id)).toBe("creating");
    emulator.clock.tick(1);
    const { snapshot } = (await ask("GET", `/snapshots/${id}`)).body;
    expect([snapshot.status, snapshot["os-extended-snapshot-attributes:progress"]]).toEqual(["available", "100%"]);
    // The row changed when the work was due, not when the request came.
    expect(Date.parse(`${snapshot.updated_at}Z`) - Date.parse(`${snapshot.created_at}Z`)).toBe(2000);
  });

  it("real and scaled: work advances with real time", async () => {
    const emulator = await start({ clock: { scale: 100 }, timings: { snapshotCreate: 50_000 } });
    const ask = await client(emulator);
    const begun = performance.now();
    const { id, status } = await create(ask);
    expect(status).toBe("creating");
    while ((await statusOf(ask, id)) === "creating") await sleep(10);
    expect(await statusOf(ask, id)).toBe("available");
    expect(performance.now() - begun).toBeGreaterThanOrEqual(499);
    await expect(start({ clock: { scale: 0 } })).rejects.toThrow("clock scale");
  });

  it("drops work on a row whose status somebody else changed", async () => {
    const emulator = await start({ clock: "manual" });
    const ask = await client(emulator);
    const { id } = await create(ask);
    const row = emulator.cinder.snapshots.get(id);
    if (row !== undefined) row.status = "error";
    emulator.clock.tick(10_000);
    expect(await statusOf(ask, id)).toBe("error");
  });
});

describe("behaviours", () => {
  const outcomes: [string, Parameters<Emulator["cinder"]["behaviour"]>[0], string, string[]][] = [
    ["error", { create: "error" }, "error", ["create snapshot:Snapshot failed to create."]],
    ["error-silent", { create: "error-silent" }, "error", []],
    ["stuck", { create: "stuck" }, "creating", []],
    ["vanish", { create: "vanish" }, "404", []],
  ];
  it.each(outcomes)("create: %s", async (_, rule, end, messages) => {
    const emulator = await start();
    const ask = await client(emulator);
    emulator.cinder.behaviour({ ...rule, match: { name: "this" } });
    const { id } = await create(ask, { name: "this" });
    expect(await statusOf(ask, id)).toBe(end);
    expect(await messagesOf(ask, id)).toEqual(messages);
    expect(await statusOf(ask, (await create(ask, { name: "that" })).id)).toBe("available");
  });

  const endings: [string, "busy" | "error" | "stuck", string, string[]][] = [
    ["busy", "busy", "available", ["delete snapshot:Snapshot is busy."]],
    ["error", "error", "error_deleting", ["delete snapshot:Snapshot failed to delete."]],
    ["stuck", "stuck", "deleting", []],
  ];
  it.each(endings)("delete: %s", async (_, outcome, end, messages) => {
    const emulator = await start();
    const ask = await client(emulator);
    const { id } = await create(ask);
    emulator.cinder.failNext({ delete: outcome });
    expect((await ask("DELETE", `/snapshots/${id}`)).status).toBe(202);
    expect(await statusOf(ask, id)).toBe(end);
    expect(await messagesOf(ask, id)).toEqual(messages);
  });

  it("createMs, deleteMs: how long the work takes, in place of the timings", async () => {
    const emulator = await start({ clock: "manual" });
    const ask = await client(emulator);
    emulator.cinder.behaviour({ createMs: 7000, deleteMs: 9000 });
    const { id } = await create(ask);
    emulator.clock.tick(6999);
    expect(await statusOf(ask, id)).toBe("creating");
    emulator.clock.tick(1);
    expect(await statusOf(ask, id)).toBe("available");
    await ask("DELETE", `/snapshots/${id}`);
    emulator.clock.tick(8999);
    expect(await statusOf(ask, id)).toBe("deleting");
    emulator.clock.tick(1);
    expect(await statusOf(ask, id)).toBe("404");
  });

  it("removeSnapshot() removes a snapshot without the API", async () => {
    const emulator = await start();
    const ask = await client(emulator);
    const { id } = await create(ask);
    expect(emulator.cinder.removeSnapshot(id)).toBe(true);
    expect(await statusOf(ask, id)).toBe("404");
  });
});

describe("lists", () => {
  it("pages to the end when the last page is empty", async () => {
    const emulator = await start();
    const ask = await client(emulator);
    for (const name of ["a", "b", "c", "d"]) await create(ask, { name });
    const names: string[] = [];
    let query: string | undefined = "?limit=2&sort=name:asc";
    let pages = 0;
    while (query !== undefined) {
      const { body } = await ask("GET", `/snapshots${query}`);
      names.push(...body.snapshots.map(({ name }) => name));
      const next: string | undefined = body.snapshots_links?.[0]?.href;
      query = next === undefined ? undefined : next.slice(next.indexOf("?"));
      pages += 1;
    }
    expect([names.join(""), pages]).toEqual(["abcd", 3]);
  });

  it("ignores the metadata filter without a microversion", async () => {
    const emulator = await start();
    const ask = await client(emulator);
    await create(ask, { name: "a", metadata: { "snapclone:phase": "open" } });
    await create(ask, { name: "b" });
    const query = `?metadata=${encodeURIComponent('{"snapclone:phase":"open"}')}`;
    expect((await ask("GET", `/snapshots/detail${query}`)).body.snapshots).toHaveLength(1);
    expect((await ask("GET", `/snapshots/detail${query}`, undefined, "3.0")).body.snapshots).toHaveLength(2);
  });

  it("reads dict literals of both kinds and writes Python's repr", () => {
    expect(parseDictLiteral(`{'a': 'it\\'s', "b": "x:y, {z}"}`)).toEqual({ a: "it's", b: "x:y, {z}" });
    expect(parseDictLiteral("{}")).toEqual({});
    expect(parseDictLiteral("{'a': open('x')}")).toBeUndefined();
    expect(parseDictLiteral("['a']")).toBeUndefined();
    expect(repr({ a: ["it's", null, true, 1], "b\n": 'q"' })).toBe(`{'a': ["it's", None, True, 1], 'b\\n': 'q"'}`);
  });
});

describe("faults", () => {
  it("status: answers `times` times with the service's own error and the rule's id in a header", async () => {
    const emulator = await start();
    const ask = await client(emulator);
    const fault = emulator.faults.add({
      match: { operation: "volumes.list" },
      times: 2,
      status: 503,
      headers: { "Retry-After": "3" },
    });
    const first = await ask("GET", "/volumes");
    expect([
      first.status,
      first.body.serviceUnavailable.code,
      first.headers.get("retry-after"),
      first.headers.get("x-emulator-fault"),
    ]).toEqual([503, 503, "3", fault.id]);
    expect((await ask("GET", "/volumes")).status).toBe(503);
    const third = await ask("GET", "/volumes");
    expect([third.status, third.headers.get("x-emulator-fault"), fault.hits]).toEqual([200, null, 2]);
    expect(emulator.requests.count({ fault: fault.id, operation: "volumes.list" })).toBe(2);
  });

  it("applies from the nth request on, and matches paths by text and by expression", async () => {
    const emulator = await start();
    const ask = await client(emulator);
    emulator.faults.add({
      match: { path: /\/volumes\?limit=1$/, nth: 2 },
      status: 500,
      body: { computeFault: { code: 500, message: "x" } },
    });
    emulator.faults.add({
      match: { path: `/volume/v3/${emulator.cinder.projectId}/limits`, method: "get" },
      status: 429,
      body: "slow down",
    });
    expect((await ask("GET", "/volumes?limit=1")).status).toBe(200);
    expect((await ask("GET", "/volumes?limit=1")).body.computeFault.message).toBe("x");
    expect((await ask("GET", "/limits")).text).toBe("slow down");
  });

  it("expire-token: revokes only the token of this request", async () => {
    const emulator = await start();
    const [one, two] = [await client(emulator), await client(emulator)];
    emulator.faults.add({ match: { service: "cinder" }, action: "expire-token" });
    expect((await one("GET", "/volumes")).status).toBe(401);
    expect((await one("GET", "/volumes")).status).toBe(401);
    expect((await two("GET", "/volumes")).status).toBe(200);
  });

  it("drop-response executes the request, reset does not", async () => {
    const emulator = await start();
    const ask = await client(emulator);
    emulator.faults.add({ match: { operation: "snapshots.create" }, action: "drop-response" });
    await expect(create(ask)).rejects.toThrow();
    expect(emulator.cinder.snapshots.size).toBe(1);
    emulator.faults.add({ match: { operation: "snapshots.create" }, action: "reset" });
    await expect(create(ask)).rejects.toThrow();
    expect(emulator.cinder.snapshots.size).toBe(1);
    expect(emulator.requests.count({ operation: "snapshots.create", status: 0 })).toBe(2);
  });

  it("hang: no answer until close()", async () => {
    const emulator = await start();
    const ask = await client(emulator);
    emulator.faults.add({ match: { operation: "snapshots.create" }, action: "hang" });
    const asked = create(ask).catch(() => "ended");
    expect(await Promise.race([asked, sleep(100).then(() => "waiting")])).toBe("waiting");
    await emulator.close();
    expect(await asked).toBe("ended");
    expect(emulator.cinder.snapshots.size).toBe(0);
  });

  it("slow-body: a byte each 200 ms", async () => {
    const emulator = await start();
    const ask = await client(emulator);
    emulator.faults.add({ match: {}, action: "slow-body", status: 200, body: "abc" });
    const begun = Date.now();
    expect((await ask("GET", "/volumes")).text).toBe("abc");
    expect(Date.now() - begun).toBeGreaterThanOrEqual(550);
  });

  it("infinite-body: never ends", async () => {
    const emulator = await start();
    emulator.faults.add({ match: {}, action: "infinite-body" });
    const received = await new Promise<number>((resolve, reject) => {
      const request = httpRequest(`${emulator.url}/volume/`, (response) => {
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes < 3_000_000) return;
          request.destroy();
          resolve(bytes);
        });
      });
      request.on("error", reject);
      request.end();
    });
    expect(received).toBeGreaterThanOrEqual(3_000_000);
  });

  it("truncate, garbage, html, redirect", async () => {
    const emulator = await start();
    const ask = await client(emulator);
    const under = async (rule: Omit<FaultRule, "match">) => {
      emulator.faults.add({ match: { operation: "volumes.list" }, ...rule });
      return ask("GET", "/volumes");
    };
    const cut = await under({ action: "truncate" });
    expect([cut.status, cut.text.slice(0, 12)]).toEqual([200, '{"volumes":[']);
    expect(() => JSON.parse(cut.text)).toThrow();
    expect((await under({ action: "garbage", bytes: 1000 })).text).toHaveLength(1000);
    const page = await under({ action: "html" });
    expect([page.status, page.headers.get("content-type")]).toEqual([502, "text/html"]);
    const away = await under({ action: "redirect", location: "http://elsewhere.example/" });
    expect([away.status, away.headers.get("location")]).toEqual([302, "http://elsewhere.example/"]);
  });

  it("delayMs alone: executes the request later", async () => {
    const emulator = await start({ clock: "instant", latencyMs: 20 });
    const ask = await client(emulator);
    emulator.faults.add({ match: { operation: "snapshots.create" }, delayMs: 60 });
    const begun = Date.now();
    expect((await create(ask)).status).toBe("creating");
    expect(Date.now() - begun).toBeGreaterThanOrEqual(75);
  });

  it("limit: lets so many requests through in each window of the emulator's clock, and refuses the others", async () => {
    const emulator = await start({ clock: "manual" });
    const ask = await client(emulator);
    emulator.faults.add({ match: { operation: "volumes.detail" }, limit: { requests: 2, seconds: 60 } });
    const answers = async (count: number) => {
      const statuses: number[] = [];
      for (let n = 0; n < count; n += 1) statuses.push((await ask("GET", "/volumes/detail")).status);
      return statuses;
    };
    expect(await answers(4)).toEqual([200, 200, 429, 429]);
    emulator.clock.tick(20_000);
    const refused = await ask("GET", "/volumes/detail");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "40"]);
    emulator.clock.tick(40_000);
    expect(await answers(3)).toEqual([200, 200, 429]);
    for (const limit of [{}, { requests: 0, seconds: 1 }, { requests: 1, seconds: 1, burst: 2 }, 5])
      expect(() => emulator.faults.add({ match: {}, limit } as never)).toThrow(/limit|requests/);
  });

  it("refuses a rule that would never apply", async () => {
    const { faults } = await start();
    for (const rule of [
      {},
      { match: { op: "x" } },
      { match: {}, status: 99 },
      { match: {}, action: "explode" },
      { match: {}, action: "redirect" },
      { match: {}, times: 0 },
    ])
      expect(() => faults.add(rule as FaultRule)).toThrow(/fault rule|redirect/);
  });
});

describe("determinism", () => {
  it("the same seed gives the same ids and tokens, also after a reset; another seed gives others", async () => {
    const run = async (emulator: Emulator) => {
      const { token, body } = await login(emulator);
      const ask = await client(emulator);
      const { id } = await create(ask);
      return { token, id, project: body.token.project.id, user: body.token.user.id };
    };
    const [one, two, three] = [await start({ seed: 7 }), await start({ seed: 7 }), await start({ seed: 8 })];
    const first = await run(one);
    expect(await run(two)).toEqual(first);
    const other = await run(three);
    expect(Object.values(other).some((value) => Object.values(first).includes(value))).toBe(false);
    one.reset();
    expect(await run(one)).toEqual(first);
  });
});

async function messagesOf(ask: Ask, id: string): Promise<string[]> {
  const { body } = await ask("GET", `/messages?resource_uuid=${id}`);
  return body.messages.map(({ user_message }) => user_message);
}
