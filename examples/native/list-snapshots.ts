import { listSnapshotsOutput } from "pulumi-snapclone/native";

// The newest first.
const all = listSnapshotsOutput({ volumeId: "22222222-2222-4222-8222-222222222222", status: "available" });

export const newest = all.apply(([first]) => first?.name);
