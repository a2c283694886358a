import * as pulumi from "@pulumi/pulumi";
import { ClonedVm } from "pulumi-snapclone/native";

const config = new pulumi.Config();

// Two copies of the staging VM. They are removed for good with the stack, disks included.
const preview = new ClonedVm("preview", {
  vmInstanceUuid: "c4d628c203433f64b062ad07c8edf10d",
  names: ["pr-42-app", "pr-42-worker"],
  description: config.require("team"),
  powerState: "Running",
  deletion: "expunge",
  connection: "zstack",
});

export const addresses = preview.vms.apply((vms) => vms.map(({ ips }) => ips[0]));
