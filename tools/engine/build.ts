// Compiles the engine as a Go tool from the Go module proxy (go.mod and go.sum are in this folder), and puts our own language
// hosts beside the engine: the vendor's hosts have no tagged module, so the proxy does not serve them.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { publish, removeLeftovers, temporaryBeside } from "./cache";
import { contentHash, LAUNCHER, launcherText } from "./launcher";
import { withLock } from "./lock";
import { executablesOnPath, isExecutable, pulumiVersion, searchPath } from "./onPath";
import { run, withCleanup } from "./processes";
import type { Language } from "./programs";
import { elapsed } from "./reporter";
import type { Context, FoundEngine, Outcome } from "./types";
import { atLeast, engineVersion, moduleFile } from "./version";

const BUILD_TIMEOUT_MS = 40 * 60_000;
const COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi";

/** Compiled by an earlier run. */
export async function builtEngine(context: Context): Promise<Outcome> {
  const folder = engineFolder(context);
  if (!isExecutable(path.join(folder, "pulumi")))
    return { failure: "no engine has been compiled on this machine yet." };
  return { engine: assemble(folder, context) };
}

export async function buildEngine(context: Context): Promise<Outcome> {
  if (process.platform === "win32")
    return { failure: "Windows can't run the compiled engine's language host, which is a script." };
  const go = await usableGo(context);
  if ("failure" in go) return go;
  const folder = engineFolder(context);
  const onWait = (pid: number) =>
    context.reporter.line(`engine: waiting for process ${pid}, which is compiling the same engine`);
  return withLock(`${folder}.lock`, onWait, async () => {
    const already = await builtEngine(context);
    if ("engine" in already) return already;
    removeLeftovers(folder);
    const failure = await compile(go.go, folder, context);
    return failure === undefined ? builtEngine(context) : { failure };
  });
}

export async function usableGo(context: Context): Promise<{ go: string } | { failure: string }> {
  const wanted = /^go (\d+\.\d+)/m.exec(moduleFile(context.root, "go.mod"))?.[1] ?? "1.26";
  const go = executablesOnPath("go", context.env)[0];
  if (go === undefined) return { failure: `there is no \`go\` on PATH (${wanted} or newer is needed).` };
  const ran = await run(go, ["version"], { env: goEnvironment(context.env), timeoutMs: 20_000 });
  const version = /go(\d+\.\d+(?:\.\d+)?)/.exec(ran.output)?.[1];
  if (version === undefined) return { failure: `${go} doesn't say its version (${ran.problem}).` };
  if (!atLeast(version, wanted)) return { failure: `${go} is ${version}; ${wanted} or newer is needed.` };
  return { go };
}

/** Compiles into a folder beside `folder` and renames that folder, so that an interrupted build never looks finished. */
async function compile(go: string, folder: string, context: Context): Promise<string | undefined> {
  const version = engineVersion(context.root);
  const temporary = temporaryBeside(folder);
  const logFile = `${folder}.log`;
  const log = fs.openSync(logFile, "w");
  const tidy = () => {
    fs.closeSync(log);
    fs.rmSync(temporary, { recursive: true, force: true });
  };
  return withCleanup(tidy, async () => {
    for (const name of ["go.mod", "go.sum"]) {
      fs.writeFileSync(path.join(temporary, name), moduleFile(context.root, name));
    }
    context.reporter.line(
      `engine: compiling Pulumi v${version} with Go, once for this machine. This takes about 5 minutes on two cores, 2 GB of memory and 3 GB in Go's caches`,
    );
    const started = Date.now();
    const stop = context.reporter.progress(() => `engine: compiling, ${elapsed(started)}, ${stage(logFile)}`);
    const ran = await run(go, buildArguments(version, path.join(temporary, "pulumi")), {
      env: goEnvironment(context.env),
      cwd: temporary,
      outputTo: log,
      timeoutMs: BUILD_TIMEOUT_MS,
    }).finally(stop);
    if (!ran.ok) return `\`go build\` failed (${ran.problem}): ${lastLine(logFile)}. ${logFile} has all of its output.`;
    const says = await pulumiVersion(path.join(temporary, "pulumi"), context.env);
    if (says !== `v${version}`) return `the compiled engine reports version ${says} instead of v${version}.`;
    publish(temporary, folder);
    fs.rmSync(logFile, { force: true });
    context.reporter.line(`engine: compiled in ${elapsed(started)}; ${folder} keeps it`);
    return undefined;
  });
}

/** Tags and linker flags of the vendor's own release (.goreleaser.yml of pulumi/pulumi). `-v` is for the progress. */
function buildArguments(version: string, output: string): string[] {
  const ldflags = `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${version}`;
  return [
    "build",
    "-v",
    "-buildvcs=false",
    "-tags",
    "osusergo,grpcnotrace",
    "-ldflags",
    ldflags,
    "-o",
    output,
    COMMAND,
  ];
}

export function goEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...env,
    CGO_ENABLED: "0",
    // Use the installed Go. Never download another one.
    GOTOOLCHAIN: "local",
    // A user's `-mod=vendor` or workspace is for the user's own projects.
    GOFLAGS: "-mod=readonly",
    GOWORK: "off",
  };
}

function stage(logFile: string): string {
  const lines = fs.readFileSync(logFile, "utf8").split("\n");
  const downloads = lines.filter((line) => line.startsWith("go: downloading")).length;
  const packages = lines.filter((line) => line !== "" && !line.startsWith("go: ")).length;
  if (packages > 0) return `${packages} packages done`;
  return downloads > 0 ? `${downloads} modules downloaded` : "linking";
}

function lastLine(file: string): string {
  return fs.readFileSync(file, "utf8").trim().split("\n").at(-1) ?? "";
}

/** Named by the content of go.mod, so that checkouts with the same go.mod share one engine. */
function engineFolder(context: Context): string {
  const hash = contentHash(moduleFile(context.root, "go.mod"), moduleFile(context.root, "go.sum"));
  const platform = `${process.platform}-${os.arch()}`;
  return path.join(context.cache, `engine-${engineVersion(context.root)}-${platform}-${hash}`);
}

/**
 * A folder with the binary, the language hosts and the launcher side by side. In every run the engine warns if it finds these
 * elsewhere on PATH than beside its own binary. The folder is named by the content, because the hosts belong to the checkout
 * and change more often than the binary. The binary is a hard link.
 */
function assemble(folder: string, context: Context): FoundEngine {
  const sources = ["languageHost.js", "programs.js"].map((name) => {
    return [name, fs.readFileSync(path.join(context.root, "dist", "tools", "engine", name), "utf8")] as const;
  });
  const hosts = (["nodejs", "python", "go"] satisfies Language[]).map((language) => {
    const call = `require("./languageHost.js").serve(${JSON.stringify(context.root)}, "${language}");`;
    return [`pulumi-language-${language}`, `#!/usr/bin/env node\n${call}\n`] as const;
  });
  const executables = [...hosts, [LAUNCHER, launcherText(context.root)] as const];
  const bin = path.join(folder, `bin-${contentHash(...[...sources, ...executables].flat())}`);
  if (!fs.existsSync(bin)) {
    const temporary = temporaryBeside(bin);
    linkOrCopy(path.join(folder, "pulumi"), path.join(temporary, "pulumi"));
    for (const [name, text] of sources) fs.writeFileSync(path.join(temporary, name), text);
    for (const [name, text] of executables) fs.writeFileSync(path.join(temporary, name), text, { mode: 0o755 });
    publish(temporary, bin);
  }
  const pulumi = path.join(bin, "pulumi");
  const version = `v${engineVersion(context.root)}`;
  return { kind: "built", pulumi, path: searchPath([bin], context.env), version, languageHost: "standin" };
}

function linkOrCopy(from: string, to: string): void {
  try {
    fs.linkSync(from, to);
  } catch {
    // Not every file system has hard links.
    fs.copyFileSync(from, to);
  }
}
