// NovaClient against the emulator, and the emulator's compute node against what a real one did
// (docs/wire/openstack.md#seen).

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { type CreateInfo, NovaClient } from "../../provider/openstack/nova";
import { failure } from "../support/failures";

const VOLUME = SEED_VOLUMES.logs;
const BASE = `volume-${VOLUME}`;
const NOBODY = "99999999-9999-4999-8999-999999999999";

let emulator: Emulator;
let nova: NovaClient;
let snapshot: string;
const sessions: KeystoneSession[] = [];

beforeEach(async () => {
  emulator = await startEmulator({ clock: "manual" });
  nova = connect(emulator.openstack.connection("admin"));
  snapshot = emulator.cinder.createSnapshot({ volume_id: VOLUME, status: "creating" }).id;
});

afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
  await emulator.close();
});

function connect(config: unknown): NovaClient {
  const session = new KeystoneSession(resolveOpenStack({ name: "default", config, env: {}, cwd: "/", home: "/" }));
  sessions.push(session);
  return new NovaClient(session);
}

const info = (new_file: string, of = snapshot): CreateInfo => ({ snapshot_id: of, type: "qcow2", new_file, id: of });
const merge = (file_to_merge: string | null = null, merge_target_file: string | null = null) =>
  nova.deleteAssistedSnapshot(snapshot, { volume_id: VOLUME, type: "qcow2", file_to_merge, merge_target_file });
const work = () => emulator.clock.tick(60_000);
const row = () => {
  emulator.cinder.advance();
  const found = emulator.cinder.snapshots.get(snapshot);
  return `${found?.status} ${found?.progress}`;
};
const chain = () => {
  emulator.nova.advance();
  return emulator.nova.chain(VOLUME);
};
const set = (status: string, progress = "100%") =>
  Object.assign(emulator.cinder.snapshots.get(snapshot) ?? {}, { status, progress });

/** `delete_info` as other clients send it. */
async function rawDelete(deleteInfo: object): Promise<number> {
  const user = emulator.keystone.userNamed("admin").id;
  const { id } = emulator.keystone.issue({
    userId: user,
    methods: ["password"],
    projectId: emulator.cinder.projectId,
    system: false,
    roles: ["admin"],
    applicationCredentialId: null,
  });
  const query = new URLSearchParams({ delete_info: JSON.stringify(deleteInfo) });
  const url = `${emulator.url}/compute/v2.1/os-assisted-volume-snapshots/${snapshot}?${query}`;
  return (await fetch(url, { method: "DELETE", headers: { "X-Auth-Token": id } })).status;
}

describe("create", () => {
  test("create: Nova answers at once, and the compute node switches the disk later and reports to Cinder", async () => {
    emulator.nova.createFile(VOLUME, "overlay");
    await nova.createAssistedSnapshot(VOLUME, info("overlay"));
    expect([chain(), row()]).toEqual([[BASE], "creating 0%"]);
    work();
    expect([row(), chain()]).toEqual(["creating 90%", ["overlay", BASE]]);
  });

  test("create: a row in another status stays as it is, and only the log shows the refused report", async () => {
    set("available");
    emulator.nova.createFile(VOLUME, "overlay");
    await nova.createAssistedSnapshot(VOLUME, info("overlay"));
    work();
    expect([row(), chain()[0]]).toEqual(["available 100%", "overlay"]);
    expect(emulator.nova.log).toEqual([expect.stringContaining("available not allowed for update_snapshot_status")]);
  });

  test("create: the disk is switched for an unknown snapshot too", async () => {
    emulator.nova.createFile(VOLUME, "overlay");
    await nova.createAssistedSnapshot(VOLUME, info("overlay", NOBODY));
    work();
    expect(chain()[0]).toBe("overlay");
    expect(emulator.nova.log).toEqual([expect.stringContaining(`Snapshot ${NOBODY} could not be found`)]);
  });

  test.each([
    ["a missing file", "missing", "error 90%"],
    ["the active file", BASE, "error 90%"],
  ])("create: %s ends in an error", async (_name, file, seen) => {
    await nova.createAssistedSnapshot(VOLUME, info(file));
    work();
    expect([row(), chain()]).toEqual([seen, [BASE]]);
  });

  test("create: Nova answers 200 for a server that is not running, and never reports", async () => {
    const server = emulator.nova.serverOf(VOLUME);
    if (server) server.vm_state = "stopped";
    emulator.nova.createFile(VOLUME, "overlay");
    await nova.createAssistedSnapshot(VOLUME, info("overlay"));
    work();
    expect([row(), chain(), emulator.nova.log.length]).toEqual(["creating 0%", [BASE], 1]);
  });
});

describe("delete", () => {
  beforeEach(async () => {
    for (const name of ["one", "two", "three"]) {
      emulator.nova.createFile(VOLUME, name);
      await nova.createAssistedSnapshot(VOLUME, info(name));
      work();
    }
    expect(chain()).toEqual(["three", "two", "one", BASE]);
    set("deleting");
  });

  const merges: [string, string | null, string | null, string[]][] = [
    ["all files into the active file", null, null, ["three"]],
    ["the active file onto a file below it", "one", null, ["three", "one", BASE]],
    ["a file into its backing file", "two", "one", ["three", "one", BASE]],
  ];
  test.each(merges)("delete: merges %s", async (_name, from, into, left) => {
    await merge(from, into);
    expect(row()).toBe("deleting 100%");
    work();
    expect([row(), chain()]).toEqual(["deleting 90%", left]);
  });

  const failures: [string, string | null, string | null][] = [
    ["the active file into its backing file", "three", "two"],
    ["no file into a file", null, "two"],
    ["a file into a file that is not its backing file", "two", BASE],
    ["a file that is not in the chain", "four", null],
  ];
  test.each(failures)("delete: merging %s ends in error_deleting", async (_name, from, into) => {
    await merge(from, into);
    work();
    expect([row(), chain()]).toEqual(["error_deleting 90%", ["three", "two", "one", BASE]]);
  });

  test("delete: with a path in the chain only a merge of all files works", async () => {
    emulator.nova.createFile(VOLUME, "four", { absolute: true });
    set("creating");
    await nova.createAssistedSnapshot(VOLUME, info("four"));
    work();
    set("deleting");
    await merge("three");
    work();
    expect(row()).toBe("error_deleting 90%");
    set("deleting");
    await merge();
    work();
    expect([row(), chain()]).toEqual(["deleting 90%", ["four"]]);
  });

  test.each([
    ["only volume_id, as the API reference shows it", { volume_id: VOLUME }],
    ["another type", { volume_id: VOLUME, type: "raw", file_to_merge: null, merge_target_file: null }],
    ["one field missing", { volume_id: VOLUME, type: "qcow2", merge_target_file: null }],
  ])("delete: Nova answers 204 to %s, and the row goes to error_deleting", async (_name, incomplete) => {
    expect(await rawDelete(incomplete)).toBe(204);
    work();
    expect([row(), chain().length]).toEqual(["error_deleting 90%", 4]);
  });

  test("delete: with a row in another status Nova answers 204, and the row shows nothing", async () => {
    set("available");
    expect(await rawDelete({ volume_id: VOLUME })).toBe(204);
    work();
    expect([row(), chain().length]).toEqual(["available 100%", 4]);
  });

  test("delete: Nova ignores the snapshot's id", async () => {
    const everything = { volume_id: VOLUME, type: "qcow2", file_to_merge: null, merge_target_file: null } as const;
    await nova.deleteAssistedSnapshot(NOBODY, everything);
    work();
    expect(chain()).toEqual(["three"]);
    expect(emulator.nova.log.at(-1)).toContain(`Snapshot ${NOBODY} could not be found`);
  });
});

describe("errors", () => {
  const member = () => connect(emulator.openstack.connection());
  /** Sends a merge after changing the server and its volume. */
  const mergeAt = (fields: object, ...names: string[]) => {
    Object.assign(emulator.nova.serverOf(VOLUME) ?? {}, fields);
    Object.assign(emulator.cinder.volumes.get(VOLUME) ?? {}, fields);
    return merge(...names);
  };
  const cases: [string, () => Promise<unknown>, string, RegExp][] = [
    [
      "a volume that is not attached",
      () => nova.createAssistedSnapshot(SEED_VOLUMES.data, info("x")),
      "refused",
      /attached to no server/,
    ],
    [
      "a create by a member",
      () => member().createAssistedSnapshot(VOLUME, info("x")),
      "forbidden",
      /policy rule os_compute_api\S+:create/,
    ],
    [
      "a delete by a member",
      () =>
        member().deleteAssistedSnapshot(snapshot, {
          volume_id: VOLUME,
          type: "qcow2",
          file_to_merge: null,
          merge_target_file: null,
        }),
      "forbidden",
      /policy rule os_compute_api\S+:delete/,
    ],
    ["a busy server", () => mergeAt({ task_state: "rebooting" }), "refused", /task_state rebooting[\s\S]*busy/],
    [
      "a stopped server",
      () => mergeAt({ vm_state: "stopped" }, "a", "b"),
      "refused",
      /vm_state stopped[\s\S]*Start it/,
    ],
    ["a server on no host", () => mergeAt({ host: null }), "refused", /is not ready/],
    [
      "a volume for several servers",
      () => mergeAt({ multiattach: true }),
      "refused",
      /VolumeBDMIsMultiAttach[\s\S]*several servers/,
    ],
  ];
  test.each(cases)("error: %s is explained in plain words", async (_name, ask, kind, text) => {
    const error = await failure(ask());
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(text);
    expect(error.message).toMatch(/request id req-/);
  });
});

describe("serverStatus", () => {
  const serverId = () => emulator.nova.serverOf(VOLUME)?.id ?? "";

  test.each([
    [{}, "ACTIVE"],
    [{ task_state: "rebooting" }, "REBOOT"],
    [{ vm_state: "stopped" }, "SHUTOFF"],
  ])("serverStatus: with %j it is %s", async (fields, status) => {
    Object.assign(emulator.nova.serverOf(VOLUME) ?? {}, fields);
    expect(await nova.serverStatus(serverId())).toBe(status);
    expect(await connect(emulator.openstack.connection()).serverStatus(serverId())).toBe(status);
  });

  test("serverStatus: is undefined for an unknown server, another project's, and without a network service", async () => {
    expect(await nova.serverStatus(NOBODY)).toBeUndefined();
    const { keystone } = emulator;
    keystone.assign(keystone.userNamed("demo").id, keystone.createProject({ name: "mill" }).id, ["member"]);
    const elsewhere = connect({ ...emulator.openstack.connection(), projectName: "mill" });
    expect(await elsewhere.serverStatus(serverId())).toBeUndefined();
    emulator.faults.add({ match: { operation: "servers.show" }, status: 500, times: 3 });
    expect(await nova.serverStatus(serverId())).toBeUndefined();
  });

  test("serverStatus: can be aborted", async () => {
    const stop = new AbortController();
    emulator.faults.add({ match: { operation: "servers.show" }, action: "hang" });
    const asked = nova.serverStatus(serverId(), stop.signal);
    while (emulator.requests.count({ operation: "servers.show" }) === 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort(new Error("enough"));
    await expect(asked).rejects.toThrow(/stopped/);
  });
});

test("control API: makes files, shows disks and changes servers", async () => {
  const control = async (method: string, path: string, body?: object) => {
    const reply = await fetch(`${emulator.url}/_emulator${path}`, {
      method,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
  };
  expect((await control("POST", `/volumes/${VOLUME}/files`, { name: "overlay" })).status).toBe(201);
  await nova.createAssistedSnapshot(VOLUME, info("overlay"));
  work();
  const { chain: files } = (await control("GET", `/volumes/${VOLUME}/disk`)).body;
  expect(files).toMatchObject([
    { name: "overlay", backing: BASE, holds: ["overlay"] },
    { name: BASE, backing: null },
  ]);
  const id = emulator.nova.serverOf(VOLUME)?.id ?? "";
  expect((await control("PATCH", `/servers/${id}`, { vm_state: "stopped" })).body).toMatchObject({ server: { id } });
  for (const path of ["/volumes/nowhere/files", "/servers/nowhere"]) {
    expect((await control(path.startsWith("/s") ? "PATCH" : "POST", path, {})).status).toBe(404);
  }
  expect((await control("POST", `/volumes/${VOLUME}/files`, {})).status).toBe(400);
  expect((await control("GET", "/state")).body).toMatchObject({
    services: { nova: { disks: { [VOLUME]: ["overlay", BASE] } } },
  });
});
