// One stack on which cases run one after the other: its program, its state file, its processes, and the interruption.

import * as fs from "node:fs";
import * as path from "node:path";
import { newStack, type Operation, pluginOnPath, type Result, type Run, type Stack } from "../engine/harness";
import { commandLine, killAll, processesIn } from "../support/processes";
import type { Case, Kill } from "./plan";
import { type BackendFixture, type Program, type ResourceCase, urnOf } from "./resourceCase";

export interface Entry {
  urn: string;
  id: string;
  /** True for the old object of a replacement, which waits to be deleted. */
  delete: boolean;
  /** Ids of the entry's copies in the backend. */
  copies: string[];
  isComplete: boolean;
  pending: unknown;
}

/** `missed`: the run had ended before the signal. */
export type Interruption = "hit" | "missed";

export interface Interrupted {
  interruption: Interruption;
  result: Result;
  /**
   * True if a provider process had not loaded this package when its CLI died. Such a process never ends: Pulumi's own
   * code does not notice that its parent is gone (docs/snapshot.md).
   */
  leftOrphanProcess: boolean;
}

/** A provider without a parent ends itself after two seconds. The rest is for a slow machine. */
const EXIT_LIMIT_MS = 20_000;
/** Shorter, for a process that never ends. */
const ORPHAN_PROCESS_LIMIT_MS = 6_000;
/** If a kill has hidden whether PowerVC got a request, the next run waits two minutes for a sign of it. */
const RUN_LIMIT_MS = 300_000;

export class StackFixture {
  /** The output of all commands of the present case, for the error of a failed one. */
  readonly transcript: string[] = [];
  /** Milliseconds from the provider's start to the end of the run, uninterrupted. */
  private readonly windows: Record<Operation, number> = { up: 4000, destroy: 3000, preview: 0, refresh: 0 };
  private readonly emptyState: string;
  /** The folder of the state store in which the commands work. */
  private store = "state";

  private constructor(
    readonly resource: ResourceCase,
    readonly backend: BackendFixture,
    private readonly stack: Stack,
  ) {
    this.emptyState = path.join(path.dirname(stack.dir), "empty-state");
    fs.cpSync(this.stateFolder, this.emptyState, { recursive: true });
  }

  /** Switches to an empty state store with a stack of the same name. `back` returns to the first store. */
  moveToAnotherStore(): { back(): void } {
    this.store = "other-state";
    fs.rmSync(this.stateFolder, { recursive: true, force: true });
    fs.cpSync(this.emptyState, this.stateFolder, { recursive: true });
    return {
      back: () => {
        this.store = "state";
      },
    };
  }

  static async open(resource: ResourceCase, stackName: string): Promise<StackFixture> {
    const backend = await resource.openBackend(stackName);
    const env = resource.shell === "native" ? pluginOnPath() : {};
    const stack = await newStack({ name: stackName, program: { js: "" }, config: backend.connections, env });
    return new StackFixture(resource, backend, stack);
  }

  readonly urnOf = (resource: string): string => urnOf(this.stack.name, this.resource.type, resource);

  /** True if an instant of the case is a fraction of the window, or stands for a time. */
  needsWindow({ scenario, kill, second }: Case): boolean {
    const instants = [kill.instant, ...(scenario.includes("killed again") ? [second.instant] : [])];
    return this.backend.spy === undefined || instants.some((instant) => "fraction" in instant);
  }

  /** Runs the program once without a kill, to learn how long the window for a kill is. */
  async measure(program: Program): Promise<void> {
    await this.reset();
    this.declare(program);
    for (const operation of ["up", "destroy"] as const) {
      const run = this.stack.start(operation, { parallel: 5 });
      await this.stack.waitForProvider();
      const started = Date.now();
      const { code, stdout } = await run.result;
      if (code !== 0) throw new Error(`the uninterrupted ${operation} failed: ${stdout}`);
      this.windows[operation] = Date.now() - started;
    }
  }

  get measured(): { up: number; destroy: number } {
    return { up: this.windows.up, destroy: this.windows.destroy };
  }

  async reset(): Promise<void> {
    killAll(this.processes());
    this.transcript.length = 0;
    this.store = "state";
    await this.backend.reset();
    await fs.promises.rm(this.stateFolder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    fs.cpSync(this.emptyState, this.stateFolder, { recursive: true });
  }

  declare(program: Program): void {
    this.stack.setProgram({
      js: `
const { ${this.resource.type}: Resource } = require("${this.resource.shell === "native" ? "pulumi-snapclone/native" : "pulumi-snapclone"}");
for (const [name, args] of Object.entries(${JSON.stringify(program)})) new Resource(name, args);`,
    });
  }

  run(operation: "up" | "destroy" | "refresh", args: readonly string[] = []): Promise<Result> {
    const { result } = this.stack.start(operation, {
      args: [...args],
      parallel: 5,
      timeoutMs: RUN_LIMIT_MS,
      env: { PULUMI_BACKEND_URL: `file://${this.stateFolder}` },
    });
    return this.transcribe([operation, ...args], result);
  }

  cancel(): Promise<Result> {
    return this.transcribe(["cancel"], this.stack.cancel());
  }

  /** Starts the operation, sends the signals at the instant, and returns when no process of the operation is left. */
  async interrupt(operation: "up" | "destroy", kill: Kill, args: readonly string[] = []): Promise<Interrupted> {
    const before = this.countEvents(operation);
    const requestsBefore = this.backend.spy?.requests();
    const run = this.stack.start(operation, { args: [...args], parallel: 5, timeoutMs: RUN_LIMIT_MS });
    let ended = false;
    const end = run.result.then(
      () => (ended = true),
      () => (ended = true),
    );
    await Promise.race([end, this.waitForInstant(operation, kill, before, () => ended)]);
    const interruption: Interruption = ended ? "missed" : "hit";
    const sentNothing = this.backend.spy?.requests() === requestsBefore;
    if (!ended) await this.sendSignals(run, kill, end);
    const result = await this.transcribe([operation, ...args, `(${kill.victim}: ${interruption})`], run.result);
    const leftOrphanProcess = await this.endOrphanProcess(kill, sentNothing);
    await this.backend.finishAbandonedRequests?.();
    return { interruption, result, leftOrphanProcess };
  }

  entries(): Entry[] {
    return (this.checkpoint().latest?.resources ?? [])
      .filter(({ type }) => !type.startsWith("pulumi:"))
      .map(({ urn, id = "", delete: gone = false, outputs = {} }) => ({
        urn: withDynamicTypes(urn),
        id,
        delete: gone,
        copies: this.resource.copyIdsOf({ id, outputs }),
        isComplete: this.resource.isComplete(outputs),
        pending: outputs.pending,
      }));
  }

  /** The state as `pulumi stack export` would write it now, in a file, the state store's address, and the stack's full name. */
  exported(): { file: string; backendUrl: string; stack: string; state: ExportedState } {
    const { latest = {} } = this.checkpoint();
    const file = path.join(path.dirname(this.stack.dir), "exported.json");
    fs.writeFileSync(file, JSON.stringify({ version: 3, deployment: latest }));
    const stack = `organization/snapclone-test/${this.stack.name}`;
    return { file, backendUrl: `file://${this.stateFolder}`, stack, state: latest };
  }

  /** Waits until the stack has no process. Returns the command lines of the processes that are left at the limit. */
  async waitForExit(limitMs = EXIT_LIMIT_MS): Promise<string[]> {
    const deadline = Date.now() + limitMs;
    while (this.processes().length > 0 && Date.now() < deadline) await pause(50);
    return this.processes().map((pid) => `${pid} ${commandLine(pid)}`);
  }

  async close(): Promise<void> {
    await this.stack.close();
    await this.backend.close();
  }

  private async transcribe(command: string[], running: Promise<Result>): Promise<Result> {
    const given = await running;
    const events = JSON.parse(withDynamicTypes(JSON.stringify(given.events))) as Result["events"];
    const result = { ...given, events, stdout: withDynamicTypes(given.stdout) };
    this.transcript.push(`$ pulumi ${command.join(" ")}\n${result.stdout}${result.stderr}exit code ${result.code}`);
    return result;
  }

  private checkpoint(): StateFile["checkpoint"] {
    const file = path.join(this.stateFolder, ".pulumi", "stacks", "snapclone-test", `${this.stack.name}.json`);
    return (JSON.parse(fs.readFileSync(file, "utf8")) as StateFile).checkpoint;
  }

  private get stateFolder(): string {
    return path.join(path.dirname(this.stack.dir), this.store);
  }

  private countEvents(operation: "up" | "destroy") {
    const work = operation === "up" ? "create" : "delete";
    const { spy } = this.backend;
    return {
      sent: spy?.count("sent", work) ?? 0,
      answered: spy?.count("answered", work) ?? 0,
      polled: spy?.count("polled", work) ?? 0,
    };
  }

  /** Waits until the instant. Events are counted every millisecond, since only a few milliseconds lie between two of them. */
  private async waitForInstant(
    operation: "up" | "destroy",
    { instant }: Kill,
    before: ReturnType<StackFixture["countEvents"]>,
    ended: () => boolean,
  ): Promise<void> {
    if ("after" in instant && this.backend.spy) {
      while (!ended() && this.countEvents(operation)[instant.after] - before[instant.after] < instant.nth)
        await pause(1);
      return;
    }
    while (!ended() && this.stack.providers().length === 0) await pause(15);
    // On a backend whose requests nobody sees, an event's number stands for a time.
    const fraction = "fraction" in instant ? instant.fraction : instant.nth / 6;
    await pause(fraction * this.windows[operation]);
  }

  private async sendSignals(run: Run, { victim, gapMs }: Kill, end: Promise<unknown>): Promise<void> {
    if (victim === "provider" || victim === "both") killAll(this.stack.providers());
    if (victim === "cli" || victim === "both") run.child.kill("SIGKILL");
    if (victim === "ctrl-c" || victim === "ctrl-c twice") run.child.kill("SIGINT");
    if (victim === "ctrl-c twice") {
      await Promise.race([end, pause(gapMs)]);
      run.child.kill("SIGINT");
    }
  }

  /**
   * Waits for the processes of the run to end. Returns true if it had to end one: a provider that lost its CLI before it
   * had loaded this package, and so before the first request. Any other process that is left is an error.
   */
  private async endOrphanProcess({ victim }: Kill, sentNothing: boolean): Promise<boolean> {
    const excused = victim === "cli" && sentNothing;
    const left = await this.waitForExit(excused ? ORPHAN_PROCESS_LIMIT_MS : EXIT_LIMIT_MS);
    if (left.length === 0) return false;
    // The provider's shell waits for it, and is left as well.
    if (!excused || !left.every((line) => /cmd\/dynamic-provider|pulumi-resource-pulumi-nodejs/.test(line)))
      throw new Error(`still running after the kill:\n${left.join("\n")}`);
    killAll(this.processes());
    return true;
  }

  private processes(): number[] {
    return processesIn(path.dirname(this.stack.dir));
  }
}

export interface ExportedState {
  resources?: {
    urn: string;
    type: string;
    id?: string;
    delete?: boolean;
    outputs?: Record<string, unknown>;
  }[];
  pending_operations?: { type: string; resource: { urn: string; inputs?: Record<string, unknown> } }[];
  manifest?: { time?: string };
}

interface StateFile {
  checkpoint: { latest?: ExportedState };
}

/** Ownership records name a resource in the form of the dynamic classes' URN, whichever shell has made it. */
export function withDynamicTypes(text: string): string {
  return text.replaceAll("snapclone:index:", "pulumi-nodejs:dynamic/snapclone:");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
