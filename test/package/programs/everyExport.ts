// Uses every export of the package, as a user with strict settings would. Only compiled, never run
// (types.test.ts also holds that nothing is missing here).

import * as pulumi from "@pulumi/pulumi";
import {
  AssistedSnapshot,
  type AssistedSnapshotArgs,
  ClonedVm,
  type ClonedVmArgs,
  type ClonedVmInstance,
  type ClonedVolume,
  type GetSnapshotArgs,
  getSnapshot,
  getSnapshotOutput,
  type LinkedTarget,
  LinkedTargetSet,
  type LinkedTargetSetArgs,
  type ListSnapshotsArgs,
  listSnapshots,
  listSnapshotsOutput,
  type PromotedVolume,
  Snapshot,
  type SnapshotArgs,
  type SnapshotInfo,
  type UnlinkedTarget,
  VolumeClone,
  type VolumeCloneArgs,
} from "pulumi-snapclone";

const config = new pulumi.Config();
const args: SnapshotArgs = {
  volumeId: config.require("volume"),
  name: pulumi.interpolate`nightly-${pulumi.getStack()}`,
  description: "the day before",
  metadata: { keep: "7", owner: config.requireSecret("owner") },
  force: false,
  triggers: [1, "two", true],
  connection: "default",
};
const snapshot = new Snapshot("nightly", args, { customTimeouts: { create: "10m" }, protect: true });
const minimal = new Snapshot("minimal", { volumeId: snapshot.volumeId });
const read = Snapshot.get("read", snapshot.id, { connection: "other" });

// @ts-expect-error: the volume is required
new Snapshot("nothing", {});
// @ts-expect-error: a misspelt input is an error
new Snapshot("misspelt", { volumeId: "x", metaData: {} });
// @ts-expect-error: outputs are typed, not `any`
export const wrong: pulumi.Output<number> = minimal.status;

export const size: pulumi.Output<number> = read.sizeGiB;
export const status: pulumi.Output<string> = snapshot.status;
export const description: pulumi.Output<string | undefined> = snapshot.description;
export const keep: pulumi.Output<string | undefined> = snapshot.metadata.apply((metadata) => metadata.keep);

export function nameOf(resource: unknown): pulumi.Output<string> | undefined {
  return Snapshot.isInstance(resource) ? resource.name : undefined;
}

export async function asked(one: GetSnapshotArgs, many: ListSnapshotsArgs): Promise<string[]> {
  const found: SnapshotInfo = await getSnapshot(one);
  const all: SnapshotInfo[] = await listSnapshots(many);
  return [found, ...all].map(({ id }) => id);
}

export const later: pulumi.Output<string> = getSnapshotOutput({ id: snapshot.id }).apply(({ status }) => status);
export const count: pulumi.Output<number> = listSnapshotsOutput({ volumeId: snapshot.volumeId }).apply(
  (all) => all.length,
);

const setArgs: LinkedTargetSetArgs = {
  snapshotSessionId: config.require("session"),
  targetName: pulumi.interpolate`dev-${pulumi.getStack()}`,
  count: 2,
  copyMode: "copy",
  deleteTargetsOnUnlink: false,
  refreshTriggers: ["monday", 7],
  connection: "vipr",
};
const set = new LinkedTargetSet("targets", setArgs, { replaceOnChanges: ["snapshotSessionId"] });
// @ts-expect-error: there are two copy modes
new LinkedTargetSet("wrong", { ...setArgs, copyMode: "COPY" });

export const targets: pulumi.Output<LinkedTarget[]> = set.targets;
export const kept: pulumi.Output<PromotedVolume[]> = set.promotedVolumes;
export const unlinked: pulumi.Output<UnlinkedTarget[]> = set.unlinkedTargets;
export const ours: boolean = LinkedTargetSet.isInstance(set);

const clones: ClonedVmArgs = { vmInstanceUuid: config.require("vm"), names: ["a", pulumi.getStack()], full: true };
const cloned = new ClonedVm("web", { ...clones, powerState: "Running", deletion: "expunge", userTags: ["a"] });
// @ts-expect-error: a strategy is one of two
new ClonedVm("wrong", { ...clones, strategy: "JustCreate" });
export const addresses: pulumi.Output<string[]> = ClonedVm.get("read", cloned.id).vms.apply((vms: ClonedVmInstance[]) =>
  vms.flatMap(({ ips }) => ips),
);
export const isClone: boolean = ClonedVm.isInstance(cloned);
const cloneArgs: VolumeCloneArgs = {
  volumes: [snapshot.volumeId, config.require("volume")],
  displayName: pulumi.interpolate`before-${pulumi.getStack()}`,
  description: "the day before",
  targetVolumeTypeId: config.require("type"),
  triggers: [1, "two", true],
  connection: "powervc",
};
const instant = new VolumeClone("before", cloneArgs, { customTimeouts: { create: "2h" } });
const theirs = VolumeClone.get("theirs", instant.id, { connection: "powervc" });

// @ts-expect-error: the volumes are required
new VolumeClone("nothing", { displayName: "x" });

export const cloneOf: pulumi.Output<string | undefined> = instant.clones.apply((map) => map[config.require("volume")]);
export const details: pulumi.Output<ClonedVolume[]> = theirs.clonedVolumes;
export const taskId: pulumi.Output<string | undefined> = VolumeClone.isInstance(theirs)
  ? theirs.taskId
  : instant.taskId;
export const about = pulumi.all([instant.namePrefix, instant.missing, instant.flow, instant.displayName]);
const overlayArgs: AssistedSnapshotArgs = {
  volumeId: snapshot.volumeId,
  snapshotId: snapshot.id,
  newFile: pulumi.interpolate`overlay-${pulumi.getStack()}`,
  type: "qcow2",
  fileToMerge: null,
  mergeTargetFile: null,
  manageStatus: true,
  connection: "admin",
};
const overlay = new AssistedSnapshot("overlay", overlayArgs, { customTimeouts: { delete: "3h" } });
// @ts-expect-error: what a delete merges is said, if only by null
new AssistedSnapshot("unsaid", { volumeId: "v", snapshotId: "s", newFile: "f" });

export const seen: pulumi.Output<boolean> = overlay.verified;
export const unseen: pulumi.Output<string | undefined> = overlay.unverifiedReason;
export const alsoOurs: boolean = AssistedSnapshot.isInstance(overlay);
