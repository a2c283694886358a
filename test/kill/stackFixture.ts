// One stack on which one case after the other runs: its program, its state file, its processes, and the blow itself.

import * as fs from "node:fs";
import * as path from "node:path";
import { newStack, type Operation, type Result, type Run, type Stack } from "../engine/harness";
import type { Kill } from "./plan";
import { type BackendFixture, type Program, type ResourceCase, urnOf } from "./resourceCase";

export interface Entry {
  urn: string;
  id: string;
  /** Waits to be deleted: the old one of a replacement. */
  delete: boolean;
  /** Ids of what it holds in the backend. */
  copies: string[];
  whole: boolean;
  pending: unknown;
}

/** What came of a blow. `too late`: the run had ended by itself. */
export type Interruption = "struck" | "too late";

export interface Interrupted {
  blow: Interruption;
  result: Result;
  /** A provider process that hadn't loaded our code when its CLI died: Pulumi's own code never notices (docs/snapshot.md). */
  stray: boolean;
}

/** An orphan gives itself two seconds; the rest is a slow machine. */
const ORPHAN_LIMIT_MS = 20_000;
const STRAY_MS = 6_000;
/** After a kill on the way to a PowerVC, a run waits two minutes for a sign of what it was asked for. */
const RUN_LIMIT_MS = 300_000;

export class StackFixture {
  /** What the commands of this case have said, for whoever has to find the cause of a failure. */
  readonly transcript: string[] = [];
  /** Milliseconds from the provider's start to the end of the run, uninterrupted. */
  private readonly windows: Record<Operation, number> = { up: 4000, destroy: 3000, preview: 0, refresh: 0 };
  private readonly emptyState: string;
  /** The folder of the state store in which the commands work. */
  private store = "state";

  private constructor(
    readonly kind: ResourceCase,
    readonly ground: BackendFixture,
    private readonly stack: Stack,
  ) {
    this.emptyState = path.join(path.dirname(stack.dir), "empty-state");
    fs.cpSync(this.stateFolder, this.emptyState, { recursive: true });
  }

  /** Goes on with an empty store in another place, which has a stack of the same name; `back` returns to the first one. */
  moveToAnotherBackend(): { back(): void } {
    this.store = "other-state";
    fs.rmSync(this.stateFolder, { recursive: true, force: true });
    fs.cpSync(this.emptyState, this.stateFolder, { recursive: true });
    return {
      back: () => {
        this.store = "state";
      },
    };
  }

  static async open(kind: ResourceCase, stackName: string): Promise<StackFixture> {
    const ground = await kind.ground(stackName);
    const stack = await newStack({ name: stackName, program: { js: "" }, config: ground.connections });
    return new StackFixture(kind, ground, stack);
  }

  readonly urnOf = (resource: string): string => urnOf(this.stack.name, this.kind.type, resource);

  /** Runs once through, to know how long the window is in which to strike. */
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
    endAll(this.processes());
    this.transcript.length = 0;
    this.store = "state";
    await this.ground.reset();
    fs.rmSync(this.stateFolder, { recursive: true, force: true, maxRetries: 5 });
    fs.cpSync(this.emptyState, this.stateFolder, { recursive: true });
  }

  declare(program: Program): void {
    this.stack.setProgram({
      js: `
const { ${this.kind.type}: Resource } = require("pulumi-snapclone");
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
    return this.noted([operation, ...args], result);
  }

  cancel(): Promise<Result> {
    return this.noted(["cancel"], this.stack.cancel());
  }

  /** Starts the operation, strikes at the instant, and comes back when everything it had started is gone. */
  async interrupted(operation: "up" | "destroy", kill: Kill, args: readonly string[] = []): Promise<Interrupted> {
    const before = this.counted(operation);
    const requestsBefore = this.ground.witness?.requests();
    const run = this.stack.start(operation, { args: [...args], parallel: 5, timeoutMs: RUN_LIMIT_MS });
    let ended = false;
    const end = run.result.then(
      () => (ended = true),
      () => (ended = true),
    );
    await Promise.race([end, this.reached(operation, kill, before, () => ended)]);
    const blow: Interruption = ended ? "too late" : "struck";
    const unheard = this.ground.witness?.requests() === requestsBefore;
    if (!ended) await this.strike(run, kill, end);
    const result = await this.noted([operation, ...args, `(${kill.victim}: ${blow})`], run.result);
    const left = await this.leftProcesses(kill, unheard);
    return { blow, result, stray: left };
  }

  entries(): Entry[] {
    const file = path.join(this.stateFolder, ".pulumi", "stacks", "snapclone-test", `${this.stack.name}.json`);
    const { checkpoint } = JSON.parse(fs.readFileSync(file, "utf8")) as StateFile;
    return (checkpoint.latest?.resources ?? [])
      .filter(({ type }) => !type.startsWith("pulumi:"))
      .map(({ urn, id = "", delete: gone = false, outputs = {} }) => ({
        urn,
        id,
        delete: gone,
        copies: this.kind.idsOf({ id, outputs }),
        whole: this.kind.isWhole(outputs),
        pending: outputs.pending,
      }));
  }

  /** Waits for the last process of the stack to end; says which are left. */
  async quiet(limitMs = ORPHAN_LIMIT_MS): Promise<string[]> {
    const deadline = Date.now() + limitMs;
    while (this.processes().length > 0 && Date.now() < deadline) await pause(50);
    return this.processes().map((pid) => commandLine(pid));
  }

  async close(): Promise<void> {
    await this.stack.close();
    await this.ground.close();
  }

  private async noted(command: string[], running: Promise<Result>): Promise<Result> {
    const result = await running;
    this.transcript.push(`$ pulumi ${command.join(" ")}\n${result.stdout}${result.stderr}exit code ${result.code}`);
    return result;
  }

  private get stateFolder(): string {
    return path.join(path.dirname(this.stack.dir), this.store);
  }

  private counted(operation: "up" | "destroy") {
    const work = operation === "up" ? "create" : "delete";
    const { witness } = this.ground;
    return {
      sent: witness?.count("sent", work) ?? 0,
      answered: witness?.count("answered", work) ?? 0,
      looked: witness?.count("looked", work) ?? 0,
    };
  }

  /** Sleeps through to the instant. Events are looked for often: between two of them are a few milliseconds. */
  private async reached(
    operation: "up" | "destroy",
    { instant }: Kill,
    before: ReturnType<StackFixture["counted"]>,
    ended: () => boolean,
  ): Promise<void> {
    if ("after" in instant && this.ground.witness) {
      while (!ended() && this.counted(operation)[instant.after] - before[instant.after] < instant.nth) await pause(1);
      return;
    }
    while (!ended() && this.stack.providers().length === 0) await pause(15);
    // Without a wire to look at, an event's number stands for a time.
    const fraction = "fraction" in instant ? instant.fraction : instant.nth / 6;
    await pause(fraction * this.windows[operation]);
  }

  private async strike(run: Run, { victim, gapMs }: Kill, end: Promise<unknown>): Promise<void> {
    if (victim === "provider" || victim === "both") endAll(this.stack.providers());
    if (victim === "cli" || victim === "both") run.child.kill("SIGKILL");
    if (victim === "ctrl-c" || victim === "ctrl-c twice") run.child.kill("SIGINT");
    if (victim === "ctrl-c twice") {
      await Promise.race([end, pause(gapMs)]);
      run.child.kill("SIGINT");
    }
  }

  /**
   * Everything of the run leaves by itself; but for a provider that was orphaned before our code was in it, when no
   * request had been made yet. That one is ended here, and true is said.
   */
  private async leftProcesses({ victim }: Kill, unheard: boolean): Promise<boolean> {
    const excused = victim === "cli" && unheard;
    const left = await this.quiet(excused ? STRAY_MS : ORPHAN_LIMIT_MS);
    if (left.length === 0) return false;
    // A shell starts it and waits for it.
    if (!excused || !left.every((line) => /cmd\/dynamic-provider|pulumi-resource-pulumi-nodejs/.test(line)))
      throw new Error(`still running after the kill:\n${left.join("\n")}`);
    endAll(this.processes());
    return true;
  }

  /** All that run in the stack's folder, parents or none. */
  private processes(): number[] {
    const root = `${path.dirname(this.stack.dir)}/`;
    return fs
      .readdirSync("/proc")
      .map(Number)
      .filter((pid) => pid > 0 && linkOf(`/proc/${pid}/cwd`).startsWith(root));
  }
}

interface StateFile {
  checkpoint: {
    latest?: {
      resources?: {
        urn: string;
        type: string;
        id?: string;
        delete?: boolean;
        outputs?: Record<string, unknown>;
      }[];
    };
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function endAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }
}

function linkOf(file: string): string {
  try {
    return fs.readlinkSync(file);
  } catch {
    return "";
  }
}

function commandLine(pid: number): string {
  try {
    return `${pid} ${fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")}`;
  } catch {
    return String(pid);
  }
}
