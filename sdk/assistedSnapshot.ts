// AssistedSnapshot: an overlay on a running server's disk, made and merged by the hypervisor.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, SnapcloneResource, typeToken } from "./resource";

/**
 * What an {@link AssistedSnapshot} is made from. File names are plain names in the volume's folder: no slashes, no `..`,
 * since a chain of files stays mergeable only while its links are relative. Sources: Nova's
 * `api/openstack/compute/assisted_volume_snapshots.py` and `virt/libvirt/driver.py`, and a real Nova 26 with libvirt 9.
 */
export interface AssistedSnapshotArgs {
  /** The UUID of the volume: attached to one server, and that runs. **Changing it replaces the overlay.** */
  volumeId: pulumi.Input<string>;
  /**
   * The UUID of a Cinder snapshot of that volume, whose record shows the outcome. It can have one overlay. **Changing it
   * replaces the overlay.**
   */
  snapshotId: pulumi.Input<string>;
  /**
   * The qcow2 file that the disk is switched to. It has to be there before, made in the volume's folder with the disk's
   * active file as its backing file by name alone (`qemu-img create -f qcow2 -F qcow2 -b <active file> <newFile>`), and
   * readable by QEMU. It can't be a file that the disk is using. **Changing it replaces the overlay.**
   */
  newFile: pulumi.Input<string>;
  /** Default and only value: `qcow2`. */
  type?: pulumi.Input<"qcow2">;
  /**
   * What deleting merges, together with {@link mergeTargetFile}:
   *
   * | `fileToMerge` | `mergeTargetFile` | what libvirt does |
   * |---|---|---|
   * | null | null | the active file takes in **everything** below it and stands alone: the whole disk is copied |
   * | a file below the active one | null | the active file is put on top of that file; what lies between is taken into the active file |
   * | a file below the active one | the file directly below that | the first is committed into the second |
   * | the active file | any | refused by libvirt: it never commits the active file here |
   * | null | a file | refused before anything is sent |
   *
   * **Changing it merges the old overlay as it was asked for then, and makes a new one**; only after a merge that has
   * failed (`status` is `error_deleting`) it is corrected in place.
   */
  fileToMerge: pulumi.Input<string | null>;
  /** See {@link fileToMerge}. */
  mergeTargetFile: pulumi.Input<string | null>;
  /**
   * Whether the connection's user, an administrator then, puts Cinder's record into `creating` and `deleting` itself, and
   * back to `available` afterwards: only in those can it show the outcome. Default: false, the status is never touched,
   * and an outcome that could not be seen is told as such (`verified`). Changed in place.
   */
  manageStatus?: pulumi.Input<boolean>;
  /**
   * The name of the connection to use (docs/connections.md): by default Nova lets administrators alone do this. Default:
   * `default`. **Changing it replaces the overlay.**
   */
  connection?: pulumi.Input<string>;
}

/**
 * An overlay on the disk of a running server: Nova's `os-assisted-volume-snapshots`. Nova itself answers at once, checks
 * little and shows nothing; this resource checks by Cinder before each request, waits for the outcome on Cinder's record of
 * the snapshot, and says plainly where that can't show it. It merges only the overlay that its own record names.
 *
 * Replacing deletes first, since a snapshot can have one overlay. Timeouts (`customTimeouts`): create 10 min, update
 * 5 min, delete 2 h. See docs/assisted-snapshot.md, which also says what happens when a run is killed.
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
  /** Cinder's word for the state of the snapshot's record. */
  declare readonly status: pulumi.Output<string>;
  /** `90%` in `creating` is Nova's report. Absent where the cloud's policy hides it. */
  declare readonly progress: pulumi.Output<string | undefined>;
  /** Whether Cinder's record has shown that the overlay is in place. */
  declare readonly verified: pulumi.Output<boolean>;
  /** Why it has not, where it has not. */
  declare readonly unverifiedReason: pulumi.Output<string | undefined>;

  constructor(name: string, args: AssistedSnapshotArgs, opts: pulumi.CustomResourceOptions = {}) {
    // A forced replacement doesn't ask the provider: a new overlay beside the old one would be merged with it.
    const first = { ...opts, deleteBeforeReplace: opts.deleteBeforeReplace ?? true };
    super("AssistedSnapshot", "assistedSnapshot", name, { ...noOutputs, ...args }, first);
  }

  /** Also true for an instance that another copy of this package has made. */
  static override isInstance(obj: unknown): obj is AssistedSnapshot {
    return isOfType(obj, AssistedSnapshot.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs = {
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
