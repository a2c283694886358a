// Uses every export that has to do with AssistedSnapshot, as a user with strict settings would. Only compiled, never run
// (types.test.ts also holds that nothing is missing here).

import * as pulumi from "@pulumi/pulumi";
import { AssistedSnapshot, type AssistedSnapshotArgs } from "pulumi-snapclone";
import { assistedSnapshot as provider } from "pulumi-snapclone/dynamic/v1";

const config = new pulumi.Config();
const overlayArgs: AssistedSnapshotArgs = {
  volumeId: config.require("volume"),
  snapshotId: config.require("snapshot"),
  newFile: pulumi.interpolate`overlay-${pulumi.getStack()}`,
  type: "qcow2",
  fileToMerge: null,
  mergeTargetFile: null,
  manageStatus: true,
  connection: "admin",
};
const overlay = new AssistedSnapshot("overlay", overlayArgs, { customTimeouts: { delete: "3h" } });
// @ts-expect-error: what a delete merges is said, if only by null
new AssistedSnapshot("unsaid", { volumeId: "v", snapshotId: "s", newFile: "f" });

export const seen: pulumi.Output<boolean> = overlay.verified;
export const unseen: pulumi.Output<string | undefined> = overlay.unverifiedReason;
export const alsoOurs: boolean = AssistedSnapshot.isInstance(overlay);
export const loaded: pulumi.dynamic.ResourceProvider = provider;
