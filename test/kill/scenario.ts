// One case from its beginning to its end: what is interrupted, how the user goes on, and what must be so at each step.

import type { Result } from "../engine/harness";
import {
  afterDestroy,
  afterInterruption,
  afterUp,
  beforeRun,
  type Expected,
  type Leftovers,
  tellsAdoptions,
  tellsOrphans,
} from "./assertions";
import type { Case, Kill } from "./plan";
import type { Program } from "./resourceCase";
import type { Interruption, StackFixture } from "./stackFixture";

export interface Outcome {
  blow: Interruption;
  /** Copies that the interrupted run had begun. */
  begun: number;
  /** Copies that the user's next run had to begin itself. */
  more: number;
  /** Resources that adopted what the interrupted run had begun. */
  adopted: number;
  /** What is in no state and stays, as documented. */
  left: number;
  /** Provider processes that were orphaned before our code was in them. */
  strays: number;
}

/** An error has the transcript of the whole case in it. */
export async function runScenario(yard: StackFixture, one: Case): Promise<Outcome> {
  try {
    return await course(yard, one);
  } catch (error) {
    throw new Error([String(error), ...yard.transcript].join("\n\n"));
  }
}

async function course(yard: StackFixture, { story, replace, kill, second }: Case): Promise<Outcome> {
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
  const outcome: Outcome = { blow: "too late", begun: 0, more: 0, adopted: 0, left: 0, strays: 0 };
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
    await afterInterruption(yard);
    // A provider alone leaves no lock; otherwise there may be one, and the user can't tell.
    if (blow.victim !== "provider") ok(await yard.cancel());
  };
  const up = async (expected: Expected, args: readonly string[] = []) => {
    const [before, earlier] = [await beforeRun(yard), made()];
    const result = await helped(yard, "up", args);
    outcome.more += made() - earlier;
    outcome.left = await afterUp(yard, expected);
    outcome.adopted += tellsAdoptions(yard, before, result);
    await tellsOrphans(yard, result);
    return result;
  };
  /** What the state holds is not handed back: each of its entries gets another object. */
  const replaceAll = async () => {
    const before = yard.entries().map(({ id }) => id);
    await up({ program }, replacing);
    const kept = yard.entries().filter(({ id }) => before.includes(id));
    if (kept.length > 0) throw new Error(`not replaced: ${kept.map(({ id }) => id).join(", ")}`);
  };
  const destroy = async (leftovers: readonly Leftovers[] = []) => {
    const result = await helped(yard, "destroy");
    outcome.left = await afterDestroy(yard, leftovers);
    await tellsOrphans(yard, result);
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
      await up({ program: changed, leftovers });
      expectMade(yard, whole, whole + moved.length);
      await destroy(leftovers);
      break;
    }
    case "another backend in between": {
      await strike("up", kill);
      // Its stack has the same name, and what the killed run made is none of its business.
      const strangers = leftoversOf(yard, program, names);
      const { back } = yard.moveToAnotherBackend();
      const before = made();
      const result = await helped(yard, "up");
      await afterUp(yard, { program, leftovers: strangers });
      if (made() - before !== whole) throw new Error(`${made() - before} were made and not ${whole}`);
      if (/adopted the|in no state/.test(result.stdout)) throw new Error("another stack's objects are spoken of");
      await helped(yard, "destroy");
      await afterDestroy(yard, strangers);
      back();
      await up({ program, removed: names.map(yard.urnOf) });
      expectMade(yard, 2 * whole, 2 * whole);
      await destroy();
      break;
    }
    case "--replace straight after": {
      await strike("up", kill);
      await replaceAll();
      // Whatever the user does next, the only copies stay.
      await up({ program });
      await replaceAll();
      await destroy();
      break;
    }
    case "during --replace": {
      ok(await yard.run("up"));
      await strike("up", kill, replacing);
      await replaceAll();
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
async function helped(yard: StackFixture, operation: "up" | "destroy", args: readonly string[] = []): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await yard.run(operation, args);
    if (result.code === 0 || attempt === 3 || !yard.ground.help?.(result.stdout)) return ok(result);
  }
}

/** Nothing else would lead a user to it. A refresh changes nothing. */
async function refreshTells(yard: StackFixture, program: Program, leftovers: readonly Leftovers[]): Promise<void> {
  await tellsOrphans(yard, ok(await yard.run("refresh")));
  await afterUp(yard, { program, leftovers });
}

/** What an interrupted run may have left of these. */
function leftoversOf(yard: StackFixture, program: Program, names: readonly string[]): Leftovers[] {
  return names.map((name) => ({ owner: yard.urnOf(name), args: program[name] ?? {} }));
}

function ok(result: Result): Result {
  if (result.code !== 0) throw new Error(`exit code ${result.code}, see the last command`);
  return result;
}

function expectMade({ ground: { witness } }: StackFixture, least: number, most: number): void {
  if (!witness) return;
  const { length } = witness.made;
  if (length < least || length > most) throw new Error(`${length} copies were made, not ${least} to ${most}`);
}
