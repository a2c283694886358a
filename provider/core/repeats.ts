// Pulumi's error hooks can have a failed create or update repeated. The engine asks the hooks before it records the failure,
// so the repeated call knows nothing of what the failed one has left (docs/wire/pulumi-engine.md#error-hooks).

import type { AnyDefinition, Pending } from "./definition";
import { asSnapcloneError, isKind } from "./errors";
import { PartialFailure, UNKNOWN_OUTCOME } from "./outputs";

/** The failures of a run that the engine may not have recorded. */
export class Repeats {
  private readonly failures = new Map<string, PartialFailure>();

  /** `work` gets what the same operation has left in this run. What it has left stays recorded if `work` fails before it knows more. */
  async answer<T>(
    key: string,
    operation: string,
    work: (earlier: PartialFailure | undefined) => Promise<T>,
  ): Promise<T> {
    const earlier = this.failures.get(key);
    this.failures.delete(key);
    try {
      return await work(earlier);
    } catch (error) {
      const isKept = earlier && !(error instanceof PartialFailure) && !isKind(error, "notFound");
      const failure = isKept
        ? new PartialFailure(earlier.id, earlier.properties, asSnapcloneError(error, operation))
        : error;
      if (failure instanceof PartialFailure) this.failures.set(key, failure);
      throw failure;
    }
  }
}

/** True if only the next `up` can go on: by replacing what has failed, or by finding out what became of the request. */
export function waitsForNextUp({ onFailedCreate }: AnyDefinition, { properties }: PartialFailure): boolean {
  const pending = properties.pending as Pending | undefined;
  if (pending?.operation !== "create") return false;
  return pending.task.outcome === UNKNOWN_OUTCOME.outcome || (pending.failed === true && onFailedCreate === "replace");
}
