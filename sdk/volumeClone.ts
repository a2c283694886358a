// VolumeClone.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, type NoOutputs, SnapcloneResource, typeToken } from "./resource";

/**
 * The inputs of a {@link VolumeClone}.
 *
 * The source is IBM's "Clone volume API" (PowerVC 2.2.1 to 2.3.1, docs/wire/powervc.md), and for the limits of texts
 * OpenStack's `cinder/api/schemas/volumes.py`.
 */
export interface VolumeCloneArgs {
  /**
   * The UUIDs of the volumes to copy at one consistent instant, at least one, each once. They may be attached.
   *
   * @onChange Replaces the clones if the set of volumes changes. If only the order changes, the clones are renumbered in
   * place.
   * @example ["11111111-2222-4333-8444-555555555555", "66666666-7777-4888-8999-000000000000"]
   */
  volumes: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * The text in the clones' names, 1 to 240 characters without line breaks or characters above U+FFFE. Blanks at its
   * beginning and end are removed.
   *
   * @remarks
   * By PowerVC's rule a clone is called `<prefix><displayName>` for one volume and `<prefix><displayName>-<n>` for several,
   * where `n` is the place in `volumes`. Without a `displayName` the names are `<prefix><name of the volume>` and
   * `volume-<id of the clone>`. The prefix is the server's (`powervc-config storage clone-name-prefix`), `clone-` by
   * default.
   *
   * @onChange In place.
   * @example "before-upgrade"
   */
  displayName?: pulumi.Input<string>;
  /**
   * The description of each clone, at most 255 characters without line breaks or characters above U+FFFE.
   *
   * @onChange In place.
   */
  description?: pulumi.Input<string>;
  /**
   * The UUID of the volume type (storage template) of the clones.
   *
   * @default PowerVC's choice, usually the type of the volumes
   * @onChange Replaces the clones.
   */
  targetVolumeTypeId?: pulumi.Input<string>;
  /**
   * Any values. Change one to copy the volumes as they are then.
   *
   * @onChange Replaces the clones.
   * @example ["release 1.1"]
   */
  triggers?: pulumi.Input<pulumi.Input<string | number | boolean>[]>;
  /**
   * The name of the connection to use, one of the kind `powervc` (docs/connections.md).
   *
   * @default `default`
   * @onChange Replaces the clones, unless the settings of both names reach the same backend: then in place.
   */
  connection?: pulumi.Input<string>;
}

/** One clone of a {@link VolumeClone}. */
export interface ClonedVolume {
  /** The UUID of the volume that it is a copy of. Absent only where PowerVC failed before it reported the volume. */
  sourceId?: string;
  /** The UUID of the clone. */
  id: string;
  /** The clone's name in PowerVC. */
  name?: string;
  /** The clone's description in PowerVC. */
  description?: string;
  /** The clone's size in GiB. */
  sizeGiB: number;
  /** Cinder's status: `available`, or `in-use` when a VM uses the clone. */
  status: string;
  /** The name of the clone's volume type. */
  volumeType?: string;
  /** When the clone was made: ISO 8601, UTC. */
  createdAt?: string;
}

/**
 * Copies of one or more volumes at one consistent instant, by IBM PowerVC (`/clone-volumes`, 2.2.1 or newer). `pulumi up`
 * returns when all clones are available, `pulumi destroy` when all are gone. See docs/volume-clone.md, which also says what
 * happens when a run is killed.
 *
 * If somebody deletes a clone by hand, that clone alone can't be made again, because its instant has passed. After a
 * refresh, the next `pulumi up` makes a new consistent set of all volumes and then deletes what is left of the old one.
 *
 * Timeouts (`customTimeouts`): create 1 hour, update 5 minutes, delete 30 minutes. If a create takes longer, the state
 * records it, and the next `pulumi up` resumes the wait.
 *
 * @example
 * ```ts
 * const before = new VolumeClone("before-upgrade", { volumes: [data, logs], displayName: "before-upgrade" });
 * export const cloneOfData = before.clones.apply((clones) => clones[data]);
 * ```
 */
export class VolumeClone extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("VolumeClone");
  declare readonly volumes: pulumi.Output<string[]>;
  declare readonly displayName: pulumi.Output<string | undefined>;
  declare readonly description: pulumi.Output<string | undefined>;
  declare readonly targetVolumeTypeId: pulumi.Output<string | undefined>;
  /** The UUID of each clone, by the UUID of its volume. */
  declare readonly clones: pulumi.Output<Record<string, string>>;
  /** The clones, in the order of `volumes`. */
  declare readonly clonedVolumes: pulumi.Output<ClonedVolume[]>;
  /**
   * The volumes whose clones somebody has deleted. The next `pulumi up` makes a new set. Absent if there are none. (In
   * states of early builds: their number.)
   */
  declare readonly missing: pulumi.Output<string[] | undefined>;
  /** The prefix that the server puts before names. */
  declare readonly namePrefix: pulumi.Output<string>;
  /** PowerVC's task that made the clones. Absent after a lost reply. */
  declare readonly taskId: pulumi.Output<string | undefined>;
  /** PowerVC's flows and how each of them ended, such as `{ cloneFlow: "SUCCESS" }`. Absent after a lost reply. */
  declare readonly flow: pulumi.Output<Record<string, string> | undefined>;

  constructor(name: string, args: VolumeCloneArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("VolumeClone", "volumeClone", name, { ...noOutputs, ...args }, opts);
  }

  /**
   * Reads the clones of another stack's VolumeClone by its id (`snapclone-…`). Each `pulumi up` reads them again, and
   * never changes or deletes them.
   */
  static get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    args: Pick<VolumeCloneArgs, "connection"> = {},
    opts: pulumi.CustomResourceOptions = {},
  ): VolumeClone {
    return new VolumeClone(name, args as VolumeCloneArgs, { ...opts, id });
  }

  /** True for an instance of this class, also of another copy of this package. */
  static override isInstance(obj: unknown): obj is VolumeClone {
    return isOfType(obj, VolumeClone.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs: NoOutputs<VolumeClone> = {
  volumes: undefined,
  displayName: undefined,
  description: undefined,
  targetVolumeTypeId: undefined,
  clones: undefined,
  clonedVolumes: undefined,
  missing: undefined,
  namePrefix: undefined,
  taskId: undefined,
  flow: undefined,
};
