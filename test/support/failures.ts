// What clients and lifecycles throw, as tests want it.

import { SnapcloneError } from "../../provider/core/errors";
import { PartialFailure } from "../../provider/core/outputs";

/** The failure of work that must be recorded: anything else fails the test. */
export async function partial(work: Promise<unknown>): Promise<PartialFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PartialFailure)) throw new Error(`not a PartialFailure: ${String(error)}`);
  return error;
}

/** The error of a call that must fail with one of the provider's errors: anything else fails the test. */
export async function failure(work: Promise<unknown>): Promise<SnapcloneError> {
  const error: unknown = await work.then(
    () => new Error("it went well"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof SnapcloneError)) throw error;
  return error;
}
