// The `import` option of a SnapshotSeries: makes a series of snapshots that something else has taken of one volume, by their
// UUIDs. Nothing is taken or deleted at the import.

import type { Importable, Importer } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import { idList, idsIn, wrongImport } from "../../core/importIds";
import { digest } from "../../core/util/digest";
import type { SnapshotRow } from "../cinder";
import type { OpenStackContext } from "../context";
import { uuid } from "../inputs";
import { reverting } from "../revert/reverting";
import { partsOf, importer as snapshotImporter } from "../snapshot/import";
import type { SnapshotSeriesInputs } from "./inputs";
import { listInstants, now } from "./instants";
import { instantKey } from "./record";
import { dueRows, instantOf, newestFirst, observedSeries, rowsBehind } from "./state";

export const importer: Importer<SnapshotSeriesInputs, OpenStackContext> = {
  // The newest snapshot is the first, whatever the option's order is.
  id: idList(uuid("a snapshot"), "snapshot", "must be the UUIDs of the snapshots, separated by commas", "sorted"),

  needs: ["keep"],
  // Nothing shows how many the series was to keep. As many as there are: no snapshot is deleted before the next is taken.
  inputsOf: (importId) => ({ keep: idsIn(importId).length }),

  async find(cloud, importId, record, inputs, context): Promise<Importable | undefined> {
    const { signal } = context;
    const ids = idsIn(importId);
    const shown = await Promise.all(ids.map((one) => cloud.snapshot(one, signal)));
    const rows = newestFirst(
      shown.filter((row) => row !== undefined),
      {},
    );
    const [newest] = rows;
    if (newest === undefined) return undefined;
    const lacking = ids.filter((one) => !rows.some((row) => row.id === one));
    if (lacking.length > 0)
      throw wrongImport(`there is no snapshot ${lacking.join(", ")}, or this login may not see it`);
    refuseUnusable(rows);
    const known = {
      volumeId: newest.volume_id,
      snapshots: rows.map(instantOf),
      // Neither is on the backend, so the program's are taken to be done.
      takenFor: instantKey(inputs.triggers),
      ...reverting.imported(inputs, rows),
    };
    const time = now(cloud, context);
    refuseDue(dueRows(rows, known, inputs, time), rows.length);
    const id = `series-${digest(`import ${record.stack} ${record.owner} ${importId}`).slice(0, 16)}`;
    const others = (await listInstants(cloud, id, known, signal)).filter((row) => !ids.includes(row.id));
    if (others.length > 0) throw earlierImport(others);
    const { state } = observedSeries(rows, known, inputs, time);
    const found = { id, objects: ids, parts: rows.flatMap(partsOf), state };
    // The update of the import must not find other snapshots than these, of which none is due.
    rowsBehind.set(found, rows);
    return found;
  },

  forget: snapshotImporter.forget,
  removeRecords: snapshotImporter.removeRecords,
};

/** An import deletes nothing, and neither does the first update after Pulumi's own, which has not known the program. */
export function refuseDue(due: readonly SnapshotRow[], count: number): void {
  if (due.length === 0) return;
  throw wrongImport(
    `with the program's keep and keepWithin, ${due.map(({ id }) => id).join(", ")} would be deleted at once`,
    `Give keep ${count}, or leave these out of the import. A smaller keep in a later run deletes them.`,
  );
}

function refuseUnusable(rows: readonly SnapshotRow[]): void {
  const volumes = [...new Set(rows.map(({ volume_id }) => volume_id))];
  if (volumes.length > 1) throw wrongImport(`the snapshots are of several volumes: ${volumes.join(", ")}`);
  const unusable = rows.filter(({ status }) => status.toLowerCase() !== "available");
  if (unusable.length === 0) return;
  throw new SnapcloneError({
    kind: "refused",
    message: `${unusable.map(({ id, status }) => `the snapshot ${id} is in status "${status}"`).join(", ")}, and only available ones can be taken over; nothing was changed`,
    hint: "Leave them out, or run `pulumi up` again when they are available.",
  });
}

/** The same import of an earlier time has taken more snapshots since, before the state let its series go. */
function earlierImport(rows: readonly SnapshotRow[]): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `an earlier import of these snapshots by this resource has taken ${rows.map(({ id }) => id).join(", ")}, which the option does not name; nothing was changed`,
    hint: "Add them to the option.",
  });
}
