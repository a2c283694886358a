// The objects on a backend that an entry of the state holds: a set of clones is one entry, and each clone is an object.

import { attemptInId } from "../provider/core/attempt";
import { isRecord } from "../provider/core/util/values";
import { type Kind, keyOf } from "./graph/model";
import type { StateResource } from "./state";

type HoldingEntry = Pick<StateResource, "resource" | "id" | "inputs" | "outputs">;

export interface HeldObject {
  key: string;
  kind: Kind;
  id: string;
  parent?: string | undefined;
}

/** An entry whose create has an unknown outcome holds none. */
export function objectsOf({ resource, id, outputs, inputs }: HoldingEntry): HeldObject[] {
  const held = (kind: Kind, one: unknown, parentKind?: Kind, parent?: unknown): HeldObject[] => {
    if (typeof one !== "string" || one === "" || attemptInId(one) !== undefined) return [];
    const source = parentKind !== undefined && typeof parent === "string" ? keyOf(parentKind, parent) : undefined;
    return [{ key: keyOf(kind, one), kind, id: one, parent: source }];
  };
  const known = { ...inputs, ...outputs };
  switch (resource) {
    case "snapshot":
      return held("snapshot", id, "volume", known.volumeId);
    case "snapshotSeries":
      return rows(outputs.snapshots).flatMap((row) => held("snapshot", row.id, "volume", known.volumeId));
    case "volumeFromSnapshot":
      return held("volume", id, "snapshot", known.snapshotId);
    case "assistedSnapshot":
      return held("overlay", id, "snapshot", id?.split("/")[1]);
    case "volumeClone":
      return rows(outputs.clonedVolumes).flatMap((row) => held("volume", row.id, "volume", row.sourceId));
    case "linkedTargetSet":
      return [
        ...rows(outputs.targets).flatMap((row) => held("target", row.id, "session", row.snapshotSessionId)),
        ...rows(outputs.promotedVolumes).flatMap(({ id }) => held("volume", id, "session", known.snapshotSessionId)),
      ];
    case "clonedVm":
      return rows(outputs.vms).flatMap((row) => held("VM", row.uuid, "VM", known.vmInstanceUuid));
    default:
      return [];
  }
}

function rows(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
