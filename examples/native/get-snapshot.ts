import { getSnapshotOutput } from "pulumi-snapclone/native";

// Asked at each run, in previews too.
const yearEnd = getSnapshotOutput({ volumeId: "22222222-2222-4222-8222-222222222222", name: "year-end" });

export const yearEndId = yearEnd.id;
export const yearEndSize = yearEnd.sizeGiB;
