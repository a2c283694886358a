import { KeyedMutex } from "../../../provider/core/util/keyedMutex";
import { FakeClock } from "../../support/fakeClock";

function setUp() {
  const clock = new FakeClock();
  const progress: string[] = [];
  const stop = new AbortController();
  const context = { clock, deadline: 60_000, signal: stop.signal, progress: (text: string) => progress.push(text) };
  const mutex = new KeyedMutex();
  const order: string[] = [];
  const acquire = (name: string, mode: "shared" | "exclusive", signal = stop.signal) =>
    mutex.acquire(["a"], "session", { ...context, signal }, mode).then((leave) => {
      order.push(name);
      return leave;
    });
  return { mutex, acquire, order, progress };
}

/** Everything that can happen without time passing has happened. */
const flush = async () => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
};

test("shared holders hold together, and exclude an exclusive one", async () => {
  const { mutex, acquire, order, progress } = setUp();
  const shared = [await acquire("one", "shared"), await acquire("two", "shared")];
  expect(progress).toEqual([]);
  expect(mutex.isFree("a")).toBe(false);
  const alone = acquire("alone", "exclusive");
  for (const leave of shared) {
    await flush();
    expect(order).toEqual(["one", "two"]);
    leave();
  }
  (await alone)();
  expect(mutex.isFree("a")).toBe(true);
});

test("a shared caller does not overtake an exclusive one that waits", async () => {
  const { acquire, order } = setUp();
  const first = await acquire("first", "shared");
  const alone = acquire("alone", "exclusive");
  const late = [acquire("late 1", "shared"), acquire("late 2", "shared")];
  await flush();
  expect(order).toEqual(["first"]);
  first();
  const leave = await alone;
  await flush();
  expect(order).toEqual(["first", "alone"]);
  leave();
  for (const one of late) (await one)();
  expect(order).toEqual(["first", "alone", "late 1", "late 2"]);
});

test("an exclusive caller that leaves the queue lets those behind it in", async () => {
  const { acquire, order } = setUp();
  const first = await acquire("first", "shared");
  const stop = new AbortController();
  const alone = acquire("alone", "exclusive", stop.signal);
  const late = acquire("late", "shared");
  stop.abort(new Error("Ctrl-C"));
  await expect(alone).rejects.toMatchObject({ kind: "stopped" });
  (await late)();
  first();
  expect(order).toEqual(["first", "late"]);
});
