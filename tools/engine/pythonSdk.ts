// What the tests of Python programs need beside this repository's SDK: a virtual environment with Pulumi's SDK from PyPI and all
// that ours asks for, and the runner of Python programs. Pulumi's Go module has the runner, its package on PyPI does not.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { goEnvironment, usableGo } from "./build";
import { publish, removeLeftovers, temporaryBeside } from "./cache";
import type { Compiled } from "./goCommand";
import { contentHash } from "./launcher";
import { withLock } from "./lock";
import { executablesOnPath, isExecutable } from "./onPath";
import { run } from "./processes";
import { elapsed } from "./reporter";
import type { Context, FoundEngine } from "./types";
import { engineVersion } from "./version";

const RUNNER = "pulumi-language-python-exec";
const INSTALL_TIMEOUT_MS = 10 * 60_000;

/** A virtual environment, whose `bin` is to be put on PATH; or why there is none. */
export async function resolvePython(engine: FoundEngine, context: Context, onlyReady: boolean): Promise<Compiled> {
  if (process.platform === "win32") return { failure: "the tests of Python programs don't run on Windows." };
  const python = executablesOnPath("python3", context.env)[0];
  if (python === undefined) return { failure: "there is no `python3` on PATH." };
  const version = await run(python, ["-c", "import sys; print(sys.version, sys.prefix)"], options(context));
  if (!version.ok) return { failure: `${python} doesn't say its version (${version.problem}).` };
  // Older versions of setuptools build with the package `wheel`.
  const wanted = [`pulumi==${engineVersion(context.root)}`, ...requirements(context.root), "wheel"];
  const hash = contentHash(version.output, ...wanted);
  const folder = path.join(context.cache, `python-${process.platform}-${os.arch()}-${hash}`);
  const isReady = () => isExecutable(path.join(folder, "bin", RUNNER));
  if (isReady()) return { folder };
  if (onlyReady) return { failure: "no virtual environment for Python programs has been made on this machine yet." };
  const onWait = (pid: number) =>
    context.reporter.line(
      `engine: process ${pid} is making the virtual environment of Python programs, waiting for it`,
    );
  return withLock(`${folder}.lock`, onWait, async () => {
    if (isReady()) return { folder };
    removeLeftovers(folder);
    const temporary = temporaryBeside(folder);
    const failure = await install({ python, wanted, folder: temporary, engine }, context);
    if (failure !== undefined) {
      fs.rmSync(temporary, { recursive: true, force: true });
      return { failure };
    }
    publish(temporary, folder);
    return { folder };
  });
}

interface Environment {
  python: string;
  wanted: readonly string[];
  folder: string;
  engine: FoundEngine;
}

async function install(environment: Environment, context: Context): Promise<string | undefined> {
  const { python, wanted, folder, engine } = environment;
  context.reporter.line("engine: making a virtual environment for Python programs, once for this machine");
  const started = Date.now();
  const steps: [title: string, file: string, args: string[]][] = [
    ["python3 -m venv", python, ["-m", "venv", folder]],
    ["pip install", path.join(folder, "bin", "python"), ["-m", "pip", "install", "--quiet", ...wanted]],
  ];
  for (const [title, file, args] of steps) {
    const ran = await run(file, args, options(context));
    if (!ran.ok) return `\`${title}\` failed (${ran.problem}): ${ran.output.trim().split("\n").at(-1)}`;
  }
  const runner = await runnerText(engine, context);
  if ("failure" in runner) return runner.failure;
  fs.writeFileSync(path.join(folder, "bin", RUNNER), runner.text, { mode: 0o755 });
  context.reporter.line(`engine: made in ${elapsed(started)}, kept in the cache`);
  return undefined;
}

/** The one beside the engine, as in the vendor's releases, else the one of Pulumi's Go module. */
async function runnerText(engine: FoundEngine, context: Context): Promise<{ text: string } | { failure: string }> {
  const beside = executablesOnPath(RUNNER, { PATH: engine.path })[0];
  if (beside !== undefined) return { text: fs.readFileSync(beside, "utf8") };
  const go = await usableGo(context);
  if ("failure" in go) return go;
  const module = `github.com/pulumi/pulumi/sdk/v3@v${engineVersion(context.root)}`;
  const env = goEnvironment(context.env);
  const ran = await run(go.go, ["mod", "download", "-json", module], { ...options(context), env, cwd: os.tmpdir() });
  if (!ran.ok) return { failure: `\`go mod download\` failed (${ran.problem}): ${ran.output.trim()}` };
  const { Dir } = JSON.parse(ran.output) as { Dir: string };
  return { text: fs.readFileSync(path.join(Dir, "python", "cmd", RUNNER), "utf8") };
}

function options(context: Context) {
  return { env: context.env, timeoutMs: INSTALL_TIMEOUT_MS };
}

/** What pyproject.toml of sdk/python asks for, at run time and to be built. Its lists are JSON. */
function requirements(root: string): string[] {
  const text = fs.readFileSync(path.join(root, "sdk", "python", "pyproject.toml"), "utf8");
  const lists = [...text.matchAll(/^ *(?:dependencies|requires) = (\[.*\])$/gm)];
  return lists.flatMap(([, list = "[]"]) => JSON.parse(list) as string[]);
}
