// The `import` option of a Snapshot: takes over a snapshot that something else has made, by its UUID.

import type { Importable, Importer, RecordedPart } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import type { SnapshotRow } from "../cinder";
import { undefinedIfMissing } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import { uuid } from "../inputs";
import { RECORD_KEYS } from "../record";
import { observeNote } from "../revert/evidence";
import { openRevert, REVERT_KEYS } from "../revert/record";
import { reverting } from "../revert/reverting";
import { SERIES_KEYS } from "../snapshotSeries/record";
import { diagnosis } from "./errors";
import type { SnapshotInputs } from "./inputs";
import { recordedPart, removeKeys, unsetCommand } from "./parts";
import { observed } from "./state";

export const importer: Importer<SnapshotInputs, OpenStackContext> = {
  id: uuid("a snapshot"),

  async find(cloud, id, _record, inputs, { signal }): Promise<Importable | undefined> {
    const row = await cloud.snapshot(id, signal);
    if (row === undefined) {
      await refuseVolume(cloud, id, signal);
      return undefined;
    }
    if (row.status.toLowerCase() !== "available") throw await notUsable(cloud, row);
    observeNote(cloud, row);
    const { state } = observed(row, Object.keys(inputs.metadata ?? {}));
    return {
      id,
      objects: [id],
      parts: partsOf(row),
      // The program's keys alone: what others have set is neither shown nor removed.
      state: { ...state, ...reverting.imported(inputs, [row]) },
    };
  },

  forget: (parts) => unsetCommand("volume snapshot", parts),

  async removeRecords({ cinder }, parts) {
    for (const part of parts) {
      const owner = part.written.find((key) => OWNER_KEYS.includes(key)) ?? RECORD_KEYS.owner;
      await removeKeys(part, owner, (id, key) => cinder.deleteSnapshotMetadataKey(id, key));
    }
  },
};

const OWNER_KEYS: readonly string[] = [RECORD_KEYS.owner, SERIES_KEYS.owner];

/** A snapshot of a series has the record of the series. */
export function partsOf(row: SnapshotRow): RecordedPart[] {
  const object = `snapshot ${row.id}`;
  const asked = openRevert(row);
  const underWay = asked && {
    work: `a revert of the volume ${row.volume_id} that was asked for at ${asked.at || "an unknown time"}`,
    forget: `\`openstack volume snapshot unset --property ${REVERT_KEYS.asked} ${row.id}\``,
  };
  const own = recordedPart(object, row, RECORD_KEYS);
  const series = recordedPart(object, row, SERIES_KEYS, row.metadata[SERIES_KEYS.series]);
  const recorded = series.written.length === 0 ? [own] : [own, series].filter(({ written }) => written.length > 0);
  return recorded.map((part) => (underWay === undefined ? part : { ...part, underWay }));
}

/** Throws if the id is a volume's, the likeliest mistake. */
async function refuseVolume(cloud: OpenStackContext, id: string, signal: AbortSignal): Promise<void> {
  // A volume that can't be looked up adds nothing to "there is no snapshot".
  const volume = await undefinedIfMissing(cloud.cinder.showVolume(id, signal), "volume").catch(() => undefined);
  if (volume === undefined) return;
  throw new SnapcloneError({
    kind: "input",
    message: `${id} is a volume, not a snapshot; nothing was changed`,
    hint: `Give the UUID of a snapshot: \`openstack volume snapshot list --volume ${id}\` names those of this volume.`,
  });
}

async function notUsable({ cinder }: OpenStackContext, { id, status }: SnapshotRow): Promise<SnapcloneError> {
  if (/^error/i.test(status)) {
    return new SnapcloneError({ kind: "refused", message: `the snapshot ${await diagnosis(cinder, id, status)}` });
  }
  return new SnapcloneError({
    kind: "refused",
    message: `the snapshot is in status "${status}", and only an available one can be taken over; nothing was changed`,
    hint: "Run `pulumi up` again when it is available.",
  });
}
