// Runs a plan as jest tests: each case is a test, several stacks work off the cases side by side, and a table of what
// has happened ends it.

import { type Case, type Plan, titleOf } from "./plan";
import type { ResourceCase } from "./resourceCase";
import { type Outcome, runScenario } from "./scenario";
import { StackFixture } from "./stackFixture";

export interface RunnerOptions {
  kind: ResourceCase;
  plan: Plan;
  /** How many stacks side by side. */
  lanes: number;
}

type Done = { outcome: Outcome; ms: number } | { error: unknown; ms: number };

const CASE_LIMIT_MS = 900_000;

/** Call it inside `describe`. */
export function killTests({ kind, plan, lanes }: RunnerOptions): void {
  const waiting = new Map<number, { case: Case; tell(done: Done): void; done: Promise<Done> }>();
  for (const one of plan.cases) {
    let tell: (done: Done) => void = () => {};
    const done = new Promise<Done>((resolve) => {
      tell = resolve;
    });
    waiting.set(one.number, { case: one, tell, done });
  }
  const queue = [...waiting.values()];
  const yards: StackFixture[] = [];
  const finished: { case: Case; done: Done }[] = [];
  let stopped = false;
  let working: Promise<unknown> = Promise.resolve();

  const lane = async (yard: StackFixture) => {
    for (let next = queue.shift(); next !== undefined && !stopped; next = queue.shift()) {
      const started = Date.now();
      const done = await runScenario(yard, next.case).then(
        (outcome): Done => ({ outcome, ms: Date.now() - started }),
        (error: unknown): Done => ({ error, ms: Date.now() - started }),
      );
      finished.push({ case: next.case, done });
      const how = "error" in done ? "FAILED" : done.outcome.blow;
      process.stderr.write(
        `${kind.type} kills: ${finished.length} of ${plan.cases.length}, ${how}, ${Math.round(done.ms / 1000)} s: ${titleOf(next.case)}\n`,
      );
      next.tell(done);
    }
  };

  beforeAll(async () => {
    const count = Math.min(lanes, plan.cases.length);
    for (let n = 1; n <= count; n++) {
      yards.push(await StackFixture.open(kind, `kill${n}`));
    }
    // Side by side, as the cases will run.
    await Promise.all(yards.map((yard) => yard.measure(kind.program(yard.ground, kind.size))));
    const windows = yards.map(({ measured: { up, destroy } }) => `up ${up} ms, destroy ${destroy} ms`).join("; ");
    process.stderr.write(
      `\n${kind.type} kills: ${plan.cases.length}, SNAPCLONE_KILL_SEED=${plan.seed}; uninterrupted: ${windows}\n`,
    );
    working = Promise.all(yards.map(lane));
  }, CASE_LIMIT_MS);

  afterAll(async () => {
    stopped = true;
    await working;
    await Promise.all(yards.map((yard) => yard.close()));
    process.stderr.write(`\n${table(finished)}\n`);
  }, CASE_LIMIT_MS);

  for (const one of plan.cases) {
    const title = titleOf(one);
    test(
      title,
      async () => {
        const done = await waiting.get(one.number)?.done;
        if (done !== undefined && "error" in done) throw done.error;
        expect(done).toHaveProperty("outcome");
      },
      CASE_LIMIT_MS,
    );
  }
}

function table(finished: readonly { case: Case; done: Done }[]): string {
  const lines = new Map<string, Record<string, number>>();
  for (const { case: one, done } of finished) {
    const key = `${one.story} · ${one.kill.victim}`;
    const line = lines.get(key) ?? {};
    lines.set(key, line);
    const add = (column: string, by: number) => {
      line[column] = (line[column] ?? 0) + by;
    };
    add("cases", 1);
    add("seconds", done.ms / 1000);
    if ("error" in done) {
      add("failed", 1);
      continue;
    }
    const { blow, begun, more, adopted, left, strays } = done.outcome;
    add(blow, 1);
    add("begun", begun);
    add("more", more);
    add("adopted", adopted);
    add("left", left);
    add("strays", strays);
  }
  const columns = ["cases", "failed", "struck", "too late", "begun", "more", "adopted", "left", "strays", "seconds"];
  const width = Math.max(0, ...[...lines.keys()].map((key) => key.length));
  const row = (name: string, cells: readonly string[]) =>
    [name.padEnd(width), ...cells.map((cell, n) => cell.padStart(columns[n]?.length ?? 0))].join("  ");
  const body = [...lines].sort().map(([key, line]) =>
    row(
      key,
      columns.map((column) => String(Math.round(line[column] ?? 0))),
    ),
  );
  const sum = columns.map((column) =>
    String(Math.round([...lines.values()].reduce((total, line) => total + (line[column] ?? 0), 0))),
  );
  return [row("", columns), ...body, row("all", sum)].join("\n");
}
