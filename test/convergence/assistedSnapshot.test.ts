import { type Emulator, SEED_VOLUMES } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { assistedSnapshot } from "../../provider/openstack/assistedSnapshot/resource";
import { followAssistedSnapshotAdvice } from "../support/assistedSnapshotAdvice";
import { type Change, testConvergence } from "./convergence";

const VOLUME = SEED_VOLUMES.logs;
const OTHER_VOLUME = "44444444-4444-4444-8444-444444444444";
const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const OTHER = "8b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const STEP = "snapclone:assisted-step";
const DONE = new Set(["made", "unseen"]);

const MANAGED: Properties = { volumeId: VOLUME, snapshotId: SNAPSHOT, newFile: "overlay-1", manageStatus: true };
const UNMANAGED: Properties = { ...MANAGED, manageStatus: undefined };
const SECOND: Properties = { ...MANAGED, volumeId: OTHER_VOLUME, snapshotId: OTHER };

/** Two at once send what one sends, twice. */
const KILLS = ["is where the process is killed, before", "is where the process is killed, after"] as const;

const CHANGES: Change[] = [
  { name: "create, with the status managed", after: { a: MANAGED } },
  { name: "create, with the status left alone", after: { a: UNMANAGED } },
  { name: "create of two", after: { a: MANAGED, b: SECOND }, faultKinds: KILLS },
  { name: "the status managed from now on", before: { a: UNMANAGED }, after: { a: MANAGED } },
  {
    name: "other files to merge: a replacement",
    before: { a: MANAGED },
    after: { a: { ...MANAGED, newFile: "overlay-2" } },
  },
  { name: "an alias", before: { a: MANAGED }, after: { z: MANAGED }, aliases: { z: "a" } },
  { name: "delete, with the status managed", before: { a: MANAGED }, after: {} },
  { name: "delete, with the status left alone", before: { a: UNMANAGED }, after: {} },
  { name: "delete of one of two", before: { a: MANAGED, b: SECOND }, after: { b: SECOND }, faultKinds: KILLS },
];

const volumeOf = ({ cinder }: Emulator, snapshotId: string) => cinder.snapshots.get(snapshotId)?.volume_id ?? "";
/** On an overlay: whether its file is the active one of a chain. */
const overlayOf = (emulator: Emulator, snapshotId: string): string | undefined => {
  const [active, below] = emulator.nova.chain(volumeOf(emulator, snapshotId));
  return below !== undefined && active?.startsWith("overlay-") ? active : undefined;
};

testConvergence({
  title: "AssistedSnapshot",
  definition: assistedSnapshot,
  user: "admin",
  changes: CHANGES,
  prepare({ cinder, nova }) {
    cinder.createVolume({ id: OTHER_VOLUME, status: "in-use" });
    for (const [id, volume_id] of [
      [SNAPSHOT, VOLUME],
      [OTHER, OTHER_VOLUME],
    ] as const) {
      cinder.createSnapshot({ id, volume_id, metadata: { team: "shop" } });
      nova.createFile(volume_id, "overlay-1");
      // Over whichever file is the active one by then.
      nova.createFile(volume_id, "overlay-2", { backing: "overlay-1" });
    }
  },
  inspect: (emulator) =>
    [SNAPSHOT, OTHER].map((id) => {
      const { status, progress, metadata = {} } = emulator.cinder.snapshots.get(id) ?? {};
      const step = metadata[STEP];
      return {
        status,
        progress,
        overlay: overlayOf(emulator, id),
        metadata: Object.keys(metadata).sort(),
        file: metadata["snapclone:assisted-file"],
        owner: metadata["snapclone:assisted-owner"],
        // If the outcome could not be seen, a person may have checked it.
        step: step !== undefined && DONE.has(step) ? "made" : step,
      };
    }),
  outputs: ["volumeId", "snapshotId", "newFile", "type", "manageStatus", "status", "progress"],
  remains: (emulator) =>
    [SNAPSHOT, OTHER].map((id) => {
      const { status, progress, metadata } = emulator.cinder.snapshots.get(id) ?? {};
      return { status, progress, metadata, overlay: overlayOf(emulator, id) };
    }),
  advance: ({ nova }) => nova.advance(),
  followAdvice(emulator, output) {
    followAssistedSnapshotAdvice(output, emulator.cinder.snapshots, ({ id }) => overlayOf(emulator, id) !== undefined);
  },
});
