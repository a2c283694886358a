// VolumeFromSnapshot: a volume with the data of a Cinder snapshot.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, type NoOutputs, SnapcloneResource, typeToken } from "./resource";

/** The inputs of a {@link VolumeFromSnapshot}. */
export interface VolumeFromSnapshotArgs {
  /**
   * The UUID of the snapshot whose data the volume gets. The snapshot must be `available`.
   *
   * @onChange Replaces the volume.
   * @example snapshot.id
   */
  snapshotId: pulumi.Input<string>;
  /**
   * The volume's name, at most 255 characters. Cinder removes blanks at its beginning and end.
   *
   * @default the resource's name, a dash and 7 hex digits
   * @onChange In place.
   * @example "database-restored"
   */
  name?: pulumi.Input<string>;
  /**
   * The size in GiB, at least the snapshot's. A larger value grows the volume in place, an attached one from Block Storage
   * API 3.42 on. A smaller value is an error: Cinder makes no volume smaller.
   *
   * @default the snapshot's size
   * @onChange In place, upwards.
   * @example 20
   */
  sizeGiB?: pulumi.Input<number>;
  /**
   * The name of the volume type, not its id.
   *
   * @default the type of the snapshot's volume
   * @onChange Replaces the volume. Leaving it out is no change.
   * @example "ssd"
   */
  volumeType?: pulumi.Input<string>;
  /**
   * The availability zone. Most clouds allow only the one of the snapshot.
   *
   * @default the zone of the snapshot's volume
   * @onChange Replaces the volume. Leaving it out is no change.
   * @example "nova"
   */
  availabilityZone?: pulumi.Input<string>;
  /**
   * A text of at most 255 characters. Blanks at its beginning and end are removed.
   *
   * @onChange In place.
   * @example "The database as it was before the migration"
   */
  description?: pulumi.Input<string>;
  /**
   * Keys of 1 to 255 letters, digits, blanks and `-_:.`, and values of at most 255 characters. Only these keys are managed:
   * the keys that others set on the volume stay. Keys that begin with `snapclone:` belong to the provider and are refused.
   *
   * @onChange In place.
   * @example { team: "shop" }
   */
  metadata?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /**
   * The name of the connection to use, one of the kind `openstack` (docs/connections.md).
   *
   * @default `default`
   * @onChange Replaces the volume.
   */
  connection?: pulumi.Input<string>;
}

/** A server that a {@link VolumeFromSnapshot} is attached to. */
export interface VolumeFromSnapshotAttachment {
  /** The server's id. */
  serverId?: string;
  /** The device in the server, such as `/dev/vdb`. */
  device?: string;
}

/**
 * A volume that Cinder makes from a snapshot: a restored copy of the data. `pulumi up` returns when the volume is
 * `available`, `pulumi destroy` when it is gone. An attached volume is not deleted: the error names the server. See
 * docs/volume-from-snapshot.md, which also says what happens when a run is killed.
 *
 * A replacement makes the new volume before it deletes the old one.
 *
 * Timeouts (`customTimeouts`): create 1 hour, update 30 minutes, delete 1 hour. If a create takes longer, the state
 * records it, and the next `pulumi up` resumes the wait.
 *
 * @example
 * ```ts
 * const restored = new VolumeFromSnapshot("restored", { snapshotId: snapshot.id, sizeGiB: 20 });
 * export const volumeId = restored.id;
 * ```
 */
export class VolumeFromSnapshot extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("VolumeFromSnapshot");
  declare readonly snapshotId: pulumi.Output<string>;
  declare readonly name: pulumi.Output<string>;
  declare readonly description: pulumi.Output<string | undefined>;
  /** The keys that the program manages, with their values in Cinder. */
  declare readonly metadata: pulumi.Output<Record<string, string>>;
  /** The volume's size in GiB. */
  declare readonly sizeGiB: pulumi.Output<number>;
  /** The name of the volume's type. Absent on a cloud without types. */
  declare readonly volumeType: pulumi.Output<string | undefined>;
  /** The volume's availability zone. */
  declare readonly availabilityZone: pulumi.Output<string | undefined>;
  /** Cinder's status: `available` when `pulumi up` has made it, `in-use` while it is attached. */
  declare readonly status: pulumi.Output<string>;
  /** Whether a server can boot from the volume, as from the snapshot's volume. */
  declare readonly bootable: pulumi.Output<boolean>;
  /** When the volume was made, by Cinder's clock: ISO 8601, UTC. */
  declare readonly createdAt: pulumi.Output<string>;
  /** When the volume was last changed: ISO 8601, UTC. Absent until then. */
  declare readonly updatedAt: pulumi.Output<string | undefined>;
  /** The servers that the volume was attached to when it was last read. `pulumi refresh` reads it. */
  declare readonly attachments: pulumi.Output<VolumeFromSnapshotAttachment[]>;

  constructor(name: string, args: VolumeFromSnapshotArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("VolumeFromSnapshot", "volumeFromSnapshot", name, { ...noOutputs, ...args }, opts);
  }

  /** Reads an existing volume. Each `pulumi up` reads it again, and never changes or deletes it. */
  static get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    args: Pick<VolumeFromSnapshotArgs, "connection"> = {},
    opts: pulumi.CustomResourceOptions = {},
  ): VolumeFromSnapshot {
    return new VolumeFromSnapshot(name, args as VolumeFromSnapshotArgs, { ...opts, id });
  }

  /** True for an instance of this class, also of another copy of this package. */
  static override isInstance(obj: unknown): obj is VolumeFromSnapshot {
    return isOfType(obj, VolumeFromSnapshot.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs: NoOutputs<VolumeFromSnapshot> = {
  snapshotId: undefined,
  name: undefined,
  description: undefined,
  metadata: undefined,
  sizeGiB: undefined,
  volumeType: undefined,
  availabilityZone: undefined,
  status: undefined,
  bootable: undefined,
  createdAt: undefined,
  updatedAt: undefined,
  attachments: undefined,
};
