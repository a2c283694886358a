// The one judge of all kill tests: nothing lost, nothing doubled, nothing left. Every allowed outcome is written here.

import type { BackendSnapshot } from "../scenarios/backend";
import { type Ground, ownerOf } from "./ground";
import type { Program, Yard } from "./yard";

/** What an interrupted run may leave that nothing can adopt: documented, so counted and never passed over. */
export interface Leftovers {
  owner: string;
  volumeId: string;
}

export interface Expected {
  program: Program;
  /** Each of these may have one open snapshot that is in no state. */
  leftovers?: readonly Leftovers[];
  /** Resources whose deletion was asked for: their last copy may go. */
  removed?: readonly string[];
}

/** Ends in an error with all that is wrong; else says how many snapshots are left over. */
export async function afterUp(yard: Yard, { program, leftovers = [], removed = [] }: Expected): Promise<number> {
  const wrong: string[] = [];
  const rows = await yard.ground.rows();
  const entries = yard.entries();
  const byId = new Map(rows.map((row) => [row.id, row]));
  const inState = new Set(entries.map(({ id }) => id));

  for (const [name, declared] of Object.entries(program)) {
    const urn = yard.urnOf(name);
    const own = entries.filter((entry) => entry.urn === urn);
    const [entry] = own;
    if (entry === undefined || own.length !== 1) {
      wrong.push(`${name}: ${own.length} entries in the state`);
      continue;
    }
    if (entry.delete || entry.pending !== undefined || entry.status !== "available") {
      wrong.push(`${name}: the state says ${JSON.stringify(entry)}`);
    }
    const row = byId.get(entry.id);
    if (row === undefined) wrong.push(`${name}: LOST, the state's ${entry.id} does not exist`);
    else wrong.push(...differences(name, row, declared, urn));
  }
  const declared = Object.keys(program).map((name) => yard.urnOf(name));
  for (const { urn } of entries) if (!declared.includes(urn)) wrong.push(`${urn} is still in the state`);

  const others = rows.filter(({ id }) => !inState.has(id));
  wrong.push(...unexplained(others, leftovers));
  wrong.push(...accounts(yard.ground, rows, removed));
  say(wrong, yard, rows);
  return others.length;
}

export async function afterDestroy(yard: Yard, leftovers: readonly Leftovers[] = []): Promise<number> {
  const rows = await yard.ground.rows();
  const wrong = unexplained(rows, leftovers);
  const entries = yard.entries();
  if (entries.length > 0) wrong.push(`still in the state: ${JSON.stringify(entries)}`);
  const running = await yard.quiet();
  if (running.length > 0) wrong.push(`still running: ${running.join(", ")}`);
  const gone = new Set((yard.ground.witness?.deletions ?? []).map(({ id }) => id));
  const unseen = (yard.ground.witness?.made ?? []).filter((id) => !gone.has(id) && !rows.some((row) => row.id === id));
  if (unseen.length > 0) wrong.push(`gone without a delete: ${unseen.join(", ")}`);
  say(wrong, yard, rows);
  return rows.length;
}

/** Before the user goes on: whatever the state holds exists, whatever exists is in the state or bears an open mark of its owner. */
export async function afterTheBlow(yard: Yard): Promise<void> {
  const rows = await yard.ground.rows();
  const entries = yard.entries();
  const wrong = entries
    .filter(({ id }) => !rows.some((row) => row.id === id) && !wasDeleted(yard.ground, id))
    .map(({ id }) => `LOST: the state's ${id} does not exist`);
  for (const row of rows) {
    const known = entries.some(({ id }) => id === row.id);
    const open = row.metadata["snapclone:phase"] === "open";
    if (!known && !open && row.status !== "deleting") {
      wrong.push(`LOST: ${row.id} of ${ownerOf(row)} is in no state and marked as settled`);
    }
  }
  say(wrong, yard, rows);
}

/** Marks of what a run that ended in order has made or adopted. */
export async function settled(yard: Yard, ids: readonly string[]): Promise<void> {
  const rows = await yard.ground.rows();
  const wrong = rows
    .filter(({ id, metadata }) => ids.includes(id) && metadata["snapclone:phase"] !== "settled")
    .map(({ id }) => `${id} was made by a run that ended in order, and its mark is open`);
  say(wrong, yard, rows);
}

function differences(name: string, row: BackendSnapshot, declared: Program[string], urn: string): string[] {
  const foreign = Object.fromEntries(Object.entries(row.metadata).filter(([key]) => !key.startsWith("snapclone:")));
  const seen = {
    owner: ownerOf(row),
    status: row.status,
    volumeId: row.volume_id,
    name: row.name,
    metadata: Object.entries(foreign).sort(),
  };
  const wanted = {
    owner: urn,
    status: "available",
    volumeId: declared.volumeId,
    name: declared.name,
    metadata: Object.entries(declared.metadata).sort(),
  };
  if (JSON.stringify(seen) === JSON.stringify(wanted)) return [];
  return [`${name}: is ${JSON.stringify(seen)} and should be ${JSON.stringify(wanted)}`];
}

/** Snapshots that no state holds: one for each leftover at most, open, of that owner and that volume. */
function unexplained(rows: readonly BackendSnapshot[], leftovers: readonly Leftovers[]): string[] {
  const free = [...leftovers];
  return rows.flatMap((row) => {
    const place = free.findIndex(({ owner, volumeId }) => owner === ownerOf(row) && volumeId === row.volume_id);
    const allowed = place >= 0 && row.metadata["snapclone:phase"] === "open";
    if (!allowed) return [`LEFT or DOUBLED: ${row.id} of ${ownerOf(row)}, in no state`];
    free.splice(place, 1);
    return [];
  });
}

/** Each POST that was carried out made something that is there, or that we deleted when there was another. */
function accounts({ witness }: Ground, rows: readonly BackendSnapshot[], removed: readonly string[]): string[] {
  if (!witness) return [];
  const there = new Set(rows.map(({ id }) => id));
  const deleted = new Set(witness.deletions.map(({ id }) => id));
  const wrong = witness.made
    .filter((id) => !there.has(id) && !deleted.has(id))
    .map((id) => `LOST: ${id} was made and is gone, and nobody deleted it`);
  for (const { id, owner, another } of witness.deletions) {
    if (!another && !removed.includes(owner)) wrong.push(`LOST: ${id} was the only copy of ${owner} and was deleted`);
  }
  return wrong;
}

function wasDeleted({ witness }: Ground, id: string): boolean {
  // Without a witness this can't be told from a loss, so there the later looks have to do.
  return witness === undefined || witness.deletions.some((deletion) => deletion.id === id);
}

function say(wrong: readonly string[], yard: Yard, rows: readonly BackendSnapshot[]): void {
  if (wrong.length === 0) return;
  const { witness } = yard.ground;
  const story = [
    ...wrong,
    `rows: ${JSON.stringify(rows.map(({ id, name, status, metadata }) => ({ id, name, status, metadata })))}`,
    `state: ${JSON.stringify(yard.entries())}`,
    `made: ${witness?.made.join(" ")}; deleted: ${JSON.stringify(witness?.deletions)}`,
  ];
  throw new Error(story.join("\n"));
}
