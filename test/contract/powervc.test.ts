// PowerVC's two calls, and Cinder's calls on volumes, against the emulator.

import { type Emulator, type EmulatorOptions, SEED_VOLUMES, startEmulator } from "../../emulator";
import { missingObject } from "../../provider/openstack/cinderErrors";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { resolvePowerVc } from "../../provider/powervc/connection";
import { PowerVcContext } from "../../provider/powervc/context";
import { failure } from "../support/failures";

const { data, logs } = SEED_VOLUMES;
const UNKNOWN = "421752a6-acf6-4b2d-bc7a-119f9148cd8c";
const PLACE = { env: {}, cwd: "/", home: "/" };

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function start(options: EmulatorOptions = {}): Promise<{ emulator: Emulator; cloud: PowerVcContext }> {
  const emulator = await startEmulator({ clock: "manual", ...options });
  const session = new KeystoneSession(
    resolvePowerVc({ name: "default", config: emulator.powervc.connection(), ...PLACE }),
  );
  endings.push(
    () => session.close(),
    () => emulator.close(),
  );
  return { emulator, cloud: new PowerVcContext(session) };
}

it("cloneVolumes: clones two volumes as in IBM's sample, and shows the progress to the end", async () => {
  const { emulator, cloud } = await start({ timings: { cloneStep: 1_000 } });
  const volumeType = [...emulator.cinder.volumeTypes.keys()][1];
  const task = await cloud.client.cloneVolumes({
    "display-name": "display_name",
    description: "description",
    volumes: [data, logs],
    "target-volume-type-id": volumeType,
  });
  expect([...emulator.powervc.tasks.keys()]).toEqual([task]);
  // The answer names a host that does not exist. All requests went to the configured host, with PowerVC's paths.
  expect(emulator.requests.filter(({ path }) => !path.startsWith("/powervc/openstack/"))).toEqual([]);

  const begun = await cloud.client.progress(task);
  expect(begun).toMatchObject({ percent: 0, flows: { cloneFlow: "RUNNING" }, clones: {}, failure: undefined });
  expect(Object.keys(begun?.pending ?? {})[0]).toMatch(/^create_group_type_[0-9a-f]{8}-[0-9a-f]{8}$/);
  emulator.clock.tick(6_000);
  const half = await cloud.client.progress(task);
  expect(half).toMatchObject({ percent: 30, flows: { cloneFlow: "RUNNING" } });
  expect(Object.keys(half?.completed ?? {})).toHaveLength(7);
  // While the flow runs, the sources are in a group that the flow has made.
  expect((await cloud.cinder.showVolume(data)).group_id).toEqual(expect.any(String));
  emulator.clock.tick(14_000);
  const done = await cloud.client.progress(task);
  expect(done).toMatchObject({ percent: 100, flows: { cloneFlow: "SUCCESS" }, pending: {} });
  expect(Object.keys(done?.clones ?? {})).toEqual([data, logs]);
  expect((await cloud.cinder.showVolume(data)).group_id).toBeNull();
  const clone = await cloud.cinder.showVolume(done?.clones[data] ?? "");
  expect(clone).toMatchObject({ name: "clone-display_name-1", description: null, status: "available", size: 10 });
  expect(clone.volume_type).toBe("ssd");
});

it.each(["beside", "inside"] as const)("progress: reads a failure with the fields %s `details`", async (form) => {
  const { emulator, cloud } = await start({ clock: "instant" });
  emulator.powervc.form = form;
  emulator.powervc.failNext("create_group_snapshot", "failure message");
  const task = await cloud.client.cloneVolumes({ volumes: [data] });
  expect(await cloud.client.progress(task)).toMatchObject({
    percent: 100,
    flows: { cloneFlow: "REVERTED" },
    clones: {},
    failure: "failure message",
  });
});

it.each(["404", "empty", "unrouted"] as const)(
  "progress: is undefined for a task that PowerVC has forgotten (%s)",
  async (forgets) => {
    const { emulator, cloud } = await start();
    const task = await cloud.client.cloneVolumes({ volumes: [data] });
    emulator.powervc.forgets = forgets;
    emulator.powervc.forgetTasks();
    expect(await cloud.client.progress(task)).toBeUndefined();
  },
);

it("cloneVolumes: gives each refusal its kind", async () => {
  const { emulator, cloud } = await start();
  const refused = async (volumes: string[], more: object = {}) =>
    failure(cloud.client.cloneVolumes({ volumes, ...more }));
  const unknown = await refused([UNKNOWN]);
  expect([unknown.kind, missingObject(unknown)]).toEqual(["notFound", "volume"]);
  expect((await refused([data], { "target-volume-type-id": UNKNOWN })).kind).toBe("notFound");
  expect((await refused([])).kind).toBe("refused");
  expect((await refused([data, data])).kind).toBe("refused");
  emulator.faults.add({ match: { operation: "clones.create" }, status: 403 });
  expect((await refused([data])).kind).toBe("forbidden");
  // "Server Error (500)" is documented, and does not say whether the request was carried out.
  emulator.faults.add({ match: { operation: "clones.create" }, status: 500 });
  expect((await refused([data])).kind).toBe("ambiguous");
  expect([emulator.powervc.tasks.size, emulator.requests.count({ operation: "clones.create" })]).toEqual([0, 6]);
});

it("cloneVolumes: fails with a config error on an OpenStack that is no PowerVC", async () => {
  const { emulator } = await start();
  const session = new KeystoneSession(
    resolveOpenStack({ name: "default", config: emulator.openstack.connection(), ...PLACE }),
  );
  endings.unshift(() => session.close());
  const error = await failure(new PowerVcContext(session).client.cloneVolumes({ volumes: [data] }));
  expect([error.kind, error.message]).toEqual(["config", expect.stringContaining("this Cinder has no clone-volumes")]);
});

it("emulator: its control API sets how the next flows go, and forgets tasks", async () => {
  const { emulator, cloud } = await start({ clock: "instant" });
  const control = (method: string, path: string, body?: object) =>
    fetch(`${emulator.url}/_emulator/powervc/${path}`, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
  const behaviour = { step: "create_group_clone", fails: "no space", times: 1 };
  expect((await control("POST", "behaviours", behaviour)).status).toBe(201);
  expect((await control("POST", "behaviours", { step: "create_everything" })).status).toBe(400);
  const task = await cloud.client.cloneVolumes({ volumes: [data] });
  expect(await cloud.client.progress(task)).toMatchObject({ failure: "no space" });
  expect((await control("DELETE", "tasks")).status).toBe(200);
  expect(await cloud.client.progress(task)).toBeUndefined();
});

it("progress: renews an expired token", async () => {
  const { emulator, cloud } = await start();
  const task = await cloud.client.cloneVolumes({ volumes: [data] });
  emulator.keystone.expireAll();
  expect(await cloud.client.progress(task)).toBeDefined();
});

describe("volumes", () => {
  it("are listed by pages, renamed, tagged, untagged and deleted", async () => {
    const { emulator, cloud } = await start();
    const { cinder } = cloud;
    for (let n = 0; n < 5; n += 1) emulator.cinder.createVolume({ name: `v${n}`, metadata: { n: String(n) } });
    expect((await cinder.listVolumesDetail({ limit: 2 })).map(({ name }) => name).sort()).toEqual(
      ["data", "logs", "v0", "v1", "v2", "v3", "v4"].sort(),
    );
    const [found] = await cinder.listVolumesDetail({ metadata: { n: "3" } });
    expect(found).toMatchObject({ name: "v3", attachments: [], group_id: null, source_volid: null });
    const id = found?.id ?? "";

    expect(await cinder.updateVolume(id, { name: "renamed", description: "d" })).toMatchObject({ name: "renamed" });
    expect(await cinder.createVolumeMetadata(id, { "snapclone:a": "1" })).toEqual({ n: "3", "snapclone:a": "1" });
    await cinder.deleteVolumeMetadataKey(id, "n");
    expect((await cinder.showVolume(id)).metadata).toEqual({ "snapclone:a": "1" });
    expect(missingObject(await failure(cinder.deleteVolumeMetadataKey(id, "n")))).toBe("metadataKey");
    expect(missingObject(await failure(cinder.deleteVolumeMetadataKey(UNKNOWN, "n")))).toBe("volume");

    await cinder.deleteVolume(id);
    expect((await cinder.showVolume(id)).status).toBe("deleting");
    emulator.clock.tick(5_000);
    expect(missingObject(await failure(cinder.showVolume(id)))).toBe("volume");
  });

  it("that are in use are not deleted, and the refusal names the possible reasons", async () => {
    const { cloud } = await start();
    const error = await failure(cloud.cinder.deleteVolume(logs));
    expect([error.kind, error.message]).toEqual([
      "refused",
      expect.stringContaining("attached, being migrated, part of a group"),
    ]);
  });

  it("in maintenance accept no metadata", async () => {
    const { emulator, cloud } = await start();
    const row = emulator.cinder.volumes.get(data);
    if (row) row.status = "maintenance";
    expect((await failure(cloud.cinder.createVolumeMetadata(data, { a: "1" }))).kind).toBe("refused");
  });
});
