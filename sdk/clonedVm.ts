// ClonedVm: a set of clones of a ZStack VM.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, type NoOutputs, SnapcloneResource, typeToken } from "./resource";

/**
 * The inputs of a {@link ClonedVm}.
 *
 * The limits are those of ZStack's `APICloneVmInstanceMsg` and its REST layer, as far as they are open source
 * (docs/wire/zstack.md#s3-1). A version in brackets is the first ZStack that knows the input: `pulumi up` finds out the
 * server's version when it begins, and refuses the input on an older server.
 */
export interface ClonedVmArgs {
  /**
   * The uuid of the VM to clone: 32 hex digits, with dashes or without. The VM must be Running, Stopped or Paused, and
   * keeps running. ZStack leaves a snapshot on its root volume, which nothing removes.
   *
   * @onChange Replaces the set.
   */
  vmInstanceUuid: pulumi.Input<string>;
  /**
   * The clones' names, one VM for each: at least one, all different whatever the case, each at most 128 characters, without
   * `!=`, `>=`, `<=`, `~=` and `?=`, which ZStack's queries take for operators.
   *
   * @remarks
   * All names of a new set are cloned in one call. A clone that is added later is a copy of the source as it then is. A VM is
   * known by its uuid: if somebody renames it on the server, it gets its name back.
   *
   * @onChange In place: an added name clones one more VM, a removed name destroys that VM and no other.
   * @example ["web-1", "web-2"]
   */
  names: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * The state that clones begin in: `InstantStart` starts them, `CreateStopped` (3.9.0) leaves them stopped.
   *
   * @default `InstantStart`
   * @onChange No effect on VMs that are there.
   */
  strategy?: pulumi.Input<"InstantStart" | "CreateStopped">;
  /**
   * Whether the data volumes are cloned too (2.5.0).
   *
   * @default false
   * @onChange Replaces the set.
   */
  full?: pulumi.Input<boolean>;
  /**
   * The description of each clone, at most 2048 characters.
   *
   * @default the text that ZStack writes
   * @onChange In place.
   */
  description?: pulumi.Input<string>;
  /**
   * The state that each clone is kept in: a VM in another state is started, resumed or shut down gracefully, and `pulumi up`
   * waits for it.
   *
   * @default the state is not managed
   * @onChange In place.
   */
  powerState?: pulumi.Input<"Running" | "Stopped">;
  /**
   * User tags of each clone, each at most 1024 characters. Only these tags are managed: tags that others have set stay. Tags
   * that begin with `snapclone::` belong to the provider and are refused.
   *
   * @onChange In place.
   * @example ["team::shop"]
   */
  userTags?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * The uuid of the affinity group that the clones join.
   *
   * @onChange Replaces the set.
   */
  affinityGroupUuid?: pulumi.Input<string>;
  /**
   * How space is provisioned for root volumes and, with `full`, for data volumes (3.1.0).
   *
   * @default the storage's setting
   * @onChange Replaces the set.
   */
  volumeProvisioningStrategy?: pulumi.Input<"ThinProvisioning" | "ThickProvisioning">;
  /**
   * Other system tags for the clones, such as `resourceConfig::…`. ZStack refuses a tag that fits none of its patterns.
   *
   * @onChange Replaces the set.
   */
  systemTags?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * The uuid of the cluster to put the clones in (4.6.11). It excludes `hostUuid`.
   *
   * @default ZStack's choice
   * @onChange Replaces the set.
   */
  clusterUuid?: pulumi.Input<string>;
  /**
   * The uuid of the host to put the clones on (4.6.11). They may move later. It excludes `clusterUuid`.
   *
   * @default ZStack's choice
   * @onChange Replaces the set.
   */
  hostUuid?: pulumi.Input<string>;
  /**
   * The uuid of the primary storage for root volumes (3.1.0).
   *
   * @default ZStack's choice
   * @onChange Replaces the set.
   */
  primaryStorageUuidForRootVolume?: pulumi.Input<string>;
  /**
   * The uuid of the primary storage for cloned data volumes (3.1.0). It needs `full`.
   *
   * @default ZStack's choice
   * @onChange Replaces the set.
   */
  primaryStorageUuidForDataVolume?: pulumi.Input<string>;
  /**
   * What happens to a VM that leaves the set: `destroy` puts it into ZStack's recycle bin (for seven days, unless configured
   * otherwise), `expunge` removes it for good.
   *
   * @default `destroy`
   * @onChange In place, with effect on the VMs that are there.
   */
  deletion?: pulumi.Input<"destroy" | "expunge">;
  /**
   * Whether data volumes that were cloned with a VM stay when the VM goes. If it is false, they are deleted as `deletion`
   * says. Volumes that were attached later always stay. A volume that stays is detached first, since ZStack may be set to
   * delete data volumes with their VM.
   *
   * @default false
   * @onChange In place.
   */
  keepDataVolumes?: pulumi.Input<boolean>;
  /**
   * The name of the connection to use, one of the kind `zstack` (docs/connections.md#zstack).
   *
   * @default `default`
   * @onChange Replaces the set, unless the settings of both names reach the same backend: then in place.
   */
  connection?: pulumi.Input<string>;
}

/** One clone of a {@link ClonedVm} as it is on the server. */
export interface ClonedVmInstance {
  /** The VM's uuid. */
  uuid: string;
  /** The VM's name in the program. `names` has the name on the server. */
  name: string;
  /** ZStack's state: `Running`, `Stopped`, … `Unknown` means that the VM's host is lost. */
  state: string;
  /** The host that the VM runs on. Absent while it is stopped. */
  hostUuid?: string;
  /** The cluster that the VM is in. */
  clusterUuid?: string;
  /** The zone that the VM is in. */
  zoneUuid?: string;
  /** The addresses of all NICs. */
  ips: string[];
  /** The network interfaces. */
  nics: { uuid: string; ip?: string; mac?: string; l3NetworkUuid?: string }[];
  /** The uuid of the root volume. */
  rootVolumeUuid?: string;
  /** All volumes. `size` is in bytes. A volume with `cloned` was made with the VM and is removed with it. */
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
 * A set of clones of a ZStack VM (`cloneVmInstance`). `pulumi up` returns when all clones are there. If some could not be
 * cloned, the error says which, and the next `pulumi up` clones them. `pulumi destroy` returns when all are gone. See
 * docs/cloned-vm.md, which also says what happens when a run is killed.
 *
 * Errors have ZStack's code, the code of its cause, and ZStack's own words, which may be Chinese.
 *
 * Timeouts (`customTimeouts`): create 3 hours, update 3 hours, delete 30 minutes. ZStack gets the same time, and at
 * least one hour. If a create takes longer, the state records it, and the next `pulumi up` resumes the wait.
 *
 * @example
 * ```ts
 * const web = new ClonedVm("web", { vmInstanceUuid, names: ["web-1", "web-2"], powerState: "Running" });
 * export const addresses = web.vms.apply((vms) => vms.flatMap(({ ips }) => ips));
 * ```
 */
export class ClonedVm extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("ClonedVm");
  declare readonly vmInstanceUuid: pulumi.Output<string>;
  /** The VMs' names on the server, in the order of the program's `names`. */
  declare readonly names: pulumi.Output<string[]>;
  declare readonly description: pulumi.Output<string | undefined>;
  /** After a refresh: the state of a clone that is in another state than the program wants. */
  declare readonly powerState: pulumi.Output<string | undefined>;
  declare readonly userTags: pulumi.Output<string[] | undefined>;
  /** The clones, in the order of `names`. */
  declare readonly vms: pulumi.Output<ClonedVmInstance[]>;

  constructor(name: string, args: ClonedVmArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("ClonedVm", "clonedVm", name, { ...noOutputs, ...args }, opts);
  }

  /** Reads the set of another stack by its id. Each `pulumi up` reads it again, and never changes or deletes it. */
  static get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    args: Pick<ClonedVmArgs, "connection"> = {},
    opts: pulumi.CustomResourceOptions = {},
  ): ClonedVm {
    return new ClonedVm(name, args as ClonedVmArgs, { ...opts, id });
  }

  /** True for an instance of this class, also of another copy of this package. */
  static override isInstance(obj: unknown): obj is ClonedVm {
    return isOfType(obj, ClonedVm.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs: NoOutputs<ClonedVm> = {
  vmInstanceUuid: undefined,
  names: undefined,
  description: undefined,
  powerState: undefined,
  userTags: undefined,
  vms: undefined,
};
