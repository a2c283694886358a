// What Pulumi's dynamic provider process loads, as `pulumi-snapclone/dynamic/v1`: one ResourceProvider for each resource
// type. This path and the names exported here are in the state of every resource ever made: they stay for ever.

import type * as pulumi from "@pulumi/pulumi";
import { check } from "./core/check";
import type { AnyDefinition } from "./core/definition";
import { diff } from "./core/diff";
import { SnapcloneError } from "./core/errors";
import * as lifecycle from "./core/lifecycle";
import { Run } from "./core/run";
import { engineLog, engineRun, superviseRun } from "./engine";

const run = new Run({ log: engineLog(), ...engineRun() });
superviseRun(run);

export const snapshot = front(() => load<typeof import("./openstack/snapshot")>("./openstack/snapshot").snapshot);
export const assistedSnapshot = front(
  () => load<typeof import("./openstack/assistedSnapshot")>("./openstack/assistedSnapshot").assistedSnapshot,
);
export const linkedTargetSet = front(
  () => load<typeof import("./vipr/linkedTargetSet")>("./vipr/linkedTargetSet").linkedTargetSet,
);
export const volumeClone = front(
  () => load<typeof import("./powervc/volumeClone")>("./powervc/volumeClone").volumeClone,
);

export const clonedVm = front(() => load<typeof import("./zstack/clonedVm")>("./zstack/clonedVm").clonedVm);

/** Loaded on first use, one resource type by one: each process pays for what its program uses. */
function load<Module>(path: string): Module {
  return require(path);
}

function front(definitionOf: () => AnyDefinition): pulumi.dynamic.ResourceProvider {
  return {
    // Only the first caller awaits this, the others go on at once (reference pulumi-dynamic.md §0.5): so it is done
    // before it returns, and connections are opened when they are needed.
    configure({ config }) {
      run.configure(config.get("snapclone:connections"));
      return Promise.resolve();
    },
    check: (olds, news) =>
      settled(async () => {
        const checked = check(definitionOf(), olds ?? {}, news);
        // The engine gives olds to what exists: only what is to be made is rehearsed.
        const isNew = Object.keys(olds ?? {}).length === 0;
        if (!isNew || checked.failures.length > 0) return checked;
        return { ...checked, failures: await lifecycle.rehearse(definitionOf(), run, checked.inputs) };
      }),
    diff: (id, olds, news) =>
      settled(() => {
        run.sawLiving(definitionOf(), id, olds);
        return diff(definitionOf(), olds, news);
      }),
    create: (inputs) =>
      settled(() => {
        return lifecycle.create(definitionOf(), run, inputs);
      }),
    read: (id, props) =>
      settled(() => {
        return lifecycle.read(definitionOf(), run, id, props ?? {});
      }),
    update: (id, olds, news) =>
      settled(() => {
        return lifecycle.update(definitionOf(), run, id, olds, news);
      }),
    delete: (id, props) =>
      settled(() => {
        return lifecycle.remove(definitionOf(), run, id, props);
      }),
  };
}

/** Pulumi hangs on `throw undefined` and takes a numeric `code` for a gRPC status (pulumi-dynamic.md §3): only Errors leave. */
async function settled<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SnapcloneError) throw bare(error);
    throw error instanceof Error ? error : new Error(String(error));
  }
}

function bare(error: SnapcloneError): Error {
  const plain = new Error(error.message);
  plain.stack = error.message;
  return plain;
}
