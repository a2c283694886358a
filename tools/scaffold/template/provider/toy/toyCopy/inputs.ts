// What a ToyCopy may be declared with.

import * as z from "zod";

export interface ToyCopyInputs {
  source: string;
  name?: string;
  triggers?: unknown[];
  connection?: string;
}

export function source() {
  return z
    .string("must be a string")
    .trim()
    .min(1, "must not be empty")
    .max(64, "must not be longer than 64 characters");
}

export function copyName() {
  return z
    .string("must be a string")
    .trim()
    .min(1, "must not be empty")
    .max(255, "must not be longer than 255 characters")
    .regex(/^\P{Cc}*$/u, "must not contain line breaks, tabs or other control characters");
}
