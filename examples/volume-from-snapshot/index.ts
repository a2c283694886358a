import * as pulumi from "@pulumi/pulumi";
import { Snapshot, VolumeFromSnapshot } from "pulumi-snapclone";

const config = new pulumi.Config();
const volumeId = config.get("volume") ?? "11111111-1111-4111-8111-111111111111";

const nightly = new Snapshot("nightly", { volumeId });

// A second volume with the data of the snapshot, to look at or to attach. The first volume is not touched.
const restored = new VolumeFromSnapshot("restored", {
  snapshotId: nightly.id,
  // Room for the migration. A larger value later grows the volume in place.
  sizeGiB: config.getNumber("sizeGiB") ?? 12,
  description: "The database as it was last night",
  metadata: { team: "shop" },
});

export const restoredVolumeId = restored.id;
export const restoredSizeGiB = restored.sizeGiB;
export const bootable = restored.bootable;
export const attachedTo = restored.attachments.apply((all) => all.map(({ serverId }) => serverId));
