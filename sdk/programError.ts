// An error that Pulumi prints as its message alone, at once.

import * as pulumi from "@pulumi/pulumi";

/**
 * Pulumi hides the stack of a `RunError`, but formats it all the same, and Node 20.20 and 22 take over a minute for a frame
 * that Pulumi's source maps name (docs/wire/pulumi-engine.md#errors-and-node). So the error has no frames.
 */
export function programError(message: string): pulumi.RunError {
  const error = new pulumi.RunError(message);
  error.stack = `${error.name}: ${message}`;
  return error;
}
