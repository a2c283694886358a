// ClonedVm's lifecycle against the emulator: the VMs, the state and the messages.

import { ZSTACK_SEED } from "../../emulator";
import { check } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import { dryRun } from "../../provider/core/dryRun";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import { partial } from "../support/failures";
import { ScaledClock } from "../support/scaledClock";
import {
  clock,
  clones,
  cloud,
  connect,
  counted,
  definition,
  emulator,
  FULL,
  log,
  NEWS,
  names,
  newRun,
  origin,
  sourceTags,
  start,
  vmsOf,
} from "./clonedVmFixture";

/** For the dry run, which has only a minute: at SCALE, a busy machine would not finish within its real time. */
const DRY_RUN_SCALE = 10;

describe("update", () => {
  test("update: clones added names, deletes removed ones, and touches nothing else", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const before = vmsOf(outs).map(({ uuid }) => uuid);
    const three = await update(definition, newRun(), id, outs, { ...NEWS, names: ["web-1", "web-2", "web-3"] });
    expect(
      vmsOf(three.outs)
        .slice(0, 2)
        .map(({ uuid }) => uuid),
    ).toEqual(before);
    const one = await update(definition, newRun(), id, three.outs, { ...NEWS, names: ["web-2"] });
    expect(one.outs).toMatchObject({ names: ["web-2"], vms: [{ uuid: before[1] }] });
    expect(names()).toEqual(["web-2"]);
    const writes = counted("vms.cloneVmInstance");
    const same = await update(definition, newRun(), id, one.outs, { ...NEWS, names: ["web-2"] });
    expect([counted("vms.cloneVmInstance"), same.outs]).toEqual([writes, one.outs]);
  });

  test("update: changes description, tags and power state in place, and keeps foreign tags", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, description: "one", userTags: ["a", "b"] });
    const [first] = clones();
    emulator.zstack.tags.set("f".repeat(32), {
      uuid: "f".repeat(32),
      resourceType: "VmInstanceVO",
      resourceUuid: first?.uuid ?? "",
      tag: "foreign",
    });
    const after = { ...NEWS, description: "two", userTags: ["b", "c"], powerState: "Stopped" };
    const { outs: changed } = await update(definition, newRun(), id, outs, after);
    expect(changed).toMatchObject({ description: "two", userTags: ["b", "c"], powerState: "Stopped" });
    expect(clones().map(({ state }) => state)).toEqual(["Stopped", "Stopped"]);
    const ours = expect.stringMatching(`^snapclone::set::${id}::`);
    // Until the next update, a note says that "c" is ours.
    const note = expect.stringMatching(`^snapclone::adding::${id}::.*::c$`);
    expect(emulator.zstack.tagsOf(first?.uuid ?? "").sort()).toEqual(["b", "c", "foreign", note, ours]);

    const { outs: again } = await update(definition, newRun(), id, changed, { ...NEWS, powerState: "Running" });
    expect(clones().map(({ state }) => state)).toEqual(["Running", "Running"]);
    expect(clones().map(({ description }) => description)).toEqual(["", ""]);
    expect(emulator.zstack.tagsOf(first?.uuid ?? "").sort()).toEqual(["foreign", ours]);
    expect(again).not.toHaveProperty("userTags");
  });

  test("update: resumes a paused VM and clones a missing name anew", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, powerState: "Running" });
    const one = emulator.zstack.named("web-1");
    if (one) one.state = "Paused";
    emulator.zstack.removeVm(emulator.zstack.named("web-2")?.uuid ?? "");
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ names: ["web-1"], powerState: "Paused" });
    const { outs: mended } = await update(definition, newRun(), id, props ?? {}, { ...NEWS, powerState: "Running" });
    expect(vmsOf(mended)).toMatchObject([
      { uuid: one?.uuid, state: "Running" },
      { name: "web-2", state: "Running" },
    ]);
  });

  test("update: reports a name that could not be cloned, and keeps the VM that it was to replace", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.zstack.cloneBehaviour({ match: { name: "web-3" }, outcome: "no-host", times: 1 });
    const after = { ...NEWS, names: ["web-2", "web-3"], description: "new" };
    const failure = await partial(update(definition, newRun(), id, outs, after));
    expect(failure.reasons[0]).toMatch(/web-3 could not be cloned/);
    expect(failure.properties).toMatchObject({
      names: ["web-2", "web-1"],
      description: "new",
      pending: { operation: "update", failed: true },
    });
    expect(names()).toEqual(["web-1", "web-2"]);
    const { outs: mended } = await update(definition, newRun(), id, failure.properties, after);
    expect(mended).toMatchObject({ names: ["web-2", "web-3"] });
    expect(names()).toEqual(["web-2", "web-3"]);
  });
});

describe("read", () => {
  test.each([
    ["Destroyed", {}],
    ["Expunging", {}],
  ])("read: a set is gone if all its VMs are in state %s", async (state, expected) => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    for (const vm of clones()) vm.state = state;
    expect(await read(definition, newRun(), id, outs)).toEqual(expected);
  });

  test("read: warns about a VM in state Unknown, and the VM is not replaced", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const [lost] = clones();
    if (lost) lost.state = "Unknown";
    const { props } = await read(definition, newRun(), id, outs);
    expect(diff(definition, props ?? {}, NEWS)).toEqual({ changes: false });
    expect(log.at(-1)).toMatch(/^warning: clones "web-1", "web-2": "web-\d" is in state Unknown/);
  });

  test("read: fails on a 404 or 503 of a proxy", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.faults.add({ match: { operation: "vms.query" }, status: 404, body: "<html>nginx</html>", times: 2 });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/cannot read clones/);
    emulator.faults.add({ match: { operation: "tags.query" }, action: "html", status: 503, times: 6 });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/cannot read clones/);
  });

  test("get: reads a set by its id alone, and fails for a text that is no id", async () => {
    await start();
    const { id } = await create(definition, newRun(), NEWS);
    const { props } = await read(definition, newRun(), id, {});
    expect(props).toMatchObject({ names: ["web-1", "web-2"], vms: [{ state: "Running" }, { state: "Running" }] });
    for (const wrong of ["x!=y", "0".repeat(32)]) {
      await expect(read(definition, newRun(), wrong, {})).rejects.toThrow(/there is no set of clones with the id/);
    }
  });

  test("read: finds the VMs in the state after their tags were removed by hand", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.zstack.tags.clear();
    expect((await read(definition, newRun(), id, outs)).props).toMatchObject({ names: ["web-1", "web-2"] });
  });
});

describe("delete", () => {
  test("delete: moves VMs into the recycle bin by default, expunges them on request, and may be repeated", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    await remove(definition, newRun(), id, outs);
    expect(names()).toEqual([]);
    expect([...emulator.zstack.vms.values()].filter(({ state }) => state === "Destroyed")).toHaveLength(2);
    await remove(definition, newRun(), id, { ...outs, deletion: "expunge" });
    expect(emulator.zstack.vms.size).toBe(2);
    await remove(definition, newRun(), id, { ...outs, deletion: "expunge" });
    expect([sourceTags(), emulator.zstack.tags.size]).toEqual([[], 0]);
  });

  test("delete: deletes the disks of a full clone, but no disk that is attached to another VM", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...FULL, deletion: "expunge" });
    const [vm] = clones();
    const disks = emulator.zstack.volumesOf(vm?.uuid ?? "", "Data");
    expect(disks).toHaveLength(2);
    expect(outs.vms).toMatchObject([
      {
        volumes: [
          { type: "Root", cloned: true },
          { type: "Data", cloned: true },
          { type: "Data", cloned: true },
        ],
      },
    ]);
    const mine = emulator.zstack.addVolume({ name: "mine", type: "Data", vmInstanceUuid: vm?.uuid ?? "" });
    const [moved, other] = disks;
    if (moved) moved.vmInstanceUuid = ZSTACK_SEED.web;
    await remove(definition, newRun(), id, outs);
    const volumes = [...emulator.zstack.volumes.keys()];
    expect(volumes).toContain(mine.uuid);
    expect(volumes).toContain(moved?.uuid);
    expect(volumes).not.toContain(other?.uuid);
    expect(log).toContainEqual(expect.stringMatching(/^warning: the data volume .* is attached to the VM/));
  });

  test("delete: keeps the disks of a full clone with keepDataVolumes", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...FULL, keepDataVolumes: true });
    await remove(definition, newRun(), id, outs);
    const kept = [...emulator.zstack.volumes.values()].filter(({ name }) => name.endsWith("-clone"));
    expect(kept).toMatchObject([{ status: "Ready" }, { status: "Ready" }]);
  });

  test("update: deletes a removed name with its own disks only", async () => {
    await start();
    const two = { ...FULL, names: ["db-1", "db-2"] };
    const { id, outs } = await create(definition, newRun(), two);
    await update(definition, newRun(), id, outs, FULL);
    const cloned = [...emulator.zstack.volumes.values()].filter(({ name }) => name.endsWith("-clone"));
    expect(cloned.map(({ status }) => status).sort()).toEqual(["Deleted", "Deleted", "Ready", "Ready"]);
    const left = emulator.zstack.named("db-1")?.uuid ?? "";
    expect(emulator.zstack.volumesOf(left, "Data").map(({ status }) => status)).toEqual(["Ready", "Ready"]);
  });

  test("delete: succeeds if the VMs were expunged by hand", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, deletion: "expunge" });
    for (const vm of clones()) emulator.zstack.removeVm(vm.uuid);
    await remove(definition, newRun(), id, outs);
    expect(sourceTags()).toEqual([]);
  });
});

describe("dry run", () => {
  test("dry run: sends nothing unless the connection enables it", async () => {
    await start();
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([]);
    expect(emulator.requests.length).toBe(0);
  });

  test("dry run: reports what the server would refuse, and makes nothing", async () => {
    await start({}, { dryRun: true });
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([]);
    const unknown = { ...NEWS, vmInstanceUuid: "00000000000041118000000000000000" };
    expect(await dryRun(definition, newRun(), unknown)).toEqual([
      { property: "vmInstanceUuid", reason: expect.stringContaining("SYS.1003") },
    ]);
    emulator.zstack.settings.vmQuota = 2;
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([
      { property: "names", reason: expect.stringMatching(/ID\.1003.*quota is full/) },
    ]);
    await clock.sleep(10_000);
    expect([names(), sourceTags(), emulator.zstack.sourceSnapshots]).toEqual([[], [], []]);
  });

  test("dry run: does not fail if the server cannot be reached or inputs are unknown", async () => {
    await start({}, { dryRun: true });
    const unknown = { ...NEWS, vmInstanceUuid: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" };
    expect(await dryRun(definition, newRun(), unknown)).toEqual([]);
    expect(emulator.requests.length).toBe(0);
    connect({ dryRun: true, url: "http://127.0.0.1:1" });
    expect(await dryRun(definition, newRun(), NEWS)).toEqual([]);
    expect(log.at(-1)).toMatch(/^warning: cannot log in .*cannot be reached/);
  });

  test("dry run: deletes the clones of a server that really clones, and warns", async () => {
    await start({}, { dryRun: true });
    const slow = new ScaledClock(DRY_RUN_SCALE, origin);
    slow.drive(emulator);
    const run = new Run({ clock: slow, log: (severity, text) => log.push(`${severity}: ${text}`) });
    const { client } = cloud;
    const send = client.cloneVmInstance.bind(client);
    client.cloneVmInstance = (uuid, request, { job }) => send(uuid, request, { job });
    expect(await dryRun(definition, run, NEWS)).toEqual([]);
    expect(log.at(-1)).toMatch(/does not support the dry run and really cloned the VM/);
    expect(emulator.zstack.vms.size).toBe(2);
  });
});

test("check: reports all wrong inputs at once, with their paths, and sends nothing", async () => {
  await start();
  const temporaryName = `x.sc-${"0".repeat(32)}`;
  const news = {
    vmInstanceUuid: "my-vm",
    names: ["a", "A", "b>=c", " ", temporaryName, 7, "x".repeat(129), "x!=y"],
    nmaes: ["typo"],
    strategy: "JustCreate",
    full: "yes",
    powerState: "Paused",
    userTags: ["snapclone::set::x", ""],
    affinityGroupUuid: "5fd71606d5af451d981413f35367a8d",
    volumeProvisioningStrategy: "Thin",
    systemTags: ["plain", "ephemeral::validationOnly", "volumeProvisioningStrategy::ThinProvisioning"],
    clusterUuid: ZSTACK_SEED.cluster,
    hostUuid: ZSTACK_SEED.host,
    primaryStorageUuidForDataVolume: ZSTACK_SEED.primaryStorage,
    deletion: "purge",
    connection: "",
  };
  const failures = check(definition, {}, news).failures.map(({ property, reason }) => `${property}: ${reason}`);
  expect(failures).toEqual([
    "nmaes: unknown property; did you mean names?",
    expect.stringMatching(/^vmInstanceUuid: .*32 hex digits/),
    expect.stringMatching(/^names\[2\]: must not contain != >= <= ~= \?=/),
    "names[3]: must not be empty",
    expect.stringMatching(/^names\[4\]: must not end like/),
    "names[5]: must be a string",
    expect.stringMatching(/^names\[6\]: .*128/),
    expect.stringMatching(/^names\[7\]: must not contain/),
    "strategy: must be one of InstantStart, CreateStopped",
    "full: must be true or false",
    "powerState: must be one of Running, Stopped",
    expect.stringMatching(/^userTags\[0\]: .*the provider's own/),
    "userTags[1]: must not be empty",
    expect.stringMatching(/^affinityGroupUuid: /),
    expect.stringMatching(/^volumeProvisioningStrategy: must be one of/),
    expect.stringMatching(/^systemTags\[0\]: must be a system tag/),
    expect.stringMatching(/^systemTags\[1\]: would make it a dry run/),
    expect.stringMatching(/^systemTags\[2\]: is a tag of volumes/),
    "deletion: must be one of destroy, expunge",
    "connection: must be the name of a connection",
    "hostUuid: a host is in one cluster: give hostUuid or clusterUuid, not both",
  ]);
  const twice = check(definition, {}, { ...NEWS, names: ["a", "b", "A"] }).failures;
  expect(twice).toEqual([{ property: "names[2]", reason: '"A" is there twice; each clone needs a name of its own' }]);
  expect(check(definition, {}, { ...NEWS, names: [] }).failures).toEqual([
    { property: "names", reason: "must have at least one name" },
  ]);
  const storage = { primaryStorageUuidForDataVolume: ZSTACK_SEED.primaryStorage };
  expect(check(definition, {}, { ...NEWS, ...storage }).failures).toMatchObject([
    { property: "primaryStorageUuidForDataVolume" },
  ]);
  const unknown = { full: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" };
  expect(check(definition, {}, { ...NEWS, ...storage, ...unknown }).failures).toEqual([]);
  // With dashes, as other systems write it, it is the same VM.
  const dashed = "c4d628c2-0343-3f64-b062-ad07c8edf10d";
  expect(check(definition, {}, { ...NEWS, vmInstanceUuid: dashed }).inputs.vmInstanceUuid).toBe(ZSTACK_SEED.web);
  expect(emulator.requests.length).toBe(0);
});

test("check: refuses user tags that differ in their case only", () => {
  const { failures } = check(definition, {}, { ...NEWS, userTags: ["team", "shop", "Team", "shop"] });
  expect(failures).toEqual([
    { property: "userTags[2]", reason: expect.stringMatching(/^"Team" and "team" are one tag to ZStack/) },
  ]);
});
