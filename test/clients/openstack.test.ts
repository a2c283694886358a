// openstacksdk and the `openstack` command from Debian's packages, and gophercloud from the Go proxy, against the emulator.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { exists } from "./javaClient";
import { clientHome, hasCommand, hasSdk, openstack, run, runScript } from "./openstackClient";

let emulator: Emulator;
const home = clientHome();

beforeAll(async () => {
  emulator = await startEmulator({ clock: { scale: 100 } });
});

afterAll(async () => {
  await emulator.close();
  home.remove();
});

(hasSdk ? describe : describe.skip)("openstacksdk", () => {
  let outcomes: Record<string, unknown>;

  beforeAll(async () => {
    outcomes = await runScript("openstack_calls.py", [SEED_VOLUMES.data], home.env(emulator.openstack.env()));
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

(hasCommand ? describe : describe.skip)("the command openstack", () => {
  const command = (...words: string[]) => openstack(home.env(emulator.openstack.env()), ...words);

  test("issues a token, takes a snapshot with properties and finds it again", async () => {
    expect(await command("token", "issue")).toMatchObject({ project_id: expect.any(String) });
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
    expect(await command(...create)).toMatchObject({ name: "by-command", volume_id: SEED_VOLUMES.data });
    const rows = await command("volume", "snapshot", "list", "--long");
    expect(rows).toContainEqual(expect.objectContaining({ Name: "by-command", Properties: { a: "b" } }));
    expect(await command("volume", "show", SEED_VOLUMES.data)).toMatchObject({ id: SEED_VOLUMES.data });
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
    const { stdout } = await run(program, [SEED_VOLUMES.data], { env: home.env(login), timeout: 60_000 });
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
