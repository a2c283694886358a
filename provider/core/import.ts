// The `import` option: a create takes an existing object over instead of making one. Pulumi refuses the option for dynamic
// resources (docs/wire/pulumi-engine.md#read), so the class hands it over as the hidden input `__import`.
//
// Until the ownership record is written, everything here only reads: a failure leaves nothing behind, and the same command
// starts anew. From the record on, every failure is recorded with the object's id. If the process is killed in between, the
// state has a pending create with the same `__import`, and the next run takes the object over again.

import { attemptInId, isSameAttempt } from "./attempt";
import { normalId, UNKNOWN } from "./check";
import { DEFAULT_CONNECTION } from "./connection/connections";
import type { AnyDefinition, HiddenInputs, HiddenOutputs, Importable, RecordedPart, State } from "./definition";
import { diff, differ } from "./diff";
import { asSnapcloneError, isKind, messageOf, SnapcloneError } from "./errors";
import { type Creation, type Properties, writeRecord } from "./operation";
import { outputs, recordFailure } from "./outputs";
import { holdsOneOf, NO_RECORD, ownershipRecord, RECORDED, type StackState, type StateEntry } from "./ownership";
import type { Run } from "./run";
import { stackOfUrn } from "./urn";

/** The line of a preview. No request is sent, because previews need no connection. */
export function announceImport(definition: AnyDefinition, run: Run, inputs: Properties): void {
  const { __import: id, __owner: urn } = inputs as HiddenInputs;
  if (id === undefined || id === UNKNOWN) return;
  run.log("info", `will take over the ${definition.displayName} ${id} (option \`import\`)`, urn);
}

/**
 * `diff` of a resource that is in the state. Its `import` option has no effect as long as it names what the state holds.
 * A refresh calls with the program's last inputs, which have passed here before.
 */
function refuseOtherImport(definition: AnyDefinition, id: string, olds: State, news: State): void {
  const { __import: wanted, __owner: urn = "<urn>" } = news as HiddenInputs;
  const { __imported: held = id } = olds as HiddenOutputs;
  if (wanted === undefined || wanted === UNKNOWN || attemptInId(id) !== undefined) return;
  if (isSameImport(definition, wanted, held)) return;
  throw new SnapcloneError({
    kind: "input",
    operation: `import ${definition.displayName} ${wanted}`,
    message: `this resource is in the state already, as the ${definition.displayName} ${held}; nothing was changed`,
    hint: `Remove the \`import\` option to keep that. To take over ${wanted} instead, first give up the other one: \`pulumi state delete ${urn}\` leaves it on the backend, \`pulumi destroy --target ${urn}\` deletes it.`,
  });
}

/** For the preview of a replacement with the option still in the program: its create will be refused. */
function warnOfReplacement(definition: AnyDefinition, run: Run, news: State): void {
  const { __import: id, __owner: urn } = news as HiddenInputs;
  if (id === undefined) return;
  run.log(
    "warning",
    `this ${definition.displayName} can't be replaced while the program has the option \`import\`: the replacement would take over ${id} and then delete it. Remove the option.`,
    urn,
  );
}

/**
 * Pulumi's own import, which a native provider answers by a read: the engine records what this returns. `request` is the
 * engine's id of the object, and begins with the connection's name unless that is the default one.
 *
 * Previews read, too, and must write nothing. So the ownership record is written only if the state proves that this is no
 * preview. Otherwise the outputs say that there is no record, and the next `pulumi up` writes it.
 */
export async function readImport(
  creation: Creation,
  importId: string,
  request = importId,
): Promise<{ id: string; props: Properties }> {
  const { definition, run, client, urn, inputs, context } = creation;
  const operation = `import ${definition.displayName} ${importId}`;
  try {
    const found = await findImportable(creation, importId, "unknown");
    const hidden = { __owner: urn, __imported: importId, __programUnknown: true };
    // findImportable has just asked for the state.
    const isRecorded = run.imports(await run.askState(), urn, request) && (await recordImport(creation, found, hidden));
    const stack = isRecorded ? context.stack : NO_RECORD;
    const target = { definition, client, context: { stack, signal: context.signal } };
    return { id: found.id, props: await outputs(target, { ...inputs, ...hidden }, found) };
  } catch (error) {
    throw asSnapcloneError(error, operation);
  }
}

/** False if a policy forbids the record: the state has the object in any case, and the next `pulumi up` says so again. */
async function recordImport(creation: Creation, { id, state }: Importable, hidden: Properties): Promise<boolean> {
  const { definition, client, context, urn, inputs } = creation;
  const shown = { ...state, ...inputs };
  const record = ownershipRecord(definition, context.stack, urn, RECORDED, shown);
  try {
    await definition.recordOwnership(client, id, record, { ...state, ...hidden }, shown);
    return true;
  } catch (error) {
    if (!isKind(error, "forbidden")) throw error;
    return false;
  }
}

/** The part of a create with the `import` option that `lifecycle.create` hands over. */
export async function takeOver(creation: Creation, news: Properties, importId: string) {
  const { definition, run, client, tracker, urn, record, inputs, context } = creation;
  const operation = `import ${definition.displayName} ${importId}`;
  let found: Importable;
  try {
    found = await findImportable(creation, importId);
  } catch (error) {
    throw asSnapcloneError(error, operation);
  }
  const { id, state } = found;
  tracker.registerMade(id, record);
  let recordedStack = NO_RECORD;
  try {
    const known = { ...state, __imported: importId };
    await writeRecord(creation, id, record, known, inputs);
    recordedStack = context.stack;
    const observed = await definition.update(client, id, found, inputs, { ...known, __owner: urn }, context);
    const outs = await outputs(creation, news, observed);
    run.log(
      "info",
      `took over the ${definition.displayName} ${importId}${changesText(definition, state, inputs)}`,
      urn,
    );
    return { id, outs };
  } catch (error) {
    const failure = asSnapcloneError(error, operation);
    if (isKind(failure, "notFound") && (await isGone(creation, found))) {
      tracker.registerDeleted(id);
      throw failure;
    }
    const target = { definition, client, context: { stack: recordedStack, signal: context.signal } };
    throw await recordFailure(target, id, news, state, context.afterwards(failure), failure);
  }
}

/** What the id names, if it may be taken over. Changes nothing. */
async function findImportable(
  creation: Creation,
  importId: string,
  program: "known" | "unknown" = "known",
): Promise<Importable> {
  const { definition, client, tracker, inputs, context } = creation;
  const importer = importerOf(definition);
  const parsed = importer.id.safeParse(importId);
  if (!parsed.success) {
    throw new SnapcloneError({ kind: "input", message: parsed.error.issues[0]?.message ?? "the id is not valid" });
  }
  const found = await importer.find(client, parsed.data, creation.record, inputs, context);
  if (!found) throw notThere(definition, importId);
  if (program === "known") refuseImmutable(definition, found.state, inputs);
  // Before the state is asked: of two resources that import the same object at once, the second is refused.
  if (tracker.madeHere(found.id) || !tracker.claim(found.objects, creation.urn)) {
    throw new SnapcloneError({
      kind: "input",
      message: "another resource of this program has it already; nothing was changed",
      hint: "Let only one resource import it.",
    });
  }
  const foreign = found.parts.find((part) => ownerOf(creation, part) === "another stack");
  if (foreign) throw ofAnotherStack(foreign, importer.forget(recordedParts(found)));
  await refuseHeld(creation, importId, found, program);
  return found;
}

/** An object that the state holds is never taken over: it would be deleted as what it replaces, or managed twice. */
async function refuseHeld(
  creation: Creation,
  importId: string,
  found: Importable,
  program: "known" | "unknown",
): Promise<void> {
  const { definition, run, urn } = creation;
  const recorded = recordedParts(found);
  let state: StackState;
  try {
    // Records and Pulumi's own import need what is pending now. Else the state of the run's beginning will do.
    state = await run.askState(recorded.length > 0 || program === "unknown");
  } catch (error) {
    const reason = messageOf(error);
    throw new SnapcloneError({
      kind: "refused",
      message: `whether this stack's state holds it already is not known: ${reason}. Nothing was changed`,
      hint: "The state must be readable for an import (docs/import.md): put `pulumi` on the PATH of the run, and leave PULUMI_SKIP_CHECKPOINTS unset. Then run `pulumi up` again.",
    });
  }
  const own = state.entries.filter(({ external }) => !external);
  const holder = own.find((entry) => holds(definition, entry, importId, found));
  if (holder) throw held(definition, holder, urn, found);
  const other = own.find((entry) => entry.urn === urn && !entry.leaving && attemptInId(entry.id) === undefined);
  if (other) throw replacesAnother(definition, other, importId);
  for (const part of recorded) {
    const owner = ownerOf(creation, part);
    const forget = importerOf(definition).forget(recorded);
    if (owner === "unknown") throw ofUnknownStack(part, forget);
    if (await isInterrupted(creation, importId, part, state)) continue;
    const isOwn = owner === "this resource";
    // Pulumi's own import never comes with a replacement of what the state holds, so it may take this back.
    if (isOwn && program === "unknown") continue;
    throw recordedHere(definition, part, isOwn, forget);
  }
}

/** The parts that have a record. */
export function recordedParts({ parts }: Importable): readonly RecordedPart[] {
  return parts.filter(({ owner, stack }) => owner !== "" || (stack ?? "") !== "");
}

function holds(
  definition: AnyDefinition,
  entry: StateEntry,
  importId: string,
  { id, parts, objects }: Importable,
): boolean {
  if (entry.id === id || holdsOneOf(entry, objects)) return true;
  if (entry.imported !== undefined && isSameImport(definition, entry.imported, importId)) return true;
  return parts.some(({ holder }) => holder === entry.id);
}

/** An early build of this package may have written another form of the same id. */
function isSameImport(definition: AnyDefinition, one: string, other: string): boolean {
  return one === other || normalId(definition, one) === normalId(definition, other);
}

type Owner =
  | "nobody"
  | "this resource"
  | "this stack"
  | "another stack"
  /** The record has a digest in place of the owner, and no stack. */
  | "unknown";

function ownerOf({ definition, record, urn }: Creation, { stack, owner }: RecordedPart): Owner {
  if (owner === "" && !stack) return "nobody";
  if (!stack && !owner.startsWith("urn:")) return "unknown";
  // Early builds wrote no stack. Their owner is a URN, which names one.
  const prefix = `urn:pulumi:${stackOfUrn(urn).stack}::${stackOfUrn(urn).project}::`;
  const isHere = stack ? stack === record.stack : owner.startsWith(prefix);
  if (!isHere) return "another stack";
  return owner === record.owner || (definition.recordLengths === undefined && owner === urn)
    ? "this resource"
    : "this stack";
}

/** True if the state shows that the import, or the create, of this same resource was begun and not recorded. */
async function isInterrupted(
  { definition, run, urn, record }: Creation,
  importId: string,
  part: RecordedPart,
  { pendingCreates, entries }: StackState,
): Promise<boolean> {
  const others = pendingCreates.filter((one) => one.urn === urn);
  // The present create is pending, too. Without the seed neither it nor an earlier one has an attempt.
  const own = others.findIndex((one) => one.attempt === undefined || isSameAttempt(one.attempt, record.attempt));
  const named = others.findIndex((one) => isSameAttempt(one.attempt, record.attempt));
  const present = named >= 0 ? named : own;
  if (present >= 0) others.splice(present, 1);
  const isImportOf = (id: string | undefined) => id !== undefined && isSameImport(definition, id, importId);
  const isBegun =
    others.some((one) => isImportOf(one.import) || isSameAttempt(one.attempt, part.attempt)) ||
    // The outcome of the create was unknown, and this is what it made.
    entries.some((one) => one.urn === urn && isSameAttempt(attemptInId(one.id), part.attempt));
  return isBegun || (await run.diedAlone(record.stack, part.attempt));
}

async function isGone({ definition, client }: Creation, { id, state }: Importable): Promise<boolean> {
  const seen = await definition.read(client, id, state, AbortSignal.timeout(10_000)).catch(() => "unknown" as const);
  return seen === undefined;
}

/** One error for all inputs that differ and can't change in place. */
function refuseImmutable(definition: AnyDefinition, state: State, inputs: Properties): void {
  const wrong = Object.entries(definition.inputs).flatMap(([key, rule]) => {
    // What the backend does not show can't be compared.
    if (state[key] === undefined || !differ(rule, state[key], inputs[key])) return [];
    const effect = typeof rule.onChange === "function" ? rule.onChange(state, inputs) : rule.onChange;
    if (effect !== "replace") return [];
    return [`${key} is ${shown(inputs[key])} in the program and ${shown(state[key])} on the backend`];
  });
  if (wrong.length === 0) return;
  throw new SnapcloneError({
    kind: "input",
    message: `${wrong.join("; ")}. An existing ${definition.displayName} can't change that; nothing was changed`,
    hint: "Correct the program, or the id of the `import` option.",
  });
}

function shown(value: unknown): string {
  return value === undefined || value === null ? "absent" : JSON.stringify(value);
}

/** Which inputs were brought into line, without their values: some may be secret. */
function changesText(definition: AnyDefinition, state: State, inputs: Properties): string {
  const changed = Object.entries(definition.inputs).flatMap(([key, rule]) => {
    const isLeft = key === definition.autoName && inputs[key] === undefined;
    return rule.onChange !== "ignore" && !isLeft && key in state && differ(rule, state[key], inputs[key]) ? [key] : [];
  });
  return changed.length === 0 ? "" : `, and brought into line with the program: ${changed.join(", ")}`;
}

/** undefined where resources of this kind can't be imported. */
export function possibleImporter({ import: importer }: AnyDefinition) {
  return importer && !("refusal" in importer) ? importer : undefined;
}

/** Why resources of this kind can't be imported. */
export function importRefusal({ displayName, import: importer }: AnyDefinition): string {
  return importer && "refusal" in importer ? importer.refusal : `a ${displayName} can't be imported`;
}

/** Throws where resources of this kind can't be imported. */
export function importerOf(definition: AnyDefinition) {
  const importer = possibleImporter(definition);
  if (importer) return importer;
  const hint = "Remove the `import` option.";
  throw new SnapcloneError({ kind: "input", message: importRefusal(definition), hint });
}

function notThere({ displayName }: AnyDefinition, importId: string): SnapcloneError {
  return new SnapcloneError({
    kind: "notFound",
    message: `there is no ${displayName} ${importId}, or this login may not see it; nothing was changed`,
    hint: "Correct the id or the connection. To make a new one, remove the `import` option.",
  });
}

function ofAnotherStack({ object, owner, stack }: RecordedPart, forget: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `${object} belongs to ${owner || "a resource"} of another stack${stack ? ` (digest ${stack})` : ""}; nothing was changed`,
    hint: `If that stack should keep it, read it by \`get\`. If not, remove it from that stack's state (\`pulumi state delete\`), then remove the record: \`snapclone import --take\`, or ${forget}`,
  });
}

function ofUnknownStack({ object, owner }: RecordedPart, forget: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `${object} has the record of ${owner}, which does not name its stack; nothing was changed`,
    hint: `Find the stack whose state holds it. If no stack should keep it, remove it from that stack's state (\`pulumi state delete\`), then remove the record: \`snapclone import --take\`, or ${forget}`,
  });
}

function held({ displayName }: AnyDefinition, holder: StateEntry, urn: string, { id, objects }: Importable) {
  const isOwn = holder.urn === urn;
  const isWhole = [id, ...objects].includes(holder.id);
  const way = isWhole
    ? "To give the object to this resource, rename the other: `pulumi state rename`, or the option `aliases`."
    : `To give the object to this resource, first remove the whole set from the state, which leaves all its objects on the backend: \`pulumi state delete ${holder.urn}\`.`;
  return new SnapcloneError({
    kind: "refused",
    message: isOwn
      ? `the state holds it already as this resource, and a replacement would take the same ${displayName} over and then delete it; nothing was changed`
      : `the state of this stack holds it already, as ${holder.urn}; nothing was changed`,
    hint: isOwn
      ? "Remove the `import` option: then the replacement makes a new one."
      : `Remove the \`import\` option. ${way}`,
  });
}

function replacesAnother({ displayName }: AnyDefinition, entry: StateEntry, importId: string): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: `this resource is in the state already, as the ${displayName} ${entry.id}, and an import does not replace it; nothing was changed`,
    hint: `Remove the \`import\` option. To take over ${importId} instead, first give up the other one: \`pulumi state delete ${entry.urn}\` leaves it on the backend, \`pulumi destroy --target ${entry.urn}\` deletes it.`,
  });
}

function recordedHere(
  { displayName }: AnyDefinition,
  { object, owner }: RecordedPart,
  isOwn: boolean,
  forget: string,
): SnapcloneError {
  return new SnapcloneError({
    kind: "refused",
    message: isOwn
      ? `${object} has the record of this same resource, and the state shows no import of it that was interrupted; nothing was changed`
      : `${object} has the record of another resource of this stack, ${owner}; nothing was changed`,
    hint: `Remove the \`import\` option: then a new ${displayName} is made. If the state has let it go on purpose (\`retainOnDelete\`, \`pulumi state delete\`), remove the record (\`snapclone import --take\`, or ${forget}), and run \`pulumi up\` again.`,
  });
}

/** What `diff` of a resource in the state does about the option, beside the diff of its inputs. */
export function diffWithImport(definition: AnyDefinition, run: Run, id: string, olds: Properties, news: Properties) {
  refuseOtherImport(definition, id, olds, news);
  const targetOf = (name: string | undefined) => run.connections.target(definition.connection, name);
  const difference = diff(definition, olds, news, run.stackOf(news), targetOf);
  if (difference.replaces?.length) warnOfReplacement(definition, run, news);
  else if (difference.changes !== false) warnOfUpdate(definition, run, id, olds, news);
  warnOfOtherBackend(definition, run, olds, news, targetOf);
  return difference;
}

/**
 * Warns that the settings of the same connection now reach another backend. `diff` finds no difference: a moved Keystone must
 * replace nothing. The operation itself finds out (`proveAbsence`), and the preview only warns.
 */
function warnOfOtherBackend(
  definition: AnyDefinition,
  run: Run,
  olds: HiddenOutputs & State,
  news: HiddenInputs & State,
  targetOf: (connection: string | undefined) => string | undefined,
): void {
  const name = typeof news.connection === "string" ? news.connection : DEFAULT_CONNECTION;
  if (olds.__target === undefined || (olds.connection ?? DEFAULT_CONNECTION) !== name) return;
  const present = targetOf(name);
  if (present === undefined || present === olds.__target) return;
  // A run has hundreds of resources on a connection.
  if (!run.isFirst(`${definition.connection.kind} ${name} reaches ${present}`)) return;
  const was = olds.__backend === undefined ? "" : ` (${olds.__backend})`;
  run.log(
    "warning",
    `the settings of the connection "${name}" reach another address, project or region than those by which ${definition.describe(olds)} was last read or written${was}. ` +
      "What is not found there is never taken for gone, and a new copy is made there. If it is the same backend, run `pulumi refresh`. " +
      "If it is another one, give that a name of its own in snapclone:connections. This is said once for each connection",
    news.__owner,
  );
}

function warnOfUpdate(definition: AnyDefinition, run: Run, id: string, olds: State, news: State): void {
  const text = definition.announceUpdate?.(id, olds, news);
  if (text !== undefined) run.log("warning", `${definition.describe(news)}: ${text}`, (news as HiddenInputs).__owner);
}
