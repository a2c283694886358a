import { retryUntilFound } from "../../../provider/core/retryUntilFound";
import { FakeClock } from "../../support/fakeClock";

function setUp() {
  const clock = new FakeClock();
  return { clock, stop: new AbortController() };
}

test("searches at once and returns what was found", async () => {
  const { clock, stop } = setUp();
  const found = await clock.run(() => retryUntilFound(async () => "it", { clock, signal: stop.signal }));
  expect([found, clock.slept]).toEqual(["it", [0]]);
});

test("searches four times within seven seconds", async () => {
  const { clock, stop } = setUp();
  let searches = 0;
  const find = async () => {
    searches += 1;
    return undefined;
  };
  expect(await clock.run(() => retryUntilFound(find, { clock, signal: stop.signal }))).toBeUndefined();
  expect([searches, clock.slept]).toEqual([4, [0, 1_000, 2_000, 4_000]]);
});

test("a search that fails has found nothing", async () => {
  const { clock, stop } = setUp();
  let searches = 0;
  const find = async () => {
    searches += 1;
    if (searches < 3) throw new Error("503");
    return searches;
  };
  expect(await clock.run(() => retryUntilFound(find, { clock, signal: stop.signal }))).toBe(3);
});

test("an abort ends the search, which has found nothing", async () => {
  const { clock, stop } = setUp();
  const find = async () => {
    stop.abort();
    return undefined;
  };
  const search = clock.run(() => retryUntilFound(find, { clock, signal: stop.signal }));
  expect([await search, clock.slept]).toEqual([undefined, [0]]);
});
