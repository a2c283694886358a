import { type Emulator, SEED_VOLUMES } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { type Change, testConvergence } from "./convergence";

const A: Properties = {
  volumeId: SEED_VOLUMES.data,
  name: "nightly",
  description: "before the upgrade",
  metadata: { keep: "7", tier: "gold" },
};

const CHANGES: Change[] = [
  { name: "create", after: { a: A } },
  {
    name: "create of two, without metadata",
    after: { a: { volumeId: SEED_VOLUMES.data, name: "a" }, b: { ...A, name: "b" } },
  },
  { name: "name", before: { a: A }, after: { a: { ...A, name: "weekly" } } },
  { name: "description", before: { a: A }, after: { a: { ...A, description: "after it" } } },
  { name: "no description any more", before: { a: A }, after: { a: { ...A, description: undefined } } },
  {
    name: "metadata set",
    before: { a: A },
    after: { a: { ...A, metadata: { keep: "7", tier: "gold", team: "shop" } } },
  },
  { name: "metadata changed", before: { a: A }, after: { a: { ...A, metadata: { keep: "30", tier: "gold" } } } },
  { name: "metadata removed", before: { a: A }, after: { a: { ...A, metadata: { keep: "7" } } } },
  { name: "all metadata removed", before: { a: A }, after: { a: { ...A, metadata: undefined } } },
  {
    name: "metadata with a slash removed",
    before: { a: { ...A, metadata: { "team/owner": "shop", keep: "7" } } },
    after: { a: { ...A, metadata: { keep: "7" } } },
  },
  {
    name: "everything at once",
    before: { a: A },
    after: { a: { ...A, name: "weekly", description: undefined, metadata: { keep: "30", team: "shop" } } },
  },
  { name: "a revert", before: { a: { ...A, revertTriggers: ["1"] } }, after: { a: { ...A, revertTriggers: ["2"] } } },
  {
    name: "a revert, and everything else at once",
    before: { a: A },
    after: { a: { ...A, name: "weekly", description: undefined, metadata: { team: "shop" }, revertTriggers: ["2"] } },
  },
  { name: "an alias", before: { a: A }, after: { z: A }, aliases: { z: "a" } },
  {
    name: "an alias, and other metadata",
    before: { a: A },
    after: { z: { ...A, metadata: { team: "shop" } } },
    aliases: { z: "a" },
  },
  { name: "a replacement", before: { a: A }, after: { a: { ...A, triggers: ["tuesday"] } } },
  { name: "a forced replacement", before: { a: A }, after: { a: A }, options: { replace: ["a"] } },
  { name: "delete", before: { a: A }, after: {} },
  { name: "delete of one of two", before: { a: A, b: { ...A, name: "b" } }, after: { a: A } },
];

testConvergence({
  title: "Snapshot",
  definition: snapshot,
  user: "demo",
  changes: CHANGES,
  unknownOutcome: { name: "create", after: { a: A } },
  prepare: () => {},
  inspect: ({ cinder }) =>
    [...cinder.snapshots.values()]
      .map(({ volume_id, name, description, status, metadata }) => ({
        volume_id,
        name,
        description,
        status,
        // Which create made it is another each time.
        metadata: { ...withoutRevert(metadata), "snapclone:attempt": "…" },
      }))
      .sort((one, other) => String(one.name).localeCompare(String(other.name))),
  outputs: ["volumeId", "name", "description", "metadata", "status", "revertTriggers", "revertedFor"],
  remains: ({ cinder }: Emulator) => [...cinder.snapshots.values()],
  advance: ({ cinder }) => cinder.advance(),
});

/** A first `up` reverts nothing. test/contract/revert.kill.test.ts counts the reverts. */
function withoutRevert(metadata: Record<string, string>): Record<string, string> {
  const { "snapclone:revert": _asked, "snapclone:reverted": _done, ...rest } = metadata;
  return rest;
}
