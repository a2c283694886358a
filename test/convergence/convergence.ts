// Convergence on OpenStack and PowerVC: whichever request of an operation fails or is where the process is killed, the same command
// without faults ends, within two runs, in what a first `up` of the program gives, and leaves nothing behind.

import type { Emulator } from "../../emulator";
import { attemptInId } from "../../provider/core/attempt";
import type { AnyDefinition } from "../../provider/core/definition";
import type { HttpClient } from "../../provider/core/http/client";
import type { Properties } from "../../provider/core/operation";
import type { Clock } from "../../provider/core/util/clock";
import { FAULT_KINDS, type Fault, type FaultyHttp, inProcessProvider } from "../faults/inProcess";
import { openCloud, PASSWORD } from "../faults/openstackSites";
import { FakeEngine, type RunOptions, type RunResult } from "../support/fakeEngine";
import { inProcessCloud } from "../support/inProcessCloud";

export type Program = Record<string, Properties>;

export interface Change {
  name: string;
  /** The program of an earlier run that succeeded. */
  before?: Program;
  after: Program;
  /** Earlier names of resources in `after`. */
  aliases?: Record<string, string>;
  options?: RunOptions;
  /** Default: all. */
  faultKinds?: readonly (typeof FAULT_KINDS)[number][];
}

export interface Convergence {
  title: string;
  definition: AnyDefinition;
  /** The user who logs in. */
  user: string;
  /** Opens the client of one run. Default: one of OpenStack. */
  open?(authUrl: string, clock: Clock, http: HttpClient, user: string): unknown;
  /** Time between two commands. Default: longer than any work of the emulator takes. */
  pauseMs?: number;
  changes: readonly Change[];
  /** Adds to a fresh cloud what the changes need. */
  prepare(emulator: Emulator): void;
  /** Everything on the backend, without values that differ from run to run. */
  inspect(emulator: Emulator): unknown;
  /** The outputs that must equal those of a first `up`. */
  outputs: readonly string[];
  /** What is on the backend after a destroy. */
  remains(emulator: Emulator): unknown;
  /** Fails if the state and the backend disagree. Called with the state of the converged stack. */
  expectAgreement?(emulator: Emulator, entries: FakeEngine["state"]["entries"]): void;
  /** A create whose request may be carried out without an answer. The run that adopts the object meets all faults. */
  unknownOutcome?: Change;
  /** A change that is killed at each of its requests, and once more while the next run recovers. */
  killedTwice?: Change;
  /** Does what an error asks a person to do. */
  followAdvice?(emulator: Emulator, output: string): void;
  /** Finishes the backend's running work. */
  advance(emulator: Emulator): void;
}

const PAUSE_MS = 60_000;
const BEFORE = "is where the process is killed, before";
const AFTER = "is where the process is killed, after";
const UNANSWERED = "is carried out, its reply lost, and all that follow fail";

const { emulator, clock, newHttp } = inProcessProvider();

export function testConvergence(resource: Convergence): void {
  jest.setTimeout(300_000);
  const sequences = new Sequences(resource);

  beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));
  afterAll(() => {
    jest.restoreAllMocks();
    process.stdout.write(`${resource.title}: ${sequences.count} sequences converge\n`);
  });

  describe.each(resource.changes)("$name", (change) => {
    test.each(change.faultKinds ?? FAULT_KINDS)("a request %s", async (kind) => {
      const wanted = await sequences.firstUp(change);
      for (let nth = 1; await sequences.converges(change, { nth, kind }, wanted); nth += 1);
    });
  });

  const { unknownOutcome } = resource;
  if (unknownOutcome)
    describe(`${unknownOutcome.name} of unknown outcome`, () => {
      test.each(FAULT_KINDS)("a request of the next run %s", async (kind) => {
        const wanted = await sequences.firstUp(unknownOutcome);
        const unknown = await sequences.faultOfUnknownOutcome(unknownOutcome);
        for (let nth = 1; await sequences.convergesAfter(unknown, unknownOutcome, { nth, kind }, wanted); nth += 1);
      });
    });

  const hooked = resource.changes.filter(({ faultKinds = FAULT_KINDS }) => faultKinds.includes(UNANSWERED));
  test.each(hooked)(
    "$name, repeated by an error hook: a request is carried out, and all replies are lost",
    async (change) => {
      const wanted = await sequences.firstUp(change);
      sequences.repeats = 1;
      try {
        for (let nth = 1; await sequences.converges(change, { nth, kind: UNANSWERED }, wanted); nth += 1);
      } finally {
        sequences.repeats = 0;
      }
    },
  );

  const { killedTwice } = resource;
  if (killedTwice)
    test(`${killedTwice.name} that is killed, and whose recovery is killed at each of its requests`, async () => {
      const wanted = await sequences.firstUp(killedTwice);
      const last = sequences.requests;
      for (let nth = AFTER_LOGIN; nth <= last; nth += 1)
        for (let again = AFTER_LOGIN + (nth % 2); ; again += 2) {
          const kills = [nth, again].map((at): Fault => ({ nth: at, kind: at % 4 < 2 ? BEFORE : AFTER }));
          if (!(await sequences.convergesAfterKills(killedTwice, kills, wanted))) break;
        }
    });
}

/** The first request of a run that is not its login. */
const AFTER_LOGIN = 3;

/** Runs a change with one fault, and then the same command until it converges. */
class Sequences {
  count = 0;
  /** See FakeEngine.repeats. */
  repeats = 0;
  private http: FaultyHttp = newHttp();
  private cloud: unknown;
  private readonly definition: AnyDefinition;
  /** What remains of nothing, to compare with: from another emulator, since the one of the tests is in use. */
  private readonly remainsOfNothing: unknown;

  constructor(private readonly resource: Convergence) {
    const connection = { ...resource.definition.connection, open: () => this.cloud };
    this.definition = { ...resource.definition, connection };
    const untouched = inProcessCloud({ clock: "manual" }).emulator;
    resource.prepare(untouched);
    this.remainsOfNothing = resource.remains(untouched);
  }

  /** The requests of the last run. */
  get requests(): number {
    return this.http.requests;
  }

  /** What a first `up` of the program gives. */
  async firstUp(change: Change): Promise<object> {
    const engine = this.begin();
    expect((await this.up(engine, { ...change, options: {} })).errors).toEqual([]);
    return this.inspect(engine);
  }

  /** False if the run has fewer requests than `fault.nth`: all of them have had the fault. */
  async converges(change: Change, fault: Fault, wanted: object): Promise<boolean> {
    const engine = this.begin();
    if (change.before) expect((await this.up(engine, { name: "", after: change.before })).errors).toEqual([]);
    const faulty = await this.up(engine, seeded(change, fault.nth % 2 === 0), fault);
    if (this.http.requests < fault.nth) return false;
    this.count += 1;
    const output: string[] = [...faulty.errors.map(String), ...faulty.log];
    try {
      if (faulty.killed || faulty.errors.length > 0) await this.repeat(engine, change, faulty, output);
      await this.expectConverged(engine, change, wanted);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`request ${fault.nth} ${fault.kind}:\n${output.join("\n")}\n${why}`);
    }
    return true;
  }

  /** False if the last of the runs has fewer requests than its fault's `nth`. */
  async convergesAfterKills(change: Change, faults: readonly Fault[], wanted: object): Promise<boolean> {
    const engine = this.begin();
    for (const fault of faults) await this.up(engine, seeded(change, fault.nth % 3 === 0), fault);
    if (this.http.requests < (faults.at(-1)?.nth ?? 0)) return false;
    this.count += 1;
    const results = [await this.up(engine, change), await this.up(engine, change)];
    const output = `${JSON.stringify(faults)}\n${results.flatMap(({ log }) => log).join("\n")}`;
    expect([output, ...results.flatMap(({ errors }) => errors)]).toEqual([output]);
    expect([output, this.inspect(engine)]).toEqual([output, wanted]);
    this.resource.expectAgreement?.(emulator, engine.state.entries);
    return true;
  }

  /** The first fault of a create after which the state has an entry of unknown outcome. */
  async faultOfUnknownOutcome(change: Change): Promise<Fault> {
    for (let nth = AFTER_LOGIN; ; nth += 1) {
      const engine = this.begin();
      const fault: Fault = { nth, kind: UNANSWERED };
      await this.up(engine, change, fault);
      if (this.http.requests < nth) throw new Error("each outcome of this create is known");
      if (engine.state.entries.some(({ id }) => attemptInId(id) !== undefined)) return fault;
    }
  }

  /** False if the run after the one of unknown outcome has fewer requests than `fault.nth`. */
  async convergesAfter(unknown: Fault, change: Change, fault: Fault, wanted: object): Promise<boolean> {
    const engine = this.begin();
    await this.up(engine, seeded(change, fault.nth % 2 === 0), unknown);
    const faulty = await this.up(engine, seeded(change, fault.nth % 4 < 2), fault);
    if (this.http.requests < fault.nth) return false;
    this.count += 1;
    const output: string[] = [...faulty.errors.map(String), ...faulty.log];
    try {
      if (faulty.killed || faulty.errors.length > 0) await this.repeat(engine, change, faulty, output);
      // What the last run has left to delete.
      expect((await this.up(engine, change)).errors).toEqual([]);
      await this.expectConverged(engine, change, wanted);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`request ${fault.nth} ${fault.kind}:\n${output.join("\n")}\n${why}`);
    }
    return true;
  }

  /** Gives the command twice more, as a user would. The second run must succeed. */
  private async repeat(engine: FakeEngine, change: Change, faulty: RunResult, output: string[]): Promise<void> {
    const { followAdvice } = this.resource;
    if (!faulty.killed) followAdvice?.(emulator, output.join("\n"));
    // A user asks again for a forced replacement that was killed.
    const again = await this.up(engine, { ...change, options: faulty.killed ? (change.options ?? {}) : {} });
    output.push("--- again", ...again.errors.map(String), ...again.log);
    followAdvice?.(emulator, again.errors.map(String).join("\n"));
    const { errors } = await this.up(engine, { ...change, options: {} });
    expect(errors).toEqual([]);
  }

  /** Refresh and another `up` change nothing, and a destroy leaves nothing. */
  private async expectConverged(engine: FakeEngine, change: Change, wanted: object): Promise<void> {
    expect(this.inspect(engine)).toEqual(wanted);
    this.resource.expectAgreement?.(emulator, engine.state.entries);
    this.newProcess();
    await engine.refresh();
    expect((await this.up(engine, { ...change, options: {} })).errors).toEqual([]);
    expect(this.http.changes).toEqual([]);
    expect(this.inspect(engine)).toEqual(wanted);
    this.newProcess();
    expect((await engine.destroy()).errors).toEqual([]);
    this.finishBackendWork();
    expect([engine.state.entries, this.resource.remains(emulator)]).toEqual([[], this.remainsOfNothing]);
  }

  /** A fresh cloud and an empty stack. */
  private begin(): FakeEngine {
    emulator.reset();
    emulator.keystone.userNamed(this.resource.user).password = PASSWORD;
    this.resource.prepare(emulator);
    const engine = new FakeEngine(this.definition, { clock, isDead: () => this.http.dead });
    engine.repeats = this.repeats;
    return engine;
  }

  private newProcess(fault?: Fault): void {
    this.http = newHttp(fault);
    const { open = openCloud, user } = this.resource;
    this.cloud = open(emulator.openstack.authUrl, clock, this.http, user);
  }

  private async up(engine: FakeEngine, { after, aliases, options }: Change, fault?: Fault): Promise<RunResult> {
    this.newProcess(fault);
    const result = await engine.up(after, options ?? {}, aliases ?? {});
    // If a replacement ended in an init failure, the old entry waits to be deleted (docs/wire/pulumi-engine.md#calls).
    engine.edit(({ entries }) => {
      for (const [at, entry] of entries.entries()) {
        const isReplaced = entries.slice(at + 1).some(({ urn, leaving }) => urn === entry.urn && !leaving);
        if (isReplaced) entry.leaving = true;
      }
    });
    this.finishBackendWork();
    return result;
  }

  private finishBackendWork(): void {
    emulator.clock.tick(this.resource.pauseMs ?? PAUSE_MS);
    this.resource.advance(emulator);
  }

  private inspect(engine: FakeEngine): object {
    return {
      backend: this.resource.inspect(emulator),
      state: engine.state.entries
        .map(({ urn, outputs, initError, leaving }) => ({
          urn,
          initError,
          leaving,
          ...Object.fromEntries(["pending", ...this.resource.outputs].map((key) => [key, outputs[key]])),
        }))
        .sort((a, b) => a.urn.localeCompare(b.urn)),
    };
  }
}

/** On the real engine the first check of a process has no seed. A program's later resources have one. */
function seeded(change: Change, firstCheckWithoutSeed: boolean): Change {
  return { ...change, options: { ...change.options, firstCheckWithoutSeed } };
}
