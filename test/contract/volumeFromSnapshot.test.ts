// VolumeFromSnapshot against the emulator: what becomes of the volume in each status, and what the user is told.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { check } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import type { OpenStackContext } from "../../provider/openstack/context";
import { volumeFromSnapshot as released } from "../../provider/openstack/volumeFromSnapshot/resource";
import { partial } from "../support/failures";
import { FakeEngine } from "../support/fakeEngine";
import { connectOpenStack } from "../support/openstackCloud";
import { ScaledClock } from "../support/scaledClock";

/** How many times faster than real time the emulator's clock and ours run. */
const SCALE = 100;
const clock = new ScaledClock(SCALE);
const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const INPUTS: Properties = {
  snapshotId: SNAPSHOT,
  name: "restored",
  __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:VolumeFromSnapshot::restored",
  __provider: "p",
};

let emulator: Emulator;
let cloud: OpenStackContext;
const log: string[] = [];
const definition = { ...released, connection: { kind: "openstack", open: () => cloud } };
const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });

async function start(options: Parameters<typeof startEmulator>[0] = {}): Promise<void> {
  emulator = await startEmulator({ clock: "manual", ...options });
  clock.drive(emulator);
  emulator.cinder.createSnapshot({ id: SNAPSHOT, volume_id: SEED_VOLUMES.data });
  cloud = connectOpenStack(emulator.openstack.connection(), clock);
  log.length = 0;
}

afterEach(async () => {
  await cloud.session.close();
  await emulator.close();
});

const rows = () => {
  emulator.cinder.advance();
  return [...emulator.cinder.volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null);
};
const creates = () => emulator.requests.count({ operation: "volumes.create" });
const extends_ = () => emulator.requests.count({ operation: "volumes.os-extend" });
const made = async (inputs: Properties = {}) => {
  const news = { ...INPUTS, ...inputs };
  const { id, outs } = await create(definition, newRun(), news);
  return { id, outs, news, row: emulator.cinder.volumes.get(id) };
};
const checked = (olds: Properties, news: Properties) => check(definition, olds, news).failures;

describe("create", () => {
  test("sends one POST, and the volume is like the snapshot's where the program gives nothing", async () => {
    await start();
    const source = emulator.cinder.volumes.get(SEED_VOLUMES.data);
    if (source) source.bootable = true;
    const { id, outs } = await made();
    expect(outs).toMatchObject({
      status: "available",
      sizeGiB: 10,
      volumeType: "__DEFAULT__",
      availabilityZone: "nova",
      bootable: true,
      attachments: [],
    });
    expect(rows()).toMatchObject([{ id, snapshot_id: SNAPSHOT, size: 10 }]);
    expect(creates()).toBe(1);
    // What Cinder chose is no difference from a program that leaves it open.
    expect(diff(definition, outs, INPUTS)).toEqual({ changes: false });
  });

  test("a size below the snapshot's is refused before the POST", async () => {
    await start();
    await expect(made({ sizeGiB: 9 })).rejects.toThrow(
      /snapshot \S+ has 10 GiB.*9 GiB.*nothing was sent\n.*10 or more/,
    );
    expect(creates()).toBe(0);
  });

  test("size, type and zone are sent, and a change of type or zone replaces the volume, created first", async () => {
    await start();
    const { outs, news } = await made({ sizeGiB: 12, volumeType: "ssd", availabilityZone: "nova" });
    expect(outs).toMatchObject({ sizeGiB: 12, volumeType: "ssd", availabilityZone: "nova" });
    expect(diff(definition, outs, news)).toEqual({ changes: false });
    expect(diff(definition, outs, { ...news, volumeType: "__DEFAULT__" })).toEqual({
      replaces: ["volumeType"],
      deleteBeforeReplace: false,
    });
    expect(diff(definition, outs, { ...news, availabilityZone: "other" }).replaces).toEqual(["availabilityZone"]);
    expect(diff(definition, outs, { ...INPUTS, sizeGiB: 12 })).toEqual({ changes: false });
  });

  test.each([
    [{ volumeType: "gold" }, /Volume type with name gold could not be found.*\n.*volume type list/],
    [{ availabilityZone: "mars" }, /Availability zone 'mars' is invalid.*\n.*availability zone list/],
    [
      { snapshotId: "421752a6-acf6-4b2d-bc7a-119f9148cd8c" },
      /Snapshot 421752a6\S+ could not be found.*\n.*another project/,
    ],
  ])("%j is reported in Cinder's words, with what to do", async (inputs, says) => {
    await start();
    await expect(made(inputs)).rejects.toThrow(says);
    expect(rows()).toEqual([]);
  });

  test("a snapshot that is not available is reported, and nothing is made", async () => {
    await start();
    const snapshot = emulator.cinder.snapshots.get(SNAPSHOT);
    if (snapshot) snapshot.status = "error";
    await expect(made()).rejects.toThrow(/Originating snapshot status must be one of 'available'.*\n.*not ready/);
    expect(rows()).toEqual([]);
  });

  test.each([
    ["gigabytes", { gigabytes: 40 }, /VolumeSizeExceedsAvailableQuota[\s\S]*quota is full/],
    ["volumes", { volumes: 2 }, /VolumeLimitExceeded[\s\S]*quota is full/],
  ])("a full quota of %s is reported after one request", async (_, quotas, says) => {
    await start({ quotas });
    await expect(made()).rejects.toThrow(says);
    expect(creates()).toBe(1);
  });

  test.each([
    ["error", /Cinder could not make it .*Driver failed to create the volume/],
    ["no-backend", /Cinder could not make it .*Could not find any available weighted backend/],
    ["error-silent", /left no message why\n.*volume service list/],
  ] as const)(
    "%s is reported and recorded; the next up replaces the volume, and it is removed",
    async (outcome, says) => {
      await start();
      emulator.cinder.behaviour({ of: "volume", create: outcome, times: 1 });
      const failure = await partial(made());
      expect(failure.reasons[0]).toMatch(says);
      expect(failure.properties).toMatchObject({ status: "error", pending: { operation: "create", failed: true } });
      expect(diff(definition, failure.properties, INPUTS)).toMatchObject({ changes: true, replaces: ["pending"] });
      await remove(definition, newRun(), failure.id, failure.properties);
      expect(rows()).toEqual([]);
    },
  );

  test("a volume that never becomes available meets the deadline, and the next run waits for it", async () => {
    await start();
    emulator.cinder.behaviour({ of: "volume", create: "stuck", times: 1 });
    const failure = await partial(made({ __timeouts: { create: "2m" } }));
    expect(failure.reasons[0]).toMatch(/waited [12] min.* for volume \S+ to become available; seen: creating/);
    const row = emulator.cinder.volumes.get(failure.id);
    if (row) row.status = "available";
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, INPUTS);
    expect(outs).toMatchObject({ status: "available" });
    expect(creates()).toBe(1);
  });

  test("a volume that vanishes is not recorded", async () => {
    await start();
    emulator.cinder.behaviour({ of: "volume", create: "vanish", times: 1 });
    await expect(made()).rejects.toThrow(/vanished while it was being created/);
  });

  test("the reply to the POST is lost: the volume is found by its record, and no second POST is sent", async () => {
    await start();
    emulator.faults.add({ match: { operation: "volumes.create" }, times: 1, action: "drop-response" });
    const { id } = await made();
    expect(rows()).toMatchObject([{ id, status: "available" }]);
    expect(creates()).toBe(1);
  });

  test("a cloud that puts the volume into another zone is told, and the next up makes another", async () => {
    await start();
    const startCreate = emulator.cinder.startVolumeCreate.bind(emulator.cinder);
    emulator.cinder.startVolumeCreate = (row, ...more) => {
      row.availability_zone = "fallback";
      startCreate(row, ...more);
    };
    const failure = await partial(made({ availabilityZone: "nova" }));
    expect(failure.reasons[0]).toMatch(/availability zone "fallback"; the program asks for "nova"\n.*"fallback"/);
    expect(diff(definition, failure.properties, INPUTS).replaces).toEqual(["pending"]);
  });

  test("a cloud without the metadata filter lists all volumes, and works", async () => {
    await start();
    emulator.faults.add({
      match: { path: /\/volumes\/detail\?.*metadata/ },
      times: Number.POSITIVE_INFINITY,
      status: 400,
      body: JSON.stringify({
        badRequest: { code: 400, message: "Invalid filters metadata are found in query options." },
      }),
    });
    const stack = new FakeEngine(definition, { clock });
    const program = { s0: { snapshotId: SNAPSHOT, name: "one" } };
    await stack.up(program, { saveFails: true });
    const [row] = rows();
    await stack.up(program);
    expect(stack.idOf("s0")).toBe(row?.id);
    expect(rows()).toHaveLength(1);
  });

  test("an adopted volume gets the present inputs and keeps the keys of others; a clone with its record is left alone", async () => {
    await start();
    const stack = new FakeEngine(definition, { clock });
    const first = { snapshotId: SNAPSHOT, name: "one", sizeGiB: 12, metadata: { a: "1", b: "2" } };
    await stack.up({ s0: first }, { saveFails: true });
    const [row] = rows();
    if (!row) throw new Error("no volume");
    row.metadata.billing = "42";
    // PowerVC copies metadata, the record included.
    emulator.cinder.createVolume({ source_volid: row.id, metadata: { ...row.metadata } });
    await stack.up({ s0: { ...first, name: "two", sizeGiB: 15, metadata: { b: "3" } } });
    expect(stack.idOf("s0")).toBe(row.id);
    expect(rows()).toMatchObject([{ id: row.id, name: "two", size: 15, metadata: { b: "3", billing: "42" } }]);
    expect(rows()[0]?.metadata).not.toHaveProperty("a");
  });
});

describe("grow", () => {
  test.each(["available", "in-use"])("a larger size grows an %s volume in place, once", async (status) => {
    await start();
    const { id, outs, news, row } = await made();
    if (row) row.status = status;
    const larger = { ...news, sizeGiB: 14 };
    expect(diff(definition, outs, larger)).toEqual({});
    const after = await update(definition, newRun(), id, outs, larger);
    expect(after.outs).toMatchObject({ sizeGiB: 14, status });
    expect(extends_()).toBe(1);
  });

  test("below 3.42 Cinder's refusal for an attached volume says what to do, and the state keeps the size", async () => {
    await start({ maxMicroversion: "3.41" });
    const { id, outs, news, row } = await made();
    if (row) row.status = "in-use";
    const failure = await partial(update(definition, newRun(), id, outs, { ...news, sizeGiB: 14 }));
    expect(failure.reasons[0]).toMatch(/to extend, currently in-use.*\n.*Detach it/);
    expect(failure.properties).toMatchObject({ sizeGiB: 10 });
    expect(failure.properties.pending).toBeUndefined();
  });

  test("the reply is lost: the volume shows that it grows, and no second request is sent", async () => {
    await start();
    const { id, outs, news } = await made();
    emulator.faults.add({ match: { operation: "volumes.os-extend" }, times: 1, action: "drop-response" });
    const after = await update(definition, newRun(), id, outs, { ...news, sizeGiB: 14 });
    expect(after.outs).toMatchObject({ sizeGiB: 14 });
    expect(extends_()).toBe(1);
  });

  test("a killed run's growth is waited for, and not asked again", async () => {
    await start({ timings: { volumeExtend: 5_000 } });
    const { id, outs, news, row } = await made();
    if (!row) throw new Error("no volume");
    emulator.cinder.startVolumeExtend(row, 14, "req-1");
    const after = await update(definition, newRun(), id, outs, { ...news, sizeGiB: 14 });
    expect(after.outs).toMatchObject({ sizeGiB: 14, status: "available" });
    expect(extends_()).toBe(0);
  });

  test("the deadline is recorded, and the next up resumes the wait", async () => {
    await start();
    const { id, outs, news } = await made();
    const stuck = emulator.cinder.behaviour({ of: "volume", extend: "stuck" });
    const larger = { ...news, sizeGiB: 14, __timeouts: { update: "1m" } };
    const failure = await partial(update(definition, newRun(), id, outs, larger));
    expect(failure.reasons[0]).toMatch(/waited .* to have 14 GiB; seen: extending, 10 of 14 GiB/);
    expect(failure.properties).toMatchObject({ pending: { operation: "update", task: { extend: 14 } } });
    stuck.remove();
    const row = emulator.cinder.volumes.get(id);
    if (row) Object.assign(row, { size: 14, status: "available" });
    const after = await update(definition, newRun(), id, failure.properties, larger);
    expect(after.outs).toMatchObject({ sizeGiB: 14 });
    expect(after.outs.pending).toBeUndefined();
    expect(extends_()).toBe(1);
  });

  test.each([
    ["no-backend", "available", /could not grow volume \S+ from 10 to 14 GiB .*weighted backend.*\n.*no space/],
    ["error", "error_extending", /could not grow .*failed to extend volume.*\n.*administrator/],
  ] as const)("%s is reported with Cinder's reason, and recorded", async (outcome, status, says) => {
    await start();
    const { id, outs, news } = await made();
    emulator.cinder.behaviour({ of: "volume", extend: outcome, times: 1 });
    const failure = await partial(update(definition, newRun(), id, outs, { ...news, sizeGiB: 14 }));
    expect(failure.reasons[0]).toMatch(says);
    expect(failure.properties).toMatchObject({ status, sizeGiB: 10 });
    expect(diff(definition, failure.properties, { ...news, sizeGiB: 14 })).not.toEqual({ changes: false });
    const row = emulator.cinder.volumes.get(id);
    if (row) row.status = "available";
    const after = await update(definition, newRun(), id, failure.properties, { ...news, sizeGiB: 14 });
    expect(after.outs).toMatchObject({ sizeGiB: 14 });
  });

  describe.each([
    ["sizeGiB is as before", { sizeGiB: 10 }],
    ["sizeGiB is gone", {}],
  ])("a growth that took too long and that the program has given up (%s)", (_name, size) => {
    const givenUp = async () => {
      await start();
      const { id, outs, news, row } = await made(size);
      emulator.cinder.behaviour({ of: "volume", extend: "stuck", times: 1 });
      const larger = { ...news, sizeGiB: 14, __timeouts: { update: "1m" } };
      const failure = await partial(update(definition, newRun(), id, outs, larger));
      expect(failure.properties).toMatchObject({ pending: { task: { extend: 14 } } });
      return { id, row, olds: failure.properties, news: { ...news, name: "renamed" } };
    };

    test("that Cinder has taken back since fails nothing", async () => {
      const { id, row, olds, news } = await givenUp();
      if (row) row.status = "available";
      const { outs } = await update(definition, newRun(), id, olds, news);
      expect(outs).toMatchObject({ name: "renamed", sizeGiB: 10, status: "available" });
      expect([outs.pending, diff(definition, outs, news).changes]).toEqual([undefined, false]);
      expect(extends_()).toBe(1);
    });

    test("that never ends holds up nothing", async () => {
      const { id, olds, news } = await givenUp();
      const { outs } = await update(definition, newRun(), id, olds, { ...news, __timeouts: { update: "1m" } });
      expect(outs).toMatchObject({ name: "renamed", sizeGiB: 10, status: "extending" });
    });
  });

  test("a smaller size is refused in check, unless another input makes a new volume anyway", async () => {
    await start();
    const news = { ...INPUTS, sizeGiB: 8 };
    expect(checked({ ...INPUTS, sizeGiB: 10 }, news)).toEqual([
      { property: "sizeGiB", reason: expect.stringMatching(/has 10 GiB, and Cinder makes no volume smaller/) },
    ]);
    const other = { ...news, snapshotId: "4f22f084-3ee8-43d2-b3c8-f1d93325a024" };
    expect(checked({ ...INPUTS, sizeGiB: 10 }, other)).toEqual([]);
    expect(checked({}, news)).toEqual([]);
    expect(checked({ ...INPUTS, sizeGiB: 10 }, INPUTS)).toEqual([]);
  });

  test("somebody grew the volume: the program's smaller size is an error before anything is sent", async () => {
    await start();
    const { id, outs, news, row } = await made({ sizeGiB: 12 });
    if (row) row.size = 20;
    const renamed = { ...news, name: "other" };
    const failure = await partial(update(definition, newRun(), id, outs, renamed));
    expect(failure.reasons[0]).toMatch(/has 20 GiB and the program asks for 12.*nothing was changed\n.*20 or more/);
    expect(emulator.cinder.volumes.get(id)).toMatchObject({ name: "restored", size: 20 });
  });
});

describe("delete", () => {
  test("waits until the volume is gone", async () => {
    await start();
    const { id, outs } = await made();
    await remove(definition, newRun(), id, outs);
    expect(emulator.cinder.volumes.has(id)).toBe(false);
  });

  test("an attached volume is not deleted: the error names the server and the device", async () => {
    await start();
    const { id, outs, row } = await made();
    const server_id = "5d9e8dbb-9b0e-4a5b-9a5b-0c2a7f1f0001";
    if (row) {
      row.status = "in-use";
      row.attachments = [
        { id, attachment_id: "a", volume_id: id, server_id, host_name: null, device: "/dev/vdc", attached_at: "x" },
      ];
    }
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(
      new RegExp(`attached to server ${server_id} as /dev/vdc.*nothing was deleted\\n.*Detach it`),
    );
    expect(emulator.cinder.volumes.has(id)).toBe(true);
  });

  test.each([
    ["a host without a server", { server_id: null, host_name: "backup-1" }, "host backup-1 as /dev/vdc"],
    [
      "something without a name",
      { server_id: null, host_name: null },
      "something that Cinder does not name as /dev/vdc",
    ],
  ])("a volume that is attached to %s is not deleted either, and the error says so", async (_what, whom, place) => {
    await start();
    const { id, outs, row } = await made();
    const attachment = { id, attachment_id: "a", volume_id: id, device: "/dev/vdc", attached_at: "x", ...whom };
    Object.assign(row ?? {}, { status: "in-use", attachments: [attachment] });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(
      new RegExp(`attached to ${place}.*nothing was deleted\\n.*volume attachment list --volume-id ${id}`),
    );
    expect(emulator.cinder.volumes.has(id)).toBe(true);
  });

  test("a volume that is being detached is waited for", async () => {
    await start();
    const { id, outs, row } = await made();
    if (row) row.status = "detaching";
    const removed = remove(definition, newRun(), id, outs);
    await clock.sleep(5_000);
    if (row) row.status = "available";
    await removed;
    expect(emulator.cinder.volumes.has(id)).toBe(false);
  });

  test("a volume with snapshots of its own is reported in Cinder's words", async () => {
    await start();
    const { id, outs } = await made();
    emulator.cinder.createSnapshot({ volume_id: id });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/have snapshots.*\n.*has snapshots/);
  });

  test.each([
    ["busy", /began to delete volume \S+ and took it back to "available"\n.*still uses/],
    ["error", /began to delete volume \S+ and failed\n.*administrator/],
  ] as const)("a deletion that ends %s is an error", async (outcome, says) => {
    await start();
    const { id, outs } = await made();
    emulator.cinder.behaviour({ of: "volume", delete: outcome, times: 1 });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(says);
  });
});

describe("read and update", () => {
  test("a refresh shows who holds the volume, and warns of an error", async () => {
    await start();
    const { id, outs, row } = await made();
    if (row) {
      row.attachments = [
        {
          id,
          attachment_id: "a",
          volume_id: id,
          server_id: "s",
          host_name: null,
          device: "/dev/vdc",
          attached_at: "x",
        },
      ];
      row.status = "error";
    }
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ status: "error", attachments: [{ serverId: "s", device: "/dev/vdc" }] });
    expect(log.join()).toMatch(/warning: volume "restored": is in status "error"/);
    expect(diff(definition, props ?? {}, INPUTS)).toEqual({ changes: false });
  });

  test("name, description and metadata change in place; the keys of others stay", async () => {
    await start();
    const { id, outs, row } = await made({ description: "first", metadata: { a: "1", b: "2" } });
    if (row) row.metadata.billing = "42";
    const news = { ...INPUTS, name: "kept", metadata: { b: "3" } };
    const after = await update(definition, newRun(), id, outs, news);
    expect(after.outs).toMatchObject({ name: "kept", metadata: { b: "3" } });
    expect(emulator.cinder.volumes.get(id)).toMatchObject({
      name: "kept",
      description: null,
      metadata: { b: "3", billing: "42", "snapclone:keys": "b" },
    });
    expect(emulator.cinder.volumes.get(id)?.metadata).not.toHaveProperty("a");
    expect(diff(definition, after.outs, news)).toEqual({ changes: false });
  });

  test("an imported volume of another snapshot is an error, and nothing is changed", async () => {
    await start();
    const { id } = await made();
    const wrong = { ...INPUTS, snapshotId: "4f22f084-3ee8-43d2-b3c8-f1d93325a024", name: "other" };
    await expect(update(definition, newRun(), id, { id }, wrong)).rejects.toThrow(/snapshotId is .* on the backend/);
    expect(emulator.cinder.volumes.get(id)?.name).toBe("restored");
  });
});

test("check: everything that is wrong is refused at once, with the path, and nothing is sent", async () => {
  await start();
  const wrong = {
    snapshotId: "x",
    sizeGiB: 1.5,
    volumeType: "9aba3b3e-5baf-48b8-b363-76532456e59d",
    availabilityZone: "",
    metadata: { "a/b": "1", "snapclone:x": "1" },
  };
  expect(checked({}, wrong).map(({ property, reason }) => `${property}: ${reason}`)).toEqual([
    expect.stringMatching(/^snapshotId: must be the UUID of a snapshot/),
    "sizeGiB: must be a whole number of GiB",
    expect.stringMatching(/^volumeType: must be the type's name, not its id/),
    "availabilityZone: must not be empty",
    'metadata["snapclone:x"]: keys that begin with snapclone: are the provider\'s own',
  ]);
  expect(checked({}, { ...INPUTS, metadata: { "a/b": "1" } })).toEqual([
    { property: 'metadata["a/b"]', reason: "a key of a volume may have no slash" },
  ]);
  expect(emulator.requests).toHaveLength(0);
});
