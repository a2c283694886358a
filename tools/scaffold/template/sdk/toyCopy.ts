// ToyCopy.

import type * as pulumi from "@pulumi/pulumi";
import { isOfType, type NoOutputs, SnapcloneResource, typeToken } from "./resource";

/** The inputs of a {@link ToyCopy}. */
export interface ToyCopyArgs {
  /**
   * The id of the volume to copy, at most 64 characters.
   *
   * @onChange Replaces the copy.
   * @example "volume-1"
   */
  source: pulumi.Input<string>;
  /**
   * The copy's name, at most 255 characters without line breaks. Blanks at its beginning and end are removed.
   *
   * @default the resource's name, a dash and 7 hex digits
   * @onChange In place.
   * @example "nightly"
   */
  name?: pulumi.Input<string>;
  /**
   * Any values. Change one to copy the volume as it is then.
   *
   * @onChange Replaces the copy.
   * @example ["release 1.1"]
   */
  triggers?: pulumi.Input<pulumi.Input<string | number | boolean>[]>;
  /**
   * The name of the connection to use, one of the kind `toy` (docs/connections.md).
   *
   * @default `default`
   * @onChange Replaces the copy.
   */
  connection?: pulumi.Input<string>;
}

/**
 * A point-in-time copy of a Toy volume. `pulumi up` returns when the copy is `available`, `pulumi destroy` when it is gone.
 * See docs/toy-copy.md.
 *
 * Timeouts (`customTimeouts`): create 30 minutes, update 5 minutes, delete 30 minutes.
 *
 * @example
 * ```ts
 * const nightly = new ToyCopy("nightly", { source: "volume-1" });
 * ```
 */
export class ToyCopy extends SnapcloneResource {
  /** @internal */
  static readonly __pulumiType = typeToken("ToyCopy");
  declare readonly source: pulumi.Output<string>;
  declare readonly name: pulumi.Output<string>;
  /** Toy's status: `available` whenever `pulumi up` has succeeded. */
  declare readonly status: pulumi.Output<string>;
  /** When the copy was made, by Toy's clock: ISO 8601, UTC. */
  declare readonly createdAt: pulumi.Output<string>;

  constructor(name: string, args: ToyCopyArgs, opts: pulumi.CustomResourceOptions = {}) {
    super("ToyCopy", "toyCopy", name, { ...noOutputs, ...args }, opts);
  }

  /** True for an instance of this class, also of another copy of this package. */
  static override isInstance(obj: unknown): obj is ToyCopy {
    return isOfType(obj, ToyCopy.__pulumiType);
  }
}

/** Pulumi gives a resource only the output properties that it was registered with. */
const noOutputs: NoOutputs<ToyCopy> = {
  source: undefined,
  name: undefined,
  status: undefined,
  createdAt: undefined,
};
