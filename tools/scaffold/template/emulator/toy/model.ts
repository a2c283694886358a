// Toy's state: volumes, copies and sessions. It shares no code with the provider.

import type { Clock } from "../core/clock";
import type { Ids } from "../core/ids";
import { TaskRunner } from "../core/tasks";

export interface ToyTimings {
  /** From the accepted request to `available`. */
  toyCreate: number;
  /** From the accepted request until the copy is gone. */
  toyDelete: number;
}

export interface ToyCopyRow {
  id: string;
  source: string;
  name: string;
  status: "creating" | "available" | "error" | "deleting";
  labels: Record<string, string>;
  createdAt: Date;
}

export const TOY_VOLUMES = ["volume-1", "volume-2", "volume-3"] as const;
export const TOY_TENANT = "tenant-1";

export class ToyModel {
  readonly users = new Map<string, string>();
  readonly sessions = new Set<string>();
  readonly volumes = new Set<string>();
  readonly copies = new Map<string, ToyCopyRow>();
  private readonly tasks: TaskRunner<ToyCopyRow, "gone">;
  private nextEndsInError = false;

  constructor(
    private readonly clock: Clock,
    private readonly ids: Ids,
    readonly timings: ToyTimings,
  ) {
    this.tasks = new TaskRunner(clock, (row, event) => {
      if (event === "gone") this.copies.delete(row.id);
    });
    this.reset();
  }

  reset(): void {
    this.sessions.clear();
    this.copies.clear();
    this.tasks.reset();
    this.nextEndsInError = false;
    this.users.clear();
    this.users.set("admin", "toy-password");
    this.volumes.clear();
    for (const volume of TOY_VOLUMES) this.volumes.add(volume);
  }

  /** Brings work that is due to its end. */
  advance(): void {
    this.tasks.advance();
  }

  logIn(username: string, password: string): string | undefined {
    if (this.users.get(username) !== password) return undefined;
    const token = this.ids.hex("toy-token");
    this.sessions.add(token);
    return token;
  }

  /** The next copy ends in `error`. */
  failNext(): void {
    this.nextEndsInError = true;
  }

  startCreate(source: string, name: string, labels: Record<string, string>): ToyCopyRow {
    const row: ToyCopyRow = {
      id: this.ids.uuid("toy-copy"),
      source,
      name,
      status: "creating",
      labels,
      createdAt: this.clock.now(),
    };
    this.copies.set(row.id, row);
    const status = this.nextEndsInError ? "error" : "available";
    this.nextEndsInError = false;
    const steps = [{ afterMs: this.timings.toyCreate, set: { status } }] as const;
    this.tasks.start(row, { while: { status: "creating" }, steps });
    return row;
  }

  startDelete(row: ToyCopyRow): void {
    row.status = "deleting";
    const steps = [{ afterMs: this.timings.toyDelete, emit: "gone" }] as const;
    this.tasks.start(row, { while: { status: "deleting" }, steps });
  }
}
