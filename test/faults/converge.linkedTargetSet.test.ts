// Unchanged means converged: whatever befalls one request of an operation, the same `up` repeated without faults ends within
// two runs in what it gives where nothing goes wrong, with nothing of ours left over; and then nothing is left to do.

import { SEED_SESSIONS } from "../../emulator";
import type { Properties } from "../../provider/core/lifecycle";
import type { Batch, PromotedVolume, TargetOutput } from "../../provider/vipr/targetSet";
import type { FakeEngine, RunResult } from "../support/fakeEngine";
import { type Fault, SETS, ViprSite } from "../support/viprSite";

jest.setTimeout(300_000);

const { tuesday, shopTuesday } = SEED_SESSIONS;
const site = new ViprSite();

const WHAT: readonly Fault["what"][] = ["503", "503 for ever", "lost reply", "killed before", "killed after"];

interface Operation {
  /** Programs that go before, each carried out; undefined: nothing is there. */
  before: Properties[];
  /** What somebody does by hand in between. */
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
    meanwhile: () => site.vipr.unlinkNow(targets()[1]?.id ?? ""),
    after: { ...SETS.shop, count: 3 },
  },
  replacement: { before: [SETS.monday], after: copied },
  destroy: { before: [SETS.monday, { ...SETS.monday, count: 3 }], after: "destroy" },
  "destroy, kept as volumes": { before: [kept], after: "destroy" },
};

const outs = (): Properties => site.entry()?.outputs ?? {};
const targets = () => (outs().targets ?? []) as TargetOutput[];
const carryOut =
  (after: Operation["after"]) =>
  (engine: FakeEngine): Promise<RunResult> =>
    after === "destroy" ? engine.destroy() : engine.up({ dev: after });

async function good(work: (engine: FakeEngine) => Promise<RunResult>): Promise<RunResult> {
  const result = await site.run(work);
  expect(result.errors.map(String)).toEqual([]);
  expect(result.killed).toBe(false);
  return result;
}

async function prepare({ before, meanwhile }: Operation): Promise<void> {
  site.reset();
  for (const program of before) await good(carryOut(program));
  meanwhile?.();
}

/** What the user cares for, without what differs from run to run. */
function result(): object {
  const { vipr } = site;
  site.passAWhile();
  const { batches, targets: _targets, promotedVolumes = [], ...rest } = outs();
  const ours = new Set(targets().map(({ id }) => id));
  const notes = (batches ?? []) as Batch[];
  return {
    entries: site.engine.state.entries.map(({ leaving }) => (leaving ? "leaving" : "there")),
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
    await good(carryOut(operation.after));
    length = site.requests;
    wanted = result();
    expect(wanted).toMatchObject({ leftOver: 0, isNoted: true });
  });

  test.each(WHAT)("one request is befallen: %s", async (what) => {
    for (let nth = 0; nth < length; nth += 1) {
      await prepare(operation);
      const first = await site.run(carryOut(operation.after), { nth, what });
      const at = `${what} at ${nth} of ${length} (${site.asked[nth]})\n${[...first.errors, ...first.log].join("\n")}`;
      let runs = 0;
      let again: RunResult | undefined;
      while (again === undefined || (again.errors.length > 0 && runs < 2)) {
        runs += 1;
        again = await site.run(carryOut(operation.after));
      }
      expect([at, again.errors.map(String)]).toEqual([at, []]);
      expect([at, result()]).toEqual([at, wanted]);
      await nothingIsLeftToDo(operation, at);
    }
  });
});

async function nothingIsLeftToDo({ after }: Operation, at: string): Promise<void> {
  const before = structuredClone(site.engine.state.entries);
  await good((engine) => engine.refresh());
  expect([at, site.engine.state.entries.map(visible)]).toEqual([at, before.map(visible)]);
  await good(carryOut(after));
  const changes = site.asked.filter((asked) => /^PUT|^POST .*(-targets|deactivate)$/.test(asked));
  expect([at, changes]).toEqual([at, []]);
}

function visible({ id, outputs }: { id: string; outputs: Properties }): object {
  return { id, outputs: Object.fromEntries(Object.entries(outputs).filter(([key]) => !key.startsWith("__"))) };
}
