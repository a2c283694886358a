// What a lifecycle throws, as tests want it.

import { PartialFailure } from "../../provider/core/lifecycle";

/** The failure of work that must be recorded: anything else fails the test. */
export async function partial(work: Promise<unknown>): Promise<PartialFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PartialFailure)) throw new Error(`not a PartialFailure: ${String(error)}`);
  return error;
}
