// The evaluation of clone jobs and their VMs, without a server.

import type { JobAnswer } from "../../../provider/zstack/client";
import {
  addJobEnd,
  type CloneJob,
  divideClones,
  JobProgress,
  newOutcome,
} from "../../../provider/zstack/clonedVm/create";
import { finalName } from "../../../provider/zstack/clonedVm/ownership";
import { isAtLeast } from "../../../provider/zstack/clonedVm/versions";

const SET = "0123456789abcdef0123456789abcdef";
const JOB: CloneJob = { job: "f".repeat(32), until: 1_000, clones: 2, description: "cloning 2 VMs", isEarlier: false };
const vm = (digit: string, state: string, disks = 0, name = `web-${digit}`) => ({
  uuid: digit.repeat(32),
  name: `${name}.sc-${SET}`,
  state,
  allVolumes: Array.from({ length: disks }, (_, index) => ({ uuid: `${index}`.repeat(32), type: "Data" })),
});

let time = 0;
const clock = { now: () => time, date: () => new Date(time), sleep: () => Promise.resolve() };
beforeEach(() => {
  time = 0;
});

test.each([
  ["4.6.11", "4.6.11", true],
  ["4.6.10", "4.6.11", false],
  ["5", "4.6.11", true],
  // ZSvirt's versions start anew.
  ["1.0.0", "4.6.11", true],
])("isAtLeast: version %s against %s is %s", (version, wanted, expected) => {
  expect(isAtLeast(version, wanted)).toBe(expected);
});

describe("JobProgress", () => {
  const running: JobAnswer = { is: "running" };
  const gone: JobAnswer = { is: "gone" };
  const timedOut: JobAnswer = { is: "failed", fault: { codes: ["SYS.1001"], message: "timeout" } };
  const refused: JobAnswer = { is: "failed", fault: { codes: ["SYS.1006"], message: "no" } };
  const done: JobAnswer = { is: "done", body: { result: { inventories: [] } } };

  test.each<[string, JobAnswer, number, number, string]>([
    ["a young running job", running, 1_000, 0, "nothing"],
    ["an older running job", running, 5_000, 0, "progress"],
    ["a job beyond its timeout", running, 0, 1_000, "progress and VMs"],
    ["a job that ZStack does not know", gone, 0, 0, "progress and VMs"],
    ["a job that timed out inside ZStack", timedOut, 0, 0, "progress and VMs"],
    ["a refused job", refused, 0, 0, "nothing"],
    ["a job with its result", done, 0, 0, "nothing"],
  ])("JobProgress: the next query for %s", (_name, answer, ageMs, serverNow, expected) => {
    const progress = new JobProgress(JOB, clock);
    time = ageMs;
    expect(progress.nextQuery(answer, serverNow)).toBe(expected);
  });

  test.each<[string, object, string]>([
    ["without a result", {}, "progress and VMs"],
    ["with a result without VMs", { result: { numberOfClonedVm: 2 } }, "progress and VMs"],
    ["with a result of no VM", { result: { numberOfClonedVm: 0 } }, "nothing"],
    ["with a result that is not wrapped", { numberOfClonedVm: 0, inventories: [] }, "nothing"],
  ])("JobProgress: the next query for a job that ends %s", (_name, body, expected) => {
    expect(new JobProgress(JOB, clock).nextQuery({ is: "done", body }, 0)).toBe(expected);
  });

  test("JobProgress: the VMs show the end of a job without a result, and so do five quiet minutes", () => {
    const progress = new JobProgress(JOB, clock);
    const answer: JobAnswer = { is: "done", body: {} };
    progress.nextQuery(answer, 0);
    expect(progress.evaluate({ answer, rows: [vm("1", "Starting")] }).is).toBe("pending");
    expect(progress.evaluate({ answer, rows: [vm("1", "Running"), vm("2", "Running")] }).is).toBe("done");
    expect(progress.evaluate({ answer, rows: [] }).is).toBe("pending");
    time = 300_000;
    expect(progress.evaluate({ answer, rows: [] }).is).toBe("done");
  });

  test("JobProgress: nobody knows the end of an accepted job that ZStack does not know", () => {
    const progress = new JobProgress({ ...JOB, isAccepted: true }, clock);
    progress.nextQuery(gone, 0);
    progress.evaluate({ answer: gone, rows: [] });
    time = 299_999;
    expect(progress.evaluate({ answer: gone, rows: [] }).is).toBe("pending");
    time = 300_000;
    expect(progress.evaluate({ answer: gone, rows: [] }).is).toBe("failed");
  });

  test.each<[string, JobAnswer, ReturnType<typeof vm>[], boolean]>([
    ["all VMs of an unknown job are stable", gone, [vm("1", "Running", 1), vm("2", "Stopped", 1)], true],
    ["a VM is missing", gone, [vm("1", "Running")], false],
    ["a VM still starts", gone, [vm("1", "Running"), vm("2", "Starting")], false],
    ["a VM is in a broken state", gone, [vm("1", "Running"), vm("2", "Created")], false],
    ["a VM lacks a data volume", gone, [vm("1", "Running", 0), vm("2", "Running", 1)], false],
    ["a VM is in an unknown state", gone, [vm("1", "Running"), vm("2", "Teleporting")], false],
    ["the job has failed for good", refused, [], true],
  ])("JobProgress: evaluates whether the wait ends if %s", (_name, answer, rows, isDone) => {
    expect(new JobProgress({ ...JOB, disks: 1 }, clock).evaluate({ answer, rows }).is).toBe(
      isDone ? "done" : "pending",
    );
  });

  test.each<[string, JobAnswer, string | undefined, ReturnType<typeof vm>[], number, string]>([
    ["no VM exists", timedOut, undefined, [], 0, "failed"],
    ["a VM is in a broken state", timedOut, undefined, [vm("1", "Created")], 0, "failed"],
    ["ZStack has forgotten a job that it knew", gone, undefined, [], 0, "failed"],
    ["ZStack still reports progress", timedOut, "10", [], 0, "pending"],
    ["the VMs that exist are finished", timedOut, undefined, [vm("1", "Running")], 0, "done"],
    ["the job's time is over", timedOut, undefined, [], 1_000, "done"],
    ["the job's time is over, and ZStack still reports progress", timedOut, "10", [], 1_000, "failed"],
    ["the time of a stuck job is over", running, "10", [], 1_000, "done"],
  ])(
    "JobProgress: five quiet minutes of a job with an unknown outcome if %s",
    (_name, answer, percent, rows, now, is) => {
      const progress = new JobProgress(JOB, clock);
      progress.nextQuery(running, now);
      progress.nextQuery(answer, now);
      progress.evaluate({ answer, percent, rows });
      time = 300_000;
      const end = progress.evaluate({ answer, percent, rows });
      expect(end.is).toBe(is);
      if (end.is !== "failed") return;
      expect(end.error.kind).toBe("deadline");
      expect(end.error.message).toMatch(
        /still at work \(cloning 2 VMs.*Run the same command again.*snapclone::intent.*pulumi state/s,
      );
    },
  );

  test.each([
    ["never showed a VM", [], 60_000],
    ["has shown a VM", [vm("1", "Running")], 300_000],
  ])("JobProgress: ends for an unknown job that %s, after a grace time without a change", (_name, rows, graceMs) => {
    const progress = new JobProgress(JOB, clock);
    progress.nextQuery(gone, 0);
    expect(progress.evaluate({ answer: gone, rows }).is).toBe("pending");
    time = graceMs - 1;
    expect(progress.evaluate({ answer: gone, rows }).is).toBe("pending");
    time = graceMs;
    expect(progress.evaluate({ answer: gone, rows }).is).toBe("done");
  });
});

describe("divideClones", () => {
  const nameOf = ({ name }: { name: string }) => finalName(name, SET);
  const options = { nameOf, disks: 2, taken: new Set(["taken"]), fate: "was removed" };

  test("divideClones: finds broken clones by their result, state, disks and name, and gives the reasons", () => {
    const outcome = newOutcome([]);
    const [failed, gone] = [vm("1", "Running", 2), vm("6", "Running", 2)];
    const inventories = [
      { inventory: failed, error: { code: "VM.1001", details: "no start" } },
      { inventory: gone, error: { code: "VM.1001", details: "no host" } },
      { error: { code: "SYS.1006", details: "no room" } },
      { inventory: vm("5", "Running") },
    ];
    addJobEnd(outcome, { is: "done", body: { result: { inventories } } }, SET);
    addJobEnd(outcome, { is: "failed", fault: { codes: ["SYS.1006"], message: "no attachment" } }, SET);
    const rows = [
      failed,
      vm("2", "Created", 2),
      vm("3", "Running", 1),
      vm("4", "Running", 2, "taken"),
      // The result reports this clone without an error, so its disks need not be listed yet.
      vm("5", "Running", 0),
    ];
    const division = divideClones(rows, options, outcome);
    expect(division).toEqual({ complete: [rows[4]], lacking: [], broken: rows.slice(0, 4) });
    expect(outcome.reasons).toEqual([
      "SYS.1006: no room",
      "no attachment",
      '"web-1" failed ("web-1": VM.1001: no start), and was removed',
      '"web-2" was left in state Created, and was removed',
      '"web-3" has 1 of 2 data volumes, and was removed',
      '"taken" was cloned twice, and was removed',
      '"web-6": VM.1001: no host (ZStack removed it)',
    ]);
  });

  test.each<[string, JobAnswer]>([
    ["ZStack has forgotten the job", { is: "gone" }],
    ["ZStack no longer waits for the job", { is: "failed", fault: { codes: ["SYS.1001"], message: "timeout" } }],
  ])("divideClones: takes no clone for broken that lacks data volumes if %s", (_name, answer) => {
    const outcome = newOutcome([]);
    addJobEnd(outcome, answer, SET);
    const rows = [vm("1", "Running", 1), vm("2", "Running", 2)];
    expect(divideClones(rows, options, outcome)).toEqual({ complete: [rows[1]], lacking: [rows[0]], broken: [] });
  });

  test("divideClones: of two clones with one name keeps the one that the result names", () => {
    const outcome = newOutcome([]);
    const rows = [vm("1", "Running", 2, "web"), vm("2", "Running", 2, "web")];
    addJobEnd(outcome, { is: "done", body: { result: { inventories: [{ inventory: rows[1] }] } } }, SET);
    expect(divideClones(rows, options, outcome)).toMatchObject({ complete: [rows[1]], broken: [rows[0]] });
  });
});
