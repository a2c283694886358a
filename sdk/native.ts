// pulumi-snapclone/native: the same classes for the native provider, whose plugin the engine starts (docs/native.md). A stack
// moves from the dynamic classes to these, and back, when the program's import line changes.

import * as pulumi from "@pulumi/pulumi";
import type { GetSnapshotArgs, ListSnapshotsArgs, SnapshotInfo } from "../provider/lookups";
import { version } from "../provider/version";
import * as dynamic from "./index";
import { isOfType, NATIVE, nativeToken } from "./resource";

export type {
  AssistedSnapshotArgs,
  ClonedVmArgs,
  ClonedVmInstance,
  ClonedVolume,
  GetSnapshotArgs,
  LinkedTarget,
  LinkedTargetSetArgs,
  ListSnapshotsArgs,
  ManagedBy,
  OverlayOwner,
  PromotedVolume,
  SeriesSnapshot,
  SnapshotArgs,
  SnapshotInfo,
  SnapshotSeriesArgs,
  UnlinkedTarget,
  VolumeCloneArgs,
  VolumeFromSnapshotArgs,
  VolumeFromSnapshotAttachment,
} from "./index";

/** The {@link dynamic.Snapshot} of the native provider. */
export class Snapshot extends native(dynamic.Snapshot) {}
/** The {@link dynamic.SnapshotSeries} of the native provider. */
export class SnapshotSeries extends native(dynamic.SnapshotSeries) {}
/** The {@link dynamic.VolumeClone} of the native provider. */
export class VolumeClone extends native(dynamic.VolumeClone) {}
/** The {@link dynamic.LinkedTargetSet} of the native provider. */
export class LinkedTargetSet extends native(dynamic.LinkedTargetSet) {}
/** The {@link dynamic.ClonedVm} of the native provider. */
export class ClonedVm extends native(dynamic.ClonedVm) {}
/** The {@link dynamic.AssistedSnapshot} of the native provider. */
export class AssistedSnapshot extends native(dynamic.AssistedSnapshot) {}
/** The {@link dynamic.VolumeFromSnapshot} of the native provider. */
export class VolumeFromSnapshot extends native(dynamic.VolumeFromSnapshot) {}

/** The provider's configuration: the names are those of the stack config `snapclone:…`. */
export interface ProviderArgs {
  /** The connections by name, with what docs/connections.md says of each. */
  connections?: pulumi.Input<Record<string, pulumi.Input<Record<string, unknown>>>>;
  /** How old an object of an interrupted run may be to be adopted, such as `72h`. `0` adopts nothing. Default: 24 hours. */
  adoptWithin?: pulumi.Input<string>;
  /** A name for the state store, where its address does not identify it (docs/ownership.md). */
  origin?: pulumi.Input<string>;
}

/** An explicit provider, for the resource option `provider`. Without one, the stack config is the configuration. */
export class Provider extends pulumi.ProviderResource {
  /** @internal */
  static readonly __pulumiType = "snapclone";

  constructor(name: string, args: ProviderArgs = {}, opts: pulumi.ResourceOptions = {}) {
    const { connections, ...others } = args;
    // Pulumi's provider resources have texts only. A connection has a password.
    const text = connections === undefined ? undefined : pulumi.secret(pulumi.jsonStringify(connections));
    super("snapclone", name, { ...others, connections: text }, pulumi.mergeOptions({ version }, opts));
  }

  static override isInstance(obj: unknown): obj is Provider {
    return isOfType(obj, "pulumi:providers:snapclone");
  }
}

/** Reads one snapshot while the program runs. This happens in previews, too, which then need the connection. */
export function getSnapshot(args: GetSnapshotArgs, opts: pulumi.InvokeOptions = {}): Promise<SnapshotInfo> {
  return pulumi.runtime.invoke("snapclone:index:getSnapshot", args, { version, ...opts });
}

/** {@link getSnapshot} for arguments that are outputs of other resources. */
export function getSnapshotOutput(
  args: pulumi.Input<{ [K in keyof GetSnapshotArgs]: pulumi.Input<GetSnapshotArgs[K]> }>,
  opts: pulumi.InvokeOutputOptions = {},
): pulumi.Output<SnapshotInfo> {
  return pulumi.runtime.invokeOutput("snapclone:index:getSnapshot", args, { version, ...opts });
}

/**
 * Reads all snapshots that meet the conditions, on all pages, while the program runs. This happens in previews, too.
 */
export async function listSnapshots(
  args: ListSnapshotsArgs = {},
  opts: pulumi.InvokeOptions = {},
): Promise<SnapshotInfo[]> {
  return (await pulumi.runtime.invoke("snapclone:index:listSnapshots", args, { version, ...opts })).snapshots;
}

/** {@link listSnapshots} for arguments that are outputs of other resources. */
export function listSnapshotsOutput(
  args: pulumi.Input<{ [K in keyof ListSnapshotsArgs]: pulumi.Input<ListSnapshotsArgs[K]> }> = {},
  opts: pulumi.InvokeOutputOptions = {},
): pulumi.Output<SnapshotInfo[]> {
  const found = pulumi.runtime.invokeOutput<{ snapshots: SnapshotInfo[] }>("snapclone:index:listSnapshots", args, {
    version,
    ...opts,
  });
  return pulumi.output(found).apply(({ snapshots }) => snapshots);
}

interface ResourceClass {
  readonly __pulumiType: string;
  // biome-ignore lint/suspicious/noExplicitAny: TypeScript demands this form of the class that a mixin extends (TS2545).
  new (...args: any[]): pulumi.CustomResource;
}

/** The same class for the native provider. Its arguments, outputs and comments are those of the dynamic one. */
function native<Class extends ResourceClass>(dynamicClass: Class): Class {
  const token = nativeToken(dynamicClass.__pulumiType.replace(/^.*:/, ""));
  return class extends dynamicClass {
    static readonly [NATIVE] = true;
    static override readonly __pulumiType: string = token;

    static get(name: string, id: pulumi.Input<pulumi.ID>, args = {}, opts: pulumi.CustomResourceOptions = {}) {
      return new this(name, args, { ...opts, id });
    }

    static isInstance(obj: unknown): boolean {
      return isOfType(obj, token);
    }
  };
}
