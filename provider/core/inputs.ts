// Schemas that inputs of several backends share.

import * as z from "zod";

/** No connection means "default", so both are the same in the state. */
export function connectionName() {
  return z
    .string("must be the name of a connection")
    .min(1, "must be the name of a connection")
    .transform((name) => (name === "default" ? undefined : name));
}
