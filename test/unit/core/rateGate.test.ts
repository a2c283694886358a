// The rate gate learns a limit that it is not told: behind limiters of several kinds, few requests are refused, and the whole
// takes little longer than the limit itself demands. The limiters and the workloads are made up by fast-check.

import fc from "fast-check";
import { Clock as EmulatorClock } from "../../../emulator/core/clock";
import { Faults } from "../../../emulator/core/faults";
import { SnapcloneError } from "../../../provider/core/errors";
import { RateGate } from "../../../provider/core/http/rateGate";
import { Semaphore } from "../../../provider/core/util/semaphore";
import { FakeClock } from "../../support/fakeClock";

/** Returns the seconds of `Retry-After`, undefined if the request passes; "unnamed" is a refusal without a time. */
type Limiter = (nowMs: number) => number | "unnamed" | undefined;

interface Limit {
  limiter: () => Limiter;
  /** Milliseconds that the limit itself takes for so many requests. */
  least(requests: number): number;
  /** The longest time that the limiter asks a client to wait. */
  longestWaitMs: number;
  toString(): string;
}

/** The emulator's `limit`: so many in a window, which begins with its first request. A refusal names the rest of it. */
function windowOf(requests: number, seconds: number): Limit {
  return {
    limiter: () => {
      const faults = new Faults();
      const clock = new EmulatorClock("manual");
      faults.add({ match: {}, limit: { requests, seconds } });
      let before = 0;
      return (nowMs) => {
        clock.tick(nowMs - before);
        before = nowMs;
        const request = { service: "cinder", operation: "snapshots.list", method: "GET", path: "/", target: "/" };
        const refused = faults.match(request, clock.now())?.rule.headers?.["Retry-After"];
        return refused === undefined ? undefined : Number(refused);
      };
    },
    least: (count) => Math.floor((count - 1) / requests) * seconds * 1_000,
    longestWaitMs: seconds * 1_000,
    toString: () => `${requests} in ${seconds} s`,
  };
}

/** Windows of the wall clock, as gateways have them: the first one may be nearly over. */
function calendarWindow(requests: number, seconds: number, offsetMs: number): Limit {
  return {
    limiter: () => {
      const used = new Map<number, number>();
      return (nowMs) => {
        const window = Math.floor((nowMs + offsetMs) / (seconds * 1_000));
        const before = used.get(window) ?? 0;
        used.set(window, before + 1);
        return before < requests ? undefined : Math.ceil(((window + 1) * seconds * 1_000 - nowMs - offsetMs) / 1_000);
      };
    },
    least: (count) => Math.floor((count - 1) / requests) * seconds * 1_000,
    longestWaitMs: seconds * 1_000,
    toString: () => `${requests} in ${seconds} s, ${offsetMs} ms later`,
  };
}

/** nginx's `limit_req … burst=… nodelay` (ngx_http_limit_req_module.c, ngx_http_limit_req_lookup), with a fixed header. */
function leakyBucket(perMinute: number, burst: number, retryAfter: number | "unnamed"): Limit {
  return {
    limiter: () => {
      let excess = 0;
      let last: number | undefined;
      return (nowMs) => {
        const next = last === undefined ? 0 : Math.max(0, excess - ((nowMs - last) * perMinute) / 60_000 + 1);
        if (next > burst) return retryAfter;
        excess = next;
        last = nowMs;
        return undefined;
      };
    },
    least: (count) => (Math.max(0, count - 1 - burst) * 60_000) / perMinute,
    longestWaitMs: retryAfter === "unnamed" ? 1_000 : retryAfter * 1_000,
    toString: () => `${perMinute} a minute, burst ${burst}, ${retryAfter}`,
  };
}

interface Workload {
  requests: number;
  inFlight: number;
  roundTripMs: number;
}

interface Outcome {
  passed: number;
  refused: number;
  tookMs: number;
}

const NETWORK_MS = 5;

/** So many workers send one request after another. Only what a limit refuses is sent again. */
async function simulate({ limiter }: Limit, { requests, inFlight, roundTripMs }: Workload): Promise<Outcome> {
  const clock = new FakeClock();
  const gate = new RateGate("Cinder", clock);
  const answer = limiter();
  const begun = clock.now();
  const outcome: Outcome = { passed: 0, refused: 0, tookMs: 0 };
  const send = async () => {
    await clock.sleep(NETWORK_MS);
    const wait = answer(clock.now() - begun);
    // The limiter answers before the service does anything.
    await clock.sleep(wait === undefined ? roundTripMs : NETWORK_MS);
    if (wait === undefined) {
      outcome.passed += 1;
      return;
    }
    outcome.refused += 1;
    const retryAfterMs = wait === "unnamed" ? undefined : wait * 1_000;
    throw new SnapcloneError({ kind: "transient", message: "429", status: 429, rateLimited: true, retryAfterMs });
  };
  const atOnce = new Semaphore(inFlight);
  const patience = { deadline: begun + 86_400_000 };
  const all = () => Promise.all(Array.from({ length: requests }, () => atOnce.run(() => gate.pass(send, patience))));
  await clock.run(all);
  outcome.tookMs = clock.now() - begun;
  return outcome;
}

const TABLE: [string, Limit, Workload][] = [
  ["nginx, 240 a minute", leakyBucket(240, 5, 1), { requests: 60, inFlight: 20, roundTripMs: 60 }],
  ["nginx, 240 a minute, slow answers", leakyBucket(240, 5, 1), { requests: 60, inFlight: 20, roundTripMs: 1_500 }],
  [
    "nginx, 240 a minute, no time named",
    leakyBucket(240, 5, "unnamed"),
    { requests: 60, inFlight: 20, roundTripMs: 60 },
  ],
  ["nginx, 100 a minute", leakyBucket(100, 5, 1), { requests: 700, inFlight: 20, roundTripMs: 100 }],
  ["nginx, 12 a minute, a second named", leakyBucket(12, 14, 1), { requests: 250, inFlight: 20, roundTripMs: 900 }],
  ["10 a second", windowOf(10, 1), { requests: 200, inFlight: 20, roundTripMs: 60 }],
  ["10 a minute", windowOf(10, 60), { requests: 120, inFlight: 20, roundTripMs: 60 }],
  ["100 a minute", windowOf(100, 60), { requests: 700, inFlight: 20, roundTripMs: 60 }],
  [
    "100 in a minute of the calendar",
    calendarWindow(100, 60, 50_000),
    { requests: 700, inFlight: 20, roundTripMs: 60 },
  ],
  [
    "20 in ten seconds of the calendar",
    calendarWindow(20, 10, 7_000),
    { requests: 200, inFlight: 40, roundTripMs: 60 },
  ],
];

test.each(TABLE)("%s: a fifth is refused at most", async (_name, limit, workload) => {
  const { passed, refused, tookMs } = await simulate(limit, workload);
  expect(passed).toBe(workload.requests);
  expect(refused / (refused + passed)).toBeLessThanOrEqual(0.2);
  expect(tookMs).toBeLessThanOrEqual(1.15 * limit.least(workload.requests) + 2 * workload.roundTripMs);
});

const WORKLOADS = fc.record({
  requests: fc.integer({ min: 20, max: 400 }),
  inFlight: fc.integer({ min: 1, max: 40 }),
  roundTripMs: fc.integer({ min: 10, max: 1_500 }),
});
const counts = fc.integer({ min: 3, max: 200 });
const seconds = fc.constantFrom(1, 10, 60);
const LIMITS: Record<string, fc.Arbitrary<Limit>> = {
  "a window": fc.tuple(counts, seconds).map(([requests, length]) => windowOf(requests, length)),
  "a window of the calendar": fc
    .tuple(counts, seconds, fc.integer({ min: 0, max: 60_000 }))
    .map(([requests, length, offset]) => calendarWindow(requests, length, offset)),
  // The bucket holds what flows in during the wait: else the wait itself is what limits.
  "nginx's bucket": fc
    .tuple(
      fc.integer({ min: 1, max: 50 }),
      fc.double({ min: 0.05, max: 1, noNaN: true }),
      fc.constantFrom(1, "unnamed" as const),
    )
    .map(([burst, part, named]) => leakyBucket(Math.max(10, Math.round(60 * burst * part)), burst, named)),
};
/** Refusals until the gate knows a limit that names a time much too early. */
const LEARNING = 12;
/** SNAPCLONE_GATE_RUNS=1000 SNAPCLONE_GATE_SEED=$RANDOM explores more of them by hand. */
const numRuns = Number(process.env.SNAPCLONE_GATE_RUNS ?? 12);
const seed = Number(process.env.SNAPCLONE_GATE_SEED ?? 1);

test.each(Object.entries(LIMITS))(
  "%s: besides the first wave, a fifth is refused at most, and the limit is used up",
  async (_name, limits) => {
    const property = fc.asyncProperty(limits, WORKLOADS, async (limit, workload) => {
      const { passed, refused, tookMs } = await simulate(limit, workload);
      const { requests, inFlight, roundTripMs } = workload;
      expect(passed).toBe(requests);
      expect(refused).toBeLessThanOrEqual(inFlight + LEARNING + 0.2 * (passed + refused));
      const least = limit.least(requests) + Math.ceil(requests / inFlight) * (roundTripMs + NETWORK_MS);
      expect(tookMs).toBeLessThanOrEqual(1.5 * least + 2 * limit.longestWaitMs + 5 * roundTripMs);
    });
    await fc.assert(property, { numRuns, seed });
  },
  30_000 + 200 * numRuns,
);
