// The ownership records in the metadata of a snapshot or a volume, for the option `import` and `snapclone import --take`.

import type { RecordedPart } from "../../core/definition";
import type { Metadata } from "../cinder";
import { missingObject } from "../cinderErrors";

/** The metadata keys of a record's fields. */
interface RecordKeys {
  readonly stack: string;
  readonly owner: string;
  readonly attempt: string;
}

/** The part as a record with these keys shows it. `holder` is the id under which a state holds the part. */
export function recordedPart(
  object: string,
  { id, metadata }: { id: string; metadata: Metadata },
  keys: RecordKeys,
  holder = id,
): RecordedPart {
  return {
    id,
    object,
    holder,
    stack: metadata[keys.stack],
    owner: metadata[keys.owner] ?? "",
    attempt: metadata[keys.attempt],
    written: Object.values(keys).filter((key) => key in metadata),
  };
}

/** `resource` is what the `openstack` command calls the parts: "volume snapshot". */
export function unsetCommand(resource: string, parts: readonly RecordedPart[]): string {
  return parts
    .map(
      ({ id, written }) =>
        `\`openstack ${resource} unset ${written.map((key) => `--property ${key}`).join(" ")} ${id}\``,
    )
    .join(", ");
}

/** The owner goes last: a command that was killed halfway leaves what shows whose the part is. */
export async function removeKeys(
  { id, written }: RecordedPart,
  ownerKey: string,
  removeKey: (id: string, key: string) => Promise<void>,
): Promise<void> {
  const keys = [...written].sort((a, b) => Number(a === ownerKey) - Number(b === ownerKey));
  for (const key of keys) {
    try {
      await removeKey(id, key);
    } catch (error) {
      if (missingObject(error) !== "metadataKey") throw error;
    }
  }
}
