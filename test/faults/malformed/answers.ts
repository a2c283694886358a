// Answers that no service should give, one or for ever, to any request of any operation: ten thousand, of all resources
// together. In process, without a socket: FAULTS_SEED repeats a run.

import fc from "fast-check";
import type { Operation, ResourceUnderTest } from "../resourceUnderTest";
import { EmulatorFixture } from "./emulatorFixture";
import { casesOf, operationsOf } from "./mutations";

const SEED = Number(process.env.FAULTS_SEED ?? 20_261_121);

/** So many answers at least, in so many operations: some end at the first bad answer, some meet many. */
export function testMalformedAnswers(
  subject: ResourceUnderTest,
  { answers, cases }: { answers: number; cases: number },
): void {
  jest.setTimeout(400_000);

  // The pauses are drawn by lot, and with them which request meets which answer.
  beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));
  afterAll(() => jest.restoreAllMocks());

  test(`${subject.title}: at least ${answers} malformed answers (seed ${SEED}), no hang, no surprise, nothing undefined, nothing made twice`, async () => {
    const site = new EmulatorFixture(subject);
    const lengths = new Map<Operation, number>();
    for (const operation of operationsOf(subject)) lengths.set(operation, await site.requestsOf(operation));
    let spoiltAnswers = 0;
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(casesOf(subject), async (one) => {
        // A wait may send more than where all goes well.
        const { outcome, spoilt } = await site.meet({ ...one, nth: one.nth % (lengths.get(one.operation) ?? 1) });
        spoiltAnswers += spoilt;
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }),
      { numRuns: cases, seed: SEED },
    );
    // A generator that only ever hits what nobody reads would prove nothing.
    for (const seen of ["ok", "fails", "recorded"]) expect(outcomes.get(seen) ?? 0).toBeGreaterThan(cases / 100);
    expect(spoiltAnswers).toBeGreaterThanOrEqual(answers);
  });
}
