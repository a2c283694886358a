// The `import` option of a Snapshot: takes over a snapshot that something else has made, by its UUID.

import type { Importable, Importer } from "../../core/definition";
import { SnapcloneError } from "../../core/errors";
import type { SnapshotRow } from "../cinder";
import { undefinedIfMissing } from "../cinderErrors";
import type { OpenStackContext } from "../context";
import { uuid } from "../inputs";
import { withoutRevert } from "../revert/inputs";
import { diagnosis } from "./errors";
import type { SnapshotInputs } from "./inputs";
import { RECORD_KEYS } from "./ownership";
import { observed } from "./state";

export const importer: Importer<SnapshotInputs, OpenStackContext> = {
  id: uuid("a snapshot"),

  async find(cloud, id, _record, inputs, { signal }): Promise<Importable | undefined> {
    const row = await cloud.snapshot(id, signal);
    if (row === undefined) return isVolume(cloud, id, signal);
    if (row.status.toLowerCase() !== "available") throw await notUsable(cloud, row);
    const {
      [RECORD_KEYS.stack]: stack,
      [RECORD_KEYS.owner]: owner = "",
      [RECORD_KEYS.attempt]: attempt,
    } = row.metadata;
    const { state } = observed(row, Object.keys(inputs.metadata ?? {}));
    return {
      id,
      objects: [id],
      parts: [{ object: `snapshot ${id}`, holder: id, stack, owner, attempt }],
      // The program's keys alone: what others have set is neither shown nor removed.
      state: { ...state, ...withoutRevert(inputs) },
    };
  },

  forget: ([id]) =>
    `\`openstack volume snapshot unset --property ${RECORD_KEYS.stack} --property ${RECORD_KEYS.owner} ${id}\`.`,
};

/** Throws if the id is a volume's, the likeliest mistake. */
async function isVolume(cloud: OpenStackContext, id: string, signal: AbortSignal): Promise<undefined> {
  // A volume that can't be looked up adds nothing to "there is no snapshot".
  const volume = await undefinedIfMissing(cloud.cinder.showVolume(id, signal), "volume").catch(() => undefined);
  if (volume === undefined) return undefined;
  throw new SnapcloneError({
    kind: "input",
    message: `${id} is a volume, and no snapshot; nothing was changed`,
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
