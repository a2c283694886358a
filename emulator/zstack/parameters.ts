// What ZStack's ApiMessageParamValidator.java refuses of a call's parameters, before the session is checked.

import { Failure, invalidArgument } from "./errors";

/** The server names its validator where the text promises the message's class (`getClass()` of the wrong object). */
const VALIDATOR = "org.zstack.header.message.ApiMessageParamValidator";

/** Java's Long.MAX_VALUE, which no number of JavaScript has. */
export const LONG_MAX = "9223372036854775807";

export type Range = readonly [least: number, most: number | string];

export function checkMandatory(fields: Record<string, unknown>, names: readonly string[]): void {
  for (const name of names) {
    if (fields[name] === undefined || fields[name] === null) {
      refuse(`field[${name}] of message[${VALIDATOR}] is mandatory, can not be null`);
    }
  }
}

export function checkLength(name: string, value: unknown, most: number): void {
  if (typeof value !== "string" || value.length <= most) return;
  const lengths = `expected was <= ${most}, actual was ${value.length}`;
  refuse(`field[${name}] of message[${VALIDATOR}] exceeds max length of string. ${lengths}`);
}

export function checkValue(name: string, value: unknown, valid: readonly string[]): void {
  if (value === undefined || value === null || valid.includes(String(value))) return;
  refuse(`valid value for field[${name}] of message[${VALIDATOR}] are [${valid.join(", ")}], but ${value} found`);
}

export function checkRange(name: string, value: unknown, [least, most]: Range): void {
  if (value === undefined || value === null) return;
  if (Number(value) >= least && Number(value) <= Number(most)) return;
  refuse(`field[${name}] must be in range of [${least}, ${most}]`);
}

function refuse(details: string): never {
  throw new Failure(invalidArgument(details));
}
