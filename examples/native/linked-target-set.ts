import * as pulumi from "@pulumi/pulumi";
import { LinkedTargetSet } from "pulumi-snapclone/native";

const config = new pulumi.Config();

// One target for each tester. A larger number links more, a smaller one unlinks the last.
const testers = new LinkedTargetSet("testers", {
  snapshotSessionId: "urn:storageos:BlockSnapshotSession:aaaaaaaa-1111-4111-8111-111111111111:vdc1",
  targetName: "shop-test",
  count: config.requireNumber("testerCount"),
  copyMode: "nocopy",
  connection: "vipr",
});

export const wwns = testers.targets.apply((targets) => targets.map(({ wwn }) => wwn));
