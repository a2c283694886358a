// What an AssistedSnapshot takes, and what a change of an input does.

import * as z from "zod";
import type { CheckFailure, Definition, State } from "../../core/definition";
import { connectionName } from "../../core/inputs";
import { uuid } from "../inputs";

export interface AssistedSnapshotInputs {
  volumeId: string;
  snapshotId: string;
  newFile: string;
  type: "qcow2";
  fileToMerge?: string | undefined;
  mergeTargetFile?: string | undefined;
  manageStatus?: boolean;
  connection?: string;
}

export const inputRules: Definition<AssistedSnapshotInputs, never>["inputs"] = {
  volumeId: { onChange: "replace", schema: uuid("a volume") },
  snapshotId: { onChange: "replace", schema: uuid("a snapshot") },
  newFile: { onChange: "replace", schema: fileName() },
  type: {
    onChange: "replace",
    schema: z.literal("qcow2", 'must be "qcow2", the only type there is').default("qcow2"),
  },
  fileToMerge: { onChange: onMergeFileChange, schema: optionalFileName() },
  mergeTargetFile: { onChange: onMergeFileChange, schema: optionalFileName() },
  manageStatus: { onChange: "update", schema: z.boolean("must be true or false").optional(), default: false },
  connection: { onChange: "replace", schema: connectionName().optional() },
};

export function validate(
  { fileToMerge, mergeTargetFile }: Partial<AssistedSnapshotInputs>,
  unknown: ReadonlySet<string>,
): CheckFailure[] {
  if (mergeTargetFile === undefined || unknown.has("fileToMerge")) return [];
  const property = "mergeTargetFile";
  // Without fileToMerge libvirt would take the active file, and refuse to merge that long after Nova has answered.
  if (fileToMerge === undefined) return [{ property, reason: "needs fileToMerge, the file that is merged into it" }];
  if (fileToMerge !== mergeTargetFile) return [];
  return [{ property, reason: "is the same as fileToMerge: a file can't be merged into itself" }];
}

/** Checks values from the state, too: they go into the request for a merge. */
export function optionalFileName() {
  return fileName()
    .nullish()
    .transform((given) => given ?? undefined);
}

/** A merge that failed may be corrected in place. At any other time the files belong to the overlay that was made. */
function onMergeFileChange(olds: State): "replace" | "update" {
  return /^error_deleting$/i.test(String(olds.status)) ? "update" : "replace";
}

/**
 * A bare name. With a path the switch succeeds and every later merge fails (docs/wire/openstack.md#seen-assisted-create).
 * A colon makes QEMU read a protocol (block.c, path_has_protocol).
 */
function fileName() {
  return z
    .string("must be the name of a file")
    .min(1, "must be the name of a file")
    .max(255, "must not be longer than 255 characters")
    .regex(/^[^/\\:\p{Cc}]+$/u, "must be a plain file name: no slashes, colons or control characters")
    .refine((name) => name !== "." && !name.includes(".."), 'must not contain ".."');
}
