// One case from its beginning to its end: what is interrupted, how the user goes on, and what must be so at each step.

import type { Result } from "../engine/harness";
import type { Program } from "./kind";
import type { Case, Kill } from "./plan";
import { afterDestroy, afterTheBlow, afterUp, type Expected, type Leftovers, settled } from "./verdict";
import type { Blow, Yard } from "./yard";

export interface Outcome {
  blow: Blow;
  /** Copies that the interrupted run had begun. */
  begun: number;
  /** Copies that the user's next run had to begin itself. */
  more: number;
  /** What is in no state and stays, as documented. */
  left: number;
  /** Resources that a `--replace` kept, as it found them the way an interrupted run leaves them. */
  kept: number;
  /** Provider processes that were orphaned before our code was in them. */
  strays: number;
}

/** What the provider says when a forced replacement meets what it has just adopted (provider/core/lifecycle.ts). */
const KEPT = /was not replaced: this run found \S+ as an interrupted run leaves it/g;
/** What a refresh says of what is in no state. */
const LEFT = /an interrupted run left the .+? made for this resource and in no state/g;

/** An error has the transcript of the whole case in it. */
export async function runCourse(yard: Yard, one: Case): Promise<Outcome> {
  try {
    return await course(yard, one);
  } catch (error) {
    throw new Error([String(error), ...yard.transcript].join("\n\n"));
  }
}

async function course(yard: Yard, { story, replace, kill, second }: Case): Promise<Outcome> {
  const { kind, ground } = yard;
  const program = kind.program(ground, kind.size);
  const names = Object.keys(program);
  const countOf = (some: Program) => Object.values(some).flatMap((args) => kind.wanted(args)).length;
  const whole = countOf(program);
  const replacing = [
    "--replace",
    // With everything the provider is replaced as well: deletes then go to another process than creates.
    replace === "everything" ? "**" : `urn:pulumi:**:${kind.type}::**`,
  ];
  const outcome: Outcome = { blow: "too late", begun: 0, more: 0, left: 0, kept: 0, strays: 0 };
  await yard.reset();
  yard.declare(program);

  const made = () => ground.witness?.made.length ?? 0;
  const strike = async (operation: "up" | "destroy", blow: Kill, args: readonly string[] = []) => {
    const before = made();
    const interrupted = await yard.interrupted(operation, blow, args);
    if (interrupted.blow === "struck") outcome.blow = "struck";
    outcome.begun += made() - before;
    if (interrupted.stray) outcome.strays += 1;
    if (interrupted.blow === "too late") ok(interrupted.result);
    await afterTheBlow(yard);
    // A provider alone leaves no lock; otherwise there may be one, and the user can't tell.
    if (blow.victim !== "provider") ok(await yard.cancel());
  };
  const up = async (expected: Expected) => {
    const before = made();
    const result = await helped(yard, "up");
    outcome.more += made() - before;
    outcome.left = await afterUp(yard, expected);
    await settled(yard, createdBy(result, yard));
    return result;
  };
  const replaceAll = async () => {
    const before = yard.entries().map(({ id }) => id);
    const result = ok(await yard.run("up", replacing));
    await afterUp(yard, { program });
    // What wasn't replaced was named in a warning, one for each.
    const kept = yard.entries().filter(({ id }) => before.includes(id)).length;
    const told = new Set(result.stdout.match(KEPT)).size;
    if (kept !== told) throw new Error(`${kept} were kept, and ${told} warnings say so`);
    return kept;
  };
  const destroy = async (leftovers: readonly Leftovers[] = []) => {
    await helped(yard, "destroy");
    outcome.left = await afterDestroy(yard, leftovers);
  };

  switch (story) {
    case "up": {
      await strike("up", kill);
      await up({ program });
      expectMade(yard, whole, whole);
      await destroy();
      break;
    }
    case "up, killed again while it recovers": {
      await strike("up", kill);
      await strike("up", second);
      await up({ program });
      expectMade(yard, whole, whole);
      await destroy();
      break;
    }
    case "changed in between": {
      await strike("up", kill);
      const changed = Object.fromEntries(Object.entries(program).map(([name, args]) => [name, kind.changed(args)]));
      yard.declare(changed);
      await up({ program: changed });
      expectMade(yard, countOf(changed), countOf(changed));
      await destroy();
      break;
    }
    case "one removed in between": {
      await strike("up", kill);
      const fewer = Object.fromEntries(Object.entries(program).slice(0, -1));
      yard.declare(fewer);
      const leftovers = leftoversOf(yard, program, names.slice(-1));
      await up({ program: fewer, leftovers, removed: leftovers.map(({ owner }) => owner) });
      expectMade(yard, countOf(fewer), whole);
      await destroy(leftovers);
      break;
    }
    case "other volumes in between": {
      await strike("up", kill);
      const moved = names.slice(-2);
      const [, volumeId] = ground.sources;
      const changed = Object.fromEntries(
        Object.entries(program).map(([name, args]) => [name, moved.includes(name) ? { ...args, volumeId } : args]),
      );
      yard.declare(changed);
      const leftovers = leftoversOf(yard, program, moved);
      const { stdout } = await up({ program: changed, leftovers });
      const inState = new Set(yard.entries().map(({ id }) => id));
      for (const { id } of await ground.copies()) {
        if (!inState.has(id) && !stdout.includes(id)) throw new Error(`nobody was told of ${id}:\n${stdout}`);
      }
      expectMade(yard, whole, whole + moved.length);
      await destroy(leftovers);
      break;
    }
    case "--replace straight after": {
      await strike("up", kill);
      outcome.kept = await replaceAll();
      // Whatever the user does next, the only copies stay.
      await up({ program });
      if ((await replaceAll()) > 0) throw new Error("not replaced by the second --replace either");
      await destroy();
      break;
    }
    case "during --replace": {
      ok(await yard.run("up"));
      await strike("up", kill, replacing);
      outcome.kept = await replaceAll();
      await up({ program });
      expectMade(yard, 2 * whole, 3 * whole);
      await destroy();
      break;
    }
    case "killed again during --replace, then a plain up":
    case "during --replace, then a plain up": {
      if (story === "during --replace, then a plain up") {
        ok(await yard.run("up"));
        await strike("up", kill, replacing);
      } else {
        await strike("up", kill);
        await strike("up", second, replacing);
      }
      // Nothing asks for a new one any more, so nothing adopts what the interrupted replacement has begun.
      const leftovers = leftoversOf(yard, program, names);
      await up({ program, leftovers });
      await refreshTells(yard, program, leftovers);
      expectMade(yard, whole, 2 * whole);
      await destroy(leftovers);
      break;
    }
    case "during destroy": {
      ok(await yard.run("up"));
      await strike("destroy", kill);
      await destroy();
      expectMade(yard, whole, whole);
      break;
    }
  }
  return outcome;
}

/** As a user would: what an error asks for is done, and the command is given again. */
async function helped(yard: Yard, operation: "up" | "destroy"): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await yard.run(operation);
    if (result.code === 0 || attempt === 3 || !yard.ground.help?.(result.stdout)) return ok(result);
  }
}

/** Once for each resource of which something is left: nothing else would lead a user to it. */
async function refreshTells(yard: Yard, program: Program, leftovers: readonly Leftovers[]): Promise<void> {
  const inState = yard.entries().flatMap(({ copies }) => copies);
  const left = (await yard.ground.copies()).filter(({ id }) => !inState.includes(id)).map(({ owner }) => owner);
  const { stdout } = ok(await yard.run("refresh"));
  const told = new Set(stdout.match(LEFT)).size;
  if (told !== new Set(left).size) throw new Error(`left of ${left.join(", ") || "none"}, and ${told} warnings say so`);
  // It changes nothing.
  await afterUp(yard, { program, leftovers });
}

/** What an interrupted run may have left of these. */
function leftoversOf(yard: Yard, program: Program, names: readonly string[]): Leftovers[] {
  return names.map((name) => ({ owner: yard.urnOf(name), args: program[name] ?? {} }));
}

function ok(result: Result): Result {
  if (result.code !== 0) throw new Error(`exit code ${result.code}, see the last command`);
  return result;
}

/** Ids of what this run's creates have brought into the state. */
function createdBy({ events }: Result, yard: Yard): string[] {
  const urns = events.flatMap(({ resOutputsEvent: event }) =>
    event !== undefined && /^create/.test(event.metadata.op) ? [event.metadata.urn] : [],
  );
  return yard
    .entries()
    .filter(({ urn }) => urns.includes(urn))
    .flatMap(({ copies }) => copies);
}

function expectMade({ ground: { witness } }: Yard, least: number, most: number): void {
  if (!witness) return;
  const { length } = witness.made;
  if (length < least || length > most) throw new Error(`${length} copies were made, not ${least} to ${most}`);
}
