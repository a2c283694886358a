// The ownership record of a ToyCopy (docs/ownership.md): labels on the copy, set by the request that makes it.

import type { OwnedObject, OwnershipRecord } from "../../core/definition";
import type { CopyRow } from "../client";
import { observed } from "./state";

const LABELS = {
  stack: "snapclone-stack",
  owner: "snapclone-owner",
  inputs: "snapclone-inputs",
  attempt: "snapclone-attempt",
} as const;

export function recordLabels({ stack, owner, inputs, attempt }: OwnershipRecord): Record<string, string> {
  return {
    [LABELS.stack]: stack,
    [LABELS.owner]: owner,
    [LABELS.inputs]: inputs,
    ...(attempt === undefined ? {} : { [LABELS.attempt]: attempt }),
  };
}

/** The label that all copies of a stack have. */
export function stackLabel(stack: string): { key: string; value: string } {
  return { key: LABELS.stack, value: stack };
}

export function ownedObject(row: CopyRow): OwnedObject {
  const { [LABELS.stack]: stack, [LABELS.owner]: owner = "", [LABELS.inputs]: inputs = "" } = row.labels;
  return {
    id: row.id,
    task: {},
    initialState: row,
    stack,
    owner,
    inputs,
    attempt: row.labels[LABELS.attempt],
    createdAt: row.created_at,
    label: row.name,
    state: observed(row).state,
  };
}
