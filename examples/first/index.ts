import { Snapshot } from "pulumi-snapclone";

const nightly = new Snapshot("nightly", {
  volumeId: "11111111-1111-4111-8111-111111111111",
  metadata: { keepDays: "7" },
});

export const snapshotId = nightly.id;
