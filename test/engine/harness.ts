// Drives the real `pulumi` for the engine tests: a stack in a temporary folder with a file backend, every command with
// a hard time limit, and helpers to find and kill the processes in the middle of a run (by /proc, so on Linux only).

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { cleanEnvironment, readEvents } from "../support/pulumi";

export type Program = { js: string } | { dir: string };

export interface StackOptions {
  /** Default `dev`. */
  name?: string;
  program: Program;
  /** The value of `snapclone:connections`. */
  config?: Record<string, unknown>;
  /** Other configuration, keys with their namespace. */
  settings?: Record<string, unknown>;
  env?: NodeJS.ProcessEnv;
  /** Throw-away packages for the program to require: name to the text of its index.js. */
  packages?: Record<string, string>;
}

export interface CommandOptions {
  /** More arguments for the command. */
  args?: string[];
  env?: NodeJS.ProcessEnv;
  timeoutMs?: number;
  parallel?: number;
  /** The CLI; default the one on PATH. */
  executable?: string;
}

/** One line of the engine's event log, as far as tests look at it (apitype.EngineEvent of pulumi/pulumi). */
export interface EngineEvent {
  sequence: number;
  diagnosticEvent?: { urn?: string; message: string; severity: string; ephemeral?: boolean };
  resourcePreEvent?: { metadata: StepMetadata };
  resOutputsEvent?: { metadata: StepMetadata };
  resOpFailedEvent?: { metadata: StepMetadata };
  summaryEvent?: { resourceChanges: Record<string, number> };
  [other: string]: unknown;
}

export interface StepMetadata {
  op: string;
  urn: string;
  type: string;
  diffs?: string[] | null;
  keys?: string[] | null;
  detailedDiff?: Record<string, { diffKind: string; inputDiff: boolean }> | null;
}

export interface Result {
  /** Null when it was ended by a signal. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** Empty for commands that aren't operations. */
  events: EngineEvent[];
  ms: number;
}

export interface Run {
  child: ChildProcess;
  pid: number;
  /** Rejects when the time limit was reached; everything the run had started is killed then. */
  result: Promise<Result>;
}

export interface StateResource {
  urn: string;
  type: string;
  id?: string;
  /** Waits to be deleted. */
  delete?: boolean;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  initErrors?: string[];
}

export interface State {
  deployment: {
    resources?: StateResource[];
    pending_operations?: { resource: StateResource; type: string }[];
    [other: string]: unknown;
  };
}

export type Operation = "up" | "preview" | "refresh" | "destroy";

export interface Stack {
  /** The project's folder: the program and Pulumi.yaml are there. */
  dir: string;
  name: string;
  up(options?: CommandOptions): Promise<Result>;
  preview(options?: CommandOptions): Promise<Result>;
  refresh(options?: CommandOptions): Promise<Result>;
  destroy(options?: CommandOptions): Promise<Result>;
  /** Starts an operation and returns at once, for tests that interfere. */
  start(operation: Operation, options?: CommandOptions): Run;
  /** Takes away the lock that a killed `pulumi` leaves. */
  cancel(): Promise<Result>;
  /** The state; secrets stay encrypted. */
  export(): Promise<State>;
  /** The resources in the state without the stack's own and the providers. */
  resources(): Promise<StateResource[]>;
  setConfig(key: string, value: string, options?: { secret?: boolean }): Promise<Result>;
  /** The program of the next run. */
  setProgram(program: Program): void;
  /** Any other command of `pulumi`. */
  command(args: string[], options?: CommandOptions): Promise<Result>;
  /** The dynamic provider's processes of this stack, alive ones, also when their `pulumi` is dead. */
  providers(): number[];
  /** Waits until a dynamic provider process is there. */
  waitForProvider(timeoutMs?: number): Promise<number>;
  /** Ends what still runs and removes the folder. */
  close(): Promise<void>;
}

const TIMEOUT_MS = 120_000;
const repository = path.resolve(__dirname, "..", "..");

const engine = findEngine();
/** The folder of the engine's executables; undefined where there is none. */
export const enginePath = "path" in engine ? engine.path : undefined;

/** `describe` for tests that need a real engine; without one they are skipped, and the reason is said. */
export function describeEngine(name: string, tests: () => void): void {
  if ("path" in engine) {
    describe(name, () => {
      jest.setTimeout(TIMEOUT_MS + 60_000);
      tests();
    });
    return;
  }
  process.stderr.write(`\nSKIPPED, as there is no Pulumi engine: ${name}\n${engine.reason}\n\n`);
  describe.skip(`${name} (skipped: no Pulumi engine)`, tests);
}

export async function newStack(options: StackOptions): Promise<Stack> {
  if (!("path" in engine)) throw new Error(engine.reason);
  const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-engine-")));
  const dir = path.join(root, "project");
  const name = options.name ?? "dev";
  const environment = { ...cleanEnvironment(root, [engine.path]), ...options.env };
  const live = new Set<Run>();
  let runs = 0;

  fs.mkdirSync(path.join(root, "state"));
  fs.mkdirSync(path.join(root, "home"));
  // Above the project, so that throw-away packages can lie in the project's own node_modules.
  fs.symlinkSync(path.join(repository, "node_modules"), path.join(root, "node_modules"));

  const launch = (args: string[], command: CommandOptions = {}, eventLog?: string): Run => {
    const started = Date.now();
    const child = spawn(
      command.executable ?? "pulumi",
      [...args, ...(command.args ?? []), "--non-interactive", "--color", "never"],
      {
        cwd: dir,
        env: { ...environment, ...command.env },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
    const limit = command.timeoutMs ?? TIMEOUT_MS;
    const result = new Promise<Result>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        killAll(processesIn(root));
        reject(new Error(`pulumi ${args.join(" ")} took longer than ${limit} ms\n${output.stdout}\n${output.stderr}`));
      }, limit);
      child.once("error", reject);
      child.once("exit", (code) => {
        clearTimeout(timer);
        // A provider that outlives a killed `pulumi` doesn't hold its pipes, but the language host's program may: what
        // was said until now is what there is to say.
        setTimeout(
          () => resolve({ code, ...output, events: readEvents<EngineEvent>(eventLog), ms: Date.now() - started }),
          20,
        );
      });
    });
    const run: Run = { child, pid: child.pid ?? 0, result };
    live.add(run);
    result.then(
      () => live.delete(run),
      () => live.delete(run),
    );
    return run;
  };

  const start = (operation: Operation, command: CommandOptions = {}): Run => {
    runs += 1;
    const eventLog = path.join(root, `events-${runs}.json`);
    const args = [operation, "--stack", name, "--event-log", eventLog];
    if (operation !== "preview") args.push("--yes", "--skip-preview");
    if (command.parallel !== undefined) args.push("--parallel", String(command.parallel));
    return launch(args, command, eventLog);
  };

  const command = (args: string[], more?: CommandOptions) => launch(args, more).result;

  const setProgram = (program: Program): void => {
    for (const entry of fs.readdirSync(dir)) {
      if (entry !== "node_modules" && !entry.startsWith("Pulumi.")) {
        fs.rmSync(path.join(dir, entry), { recursive: true });
      }
    }
    if ("dir" in program) fs.cpSync(program.dir, dir, { recursive: true });
    else {
      fs.writeFileSync(path.join(dir, "package.json"), JSON.stringify({ private: true, main: "index.js" }));
      fs.writeFileSync(path.join(dir, "index.js"), program.js);
    }
    const typescript = !fs.existsSync(path.join(dir, "index.js"));
    const project = { name: "snapclone-test", runtime: { name: "nodejs", options: { typescript } } };
    // JSON is YAML.
    fs.writeFileSync(path.join(dir, "Pulumi.yaml"), JSON.stringify(project));
  };

  const exportState = async (): Promise<State> => {
    const result = await command(["stack", "export", "--stack", name]);
    if (result.code !== 0) throw new Error(`pulumi stack export failed: ${result.stderr}`);
    return JSON.parse(result.stdout) as State;
  };

  const providers = () => processesIn(root).filter((pid) => commandLine(pid).includes("cmd/dynamic-provider/index.js"));

  const stack: Stack = {
    dir,
    name,
    up: (more) => start("up", more).result,
    preview: (more) => start("preview", more).result,
    refresh: (more) => start("refresh", more).result,
    destroy: (more) => start("destroy", more).result,
    start,
    cancel: () => command(["cancel", "--yes", "--stack", name]),
    export: exportState,
    resources: async () => ((await exportState()).deployment.resources ?? []).filter(isOurs),
    setConfig: (key, value, { secret = false } = {}) =>
      command(["config", "set", "--stack", name, "--path", key, value, secret ? "--secret" : "--plaintext"]),
    setProgram,
    command,
    providers,
    waitForProvider: async (timeoutMs = 30_000) => {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const pid = providers()[0];
        if (pid !== undefined) return pid;
        if (Date.now() > deadline) throw new Error(`no dynamic provider process within ${timeoutMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    close: async () => {
      for (const run of live) run.child.kill("SIGKILL");
      killAll(processesIn(root));
      await Promise.allSettled([...live].map((run) => run.result));
      // A process that was just killed may be writing its last file.
      fs.rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };

  try {
    fs.mkdirSync(path.join(dir, "node_modules"), { recursive: true });
    for (const [packageName, text] of Object.entries(options.packages ?? {})) {
      const folder = path.join(dir, "node_modules", packageName);
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: packageName, main: "index.js" }));
      fs.writeFileSync(path.join(folder, "index.js"), text);
    }
    setProgram(options.program);
    const created = await command(["stack", "init", name]);
    if (created.code !== 0) throw new Error(`pulumi stack init failed: ${created.stderr}`);
    const config = {
      ...(options.config === undefined ? {} : { "snapclone:connections": options.config }),
      ...options.settings,
    };
    // Beside the salt that `stack init` has written there.
    fs.appendFileSync(path.join(dir, `Pulumi.${name}.yaml`), `config: ${JSON.stringify(config)}\n`);
  } catch (error) {
    await stack.close();
    throw error;
  }
  return stack;
}

/** From `npm test` by environment; else what is ready on this machine, so that `npx jest` alone does, too. */
function findEngine(): { path: string } | { reason: string } {
  if (process.env.SNAPCLONE_ENGINE_PATH) return { path: process.env.SNAPCLONE_ENGINE_PATH };
  if (process.env.SNAPCLONE_ENGINE_NONE) return { reason: process.env.SNAPCLONE_ENGINE_NONE };
  try {
    const cli = path.join(repository, "dist", "tools", "engine", "cli.js");
    return { path: execFileSync(process.execPath, [cli, "--print-path", "--ready"], { encoding: "utf8" }).trim() };
  } catch {
    return { reason: "none is ready on this machine: `npm test` gets one" };
  }
}

function isOurs(resource: StateResource): boolean {
  return !resource.type.startsWith("pulumi:");
}

/** All that run in the stack's folder: unlike a search by parent it also finds what has lost its parent. */
function processesIn(folder: string): number[] {
  return fs
    .readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && workingFolder(pid).startsWith(`${folder}/`));
}

function workingFolder(pid: number): string {
  try {
    return fs.readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

function commandLine(pid: number): string {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }
}
