import { setMaxListeners } from "node:events";
import fc from "fast-check";
import { DurationEstimator } from "../../../provider/core/durationEstimator";
import { SnapcloneError } from "../../../provider/core/errors";
import { type Evaluation, type Listener, type Poll, poll } from "../../../provider/core/poll";
import { systemClock } from "../../../provider/core/util/clock";
import { FakeClock } from "../../support/fakeClock";

const transient = (retryAfterMs?: number) => new SnapcloneError({ kind: "transient", message: "503", retryAfterMs });

function setUp(looks: (string | Error)[], deadline = 600_000) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const message: string[] = [];
  let looked = 0;
  const wait: Poll<string> = {
    description: "it to be ready",
    fetch: async () => {
      const next = looks[Math.min(looked, looks.length - 1)];
      looked += 1;
      if (next instanceof Error) throw next;
      return next ?? "pending";
    },
    evaluate: (seen): Evaluation =>
      seen === "bad"
        ? { is: "failed", error: new SnapcloneError({ kind: "failed", message: "bad" }) }
        : { is: seen === "ready" ? "done" : "pending", progress: seen },
    interval: { first: 1_000, most: 8_000 },
    context: { clock, deadline, signal: stop.signal, progress: (text) => message.push(text) },
  };
  return { wait, clock, stop, said: message, looked: () => looked };
}

test("the system's clock sleeps longer than a timer of Node.js can", async () => {
  const stop = new AbortController();
  const slept = systemClock.sleep(60 * 86_400_000, stop.signal).then(
    () => "woke up",
    () => "stopped",
  );
  const soon = systemClock.sleep(50).then(() => "still asleep");
  expect(await Promise.race([slept, soon])).toBe("still asleep");
  stop.abort(new Error("enough"));
  expect(await slept).toBe("stopped");
  await systemClock.sleep(5);
});

test("looks at once, and does not sleep when it is done already", async () => {
  const { wait, clock } = setUp(["ready"]);
  await clock.run(() => poll(wait));
  expect(clock.slept.filter((ms) => ms < 600_000)).toEqual([]);
});

test("with a first observation in hand it sleeps before it looks", async () => {
  const { wait, clock, looked } = setUp(["ready"]);
  await clock.run(() => poll({ ...wait, initial: "making" }));
  expect(looked()).toBe(1);
  expect(clock.now()).toBeGreaterThanOrEqual(500);
});

test("a pause is a quarter of the wait so far, within its bounds, drawn from its upper half", async () => {
  const { wait, clock } = setUp([...Array<string>(30).fill("making"), "ready"]);
  await clock.run(() => poll(wait));
  const pauses = clock.slept.filter((ms) => ms <= 8_000);
  expect(pauses).toHaveLength(30);
  let age = 0;
  for (const pause of pauses) {
    const full = Math.min(Math.max(age / 4, 1_000), 8_000);
    expect(pause).toBeGreaterThanOrEqual(full / 2);
    expect(pause).toBeLessThanOrEqual(full);
    age += pause;
  }
  expect(pauses.at(-1)).toBeGreaterThanOrEqual(4_000);
});

test("news end a sleep, and count as a look", async () => {
  const { wait, clock, looked } = setUp(["making"]);
  const news = ({ hear }: Listener<string>) => {
    void clock.sleep(300).then(() => hear("ready"));
    return () => {};
  };
  expect(await clock.run(() => poll({ ...wait, initial: "making", subscribe: news }))).toBe("ready");
  expect(clock.now()).toBe(300);
  expect(looked()).toBe(0);
});

test("news without a change begin the pause anew, and wake nobody", async () => {
  const { wait, clock, looked } = setUp(["making"]);
  let evaluated = 0;
  const evaluate = (seen: string) => {
    evaluated += 1;
    return wait.evaluate(seen);
  };
  const news = ({ hear }: Listener<string>) => {
    const tell = async () => {
      for (let n = 0; n < 40; n += 1) {
        await clock.sleep(300);
        hear("making");
      }
      hear("ready");
    };
    void tell();
    return () => {};
  };
  expect(await clock.run(() => poll({ ...wait, initial: "making", evaluate, subscribe: news }))).toBe("ready");
  expect(looked()).toBe(0);
  expect(evaluated).toBe(2);
});

test("stopping ends a wait for news", async () => {
  const { wait, stop } = setUp(["making"]);
  let left = false;
  const news = () => () => {
    left = true;
  };
  setTimeout(() => stop.abort(new Error("cancelled")), 10);
  await expect(poll({ ...wait, subscribe: news })).rejects.toMatchObject({ kind: "stopped" });
  expect(left).toBe(true);
});

test("estimator: after a few of the same kind, the first fetch comes when the work is done, and hardly before", async () => {
  const estimator = new DurationEstimator();
  const { wait, clock } = setUp([]);
  const waits: { looks: number; late: number }[] = [];
  for (let n = 0; n < 10; n += 1) {
    const begun = clock.now();
    let looks = 0;
    const look = async () => {
      looks += 1;
      return clock.now() - begun >= 2_000 ? "ready" : "making";
    };
    await clock.run(() => poll({ ...wait, initial: "making", fetch: look, estimator }));
    waits.push({ looks, late: clock.now() - begun - 2_000 });
  }
  expect(waits.at(-1)).toMatchObject({ looks: 1 });
  expect(waits.at(-1)?.late).toBeLessThanOrEqual(100);
});

test("Retry-After counts for the next look only", async () => {
  const { wait, clock } = setUp([transient(30_000), "making", "ready"]);
  await clock.run(() => poll(wait));
  const pauses = clock.slept.filter((ms) => ms <= 120_000);
  expect(pauses[0]).toBe(30_000);
  expect(pauses[1]).toBeLessThanOrEqual(30_000 / 4);
});

test("a Retry-After of days is cut", async () => {
  const { wait, clock } = setUp([transient(5e8), "ready"], 1e9);
  await clock.run(() => poll(wait));
  expect(clock.now()).toBeLessThanOrEqual(120_000);
});

test("tells progress when it changes", async () => {
  const { wait, clock, said: message } = setUp(["10 %", "10 %", "20 %", "20 %", "ready"]);
  await clock.run(() => poll(wait));
  expect(message).toEqual(["10 %", "20 %", "ready"]);
});

test("looks one last time at the deadline, and tells all that it has seen", async () => {
  const { wait, clock } = setUp(["making", transient(), "making"], 60_000);
  await expect(clock.run(() => poll(wait))).rejects.toThrow(
    /^waited 1 min for it to be ready; seen: making \(\d+×\), then 503$/,
  );
  expect(clock.now()).toBe(60_000);
});

test("what is done at the last look is done", async () => {
  const { wait, clock } = setUp([], 3_500);
  const look = async () => (clock.now() >= 3_500 ? "ready" : "making");
  expect(await clock.run(() => poll({ ...wait, fetch: look }))).toBe("ready");
});

test("a look that hangs ends with the deadline", async () => {
  const { wait, clock } = setUp([], 60_000);
  const hanging = (signal: AbortSignal) =>
    new Promise<string>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  await expect(clock.run(() => poll({ ...wait, fetch: hanging }))).rejects.toMatchObject({ kind: "deadline" });
  expect(clock.now()).toBe(70_000);
});

test("stopping ends a sleep and a look at once", async () => {
  for (const look of [async () => "making", () => new Promise<string>(() => {})]) {
    const { wait, stop } = setUp([]);
    const waiting = poll({
      ...wait,
      fetch: (signal) =>
        Promise.race([
          look(),
          new Promise<string>((_, no) => signal.addEventListener("abort", () => no(signal.reason))),
        ]),
    });
    setTimeout(() => stop.abort(new Error("cancelled")), 10);
    await expect(waiting).rejects.toMatchObject({ kind: "stopped" });
  }
});

test.each(["forbidden", "unauthorized", "notFound", "refused"] as const)("%s ends the wait", async (kind) => {
  const { wait, clock } = setUp([new SnapcloneError({ kind, message: "no" })]);
  await expect(clock.run(() => poll(wait))).rejects.toMatchObject({ kind });
});

test("failed work ends the wait with its own error", async () => {
  const { wait, clock } = setUp(["making", "bad"]);
  await expect(clock.run(() => poll(wait))).rejects.toMatchObject({ kind: "failed" });
});

test("property: whatever is seen, it ends by the deadline, and is done if and only if that was seen in time", async () => {
  const seen = fc.oneof(fc.constantFrom("making", "updating"), fc.integer({ min: 0, max: 9e9 }).map(transient));
  await fc.assert(
    fc.asyncProperty(
      fc.array(seen, { maxLength: 30 }),
      fc.integer({ min: 1, max: 100_000 }),
      async (looks, deadline) => {
        const { wait, clock, looked } = setUp([...looks, "ready"], deadline);
        const outcome = await clock.run(() => poll(wait)).catch((error: SnapcloneError) => error.kind);
        expect(clock.now()).toBeLessThanOrEqual(deadline);
        expect(outcome).toBe(looked() > looks.length ? "ready" : "deadline");
      },
    ),
    { numRuns: 60 },
  );
});

test("estimator: of many that begin together, a few find out how long the work takes, and the others come when it is done", async () => {
  const estimator = new DurationEstimator();
  const { wait, clock } = setUp([]);
  setMaxListeners(0, wait.context.signal);
  const fetches: number[] = [];
  const late: number[] = [];
  const one = async (n: number) => {
    fetches[n] = 0;
    const fetchOnce = async () => {
      fetches[n] = (fetches[n] ?? 0) + 1;
      return clock.now() >= 8_000 ? "ready" : "making";
    };
    await poll({ ...wait, initial: "making", fetch: fetchOnce, estimator });
    late[n] = clock.now() - 8_000;
  };
  await clock.run(() => Promise.all(Array.from({ length: 20 }, (_, n) => one(n))));
  const others = fetches.slice(3);
  const average = (numbers: readonly number[]) => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;
  expect(average(others)).toBeLessThan(0.75 * average(fetches.slice(0, 3)));
  // None is later than the first of all found it, by more than a moment.
  expect(Math.max(...late) - Math.min(...late)).toBeLessThanOrEqual(1);
});
