// Uses every export that has to do with ClonedVm, as a user with strict settings would. Only compiled, never run
// (types.test.ts also holds that nothing is missing here).

import * as pulumi from "@pulumi/pulumi";
import { ClonedVm, type ClonedVmArgs, type ClonedVmInstance } from "pulumi-snapclone";
import { clonedVm as provider } from "pulumi-snapclone/dynamic/v1";

const config = new pulumi.Config();
const clones: ClonedVmArgs = { vmInstanceUuid: config.require("vm"), names: ["a", pulumi.getStack()], full: true };
const cloned = new ClonedVm("web", { ...clones, powerState: "Running", deletion: "expunge", userTags: ["a"] });
// @ts-expect-error: a strategy is one of two
new ClonedVm("wrong", { ...clones, strategy: "JustCreate" });
export const addresses: pulumi.Output<string[]> = ClonedVm.get("read", cloned.id).vms.apply((vms: ClonedVmInstance[]) =>
  vms.flatMap(({ ips }) => ips),
);
export const isClone: boolean = ClonedVm.isInstance(cloned);
export const loaded: pulumi.dynamic.ResourceProvider = provider;
