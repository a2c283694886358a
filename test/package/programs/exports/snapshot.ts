// Uses every export that has to do with Snapshot, as a user with strict settings would. Only compiled, never run
// (types.test.ts also holds that nothing is missing here).

import * as pulumi from "@pulumi/pulumi";
import {
  type GetSnapshotArgs,
  getSnapshot,
  getSnapshotOutput,
  type ListSnapshotsArgs,
  type LookupOutputOptions,
  listSnapshots,
  listSnapshotsOutput,
  type ManagedBy,
  type OverlayOwner,
  Snapshot,
  type SnapshotArgs,
  type SnapshotInfo,
} from "pulumi-snapclone";
import { snapshot as provider } from "pulumi-snapclone/dynamic/v1";

const config = new pulumi.Config();
const args: SnapshotArgs = {
  volumeId: config.require("volume"),
  name: pulumi.interpolate`nightly-${pulumi.getStack()}`,
  description: "the day before",
  metadata: { keep: "7", owner: config.requireSecret("owner") },
  force: false,
  triggers: [1, "two", true],
  connection: "default",
};
const snapshot = new Snapshot("nightly", args, { customTimeouts: { create: "10m" }, protect: true });
const minimal = new Snapshot("minimal", { volumeId: snapshot.volumeId });
const read = Snapshot.get("read", snapshot.id, { connection: "other" });

// @ts-expect-error: the volume is required
new Snapshot("nothing", {});
// @ts-expect-error: a misspelt input is an error
new Snapshot("misspelt", { volumeId: "x", metaData: {} });
// @ts-expect-error: outputs are typed, not `any`
export const wrong: pulumi.Output<number> = minimal.status;

export const size: pulumi.Output<number> = read.sizeGiB;
export const status: pulumi.Output<string> = snapshot.status;
export const description: pulumi.Output<string | undefined> = snapshot.description;
export const keep: pulumi.Output<string | undefined> = snapshot.metadata.apply((metadata) => metadata.keep);

export function nameOf(resource: unknown): pulumi.Output<string> | undefined {
  return Snapshot.isInstance(resource) ? resource.name : undefined;
}

export async function asked(one: GetSnapshotArgs, many: ListSnapshotsArgs): Promise<string[]> {
  const found: SnapshotInfo = await getSnapshot(one);
  const all: SnapshotInfo[] = await listSnapshots(many);
  const owner: ManagedBy | undefined = found.managedBy;
  const overlay: OverlayOwner | undefined = found.overlay;
  return [...[found, ...all].map(({ id }) => id), owner?.owner ?? "", overlay?.file ?? ""];
}

export const later: pulumi.Output<string> = getSnapshotOutput({ id: snapshot.id }).apply(({ status }) => status);
const after: LookupOutputOptions = { dependsOn: [snapshot] };
export const count: pulumi.Output<number> = listSnapshotsOutput({ volumeId: snapshot.volumeId }, after).apply(
  (all) => all.length,
);
export const loaded: pulumi.dynamic.ResourceProvider = provider;
