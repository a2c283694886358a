// A revert whose run is killed, or whose replies are lost, at each of its requests: the volume is reverted exactly once, never
// after somebody has written to it again, and where nothing proves what came of it, the error's way out works.

import { FAULT_KINDS } from "../faults/inProcess";
import { emulator, Life, passTime, requests, reverts, TYPES, VOLUME, volume, writeToVolume } from "./revertFixture";

jest.setTimeout(120_000);

const [ONCE, LOST, , , BEFORE, AFTER] = FAULT_KINDS;
const KILLS = [BEFORE, AFTER] as const;
const two = { revertTriggers: ["2"] };
const UNKNOWN_OUTCOME = /nothing proves whether it took place/;

/** Calls `then` after an `up` that is killed at its first request, at its second, and so on. */
async function killedAtEach(
  type: (typeof TYPES)[number],
  kind: (typeof FAULT_KINDS)[number],
  after: number,
  then: (life: Life, nth: number) => Promise<void>,
): Promise<number> {
  for (let nth = 1; ; nth += 1) {
    const life = await Life.withSnapshot(type);
    passTime(60_000);
    const { killed } = await life.up(two, { nth, kind }, { after });
    if (!killed) return nth - 1;
    await then(life, nth);
  }
}

describe.each(TYPES)("%s", (type) => {
  describe.each(KILLS)("killed at each request, %s", (kind) => {
    test.each([
      ["at once", 0],
      ["minutes later", 300_000],
    ])("the next up, %s, has reverted it exactly once", async (_, after) => {
      const killed = await killedAtEach(type, kind, after, async (life, nth) => {
        // A refresh in between changes nothing.
        if (nth % 2 === 0) expect((await life.refresh()).errors).toEqual([]);
        await life.ok(two);
        expect(reverts()).toBe(1);
        expect([volume().status, life.row.status]).toEqual(["available", "available"]);
        await life.ok(two);
        expect([reverts(), requests()]).toEqual([1, 0]);
      });
      expect(killed).toBeGreaterThan(6);
    });

    test("killed again, and again: exactly once", async () => {
      await killedAtEach(type, kind, 0, async (life, nth) => {
        await life.up(two, { nth: nth + 1, kind });
        await life.up(two, { nth: 4, kind }, { after: 0 });
        await life.ok(two);
        expect(reverts()).toBe(1);
      });
    });

    test("somebody has written to the volume since: never reverted again, and both ways out work", async () => {
      let unknown = 0;
      for (const way of ["say so on the snapshot", "a new value"] as const) {
        await killedAtEach(type, kind, 300_000, async (life) => {
          const before = reverts();
          writeToVolume();
          const { errors } = await life.up(two);
          if (errors.length === 0) {
            // It had not been noted, or its end was: nothing is unknown.
            expect(reverts()).toBe(1);
            return;
          }
          unknown += 1;
          expect(String(errors[0])).toMatch(UNKNOWN_OUTCOME);
          expect(reverts()).toBe(before);
          if (way === "a new value") {
            await life.ok({ revertTriggers: ["3"] });
            expect(reverts()).toBe(before + 1);
            return;
          }
          const [, key = "", value = "", id] = /--property (\S+)=(\S+) (\S+)`/.exec(String(errors[0])) ?? [];
          expect(id).toBe(life.snapshotId);
          life.row.metadata = { ...life.row.metadata, [key]: value };
          await life.ok(two);
          expect(reverts()).toBe(before);
          await life.ok(two);
          expect(requests()).toBe(0);
        });
      }
      expect(unknown).toBeGreaterThan(0);
    });

    test("the value before again: no revert, and no error", async () => {
      await killedAtEach(type, kind, 300_000, async (life) => {
        const before = reverts();
        await life.ok({ revertTriggers: ["1"] });
        expect(reverts()).toBe(before);
      });
    });

    test("another name of the stack since, which rewrites the record first: exactly once", async () => {
      await killedAtEach(type, kind, 300_000, async (life, nth) => {
        if (nth % 2 === 0) return;
        const { engine } = life;
        const from = engine.urn("db");
        engine.stack = "prod";
        engine.edit(({ entries }) => {
          for (const entry of entries) if (entry.urn === from) entry.urn = engine.urn("db");
        });
        await life.ok(two);
        expect(reverts()).toBe(1);
      });
    });

    test("a new value after a killed run reverts for that, once", async () => {
      await killedAtEach(type, kind, 300_000, async (life) => {
        const before = reverts();
        await life.ok({ revertTriggers: ["3"] });
        expect(reverts()).toBe(before + 1);
      });
    });
  });

  test.each([ONCE, LOST])("a request that %s: the run or the next one has reverted it exactly once", async (kind) => {
    for (let nth = 1; nth < 20; nth += 1) {
      const life = await Life.withSnapshot(type);
      passTime(60_000);
      await life.up(two, { nth, kind });
      await life.ok(two);
      expect(reverts()).toBe(1);
    }
  });

  test("two runs at once: one revert, and both end well", async () => {
    const life = await Life.withSnapshot(type);
    passTime(60_000);
    // The other run has the same state, its own process, and is faster.
    const other = structuredClone(life.engine.state);
    await life.up(two, undefined, { after: 0 });
    life.engine.state = other;
    await life.ok(two);
    expect(reverts()).toBe(1);
  });

  test.each([1, 2, 3])(
    "two runs at once, of which the other's request arrives before this one's %ith after the note: both wait for one revert",
    async (nth) => {
      const life = await Life.withSnapshot(type);
      passTime(60_000);
      const { cinder } = emulator;
      const latest = life.row;
      const advance = cinder.advance.bind(cinder);
      let since = 0;
      const spy = jest.spyOn(cinder, "advance").mockImplementation(() => {
        advance();
        if (latest.metadata["snapclone:revert"] === undefined) return;
        since += 1;
        if (since === nth) cinder.startRevert(volume(), latest);
      });
      try {
        await life.ok(two);
      } finally {
        spy.mockRestore();
      }
      expect([since >= nth, reverts()]).toEqual([true, 1]);
    },
  );
});

test("a 409 that leaves the volume in reverting is told as what it is", async () => {
  const life = await Life.withSnapshot("Snapshot");
  passTime(60_000);
  const { cinder } = emulator;
  const { row } = life;
  const merge = cinder.stamp.bind(cinder);
  const spy = jest.spyOn(cinder, "stamp").mockImplementation((at) => {
    if (row.metadata["snapclone:revert"] !== undefined) row.status = "backing-up";
    return merge(at);
  });
  const text = await life.fails(two);
  spy.mockRestore();
  expect(text).toMatch(
    /Snapshot's status must be 'available'.*is left in status "reverting"[\s\S]*openstack volume set --state available/,
  );
  expect(row.metadata["snapclone:revert"]).toBeUndefined();
  row.status = "available";
  volume().status = "available";
  await life.ok(two);
  expect(reverts()).toBe(1);
});

test("a volume and snapshot that never show a time of change: what is not proven is not repeated", async () => {
  const life = await Life.withSnapshot("Snapshot");
  passTime(60_000);
  const hide = () => {
    for (const row of [...emulator.cinder.volumes.values(), ...emulator.cinder.snapshots.values()])
      row.updated_at = null;
  };
  hide();
  await life.up(two, { nth: 8, kind: AFTER });
  hide();
  const before = reverts();
  const { errors } = await life.up(two);
  hide();
  if (before === 1) expect(String(errors[0])).toMatch(UNKNOWN_OUTCOME);
  expect(reverts()).toBe(1);
  expect(VOLUME).toBe(volume().id);
});
