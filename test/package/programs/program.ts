// What the combinations run: a resource, a lookup beside it, and the Node that runs them.

import type { SnapshotArgs, SnapshotInfo } from "pulumi-snapclone";
import { listSnapshotsOutput, Snapshot } from "pulumi-snapclone";

const args: SnapshotArgs = { volumeId: "11111111-1111-4111-8111-111111111111", metadata: { keep: "7" } };
const nightly = new Snapshot("nightly", args);

export const id = nightly.id;
export const status = nightly.status;
export const listed = listSnapshotsOutput({ name: nightly.name }).apply((all: SnapshotInfo[]) =>
  all.map((found: SnapshotInfo) => found.id),
);
export const node = process.version;
