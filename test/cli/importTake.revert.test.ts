// `snapclone import --take` of a snapshot that its owner has reverted a volume to: a revert that has ended is not under way, and
// one that nobody will end any more has a way out.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { ScaledClock } from "../support/scaledClock";
import { engineOf, snapclone, stackConfig } from "./fixture";

const SCALE = 50;

let emulator: Emulator;
let cwd: string;
beforeEach(async () => {
  // A revert compares Cinder's time with its own waits, so both go by one clock.
  emulator = await startEmulator({ clock: "manual" });
  cwd = mkdtempSync(join(tmpdir(), "snapclone-take-"));
  writeFileSync(join(cwd, "config.json"), stackConfig(emulator.connections()));
});
afterEach(async () => {
  await emulator.close();
  rmSync(cwd, { recursive: true });
});

const KINDS = [
  { name: "snapshot", type: "Snapshot", more: {} },
  { name: "snapshotSeries", type: "SnapshotSeries", more: { keep: 3 } },
] as const;
type Kind = (typeof KINDS)[number];
const take = ({ type, more }: Kind, id: string) =>
  snapclone(
    ["import", type, "mine", id, "--inputs", JSON.stringify(more), "--take", "--yes", "--stack-config", "config.json"],
    { cwd },
  );
/** Another stack's snapshot, after as many reverts as there are triggers. */
const reverted = async ({ name, more }: Kind, ...triggers: string[]) => {
  const clock = new ScaledClock(SCALE);
  clock.drive(emulator);
  const theirs = engineOf(name, emulator, { stack: "prod", clock });
  const args = { volumeId: SEED_VOLUMES.data, ...more };
  for (const revertTriggers of [undefined, ...triggers.map((one) => [one])])
    expect((await theirs.up({ theirs: { ...args, revertTriggers } })).errors).toEqual([]);
  const [row] = [...emulator.cinder.snapshots.values()];
  if (row === undefined) throw new Error("there is no snapshot");
  return row;
};
const isTaken = (metadata: Record<string, string>) => !Object.keys(metadata).some((key) => key.endsWith("owner"));

test.each(KINDS)(
  "$type: taken after one revert, after several, and after one that a user has noted as done",
  async (kind) => {
    const row = await reverted(kind, "1", "2");
    const { metadata } = row;
    const forms = [
      metadata,
      { ...metadata, "snapclone:reverted": String(metadata["snapclone:reverted"]).split(" ")[0] ?? "" },
    ];
    for (const form of forms) {
      row.metadata = { ...form };
      const { code, stderr } = await take(kind, row.id);
      expect([code, stderr, isTaken(row.metadata)]).toEqual([0, expect.stringContaining("removed the record"), true]);
    }
  },
);

test.each(KINDS)(
  "$type: refused while the end of a revert is not noted, with the way to remove the note",
  async (kind) => {
    const row = await reverted(kind, "1", "2");
    const { "snapclone:revert": asked = "", "snapclone:reverted": done = "", ...others } = row.metadata;
    const [key = ""] = asked.split(" ");
    const open: Record<string, string>[] = [
      { "snapclone:revert": asked },
      // The end of another revert, and of an earlier one for the same triggers.
      { "snapclone:revert": asked, "snapclone:reverted": done.replace(key, "0".repeat(32)) },
      { "snapclone:revert": asked, "snapclone:reverted": `${key} at 2020-01-01T00:00:00.000Z` },
      { "snapclone:revert": "noted by another version", "snapclone:reverted": done },
    ];
    for (const notes of open) {
      row.metadata = { ...others, ...notes };
      const { code, stderr } = await take(kind, row.id);
      expect([code, stderr, isTaken(row.metadata)]).toEqual([3, expect.stringContaining("is under way"), false]);
      const [, unset = ""] = /`openstack volume snapshot unset --property (\S+) (?:\S+)`/.exec(stderr) ?? [];
      delete row.metadata[unset];
      expect([(await take(kind, row.id)).code, isTaken(row.metadata)]).toEqual([0, true]);
    }
  },
);
