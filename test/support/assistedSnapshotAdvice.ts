// What a person does whom an error of AssistedSnapshot asks to look at the disk: the error contains a command that writes
// the finding into Cinder's record.

import type { SnapshotRow } from "../../emulator";

const COMMAND = /`openstack volume snapshot set (\S.*?) ([0-9a-f-]{36})`: (\w+) if .*?, (\w+) if/g;

/** Carries out each command in `output`. Returns how many there are. */
export function followAssistedSnapshotAdvice(
  output: string,
  rows: ReadonlyMap<string, SnapshotRow>,
  isOverlayInPlace: (row: SnapshotRow) => boolean,
): number {
  const commands = [...output.matchAll(COMMAND)];
  for (const [, properties = "", id = "", one = "", other = ""] of commands) {
    const row = rows.get(id);
    if (row === undefined) continue;
    const absent = one === "made" ? other : one;
    for (const [, key = "", value = ""] of properties.matchAll(/--property ([^=\s]+)=(\S+)/g)) {
      row.metadata[key] = value === "…" ? (isOverlayInPlace(row) ? "made" : absent) : value;
    }
  }
  return commands.length;
}
