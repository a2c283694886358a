// Uses every export that has to do with LinkedTargetSet, as a user with strict settings would. Only compiled, never run
// (types.test.ts also holds that nothing is missing here).

import * as pulumi from "@pulumi/pulumi";
import {
  type LinkedTarget,
  LinkedTargetSet,
  type LinkedTargetSetArgs,
  type PromotedVolume,
  type UnlinkedTarget,
} from "pulumi-snapclone";
import { linkedTargetSet as provider } from "pulumi-snapclone/dynamic/v1";

const config = new pulumi.Config();
const setArgs: LinkedTargetSetArgs = {
  snapshotSessionId: config.require("session"),
  targetName: pulumi.interpolate`dev-${pulumi.getStack()}`,
  count: 2,
  copyMode: "copy",
  deleteTargetsOnUnlink: false,
  refreshTriggers: ["monday", 7],
  connection: "vipr",
};
const set = new LinkedTargetSet("targets", setArgs, { replaceOnChanges: ["snapshotSessionId"] });
// @ts-expect-error: there are two copy modes
new LinkedTargetSet("wrong", { ...setArgs, copyMode: "COPY" });

export const targets: pulumi.Output<LinkedTarget[]> = set.targets;
export const kept: pulumi.Output<PromotedVolume[]> = set.promotedVolumes;
export const unlinked: pulumi.Output<UnlinkedTarget[]> = set.unlinkedTargets;
export const ours: boolean = LinkedTargetSet.isInstance(set);
export const loaded: pulumi.dynamic.ResourceProvider = provider;
