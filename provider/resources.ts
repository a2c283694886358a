// Every resource type of this package. All that lists them is derived from here: the providers that states name
// (provider/dynamic.ts), the golden test, the fault table, the kill tests, the benchmark and the pages in docs/.
// The names are in users' states: none is ever renamed or removed.

import type { AnyDefinition } from "./core/definition";

/** By name, in the order of the documentation. Loaded on first use: each process pays for what its program uses. */
export const resources = {
  snapshot: () => load<typeof import("./openstack/snapshot/resource")>("./openstack/snapshot/resource").snapshot,
  snapshotSeries: () =>
    load<typeof import("./openstack/snapshotSeries/resource")>("./openstack/snapshotSeries/resource").snapshotSeries,
  volumeClone: () =>
    load<typeof import("./powervc/volumeClone/resource")>("./powervc/volumeClone/resource").volumeClone,
  linkedTargetSet: () =>
    load<typeof import("./vipr/linkedTargetSet/resource")>("./vipr/linkedTargetSet/resource").linkedTargetSet,
  clonedVm: () => load<typeof import("./zstack/clonedVm/resource")>("./zstack/clonedVm/resource").clonedVm,
  assistedSnapshot: () =>
    load<typeof import("./openstack/assistedSnapshot/resource")>("./openstack/assistedSnapshot/resource")
      .assistedSnapshot,
  volumeFromSnapshot: () =>
    load<typeof import("./openstack/volumeFromSnapshot/resource")>("./openstack/volumeFromSnapshot/resource")
      .volumeFromSnapshot,
} satisfies Record<string, () => AnyDefinition>;

export type ResourceName = keyof typeof resources;

export const resourceNames = Object.keys(resources) as ResourceName[];

/** The class in the sdk, and the last part of the Pulumi type: `Snapshot` for `snapshot`. */
export function typeOf<Name extends ResourceName>(name: Name): Capitalize<Name> {
  return (name.charAt(0).toUpperCase() + name.slice(1)) as Capitalize<Name>;
}

/** The resource's page in docs/ and its folder in examples/: `volume-clone` for `volumeClone`. */
export function slugOf(name: ResourceName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** One of something for each resource, under the resource's name. */
export function forEachResource<Value>(make: (definition: () => AnyDefinition) => Value) {
  return Object.fromEntries(resourceNames.map((name) => [name, make(resources[name])])) as Record<ResourceName, Value>;
}

function load<Module>(path: string): Module {
  return require(path);
}
