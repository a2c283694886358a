// How the wait judges PowerVC's answers about a task, and what the resource's row and the error show of them.

import type { OperationContext } from "../../../provider/core/definition";
import { DurationEstimator } from "../../../provider/core/durationEstimator";
import type { Progress } from "../../../provider/powervc/client";
import type { PowerVcContext } from "../../../provider/powervc/context";
import { flowEnd, type Outcome } from "../../../provider/powervc/volumeClone/wait";
import { FakeClock } from "../../support/fakeClock";

const RUNNING = { cloneFlow: "RUNNING" };
const SNAPSHOT = "wait_for_group_snapshot_7cd566e9-ca88e5fc";
const CLONE = "create_group_clone-clone-snapclone-0123456789abcdef01234567-a8584df2";

class FakeContext {
  readonly estimators = { cloning: new DurationEstimator() };
  readonly client: { progress(): Promise<Progress> };

  constructor(progress: () => Promise<Progress>) {
    this.client = { progress };
  }
}

async function outcomeOf(...answers: Partial<Progress>[]): Promise<{ outcome: Outcome; rows: string[] }> {
  const clock = new FakeClock();
  const rows: string[] = [];
  const whole = { percent: undefined, flows: {}, completed: {}, pending: {}, clones: {}, failure: undefined };
  const progress = async () => ({ ...whole, ...(answers.length > 1 ? answers.shift() : answers[0]) });
  const context = {
    clock,
    deadline: 3_600_000,
    signal: new AbortController().signal,
    progress: (text: string) => void rows.push(text),
  } as unknown as OperationContext;
  const flow = { id: "snapclone-0", sources: ["a", "b"], taskId: "t", groupBefore: undefined };
  const outcome = await clock.run(() => flowEnd(new FakeContext(progress) as unknown as PowerVcContext, flow, context));
  return { outcome, rows };
}

test("progress: shows percent and the running step, without PowerVC's numbers and our temporary names", async () => {
  const { rows } = await outcomeOf(
    { percent: 5, flows: RUNNING, pending: { "delete_group_type-3e2e85ec": "PENDING", [SNAPSHOT]: "RUNNING" } },
    { percent: 10, flows: RUNNING, pending: { [CLONE]: "PENDING" } },
    { percent: 45, flows: RUNNING, completed: { [SNAPSHOT]: "SUCCESS", _TaskFlow_INJECTOR: "SUCCESS" } },
    { flows: RUNNING },
    { percent: 60, flows: { cloneFlow: "REVERTING" }, completed: { "delete_group-tgt_grp-4346a777": "REVERTED" } },
    { percent: 100, flows: { cloneFlow: "REVERTED" }, failure: "no" },
  );
  expect(rows).toEqual([
    "5 % · wait_for_group_snapshot",
    "10 % · create_group_clone",
    "45 % · 1 step done",
    "cloning",
    "60 % · REVERTING · 1 step done",
    "100 % · REVERTED",
  ]);
});

test.each<[string, Partial<Progress>[], RegExp]>([
  [
    "the task with the state FAILURE",
    [
      { flows: { f: "REVERTING" }, completed: { [SNAPSHOT]: "FAILURE" } },
      { flows: { f: "REVERTED" }, failure: "no space" },
    ],
    /ended in REVERTED at the step wait_for_group_snapshot: no space$/,
  ],
  [
    "the only reverted task that was never seen to succeed",
    [
      { flows: RUNNING, completed: { "a-00000000": "SUCCESS" }, pending: { "b-00000000": "RUNNING" } },
      { flows: { f: "REVERTED" }, completed: { "a-00000000": "REVERTED", [SNAPSHOT]: "REVERTED" }, failure: "no" },
    ],
    /at the step wait_for_group_snapshot: no$/,
  ],
  [
    "among several the last one that was seen running, and the message says so",
    [
      { flows: RUNNING, pending: { [SNAPSHOT]: "RUNNING" } },
      { flows: { f: "REVERTED" }, completed: { "a-00000000": "REVERTED", "b-00000000": "REVERTED" }, failure: "no" },
    ],
    /REVERTED \(it was last seen at the step wait_for_group_snapshot\): no$/,
  ],
  [
    "not named if no task tells, whatever the case of the state and the end of the text",
    [{ flows: { f: "Reverted" }, failure: "EXP0023E: no space." }],
    /ended in REVERTED: EXP0023E: no space$/,
  ],
  ["not named if PowerVC gives no reason", [{ flows: { f: "FAILURE" } }], /ended in FAILURE: it gives no reason$/],
])("the failed step: is %s", async (_name, answers, message) => {
  const { outcome } = await outcomeOf(...answers);
  expect(outcome).toMatchObject({ is: "failed", message: expect.stringMatching(message) });
});

test.each<[string, Partial<Progress>[], Outcome["is"]]>([
  ["all flows in success", [{ flows: { a: "SUCCESS", b: "success" }, clones: { a: "1", b: "2" } }], "made"],
  [
    "one of two still running",
    [{ flows: { a: "SUCCESS", b: "RUNNING" } }, { flows: { a: "SUCCESS", b: "REVERTED" } }],
    "failed",
  ],
  [
    "a failure among the results while the flow is reverting",
    [
      { flows: { f: "REVERTING" }, failure: "x" },
      { flows: { f: "REVERTED" }, failure: "x" },
    ],
    "failed",
  ],
  ["a failure among the results of a success", [{ flows: { f: "SUCCESS" }, failure: "x" }], "failed"],
  [
    "100 percent without a flow, and all clones",
    [
      { percent: 100, clones: { a: "1" } },
      { percent: 100, clones: { a: "1", b: "2" } },
    ],
    "made",
  ],
  ["SUSPENDED is not the end", [{ flows: { f: "SUSPENDED" } }, { flows: { f: "SUCCESS" } }], "made"],
])("the outcome: %s", async (_name, answers, is) => {
  expect((await outcomeOf(...answers)).outcome.is).toBe(is);
});
