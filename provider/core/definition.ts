// What a resource is to the core: its inputs as data, and the few hooks that differ from backend to backend. Everything
// else (checking, diffing, adopting, waiting with a deadline, recording, resuming) happens once, in this folder.

import type { ZodType } from "zod";
import type { CheckFailure } from "./check";
import type { Clock } from "./clock";
import type { ConnectionKind } from "./connections";

/** What a change of an input does to an existing resource. */
export type Effect = "replace" | "update" | "ignore";

export interface InputRule<T> {
  /** Refuses bad values and brings good ones into normal form (trimmed, lower case). Never sees a preview's unknown. */
  schema: ZodType<T | undefined>;
  /** A function where old state decides, without the network: `diff` runs in previews. */
  onChange: Effect | ((olds: State, news: State) => Effect);
  /** What of it can't be changed in place, where that is neither all (`replace`) nor nothing: part of the marker. */
  fixed?(value: T | undefined): unknown;
}

/** A resource's outputs as Pulumi stores them; untyped, because old builds wrote some of them. */
export type State = Readonly<Record<string, unknown>>;

/** What is enough to find accepted work again after this process is gone. JSON, since it lives in the state. */
export type Task = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Work that the backend has accepted. From this moment on the resource is recorded, whatever happens. */
export interface Accepted {
  /** Becomes the Pulumi resource's id: never empty, never changes. */
  id: string;
  task: Task;
  /** What the accepting answer already showed, to save the first look. Not stored. */
  seen?: unknown;
}

/** What identifies our own objects on the backend. See ledger.ts for how the two phases keep a killed run harmless. */
export interface Marker {
  /** The resource's place in the user's stacks, at most 255 characters or as many as `markLengths` allows. */
  owner: string;
  /** A fingerprint of the inputs that can't change in place. */
  inputs: string;
}

/** An object on the backend that bears somebody's open marker. */
export interface OpenObject extends Accepted, Marker {
  /** What it was made with, as far as the backend shows it: all of it is ours to change. */
  state: State;
}

export interface Observed {
  /** Every output, and every input as it stands on the backend. Inputs a backend can't tell are left out. */
  state: Record<string, unknown>;
  /** The owner in the object's marker while that is still open. */
  openOwner?: string | undefined;
  /** The run that has adopted it, as `claim` has noted it. */
  adoptedBy?: string | undefined;
}

/** What a hook may use of the run it is part of. */
export interface Job {
  readonly clock: Clock;
  /** On `clock`, in milliseconds. */
  readonly deadline: number;
  /** Aborts when the run is cancelled or the CLI is gone. For waiting; never given to a request that changes something. */
  readonly signal: AbortSignal;
  /** Shown in the resource's own row while it runs. */
  progress(text: string): void;
  /** Shown among the resource's diagnostics. */
  warn(text: string): void;
  /** For a `change` that starts work of its own: recorded until `done`, so that a later run's `finish` goes on with it. */
  accepted(task: Task): void;
  done(): void;
}

export interface Definition<Inputs extends object, Client> {
  /** "snapshot": what messages call it. */
  noun: string;
  connection: ConnectionKind<Client>;
  /** Each input exactly once. */
  inputs: { [K in keyof Inputs]-?: InputRule<Inputs[K]> };
  /** The input that gets `<resource>-<7 hex>` where the program gives none. */
  autoName?: keyof Inputs & string;
  /** Defaults of `customTimeouts`, as Go durations. */
  timeouts: Record<Operation, string>;
  /** Where a replacement can't stand beside what it replaces. Default false: create first, so that data is never without a copy. */
  deleteBeforeReplace?: boolean;
  /** How many characters the backend's place for a marker takes, where that is less than 255 and 32. */
  markLengths?: { owner: number; inputs: number };
  /** What the next `up` does about a create that ended in failure: make it anew, or mend it by `change`. */
  afterFailedCreate: "replace" | "update";

  /** What is wrong between inputs that are each right. `unsure` names those that a preview does not know, or that are wrong. */
  contradictions?(inputs: Partial<Inputs>, unsure: ReadonlySet<string>): CheckFailure[];
  /**
   * Asks the backend whether it would do it, and changes nothing. `check` calls it for what is to be made, when all
   * inputs are known and valid; also in previews, so it sends nothing unless its connection asks for that.
   */
  rehearse?(client: Client, inputs: Inputs, job: Pick<Job, "clock" | "signal" | "warn">): Promise<CheckFailure[]>;

  /** How a message names one of these: `snapshot "nightly"`. Gets inputs or outputs, whichever there are. */
  describe(known: State): string;

  /**
   * Where the backend can't list by phase: what a list of the open objects of this marker is asked by. Creates with the
   * same answer share a list. Default: one list answers every create of a run.
   */
  openIn?(marker: Marker, inputs: State): string;
  /** All objects with an open marker (in what `openIn` said), whoever's. */
  listOpen(client: Client, place: string): Promise<readonly OpenObject[]>;
  /** Notes on an object with an open marker which run adopts it. The marker stays open. */
  claim(client: Client, id: string, run: string): Promise<void>;
  /** Turns the marker of a recorded object from open to settled. */
  settle(client: Client, id: string): Promise<void>;

  /** The one request that makes something. Returns as soon as the backend has accepted it; never waits. */
  start(client: Client, inputs: Inputs, marker: Marker, job: Job): Promise<Accepted>;
  /**
   * Waits for accepted work to end. Also called by a later run, with the task from the state. A "failed" error says that
   * the work has ended badly, "notFound" that what was accepted is gone altogether; any other leaves it to be resumed.
   */
  finish(client: Client, accepted: Accepted, inputs: Inputs, job: Job): Promise<Observed>;
  /** What is there now; undefined only where the backend itself says that it is gone. */
  observe(client: Client, id: string, known: State, signal: AbortSignal): Promise<Observed | undefined>;
  /** Changes what differs between `from` and `inputs`, and only that. `known` is the state before. */
  change(client: Client, id: string, from: Observed, inputs: Inputs, known: State, job: Job): Promise<Observed>;
  /** Returns when it is truly gone. Success if it already was. */
  remove(client: Client, id: string, known: State, job: Job): Promise<void>;
  /** What a refresh says about a resource that exists and is of no use ("status error: …"). */
  problem?(client: Client, id: string, state: State): Promise<string | undefined>;
}

export type Operation = "create" | "update" | "delete";

// biome-ignore lint/suspicious/noExplicitAny: the core treats inputs and clients as opaque; each definition types its own.
export type AnyDefinition = Definition<any, any>;

/** In a resource's outputs while work that the backend accepted has not come to its end. */
export interface Pending {
  operation: Operation;
  task: Task;
  since: string;
  /** The work ended, badly: nothing to wait for any more. */
  failed?: true;
}

/** Inputs that the sdk adds to each resource. Never part of a diff; names with `__` stay out of Pulumi's displays. */
export interface HiddenInputs {
  /** The resource's URN: project, stack and place in the tree. Absent on a resource that was only read (`get`). */
  __owner?: string;
  /** A copy of the `customTimeouts` option, which Pulumi does not hand to dynamic providers. */
  __timeouts?: Partial<Record<Operation, string>>;
  __provider?: string;
  /** Not an input: in the outputs of what was adopted, the run that did it. Tells two entries with one id apart. */
  __adopted?: string;
}
