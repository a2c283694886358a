// How the sdk's lookups reach the provider's code. They run in the program's process, since Pulumi's dynamic providers
// answer no invokes (docs/wire/pulumi-engine.md#other-rpcs).

import * as pulumi from "@pulumi/pulumi";

export function lookup<K extends keyof Lookups>(name: K, args: Parameters<Lookups[K]>[0]): ReturnType<Lookups[K]> {
  // Loaded on first use: a program without lookups does not pay for the wire.
  const { lookups } = require("../provider/lookups") as { lookups(stackConfig: string | undefined): Lookups };
  const call = lookups(new pulumi.Config("snapclone").get("connections"))[name] as (
    args: Parameters<Lookups[K]>[0],
  ) => ReturnType<Lookups[K]>;
  return call(args);
}

export function outputOf<Args, Result>(
  args: pulumi.Input<Args>,
  ask: (args: pulumi.Unwrap<Args>) => Promise<Result>,
): pulumi.Output<Result> {
  return pulumi.output(args).apply((known) => ask(known)) as pulumi.Output<Result>;
}

type Lookups = import("../provider/lookups").Lookups;
