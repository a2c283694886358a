// The assertions of all kill tests: no copy is lost, doubled or left behind. Every outcome that is allowed is listed here.

import type { Result } from "../engine/harness";
import type { Args, BackendFixture, Copy, Program } from "./resourceCase";
import type { StackFixture } from "./stackFixture";

/** What an interrupted run may leave that no create adopts. The end of a run reports it, and it is counted. */
export interface Leftovers {
  owner: string;
  /** The inputs that the interrupted run had. */
  args: Args;
}

export interface Expected {
  program: Program;
  /** Each of these resources may have left its copies once, with their records, in no state. */
  leftovers?: readonly Leftovers[];
  /** Resources that the program or the user deletes: their last copy may go. */
  removed?: readonly string[];
}

/** Throws an error that lists all that is wrong. Otherwise returns how many copies no state holds. */
export async function assertAfterUp(
  fixture: StackFixture,
  { program, leftovers = [], removed = [] }: Expected,
): Promise<number> {
  const wrong: string[] = [];
  const copies = await fixture.backend.copies();
  const entries = fixture.entries();
  const byId = new Map(copies.map((copy) => [copy.id, copy]));
  const inState = new Set(entries.flatMap(({ copies }) => copies));

  for (const [name, args] of Object.entries(program)) {
    const urn = fixture.urnOf(name);
    const own = entries.filter((entry) => entry.urn === urn);
    const [entry] = own;
    if (entry === undefined || own.length !== 1) {
      wrong.push(`${name}: ${own.length} entries in the state`);
      continue;
    }
    if (entry.delete || entry.pending !== undefined || !entry.isComplete) {
      wrong.push(`${name}: the state says ${JSON.stringify(entry)}`);
    }
    const lost = entry.copies.filter((id) => !byId.has(id));
    if (lost.length > 0) wrong.push(`${name}: LOST, the state's ${lost.join(", ")} does not exist`);
    wrong.push(
      ...differences(
        fixture,
        name,
        args,
        entry.copies.flatMap((id) => byId.get(id) ?? []),
      ),
    );
  }
  const declared = Object.keys(program).map((name) => fixture.urnOf(name));
  for (const { urn } of entries) if (!declared.includes(urn)) wrong.push(`${urn} is still in the state`);

  const others = copies.filter(({ id }) => !inState.has(id));
  wrong.push(
    ...unexplained(fixture, others, leftovers),
    ...leftoverRecords(fixture, [...declared, ...ownersOf(leftovers)]),
  );
  wrong.push(...lostCopies(fixture.backend, copies, removed));
  throwIfAny(wrong, fixture, copies);
  return others.length;
}

export async function assertAfterDestroy(fixture: StackFixture, leftovers: readonly Leftovers[] = []): Promise<number> {
  const copies = await fixture.backend.copies();
  const wrong = [...unexplained(fixture, copies, leftovers), ...leftoverRecords(fixture, ownersOf(leftovers))];
  const entries = fixture.entries();
  if (entries.length > 0) wrong.push(`still in the state: ${JSON.stringify(entries)}`);
  const running = await fixture.waitForExit();
  if (running.length > 0) wrong.push(`still running: ${running.join(", ")}`);
  const { made = [], deletions = [] } = fixture.backend.spy ?? {};
  const gone = deletions.map(({ id }) => id);
  const unseen = made.filter((id) => !gone.includes(id) && !copies.some((copy) => copy.id === id));
  if (unseen.length > 0) wrong.push(`gone without a delete: ${unseen.join(", ")}`);
  throwIfAny(wrong, fixture, copies);
  return copies.length;
}

/** Before the user's next command: each copy in the state exists, and each copy that exists is in the state or has a record. */
export async function assertAfterInterruption(fixture: StackFixture): Promise<void> {
  const copies = await fixture.backend.copies();
  const known = fixture.entries().flatMap((entry) => entry.copies);
  const wrong = known
    .filter((id) => !copies.some((copy) => copy.id === id) && !wasDeleted(fixture.backend, id))
    .map((id) => `LOST: the state's ${id} does not exist`);
  for (const { id, owner, hasRecord, isDeleting } of copies) {
    if (!known.includes(id) && !hasRecord && !isDeleting) {
      wrong.push(`LOST: ${id} of ${owner} is in no state and has no record`);
    }
  }
  throwIfAny(wrong, fixture, copies);
}

/** What there was before a run, to know what the run adopted. */
export interface Before {
  /** Ids of all copies. */
  existing: readonly string[];
  /** Ids of the copies and of the entries that the state held. What the entry of an unfinished create waits for, a run resumes. */
  held: readonly string[];
}

export async function snapshotBeforeRun(fixture: StackFixture): Promise<Before> {
  const held = fixture.entries().flatMap(({ id, copies }) => [id, ...copies]);
  return { existing: (await fixture.backend.copies()).map(({ id }) => id), held };
}

/** The run must report each adoption in a permanent line, and nothing else as an adoption. Returns the number of adoptions. */
export function assertAdoptionsReported(fixture: StackFixture, { existing, held }: Before, result: Result): number {
  const adopted = fixture
    .entries()
    .filter(({ id }) => !held.includes(id))
    .filter(({ copies }) => copies.some((id) => existing.includes(id) && !held.includes(id)))
    .map(({ urn }) => urn)
    .sort();
  const reported = messagesOf(result, /^adopted the /)
    .map(({ urn }) => urn ?? "")
    .sort();
  // A run also adopts a pending record on a source, for which no copy may exist yet.
  const ofCopies = fixture.backend.recordOwners ? reported.filter((urn) => adopted.includes(urn)) : reported;
  if (JSON.stringify(ofCopies) !== JSON.stringify(adopted) || new Set(reported).size < reported.length) {
    throw new Error(`adopted: ${adopted.join(", ") || "none"}; reported: ${reported.join(", ") || "none"}`);
  }
  return adopted.length;
}

/** The end of a run that created, read or deleted something names every orphan. The end of any other run names nothing. */
export async function assertOrphansReported(fixture: StackFixture, result: Result): Promise<void> {
  const held = fixture.entries().flatMap(({ copies }) => copies);
  const orphans = (await fixture.backend.copies()).filter(({ id, isDeleting }) => !held.includes(id) && !isDeleting);
  const ranProvider = result.events.some(({ resourcePreEvent: event }) => {
    const { op = "", type = "" } = event?.metadata ?? {};
    return !type.startsWith("pulumi:") && /^(create|delete|read|refresh)/.test(op);
  });
  const warnings = messagesOf(result, /^in no state/).map(({ message }) => message);
  const lines = warnings.flatMap((message) => message.split("\n").filter((line) => line.startsWith("  ")));
  if (!ranProvider) {
    if (warnings.length > 0) throw new Error(`a run that asked the backend nothing reported: ${warnings.join("\n")}`);
    return;
  }
  const owners = new Set(orphans.map(({ owner }) => owner));
  if (!fixture.resource.namesCopies) {
    const isEnough = owners.size === 0 ? lines.length === 0 : lines.length > 0;
    if (!isEnough)
      throw new Error(`in no state: copies of ${[...owners].join(", ") || "nobody"}; reported: ${warnings.join("\n")}`);
    return;
  }
  const reported = new Set(lines.map((line) => line.trim().split(" ")[0]));
  const wanted = orphans.map(({ id }) => id);
  if (reported.size !== wanted.length || !wanted.every((id) => reported.has(id))) {
    throw new Error(`in no state: ${wanted.join(", ") || "none"}; reported: ${[...reported].join(", ") || "none"}`);
  }
  // Each provider process reports once. There are two only if the run replaces the provider itself.
  if (warnings.length > 2) throw new Error(`reported ${warnings.length} times:\n${warnings.join("\n")}`);
}

/** Permanent messages of the run, once for each time that the engine showed them. */
function messagesOf({ events }: Result, pattern: RegExp): { urn?: string; message: string }[] {
  return events.flatMap(({ diagnosticEvent: message }) =>
    message !== undefined && message.ephemeral !== true && pattern.test(message.message) ? [message] : [],
  );
}

function differences({ resource, urnOf }: StackFixture, name: string, args: Args, copies: readonly Copy[]): string[] {
  const asText = (list: readonly Pick<Copy, "source" | "attributes">[]) =>
    list.map(({ source, attributes }) => JSON.stringify([source, sorted(attributes)])).sort();
  const [seen, wanted] = [asText(copies), asText(resource.expectedCopies(args))];
  const wrong = copies
    .filter(({ owner }) => owner !== urnOf(name))
    .map(({ id, owner }) => `${name}: ${id} is of ${owner}`);
  if (JSON.stringify(seen) !== JSON.stringify(wanted)) wrong.push(`${name}: is ${seen} and should be ${wanted}`);
  return wrong;
}

/** Copies in no state that no leftover explains. A leftover explains each of its copies once, and only with a record. */
function unexplained({ resource }: StackFixture, copies: readonly Copy[], leftovers: readonly Leftovers[]): string[] {
  const free = leftovers.flatMap(({ owner, args }) =>
    resource.expectedCopies(args).map(({ source }) => ({ owner, source })),
  );
  return copies.flatMap((copy) => {
    const index = free.findIndex(({ owner, source }) => owner === copy.owner && source === copy.source);
    if (index < 0 || !copy.hasRecord) return [`LEFT or DOUBLED: ${copy.id} of ${copy.owner}, in no state`];
    free.splice(index, 1);
    return [];
  });
}

/** Pending records on the sources whose resource needs them no more. */
function leftoverRecords({ backend }: StackFixture, allowed: readonly string[]): string[] {
  const owners = backend.recordOwners?.() ?? [];
  return owners.filter((owner) => !allowed.includes(owner)).map((owner) => `LEFT: a record of ${owner}`);
}

function ownersOf(leftovers: readonly Leftovers[]): string[] {
  return leftovers.map(({ owner }) => owner);
}

/** Each copy that was ever made exists, or was deleted once, by request or while the resource had another one. */
function lostCopies({ spy }: BackendFixture, copies: readonly Copy[], removed: readonly string[]): string[] {
  if (!spy) return [];
  const there = new Set(copies.map(({ id }) => id));
  const deleted = spy.deletions.map(({ id }) => id);
  const wrong = spy.made
    .filter((id) => !there.has(id) && !deleted.includes(id))
    .map((id) => `LOST: ${id} was made and is gone without a delete`);
  for (const { id, owner, hadAnother } of spy.deletions) {
    if (!hadAnother && !removed.includes(owner))
      wrong.push(`LOST: ${id} was the only copy of ${owner} and was deleted`);
  }
  for (const id of new Set(deleted)) {
    if (deleted.filter((other) => other === id).length > 1) wrong.push(`${id} was deleted twice`);
  }
  return wrong;
}

function wasDeleted({ spy }: BackendFixture, id: string): boolean {
  // Without a spy a deletion looks like a loss. The assertions after the next run then tell them apart.
  return spy === undefined || spy.deletions.some((deletion) => deletion.id === id);
}

function sorted(values: Args): [string, unknown][] {
  return Object.entries(values).sort(([one], [other]) => (one < other ? -1 : 1));
}

function throwIfAny(wrong: readonly string[], fixture: StackFixture, copies: readonly Copy[]): void {
  if (wrong.length === 0) return;
  const { spy } = fixture.backend;
  const scenario = [
    ...wrong,
    `copies: ${JSON.stringify(copies)}`,
    `state: ${JSON.stringify(fixture.entries())}`,
    `made: ${spy?.made.join(" ")}; deleted: ${JSON.stringify(spy?.deletions)}`,
  ];
  throw new Error(scenario.join("\n"));
}
