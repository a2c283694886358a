import * as pulumi from "@pulumi/pulumi";
import { listSnapshotsOutput, Snapshot } from "pulumi-snapclone";

const config = new pulumi.Config();
const volumeId = config.get("volume") ?? "11111111-1111-4111-8111-111111111111";

// Before each release: a new release name is a new point in time. The new snapshot is made first, then the old one goes.
const beforeRelease = new Snapshot("before-release", {
  volumeId,
  description: "The database before the release",
  metadata: { release: config.get("release") ?? "1.0" },
  triggers: [config.get("release") ?? "1.0"],
});

// Kept when it leaves the program, and given more time than the default half hour.
const yearEnd = new Snapshot(
  "year-end",
  { volumeId, name: "year-end" },
  { retainOnDelete: true, customTimeouts: { create: "2h" } },
);

// Read, never changed: a snapshot that something else made.
const same = Snapshot.get("same", yearEnd.id);

export const restoreFrom = beforeRelease.id;
export const takenAt = beforeRelease.createdAt;
export const sizeGiB = same.sizeGiB;
export const allOfTheVolume = listSnapshotsOutput({ volumeId: beforeRelease.volumeId }).apply((all) => all.length);
