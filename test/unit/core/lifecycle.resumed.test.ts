// How long an update waits for what a create has left, and what an update leaves alone (`ignoreChanges`).

import { create, update } from "../../../provider/core/lifecycle";
import type { PartialFailure } from "../../../provider/core/outputs";
import { NEWS, setUp } from "./lifecycleFixture";

const partial = async (work: Promise<unknown>) =>
  (await work.then(
    () => {
      throw new Error("it has succeeded");
    },
    (error: unknown) => error,
  )) as PartialFailure;

const MINUTE = 60_000;

test.each<
  [what: string, createMs: number | undefined, updateMs: number | undefined, timeouts: object, minutes: number]
>([
  ["the create's time", 15 * MINUTE, undefined, {}, 15],
  ["the update's, if that is longer", 15 * MINUTE, 20 * MINUTE, {}, 20],
  ["the create's, if the update's is shorter", 15 * MINUTE, MINUTE, {}, 15],
  ["the default, if all that is given is shorter", MINUTE, 2 * MINUTE, {}, 10],
  ["the default, if nothing is given", undefined, undefined, {}, 10],
  ["the update's, if that is longer than the default", undefined, 20 * MINUTE, {}, 20],
  ["what the program says of a create now", 3 * MINUTE, 7 * MINUTE, { __timeouts: { create: "5m" } }, 5],
])("a resumed create gets %s", async (_what, createMs, updateMs, timeouts, minutes) => {
  const { cloud, definition, clock, newRun, run } = setUp();
  cloud.readsUntilReady = 1_000_000;
  const failure = await partial(clock.run(() => create(definition, run, NEWS, createMs)));
  const resume = ({ id, properties }: PartialFailure) => {
    const news = { ...NEWS, ...timeouts };
    return partial(clock.run(() => update(definition, newRun(), id, properties, news, updateMs)));
  };
  let last = failure;
  // Resumed once or twice: the time is the same.
  for (const _ of [1, 2]) {
    const before = clock.now();
    last = await resume(last);
    expect(Math.round((clock.now() - before) / MINUTE)).toBe(minutes);
  }
});

test("a pending create of an early build, which has no time: the default, or the update's", async () => {
  const { cloud, definition, clock, newRun, run } = setUp();
  cloud.readsUntilReady = 1_000_000;
  const { id, properties } = await partial(clock.run(() => create(definition, run, NEWS, MINUTE)));
  const { timeoutMs: _, ...pending } = properties.pending as { timeoutMs: number };
  expect(_).toBe(MINUTE);
  const before = clock.now();
  await partial(clock.run(() => update(definition, newRun(), id, { ...properties, pending }, NEWS, MINUTE)));
  expect(Math.round((clock.now() - before) / MINUTE)).toBe(10);
});

test.each([[["name"]], [["*"]]])(
  "ignoreChanges %j: what somebody else has changed stays, and the rest is updated",
  async (ignore) => {
    const { cloud, definition, clock, newRun, run } = setUp();
    const { id, outs } = await clock.run(() => create(definition, run, NEWS));
    const row = cloud.rows.get(id);
    if (row) row.name = "by hand";
    const { outs: updated } = await clock.run(() =>
      update(definition, newRun(), id, outs, { ...NEWS, hint: "h" }, undefined, ignore),
    );
    expect(cloud.rows.get(id)?.name).toBe("by hand");
    // The backend does not show the hint.
    expect(updated).toMatchObject({ name: "by hand", hint: "h" });
    await clock.run(() => update(definition, newRun(), id, updated, NEWS));
    expect(cloud.rows.get(id)?.name).toBe(NEWS.name);
  },
);

// The diff of the next `up` replaces what has failed. A repetition has no diff: it would update the broken object as a good one.
test("a resumed create that has failed fails again when an error hook has the update repeated", async () => {
  const { cloud, definition, clock, newRun, run } = setUp();
  cloud.readsUntilReady = 1_000_000;
  const { id, properties } = await partial(clock.run(() => create(definition, run, NEWS, MINUTE)));
  Object.assign(cloud.rows.get(id) ?? {}, { status: "broken" });
  const next = newRun();
  const resume = () => partial(clock.run(() => update(definition, next, id, properties, { ...NEWS, name: "b" })));
  const failed = { id, properties: { pending: { operation: "create", failed: true } } };
  expect([await resume(), await resume()]).toMatchObject([failed, failed]);
  expect(cloud.rows.get(id)).toMatchObject({ status: "broken", name: "a" });
});
