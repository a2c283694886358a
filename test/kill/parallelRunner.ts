// Runs a plan as Jest tests. Each case is a test, several stacks take cases from one queue in parallel, and a table of the
// outcomes ends the run.

import { type Case, type Plan, titleOf } from "./plan";
import type { ResourceCase } from "./resourceCase";
import { type Outcome, runScenario } from "./scenario";
import { StackFixture } from "./stackFixture";

export interface RunnerOptions {
  resource: ResourceCase;
  plan: Plan;
  /** How many stacks run in parallel. */
  workers: number;
}

type Done = { outcome: Outcome; ms: number } | { error: unknown; ms: number };

const CASE_LIMIT_MS = 900_000;

/** Call it inside `describe`. */
export function killTests(options: RunnerOptions): void {
  const runner = new ParallelRunner(options);
  beforeAll(() => runner.start(), CASE_LIMIT_MS);
  afterAll(() => runner.stop(), CASE_LIMIT_MS);
  for (const one of options.plan.cases) {
    const title = titleOf(one);
    test(
      title,
      async () => {
        const done = await runner.resultOf(one);
        if ("error" in done) throw done.error;
        expect(done).toHaveProperty("outcome");
      },
      CASE_LIMIT_MS,
    );
  }
}

class ParallelRunner {
  private readonly queue: Case[];
  private readonly results = new Map<Case, { promise: Promise<Done>; resolve(done: Done): void }>();
  private readonly fixtures: StackFixture[] = [];
  private readonly finished: { case: Case; done: Done }[] = [];
  private stopped = false;
  private working: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: RunnerOptions) {
    this.queue = [...options.plan.cases];
    for (const one of this.queue) {
      let resolve: (done: Done) => void = () => {};
      const promise = new Promise<Done>((give) => {
        resolve = give;
      });
      this.results.set(one, { promise, resolve });
    }
  }

  /** Opens the stacks and lets them take cases. Returns before the cases have run: each test waits for its own. */
  async start(): Promise<void> {
    const { resource, plan, workers } = this.options;
    const count = Math.min(workers, plan.cases.length);
    for (let n = 1; n <= count; n++) this.fixtures.push(await StackFixture.open(resource, `kill${n}`));
    // In parallel, since the cases will run in parallel, too.
    await Promise.all(
      this.fixtures
        .filter((fixture) => plan.cases.some((one) => fixture.needsWindow(one)))
        .map((fixture) => fixture.measure(resource.program(fixture.backend, resource.size))),
    );
    const windows = this.fixtures.map(({ measured: { up, destroy } }) => `up ${up} ms, destroy ${destroy} ms`);
    process.stderr.write(
      `\n${resource.type} kills: ${plan.cases.length}, SNAPCLONE_KILL_SEED=${plan.seed}; uninterrupted: ${windows.join("; ")}\n`,
    );
    this.working = Promise.all(this.fixtures.map((fixture) => this.work(fixture)));
  }

  resultOf(one: Case): Promise<Done> {
    const result = this.results.get(one);
    if (result === undefined) throw new Error(`the plan has no case ${one.number}`);
    return result.promise;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.working;
    await Promise.all(this.fixtures.map((fixture) => fixture.close()));
    process.stderr.write(`\n${table(this.finished)}\n`);
  }

  private async work(fixture: StackFixture): Promise<void> {
    const { resource, plan } = this.options;
    for (let one = this.queue.shift(); one !== undefined && !this.stopped; one = this.queue.shift()) {
      const started = Date.now();
      const done = await runScenario(fixture, one).then(
        (outcome): Done => ({ outcome, ms: Date.now() - started }),
        (error: unknown): Done => ({ error, ms: Date.now() - started }),
      );
      this.finished.push({ case: one, done });
      const result = "error" in done ? "FAILED" : done.outcome.interruption;
      process.stderr.write(
        `${resource.type} kills: ${this.finished.length} of ${plan.cases.length}, ${result}, ${Math.round(done.ms / 1000)} s: ${titleOf(one)}\n`,
      );
      this.results.get(one)?.resolve(done);
    }
  }
}

const COLUMNS = [
  "cases",
  "failed",
  "hit",
  "missed",
  "begun",
  "more",
  "adopted",
  "left",
  "orphanProcesses",
  "seconds",
] as const;

function table(finished: readonly { case: Case; done: Done }[]): string {
  const rows = new Map<string, Record<string, number>>();
  for (const { case: one, done } of finished) {
    const key = `${one.scenario} · ${one.kill.victim}`;
    const row = rows.get(key) ?? {};
    rows.set(key, row);
    for (const [column, count] of Object.entries(countsOf(done))) row[column] = (row[column] ?? 0) + count;
  }
  const width = Math.max(0, ...[...rows.keys()].map((key) => key.length));
  const line = (name: string, values: readonly (string | number)[]) =>
    [name.padEnd(width), ...values.map((value, n) => String(value).padStart(COLUMNS[n]?.length ?? 0))].join("  ");
  const body = [...rows].sort().map(([key, row]) =>
    line(
      key,
      COLUMNS.map((column) => Math.round(row[column] ?? 0)),
    ),
  );
  const sums = COLUMNS.map((column) =>
    Math.round([...rows.values()].reduce((total, row) => total + (row[column] ?? 0), 0)),
  );
  return [line("", COLUMNS), ...body, line("all", sums)].join("\n");
}

function countsOf(done: Done): Record<string, number> {
  const counts = { cases: 1, seconds: done.ms / 1000 };
  if ("error" in done) return { ...counts, failed: 1 };
  const { interruption, ...others } = done.outcome;
  return { ...counts, ...others, [interruption]: 1 };
}
