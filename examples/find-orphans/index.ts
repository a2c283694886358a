import * as pulumi from "@pulumi/pulumi";
import { listSnapshotsOutput, Snapshot } from "pulumi-snapclone";

const config = new pulumi.Config();
const volumeId = config.get("volume") ?? "11111111-1111-4111-8111-111111111111";

const beforeRelease = new Snapshot("before-release", { volumeId, triggers: [config.get("release") ?? "1.0"] });

// All snapshots of the volume, asked for when those of the program are there.
const all = listSnapshotsOutput({ volumeId }, { dependsOn: [beforeRelease] });

// This stack made them, and the program does not have them. Other stacks have another digest, other tools have none.
export const orphans = pulumi.all([[beforeRelease.id], all]).apply(([known, found]) => {
  const stack = found.find(({ id }) => known.includes(id))?.managedBy?.stack;
  return found
    .filter(({ id, managedBy }) => !known.includes(id) && stack !== undefined && managedBy?.stack === stack)
    .map(({ id, name, createdAt, managedBy }) => ({ id, name, createdAt, owner: managedBy?.owner }));
});
