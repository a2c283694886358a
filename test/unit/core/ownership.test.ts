// The rules of ownership as a state machine: random sequences of what users and machines do to a stack, against a model of
// the engine's calls and state. What must hold after each step is in `expectSound`.

import fc from "fast-check";
import { pendingCreatesOf } from "../../../provider/core/attempt";
import type { AnyDefinition } from "../../../provider/core/definition";
import { Run } from "../../../provider/core/run";
import { FakeBackend, type FakeRow, fakeDefinition } from "../../support/fakeBackend";
import { FakeClock } from "../../support/fakeClock";
import { FakeEngine, type RunResult } from "../../support/fakeEngine";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

type Program = Record<string, { source: string; name?: string }>;

/** What befalls an `up`. */
interface UpFlags {
  kill?: { at: number; executed: boolean } | undefined;
  saveFails?: boolean | undefined;
  replace?: readonly string[] | undefined;
  deletesElsewhere?: boolean | undefined;
  firstCheckWithoutSeed?: boolean | undefined;
  retain?: readonly string[] | undefined;
  replyLost?: boolean | undefined;
  providerAlone?: boolean | undefined;
}

type Step =
  | { do: "up"; stack: 0 | 1; program: Program; flags: UpFlags }
  | { do: "up with alias"; stack: 0 | 1; program: Program }
  | { do: "refresh"; stack: 0 | 1; clear: boolean }
  | { do: "destroy"; stack: 0 | 1; kill?: UpFlags["kill"] }
  | { do: "state rename"; stack: 0 | 1 }
  | { do: "stack rename"; stack: 0 | 1 }
  | { do: "state delete"; stack: 0 | 1 }
  | { do: "import an older state"; stack: 0 | 1 }
  | { do: "delete by hand"; nth: number }
  | { do: "wait"; ms: number }
  | { do: "witness"; stack: 0 | 1; there: boolean }
  /** Before anything else: a backend whose clock runs a day apart. */
  | { do: "skew"; ms: number };

/** A run of CI must not fail by luck. Another seed looks further: OWNERSHIP_SEED. */
const SEED = Number(process.env.OWNERSHIP_SEED ?? 20_261_128);

const stack = fc.constantFrom<0 | 1>(0, 0, 0, 1);
const names = fc.subarray(["a", "b"]);
const args = fc.record({ source: fc.constantFrom("mon", "tue"), name: fc.constantFrom("x", "y") });
const program = fc.record({ a: args, b: args }, { requiredKeys: ["a"] }).map((all) => all as Program);
const kill = fc.record({ at: fc.integer({ min: 1, max: 9 }), executed: fc.boolean() });
const flags = fc.record(
  {
    kill: fc.option(kill, { nil: undefined }),
    saveFails: fc.constantFrom(false, false, false, true),
    replace: fc.oneof(fc.constant([]), names),
    deletesElsewhere: fc.boolean(),
    firstCheckWithoutSeed: fc.boolean(),
    retain: fc.oneof(fc.constant([]), names),
    replyLost: fc.constantFrom(false, false, false, false, true),
    providerAlone: fc.boolean(),
  },
  { requiredKeys: [] },
);
const stepNamed = <What extends Step["do"], More extends object>(weight: number, what: What, more: More) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(what), ...more } as never) as fc.Arbitrary<Step>,
});

const step: fc.Arbitrary<Step> = fc.oneof(
  stepNamed(8, "up", { stack, program, flags }),
  stepNamed(1, "up with alias", { stack, program }),
  stepNamed(2, "refresh", { stack, clear: fc.boolean() }),
  stepNamed(1, "destroy", { stack }),
  stepNamed(1, "destroy", { stack, kill }),
  stepNamed(1, "state rename", { stack }),
  stepNamed(1, "stack rename", { stack }),
  stepNamed(1, "state delete", { stack }),
  stepNamed(1, "import an older state", { stack }),
  stepNamed(1, "delete by hand", { nth: fc.nat(3) }),
  stepNamed(2, "wait", { ms: fc.constantFrom(MINUTE, DAY / 2, 2 * DAY) }),
  stepNamed(1, "witness", { stack, there: fc.boolean() }),
);
const skew: fc.Arbitrary<Step> = fc.record({ do: fc.constant("skew" as const), ms: fc.constantFrom(-DAY, 0, 0, DAY) });
const steps = (maxLength: number) =>
  fc.tuple(skew, fc.array(step, { maxLength })).map(([first, rest]): Step[] => [first, ...rest]);

/** Two stacks of one name in two state stores, on one backend that others use, too. */
class World {
  readonly clock = new FakeClock();
  readonly backend = new FakeBackend(this.clock);
  readonly definition = fakeDefinition(this.backend) as AnyDefinition;
  readonly engines: readonly [FakeEngine, FakeEngine];
  /** Every object that some state has ever held, as it was then. */
  readonly recorded = new Map<string, FakeRow>();
  private readonly older = new Map<FakeEngine, FakeEngine["state"]>();
  private readonly foreign: string;

  constructor() {
    this.backend.readsUntilReady = 0;
    const engine = (origin: string) =>
      new FakeEngine(this.definition, { clock: this.clock, origin, isDead: () => this.backend.dead });
    this.engines = [engine("one"), engine("two")];
    for (const one of this.engines) {
      one.onDelete = ({ id, urn, leaving }) => {
        const others = this.engines
          .flatMap(({ state }) => state.entries)
          .filter((entry) => entry.id === id && !entry.leaving && !(entry.urn === urn && !leaving));
        if (others.length > 0 && this.backend.rows.has(id))
          throw new Error(`LOST: ${id} is deleted, and ${others[0]?.urn} holds it`);
      };
    }
    this.foreign = JSON.stringify(this.addForeign());
  }

  private addForeign() {
    const row = {
      id: "foreign",
      source: "mon",
      name: "x",
      status: "ready" as const,
      createdAt: this.backend.time().toISOString(),
    };
    this.backend.rows.set(row.id, row);
    return row;
  }

  async take(one: Step): Promise<void> {
    await this.clock.sleep(1_000);
    const engine = "stack" in one ? this.engines[one.stack] : this.engines[0];
    const { backend, clock } = this;
    switch (one.do) {
      case "wait":
        await clock.sleep(one.ms);
        return;
      case "skew":
        backend.skew = one.ms;
        return;
      case "delete by hand": {
        const ids = [...backend.rows.keys()].filter((id) => id !== "foreign");
        const id = ids[one.nth % Math.max(1, ids.length)];
        if (id !== undefined) backend.rows.delete(id);
        return;
      }
      case "witness":
        engine.isStateReadable = one.there;
        return;
      case "state rename":
        return engine.edit(({ entries }) => {
          for (const entry of entries) if (entry.urn === engine.urn("a")) entry.urn = engine.urn("z");
        });
      case "stack rename": {
        const before = engine.stack;
        engine.stack = before === "dev" ? "prod" : "dev";
        // `stack import` refuses a state of another stack's URNs.
        this.older.delete(engine);
        return engine.edit(({ entries, pending }) => {
          for (const item of [...entries, ...pending])
            item.urn = item.urn.replace(`:${before}::`, `:${engine.stack}::`);
        });
      }
      case "state delete":
        return engine.edit((state) => {
          state.entries = state.entries.slice(1);
        });
      case "import an older state": {
        const older = this.older.get(engine);
        if (older) engine.state = { entries: structuredClone(older.entries), pending: [] };
        return;
      }
      case "refresh":
        return this.run(engine, () => engine.refresh({ clearPendingCreates: one.clear }));
      case "destroy":
        return this.run(engine, () => engine.destroy(), one.kill);
      case "up with alias":
        return this.run(engine, () => engine.up({ ...one.program, z: { source: "mon", name: "x" } }, {}, { z: "a" }));
      case "up": {
        const { kill, replyLost, ...options } = one.flags;
        backend.nextPost = replyLost ? "lost" : "ok";
        const defined = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
        return this.run(engine, () => engine.up(one.program, defined), kill, options.saveFails);
      }
    }
  }

  async run(
    engine: FakeEngine,
    work: () => Promise<RunResult>,
    kill?: UpFlags["kill"],
    saveFailed = false,
  ): Promise<void> {
    const { backend } = this;
    this.older.set(engine, structuredClone(engine.state));
    const heldBefore = structuredClone(engine.state.entries);
    backend.kill = kill && { ...kill };
    const before = new Map([...backend.rows].map(([id, row]) => [id, { ...row }]));
    const [requests, deletions] = [backend.requests.length, backend.deletions.length];
    let result: RunResult;
    try {
      result = await work();
    } finally {
      backend.kill = undefined;
      backend.nextPost = "ok";
    }
    expectSound(
      this,
      engine,
      result,
      before,
      backend.requests.slice(requests),
      backend.deletions.slice(deletions),
      saveFailed,
      heldBefore,
    );
    for (const { id } of engine.state.entries) {
      const row = backend.rows.get(id);
      if (row) this.recorded.set(id, { ...row });
    }
    if (JSON.stringify(backend.rows.get("foreign")) !== this.foreign) throw new Error("the foreign object was touched");
  }
}

function expectSound(
  { backend, clock, recorded }: World,
  engine: FakeEngine,
  { killed, log, errors }: RunResult,
  before: ReadonlyMap<string, FakeRow>,
  requests: readonly string[],
  deletions: readonly string[],
  saveFailed: boolean,
  heldBefore: readonly { id: string; urn: string }[],
): void {
  for (const error of errors) {
    if (/LOST|unexpected error/.test(String(error))) throw error;
  }
  const { entries } = engine.state;
  const ids = entries.filter(({ leaving }) => !leaving).map(({ id }) => id);
  if (new Set(ids).size < ids.length) throw new Error(`two entries hold one id: ${ids.join(", ")}`);

  // Never an older instant for a newer one, never what another stack has made or a state has held, never from other inputs.
  for (const line of log) {
    const [, id = ""] = /^info: adopted the fake (\S+)/.exec(line) ?? [];
    const adopted = before.get(id);
    if (id === "" || adopted === undefined) continue;
    const newer = [...before.values()].filter(
      (row) => row.owner === adopted.owner && row.stack === adopted.stack && row.createdAt > adopted.createdAt,
    );
    if (newer.length > 0) throw new Error(`adopted ${id}, and ${newer.length} of the same owner are newer`);
    // Without a named attempt an object that a user has let go can't be told from one that a killed run left.
    const isNamed = pendingCreatesOf(adopted.attempt ?? "") === undefined;
    if (isNamed && recorded.has(id)) throw new Error(`adopted ${id}, which a state has held before`);
    recorded.delete(id);
    // An entry that `pulumi state rename` has given to another resource says nothing of this one.
    const own = heldBefore.filter(({ urn }) => urn === adopted.owner);
    for (const other of own.flatMap(({ id }) => recorded.get(id) ?? [])) {
      const isOlder =
        other.owner === adopted.owner && other.stack === adopted.stack && other.createdAt > adopted.createdAt;
      if (isOlder) throw new Error(`adopted ${id}, and ${other.id}, which a state has held, is newer`);
    }
    const entry = entries.find((one) => one.id === id);
    if (entry && entry.inputs.source !== adopted.source) throw new Error(`adopted ${id}, of ${adopted.source}`);
    const age = backend.time().getTime() - Date.parse(adopted.createdAt);
    if (age > DAY) throw new Error(`adopted ${id}, ${age / DAY} days old`);
  }
  if (killed) return;

  // Told: whoever made a list, or removed something, says what no state holds. And nothing else.
  const named = log.join("\n");
  const held = new Set(entries.map(({ id }) => id));
  const provisional = entries.flatMap(({ id }) => /^unknown-(.*)/.exec(id)?.[1] ?? []);
  const listed = requests.includes("list");
  const stacks = new Set(listed ? [stackDigest(engine)] : []);
  for (const row of backend.rows.values()) {
    if (!row.stack || !stacks.has(row.stack)) continue;
    const isHeld = held.has(row.id) || provisional.includes(row.attempt ?? "");
    const age = backend.time().getTime() - Date.parse(row.createdAt);
    const orphanLines = log.filter((line) => line.startsWith("warning: in no state"));
    const isTold = orphanLines.some((line) => line.includes(`${row.id} `));
    if (isHeld && isTold) throw new Error(`${row.id} is held by the state, and named as being in none`);
    const isYoung = age <= 6 * DAY;
    if (!isHeld && isYoung && engine.isStateReadable && !named.includes(row.id)) {
      throw new Error(
        `nobody was told of ${row.id} (${row.owner}, ${row.createdAt}, now ${clock.date().toISOString()})`,
      );
    }
  }
  // Nothing is removed but by the deletion of its own entry.
  if (saveFailed) return;
  for (const id of deletions) if (held.has(id)) throw new Error(`${id} was deleted, and the state holds it`);
}

/** What a run of this stack writes. A renamed stack is another one: README says to run `up` before. */
function stackDigest(engine: FakeEngine): string {
  const run = new Run({ log: () => {}, origin: () => engine.origin });
  return run.stackOf({ __owner: engine.urn("a"), __organization: "organization" });
}

async function execute(steps: readonly Step[]): Promise<World> {
  const world = new World();
  await world.clock.run(async () => {
    for (const one of steps) await world.take(one);
  });
  return world;
}

test("property: nothing is lost, nothing foreign is touched, nothing of ours is in no state and untold", async () => {
  await fc.assert(
    fc.asyncProperty(steps(12), async (all) => void (await execute(all))),
    { numRuns: 2_000, seed: SEED },
  );
}, 120_000);

test("of two objects that a rename has recorded, the one that the state does not hold is told", async () => {
  const program = { a: { source: "mon", name: "x" } };
  const renamed: Step = { do: "up with alias", stack: 0, program };
  // `expectSound` throws if nobody is told of the first object.
  await execute([
    renamed,
    { do: "import an older state", stack: 0 },
    renamed,
    { do: "refresh", stack: 0, clear: false },
    { do: "up", stack: 0, program, flags: {} },
  ]);
});

test("property: a killed up and the same command again make each resource once", async () => {
  const killed = fc.record({ kill, firstCheckWithoutSeed: fc.boolean(), providerAlone: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(program, fc.array(killed, { minLength: 1, maxLength: 3 }), async (declared, kills) => {
      const steps = kills.map((flags): Step => ({ do: "up", stack: 0, program: declared, flags }));
      const world = await execute([...steps, { do: "up", stack: 0, program: declared, flags: {} }]);
      const owners = [...world.backend.rows.values()].filter(({ id }) => id !== "foreign").map(({ owner }) => owner);
      expect(owners.sort()).toEqual(Object.keys(declared).map((name) => world.engines[0].urn(name)));
      expect(world.backend.posts).toBe(owners.length);
    }),
    { numRuns: 500, seed: SEED },
  );
}, 120_000);

test("property: whatever came before, two undisturbed ups end in what a first up gives, and the next one does nothing", async () => {
  await fc.assert(
    fc.asyncProperty(steps(8), program, async (before, declared) => {
      const calm: Step = { do: "up", stack: 0, program: declared, flags: {} };
      const world = await execute([
        ...before,
        { do: "witness", stack: 0, there: true },
        // A state may hold what was deleted since.
        { do: "refresh", stack: 0, clear: false },
        calm,
        calm,
      ]);
      const [engine] = world.engines;
      expect(engine.state.entries.map(({ urn, leaving }) => [urn, leaving]).sort()).toEqual(
        Object.keys(declared).map((name) => [engine.urn(name), false]),
      );
      for (const { id, urn } of engine.state.entries) {
        const name = urn.split("::").at(-1) ?? "";
        expect(world.backend.rows.get(id)).toMatchObject({ status: "ready", ...declared[name] });
      }
      const { length } = world.backend.requests;
      await world.clock.run(() => world.take(calm));
      expect(world.backend.requests.slice(length)).toEqual([]);
    }),
    { numRuns: 800, seed: SEED },
  );
}, 120_000);
