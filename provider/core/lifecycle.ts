// create, read, update and delete of every resource: what must be the same everywhere so that nothing is lost and nothing
// is made twice. Throws a PartialFailure when something exists that the engine has to record.

import { attemptInId, isSameAttempt, provisionalId, unnamedAttempt } from "./attempt";
import { isHidden, unknownPaths } from "./check";
import type {
  AcceptedOperation,
  AnyDefinition,
  CheckFailure,
  HiddenInputs,
  HiddenOutputs,
  ListScope,
  Observed,
  Operation,
  OperationContext,
  OwnedObject,
  OwnershipRecord,
  Pending,
  Task,
} from "./definition";
import { canonical } from "./diff";
import { asSnapcloneError, type ErrorKind, isKind, SnapcloneError } from "./errors";
import { findAdoptable, type OwnershipTracker, ownershipRecord } from "./ownership";
import type { Run } from "./run";
import { abortableSleep, stopped } from "./util/abort";
import { parseDuration } from "./util/duration";
import { toState } from "./util/toState";

export type Properties = Record<string, unknown>;

/** The engine records what this carries: Pulumi's init failure (docs/wire/pulumi-engine.md#init-failure). */
export class PartialFailure extends Error {
  readonly reasons: string[];
  readonly kind: ErrorKind;

  constructor(
    readonly id: string,
    readonly properties: Properties,
    cause: SnapcloneError,
  ) {
    super(cause.message);
    this.name = "PartialFailure";
    this.stack = cause.message;
    this.reasons = [cause.message];
    this.kind = cause.kind;
  }
}

/** After a lost reply: how long to look for what the request may have made, in milliseconds between looks. */
const LOST_REPLY_LOOKS_MS = [0, 1_000, 2_000, 4_000];
/** Before an object whose creation has not ended counts as gone: looks over half a minute. */
const SECOND_LOOKS_MS = [1_000, 3_000, 6_000, 10_000, 10_000];
/** The task of a create that may have been carried out. */
const UNKNOWN_OUTCOME: Task = { outcome: "unknown" };
/** What an update without an attempt of its own writes: the state holds the object, so no create may adopt it. */
const RECORDED = "recorded";

// --- create

export async function create(definition: AnyDefinition, run: Run, news: Properties, timeoutMs?: number) {
  const hidden = news as HiddenInputs;
  const operation = `create ${definition.describe(news)}`;
  run.markSecrets(definition, hidden);
  return run.track(async (begin) => {
    const inputs = parseInputs(definition, news, operation);
    const client = connect(definition, run, inputs, operation);
    const context = begin(new RunningOperation(definition, run, "create", hidden, timeoutMs));
    const { __owner: urn = "", __attempt: attempt = unnamedAttempt() } = hidden;
    const record = ownershipRecord(definition, context.stack, urn, attempt, inputs);
    const tracker = run.tracker(definition, client);
    const creation: Creation = { definition, run, client, tracker, urn, record, inputs, context };
    return run.answering(record.stack, record.attempt, () => adoptOrCreate(creation, attempt, news, operation));
  });
}

async function adoptOrCreate(creation: Creation, attempt: string, news: Properties, operation: string) {
  const { definition, client, tracker, urn, record, inputs, context } = creation;
  let accepted: AcceptedOperation;
  let adopted: Adopted | undefined;
  try {
    const listed = await listOwned(creation);
    adopted = await adopt(creation, listed);
    accepted = adopted?.object ?? (await beginOnce(creation, listed));
  } catch (error) {
    const failure = asSnapcloneError(error, operation);
    if (!isKind(failure, "ambiguous") || urn === "") throw failure;
    throw await recordUnknown(creation, attempt, news, failure);
  }
  const { id } = accepted;
  tracker.markMade(id, record);
  context.accepted(accepted.task);
  try {
    // The state gets the id, whatever becomes of the record.
    if (adopted) await writeRecord(creation, id, adopted.record, adopted.object.state, inputs);
    let observed = await definition.waitForCreate(client, accepted, inputs, context);
    context.done();
    if (adopted) {
      const known = { ...adopted.object.state, __owner: urn };
      observed = await definition.update(client, id, observed, inputs, known, context);
    }
    return { id, outs: await outputs(creation, news, observed) };
  } catch (error) {
    const failure = asSnapcloneError(error, operation);
    if (isKind(failure, "notFound")) {
      // Proven gone, unless the list shows the object, if under another id than the accepting answer did.
      const listed = urn === "" ? [] : await tracker.list(scopeOf(creation), "afresh").catch(() => undefined);
      const isThere = listed === undefined || listed.some((object) => object.id === id);
      if (!isThere) {
        tracker.markDeleted(id);
        const isElsewhere = listed.some((object) => isSameAttempt(object.attempt, record.attempt));
        throw isElsewhere ? await recordUnknown(creation, attempt, news, failure) : failure;
      }
    }
    throw await recordFailure(creation, id, news, {}, context.afterwards(failure), failure);
  }
}

/** The backend may have made something. The entry keeps the attempt, by which the next run finds the object. */
function recordUnknown(creation: Creation, attempt: string, news: Properties, failure: SnapcloneError) {
  creation.context.accepted(UNKNOWN_OUTCOME);
  const pending = creation.context.afterwards(failure);
  return recordFailure(creation, provisionalId(attempt), news, {}, pending, failure);
}

/** What the steps of an operation have in common. */
interface Target {
  definition: AnyDefinition;
  run: Run;
  client: unknown;
  context: RunningOperation;
}

/** What the outputs are made with. */
type Stored = Pick<Target, "definition" | "client"> & { context: Pick<OperationContext, "stack" | "signal"> };

interface Creation extends Target {
  tracker: OwnershipTracker;
  urn: string;
  record: OwnershipRecord;
  inputs: Properties;
}

interface Adopted {
  object: OwnedObject;
  /** What the object's record is to say from now on. */
  record: OwnershipRecord;
}

function scopeOf({
  definition,
  record,
  urn,
  inputs,
}: Pick<Creation, "definition" | "record" | "urn" | "inputs">): ListScope {
  return { stack: record.stack, place: definition.listScope?.(record, { ...inputs, __owner: urn }) ?? "" };
}

async function listOwned(creation: Creation): Promise<readonly OwnedObject[]> {
  return creation.urn === "" ? [] : creation.tracker.list(scopeOf(creation));
}

/** Takes over what an interrupted run of this resource left, if everything proves that it did (ownership.ts). */
async function adopt(creation: Creation, listed: readonly OwnedObject[]): Promise<Adopted | undefined> {
  const { definition, run, client, tracker, urn, record, inputs, context } = creation;
  const now = definition.serverTime?.(client) ?? run.clock.date();
  const answer = await findAdoptable({
    definition,
    tracker,
    record,
    listed,
    urn,
    askState: (fresh) => run.askState(fresh),
    diedAlone: (attempt) => run.diedAlone(record.stack, attempt),
    now,
    localNow: run.clock.date(),
    withinMs: run.adoptWithinMs,
  });
  if (answer.adopt === undefined) {
    if (answer.unasked) {
      context.warn(
        `an interrupted run may have left the ${definition.displayName} ${run.describeOwned(definition, answer.unasked.object, now)}. It was not ` +
          `adopted, since only the state can prove that: ${answer.unasked.reason}. A new one is made; delete the other on the backend if nobody needs it.`,
      );
    }
    return undefined;
  }
  const found = answer.adopt;
  run.log(
    "info",
    `adopted the ${definition.displayName} ${run.describeOwned(definition, found, now)}: an interrupted run made it`,
    urn,
  );
  return { object: found, record: ownershipRecord(definition, record.stack, urn, answer.attempt, inputs) };
}

/** A policy that forbids it costs no more than the word: the state holds the id in any case. */
async function writeRecord(
  { definition, client, context }: Target,
  id: string,
  record: OwnershipRecord,
  known: Properties | OwnedObject["state"],
  inputs: Properties,
): Promise<void> {
  try {
    await definition.recordOwnership(client, id, record, known, inputs);
  } catch (error) {
    if (!isKind(error, "forbidden")) throw error;
    context.warn(`the ownership record of ${id} could not be written: ${error.parts.message}`);
  }
}

/** One request, never repeated. If its outcome is unknown, the ownership record tells; else the next run looks again. */
async function beginOnce(creation: Creation, before: readonly OwnedObject[]): Promise<AcceptedOperation> {
  const { definition, client, tracker, record, inputs, context } = creation;
  if (context.signal.aborted) throw stopped("the run was stopped; nothing was sent");
  try {
    return await definition.beginCreate(client, inputs, record, context);
  } catch (error) {
    if (!isKind(error, "ambiguous") || record.owner === "") throw error;
    const earlier = new Set(before.map(({ id }) => id));
    for (const pause of LOST_REPLY_LOOKS_MS) {
      await abortableSleep(context.clock, pause, context.signal);
      const now = await tracker.list(scopeOf(creation), "afresh").catch(() => []);
      const found = now.find(
        (object) =>
          object.stack === record.stack &&
          object.owner === record.owner &&
          object.inputs === record.inputs &&
          !earlier.has(object.id) &&
          !tracker.madeHere(object.id),
      );
      if (found) return found;
    }
    throw error;
  }
}

/** The dry run of what a `create` would do, for `check`. A backend that can't be asked is no failure: previews need none. */
export async function dryRun(definition: AnyDefinition, run: Run, news: Properties): Promise<CheckFailure[]> {
  if (!definition.dryRun || unknownPaths(news).length > 0) return [];
  const { __owner } = news as HiddenInputs;
  const warn = (text: string) => run.log("warning", text, __owner);
  const operation = `ask for a dry run of ${definition.describe(news)}`;
  let client: unknown;
  try {
    client = connect(definition, run, news, operation);
  } catch {
    return [];
  }
  return run.track(async () => {
    try {
      const inputs = parseInputs(definition, news, operation);
      const context = { clock: run.clock, signal: run.signal, warn, stack: run.stackOf(news), owner: __owner ?? "" };
      return (await definition.dryRun?.(client, inputs, context)) ?? [];
    } catch (error) {
      warn(asSnapcloneError(error, operation).message);
      return [];
    }
  });
}

// --- read

export async function read(definition: AnyDefinition, run: Run, id: string, known: Properties) {
  const hidden = known as HiddenOutputs;
  const operation = `read ${definition.describe({ ...known, id })}`;
  run.markRecorded(definition, id);
  run.markSecrets(definition, hidden);
  return run.track(async () => {
    const client = connect(definition, run, known, operation);
    watch(definition, run, client, known);
    // Nothing tells yet what became of its create: the next `up` does.
    if (attemptInId(id) !== undefined) return { id, props: toState(known), inputs: inputsOf(definition, known) };
    const pending = known.pending as Pending | undefined;
    let observed: Observed | undefined;
    try {
      observed = await definition.read(client, id, known, run.signal);
      // What was accepted a moment ago may not be seen everywhere yet.
      for (const pause of observed || !pending || pending.failed ? [] : SECOND_LOOKS_MS) {
        await abortableSleep(run.clock, pause, run.signal);
        observed = await definition.read(client, id, known, run.signal);
        if (observed) break;
      }
      if (!observed && !isOnlyRead(definition, known)) await proveAbsence(definition, client, id, known, run.signal);
    } catch (error) {
      throw asSnapcloneError(error, operation);
    }
    if (!observed) {
      if (!isOnlyRead(definition, known)) return {};
      throw new SnapcloneError({
        kind: "notFound",
        operation,
        message: `there is no ${definition.displayName} with the id ${id}`,
      });
    }

    const trouble = await definition.diagnose?.(client, id, observed.state).catch(() => undefined);
    if (trouble) run.log("warning", `${definition.describe(observed.state)}: ${trouble}`, hidden.__owner);
    const target = { definition, client, run, context: { stack: hidden.__stack ?? "", signal: run.signal } };
    const props = await outputs(target, known, observed, trouble || !pending?.failed ? pending : undefined);
    return { id, props, inputs: inputsOf(definition, props) };
  });
}

/** A resource in the state has outputs; `get` comes with inputs alone, and has nothing to be deleted from. */
function isOnlyRead(definition: AnyDefinition, known: Properties): boolean {
  return !Object.keys(known).some((key) => !isHidden(key) && !(key in definition.inputs));
}

/** The end of the run compares with the state what the backend lists there. */
function watch(definition: AnyDefinition, run: Run, client: unknown, known: Properties): ListScope | undefined {
  const { __owner: urn } = known as HiddenOutputs;
  if (urn === undefined) return undefined;
  const record = ownershipRecord(definition, run.stackOf(known), urn, undefined, known);
  const scope = scopeOf({ definition, record, urn, inputs: known });
  run.tracker(definition, client).watch(scope);
  return scope;
}

/**
 * Throws unless the backend's "not found" proves that the object is gone: the login reaches the backend that the object
 * was on, and may see what the object belongs to.
 */
async function proveAbsence(
  definition: AnyDefinition,
  client: unknown,
  id: string,
  known: Properties,
  signal: AbortSignal,
): Promise<void> {
  const { __backend: recorded } = known as HiddenOutputs;
  const present = recorded === undefined ? undefined : await definition.identity(client, known, signal);
  const doubt =
    present === recorded
      ? await definition.doubtAbsence?.(client, known, signal)
      : `it is on another backend: the state says ${recorded}, and the connection reaches ${present}`;
  if (doubt === undefined) return;
  throw new SnapcloneError({
    kind: "refused",
    message: `the ${definition.displayName} ${id} is not to be found, and that does not prove that it is gone: ${doubt}. Nothing was changed`,
    hint: "Correct the connection (docs/connections.md). If the object is gone for good, take it out of the state: `pulumi state delete <urn>`.",
  });
}

// --- update

export async function update(
  definition: AnyDefinition,
  run: Run,
  id: string,
  olds: Properties,
  news: Properties,
  timeoutMs?: number,
) {
  const hidden = news as HiddenInputs;
  const operation = `update ${definition.describe(olds)}`;
  run.markRecorded(definition, id);
  run.markSecrets(definition, hidden);
  return run.track(async (begin) => {
    const inputs = parseInputs(definition, news, operation);
    const client = connect(definition, run, inputs, operation);
    const before = olds.pending as Pending | undefined;
    const unfinished = before?.failed ? undefined : before;
    // What a create left unfinished gets the time of a create, whatever operation resumes it.
    const resumed = unfinished?.operation ?? "update";
    const context = begin(
      new RunningOperation(definition, run, resumed, hidden, resumed === "update" ? timeoutMs : undefined, unfinished),
    );
    const target: Target = { definition, run, client, context };
    const entry: Properties = { ...news, __adopted: (olds as HiddenOutputs).__adopted };
    let touched = before !== undefined;
    let isRecordPresent = false;
    try {
      const observed = unfinished
        ? await definition.waitForCreate(client, { id, task: unfinished.task }, inputs, context)
        : await definition.read(client, id, olds, context.signal);
      if (!observed) {
        await proveAbsence(definition, client, id, olds, context.signal);
        throw gone(definition, id);
      }
      context.done();
      refuseImmutable(definition, olds, inputs, observed);
      touched = true;
      await refreshRecord(target, id, olds, news, inputs);
      isRecordPresent = true;
      return {
        outs: await outputs(target, entry, await definition.update(client, id, observed, inputs, olds, context)),
      };
    } catch (error) {
      const failure = asSnapcloneError(error, operation);
      if (!touched || isKind(failure, "notFound")) throw failure;
      // What had failed before goes on being left to do.
      const pending = context.afterwards(failure) ?? (before?.failed ? before : undefined);
      if (isRecordPresent) throw await recordFailure(target, id, entry, olds, pending, failure);
      // The object's record is still the old one: the next update must find it so.
      const { __owner, __stack = "" } = olds as HiddenOutputs;
      const stored = { ...target, context: { stack: __stack, signal: context.signal } };
      throw await recordFailure(stored, id, { ...entry, __owner }, olds, pending, failure);
    }
  });
}

/** The owner or the stack in the state's entry is not the present one (alias, rename, move): the object gets the new one. */
async function refreshRecord(target: Target, id: string, olds: Properties, news: Properties, inputs: Properties) {
  const { definition, context } = target;
  const { __owner: urn, __attempt = RECORDED } = news as HiddenInputs;
  const { __owner, __stack } = olds as HiddenOutputs;
  if (urn === undefined || (__owner === urn && __stack === context.stack)) return;
  await writeRecord(target, id, ownershipRecord(definition, context.stack, urn, __attempt, inputs), olds, inputs);
}

/** What the state did not hold (an imported entry) the backend tells: it must be what the program says. */
function refuseImmutable(definition: AnyDefinition, olds: Properties, inputs: Properties, { state }: Observed): void {
  const wrong = Object.entries(definition.inputs).flatMap(([key, { onChange }]) => {
    const isImmutable = onChange === "replace" && canonical(olds[key]) === "null" && canonical(state[key]) !== "null";
    if (!isImmutable || canonical(state[key]) === canonical(inputs[key])) return [];
    return [`${key} is ${JSON.stringify(state[key])} on the backend and ${JSON.stringify(inputs[key])} in the program`];
  });
  if (wrong.length === 0) return;
  throw new SnapcloneError({
    kind: "input",
    message: `${wrong.join("; ")}: that can't change in place, and nothing was changed`,
    hint: "Correct the program, or make a new one by `pulumi up --replace <urn>`, which deletes this one afterwards.",
  });
}

// --- delete

export async function remove(
  definition: AnyDefinition,
  run: Run,
  id: string,
  known: Properties,
  timeoutMs?: number,
): Promise<void> {
  const hidden = known as HiddenOutputs;
  const operation = `delete ${definition.describe({ ...known, id })}`;
  run.markRecorded(definition, id);
  run.markSecrets(definition, hidden);
  return run.track(async (begin) => {
    const client = connect(definition, run, known, operation);
    const twin = await run.twinOf(id, hidden);
    if (twin) {
      const kept = `${definition.describe({ ...known, id })} was not deleted: another entry of the state, ${twin.urn}, has the same id and stays`;
      run.log("warning", `${kept}. Run the same command again if it was to be replaced.`, hidden.__owner);
      return;
    }
    const scope = watch(definition, run, client, known);
    const tracker = run.tracker(definition, client);
    try {
      for (const object of await objectsOf(tracker, scope, id, known)) {
        const context = begin(new RunningOperation(definition, run, "delete", hidden, timeoutMs));
        const outcome = await deleteOnce(definition, client, object.id, { ...known, ...object.state }, context);
        if (outcome === "missing") await proveAbsence(definition, client, object.id, known, run.signal);
        tracker.markDeleted(object.id);
      }
    } catch (error) {
      throw asSnapcloneError(error, operation);
    }
  });
}

/** Of a create with an unknown outcome: what it made bears the attempt, unless a later create has adopted the object. */
async function objectsOf(
  tracker: OwnershipTracker,
  scope: ListScope | undefined,
  id: string,
  known: Properties,
): Promise<readonly Pick<OwnedObject, "id" | "state">[]> {
  const attempt = attemptInId(id);
  if (attempt === undefined) return [{ id, state: known }];
  if (scope === undefined) return [];
  // What this run made is the replacement's: of a short attempt two may have the same beginning.
  const listed = await tracker.list(scope, "afresh");
  return listed.filter((object) => isSameAttempt(object.attempt, attempt) && !tracker.madeHere(object.id));
}

async function deleteOnce(
  definition: AnyDefinition,
  client: unknown,
  id: string,
  known: Properties,
  context: OperationContext,
) {
  try {
    return await definition.delete(client, id, known, context);
  } catch (error) {
    if (isKind(error, "notFound")) return "missing" as const;
    throw error;
  }
}

// --- what goes into the state

/** A failure after the backend has accepted something: the state gets what is there now, so that nothing is lost. */
async function recordFailure(
  target: Stored,
  id: string,
  news: Properties,
  olds: Properties,
  pending: Pending | undefined,
  failure: SnapcloneError,
): Promise<PartialFailure> {
  const { definition, client } = target;
  // Asked anew, and shortly: the state must hold what was observed, not what was wanted (pulumi#21458).
  const observed =
    attemptInId(id) === undefined
      ? await definition.read(client, id, { ...olds, ...news }, AbortSignal.timeout(10_000)).catch(() => undefined)
      : undefined;
  const told = new SnapcloneError({
    ...failure.parts,
    hint: [failure.parts.hint, hintOf(definition, pending)].filter(Boolean).join("\n"),
  });
  const base = observed ? news : { ...news, ...olds, ...hiddenOf(news) };
  // Ids that only the outputs have must outlive a look that fails.
  const before = Object.entries(olds).filter(
    ([key]) => !isHidden(key) && !(key in definition.inputs) && key !== "pending",
  );
  const recorded = async (state: Observed["state"]) =>
    new PartialFailure(id, await outputs(target, base, { state }, pending), told);
  try {
    return await recorded(observed?.state ?? Object.fromEntries(before));
  } catch {
    // The failure may be just that: a value in the state that Pulumi can't store. Better a poor record than none.
    return recorded({});
  }
}

function hintOf({ onFailedCreate }: AnyDefinition, pending: Pending | undefined): string {
  if (isUnknown(pending)) {
    return "Whether it was carried out is not known. It is recorded: the next `pulumi up` adopts what was made or makes it, `pulumi destroy` removes it.";
  }
  if (!pending) return "The state holds what is there now. Run `pulumi up` again when the cause is gone.";
  if (!pending.failed) return "It is recorded, and nothing is lost: the next `pulumi up` resumes the wait.";
  const mends = pending.operation !== "create" || onFailedCreate === "update";
  return `It is recorded: the next \`pulumi up\` ${mends ? "does what is left" : "replaces it"}, \`pulumi destroy\` removes it.`;
}

/** The inputs as given, and over them all that was observed. */
async function outputs(
  { definition, client, context }: Stored,
  inputs: Properties,
  observed: Observed,
  pending?: Pending,
): Promise<Properties> {
  const kept = Object.entries(inputs).filter(([key]) => isHidden(key) || key in definition.inputs);
  const known = { ...Object.fromEntries(kept), ...observed.state };
  // A backend that can't be told now leaves what was recorded before.
  const backend = await definition.identity(client, known, context.signal).catch(() => undefined);
  const owned = (inputs as HiddenInputs).__owner === undefined ? {} : { __stack: context.stack || undefined };
  return toState({ ...known, ...owned, ...(backend === undefined ? {} : { __backend: backend }), pending });
}

const HIDDEN_INPUTS: ReadonlySet<string> = new Set<keyof HiddenInputs>([
  "__owner",
  "__organization",
  "__timeouts",
  "__secrets",
  "__attempt",
  "__provider",
]);

function hiddenOf(news: Properties): Properties {
  return Object.fromEntries(Object.entries(news).filter(([key]) => HIDDEN_INPUTS.has(key)));
}

/** For a refresh: the inputs as they stand on the backend, so that drift shows as a difference from the program. */
function inputsOf(definition: AnyDefinition, props: Properties): Properties {
  return Object.fromEntries(
    Object.entries(props).filter(
      ([key, value]) => HIDDEN_INPUTS.has(key) || (key in definition.inputs && canonical(value) !== "null"),
    ),
  );
}

// --- what every operation needs

function parseInputs(definition: AnyDefinition, news: Properties, operation: string): Properties {
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

function connect(definition: AnyDefinition, run: Run, inputs: Properties, operation: string): unknown {
  try {
    const name = inputs.connection;
    return run.connections.open(definition.connection, typeof name === "string" ? name : undefined);
  } catch (error) {
    throw asSnapcloneError(error, operation);
  }
}

/** An OperationContext, and the memory of what the backend has accepted in it and not yet ended. */
class RunningOperation implements OperationContext {
  readonly clock: Run["clock"];
  readonly deadline: number;
  readonly signal: AbortSignal;
  readonly stack: string;

  constructor(
    definition: AnyDefinition,
    private readonly run: Run,
    private readonly operation: Operation,
    private readonly hidden: HiddenInputs,
    /** The request's. A process's first request comes without: then it is what the program gave. */
    timeoutMs: number | undefined,
    private pending?: Pending,
  ) {
    // "0" is no duration, and means none: the default then.
    const given = timeoutMs ?? parseDuration(hidden.__timeouts?.[operation] ?? "");
    const timeout = given ?? parseDuration(definition.timeouts[operation]);
    this.clock = run.clock;
    this.deadline = run.clock.now() + (timeout ?? 0);
    this.signal = run.signal;
    this.stack = run.stackOf(hidden);
  }

  progress(text: string): void {
    this.run.log("status", text, this.hidden.__owner);
  }

  warn(text: string): void {
    this.run.log("warning", text, this.hidden.__owner);
  }

  accepted(task: Task): void {
    this.pending = { operation: this.operation, task, since: this.clock.date().toISOString() };
  }

  done(): void {
    delete this.pending;
  }

  /** What the state must remember after this failure. */
  afterwards(failure: SnapcloneError): Pending | undefined {
    // Only the backend's own "it failed" ends the work: a look that was refused says nothing about it.
    return this.pending && isKind(failure, "failed") ? { ...this.pending, failed: true } : this.pending;
  }
}

function isUnknown(pending: Pending | undefined): boolean {
  return pending?.task.outcome === UNKNOWN_OUTCOME.outcome;
}

function gone(definition: AnyDefinition, id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "notFound",
    message: `the ${definition.displayName} ${id} does not exist any more`,
    hint: "Run `pulumi refresh` to take it out of the state; the next `pulumi up` makes a new one.",
  });
}
