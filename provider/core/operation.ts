// What every operation on a resource needs: its checked inputs, the connection's client, and the context that its hooks get.

import type {
  AnyDefinition,
  HiddenInputs,
  ListScope,
  Operation,
  OperationContext,
  OwnershipRecord,
  Pending,
  State,
  Task,
} from "./definition";
import { asSnapcloneError, isKind, SnapcloneError } from "./errors";
import type { OwnershipTracker } from "./ownership";
import type { Run } from "./run";
import { parseDuration } from "./util/duration";

export type Properties = Record<string, unknown>;

/** An operation that is under way. */
export interface Target {
  definition: AnyDefinition;
  run: Run;
  client: unknown;
  context: RunningOperation;
}

export interface Creation extends Target {
  tracker: OwnershipTracker;
  urn: string;
  record: OwnershipRecord;
  inputs: Properties;
}

export function scopeOf({
  definition,
  record,
  urn,
  inputs,
}: Pick<Creation, "definition" | "record" | "urn" | "inputs">): ListScope {
  return { stack: record.stack, place: definition.listScope?.(record, { ...inputs, __owner: urn }) ?? "" };
}

export function parseInputs(definition: AnyDefinition, news: Properties, operation: string): Properties {
  const parsed: Properties = {};
  for (const [key, { schema }] of Object.entries(definition.inputs)) {
    const result = schema.safeParse(news[key]);
    if (!result.success) {
      const message = `the input ${key} is not valid: ${result.error.issues[0]?.message}`;
      throw new SnapcloneError({ kind: "input", operation, message });
    }
    if (result.data !== undefined) parsed[key] = result.data;
  }
  return parsed;
}

export function connect(definition: AnyDefinition, run: Run, inputs: Properties, operation: string): unknown {
  try {
    const name = inputs.connection;
    return run.connections.open(definition.connection, typeof name === "string" ? name : undefined);
  } catch (error) {
    throw asSnapcloneError(error, operation);
  }
}

/** A policy that forbids the record is a warning and no failure: the state holds the id in any case. */
export async function writeRecord(
  { definition, client, context }: Target,
  id: string,
  record: OwnershipRecord,
  known: State,
  inputs: Properties,
): Promise<void> {
  try {
    await definition.recordOwnership(client, id, record, known, inputs);
  } catch (error) {
    if (!isKind(error, "forbidden")) throw error;
    context.warnForbidden(`the ownership record of ${id} could not be written`, error);
  }
}

/** The context of an operation. It remembers work that the backend has accepted and that has not ended. */
export class RunningOperation implements OperationContext {
  readonly clock: Run["clock"];
  readonly deadline: number;
  readonly signal: AbortSignal;
  readonly stack: string;
  private readonly timeoutMs: number | undefined;

  constructor(
    private readonly definition: AnyDefinition,
    private readonly run: Run,
    private readonly operation: Operation,
    private readonly hidden: HiddenInputs,
    /** The request's timeout. The first request of a process comes without it, and then the program's counts. */
    timeoutMs: number | undefined,
    private pending?: Pending,
  ) {
    // "0" gives no time-out, so the default counts.
    this.timeoutMs = timeoutMs ?? parseDuration(hidden.__timeouts?.[operation] ?? "");
    const timeout = this.timeoutMs ?? parseDuration(definition.timeouts[operation]);
    this.clock = run.clock;
    this.deadline = run.clock.now() + (timeout ?? 0);
    this.signal = run.signal;
    this.stack = run.stackOf(hidden);
  }

  progress(text: string): void {
    this.run.log("status", text, this.hidden.__owner);
  }

  info(text: string): void {
    this.run.log("info", text, this.hidden.__owner);
  }

  warn(text: string): void {
    this.run.log("warning", text, this.hidden.__owner);
  }

  warnForbidden(what: string, { parts }: SnapcloneError): void {
    // The hint names the policy's rule, and the message may name the object.
    const { message, hint = message } = parts;
    if (!this.run.isFirst(`forbidden: ${this.definition.displayName}: ${hint}`)) return;
    const why = [message, ...(parts.hint === undefined ? [] : [parts.hint])].map((text) => text.replace(/\.$/, ""));
    this.warn(`${what}: ${why.join(". ")}. This run does not report further writes that fail for this reason`);
  }

  accepted(task: Task): void {
    const timeout = this.timeoutMs === undefined ? {} : { timeoutMs: this.timeoutMs };
    this.pending = { operation: this.operation, task, since: this.clock.date().toISOString(), ...timeout };
  }

  done(): void {
    delete this.pending;
  }

  /** What the state must hold after this failure. */
  afterwards(failure: SnapcloneError): Pending | undefined {
    // Only the backend's own "it failed" ends the work. A refused or unanswered request proves nothing.
    return this.pending && isKind(failure, "failed") ? { ...this.pending, failed: true } : this.pending;
  }
}

/**
 * What a create left unfinished gets the time of a create, whatever operation resumes it. Only the dynamic classes tell an update
 * the present one. Else it is the longest of the default, the one that the create had, and the update's own, which a user can
 * lengthen: a create whose time was too short must not fail again and again.
 */
export function timeToResume(
  { timeouts }: AnyDefinition,
  unfinished: Pending | undefined,
  { __timeouts }: HiddenInputs,
  timeoutMs = 0,
): number | undefined {
  if (__timeouts?.create !== undefined) return undefined;
  return Math.max(parseDuration(timeouts.create) ?? 0, unfinished?.timeoutMs ?? 0, timeoutMs);
}
