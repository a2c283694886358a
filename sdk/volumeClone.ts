// VolumeClone.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, SnapcloneResource, typeToken } from "./resource";

/**
 * What a {@link VolumeClone} is made from. Source: IBM's "Clone volume API" (PowerVC 2.2.1 to 2.3.1), and for the limits
 * of texts OpenStack's `cinder/api/schemas/volumes.py`.
 */
export interface VolumeCloneArgs {
  /**
   * The UUIDs of the volumes to copy at one consistent instant, at least one, each once. They may be attached.
   * **Another set of volumes makes new clones**; another order renumbers the clones in place.
   */
  volumes: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * What the clones are called after, by PowerVC's rule: `<prefix><displayName>` for one volume,
   * `<prefix><displayName>-<n>` for several, n being the place in `volumes`; without it `<prefix><name of the volume>` and
   * `volume-<id of the clone>`. The prefix is the server's (`powervc-config storage clone-name-prefix`), `clone-` by
   * default. 1 to 240 characters, no line breaks; blanks around it are cut off. Default: none. Changed in place.
   */
  displayName?: pulumi.Input<string>;
  /**
   * Of each clone, at most 255 characters, no line breaks. PowerVC itself uses it for a single volume only; with several,
   * each clone gets it when they are made. Default: none. Changed in place.
   */
  description?: pulumi.Input<string>;
  /**
   * The UUID of the volume type (storage template) that the clones get. Default: PowerVC's choice, usually that of the
   * volumes. **Changing it makes new clones.**
   */
  targetVolumeTypeId?: pulumi.Input<string>;
  /** Any values. **Changing one makes new clones**, a new instant, and then deletes the old ones. */
  triggers?: pulumi.Input<pulumi.Input<string | number | boolean>[]>;
  /**
   * The name of the connection to use, one to PowerVC (docs/connections.md). Default: `default`. **Changing it makes new
   * clones.**
   */
  connection?: pulumi.Input<string>;
}

/** One clone of a {@link VolumeClone}. */
export interface ClonedVolume {
  /** The volume that it is a copy of. Absent only where PowerVC has failed before it told. */
  sourceId?: string;
  id: string;
  name?: string;
  description?: string;
  sizeGiB: number;
  /** Cinder's word for its state: `available`, or `in-use` once a VM has it. */
  status: string;
  /** The name of its volume type. */
  volumeType?: string;
  /** ISO 8601, UTC. */
  createdAt?: string;
}

/**
 * Copies of one or more volumes at one consistent instant, by IBM PowerVC (`/clone-volumes`, 2.2.1 or newer). `pulumi up`
 * returns when all of them are available, `pulumi destroy` when all are gone.
 *
 * A clone that somebody deletes by hand cannot be made again alone, since the instant has passed: after a refresh, the
 * next `pulumi up` makes a new consistent set of all volumes and deletes what is left of the old one.
 *
 * Timeouts (`customTimeouts`): create 1 h, update 5 min, delete 30 min. A create that takes longer is recorded, and the
 * next `pulumi up` goes on waiting for it. See docs/volume-clone.md, which also says what happens when a run is killed.
 */
export class VolumeClone extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("VolumeClone");
  declare readonly volumes: pulumi.Output<string[]>;
  declare readonly displayName: pulumi.Output<string | undefined>;
  declare readonly description: pulumi.Output<string | undefined>;
  declare readonly targetVolumeTypeId: pulumi.Output<string | undefined>;
  /** From the id of each volume to the id of its clone. */
  declare readonly clones: pulumi.Output<Record<string, string>>;
  /** The clones, in the order of `volumes`. */
  declare readonly clonedVolumes: pulumi.Output<ClonedVolume[]>;
  /** The volumes whose clones are gone: somebody has deleted them. Absent if none. The next `pulumi up` makes a new set. */
  declare readonly missing: pulumi.Output<string[] | undefined>;
  /** What the server puts before names. */
  declare readonly namePrefix: pulumi.Output<string>;
  /** PowerVC's task that made them. Absent where a lost answer has hidden it. */
  declare readonly taskId: pulumi.Output<string | undefined>;
  /** PowerVC's flows and how they ended: `{ cloneFlow: "SUCCESS" }`. */
  declare readonly flow: pulumi.Output<Record<string, string> | undefined>;

  constructor(name: string, args: VolumeCloneArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("VolumeClone", "volumeClone", name, { ...noOutputs, ...args }, opts);
  }

  /**
   * Clones that a VolumeClone of another stack or program has made, by its id (`snapclone-…`): read anew by each
   * `pulumi up`, and never changed or deleted by it.
   */
  static get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    args: Pick<VolumeCloneArgs, "connection"> = {},
    opts: pulumi.CustomResourceOptions = {},
  ): VolumeClone {
    return new VolumeClone(name, args as VolumeCloneArgs, { ...opts, id });
  }

  /** Also true for an instance that another copy of this package has made. */
  static override isInstance(obj: unknown): obj is VolumeClone {
    return isOfType(obj, VolumeClone.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs = {
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
