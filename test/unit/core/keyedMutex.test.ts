import { KeyedMutex } from "../../../provider/core/util/keyedMutex";
import { FakeClock } from "../../support/fakeClock";

function setUp() {
  const clock = new FakeClock();
  const progress: string[] = [];
  const stop = new AbortController();
  const context = { clock, deadline: 60_000, signal: stop.signal, progress: (text: string) => progress.push(text) };
  return { mutex: new KeyedMutex(), clock, context, progress, stop };
}

/** Everything that can happen without time passing has happened. */
const flush = async () => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
};

test("one holder a key, first come, first served; other keys are free", async () => {
  const { mutex, context, progress } = setUp();
  const order: string[] = [];
  const first = await mutex.acquire(["a"], "volume", context);
  const second = mutex.acquire(["a"], "volume", context).then((leave) => {
    order.push("second");
    return leave;
  });
  const third = mutex.acquire(["a", "b"], "volume", context).then((leave) => {
    order.push("third");
    return leave;
  });
  (await mutex.acquire(["b"], "volume", context))();
  await flush();
  expect(order).toEqual([]);
  expect(progress).toEqual(Array(2).fill("waiting for another operation on the volume a"));
  first();
  (await second)();
  (await third)();
  expect(order).toEqual(["second", "third"]);
});

test("two callers with the same keys in another order don't wait for each other", async () => {
  const { mutex, context } = setUp();
  const both = [mutex.acquire(["a", "b"], "volume", context), mutex.acquire(["b", "a"], "volume", context)];
  for (const one of both) (await one)();
});

test("what it has already is given back when the deadline comes", async () => {
  const { mutex, clock, context } = setUp();
  const leave = await mutex.acquire(["b"], "volume", context);
  await expect(clock.run(() => mutex.acquire(["a", "b"], "volume", context))).rejects.toMatchObject({
    kind: "deadline",
    message: expect.stringContaining("waited 1 min for other work of this run on the same volume; nothing was sent"),
  });
  (await mutex.acquire(["a"], "volume", context))();
  leave();
  (await mutex.acquire(["b"], "volume", context))();
});

test("a stopped run waits for nothing", async () => {
  const { mutex, context, stop } = setUp();
  const leave = await mutex.acquire(["a"], "volume", context);
  const waiting = mutex.acquire(["a"], "volume", context);
  stop.abort(new Error("Ctrl-C"));
  await expect(waiting).rejects.toMatchObject({ kind: "stopped" });
  await expect(mutex.acquire(["b"], "volume", context)).rejects.toMatchObject({ kind: "stopped" });
  leave();
});
