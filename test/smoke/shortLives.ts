// Each resource's shortest life, for the tests that take all of them through one: by either shell, on the engine and without.

import { type Emulator, SEED_SESSIONS, SEED_VOLUMES, startEmulator, ZSTACK_SEED } from "../../emulator";
import type { Result, Stack } from "../engine/harness";

export interface ShortLife {
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

export const LIVES: Record<string, ShortLife> = {
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

/** An emulator with all that the lives need, whose work ends at once. */
export async function startCloud(clock: "instant" | "manual" = "instant"): Promise<Emulator> {
  const cloud = await startEmulator({ clock });
  cloud.cinder.createVolume({ id: OVERLAY_VOLUME, status: "in-use" });
  cloud.cinder.createSnapshot({ id: OVERLAY_SNAPSHOT, volume_id: OVERLAY_VOLUME });
  cloud.nova.createFile(OVERLAY_VOLUME, "overlay");
  cloud.cinder.createSnapshot({ id: RESTORED_SNAPSHOT, volume_id: SEED_VOLUMES.logs, volume_size: 10 });
  return cloud;
}

/** By the names that the lives have. */
export function connectionsOf(cloud: Emulator): Record<string, Record<string, unknown>> {
  return {
    default: { ...cloud.openstack.connection() },
    admin: { ...cloud.openstack.connection("admin") },
    powervc: { ...cloud.powervc.connection() },
    vipr: { ...cloud.vipr.connection() },
    zstack: { ...cloud.zstack.connection() },
  };
}

/** What the backends have of each resource. */
export function onBackends(cloud: Emulator): Record<string, unknown> {
  for (const service of [cloud.cinder, cloud.powervc, cloud.nova]) service.advance();
  return Object.fromEntries(Object.entries(LIVES).map(([name, life]) => [name, life.onBackend(cloud)]));
}

/** `module`: the shell whose classes the program takes. */
export function programOf(inputs: "before" | "after", module = "pulumi-snapclone"): { js: string } {
  const resources = Object.entries(LIVES).map(([type, life]) => [
    type,
    { ...life[inputs], connection: life.connection },
  ]);
  return {
    js: `
const snapclone = require(${JSON.stringify(module)});
for (const [type, args] of ${JSON.stringify(resources)}) new snapclone[type](type, args);`,
  };
}

/** What the engine did with each resource, by the resource's name. */
export function operationsOf({ events }: Result): Record<string, string> {
  return Object.fromEntries(
    events.flatMap(({ resOutputsEvent: event }) =>
      event === undefined ? [] : [[event.metadata.urn.split("::").at(-1) ?? "", event.metadata.op]],
    ),
  );
}

/** Runs of a stack, and what each left: what the engine did by resource, and what the backends had afterwards. */
export class LifeRuns {
  private readonly results: Result[] = [];
  private readonly seen: { done: Record<string, string>; backend: Record<string, unknown> }[] = [];

  async add(cloud: Emulator, running: Promise<Result>): Promise<void> {
    const result = await running;
    this.results.push(result);
    this.seen.push({ done: operationsOf(result), backend: onBackends(cloud) });
  }

  /** Of each run: what the engine did with the resource, and what its backend had afterwards. */
  of(name: string): unknown[] {
    return this.seen.map(({ done, backend }) => [done[name], backend[name]]);
  }

  async expectSuccess(stack: Stack): Promise<void> {
    for (const { code, stdout } of this.results) expect([code, stdout]).toEqual([0, stdout]);
    expect(await stack.resources()).toEqual([]);
  }
}
