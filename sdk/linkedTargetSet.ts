// LinkedTargetSet.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, type NoOutputs, SnapcloneResource, typeToken } from "./resource";

/**
 * The inputs of a {@link LinkedTargetSet}.
 *
 * The limits are those of CoprHD's `BlockSnapshotSessionService` and the classes that it calls (docs/wire/vipr.md).
 */
export interface LinkedTargetSetArgs {
  /**
   * The URN of the snapshot session, `urn:storageos:BlockSnapshotSession:…`.
   *
   * @remarks
   * The targets are relinked in place to another session of the same source (volume or consistency group). They keep their
   * ids, WWNs and exports; their content changes even while they are exported.
   *
   * A session of another source replaces the set. Only ViPR knows the source of a session. So the first `pulumi up` ends in
   * an error that says so and changes nothing, and the next one replaces the set. With the option
   * `replaceOnChanges: ["snapshotSessionId"]` each change replaces the set at once.
   *
   * @onChange In place for a session of the same source. Replaces the set for a session of another source.
   */
  snapshotSessionId: pulumi.Input<string>;
  /**
   * The beginning of the targets' names: 1 to 35 characters, at least one of them a letter, a digit or one of `_#@+-`. ViPR
   * leaves all other characters out on the array. A target is called `<targetName>-<18 hex digits>g<n>-<m>`.
   *
   * @onChange Replaces the set.
   * @example "shop-test"
   */
  targetName: pulumi.Input<string>;
  /**
   * The number of targets, 1 to 1024. For the session of a consistency group it is the number of groups of targets, each
   * with one target for each volume. 1024 is all that a source can have over all its sessions. Targets that others have
   * linked to the session are neither counted nor touched.
   *
   * @onChange In place: a larger number links the missing targets, a smaller one unlinks the last.
   */
  count: pulumi.Input<number>;
  /**
   * `copy` makes a full copy in the background. The copy is usable on its own once it is complete; ViPR does not report
   * when. `nocopy` only points to the session. ViPR does not show the mode of a target and can't change it.
   *
   * @default `nocopy`
   * @onChange Replaces the set.
   */
  copyMode?: pulumi.Input<"copy" | "nocopy">;
  /**
   * Whether a target is deleted when it is unlinked: by a smaller `count`, a replacement, or `pulumi destroy`. If it is
   * false, the target becomes a volume with a new URN in `promotedVolumes`. Nobody manages that volume, and its
   * exports in ViPR have to be made anew. A VPLEX can't keep targets.
   *
   * @default true
   * @onChange In place, with effect on later unlinks.
   */
  deleteTargetsOnUnlink?: pulumi.Input<boolean>;
  /**
   * Any values. Change one to relink all targets to the session that they are linked to, so that they hold the session's
   * instant again.
   *
   * @onChange In place: relinks all targets.
   * @example ["sprint 12"]
   */
  refreshTriggers?: pulumi.Input<pulumi.Input<string | number | boolean>[]>;
  /**
   * The name of the connection to use, one of the kind `vipr` (docs/connections.md#vipr).
   *
   * @default `default`
   * @onChange Replaces the set, unless the settings of both names reach the same backend: then in place.
   */
  connection?: pulumi.Input<string>;
}

/** One target of a {@link LinkedTargetSet}. */
export interface LinkedTarget {
  /** `urn:storageos:BlockSnapshot:…`, which an export group in ViPR takes. A relink keeps it. */
  id: string;
  /** The target's name in ViPR. */
  name: string;
  /** The world-wide name of the device. A relink keeps it. */
  wwn?: string;
  /** The device's id on the array. */
  nativeId?: string;
  /** The URN of the session that the target is linked to. */
  snapshotSessionId: string;
  /** The URN of the volume that the target is a copy of. */
  sourceVolumeId?: string;
  /** The provisioned capacity in GiB. */
  capacityGiB?: number;
}

/** A target that no snapshot session has any more, because its session was deleted. */
export interface UnlinkedTarget {
  /** `urn:storageos:BlockSnapshot:…` */
  id: string;
  /** The target's name in ViPR. */
  name: string;
}

/** A volume that was a target and was kept when the target was unlinked. */
export interface PromotedVolume {
  /** `urn:storageos:Volume:…` */
  id: string;
  /** The volume's name in ViPR. */
  name: string;
  /** The world-wide name of the device. */
  wwn?: string;
}

/**
 * Targets linked to a snapshot session of Dell EMC ViPR Controller (CoprHD), by `POST
 * /block/snapshot-sessions/{id}/link-targets` and the requests beside it. `pulumi up` returns when the targets are linked,
 * `pulumi destroy` when they are unlinked. See docs/linked-target-set.md, which also says what happens when a run is killed.
 *
 * An exported target can't be unlinked: ViPR refuses, and the error names the target.
 *
 * Timeouts (`customTimeouts`): create, update and delete 30 minutes each. If a request takes longer, the state records
 * it, and the next `pulumi up` resumes the wait.
 *
 * @example
 * ```ts
 * const testers = new LinkedTargetSet("testers", { snapshotSessionId, targetName: "shop-test", count: 3 });
 * export const wwns = testers.targets.apply((targets) => targets.map(({ wwn }) => wwn));
 * ```
 */
export class LinkedTargetSet extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("LinkedTargetSet");
  /** The session that the targets are linked to. If somebody has relinked one by hand, that target's session. */
  declare readonly snapshotSessionId: pulumi.Output<string>;
  declare readonly targetName: pulumi.Output<string>;
  /** The number of targets (or groups of targets) that are linked. */
  declare readonly count: pulumi.Output<number>;
  declare readonly copyMode: pulumi.Output<"copy" | "nocopy">;
  /** The targets in the order in which they were linked. Within a group they are in the order of the volumes' names. */
  declare readonly targets: pulumi.Output<LinkedTarget[]>;
  /** The volumes that were unlinked and kept, as long as ViPR has them. */
  declare readonly promotedVolumes: pulumi.Output<PromotedVolume[]>;
  /**
   * Targets of this set that no snapshot session has any more, because their session was deleted. They don't count. ViPR can
   * neither relink nor unlink them: delete them there.
   */
  declare readonly unlinkedTargets: pulumi.Output<UnlinkedTarget[]>;
  /** The volume or consistency group that the targets are copies of. */
  declare readonly sourceId: pulumi.Output<string>;

  constructor(name: string, args: LinkedTargetSetArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("LinkedTargetSet", "linkedTargetSet", name, { ...noOutputs, ...args }, opts);
  }

  /** Reads the set of another stack by its id. Each `pulumi up` reads it again, and never changes or deletes it. */
  static get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    args: Pick<LinkedTargetSetArgs, "connection"> = {},
    opts: pulumi.CustomResourceOptions = {},
  ): LinkedTargetSet {
    return new LinkedTargetSet(name, args as LinkedTargetSetArgs, { ...opts, id });
  }

  /** True for an instance of this class, also of another copy of this package. */
  static override isInstance(obj: unknown): obj is LinkedTargetSet {
    return isOfType(obj, LinkedTargetSet.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs: NoOutputs<LinkedTargetSet> = {
  snapshotSessionId: undefined,
  targetName: undefined,
  count: undefined,
  copyMode: undefined,
  targets: undefined,
  promotedVolumes: undefined,
  unlinkedTargets: undefined,
  sourceId: undefined,
};
