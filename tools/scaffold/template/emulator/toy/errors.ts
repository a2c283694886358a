// Toy's refusals: a code and a sentence in an `error` object.

import { json, type Reply } from "../core/http";

export class ToyError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export function refusal({ status, code, message }: ToyError): Reply {
  return json(status, { error: { code, message } });
}

export function copyNotFound(id: string): ToyError {
  return new ToyError(404, "CopyNotFound", `copy ${id} could not be found`);
}
