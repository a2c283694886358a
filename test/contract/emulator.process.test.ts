// The emulator as a process: control API, command, https, sockets.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { type Emulator, SEED_VOLUMES } from "../../emulator";
import { main } from "../../emulator/cli";
import { type Ask, client, create, login, read, sleep, start, statusOf } from "./emulatorClient";

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
    expect((await fetch(`${emulator.url}/nothing`)).status).toBe(404);
  });

  it("no fault rule applies to it", async () => {
    const emulator = await start();
    emulator.faults.add({ match: {}, times: Infinity, action: "reset" });
    expect((await controller(emulator)("GET", "/state")).status).toBe(200);
  });
});

describe("independence", () => {
  it("imports nothing but Node and itself, and what checks and reads a user's data", () => {
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
        .filter((name) => !(name === "zod" && /(^|\/)data\.ts$/.test(file)))
        .filter((name) => !(name === "yaml" && file === "dataFile.ts"))
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
      const former = readFileSync(config, "utf8").replace("by snapclone emulator", "by snapclone-emulator");
      writeFileSync(config, former);
      expect((await run(["--port", "0", "--write-config", config])).code).toBe(0);
      expect(readFileSync(config, "utf8")).not.toBe(former);
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

function controller(emulator: Emulator): Ask {
  return async (method, path, body) =>
    read(
      await fetch(`${emulator.url}/_emulator${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
}
