// Pulumi's engine as far as ownership depends on it: which calls it makes, and what its state shows at which moment
// (docs/wire/pulumi-engine.md#calls). For tests of the core and of lifecycles, thousands of runs in a second.

import { randomBytes } from "node:crypto";
import { check } from "../../provider/core/check";
import type { AnyDefinition } from "../../provider/core/definition";
import { diffWithImport } from "../../provider/core/import";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { PartialFailure } from "../../provider/core/outputs";
import { type StackState, StateUnavailable } from "../../provider/core/ownership";
import { Run, type RunConfig } from "../../provider/core/run";
import type { Clock } from "../../provider/core/util/clock";

export interface FakeEntry {
  urn: string;
  id: string;
  inputs: Properties;
  outputs: Properties;
  leaving: boolean;
  initError: boolean;
  created: string;
  /** Deleted, and its replacement is not recorded yet. */
  pendingReplacement?: boolean;
}

interface SavedState {
  entries: FakeEntry[];
  pending: { urn: string; inputs: Properties }[];
}

export interface RunOptions {
  /** The provider dies alone when it dies: the engine lives on, and forgets its creates. */
  providerAlone?: boolean;
  /** Names to replace whether they differ or not (`--replace`). */
  replace?: readonly string[];
  /** A process of its own for deletions, as after `--replace "**"`. */
  deletesElsewhere?: boolean;
  /** The store takes nothing from the first record of a create on. */
  saveFails?: boolean;
  /** The process's first check has no seed, as on the real engine. Default true. */
  firstCheckWithoutSeed?: boolean;
  /** The seed of `up --plan`. */
  seed?: Uint8Array;
  /** Names that leave the program with `retainOnDelete`. */
  retain?: readonly string[];
}

export interface RunResult {
  errors: unknown[];
  killed: boolean;
  log: string[];
}

export interface FakeEngineOptions {
  clock: Clock;
  project?: string;
  stack?: string;
  origin?: string;
  /** Of the one resource type. Default "Fake". */
  type?: string;
  config?: RunConfig;
  /** Has the process been killed in the meantime? Nothing that it returns is recorded then. */
  isDead?: () => boolean;
}

class Dead extends Error {}
class SaveFailed extends Error {}

export class FakeEngine {
  state: SavedState = { entries: [], pending: [] };
  /** Called before the provider deletes an entry's object. */
  onDelete: (entry: FakeEntry) => void = () => {};
  /** Without it the state can't be asked. */
  isStateReadable = true;
  asked = 0;
  /** How often an error hook of the program has a failed create or update repeated. */
  repeats = 0;
  stack: string;
  origin: string;
  readonly project: string;
  readonly clock: Clock;
  private readonly isDead: () => boolean;
  /** Attempts whose create has not been answered, and those that an update which ended leaves so. */
  private readonly owed = new Set<string>();
  private readonly diedAlone = new Set<string>();
  private readonly type: string;
  private readonly config: RunConfig;

  constructor(
    private readonly definition: AnyDefinition,
    {
      clock,
      project = "shop",
      stack = "dev",
      origin = "origin 1",
      type = "Fake",
      config = {},
      isDead = () => false,
    }: FakeEngineOptions,
  ) {
    this.clock = clock;
    this.project = project;
    this.stack = stack;
    this.origin = origin;
    this.isDead = isDead;
    this.type = type;
    this.config = config;
  }

  urn(name: string): string {
    return `urn:pulumi:${this.stack}::${this.project}::pulumi-nodejs:dynamic/snapclone:${this.type}::${name}`;
  }

  get resourceType(): string {
    return `pulumi-nodejs:dynamic/snapclone:${this.type}`;
  }

  idOf(name: string): string | undefined {
    return this.living(this.urn(name))?.id;
  }

  /** `pulumi up` of a program: name to inputs. `aliases` name what a resource was called before. */
  up(
    program: Record<string, Properties>,
    options: RunOptions = {},
    aliases: Record<string, string> = {},
  ): Promise<RunResult> {
    return this.inRun(options, async (run, save, errors) => {
      let seedless = options.firstCheckWithoutSeed ?? true;
      const seed = () => {
        const withoutIt = seedless;
        seedless = false;
        return withoutIt ? undefined : (options.seed ?? randomBytes(32));
      };
      const urns = new Set<string>();
      for (const [name, args] of Object.entries(program)) {
        const urn = this.urn(name);
        urns.add(urn);
        const alias = aliases[name];
        const entry = this.living(urn) ?? (alias === undefined ? undefined : this.living(this.urn(alias)));
        if (entry) entry.urn = urn;
        const news = { ...args, __owner: urn, __organization: "organization", __provider: "p" };
        await this.step(errors, () =>
          this.reconcile(run, save, entry, urn, news, options.replace?.includes(name) ?? false, seed),
        );
      }
      // After a failure the engine deletes nothing.
      if (errors.length > 0) return;
      const deleting = options.deletesElsewhere ? this.newRun(run.log) : run;
      for (const entry of [...this.state.entries].reverse()) {
        const gone = !urns.has(entry.urn);
        if (!entry.leaving && !gone) continue;
        const name = entry.urn.split("::").at(-1) ?? "";
        if (gone && options.retain?.includes(name)) this.drop(entry, save);
        else await this.step(errors, () => this.delete(deleting, save, entry));
      }
      if (deleting !== run) await deleting.end();
    });
  }

  destroy(options: RunOptions = {}): Promise<RunResult> {
    return this.inRun(options, async (run, save, errors) => {
      for (const entry of [...this.state.entries].reverse())
        await this.step(errors, () => this.delete(run, save, entry));
    });
  }

  refresh(options: RunOptions & { clearPendingCreates?: boolean } = {}): Promise<RunResult> {
    return this.inRun(options, async (run, save, errors) => {
      if (options.clearPendingCreates) save(() => (this.state.pending = []));
      for (const entry of [...this.state.entries]) {
        if (entry.pendingReplacement) continue;
        await this.step(errors, async () => {
          run.registerUrn(entry.urn);
          const found = await this.call(() => read(this.definition, run, entry.id, entry.outputs));
          if (found.id === undefined) this.drop(entry, save);
          else
            save(() =>
              Object.assign(entry, {
                outputs: found.props,
                inputs: { ...entry.inputs, ...found.inputs },
                initError: false,
              }),
            );
        });
      }
    });
  }

  /** `pulumi state move`, `stack rename`, `state delete` and the like: no call, only the state. */
  edit(change: (state: SavedState) => void): void {
    change(this.state);
  }

  /** What `pulumi stack export` shows. */
  ask(): StackState {
    this.asked += 1;
    if (!this.isStateReadable) throw new StateUnavailable("no `pulumi` is on PATH");
    const { pending } = this.state;
    const entries = this.state.entries.filter(({ pendingReplacement }) => !pendingReplacement);
    const deletedFirst = this.state.entries.filter(({ pendingReplacement }) => pendingReplacement);
    return {
      deletedFirst: deletedFirst.map(({ urn, created }) => ({ urn, created })),
      entries: entries.map(({ urn, id, leaving, inputs, outputs, created }) => ({
        urn,
        id,
        leaving,
        external: false,
        created,
        attempt: inputs.__attempt as string | undefined,
        adopted: outputs.__adopted as string | undefined,
        imported: inputs.__imported as string | undefined,
        members: this.definition.members?.(outputs),
      })),
      pendingCreates: pending.map(({ urn, inputs }) => ({
        urn,
        attempt: inputs.__attempt as string | undefined,
        import: inputs.__import as string | undefined,
      })),
    };
  }

  private living(urn: string): FakeEntry | undefined {
    return this.state.entries.find((entry) => entry.urn === urn && !entry.leaving);
  }

  private newRun(log: Run["log"]): Run {
    const attempts = {
      begin: (_stack: string, attempt: string) => void this.owed.add(attempt),
      end: (_stack: string, attempt: string) => void (this.isDead() || this.owed.delete(attempt)),
      endAll: () => {},
      diedAlone: async (_stack: string, attempt: string) => this.diedAlone.has(attempt),
    };
    const askState = async () => this.ask();
    const run = new Run({ clock: this.clock, log, origin: () => this.origin, attempts, askState });
    run.configure(this.config);
    return run;
  }

  private async inRun(
    options: RunOptions,
    work: (run: Run, save: (change: () => void) => void, errors: unknown[]) => Promise<void>,
  ): Promise<RunResult> {
    const log: string[] = [];
    const run = this.newRun((severity, text) => severity !== "status" && log.push(`${severity}: ${text}`));
    const errors: unknown[] = [];
    const before = [...this.state.pending];
    let lastGood: SavedState | undefined;
    // After a save that failed the engine begins no further step.
    const save = (change: () => void) => {
      if (options.saveFails) lastGood ??= structuredClone(this.state);
      change();
      if (options.saveFails) throw new SaveFailed();
    };
    try {
      await work(run, save, errors);
    } catch (error) {
      if (error instanceof Dead) {
        if (options.providerAlone) {
          for (const attempt of this.owed) this.diedAlone.add(attempt);
          this.state.pending = this.state.pending.filter((one) => before.includes(one));
        }
        this.owed.clear();
        return { errors, killed: true, log };
      }
      if (!(error instanceof SaveFailed)) throw error;
    } finally {
      if (lastGood) this.state = lastGood;
    }
    await run.end();
    return { errors, killed: this.isDead(), log };
  }

  /** One call of the provider. */
  private async call<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      if (this.isDead()) throw new Dead();
      return result;
    } catch (error) {
      throw this.isDead() ? new Dead() : error;
    }
  }

  /** Repeats a call with the arguments of before: nothing of the failure is recorded until the last. */
  private async hooked<T>(work: () => Promise<T>): Promise<T> {
    for (let left = this.repeats; ; left -= 1) {
      try {
        return await this.call(work);
      } catch (error) {
        if (left <= 0 || error instanceof Dead) throw error;
      }
    }
  }

  private async step(errors: unknown[], work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof Dead || error instanceof SaveFailed) throw error;
      errors.push(error);
    }
  }

  private async reconcile(
    run: Run,
    save: (change: () => void) => void,
    entry: FakeEntry | undefined,
    urn: string,
    news: Properties,
    forced: boolean,
    seed: () => Uint8Array | undefined,
  ): Promise<void> {
    const { definition } = this;
    run.registerUrn(urn);
    if (entry === undefined || forced) {
      await this.replace(run, save, entry, urn, check(definition, {}, news, seed()).inputs);
      return;
    }
    const inputs = check(definition, entry.inputs, news, seed()).inputs;
    run.registerRecorded(definition, entry.id);
    const difference = await this.call(async () => diffWithImport(definition, run, entry.id, entry.outputs, inputs));
    if (difference.replaces?.length) {
      const fresh = check(definition, {}, news, seed()).inputs;
      if (!difference.deleteBeforeReplace) {
        await this.replace(run, save, entry, urn, fresh);
        return;
      }
      if (!entry.pendingReplacement) await this.deleteFirst(run, save, entry);
      await this.replaceDeleted(run, save, entry, fresh);
      return;
    }
    if (difference.changes === false && !entry.initError) {
      save(() => (entry.inputs = inputs));
      return;
    }
    try {
      const { outs } = await this.hooked(() => update(definition, run, entry.id, entry.outputs, inputs));
      save(() => Object.assign(entry, { inputs, outputs: outs, initError: false }));
    } catch (error) {
      if (error instanceof PartialFailure) {
        // With the old inputs (pkg/resource/deploy/step.go of pulumi/pulumi, UpdateStep.Apply).
        save(() => Object.assign(entry, { outputs: error.properties, initError: true }));
      }
      throw error;
    }
  }

  /** What is replaced waits for its deletion, also where the replacement is recorded with a failure (CreateStep.Apply). */
  private async replace(
    run: Run,
    save: (change: () => void) => void,
    entry: FakeEntry | undefined,
    urn: string,
    inputs: Properties,
  ): Promise<void> {
    try {
      await this.create(run, save, urn, inputs);
    } catch (error) {
      if (entry && error instanceof PartialFailure) save(() => (entry.leaving = true));
      throw error;
    }
    if (entry) save(() => (entry.leaving = true));
  }

  private async create(run: Run, save: (change: () => void) => void, urn: string, inputs: Properties): Promise<void> {
    const operation = { urn, inputs };
    // Saved before the call: so a killed run shows it, and so does the running one.
    this.state.pending.push(operation);
    const ended = (id: string, outputs: Properties, initError: boolean) =>
      save(() => {
        this.state.pending = this.state.pending.filter((one) => one !== operation);
        this.state.entries.push({
          urn,
          id,
          inputs,
          outputs,
          leaving: false,
          initError,
          created: this.clock.date().toISOString(),
        });
      });
    try {
      const { id, outs } = await this.hooked(() => create(this.definition, run, inputs));
      ended(id, outs, false);
    } catch (error) {
      if (error instanceof PartialFailure) ended(error.id, error.properties, true);
      else if (!(error instanceof Dead))
        save(() => (this.state.pending = this.state.pending.filter((one) => one !== operation)));
      throw error;
    }
  }

  private async delete(run: Run, save: (change: () => void) => void, entry: FakeEntry): Promise<void> {
    this.onDelete(entry);
    run.registerUrn(entry.urn);
    if (!entry.pendingReplacement) await this.call(() => remove(this.definition, run, entry.id, entry.outputs));
    this.drop(entry, save);
  }

  /** The entry stays until the replacement is recorded. */
  private async deleteFirst(run: Run, save: (change: () => void) => void, entry: FakeEntry): Promise<void> {
    this.onDelete(entry);
    await this.call(() => remove(this.definition, run, entry.id, entry.outputs));
    save(() => (entry.pendingReplacement = true));
  }

  private async replaceDeleted(
    run: Run,
    save: (change: () => void) => void,
    entry: FakeEntry,
    inputs: Properties,
  ): Promise<void> {
    try {
      await this.create(run, save, entry.urn, inputs);
    } catch (error) {
      if (error instanceof PartialFailure) this.drop(entry, save);
      throw error;
    }
    this.drop(entry, save);
  }

  private drop(entry: FakeEntry, save: (change: () => void) => void): void {
    save(() => (this.state.entries = this.state.entries.filter((one) => one !== entry)));
  }
}
