// Many resources of each kind behind one rate limit, for several of its windows: all are made, none twice, each within its
// operation's deadline, and the requests that the limit refuses stay few.

import { type Emulator, startEmulator } from "../../emulator";
import { create } from "../../provider/core/lifecycle";
import type { Run } from "../../provider/core/run";
import { Semaphore } from "../../provider/core/util/semaphore";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { UserRun } from "./operations";
import { snapshot } from "./resources/snapshot";
import { volumeFromSnapshot } from "./resources/volumeFromSnapshot";
import { FaultyHttp } from "./wire";

const COUNT = 40;
const IN_FLIGHT = 20;
const LIMIT = { requests: 10, seconds: 60 };
const DEADLINE_MS = 1_800_000;

let emulator: Emulator;
afterEach(() => emulator.close());

/** 413 with the same header is the older limiter's answer. */
describe.each([429, 413])("%d in waves", (status) => {
  test.each([
    ["Snapshot", snapshot],
    ["VolumeFromSnapshot", volumeFromSnapshot],
  ])("%s", async (_title, resource) => {
    emulator = await startEmulator({ clock: "manual" });
    resource.prepare(emulator);
    const before = resource.count(emulator);
    const clock = new AutoAdvancingClock(20, false, (ms) => emulator.clock.tick(ms));
    const http = new FaultyHttp(clock, { attemptMs: 5_000, connectMs: 5_000 });
    const user = new UserRun(resource, clock, resource.open(emulator, clock, http));
    emulator.faults.add({ match: { service: "cinder" }, status, limit: LIMIT });
    const inFlight = new Semaphore(IN_FLIGHT);
    const took: number[] = [];
    const one = async (run: Run, at: number) => {
      const begun = clock.now();
      const name = `wave-${at}`;
      const hidden = { ...resource.hidden, __owner: `${String(resource.hidden.__owner)}-${at}` };
      await create(resource.definition, run, {
        ...resource.before,
        ...hidden,
        name,
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
    const { objects } = resource.count(emulator);
    expect(objects - before.objects).toBe(COUNT);
    expect(Math.max(...took)).toBeLessThan(DEADLINE_MS);
    const refused = emulator.requests.filter(({ fault }) => fault !== undefined);
    expect(refused.length).toBeGreaterThan(LIMIT.requests);
    expect(refused.length).toBeLessThan(3 * COUNT);
    const creates = emulator.requests.filter(
      ({ method, path }) => method === "POST" && /\/(snapshots|volumes)$/.test(path),
    );
    expect(creates.filter((entry) => entry.status === 202)).toHaveLength(COUNT);
    expect(user.log.some((text) => /^waiting for Cinder's rate limit/.test(text))).toBe(true);
  });
});
