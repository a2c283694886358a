// Finds Pulumi's language host for YAML programs, for the tests of the native provider: beside the engine (the vendor's
// release has the host), else compiled from the Go module proxy. The host has a go.mod of its own, because pulumi-yaml needs
// an older SDK than the engine and does not compile with the engine's.

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
import type { Context, FoundEngine } from "./types";
import { moduleFile } from "./version";

const BUILD_TIMEOUT_MS = 20 * 60_000;
const COMMAND = "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml";
const HOST = "pulumi-language-yaml";

/** The host's folder, which goes on PATH beside the engine's, or the reason why there is none. */
export type YamlHost = { folder: string } | { failure: string };

export async function resolveYamlHost(engine: FoundEngine, context: Context, onlyReady: boolean): Promise<YamlHost> {
  const beside = engine.path.split(path.delimiter).find((folder) => isExecutable(path.join(folder, HOST)));
  if (beside !== undefined) return { folder: beside };
  const folder = hostFolder(context);
  const isReady = () => isExecutable(path.join(folder, HOST));
  if (isReady()) return { folder };
  if (onlyReady) return { failure: "no host for YAML programs has been compiled on this machine yet." };
  if (process.platform === "win32") return { failure: "the host for YAML programs is not compiled on Windows." };
  const go = await usableGo(context);
  if ("failure" in go) return go;
  const onWait = (pid: number) =>
    context.reporter.line(`engine: process ${pid} is compiling the YAML host, waiting for it`);
  return withLock(`${folder}.lock`, onWait, async () => {
    if (isReady()) return { folder };
    removeLeftovers(folder);
    const failure = await compile(go.go, folder, context);
    return failure === undefined ? { folder } : { failure };
  });
}

async function compile(go: string, folder: string, context: Context): Promise<string | undefined> {
  const temporary = temporaryBeside(folder);
  for (const name of ["go.mod", "go.sum"]) {
    fs.writeFileSync(path.join(temporary, name), moduleFile(context.root, path.join("yaml", name)));
  }
  context.reporter.line(
    "engine: compiling the host for YAML programs, once for this machine: about 2 minutes on two cores",
  );
  const started = Date.now();
  const output = path.join(temporary, HOST);
  const args = [
    "build",
    "-buildvcs=false",
    "-tags",
    "osusergo,grpcnotrace",
    "-ldflags",
    "-s -w",
    "-o",
    output,
    COMMAND,
  ];
  const ran = await run(go, args, { env: goEnvironment(context.env), cwd: temporary, timeoutMs: BUILD_TIMEOUT_MS });
  if (!ran.ok) {
    fs.rmSync(temporary, { recursive: true, force: true });
    return `\`go build\` of the YAML host failed (${ran.problem}): ${ran.output.trim().split("\n").at(-1)}`;
  }
  publish(temporary, folder);
  context.reporter.line(`engine: compiled in ${elapsed(started)}, kept in ${folder}`);
  return undefined;
}

function hostFolder(context: Context): string {
  const hash = contentHash(...["go.mod", "go.sum"].map((name) => moduleFile(context.root, path.join("yaml", name))));
  return path.join(context.cache, `yaml-host-${process.platform}-${os.arch()}-${hash}`);
}
