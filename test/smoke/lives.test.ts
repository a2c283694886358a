// Each resource once through its life on the real engine, as short as that can be: one stack, one emulator, one program with
// all of them. The tests in test/engine say more, and take longer; what only the provider decides belongs in test/contract.

import { type Emulator, SEED_SESSIONS, SEED_VOLUMES, startEmulator, ZSTACK_SEED } from "../../emulator";
import { describeEngine, newStack, type Result, type Stack } from "../engine/harness";

interface ShortLife {
  connection: string;
  before: Record<string, unknown>;
  /** Changes inputs that can change in place. */
  after: Record<string, unknown>;
  /** What the backend has of the resource. */
  onBackend(cloud: Emulator): unknown;
  /** What it has after the first `up`, after the change, and after `destroy`. */
  expected: readonly [created: unknown, changed: unknown, deleted: unknown];
}

const VM = { vmInstanceUuid: ZSTACK_SEED.web, names: ["clone"] };
const TARGETS = { snapshotSessionId: SEED_SESSIONS.monday, targetName: "dev" };
const OVERLAY_VOLUME = "44444444-4444-4444-8444-444444444444";
const OVERLAY_SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const RESTORED_SNAPSHOT = "4f22f084-3ee8-43d2-b3c8-f1d93325a024";
const OVERLAY = {
  volumeId: OVERLAY_VOLUME,
  snapshotId: OVERLAY_SNAPSHOT,
  newFile: "overlay",
  fileToMerge: null,
  mergeTargetFile: null,
};

const LIVES: Record<string, ShortLife> = {
  Snapshot: {
    connection: "default",
    before: { volumeId: SEED_VOLUMES.data, name: "one" },
    after: { volumeId: SEED_VOLUMES.data, name: "two" },
    onBackend: ({ cinder }) =>
      [...cinder.snapshots.values()]
        .filter(
          ({ id, volume_id }) => id !== OVERLAY_SNAPSHOT && id !== RESTORED_SNAPSHOT && volume_id === SEED_VOLUMES.data,
        )
        .map(({ name }) => name),
    expected: [["one"], ["two"], []],
  },
  SnapshotSeries: {
    connection: "default",
    before: { volumeId: SEED_VOLUMES.logs, keep: 1, name: "one", force: true, triggers: ["monday"] },
    after: { volumeId: SEED_VOLUMES.logs, keep: 1, name: "two", force: true, triggers: ["tuesday"] },
    onBackend: ({ cinder }) =>
      [...cinder.snapshots.values()]
        .filter(({ metadata }) => "snapclone:series" in metadata)
        .map(({ name }) => name?.replace(/-.*/, "")),
    expected: [["one"], ["two"], []],
  },
  AssistedSnapshot: {
    connection: "admin",
    before: { ...OVERLAY, manageStatus: false },
    after: { ...OVERLAY, manageStatus: true },
    onBackend: ({ cinder, nova }) => [
      nova.chain(OVERLAY_VOLUME),
      Object.keys(cinder.snapshots.get(OVERLAY_SNAPSHOT)?.metadata ?? {}).length > 0,
    ],
    expected: [
      [["overlay", `volume-${OVERLAY_VOLUME}`], true],
      [["overlay", `volume-${OVERLAY_VOLUME}`], true],
      [["overlay"], false],
    ],
  },
  VolumeClone: {
    connection: "powervc",
    before: { volumes: [SEED_VOLUMES.data], displayName: "one" },
    after: { volumes: [SEED_VOLUMES.data], displayName: "two" },
    onBackend: ({ cinder }) =>
      [...cinder.volumes.values()].filter(({ source_volid }) => source_volid !== null).map(({ name }) => name),
    expected: [["clone-one"], ["clone-two"], []],
  },
  VolumeFromSnapshot: {
    connection: "default",
    before: { snapshotId: RESTORED_SNAPSHOT, name: "one" },
    after: { snapshotId: RESTORED_SNAPSHOT, name: "two", sizeGiB: 12 },
    onBackend: ({ cinder }) =>
      [...cinder.volumes.values()]
        .filter(({ snapshot_id }) => snapshot_id === RESTORED_SNAPSHOT)
        .map(({ name, size }) => [name, size]),
    expected: [[["one", 10]], [["two", 12]], []],
  },
  LinkedTargetSet: {
    connection: "vipr",
    before: { ...TARGETS, count: 1 },
    after: { ...TARGETS, count: 2 },
    onBackend: ({ vipr }) => vipr.linkedNames(SEED_SESSIONS.monday).length,
    expected: [1, 2, 0],
  },
  ClonedVm: {
    connection: "zstack",
    before: { ...VM, description: "one" },
    after: { ...VM, description: "two" },
    onBackend: ({ zstack }) =>
      zstack
        .living()
        .filter(({ name }) => name === "clone")
        .map(({ description }) => description),
    expected: [["one"], ["two"], []],
  },
};

describeEngine("a life of each resource", () => {
  let cloud: Emulator;
  let stack: Stack;
  /** Of each run: what the engine did, by resource, and what the backend had afterwards. */
  const runs: { result: Result; done: Record<string, string>; backend: Record<string, unknown> }[] = [];

  const run = async (running: Promise<Result>) => {
    const result = await running;
    cloud.cinder.advance();
    cloud.powervc.advance();
    cloud.nova.advance();
    const backend = Object.fromEntries(Object.entries(LIVES).map(([name, life]) => [name, life.onBackend(cloud)]));
    runs.push({ result, done: operationsOf(result), backend });
  };

  beforeAll(async () => {
    cloud = await startEmulator({ clock: "instant" });
    cloud.cinder.createVolume({ id: OVERLAY_VOLUME, status: "in-use" });
    cloud.cinder.createSnapshot({ id: OVERLAY_SNAPSHOT, volume_id: OVERLAY_VOLUME });
    cloud.nova.createFile(OVERLAY_VOLUME, "overlay");
    cloud.cinder.createSnapshot({ id: RESTORED_SNAPSHOT, volume_id: SEED_VOLUMES.logs, volume_size: 10 });
    stack = await newStack({
      program: programOf("before"),
      config: {
        default: { ...cloud.openstack.connection() },
        admin: { ...cloud.openstack.connection("admin") },
        powervc: { ...cloud.powervc.connection() },
        vipr: { ...cloud.vipr.connection() },
        zstack: { ...cloud.zstack.connection() },
      },
    });
    // One resource that fails must not hide the others.
    const args = ["--continue-on-error"];
    await run(stack.up({ args }));
    await run(stack.up({ args }));
    stack.setProgram(programOf("after"));
    await run(stack.up({ args }));
    await run(stack.refresh());
    await run(stack.destroy({ args }));
  }, 600_000);

  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  test.each(Object.keys(LIVES))("%s: created, left alone, changed in place, refreshed, deleted", (name) => {
    const [created, changed, deleted] = LIVES[name]?.expected ?? [];
    expect(runs.map(({ done, backend }) => [done[name], backend[name]])).toEqual([
      ["create", created],
      ["same", created],
      ["update", changed],
      ["same", changed],
      ["delete", deleted],
    ]);
  });

  test("all: every run succeeds, and the state is empty in the end", async () => {
    for (const { result } of runs) expect([result.code, result.stdout]).toEqual([0, result.stdout]);
    expect(await stack.resources()).toEqual([]);
  });
});

function programOf(inputs: "before" | "after"): { js: string } {
  const resources = Object.entries(LIVES).map(([type, life]) => [
    type,
    { ...life[inputs], connection: life.connection },
  ]);
  return {
    js: `
const snapclone = require("pulumi-snapclone");
for (const [type, args] of ${JSON.stringify(resources)}) new snapclone[type](type, args);`,
  };
}

/** What the engine did with each resource, by the resource's name. */
function operationsOf({ events }: Result): Record<string, string> {
  return Object.fromEntries(
    events.flatMap(({ resOutputsEvent: event }) =>
      event === undefined ? [] : [[event.metadata.urn.split("::").at(-1) ?? "", event.metadata.op]],
    ),
  );
}
