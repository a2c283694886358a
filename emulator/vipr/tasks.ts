// ViPR's tasks: how work proceeds step by step, and how a test makes it fail, wait or never end
// (docs/wire/vipr.md#task-model). Nothing runs in the background: advance() runs what is due.

import type { Clock } from "../core/clock";
import type { Ids } from "../core/ids";
import { ViprError } from "./errors";
import type { ViprTarget, ViprTask } from "./rows";

/** How the next task of this operation goes. */
export interface ViprBehaviour {
  operation: "link" | "unlink" | "relink";
  /** How many targets (or groups of targets) succeed. The others fail, and the task ends in error. */
  succeed?: number;
  /** The task waits for `resume` or `rollback` before it begins. */
  suspend?: "suspended_error" | "suspended_no_error";
  /** The task never ends. */
  stuck?: boolean;
  /**
   * ViPR's API finds no controller service: it answers 503 with code 9501 and undoes its preparations
   * (docs/wire/vipr.md#what-link-does).
   */
  undispatched?: boolean;
  /** How long the task takes. */
  ms?: number;
}

/** One target, or all targets of a consistency group that belong together. */
export interface Step {
  readonly targets: readonly ViprTarget[];
}

export interface Work {
  readonly operation: ViprBehaviour["operation"];
  readonly durationMs: number;
  readonly steps: readonly Step[];
  /** Applies a step that succeeds. */
  done(step: Step): void;
  /** Undoes the preparations of a step that fails. */
  failed(step: Step): void;
  /** The description in the error of a failed task. */
  readonly description: string;
}

interface Due {
  readonly at: number;
  run(): void;
}

export class ViprTasks {
  private behaviours: ViprBehaviour[] = [];
  private due: Due[] = [];
  private suspended = new Map<string, { resume(): void; rollback(): void }>();

  constructor(
    private readonly rows: Map<string, ViprTask>,
    private readonly clock: Clock,
    private readonly ids: Ids,
    private readonly urn: (type: string) => string,
  ) {}

  failNext(behaviour: ViprBehaviour): { remove(): void } {
    this.behaviours.push(behaviour);
    return {
      remove: () => {
        this.behaviours = this.behaviours.filter((other) => other !== behaviour);
      },
    };
  }

  create(resource: ViprTask["resource"], name: string, description: string): ViprTask {
    const task: ViprTask = {
      id: this.urn("Task"),
      opId: this.ids.uuid("vipr operation"),
      name,
      description,
      resource,
      state: "pending",
      progress: 0,
      startedAt: this.clock.nowMs(),
      allowedOperations: "none_specified",
      tags: new Set(),
    };
    this.rows.set(task.id, task);
    return task;
  }

  start(task: ViprTask, work: Work): void {
    const index = this.behaviours.findIndex(({ operation }) => operation === work.operation);
    const behaviour = index < 0 ? undefined : this.behaviours.splice(index, 1)[0];
    if (behaviour?.undispatched) this.refuseDispatch(task, work);
    // ViPR writes the answer before it hands over the work, so the answer shows no workflow.
    this.later(0, () => {
      task.workflow = this.urn("Workflow");
    });
    if (behaviour?.stuck) return;
    if (behaviour?.suspend === undefined) this.schedule(task, work, behaviour);
    else this.suspend(task, work, behaviour, behaviour.suspend);
  }

  resume(taskId: string): void {
    this.suspended.get(taskId)?.resume();
    this.suspended.delete(taskId);
  }

  rollback(taskId: string): void {
    this.suspended.get(taskId)?.rollback();
    this.suspended.delete(taskId);
  }

  end(task: ViprTask, message = "Operation completed successfully"): void {
    Object.assign(task, { state: "ready", progress: 100, message, endedAt: this.clock.nowMs() });
  }

  advance(): void {
    const now = this.clock.nowMs();
    for (;;) {
      const next = this.due.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) return;
      this.due.splice(this.due.indexOf(next), 1);
      next.run();
    }
  }

  reset(): void {
    this.behaviours = [];
    this.due = [];
    this.suspended.clear();
  }

  /** Each step is visible as soon as it is done, before the end of the task (docs/wire/vipr.md#what-link-does). */
  private schedule(task: ViprTask, work: Work, behaviour: ViprBehaviour | undefined): void {
    const { steps } = work;
    const length = this.clock.duration(behaviour?.ms ?? work.durationMs);
    const successes = behaviour?.succeed ?? steps.length;
    for (const [number, step] of steps.entries()) {
      this.later((length * (number + 1)) / (steps.length + 1), () => {
        if (number < successes) work.done(step);
        else work.failed(step);
        task.progress = Math.floor((100 * (number + 1)) / (steps.length + 1));
      });
    }
    this.later(length, () => {
      if (successes >= steps.length) this.end(task);
      else this.fail(task, work.description);
    });
  }

  private suspend(
    task: ViprTask,
    work: Work,
    behaviour: ViprBehaviour,
    state: NonNullable<ViprBehaviour["suspend"]>,
  ): void {
    this.later(0, () => {
      task.state = state;
      task.allowedOperations = state === "suspended_error" ? "retry_and_rollback" : "resume_only";
    });
    const pending = (then: () => void) => () => {
      task.state = "pending";
      then();
    };
    this.suspended.set(task.id, {
      resume: pending(() => this.schedule(task, work, behaviour)),
      rollback: pending(() => {
        for (const step of work.steps) work.failed(step);
        this.fail(task, work.description);
      }),
    });
  }

  private refuseDispatch(task: ViprTask, work: Work): never {
    const details =
      "Unable to locate service with name: controllersvc, version: 1, tag: vmax and end point key: BlockController";
    for (const step of work.steps) work.failed(step);
    const error = { code: 9501, description: "The coordinator was unable to locate the service", details };
    Object.assign(task, { state: "error", progress: 100, endedAt: this.clock.nowMs(), error });
    throw new ViprError(503, 9501, details);
  }

  /** A failed task has details and no message (docs/wire/vipr.md#task-model). */
  private fail(task: ViprTask, description: string): void {
    Object.assign(task, {
      state: "error",
      progress: 100,
      endedAt: this.clock.nowMs(),
      error: {
        code: 16001,
        description: "Unable to contact the SMIS provider",
        details: `Message: Unable to call Storage Provider successfully. Caused by: Failed to create target device\nDescription: ${description} ${task.resource.id}\n`,
      },
    });
  }

  private later(ms: number, run: () => void): void {
    this.due.push({ at: this.clock.nowMs() + ms, run });
  }
}
