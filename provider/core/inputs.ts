// What inputs of several backends have in common.

import { z } from "zod";

/** For a schema's `error`: nothing given is another mistake than something wrong. */
export function requiredOr(message: string) {
  return { error: (issue: { input?: unknown }) => (issue.input === undefined ? "is required" : message) };
}

/** "default" is what no connection means, so both are the same in the state. */
export function connectionName() {
  return z
    .string("must be the name of a connection")
    .min(1, "must be the name of a connection")
    .transform((name) => (name === "default" ? undefined : name));
}
