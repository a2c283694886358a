import { KeyedMutex } from "../../../provider/core/util/keyedMutex";
import { FakeClock } from "../../support/fakeClock";

function setUp() {
  const clock = new FakeClock();
  const message: string[] = [];
  const stop = new AbortController();
  const job = { clock, deadline: 60_000, signal: stop.signal, progress: (text: string) => message.push(text) };
  return { turns: new KeyedMutex(), clock, job, said: message, stop };
}

/** Everything that can happen without time passing has happened. */
const settled = async () => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
};

test("one at a time on a thing, first come, first served; other things are free", async () => {
  const { turns, job, said: message } = setUp();
  const order: string[] = [];
  const first = await turns.acquire(["a"], "volume", job);
  const second = turns.acquire(["a"], "volume", job).then((leave) => {
    order.push("second");
    return leave;
  });
  const third = turns.acquire(["a", "b"], "volume", job).then((leave) => {
    order.push("third");
    return leave;
  });
  (await turns.acquire(["b"], "volume", job))();
  await settled();
  expect(order).toEqual([]);
  expect(message).toEqual(Array(2).fill("waiting for another operation on the volume a"));
  first();
  (await second)();
  (await third)();
  expect(order).toEqual(["second", "third"]);
});

test("two that want the same things in another order don't wait for each other", async () => {
  const { turns, job } = setUp();
  const both = [turns.acquire(["a", "b"], "volume", job), turns.acquire(["b", "a"], "volume", job)];
  for (const one of both) (await one)();
});

test("what it has already is given back when the deadline comes", async () => {
  const { turns, clock, job } = setUp();
  const leave = await turns.acquire(["b"], "volume", job);
  await expect(clock.run(() => turns.acquire(["a", "b"], "volume", job))).rejects.toMatchObject({
    kind: "deadline",
    message: expect.stringContaining("waited 1 min for other work of this run on the same volume; nothing was sent"),
  });
  (await turns.acquire(["a"], "volume", job))();
  leave();
  (await turns.acquire(["b"], "volume", job))();
});

test("a stopped run waits for nothing", async () => {
  const { turns, job, stop } = setUp();
  const leave = await turns.acquire(["a"], "volume", job);
  const waiting = turns.acquire(["a"], "volume", job);
  stop.abort(new Error("Ctrl-C"));
  await expect(waiting).rejects.toMatchObject({ kind: "stopped" });
  await expect(turns.acquire(["b"], "volume", job)).rejects.toMatchObject({ kind: "stopped" });
  leave();
});
