import * as pulumi from "@pulumi/pulumi";
import { SnapshotSeries } from "pulumi-snapclone/native";

const config = new pulumi.Config();

// The first `pulumi up` with a new day takes a snapshot, and the eighth goes, once it is two weeks old.
const nightly = new SnapshotSeries("nightly", {
  volumeId: "11111111-1111-4111-8111-111111111111",
  keep: 7,
  keepWithin: "2w",
  metadata: { team: config.require("team") },
  triggers: ["2026-11-28"],
});

export const latest = nightly.latest;
export const nights = nightly.snapshots.apply((all) => all.map(({ createdAt }) => createdAt));
