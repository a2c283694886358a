// Snapshot, and the lookups beside it.

import type * as pulumi from "@pulumi/pulumi";
import type { GetSnapshotArgs, ListSnapshotsArgs, SnapshotInfo } from "../provider/lookups";
import { type LookupOutputOptions, lookup, outputOf } from "./lookup";
import { isOfType, SnapcloneResource, typeToken } from "./resource";

/** What a {@link Snapshot} is made from. Source of all limits: OpenStack's `cinder/api/schemas/snapshots.py`. */
export interface SnapshotArgs {
  /**
   * The UUID of the volume to copy. The volume may be attached. **Changing it makes a new snapshot.**
   */
  volumeId: pulumi.Input<string>;
  /**
   * The snapshot's name, at most 255 characters; blanks around it are cut off, as Cinder does. Default: the resource's
   * name and seven random hex digits. Changed in place.
   */
  name?: pulumi.Input<string>;
  /** At most 255 characters without line breaks. Default: none. Changed in place. */
  description?: pulumi.Input<string>;
  /**
   * Keys (1–255 characters out of letters, digits, blanks and `-_:./`) and values (at most 255 characters). Only these
   * keys are managed: keys that others set on the snapshot stay as they are. Keys that begin with `snapclone:` are the
   * provider's own. Changed in place.
   */
  metadata?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /**
   * Needed to copy an attached volume on clouds older than OpenStack Xena (Block Storage API below 3.66); newer ones
   * always do, and never see it. Default: false. Has no effect on an existing snapshot.
   */
  force?: pulumi.Input<boolean>;
  /**
   * Any values. **Changing one makes a new snapshot**, and then deletes the old one: a new point in time.
   */
  triggers?: pulumi.Input<pulumi.Input<string | number | boolean>[]>;
  /** The name of the connection to use (docs/connections.md). Default: `default`. **Changing it makes a new snapshot.** */
  connection?: pulumi.Input<string>;
}

/**
 * A point-in-time copy of an OpenStack volume (Cinder v3 `/snapshots`). `pulumi up` returns when it is `available`,
 * `pulumi destroy` when it is gone.
 *
 * Timeouts (`customTimeouts`): create 30 min, update 5 min, delete 30 min. A create that takes longer is recorded, and
 * the next `pulumi up` goes on waiting for it. See docs/snapshot.md, which also says what happens when a run is killed.
 */
export class Snapshot extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("Snapshot");
  declare readonly volumeId: pulumi.Output<string>;
  declare readonly name: pulumi.Output<string>;
  declare readonly description: pulumi.Output<string | undefined>;
  /** The managed keys, as they are on the snapshot. */
  declare readonly metadata: pulumi.Output<Record<string, string>>;
  /** Cinder's word for its state: `available` whenever `pulumi up` has succeeded. */
  declare readonly status: pulumi.Output<string>;
  /** Such as `100%`. Absent where the cloud's policy hides it. */
  declare readonly progress: pulumi.Output<string | undefined>;
  /** The size of the volume when it was copied, in GiB. */
  declare readonly sizeGiB: pulumi.Output<number>;
  /** ISO 8601, UTC. */
  declare readonly createdAt: pulumi.Output<string>;
  /** ISO 8601, UTC. Absent until something has changed. */
  declare readonly updatedAt: pulumi.Output<string | undefined>;
  /** Absent where the cloud's policy hides it. */
  declare readonly projectId: pulumi.Output<string | undefined>;
  /** Who made it. From API 3.41 on. */
  declare readonly userId: pulumi.Output<string | undefined>;
  /** The group snapshot it is part of, if any: such a snapshot cannot be deleted alone. From API 3.14 on. */
  declare readonly groupSnapshotId: pulumi.Output<string | undefined>;
  /** Whether it counts against the project's quota. From API 3.65 on. */
  declare readonly consumesQuota: pulumi.Output<boolean | undefined>;

  constructor(name: string, args: SnapshotArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("Snapshot", "snapshot", name, { ...noOutputs, ...args }, opts);
  }

  /** A snapshot that exists already, read anew by each `pulumi up` and never changed or deleted by it. */
  static get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    args: Pick<SnapshotArgs, "connection"> = {},
    opts: pulumi.CustomResourceOptions = {},
  ): Snapshot {
    return new Snapshot(name, args as SnapshotArgs, { ...opts, id });
  }

  /** Also true for an instance that another copy of this package has made. */
  static override isInstance(obj: unknown): obj is Snapshot {
    return isOfType(obj, Snapshot.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs = {
  volumeId: undefined,
  name: undefined,
  description: undefined,
  metadata: undefined,
  status: undefined,
  progress: undefined,
  sizeGiB: undefined,
  createdAt: undefined,
  updatedAt: undefined,
  projectId: undefined,
  userId: undefined,
  groupSnapshotId: undefined,
  consumesQuota: undefined,
};

/**
 * Asks the cloud for one snapshot, while the program runs: in previews too, so previews then need the connection.
 * Fails if there is none, or more than one and not `mostRecent`.
 */
export function getSnapshot(args: GetSnapshotArgs): Promise<SnapshotInfo> {
  return lookup("getSnapshot", args);
}

/** {@link getSnapshot} for arguments that are outputs of other resources. Waits for them; unknown in a preview if they are. */
export function getSnapshotOutput(
  args: pulumi.Input<{ [K in keyof GetSnapshotArgs]: pulumi.Input<GetSnapshotArgs[K]> }>,
  opts: LookupOutputOptions = {},
): pulumi.Output<SnapshotInfo> {
  return outputOf(args, (known) => getSnapshot(known as GetSnapshotArgs), opts);
}

/** All snapshots that meet the conditions, however many pages they fill. Asked while the program runs, in previews too. */
export async function listSnapshots(args: ListSnapshotsArgs = {}): Promise<SnapshotInfo[]> {
  return (await lookup("listSnapshots", args)).snapshots;
}

/** {@link listSnapshots} for arguments that are outputs of other resources. */
export function listSnapshotsOutput(
  args: pulumi.Input<{ [K in keyof ListSnapshotsArgs]: pulumi.Input<ListSnapshotsArgs[K]> }> = {},
  opts: LookupOutputOptions = {},
): pulumi.Output<SnapshotInfo[]> {
  return outputOf(args, (known) => listSnapshots(known as ListSnapshotsArgs), opts);
}
