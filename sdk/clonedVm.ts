// ClonedVm: a set of clones of a ZStack VM.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, SnapcloneResource, typeToken } from "./resource";

/**
 * What a {@link ClonedVm} is made from. Source of all limits: ZStack's `APICloneVmInstanceMsg` and its REST layer, as far
 * as they are open source.
 */
export interface ClonedVmArgs {
  /**
   * The uuid of the VM to clone: 32 hex digits, with dashes or without. It must be Running, Stopped or Paused, and may
   * go on running. ZStack leaves a snapshot on its root volume, and nothing removes that. **Changing it makes a new set.**
   */
  vmInstanceUuid: pulumi.Input<string>;
  /**
   * The clones' names, one VM for each: at least one, all different (whatever the case), up to 128 characters, without
   * `!=`, `>=`, `<=`, `~=` and `?=`, which ZStack's queries take for operators. All are cloned in one call. A name added
   * later clones one more VM from the source as it then is, a name removed destroys that VM and no other, once everything
   * else stands. A VM is its uuid: one that is renamed on the server gets its name back. Changed in place.
   */
  names: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * How clones begin: `InstantStart` starts them, `CreateStopped` (ZStack 3.9.0) leaves them stopped. Default:
   * `InstantStart`. Only looked at when a VM is cloned; has no effect on VMs that are there.
   */
  strategy?: pulumi.Input<"InstantStart" | "CreateStopped">;
  /** Whether the data volumes are cloned, too (ZStack 2.5.0). Default: false. **Changing it makes a new set.** */
  full?: pulumi.Input<boolean>;
  /** Of each clone, up to 2048 characters. Default: what ZStack writes there. Changed in place. */
  description?: pulumi.Input<string>;
  /**
   * `Running` or `Stopped`, kept so: a VM in another state is started, resumed or shut down gracefully, and `pulumi up`
   * waits for it. Default: left as it is. Changed in place.
   */
  powerState?: pulumi.Input<"Running" | "Stopped">;
  /**
   * User tags of each clone, up to 1024 characters each. Only these are managed: tags that others have set stay. Tags that
   * begin with `snapclone::` are the provider's own. Changed in place.
   */
  userTags?: pulumi.Input<pulumi.Input<string>[]>;
  /** The uuid of the affinity group that the clones join. Default: none. **Changing it makes a new set.** */
  affinityGroupUuid?: pulumi.Input<string>;
  /**
   * `ThinProvisioning` or `ThickProvisioning`, for root volumes and, with `full`, data volumes (ZStack 3.1.0). Default:
   * the storage's. **Changing it makes a new set.**
   */
  volumeProvisioningStrategy?: pulumi.Input<"ThinProvisioning" | "ThickProvisioning">;
  /**
   * Other system tags for the clones, such as `resourceConfig::…`. ZStack refuses what fits none of its patterns.
   * Default: none. **Changing them makes a new set.**
   */
  systemTags?: pulumi.Input<pulumi.Input<string>[]>;
  /** The cluster to put the clones in (ZStack 4.6.11). Excludes `hostUuid`. **Changing it makes a new set.** */
  clusterUuid?: pulumi.Input<string>;
  /** The host to put the clones on (ZStack 4.6.11). They may move later. **Changing it makes a new set.** */
  hostUuid?: pulumi.Input<string>;
  /** The primary storage for root volumes (ZStack 3.1.0). **Changing it makes a new set.** */
  primaryStorageUuidForRootVolume?: pulumi.Input<string>;
  /** The primary storage for cloned data volumes (ZStack 3.1.0). Needs `full`. **Changing it makes a new set.** */
  primaryStorageUuidForDataVolume?: pulumi.Input<string>;
  /**
   * What becomes of a VM that leaves the set: `destroy` puts it into ZStack's recycle bin (seven days, unless configured
   * otherwise), `expunge` removes it for good. Default: `destroy`. Changed in place, and then true for VMs made before.
   */
  deletion?: pulumi.Input<"destroy" | "expunge">;
  /**
   * Whether data volumes that were cloned along stay when their VM goes. Volumes that were attached later always stay:
   * what stays is detached first, since ZStack may be set to delete data volumes with their VM. Default: false, they go the
   * way of `deletion`. Changed in place.
   */
  keepDataVolumes?: pulumi.Input<boolean>;
  /** The name of the connection to use (docs/connections.md). Default: `default`. **Changing it makes a new set.** */
  connection?: pulumi.Input<string>;
}

/** One clone as it is. */
export interface ClonedVmInstance {
  uuid: string;
  /** The name in the program; `names` has the one on the server. */
  name: string;
  /** ZStack's word for it: `Running`, `Stopped`, … `Unknown` means that its host is lost. */
  state: string;
  /** Absent while it is stopped. */
  hostUuid?: string;
  clusterUuid?: string;
  zoneUuid?: string;
  /** Of all its NICs. */
  ips: string[];
  nics: { uuid: string; ip?: string; mac?: string; l3NetworkUuid?: string }[];
  rootVolumeUuid?: string;
  /** `size` in bytes. `cloned`: made with the VM, and removed with it. */
  volumes: {
    uuid: string;
    name?: string;
    type?: string;
    size?: number;
    primaryStorageUuid?: string;
    cloned: boolean;
  }[];
}

/**
 * A set of clones of a ZStack VM (`cloneVmInstance`). `pulumi up` returns when all of them are there; what could not be
 * cloned is said, and cloned by the next `up`. `pulumi destroy` returns when all are gone.
 *
 * Errors name ZStack's code, its cause's code and its own words, which may be Chinese.
 *
 * Timeouts (`customTimeouts`): create 3 h, update 3 h, delete 30 min; ZStack is given the same time, and an hour at least. A
 * create that takes longer is recorded, and the next `pulumi up` goes on waiting for it. See docs/cloned-vm.md, which also
 * says what happens when a run is killed.
 */
export class ClonedVm extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("ClonedVm");
  declare readonly vmInstanceUuid: pulumi.Output<string>;
  /** As the VMs are called on the server, in the order of the program. */
  declare readonly names: pulumi.Output<string[]>;
  declare readonly description: pulumi.Output<string | undefined>;
  /** After a refresh: the state of a clone that is in another one than the program wants. */
  declare readonly powerState: pulumi.Output<string | undefined>;
  declare readonly userTags: pulumi.Output<string[] | undefined>;
  /** In the order of `names`. */
  declare readonly vms: pulumi.Output<ClonedVmInstance[]>;

  constructor(name: string, args: ClonedVmArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("ClonedVm", "clonedVm", name, { ...noOutputs, ...args }, opts);
  }

  /** A set that another stack has made, by its id: read anew by each `pulumi up` and never changed or deleted by it. */
  static get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    args: Pick<ClonedVmArgs, "connection"> = {},
    opts: pulumi.CustomResourceOptions = {},
  ): ClonedVm {
    return new ClonedVm(name, args as ClonedVmArgs, { ...opts, id });
  }

  /** Also true for an instance that another copy of this package has made. */
  static override isInstance(obj: unknown): obj is ClonedVm {
    return isOfType(obj, ClonedVm.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs = {
  vmInstanceUuid: undefined,
  names: undefined,
  description: undefined,
  powerState: undefined,
  userTags: undefined,
  vms: undefined,
};
