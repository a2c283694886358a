import { type Emulator, SEED_VOLUMES } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { volumeFromSnapshot } from "../../provider/openstack/volumeFromSnapshot/resource";
import { type Change, testConvergence } from "./convergence";

const MONDAY = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const TUESDAY = "4f22f084-3ee8-43d2-b3c8-f1d93325a024";

const A: Properties = {
  snapshotId: MONDAY,
  name: "restored",
  sizeGiB: 12,
  description: "before the upgrade",
  metadata: { keep: "7", tier: "gold" },
};

const CHANGES: Change[] = [
  { name: "create", after: { a: A } },
  {
    name: "create of two, without size and metadata",
    after: { a: { snapshotId: MONDAY, name: "a" }, b: { ...A, name: "b" } },
  },
  { name: "name", before: { a: A }, after: { a: { ...A, name: "kept" } } },
  { name: "no description any more", before: { a: A }, after: { a: { ...A, description: undefined } } },
  { name: "metadata changed", before: { a: A }, after: { a: { ...A, metadata: { keep: "30", tier: "gold" } } } },
  { name: "metadata removed", before: { a: A }, after: { a: { ...A, metadata: { keep: "7" } } } },
  { name: "all metadata removed", before: { a: A }, after: { a: { ...A, metadata: undefined } } },
  { name: "a larger size", before: { a: A }, after: { a: { ...A, sizeGiB: 20 } } },
  { name: "no size any more", before: { a: A }, after: { a: { ...A, sizeGiB: undefined } } },
  {
    name: "everything at once",
    before: { a: A },
    after: {
      a: { ...A, name: "kept", description: undefined, sizeGiB: 20, metadata: { keep: "30", team: "shop" } },
    },
  },
  { name: "an alias, and a larger size", before: { a: A }, after: { z: { ...A, sizeGiB: 20 } }, aliases: { z: "a" } },
  { name: "another snapshot", before: { a: A }, after: { a: { ...A, snapshotId: TUESDAY } } },
  { name: "another type", before: { a: A }, after: { a: { ...A, volumeType: "ssd" } } },
  { name: "a forced replacement", before: { a: A }, after: { a: A }, options: { replace: ["a"] } },
  { name: "delete", before: { a: A }, after: {} },
  { name: "delete of one of two", before: { a: A, b: { ...A, name: "b" } }, after: { a: A } },
];

const restored = ({ cinder }: Emulator) =>
  [...cinder.volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null);

testConvergence({
  title: "VolumeFromSnapshot",
  definition: volumeFromSnapshot,
  user: "demo",
  changes: CHANGES,
  unknownOutcome: { name: "create", after: { a: A } },
  prepare: ({ cinder }) => {
    for (const id of [MONDAY, TUESDAY]) cinder.createSnapshot({ id, volume_id: SEED_VOLUMES.data });
  },
  inspect: (emulator) =>
    restored(emulator)
      .map(({ snapshot_id, name, description, size, status, volume_type_id, metadata }) => ({
        snapshot_id,
        name,
        description,
        size,
        status,
        volume_type_id,
        // Which create made it is another each time.
        metadata: { ...metadata, "snapclone:attempt": "…" },
      }))
      .sort((one, other) => String(one.name).localeCompare(String(other.name))),
  outputs: ["snapshotId", "name", "description", "sizeGiB", "metadata", "status"],
  remains: restored,
  advance: ({ cinder }) => cinder.advance(),
});
