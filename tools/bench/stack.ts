// Runs the real `pulumi` and measures its time: a stack in a temporary folder with a file backend.

import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { FoundEngine } from "../engine";
import { METER_FOLDER, type Meter, type Peaks } from "./meter";
import { NULL_PACKAGE } from "./programs";

export interface BenchStack {
  /** Seconds from the start of the command to its end, and what its provider's process has needed. */
  run(operation: "up" | "preview" | "destroy"): Promise<{ seconds: number; provider: Meter | undefined }>;
  /** The resources of the program, as they are in the state. */
  resources(): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

export interface StackOptions {
  engine: FoundEngine;
  /** index.js of the project. */
  program: string;
  /** The value of `snapclone:connections.default`. */
  connection: object;
  /** Undefined: the engine's default. */
  parallel: number | undefined;
}

const repository = path.resolve(__dirname, "..", "..", "..");
/** The native provider, as the engine starts it. */
export const PLUGIN = path.join(repository, "dist", "plugin", "pulumi-resource-snapclone");
const TIMEOUT_MS = 400_000;

/** A folder with a program, a state store of its own, and the environment of the processes that work in it. */
export interface Project {
  root: string;
  dir: string;
  env: NodeJS.ProcessEnv;
  /** For the processes that are measured. */
  metering: { NODE_OPTIONS: string; [METER_FOLDER]: string };
}

export function newProject(engine: FoundEngine, program: string): Project {
  const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-bench-")));
  const dir = path.join(root, "project");
  const meters = path.join(root, "meters");
  const nullPackage = path.join(dir, "node_modules", NULL_PACKAGE.name);
  for (const folder of ["state", "home", "meters"]) fs.mkdirSync(path.join(root, folder));
  fs.mkdirSync(nullPackage, { recursive: true });
  fs.symlinkSync(path.join(repository, "node_modules"), path.join(root, "node_modules"));
  fs.writeFileSync(path.join(nullPackage, "index.js"), NULL_PACKAGE.text);
  fs.writeFileSync(path.join(dir, "index.js"), program);
  fs.writeFileSync(path.join(dir, "package.json"), JSON.stringify({ private: true, main: "index.js" }));
  // JSON is YAML.
  const project = {
    name: "snapclone-bench",
    runtime: { name: "nodejs", options: { typescript: false } },
    plugins: { providers: [{ name: "snapclone", path: path.dirname(PLUGIN) }] },
  };
  fs.writeFileSync(path.join(dir, "Pulumi.yaml"), JSON.stringify(project));
  const env = {
    ...withoutOwn(process.env),
    PATH: [engine.path, process.env.PATH].join(path.delimiter),
    HOME: path.join(root, "home"),
    PULUMI_HOME: path.join(root, "home", ".pulumi"),
    PULUMI_BACKEND_URL: `file://${path.join(root, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "bench",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  };
  const metering = { NODE_OPTIONS: `--require ${path.join(__dirname, "meter.js")}`, [METER_FOLDER]: meters };
  return { root, dir, env, metering };
}

export async function removeProject({ root }: Project): Promise<void> {
  await fs.promises.rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

export async function newStack({ engine, program, connection, parallel }: StackOptions): Promise<BenchStack> {
  const project = newProject(engine, program);
  const { dir, env, metering } = project;
  const meters = metering[METER_FOLDER];
  const pulumi = (args: string[], more: NodeJS.ProcessEnv = {}) =>
    runToEnd(engine.pulumi, [...args, "--stack", "bench", "--non-interactive"], dir, { ...env, ...more });
  const close = () => removeProject(project);

  try {
    await runToEnd(engine.pulumi, ["stack", "init", "bench", "--non-interactive"], dir, env);
    const config = { "snapclone:connections": { default: connection } };
    fs.appendFileSync(path.join(dir, "Pulumi.bench.yaml"), `config: ${JSON.stringify(config)}\n`);
  } catch (error) {
    await close();
    throw error;
  }

  return {
    run: async (operation) => {
      const args = operation === "preview" ? ["preview"] : [operation, "--yes", "--skip-preview"];
      if (parallel !== undefined) args.push("--parallel", String(parallel));
      emptyFolder(meters);
      const begun = performance.now();
      await pulumi(args, metering);
      const seconds = (performance.now() - begun) / 1000;
      return { seconds, provider: readMeter(meters) };
    },
    resources: async () => {
      const { deployment } = JSON.parse(await pulumi(["stack", "export"])) as Exported;
      return deployment.resources.filter(({ type }) => !type.startsWith("pulumi:"));
    },
    close,
  };
}

interface Exported {
  deployment: { resources: ({ type: string } & Record<string, unknown>)[] };
}

/** Resolves to what it printed; anything but success is an error that shows it. */
function runToEnd(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
    let out = "";
    let all = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      all += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      all += text;
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(out);
      else reject(new Error(`pulumi ${args.join(" ")} ended with ${signal ?? code}\n${all.slice(-4_000)}`));
    });
  });
}

/** Nothing of the developer's own: no stacks, no clouds, no credentials. */
function withoutOwn(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([key]) => !/^(PULUMI_|OS_|NODE_OPTIONS$|npm_)/.test(key)));
}

export function readMeter(folder: string): Meter | undefined {
  const { peaks: _, ...meter } = readFigures(folder) ?? {};
  return "peakMiB" in meter ? (meter as Meter) : undefined;
}

/** The peak of the memory until this time. */
export function peakUntil(folder: string, time: number): number {
  const until = readFigures(folder)?.peaks.filter(({ at }) => at <= time) ?? [];
  return until.at(-1)?.peakMiB ?? Number.NaN;
}

function readFigures(folder: string): (Meter & Peaks) | undefined {
  const [file] = fs.readdirSync(folder);
  return file === undefined
    ? undefined
    : (JSON.parse(fs.readFileSync(path.join(folder, file), "utf8")) as Meter & Peaks);
}

function emptyFolder(folder: string): void {
  for (const file of fs.readdirSync(folder)) fs.rmSync(path.join(folder, file));
}
