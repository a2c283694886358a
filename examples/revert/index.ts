import * as pulumi from "@pulumi/pulumi";
import { Snapshot, SnapshotSeries } from "pulumi-snapclone";

const config = new pulumi.Config();
const volumeId = config.get("volume") ?? "11111111-1111-4111-8111-111111111111";

// `pulumi config set revert "2026-11-28: the migration failed"` and `pulumi up` revert the volume to this snapshot. What was
// written since is lost. Each new text reverts once; without one nothing is reverted.
const revert = config.get("revert");
const revertTriggers = revert === undefined ? [] : [revert];

const beforeMigration = new Snapshot(
  "before-migration",
  { volumeId, triggers: [config.get("migration") ?? "1"], revertTriggers },
  // Where the storage copies the data back, that may take longer than the default hour.
  { customTimeouts: { update: "3h" } },
);

// The same for the latest snapshot of a series.
const nightly = new SnapshotSeries("nightly", {
  volumeId: config.get("logs") ?? "22222222-2222-4222-8222-222222222222",
  keep: 7,
  triggers: [config.get("day") ?? "2026-11-28"],
  revertTriggers: config.getObject<string[]>("revertLogs") ?? [],
});

export const snapshotId = beforeMigration.id;
export const revertedAt = beforeMigration.revertedAt;
export const logsRevertedAt = nightly.revertedAt;
