// Clouds with copies of each kind, and the state of a stack that has some of them.

import { type Emulator, SEED_VOLUMES, ZSTACK_SEED } from "../../emulator";
import { stackDigest } from "../../provider/core/ownership";
import { memberTag } from "../../provider/zstack/clonedVm/ownership";
import { ORIGIN, stackConfig } from "./fixture";

const STACK = stackDigest(ORIGIN, undefined, { project: "shop", stack: "dev" });
const OTHER_STACK = "07e4000000000000000000000000aaaa";
const HOUR = 3_600_000;

export function urnOf(type: string, name: string, stack = "dev"): string {
  return `urn:pulumi:${stack}::shop::pulumi-nodejs:dynamic/snapclone:${type}::${name}`;
}

export interface Entry {
  type: string;
  name: string;
  id: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
}

/** What `pulumi stack export` writes. */
export function stateOf(...entries: readonly Entry[]): string {
  const resources = entries.map(({ type, name, id, inputs = {}, outputs = {} }) => ({
    urn: urnOf(type, name),
    custom: true,
    type: `pulumi-nodejs:dynamic/snapclone:${type}`,
    id,
    inputs,
    outputs: { __stack: STACK, ...inputs, ...outputs },
  }));
  return JSON.stringify({ version: 3, deployment: { manifest: {}, resources } });
}

export function configOf(emulator: Emulator, ...names: readonly string[]): string {
  const all: Record<string, object> = emulator.connections();
  const chosen = Object.fromEntries(names.map((name) => [name, all[name] ?? {}]));
  return stackConfig(chosen, { "snapclone:origin": ORIGIN });
}

interface NewCopy {
  volume?: string;
  /** Of the record; none without it. */
  owner?: string;
  stack?: string;
  ageMs?: number;
  status?: string;
  metadata?: Record<string, string>;
}

export function addSnapshot(emulator: Emulator, name: string, copy: NewCopy = {}): string {
  const { volume = SEED_VOLUMES.data, owner, stack = STACK, ageMs = HOUR, status = "available", metadata = {} } = copy;
  const record = owner === undefined ? {} : { "snapclone:owner": owner, "snapclone:stack": stack };
  const size = emulator.cinder.volumes.get(volume)?.size ?? 1;
  const row = emulator.cinder.createSnapshot({ volume_id: volume, name, metadata: { ...record, ...metadata } });
  Object.assign(row, { status, progress: "100%", size, volume_size: size, created_at: madeBefore(emulator, ageMs) });
  return row.id;
}

export function addVolume(
  emulator: Emulator,
  name: string,
  from: { snapshot_id?: string; source_volid?: string },
  copy: NewCopy = {},
) {
  const { owner, stack = STACK, ageMs = HOUR, status = "available", metadata = {} } = copy;
  const record = owner === undefined ? {} : { "snapclone:owner": owner, "snapclone:stack": stack };
  const row = emulator.cinder.createVolume({ name, size: 10, status, ...from, metadata: { ...record, ...metadata } });
  row.created_at = madeBefore(emulator, ageMs);
  return row;
}

/** A little more, since the backend's `Date` has whole seconds: the ages in docs/graph.md are always the same. */
function madeBefore(emulator: Emulator, ageMs: number): string {
  return new Date(emulator.clock.now().getTime() - ageMs - 20_000).toISOString().replace("Z", "000");
}

/** Snapshots of three owners, a series, a restored volume with a snapshot of its own, an overlay, a failed one. */
export function fillOpenStack(emulator: Emulator): Entry[] {
  for (const volume of emulator.cinder.volumes.values()) volume.created_at = madeBefore(emulator, 1000 * HOUR);
  const before = addSnapshot(emulator, "before-upgrade", {
    owner: urnOf("Snapshot", "before-upgrade"),
    ageMs: 75 * HOUR,
  });
  const restored = addVolume(
    emulator,
    "restored",
    { snapshot_id: before },
    {
      owner: urnOf("VolumeFromSnapshot", "restored"),
      ageMs: 50 * HOUR,
      status: "in-use",
    },
  );
  addSnapshot(emulator, "by hand", { volume: restored.id, ageMs: 2 * HOUR });
  addSnapshot(emulator, "left behind", { owner: urnOf("Snapshot", "nightly"), ageMs: 30 * HOUR });
  addSnapshot(emulator, "audit", {
    owner: urnOf("Snapshot", "audit", "prod"),
    stack: OTHER_STACK,
    ageMs: 400 * HOUR,
  });
  addSnapshot(emulator, "failed", { owner: urnOf("Snapshot", "failed", "prod"), stack: OTHER_STACK, status: "error" });
  const days = [1, 2, 3].map((day) =>
    addSnapshot(emulator, `weekly-${day}`, {
      ageMs: (30 - day) * 24 * HOUR,
      metadata: {
        "snapclone:series": "series-0011223344556677",
        "snapclone:series-instant": `digest-${day}`,
        "snapclone:series-stack": STACK,
        "snapclone:series-owner": urnOf("SnapshotSeries", "weekly"),
      },
    }),
  );
  const base = addSnapshot(emulator, "overlay-base", {
    volume: SEED_VOLUMES.logs,
    ageMs: HOUR,
    metadata: {
      "snapclone:assisted-owner": urnOf("AssistedSnapshot", "live"),
      "snapclone:assisted-stack": STACK,
      "snapclone:assisted-file": "overlay-1.qcow2",
      "snapclone:assisted-step": "made",
    },
  });
  return [
    { type: "Snapshot", name: "before-upgrade", id: before, inputs: { volumeId: SEED_VOLUMES.data } },
    { type: "VolumeFromSnapshot", name: "restored", id: restored.id, inputs: { snapshotId: before } },
    {
      type: "SnapshotSeries",
      name: "weekly",
      id: "series-0011223344556677",
      inputs: { volumeId: SEED_VOLUMES.data },
      outputs: { snapshots: days.map((id) => ({ id })) },
    },
    {
      type: "AssistedSnapshot",
      name: "live",
      id: `${SEED_VOLUMES.logs}/${base}`,
      inputs: { volumeId: SEED_VOLUMES.logs },
    },
    // Deleted by hand.
    {
      type: "Snapshot",
      name: "vanished",
      id: "99999999-9999-4999-8999-999999999999",
      inputs: { volumeId: SEED_VOLUMES.data },
    },
  ];
}

export function fillVipr(emulator: Emulator): Entry[] {
  const { vipr } = emulator;
  const [session] = [...vipr.sessions.values()].filter(
    ({ label, volume }) => label === "monday" && volume !== undefined,
  );
  if (session === undefined) throw new Error("no session");
  const set = "restore-0123456789abcdef01";
  const mine = [1, 2].map((index) => vipr.linkNow(session.id, `${set}g1-${index}`));
  vipr.linkNow(session.id, "by hand");
  return [
    {
      type: "LinkedTargetSet",
      name: "restore",
      id: set,
      inputs: { snapshotSessionId: session.id, connection: "vipr" },
      outputs: { targets: mine.map(({ id }) => ({ id, snapshotSessionId: session.id })) },
    },
  ];
}

export function fillZStack(emulator: Emulator): Entry[] {
  const { zstack } = emulator;
  const web = zstack.vms.get(ZSTACK_SEED.web);
  if (web === undefined) throw new Error("no VM");
  const set = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  const clones = ["web-test-1", "web-test-2"].map((name, at) => {
    const uuid = `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0${at}`;
    zstack.vms.set(uuid, { ...web, uuid, name });
    const record = { stack: STACK, owner: urnOf("ClonedVm", "web-test"), inputs: "0", attempt: "1" };
    const time = Math.floor(zstack.clock.nowMs() / 1000) - 7200;
    const tagUuid = `cccccccccccccccccccccccccccccc0${at}`;
    zstack.tags.set(tagUuid, {
      uuid: tagUuid,
      resourceUuid: uuid,
      resourceType: "VmInstanceVO",
      tag: memberTag({ set, vm: uuid, time, disks: [], record, name }),
    } as never);
    return { uuid };
  });
  return [
    {
      type: "ClonedVm",
      name: "web-test",
      id: set,
      inputs: { vmInstanceUuid: ZSTACK_SEED.web, connection: "zstack" },
      outputs: { vms: clones },
    },
  ];
}

/** A clone with the record as PowerVC's flow leaves it, of a volume in the same Cinder. */
export function fillPowerVc(emulator: Emulator): Entry[] {
  const set = "snapclone-00112233445566778899aabb";
  const clone = addVolume(emulator, "clone-data", {}, { owner: urnOf("VolumeClone", "test-data"), ageMs: HOUR });
  Object.assign(clone.metadata, {
    "snapclone:set": set,
    "snapclone:volume": clone.id,
    "snapclone:source": SEED_VOLUMES.data,
  });
  return [
    {
      type: "VolumeClone",
      name: "test-data",
      id: set,
      inputs: { volumes: [SEED_VOLUMES.data], connection: "powervc" },
      outputs: { clonedVolumes: [{ id: clone.id, sourceId: SEED_VOLUMES.data }] },
    },
  ];
}
