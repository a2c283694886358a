// AssistedSnapshot: an overlay on a running server's disk, made and merged by the hypervisor.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, type NoOutputs, SnapcloneResource, typeToken } from "./resource";

/**
 * The inputs of an {@link AssistedSnapshot}.
 *
 * A file name is a plain name in the volume's folder, at most 255 characters, without slashes, colons and `..`: a chain of
 * files stays mergeable only while its links are relative. The sources are Nova's
 * `api/openstack/compute/assisted_volume_snapshots.py` and `virt/libvirt/driver.py`, and a real Nova 26 with libvirt 9
 * (docs/wire/openstack.md#seen).
 */
export interface AssistedSnapshotArgs {
  /**
   * The UUID of the volume. It must be attached to one server, and that server must be running.
   *
   * @onChange Replaces the overlay.
   */
  volumeId: pulumi.Input<string>;
  /**
   * The UUID of a Cinder snapshot of that volume. Its record shows the outcome. A snapshot can have one overlay.
   *
   * @onChange Replaces the overlay.
   */
  snapshotId: pulumi.Input<string>;
  /**
   * The name of the qcow2 file that the disk is switched to. The disk must not be using it yet.
   *
   * @remarks
   * The file must be there before, readable by QEMU and in the volume's folder, with the name of the disk's active file as
   * its backing file: `qemu-img create -f qcow2 -F qcow2 -b <active file> <newFile>`.
   *
   * @onChange Replaces the overlay.
   * @example "upgrade.qcow2"
   */
  newFile: pulumi.Input<string>;
  /**
   * The format of the file. There is only one.
   *
   * @default `qcow2`
   * @onChange Replaces the overlay.
   */
  type?: pulumi.Input<"qcow2">;
  /**
   * The file that a delete merges, or null. `mergeTargetFile`, too, decides what is merged.
   *
   * @remarks
   * | `fileToMerge` | `mergeTargetFile` | what libvirt does |
   * |---|---|---|
   * | null | null | the active file takes in **everything** below it and stands alone: the whole disk is copied |
   * | a file below the active one | null | the active file is put on top of that file; the files between are taken into the active file |
   * | a file below the active one | the file directly below that | the first file is committed into the second |
   * | the active file | any | libvirt refuses: it never commits the active file here |
   * | null | a file | refused before anything is sent |
   *
   * @onChange Replaces the overlay: the old one is merged as its own inputs said. Corrected in place only after a merge that
   * failed (`status` is `error_deleting`).
   */
  fileToMerge: pulumi.Input<string | null>;
  /**
   * The file that `fileToMerge` is committed into, or null.
   *
   * @onChange Replaces the overlay. Corrected in place only after a merge that failed.
   */
  mergeTargetFile: pulumi.Input<string | null>;
  /**
   * Whether the provider sets the status of Cinder's record to `creating` and `deleting`, and back to `available`
   * afterwards: only in those two does the record show the outcome. The connection's user must be an administrator. If
   * it is false, the provider never touches the status, and the output `verified` says whether the outcome was seen.
   *
   * @default false
   * @onChange In place.
   */
  manageStatus?: pulumi.Input<boolean>;
  /**
   * The name of the connection to use, one of the kind `openstack` (docs/connections.md). By default Nova lets only
   * administrators do this.
   *
   * @default `default`
   * @onChange Replaces the overlay, unless the settings of both names reach the same backend: then in place.
   */
  connection?: pulumi.Input<string>;
}

/**
 * An overlay on the disk of a running server, by Nova's `os-assisted-volume-snapshots`. Nova answers at once, checks little
 * and shows nothing. So this resource checks in Cinder before each request, waits for the outcome on Cinder's record of the
 * snapshot, and reports where that record can't show it. It merges only the overlay that its own record names. See
 * docs/assisted-snapshot.md, which also says what happens when a run is killed.
 *
 * A replacement deletes the old overlay first, because a snapshot can have only one.
 *
 * Timeouts (`customTimeouts`): create 10 minutes, update 5 minutes, delete 2 hours.
 *
 * @example
 * ```ts
 * new AssistedSnapshot("upgrade", {
 *   volumeId,
 *   snapshotId: snapshot.id,
 *   newFile: "upgrade.qcow2",
 *   fileToMerge: null,
 *   mergeTargetFile: null,
 *   connection: "admin",
 * });
 * ```
 */
export class AssistedSnapshot extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("AssistedSnapshot");
  declare readonly volumeId: pulumi.Output<string>;
  declare readonly snapshotId: pulumi.Output<string>;
  declare readonly newFile: pulumi.Output<string>;
  declare readonly type: pulumi.Output<"qcow2">;
  declare readonly fileToMerge: pulumi.Output<string | undefined>;
  declare readonly mergeTargetFile: pulumi.Output<string | undefined>;
  declare readonly manageStatus: pulumi.Output<boolean | undefined>;
  /** The status of Cinder's record of the snapshot. */
  declare readonly status: pulumi.Output<string>;
  /** The progress on Cinder's record; `90%` in `creating` is Nova's report. Absent where the cloud's policy hides it. */
  declare readonly progress: pulumi.Output<string | undefined>;
  /** Whether Cinder's record has shown that the overlay is in place. */
  declare readonly verified: pulumi.Output<boolean>;
  /** Why the record has not shown it. Absent if it has. */
  declare readonly unverifiedReason: pulumi.Output<string | undefined>;

  constructor(name: string, args: AssistedSnapshotArgs, opts: pulumi.CustomResourceOptions = {}) {
    // A forced replacement doesn't ask the provider: a new overlay beside the old one would be merged with it.
    const first = { ...opts, deleteBeforeReplace: opts.deleteBeforeReplace ?? true };
    super("AssistedSnapshot", "assistedSnapshot", name, { ...noOutputs, ...args }, first);
  }

  /** True for an instance of this class, also of another copy of this package. */
  static override isInstance(obj: unknown): obj is AssistedSnapshot {
    return isOfType(obj, AssistedSnapshot.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs: NoOutputs<AssistedSnapshot> = {
  volumeId: undefined,
  snapshotId: undefined,
  newFile: undefined,
  type: undefined,
  fileToMerge: undefined,
  mergeTargetFile: undefined,
  manageStatus: undefined,
  status: undefined,
  progress: undefined,
  verified: undefined,
  unverifiedReason: undefined,
};
