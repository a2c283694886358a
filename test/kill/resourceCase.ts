// What the kill suite must know of a resource: how a program declares it, how the backend shows it without the provider,
// and how the two compare. Each resource is one ResourceCase; scenarios and assertions are the same for all of them.

import type { RequestLog } from "../../emulator";
import type { Scenario, WireEvent } from "./plan";

/** Inputs by resource name. */
export type Program = Record<string, Args>;
export type Args = Record<string, unknown>;

export interface ResourceCase {
  /** The sdk's class, and the last part of its type. */
  type: string;
  scenarios: readonly Scenario[];
  /** The input that names what is copied. Default "volumeId". */
  sourceInput?: string;
  /** How many resources the program declares. */
  size: number;
  /** Starts a backend that shows the copies of the stack with this name, and no others. */
  openBackend(stackName: string): Promise<BackendFixture>;
  /** The shell whose classes the programs take. Default: the dynamic ones. */
  shell?: "native";
  /** A program that sets every input that can change in place. */
  program(backend: BackendFixture, size: number): Program;
  /** The same resource after a change of every input that can change in place. */
  changed(args: Args): Args;
  /** The copies that a resource with these inputs consists of. */
  expectedCopies(args: Args): Pick<Copy, "source" | "attributes">[];
  /** Ids of the copies that an entry of the state holds. */
  copyIdsOf(entry: { id: string; outputs: Args }): string[];
  /** True if these outputs show that nothing is left to wait for. */
  isComplete(outputs: Args): boolean;
  /** True if the warning about orphans names copies by their ids. Otherwise it names sets, whose ids no copy has. */
  namesCopies?: boolean;
}

/** One copy in the backend. */
export interface Copy {
  id: string;
  /** The URN of the resource that the copy was made for. */
  owner: string;
  /** Id of what was copied. */
  source: string;
  /** What can be compared with the program, and the status that says whether the copy is usable. */
  attributes: Args;
  /** True if the copy has an ownership record, or its source has a pending record: a later run can then find it. */
  hasRecord: boolean;
  /** True once its deletion has begun. */
  isDeleting: boolean;
}

/** An ownership record on the backend, as the backend's own model shows it. */
export interface RecordOnBackend {
  /** The id under which a state holds what has the record. */
  id: string;
  owner: string;
  attempt: string;
  /** Milliseconds since 1970. */
  madeAt: number;
}

export interface BackendFixture {
  connections: Record<string, Record<string, unknown>>;
  /** Ids of what can be copied. */
  sources: readonly [string, string, ...string[]];
  /** The copies of the tested stack. */
  copies(): Promise<Copy[]>;
  /** URNs whose pending records are still on the sources. */
  recordOwners?(): string[];
  /** All records. If it is undefined, the kill tests don't compare `snapclone orphans` with the backend. */
  records?(): RecordOnBackend[];
  /** Returns the backend to its first state. */
  reset(): Promise<void>;
  /** Undefined on a backend whose requests nobody sees. */
  spy?: RequestSpy;
  /** Waits until the server has done every request whose client has died. Undefined where a server is done at once. */
  finishAbandonedRequests?(): Promise<void>;
  /** Does what an error message asks a person to do. Returns false if the message asks for nothing. */
  followAdvice?(output: string): boolean;
  close(): Promise<void>;
}

export interface Deletion {
  id: string;
  owner: string;
  /** True if the same resource had another usable copy when this one was deleted. */
  hadAnother: boolean;
}

/** Counts requests by the emulator's log, and notes each copy that was ever made or deleted. */
export class RequestSpy {
  readonly made: string[] = [];
  readonly deletions: Deletion[] = [];

  constructor(
    private readonly log: RequestLog,
    /** Operations of the emulator's log, by what they do for this resource. */
    private readonly operations: Record<"create" | "delete" | "poll", RegExp>,
  ) {}

  /** How many requests of this kind there were since the emulator's last reset. */
  count(event: WireEvent, work: "create" | "delete"): number {
    const pattern = this.operations[event === "polled" ? "poll" : work];
    return this.log.count(({ operation, status }) => pattern.test(operation) && (event !== "answered" || status !== 0));
  }

  requests(): number {
    return this.log.length;
  }

  /** Notes each row that is added to this table from now on. */
  watch<Row>(table: Map<string, Row>, isOurs: (row: Row) => boolean = () => true): void {
    const set = table.set.bind(table);
    table.set = (id, row) => {
      if (isOurs(row)) this.made.push(id);
      return set(id, row);
    };
  }

  recordDeletion({ id, owner }: Pick<Copy, "id" | "owner">, hadAnother: boolean): void {
    this.deletions.push({ id, owner, hadAnother });
  }

  clear(): void {
    this.made.length = 0;
    this.deletions.length = 0;
  }
}

/** Time between the log's entry for a request and its execution: enough to kill a process in between. */
export const LATENCY_MS = 15;

export function urnOf(stackName: string, type: string, resource: string): string {
  return `urn:pulumi:${stackName}::snapclone-test::pulumi-nodejs:dynamic/snapclone:${type}::${resource}`;
}

/** `s1`, `s2`, …: the resources of a program. */
export function namesOf(size: number): string[] {
  return Array.from({ length: size }, (_, n) => `s${n + 1}`);
}

export function programOf(size: number, args: (name: string, at: number) => Args): Program {
  return Object.fromEntries(namesOf(size).map((name, at) => [name, args(name, at)]));
}
