// openstacksdk and the `openstack` command from Debian's packages, and gophercloud from the Go proxy, against the emulator.

import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { exists } from "./javaClient";

const run = promisify(execFile);
const PYTHON = "/usr/bin/python3";

let emulator: Emulator;

beforeAll(async () => {
  emulator = await startEmulator({ clock: { scale: 100 } });
});

afterAll(() => emulator.close());

/** Only what the client needs: no other cloud of this machine, no proxy. */
const env = (more: Record<string, string> = {}) => ({
  PATH: process.env.PATH ?? "",
  HOME: fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-client-")),
  OS_IDENTITY_API_VERSION: "3",
  ...more,
});

const hasSdk = fs.existsSync("/usr/lib/python3/dist-packages/openstack");
if (!hasSdk) console.warn("openstacksdk is not run: Debian's package python3-openstacksdk is not installed");

(hasSdk ? describe : describe.skip)("openstacksdk", () => {
  let outcomes: Record<string, unknown>;

  beforeAll(async () => {
    const script = path.join(__dirname, "python", "openstack_calls.py");
    const { stdout } = await run(PYTHON, [script, SEED_VOLUMES.data], {
      env: env(emulator.openstack.env()),
      timeout: 120_000,
    });
    outcomes = JSON.parse(stdout);
  }, 130_000);

  test.each([
    ["identity", { project: "demo", region: "RegionOne", services: expect.arrayContaining(["compute"]) }],
    ["volumes", { found: expect.any(String), size: 2, names: expect.arrayContaining(["sdk"]) }],
    ["snapshots", { status: "available", metadata: { a: "b" }, found: true, paged: true, restored: true }],
    ["metadata", { b: "2", c: "3" }],
    ["volume metadata", { after: { b: "2", c: "3" } }],
    [
      "errors",
      {
        "unknown snapshot": "404 ResourceNotFound",
        "no volume": expect.stringMatching(/^404 /),
        "unknown type": expect.stringMatching(/^404 /),
        multiattach: expect.stringMatching(/^400 /),
        "all servers": expect.stringMatching(/^403 /),
        "bad page": expect.stringMatching(/^400 /),
      },
    ],
    [
      "servers",
      {
        servers: 1,
        status: "ACTIVE",
        attachments: 1,
        "by name": 1,
        "by another name": 0,
        "by status": 0,
        "in pages": 1,
        flavor: "m1.tiny",
      },
    ],
    ["quotas", { volumes: 1000, used: expect.any(Number), limits: expect.any(Number) }],
    [
      "application credentials",
      {
        roles: ["reader"],
        named: true,
        twice: "409 ConflictException",
        admin: "400 BadRequestException",
        past: "400 BadRequestException",
      },
    ],
  ])("%s", (group, expected) => {
    expect(outcomes[group]).toMatchObject(expected);
  });
});

const hasCommand = fs.existsSync("/usr/bin/openstack");
if (!hasCommand)
  console.warn("the command openstack is not run: Debian's package python3-openstackclient is not installed");

(hasCommand ? describe : describe.skip)("the command openstack", () => {
  const openstack = async (...words: string[]) => {
    const { stdout } = await run("/usr/bin/openstack", [...words, "-f", "json"], {
      env: env(emulator.openstack.env()),
      timeout: 60_000,
    });
    return stdout.trim() === "" ? undefined : JSON.parse(stdout);
  };

  test("issues a token, takes a snapshot with properties and finds it again", async () => {
    expect(await openstack("token", "issue")).toMatchObject({ project_id: expect.any(String) });
    const create = [
      "volume",
      "snapshot",
      "create",
      "--volume",
      SEED_VOLUMES.data,
      "--force",
      "--property",
      "a=b",
      "by-command",
    ];
    expect(await openstack(...create)).toMatchObject({ name: "by-command", volume_id: SEED_VOLUMES.data });
    const rows = await openstack("volume", "snapshot", "list", "--long");
    expect(rows).toContainEqual(expect.objectContaining({ Name: "by-command", Properties: { a: "b" } }));
    expect(await openstack("volume", "show", SEED_VOLUMES.data)).toMatchObject({ id: SEED_VOLUMES.data });
  }, 120_000);
});

const hasGo = exists("go");
if (!hasGo) console.warn("gophercloud is not run: there is no Go");

(hasGo ? test : test.skip)(
  "gophercloud: a snapshot's life, pages, an unknown id, servers, application credentials, fields that are missing",
  async () => {
    const folder = path.join(__dirname, "go");
    const program = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-go-")), "calls");
    await run("go", ["build", "-o", program, "."], { cwd: folder, timeout: 280_000 });
    // gophercloud reads the project's domain from this variable only.
    const login = { ...emulator.openstack.env(), OS_DOMAIN_NAME: "Default" };
    const { stdout } = await run(program, [SEED_VOLUMES.data], { env: env(login), timeout: 60_000 });
    expect(JSON.parse(stdout)).toEqual({
      volume: expect.any(String),
      name: "renamed",
      // It sends a PUT, which replaces the whole.
      metadata: { c: "d" },
      found: true,
      gone: true,
      unknown: true,
      servers: { all: 1, "in pages": 1, "another name": 0, running: 1, off: 0, "all projects": 403, "no marker": 400 },
      credentials: { role: "reader", again: 409, admin: 400, named: 1 },
      // go/fields.go has the exceptions.
      missing: [],
    });
    fs.rmSync(path.dirname(program), { recursive: true });
  },
  300_000,
);
