// What a Snapshot takes.

import * as z from "zod";
import type { Definition } from "../../core/definition";
import { connectionName } from "../../core/inputs";
import { printable, text, uuid } from "../inputs";
import { reverting } from "../revert/reverting";

export interface SnapshotInputs {
  volumeId: string;
  name?: string;
  description?: string;
  metadata?: Record<string, string>;
  force?: boolean;
  triggers?: unknown[];
  revertTriggers?: unknown[];
  connection?: string;
}

export const inputRules: Definition<SnapshotInputs, never>["inputs"] = {
  volumeId: { onChange: "replace", schema: uuid("a volume") },
  name: { onChange: "update", schema: text().optional() },
  description: { onChange: "update", schema: printable().optional() },
  metadata: { onChange: "update", schema: metadata().optional() },
  force: { onChange: "ignore", schema: z.boolean("must be true or false").optional(), default: false },
  triggers: { onChange: "replace", schema: z.array(z.unknown(), "must be a list").optional() },
  ...reverting.inputs,
  connection: { onChange: "replace", schema: connectionName().optional() },
};

/** Keys of the ownership record. A program cannot set them. */
export function isReservedKey(key: string): boolean {
  return key.startsWith("snapclone:");
}

/** The rules of cinder/api/validation/parameter_types.py (docs/wire/openstack.md#a2). */
export function metadata() {
  return z.unknown().transform((value, context): Record<string, string> => {
    const refuse = (message: string, ...path: string[]) => {
      context.addIssue({ code: "custom", message, path, input: value });
    };
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      refuse("must be an object of strings");
      return z.NEVER;
    }
    for (const [key, inner] of Object.entries(value)) {
      if (key === "") refuse("a key must not be empty", key);
      else if (key.length > 255) refuse("a key must not be longer than 255 characters", key);
      else if (!/^[a-zA-Z0-9\-_:. /]+$/.test(key))
        refuse("a key may have letters, digits, blanks and - _ : . / only", key);
      else if (isReservedKey(key)) refuse("keys that begin with snapclone: are the provider's own", key);
      if (typeof inner !== "string") refuse(noString(inner), key);
      else if (inner.length > 255) refuse("must not be longer than 255 characters", key);
    }
    return value as Record<string, string>;
  });
}

/** A number and a boolean have one text that a program may mean. An object or a list has none. */
function noString(value: unknown): string {
  const hasText = typeof value === "number" || typeof value === "boolean";
  return hasText ? `must be a string; write ${JSON.stringify(String(value))}` : "must be a string";
}
