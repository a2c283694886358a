// What persons have made on one emulator, for the imports of every resource but Snapshot and VolumeClone, which have tests of
// their own: the programs, and the ids of the option `import` and of `pulumi import`.

import { type Emulator, SEED_SESSIONS, SEED_VOLUMES, ZSTACK_SEED } from "../../emulator";

export interface Imported {
  /** The id that the option `import` names. */
  id: string;
  args: Record<string, unknown>;
  /** Changes that can be made in place, which the import brings into line, too. */
  changed: Record<string, unknown>;
  /** Wrong at the import: each differs from the backend. */
  wrong: Record<string, unknown>;
  /** What the error about `wrong` says. */
  error: string;
}

export function connectionsOf(cloud: Emulator): Record<string, Record<string, unknown>> {
  return {
    default: { ...cloud.openstack.connection() },
    vipr: { ...cloud.vipr.connection() },
    zstack: { ...cloud.zstack.connection() },
  };
}

/** Makes the objects. `disk` is a data volume of one of the VMs. */
export function makeImportables(cloud: Emulator): { resources: Record<string, Imported>; disk: string } {
  const { cinder, vipr, zstack } = cloud;
  const targets = ["night-1", "weekly"].map((label) => vipr.linkNow(SEED_SESSIONS.monday, label).id);
  const vms = ["by-hand-a", "by-hand-b"].map((name) => {
    const vm = zstack.addVm({ name, state: "Running", description: `cloned from vm[uuid:${ZSTACK_SEED.web}]` });
    zstack.furnish(vm);
    return vm.uuid;
  });
  const disk = zstack.addVolume({ name: "data", type: "Data", vmInstanceUuid: vms[1] ?? "" }).uuid;
  const { id: snapshotId } = cinder.createSnapshot({ volume_id: SEED_VOLUMES.data });
  const { id: volume } = cinder.createVolume({ name: "by hand", size: 12, snapshot_id: snapshotId });
  const instants = ["1", "2"].map((day) => {
    return cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, created_at: `2026-01-0${day}T00:00:00.000000` }).id;
  });
  const set = { snapshotSessionId: SEED_SESSIONS.monday, targetName: "dev", count: 2, connection: "vipr" };
  const clones = { vmInstanceUuid: ZSTACK_SEED.web, names: ["by-hand-a", "by-hand-b"], connection: "zstack" };
  const resources: Record<string, Imported> = {
    LinkedTargetSet: {
      id: [SEED_SESSIONS.monday, ...targets].join(),
      args: set,
      changed: { ...set, count: 3 },
      wrong: { ...set, snapshotSessionId: SEED_SESSIONS.tuesday },
      error: "the option names the session",
    },
    ClonedVm: {
      id: vms.join(),
      args: clones,
      changed: { ...clones, names: ["by-hand-a", "web-b"] },
      wrong: { ...clones, vmInstanceUuid: ZSTACK_SEED.db },
      error: `is a clone of ${ZSTACK_SEED.web} by its description`,
    },
    VolumeFromSnapshot: {
      id: volume,
      args: { snapshotId, name: "by hand" },
      changed: { snapshotId, name: "mine", sizeGiB: 13 },
      wrong: { snapshotId: SEED_VOLUMES.logs },
      error: "snapshotId is",
    },
    SnapshotSeries: {
      id: instants.join(),
      args: { volumeId: SEED_VOLUMES.data, keep: 2, triggers: ["mon"] },
      changed: { volumeId: SEED_VOLUMES.data, keep: 2, triggers: ["tue"] },
      wrong: { volumeId: SEED_VOLUMES.data, keep: 1 },
      error: "would be deleted at once",
    },
  };
  return { resources, disk };
}

/** Objects that have the record of another stack's resource. */
export function makeForeign({ cinder, vipr, zstack }: Emulator): Record<string, Imported> {
  const owner = "urn:pulumi:prod::shop::pulumi-nodejs:dynamic/snapclone:Any::theirs";
  const stack = "f".repeat(32);
  const target = vipr.linkNow(SEED_SESSIONS.monday, "theirs-1");
  target.tags.add(`snapclone:stack=${stack}`).add("snapclone:owner=abcdef01");
  const vm = zstack.addVm({ name: "theirs", state: "Running" });
  zstack.furnish(vm);
  const tag = `snapclone::set::${"e".repeat(32)}::0::::${stack}::a::i::${owner}::theirs`;
  zstack.tags.set("d".repeat(32), { uuid: "d".repeat(32), resourceUuid: vm.uuid, resourceType: "VmInstanceVO", tag });
  const { id: snapshotId } = cinder.createSnapshot({ volume_id: SEED_VOLUMES.data });
  const metadata = { "snapclone:stack": stack, "snapclone:owner": owner };
  const { id: volume } = cinder.createVolume({ snapshot_id: snapshotId, metadata });
  const { id: instant } = cinder.createSnapshot({
    volume_id: SEED_VOLUMES.data,
    metadata: { "snapclone:series": "s", "snapclone:series-stack": stack, "snapclone:series-owner": owner },
  });
  const theirs = (id: string, wrong: Record<string, unknown>): Imported => ({
    id,
    args: wrong,
    changed: wrong,
    wrong,
    error: `of another stack (digest ${stack})`,
  });
  const set = { snapshotSessionId: SEED_SESSIONS.monday, targetName: "dev", count: 1, connection: "vipr" };
  return {
    "LinkedTargetSet-theirs": theirs(`${SEED_SESSIONS.monday},theirs-1`, set),
    "ClonedVm-theirs": theirs(vm.uuid, { vmInstanceUuid: ZSTACK_SEED.web, names: ["x"], connection: "zstack" }),
    "VolumeFromSnapshot-theirs": theirs(volume, { snapshotId }),
    "SnapshotSeries-theirs": theirs(instant, { volumeId: SEED_VOLUMES.data, keep: 1 }),
  };
}

/** A program that declares each of these. A name is the type, and more after a dash. */
export function programOf(
  module: string,
  resources: Record<string, Imported>,
  which: "args" | "changed" | "wrong",
  withOption: boolean,
): { js: string } {
  const lines = Object.entries(resources).map(([name, one]) => {
    const opts = withOption ? { import: one.id } : {};
    return `new snapclone.${name.split("-")[0]}("${name}", ${JSON.stringify(one[which])}, ${JSON.stringify(opts)});`;
  });
  return { js: [`const snapclone = require("${module}");`, ...lines].join("\n") };
}

/** How many objects there are of each kind, without those that are on the way out. */
export function countsOf({ cinder, vipr, zstack }: Emulator): Record<string, number> {
  cinder.advance();
  vipr.advance();
  zstack.advance();
  return {
    snapshots: cinder.snapshots.size,
    volumes: cinder.volumes.size,
    targets: vipr.active().length,
    vms: zstack.living().length,
  };
}
