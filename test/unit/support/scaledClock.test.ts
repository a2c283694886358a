import { ScaledClock } from "../../support/scaledClock";

const SCALE = 1_000;

/** The machine gives this process no time. */
function holdUp(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a machine that holds up a request takes nothing of its deadline, neither here nor on the emulator", async () => {
  const clock = new ScaledClock(SCALE, 0);
  let emulated = 0;
  const tick = (ms: number) => {
    emulated += ms;
  };
  clock.drive({ clock: { now: () => new Date(emulated), tick } });
  const begun = clock.now();
  const deadline = clock.sleep(50 * SCALE).then(() => "late");
  const request = async () => {
    for (let step = 0; step < 5; step += 1) {
      holdUp(40);
      await turn();
    }
    return "in time";
  };
  expect(await Promise.race([deadline, request()])).toBe("in time");
  expect(clock.now() - begun).toBeLessThan(50 * SCALE);
  expect(await deadline).toBe("late");
  expect(clock.now() - begun).toBeGreaterThanOrEqual(50 * SCALE);
  expect(Math.abs(emulated - (clock.now() - begun))).toBeLessThan(10 * SCALE);
});

test("sleepers wake in the order of their times, and a stopped one at once", async () => {
  const clock = new ScaledClock(SCALE);
  const stop = new AbortController();
  const woken: string[] = [];
  const stopped = clock.sleep(1e9, stop.signal).catch((reason: Error) => reason.message);
  const all = [9_000, 3_000, 6_000].map(async (ms) => {
    await clock.sleep(ms);
    woken.push(`${ms}`);
  });
  stop.abort(new Error("enough"));
  expect(await stopped).toBe("enough");
  await Promise.all(all);
  expect(woken).toEqual(["3000", "6000", "9000"]);
  await expect(clock.sleep(1, stop.signal)).rejects.toThrow("enough");
});
