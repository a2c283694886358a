// program.ts without types, as an ES module.

import { listSnapshotsOutput, Snapshot } from "pulumi-snapclone";

const nightly = new Snapshot("nightly", {
  volumeId: "11111111-1111-4111-8111-111111111111",
  metadata: { keep: "7" },
});

export const id = nightly.id;
export const status = nightly.status;
export const listed = listSnapshotsOutput({ name: nightly.name }).apply((all) => all.map((found) => found.id));
export const node = process.version;
