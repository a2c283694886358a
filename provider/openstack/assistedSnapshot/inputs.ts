// What an AssistedSnapshot takes, and what a change of it does.

import { z } from "zod";
import type { State } from "../../core/definition";

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

/** What a delete asks can be corrected when it has failed by it; at any other time it belongs to what was made. */
export function correction(olds: State): "replace" | "update" {
  return /^error_deleting$/i.test(String(olds.status)) ? "update" : "replace";
}

/**
 * A name and nothing more. With a path the switch succeeds and every later merge fails
 * (docs/wire/openstack.md#seen-assisted-create), and a colon makes QEMU read a protocol (block.c, path_has_protocol).
 */
export function fileName() {
  return z
    .string("must be the name of a file")
    .min(1, "must be the name of a file")
    .max(255, "must not be longer than 255 characters")
    .regex(/^[^/\\:\p{Cc}]+$/u, "must be a plain file name: no slashes, colons or control characters")
    .refine((name) => name !== "." && !name.includes(".."), 'must not contain ".."');
}

export function nullableFileName() {
  return fileName()
    .nullish()
    .transform((given) => given ?? undefined);
}
