// The data that users give the emulator: what becomes of them, and what is said of wrong ones.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Emulator, type EmulatorData, startEmulator } from "../../emulator";
import { main } from "../../emulator/cli";
import { readDataFile } from "../../emulator/dataFile";

const EXAMPLE = resolve(__dirname, "../../examples/emulator/data.yaml");

describe("the example of the docs", () => {
  let emulator: Emulator;
  beforeAll(async () => {
    emulator = await startEmulator({ data: readDataFile(EXAMPLE) });
  });
  afterAll(() => emulator.close());

  const named = <Row extends { name?: string | null }>(rows: ReadonlyMap<string, Row>, name: string): Row => {
    const found = [...rows.values()].find((row) => row.name === name);
    if (!found) throw new Error(`no ${name}`);
    return found;
  };

  it("has every row, each with what it names", () => {
    const { keystone, cinder, nova, glance, vipr, zstack } = emulator;
    const shop = keystone.projectNamed("shop");
    expect(keystone.rolesOn(keystone.userNamed("alice").id, shop.id)).toEqual(["member"]);
    const db = named(cinder.volumes, "shop-db");
    const root = named(cinder.volumes, "shop-root");
    const server = named(nova.servers, "shop-1");
    expect(db).toMatchObject({
      id: "aaaaaaaa-0000-4000-8000-000000000001",
      size: 50,
      project_id: shop.id,
      status: "in-use",
      metadata: { team: "shop" },
      attachments: [{ server_id: server.id, device: "/dev/vdc" }],
    });
    expect(cinder.volumeTypes.get(db.volume_type_id)?.name).toBe("gold");
    expect(root).toMatchObject({ bootable: true, attachments: [{ server_id: server.id, device: "/dev/vdb" }] });
    expect(server).toMatchObject({ vm_state: "active", host: "compute-7" });
    expect(named(cinder.snapshots, "last-week")).toMatchObject({
      volume_id: db.id,
      volume_size: 50,
      project_id: shop.id,
      created_at: "2026-11-21T02:00:00.000000",
      progress: "100%",
    });
    expect(named(cinder.snapshots, "broken")).toMatchObject({ status: "error", progress: "0%" });
    expect(named(glance.images, "debian-12")).toMatchObject({ size: 344457216, min_disk: 2, visibility: "public" });
    expect(named(glance.images, "tiny")).toMatchObject({ size: 23, visibility: "private" });
    expect(named(cinder.volumes, "aix-data").size).toBe(100);
    const [session] = [...vipr.sessions.values()].filter(({ label }) => label === "erp-sunday");
    const group = [...vipr.groups.values()].find(({ label }) => label === "erp");
    expect(session?.group).toBe(group?.id);
    expect([...vipr.volumes.values()].filter((row) => row.group === group?.id)).toHaveLength(2);
    const vm = zstack.named("build-1");
    expect(vm).toMatchObject({ state: "Stopped", hostUuid: null, cpuNum: 4, memorySize: 16384 * 2 ** 20 });
    expect(zstack.volumesOf(vm?.uuid ?? "", "Data")).toMatchObject([{ name: "cache", size: 80 * 2 ** 30 }]);
  });

  it("is there again after a reset, with the same ids", () => {
    const ids = () => [...emulator.cinder.volumes.keys()].sort();
    const before = ids();
    emulator.cinder.volumes.clear();
    emulator.reset();
    expect(ids()).toEqual(before);
    expect(named(emulator.cinder.volumes, "shop-db").attachments).toHaveLength(1);
  });

  it("alice signs in, and sees her project's volumes alone", async () => {
    const login = {
      auth: {
        identity: {
          methods: ["password"],
          password: { user: { name: "alice", password: "not-a-real-one", domain: { name: "Default" } } },
        },
        scope: { project: { name: "shop", domain: { name: "Default" } } },
      },
    };
    const headers = { "Content-Type": "application/json" };
    const signedIn = await fetch(`${emulator.openstack.authUrl}/auth/tokens`, {
      method: "POST",
      headers,
      body: JSON.stringify(login),
    });
    const token = signedIn.headers.get("x-subject-token") ?? "";
    const { id } = emulator.keystone.projectNamed("shop");
    const listed = await fetch(`${emulator.url}/volume/v3/${id}/volumes`, { headers: { "X-Auth-Token": token } });
    const { volumes } = (await listed.json()) as { volumes: { name: string }[] };
    expect(volumes.map(({ name }) => name).sort()).toEqual(["shop-db", "shop-root"]);
  });
});

describe("wrong data", () => {
  it("are refused all at once, each with its path", async () => {
    const data = {
      cinder: {
        volumes: [
          { id: "one", name: "a", sizeGiB: 0 },
          { name: "b", colour: "red", volumeType: "gold" },
          { id: "11111111-1111-4111-8111-111111111111" },
        ],
        snapshots: [
          { name: "of nothing" },
          { volume: "c" },
          { volume: "a", status: "creating", createdAt: "yesterday" },
        ],
      },
      nova: { servers: [{ volumes: ["a", "z"] }, { volumes: [] }] },
      vipr: { sessions: [{ name: "s", volume: "v", group: "g" }] },
      zstack: { vms: [{ name: "x", id: "not hexadecimal" }] },
      cynder: {},
    } as unknown as EmulatorData;
    const refused = await startEmulator({ data }).then(
      () => [],
      (error: Error) => error.message.split("\n"),
    );
    expect(refused[0]).toBe("the data are wrong in 16 places");
    expect(
      refused
        .slice(1)
        .map((line) => line.trim())
        .sort(),
    ).toEqual(
      [
        "cinder.snapshots[0].volume: Invalid input: expected string, received undefined",
        'cinder.snapshots[1].volume: cinder.volumes has no "c"',
        "cinder.snapshots[2].createdAt: must be a time in UTC, such as 2026-11-28T02:00:00Z",
        'cinder.snapshots[2].status: Invalid option: expected one of "available"|"error"|"error_deleting"|"backing-up"',
        "cinder.volumes[0].id: must be a UUID in lower case",
        "cinder.volumes[0].sizeGiB: must be at least 1",
        'cinder.volumes[1].volumeType: cinder.volumeTypes has no "gold"',
        'cinder.volumes[1]: Unrecognized key: "colour"',
        "cinder.volumes[2].id: another row has the id 11111111-1111-4111-8111-111111111111",
        'nova.servers[0].volumes[1]: cinder.volumes has no "z"',
        "nova.servers[1].volumes: a server is shown by its volumes: name one at least",
        'the data: Unrecognized key: "cynder"',
        "vipr.sessions[0]: a session has a volume or a group",
        'vipr.sessions[0].group: vipr.groups has no "g"',
        'vipr.sessions[0].volume: vipr.volumes has no "v"',
        "zstack.vms[0].id: must be 32 hexadecimal digits",
      ].sort(),
    );
  });

  it("a name that two rows have is refused where it is used, and an id is not", async () => {
    const id = "aaaaaaaa-0000-4000-8000-000000000002";
    const volumes = [{ name: "twin" }, { id, name: "twin" }];
    const start = (volume: string) => startEmulator({ data: { cinder: { volumes, snapshots: [{ volume }] } } });
    await expect(start("twin")).rejects.toThrow('cinder.volumes has 2 rows named "twin"; give an id');
    const emulator = await start(id);
    expect([...emulator.cinder.snapshots.values()]).toMatchObject([{ volume_id: id }]);
    await emulator.close();
  });
});

describe("--data", () => {
  const folder = mkdtempSync(join(tmpdir(), "snapclone-data-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const run = async (name: string, text: string) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    const told = { out: "", err: "" };
    const code = await main(["--port", "0", "--data", file], {
      out: (line) => {
        told.out += line;
      },
      err: (line) => {
        told.err += line;
      },
      untilStopped: () => Promise.resolve(),
    });
    return { code, ...told, file };
  };

  it("takes JSON and YAML", async () => {
    expect((await run("a.json", '{ "cinder": { "volumes": [{ "name": "a" }] } }')).code).toBe(0);
    expect((await run("a.yaml", "cinder: { volumes: [{ name: a }] }")).code).toBe(0);
    expect((await run("empty.yaml", "# nothing yet")).code).toBe(0);
  });

  it("tells each wrong place on a line of its own, and the line of a mistake in the file", async () => {
    const wrong = await run("b.yaml", "cinder: { volumes: [{ sizeGiB: 0 }, { colour: red }] }");
    expect(wrong).toMatchObject({ code: 1, out: "" });
    expect(wrong.err).toBe(
      'snapclone-emulator: the data are wrong in 2 places\n  cinder.volumes[0].sizeGiB: must be at least 1\n  cinder.volumes[1]: Unrecognized key: "colour"\n',
    );
    const broken = await run("c.yaml", "cinder: [");
    expect(broken.code).toBe(1);
    expect(broken.err).toMatch(/c\.yaml is neither JSON nor YAML: .* at line 1/);
  });
});
