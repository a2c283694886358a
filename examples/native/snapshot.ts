import * as pulumi from "@pulumi/pulumi";
import { Snapshot } from "pulumi-snapclone/native";

const config = new pulumi.Config();

// A new release number is a new point in time: the new snapshot is made first, then the old one is deleted.
const beforeRelease = new Snapshot("before-release", {
  volumeId: "11111111-1111-4111-8111-111111111111",
  metadata: { team: config.require("team") },
  triggers: ["1.0"],
});

export const snapshotId = beforeRelease.id;
export const snapshotSize = beforeRelease.sizeGiB;
