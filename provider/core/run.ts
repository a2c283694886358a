// One provider process is one run of Pulumi (or of its preview). This is what all resources of the run share: the stack
// config, the opened connections, the state as far as it was asked, and what the run says at its end.

import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { attemptKey } from "./attempt";
import { Connections } from "./connection/connections";
import type { AnyDefinition, HiddenInputs, HiddenOutputs, OwnedObject } from "./definition";
import { SnapcloneError } from "./errors";
import type { Patience } from "./http/rateGate";
import { isHeldBy, OwnershipTracker, type StackState, type StateEntry } from "./ownership";
import { stackOfUrn } from "./urn";
import { type Clock, systemClock } from "./util/clock";
import { digest } from "./util/digest";
import { formatDuration, parseDuration } from "./util/duration";

export type Severity = "status" | "info" | "warning";

/** Where words go. `status` replaces the line in the resource's own row; the others stay. */
export type Log = (severity: Severity, text: string, urn?: string) => void;

/** Asks Pulumi for the state of the stack that `urn` belongs to. Throws an error that says why it can't be asked. */
export type AskState = (urn: string, organization: string | undefined, timeoutMs: number) => Promise<StackState>;

/** Creates whose answer a provider process still owes the engine (provider/pulumi/attempts.ts). */
export interface AttemptJournal {
  begin(stack: string, attempt: string): void;
  end(stack: string, attempt: string): void;
  /** The process ends with creates under way: Pulumi's pending operations are the record of these. */
  endAll(): void;
  /** Was the create begun by a process that died without an answer, while Pulumi lived on and recorded a failure? */
  diedAlone(
    stack: string,
    attempt: string,
    urn: string,
    organization: string | undefined,
    timeoutMs: number,
  ): Promise<boolean>;
}

export interface RunOptions {
  log: Log;
  id?: string;
  clock?: Clock;
  /** Default: the state can't be asked, as in a program of another kind. */
  askState?: AskState;
  /** Default: none, so that nothing shows of a provider that died alone. */
  attempts?: AttemptJournal;
  /** What tells this run's state store from any other; see provider/pulumi/origin.ts. Default: "". */
  origin?(): string;
}

/** Stack config, beside the connections. */
export interface RunConfig {
  connections?: string | undefined;
  /** `snapclone:adoptWithin`, a duration. */
  adoptWithin?: string | undefined;
}

/** Objects of an interrupted run are adopted up to this age. */
const ADOPT_WITHIN_MS = 24 * 3_600_000;
/** Objects in no state are named up to this age, so that what a user has let go (`retainOnDelete`) is not named for ever. */
const TELL_WITHIN_MS = 7 * 24 * 3_600_000;
/** What a refresh may wait for a rate limit: it has no deadline of its own. */
const PATIENCE_MS = 600_000;
/** `pulumi stack export` takes half a second (docs/wire/pulumi-engine.md); at the end the process has five seconds. */
const ASK_MS = { meanwhile: 5_000, atTheEnd: 3_000 };
/** More than this are counted and not named. */
const NAMED_AT_ONCE = 20;

export class Run {
  readonly id: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly connections: Connections;
  private readonly options: RunOptions;
  private readonly stopping = new AbortController();
  private readonly trackers = new Map<AnyDefinition, Map<unknown, OwnershipTracker>>();
  private readonly recordedIds = new Map<AnyDefinition, Set<string>>();
  private readonly stacks = new Map<string, string>();
  /** Of a resource of this run: it names project and stack. */
  private urn: string | undefined;
  /** The same as the state has it. */
  private fallbackUrn: string | undefined;
  private organization: string | undefined;
  private state: Promise<StackState> | undefined;
  private readonly withSecrets = new Set<AnyDefinition>();
  private inFlight = 0;
  private readonly operations = new Set<Patience>();
  private config: RunConfig = {};

  constructor(options: RunOptions) {
    // Every wait of the run listens here, hundreds at once: that is no leak to warn of.
    setMaxListeners(0, this.stopping.signal);
    this.options = options;
    this.log = options.log;
    this.id = options.id ?? randomUUID();
    this.clock = options.clock ?? systemClock;
    this.connections = new Connections(
      () => this.config.connections,
      (text) => this.log("warning", text),
      () => this.patience(),
    );
  }

  /** As long as one operation may still take; told in the rows of all, since all wait for the same. */
  private patience(): Patience {
    const operations = [...this.operations];
    const deadlines = operations.map(({ deadline }) => deadline);
    return {
      deadline: operations.length > 0 ? Math.max(...deadlines) : this.clock.now() + PATIENCE_MS,
      signal: this.signal,
      progress: (text) => {
        for (const operation of operations) operation.progress?.(text);
        if (operations.length === 0) this.log("info", text);
      },
    };
  }

  configure(config: RunConfig): void {
    this.config = config;
  }

  /** Aborts when the run is to stop: waits end, what is pending gets recorded. */
  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  /** 0: nothing is ever adopted. */
  get adoptWithinMs(): number {
    const { adoptWithin: text } = this.config;
    if (text === undefined || text.trim() === "") return ADOPT_WITHIN_MS;
    const within = /^0(ms|s|m|h)?$/.test(text.trim()) ? 0 : parseDuration(text.trim());
    if (within !== undefined) return within;
    throw new SnapcloneError({
      kind: "config",
      message: `snapclone:adoptWithin in the stack config is ${JSON.stringify(text)}, which is not a duration`,
      hint: 'Write it like "90m" or "24h"; "0" adopts nothing.',
    });
  }

  /** What `work` begins shares in the waits of requests that are part of no operation, such as a login. */
  async track<T>(work: (begin: <Begun extends Patience>(operation: Begun) => Begun) => Promise<T>): Promise<T> {
    const begun: Patience[] = [];
    this.inFlight += 1;
    try {
      return await work((operation) => {
        begun.push(operation);
        this.operations.add(operation);
        return operation;
      });
    } finally {
      this.inFlight -= 1;
      for (const operation of begun) this.operations.delete(operation);
    }
  }

  /** A call of the engine is for the resource of this URN: the state may still say another (alias, rename). */
  markUrn(urn: string | undefined): void {
    this.urn ??= urn;
  }

  /** The stack's digest as ownership records have it; "" for a resource without an owner. */
  stackOf({ __owner, __organization }: HiddenInputs): string {
    if (__owner === undefined) return "";
    const urn = this.urn ?? __owner;
    this.organization ??= __organization;
    this.fallbackUrn ??= __owner;
    const { stack, project } = stackOfUrn(urn);
    const key = JSON.stringify([__organization, project, stack]);
    const known = this.stacks.get(key);
    if (known !== undefined) return known;
    // Backends of one's own have one organisation, of this name; earlier builds did not store it.
    const text = JSON.stringify([this.options.origin?.() ?? "", __organization ?? "organization", project, stack]);
    const made = digest(text);
    this.stacks.set(key, made);
    return made;
  }

  /** The state, asked once a run; `fresh` asks anew. */
  askState(fresh = false): Promise<StackState> {
    if (this.state !== undefined && !fresh) return this.state;
    this.state = this.exportState(ASK_MS.meanwhile);
    this.state.catch(() => {});
    return this.state;
  }

  /** `work` answers the engine's create of this attempt. */
  async answering<T>(stack: string, attempt: string | undefined, work: () => Promise<T>): Promise<T> {
    const { attempts } = this.options;
    if (!attempts || !attempt || stack === "") return work();
    const key = attemptKey(attempt);
    attempts.begin(stack, key);
    try {
      return await work();
    } finally {
      attempts.end(stack, key);
    }
  }

  async diedAlone(stack: string, attempt: string | undefined): Promise<boolean> {
    const { attempts } = this.options;
    const urn = this.urn ?? this.fallbackUrn;
    if (!attempts || !attempt || urn === undefined) return false;
    return attempts.diedAlone(stack, attemptKey(attempt), urn, this.organization, ASK_MS.meanwhile);
  }

  /** Once a resource of a kind has secret inputs, the run names no object of that kind by anything but its id. */
  markSecrets(definition: AnyDefinition, { __secrets }: HiddenInputs): void {
    if (__secrets !== undefined && __secrets.length > 0) this.withSecrets.add(definition);
  }

  /** How messages name an object of ours: its id and, unless that may be secret, its name; its age and owner. */
  describeOwned(definition: AnyDefinition, object: OwnedObject, now: Date): string {
    return describeOwned(this.withSecrets.has(definition) ? { ...object, label: undefined } : object, now);
  }

  /** A call of the engine carried this id: its state has an entry for it. */
  markRecorded(definition: AnyDefinition, id: string): void {
    const ids = this.recordedIds.get(definition) ?? new Set<string>();
    this.recordedIds.set(definition, ids.add(id));
  }

  /**
   * Another entry of the state with this id, one that stays. Builds before 0.2 could make such a pair: a `--replace` that
   * adopted the object it was to replace, and was killed. Entries of this build know their stack, and have no twin.
   */
  async twinOf(id: string, known: HiddenOutputs): Promise<StateEntry | undefined> {
    if (known.__stack !== undefined || known.__owner === undefined) return undefined;
    this.stackOf(known);
    const state = await this.askState().catch(() => undefined);
    return state?.entries.find(
      (entry) =>
        entry.id === id &&
        !entry.leaving &&
        !entry.external &&
        (entry.adopted !== known.__adopted || entry.attempt !== known.__attempt),
    );
  }

  tracker(definition: AnyDefinition, client: unknown): OwnershipTracker {
    const byClient = this.trackers.get(definition) ?? new Map<unknown, OwnershipTracker>();
    this.trackers.set(definition, byClient);
    const tracker = byClient.get(client) ?? new OwnershipTracker(definition, client);
    byClient.set(client, tracker);
    return tracker;
  }

  /** Ends every wait. The engine also says "cancel" when a run ends in good order: then nothing is in flight. */
  stop(reason: string): void {
    if (this.inFlight === 0) return;
    this.stopping.abort(new Error(reason));
  }

  /** The engine is done and asks the process to end: the last moment for words. Writes nothing on any backend. */
  async end(): Promise<void> {
    this.options.attempts?.endAll();
    await this.tellOrphans().catch(() => {});
    // A login that is taken away would fail what is still under way.
    if (this.inFlight === 0) await this.connections.close();
  }

  private async tellOrphans(): Promise<void> {
    const unknown: { definition: AnyDefinition; objects: OwnedObject[]; made: OwnershipTracker; now: Date }[] = [];
    for (const [definition, byClient] of this.trackers) {
      for (const [client, tracker] of byClient) {
        const recorded = this.recordedIds.get(definition);
        const all = await tracker.current(this.urnPrefix).catch(() => tracker.madeObjects());
        const objects = all.filter(({ id }) => tracker.madeHere(id) || !recorded?.has(id));
        const now = definition.serverTime?.(client) ?? this.clock.date();
        if (objects.length > 0) unknown.push({ definition, objects, made: tracker, now });
      }
    }
    if (unknown.length === 0) return;
    let state: StackState = { entries: [], pendingCreates: [] };
    let reason: string | undefined;
    try {
      state = await this.exportState(ASK_MS.atTheEnd);
    } catch (error) {
      // No witness at all is a setting, and said when something could have been adopted. A state that can't be read is news.
      if (error instanceof NoWitness) return;
      reason = error instanceof Error ? error.message : String(error);
    }
    for (const { definition, objects, made, now } of unknown) {
      const unrecorded = objects
        .filter((object) => !isHeldBy(state, object) && (reason === undefined || made.madeHere(object.id)))
        .filter((object) => made.madeHere(object.id) || ageMs(object, now) <= TELL_WITHIN_MS);
      const orphans = unrecorded.length === 0 ? [] : await this.stillThere(unrecorded, made);
      const described = orphans.map((object) => this.describeOwned(definition, object, now));
      if (orphans.length > 0) this.log("warning", orphanText(definition, described, reason));
    }
  }

  /** A list of the run's beginning shows what another process of the run has deleted since (`--replace "**"`). */
  private async stillThere(
    objects: readonly OwnedObject[],
    tracker: OwnershipTracker,
  ): Promise<readonly OwnedObject[]> {
    const current = await tracker.current(this.urnPrefix, "afresh").catch(() => undefined);
    if (current === undefined) return objects;
    const ids = new Set(current.map(({ id }) => id));
    return objects.filter(({ id }) => ids.has(id));
  }

  /** What the URNs of this stack's resources begin with. */
  private get urnPrefix(): string {
    const { stack, project } = stackOfUrn(this.urn ?? this.fallbackUrn ?? "");
    return `urn:pulumi:${stack}::${project}::`;
  }

  private async exportState(timeoutMs: number): Promise<StackState> {
    const { askState } = this.options;
    const urn = this.urn ?? this.fallbackUrn;
    if (askState === undefined || urn === undefined) throw new NoWitness("this process can't ask Pulumi for the state");
    return askState(urn, this.organization, timeoutMs);
  }
}

/** The state can't be asked in this run at all: no `pulumi` is to be found, or it saves nothing. */
export class NoWitness extends Error {}

function describeOwned({ id, label, createdAt, owner }: OwnedObject, now: Date): string {
  const age = createdAt === undefined ? Number.NaN : now.getTime() - Date.parse(createdAt);
  const made = Number.isNaN(age) ? "" : `, made ${createdAt} (${formatDuration(Math.max(0, age))} ago)`;
  return `${id}${label ? ` "${label}"` : ""}${made}${owner ? `, for ${owner}` : ""}`;
}

function orphanText({ displayName }: AnyDefinition, orphans: readonly string[], reason: string | undefined): string {
  const lines = orphans.slice(0, NAMED_AT_ONCE).map((orphan) => `  ${orphan}`);
  if (orphans.length > lines.length) lines.push(`  and ${orphans.length - lines.length} more`);
  const head =
    reason === undefined
      ? `in no state: ${orphans.length === 1 ? `${/^[aeiou]/.test(displayName) ? "an" : "a"} ${displayName}` : `${orphans.length} of the kind ${displayName}`} that this stack made and its state does not hold`
      : `perhaps in no state (${reason}): what this run made of the kind ${displayName}`;
  return [
    `${head}:`,
    ...lines,
    "`pulumi up` adopts what an interrupted run left of a resource that is still to be made. Delete the rest on the backend if " +
      "nobody needs it. What `pulumi state move` gave to another stack is named here until that stack's next `pulumi up` " +
      '(docs/ownership.md, "Objects in no state").',
  ].join("\n");
}

function ageMs({ createdAt }: OwnedObject, now: Date): number {
  const made = createdAt === undefined ? Number.NaN : Date.parse(createdAt);
  return Number.isNaN(made) ? 0 : now.getTime() - made;
}
