// Snapshot, and the lookups beside it.

import type * as pulumi from "@pulumi/pulumi";
import type { GetSnapshotArgs, ListSnapshotsArgs, SnapshotInfo } from "../provider/lookups";
import { type LookupOutputOptions, lookup, outputOf } from "./lookup";
import { isOfType, type NoOutputs, SnapcloneResource, typeToken } from "./resource";

/**
 * The inputs of a {@link Snapshot}.
 *
 * The limits are those of OpenStack's `cinder/api/schemas/snapshots.py` (docs/wire/openstack.md#a2).
 */
export interface SnapshotArgs {
  /**
   * The UUID of the volume to copy. The volume may be attached.
   *
   * @onChange Replaces the snapshot.
   * @example "11111111-2222-4333-8444-555555555555"
   */
  volumeId: pulumi.Input<string>;
  /**
   * The snapshot's name, at most 255 characters. Cinder removes blanks at its beginning and end.
   *
   * @default the resource's name, a dash and 7 hex digits
   * @onChange In place.
   * @example "nightly"
   */
  name?: pulumi.Input<string>;
  /**
   * A text of at most 255 characters without control characters, line breaks or characters above U+FFFE. Blanks at its
   * beginning and end are removed.
   *
   * @onChange In place.
   * @example "The database before the release"
   */
  description?: pulumi.Input<string>;
  /**
   * Keys of 1 to 255 letters, digits, blanks and `-_:./`, and values of at most 255 characters. Only these keys are managed:
   * the keys that others set on the snapshot stay. Keys that begin with `snapclone:` belong to the provider and are
   * refused.
   *
   * @onChange In place.
   * @example { team: "shop", keep: "7" }
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
   * Any values. Change one to take a new snapshot of the volume as it is then.
   *
   * @onChange Replaces the snapshot.
   * @example ["release 1.1"]
   */
  triggers?: pulumi.Input<pulumi.Input<string | number | boolean>[]>;
  /**
   * Any values. Change one to revert the volume to this snapshot, in place. **What was written to the volume since
   * is lost**; a preview says so. The volume must be detached, and have no newer snapshot. Not together with a change of
   * `triggers`, `volumeId` or `connection`. The first `up`, an import, a replacement and removed triggers revert nothing.
   *
   * @onChange In place: the volume is reverted, once for each new value.
   * @example ["2026-11-28: the migration failed"]
   */
  revertTriggers?: pulumi.Input<pulumi.Input<string | number | boolean>[]>;
  /**
   * The name of the connection to use, one of the kind `openstack` (docs/connections.md).
   *
   * @default `default`
   * @onChange Replaces the snapshot, unless the settings of both names reach the same backend: then in place.
   */
  connection?: pulumi.Input<string>;
}

/**
 * A point-in-time copy of an OpenStack volume (Cinder v3 `/snapshots`). `pulumi up` returns when the snapshot is
 * `available`, `pulumi destroy` when it is gone. See docs/snapshot.md, which also says what happens when a run is killed.
 *
 * A replacement makes the new snapshot before it deletes the old one.
 *
 * Timeouts (`customTimeouts`): create 30 minutes, update 1 hour, delete 30 minutes. If a create or a revert takes
 * longer, the state records it, and the next `pulumi up` resumes the wait.
 *
 * @example
 * ```ts
 * const nightly = new Snapshot("nightly", { volumeId, metadata: { keep: "7" } });
 * export const snapshotId = nightly.id;
 * ```
 */
export class Snapshot extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("Snapshot");
  declare readonly volumeId: pulumi.Output<string>;
  declare readonly name: pulumi.Output<string>;
  declare readonly description: pulumi.Output<string | undefined>;
  /** The keys that the program manages, with their values in Cinder. */
  declare readonly metadata: pulumi.Output<Record<string, string>>;
  /** Cinder's status: `available` whenever `pulumi up` has succeeded. */
  declare readonly status: pulumi.Output<string>;
  /** Cinder's progress, such as `100%`. Absent where the cloud's policy hides it. */
  declare readonly progress: pulumi.Output<string | undefined>;
  /** The size of the volume when it was copied, in GiB. */
  declare readonly sizeGiB: pulumi.Output<number>;
  /** When the snapshot was made, by Cinder's clock: ISO 8601, UTC. */
  declare readonly createdAt: pulumi.Output<string>;
  /** When the snapshot was last changed: ISO 8601, UTC. Absent until then. */
  declare readonly updatedAt: pulumi.Output<string | undefined>;
  /** The project that owns the snapshot. Absent where the cloud's policy hides it. */
  declare readonly projectId: pulumi.Output<string | undefined>;
  /** The user who made the snapshot. Absent below API 3.41. */
  declare readonly userId: pulumi.Output<string | undefined>;
  /** The group snapshot that it is part of. Such a snapshot can't be deleted alone. Absent below API 3.14. */
  declare readonly groupSnapshotId: pulumi.Output<string | undefined>;
  /** Whether the snapshot counts against the project's quota. Absent below API 3.65. */
  declare readonly consumesQuota: pulumi.Output<boolean | undefined>;
  /** A digest of the `revertTriggers` that need no revert any more. Absent if there never were any. */
  declare readonly revertedFor: pulumi.Output<string | undefined>;
  /** When the volume was last reverted for this resource, by Cinder's clock: ISO 8601, UTC. Absent if it never was. */
  declare readonly revertedAt: pulumi.Output<string | undefined>;

  constructor(name: string, args: SnapshotArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("Snapshot", "snapshot", name, { ...noOutputs, ...args }, opts);
  }

  /** Reads an existing snapshot. Each `pulumi up` reads it again, and never changes or deletes it. */
  static get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    args: Pick<SnapshotArgs, "connection"> = {},
    opts: pulumi.CustomResourceOptions = {},
  ): Snapshot {
    return new Snapshot(name, args as SnapshotArgs, { ...opts, id });
  }

  /** True for an instance of this class, also of another copy of this package. */
  static override isInstance(obj: unknown): obj is Snapshot {
    return isOfType(obj, Snapshot.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs: NoOutputs<Snapshot> = {
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
  revertedFor: undefined,
  revertedAt: undefined,
};

/**
 * Reads one snapshot while the program runs. This happens in previews, too, which then need the connection. Fails if no
 * snapshot matches, or if several match and `mostRecent` is not set.
 */
export function getSnapshot(args: GetSnapshotArgs): Promise<SnapshotInfo> {
  return lookup("getSnapshot", args);
}

/**
 * {@link getSnapshot} for arguments that are outputs of other resources. Waits for them. In a preview the result is
 * unknown if they are unknown.
 */
export function getSnapshotOutput(
  args: pulumi.Input<{ [K in keyof GetSnapshotArgs]: pulumi.Input<GetSnapshotArgs[K]> }>,
  opts: LookupOutputOptions = {},
): pulumi.Output<SnapshotInfo> {
  return outputOf(args, (known) => getSnapshot(known as GetSnapshotArgs), opts);
}

/**
 * Reads all snapshots that meet the conditions, on all pages, while the program runs. This happens in previews, too.
 */
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
