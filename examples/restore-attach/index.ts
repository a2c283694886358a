import * as openstack from "@pulumi/openstack";
import * as pulumi from "@pulumi/pulumi";
import { VolumeFromSnapshot } from "pulumi-snapclone";

const config = new pulumi.Config();

// A volume with the data of the snapshot, and a server that gets it as its second disk. Both providers sign in by OS_CLOUD.
const restored = new VolumeFromSnapshot("restored", { snapshotId: config.require("snapshot") });

const server = new openstack.compute.Instance("inspect", {
  flavorName: config.get("flavor") ?? "m1.small",
  imageName: config.get("image") ?? "debian-12",
  networks: [{ name: config.require("network") }],
});

// It depends on both, so that `pulumi destroy` detaches the volume before it deletes it.
const attachment = new openstack.compute.VolumeAttach("restored", { instanceId: server.id, volumeId: restored.id });

export const device = attachment.device;
