// create, read, update and delete of every resource: the steps that keep any object from being lost or made twice. Throws a
// PartialFailure when something exists that the engine has to record.

import { proveAbsence } from "./absence";
import { type Adopted, adopt } from "./adopt";
import { attemptInId, isSameAttempt, provisionalId, unnamedAttempt } from "./attempt";
import { type Checked, check as checkInputs, isHidden } from "./check";
import { DEFAULT_CONNECTION } from "./connection/connections";
import type {
  AcceptedOperation,
  AnyDefinition,
  HiddenInputs,
  HiddenOutputs,
  ListScope,
  Observed,
  OperationContext,
  OwnedObject,
  Pending,
} from "./definition";
import { canonical } from "./diff";
import { dryRun } from "./dryRun";
import { asSnapcloneError, isKind, SnapcloneError } from "./errors";
import { announceImport, takeOver } from "./import";
import {
  type Creation,
  connect,
  type Properties,
  parseInputs,
  RunningOperation,
  scopeOf,
  type Target,
  timeToResume,
  writeRecord,
} from "./operation";
import { inputsOf, outputs, type PartialFailure, recordFailure, UNKNOWN_OUTCOME } from "./outputs";
import { NO_RECORD, ownershipRecord, RECORDED, shortAttempt } from "./ownership";
import { keepAt } from "./propertyPath";
import { waitsForNextUp } from "./repeats";
import { retryUntilFound } from "./retryUntilFound";
import type { Run } from "./run";
import { objectsToDelete } from "./unknownOutcome";
import { abortableSleep, stopped } from "./util/abort";
import { toState } from "./util/toState";

/** Milliseconds before each new read of an object that is still being created and was not found: half a minute in all. */
const REREAD_INTERVALS_MS = [1_000, 3_000, 6_000, 10_000, 10_000];

// --- check

/** `check` of inputs, and what only a backend can say about a resource that is to be made: a dry run of its create. */
export async function check(
  definition: AnyDefinition,
  run: Run,
  olds: Properties,
  news: Properties,
  randomSeed: Uint8Array | undefined,
): Promise<Checked> {
  const checked = checkInputs(definition, olds, news, randomSeed);
  // The engine gives olds to what exists.
  if (Object.keys(olds).length > 0 || checked.failures.length > 0) return checked;
  if ((checked.inputs as HiddenInputs).__import !== undefined) {
    announceImport(definition, run, checked.inputs);
    return checked;
  }
  return { ...checked, failures: await dryRun(definition, run, checked.inputs) };
}

// --- create

export async function create(definition: AnyDefinition, run: Run, news: Properties, timeoutMs?: number) {
  const { __owner, __attempt } = news as HiddenInputs;
  if (__owner === undefined) return createNew(definition, run, news, timeoutMs);
  const operation = `create ${definition.describe(news)}`;
  return run.repeats.answer(`${__owner} ${__attempt}`, operation, (earlier) =>
    earlier ? createAgain(definition, run, earlier, news, timeoutMs) : createNew(definition, run, news, timeoutMs),
  );
}

async function createNew(definition: AnyDefinition, run: Run, news: Properties, timeoutMs: number | undefined) {
  const hidden = news as HiddenInputs;
  const operation = `create ${definition.describe(news)}`;
  run.registerSecretInputs(definition, hidden);
  return run.track(async (begin) => {
    const inputs = parseInputs(definition, news, operation);
    const client = connect(definition, run, inputs, operation);
    const context = begin(new RunningOperation(definition, run, "create", hidden, timeoutMs));
    const { __owner: urn = "", __attempt: attempt = unnamedAttempt() } = hidden;
    const record = ownershipRecord(definition, context.stack, urn, attempt, inputs);
    const tracker = run.tracker(definition, client);
    const creation: Creation = { definition, run, client, tracker, urn, record, inputs, context };
    const { __import: importId } = hidden;
    return run.answering(record.stack, record.attempt, () =>
      importId === undefined ? adoptOrCreate(creation, attempt, news, operation) : takeOver(creation, news, importId),
    );
  });
}

/** Resumes what the same create has left in this run. */
async function createAgain(
  definition: AnyDefinition,
  run: Run,
  earlier: PartialFailure,
  news: Properties,
  timeoutMs: number | undefined,
) {
  if (waitsForNextUp(definition, earlier)) throw earlier;
  const { id, properties } = earlier;
  const resume = () => updateEntry(definition, run, id, properties, news, { timeoutMs, resumeMs: timeoutMs });
  try {
    const { __attempt } = news as HiddenInputs;
    // A later run asks for the attempt as the object's record has it.
    const attempt = __attempt === undefined ? undefined : shortAttempt(definition, __attempt);
    return { id, ...(await run.answering(run.stackOf(news), attempt, resume)) };
  } catch (error) {
    if (!isKind(error, "notFound")) throw error;
    return createNew(definition, run, news, timeoutMs);
  }
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
  tracker.registerMade(id, record);
  context.accepted(accepted.task);
  let isRecorded = adopted === undefined;
  try {
    if (adopted) await writeRecord(creation, id, adopted.record, adopted.object.state, inputs);
    isRecorded = true;
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
      // The object is gone, unless the list shows it, perhaps under another id than the accepting answer named.
      const listed = urn === "" ? [] : await tracker.list(scopeOf(creation), "afresh").catch(() => undefined);
      const isThere = listed === undefined || listed.some((object) => object.id === id);
      if (!isThere) {
        tracker.registerDeleted(id);
        const isElsewhere = listed.some((object) => isSameAttempt(object.attempt, record.attempt));
        throw isElsewhere ? await recordUnknown(creation, attempt, news, failure) : failure;
      }
    }
    const stack = isRecorded ? context.stack : NO_RECORD;
    const target = { definition, client, context: { stack, signal: context.signal } };
    throw await recordFailure(target, id, news, {}, context.afterwards(failure), failure);
  }
}

/** The backend may have made an object. The state keeps the attempt, by which the next run finds that object. */
function recordUnknown(creation: Creation, attempt: string, news: Properties, failure: SnapcloneError) {
  creation.context.accepted(UNKNOWN_OUTCOME);
  const pending = creation.context.afterwards(failure);
  return recordFailure(creation, provisionalId(attempt), news, {}, pending, failure);
}

async function listOwned(creation: Creation): Promise<readonly OwnedObject[]> {
  return creation.urn === "" ? [] : creation.tracker.list(scopeOf(creation));
}

/** Sends the request of a create once. If its outcome is unknown, the ownership record shows whether it was carried out. */
async function beginOnce(creation: Creation, before: readonly OwnedObject[]): Promise<AcceptedOperation> {
  const { definition, client, tracker, record, inputs, context } = creation;
  if (context.signal.aborted) throw stopped("the run was stopped; nothing was sent");
  try {
    return await definition.beginCreate(client, inputs, record, context);
  } catch (error) {
    if (!isKind(error, "ambiguous") || record.owner === "") throw error;
    const earlier = new Set(before.map(({ id }) => id));
    const isOurs = (object: OwnedObject) =>
      object.stack === record.stack &&
      object.owner === record.owner &&
      object.inputs === record.inputs &&
      (object.attempt === undefined || isSameAttempt(object.attempt, record.attempt)) &&
      !earlier.has(object.id) &&
      !tracker.madeHere(object.id);
    const search = async () => (await tracker.list(scopeOf(creation), "afresh")).find(isOurs);
    const found = await retryUntilFound(search, context);
    if (found === undefined) throw error;
    return found;
  }
}

// --- read

export async function read(definition: AnyDefinition, run: Run, id: string, known: Properties) {
  const hidden = known as HiddenOutputs;
  const operation = `read ${definition.describe({ ...known, id })}`;
  run.registerRecorded(definition, id);
  run.registerSecretInputs(definition, hidden);
  return run.track(async () => {
    const client = connect(definition, run, known, operation);
    watch(definition, run, client, known);
    // The outcome of its create is unknown until the next `up`.
    if (attemptInId(id) !== undefined) return { id, props: toState(known), inputs: inputsOf(definition, known) };
    const pending = known.pending as Pending | undefined;
    let observed: Observed | undefined;
    try {
      observed = await readPatiently(definition, run, client, id, known);
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

    const problem = await definition.diagnose?.(client, id, observed.state).catch(() => undefined);
    if (problem) run.log("warning", `${definition.describe(observed.state)}: ${problem}`, hidden.__owner);
    const target = { definition, client, run, context: { stack: hidden.__stack ?? "", signal: run.signal } };
    const props = await outputs(target, known, observed, problem || !pending?.failed ? pending : undefined);
    return { id, props, inputs: inputsOf(definition, props) };
  });
}

/** A replica or a cell may not show an object that was accepted a moment ago. */
async function readPatiently(definition: AnyDefinition, run: Run, client: unknown, id: string, known: Properties) {
  const pending = known.pending as Pending | undefined;
  const readOnce = () => definition.read(client, id, known, run.signal);
  let observed = await readOnce();
  if (!pending || pending.failed) return observed;
  for (const pause of REREAD_INTERVALS_MS) {
    if (observed) break;
    await abortableSleep(run.clock, pause, run.signal);
    observed = await readOnce();
  }
  return observed;
}

/** `get` reads with inputs alone. A resource in the state has outputs, too. */
function isOnlyRead(definition: AnyDefinition, known: Properties): boolean {
  return !Object.keys(known).some((key) => !isHidden(key) && !(key in definition.inputs));
}

/** At the end of the run, the backend's list of this scope is compared with the state. */
function watch(definition: AnyDefinition, run: Run, client: unknown, known: Properties): ListScope | undefined {
  const { __owner: urn } = known as HiddenOutputs;
  if (urn === undefined) return undefined;
  const record = ownershipRecord(definition, run.stackOf(known), urn, undefined, known);
  const scope = scopeOf({ definition, record, urn, inputs: known });
  run.tracker(definition, client).watch(scope);
  return scope;
}

// --- update

export async function update(
  definition: AnyDefinition,
  run: Run,
  id: string,
  olds: Properties,
  news: Properties,
  timeoutMs?: number,
  ignoreChanges: readonly string[] = [],
) {
  const operation = `update ${definition.describe(olds)}`;
  return run.repeats.answer(`${definition.displayName} ${id}`, operation, async (earlier) => {
    // A create that this update has resumed, and that has failed: only a diff can have the object replaced.
    if (earlier && waitsForNextUp(definition, earlier)) throw earlier;
    return updateEntry(definition, run, id, earlier?.properties ?? olds, news, { timeoutMs, ignoreChanges });
  });
}

interface UpdateOptions {
  timeoutMs: number | undefined;
  /** For what a create has left. Default: as `timeToResume` says. */
  resumeMs?: number | undefined;
  ignoreChanges?: readonly string[];
}

async function updateEntry(
  definition: AnyDefinition,
  run: Run,
  id: string,
  olds: Properties,
  news: Properties,
  { timeoutMs, resumeMs, ignoreChanges = [] }: UpdateOptions,
) {
  const hidden = news as HiddenInputs;
  const operation = `update ${definition.describe(olds)}`;
  run.registerRecorded(definition, id);
  run.registerSecretInputs(definition, hidden);
  return run.track(async (begin) => {
    const inputs = parseInputs(definition, news, operation);
    const client = connect(definition, run, inputs, operation);
    const before = olds.pending as Pending | undefined;
    const unfinished = before?.failed ? undefined : before;
    const resumed = unfinished?.operation ?? "update";
    const given =
      resumed === "update" ? timeoutMs : (resumeMs ?? timeToResume(definition, unfinished, hidden, timeoutMs));
    const context = begin(new RunningOperation(definition, run, resumed, hidden, given, unfinished));
    const target: Target = { definition, run, client, context };
    const entry: Properties = { ...news, __adopted: (olds as HiddenOutputs).__adopted };
    let touched = before !== undefined;
    let isRecordPresent = false;
    try {
      const observed = unfinished
        ? await resume(target, { id, task: unfinished.task }, olds, inputs)
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
      const wants = ignoreDrift(definition, observed, inputs, ignoreChanges);
      return {
        outs: await outputs(target, entry, await definition.update(client, id, observed, wants, olds, context)),
      };
    } catch (error) {
      const failure = asSnapcloneError(error, operation);
      if (!touched || isKind(failure, "notFound")) throw failure;
      // Work that had failed before is still to be done, and so is what `update` was to do after the wait.
      const left = before?.failed || !isRecordPresent ? before : undefined;
      const pending = context.afterwards(failure) ?? left;
      // The next update is still the first one after Pulumi's own import.
      const failed = { ...entry, __programUnknown: (olds as HiddenOutputs).__programUnknown };
      if (isRecordPresent) throw await recordFailure(target, id, failed, olds, pending, failure);
      // The record on the object is still the old one, so the state keeps what it was made from: the next update sees the
      // difference.
      const { __owner, __stack = "", connection } = olds as HiddenOutputs & Properties;
      const stored = { ...target, context: { stack: __stack, signal: context.signal } };
      throw await recordFailure(stored, id, { ...failed, __owner, connection }, olds, pending, failure);
    }
  });
}

/** Waits for what an earlier run has begun. undefined if its object is not there any more. */
async function resume(
  { definition, client, context }: Target,
  accepted: AcceptedOperation,
  olds: Properties,
  inputs: Properties,
): Promise<Observed | undefined> {
  try {
    return await definition.waitForCreate(client, accepted, inputs, context);
  } catch (error) {
    // The wait may be for a part of the resource, and its login may not be the one that began the work.
    const isMissing = isKind(error, "notFound") && !(await definition.read(client, accepted.id, olds, context.signal));
    if (!isMissing) throw error;
    return undefined;
  }
}

/**
 * After an alias, a rename or a move, the state names the former owner or stack: the object gets the present one. The name
 * of the connection is part of the record's fingerprint of the inputs.
 */
async function refreshRecord(target: Target, id: string, olds: Properties, news: Properties, inputs: Properties) {
  const { definition, context } = target;
  const { __owner: urn, __attempt = RECORDED } = news as HiddenInputs;
  const { __owner, __stack } = olds as HiddenOutputs;
  const nameOf = ({ connection }: Properties) => connection ?? DEFAULT_CONNECTION;
  const isRenamed = nameOf(olds) !== nameOf(inputs);
  if (urn === undefined || (__owner === urn && __stack === context.stack && !isRenamed)) return;
  await writeRecord(target, id, ownershipRecord(definition, context.stack, urn, __attempt, inputs), olds, inputs);
}

/**
 * `ignoreChanges`: the engine puts the last program's values in place of the present one's. If somebody has changed the object
 * since, the object keeps its value. An input that the backend does not show has the engine's value.
 */
function ignoreDrift(definition: AnyDefinition, { state }: Observed, inputs: Properties, paths: readonly string[]) {
  if (paths.length === 0) return inputs;
  const shown = Object.entries(definition.inputs).filter(
    ([key, { onChange }]) => key in state && onChange !== "replace",
  );
  return keepAt(
    state,
    inputs,
    paths,
    shown.map(([key]) => key),
  );
}

/** An imported entry lacks inputs in the state. What the backend shows of them must be what the program says. */
function refuseImmutable(definition: AnyDefinition, olds: Properties, inputs: Properties, { state }: Observed): void {
  const wrong = Object.entries(definition.inputs).flatMap(([key, { onChange }]) => {
    const isImmutable = onChange === "replace" && canonical(olds[key]) === "null" && canonical(state[key]) !== "null";
    if (!isImmutable || canonical(state[key]) === canonical(inputs[key])) return [];
    return [`${key} is ${JSON.stringify(inputs[key])} in the program and ${JSON.stringify(state[key])} on the backend`];
  });
  if (wrong.length === 0) return;
  throw new SnapcloneError({
    kind: "input",
    message: `${wrong.join("; ")}: that can't change in place; nothing was changed`,
    hint: "Correct the program, or run `pulumi up --replace <urn>`, which makes a new object and then deletes this one.",
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
  run.registerRecorded(definition, id);
  run.registerSecretInputs(definition, hidden);
  return run.track(async (begin) => {
    const client = connect(definition, run, known, operation);
    const twin = await run.twinOf(definition, id, hidden);
    if (twin) {
      const kept = `${definition.describe({ ...known, id })} was not deleted: another entry of the state, ${twin.urn}, has the same id`;
      const way = hidden.__stack === undefined ? ". Run the same command again if it was to be replaced." : "";
      run.log("warning", `${kept}${way}`, hidden.__owner);
      return;
    }
    watch(definition, run, client, known);
    const tracker = run.tracker(definition, client);
    try {
      for (const object of await objectsToDelete({ definition, run, client, tracker }, id, known)) {
        const context = begin(new RunningOperation(definition, run, "delete", hidden, timeoutMs));
        const outcome = await deleteOnce(definition, client, object.id, { ...known, ...object.state }, context);
        if (outcome === "missing") await proveAbsence(definition, client, object.id, known, run.signal);
        tracker.registerDeleted(object.id);
      }
    } catch (error) {
      throw asSnapcloneError(error, operation);
    }
  });
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

function gone(definition: AnyDefinition, id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "notFound",
    message: `the ${definition.displayName} ${id} does not exist any more`,
    hint: "Run `pulumi refresh` to remove it from the state. The next `pulumi up` then makes a new one.",
  });
}
