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
  let longest = 0;
  let ticked = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - ticked);
    ticked = performance.now();
  }, 1);
  const begun = performance.now();
  const all = Array.from({ length: 300 }, async (_, n) => {
    await pacer.yield();
    work(1);
    order.push(n);
  });
  await Promise.all(all);
  const took = performance.now() - begun;
  clearInterval(timer);
  expect(order).toEqual(Array.from({ length: 300 }, (_, n) => n));
  // 300 ms of work in one go without it. The machine may be busy, so the bound compares with the whole.
  expect(longest).toBeLessThan(took / 4);
});
