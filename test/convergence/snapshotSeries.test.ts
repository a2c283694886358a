import { type Emulator, SEED_VOLUMES } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { snapshotSeries } from "../../provider/openstack/snapshotSeries/resource";
import { type Change, testConvergence } from "./convergence";

const A: Properties = {
  volumeId: SEED_VOLUMES.data,
  keep: 1,
  name: "nightly",
  description: "at night",
  metadata: { tier: "gold" },
  triggers: ["monday"],
};
const TUESDAY = { ...A, triggers: ["tuesday"] };

// A series has a past, and a first `up` of the same program has none. With `keep: 1` they end alike.
const CHANGES: Change[] = [
  { name: "create", after: { a: A } },
  { name: "create of two", after: { a: { volumeId: SEED_VOLUMES.data, keep: 7 }, b: A } },
  { name: "a changed trigger", before: { a: A }, after: { a: TUESDAY } },
  {
    name: "a changed trigger, and other texts",
    before: { a: A },
    after: { a: { ...TUESDAY, name: "x", metadata: {} } },
  },
  { name: "a changed trigger of two", before: { a: A, b: A }, after: { a: TUESDAY, b: TUESDAY } },
  { name: "keep raised", before: { a: A }, after: { a: { ...A, keep: 2 } } },
  { name: "keepWithin", before: { a: A }, after: { a: { ...A, keepWithin: "7d" } } },
  { name: "a revert", before: { a: { ...A, revertTriggers: ["1"] } }, after: { a: { ...A, revertTriggers: ["2"] } } },
  { name: "an alias", before: { a: A }, after: { z: A }, aliases: { z: "a" } },
  { name: "an alias, and a changed trigger", before: { a: A }, after: { z: TUESDAY }, aliases: { z: "a" } },
  { name: "a replacement", before: { a: { ...A, volumeId: SEED_VOLUMES.logs, force: true } }, after: { a: A } },
  { name: "a forced replacement", before: { a: A }, after: { a: A }, options: { replace: ["a"] } },
  { name: "delete", before: { a: A }, after: {} },
  { name: "delete of one of two", before: { a: A, b: A }, after: { a: A } },
];

testConvergence({
  title: "SnapshotSeries",
  definition: snapshotSeries,
  user: "demo",
  changes: CHANGES,
  unknownOutcome: { name: "create", after: { a: A } },
  prepare: () => {},
  inspect: ({ cinder }) =>
    [...cinder.snapshots.values()]
      .map(({ volume_id, name, description, status, metadata }) => ({
        volume_id,
        name: String(name).replace(/(-[0-9a-f]{7})?-\d{8}T\d{6}Z$/, "-<time>"),
        description,
        status,
        // Which create made the series is another each time.
        metadata: { ...withoutRevert(metadata), "snapclone:series-attempt": "…", "snapclone:series": "…" },
      }))
      .sort((one, other) => JSON.stringify(one).localeCompare(JSON.stringify(other))),
  outputs: [
    "volumeId",
    "keep",
    "keepWithin",
    "description",
    "metadata",
    "overdue",
    "failed",
    "takenFor",
    "revertedFor",
  ],
  remains: ({ cinder }: Emulator) => [...cinder.snapshots.values()],
  advance: ({ cinder }) => cinder.advance(),
});

/** A first `up` reverts nothing. test/contract/revert.kill.test.ts counts the reverts. */
function withoutRevert(metadata: Record<string, string>): Record<string, string> {
  const { "snapclone:revert": _asked, "snapclone:reverted": _done, ...rest } = metadata;
  return rest;
}
