import * as pulumi from "@pulumi/pulumi";
import { Snapshot, VolumeFromSnapshot } from "pulumi-snapclone/native";

const config = new pulumi.Config();

const lastNight = new Snapshot("last-night", { volumeId: "11111111-1111-4111-8111-111111111111" });

// A second volume with the data of the snapshot. A larger size later grows the volume in place.
const restored = new VolumeFromSnapshot("restored", {
  snapshotId: lastNight.id,
  sizeGiB: 12,
  metadata: { team: config.require("team") },
});

export const restoredVolumeId = restored.id;
export const restoredSize = restored.sizeGiB;
