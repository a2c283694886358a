// Convergence of LinkedTargetSet: whichever request of an operation meets a fault, the same command without faults ends,
// within two runs, in what it gives without any fault, and leaves nothing behind. The next `up` has nothing to do.

import fc from "fast-check";
import { SEED_SESSIONS, type ViprBehaviour } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import type { Batch, PromotedVolume, TargetOutput } from "../../provider/vipr/linkedTargetSet/state";
import type { FakeEngine, RunOptions, RunResult } from "../support/fakeEngine";
import { type Fault, SETS, ViprFixture } from "../support/viprFixture";

jest.setTimeout(300_000);

const SEED = Number(process.env.FAULTS_SEED ?? 20_261_128);

const { monday, tuesday, shopMonday, shopTuesday } = SEED_SESSIONS;
const fixture = new ViprFixture();

const FAULT_KINDS: readonly Fault["kind"][] = ["503", "503 for ever", "lost reply", "killed before", "killed after"];

interface Operation {
  /** Programs of earlier runs, all successful. */
  before: Properties[];
  /** What a person does by hand before the operation. */
  meanwhile?(): void;
  after: Properties | "destroy";
}

const copied = { ...SETS.monday, copyMode: "copy" };
const kept = { ...copied, count: 3, deleteTargetsOnUnlink: false };

const OPERATIONS: Record<string, Operation> = {
  create: { before: [], after: SETS.monday },
  "create, of a consistency group": { before: [], after: SETS.shop },
  "count up": { before: [SETS.monday], after: { ...SETS.monday, count: 4 } },
  "count down": { before: [{ ...SETS.monday, count: 4 }], after: { ...SETS.monday, count: 1 } },
  "count down, kept as volumes": { before: [kept], after: { ...kept, count: 1 } },
  "another session": { before: [SETS.monday], after: { ...SETS.monday, snapshotSessionId: tuesday } },
  "another session, and more": {
    before: [SETS.monday],
    after: { ...SETS.monday, snapshotSessionId: tuesday, count: 3 },
  },
  "another session, and fewer": {
    before: [{ ...SETS.shop, count: 3 }],
    after: { ...SETS.shop, snapshotSessionId: shopTuesday, count: 1 },
  },
  refreshTriggers: {
    before: [{ ...SETS.monday, refreshTriggers: ["mon"] }],
    after: { ...SETS.monday, refreshTriggers: ["tue"], count: 3 },
  },
  "a group that has lost a part": {
    before: [SETS.shop],
    meanwhile: () => fixture.vipr.unlinkNow(targets()[1]?.id ?? ""),
    after: { ...SETS.shop, count: 3 },
  },
  replacement: { before: [SETS.monday], after: copied },
  destroy: { before: [SETS.monday, { ...SETS.monday, count: 3 }], after: "destroy" },
  "destroy, kept as volumes": { before: [kept], after: "destroy" },
};

const outs = (): Properties => fixture.entry()?.outputs ?? {};
const targets = () => (outs().targets ?? []) as TargetOutput[];
const execute =
  (after: Operation["after"], options: RunOptions = {}) =>
  (engine: FakeEngine): Promise<RunResult> =>
    after === "destroy" ? engine.destroy() : engine.up({ dev: after }, options);

async function good(work: (engine: FakeEngine) => Promise<RunResult>): Promise<RunResult> {
  const result = await fixture.run(work);
  expect(result.errors.map(String)).toEqual([]);
  expect(result.killed).toBe(false);
  return result;
}

async function prepare({ before, meanwhile }: Operation): Promise<void> {
  fixture.reset();
  for (const program of before) await good(execute(program));
  meanwhile?.();
}

/** Everything on ViPR and in the state, without values that differ from run to run. */
function result(): object {
  const { vipr } = fixture;
  fixture.finishBackendWork();
  const { batches, targets: _targets, promotedVolumes = [], ...rest } = outs();
  const ours = new Set(targets().map(({ id }) => id));
  const notes = (batches ?? []) as Batch[];
  return {
    entries: fixture.engine.state.entries.map(({ leaving }) => (leaving ? "leaving" : "there")),
    outputs: Object.fromEntries(Object.entries(rest).filter(([key]) => !key.startsWith("__"))),
    parts: [...new Set(notes.map(({ parts }) => parts))],
    noted: notes.flatMap(({ targetIds }) => targetIds).length,
    isNoted: notes.flatMap(({ targetIds }) => targetIds).every((id) => ours.has(id)),
    targets: targets().map(({ snapshotSessionId, sourceVolumeId, wwn }) => [
      snapshotSessionId,
      sourceVolumeId,
      typeof wwn,
    ]),
    linked: targets().map(({ id }) => vipr.isLinkedTo(vipr.targets.get(id) as never)?.id),
    leftOver: vipr.active().filter(({ id }) => !ours.has(id)).length,
    kept: (promotedVolumes as PromotedVolume[]).map(({ wwn }) => typeof wwn),
    volumes: vipr.volumes.size,
  };
}

describe.each(Object.entries(OPERATIONS))("%s", (_name, operation) => {
  let wanted: object;
  let length = 0;

  beforeAll(async () => {
    await prepare(operation);
    await good(execute(operation.after));
    length = fixture.requests;
    wanted = result();
    expect(wanted).toMatchObject({ leftOver: 0, isNoted: true });
  });

  test.each(FAULT_KINDS)("one request meets: %s", async (kind) => {
    for (let nth = 0; nth < length; nth += 1) {
      await prepare(operation);
      const first = await fixture.run(execute(operation.after), { nth, kind });
      const at = `${kind} at ${nth} of ${length} (${fixture.asked[nth]})\n${[...first.errors, ...first.log].join("\n")}`;
      let runs = 0;
      let again: RunResult | undefined;
      while (again === undefined || (again.errors.length > 0 && runs < 2)) {
        runs += 1;
        again = await fixture.run(execute(operation.after));
      }
      expect([at, again.errors.map(String)]).toEqual([at, []]);
      expect([at, result()]).toEqual([at, wanted]);
      await nothingIsLeftToDo(operation, at);
    }
  });
});

async function nothingIsLeftToDo({ after }: Operation, at: string): Promise<void> {
  const before = structuredClone(fixture.engine.state.entries);
  await good((engine) => engine.refresh());
  expect([at, fixture.engine.state.entries.map(visible)]).toEqual([at, before.map(visible)]);
  await good(execute(after));
  const changes = fixture.asked.filter((asked) => /^PUT|^POST .*(-targets|deactivate)$/.test(asked));
  expect([at, changes]).toEqual([at, []]);
}

function visible({ id, outputs }: { id: string; outputs: Properties }): object {
  return { id, outputs: Object.fromEntries(Object.entries(outputs).filter(([key]) => !key.startsWith("__"))) };
}

describe.each(Object.entries(OPERATIONS))("%s, and ViPR does not carry it out", (_name, operation) => {
  const behaviours: Record<string, Omit<ViprBehaviour, "operation">> = {
    "none of the targets": { succeed: 0 },
    "one of the targets alone": { succeed: 1 },
    "its controller is not to be found": { undispatched: true },
    "suspended, and resumed later": { suspend: "suspended_no_error" },
    "suspended, and rolled back later": { suspend: "suspended_error" },
  };

  test.each(Object.entries(behaviours))("%s", async (_what, behaviour) => {
    await prepare(operation);
    await good(execute(operation.after));
    const wanted = result();
    for (const kind of ["link", "relink", "unlink"] as const) {
      await prepare(operation);
      fixture.vipr.failNext({ operation: kind, ...behaviour });
      const first = await fixture.run(execute(operation.after));
      for (const { id, state } of [...fixture.vipr.tasks.values()]) {
        if (state === "suspended_no_error") fixture.vipr.resume(id);
        if (state === "suspended_error") fixture.vipr.rollback(id);
      }
      // ViPR has finished its tasks, so one more run is enough.
      const again = await fixture.run(execute(operation.after));
      const at = `${kind}: ${[...first.errors, ...first.log, "then:", ...again.log].join("\n")}`;
      expect([at, again.errors.map(String)]).toEqual([at, []]);
      expect([at, result()]).toEqual([at, wanted]);
      await nothingIsLeftToDo(operation, at);
    }
  });
});

test("a create that has linked one of two targets, a refresh, and one in the program: a changed trigger refreshes it", async () => {
  fixture.reset();
  const program = { ...SETS.monday, refreshTriggers: ["mon"] };
  fixture.vipr.failNext({ operation: "link", succeed: 1 });
  expect((await fixture.run(execute(program))).errors).toHaveLength(1);
  await good((engine) => engine.refresh());
  await good(execute({ ...program, count: 1 }));
  await good(execute({ ...program, count: 1, refreshTriggers: ["tue"] }));
  expect(fixture.asked.filter((asked) => asked.includes("relink"))).toHaveLength(1);
  expect(outs()).toMatchObject({ refreshedBy: ["tue"] });
});

test("a create that an error hook repeats, and whose process dies alone: the next up adopts what it has linked", async () => {
  for (let nth = 5; nth < 20; nth += 1) {
    fixture.reset();
    fixture.engine.repeats = 1;
    fixture.vipr.failNext({ operation: "link", succeed: 0 });
    const options = { firstCheckWithoutSeed: false, providerAlone: true };
    await fixture.run(execute(SETS.monday, options), { nth, kind: "killed after" });
    await fixture.run(execute(SETS.monday, options));
    fixture.finishBackendWork();
    expect([nth, fixture.vipr.active().length]).toEqual([nth, targets().length]);
  }
});

test("a target that somebody links under a set's name, a set that is gone, and a killed create: the target is nobody's", async () => {
  fixture.reset();
  const program = { ...SETS.monday, count: 1 };
  // Without a seed an attempt has no name, and the killed create could have made the target (docs/ownership.md).
  const up = execute(program, { firstCheckWithoutSeed: false });
  await good(up);
  const { id } = fixture.entry() ?? {};
  const foreign = fixture.vipr.linkNow(monday, `${id}g1-6`);
  fixture.vipr.unlinkNow(targets()[0]?.id ?? "");
  await good((engine) => engine.refresh());
  expect((await fixture.run(up, { nth: 0, kind: "killed after" })).killed).toBe(true);
  const { log } = await good(up);
  expect(log.join("\n")).toMatch(
    `in no state: a linked target set that this stack made and its state does not hold:\n  ${id}`,
  );
  await good((engine) => engine.destroy());
  fixture.finishBackendWork();
  expect(fixture.vipr.active().map((one) => one.id)).toEqual([foreign.id]);
});

// --- random sequences of runs

interface Step {
  program: Properties;
  fault: Fault | undefined;
  behaviour: ViprBehaviour | undefined;
  /** A change by hand before the run. */
  hand: { what: "unlink" | "relink" | "name"; nth: number } | undefined;
  refreshed: boolean;
}

function lives(sessions: readonly [string, string]): fc.Arbitrary<Step[]> {
  const seldom = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
  return fc.array(
    fc.record({
      program: fc.record({
        snapshotSessionId: fc.constantFrom(...sessions),
        targetName: fc.constant("dev"),
        count: fc.integer({ min: 1, max: 4 }),
        refreshTriggers: fc.constantFrom(["mon"], ["tue"]),
      }),
      fault: seldom(fc.record({ nth: fc.nat(24), kind: fc.constantFrom(...FAULT_KINDS) })),
      behaviour: seldom(
        fc.record({
          operation: fc.constantFrom<ViprBehaviour["operation"]>("link", "unlink", "relink"),
          succeed: fc.nat(2),
        }),
      ),
      hand: seldom(
        fc.record({ what: fc.constantFrom("unlink" as const, "relink" as const, "name" as const), nth: fc.nat(7) }),
      ),
      refreshed: fc.boolean(),
    }),
    { minLength: 2, maxLength: 6 },
  );
}

test.each([
  ["a volume", [monday, tuesday]],
  ["a consistency group", [shopMonday, shopTuesday]],
] as const)(`any life of a set of %s ends in what its last program says (seed ${SEED})`, async (_of, sessions) => {
  await fc.assert(
    fc.asyncProperty(lives(sessions), fc.boolean(), async (steps, firstCheckWithoutSeed) => {
      fixture.reset();
      const up = (program: Properties) => execute(program, { firstCheckWithoutSeed });
      const foreign = new Set<string>();
      const failures: { remove(): void }[] = [];
      for (const { program, fault, behaviour, hand, refreshed } of steps) {
        // Only a named attempt tells what a killed create has made from what somebody calls by a name of the set.
        if (hand && !(hand.what === "name" && firstCheckWithoutSeed)) change(hand, sessions, foreign);
        if (behaviour) failures.push(fixture.vipr.failNext(behaviour));
        if (refreshed) await fixture.run((engine) => engine.refresh());
        await fixture.run(up(program), fault);
      }
      const { program } = steps.at(-1) as Step;
      for (let run = 0; run < 2; run += 1) {
        // From now on ViPR behaves well, too.
        for (const failure of failures) failure.remove();
        const { errors } = await fixture.run(up(program));
        if (errors.length === 0) break;
      }
      await good((engine) => engine.refresh());
      await good(up(program));
      fixture.finishBackendWork();
      const { count, snapshotSessionId, refreshTriggers } = program;
      const refreshedBy = refreshTriggers;
      expect(outs()).toMatchObject({ count, snapshotSessionId, refreshTriggers, refreshedBy });
      expect(outs()).toMatchObject({ remains: [], unlinkedTargets: [] });
      expect(outs()).not.toHaveProperty("pending");
      const ours = new Set(targets().map(({ id }) => id));
      expect(ours.size).toBe(Number(count) * (sessions[0] === shopMonday ? 2 : 1));
      const active = fixture.vipr.active();
      expect(active.filter(({ id }) => !ours.has(id) && !foreign.has(id))).toEqual([]);
      // Nobody has touched somebody else's.
      expect(active.filter(({ id }) => foreign.has(id))).toHaveLength(foreign.size);
      await good((engine) => engine.destroy());
      fixture.finishBackendWork();
      expect(fixture.vipr.active().map(({ id }) => id)).toEqual([...foreign]);
    }),
    { numRuns: 200, seed: SEED },
  );
});

function change({ what, nth }: NonNullable<Step["hand"]>, sessions: readonly string[], foreign: Set<string>): void {
  fixture.finishBackendWork();
  const { id } = fixture.entry() ?? {};
  const one = targets()[nth % Math.max(1, targets().length)];
  const isThere = one && fixture.vipr.targets.get(one.id)?.inactive === false;
  if (what === "unlink" && isThere) fixture.vipr.unlinkNow(one.id);
  if (what === "relink" && isThere) fixture.vipr.relinkNow(one.id, sessions[nth % 2] ?? "");
  if (what !== "name" || id === undefined || id.startsWith("unknown")) return;
  // Where a create was begun and never ended, a name of ours is all that proves what it made.
  if (fixture.engine.state.pending.length > 0) return;
  const label = [`${id}g1-1-${nth + 1}`, `${id}g1-${nth + 5}`][nth % 2] ?? "";
  if (!fixture.vipr.active().some((target) => target.label === label))
    foreign.add(fixture.vipr.linkNow(sessions[0] ?? "", label).id);
}
