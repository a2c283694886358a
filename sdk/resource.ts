// What every resource class of this package shares: the constant provider text and the two hidden inputs.

import * as pulumi from "@pulumi/pulumi";

/**
 * The base of this package's resources: a dynamic resource whose provider is code of the installed package, loaded by
 * name, instead of code frozen into the state.
 */
export abstract class SnapcloneResource extends pulumi.CustomResource {
  /** @internal */
  protected constructor(
    type: string,
    provider: string,
    name: string,
    props: Record<string, unknown>,
    opts: pulumi.CustomResourceOptions,
  ) {
    const token = typeToken(type);
    const hidden = {
      // With `id` the resource is only read (`get`): it has no owner among the backend's objects.
      __owner: opts.id === undefined ? pulumi.createUrn(name, token, opts.parent) : undefined,
      __timeouts: opts.customTimeouts,
      // In every user's state, for ever: this text never changes (test/unit/sdk/golden.test.ts).
      __provider: `exports.handler=()=>require("pulumi-snapclone/dynamic/v1").${provider}`,
    };
    super(token, name, { ...props, ...hidden }, opts);
  }
}

export function isOfType(obj: unknown, type: string): boolean {
  return pulumi.CustomResource.isInstance(obj) && Reflect.get(obj, "__pulumiType") === typeToken(type);
}

/** Part of every URN: never renamed. */
function typeToken(type: string): string {
  return `pulumi-nodejs:dynamic/snapclone:${type}`;
}
