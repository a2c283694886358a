// A SnapshotSeries whose run is killed: whatever was on its way is adopted as the newest, and nothing is made twice.

import { FAULT_KINDS } from "../faults/inProcess";
import {
  begin,
  days,
  destroy,
  emulator,
  outputs,
  passTime,
  refresh,
  requests,
  rows,
  up,
  upOk,
} from "./snapshotSeriesFixture";

jest.setTimeout(60_000);

const [, , , , BEFORE, AFTER] = FAULT_KINDS;
const KEEP_TWO = { keep: 2, name: "db" };
const triggersOf = () => rows().map(({ metadata }) => metadata["snapclone:series-instant"]);

describe.each([BEFORE, AFTER])("killed at each request, %s", (kind) => {
  test("the create: the next up has one snapshot, and one series", async () => {
    for (let nth = 1; ; nth += 1) {
      const engine = begin();
      const { killed } = await up(engine, { ...KEEP_TWO, triggers: ["1"] }, { nth, kind });
      if (!killed) break;
      const made = rows()[0]?.metadata["snapclone:series"];
      const { log } = await upOk(engine, { ...KEEP_TWO, triggers: ["1"] });
      expect(rows()).toMatchObject([{ status: "available", id: outputs(engine).latest }]);
      if (made !== undefined)
        expect([engine.idOf("db"), log.join()]).toEqual([made, expect.stringContaining("adopted the snapshot series")]);
      await upOk(engine, { ...KEEP_TWO, triggers: ["1"] });
      expect(requests()).toBe(0);
    }
  });

  test("an update: the snapshot of the killed run is the newest, and is not taken again", async () => {
    for (let nth = 1; ; nth += 1) {
      const engine = begin();
      await days(engine, KEEP_TWO, "1", "2");
      const [second] = outputs(engine).snapshots;
      const { killed } = await up(engine, { ...KEEP_TWO, triggers: ["3"] }, { nth, kind });
      if (!killed) break;
      expect(rows().length).toBeGreaterThanOrEqual(2);
      await upOk(engine, { ...KEEP_TWO, triggers: ["3"] });
      expect(outputs(engine).snapshots.map(({ id }) => id)).toEqual([expect.any(String), second?.id]);
      expect(new Set(triggersOf()).size).toBe(2);
      expect(rows()).toHaveLength(2);
      await upOk(engine, { ...KEEP_TWO, triggers: ["3"] });
      expect(requests()).toBe(0);
      expect((await destroy(engine)).errors).toEqual([]);
      expect(rows()).toEqual([]);
    }
  });

  test("an update, then a refresh, and another day: each day has its snapshot once", async () => {
    for (let nth = 1; ; nth += 1) {
      const engine = begin();
      await days(engine, { keep: 9 }, "1");
      const { killed } = await up(engine, { keep: 9, triggers: ["2"] }, { nth, kind });
      if (!killed) break;
      const made = rows().length;
      expect((await refresh(engine)).errors).toEqual([]);
      expect(outputs(engine).snapshots).toHaveLength(made);
      passTime(60_000);
      await upOk(engine, { keep: 9, triggers: ["3"] });
      expect(outputs(engine).snapshots).toHaveLength(made + 1);
      expect(new Set(triggersOf()).size).toBe(made + 1);
    }
  });
});

test("a create that is killed, and another trigger since: the series is adopted, and takes one more", async () => {
  const engine = begin();
  await up(engine, { keep: 2, triggers: ["1"] }, { nth: 5, kind: AFTER });
  expect(rows()).toHaveLength(1);
  await upOk(engine, { keep: 2, triggers: ["2"] });
  expect(outputs(engine).snapshots).toHaveLength(2);
  expect(engine.state.entries).toHaveLength(1);
});

test("a snapshot that never becomes available is waited for by the next up, and does not hold up the next day", async () => {
  const engine = begin();
  await days(engine, { keep: 2 }, "1");
  emulator.cinder.failNext({ create: "stuck" });
  const timeouts = { update: "2m" };
  const { errors } = await up(engine, { keep: 2, triggers: ["2"], __timeouts: timeouts });
  expect(String(errors)).toMatch(/waited 2 min.* for snapshot \S+ to become available/);
  expect(
    rows()
      .map(({ status }) => status)
      .sort(),
  ).toEqual(["available", "creating"]);
  const again = await up(engine, { keep: 2, triggers: ["2"], __timeouts: timeouts });
  expect(String(again.errors)).toMatch(/to become available/);
  await upOk(engine, { keep: 2, triggers: ["3"], __timeouts: timeouts });
  expect(
    rows()
      .map(({ status }) => status)
      .sort(),
  ).toEqual(["available", "available", "creating"]);
  for (const row of rows()) row.status = "available";
  await refresh(engine);
  expect(outputs(engine).snapshots).toHaveLength(3);
  await upOk(engine, { keep: 2, triggers: ["3"] });
  expect(rows()).toHaveLength(2);
});

test("an alias and a move write the record on every snapshot, and the next one gets it, too", async () => {
  const engine = begin();
  await days(engine, { keep: 3 }, "1", "2");
  engine.stack = "prod";
  engine.edit(({ entries }) => {
    for (const entry of entries) entry.urn = engine.urn("db");
  });
  await upOk(engine, { keep: 3, triggers: ["3"] });
  expect(rows().map(({ metadata }) => metadata["snapclone:series-owner"])).toEqual(Array(3).fill(engine.urn("db")));
  expect(new Set(rows().map(({ metadata }) => metadata["snapclone:series-stack"])).size).toBe(1);
});

test("a killed --replace makes a series of its own, and the next one adopts that", async () => {
  const engine = begin();
  await days(engine, { keep: 3 }, "1", "2");
  const old = engine.idOf("db");
  await up(engine, { keep: 3, triggers: ["2"] }, { nth: 5, kind: AFTER }, { replace: ["db"] });
  expect(rows()).toHaveLength(3);
  const { errors } = await up(engine, { keep: 3, triggers: ["2"] }, undefined, { replace: ["db"] });
  expect(errors).toEqual([]);
  expect(engine.idOf("db")).not.toBe(old);
  expect(rows()).toMatchObject([{ id: outputs(engine).latest }]);
});
