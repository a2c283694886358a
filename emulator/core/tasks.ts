// Asynchronous work as data: a script of steps, each with its duration and the fields that it sets. Nothing runs in the
// background: a reader of the rows calls advance() first.

import type { Clock } from "./clock";

export interface Step<Row, Event> {
  /** Milliseconds after the previous step. Infinity: the step never runs. */
  readonly afterMs: number;
  readonly set?: Partial<Row>;
  /** Passed to `onStep` for anything beyond fields. */
  readonly emit?: Event;
}

export interface Script<Row, Event> {
  /** The runner drops the work when the row no longer has these values, because somebody else changed it. */
  readonly while: Partial<Row>;
  readonly steps: readonly Step<Row, Event>[];
}

interface Running<Row, Event> {
  readonly row: Row;
  readonly steps: readonly Step<Row, Event>[];
  guard: Partial<Row>;
  next: number;
  due: number;
}

export class TaskRunner<Row extends object, Event = never> {
  private running: Running<Row, Event>[] = [];

  /** Calls `onStep` after each step with the time at which the step was due. */
  constructor(
    private readonly clock: Clock,
    private readonly onStep: (row: Row, event: Event | undefined, atMs: number) => void,
  ) {}

  start(row: Row, script: Script<Row, Event>): void {
    this.cancel(row);
    const first = script.steps[0];
    if (first === undefined) return;
    const due = this.clock.nowMs() + this.clock.duration(first.afterMs);
    this.running.push({ row, steps: script.steps, guard: script.while, next: 0, due });
  }

  cancel(row: Row): void {
    this.running = this.running.filter((task) => task.row !== row);
  }

  /** Runs every step that is due, in order of time. */
  advance(): void {
    const now = this.clock.nowMs();
    for (;;) {
      const task = this.earliest(now);
      if (task === undefined) return;
      this.step(task);
    }
  }

  reset(): void {
    this.running = [];
  }

  private earliest(now: number): Running<Row, Event> | undefined {
    let found: Running<Row, Event> | undefined;
    for (const task of this.running) {
      if (task.due <= now && (found === undefined || task.due < found.due)) found = task;
    }
    return found;
  }

  private step(task: Running<Row, Event>): void {
    const step = task.steps[task.next];
    if (step === undefined || !isLike(task.row, task.guard)) {
      this.drop(task);
      return;
    }
    const at = task.due;
    Object.assign(task.row, step.set);
    task.guard = { ...task.guard, ...pick(step.set, task.guard) };
    task.next += 1;
    const following = task.steps[task.next];
    if (following === undefined) this.drop(task);
    else task.due = at + this.clock.duration(following.afterMs);
    this.onStep(task.row, step.emit, at);
  }

  private drop(task: Running<Row, Event>): void {
    this.running = this.running.filter((other) => other !== task);
  }
}

function isLike<Row extends object>(row: Row, pattern: Partial<Row>): boolean {
  return (Object.keys(pattern) as (keyof Row)[]).every((key) => row[key] === pattern[key]);
}

/** The script's own changes to guarded fields become part of the guard. */
function pick<Row>(set: Partial<Row> | undefined, guard: Partial<Row>): Partial<Row> {
  const picked: Partial<Row> = {};
  for (const key of Object.keys(guard) as (keyof Row)[]) {
    if (set !== undefined && key in set) Object.assign(picked, { [key]: set[key] });
  }
  return picked;
}
