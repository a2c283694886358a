// What the emulator's Cinder refuses and shows beside a snapshot's life, as cinder 21.3.1 does (docs/wire/openstack.md#a).

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { type OpenStackUser, openstackUser } from "./openstackUser";

let emulator: Emulator;
let member: OpenStackUser;
let admin: OpenStackUser;

beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
  [member, admin] = await Promise.all([openstackUser(emulator), openstackUser(emulator, "admin")]);
});
afterEach(() => emulator.close());

const data = `/volumes/${SEED_VOLUMES.data}`;
const logs = `/volumes/${SEED_VOLUMES.logs}`;
const refused = (message: string) => ({ status: 400, body: { badRequest: { code: 400, message } } });

describe("os-force_delete has all conditions of a delete but the status (#a12)", () => {
  const forceDelete = (path: string) => admin.cinder("POST", `${path}/action`, { "os-force_delete": {} });
  const REFUSAL =
    "Invalid volume: Volume  must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.";

  test("an attached volume stays", async () => {
    expect(await forceDelete(logs)).toMatchObject(refused(REFUSAL));
    expect(emulator.cinder.volumes.get(SEED_VOLUMES.logs)?.status).toBe("in-use");
  });
  test("a volume with snapshots stays", async () => {
    emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data });
    expect(await forceDelete(data)).toMatchObject(refused(REFUSAL));
  });
  test.each([{ group_id: "g" }, { migration_status: "migrating" }])("a volume with %j stays", async (fields) => {
    Object.assign(emulator.cinder.volumes.get(SEED_VOLUMES.data) ?? {}, fields);
    expect(await forceDelete(data)).toMatchObject(refused(REFUSAL));
    expect(await admin.cinder("DELETE", `${data}?force=true`)).toMatchObject(refused(REFUSAL));
    expect(await member.cinder("DELETE", data)).toMatchObject({ status: 400 });
  });
  test("a volume in any status goes, also one whose migration has ended", async () => {
    Object.assign(emulator.cinder.volumes.get(SEED_VOLUMES.data) ?? {}, {
      status: "creating",
      migration_status: "error",
    });
    expect(await forceDelete(data)).toMatchObject({ status: 202 });
    expect(await member.cinder("GET", data)).toMatchObject({ status: 404 });
  });
  test("a volume that no backend has goes at once", async () => {
    Object.assign(emulator.cinder.volumes.get(SEED_VOLUMES.data) ?? {}, { status: "error", host: null });
    expect(await forceDelete(data)).toMatchObject({ status: 202 });
    expect(emulator.cinder.volumes.has(SEED_VOLUMES.data)).toBe(false);
  });
  test("a member of a group snapshot stays", async () => {
    const { id } = emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, group_snapshot_id: "g" });
    expect(await forceDelete(`/snapshots/${id}`)).toMatchObject(
      refused("Invalid snapshot: Snapshot  must not be part of a group."),
    );
  });
});

describe("os-reset_status (#a12)", () => {
  const reset = (fields: object, path = data) => admin.cinder("POST", `${path}/action`, { "os-reset_status": fields });
  const volume = (id: string) => emulator.cinder.volumes.get(id);

  test.each([{ status: "banana" }, {}, { status: null }, { attach_status: "banana" }, { migration_status: "banana" }])(
    "of a volume refuses %j and changes nothing",
    async (fields) => {
      const before = structuredClone(volume(SEED_VOLUMES.data));
      expect(await reset(fields)).toMatchObject({ status: 400 });
      expect(volume(SEED_VOLUMES.data)).toEqual(before);
    },
  );
  test("of a volume refuses in-use without an attachment, and takes it with one", async () => {
    expect(await reset({ status: "in-use" })).toMatchObject(
      refused("Cannot reset-state to in-use because volume does not have any attachments."),
    );
    expect(await reset({ status: "IN-USE" }, logs)).toMatchObject({ status: 202 });
  });
  test("with attach_status detached takes the attachments off, and the last one sets the status", async () => {
    await reset({ status: "error", attach_status: "detached" }, logs);
    expect((await admin.cinder("GET", logs)).body.volume).toMatchObject({ status: "available", attachments: [] });
    expect(await member.cinder("DELETE", logs)).toMatchObject({ status: 202 });
  });
  test("with attach_status attached keeps the volume from being deleted, until it is detached again", async () => {
    await reset({ attach_status: "attached" });
    expect(await member.cinder("DELETE", data)).toMatchObject({ status: 400 });
    await reset({ status: "error", attach_status: "detached" });
    expect(volume(SEED_VOLUMES.data)?.status).toBe("error");
    expect(await member.cinder("DELETE", data)).toMatchObject({ status: 202 });
  });
  test("migration_status none is no migration", async () => {
    await reset({ migration_status: "Migrating" });
    expect(volume(SEED_VOLUMES.data)?.migration_status).toBe("migrating");
    await reset({ migration_status: "none" });
    expect(volume(SEED_VOLUMES.data)?.migration_status).toBeNull();
  });
  test("of a snapshot takes any case of letters, and none of a volume's fields", async () => {
    const { id } = emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data });
    expect(await reset({ status: "ERROR" }, `/snapshots/${id}`)).toMatchObject({ status: 202 });
    expect(emulator.cinder.snapshots.get(id)?.status).toBe("error");
    expect(await reset({ status: "error", attach_status: "detached" }, `/snapshots/${id}`)).toMatchObject({
      status: 400,
    });
  });
});

describe("a cascade (cinder/volume/api.py:484-540)", () => {
  test("keeps a volume with a snapshot in error_deleting, unless it is forced", async () => {
    emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, status: "error_deleting" });
    expect(await member.cinder("DELETE", `${data}?cascade=true`)).toMatchObject({ status: 400 });
    expect(await admin.cinder("DELETE", `${data}?cascade=true&force=true`)).toMatchObject({ status: 202 });
    expect(await member.cinder("GET", data)).toMatchObject({ status: 404 });
  });
  test("with a snapshot in a group ends in error_deleting", async () => {
    emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, group_snapshot_id: "g" });
    expect(await member.cinder("DELETE", `${data}?cascade=true`)).toMatchObject(
      refused("Invalid volume: Failed to update snapshot."),
    );
    expect(emulator.cinder.volumes.get(SEED_VOLUMES.data)?.status).toBe("error_deleting");
  });
});

describe("lists", () => {
  const names = async (query: string, as = member) =>
    (await as.cinder("GET", `/volumes?${query}`)).body.volumes.map((row: { name: string }) => row.name).sort();

  test.each([
    ["size=10", ["data"]],
    ["created_at=gt:2015-01-01T00:00:00", ["data", "logs"]],
    ["created_at=lt:2015-01-01T00:00:00", []],
    // Any of the comparisons suffices.
    ["created_at=gt:2015-01-01T00:00:00,lt:2016-01-01T00:00:00", ["data", "logs"]],
    // Neither volume has been updated, and null is neither before nor after.
    ["updated_at=lt:2035-01-01T00:00:00", []],
  ])("a member's filter %s", async (query, expected) => {
    expect(await names(query)).toEqual(expected);
  });
  test("before 3.31 a filter by time counts for nobody", async () => {
    const version = { "OpenStack-API-Version": "volume 3.30" };
    const { body } = await member.cinder("GET", "/volumes?created_at=lt:2015-01-01T00:00:00", undefined, version);
    expect(body.volumes).toHaveLength(2);
  });
  test("all_tenants of an administrator: a word for volumes, anything for snapshots", async () => {
    emulator.cinder.createVolume({ name: "foreign", project_id: "other" });
    emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, project_id: "other" });
    expect(await names("all_tenants=0", admin)).toEqual(["data", "logs"]);
    expect(await names("all_tenants=1", admin)).toEqual(["data", "foreign", "logs"]);
    expect(await admin.cinder("GET", "/volumes?all_tenants=banana")).toMatchObject({ status: 400 });
    expect((await admin.cinder("GET", "/snapshots?all_tenants=0")).body.snapshots).toHaveLength(1);
    expect((await member.cinder("GET", "/snapshots?all_tenants=1")).body.snapshots).toEqual([]);
  });
  test("GET /volumes/summary counts the project's volumes, with their metadata from 3.36 on", async () => {
    emulator.cinder.createVolume({ name: "a", size: 1, metadata: { k: "1" } });
    emulator.cinder.createVolume({ name: "b", size: 1, metadata: { k: "2" } });
    const counted = { total_count: 4, total_size: 32 };
    expect((await member.cinder("GET", "/volumes/summary")).body).toEqual({
      "volume-summary": { ...counted, metadata: { k: ["1", "2"] } },
    });
    const old = { "OpenStack-API-Version": "volume 3.12" };
    expect((await member.cinder("GET", "/volumes/summary", undefined, old)).body).toEqual({
      "volume-summary": counted,
    });
  });
});

describe("volume types", () => {
  test("come in pages, the newest first, and an unknown marker is ignored", async () => {
    const { body } = await member.cinder("GET", "/types?limit=1");
    expect(body.volume_types).toMatchObject([{ name: "ssd" }]);
    const next = new URL(body.volume_type_links[0].href).search;
    expect((await member.cinder("GET", `/types${next}`)).body.volume_types).toMatchObject([{ name: "__DEFAULT__" }]);
    expect((await member.cinder("GET", "/types?marker=banana")).body.volume_types).toHaveLength(2);
  });
  test("a member sees neither the quality of service nor a private type", async () => {
    const { id } = emulator.cinder.createVolumeType({ name: "private", is_public: false });
    const { volume_types } = (await member.cinder("GET", "/types?is_public=none")).body;
    expect(volume_types).toHaveLength(2);
    expect(volume_types[0]).not.toHaveProperty("qos_specs_id");
    expect(await member.cinder("GET", `/types/${id}`)).toMatchObject({ status: 404 });
    const refusedType = await member.cinder("POST", "/volumes", { volume: { size: 1, volume_type: "private" } });
    expect(refusedType).toMatchObject({ status: 404 });
    const all = (await admin.cinder("GET", "/types?is_public=none")).body.volume_types;
    expect(all.map(({ name }: { name: string }) => name)).toEqual(["private", "ssd", "__DEFAULT__"]);
    expect(all[0]).toHaveProperty("qos_specs_id", null);
  });
  test("one is shown by its id only; the word default shows the default type", async () => {
    expect(await member.cinder("GET", "/types/ssd")).toMatchObject({ status: 404 });
    expect((await member.cinder("GET", "/types/default")).body.volume_type.name).toBe("__DEFAULT__");
  });
  test("a create names a type by id or name; the word default is none", async () => {
    const create = (fields: object) => member.cinder("POST", "/volumes", { volume: { size: 1, ...fields } });
    expect(await create({ volume_type: "default" })).toMatchObject({ status: 404 });
    expect((await create({ volume_type: "ssd" })).body.volume.volume_type).toBe("ssd");
    expect((await create({})).body.volume.volume_type).toBe("__DEFAULT__");
  });
});

test.each([true, "true", "on"])(
  "multiattach %j in a create is refused: only a type makes a volume so",
  async (multiattach) => {
    expect(await member.cinder("POST", "/volumes", { volume: { size: 1, multiattach } })).toMatchObject({
      status: 400,
    });
    expect(emulator.cinder.volumes.size).toBe(2);
  },
);

describe("quotas (#quotas)", () => {
  const path = () => `/os-quota-sets/${member.projectId}`;
  const set = (quota_set: object, as = admin) => as.cinder("PUT", path(), { quota_set });

  test("?usage=True has objects, also of each type", async () => {
    const { quota_set } = (await member.cinder("GET", `${path()}?usage=True`)).body;
    expect(quota_set).toMatchObject({
      volumes: { limit: 1000, in_use: 2, reserved: 0 },
      gigabytes___DEFAULT__: { limit: -1, in_use: 30, reserved: 0 },
      volumes_ssd: { limit: -1, in_use: 0, reserved: 0 },
      id: member.projectId,
    });
  });
  test("a quota of an unknown resource is refused, and so is one of text, which Python can't compare", async () => {
    expect(await set({ bogus: 3 })).toMatchObject(refused("Invalid input received: Bad key(s) in quota set: bogus"));
    expect(await set({ volumes: "30" })).toMatchObject({ status: 400 });
    // The one resource that isn't compared with what is in use.
    expect((await set({ per_volume_gigabytes: "30" })).body.quota_set.per_volume_gigabytes).toBe(30);
  });
  test("what is in use counts only once the project has a quota of its own", async () => {
    expect(await set({ volumes: 1 })).toMatchObject({ status: 200 });
    expect(await set({ volumes: 0 })).toMatchObject(
      refused(
        "Quota volumes limit must be equal or greater than existing resources. Current usage is 2 and the requested limit is 0.",
      ),
    );
  });
  test("a quota of a type and of a volume's size is enforced, until the quotas are removed", async () => {
    const create = (size: number) => member.cinder("POST", "/volumes", { volume: { size } });
    await set({ per_volume_gigabytes: 15, volumes___DEFAULT__: 3 });
    expect(await create(16)).toMatchObject({
      status: 413,
      body: { overLimit: { message: expect.stringContaining("16G") } },
    });
    expect(await create(1)).toMatchObject({ status: 202 });
    expect(await create(1)).toMatchObject({ status: 413 });
    const extend = await member.cinder("POST", `${data}/action`, { "os-extend": { new_size: 16 } });
    expect(extend).toMatchObject({ status: 413 });
    expect(await member.cinder("DELETE", path())).toMatchObject({ status: 403 });
    expect(await admin.cinder("DELETE", path())).toMatchObject({ status: 200 });
    expect(await create(16)).toMatchObject({ status: 202 });
  });
});
