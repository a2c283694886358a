// Waits for work that several operations share: a login, a list, a rate limit. Each operation waits until its own deadline,
// and the work goes on for the others.

import { beginShared, waitForShared, withOperations } from "../../../provider/core/currentOperation";
import { SnapcloneError } from "../../../provider/core/errors";
import { RateGate } from "../../../provider/core/http/rateGate";
import { Session } from "../../../provider/core/session";
import { AutoAdvancingClock } from "../../support/autoAdvancingClock";

const MINUTE = 60_000;
/** Real time passes beside the clock's jumps. */
const CLOSE_MS = 1_000;

interface Ended {
  value?: unknown;
  error?: SnapcloneError["parts"];
  /** On the test's clock, from the beginning of the test. */
  after: number;
}

const clock = new AutoAdvancingClock(1);

/** Runs `work` as an operation with this deadline. */
async function during(ms: number, work: () => Promise<unknown>): Promise<Ended> {
  const begun = clock.now();
  const ended = () => ({ after: clock.now() - begun });
  return withOperations(clock, async (bind) => {
    bind({ deadline: begun + ms });
    try {
      return { value: await work(), ...ended() };
    } catch (error) {
      if (!(error instanceof SnapcloneError)) throw error;
      return { error: error.parts, ...ended() };
    }
  });
}

test("a shared login ends one operation at its own deadline, and serves the other one", async () => {
  let logins = 0;
  const session = new Session<string>({
    clock,
    operation: "log in at https://k",
    logIn: async () => {
      logins += 1;
      await clock.sleep(3 * MINUTE);
      return "token";
    },
  });
  const [short, long] = await Promise.all([
    during(2 * MINUTE, () => session.open(undefined)),
    during(10 * MINUTE, () => session.open(undefined)),
  ]);
  expect(short.error).toMatchObject({
    kind: "transient",
    message: "to log in at https://k takes longer than this operation may. Nothing else was sent",
  });
  expect(Math.abs(short.after - 2 * MINUTE)).toBeLessThan(CLOSE_MS);
  expect(long).toMatchObject({ value: "token" });
  expect(logins).toBe(1);
});

test("what an operation asks after its deadline has fifteen seconds", async () => {
  const ask = (takes: number) =>
    during(MINUTE, async () => {
      await clock.sleep(2 * MINUTE);
      return waitForShared(
        beginShared(async () => {
          await clock.sleep(takes);
          return "answer";
        }),
        "the list",
      );
    });
  expect((await ask(5_000)).value).toBe("answer");
  const late = await ask(30_000);
  expect(late.error?.kind).toBe("transient");
  expect(Math.abs(late.after - 2 * MINUTE - 15_000)).toBeLessThan(CLOSE_MS);
});

test("outside of an operation, shared work is awaited as long as it takes", async () => {
  const work = clock.sleep(90 * MINUTE).then(() => "answer");
  expect(await waitForShared(work, "the list")).toBe("answer");
});

describe("a rate limit", () => {
  const refusal = new SnapcloneError({ kind: "transient", message: "429", rateLimited: true, status: 429 });

  /** A gate that lets one request through at a time, and a request under way that takes five minutes. */
  async function limitedGate() {
    const gate = new RateGate("Cinder", clock);
    const patience = { deadline: clock.now() + 60 * MINUTE };
    let refused = false;
    const first = gate.pass(async () => {
      if (!refused) {
        refused = true;
        throw refusal;
      }
      await clock.sleep(5 * MINUTE);
      return "first";
    }, patience);
    await clock.sleep(2_000);
    return { gate, first };
  }

  test("who waits for another's request ends at the own deadline, and has sent nothing", async () => {
    const { gate, first } = await limitedGate();
    const begun = clock.now();
    let sent = 0;
    const error: unknown = await gate
      .pass(
        async () => {
          sent += 1;
        },
        { deadline: begun + MINUTE },
      )
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ parts: { kind: "transient", message: "429. The request was not carried out" } });
    expect(Math.abs(clock.now() - begun - MINUTE)).toBeLessThan(CLOSE_MS);
    expect(sent).toBe(0);
    expect(await first).toBe("first");
  });

  test("who stops while another's request is under way has sent nothing", async () => {
    const { gate, first } = await limitedGate();
    const stop = new AbortController();
    let sent = 0;
    const waiting = gate
      .pass(
        async () => {
          sent += 1;
        },
        { deadline: clock.now() + 30 * MINUTE, signal: stop.signal },
      )
      .catch((thrown: unknown) => thrown);
    await clock.sleep(MINUTE);
    stop.abort();
    expect(await waiting).toMatchObject({ parts: { kind: "stopped" } });
    expect(await first).toBe("first");
    expect(sent).toBe(0);
  });
});
