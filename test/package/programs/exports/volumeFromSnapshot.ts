// Uses every export that has to do with VolumeFromSnapshot, as a user with strict settings would. Only compiled, never run
// (types.test.ts also holds that nothing is missing here).

import * as pulumi from "@pulumi/pulumi";
import {
  Snapshot,
  VolumeFromSnapshot,
  type VolumeFromSnapshotArgs,
  type VolumeFromSnapshotAttachment,
} from "pulumi-snapclone";
import { volumeFromSnapshot as provider } from "pulumi-snapclone/dynamic/v1";

const config = new pulumi.Config();
const snapshot = new Snapshot("nightly", { volumeId: config.require("volume") });
const args: VolumeFromSnapshotArgs = {
  snapshotId: snapshot.id,
  name: pulumi.interpolate`restored-${pulumi.getStack()}`,
  sizeGiB: 20,
  volumeType: "ssd",
  availabilityZone: "nova",
  description: "the day before",
  metadata: { owner: config.requireSecret("owner") },
  connection: "default",
};
const restored = new VolumeFromSnapshot("restored", args, { customTimeouts: { create: "2h" }, protect: true });
const minimal = new VolumeFromSnapshot("minimal", { snapshotId: restored.snapshotId });
const read = VolumeFromSnapshot.get("read", restored.id, { connection: "other" });

// @ts-expect-error: the snapshot is required
new VolumeFromSnapshot("nothing", {});
// @ts-expect-error: a misspelt input is an error
new VolumeFromSnapshot("misspelt", { snapshotId: "x", sizeGB: 1 });
// @ts-expect-error: outputs are typed, not `any`
export const wrong: pulumi.Output<number> = minimal.status;

export const size: pulumi.Output<number> = read.sizeGiB;
export const bootable: pulumi.Output<boolean> = restored.bootable;
export const type: pulumi.Output<string | undefined> = restored.volumeType;
export const servers: pulumi.Output<(string | undefined)[]> = restored.attachments.apply((all) =>
  all.map(({ serverId }: VolumeFromSnapshotAttachment) => serverId),
);

export function nameOf(resource: unknown): pulumi.Output<string> | undefined {
  return VolumeFromSnapshot.isInstance(resource) ? resource.name : undefined;
}

export const loaded: pulumi.dynamic.ResourceProvider = provider;
