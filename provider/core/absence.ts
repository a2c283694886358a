// What a "not found" proves: nothing in the first seconds after the backend has accepted something, since a replica or a
// cell may lag behind; and nothing from another backend, or to a login that may not see the object.

import { targetOf } from "./connection/connections";
import type { AnyDefinition, HiddenOutputs, State } from "./definition";
import { isKind, SnapcloneError } from "./errors";
import type { Clock } from "./util/clock";

/** Lags of replicas and message queues end in seconds. */
const GRACE_MS = 30_000;

/** In a poll: an accepted object is proven gone when every fetch for half a minute has said "not found". */
export class AbsenceTimer {
  private since: number | undefined;

  constructor(private readonly clock: Clock) {}

  isProven(found: boolean): boolean {
    if (found) {
      this.since = undefined;
      return false;
    }
    this.since ??= this.clock.now();
    return this.clock.now() - this.since >= GRACE_MS;
  }
}

/** undefined where the error proves that the object is gone; throws every other error. */
export async function orUndefined<T>(
  request: Promise<T>,
  isGone: (error: unknown) => boolean = (error) => isKind(error, "notFound"),
): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/**
 * Throws unless the backend's "not found" proves that the object is gone: the login must reach the backend that the object
 * was on, and must be allowed to see what the object belongs to.
 */
export async function proveAbsence(
  definition: AnyDefinition,
  client: unknown,
  id: string,
  known: State,
  signal: AbortSignal,
): Promise<void> {
  const doubt =
    (await otherBackend(definition, client, known, signal)) ?? (await definition.doubtAbsence?.(client, known, signal));
  if (doubt === undefined) return;
  throw new SnapcloneError({
    kind: "refused",
    message: `the ${definition.displayName} ${id} was not found, but that does not prove that it is gone: ${doubt}. Nothing was changed`,
    hint: "Correct the connection (docs/connections.md). If the object is gone for good, remove it from the state: `pulumi state delete <urn>`.",
  });
}

async function otherBackend(definition: AnyDefinition, client: unknown, known: State, signal: AbortSignal) {
  const { __backend: recorded, __target: recordedTarget } = known as HiddenOutputs;
  if (recorded === undefined) {
    // A failure before the backend had told its identity. The connection's settings are known without a request.
    const isOther = recordedTarget !== undefined && recordedTarget !== targetOf(definition.connection, client);
    return isOther ? "its connection had other settings when it was created" : undefined;
  }
  const present = await definition.identity(client, known, signal);
  if (present === recorded) return undefined;
  return `it is on another backend: the state says ${recorded}, and the connection reaches ${present}`;
}
