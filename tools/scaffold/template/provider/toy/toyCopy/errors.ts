// The errors of a ToyCopy's waits: what happened, and what to do next.

import { SnapcloneError } from "../../core/errors";
import type { CopyRow } from "../client";

export function creationFailed({ id }: CopyRow): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `Toy could not make the copy ${id}: its status is "error"`,
    hint: "The next `pulumi up` makes a new copy and then deletes this one.",
  });
}

export function vanished(id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "notFound",
    message: `the copy ${id} was accepted and is not there`,
    hint: "The next `pulumi up` makes a new copy.",
  });
}

export function deletionFailed({ id, status }: CopyRow): SnapcloneError {
  return new SnapcloneError({
    kind: "failed",
    message: `Toy began to delete the copy ${id} and took it back to "${status}"`,
    hint: "Find out in Toy what uses the copy, then run the same command again.",
  });
}
