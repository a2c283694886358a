// Several LinkedTargetSets of one snapshot session in one run: what overlaps, what comes in turn, and what they share.

import { setTimeout as delay } from "node:timers/promises";
import { SEED_SESSIONS } from "../../emulator";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import type { Run } from "../../provider/core/run";
import { partial } from "../support/failures";
import { idsOf, LinkedTargetSetFixture, NEWS } from "./linkedTargetSetFixture";

const { monday, tuesday, shopMonday } = SEED_SESSIONS;
const fixture = new LinkedTargetSetFixture();
const { definition, newController, newRun, posts, start } = fixture;
afterEach(fixture.close);

interface Made {
  id: string;
  outs: Properties;
}

const newsOf = (n: number, session: string) => ({
  ...NEWS,
  snapshotSessionId: session,
  targetName: `s${n}`,
  __owner: `${NEWS.__owner}-${n}`,
});
const createAll = (run: Run, n: number, session: string): Promise<Made[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => create(definition, run, newsOf(i, session))));
const removeAll = (run: Run, sets: readonly Made[]) =>
  Promise.all(sets.map(({ id, outs }) => remove(definition, run, id, outs)));
const nextRun = () => {
  fixture.controller = newController();
  return newRun();
};
const tasks = (name: RegExp) => [...fixture.emulator.vipr.tasks.values()].filter((task) => name.test(task.name));
const overlap = (name: RegExp) => {
  const [first, ...others] = tasks(name);
  return others.every(({ startedAt }) => startedAt < (first?.endedAt ?? 0));
};
const inTurn = (name: RegExp) => {
  const all = tasks(name);
  return all.every(({ startedAt }, n) => n === 0 || startedAt >= (all[n - 1]?.endedAt ?? Number.POSITIVE_INFINITY));
};

test("links and unlinks of a volume's session overlap, and each set has its own targets", async () => {
  await start({ timings: { viprLink: 20_000, viprUnlink: 20_000 } });
  const sets = await createAll(newRun(), 4, monday);
  expect(sets.map(({ outs }) => outs.count)).toEqual([2, 2, 2, 2]);
  expect(new Set(sets.flatMap(({ outs }) => idsOf(outs))).size).toBe(8);
  expect(overlap(/^LINK/)).toBe(true);
  await removeAll(nextRun(), sets);
  expect(overlap(/^UNLINK/)).toBe(true);
  expect(posts("unlink")).toBe(4);
  expect(fixture.emulator.vipr.active()).toEqual([]);
});

test("links and unlinks of a consistency group's session come one after another", async () => {
  await start();
  const sets = await createAll(newRun(), 3, shopMonday);
  expect(tasks(/^LINK/)).toHaveLength(3);
  expect(inTurn(/^LINK/)).toBe(true);
  await removeAll(nextRun(), sets);
  expect(tasks(/^UNLINK/)).toHaveLength(3);
  expect(inTurn(/^UNLINK/)).toBe(true);
  expect(fixture.emulator.vipr.active()).toEqual([]);
});

test("an update waits for links that are under way, and a link for an update", async () => {
  await start({ timings: { viprLink: 10_000, viprRelink: 10_000 } });
  const run = newRun();
  const { id, outs } = await create(definition, run, newsOf(0, monday));
  const [first] = await Promise.all([
    create(definition, run, newsOf(1, monday)),
    (async () => {
      while (posts("link") < 2) await delay(2);
      await update(definition, run, id, outs, { ...newsOf(0, monday), refreshTriggers: ["again"] });
    })(),
    (async () => {
      while (!fixture.log.some((line) => line.includes("waiting for another operation"))) await delay(2);
      await create(definition, run, newsOf(2, monday));
    })(),
  ]);
  expect(first.outs.count).toBe(2);
  expect(inTurn(/LINK/)).toBe(true);
  expect(tasks(/LINK/).map(({ name }) => name.split(" ")[0])).toEqual(["LINK", "LINK", "RELINK", "LINK"]);
});

test("twenty sets of one session: the requests that they share, and the backend's time only once", async () => {
  await start({ timings: { viprLink: 20_000, viprUnlink: 20_000 } });
  const { requests, clock } = fixture.emulator;
  const begun = clock.now().getTime();
  const sets = await createAll(newRun(), 20, monday);
  // One link takes 20 s, 20 in turn 400, and a slow machine some of its own.
  expect(clock.now().getTime() - begun).toBeLessThan(200_000);
  for (const [operation, most] of [
    ["login", 1],
    ["targets.search", 40],
    ["sessions.link", 20],
    // How many operations share a request depends on the machine, too. Alone, each sends one.
    ["targets.bulk", 12],
    ["sessions.show", 12],
    ["sessions.bulk", 12],
    ["tenant.show", 1],
  ] as const)
    expect({ operation, tooMany: Math.max(0, requests.count({ operation }) - most) }).toEqual({
      operation,
      tooMany: 0,
    });

  const read20 = requests.count({});
  const run = nextRun();
  await Promise.all(sets.map(({ id, outs }) => read(definition, run, id, outs)));
  expect(requests.count({}) - read20).toBeLessThanOrEqual(20 + 30);

  const before = requests.count({});
  const deleting = clock.now().getTime();
  await removeAll(nextRun(), sets);
  expect(clock.now().getTime() - deleting).toBeLessThan(200_000);
  expect(requests.count({ operation: "sessions.unlink" })).toBe(20);
  // A search and an unlink each, a login, and what all share.
  expect(requests.count({}) - before).toBeLessThanOrEqual(2 * 20 + 40);
});

describe("the replies to unlinks that overlap are lost", () => {
  test("ViPR has carried them out: each was sent once, and all targets are gone", async () => {
    await start();
    const sets = await createAll(newRun(), 3, monday);
    fixture.emulator.faults.add({ match: { operation: "sessions.unlink" }, action: "drop-response", times: 3 });
    await removeAll(nextRun(), sets);
    expect(posts("unlink")).toBe(3);
    expect(fixture.emulator.vipr.active()).toEqual([]);
  });

  test("ViPR has not carried out one of them: the other's task does not pass for its own", async () => {
    await start();
    const sets = await createAll(newRun(), 2, monday);
    const { faults } = fixture.emulator;
    faults.add({ match: { operation: "sessions.unlink", nth: 1 }, action: "reset" });
    faults.add({ match: { operation: "sessions.unlink", nth: 1 }, action: "drop-response" });
    const run = nextRun();
    const ends = await Promise.allSettled(sets.map(({ id, outs }) => remove(definition, run, id, outs)));
    const left = fixture.emulator.vipr.active().map(({ id }) => id);
    for (const [n, { outs }] of sets.entries()) {
      const isLeft = idsOf(outs).some((id) => left.includes(id));
      // What a delete reports as gone is gone.
      expect(ends[n]?.status === "fulfilled" && isLeft).toBe(false);
    }
    await removeAll(
      nextRun(),
      sets.filter((_, n) => ends[n]?.status === "rejected"),
    );
    expect(fixture.emulator.vipr.active()).toEqual([]);
  });
});

test("a link that fails does not fail those beside it", async () => {
  await start({ timings: { viprLink: 5_000 } });
  fixture.emulator.vipr.failNext({ operation: "link", succeed: 1 });
  const run = newRun();
  const ends = await Promise.allSettled([0, 1, 2].map((n) => create(definition, run, newsOf(n, monday))));
  expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
  expect(fixture.emulator.vipr.active()).toHaveLength(5);
});

test("a session that one login may not see fails the sets of that session only", async () => {
  await start();
  const run = newRun();
  const sets = await createAll(run, 3, monday);
  const other = await create(definition, run, newsOf(7, tuesday));
  // A bulk request leaves out what the login may not see, and a single one is refused (docs/wire/vipr.md#related).
  const { vipr, faults } = fixture.emulator;
  vipr.sessions.delete(tuesday);
  const body = { code: 3000, description: "forbidden", retryable: false };
  const match = { path: `/vipr/block/snapshot-sessions/${tuesday}` };
  faults.add({ match, status: 403, body, times: 9 });
  const reader = nextRun();
  const all = [...sets, other].map(({ id, outs }) => read(definition, reader, id, outs));
  const ends = await Promise.allSettled(all);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected"]);
});

test("a stuck link holds up no other set of the session", async () => {
  await start();
  fixture.emulator.vipr.failNext({ operation: "link", stuck: true });
  const run = newRun();
  const stuck = partial(create(definition, run, { ...newsOf(0, monday), __timeouts: { create: "4m" } }));
  while (posts("link") === 0) await delay(2);
  expect((await create(definition, run, newsOf(1, monday))).outs.count).toBe(2);
  await stuck;
});
