// The native provider: what each call of Pulumi's engine does, on plain values. service.ts translates it to and from gRPC.
// All that a resource is and does is in the core. This is the second thin shell over it, beside provider/dynamic.ts.

import { unknownPaths } from "../core/check";
import { UNBOUND_PATIENCE_MS } from "../core/currentOperation";
import type { AnyDefinition, HiddenInputs, Pending } from "../core/definition";
import { SnapcloneError } from "../core/errors";
import { diffWithImport, importerOf, possibleImporter, readImport } from "../core/import";
import * as lifecycle from "../core/lifecycle";
import { type Creation, connect, type Properties, RunningOperation } from "../core/operation";
import { PartialFailure } from "../core/outputs";
import { ownershipRecord } from "../core/ownership";
import { keepAt } from "../core/propertyPath";
import { type Log, Run, type RunOptions } from "../core/run";
import { lookupsOn } from "../lookups";
import { attemptJournal } from "../pulumi/attempts";
import {
  type FormerSecrets,
  formerSecrets,
  isPartOfDerived,
  markFormer,
  NONE,
  topLevel,
} from "../pulumi/formerSecrets";
import { stateOrigin } from "../pulumi/origin";
import { derivedSecrets } from "../pulumi/secrets";
import { askState } from "../pulumi/state";
import { classOfType, ownerUrn, withNativeTypes } from "../pulumi/urns";
import { resourceNames, resources, typeOf } from "../resources";
import { type Configuration, checkConfiguration, configurationOf } from "./configuration";
import { type Detail, detailsOf } from "./details";
import { known, storedInputs, storedOutputs, wanted } from "./hidden";
import { previewOfCreate, previewOfUpdate } from "./preview";
import type { Received, SecretPath } from "./properties";
import { checkArguments, outputNames } from "./schema";

export interface Sent {
  values: Properties;
  secrets: SecretPath[];
}

export interface Failure {
  property: string;
  reason: string;
}

export interface DiffResult {
  hasChanges: boolean;
  replaces: string[];
  deleteBeforeReplace: boolean;
  details: Detail[];
  stables: string[];
}

export interface UpdateOptions {
  preview: boolean;
  timeoutMs: number | undefined;
  ignoreChanges: readonly string[];
}

/** Something exists, and the engine has to record it together with the reasons of the failure. */
export class InitFailure extends Error {
  constructor(
    readonly id: string,
    readonly properties: Sent,
    readonly reasons: string[],
    readonly inputs?: Sent,
  ) {
    super(reasons[0]);
  }
}

export class NativeProvider {
  private run: Run;
  private configuration: Configuration = {};
  /** The name of an explicit provider. */
  private name: string | undefined;
  /** An engine that sends no handshake has started the process for the run. */
  private startedAt = new Date(performance.timeOrigin);
  /** The URNs of this run's resources, by owner: messages go to the resource's own row. */
  private readonly urns = new Map<string, string>();

  /** `options` replace those of a process that the engine has started. */
  constructor(
    private readonly log: Log,
    private readonly options: Partial<RunOptions> = {},
  ) {
    this.run = this.newRun();
  }

  /** The handshake comes before the engine saves anything. Configure may come later. */
  beginRun(): void {
    this.startedAt = new Date();
  }

  checkConfig({ values }: Received): Failure[] {
    return checkConfiguration(values, (value) => unknownPaths(value).length > 0);
  }

  /** A process whose address the engine is given (PULUMI_DEBUG_PROVIDERS) is configured anew for each run, and lives on. */
  async configure({ values }: Received, name?: string): Promise<void> {
    const last = this.run;
    this.name = name;
    this.configuration = configurationOf(values);
    this.run = this.newRun();
    this.run.configure(this.configuration);
    // Else its sessions would stay open on the backends, which allow so many at a time.
    await last.end();
  }

  async check(
    urn: string,
    olds: Received,
    news: Received,
    randomSeed: Uint8Array,
  ): Promise<Sent & { failures: Failure[] }> {
    const definition = this.begin(urn);
    const wants = wanted(news, urn, this.configuration.organization);
    const { inputs, failures } = await lifecycle.check(definition, this.run, olds.values, wants, randomSeed);
    // Only what Pulumi's own import has read has this among its inputs, and no program.
    const isImport = news.values.__imported !== undefined;
    const counted = isImport ? this.withoutUnseen(definition, wants, failures) : failures;
    return { values: storedInputs(inputs), secrets: news.secrets, failures: counted };
  }

  /** The engine calls an imported resource that lacks an input a bug of its provider. No backend shows these inputs. */
  private withoutUnseen(definition: AnyDefinition, read: Properties, failures: readonly Failure[]): Failure[] {
    const unseen = Object.keys(definition.inputs).filter(
      (name) => read[name] === undefined && failures.some(({ property }) => property === name),
    );
    if (unseen.length > 0) {
      const text = `no backend shows ${unseen.join(", ")}: write it into the program (docs/import.md)`;
      this.run.log("warning", text, (read as HiddenInputs).__owner);
    }
    return failures.filter(({ property }) => !unseen.includes(property));
  }

  diff(urn: string, id: string, olds: Received, news: Received, ignoreChanges: readonly string[]): DiffResult {
    const definition = this.begin(urn);
    const { run } = this;
    const state = known(olds);
    const program = wanted(news, urn, this.configuration.organization);
    const wants = keepAt(state, program, ignoreChanges, Object.keys(definition.inputs));
    run.registerRecorded(definition, id);
    const difference = diffWithImport(definition, run, id, state, wants);
    const targetOf = (name: string | undefined) => run.connections.target(definition.connection, name);
    return {
      // Without `changes` the engine of a dynamic resource compares the inputs, and these differ.
      hasChanges: difference.changes ?? true,
      replaces: difference.replaces ?? [],
      // Set even if nothing is replaced: the option `replaceOnChanges` and the engine's plans make a replacement of any change.
      deleteBeforeReplace: definition.deleteBeforeReplace ?? false,
      details: detailsOf(definition, state, wants, difference, targetOf),
      stables: [...(definition.stableOutputs ?? [])],
    };
  }

  async create(
    urn: string,
    inputs: Received,
    { preview, timeoutMs }: { preview: boolean; timeoutMs: number | undefined },
  ): Promise<{ id: string; outputs: Sent }> {
    const definition = this.begin(urn);
    if (preview) {
      const values = previewOfCreate(definition, inputs.values, outputNames(definitionType(urn)));
      return { id: "", outputs: this.outputsOf(definition, values, inputs.secrets) };
    }
    const wants = wanted(inputs, urn, this.configuration.organization);
    return this.answer(definition, inputs.secrets, NONE, async () => {
      const { id, outs } = await lifecycle.create(definition, this.run, wants, timeoutMs);
      return { id, outputs: this.outputsOf(definition, outs, inputs.secrets) };
    });
  }

  /** `inputs` is undefined for an import: the engine knows nothing but the id. */
  async read(
    urn: string,
    id: string,
    properties: Received,
    inputs: Received | undefined,
    timeoutMs: number | undefined,
  ): Promise<{ id: string; outputs: Sent; inputs: Sent } | undefined> {
    const definition = this.begin(urn);
    if (inputs === undefined) return this.readImport(definition, urn, id, timeoutMs);
    // If a value is no longer secret, some places inside an output may still have its former value.
    const all = [...properties.secrets, ...inputs.secrets];
    const inside = all.filter((path) => isPartOfDerived(definition, path));
    const former = formerSecrets(definition, { ...properties, secrets: inside });
    const secrets = all.filter((path) => !inside.includes(path));
    const state = known({ ...properties, secrets: all });
    this.nameRow(state, urn);
    const found = await lifecycle.read(definition, this.run, id, state);
    if (found.props === undefined) return undefined;
    const answer = {
      id: found.id,
      outputs: this.outputsOf(definition, found.props, secrets, former),
      inputs: { values: storedInputs(found.inputs), secrets },
    };
    const reason = unfinished(found.props.pending as Pending | undefined);
    if (reason !== undefined) throw new InitFailure(answer.id, answer.outputs, [reason], answer.inputs);
    return answer;
  }

  async update(
    urn: string,
    id: string,
    olds: Received,
    news: Received,
    { preview, timeoutMs, ignoreChanges }: UpdateOptions,
  ): Promise<{ outputs: Sent }> {
    const definition = this.begin(urn);
    const state = known(olds);
    const former = formerSecrets(definition, olds, news);
    if (preview) {
      const values = previewOfUpdate(definition, state, news.values, outputNames(definitionType(urn)));
      return { outputs: this.outputsOf(definition, values, news.secrets, former) };
    }
    const wants = wanted(news, urn, this.configuration.organization);
    return this.answer(definition, news.secrets, former, async () => {
      const { outs } = await lifecycle.update(definition, this.run, id, state, wants, timeoutMs, ignoreChanges);
      return { outputs: this.outputsOf(definition, outs, news.secrets, former) };
    });
  }

  async delete(urn: string, id: string, properties: Received, timeoutMs: number | undefined): Promise<void> {
    const definition = this.begin(urn);
    const state = known(properties);
    this.nameRow(state, urn);
    await lifecycle.remove(definition, this.run, id, state, timeoutMs);
  }

  async invoke(token: string, args: Received): Promise<{ result: Properties } | { failures: Failure[] }> {
    const failures = checkArguments(token, args.values);
    if (failures.length > 0) return { failures };
    const { run } = this;
    const { getSnapshot, listSnapshots } = lookupsOn(run.connections);
    const values = args.values as Parameters<typeof getSnapshot>[0];
    const name = token.split(":").at(-1);
    // As an operation of the run: a cancelled run ends its waits.
    return run.track(async (begin) => {
      const progress = (text: string) => run.log("info", text);
      begin({ deadline: run.clock.now() + UNBOUND_PATIENCE_MS, signal: run.signal, progress });
      return { result: { ...(name === "getSnapshot" ? await getSnapshot(values) : await listSnapshots(values)) } };
    });
  }

  stop(reason: string): void {
    this.run.stop(reason);
  }

  async end(): Promise<void> {
    await this.run.end();
  }

  /** Every call for a resource begins here. */
  private begin(urn: string): AnyDefinition {
    const owner = ownerUrn(urn);
    this.urns.set(owner, urn);
    this.run.registerUrn(owner);
    const type = definitionType(urn);
    const name = resourceNames.find((one) => typeOf(one) === classOfType(type));
    if (name !== undefined) return resources[name]();
    throw new SnapcloneError({
      kind: "input",
      message: `snapclone has no resource type ${type}`,
      hint: `The types are ${resourceNames.map(typeOf).join(", ")}.`,
    });
  }

  /** For an import, which has nothing of the program. The other entries of the stack have the program's. */
  private async organization(): Promise<string | undefined> {
    return this.configuration.organization ?? (await this.run.askState().catch(() => undefined))?.organization;
  }

  /** After a rename the state has another owner than the request's URN. */
  private nameRow({ __owner }: HiddenInputs, urn: string): void {
    if (__owner !== undefined) this.urns.set(__owner, urn);
  }

  /** A text of the core's for this shell's users. An explicit provider has its connections from the program. */
  textForUsers(text: string): string {
    const native = withNativeTypes(text);
    if (this.name === undefined || !native.includes("snapclone:connections")) return native;
    return `${native}\n\n  This resource has the explicit provider "${this.name}": its connections are the provider's argument \`connections\` in the program, in place of the stack config.`;
  }

  private newRun(): Run {
    return new Run({
      log: (severity, text, owner) =>
        this.log(severity, this.textForUsers(text), owner === undefined ? undefined : (this.urns.get(owner) ?? owner)),
      askState,
      attempts: attemptJournal(),
      origin: () => stateOrigin(this.configuration.origin),
      startedAt: this.startedAt,
      ...this.options,
    });
  }

  private outputsOf(
    definition: AnyDefinition,
    outputs: Properties,
    secrets: readonly SecretPath[],
    former: FormerSecrets = NONE,
  ): Sent {
    const derived = derivedSecrets(definition, topLevel(secrets));
    const { values } = markFormer(definition, storedOutputs(outputs), former, secrets);
    return { values, secrets: [...secrets, ...derived.map((name) => [name])] };
  }

  private async answer<T>(
    definition: AnyDefinition,
    secrets: readonly SecretPath[],
    former: FormerSecrets,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof PartialFailure)) throw error;
      throw new InitFailure(error.id, this.outputsOf(definition, error.properties, secrets, former), error.reasons);
    }
  }

  private async readImport(definition: AnyDefinition, urn: string, importId: string, timeoutMs: number | undefined) {
    const { connection, id } = splitImportId(definition, importId);
    const { run } = this;
    const inputs: Properties = connection === undefined ? {} : { connection };
    const operation = `import ${definition.displayName} ${id}`;
    importerOf(definition);
    const owned = wanted({ values: inputs, secrets: [] }, urn, await this.organization()) as HiddenInputs;
    const found = await run.track(async (begin) => {
      const client = connect(definition, run, inputs, operation);
      const context = begin(new RunningOperation(definition, run, "create", owned, timeoutMs));
      const { __owner: owner = "" } = owned;
      const record = ownershipRecord(definition, context.stack, owner, undefined, inputs);
      const tracker = run.tracker(definition, client);
      const creation: Creation = { definition, run, client, tracker, urn: owner, record, inputs, context };
      return readImport(creation, id, importId);
    });
    run.registerRecorded(definition, found.id);
    const ins = Object.entries(found.props).filter(([key]) => key in definition.inputs || key === "__imported");
    return {
      id: found.id,
      outputs: { values: storedOutputs(found.props), secrets: [] },
      inputs: { values: Object.fromEntries(ins), secrets: [] },
    };
  }
}

/** The last of the types in a URN. */
function definitionType(urn: string): string {
  return urn.split("::")[2]?.split("$").at(-1) ?? "";
}

/** `<id>`, or `<connection>/<id>`: an import has no other input. */
function splitImportId(definition: AnyDefinition, importId: string): { connection?: string; id: string } {
  const importer = possibleImporter(definition);
  // No importable id has a slash, and a connection's name may.
  const slash = importId.lastIndexOf("/");
  if (slash < 0 || !importer || importer.id.safeParse(importId).success) return { id: importId };
  return { connection: importId.slice(0, slash), id: importId.slice(slash + 1) };
}

/** Why Pulumi should try to go on with the resource: what a refresh finds, too. */
function unfinished(pending: Pending | undefined): string | undefined {
  if (pending === undefined) return undefined;
  const { operation, since, failed } = pending;
  if (pending.task.outcome === "unknown")
    return "whether the create was carried out is not known: the next `pulumi up` finds out";
  if (failed) return `the ${operation} that began at ${since} has failed: the next \`pulumi up\` does what is left`;
  return `the ${operation} that began at ${since} has not ended: the next \`pulumi up\` resumes the wait`;
}
