// SnapshotSeries.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, type NoOutputs, SnapcloneResource, typeToken } from "./resource";

/** The inputs of a {@link SnapshotSeries}. */
export interface SnapshotSeriesArgs {
  /**
   * The UUID of the volume to copy. The volume may be attached. A replacement deletes all snapshots of the old series
   * (`retainOnDelete` keeps them).
   *
   * @onChange Replaces the series.
   * @example "11111111-2222-4333-8444-555555555555"
   */
  volumeId: pulumi.Input<string>;
  /**
   * How many of the newest snapshots always stay, at least 1. A lower number deletes the snapshots beyond it. A higher
   * number changes nothing on the cloud.
   *
   * @onChange In place.
   * @example 7
   */
  keep: pulumi.Input<number>;
  /**
   * A duration, such as `30d`, `2w` or `36h`. With it, a snapshot is deleted only if it is beyond `keep` **and** older
   * than this.
   *
   * @onChange In place.
   * @example "30d"
   */
  keepWithin?: pulumi.Input<string>;
  /**
   * Any values. Change one to take one more snapshot of the volume as it is then.
   *
   * @onChange In place: a new snapshot is taken, and then the old ones are deleted.
   * @example ["2026-11-28"]
   */
  triggers?: pulumi.Input<pulumi.Input<string | number | boolean>[]>;
  /**
   * Any values. Change one to revert the volume to the latest snapshot of the series, in place. **What was written to the
   * volume since is lost**; a preview says so. The volume must be detached, and have no newer snapshot. Not together with a
   * change of `triggers`, `volumeId` or `connection`. The first `up`, an import, a replacement and removed triggers revert nothing.
   *
   * @onChange In place: the volume is reverted, once for each new value.
   * @example ["2026-11-28: the migration failed"]
   */
  revertTriggers?: pulumi.Input<pulumi.Input<string | number | boolean>[]>;
  /**
   * The beginning of the snapshots' names. A dash and the time follow, such as `-20261128T020000Z`. Only the first 238
   * characters are used.
   *
   * @default the resource's name, a dash and 7 hex digits
   * @onChange In place: applies to the next snapshot.
   * @example "database"
   */
  name?: pulumi.Input<string>;
  /**
   * The description of each snapshot, at most 255 characters without control characters, line breaks or characters above
   * U+FFFE.
   *
   * @onChange In place: applies to the next snapshot.
   * @example "The database at night"
   */
  description?: pulumi.Input<string>;
  /**
   * The metadata of each snapshot: keys of 1 to 255 letters, digits, blanks and `-_:./`, and values of at most 255
   * characters. Keys that begin with `snapclone:` belong to the provider and are refused.
   *
   * @onChange In place: applies to the next snapshot.
   * @example { team: "shop" }
   */
  metadata?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /**
   * Whether an attached volume may be copied. Clouds older than OpenStack Xena (Block Storage API below 3.66) require it;
   * newer clouds always copy, and `force` is not sent to them.
   *
   * @default false
   * @onChange No effect on an existing snapshot.
   */
  force?: pulumi.Input<boolean>;
  /**
   * The name of the connection to use, one of the kind `openstack` (docs/connections.md).
   *
   * @default `default`
   * @onChange Replaces the series.
   */
  connection?: pulumi.Input<string>;
}

/** One snapshot of a {@link SnapshotSeries}. */
export interface SeriesSnapshot {
  /** The snapshot's UUID. */
  id: string;
  /** The snapshot's name in Cinder. */
  name?: string;
  /** When the snapshot was made, by Cinder's clock: ISO 8601, UTC. */
  createdAt?: string;
  /** The size of the volume when it was copied, in GiB. */
  sizeGiB: number;
  /** Cinder's status: `available` for a snapshot that can be used. */
  status: string;
}

/**
 * The last snapshots of an OpenStack volume as one resource: a changed trigger takes a new snapshot, and then the
 * oldest are deleted. See docs/snapshot-series.md, which also says how to run it every night and what happens when a
 * run is killed.
 *
 * Timeouts (`customTimeouts`): create 30 minutes, update 1 hour, delete 1 hour. If a snapshot takes longer, the state
 * records it, and the next `pulumi up` resumes the wait.
 *
 * @example
 * ```ts
 * const day = new Date().toISOString().slice(0, 10);
 * const nightly = new SnapshotSeries("nightly", { volumeId, keep: 7, triggers: [day] });
 * export const restoreFrom = nightly.latest;
 * ```
 */
export class SnapshotSeries extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("SnapshotSeries");
  declare readonly volumeId: pulumi.Output<string>;
  declare readonly keep: pulumi.Output<number>;
  declare readonly keepWithin: pulumi.Output<string | undefined>;
  declare readonly name: pulumi.Output<string>;
  declare readonly description: pulumi.Output<string | undefined>;
  declare readonly metadata: pulumi.Output<Record<string, string> | undefined>;
  /** The snapshots of the series, the newest first. */
  declare readonly snapshots: pulumi.Output<SeriesSnapshot[]>;
  /** The UUID of the newest snapshot that can be used. Absent if there is none. */
  declare readonly latest: pulumi.Output<string | undefined>;
  /** The snapshots that the last change of the series has deleted. */
  declare readonly pruned: pulumi.Output<SeriesSnapshot[]>;
  /** The UUIDs of the snapshots that should have been deleted and are still there. The next `pulumi up` tries again. */
  declare readonly overdue: pulumi.Output<string[]>;
  /** The UUIDs of snapshots that Cinder could not make. The next `pulumi up` deletes them. */
  declare readonly failed: pulumi.Output<string[]>;
  /** A digest of the triggers that the latest snapshot was taken for. */
  declare readonly takenFor: pulumi.Output<string | undefined>;
  /** A digest of the `revertTriggers` that need no revert any more. Absent if there never were any. */
  declare readonly revertedFor: pulumi.Output<string | undefined>;
  /** When the volume was last reverted for this resource, by Cinder's clock: ISO 8601, UTC. Absent if it never was. */
  declare readonly revertedAt: pulumi.Output<string | undefined>;

  constructor(name: string, args: SnapshotSeriesArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("SnapshotSeries", "snapshotSeries", name, { ...noOutputs, ...args }, opts);
  }

  /**
   * Reads the series of another stack by its id (`series-…`). Each `pulumi up` reads it again, and never changes or
   * deletes it.
   */
  static get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    args: Pick<SnapshotSeriesArgs, "connection"> = {},
    opts: pulumi.CustomResourceOptions = {},
  ): SnapshotSeries {
    return new SnapshotSeries(name, args as SnapshotSeriesArgs, { ...opts, id });
  }

  /** True for an instance of this class, also of another copy of this package. */
  static override isInstance(obj: unknown): obj is SnapshotSeries {
    return isOfType(obj, SnapshotSeries.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs: NoOutputs<SnapshotSeries> = {
  volumeId: undefined,
  keep: undefined,
  keepWithin: undefined,
  name: undefined,
  description: undefined,
  metadata: undefined,
  snapshots: undefined,
  latest: undefined,
  pruned: undefined,
  overdue: undefined,
  failed: undefined,
  takenFor: undefined,
  revertedFor: undefined,
  revertedAt: undefined,
};
