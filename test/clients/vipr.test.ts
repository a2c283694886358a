// CoprHD's own Java client against the emulator, in JSON and in XML: each call that LinkedTargetSet uses, and the calls
// around them that a user's tools make. Its JAXB models refuse a JSON field that they do not know.

import { type Emulator, SEED_SESSIONS } from "../../emulator";
import { suite, ViprClients } from "./viprClients";

suite.each(["application/json", "application/xml"])("CoprHD's Java client with %s", (mediaType) => {
  let vipr: ViprClients;
  let emulator: Emulator;

  beforeAll(async () => {
    vipr = await ViprClients.start();
    emulator = vipr.emulator;
    await vipr.open("root", mediaType);
  }, 600_000);

  afterAll(() => vipr?.close());

  const call = (on: string, name: string, given: readonly unknown[] = [], wait?: "wait") =>
    vipr.call("root", on, name, given, wait);
  const value = (on: string, name: string, given: readonly unknown[] = [], wait?: "wait") =>
    vipr.value("root", on, name, given, wait);

  const link = (session: string, count: number, target_name: string) =>
    value(
      "blockSnapshotSessions",
      "linkTargets",
      [session, { new_linked_targets: { count, target_name, copy_mode: "copy" } }],
      "wait",
    );

  const targetsOf = async (session: string): Promise<string[]> =>
    (await value("blockSnapshotSessions", "get", [session])).linked_targets.map(({ id }: { id: string }) => id);

  test("a session, a volume, a consistency group: each field has its place in the models", async () => {
    const session = await value("blockSnapshotSessions", "get", [SEED_SESSIONS.shopMonday]);
    expect(session).toMatchObject({ id: SEED_SESSIONS.shopMonday, session_label: expect.any(String), inactive: false });
    expect(session.link).toMatchObject({ rel: "self", href: expect.stringContaining(SEED_SESSIONS.shopMonday) });
    const group = await value("blockConsistencyGroups", "get", [session.consistency_group.id]);
    expect(group.volumes).toHaveLength(2);
    const volume = await value("blockVolumes", "get", [group.volumes[0].id]);
    expect(volume).toMatchObject({ id: group.volumes[0].id, consistency_group: { id: group.id } });
    const other = await value("blockSnapshotSessions", "get", [SEED_SESSIONS.monday]);
    const sessions = await value("blockSnapshotSessions", "listByVolume", [other.parent.id]);
    expect(sessions.map(({ id }: { id: string }) => id).sort()).toEqual([SEED_SESSIONS.monday, SEED_SESSIONS.tuesday]);
  });

  test("targets: linked, looked at, tagged, relinked, unlinked", async () => {
    const [task] = await link(SEED_SESSIONS.monday, 2, "life");
    expect(task).toMatchObject({ state: "ready", resource: { id: SEED_SESSIONS.monday } });
    const ids = await targetsOf(SEED_SESSIONS.monday);
    expect(ids).toHaveLength(2);
    const target = await value("blockSnapshots", "get", [ids[0]]);
    expect(target).toMatchObject({ id: ids[0], is_sync_active: true, protocols: ["FC"], tags: [] });
    const { parent } = await value("blockSnapshotSessions", "get", [SEED_SESSIONS.monday]);
    expect(target.parent.id).toBe(parent.id);

    await value("blockSnapshots", "addTags", [ids[0], ["nightly", "a<b&c>"]]);
    await value("blockSnapshots", "removeTags", [ids[0], ["nightly"]]);
    expect(await value("blockSnapshots", "getTags", [ids[0]])).toEqual(["a<b&c>"]);

    const some = await value("blockSnapshots", "getByIds", [ids]);
    expect(some.map(({ id }: { id: string }) => id).sort()).toEqual([...ids].sort());
    const ofVolume = await value("blockSnapshots", "listByVolume", [parent.id]);
    expect(ofVolume.map(({ id }: { id: string }) => id)).toEqual(expect.arrayContaining(ids));

    await value("blockSnapshotSessions", "relinkTargets", [SEED_SESSIONS.tuesday, { ids }], "wait");
    expect((await targetsOf(SEED_SESSIONS.tuesday)).sort()).toEqual([...ids].sort());
    const unlink = { linked_targets: ids.map((id) => ({ id, delete_target: true })) };
    const done = await value("blockSnapshotSessions", "unlinkTargets", [SEED_SESSIONS.tuesday, unlink], "wait");
    expect(done.state).toBe("ready");
    expect(await targetsOf(SEED_SESSIONS.tuesday)).toEqual([]);
  });

  test("a target that is deactivated leaves its session", async () => {
    await link(SEED_SESSIONS.logs, 1, "gone");
    const [id] = await targetsOf(SEED_SESSIONS.logs);
    await value("blockSnapshots", "deactivate", [id], "wait");
    expect(await targetsOf(SEED_SESSIONS.logs)).toEqual([]);
  });

  test("tasks: by their own path, several at once, and from their session", async () => {
    const { value: started } = await call("blockSnapshotSessions", "linkTargets", [
      SEED_SESSIONS.logs,
      { new_linked_targets: { count: 1, target_name: "tasks", copy_mode: "nocopy" } },
    ]);
    const [{ id, op_id }] = started;
    expect(await value("tasks", "get", [id])).toMatchObject({ id, op_id, tenant: { id: expect.any(String) } });
    expect((await value("tasks", "getByIds", [[id]]))[0].id).toBe(id);
    const own = await value("blockSnapshotSessions", "getTask", [SEED_SESSIONS.logs, id], "wait");
    expect(own).toMatchObject({ id, state: "ready", associated_resources: [] });
  });

  test("searches by name", async () => {
    await link(SEED_SESSIONS.monday, 1, "searched");
    const found = await value("blockSnapshots", "performSearchBy", ["name", "searched"]);
    expect(found).toHaveLength(1);
    expect(found[0].match).toContain("searched");
  });

  test("errors come as the service's own, with code and details", async () => {
    const unknown = SEED_SESSIONS.monday.replace("1111-4111", "0000-4000");
    const missing = await call("blockSnapshotSessions", "get", [unknown]);
    expect(missing.error).toMatchObject({ class: "ServiceErrorException", code: "2000" });
    expect(missing.error?.message).toContain(unknown);
    const odd = await call("blockSnapshotSessions", "get", ["urn:other"]);
    expect(odd.error?.code).toBe("1002");
    const none = await call("blockSnapshotSessions", "unlinkTargets", [
      SEED_SESSIONS.shopMonday,
      { linked_targets: [{ id: unknown.replace("BlockSnapshotSession", "BlockSnapshot"), delete_target: true }] },
    ]);
    expect(none.error?.code).toBe("1013");
    const absent = await call("blockFullCopies", "get", [unknown]);
    expect(absent.error).toBeDefined();
  });

  test("a failed task is the client's exception", async () => {
    emulator.vipr.failNext({ operation: "link", succeed: 0 });
    const failed = await call(
      "blockSnapshotSessions",
      "linkTargets",
      [SEED_SESSIONS.logs, { new_linked_targets: { count: 1, target_name: "failed", copy_mode: "copy" } }],
      "wait",
    );
    expect(failed.error?.class).toBe("ServiceErrorException");
  });

  test("logged out: what follows is refused", async () => {
    await value("auth", "logout");
    const refused = await call("blockSnapshotSessions", "get", [SEED_SESSIONS.monday]);
    expect(refused.error).toBeDefined();
  });
});
