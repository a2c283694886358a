// Uses every export that has to do with SnapshotSeries, as a user with strict settings would. Only compiled, never run
// (types.test.ts also holds that nothing is missing here).

import * as pulumi from "@pulumi/pulumi";
import { type SeriesSnapshot, SnapshotSeries, type SnapshotSeriesArgs } from "pulumi-snapclone";
import { snapshotSeries as provider } from "pulumi-snapclone/dynamic/v1";

const config = new pulumi.Config();
const args: SnapshotSeriesArgs = {
  volumeId: config.require("volume"),
  keep: 7,
  keepWithin: "30d",
  triggers: [1, "two", true],
  name: pulumi.interpolate`nightly-${pulumi.getStack()}`,
  description: "at night",
  metadata: { team: "shop", owner: config.requireSecret("owner") },
  force: false,
  connection: "default",
};
const series = new SnapshotSeries("nightly", args, { customTimeouts: { update: "10m" }, retainOnDelete: true });
const minimal = new SnapshotSeries("minimal", { volumeId: series.volumeId, keep: 1 });
const read = SnapshotSeries.get("read", series.id, { connection: "other" });

// @ts-expect-error: how many to keep is required
new SnapshotSeries("nothing", { volumeId: "x" });
// @ts-expect-error: a misspelt input is an error
new SnapshotSeries("misspelt", { volumeId: "x", keep: 1, keepwithin: "1d" });
// @ts-expect-error: outputs are typed, not `any`
export const wrong: pulumi.Output<number> = minimal.latest;

export const latest: pulumi.Output<string | undefined> = read.latest;
export const all: pulumi.Output<SeriesSnapshot[]> = series.snapshots;
export const gone: pulumi.Output<string[]> = series.pruned.apply((pruned) => pruned.map(({ id }) => id));
export const left: pulumi.Output<string[]> = pulumi
  .all([series.overdue, series.failed])
  .apply(([overdue, failed]) => [...overdue, ...failed]);
export const digest: pulumi.Output<string | undefined> = series.takenFor;
export const inputs = [series.keep, series.keepWithin, series.name, series.description, series.metadata];

export function latestOf(resource: unknown): pulumi.Output<string | undefined> | undefined {
  return SnapshotSeries.isInstance(resource) ? resource.latest : undefined;
}

export const loaded: pulumi.dynamic.ResourceProvider = provider;
