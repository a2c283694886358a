// Compiles a command of the Go module proxy once for this machine, into a folder of the cache whose name has the hash of
// what it is made from.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { goEnvironment, usableGo } from "./build";
import { publish, removeLeftovers, temporaryBeside } from "./cache";
import { contentHash } from "./launcher";
import { withLock } from "./lock";
import { isExecutable } from "./onPath";
import { run } from "./processes";
import { elapsed } from "./reporter";
import type { Context } from "./types";

const BUILD_TIMEOUT_MS = 20 * 60_000;

export interface GoCommand {
  /** The executable's name. */
  name: string;
  /** The beginning of the folder's name. */
  folder: string;
  /** For messages: `the host for YAML programs`. */
  title: string;
  /** How long the compiler takes on two cores. */
  duration: string;
  /** go.mod, go.sum, and the sources if `target` is ".". */
  files: Readonly<Record<string, string>>;
  /** What `go build` compiles. */
  target: string;
}

/** The folder with the executable, or why there is none. */
export type Compiled = { folder: string } | { failure: string };

export async function compileOnce(command: GoCommand, context: Context, onlyReady: boolean): Promise<Compiled> {
  const hash = contentHash(...Object.values(command.files));
  const folder = path.join(context.cache, `${command.folder}-${process.platform}-${os.arch()}-${hash}`);
  const isReady = () => isExecutable(path.join(folder, command.name));
  if (isReady()) return { folder };
  if (onlyReady) return { failure: `${command.title} has not been compiled on this machine yet.` };
  if (process.platform === "win32") return { failure: `${command.title} is not compiled on Windows.` };
  const go = await usableGo(context);
  if ("failure" in go) return go;
  const onWait = (pid: number) =>
    context.reporter.line(`engine: process ${pid} is compiling ${command.title}, waiting for it`);
  return withLock(`${folder}.lock`, onWait, async () => {
    if (isReady()) return { folder };
    removeLeftovers(folder);
    const failure = await compile(command, go.go, folder, context);
    return failure === undefined ? { folder } : { failure };
  });
}

async function compile(command: GoCommand, go: string, folder: string, context: Context): Promise<string | undefined> {
  const temporary = temporaryBeside(folder);
  for (const [name, text] of Object.entries(command.files)) fs.writeFileSync(path.join(temporary, name), text);
  context.reporter.line(`engine: compiling ${command.title}, once for this machine: about ${command.duration}`);
  const started = Date.now();
  const output = path.join(temporary, command.name);
  const flags = ["-buildvcs=false", "-tags", "osusergo,grpcnotrace", "-ldflags", "-s -w"];
  const ran = await run(go, ["build", ...flags, "-o", output, command.target], {
    env: goEnvironment(context.env),
    cwd: temporary,
    timeoutMs: BUILD_TIMEOUT_MS,
  });
  if (!ran.ok) {
    fs.rmSync(temporary, { recursive: true, force: true });
    return `\`go build\` of ${command.title} failed (${ran.problem}): ${ran.output.trim().split("\n").at(-1)}`;
  }
  publish(temporary, folder);
  context.reporter.line(`engine: compiled in ${elapsed(started)}, kept in ${folder}`);
  return undefined;
}
