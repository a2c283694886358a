// CoprHD's own Java client on the calls around those that LinkedTargetSet uses: ids in bulk, tags, searches, tasks, exports,
// consistency groups, each refusal, users without rights, and logins.

import { type Emulator, SEED_SESSIONS } from "../../emulator";
import { suite, ViprClients } from "./viprClients";

const { monday, tuesday, logs, shopMonday } = SEED_SESSIONS;
const RESOURCES = ["blockSnapshotSessions", "blockSnapshots", "blockVolumes", "blockConsistencyGroups", "tasks"];
const idsOf = (rows: { id: string }[]) => rows.map(({ id }) => id).sort();
const link = (target_name: string, count = 1) => ({ new_linked_targets: { count, target_name, copy_mode: "copy" } });

suite.each(["application/json", "application/xml"])("CoprHD's Java client with %s", (mediaType) => {
  let vipr: ViprClients;
  let emulator: Emulator;
  const value = (on: string, call: string, given: readonly unknown[] = []) => vipr.value("root", on, call, given);

  beforeAll(async () => {
    vipr = await ViprClients.start();
    emulator = vipr.emulator;
    await vipr.open("root", mediaType);
    await vipr.value("root", "blockSnapshotSessions", "linkTargets", [monday, link("first")], "wait");
  }, 600_000);
  afterAll(() => vipr?.close());

  const project = async () => (await value("blockSnapshotSessions", "get", [monday])).project.id as string;

  test.each(RESOURCES)("%s: ids, objects by ids, tags", async (on) => {
    const ids: string[] = await value(on, "listBulkIds");
    expect(ids.length).toBeGreaterThan(0);
    expect(idsOf(await value(on, "getByIds", [ids]))).toEqual([...ids].sort());
    const [id] = ids;
    await value(on, "addTags", [id, ["nightly", "a<b&c>"]]);
    await value(on, "updateTags", [id, { add: ["weekly"], remove: ["nightly"] }]);
    expect((await value(on, "getTags", [id])).sort()).toEqual(["a<b&c>", "weekly"]);
    const found = await value(on, "performSearchBy", ["tag", "week"]);
    expect(found).toEqual([{ id, match: "weekly", link: expect.anything() }]);
    await value(on, "removeTags", [id, ["a<b&c>", "weekly"]]);
    expect((await value(on, "get", [id])).tags).toEqual([]);
  });

  test("searches by project, by WWN, by name; what is deleted is not found", async () => {
    const id = await project();
    expect(idsOf(await value("blockSnapshotSessions", "findByProject", [id]))).toEqual(
      Object.values(SEED_SESSIONS).sort(),
    );
    expect(await value("blockVolumes", "findByProject", [id])).toHaveLength(4);
    expect(await value("blockConsistencyGroups", "findByProject", [id])).toHaveLength(1);
    const [volume] = await value("blockVolumes", "findByName", ["logs"]);
    expect(idsOf(await value("blockVolumes", "findByWwn", [volume.wwn]))).toEqual([volume.id]);
    const both = await value("blockSnapshots", "performSearch", [{ name: "da", project: id }]);
    expect(both).toMatchObject([{ match: "data" }]);
    const { id: gone } = emulator.vipr.linkNow(logs, "gone-1");
    expect(await value("blockSnapshots", "performSearchBy", ["name", "gone"])).toHaveLength(1);
    emulator.vipr.unlinkNow(gone);
    expect(await value("blockSnapshots", "performSearchBy", ["name", "gone"])).toEqual([]);
    expect(await value("blockSnapshots", "get", [gone])).toMatchObject({ inactive: true });
  });

  test("a target's exports and tasks, and a volume's", async () => {
    const { id, parent } = emulator.vipr.linkNow(logs, "exported-1");
    expect(await value("blockSnapshots", "listExports", [id])).toEqual([]);
    emulator.vipr.setExported(id);
    expect(await value("blockSnapshots", "listExports", [id])).toMatchObject([{ device: { id } }]);
    expect(await value("blockSnapshots", "getTasks", [id])).toEqual([]);
    expect(await value("blockVolumes", "getExports", [parent])).toEqual([]);
    expect(await value("blockVolumes", "getTasks", [parent])).toEqual([]);
    expect(await value("blockSnapshotSessions", "getTasks", [monday])).toMatchObject([{ resource: { id: monday } }]);
  });

  test("a consistency group: its sessions and its targets", async () => {
    const { consistency_group } = await value("blockSnapshotSessions", "get", [shopMonday]);
    const { id } = emulator.vipr.linkNow(shopMonday, "of-group-1");
    const given = [consistency_group.id];
    expect(idsOf(await value("blockConsistencyGroups", "getSnapshotSessions", given))).toContain(shopMonday);
    expect(idsOf(await value("blockSnapshotSessions", "getByConsistencyGroup", given))).toContain(shopMonday);
    expect(idsOf(await value("blockConsistencyGroups", "getSnapshots", given))).toEqual([id]);
    expect(idsOf(await value("blockSnapshots", "getByConsistencyGroup", given))).toEqual([id]);
    expect(await value("blockConsistencyGroups", "getTasks", given)).toEqual([]);
  });

  test("tasks: found by resource and state, counted, resumed, rolled back, deleted", async () => {
    const suspended = async (target_name: string) => {
      emulator.vipr.failNext({ operation: "link", suspend: "suspended_error" });
      const [task] = await value("blockSnapshotSessions", "linkTargets", [tuesday, link(target_name)]);
      expect(await value("tasks", "get", [task.id])).toMatchObject({ state: "suspended_error" });
      return task.id;
    };
    const before = await value("tasks", "getStats");
    const [resumed, rolledBack] = [await suspended("resumed"), await suspended("rolled-back")];
    expect((await value("tasks", "getStats")).pending).toBe(before.pending + 2);
    await value("tasks", "resume", [resumed]);
    await value("tasks", "rollback", [rolledBack]);
    await vipr.call("root", "blockSnapshotSessions", "getTask", [tuesday, rolledBack], "wait");
    await vipr.value("root", "blockSnapshotSessions", "getTask", [tuesday, resumed], "wait");
    expect(await value("tasks", "getStats")).toEqual({ ...before, ready: before.ready + 1, error: before.error + 1 });
    expect(idsOf(await value("tasks", "findByResource", [tuesday]))).toEqual([resumed, rolledBack].sort());
    const { id: tenant } = (await value("tasks", "get", [resumed])).tenant;
    expect(idsOf(await value("tasks", "findByState", [tenant, "ERROR"]))).toContain(rolledBack);
    expect(await value("tasks", "getStatsByTenant", [tenant])).toEqual(await value("tasks", "getStats"));
    await value("tasks", "delete", [rolledBack]);
    expect((await vipr.call("root", "tasks", "get", [rolledBack])).error?.code).toBe("2000");
  });

  test("each refusal has its status and code", async () => {
    const refused = async (on: string, call: string, given: readonly unknown[]) => {
      const { error } = await vipr.call("root", on, call, given);
      expect(error?.class).toBe("ServiceErrorException");
      return `${error?.status} ${error?.code}`;
    };
    const session = (call: string, ...given: unknown[]) => refused("blockSnapshotSessions", call, given);
    const unlink = (id: string, on: string) =>
      session("unlinkTargets", on, { linked_targets: [{ id, delete_target: true }] });
    const { id: here } = emulator.vipr.linkNow(monday, "here-1");
    const { id: gone } = emulator.vipr.linkNow(monday, "left-1");
    emulator.vipr.unlinkNow(gone);
    expect(await session("get", "urn:x")).toBe("400 1002");
    expect(await unlink(here.replace(/.{4}:vdc1$/, "0000:vdc1"), monday)).toBe("400 1004");
    expect(await session("linkTargets", monday, {})).toBe("400 1005");
    expect(await session("relinkTargets", tuesday, { ids: [gone] })).toBe("400 1006");
    expect(await session("linkTargets", monday, link("none", 0))).toBe("400 1008");
    expect(await session("linkTargets", monday, link("here"))).toBe("400 1008");
    emulator.vipr.linkNow(tuesday, "there-1");
    expect(await unlink(here, tuesday)).toBe("400 1013");
    expect(await session("deactivate", monday, "FULL")).toBe("400 1013");
    emulator.vipr.setExported(here);
    expect(await refused("blockSnapshots", "deactivate", [here])).toBe("400 1020");
    emulator.vipr.failNext({ operation: "link", stuck: true });
    await value("blockSnapshotSessions", "linkTargets", [logs, link("stuck")]);
    expect(await session("deactivate", logs, "FULL")).toBe("400 1056");
    expect(await session("get", monday.replace("aaaaaaaa", "dddddddd"))).toBe("404 2000");
    const { id: old } = emulator.vipr.createSession("old", { group: [...emulator.vipr.groups.keys()][0] ?? "" });
    await vipr.value("root", "blockSnapshotSessions", "deactivate", [old, "FULL"], "wait");
    expect(await session("linkTargets", old, link("late"))).toBe("404 2001");
    emulator.vipr.failNext({ operation: "link", undispatched: true });
    expect(await session("linkTargets", monday, link("lost"))).toBe("503 9501");
    // What the emulator does not have is not there, in ViPR's words.
    expect(await session("restore", monday)).toBe("404 2000");
    expect(await refused("auth", "proxyToken", [])).toBe("404 2000");
  });
});

suite("CoprHD's Java client, with users and sessions", () => {
  let vipr: ViprClients;
  beforeAll(async () => {
    vipr = await ViprClients.start();
    for (const user of ["root", "monitor", "stranger"]) await vipr.open(user);
  }, 600_000);
  afterAll(() => vipr?.close());

  const errorOf = async (user: string, on: string, call: string, given: readonly unknown[] = []) => {
    const { error } = await vipr.call(user, on, call, given);
    return `${error?.status} ${error?.code}`;
  };

  test("a monitor reads everything and changes nothing", async () => {
    const { id } = vipr.emulator.vipr.linkNow(monday, "watched-1");
    for (const on of RESOURCES.slice(0, 4)) {
      const [one] = await vipr.value("monitor", on, "listBulkIds");
      expect(await vipr.value("monitor", on, "get", [one])).toMatchObject({ id: one });
      expect(await errorOf("monitor", on, "addTags", [one, ["abc"]])).toBe("403 3000");
    }
    const session = (call: string, ...given: unknown[]) => errorOf("monitor", "blockSnapshotSessions", call, given);
    expect(await session("linkTargets", monday, link("denied"))).toBe("403 3000");
    expect(await session("unlinkTargets", monday, { linked_targets: [{ id, delete_target: true }] })).toBe("403 3000");
    expect(await session("relinkTargets", tuesday, { ids: [id] })).toBe("403 3000");
    expect(await session("deactivate", monday, "FULL")).toBe("403 3000");
    expect(await errorOf("monitor", "blockSnapshots", "deactivate", [id])).toBe("403 3000");
  });

  test("a stranger sees nothing", async () => {
    for (const on of RESOURCES.slice(0, 4)) {
      const [one] = await vipr.value("root", on, "listBulkIds");
      expect(await errorOf("stranger", on, "listBulkIds")).toBe("403 3000");
      expect(await errorOf("stranger", on, "get", [one])).toBe("403 3000");
      expect(await vipr.value("stranger", on, "getByIds", [[one]])).toEqual([]);
    }
    expect(await vipr.value("stranger", "blockVolumes", "findByName", ["data"])).toEqual([]);
    const { project } = await vipr.value("root", "blockSnapshotSessions", "get", [monday]);
    expect(await errorOf("stranger", "blockSnapshots", "findByProject", [project.id])).toBe("403 3000");
  });

  test("a forced logout ends the user's other sessions, and no other user's", async () => {
    await vipr.open("monitor", "application/json", { name: "monitor again" });
    await vipr.value("monitor", "auth", "forceLogout");
    const write = [monday, link("late")];
    expect((await vipr.call("monitor again", "blockSnapshotSessions", "linkTargets", write)).error?.status).toBe("401");
    // A read is redirected to the login, which the client cannot follow.
    expect((await vipr.call("monitor again", "blockSnapshotSessions", "get", [monday])).error).toBeDefined();
    expect(await vipr.value("root", "blockSnapshotSessions", "get", [monday])).toMatchObject({ id: monday });
    expect((await vipr.call("monitor", "auth", "login", ["monitor", "secret"])).value).toEqual(expect.any(String));
  });

  test("an administrator ends another user's sessions; others may not", async () => {
    expect(await errorOf("monitor", "auth", "logoutUser", ["root", false, false])).toBe("403 3000");
    await vipr.value("root", "auth", "logoutUser", ["monitor", false, false]);
    expect(
      (await vipr.call("monitor", "blockSnapshotSessions", "linkTargets", [monday, link("late")])).error?.status,
    ).toBe("401");
  });

  test("a password with the letters of ISO 8859-1", async () => {
    vipr.emulator.vipr.auth.addUser({ name: "umlaut", password: "Schlüssel", role: "monitor" });
    const opened = await vipr.open("umlaut", "application/json", { password: "Schlüssel" });
    expect(opened.value).toEqual(expect.any(String));
  });

  test("a hundred tokens, and no more", async () => {
    const login = () => vipr.call("stranger", "auth", "login", ["stranger", "secret"]);
    for (let n = 1; n < 100; n += 1) expect((await login()).error).toBeUndefined();
    const { error } = await login();
    expect([error?.status, error?.code, error?.message]).toEqual([
      "401",
      "4000",
      expect.stringContaining("Max number of tokens exceeded for this user"),
    ]);
  });

  // The last one: the address is locked then, for all of its users.
  test("ten wrong passwords lock the address, for right ones, too", async () => {
    for (let n = 0; n < 10; n += 1) {
      expect((await vipr.call("monitor", "auth", "login", ["monitor", "wrong"])).error).toBeDefined();
    }
    const { error } = await vipr.call("monitor", "auth", "login", ["monitor", "secret"]);
    expect([error?.code, error?.message]).toEqual(["4000", expect.stringContaining("Exceeding invalid login limit")]);
  });
});
