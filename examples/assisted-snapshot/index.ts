import * as pulumi from "@pulumi/pulumi";
import { AssistedSnapshot, Snapshot } from "pulumi-snapclone";

const config = new pulumi.Config();
// Attached to a running server.
const volumeId = config.get("volume") ?? "22222222-2222-4222-8222-222222222222";

const before = new Snapshot("before-upgrade", { volumeId });

// From here on the server writes into the overlay. Nova lets administrators alone do this, so it has a connection of its
// own; manageStatus lets that administrator make the outcome visible on Cinder's record of the snapshot.
const overlay = new AssistedSnapshot("upgrade", {
  volumeId,
  snapshotId: before.id,
  // Made beforehand in the volume's folder, over the disk's active file.
  newFile: config.get("overlay") ?? "upgrade.qcow2",
  // When it leaves the program, the active file is put on top of this one.
  fileToMerge: `volume-${volumeId}`,
  mergeTargetFile: null,
  manageStatus: true,
  connection: "admin",
});

export const inPlace = overlay.verified;
export const ifNot = overlay.unverifiedReason;
