// How often a run exports the state: half a second of a processor each time.

import type { StackState } from "../../../provider/core/ownership";
import { Run } from "../../../provider/core/run";

interface Export {
  answer(error?: Error): void;
}

function runWithExports() {
  const exports: Export[] = [];
  const askState = () =>
    new Promise<StackState>((resolve, reject) => {
      const state: StackState = { entries: [], pendingCreates: [], savedAt: new Date(exports.length) };
      exports.push({ answer: (error) => (error ? reject(error) : resolve(state)) });
    });
  const run = new Run({ log: () => {}, askState });
  run.registerUrn("urn:pulumi:dev::shop::t::one");
  const nth = async (asked: Promise<StackState>) => (await asked).savedAt?.getTime();
  return { exports, ask: (fresh?: boolean) => nth(run.askState(fresh)) };
}

test("is exported once, and again for who needs it afresh", async () => {
  const { exports, ask } = runWithExports();
  const first = ask();
  const second = ask();
  exports[0]?.answer();
  expect([await first, await second, await ask()]).toEqual([0, 0, 0]);
  const fresh = ask(true);
  exports[1]?.answer();
  expect([await fresh, await ask()]).toEqual([1, 1]);
});

test("one export at a time: who asks afresh meanwhile shares the next, which begins after all of them", async () => {
  const { exports, ask } = runWithExports();
  const running = ask(true);
  const waiting = [ask(true), ask(true), ask()];
  expect(exports).toHaveLength(1);
  exports[0]?.answer();
  expect(await running).toBe(0);
  await new Promise(setImmediate);
  expect(exports).toHaveLength(2);
  exports[1]?.answer();
  expect(await Promise.all(waiting)).toEqual([1, 1, 1]);
});

test("an export that failed fails nobody who asks after it", async () => {
  const { exports, ask } = runWithExports();
  const running = ask(true);
  const next = ask(true);
  exports[0]?.answer(new Error("no state"));
  await expect(running).rejects.toThrow("no state");
  await new Promise(setImmediate);
  exports[1]?.answer();
  expect(await next).toBe(1);
});
