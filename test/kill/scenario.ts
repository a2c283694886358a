// The kill suite: a real `pulumi` runs against the emulator, something kills it at a random instant, the user goes on, and
// nothing may be lost, doubled or left behind. Start here to change a scenario or to find out why a case failed.
//
// A case (plan.ts) is a scenario, a victim and an instant, all drawn from a seed. `runScenario` below plays it:
//
//   1. It resets a stack (StackFixture): an empty state and a backend as new. The program declares a few resources.
//   2. It starts `up` or `destroy`, waits for the instant, and sends the signal: to the provider, to the CLI, to both, or
//      Ctrl-C to the CLI, once or twice. The instant is a fraction of a normal run, or the nth request on the wire.
//      The interruption is "hit", or "missed" if the run had ended before.
//   3. It does what a user would do next: the same command again, a changed program, `--replace`, `destroy`, …
//      After the interruption and at the end, orphansCommand.ts compares what `snapclone orphans` says with the backend's
//      own model.
//   4. After each command, assertions.ts compares three things: the program, the state file, and the copies in the
//      backend. It knows every outcome that the documentation allows, and no other.
//
// Three more files take part. A ResourceCase (cases/<resource>.ts) declares the resource, and lists its copies through the
// emulator's model and not through the provider. A RequestSpy notes every copy that was ever made or deleted, so that a
// copy cannot vanish unseen between two checks. parallelRunner.ts turns each case into a Jest test, runs several stacks in
// parallel, and prints a table of what happened.
//
// A new resource is a new file in cases/. A new scenario is a name in SCENARIOS and ROUND (plan.ts) and a function in
// PLAYS below. To repeat a failed case, run the command that CONTRIBUTING.md gives with the seed and the number in the
// case's title; the error contains the output of all commands of the case.

import type { Result } from "../engine/harness";
import {
  assertAdoptionsReported,
  assertAfterDestroy,
  assertAfterInterruption,
  assertAfterUp,
  assertOrphansReported,
  type Expected,
  type Leftovers,
  snapshotBeforeRun,
} from "./assertions";
import { assertOrphansCommand } from "./orphansCommand";
import type { Case, Kill, Scenario } from "./plan";
import type { Args, Program } from "./resourceCase";
import type { Interruption, StackFixture } from "./stackFixture";

export interface Outcome {
  interruption: Interruption;
  /** Copies that the interrupted run began. */
  begun: number;
  /** Copies that the user's next runs began. */
  more: number;
  /** Resources that adopted what the interrupted run had begun. */
  adopted: number;
  /** Copies that no state holds and that stay, as documented. */
  left: number;
  /** Provider processes that lost their CLI before the provider's code was loaded. */
  orphanProcesses: number;
}

/** An error contains the transcript of the whole case. */
export async function runScenario(fixture: StackFixture, one: Case): Promise<Outcome> {
  try {
    const play = new Play(fixture, one);
    await play.begin();
    await PLAYS[one.scenario](play);
    return play.outcome;
  } catch (error) {
    throw new Error([String(error), ...fixture.transcript].join("\n\n"));
  }
}

const PLAYS: Record<Scenario, (play: Play) => Promise<void>> = {
  async up(play) {
    await play.interrupt("up", play.kill);
    await play.upTo(play.program);
    await play.destroy();
  },

  async "up, killed again while it recovers"(play) {
    await play.interrupt("up", play.kill);
    await play.interrupt("up", play.second);
    await play.upTo(play.program);
    await play.destroy();
  },

  async "changed in between"(play) {
    const { fixture, program } = play;
    await play.interrupt("up", play.kill);
    const changed = mapProgram(program, (args) => fixture.resource.changed(args));
    fixture.declare(changed);
    await play.upTo(changed);
    await play.destroy();
  },

  async "one removed in between"(play) {
    const { fixture, program, names } = play;
    await play.interrupt("up", play.kill);
    const fewer = Object.fromEntries(Object.entries(program).slice(0, -1));
    fixture.declare(fewer);
    const leftovers = play.leftoversOf(names.slice(-1));
    await play.up({ program: fewer, leftovers, removed: leftovers.map(({ owner }) => owner) });
    play.expectMade(play.countOf(fewer), play.total);
    await play.destroy(leftovers);
  },

  async "other volumes in between"(play) {
    const { fixture, program, names, total } = play;
    await play.interrupt("up", play.kill);
    const moved = names.slice(-2);
    const [, other] = fixture.backend.sources;
    const { sourceInput = "volumeId" } = fixture.resource;
    const changed = mapProgram(program, (args, name) =>
      moved.includes(name) ? { ...args, [sourceInput]: other } : args,
    );
    fixture.declare(changed);
    const leftovers = play.leftoversOf(moved);
    await play.up({ program: changed, leftovers });
    play.expectMade(total, total + moved.length);
    await play.destroy(leftovers);
  },

  async "another state store in between"(play) {
    const { fixture, program, names, total } = play;
    await play.interrupt("up", play.kill);
    // The other store has a stack of the same name. It must leave alone what the killed run made.
    const foreign = play.leftoversOf(names);
    const { back } = fixture.moveToAnotherStore();
    const before = play.made();
    const result = await play.runWithAdvice("up");
    await assertAfterUp(fixture, { program, leftovers: foreign });
    if (play.made() - before !== total) throw new Error(`${play.made() - before} were made and not ${total}`);
    if (/adopted the|in no state/.test(result.stdout)) throw new Error("the run reports another stack's objects");
    await play.runWithAdvice("destroy");
    await assertAfterDestroy(fixture, foreign);
    back();
    await play.up({ program, removed: names.map(fixture.urnOf) });
    play.expectMade(2 * total, 2 * total);
    await play.destroy();
  },

  async "--replace straight after"(play) {
    await play.interrupt("up", play.kill);
    await play.replaceAll();
    // A plain `up` must keep the only copies.
    await play.up({ program: play.program });
    await play.replaceAll();
    await play.destroy();
  },

  async "during --replace"(play) {
    const { fixture, program, total } = play;
    ok(await fixture.run("up"));
    await play.interrupt("up", play.kill, play.replaceArgs);
    await play.replaceAll();
    await play.up({ program });
    play.expectMade(2 * total, 3 * total);
    await play.destroy();
  },

  async "killed again during --replace, then a plain up"(play) {
    await play.interrupt("up", play.kill);
    await play.interrupt("up", play.second, play.replaceArgs);
    await abandonReplacement(play);
  },

  async "during --replace, then a plain up"(play) {
    ok(await play.fixture.run("up"));
    await play.interrupt("up", play.kill, play.replaceArgs);
    await abandonReplacement(play);
  },

  async "during destroy"(play) {
    ok(await play.fixture.run("up"));
    await play.interrupt("destroy", play.kill);
    await play.destroy();
    play.expectMade(play.total, play.total);
  },
};

/** A plain `up` does not ask for a replacement, so it adopts nothing that the interrupted `--replace` began. */
async function abandonReplacement(play: Play): Promise<void> {
  const { fixture, program, names, total } = play;
  const leftovers = play.leftoversOf(names);
  await play.up({ program, leftovers });
  // A refresh changes nothing. It must name the leftovers, since nothing else would lead a user to them.
  await assertOrphansReported(fixture, ok(await fixture.run("refresh")));
  await assertAfterUp(fixture, { program, leftovers });
  play.expectMade(total, 2 * total);
  await play.destroy(leftovers);
}

/** One case while it runs: its program, the commands with their assertions, and the counts of its outcome. */
class Play {
  readonly program: Program;
  readonly names: readonly string[];
  /** Copies that the whole program consists of. */
  readonly total: number;
  readonly kill: Kill;
  readonly second: Kill;
  readonly replaceArgs: readonly string[];
  readonly outcome: Outcome = { interruption: "missed", begun: 0, more: 0, adopted: 0, left: 0, orphanProcesses: 0 };

  constructor(
    readonly fixture: StackFixture,
    { kill, second, replace }: Case,
  ) {
    const { resource, backend } = fixture;
    this.program = resource.program(backend, resource.size);
    this.names = Object.keys(this.program);
    this.total = this.countOf(this.program);
    this.kill = kill;
    this.second = second;
    // `**` replaces the provider as well: deletes then go to another process than creates.
    this.replaceArgs = ["--replace", replace === "everything" ? "**" : `urn:pulumi:**:${resource.type}::**`];
  }

  async begin(): Promise<void> {
    await this.fixture.reset();
    this.fixture.declare(this.program);
  }

  made(): number {
    return this.fixture.backend.spy?.made.length ?? 0;
  }

  countOf(program: Program): number {
    return Object.values(program).flatMap((args) => this.fixture.resource.expectedCopies(args)).length;
  }

  /** What an interrupted run may have left of these resources. */
  leftoversOf(names: readonly string[]): Leftovers[] {
    return names.map((name) => ({ owner: this.fixture.urnOf(name), args: this.program[name] ?? {} }));
  }

  async interrupt(operation: "up" | "destroy", kill: Kill, args: readonly string[] = []): Promise<void> {
    const { fixture, outcome } = this;
    const before = this.made();
    const { interruption, result, leftOrphanProcess } = await fixture.interrupt(operation, kill, args);
    if (interruption === "hit") outcome.interruption = "hit";
    else ok(result);
    outcome.begun += this.made() - before;
    if (leftOrphanProcess) outcome.orphanProcesses += 1;
    await assertAfterInterruption(fixture);
    await assertOrphansCommand(fixture);
    // After a kill of the provider alone there is no lock. Otherwise there may be one, and the user cannot tell.
    if (kill.victim !== "provider") ok(await fixture.cancel());
  }

  async up(expected: Expected, args: readonly string[] = []): Promise<void> {
    const { fixture, outcome } = this;
    const [before, madeBefore] = [await snapshotBeforeRun(fixture), this.made()];
    const result = await this.runWithAdvice("up", args);
    outcome.more += this.made() - madeBefore;
    outcome.left = await assertAfterUp(fixture, expected);
    outcome.adopted += assertAdoptionsReported(fixture, before, result);
    await assertOrphansReported(fixture, result);
  }

  /** An `up` after which each copy of the program was made exactly once, in whichever run. */
  async upTo(program: Program): Promise<void> {
    await this.up({ program });
    this.expectMade(this.countOf(program), this.countOf(program));
  }

  /** An `up --replace` must give each entry of the state another object. */
  async replaceAll(): Promise<void> {
    const before = this.fixture.entries().map(({ id }) => id);
    await this.up({ program: this.program }, this.replaceArgs);
    const kept = this.fixture.entries().filter(({ id }) => before.includes(id));
    if (kept.length > 0) throw new Error(`not replaced: ${kept.map(({ id }) => id).join(", ")}`);
  }

  async destroy(leftovers: readonly Leftovers[] = []): Promise<void> {
    const result = await this.runWithAdvice("destroy");
    this.outcome.left = await assertAfterDestroy(this.fixture, leftovers);
    await assertOrphansReported(this.fixture, result);
    await assertOrphansCommand(this.fixture);
  }

  /** Runs the command. If its error asks a person for something, does that and runs the command again, as a user would. */
  async runWithAdvice(operation: "up" | "destroy", args: readonly string[] = []): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      const result = await this.fixture.run(operation, args);
      if (result.code === 0 || attempt === 3 || !this.fixture.backend.followAdvice?.(result.stdout)) return ok(result);
    }
  }

  expectMade(least: number, most: number): void {
    const { spy } = this.fixture.backend;
    if (spy === undefined) return;
    const { length } = spy.made;
    if (length < least || length > most) throw new Error(`${length} copies were made, not ${least} to ${most}`);
  }
}

function mapProgram(program: Program, change: (args: Args, name: string) => Args): Program {
  return Object.fromEntries(Object.entries(program).map(([name, args]) => [name, change(args, name)]));
}

function ok(result: Result): Result {
  if (result.code !== 0) throw new Error(`exit code ${result.code}, see the last command`);
  return result;
}
