// What all resources of one run share: the stack config, the opened connections, the exported state, and the warnings at the
// end. One provider process is one run of Pulumi, or of its preview.

import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { attemptKey } from "./attempt";
import { type ConnectionRequest, Connections } from "./connection/connections";
import { UNBOUND_PATIENCE_MS, withOperations } from "./currentOperation";
import type { AnyDefinition, HiddenInputs, HiddenOutputs, OwnedObject } from "./definition";
import { SnapcloneError } from "./errors";
import type { Patience } from "./http/rateGate";
import { describeOwned, orphanWarnings } from "./orphans";
import {
  OwnershipTracker,
  type StackState,
  type StateEntry,
  StateUnavailable,
  shortOwner,
  stackDigest,
} from "./ownership";
import { Repeats } from "./repeats";
import { stackOfUrn } from "./urn";
import { type Clock, systemClock } from "./util/clock";
import { parseDuration } from "./util/duration";

export type Severity = "status" | "info" | "warning";

/** Where messages go. `status` replaces the line in the resource's own row; the others stay. */
export type Log = (severity: Severity, text: string, urn?: string) => void;

/** Exports the state of the stack that `urn` belongs to. Throws an error that says why it cannot be exported. */
export type AskState = (urn: string, organization: string | undefined, timeoutMs: number) => Promise<StackState>;

/** Creates that a provider process has begun and not answered (provider/pulumi/attempts.ts). */
export interface AttemptJournal {
  begin(stack: string, attempt: string): void;
  end(stack: string, attempt: string): void;
  /** For a process that ends with creates under way: Pulumi's pending operations record these. */
  endAll(): void;
  /** True if the provider died without an answer to this create, while Pulumi lived on and recorded a failure. */
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
  /** Default: the state cannot be exported. */
  askState?: AskState;
  /** Default: none, so a provider that died alone leaves no evidence. */
  attempts?: AttemptJournal;
  /** Identifies this run's state store (provider/pulumi/origin.ts). Default: "". */
  origin?(): string;
  /** When the engine turned to this process for this run. Default: now. */
  startedAt?: Date;
  /** Where connections are read. Default: this process's. */
  place?: Pick<ConnectionRequest, "env" | "cwd" | "home">;
  /** How long a request that belongs to no operation may wait for a backend. Default: ten minutes. */
  patienceMs?: number;
}

/** Stack config, beside the connections. */
export interface RunConfig {
  connections?: string | undefined;
  /** `snapclone:adoptWithin`, a duration. */
  adoptWithin?: string | undefined;
}

/** Older objects of an interrupted run are not adopted. */
const ADOPT_WITHIN_MS = 24 * 3_600_000;
/**
 * `pulumi stack export` takes half a second, and on a machine with ten times its load more than five: without an answer an
 * interrupted create is not adopted. At the end the process has five seconds (docs/wire/pulumi-engine.md).
 */
const EXPORT_MS = { meanwhile: 20_000, atTheEnd: 3_000 };

export class Run {
  readonly id: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly connections: Connections;
  readonly repeats = new Repeats();
  private readonly options: RunOptions;
  private readonly stopping = new AbortController();
  private readonly trackers = new Map<AnyDefinition, Map<unknown, OwnershipTracker>>();
  private readonly recordedIds = new Map<AnyDefinition, Set<string>>();
  private readonly stacks = new Map<string, string>();
  /** The URNs that this run has been called for, as records have them. */
  private readonly owners = new Set<string>();
  /** The URN of a resource of this run, which names project and stack. */
  private urn: string | undefined;
  /** The same from the state, where the engine has named none. */
  private fallbackUrn: string | undefined;
  private organization: string | undefined;
  private state: Promise<StackState> | undefined;
  private exporting: Promise<StackState> | undefined;
  /** Begins when `exporting` has ended. */
  private nextExport: Promise<StackState> | undefined;
  private readonly withSecrets = new Set<AnyDefinition>();
  private readonly told = new Set<string>();
  private readonly startedAt: Date;
  private inFlight = 0;
  private readonly operations = new Set<Patience>();
  private config: RunConfig = {};

  constructor(options: RunOptions) {
    // Hundreds of polls listen to this signal at once, and Node.js would warn of a leak.
    setMaxListeners(0, this.stopping.signal);
    this.options = options;
    this.log = options.log;
    this.id = options.id ?? randomUUID();
    this.clock = options.clock ?? systemClock;
    this.startedAt = options.startedAt ?? this.clock.date();
    this.connections = new Connections(
      () => this.config.connections,
      (text) => this.log("warning", text),
      () => this.patience(),
      options.place,
    );
  }

  /** For shared requests: lasts as long as the longest operation under way, and shows its waits in the rows of all operations. */
  private patience(): Patience {
    const operations = [...this.operations];
    const deadlines = operations.map(({ deadline }) => deadline);
    return {
      deadline:
        operations.length > 0
          ? Math.max(...deadlines)
          : this.clock.now() + (this.options.patienceMs ?? UNBOUND_PATIENCE_MS),
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

  /** Aborts when the run is stopped: waits end, and pending work is recorded. */
  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  /** 0 where nothing may be adopted. */
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

  /**
   * Requests that `work` sends belong to the operation that `work` has begun. All operations under way show the waits of
   * requests that they share, such as a login.
   */
  async track<T>(work: (begin: <Begun extends Patience>(operation: Begun) => Begun) => Promise<T>): Promise<T> {
    const begun: Patience[] = [];
    this.inFlight += 1;
    try {
      // The engine may send hundreds of requests at once.
      await this.clock.yield?.();
      return await withOperations(this.clock, (bind) =>
        work((operation) => {
          begun.push(operation);
          this.operations.add(operation);
          bind(operation);
          return operation;
        }),
      );
    } finally {
      this.inFlight -= 1;
      for (const operation of begun) this.operations.delete(operation);
    }
  }

  /** The engine has called for the resource of this URN. The state may still have another (alias, rename). */
  registerUrn(urn: string | undefined): void {
    this.urn ??= urn;
  }

  /** The stack's digest as ownership records have it; "" for a resource without an owner. */
  stackOf({ __owner, __organization }: HiddenInputs): string {
    if (__owner === undefined) return "";
    this.owners.add(__owner);
    const urn = this.urn ?? __owner;
    this.organization ??= __organization;
    this.fallbackUrn ??= __owner;
    const { stack, project } = stackOfUrn(urn);
    const key = JSON.stringify([__organization, project, stack]);
    const known = this.stacks.get(key);
    if (known !== undefined) return known;
    const made = stackDigest(this.options.origin?.() ?? "", __organization, { project, stack });
    this.stacks.set(key, made);
    return made;
  }

  /**
   * The state, exported once a run; `fresh` exports it after this call. An export takes half a second of a processor, so one
   * runs at a time: all calls during an export share the next.
   */
  askState(fresh = false): Promise<StackState> {
    if (this.state !== undefined && !fresh) return this.state;
    const { nextExport, exporting } = this;
    this.state = nextExport ?? (exporting === undefined ? this.beginExport() : this.exportAfter(exporting));
    this.state.catch(() => {});
    return this.state;
  }

  /**
   * True if the state shows that this run imports the object by Pulumi's own import. Pulumi saves that before it reads the
   * object. A preview saves nothing, and a state that is older than this run shows an import that was killed.
   */
  imports({ pendingImports = [], savedAt }: StackState, urn: string, importId: string): boolean {
    if (savedAt === undefined || savedAt < this.startedAt) return false;
    return pendingImports.some((one) => one.urn === urn && one.importId === importId);
  }

  private beginExport(): Promise<StackState> {
    const running = this.exportState(EXPORT_MS.meanwhile);
    const ended = () => {
      if (this.exporting === running) this.exporting = undefined;
    };
    this.exporting = running;
    running.then(ended, ended);
    return running;
  }

  private exportAfter(running: Promise<StackState>): Promise<StackState> {
    const next = running
      .catch(() => {})
      .then(() => {
        this.nextExport = undefined;
        return this.beginExport();
      });
    this.nextExport = next;
    return next;
  }

  /** `work` answers the engine's create of this attempt: until then the journal holds the attempt. */
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
    return attempts.diedAlone(stack, attemptKey(attempt), urn, this.organization, EXPORT_MS.meanwhile);
  }

  /** False if this run has told the same before. */
  isFirst(warning: string): boolean {
    const isNew = !this.told.has(warning);
    this.told.add(warning);
    return isNew;
  }

  /** After a resource with secret inputs, messages name objects of its kind by their ids only. */
  registerSecretInputs(definition: AnyDefinition, { __secrets }: HiddenInputs): void {
    if (__secrets !== undefined && __secrets.length > 0) this.withSecrets.add(definition);
  }

  /** How messages name an owned object: its id and, unless that may be secret, its name; its age and its owner. */
  describeOwned(definition: AnyDefinition, object: OwnedObject, now: Date): string {
    const label = this.withSecrets.has(definition) ? undefined : object.label;
    return describeOwned({ ...object, label, owner: this.fullOwner(definition, object) }, now);
  }

  /** The URN where the backend has room for a digest of it only, if this run knows the URN. */
  private fullOwner(definition: AnyDefinition, { owner }: OwnedObject): string {
    if (owner === "" || this.owners.has(owner)) return owner;
    const digests = [...this.stacks.values()];
    const isOfObject = (urn: string) => digests.some((stack) => shortOwner(definition, stack, urn) === owner);
    return [...this.owners].find(isOfObject) ?? owner;
  }

  /** The engine has called with this id, so the state has an entry for it. */
  registerRecorded(definition: AnyDefinition, id: string): void {
    const ids = this.recordedIds.get(definition) ?? new Set<string>();
    this.recordedIds.set(definition, ids.add(id));
  }

  /**
   * Another entry of the state that has this id and is not to be deleted. Early builds could make such a pair: a
   * `--replace` adopted the object that it was to replace, and was killed. Entries with a stack are of later builds. Where old
   * and new can't exist together, the id does not tell them apart: the replacement of what is gone already has the same.
   */
  async twinOf(definition: AnyDefinition, id: string, known: HiddenOutputs): Promise<StateEntry | undefined> {
    const isOld = known.__stack === undefined;
    if (known.__owner === undefined || !(isOld || definition.deleteBeforeReplace)) return undefined;
    this.stackOf(known);
    // The replacement may be of this run.
    const state = await this.askState(!isOld).catch(() => undefined);
    const same = (state?.entries ?? []).filter((entry) => entry.id === id && !entry.external);
    const isOther = ({ adopted, attempt }: StateEntry) => adopted !== known.__adopted || attempt !== known.__attempt;
    return same.length < 2 ? undefined : same.find((entry) => !entry.leaving && isOther(entry));
  }

  tracker(definition: AnyDefinition, client: unknown): OwnershipTracker {
    const byClient = this.trackers.get(definition) ?? new Map<unknown, OwnershipTracker>();
    this.trackers.set(definition, byClient);
    const tracker = byClient.get(client) ?? new OwnershipTracker(definition, client);
    byClient.set(client, tracker);
    return tracker;
  }

  /** Ends every wait. The engine also cancels when a run ends in good order, but then nothing is in flight. */
  stop(reason: string): void {
    if (this.inFlight === 0) return;
    this.stopping.abort(new Error(reason));
  }

  /** The engine is done and asks the process to end. Warns about orphans; writes nothing on any backend. */
  async end(): Promise<void> {
    this.options.attempts?.endAll();
    await this.warnAboutOrphans().catch(() => {});
    // Closing a connection would fail the requests that are under way.
    if (this.inFlight === 0) await this.connections.close();
  }

  private async warnAboutOrphans(): Promise<void> {
    const watched = [...this.trackers].flatMap(([definition, byClient]) =>
      [...byClient].map(([client, tracker]) => ({
        definition,
        tracker,
        recordedIds: this.recordedIds.get(definition) ?? new Set<string>(),
        now: definition.serverTime?.(client) ?? this.clock.date(),
      })),
    );
    const warnings = await orphanWarnings(watched, {
      urnPrefix: this.urnPrefix,
      exportState: () => this.exportState(EXPORT_MS.atTheEnd),
      describe: (definition, object, now) => this.describeOwned(definition, object, now),
    });
    for (const warning of warnings) this.log("warning", warning);
  }

  /** What the URNs of this stack's resources begin with. */
  private get urnPrefix(): string {
    const { stack, project } = stackOfUrn(this.urn ?? this.fallbackUrn ?? "");
    return `urn:pulumi:${stack}::${project}::`;
  }

  private async exportState(timeoutMs: number): Promise<StackState> {
    const { askState } = this.options;
    const urn = this.urn ?? this.fallbackUrn;
    if (askState === undefined || urn === undefined)
      throw new StateUnavailable("this process can't ask Pulumi for the state");
    return askState(urn, this.organization, timeoutMs);
  }
}
