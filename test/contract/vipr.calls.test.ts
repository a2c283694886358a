// Calls of ViPR that the provider does not make and other clients do: bulk ids, tags, exports, tasks, consistency groups
// (docs/wire/vipr.md#s3). And what each object shows (docs/wire/vipr.md#session-model and those after it).

import { SEED_SESSIONS } from "../../emulator";
import { ViprHttp } from "./viprHttp";

const { monday, tuesday, shopMonday } = SEED_SESSIONS;
const PATHS = [
  "/block/snapshot-sessions",
  "/block/snapshots",
  "/block/volumes",
  "/block/consistency-groups",
  "/vdc/tasks",
] as const;
const NO_RIGHTS = { status: 403, body: { code: 3000, details: "Insufficient permissions for user stranger." } };

let vipr: ViprHttp;
beforeEach(async () => {
  vipr = await ViprHttp.start();
  await vipr.link(monday, "dev");
});
afterEach(() => vipr.close());

const get = async (path: string) => {
  const { status, body } = await vipr.root(path);
  expect([path, status]).toEqual([path, 200]);
  return body;
};
const post = (path: string, body?: unknown) => vipr.root(path, { method: "POST", ...(body ? { body } : {}) });
const firstId = async (path: string): Promise<string> => (await get(`${path}/bulk`)).id[0];

describe.each(PATHS)("%s", (path) => {
  test("lists its ids, and shows those that are asked for", async () => {
    const { id: ids } = await get(`${path}/bulk`);
    expect(ids.length).toBeGreaterThan(0);
    const { body } = await post(`${path}/bulk`, { id: ids });
    expect(Object.values<{ id: string }[]>(body)[0]?.map(({ id }) => id)).toEqual(ids);
    expect((await vipr.as("monitor", `${path}/bulk`)).body).toEqual({ id: ids });
    expect(await vipr.as("stranger", `${path}/bulk`)).toMatchObject(NO_RIGHTS);
    const { text } = await vipr.root(`${path}/bulk`, { headers: { Accept: "application/xml" } });
    expect(text).toContain(`<ids><id>${ids[0]}</id>`);
  });

  test("refuses more than 4000 ids", async () => {
    const id = Array.from({ length: 4001 }, (_, n) => `urn:storageos:Volume:${n}`);
    expect(await post(`${path}/bulk`, { id })).toMatchObject({
      status: 400,
      body: { code: 1031, details: "Exceeding limit of bulk size. Max allowed 4,000" },
    });
  });

  test("has tags, which the object shows", async () => {
    const id = await firstId(path);
    const put = (user: string, body: object) => vipr.as(user, `${path}/${id}/tags`, { method: "PUT", body });
    expect(await put("root", { add: ["abc", "de"] })).toMatchObject({ status: 200, body: { tag: ["abc", "de"] } });
    expect(await put("root", { remove: ["abc", "nothing"] })).toMatchObject({ body: { tag: ["de"] } });
    expect(await get(`${path}/${id}/tags`)).toEqual({ tag: ["de"] });
    expect(await get(`${path}/${id}`)).toMatchObject({ tags: ["de"] });
    for (const tag of ["x", "", null])
      expect(await put("root", { add: ["good", tag] })).toMatchObject({
        status: 400,
        body: { code: 1008, details: "Tag is empty or contains less than 2 characters" },
      });
    expect(await get(`${path}/${id}/tags`)).toEqual({ tag: ["de"] });
    expect(await put("stranger", { add: ["abc"] })).toMatchObject(NO_RIGHTS);
    // A task's tags ask for no role (TaskService.java, assignTags).
    expect((await put("monitor", { add: ["abc"] })).status).toBe(path === "/vdc/tasks" ? 200 : 403);
  });

  test("refuses an id that is none, of another type, or unknown", async () => {
    const id = await firstId(path);
    // Volumes, targets and groups compare the type of the id, with words of their own (ArgValidator.java:65-75).
    const [, , type = ""] = id.split(":");
    const compares = ["Volume", "BlockSnapshot", "BlockConsistencyGroup"].includes(type);
    const answer = async (given: string) => {
      const { status, body } = await vipr.root(`${path}/${given}`);
      return [status, body.code, body.details];
    };
    expect(await answer("urn:x")).toEqual(
      compares
        ? [400, 1008, "Parameter id is not a valid URI: urn:x"]
        : [400, 1002, "Parameter urn:x is not a valid URI"],
    );
    const other = id.replace(type, "Project");
    const unknown = (one: string) => [404, 2000, `Unable to find entity specified in URL with the given id ${one}`];
    expect(await answer(other)).toEqual(
      compares ? [400, 1008, `Parameter id is not a ${type} URI: ${other}`] : unknown(other),
    );
    const none = id.replace(/.{4}:vdc1$/, "0000:vdc1");
    expect(await answer(none)).toEqual(unknown(none));
    expect((await answer(id.replace("urn:", "URN:")))[0]).toBe(400);
    // Its permissions are looked up first for a user without a role.
    expect(await vipr.as("stranger", `${path}/urn:x`)).toMatchObject({ status: 404, body: { code: 2000 } });
  });
});

describe("tasks", () => {
  test.each(PATHS.slice(0, 4))("%s has tasks, by either id", async (path) => {
    const id = await firstId(path);
    expect(await get(`${path}/${id}/tasks`)).toEqual({ task: expect.any(Array) });
    const [task] = (await get(`/block/snapshot-sessions/${monday}/tasks`)).task;
    // A task's URN is looked up whatever the object, its op_id with the object.
    expect(await get(`${path}/${id}/tasks/${task.id}`)).toMatchObject({ op_id: task.op_id });
    expect(await get(`/block/snapshot-sessions/${monday}/tasks/${task.op_id}`)).toMatchObject({ id: task.id });
    for (const unknown of [task.op_id.replace(/^./, "z"), task.id.replace(/.{4}:vdc1$/, "zzzz:vdc1")])
      expect(await vipr.root(`${path}/${id}/tasks/${unknown}`)).toMatchObject({
        status: 400,
        body: { code: 1008, details: `No operation found for task with id: ${unknown}` },
      });
  });

  test("a target that is deactivated for a second time has a task of its own", async () => {
    const [id] = vipr.emulator.vipr.active().map((target) => target.id);
    await post(`/block/snapshots/${id}/deactivate`);
    await get(`/block/snapshots/${id}`);
    await post(`/block/snapshots/${id}/deactivate`);
    const { task } = await get(`/block/snapshots/${id}/tasks`);
    expect(task).toMatchObject([{ state: "ready", message: "The snapshot has already been deleted" }]);
  });

  test("are counted by their state", async () => {
    expect(await get("/vdc/tasks/stats")).toEqual({ pending: 0, ready: 1, error: 0 });
    vipr.emulator.vipr.failNext({ operation: "link", succeed: 0 });
    await vipr.link(monday, "failed");
    vipr.emulator.vipr.failNext({ operation: "link", suspend: "suspended_error" });
    await vipr.link(monday, "suspended");
    expect(await get("/vdc/tasks/stats")).toEqual({ pending: 1, ready: 1, error: 1 });
    const { id: tenant } = await get("/tenant");
    expect(await get(`/vdc/tasks/stats?tenant=${tenant}`)).toEqual({ pending: 1, ready: 1, error: 1 });
    expect(await get("/vdc/tasks/stats?tenant=system")).toEqual({ pending: 0, ready: 0, error: 0 });
    expect(await vipr.as("stranger", "/vdc/tasks/stats?tenant=system")).toMatchObject(NO_RIGHTS);
  });

  test("only what is suspended is resumed or rolled back, and by no monitor", async () => {
    const [{ id }] = (await get(`/block/snapshot-sessions/${monday}/tasks`)).task;
    for (const verb of ["resume", "rollback"]) {
      const { status, body } = await post(`/vdc/tasks/${id}/${verb}`);
      expect([status, body.code, body.details]).toEqual([
        400,
        1008,
        "Invalid value SUCCESS for parameter Workflow completion state, expected one of [SUSPENDED_NO_ERROR, SUSPENDED_ERROR]",
      ]);
    }
    vipr.emulator.vipr.failNext({ operation: "link", suspend: "suspended_error" });
    await vipr.link(tuesday, "suspended");
    const [waiting] = (await get(`/block/snapshot-sessions/${tuesday}/tasks`)).task;
    expect(await vipr.as("monitor", `/vdc/tasks/${waiting.id}/resume`, { method: "POST" })).toMatchObject({
      status: 403,
    });
    expect(await post(`/vdc/tasks/${waiting.id}/resume`)).toMatchObject({ status: 200, text: "" });
    expect(await get(`/vdc/tasks/${waiting.id}`)).toMatchObject({ state: "ready" });
  });

  test("without a workflow are no others' to resume", async () => {
    const { body } = await post(`/block/snapshot-sessions/${tuesday}/deactivate`);
    const [{ id }] = body.task;
    expect(await post(`/vdc/tasks/${id}/resume`)).toMatchObject({
      status: 400,
      body: { code: 1013, details: `No workflow is associated with task ID ${id}.` },
    });
  });

  test("are deleted by a system administrator", async () => {
    const id = await firstId("/vdc/tasks");
    const path = `/vdc/tasks/${id}/delete`;
    expect(await vipr.as("monitor", path, { method: "POST" })).toMatchObject({ status: 403 });
    expect(await post(path)).toMatchObject({ status: 200, text: "" });
    expect(await vipr.root(`/vdc/tasks/${id}`)).toMatchObject({ status: 404, body: { code: 2000 } });
  });
});

describe("exports", () => {
  test("of a target: none, those of its export group, and none of what is inactive", async () => {
    const [target] = vipr.emulator.vipr.active();
    const path = `/block/snapshots/${target?.id}/exports`;
    expect(await get(path)).toEqual({ itl: [] });
    vipr.emulator.vipr.setExported(target?.id ?? "");
    expect(await get(path)).toEqual({
      itl: [
        {
          hlu: expect.any(Number),
          initiator: { id: expect.any(String), link: expect.anything(), port: expect.any(String) },
          export: { id: expect.any(String), link: expect.anything(), name: expect.any(String) },
          device: { id: target?.id, link: expect.anything(), wwn: target?.wwn?.toUpperCase() },
          target: { id: expect.any(String), link: expect.anything(), port: expect.any(String) },
        },
      ],
    });
    expect(await vipr.as("stranger", path)).toMatchObject(NO_RIGHTS);
    vipr.emulator.vipr.unlinkNow(target?.id ?? "");
    expect(await vipr.root(path)).toMatchObject({ status: 404, body: { code: 2000 } });
  });

  test("of a volume there are none", async () => {
    expect(await get(`/block/volumes/${await firstId("/block/volumes")}/exports`)).toEqual({ itl: [] });
  });
});

describe("a session under the address of its consistency group", () => {
  const under = async (group: string, session: string, verb: string, body?: unknown) =>
    post(`/block/consistency-groups/${group}/protection/snapshot-sessions/${session}/${verb}`, body);
  const groupId = () => firstId("/block/consistency-groups");
  const link = { new_linked_targets: { count: 1, target_name: "copy", copy_mode: "copy" } };

  test("links, relinks, unlinks and is deleted", async () => {
    const group = await groupId();
    expect(await under(group, shopMonday, "link-targets", link)).toMatchObject({ status: 202, body: { task: [{}] } });
    const ids = vipr.emulator.vipr.active().flatMap(({ id, snapsetLabel }) => (snapsetLabel === "copy-1" ? [id] : []));
    expect(ids).toHaveLength(2);
    const { snapshot } = await get(`/block/consistency-groups/${group}/protection/snapshots`);
    expect(snapshot.map(({ id }: { id: string }) => id)).toEqual(ids);
    const { shopTuesday } = SEED_SESSIONS;
    expect(await under(group, shopTuesday, "relink-targets", { ids })).toMatchObject({ status: 202 });
    expect(vipr.emulator.vipr.linkedNames(shopTuesday)).toHaveLength(2);
    const unlink = { linked_targets: ids.map((id) => ({ id, delete_target: true })) };
    expect(await under(group, shopTuesday, "unlink-targets", unlink)).toMatchObject({ status: 202 });
    expect(vipr.emulator.vipr.linkedNames(shopTuesday)).toEqual([]);
    expect(await under(group, shopTuesday, "deactivate")).toMatchObject({ status: 202 });
  });

  test("of another source is refused, and so is an unknown one", async () => {
    const group = await groupId();
    const { status, body } = await under(group, monday, "link-targets", link);
    expect([status, body.code, body.details]).toEqual([
      400,
      1013,
      "Snapshot session monday is not associated with consistency group shop",
    ]);
    const nowhere = shopMonday.replace("cccccccc", "dddddddd");
    expect(await under(group, nowhere, "link-targets", link)).toMatchObject({ status: 404, body: { code: 2000 } });
    expect(await under(group, "x", "link-targets", link)).toMatchObject({ status: 400, body: { code: 1002 } });
  });
});

describe("what an object shows (api/mapper/BlockMapper.java)", () => {
  const COMMON = ["name", "id", "link", "inactive", "global", "remote", "vdc", "tags", "internal"];

  test("a volume of a VMAX3, in ViPR's order", async () => {
    const volume = [...vipr.emulator.vipr.volumes.values()].find(({ label }) => label === "shop-db");
    const body = await get(`/block/volumes/${volume?.id}`);
    expect(Object.keys(body)).toEqual([
      ...COMMON,
      ...["wwn", "protocols", "project", "tenant", "protection", "creation_time", "storage_controller", "varray"],
      ...["device_label", "native_id", "consistency_group", "replication_group_instance", "provisioned_capacity_gb"],
      ...["allocated_capacity_gb", "requested_capacity_gb", "pre_allocation_size_gb", "is_composite"],
      ...["thinly_provisioned", "high_availability_backing_volumes", "storage_pool", "volume_groups"],
      ...["supports_snapshot_sessions", "system_type", "vpool"],
    ]);
    expect(body).toMatchObject({ replication_group_instance: "shop", supports_snapshot_sessions: true });
  });

  test("a volume that was a target keeps the target's creation time", async () => {
    const [target] = vipr.emulator.vipr.active();
    const { creation_time } = await get(`/block/snapshots/${target?.id}`);
    vipr.emulator.vipr.unlinkNow(target?.id ?? "", true);
    const [found] = (await get("/block/volumes/search?name=dev-1")).resource;
    expect(await get(`/block/volumes/${found.id}`)).toMatchObject({ creation_time, wwn: target?.wwn });
  });

  test("a consistency group, on an array and without volumes", async () => {
    const body = await get(`/block/consistency-groups/${await firstId("/block/consistency-groups")}`);
    expect(Object.keys(body)).toEqual([
      ...COMMON,
      ...["volumes", "project", "types", "creation_time", "storage_controller", "supports_snapshot_sessions"],
      ...["array_consistency", "system_consistency_groups"],
    ]);
    expect(body.system_consistency_groups).toEqual([{ name: body.storage_controller.id, value: "shop" }]);
    const { id } = vipr.emulator.vipr.createGroup("empty");
    const empty = await get(`/block/consistency-groups/${id}`);
    expect(empty).toMatchObject({ volumes: [], types: [], supports_snapshot_sessions: false });
    expect(empty).not.toHaveProperty("storage_controller");
  });

  test("what is not there: the words are ViPR's", async () => {
    for (const path of ["/proxytoken", "/vdc/tasks", "/block/full-copies", "/tenants/x/projects"])
      expect(await vipr.root(path)).toMatchObject({
        status: 404,
        body: { code: 2000, description: "Unable to find entity in request URL" },
      });
  });
});
