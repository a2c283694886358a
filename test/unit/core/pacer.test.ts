import { Pacer } from "../../../provider/core/util/pacer";

/** Works for so many milliseconds, as parsing an answer does. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test("a single piece of work begins before anything else runs", async () => {
  const pacer = new Pacer();
  let others = 0;
  setImmediate(() => {
    others += 1;
  });
  await pacer.yield();
  expect(others).toBe(0);
});

test("between many pieces of work timers run, and the order is that of the calls", async () => {
  const pacer = new Pacer();
  const order: number[] = [];
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
  }, 1);
  const all = Array.from({ length: 300 }, async (_, n) => {
    await pacer.yield();
    work(1);
    order.push(n);
  });
  await Promise.all(all);
  clearInterval(timer);
  expect(order).toEqual(Array.from({ length: 300 }, (_, n) => n));
  // Without the pacer all of the work is done in one go. With it, a timer may run after every five milliseconds.
  expect(ticks).toBeGreaterThan(5);
});
