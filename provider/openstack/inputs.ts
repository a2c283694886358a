// Input rules that OpenStack's resources share: cinder/api/schemas/snapshots.py, cinder/api/validation/parameter_types.py
// (docs/wire/openstack.md#a2).

import * as z from "zod";

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
