import * as pulumi from "@pulumi/pulumi";
import { ClonedVm } from "pulumi-snapclone";

const config = new pulumi.Config();
// The number of the pull request: each has a stack of its own, so each gets VMs of its own.
const pullRequest = config.get("pullRequest") ?? "0";

// Two copies of the staging VM to test the pull request on. They are removed for good with the stack, disks included.
const preview = new ClonedVm("preview", {
  vmInstanceUuid: config.get("vm") ?? "c4d628c203433f64b062ad07c8edf10d",
  names: ["app", "worker"].map((role) => `pr-${pullRequest}-${role}`),
  description: `Pull request ${pullRequest}`,
  userTags: [`pull-request::${pullRequest}`],
  powerState: "Running",
  deletion: "expunge",
  connection: "zstack",
});

export const addresses = preview.vms.apply((vms) => Object.fromEntries(vms.map(({ name, ips }) => [name, ips[0]])));
