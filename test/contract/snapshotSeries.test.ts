// SnapshotSeries against the emulator: which snapshots are taken, which stay, which go, and what the user is told.

import { check } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import {
  begin,
  changes,
  DAY_MS,
  days,
  definition,
  destroy,
  emulator,
  outputs,
  passTime,
  refresh,
  requests,
  rows,
  up,
  upOk,
  VOLUME,
} from "./snapshotSeriesFixture";

jest.setTimeout(60_000);

const KEEP_TWO = { keep: 2, name: "db" };
const idsOf = (all: readonly { id: string }[]) => all.map(({ id }) => id);
const other = () => emulator.cinder.createSnapshot({ volume_id: VOLUME, name: "somebody else's" });

describe("taking", () => {
  test("take: the first up takes one, named after the series and the time", async () => {
    const engine = begin();
    await upOk(engine, { ...KEEP_TWO, metadata: { team: "shop" }, description: "at night" });
    expect(rows()).toMatchObject([
      {
        volume_id: VOLUME,
        name: expect.stringMatching(/^db-\d{8}T\d{6}Z$/),
        description: "at night",
        status: "available",
      },
    ]);
    expect(rows()[0]?.metadata).toMatchObject({ team: "shop", "snapclone:series": engine.idOf("db") });
    expect(engine.idOf("db")).toMatch(/^series-[0-9a-f]{16}$/);
    expect(outputs(engine)).toMatchObject({ latest: rows()[0]?.id, pruned: [], overdue: [], failed: [] });
    expect(outputs(engine).snapshots).toEqual([
      { id: rows()[0]?.id, name: rows()[0]?.name, createdAt: expect.any(String), sizeGiB: 10, status: "available" },
    ]);
  });

  test("take: a changed trigger is an update in place, and takes one more, the newest first", async () => {
    const engine = begin();
    await days(engine, KEEP_TWO, "monday");
    const id = engine.idOf("db");
    const olds = outputs(engine);
    const news = check(definition, engine.state.entries[0]?.inputs ?? {}, {
      volumeId: VOLUME,
      ...KEEP_TWO,
      triggers: ["tuesday"],
    }).inputs;
    expect(diff(definition, olds, news).replaces ?? []).toEqual([]);
    expect(diff(definition, olds, news).changes).not.toBe(false);
    await days(engine, KEEP_TWO, "tuesday");
    expect(engine.idOf("db")).toBe(id);
    const [newest, oldest] = outputs(engine).snapshots;
    expect(Date.parse(newest?.createdAt ?? "")).toBeGreaterThan(Date.parse(oldest?.createdAt ?? ""));
    expect(oldest?.id).toBe(olds.latest);
    expect(outputs(engine).latest).toBe(newest?.id);
  });

  test("take: an up without a changed trigger sends nothing, however much later it comes", async () => {
    const engine = begin();
    await days(engine, { ...KEEP_TWO, keepWithin: "1d" }, "monday", "tuesday", "wednesday");
    passTime(30 * DAY_MS);
    await upOk(engine, { ...KEEP_TWO, keepWithin: "1d", triggers: ["wednesday"] });
    expect(requests()).toBe(0);
    expect(rows()).toHaveLength(2);
  });

  test("take: name, description and metadata hold for the next one, and leave the others as they were taken", async () => {
    const engine = begin();
    await days(engine, { keep: 3, name: "db", metadata: { release: "1.0" } }, "1.0");
    await upOk(engine, { keep: 3, name: "shop", metadata: { release: "1.1" }, triggers: ["1.0"] });
    expect(changes()).toEqual([]);
    await days(engine, { keep: 3, name: "shop", metadata: { release: "1.1" } }, "1.1");
    expect(outputs(engine).snapshots.map(({ name }) => name?.replace(/-.*/, ""))).toEqual(["shop", "db"]);
    expect(rows().map(({ metadata }) => metadata.release)).toEqual(["1.0", "1.1"]);
  });

  test("take: a trigger that returns to an earlier value is a change like any other", async () => {
    const engine = begin();
    await days(engine, { keep: 5 }, "a", "b", "a");
    expect(outputs(engine).snapshots).toHaveLength(3);
  });

  test("take: forty instants with keep 7 cost at most four requests an up over the one create", async () => {
    // The pauses between polls have some jitter, and an up with longer pauses has fewer polls.
    const jitter = jest.spyOn(Math, "random").mockReturnValue(0.5);
    const engine = begin();
    const costs: number[] = [];
    for (let day = 1; day <= 40; day += 1) {
      await upOk(engine, { keep: 7, triggers: [day] });
      costs.push(requests());
      passTime(DAY_MS);
    }
    jitter.mockRestore();
    expect(rows()).toHaveLength(7);
    // The first up is a create alone: the login, the versions, a list, the POST, and the wait.
    const [create = 0] = costs;
    expect(costs.slice(0, 7)).toEqual(Array(7).fill(create));
    expect(Math.max(...costs)).toBeLessThanOrEqual(create + 4);
    expect(changes().filter((change) => change.startsWith("POST"))).toHaveLength(1);
  });
});

describe("keeping", () => {
  test("keep: 40 lowered to 7 sends one DELETE for each that goes, and watches them by shared lists", async () => {
    const engine = begin();
    await days(engine, { keep: 40 }, ...Array.from({ length: 40 }, (_, day) => String(day)));
    await upOk(engine, { keep: 7, triggers: ["39"] });
    expect(outputs(engine).pruned).toHaveLength(33);
    expect(changes()).toHaveLength(33);
    expect(requests()).toBeLessThanOrEqual(33 + 50);
  });

  test("keep: the newest stay, and the new one is available before an old one goes", async () => {
    const engine = begin();
    await days(engine, KEEP_TWO, "monday", "tuesday");
    const [tuesday, monday] = outputs(engine).snapshots;
    const statuses: string[][] = [];
    const startDelete = emulator.cinder.startSnapshotDelete.bind(emulator.cinder);
    const spy = jest.spyOn(emulator.cinder, "startSnapshotDelete").mockImplementation((...args) => {
      statuses.push(rows().map(({ status }) => status));
      return startDelete(...args);
    });
    await days(engine, KEEP_TWO, "wednesday");
    spy.mockRestore();
    expect(statuses).toEqual([["available", "available", "available"]]);
    const { snapshots, pruned } = outputs(engine);
    expect(idsOf(pruned)).toEqual([monday?.id]);
    expect(snapshots[1]?.id).toBe(tuesday?.id);
    expect(idsOf(rows()).sort()).toEqual(idsOf(snapshots).sort());
  });

  test("keep: a lower number prunes the oldest, a higher one changes nothing on the cloud", async () => {
    const engine = begin();
    await days(engine, { keep: 4 }, "1", "2", "3", "4");
    const [newest] = outputs(engine).snapshots;
    await upOk(engine, { keep: 1, triggers: ["4"] });
    expect(idsOf(outputs(engine).snapshots)).toEqual([newest?.id]);
    expect(outputs(engine).pruned).toHaveLength(3);
    await upOk(engine, { keep: 9, triggers: ["4"] });
    expect(changes()).toEqual([]);
    expect(idsOf(rows())).toEqual([newest?.id]);
  });

  test("keep: with keepWithin, one goes only if it is beyond keep and older than that", async () => {
    const engine = begin();
    await days(engine, { keep: 1, keepWithin: "3d" }, "1", "2", "3");
    expect(rows()).toHaveLength(3);
    await days(engine, { keep: 1, keepWithin: "3d" }, "4", "5");
    // At "5", "1" is four and "2" is three days old.
    expect(outputs(engine).snapshots).toHaveLength(3);
    passTime(60 * DAY_MS);
    await days(engine, { keep: 2, keepWithin: "3d" }, "6");
    expect(outputs(engine).snapshots).toHaveLength(2);
  });

  test("keep: snapshots of others are neither counted nor touched", async () => {
    const engine = begin();
    const foreign = [other(), other(), other()];
    await days(engine, { keep: 1 }, "1", "2", "3");
    expect(outputs(engine).snapshots).toHaveLength(1);
    await destroy(engine);
    expect(idsOf(rows()).sort()).toEqual(idsOf(foreign).sort());
  });

  test("keep: what Cinder does not let go is a warning, stays in the state, and is tried again by the next up", async () => {
    const engine = begin();
    await days(engine, { keep: 1 }, "1");
    const { latest, snapshots } = outputs(engine);
    const behaviour = emulator.cinder.behaviour({ match: { name: snapshots[0]?.name ?? "" }, delete: "busy" });
    const { log } = await upOk(engine, { keep: 1, triggers: ["2"] });
    expect(log.filter((line) => line.startsWith("warning"))).toEqual([
      expect.stringMatching(
        /snapshot \S+ ".*" of .* should have been deleted and is still there: .*busy.*delete the volumes.*next `pulumi up` tries again/,
      ),
    ]);
    expect(outputs(engine)).toMatchObject({ overdue: [latest], pruned: [] });
    expect(idsOf(outputs(engine).snapshots)).toContain(latest);
    await upOk(engine, { keep: 1, triggers: ["2"] });
    expect(changes().filter((change) => change.startsWith("DELETE"))).toHaveLength(1);
    behaviour.remove();
    await upOk(engine, { keep: 1, triggers: ["2"] });
    expect(outputs(engine)).toMatchObject({ overdue: [], pruned: [{ id: latest }] });
    expect(rows()).toHaveLength(1);
    await upOk(engine, { keep: 1, triggers: ["2"] });
    expect(requests()).toBe(0);
  });

  test("keep: a deletion that does not end fails the update, after the new one stands, and the next up waits for it", async () => {
    const engine = begin();
    await days(engine, { keep: 1 }, "1");
    const { latest } = outputs(engine);
    emulator.cinder.failNext({ delete: "stuck" });
    const { errors } = await up(engine, { keep: 1, triggers: ["2"], __timeouts: { update: "5m" } });
    expect(String(errors)).toMatch(/waited .* for snapshot \S+ to be deleted; seen: deleting/);
    expect(outputs(engine).snapshots).toMatchObject([{ status: "available" }]);
    expect(outputs(engine)).toMatchObject({ overdue: [latest] });
    emulator.cinder.removeSnapshot(latest ?? "");
    await upOk(engine, { keep: 1, triggers: ["2"] });
    expect(changes()).toEqual([]);
    expect(outputs(engine)).toMatchObject({ overdue: [] });
  });

  test("keep: one that failed costs no old one, and is deleted once another stands", async () => {
    const engine = begin();
    await days(engine, { keep: 1 }, "1");
    const { latest } = outputs(engine);
    emulator.cinder.failNext({ create: "error" });
    const { errors } = await up(engine, { keep: 1, triggers: ["2"] });
    expect(String(errors)).toMatch(/failed to create[\s\S]*No older snapshot of the series was deleted/i);
    expect(outputs(engine)).toMatchObject({ latest, failed: [expect.any(String)] });
    expect(idsOf(outputs(engine).snapshots)).toEqual([latest]);
    await refresh(engine);
    await upOk(engine, { keep: 1, triggers: ["2"] });
    expect(outputs(engine)).toMatchObject({ failed: [], pruned: [{ id: latest }] });
    expect(rows()).toMatchObject([{ id: outputs(engine).latest, status: "available" }]);
  });

  test("keep: a storage that can make none does not fill up with failed ones", async () => {
    const engine = begin();
    await days(engine, { keep: 2 }, "1");
    for (const day of ["2", "3", "4"]) {
      emulator.cinder.failNext({ create: "error" });
      expect((await up(engine, { keep: 2, triggers: [day] })).errors).toHaveLength(1);
    }
    expect(rows().map(({ status }) => status)).toEqual(["available", "error"]);
  });

  test("keep: a good one that went to error takes no place among those that are kept", async () => {
    const engine = begin();
    await days(engine, { keep: 2 }, "1", "2");
    const [broken, good] = outputs(engine).snapshots;
    const row = emulator.cinder.snapshots.get(broken?.id ?? "");
    if (row) row.status = "error";
    const { log } = await refresh(engine);
    expect(log.join()).toContain(`snapshot ${broken?.id} is in status "error"`);
    expect(outputs(engine).latest).toBe(good?.id);
    await days(engine, { keep: 2 }, "3");
    expect(idsOf(rows())).toContain(good?.id);
    expect(idsOf(rows())).toContain(broken?.id);
  });
});

describe("what other hands do", () => {
  test("drift: one that was deleted shows in a refresh, and is not made again", async () => {
    const engine = begin();
    await days(engine, { keep: 3 }, "1", "2", "3");
    const [newest, middle, oldest] = outputs(engine).snapshots;
    emulator.cinder.removeSnapshot(newest?.id ?? "");
    await refresh(engine);
    expect(idsOf(outputs(engine).snapshots)).toEqual([middle?.id, oldest?.id]);
    expect(outputs(engine).latest).toBe(middle?.id);
    await upOk(engine, { keep: 3, triggers: ["3"] });
    expect(changes()).toEqual([]);
  });

  test("drift: a series of which all were deleted stays, and the next up takes one", async () => {
    const engine = begin();
    await days(engine, { keep: 3 }, "1", "2");
    const id = engine.idOf("db");
    for (const row of rows()) emulator.cinder.removeSnapshot(row.id);
    await refresh(engine);
    expect(outputs(engine)).toMatchObject({ snapshots: [] });
    expect(outputs(engine).latest).toBeUndefined();
    await upOk(engine, { keep: 3, triggers: ["2"] });
    expect(engine.idOf("db")).toBe(id);
    expect(rows()).toMatchObject([{ id: outputs(engine).latest }]);
  });

  test("drift: all deleted, no refresh, and a changed trigger: the job of the night takes one", async () => {
    const engine = begin();
    await days(engine, { keep: 3 }, "1", "2");
    for (const row of rows()) emulator.cinder.removeSnapshot(row.id);
    await upOk(engine, { keep: 3, triggers: ["3"] });
    expect(rows()).toMatchObject([{ id: outputs(engine).latest }]);
  });

  test("drift: where the volume is gone, too, the series is gone", async () => {
    const engine = begin();
    await days(engine, { keep: 3 }, "1");
    for (const row of rows()) emulator.cinder.removeSnapshot(row.id);
    emulator.cinder.volumes.delete(VOLUME);
    await refresh(engine);
    expect(engine.state.entries).toEqual([]);
  });

  test("drift: one whose metadata somebody has taken away is still the series'", async () => {
    const engine = begin();
    await days(engine, { keep: 3 }, "1", "2");
    for (const row of rows()) row.metadata = {};
    await refresh(engine);
    expect(outputs(engine).snapshots).toHaveLength(2);
    expect((await destroy(engine)).errors).toEqual([]);
    passTime(DAY_MS);
    expect(rows()).toEqual([]);
  });

  test("drift: a login to another project proves nothing", async () => {
    const engine = begin();
    await days(engine, { keep: 3 }, "1");
    engine.edit(({ entries }) => {
      for (const { outputs: outs } of entries) outs.__backend = "project 1, region RegionOne";
    });
    emulator.cinder.snapshots.clear();
    const { errors } = await refresh(engine);
    expect(String(errors)).toContain("does not prove that it is gone");
    expect(engine.state.entries).toHaveLength(1);
    expect(String((await up(engine, { keep: 3, triggers: ["2"] })).errors)).toContain("does not prove that it is gone");
    expect(rows()).toEqual([]);
  });
});

describe("the end", () => {
  test("destroy: deletes all, the oldest first, and says how many", async () => {
    const engine = begin();
    await days(engine, { keep: 9 }, "1", "2", "3");
    const order = idsOf(outputs(engine).snapshots).reverse();
    const { errors, log } = await destroy(engine);
    expect(errors).toEqual([]);
    expect(changes()).toEqual(order.map((id) => `DELETE /snapshots/${id}`));
    expect(log).toContain("info: deleted 3 snapshots of the series");
    expect(rows()).toEqual([]);
  });

  test("destroy: tells all that could not be deleted, and the next destroy deletes the rest", async () => {
    const engine = begin();
    await days(engine, { keep: 9 }, "1", "2", "3");
    const [newest, , oldest] = outputs(engine).snapshots;
    const behaviours = [newest, oldest].map((one) =>
      emulator.cinder.behaviour({ match: { name: one?.name ?? "" }, delete: "busy" }),
    );
    const { errors } = await destroy(engine);
    expect(String(errors)).toContain("2 of 3 snapshots failed");
    for (const one of [newest, oldest]) expect(String(errors)).toContain(one?.id);
    expect(rows()).toHaveLength(2);
    for (const behaviour of behaviours) behaviour.remove();
    expect((await destroy(engine)).errors).toEqual([]);
    expect(rows()).toEqual([]);
  });

  test("destroy: of what other hands have deleted is done", async () => {
    const engine = begin();
    await days(engine, { keep: 9 }, "1", "2");
    for (const row of rows()) emulator.cinder.removeSnapshot(row.id);
    expect((await destroy(engine)).errors).toEqual([]);
    expect(engine.state.entries).toEqual([]);
  });

  test("retainOnDelete keeps all", async () => {
    const engine = begin();
    await days(engine, { keep: 9 }, "1", "2");
    await up(engine, undefined, undefined, { retain: ["db"] });
    expect(engine.state.entries).toEqual([]);
    expect(rows()).toHaveLength(2);
  });
});

test("check: each wrong input is refused with its path, and nothing is sent", () => {
  const { failures } = check(
    definition,
    {},
    { keep: 0, keepWithin: "a week", metadata: { "snapclone:series": "x" }, keeps: 7, volumeId: "data" },
  );
  expect(failures).toEqual([
    { property: "keeps", reason: "unknown property; did you mean keep?" },
    { property: "volumeId", reason: expect.stringContaining("must be the UUID of a volume") },
    { property: "keep", reason: expect.stringContaining("from 1 on") },
    { property: "keepWithin", reason: expect.stringContaining('"30d"') },
    { property: 'metadata["snapclone:series"]', reason: expect.stringContaining("the provider's own") },
  ]);
  expect(check(definition, {}, { volumeId: VOLUME }).failures).toEqual([{ property: "keep", reason: "is required" }]);
  expect(check(definition, {}, { volumeId: VOLUME, keep: 1.5 }).failures).toHaveLength(1);
});
