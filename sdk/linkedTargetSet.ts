// LinkedTargetSet.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, SnapcloneResource, typeToken } from "./resource";

/**
 * What a {@link LinkedTargetSet} is made from. Source of all limits: CoprHD's `BlockSnapshotSessionService` and what it
 * calls.
 */
export interface LinkedTargetSetArgs {
  /**
   * The URN of the snapshot session, `urn:storageos:BlockSnapshotSession:…`. Another session of the same source (volume or
   * consistency group) is taken in place: the targets are relinked to it and keep their ids, WWNs and exports, exported or
   * not. What they hold changes underneath. **A session of another source replaces the set**: only ViPR knows the source,
   * so the first `pulumi up` ends in an error that says so and changes nothing, and the next one replaces. With the option
   * `replaceOnChanges: ["snapshotSessionId"]` each change replaces at once.
   */
  snapshotSessionId: pulumi.Input<string>;
  /**
   * What the targets' names begin with: 1 to 35 characters, one of them at least out of letters, digits and `_#@+-`
   * (ViPR leaves out all others on the array). A target is called `<targetName>-<18 hex digits>g<n>-<m>`, and ViPR allows
   * 63 characters. **Changing it replaces the set.**
   */
  targetName: pulumi.Input<string>;
  /**
   * How many targets, or, of a consistency group's session, how many groups of targets with one for each volume: 1 to
   * 1024, which is all that a source can have over all its sessions. More links only the missing ones, fewer unlinks the
   * last. Targets that others have linked to the session are neither counted nor touched.
   */
  count: pulumi.Input<number>;
  /**
   * `copy` makes a full copy in the background, which is usable on its own once it is complete (ViPR does not tell when
   * that is). `nocopy` only points to the session. Default: `nocopy`. ViPR can't change it and does not show it.
   * **Changing it replaces the set.**
   */
  copyMode?: pulumi.Input<"copy" | "nocopy">;
  /**
   * Whether a target that is unlinked (a smaller `count`, a replacement, `destroy`) is deleted. If false it becomes a
   * volume under a new URN, which is in {@link LinkedTargetSet.promotedVolumes} and is nobody's to manage from then on;
   * its exports in ViPR have to be made anew. A VPLEX can't keep them. Default: true. Changed in place, with effect on
   * later unlinks.
   */
  deleteTargetsOnUnlink?: pulumi.Input<boolean>;
  /**
   * Any values. Changing one relinks all targets to the session they are linked to: they hold the session's instant
   * again. Changed in place.
   */
  refreshTriggers?: pulumi.Input<pulumi.Input<string | number | boolean>[]>;
  /** The name of the connection to use (docs/connections.md). Default: `default`. **Changing it replaces the set.** */
  connection?: pulumi.Input<string>;
}

/** One target of a {@link LinkedTargetSet}. */
export interface LinkedTarget {
  /** `urn:storageos:BlockSnapshot:…`: what an export group in ViPR takes. Survives a relink. */
  id: string;
  name: string;
  /** Survives a relink. */
  wwn?: string;
  /** The device on the array. */
  nativeId?: string;
  /** The session that it is linked to. */
  snapshotSessionId: string;
  /** The volume that it is a copy of. */
  sourceVolumeId?: string;
  capacityGiB?: number;
}

/** A target that ViPR has and no snapshot session: its session was deleted under it. */
export interface UnlinkedTarget {
  /** `urn:storageos:BlockSnapshot:…` */
  id: string;
  name: string;
}

/** A volume that was a target, and was kept when it was unlinked. */
export interface PromotedVolume {
  /** `urn:storageos:Volume:…` */
  id: string;
  name: string;
  wwn?: string;
}

/**
 * Targets linked to a snapshot session of Dell EMC ViPR Controller (CoprHD), `POST
 * /block/snapshot-sessions/{id}/link-targets` and what belongs to it. `pulumi up` returns when they are linked, `pulumi
 * destroy` when they are unlinked.
 *
 * Timeouts (`customTimeouts`): create, update and delete 30 min each. What takes longer is recorded, and the next `pulumi
 * up` goes on waiting for it. A target that is exported can't be unlinked, and says so. See docs/linked-target-set.md.
 */
export class LinkedTargetSet extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("LinkedTargetSet");
  /** Where the targets are linked. If somebody has relinked one by hand, that one's session. */
  declare readonly snapshotSessionId: pulumi.Output<string>;
  declare readonly targetName: pulumi.Output<string>;
  /** How many are linked. */
  declare readonly count: pulumi.Output<number>;
  declare readonly copyMode: pulumi.Output<"copy" | "nocopy">;
  /** In the order in which they were linked; of a group, by the names of its volumes. */
  declare readonly targets: pulumi.Output<LinkedTarget[]>;
  /** What was unlinked and kept, as long as ViPR has it. */
  declare readonly promotedVolumes: pulumi.Output<PromotedVolume[]>;
  /**
   * Targets of this set that no snapshot session has any more, because it was deleted under them. They don't count, and
   * ViPR can neither relink nor unlink them: delete them there.
   */
  declare readonly unlinkedTargets: pulumi.Output<UnlinkedTarget[]>;
  /** The volume or consistency group that the targets are copies of. */
  declare readonly sourceId: pulumi.Output<string>;

  constructor(name: string, args: LinkedTargetSetArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("LinkedTargetSet", "linkedTargetSet", name, { ...noOutputs, ...args }, opts);
  }

  /** Also true for an instance that another copy of this package has made. */
  static override isInstance(obj: unknown): obj is LinkedTargetSet {
    return isOfType(obj, LinkedTargetSet.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs = {
  snapshotSessionId: undefined,
  targetName: undefined,
  count: undefined,
  copyMode: undefined,
  targets: undefined,
  promotedVolumes: undefined,
  unlinkedTargets: undefined,
  sourceId: undefined,
};
