// Inputs of a LinkedTargetSet: their types and their schemas. They refuse values that ViPR accepts and that are of no use
// (docs/wire/vipr.md#validation-of-link-targets).

import * as z from "zod";
import { MAX_TARGET_NAME_LENGTH } from "./names";

export interface LinkedTargetSetInputs {
  snapshotSessionId: string;
  targetName: string;
  count: number;
  copyMode: "copy" | "nocopy";
  deleteTargetsOnUnlink: boolean;
  refreshTriggers?: unknown[];
  connection?: string;
}

export function count() {
  return z
    .number("must be a whole number from 1 to 1024")
    .int("must be a whole number from 1 to 1024")
    .min(1, "must be at least 1")
    .max(1024, "must not be more than 1024, which is the most that a source can have");
}

export function sessionId() {
  return z
    .string("must be a string")
    .trim()
    .superRefine((id, context) => {
      const type = /^urn:storageos:([A-Za-z]+):[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[A-Za-z0-9]*$/i.exec(
        id,
      )?.[1];
      const like = "urn:storageos:BlockSnapshotSession:5e0f7c1a-6d2b-4b43-8f0a-3f6f2f7a9b10:vdc1";
      if (type === undefined)
        context.addIssue({ code: "custom", message: `must be the URN of a session, like ${like}` });
      else if (type.toLowerCase() !== "blocksnapshotsession") {
        context.addIssue({
          code: "custom",
          message: `is the URN of a ${type}; it must be that of a BlockSnapshotSession`,
        });
      }
    });
}

/** ViPR accepts an empty name, and no name at all (docs/wire/vipr.md#validation-of-link-targets). */
export function targetName() {
  return z
    .string("must be a string")
    .trim()
    .superRefine((name, context) => {
      const refuse = (message: string) => context.addIssue({ code: "custom", message });
      if (name === "") refuse("must not be empty");
      else if (/\p{Cc}/u.test(name)) refuse("must not contain line breaks, tabs or other control characters");
      // The array's name consists of these characters alone (docs/wire/vipr.md#names).
      else if (!/[a-zA-Z0-9_#@+-]/.test(name))
        refuse("must contain a letter, a digit or one of _ # @ + -: ViPR removes all other characters");
      if (name.length > MAX_TARGET_NAME_LENGTH) {
        refuse(
          `must not be longer than ${MAX_TARGET_NAME_LENGTH} characters: ViPR allows 63, and the other characters tell the targets apart`,
        );
      }
    });
}
