// Input rules that OpenStack's resources share: cinder/api/schemas/snapshots.py, cinder/api/validation/parameter_types.py
// (docs/wire/openstack.md#a2).

import * as z from "zod";
import { isReservedKey } from "./record";

/**
 * Lower case with dashes. Cinder's schema accepts other forms, with which Cinder then finds nothing
 * (docs/wire/openstack.md#a2, volume_id).
 */
export function uuid(noun: string) {
  return z
    .string("must be a string")
    .toLowerCase()
    .regex(
      /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      `must be the UUID of ${noun}, such as 11111111-2222-4333-8444-555555555555`,
    );
}

/** Trimmed, since Cinder trims (docs/wire/openstack.md#a2): with blanks, every refresh would show a difference. */
export function text() {
  return z.string("must be a string").trim().max(255, "must not be longer than 255 characters");
}

export function printable() {
  return text()
    .regex(/^\P{Cc}*$/u, "must not contain line breaks, tabs or other control characters")
    .regex(/^[\0-\ufffe]*$/u, "must not contain emoji or other characters above U+FFFE");
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
