import * as pulumi from "@pulumi/pulumi";
import { SnapshotSeries } from "pulumi-snapclone";

const config = new pulumi.Config();
const volumeId = config.get("volume") ?? "11111111-1111-4111-8111-111111111111";

// Every night: the first `pulumi up` of a day takes a snapshot, and then the eighth goes, once it is two weeks old.
const day = config.get("day") ?? new Date().toISOString().slice(0, 10);
const nightly = new SnapshotSeries("nightly", { volumeId, keep: 7, keepWithin: "2w", triggers: [day] });

// Before each release: each snapshot keeps the release's number that it was taken with. Kept when it leaves the program.
const release = config.get("release") ?? "1.0";
const releases = new SnapshotSeries(
  "releases",
  { volumeId, keep: 3, name: "before-release", metadata: { release }, triggers: [release] },
  { retainOnDelete: true },
);

export const restoreFrom = nightly.latest;
export const nights = nightly.snapshots.apply((all) => all.map(({ createdAt }) => createdAt));
export const beforeRelease = releases.latest;
