// Whose deadline ends a request: the deadline of the operation that sends it. A backend limits its requests for longer than
// one operation may take, and another operation of the same run may take longer. The first one ends at its own deadline,
// whichever of its requests was refused, and the other one goes on.

import { type Emulator, startEmulator } from "../../emulator";
import type { SnapcloneError } from "../../provider/core/errors";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import type { PartialFailure } from "../../provider/core/outputs";
import { AutoAdvancingClock } from "../support/autoAdvancingClock";
import { again, expectedCount, perform, prepare, UserRun } from "./operations";
import { CHAPTERS } from "./resources/index";
import type { ResourceUnderTest } from "./resourceUnderTest";
import { FaultyHttp } from "./wire";

jest.setTimeout(15_000);

const SHORT = { text: "2m", ms: 120_000 };
const LONG_MS = 7_200_000;
/**
 * After the deadline come the last fetch of a poll and one question about what became of it, of 25 seconds. Some real
 * time passes, too: 20 times as fast.
 */
const AFTERWARDS_MS = 25_000 + 20 * 1_000;
/** Reads have no deadline of their own, and an adoption is a create. */
const WITH_DEADLINE = ["create", "update", "delete"];

const LIMITS = {
  "a limit that lasts longer than the operation may": { "Retry-After": "600", times: 1 },
  "a limit that is there again after each wait": { "Retry-After": "50", times: Number.POSITIVE_INFINITY },
};

/** Says which request was the first that a limit refused. */
class SharedHttp extends FaultyHttp {
  onRefusal: ((request: HttpRequest<unknown>) => void) | undefined;

  constructor(clock: AutoAdvancingClock) {
    const patience = () => ({ deadline: clock.now() + LONG_MS });
    super(clock, { attemptMs: 3_000, connectMs: 3_000, patience });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    const answer = await super.exchange(request);
    // Later, when the client has read the refusal.
    if (answer.status === 429) setImmediate(() => this.onRefusal?.(request));
    return answer;
  }
}

let emulator: Emulator;
beforeAll(async () => {
  emulator = await startEmulator({ clock: "instant" });
});
afterAll(() => emulator.close());

describe.each(CHAPTERS.map((resource) => [resource.title, resource] as const))("%s", (_title, resource) => {
  const sites = Object.entries(resource.sites).filter(([, { of }]) => WITH_DEADLINE.includes(of));
  describe.each(Object.entries(LIMITS))("%s", (_limit, limit) => {
    test.each(sites.map(([name]) => name))("%s", (site) => endsInTime(resource, site, limit));
  });
});

async function endsInTime(
  resource: ResourceUnderTest,
  site: string,
  { times, ...headers }: { times: number; "Retry-After": string },
): Promise<void> {
  const { call, of: operation } = resource.sites[site] as ResourceUnderTest["sites"][string];
  const timeouts = { create: SHORT.text, update: SHORT.text, delete: SHORT.text };
  emulator.reset();
  resource.prepare(emulator);
  const clock = new AutoAdvancingClock(20);
  const http = new SharedHttp(clock);
  const newRun = () => new UserRun(resource, clock, resource.open(emulator, clock, http));
  const before = await prepare(operation, newRun(), timeouts, emulator);

  const user = newRun();
  const longer = longerOperation(user, http, clock);
  emulator.faults.add({ match: call, status: 429, headers, times });
  const begun = clock.now();
  const result = await perform(operation, user, before, timeouts);
  const took = clock.now() - begun;

  expect(emulator.requests.count(({ fault }) => fault !== undefined)).toBeGreaterThan(0);
  expect(took).toBeLessThan(SHORT.ms + AFTERWARDS_MS);
  const failure = result.error as SnapcloneError | PartialFailure | undefined;
  // What was turned away was not carried out, so its outcome is known.
  if (failure) expect(failure.kind).toMatch(/^(transient|deadline)$/);
  if (failure && times === 1)
    expect(failure.message).toMatch(/429|than this operation may|the last request got no answer/);
  if (!failure && times === 1) expect(resource.sites[site]?.role).toMatch(/fallback|record/);

  emulator.faults.clear();
  expect(await longer).toEqual({
    answered: true,
    shown: expect.arrayContaining([expect.stringMatching(/rate limit/)]),
  });
  resource.followAdvice?.(emulator);
  await again(operation, newRun(), before, result);
  resource.advance(emulator);
  const healthy = Array.from({ length: expectedCount(operation, resource) }, () => resource.healthyStatus);
  expect(resource.statuses(emulator)).toEqual(healthy);
  await http.close();
}

/** The other operation. It begins before the first one, and asks when the first one was refused. */
async function longerOperation({ run }: UserRun, http: SharedHttp, clock: AutoAdvancingClock) {
  const shown: string[] = [];
  return run.track(async (begin) => {
    begin({ deadline: clock.now() + LONG_MS, progress: (text) => void shown.push(text) });
    const { url, service } = await new Promise<HttpRequest<unknown>>((resolve) => {
      http.onRefusal = resolve;
    });
    const statuses = Array.from({ length: 500 }, (_, index) => 100 + index).filter((status) => status !== 429);
    await http.request({ method: "GET", url, service, accept: statuses });
    return { answered: true, shown };
  });
}
