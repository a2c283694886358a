// Every resource type of this package. All that lists them is derived from here: the providers that states name
// (provider/dynamic.ts), the golden test, the fault table, the kill tests, the benchmark and the pages in docs/.
// The names are in users' states: none is ever renamed or removed.

import type { AnyDefinition } from "./core/definition";

/**
 * By name, in the order of the documentation. Loaded on first use: each process pays for what its program uses. The paths
 * are literals of `require`, so that the plugin's bundler finds them.
 */
export const resources = {
  snapshot: () => (require("./openstack/snapshot/resource") as typeof import("./openstack/snapshot/resource")).snapshot,
  snapshotSeries: () =>
    (require("./openstack/snapshotSeries/resource") as typeof import("./openstack/snapshotSeries/resource"))
      .snapshotSeries,
  volumeClone: () =>
    (require("./powervc/volumeClone/resource") as typeof import("./powervc/volumeClone/resource")).volumeClone,
  linkedTargetSet: () =>
    (require("./vipr/linkedTargetSet/resource") as typeof import("./vipr/linkedTargetSet/resource")).linkedTargetSet,
  clonedVm: () => (require("./zstack/clonedVm/resource") as typeof import("./zstack/clonedVm/resource")).clonedVm,
  assistedSnapshot: () =>
    (require("./openstack/assistedSnapshot/resource") as typeof import("./openstack/assistedSnapshot/resource"))
      .assistedSnapshot,
  volumeFromSnapshot: () =>
    (require("./openstack/volumeFromSnapshot/resource") as typeof import("./openstack/volumeFromSnapshot/resource"))
      .volumeFromSnapshot,
} satisfies Record<string, () => AnyDefinition>;

export type ResourceName = keyof typeof resources;

export const resourceNames = Object.keys(resources) as ResourceName[];

/** The class in the sdk, and the last part of the Pulumi type: `Snapshot` for `snapshot`. */
export function typeOf<Name extends ResourceName>(name: Name): Capitalize<Name> {
  return (name.charAt(0).toUpperCase() + name.slice(1)) as Capitalize<Name>;
}

/** The resource of a Pulumi type of either shell. undefined for a type that this build does not know. */
export function resourceOfType(type: string): ResourceName | undefined {
  const last = type.split(":").at(-1);
  return resourceNames.find((name) => typeOf(name) === last);
}

/** The resource's page in docs/ and its folder in examples/: `volume-clone` for `volumeClone`. */
export function slugOf(name: ResourceName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** One of something for each resource, under the resource's name. */
export function forEachResource<Value>(make: (definition: () => AnyDefinition) => Value) {
  return Object.fromEntries(resourceNames.map((name) => [name, make(resources[name])])) as Record<ResourceName, Value>;
}
