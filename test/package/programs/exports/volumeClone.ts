// Uses every export that has to do with VolumeClone, as a user with strict settings would. Only compiled, never run
// (types.test.ts also holds that nothing is missing here).

import * as pulumi from "@pulumi/pulumi";
import { type ClonedVolume, VolumeClone, type VolumeCloneArgs } from "pulumi-snapclone";
import { volumeClone as provider } from "pulumi-snapclone/dynamic/v1";

const config = new pulumi.Config();
const cloneArgs: VolumeCloneArgs = {
  volumes: [config.require("first"), config.require("volume")],
  displayName: pulumi.interpolate`before-${pulumi.getStack()}`,
  description: "the day before",
  targetVolumeTypeId: config.require("type"),
  triggers: [1, "two", true],
  connection: "powervc",
};
const instant = new VolumeClone("before", cloneArgs, { customTimeouts: { create: "2h" } });
const theirs = VolumeClone.get("theirs", instant.id, { connection: "powervc" });

// @ts-expect-error: the volumes are required
new VolumeClone("nothing", { displayName: "x" });

export const cloneOf: pulumi.Output<string | undefined> = instant.clones.apply((map) => map[config.require("volume")]);
export const details: pulumi.Output<ClonedVolume[]> = theirs.clonedVolumes;
export const taskId: pulumi.Output<string | undefined> = VolumeClone.isInstance(theirs)
  ? theirs.taskId
  : instant.taskId;
export const about = pulumi.all([instant.namePrefix, instant.missing, instant.flow, instant.displayName]);
export const loaded: pulumi.dynamic.ResourceProvider = provider;
