// One provider process is one run of Pulumi (or of its preview). This is what all resources of the run share: the stack
// config, the opened connections, what is in flight, which ids the engine knows, and how the run ends.

import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { type Clock, systemClock } from "./clock";
import { Connections } from "./connections";
import type { AnyDefinition, HiddenInputs } from "./definition";
import { Ledger } from "./ledger";

export type Severity = "status" | "info" | "warning";

/** Where words go. `status` replaces the line in the resource's own row; the others stay. */
export type Log = (severity: Severity, text: string, urn?: string) => void;

export interface RunOptions {
  log: Log;
  /** The same in all provider processes of one run of Pulumi, and in no other run. */
  id?: string;
  clock?: Clock;
  siblings?: Siblings;
}

/** The other provider processes of this run of Pulumi: after a `--replace "**"` there are two, each with entries of its own. */
export interface Siblings {
  tell(living: Living): void;
  /** By all processes, this one among them. */
  told(): readonly Living[];
  /** The run has ended: no note is needed any more. */
  forget(): void;
}

/** An entry of the state that goes on living: what it is, its id, and which run adopted it. */
export type Living = readonly [noun: string, id: string, adopted: string];

export class Run {
  readonly id: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly connections: Connections;
  private readonly siblings: Siblings | undefined;
  private readonly stopping = new AbortController();
  private readonly ledgers = new Map<AnyDefinition, Map<unknown, Ledger>>();
  private readonly knownIds = new Map<AnyDefinition, Set<string>>();
  private readonly living = new Map<AnyDefinition, Map<string, string | undefined>>();
  private inFlight = 0;
  private interrupted = false;
  private stackConfig: string | undefined;

  constructor({ log, id = randomUUID(), clock = systemClock, siblings }: RunOptions) {
    // Every wait of the run listens here, hundreds at once: that is no leak to warn of.
    setMaxListeners(0, this.stopping.signal);
    this.log = log;
    this.id = id;
    this.clock = clock;
    this.siblings = siblings;
    this.connections = new Connections(
      () => this.stackConfig,
      (text) => log("warning", text),
    );
  }

  configure(connections: string | undefined): void {
    this.stackConfig = connections;
  }

  /** Aborts when the run is to stop: waits end, what is pending gets recorded. */
  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  async track<T>(operation: () => Promise<T>): Promise<T> {
    this.inFlight += 1;
    try {
      return await operation();
    } finally {
      this.inFlight -= 1;
    }
  }

  /** The engine showed that it has recorded this id. */
  sawId(definition: AnyDefinition, id: string): void {
    this.idsOf(definition).add(id);
  }

  /** The engine showed an entry of its state that goes on living, not one that waits to be deleted. */
  sawLiving(definition: AnyDefinition, id: string, { __adopted }: HiddenInputs): void {
    this.sawId(definition, id);
    const living = this.living.get(definition) ?? new Map<string, string | undefined>();
    this.living.set(definition, living);
    living.set(id, __adopted);
    // Only what was adopted can have a second entry, and that one may be another process's to delete.
    if (__adopted !== undefined) this.siblings?.tell([definition.noun, id, __adopted]);
  }

  /** Does another entry of the state live on under this id? That comes of a run that adopted, and was killed. */
  livesElsewhere(definition: AnyDefinition, id: string, { __adopted }: HiddenInputs): boolean {
    const living = this.living.get(definition);
    if (living?.has(id) && living.get(id) !== __adopted) return true;
    const told = this.siblings?.told() ?? [];
    return told.some(([noun, other, adopted]) => noun === definition.noun && other === id && adopted !== __adopted);
  }

  ledger(definition: AnyDefinition, client: unknown): Ledger {
    const byClient = this.ledgers.get(definition) ?? new Map<unknown, Ledger>();
    this.ledgers.set(definition, byClient);
    let ledger = byClient.get(client);
    if (!ledger) {
      ledger = new Ledger(
        (place) => definition.listOpen(client, place),
        (id) => definition.settle(client, id),
        this.idsOf(definition),
      );
      byClient.set(client, ledger);
    }
    return ledger;
  }

  /** Ends every wait. The engine also says "cancel" when a run ends in good order: then nothing is in flight. */
  stop(reason: string): void {
    if (this.inFlight === 0) return;
    this.interrupted = true;
    this.stopping.abort(new Error(reason));
  }

  /**
   * The engine is done and asks the process to end. What was made is recorded now, unless the run was broken off: then
   * the engine may have skipped its last records, and open marks are the safe side (reference pulumi-dynamic.md §3,
   * "terminated runs skip End").
   */
  async end(): Promise<void> {
    if (this.inFlight > 0) return;
    if (!this.interrupted) {
      const all = [...this.ledgers.values()].flatMap((byClient) => [...byClient.values()]);
      await Promise.all(all.map((ledger) => ledger.settleAll()));
    }
    this.siblings?.forget();
    await this.connections.close();
  }

  private idsOf(definition: AnyDefinition): Set<string> {
    const ids = this.knownIds.get(definition) ?? new Set<string>();
    this.knownIds.set(definition, ids);
    return ids;
  }
}
