import * as pulumi from "@pulumi/pulumi";
import { AssistedSnapshot, Snapshot } from "pulumi-snapclone/native";

const config = new pulumi.Config();

const volumeId = "22222222-2222-4222-8222-222222222222";
const beforeUpgrade = new Snapshot("before-upgrade", { volumeId });

// Nova lets administrators alone do this: the overlay has a connection of its own.
const overlay = new AssistedSnapshot("upgrade", {
  volumeId,
  snapshotId: beforeUpgrade.id,
  // Made beforehand in the volume's folder, over the disk's active file.
  newFile: "upgrade.qcow2",
  // When the overlay leaves the program, it takes in all that is below it.
  fileToMerge: null,
  mergeTargetFile: null,
  // Lets the administrator make the outcome visible on Cinder's record of the snapshot.
  manageStatus: config.requireBoolean("manageStatus"),
  connection: "admin",
});

export const inPlace = overlay.verified;
