// Many resources of each kind behind one rate limit, for several of its windows: all are made, none twice, each within its
// operation's deadline, and the requests that the limit refuses stay few.

import { type Emulator, startEmulator } from "../../emulator";
import { SERVICES } from "../../emulator/services";
import { create } from "../../provider/core/lifecycle";
import type { Run } from "../../provider/core/run";
import { Semaphore } from "../../provider/core/util/semaphore";
import { UserRun } from "../faults/operations";
import { RESOURCES } from "../faults/resources/index";
import { FaultyHttp } from "../faults/wire";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";

const COUNT = 30;
const IN_FLIGHT = 15;
const LIMIT = { requests: 10, seconds: 60 };
const DEADLINE_MS = 7_200_000;

let emulator: Emulator;
afterEach(() => emulator.close());

/** 413 with the same header is the older limiter's answer, and 503 is nginx's own. */
describe.each([429, 413, 503])("%d in waves", (status) => {
  test.each(RESOURCES.map((resource) => [resource.title, resource] as const))("%s", async (_title, resource) => {
    emulator = await startEmulator({ clock: "manual" });
    resource.prepare(emulator);
    for (let at = 0; at < COUNT; at += 1) resource.prepareAnother?.(emulator, at);
    const objects = () => resource.countMany?.(emulator) ?? resource.count(emulator).objects;
    const before = objects();
    const clock = new AutoAdvancingClock(20, false, (ms) => emulator.clock.tick(ms));
    const http = new FaultyHttp(clock, { attemptMs: 5_000, connectMs: 5_000 });
    const user = new UserRun(resource, clock, resource.open(emulator, clock, http));
    // A limit of its own for each service.
    for (const service of Object.keys(SERVICES)) emulator.faults.add({ match: { service }, status, limit: LIMIT });
    const inFlight = new Semaphore(IN_FLIGHT);
    const took: number[] = [];
    const one = async (run: Run, at: number) => {
      const begun = clock.now();
      const hidden = { ...resource.hidden, __owner: `${String(resource.hidden.__owner)}-${at}` };
      await create(resource.definition, run, {
        ...resource.before,
        ...hidden,
        ...resource.another(at),
        __attempt: `wave${String(at).padStart(12, "0")}`,
        __timeouts: { create: `${DEADLINE_MS}ms` },
      });
      took.push(clock.now() - begun);
    };
    const outcomes = await user.perform((run) =>
      Promise.allSettled(Array.from({ length: COUNT }, (_, at) => inFlight.run(() => one(run, at)))),
    );
    await http.close();

    expect(outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [String(outcome.reason)] : []))).toEqual([]);
    expect(objects() - before).toBe(COUNT * resource.expectedCount);
    expect(Math.max(...took)).toBeLessThan(DEADLINE_MS);
    const refused = emulator.requests.filter(({ fault }) => fault !== undefined);
    const all = emulator.requests.filter(() => true).length;
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(IN_FLIGHT + 0.2 * all);
    const waiting = status === 503 ? /^waiting for \w+, which is overloaded/ : /^waiting for \w+'s rate limit/;
    expect(user.log.some((text) => waiting.test(text))).toBe(true);
  });
});
