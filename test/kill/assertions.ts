// The one judge of all kill tests: nothing lost, nothing doubled, nothing left. Every allowed outcome is written here.

import type { Result } from "../engine/harness";
import type { Args, BackendFixture, Copy, Program } from "./resourceCase";
import type { StackFixture } from "./stackFixture";

/** What an interrupted run may leave that no create adopts: told at the end of a run, so counted and never passed over. */
export interface Leftovers {
  owner: string;
  /** What was declared then. */
  args: Args;
}

export interface Expected {
  program: Program;
  /** Each of these may have left what it declares once, with its record, in no state. */
  leftovers?: readonly Leftovers[];
  /** Resources whose deletion was asked for: their last copy may go. */
  removed?: readonly string[];
}

/** Ends in an error with all that is wrong; else says how many copies are left over. */
export async function afterUp(
  yard: StackFixture,
  { program, leftovers = [], removed = [] }: Expected,
): Promise<number> {
  const wrong: string[] = [];
  const copies = await yard.ground.copies();
  const entries = yard.entries();
  const byId = new Map(copies.map((copy) => [copy.id, copy]));
  const inState = new Set(entries.flatMap(({ copies }) => copies));

  for (const [name, args] of Object.entries(program)) {
    const urn = yard.urnOf(name);
    const own = entries.filter((entry) => entry.urn === urn);
    const [entry] = own;
    if (entry === undefined || own.length !== 1) {
      wrong.push(`${name}: ${own.length} entries in the state`);
      continue;
    }
    if (entry.delete || entry.pending !== undefined || !entry.whole) {
      wrong.push(`${name}: the state says ${JSON.stringify(entry)}`);
    }
    const lost = entry.copies.filter((id) => !byId.has(id));
    if (lost.length > 0) wrong.push(`${name}: LOST, the state's ${lost.join(", ")} does not exist`);
    wrong.push(
      ...differences(
        yard,
        name,
        args,
        entry.copies.flatMap((id) => byId.get(id) ?? []),
      ),
    );
  }
  const declared = Object.keys(program).map((name) => yard.urnOf(name));
  for (const { urn } of entries) if (!declared.includes(urn)) wrong.push(`${urn} is still in the state`);

  const others = copies.filter(({ id }) => !inState.has(id));
  wrong.push(...unexplained(yard, others, leftovers), ...traces(yard, [...declared, ...ownersOf(leftovers)]));
  wrong.push(...accounts(yard.ground, copies, removed));
  say(wrong, yard, copies);
  return others.length;
}

export async function afterDestroy(yard: StackFixture, leftovers: readonly Leftovers[] = []): Promise<number> {
  const copies = await yard.ground.copies();
  const wrong = [...unexplained(yard, copies, leftovers), ...traces(yard, ownersOf(leftovers))];
  const entries = yard.entries();
  if (entries.length > 0) wrong.push(`still in the state: ${JSON.stringify(entries)}`);
  const running = await yard.quiet();
  if (running.length > 0) wrong.push(`still running: ${running.join(", ")}`);
  const { made = [], deletions = [] } = yard.ground.witness ?? {};
  const gone = deletions.map(({ id }) => id);
  const unseen = made.filter((id) => !gone.includes(id) && !copies.some((copy) => copy.id === id));
  if (unseen.length > 0) wrong.push(`gone without a delete: ${unseen.join(", ")}`);
  say(wrong, yard, copies);
  return copies.length;
}

/** Before the user goes on: whatever the state holds exists, whatever exists is in the state or bears our record. */
export async function afterInterruption(yard: StackFixture): Promise<void> {
  const copies = await yard.ground.copies();
  const known = yard.entries().flatMap((entry) => entry.copies);
  const wrong = known
    .filter((id) => !copies.some((copy) => copy.id === id) && !wasDeleted(yard.ground, id))
    .map((id) => `LOST: the state's ${id} does not exist`);
  for (const { id, owner, open, leaving } of copies) {
    if (!known.includes(id) && !open && !leaving) {
      wrong.push(`LOST: ${id} of ${owner} is in no state and bears no record`);
    }
  }
  say(wrong, yard, copies);
}

/** What a run was to say: whom it adopted, and what is in no state. */
export interface Before {
  /** Copies that were there before the run. */
  existing: readonly string[];
  /** Of those, the ones that the state held. */
  held: readonly string[];
}

export async function beforeRun(yard: StackFixture): Promise<Before> {
  const held = yard.entries().flatMap(({ copies }) => copies);
  return { existing: (await yard.ground.copies()).map(({ id }) => id), held };
}

/** Each adoption is told in a line that stays, and nothing else is called one. Says how many there were. */
export function tellsAdoptions(yard: StackFixture, { existing, held }: Before, result: Result): number {
  const adopted = yard
    .entries()
    .filter(({ copies }) => copies.some((id) => existing.includes(id) && !held.includes(id)))
    .map(({ urn }) => urn)
    .sort();
  const told = wordsOf(result, /^adopted the /)
    .map(({ urn }) => urn ?? "")
    .sort();
  // Where an intent is noted before anything is made, that is adopted, too: nothing is there then.
  const ofCopies = yard.ground.traces ? told.filter((urn) => adopted.includes(urn)) : told;
  if (JSON.stringify(ofCopies) !== JSON.stringify(adopted) || new Set(told).size < told.length) {
    throw new Error(`adopted: ${adopted.join(", ") || "none"}; told: ${told.join(", ") || "none"}`);
  }
  return adopted.length;
}

/** The last words of a run that made, read or deleted something name what is in no state; those of any other, nothing. */
export async function tellsOrphans(yard: StackFixture, result: Result): Promise<void> {
  const held = yard.entries().flatMap(({ copies }) => copies);
  const orphans = (await yard.ground.copies()).filter(({ id, leaving }) => !held.includes(id) && !leaving);
  const looked = result.events.some(({ resourcePreEvent: event }) => {
    const { op = "", type = "" } = event?.metadata ?? {};
    return !type.startsWith("pulumi:") && /^(create|delete|read|refresh)/.test(op);
  });
  const words = wordsOf(result, /^in no state/).map(({ message }) => message);
  const lines = words.flatMap((message) => message.split("\n").filter((line) => line.startsWith("  ")));
  if (!looked) {
    if (words.length > 0) throw new Error(`a run that looked at nothing said: ${words.join("\n")}`);
    return;
  }
  const owners = new Set(orphans.map(({ owner }) => owner));
  if (!yard.kind.namesCopies) {
    const isEnough = owners.size === 0 ? lines.length === 0 : lines.length > 0;
    if (!isEnough)
      throw new Error(`in no state: something of ${[...owners].join(", ") || "nobody"}; told: ${words.join("\n")}`);
    return;
  }
  const told = new Set(lines.map((line) => line.trim().split(" ")[0]));
  const wanted = orphans.map(({ id }) => id);
  if (told.size !== wanted.length || !wanted.every((id) => told.has(id))) {
    throw new Error(`in no state: ${wanted.join(", ") || "none"}; told: ${[...told].join(", ") || "none"}`);
  }
  // Each provider process has last words of its own; only with the provider itself replaced are there two.
  if (words.length > 2) throw new Error(`told ${words.length} times:\n${words.join("\n")}`);
}

/** What stays on the screen, once for each time that it was said. */
function wordsOf({ events }: Result, pattern: RegExp): { urn?: string; message: string }[] {
  return events.flatMap(({ diagnosticEvent: said }) =>
    said !== undefined && said.ephemeral !== true && pattern.test(said.message) ? [said] : [],
  );
}

function differences({ kind, urnOf }: StackFixture, name: string, args: Args, copies: readonly Copy[]): string[] {
  const inWords = (list: readonly { from: string; shows: Args }[]) =>
    list.map(({ from, shows }) => JSON.stringify([from, sorted(shows)])).sort();
  const [seen, wanted] = [inWords(copies), inWords(kind.wanted(args))];
  const wrong = copies
    .filter(({ owner }) => owner !== urnOf(name))
    .map(({ id, owner }) => `${name}: ${id} is of ${owner}`);
  if (JSON.stringify(seen) !== JSON.stringify(wanted)) wrong.push(`${name}: is ${seen} and should be ${wanted}`);
  return wrong;
}

/** Copies that no state holds: what a leftover declares, once, with the record of that owner. */
function unexplained({ kind }: StackFixture, copies: readonly Copy[], leftovers: readonly Leftovers[]): string[] {
  const free = leftovers.flatMap(({ owner, args }) => kind.wanted(args).map(({ from }) => ({ owner, from })));
  return copies.flatMap((copy) => {
    const place = free.findIndex(({ owner, from }) => owner === copy.owner && from === copy.from);
    if (place < 0 || !copy.open) return [`LEFT or DOUBLED: ${copy.id} of ${copy.owner}, in no state`];
    free.splice(place, 1);
    return [];
  });
}

/** What was noted beside the copies is for those only who may still need it. */
function traces({ ground }: StackFixture, excused: readonly string[]): string[] {
  const owners = ground.traces?.() ?? [];
  return owners.filter((owner) => !excused.includes(owner)).map((owner) => `LEFT: a mark of ${owner}`);
}

function ownersOf(leftovers: readonly Leftovers[]): string[] {
  return leftovers.map(({ owner }) => owner);
}

/** Each POST that was carried out made something that is there, or that we deleted when there was another. */
function accounts({ witness }: BackendFixture, copies: readonly Copy[], removed: readonly string[]): string[] {
  if (!witness) return [];
  const there = new Set(copies.map(({ id }) => id));
  const deleted = witness.deletions.map(({ id }) => id);
  const wrong = witness.made
    .filter((id) => !there.has(id) && !deleted.includes(id))
    .map((id) => `LOST: ${id} was made and is gone, and nobody deleted it`);
  for (const { id, owner, another } of witness.deletions) {
    if (!another && !removed.includes(owner)) wrong.push(`LOST: ${id} was the only copy of ${owner} and was deleted`);
  }
  for (const id of new Set(deleted)) {
    if (deleted.filter((other) => other === id).length > 1) wrong.push(`${id} was deleted twice`);
  }
  return wrong;
}

function wasDeleted({ witness }: BackendFixture, id: string): boolean {
  // Without a witness this can't be told from a loss, so there the later looks have to do.
  return witness === undefined || witness.deletions.some((deletion) => deletion.id === id);
}

function sorted(values: Args): [string, unknown][] {
  return Object.entries(values).sort(([one], [other]) => (one < other ? -1 : 1));
}

function say(wrong: readonly string[], yard: StackFixture, copies: readonly Copy[]): void {
  if (wrong.length === 0) return;
  const { witness } = yard.ground;
  const story = [
    ...wrong,
    `copies: ${JSON.stringify(copies)}`,
    `state: ${JSON.stringify(yard.entries())}`,
    `made: ${witness?.made.join(" ")}; deleted: ${JSON.stringify(witness?.deletions)}`,
  ];
  throw new Error(story.join("\n"));
}
