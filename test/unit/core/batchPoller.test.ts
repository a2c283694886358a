import { setMaxListeners } from "node:events";
import { BatchPoller } from "../../../provider/core/batchPoller";
import type { Listener } from "../../../provider/core/poll";
import { FakeClock } from "../../support/fakeClock";

function setUp(rows: Record<string, string> = {}) {
  const clock = new FakeClock();
  const calls: string[] = [];
  const shared = new BatchPoller<string>({
    clock,
    fetchOne: async (id) => {
      calls.push(id);
      return rows[id];
    },
    fetchAll: async () => {
      calls.push("list");
      return new Map(Object.entries(rows).filter(([, status]) => status !== "hidden"));
    },
  });
  const never = new AbortController().signal;
  setMaxListeners(0, never);
  return { clock, calls, shared, never };
}

function listener(hear: Listener<string | undefined>["hear"], due?: number): Listener<string | undefined> {
  return { hear, coming: () => {}, dueAt: () => due };
}

test("few are asked for one by one, at once", async () => {
  const { calls, shared, never } = setUp({ a: "making" });
  shared.register();
  expect(await shared.fetch("a", never)).toBe("making");
  expect(await shared.fetch("b", never)).toBeUndefined();
  expect(calls).toEqual(["a", "b"]);
});

test("two hundred fetches at the same time are one list", async () => {
  const ids = Array.from({ length: 200 }, (_, n) => `s${n}`);
  const { clock, calls, shared, never } = setUp(Object.fromEntries(ids.map((id) => [id, "making"])));
  for (const _ of ids) shared.register();
  await clock.run(() => Promise.all(ids.map((id) => shared.fetch(id, never))));
  expect(calls).toEqual(["list"]);
});

test.each([
  [8, 1],
  [20, 2],
])("%d fetches that come one after another are %d lists", async (count, lists) => {
  const { clock, calls, shared, never } = setUp({ a: "making" });
  for (let n = 0; n < 3; n += 1) shared.register();
  await clock.run(async () => {
    const fetches: Promise<unknown>[] = [];
    for (let n = 0; n < count; n += 1) {
      fetches.push(shared.fetch("a", never));
      await clock.sleep(40);
    }
    await Promise.all(fetches);
  });
  expect(calls).toHaveLength(lists);
});

test.each([
  ["waits for a fetch that is due", 400, 1],
  ["does not wait for one that is due later", 500, 2],
])("a list %s", async (_title, due, lists) => {
  const { clock, calls, shared, never } = setUp({ a: "making", b: "making" });
  for (let n = 0; n < 3; n += 1) shared.register();
  await clock.run(async () => {
    const first = shared.fetch("a", never);
    const leave = shared.subscribe(
      "b",
      listener(() => {}, due),
    );
    await clock.sleep(due);
    leave();
    await Promise.all([first, shared.fetch("b", never)]);
  });
  expect(calls).toHaveLength(lists);
});

test("what the list leaves out is asked for by itself: only its own answer says that it is gone", async () => {
  const { clock, calls, shared, never } = setUp({ a: "making", b: "making", c: "hidden" });
  for (let n = 0; n < 4; n += 1) shared.register();
  const answers = await clock.run(() => Promise.all(["a", "b", "c", "d"].map((id) => shared.fetch(id, never))));
  expect(answers).toEqual(["making", "making", "hidden", undefined]);
  expect(calls).toEqual(["list", "c", "d"]);
});

test("lists keep their distance", async () => {
  const { clock, calls, shared, never } = setUp({ a: "x" });
  for (let n = 0; n < 3; n += 1) shared.register();
  await clock.run(async () => {
    for (let n = 0; n < 10; n += 1) await shared.fetch("a", never);
  });
  expect(calls).toHaveLength(10);
  expect(clock.now()).toBeGreaterThanOrEqual(9 * 400);
});

test("a list that fails fails the fetches that wait for it, and none of the next", async () => {
  const { clock, shared, never } = setUp({ a: "x" });
  for (let n = 0; n < 3; n += 1) shared.register();
  Reflect.set(Reflect.get(shared, "options"), "fetchAll", () => Promise.reject(new Error("503")));
  await expect(clock.run(() => shared.fetch("a", never))).rejects.toThrow("503");
  Reflect.set(Reflect.get(shared, "options"), "fetchAll", async () => new Map([["a", "y"]]));
  expect(await clock.run(() => shared.fetch("a", never))).toBe("y");
});

test("one who leaves does not take the list away from the others", async () => {
  const { clock, shared, never } = setUp({ a: "x", b: "x" });
  for (let n = 0; n < 3; n += 1) shared.register();
  const leaver = new AbortController();
  const [gone, stayed] = await clock.run(async () => {
    const both = Promise.allSettled([shared.fetch("a", leaver.signal), shared.fetch("b", never)]);
    leaver.abort(new Error("stop"));
    return both;
  });
  expect(gone).toMatchObject({ status: "rejected" });
  expect(stayed).toMatchObject({ status: "fulfilled", value: "x" });
});

test("a list is news for all who listen, and for nobody who came while it was under way", async () => {
  const { clock, calls, shared, never } = setUp({ a: "making", b: "making", c: "hidden" });
  for (let n = 0; n < 3; n += 1) shared.register();
  const heard: string[] = [];
  for (const id of ["b", "c"])
    shared.subscribe(
      id,
      listener((row) => heard.push(`${id} ${row}`)),
    );
  await clock.run(() => shared.fetch("a", never));
  shared.subscribe(
    "a",
    listener((row) => heard.push(`a ${row}`)),
  );
  await clock.run(() => clock.sleep(1));
  expect(heard).toEqual(["b making"]);
  expect(calls).toEqual(["list"]);
});

test("resolveWhenMissing: what the list leaves out is fetched at once", async () => {
  const { clock, calls, shared, never } = setUp({ a: "making" });
  Object.assign(Reflect.get(shared, "options"), { resolveWhenMissing: true });
  for (let n = 0; n < 3; n += 1) shared.register();
  const heard: unknown[] = [];
  shared.subscribe(
    "b",
    listener((row) => heard.push(row)),
  );
  await clock.run(() => shared.fetch("a", never));
  expect(heard).toEqual([undefined]);
  expect(calls).toEqual(["list", "b"]);
});

test("who has stopped listening hears nothing", async () => {
  const { clock, shared, never } = setUp({ a: "making" });
  for (let n = 0; n < 3; n += 1) shared.register();
  const heard: unknown[] = [];
  const leave = shared.subscribe(
    "a",
    listener((row) => heard.push(row)),
  );
  leave();
  await clock.run(() => shared.fetch("a", never));
  expect(heard).toEqual([]);
  expect(Reflect.get(shared, "listening")).toEqual(new Set());
});
