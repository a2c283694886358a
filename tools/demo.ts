// `npm run demo`: the quickstart against the embedded emulator with the real `pulumi`, from the first `up` to `destroy`,
// in a minute and without a cloud or an account. The demo writes only to .demo/, and removes .demo/ at the end.

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { startEmulator } from "../emulator";
import { type FoundEngine, resolveEngine } from "./engine";

const repository = path.resolve(__dirname, "..", "..");
const folder = path.join(repository, ".demo");
const configFile = path.join(folder, "stack", "Pulumi.demo.yaml");
const project = "snapclone-quickstart";

const STEPS = 6;
/** How long a `pulumi` may take that was asked to end: it finishes the operations under way first. */
const GRACE_MS = 20_000;

type Emulator = Awaited<ReturnType<typeof startEmulator>>;

class Interrupted extends Error {}

async function main(): Promise<number> {
  const started = Date.now();
  const engine = await resolveEngine();
  if (engine.kind === "none") {
    process.stderr.write(`${engine.reason}\n`);
    return 1;
  }
  const emulator = await startEmulator({
    port: 0,
    clock: "real",
    timings: { snapshotCreate: 2000, snapshotDelete: 1000 },
  });
  const pulumi = new Pulumi(engine);
  try {
    say(`Pulumi ${engine.version}; an OpenStack emulator answers at ${emulator.url}`);
    await prepare(pulumi, emulator);
    await walkThrough(pulumi, emulator);
  } catch (error) {
    // This is not "failed": while `pulumi` draws its live rows, only `pulumi` sees Ctrl-C, and it ends with 1.
    say(error instanceof Interrupted ? "interrupted" : `the demo stopped: ${(error as Error).message}`);
    return error instanceof Interrupted ? 130 : 1;
  } finally {
    await emulator.close();
    await fs.promises.rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
  say(`done in ${Math.round((Date.now() - started) / 1000)} s, all snapshots and .demo/ are removed`);
  say("the demo ran examples/quickstart/index.ts; README.md says how to take a snapshot on a real cloud");
  return 0;
}

async function walkThrough(pulumi: Pulumi, emulator: Emulator): Promise<void> {
  step(1, "pulumi up: two snapshots are created");
  await pulumi.up();

  step(2, "pulumi up again: nothing to do");
  await pulumi.up();

  step(3, "another name and another tag: both snapshots are updated in place");
  await pulumi.configure({ [`${project}:label`]: "weekly", [`${project}:keepDays`]: "30" });
  await pulumi.up();

  const [lost] = emulator.cinder.snapshots.keys();
  if (lost === undefined) throw new Error("the emulator has no snapshots, though `pulumi up` succeeded");
  emulator.cinder.removeSnapshot(lost);
  step(4, `somebody has deleted snapshot ${lost} outside Pulumi: pulumi refresh reports it`);
  await pulumi.run(["refresh", ...target, "--yes", "--skip-preview"]);

  step(5, "pulumi up: the lost snapshot is created again, the other snapshot stays");
  await pulumi.up();

  step(6, "pulumi destroy: both snapshots are deleted");
  await pulumi.run(["destroy", ...target, "--yes", "--skip-preview", "--remove"]);
  if (emulator.cinder.snapshots.size > 0) throw new Error("the emulator still has snapshots after `pulumi destroy`");
}

/** The stack's configuration stays in .demo/, though the project is the repository's root. */
const target = ["--stack", "demo", "--config-file", configFile];

async function prepare(pulumi: Pulumi, emulator: Emulator): Promise<void> {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(path.join(folder, "state"), { recursive: true });
  fs.mkdirSync(path.dirname(configFile));
  // `stack init` has no --config-file and writes beside Pulumi.yaml, so it gets a Pulumi.yaml of its own with the same name.
  fs.copyFileSync(path.join(repository, "Pulumi.yaml"), path.join(path.dirname(configFile), "Pulumi.yaml"));
  await pulumi.run(["stack", "init", "demo"], { quiet: true, cwd: path.dirname(configFile) });
  const { password, ...plain } = emulator.openstack.connection();
  const connection = "snapclone:connections.default";
  await pulumi.configure(
    Object.fromEntries(Object.entries(plain).map(([key, value]) => [`${connection}.${key}`, String(value)])),
    { [`${connection}.password`]: password },
  );
}

/** Runs the real CLI on a state store in a folder. */
class Pulumi {
  private readonly env: NodeJS.ProcessEnv;
  private readonly pulumi: string;
  private running: ChildProcess | undefined;
  private interrupted = false;

  constructor(engine: FoundEngine) {
    this.pulumi = engine.pulumi;
    this.env = {
      ...process.env,
      PATH: [engine.path, process.env.PATH].join(path.delimiter),
      PULUMI_HOME: path.join(folder, "home"),
      PULUMI_BACKEND_URL: `file://${path.join(folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: randomBytes(16).toString("hex"),
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      // The repository's own check covers the examples' types. A check in each run would only take time.
      PULUMI_NODEJS_TRANSPILE_ONLY: "true",
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => this.interrupt(signal));
  }

  up(): Promise<void> {
    return this.run(["up", ...target, "--yes", "--skip-preview"]);
  }

  configure(plain: Record<string, string>, secret: Record<string, string> = {}): Promise<void> {
    const pairs = (flag: string, values: Record<string, string>) =>
      Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${value}`]);
    const args = [...pairs("--plaintext", plain), ...pairs("--secret", secret)];
    return this.run(["config", "set-all", ...target, "--path", ...args], { quiet: true });
  }

  async run(args: string[], options: { quiet?: boolean; cwd?: string } = {}): Promise<void> {
    if (this.interrupted) throw new Interrupted();
    const terminal = process.stdout.isTTY === true;
    const child = spawn(this.pulumi, terminal ? args : [...args, "--non-interactive", "--color", "never"], {
      cwd: options.cwd ?? repository,
      env: this.env,
      stdio: options.quiet ? ["ignore", "ignore", "inherit"] : "inherit",
    });
    this.running = child;
    const problem = await new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) => resolve(code === 0 ? "" : `${signal ?? `exit code ${code}`}`));
    });
    this.running = undefined;
    if (this.interrupted) throw new Interrupted();
    if (problem !== "") throw new Error(`pulumi ${args[0]} ended with: ${problem}`);
  }

  /** The current run ends in order, then everything is removed. After a second signal, or if the run is too slow, kills it. */
  private interrupt(signal: NodeJS.Signals): void {
    const child = this.running;
    if (this.interrupted) child?.kill("SIGKILL");
    // A terminal sends Ctrl-C to `pulumi` as well. A second one would make `pulumi` drop the operations under way.
    else if (signal !== "SIGINT" || process.stdin.isTTY !== true) child?.kill("SIGINT");
    this.interrupted = true;
    setTimeout(() => child?.kill("SIGKILL"), GRACE_MS).unref();
  }
}

function step(number: number, title: string): void {
  process.stdout.write(`\n── ${number}/${STEPS} · ${title}\n`);
}

function say(text: string): void {
  process.stdout.write(`── ${text}\n`);
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  },
);
