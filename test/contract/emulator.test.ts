// The emulator beyond the recorded exchanges: clocks, faults, control API, seed data, command.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { type Emulator, type EmulatorOptions, type FaultRule, SEED_VOLUMES, startEmulator } from "../../emulator";
import { main } from "../../emulator/cli";
import { parseDictLiteral, repr } from "../../emulator/core/pythonRepr";

const running: Emulator[] = [];

async function start(options: EmulatorOptions = { clock: "instant" }): Promise<Emulator> {
  const emulator = await startEmulator(options);
  running.push(emulator);
  return emulator;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((emulator) => emulator.close()));
});

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
    const { id } = await create(ask);
    expect(await statusOf(ask, id)).toBe("creating");
    await sleep(550);
    expect(await statusOf(ask, id)).toBe("available");
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

describe("control API", () => {
  it("offers over HTTP what the library offers", async () => {
    const emulator = await start({ clock: "manual" });
    const ask = await client(emulator);
    const control = controller(emulator);
    const { id } = await create(ask);
    expect((await control("POST", "/tick", { ms: 5000 })).status).toBe(200);
    const { body: state } = await control("GET", "/state");
    expect(state.services.cinder.snapshots[0]).toMatchObject({ id, status: "available" });
    expect(JSON.stringify(state)).not.toContain("secret");

    const added = await control("POST", "/faults", { match: { path: "re:/limits$" }, status: 503, times: "Infinity" });
    expect(added.status).toBe(201);
    expect((await ask("GET", "/limits")).status).toBe(503);
    expect((await ask("GET", "/limits")).headers.get("x-emulator-fault")).toBe(added.body.id);
    expect((await control("GET", "/state")).body.faults[0]).toMatchObject({
      times: "Infinity",
      hits: 2,
      match: { path: "re:/limits$" },
    });
    await control("DELETE", "/faults");
    expect((await ask("GET", "/limits")).status).toBe(200);

    const volume = (await control("POST", "/volumes", { name: "made", size: 3, status: "in-use" })).body.volume;
    expect((await ask("GET", `/volumes/${volume.id}`)).body.volume).toMatchObject({ name: "made", size: 3 });
    expect((await control("PATCH", `/snapshots/${id}`, { status: "error" })).status).toBe(200);
    expect(await statusOf(ask, id)).toBe("error");
    expect((await control("DELETE", `/snapshots/${id}`)).status).toBe(200);
    expect((await control("DELETE", `/snapshots/${id}`)).status).toBe(404);
    await control("POST", "/behaviours", { match: { name: "re:^doomed" }, create: "error-silent" });
    const doomed = await create(ask, { name: "doomed 1" });
    await control("POST", "/tick", { ms: 5000 });
    expect(await statusOf(ask, doomed.id)).toBe("error");

    const operations = (await control("GET", "/coverage")).body.operations.map(({ operation }) => operation);
    expect(operations).toEqual(
      expect.arrayContaining([
        "tokens.issue",
        "snapshots.create",
        "snapshots.os-reset_status",
        "snapshots.metadata.set",
      ]),
    );

    const { requests } = (await control("GET", "/requests")).body;
    expect(requests[0]).toMatchObject({ service: "keystone", operation: "tokens.issue", status: 201 });
    expect(JSON.stringify(requests)).not.toContain('"secret"');
    await control("DELETE", "/requests");
    expect(emulator.requests).toHaveLength(0);
    await control("DELETE", "/tokens");
    expect((await ask("GET", "/limits")).status).toBe(401);
    await control("POST", "/reset");
    expect([...emulator.cinder.volumes.keys()]).toEqual([SEED_VOLUMES.data, SEED_VOLUMES.logs]);
  });

  it("names what it refuses", async () => {
    const emulator = await start();
    const control = controller(emulator);
    expect((await control("POST", "/tick", {})).status).toBe(400);
    expect((await control("POST", "/faults", { match: {}, actoin: "hang" })).body.error).toContain("actoin");
    expect((await control("POST", "/volumes", { sizw: 1 })).body.error).toContain("sizw");
    expect((await control("GET", "/nothing")).status).toBe(404);
    expect((await fetch(`${emulator.url}/`)).status).toBe(404);
  });

  it("no fault rule applies to it", async () => {
    const emulator = await start();
    emulator.faults.add({ match: {}, times: Infinity, action: "reset" });
    expect((await controller(emulator)("GET", "/state")).status).toBe(200);
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

describe("independence", () => {
  it("imports nothing but Node and itself", () => {
    const folder = join(__dirname, "../../emulator");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
    const foreign = files.flatMap((file) =>
      [
        ...readFileSync(join(folder, file), "utf8")
          .replace(/^ \*.*$/gm, "")
          .matchAll(/(?:from|import|require\()\s*"([^"]+)"/g),
      ]
        .map(([, name = ""]) => name)
        .filter((name) => !name.startsWith("node:"))
        .filter((name) => !name.startsWith(".") || !resolve(folder, file, "..", name).startsWith(`${folder}/`))
        .map((name) => `${file}: ${name}`),
    );
    expect(files.length).toBeGreaterThan(20);
    expect(foreign).toEqual([]);
  });
});

describe("https", () => {
  it("serves with a certificate, and its addresses begin with https", async () => {
    const folder = mkdtempSync(join(tmpdir(), "emulator-tls-"));
    try {
      const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
      const made = await promisify(execFile)("openssl", [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
        "-keyout",
        key,
        "-out",
        cert,
      ]).catch(() => undefined);
      if (made === undefined) return; // no openssl on this machine
      const emulator = await start({
        clock: "instant",
        tls: { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") },
      });
      expect(emulator.openstack.authUrl).toMatch(/^https:/);
      // fetch refuses an untrusted certificate.
      await expect(fetch(emulator.url)).rejects.toThrow();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("command", () => {
  const run = async (argv: string[], during: (output: string) => Promise<void> = async () => undefined) => {
    let [out, err] = ["", ""];
    const code = await main(argv, {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      untilStopped: () => during(out),
    });
    return { code, out, err };
  };

  it("prints the exports, answers, and ends on demand", async () => {
    const folder = mkdtempSync(join(tmpdir(), "emulator-cli-"));
    try {
      const config = join(folder, "Pulumi.emulator.yaml");
      const { code, out } = await run(
        ["--port", "0", "--clock", "x10", "--seed", "3", "--write-config", config],
        async (printed) => {
          const authUrl = /export OS_AUTH_URL=(\S+)/.exec(printed)?.[1] ?? "";
          expect((await fetch(authUrl)).status).toBe(200);
          expect(readFileSync(config, "utf8")).toContain(
            `config:\n  snapclone:connections:\n    default:\n      kind: "openstack"\n      authUrl: "${authUrl}"\n`,
          );
        },
      );
      expect(code).toBe(0);
      expect(out).toContain("export OS_USERNAME=demo");
      expect(out).toContain(SEED_VOLUMES.data);
      // The command replaces its own file and no other.
      expect((await run(["--port", "0", "--write-config", config])).code).toBe(0);
      writeFileSync(config, "encryptionsalt: v1:abc\n");
      expect(await run(["--port", "0", "--write-config", config])).toMatchObject({
        code: 1,
        err: expect.stringContaining("wasn't written by this command"),
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("prints its help, and one line for an error", async () => {
    expect(await run(["--help"])).toMatchObject({ code: 0, out: expect.stringContaining("--write-config") });
    const emulator = await start();
    const port = new URL(emulator.url).port;
    for (const [argv, text] of [
      [["--port", port], `port ${port} is in use`],
      [["--port", "x"], "--port needs a whole number"],
      [["--clock", "fast"], "--clock is real"],
      [["--bogus"], "--bogus"],
    ] as const) {
      const { code, err } = await run([...argv]);
      expect([code, err.trim().split("\n").length]).toEqual([1, 1]);
      expect(err).toContain(text);
    }
  });

  const built = join(__dirname, "../../dist/emulator/cli.js");
  (existsSync(built) ? it : it.skip)("built: ends at once on SIGTERM, even with a request that hangs", async () => {
    const child = execFile(process.execPath, [built, "--port", "0"]);
    const printed = await new Promise<string>((resolve) => child.stdout?.once("data", (data) => resolve(String(data))));
    const url = /at (http:\S+)/.exec(printed)?.[1] ?? "";
    await fetch(`${url}/_emulator/faults`, { method: "POST", body: JSON.stringify({ match: {}, action: "hang" }) });
    const hanging = fetch(`${url}/volume/`).catch(() => "ended");
    await sleep(50);
    const begun = Date.now();
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(Date.now() - begun).toBeLessThan(2000);
    expect(await hanging).toBe("ended");
  });
});

describe("the socket", () => {
  it("survives a client that closes the connection in the middle of its request", async () => {
    const emulator = await start();
    const { port } = new URL(emulator.url);
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), "127.0.0.1", () => {
        socket.write("POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
        socket.destroy();
        resolve();
      });
    });
    expect((await login(emulator)).status).toBe(201);
  });
});

// ---- helpers --------------------------------------------------------------------------------------------------------

interface TokenBody {
  token: {
    project: { id: string; name: string };
    user: { id: string };
    catalog: { type: string; endpoints: { url: string }[] }[];
  };
}

/** The fields that the tests read. Which of them exist depends on the request. */
interface Body {
  id: string;
  code: string;
  error: unknown;
  computeFault: { message: string };
  serviceUnavailable: { code: number };
  versions: object[];
  snapshot: SnapshotBody;
  snapshots: SnapshotBody[];
  snapshots_links?: { href: string }[];
  volume: { id: string };
  messages: { user_message: string }[];
  services: { cinder: { snapshots: object[] } };
  faults: object[];
  operations: { operation: string }[];
  requests: object[];
}

interface SnapshotBody {
  id: string;
  name: string;
  status: string;
  created_at: string;
  updated_at: string;
  "os-extended-snapshot-attributes:progress": string;
}

interface Reply {
  status: number;
  headers: Headers;
  text: string;
  body: Body;
}

type Ask = (method: string, path: string, body?: unknown, microversion?: string) => Promise<Reply>;

async function login(
  emulator: Emulator,
  auth: object = {},
  base = emulator.url,
): Promise<{ status: number; token: string; body: TokenBody }> {
  const user = { name: "demo", password: "secret", domain: { name: "Default" } };
  const scope = "identity" in auth ? {} : { scope: { project: { name: "demo", domain: { id: "default" } } } };
  const reply = await fetch(`${base}/identity/v3/auth/tokens`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ auth: { identity: { methods: ["password"], password: { user } }, ...scope, ...auth } }),
  });
  return {
    status: reply.status,
    token: reply.headers.get("x-subject-token") ?? "",
    body: (await reply.json()) as TokenBody,
  };
}

/** Asks Cinder as the member of demo. */
async function client(emulator: Emulator): Promise<Ask> {
  const { token } = await login(emulator);
  return async (method, path, body, microversion = "3.59") => {
    const reply = await fetch(`${emulator.url}/volume/v3/${emulator.cinder.projectId}${path}`, {
      method,
      redirect: "manual",
      headers: {
        "X-Auth-Token": token,
        "OpenStack-API-Version": `volume ${microversion}`,
        "Content-Type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return read(reply);
  };
}

function controller(emulator: Emulator): Ask {
  return async (method, path, body) =>
    read(
      await fetch(`${emulator.url}/_emulator${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
}

async function read(reply: Response): Promise<Reply> {
  const text = await reply.text();
  const isJson = reply.headers.get("content-type") === "application/json" && text.startsWith("{") && text.endsWith("}");
  const body = (isJson ? JSON.parse(text) : {}) as Body;
  return { status: reply.status, headers: reply.headers, text, body };
}

async function create(ask: Ask, fields: object = {}): Promise<SnapshotBody> {
  return (await ask("POST", "/snapshots", { snapshot: { volume_id: SEED_VOLUMES.data, ...fields } })).body.snapshot;
}

async function statusOf(ask: Ask, id: string): Promise<string> {
  const { status, body } = await ask("GET", `/snapshots/${id}`);
  return status === 200 ? body.snapshot.status : String(status);
}

async function messagesOf(ask: Ask, id: string): Promise<string[]> {
  const { body } = await ask("GET", `/messages?resource_uuid=${id}`);
  return body.messages.map(({ user_message }) => user_message);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
