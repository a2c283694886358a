// Which data volumes of a clone were cloned with it. Only these are ever deleted with the VM: somebody may have attached a
// volume between the clone and its tag.

import type { VmRow } from "../answers";
import { dataVolumes } from "./create";

/** What tells a set's cloned volumes from others. */
export interface CloneOrigin {
  source: string | undefined;
  /** False if the clones were requested without data volumes. */
  isFull: boolean;
  /** The data volumes that the results of clone jobs name. */
  named: ReadonlySet<string>;
}

export function divideVolumes(row: VmRow, origin: CloneOrigin): { cloned: string[]; others: string[] } {
  const cloned = clonedVolumes(row, origin);
  return { cloned, others: dataVolumes(row).filter((uuid) => !cloned.includes(uuid)) };
}

function clonedVolumes({ uuid: vm, allVolumes }: VmRow, { source, isFull, named }: CloneOrigin): string[] {
  if (!isFull) return [];
  // ZStack describes a cloned volume so (docs/wire/zstack.md#s3-6).
  const beginning = `for-clone-vm-${source}-volume-`;
  return (allVolumes ?? []).flatMap(({ uuid, type, description, lastVmInstanceUuid: last }) => {
    // A volume that was attached to another VM before was not made with this one.
    const isDescribed = source !== undefined && description?.startsWith(beginning) === true && (!last || last === vm);
    return type === "Data" && (named.has(uuid) || isDescribed) ? [uuid] : [];
  });
}
