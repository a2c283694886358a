// The clocks of the hosts of Cinder's API differ, and jump. The order of a series' snapshots must not depend on them: else
// the snapshot that was just taken goes as the oldest one.

import { FAULT_KINDS } from "../faults/inProcess";
import { begin, DAY_MS, days, emulator, outputs, refresh, rows, up, upOk } from "./snapshotSeriesFixture";

jest.setTimeout(60_000);

const [, , , , BEFORE, AFTER] = FAULT_KINDS;

const idsOf = (all: readonly { id: string }[]) => all.map(({ id }) => id);
const triggersOf = () => new Set(rows().map(({ metadata }) => metadata["snapclone:series-instant"]));

/** As if a host whose clock is ahead by this much had made all snapshots that there are. */
function madeAhead(ms: number): void {
  for (const row of rows()) row.created_at = new Date(Date.parse(`${row.created_at}Z`) + ms).toISOString().slice(0, -1);
}

const AHEAD = { "three minutes": 180_000, "a month": 30 * DAY_MS };

describe.each(Object.entries(AHEAD))("the snapshots so far were made by a host whose clock is ahead by %s", (_, ms) => {
  test.each([1, 2, 3])("keep %s: an update's snapshot is the newest, and stays as such", async (keep) => {
    const engine = begin();
    for (const day of ["1", "2", "3"]) await upOk(engine, { keep, triggers: [day] });
    madeAhead(ms);
    await refresh(engine);
    const before = idsOf(outputs(engine).snapshots);
    await upOk(engine, { keep, triggers: ["4"] });
    const [made = ""] = idsOf(outputs(engine).snapshots);
    expect(before).not.toContain(made);
    expect(outputs(engine).latest).toBe(made);
    expect(idsOf(outputs(engine).snapshots)).toEqual([made, ...before.slice(0, keep - 1)]);
    await refresh(engine);
    await upOk(engine, { keep, triggers: ["4"] });
    expect(idsOf(rows()).sort()).toEqual([made, ...before.slice(0, keep - 1)].sort());
    await upOk(engine, { keep, triggers: ["5"] });
    const after = idsOf(outputs(engine).snapshots);
    expect(after.slice(1)).toEqual([made, ...before].slice(0, keep - 1));
    expect(rows()).toHaveLength(keep);
  });

  test("a wait that was given up: the next up goes on with that snapshot, and takes no other", async () => {
    const engine = begin();
    await days(engine, { keep: 2 }, "1", "2");
    madeAhead(ms);
    const before = idsOf(outputs(engine).snapshots);
    emulator.cinder.failNext({ create: "stuck" });
    const { errors } = await up(engine, { keep: 2, triggers: ["3"], __timeouts: { update: "2m" } });
    expect(String(errors)).toMatch(/to become available/);
    const stuck = rows().find(({ status }) => status === "creating");
    if (stuck) stuck.status = "available";
    await upOk(engine, { keep: 2, triggers: ["3"] });
    expect(idsOf(outputs(engine).snapshots)).toEqual([stuck?.id, before[0]]);
    expect(triggersOf().size).toBe(2);
  });

  test("the same with a refresh in between", async () => {
    const engine = begin();
    await days(engine, { keep: 2 }, "1", "2");
    madeAhead(ms);
    const before = idsOf(outputs(engine).snapshots);
    emulator.cinder.failNext({ create: "stuck" });
    await up(engine, { keep: 2, triggers: ["3"], __timeouts: { update: "2m" } });
    const stuck = rows().find(({ status }) => status === "creating");
    if (stuck) stuck.status = "available";
    await refresh(engine);
    expect(outputs(engine).latest).toBe(stuck?.id);
    await upOk(engine, { keep: 2, triggers: ["3"] });
    expect(idsOf(outputs(engine).snapshots)).toEqual([stuck?.id, before[0]]);
  });

  test("an old one that is not deleted in time: the new one is recorded as the newest all the same", async () => {
    const engine = begin();
    await days(engine, { keep: 1 }, "1");
    madeAhead(ms);
    emulator.cinder.failNext({ delete: "stuck" });
    const { errors } = await up(engine, { keep: 1, triggers: ["2"], __timeouts: { update: "2m" } });
    expect(errors).toHaveLength(1);
    const made = rows().find(({ status }) => status === "available");
    expect(outputs(engine).latest).toBe(made?.id);
    for (const row of rows()) row.status = "available";
    await upOk(engine, { keep: 1, triggers: ["2"] });
    expect(rows().length).toBeLessThanOrEqual(2);
    expect(idsOf(rows())).toContain(made?.id);
  });

  test.each([BEFORE, AFTER])(
    "an update that is killed, %s: two stay, and the newest of all is one of them",
    async (kind) => {
      for (let nth = 1; ; nth += 1) {
        const engine = begin();
        await days(engine, { keep: 2 }, "1", "2");
        madeAhead(ms);
        const { killed } = await up(engine, { keep: 2, triggers: ["3"] }, { nth, kind });
        if (!killed) break;
        await upOk(engine, { keep: 2, triggers: ["3"] });
        expect(rows().map(({ metadata }) => metadata["snapclone:series-instant"])).toContain(outputs(engine).takenFor);
        expect(rows()).toHaveLength(2);
        await upOk(engine, { keep: 2, triggers: ["3"] });
        expect(rows()).toHaveLength(2);
        expect(outputs(engine)).toMatchObject({ overdue: [], failed: [] });
      }
    },
  );
});
