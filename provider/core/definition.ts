// What a resource is to the core: its inputs as data, and the few hooks that differ from backend to backend. The core does
// the rest once for all of them: check, diff, adopt, wait with a deadline, record, resume.
//
// The order of the hooks. Create: listOwned, then recordOwnership (an adoption) or beginCreate, then waitForCreate. Update: read,
// then recordOwnership if the owner has changed, then update. Delete: delete. After a "not found": identity, then doubtAbsence.

import type { ZodType } from "zod";
import type { ConnectionKind } from "./connection/connections";
import type { SnapcloneError } from "./errors";
import type { Clock } from "./util/clock";

/** What a change of an input does to an existing resource. */
export type ChangeEffect = "replace" | "update" | "ignore";

export interface CheckFailure {
  property: string;
  reason: string;
}

export interface InputRule<T> {
  /** Refuses bad values and normalises good ones (trimmed, lower case). Never sees a preview's unknown. */
  schema: ZodType<T | undefined>;
  /** A function where old state decides, without the network: `diff` runs in previews. */
  onChange: ChangeEffect | ((olds: State, news: State) => ChangeEffect);
  /** What the backend does where the input is absent. Writing it out is no change. */
  default?: T;
  /** For an input that can change in place in part only: the part that cannot. It goes into the fingerprint. */
  immutableKey?(value: T | undefined): unknown;
}

/** A resource's outputs as Pulumi stores them. Untyped, because early builds wrote some of them. */
export type State = Readonly<Record<string, unknown>>;

/** Enough to find accepted work again when this process is gone. JSON, since it is stored in the state. */
export type Task = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Work that the backend has accepted. From now on the resource is recorded, even if the operation fails. */
export interface AcceptedOperation {
  /** Becomes the Pulumi resource's id: never empty, never changes. */
  id: string;
  task: Task;
  /** What the accepting answer already showed. Saves the first fetch; not stored. */
  initialState?: unknown;
}

/** What the provider writes on each object that it makes (docs/ownership.md). */
export interface OwnershipRecord {
  /** Digest of the state's origin, organisation, project and stack. "" where the owner is unknown. */
  stack: string;
  /** The resource's URN, shortened to what `recordLengths` allows. "" for a resource without an owner. */
  owner: string;
  /** Fingerprint of the inputs that can't change in place. */
  inputs: string;
  /** Which create made the object. The state's entry and its pending operation have the same text. */
  attempt?: string;
}

/** An object on the backend that has an ownership record. */
export interface OwnedObject extends AcceptedOperation {
  /** Absent on objects of early builds. */
  stack?: string | undefined;
  owner: string;
  inputs: string;
  attempt?: string | undefined;
  /** Written by early builds: `settled` is never adopted. */
  phase?: "open" | "settled" | undefined;
  /** By the backend's own clock, ISO 8601 with its zone. Without it an object is never adopted. */
  createdAt?: string | undefined;
  /** What messages add to the id, such as the object's name. */
  label?: string | undefined;
  /** A set: the backend's ids of the objects that have its record. Absent: `id` is the only one. */
  objects?: readonly string[] | undefined;
  /** The inputs of the object, as far as the backend shows them. */
  state: State;
}

export interface ListScope {
  /** `OwnershipRecord.stack` of this run. */
  stack: string;
  /** What `listScope` of the definition returned; "" without it. */
  place: string;
}

/** What `snapclone orphans` knows when it asks for all records. */
export interface RecordSearch {
  /** `OwnershipRecord.stack` of the stack in question; "" if it is not known. */
  stack: string;
  /** URNs of resources of this type that the stack has or had: some backends store only a digest of the owner. */
  urns: readonly string[];
  /** Inputs of such resources: for a backend that lists only by a part of the inputs. */
  inputs: readonly State[];
}

export interface Observed {
  /** Every output, and every input as it stands on the backend. Inputs that a backend can't tell are left out. */
  state: Record<string, unknown>;
}

/** What a hook may use of its operation. */
export interface OperationContext {
  readonly clock: Clock;
  /** On `clock`, in milliseconds. */
  readonly deadline: number;
  /** Aborts when the run is cancelled or the CLI is gone. For waiting; never given to a request that changes something. */
  readonly signal: AbortSignal;
  /** `OwnershipRecord.stack` of this run. */
  readonly stack: string;
  /** Shown in the resource's own row while it runs. */
  progress(text: string): void;
  /** Shown among the resource's diagnostics: what was done, and that nothing else shows. */
  info(text: string): void;
  /** Shown among the resource's diagnostics. */
  warn(text: string): void;
  /**
   * Warns that a policy forbids a write which nothing but the provider needs, in place of a failure. `what` stays as it is.
   * The policy is the same for all objects of a connection, so a run tells each reason once.
   */
  warnForbidden(what: string, error: SnapcloneError): void;
  /** Records the work that an `update` has started, until `done`: a later run's `waitForCreate` resumes it. */
  accepted(task: Task): void;
  done(): void;
}

/** A record's owner has begun this, and has not noted its end. */
export interface WorkUnderWay {
  /** "a revert of the volume 11…". */
  work: string;
  /** The command by which a user removes the note of it, if no run will ever end it. */
  forget: string;
}

/** The ownership record on a part of what is to be imported. A part without a record has an empty owner. */
export interface RecordedPart {
  /** The backend's id of the part. */
  id: string;
  /** How messages name the part: "snapshot 7c0e…". */
  object: string;
  /** The id under which a state holds the part. */
  holder: string;
  stack?: string | undefined;
  owner: string;
  attempt?: string | undefined;
  /** What the record consists of: keys of metadata, tags, or their ids. */
  written: readonly string[];
  /** What the record's owner has begun with the part and not ended. Nobody may take the part's record away then. */
  underWay?: WorkUnderWay | undefined;
}

/** Something on the backend that the `import` option names. */
export interface Importable extends Observed {
  /** Becomes the Pulumi resource's id. For the same URN and the same option the same, so that a killed import is resumed. */
  id: string;
  /** The backend's ids of all that is taken over. Two resources of a run can't take over the same. */
  objects: readonly string[];
  parts: readonly RecordedPart[];
  /** As `read` returns it, with every input that the backend shows; null where the backend shows that there is none. */
  state: Record<string, unknown>;
}

export interface Importer<Inputs, Client> {
  /** Checks and normalises the option, without the network. */
  id: ZodType<string>;
  /**
   * Reads what is to be taken over, and changes nothing. undefined only on the backend's own "not found". Throws where the
   * object is of no use: of another kind, incomplete, failed. `inputs` are empty for Pulumi's own import.
   */
  find(
    client: Client,
    importId: string,
    record: OwnershipRecord,
    inputs: Partial<Inputs>,
    context: OperationContext,
  ): Promise<Importable | undefined>;
  /** Inputs that `find` reads, and that a backend does not show: `snapclone import` asks the user for them. */
  needs?: readonly (keyof Inputs & string)[];
  /** Values of `needs` that follow from the id alone and keep the imported objects as they are. */
  inputsOf?(importId: string): Partial<Inputs>;
  /** The command by which a user removes the ownership records of these parts. */
  forget(parts: readonly RecordedPart[]): string;
  /** Removes the ownership records of these parts, and nothing else, for `snapclone import --take`. May be repeated. */
  removeRecords(client: Client, parts: readonly RecordedPart[]): Promise<void>;
}

export interface Definition<Inputs extends object, Client> {
  /** What messages call it: "snapshot". */
  displayName: string;
  connection: ConnectionKind<Client>;
  /** Each input exactly once. */
  inputs: { [K in keyof Inputs]-?: InputRule<Inputs[K]> };
  /** The input that gets `<resource>-<7 hex>` where the program gives none. */
  autoName?: keyof Inputs & string;
  /** Defaults of `customTimeouts`, as Go durations. */
  timeouts: Record<Operation, string>;
  /** Set where old and new cannot exist together. Default false: create first, so that the data always have a copy. */
  deleteBeforeReplace?: boolean;
  /** How many characters the backend stores of a record's fields. Default: owner 255, inputs 32, attempt 16. */
  recordLengths?: { owner: number; inputs: number; attempt: number };
  /** What the next `up` does about an object whose create failed: replace it, or finish it by `update`. */
  onFailedCreate: "replace" | "update";
  /** Outputs that repeat the value of an input of another name: secret where that input is secret. */
  derivedOutputs?: Readonly<Record<string, readonly (keyof Inputs & string)[]>>;
  /** Outputs whose values are certain before a create or an update: a preview of the native provider shows them. */
  expectedOutputs?: State;
  /** Outputs that no change in place changes. */
  stableOutputs?: readonly string[];
  /**
   * For a set, whose id is none of the backend's: the backend's ids of all that an entry with these outputs holds. Outputs may
   * be encrypted, or of an early build, so an output of another form has none.
   */
  members?(outputs: State): readonly string[];

  /**
   * A part of the resource that is missing or unfinished, which the outputs show and the inputs don't. The next `up` acts
   * on it. Not called for a resource with `pending` work.
   */
  divergence?(olds: State, news: State): { output: string; effect: "replace" | "update" } | undefined;

  /** Takes existing objects over, or says why that can't be. Absent: it can't be. */
  import?: Importer<Inputs, Client> | { refusal: string };

  /**
   * Checks inputs against each other, and against those that the state has (`olds`, empty for a new resource). `unknown`
   * names those that a preview does not know, or that are invalid.
   */
  validate?(inputs: Partial<Inputs>, unknown: ReadonlySet<string>, olds: State): CheckFailure[];
  /**
   * Asks the backend whether it would create this, and changes nothing. `check` calls it for a new resource when all
   * inputs are known and valid. It runs in previews too, so it sends nothing unless its connection asks for that.
   */
  dryRun?(
    client: Client,
    inputs: Inputs,
    context: Pick<OperationContext, "clock" | "signal" | "warn" | "stack"> & { owner: string },
  ): Promise<CheckFailure[]>;

  /**
   * What an update would do that a list of changed inputs does not show, such as data that are lost. `diff` gives it as a
   * warning, in previews too. `id` is the resource's.
   */
  announceUpdate?(id: string, olds: State, news: State): string | undefined;

  /** How a message names one of these: `snapshot "nightly"`. Gets inputs or outputs, whichever there are. */
  describe(known: State): string;

  /**
   * Scope of `listOwned` on a backend that cannot list by stack. Creates with the same scope share one list. The inputs
   * have `__owner`, by which a definition recognises the records of early builds.
   */
  listScope?(record: OwnershipRecord, inputs: State): string;
  /** Every object of the stack, and every object that an early build recorded as `open`. Says only what is there. */
  listOwned(client: Client, scope: ListScope): Promise<readonly OwnedObject[]>;
  /**
   * Every object that has a record, whichever stack's, for `snapclone orphans`. `stack` is undefined where the record does
   * not tell. Changes nothing.
   */
  listRecorded?(client: Client, search: RecordSearch): Promise<readonly OwnedObject[]>;
  /**
   * Set where `delete` needs what no record has, so that `snapclone orphans --remove` can't remove an object that is in no
   * state: why, and what the user can do.
   */
  deleteNeedsState?: string;
  /**
   * Writes the record on an existing object: at an adoption, and when the resource's owner or stack has changed.
   * `known` is the object's state; `inputs` are what the program wants of it.
   */
  recordOwnership(client: Client, id: string, record: OwnershipRecord, known: State, inputs: Inputs): Promise<void>;

  /** Sends the one request that makes something. Returns as soon as the backend has accepted it; never waits. */
  beginCreate(
    client: Client,
    inputs: Inputs,
    record: OwnershipRecord,
    context: OperationContext,
  ): Promise<AcceptedOperation>;
  /**
   * Waits for accepted work to end. A later run calls it, too, with the task from the state. A "failed" error says that
   * the work ended badly, "notFound" that the accepted object is proven gone. Any other error leaves it to be resumed.
   */
  waitForCreate(
    client: Client,
    accepted: AcceptedOperation,
    inputs: Inputs,
    context: OperationContext,
  ): Promise<Observed>;
  /** The present state; undefined only where the backend itself says that this id does not exist. */
  read(client: Client, id: string, known: State, signal: AbortSignal): Promise<Observed | undefined>;
  /** Changes what differs between `from` and `inputs`, and only that. `known` is the state before. */
  update(
    client: Client,
    id: string,
    from: Observed,
    inputs: Inputs,
    known: State,
    context: OperationContext,
  ): Promise<Observed>;
  /** Returns when the object is gone: "deleted" by this call, or "missing" where nothing of it was there to begin with. */
  delete(client: Client, id: string, known: State, context: OperationContext): Promise<"deleted" | "missing">;
  /** Why an existing object is of no use ("status error: …"), for a refresh to warn. */
  diagnose?(client: Client, id: string, state: State): Promise<string | undefined>;

  /** Which backend the login reaches ("project … in region …"). Stored with the outputs. */
  identity(client: Client, known: State, signal: AbortSignal): Promise<string>;
  /**
   * Called when an object of the state was not found and the identity is the recorded one, or none was recorded.
   * Returns why the absence proves nothing (the login can't see what the object belongs to); undefined if it is proof.
   */
  doubtAbsence?(client: Client, known: State, signal: AbortSignal): Promise<string | undefined>;
  /** The backend's clock, from the `Date` of its latest answer. Default: this machine's. */
  serverTime?(client: Client): Date | undefined;
}

export type Operation = "create" | "update" | "delete";

// biome-ignore lint/suspicious/noExplicitAny: the core treats inputs and clients as opaque; each definition types its own.
export type AnyDefinition = Definition<any, any>;

/** In a resource's outputs while work that the backend has accepted has not ended. */
export interface Pending {
  operation: Operation;
  task: Task;
  since: string;
  /** How long the operation may take, where the program says so: what resumes the work gets the same time. */
  timeoutMs?: number;
  /** The work has failed, so there is nothing to wait for. */
  failed?: true;
}

/** Inputs that the sdk or `check` add to each resource. Never part of a diff; Pulumi does not display names with `__`. */
export interface HiddenInputs {
  /** The resource's URN: project, stack and place in the tree. Absent on a resource that is only read (`get`). */
  __owner?: string;
  /** The stack's organisation, which the URN does not have. */
  __organization?: string;
  /** A copy of the `customTimeouts` option, which Pulumi does not hand to dynamic providers. */
  __timeouts?: Partial<Record<Operation, string>>;
  /** Paths of the inputs that are secret: Pulumi hands dynamic providers plain values. */
  __secrets?: readonly string[];
  /** Made by `check` for a new resource; see OwnershipRecord. */
  __attempt?: string;
  /** The `import` option of the program: what `create` takes over (provider/core/import.ts). */
  __import?: string;
  /** Kept by `check` from the create on: what the resource took over. The option may leave the program. */
  __imported?: string;
  __provider?: string;
}

/** Outputs that Pulumi's displays don't show, beside the hidden inputs. */
export interface HiddenOutputs extends HiddenInputs {
  /** `OwnershipRecord.stack` that was last written on the object. */
  __stack?: string;
  /** The backend that the object is on. */
  __backend?: string;
  /** A digest of what the connection's settings reach (`ConnectionKind.target`). */
  __target?: string;
  /**
   * Pulumi's own import has written this entry, and no update has succeeded since. It knows no program, so an input that the
   * outputs lack may have any value.
   */
  __programUnknown?: boolean;
  /** Where the outputs of a dynamic resource have values that are no secrets of the program any more. */
  __formerSecrets?: readonly string[];
  /** Written by early builds: the run that adopted the object. */
  __adopted?: string;
}
