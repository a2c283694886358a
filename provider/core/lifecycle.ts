// create, read, update and delete of every resource: what must be the same everywhere so that nothing is lost and
// nothing is made twice. Throws a PartialFailure when something exists that the engine has to record.

import { type CheckFailure, isHidden, unknownPaths } from "./check";
import type {
  Accepted,
  AnyDefinition,
  HiddenInputs,
  Job,
  Marker,
  Observed,
  OpenObject,
  Operation,
  Pending,
  Task,
} from "./definition";
import { canonical } from "./diff";
import { parseDuration } from "./duration";
import { asSnapcloneError, type ErrorKind, isKind, SnapcloneError } from "./errors";
import { type Ledger, markerOf, placeOf, shortOwner } from "./ledger";
import type { Run } from "./run";
import { plain } from "./sanitise";
import { stopped } from "./stop";

export type Properties = Record<string, unknown>;

/** The engine records what this carries: Pulumi's init failure (reference pulumi-dynamic.md §3). */
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

export async function create(definition: AnyDefinition, run: Run, news: Properties) {
  const hidden = news as HiddenInputs;
  const doing = `create ${definition.describe(news)}`;
  return run.track(async () => {
    const inputs = parseInputs(definition, news, doing);
    const client = connect(definition, run, inputs, doing);
    const job = new RunningJob(definition, run, "create", hidden);
    const ledger = run.ledger(definition, client);
    const marker = markerOf(definition, hidden.__owner ?? "", inputs);
    const place = placeOf(definition, hidden.__owner ?? "", inputs);

    let adopted: OpenObject | undefined;
    let accepted: Accepted;
    try {
      adopted = await findDebris(definition, ledger, marker, place, job);
      if (adopted) await definition.claim(client, adopted.id, run.id);
      accepted = adopted ?? (await startOnce(definition, client, ledger, inputs, marker, place, job));
    } catch (error) {
      throw asSnapcloneError(error, doing);
    }
    const { id } = accepted;
    ledger.made(id, adopted ? "adopted" : "started");
    job.accepted(accepted.task);
    const entry: Properties = adopted ? { ...news, __adopted: run.id } : news;
    try {
      let observed = await definition.finish(client, accepted, inputs, job);
      job.done();
      if (adopted) observed = await definition.change(client, id, observed, inputs, adopted.state, job);
      return { id, outs: outputs(definition, entry, observed) };
    } catch (error) {
      const failure = asSnapcloneError(error, doing);
      // It went away by itself: there is nothing to record.
      if (isKind(failure, "notFound")) throw failure;
      throw await record(definition, client, id, entry, {}, job.afterwards(failure), failure);
    }
  });
}

/** The dry run of what a `create` would do, for `check`. A backend that can't be asked is no failure: previews need none. */
export async function rehearse(definition: AnyDefinition, run: Run, news: Properties): Promise<CheckFailure[]> {
  if (!definition.rehearse || unknownPaths(news).length > 0) return [];
  const { __owner } = news as HiddenInputs;
  const warn = (text: string) => run.log("warning", text, __owner);
  const doing = `rehearse the making of ${definition.describe(news)}`;
  let client: unknown;
  try {
    client = connect(definition, run, news, doing);
  } catch {
    return [];
  }
  return run.track(async () => {
    try {
      const inputs = parseInputs(definition, news, doing);
      return (await definition.rehearse?.(client, inputs, { clock: run.clock, signal: run.signal, warn })) ?? [];
    } catch (error) {
      warn(asSnapcloneError(error, doing).message);
      return [];
    }
  });
}

export async function read(definition: AnyDefinition, run: Run, id: string, known: Properties) {
  const hidden = known as HiddenInputs;
  const doing = `read ${definition.describe({ ...known, id })}`;
  run.sawLiving(definition, id, known);
  return run.track(async () => {
    const client = connect(definition, run, known, doing);
    let observed: Observed | undefined;
    try {
      observed = await definition.observe(client, id, known, run.signal);
    } catch (error) {
      throw asSnapcloneError(error, doing);
    }
    if (!observed) {
      // A resource in the state has outputs; `get` comes with inputs alone, and has nothing to be deleted from.
      if (Object.keys(known).some((key) => !isHidden(key) && !(key in definition.inputs))) return {};
      throw new SnapcloneError({ kind: "notFound", doing, said: `there is no ${definition.noun} with the id ${id}` });
    }
    settleIfOurs(run, definition, client, id, hidden, observed);
    await tellDebris(definition, run, client, known);

    const trouble = await definition.problem?.(client, id, observed.state).catch(() => undefined);
    const pending = known.pending as Pending | undefined;
    if (trouble) run.log("warning", `${definition.describe(observed.state)}: ${trouble}`, hidden.__owner);
    const props = outputs(definition, known, observed, trouble || !pending?.failed ? pending : undefined);
    return { id, props, inputs: inputsOf(definition, props) };
  });
}

export async function update(definition: AnyDefinition, run: Run, id: string, olds: Properties, news: Properties) {
  const hidden = news as HiddenInputs;
  const doing = `update ${definition.describe(olds)}`;
  run.sawLiving(definition, id, olds);
  const entry: Properties = { ...news, __adopted: olds.__adopted };
  return run.track(async () => {
    const inputs = parseInputs(definition, news, doing);
    const client = connect(definition, run, inputs, doing);
    const before = olds.pending as Pending | undefined;
    const unfinished = before?.failed ? undefined : before;
    // What a create left unfinished gets the time of a create, whatever operation goes on with it.
    const job = new RunningJob(definition, run, unfinished?.operation ?? "update", hidden, unfinished);
    let touched = before !== undefined;
    try {
      const observed = unfinished
        ? await definition.finish(client, { id, task: unfinished.task }, inputs, job)
        : await definition.observe(client, id, olds, job.signal);
      if (!observed) throw gone(definition, id);
      job.done();
      settleIfOurs(run, definition, client, id, hidden, observed);
      touched = true;
      return { outs: outputs(definition, entry, await definition.change(client, id, observed, inputs, olds, job)) };
    } catch (error) {
      const failure = asSnapcloneError(error, doing);
      if (!touched || isKind(failure, "notFound")) throw failure;
      throw await record(definition, client, id, entry, olds, job.afterwards(failure), failure);
    }
  });
}

export async function remove(definition: AnyDefinition, run: Run, id: string, known: Properties): Promise<void> {
  const hidden = known as HiddenInputs;
  const doing = `delete ${definition.describe({ ...known, id })}`;
  run.sawId(definition, id);
  return run.track(async () => {
    const client = connect(definition, run, known, doing);
    try {
      if (await isStillNeeded(definition, run, client, id, known)) return;
      await definition.remove(client, id, known, new RunningJob(definition, run, "delete", hidden));
    } catch (error) {
      if (!isKind(error, "notFound")) throw asSnapcloneError(error, doing);
    }
  });
}

/**
 * The engine doesn't tell a create that it is a forced replacement. If an interrupted run had left the old object's mark
 * open, the create took it for the debris of its own and got the old one back: the state then has two entries for one
 * object, and deleting the old entry would delete the only copy. An error here would leave both in the state, for the
 * next run to delete it; so the old entry goes, the object stays, and the user is told.
 */
async function isStillNeeded(
  definition: AnyDefinition,
  run: Run,
  client: unknown,
  id: string,
  known: HiddenInputs & Properties,
): Promise<boolean> {
  // Of an earlier run, killed before it came to this point.
  if (run.livesElsewhere(definition, id, known)) return true;
  if (!(await adoptedByThisRun(definition, run, client, id, known))) return false;
  run.log(
    "warning",
    `${definition.describe({ ...known, id })} was not replaced: this run found ${id} as an interrupted run leaves it, and ` +
      "took it in place of a new one. Run the same command again for a new one.",
    known.__owner,
  );
  return true;
}

/** The provider itself may be replaced in the same run (`--replace "**"`): then another process has adopted it. */
async function adoptedByThisRun(
  definition: AnyDefinition,
  run: Run,
  client: unknown,
  id: string,
  known: HiddenInputs & Properties,
): Promise<boolean> {
  const ledger = run.ledger(definition, client);
  if (ledger.wasAdoptedHere(id)) return true;
  if (!(await ledger.isOpen(id, placeOf(definition, known.__owner ?? "", known)))) return false;
  return (await definition.observe(client, id, known, run.signal))?.adoptedBy === run.id;
}

/** Adopts the debris of an interrupted run, and says what can't be adopted. */
async function findDebris(definition: AnyDefinition, ledger: Ledger, marker: Marker, place: string, job: Job) {
  if (marker.owner === "") return undefined;
  const { adopt, left } = await ledger.debris(marker, place, "once");
  for (const { id } of left) {
    job.warn(
      `an interrupted run left the ${definition.noun} ${id}, made for this resource from other inputs. ` +
        "It was not touched: delete it on the backend if nobody needs it.",
    );
  }
  if (adopt) job.progress(`adopting ${adopt.id}, made by an interrupted run`);
  return adopt;
}

/**
 * A replacement that was killed may have begun another object, and where nothing is replaced any more no create finds it:
 * so a refresh says that it is there. What can't be listed now is said by the next one.
 */
async function tellDebris(definition: AnyDefinition, run: Run, client: unknown, known: HiddenInputs & Properties) {
  const owner = known.__owner ?? "";
  if (owner === "") return;
  const marker = markerOf(definition, owner, known);
  const place = placeOf(definition, owner, known);
  const debris = await run
    .ledger(definition, client)
    .debris(marker, place, "once")
    .catch(() => undefined);
  if (!debris) return;
  const { adopt, left } = debris;
  for (const { id } of adopt ? [adopt, ...left] : left) {
    run.log(
      "warning",
      `an interrupted run left the ${definition.noun} ${id}, made for this resource and in no state. ` +
        "`pulumi up --replace` of this resource takes it where it can; else delete it on the backend if nobody needs it.",
      owner,
    );
  }
}

/** One request, never repeated. If its outcome is unknown, the marker tells; if it doesn't, the next run looks again. */
async function startOnce(
  definition: AnyDefinition,
  client: unknown,
  ledger: Ledger,
  inputs: Properties,
  marker: Marker,
  place: string,
  job: Job,
): Promise<Accepted> {
  if (job.signal.aborted) throw stopped("the run was stopped; nothing was sent");
  try {
    return await definition.start(client, inputs, marker, job);
  } catch (error) {
    if (!isKind(error, "ambiguous") || marker.owner === "") throw error;
    for (const pause of LOST_REPLY_LOOKS_MS) {
      await job.clock.sleep(pause, job.signal);
      const found = await ledger.debris(marker, place, "afresh").catch(() => undefined);
      if (found?.adopt) return found.adopt;
    }
    throw error;
  }
}

/** A failure after the backend has accepted something: state gets what is there now, so that nothing is lost. */
async function record(
  definition: AnyDefinition,
  client: unknown,
  id: string,
  news: Properties,
  olds: Properties,
  pending: Pending | undefined,
  failure: SnapcloneError,
): Promise<PartialFailure> {
  // What is there is asked anew, and shortly: the state must hold what was observed, not what was wanted (pulumi#21458).
  const observed = await definition
    .observe(client, id, { ...olds, ...news }, AbortSignal.timeout(10_000))
    .catch(() => undefined);
  const told = new SnapcloneError({
    ...failure.parts,
    remedy: [failure.parts.remedy, remedyOf(definition, pending)].filter(Boolean).join("\n"),
  });
  const base = observed ? news : { ...news, ...olds, __provider: news.__provider, __owner: news.__owner };
  const record = (state: Observed["state"]) =>
    new PartialFailure(id, outputs(definition, base, { state }, pending), told);
  try {
    return record(observed?.state ?? {});
  } catch {
    // The failure may be just that: a value in the state that Pulumi can't store. Better a poor record than none.
    return record({});
  }
}

function remedyOf({ afterFailedCreate }: AnyDefinition, pending: Pending | undefined): string {
  if (!pending) return "The state holds what is there now. Run `pulumi up` again when the cause is gone.";
  if (!pending.failed) return "It is recorded, and nothing is lost: the next `pulumi up` goes on waiting for it.";
  const mends = pending.operation !== "create" || afterFailedCreate === "update";
  return `It is recorded: the next \`pulumi up\` ${mends ? "does what is left" : "replaces it"}, \`pulumi destroy\` removes it.`;
}

/** What goes into the state: the inputs as given, and over them all that was observed. */
function outputs(definition: AnyDefinition, inputs: Properties, observed: Observed, pending?: Pending): Properties {
  const kept = Object.entries(inputs).filter(([key]) => isHidden(key) || key in definition.inputs);
  return plain({ ...Object.fromEntries(kept), ...observed.state, pending });
}

/** For a refresh: the inputs as they stand on the backend, so that drift shows as a difference from the program. */
function inputsOf(definition: AnyDefinition, props: Properties): Properties {
  return Object.fromEntries(
    Object.entries(props).filter(
      ([key, value]) =>
        (isHidden(key) && key !== "__adopted") || (key in definition.inputs && canonical(value) !== "null"),
    ),
  );
}

function parseInputs(definition: AnyDefinition, news: Properties, doing: string): Properties {
  const parsed: Properties = {};
  for (const [key, { schema }] of Object.entries(definition.inputs)) {
    const result = schema.safeParse(news[key]);
    if (!result.success) {
      const said = `the input ${key} is not valid: ${result.error.issues[0]?.message}`;
      throw new SnapcloneError({ kind: "input", doing, said });
    }
    if (result.data !== undefined) parsed[key] = result.data;
  }
  return parsed;
}

function connect(definition: AnyDefinition, run: Run, inputs: Properties, doing: string): unknown {
  try {
    const name = inputs.connection;
    return run.connections.open(definition.connection, typeof name === "string" ? name : undefined);
  } catch (error) {
    throw asSnapcloneError(error, doing);
  }
}

/** A Job, and the memory of what the backend has accepted in it and not yet ended. */
class RunningJob implements Job {
  readonly clock: Run["clock"];
  readonly deadline: number;
  readonly signal: AbortSignal;

  constructor(
    definition: AnyDefinition,
    private readonly run: Run,
    private readonly operation: Operation,
    private readonly hidden: HiddenInputs,
    private pending?: Pending,
  ) {
    const text = hidden.__timeouts?.[operation] ?? definition.timeouts[operation];
    this.clock = run.clock;
    this.deadline = run.clock.now() + (parseDuration(text) ?? 0);
    this.signal = run.signal;
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

function settleIfOurs(
  run: Run,
  definition: AnyDefinition,
  client: unknown,
  id: string,
  { __owner }: HiddenInputs,
  { openOwner }: Observed,
): void {
  if (openOwner !== undefined && __owner !== undefined && openOwner === shortOwner(definition, __owner)) {
    run.ledger(definition, client).settleSoon(id);
  }
}

function gone(definition: AnyDefinition, id: string): SnapcloneError {
  return new SnapcloneError({
    kind: "notFound",
    said: `the ${definition.noun} ${id} does not exist any more`,
    remedy: "Run `pulumi refresh` to take note of it; the next `pulumi up` makes a new one.",
  });
}
