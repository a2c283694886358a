// `pulumi up` with a bounded `--parallel`: whenever a create ends, the engine begins the next one.

import { BatchPoller } from "../../../provider/core/batchPoller";
import { DurationEstimator } from "../../../provider/core/durationEstimator";
import { waitForObject } from "../../../provider/openstack/wait";
import { FakeClock } from "../../support/fakeClock";

const COUNT = 200;
const PARALLEL = 8;
const WORK_MS = 2_000;

beforeEach(() => jest.spyOn(Math, "random").mockReturnValue(0.5));
afterEach(() => jest.restoreAllMocks());

/** `spacingMs`: between the beginnings of two creates, on average. No two creates take the engine the same time. */
async function createInWaves(spacingMs: number): Promise<{ lists: number; seconds: number }> {
  const clock = new FakeClock();
  const endsAt = new Map<string, number>();
  const rowOf = (id: string) => (Number(endsAt.get(id)) <= clock.now() ? "available" : "creating");
  let lists = 0;
  const poller = new BatchPoller<string>({
    clock,
    fetchOne: async (id) => rowOf(id),
    fetchAll: async (ids) => {
      lists += 1;
      return new Map([...endsAt.keys(), ...ids].map((id) => [id, rowOf(id)]));
    },
  });
  const estimator = new DurationEstimator();
  const context = { clock, deadline: 3_600_000, signal: new AbortController().signal, progress: () => {} };
  let engineIsFree = 0;
  let begun = 0;
  const createNext = async (id: string) => {
    begun += 1;
    engineIsFree = Math.max(clock.now(), engineIsFree) + spacingMs * (0.5 + ((begun * 7) % 11) / 10);
    await clock.sleep(engineIsFree - clock.now());
    await waitForObject<string>(poller, id, {
      description: id,
      begin: async () => {
        endsAt.set(id, clock.now() + WORK_MS);
        return "creating";
      },
      evaluate: (status) => ({ is: status === "available" ? "done" : "pending", progress: String(status) }),
      estimator,
      context,
    });
  };
  const ids = Array.from({ length: COUNT }, (_, n) => `s${n}`);
  const slot = async () => {
    for (let id = ids.shift(); id !== undefined; id = ids.shift()) await createNext(id);
  };
  await clock.run(() => Promise.all(Array.from({ length: PARALLEL }, slot)));
  return { lists, seconds: clock.now() / 1_000 };
}

test.each([10, 25, 50])("creates that begin %d ms apart cost little more than a list a wave", async (spacingMs) => {
  const { lists, seconds } = await createInWaves(spacingMs);
  const waves = COUNT / PARALLEL;
  expect(lists).toBeLessThanOrEqual(1.5 * waves);
  // The engine's part, and the backend's.
  expect(seconds).toBeLessThan(1.1 * ((COUNT * spacingMs + waves * WORK_MS) / 1_000));
});
