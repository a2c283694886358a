// pulumi-snapclone: point-in-time copies of storage and machines as Pulumi resources.

export type {
  GetSnapshotArgs,
  ListSnapshotsArgs,
  ManagedBy,
  OverlayOwner,
  SnapshotInfo,
} from "../provider/lookups";
export { AssistedSnapshot, type AssistedSnapshotArgs } from "./assistedSnapshot";
export { ClonedVm, type ClonedVmArgs, type ClonedVmInstance } from "./clonedVm";
export {
  type LinkedTarget,
  LinkedTargetSet,
  type LinkedTargetSetArgs,
  type PromotedVolume,
  type UnlinkedTarget,
} from "./linkedTargetSet";
export type { LookupOutputOptions } from "./lookup";
export {
  getSnapshot,
  getSnapshotOutput,
  listSnapshots,
  listSnapshotsOutput,
  Snapshot,
  type SnapshotArgs,
} from "./snapshot";
export { type SeriesSnapshot, SnapshotSeries, type SnapshotSeriesArgs } from "./snapshotSeries";
export { type ClonedVolume, VolumeClone, type VolumeCloneArgs } from "./volumeClone";
export {
  VolumeFromSnapshot,
  type VolumeFromSnapshotArgs,
  type VolumeFromSnapshotAttachment,
} from "./volumeFromSnapshot";
