// Uses every export of pulumi-snapclone/native. test/package/types.test.ts compiles it in a project that has the package.

import * as pulumi from "@pulumi/pulumi";
import * as native from "pulumi-snapclone/native";

const args: native.ProviderArgs = {
  connections: { default: { cloud: "mycloud" } },
  adoptWithin: "72h",
  origin: "team",
};
const provider = new native.Provider("clouds", args);

const snapshot = new native.Snapshot("s", { volumeId: "v", metadata: { keep: pulumi.output("7") } }, { provider });
const series = new native.SnapshotSeries("r", { volumeId: "v", keep: 7 });
const clones = new native.VolumeClone("c", { volumes: ["v"] });
const targets = new native.LinkedTargetSet("t", { snapshotSessionId: "s", targetName: "n", count: 1 });
const vms = new native.ClonedVm("m", { vmInstanceUuid: "u", names: ["a"] });
const restored = new native.VolumeFromSnapshot("f", { snapshotId: snapshot.id });
const overlay = new native.AssistedSnapshot("o", {
  volumeId: "v",
  snapshotId: snapshot.id,
  newFile: "f.qcow2",
  fileToMerge: null,
  mergeTargetFile: null,
});

export const all: pulumi.CustomResource[] = [snapshot, series, clones, targets, vms, restored, overlay];
export const known = native.Snapshot.get("k", "an-id", { connection: "dr" }).sizeGiB;
export const isOne = native.Snapshot.isInstance(snapshot) && native.Provider.isInstance(provider);

export const one: Promise<native.SnapshotInfo> = native.getSnapshot({ name: "n" }, { provider });
export const later: pulumi.Output<native.SnapshotInfo> = native.getSnapshotOutput({ id: snapshot.id });
export const many: Promise<native.SnapshotInfo[]> = native.listSnapshots({ status: "available" });
export const manyLater: pulumi.Output<native.SnapshotInfo[]> = native.listSnapshotsOutput({ name: snapshot.name });

/** The types that arguments and outputs are made of. */
export interface Types {
  args: [
    native.SnapshotArgs,
    native.SnapshotSeriesArgs,
    native.VolumeCloneArgs,
    native.LinkedTargetSetArgs,
    native.ClonedVmArgs,
    native.VolumeFromSnapshotArgs,
    native.AssistedSnapshotArgs,
    native.GetSnapshotArgs,
    native.ListSnapshotsArgs,
  ];
  outputs: [
    native.SeriesSnapshot,
    native.ClonedVolume,
    native.LinkedTarget,
    native.PromotedVolume,
    native.UnlinkedTarget,
    native.ClonedVmInstance,
    native.VolumeFromSnapshotAttachment,
    native.ManagedBy,
    native.OverlayOwner,
  ];
}
