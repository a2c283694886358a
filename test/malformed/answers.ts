// Ten thousand malformed answers, to any request of any operation of all resources together. In process, without a socket.
// FAULTS_SEED repeats a run.

import fc from "fast-check";
import type { Operation, ResourceUnderTest } from "../faults/resourceUnderTest";
import { EmulatorFixture } from "./emulatorFixture";
import { casesOf, operationsOf } from "./mutations";

const SEED = Number(process.env.FAULTS_SEED ?? 20_261_121);

/** At least `answers` malformed answers in `cases` operations. Some operations end at the first one, others get many. */
export function testMalformedAnswers(
  resource: ResourceUnderTest,
  { answers, cases }: { answers: number; cases: number },
): void {
  jest.setTimeout(400_000);

  // Pauses are random, and the order of requests depends on them.
  beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));
  afterAll(() => jest.restoreAllMocks());

  test(`${resource.title}: at least ${answers} malformed answers (seed ${SEED}), no hang, no surprise, nothing undefined, nothing made twice`, async () => {
    const fixture = new EmulatorFixture(resource);
    const lengths = new Map<Operation, number>();
    for (const operation of operationsOf(resource)) lengths.set(operation, await fixture.requestsOf(operation));
    let mutatedAnswers = 0;
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(casesOf(resource), async (one) => {
        // A wait may send more than where all goes well.
        const { outcome, mutated } = await fixture.meet({ ...one, nth: one.nth % (lengths.get(one.operation) ?? 1) });
        mutatedAnswers += mutated;
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }),
      { numRuns: cases, seed: SEED },
    );
    // A generator that hit only fields that the provider ignores would prove nothing.
    for (const seen of ["ok", "fails", "recorded"]) expect(outcomes.get(seen) ?? 0).toBeGreaterThan(cases / 100);
    expect(mutatedAnswers).toBeGreaterThanOrEqual(answers);
  });
}
