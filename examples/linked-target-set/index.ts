import * as pulumi from "@pulumi/pulumi";
import { LinkedTargetSet } from "pulumi-snapclone";

const config = new pulumi.Config();
const snapshotSessionId =
  config.get("session") ?? "urn:storageos:BlockSnapshotSession:aaaaaaaa-1111-4111-8111-111111111111:vdc1";

// One target for each tester. A larger number links more, a smaller one unlinks the last; another session of the same
// volume (last night's) is taken in place: ids, WWNs and exports stay.
const testers = new LinkedTargetSet("testers", {
  snapshotSessionId,
  targetName: "shop-test",
  count: config.getNumber("testers") ?? 3,
  refreshTriggers: [config.get("sprint") ?? "1"],
  connection: "vipr",
});

// A full copy, which stays as a volume when it leaves the program.
const forensics = new LinkedTargetSet(
  "forensics",
  {
    snapshotSessionId,
    targetName: "forensics",
    count: 1,
    copyMode: "copy",
    deleteTargetsOnUnlink: false,
    connection: "vipr",
  },
  { customTimeouts: { create: "1h" } },
);

export const wwns = testers.targets.apply((targets) => targets.map(({ wwn }) => wwn));
export const toExport = testers.targets.apply((targets) => targets.map(({ id }) => id));
export const copy = forensics.targets.apply(([target]) => target?.id);
export const kept = forensics.promotedVolumes;
