// What the kill tests must know of a resource: how to declare it, what the backend shows of it seen with an eye of its
// own, and how the two compare. Each resource is one of these; the stories and the judge are the same for all.

import type { RequestLog } from "../../emulator";
import type { Story, WireEvent } from "./plan";

/** Inputs by resource name. */
export type Program = Record<string, Args>;
export type Args = Record<string, unknown>;

export interface ResourceCase {
  /** The sdk's class, and the last part of its type. */
  type: string;
  stories: readonly Story[];
  /** Resources in the program. */
  size: number;
  /** Whose work is seen by a stack of that name alone. */
  ground(stackName: string): Promise<BackendFixture>;
  /** With all that can be changed in place. */
  program(ground: BackendFixture, size: number): Program;
  /** The same resource, and everything changed that can be in place. */
  changed(args: Args): Args;
  /** What these inputs ought to have made. */
  wanted(args: Args): Pick<Copy, "from" | "shows">[];
  /** The copies that an entry of the state holds. */
  idsOf(entry: { id: string; outputs: Args }): string[];
  /** Says of an entry's outputs that nothing is left to wait for. */
  isWhole(outputs: Args): boolean;
  /** The last words name objects by their copies' ids. Else by ids that no copy has, such as a set's. */
  namesCopies?: boolean;
}

/** One copy in the backend. */
export interface Copy {
  id: string;
  /** The URN of the resource that it was made for. */
  owner: string;
  /** What it is a copy of. */
  from: string;
  /** In what can be compared with the program, and whether it can be used. */
  shows: Args;
  /** Bears our record, or what it is made from notes that it was asked for: so a later run can find it. */
  open: boolean;
  /** On its way out. */
  leaving: boolean;
}

export interface BackendFixture {
  connections: Record<string, Record<string, unknown>>;
  /** What can be copied. */
  sources: readonly [string, string, ...string[]];
  /** Of the stack that is tested, and nobody else's. */
  copies(): Promise<Copy[]>;
  /** URNs of whose marks are left beside the copies: where they are made from. */
  traces?(): string[];
  /** As before everything. */
  reset(): Promise<void>;
  /** Undefined where the wire isn't seen. */
  witness?: RequestSpy;
  /** Does what an error asks a person to do; false where it asks for nothing. */
  help?(said: string): boolean;
  close(): Promise<void>;
}

export interface Deletion {
  id: string;
  owner: string;
  /** Another copy of the same resource was available when this one was given up. */
  another: boolean;
}

/** Every request, and everything that was ever made and given up. */
export class RequestSpy {
  readonly made: string[] = [];
  readonly deletions: Deletion[] = [];

  constructor(
    private readonly log: RequestLog,
    /** Operations of the emulator's log. */
    private readonly names: Record<"create" | "delete" | "look", RegExp>,
  ) {}

  /** How often it was seen since `forget`. */
  count(event: WireEvent, work: "create" | "delete"): number {
    const name = {
      sent: this.names[work],
      answered: this.names[work],
      looked: this.names.look,
    };
    return this.log.count(
      ({ operation, status }) => name[event].test(operation) && (event !== "answered" || status !== 0),
    );
  }

  requests(): number {
    return this.log.length;
  }

  /** Notes whatever is put into this table from now on. */
  watch<Row>(table: Map<string, Row>, isOurs: (row: Row) => boolean = () => true): void {
    const set = table.set.bind(table);
    table.set = (id, row) => {
      if (isOurs(row)) this.made.push(id);
      return set(id, row);
    };
  }

  deleted({ id, owner }: Pick<Copy, "id" | "owner">, another: boolean): void {
    this.deletions.push({ id, owner, another });
  }

  forget(): void {
    this.made.length = 0;
    this.deletions.length = 0;
  }
}

/** Between the log's entry for a request and its execution: long enough to kill in between, and to lose the reply. */
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
