// How the stand-in language host starts a program of each language, as the vendor's hosts do
// (sdk/{nodejs,python,go}/pulumi-language-*/main.go in pulumi/pulumi).
//
// This file is copied next to the engine with languageHost.ts, so it imports nothing but Node's own modules.

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import type * as language from "@pulumi/pulumi/proto/language_pb";

export type Language = "nodejs" | "python" | "go";

export interface Command {
  file: string;
  args: string[];
  env: Record<string, string>;
  /** Where the program starts. Undefined: its runner changes to the program's folder itself. */
  cwd?: string;
  /** Called when the program has ended. */
  tidyUp?: () => void;
}

/** What the engine asked for, and where to reach the engine. */
export interface Request {
  run: language.RunRequest;
  engineAddress: string;
  /** The program's folder. */
  folder: string;
  /** Ends this process, too, when the program is asked to end. */
  track: (child: ChildProcess) => void;
}

export type Starter = (request: Request) => Promise<Command | { problem: string }>;

export const starters: Record<Language, Starter> = { nodejs, python, go };

/** The runner that @pulumi/pulumi itself ships (cmd/run). */
async function nodejs(request: Request): Promise<Command | { problem: string }> {
  const runner = runnerFor(request.folder);
  if (runner === undefined)
    return { problem: "It looks like the Pulumi SDK has not been installed. Have you run npm install?" };
  const { typescript = true, tsconfig = "", nodeargs = "" } = runtimeOptions(request);
  if (typeof typescript !== "boolean") return { problem: "typescript option must be a boolean" };
  if (typeof tsconfig !== "string") return { problem: "tsconfig option must be a string" };
  if (typeof nodeargs !== "string") return { problem: "nodeargs option must be a string" };
  const env: Record<string, string> = {};
  if (typescript) env.PULUMI_NODEJS_TYPESCRIPT = "true";
  if (tsconfig !== "") env.PULUMI_NODEJS_TSCONFIG_PATH = tsconfig;
  const args = runnerArguments(request, "root-directory");
  if (request.run.getDryrun()) args.push("--dry-run");
  return {
    file: process.execPath,
    args: [...splitArguments(nodeargs), runner, ...args, ...entryPoint(request)],
    env: { ...env, ...configuration(request) },
  };
}

/** The runner of the vendor's releases, `pulumi-language-python-exec`, with the Python of the option `virtualenv`. */
async function python(request: Request): Promise<Command | { problem: string }> {
  const runner = onPath("pulumi-language-python-exec");
  if (runner === undefined) return { problem: "pulumi-language-python-exec is not on PATH" };
  const { virtualenv = "" } = runtimeOptions(request);
  if (typeof virtualenv !== "string") return { problem: "virtualenv option must be a string" };
  const root = request.run.getInfo()?.getRootDirectory() || request.folder;
  const file = virtualenv === "" ? "python3" : path.join(path.resolve(root, virtualenv), "bin", "python");
  const args = runnerArguments(request, "root_directory");
  if (request.run.getDryrun()) args.push("--dry_run", "true");
  return { file, args: ["-u", runner, ...args, ...entryPoint(request)], env: configuration(request) };
}

/** Compiled for each run, as Go's cache makes that quick. The SDK reads its settings from the environment. */
async function go(request: Request): Promise<Command | { problem: string }> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "pulumi-go-"));
  const tidyUp = () => fs.rmSync(folder, { recursive: true, force: true });
  const file = path.join(folder, "program");
  const compiled = await outcomeOf("go", ["build", "-o", file, "."], request);
  if (compiled !== "") {
    tidyUp();
    return { problem: `unable to compile the program: ${compiled}` };
  }
  const { run, engineAddress } = request;
  const env = {
    PULUMI_MONITOR: run.getMonitorAddress(),
    PULUMI_ENGINE: engineAddress,
    PULUMI_ORGANIZATION: run.getOrganization(),
    PULUMI_PROJECT: run.getProject(),
    PULUMI_ROOT_DIRECTORY: run.getInfo()?.getRootDirectory() ?? "",
    PULUMI_STACK: run.getStack(),
    PULUMI_PARALLEL: String(run.getParallel()),
    PULUMI_DRY_RUN: String(run.getDryrun()),
    ...configuration(request),
  };
  return { file, args: run.getArgsList(), env, cwd: request.folder, tidyUp };
}

/** The program's own copy of the SDK: a second one in the tree would break the identity of outputs. */
function runnerFor(folder: string): string | undefined {
  try {
    return createRequire(path.join(folder, "noop.js")).resolve("@pulumi/pulumi/cmd/run");
  } catch {
    return undefined;
  }
}

/** The runners of Node.js and Python differ in one name. */
function runnerArguments(request: Request, rootDirectory: "root-directory" | "root_directory"): string[] {
  const { run, engineAddress, folder } = request;
  const named = {
    monitor: run.getMonitorAddress(),
    engine: engineAddress,
    organization: run.getOrganization(),
    project: run.getProject(),
    [rootDirectory]: run.getInfo()?.getRootDirectory() ?? "",
    stack: run.getStack(),
    pwd: folder,
    parallel: String(run.getParallel()),
  };
  return Object.entries(named).flatMap(([name, value]) => (value === "" ? [] : [`--${name}`, value]));
}

function entryPoint({ run }: Request): string[] {
  return [run.getInfo()?.getEntryPoint() || run.getProgram() || ".", ...run.getArgsList()];
}

function configuration({ run }: Request): Record<string, string> {
  return {
    PULUMI_CONFIG: JSON.stringify(Object.fromEntries(run.getConfigMap().entries())),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(run.getConfigsecretkeysList()),
  };
}

/** `runtime.options` of Pulumi.yaml. Options for the installation of packages have no effect on a run. */
function runtimeOptions({ run }: Request): Record<string, unknown> {
  return (run.getInfo()?.getOptions()?.toJavaScript() ?? {}) as Record<string, unknown>;
}

/** Splits at blanks and reads quotes as a shell does: `--max-old-space-size=4096 --require "./a file.js"`. */
function splitArguments(text: string): string[] {
  const words = text.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_all, double, single) => double ?? single));
}

function onPath(name: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  return folders.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
}

/** Empty, or what went wrong. */
function outcomeOf(file: string, args: readonly string[], { folder, track }: Request): Promise<string> {
  const child = spawn(file, args, { cwd: folder, env: process.env, stdio: ["ignore", "pipe", "pipe"] });
  track(child);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code === 0 ? "" : output.trim() || `exit code ${code ?? signal}`));
  });
}
