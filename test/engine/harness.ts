// Drives the real `pulumi` for the engine tests: a stack in a temporary folder with a file backend, a time limit for every
// command, and helpers that find and kill the processes of a run.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { commandLine, killAll, processesIn } from "../support/processes";
import { cleanEnvironment, readEvents } from "../support/pulumi";

/**
 * `yaml`: what a YAML program has beside its name and runtime. `files`: the texts of a program in another language, by their
 * paths, and what Pulumi.yaml says of the runtime.
 */
export type Program =
  | { js: string }
  | { dir: string }
  | { yaml: Record<string, unknown> }
  | { files: Record<string, string>; runtime: { name: string; options: Record<string, unknown> } };

export interface StackOptions {
  /** Default `dev`. */
  name?: string;
  program: Program;
  /** The value of `snapclone:connections`. */
  config?: Record<string, unknown>;
  /** Other configuration, keys with their namespace. */
  settings?: Record<string, unknown>;
  env?: NodeJS.ProcessEnv;
  /** Packages that the program can require: the text of index.js, by name. */
  packages?: Record<string, string>;
}

export interface CommandOptions {
  /** More arguments of the command. */
  args?: string[];
  env?: NodeJS.ProcessEnv;
  timeoutMs?: number;
  parallel?: number;
  /** The CLI; default the one on PATH. */
  executable?: string;
}

/** One line of the engine's event log, with the fields that tests read (apitype.EngineEvent of pulumi/pulumi). */
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
  /** Null if a signal ended the command. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** Empty for commands that are no operations. */
  events: EngineEvent[];
  ms: number;
}

export interface Run {
  child: ChildProcess;
  pid: number;
  /** Rejects at the time limit, after killing every process of the run. */
  result: Promise<Result>;
}

export interface StateResource {
  urn: string;
  type: string;
  id?: string;
  /** True for an entry that waits to be deleted. */
  delete?: boolean;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  initErrors?: string[];
  /** The line of the program that makes the resource. */
  sourcePosition?: string;
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
  /** The project's folder, with the program and Pulumi.yaml. */
  dir: string;
  name: string;
  up(options?: CommandOptions): Promise<Result>;
  preview(options?: CommandOptions): Promise<Result>;
  refresh(options?: CommandOptions): Promise<Result>;
  destroy(options?: CommandOptions): Promise<Result>;
  /** Starts an operation and returns at once, for tests that interrupt it. */
  start(operation: Operation, options?: CommandOptions): Run;
  /** Removes the lock that a killed `pulumi` leaves. */
  cancel(): Promise<Result>;
  /** The state, with secrets encrypted. */
  export(): Promise<State>;
  /** The state's resources without the stack itself and the providers. */
  resources(): Promise<StateResource[]>;
  setConfig(key: string, value: string, options?: { secret?: boolean }): Promise<Result>;
  /** Replaces the program for the next run. */
  setProgram(program: Program): void;
  /** Any other command of `pulumi`. */
  command(args: string[], options?: CommandOptions): Promise<Result>;
  /** The stack's provider processes that are alive, of either shell, including those whose `pulumi` is dead. */
  providers(): number[];
  /** Waits for a dynamic provider process. */
  waitForProvider(timeoutMs?: number): Promise<number>;
  /** Kills every process of the stack and removes its folder. */
  close(): Promise<void>;
}

const TIMEOUT_MS = 120_000;
const PROJECT = "snapclone-test";
/** Where the file backend keeps the stacks of the project. */
const STACKS = path.join(".pulumi", "stacks", PROJECT);
/** What `pulumi stack init` has written, by stack name. */
const initialised = new Map<string, { settings: Buffer; state: ReadonlyMap<string, Buffer> }>();
const repository = path.resolve(__dirname, "..", "..");

const engine = findEngine();
/** The folder of the engine's executables. Undefined without an engine. */
export const enginePath = "path" in engine ? engine.path : undefined;

/** For stacks of the native provider: the plugin on PATH. */
export function pluginOnPath(): NodeJS.ProcessEnv {
  return { PATH: pathOf(path.join(repository, "dist", "plugin"), enginePath, process.env.PATH) };
}

/** The plugin not on PATH. npm puts the repository's node_modules/.bin there, and links the plugin if it was built before. */
export function pluginNotOnPath(): NodeJS.ProcessEnv {
  const links = path.join(repository, "node_modules", ".bin");
  const others = (process.env.PATH ?? "").split(path.delimiter).filter((folder) => path.resolve(folder) !== links);
  return { PATH: pathOf(enginePath, ...others) };
}

function pathOf(...folders: (string | undefined)[]): string {
  return folders.filter((folder) => folder !== undefined).join(path.delimiter);
}

/** `describe` for tests that need a real engine. Without one it skips them and prints the reason. */
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

/** The folder of the language host for YAML programs, or undefined. */
export function yamlHostFolder(): string | undefined {
  return languageFolder("yaml");
}

/** A virtual environment with the SDKs for Python, or undefined. */
export function pythonFolder(): string | undefined {
  return languageFolder("python");
}

function languageFolder(language: "yaml" | "python"): string | undefined {
  const given = process.env[`SNAPCLONE_${language.toUpperCase()}_PATH`];
  if (given !== undefined) return given || undefined;
  try {
    const search = [path.join(repository, "dist", "tools", "engine", "cli.js"), `--${language}-path`, "--ready"];
    return execFileSync(process.execPath, search, { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return undefined;
  }
}

export async function newStack(options: StackOptions): Promise<Stack> {
  if (!("path" in engine)) throw new Error(engine.reason);
  const stack = new TestStack(options, engine.path);
  try {
    await stack.prepare();
  } catch (error) {
    await stack.close();
    throw error;
  }
  return stack;
}

class TestStack implements Stack {
  readonly dir: string;
  readonly name: string;
  private readonly root: string;
  private readonly environment: NodeJS.ProcessEnv;
  private readonly live = new Set<Run>();
  private runs = 0;

  constructor(
    private readonly options: StackOptions,
    engineFolder: string,
  ) {
    this.root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-engine-")));
    this.dir = path.join(this.root, "project");
    this.name = options.name ?? "dev";
    this.environment = { ...cleanEnvironment(this.root, [engineFolder]), ...options.env };
  }

  /** Writes the program and the packages, makes the stack, and configures it. */
  async prepare(): Promise<void> {
    const { packages = {}, program, config, settings } = this.options;
    for (const folder of ["state", "home"]) fs.mkdirSync(path.join(this.root, folder));
    // Above the project, so that the test's own packages can lie in the project's node_modules.
    fs.symlinkSync(path.join(repository, "node_modules"), path.join(this.root, "node_modules"));
    fs.mkdirSync(path.join(this.dir, "node_modules"), { recursive: true });
    for (const [packageName, text] of Object.entries(packages)) {
      const folder = path.join(this.dir, "node_modules", packageName);
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: packageName, main: "index.js" }));
      fs.writeFileSync(path.join(folder, "index.js"), text);
    }
    this.setProgram(program);
    await this.initialise();
    const configuration = { ...(config === undefined ? {} : { "snapclone:connections": config }), ...settings };
    // Below the salt that `stack init` has written.
    fs.appendFileSync(path.join(this.dir, `Pulumi.${this.name}.yaml`), `config: ${JSON.stringify(configuration)}\n`);
  }

  readonly up = (more?: CommandOptions): Promise<Result> => this.start("up", more).result;
  readonly preview = (more?: CommandOptions): Promise<Result> => this.start("preview", more).result;
  readonly refresh = (more?: CommandOptions): Promise<Result> => this.start("refresh", more).result;
  readonly destroy = (more?: CommandOptions): Promise<Result> => this.start("destroy", more).result;

  start(operation: Operation, options: CommandOptions = {}): Run {
    this.runs += 1;
    const eventLog = path.join(this.root, `events-${this.runs}.json`);
    const args = [operation, "--stack", this.name, "--event-log", eventLog];
    if (operation !== "preview") args.push("--yes", "--skip-preview");
    if (options.parallel !== undefined) args.push("--parallel", String(options.parallel));
    return this.launch(args, options, eventLog);
  }

  command(args: string[], options?: CommandOptions): Promise<Result> {
    return this.launch(args, options).result;
  }

  cancel(): Promise<Result> {
    return this.command(["cancel", "--yes", "--stack", this.name]);
  }

  async export(): Promise<State> {
    const result = await this.command(["stack", "export", "--stack", this.name]);
    if (result.code !== 0) throw new Error(`pulumi stack export failed: ${result.stderr}`);
    return JSON.parse(result.stdout) as State;
  }

  /** From the state file: `pulumi stack export` takes a second. */
  async resources(): Promise<StateResource[]> {
    const file = path.join(this.root, "state", STACKS, `${this.name}.json`);
    const { checkpoint } = JSON.parse(fs.readFileSync(file, "utf8")) as {
      checkpoint: { latest?: { resources?: StateResource[] } };
    };
    return (checkpoint.latest?.resources ?? []).filter(({ type }) => !type.startsWith("pulumi:"));
  }

  setConfig(key: string, value: string, { secret = false } = {}): Promise<Result> {
    const kind = secret ? "--secret" : "--plaintext";
    return this.command(["config", "set", "--stack", this.name, "--path", key, value, kind]);
  }

  setProgram(program: Program): void {
    for (const entry of fs.readdirSync(this.dir)) {
      if (entry !== "node_modules" && !entry.startsWith("Pulumi.")) {
        fs.rmSync(path.join(this.dir, entry), { recursive: true });
      }
    }
    if ("yaml" in program) {
      const yaml = { name: PROJECT, runtime: "yaml", ...program.yaml };
      fs.writeFileSync(path.join(this.dir, "Pulumi.yaml"), JSON.stringify(yaml));
      return;
    }
    if ("files" in program) {
      for (const [name, text] of Object.entries(program.files)) {
        fs.mkdirSync(path.dirname(path.join(this.dir, name)), { recursive: true });
        fs.writeFileSync(path.join(this.dir, name), text);
      }
      const project = { name: PROJECT, runtime: program.runtime };
      fs.writeFileSync(path.join(this.dir, "Pulumi.yaml"), JSON.stringify(project));
      return;
    }
    if ("dir" in program) fs.cpSync(program.dir, this.dir, { recursive: true });
    else {
      fs.writeFileSync(path.join(this.dir, "package.json"), JSON.stringify({ private: true, main: "index.js" }));
      fs.writeFileSync(path.join(this.dir, "index.js"), program.js);
    }
    const typescript = !fs.existsSync(path.join(this.dir, "index.js"));
    const project = { name: PROJECT, runtime: { name: "nodejs", options: { typescript } } };
    // JSON is YAML.
    fs.writeFileSync(path.join(this.dir, "Pulumi.yaml"), JSON.stringify(project));
  }

  providers(): number[] {
    return processesIn(this.root).filter((pid) =>
      /cmd\/dynamic-provider\/index\.js|pulumi-resource-snapclone/.test(commandLine(pid)),
    );
  }

  async waitForProvider(timeoutMs = 30_000): Promise<number> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const pid = this.providers()[0];
      if (pid !== undefined) return pid;
      if (Date.now() > deadline) throw new Error(`no dynamic provider process within ${timeoutMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async close(): Promise<void> {
    for (const run of this.live) run.child.kill("SIGKILL");
    killAll(processesIn(this.root));
    await Promise.allSettled([...this.live].map((run) => run.result));
    // A process that was just killed may still be writing its last file. Node's rmSync does not look for new files when it
    // tries again.
    await fs.promises.rm(this.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  /** `pulumi stack init` once for each stack name. Later stacks get copies of the files that it wrote. */
  private async initialise(): Promise<void> {
    const settings = path.join(this.dir, `Pulumi.${this.name}.yaml`);
    const state = path.join(this.root, "state");
    const known = initialised.get(this.name);
    if (known !== undefined) {
      fs.writeFileSync(settings, known.settings);
      for (const [name, text] of known.state) {
        fs.mkdirSync(path.dirname(path.join(state, name)), { recursive: true });
        fs.writeFileSync(path.join(state, name), text);
      }
      return;
    }
    const created = await this.command(["stack", "init", this.name]);
    if (created.code !== 0) throw new Error(`pulumi stack init failed: ${created.stderr}`);
    const files = fs
      .readdirSync(state, { recursive: true, encoding: "utf8" })
      .filter((name) => fs.statSync(path.join(state, name)).isFile());
    initialised.set(this.name, {
      settings: fs.readFileSync(settings),
      state: new Map(files.map((name) => [name, fs.readFileSync(path.join(state, name))])),
    });
  }

  /** What docs/troubleshooting.md tells a user to do: the kill may have come while Pulumi wrote the attributes of the state. */
  private removeEmptyAttributes(): void {
    const state = path.join(this.root, "state");
    for (const name of fs.readdirSync(state, { recursive: true, encoding: "utf8" })) {
      const file = path.join(state, name);
      if (name.endsWith(".attrs") && fs.statSync(file).size === 0) fs.rmSync(file);
    }
  }

  private launch(args: string[], options: CommandOptions = {}, eventLog?: string): Run {
    const started = Date.now();
    const child = spawn(
      options.executable ?? "pulumi",
      [...args, ...(options.args ?? []), "--non-interactive", "--color", "never"],
      { cwd: this.dir, env: { ...this.environment, ...options.env }, stdio: ["ignore", "pipe", "pipe"] },
    );
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
    const limit = options.timeoutMs ?? TIMEOUT_MS;
    const result = new Promise<Result>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        killAll(processesIn(this.root));
        reject(new Error(`pulumi ${args.join(" ")} took longer than ${limit} ms\n${output.stdout}\n${output.stderr}`));
      }, limit);
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        if (signal !== null) this.removeEmptyAttributes();
        // Not at "close": the program of a killed language host may hold the pipes open. What `pulumi` wrote is there
        // within a few milliseconds.
        setTimeout(
          () => resolve({ code, ...output, events: readEvents<EngineEvent>(eventLog), ms: Date.now() - started }),
          20,
        );
      });
    });
    const run: Run = { child, pid: child.pid ?? 0, result };
    this.live.add(run);
    const forget = () => this.live.delete(run);
    result.then(forget, forget);
    return run;
  }
}

/** `npm test` names the engine in the environment. Otherwise the one that is ready on this machine, for a plain `npx jest`. */
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
