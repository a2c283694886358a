// How the sdk's lookups reach the provider's code. They run in the program's process, since Pulumi's dynamic providers
// answer no invokes (docs/wire/pulumi-engine.md#other-rpcs).

import * as pulumi from "@pulumi/pulumi";
import { programError } from "./programError";

type Lookups = import("../provider/lookups").Lookups;

/** Options of the `…Output` lookups, with the meaning that they have in Pulumi's own invokes. */
export interface LookupOutputOptions {
  /** Resources that must exist before the lookup is made. In a preview, the result is unknown while they don't. */
  dependsOn?: pulumi.Input<pulumi.Input<pulumi.Resource>[]> | pulumi.Input<pulumi.Resource>;
}

export async function lookup<K extends keyof Lookups>(
  name: K,
  args: Parameters<Lookups[K]>[0],
): Promise<Awaited<ReturnType<Lookups[K]>>> {
  if (isMocked()) return pulumi.runtime.invoke(`snapclone:index:${name}`, args) as never;
  // Loaded on first use: a program without lookups does not pay for the wire.
  const { lookups } = require("../provider/lookups") as { lookups(stackConfig: string | undefined): Lookups };
  const call = lookups(new pulumi.Config("snapclone").get("connections"))[name] as (
    args: Parameters<Lookups[K]>[0],
  ) => ReturnType<Lookups[K]>;
  try {
    return await call(args);
  } catch (error) {
    // For any other error, Pulumi prints the stack and every property.
    throw programError(error instanceof Error ? error.message : String(error));
  }
}

/**
 * Makes a lookup once its arguments are known, and the resources that they come from exist. In a preview the result is
 * unknown until then: an answer now would be about the resource that is to be replaced.
 */
export function outputOf<Args, Result>(
  args: pulumi.Input<Args>,
  ask: (args: pulumi.Unwrap<Args>) => Promise<Result>,
  { dependsOn = [] }: LookupOutputOptions = {},
): pulumi.Output<Result> {
  const known = pulumi.output(args) as pulumi.Output<pulumi.Unwrap<Args>>;
  const explicit = pulumi.output(dependsOn) as unknown as pulumi.Output<pulumi.Resource | pulumi.Resource[]>;
  const ids = explicit.apply(async (resources) => {
    const sources = [...[resources].flat(), ...(await resourcesOf(known)), ...(await resourcesOf(explicit))];
    return pulumi.all((await Promise.all(sources.map(idsOf))).flat());
  });
  return pulumi.all([known, ids]).apply(([given]) => ask(given as pulumi.Unwrap<Args>)) as pulumi.Output<Result>;
}

/** Under `pulumi.runtime.setMocks` the program's mocks answer, as they answer Pulumi's own invokes. */
function isMocked(): boolean {
  return Reflect.has(Object(pulumi.runtime.getMonitor()), "mocks");
}

/** The resources that an output depends on: `allResources` of Pulumi's implementation, which its types leave out. */
async function resourcesOf(output: pulumi.Output<unknown>): Promise<pulumi.Resource[]> {
  const { allResources } = output as unknown as { allResources?(): Promise<Set<pulumi.Resource>> };
  return allResources === undefined ? [] : [...(await allResources.call(output))];
}

/** A component has the ids of its children, once it has been constructed. */
async function idsOf(resource: pulumi.Resource): Promise<pulumi.Output<string>[]> {
  if (pulumi.CustomResource.isInstance(resource)) return resource.id === undefined ? [] : [resource.id];
  const { __data, __childResources = [] } = resource as {
    __data?: unknown;
    __childResources?: Iterable<pulumi.Resource>;
  };
  await __data;
  return (await Promise.all([...__childResources].map(idsOf))).flat();
}
