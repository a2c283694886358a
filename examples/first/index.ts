import * as pulumi from "@pulumi/pulumi";
import { Snapshot } from "pulumi-snapclone";

const config = new pulumi.Config();

// A new release number is a new point in time: the new snapshot is made first, then the old one is deleted.
const beforeRelease = new Snapshot("before-release", {
  volumeId: config.get("volume") ?? "11111111-1111-4111-8111-111111111111",
  triggers: [config.get("release") ?? "1.0"],
});

export const snapshotId = beforeRelease.id;
export const takenAt = beforeRelease.createdAt;
