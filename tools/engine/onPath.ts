// Finds an installed Pulumi, and says what a complete installation has.

import * as fs from "node:fs";
import * as path from "node:path";
import { launcherFolder } from "./launcher";
import { run } from "./processes";
import type { Context, FoundEngine, Outcome } from "./types";
import { atLeast, MINIMUM_VERSION } from "./version";

const VERSION_TIMEOUT_MS = 20_000;

export async function engineOnPath(context: Context): Promise<Outcome> {
  // The npm package's `pulumi` is a launcher that may download. npmPackage.ts handles that launcher.
  const pulumi = executablesOnPath("pulumi", context.env).find((file) => !isNpmLauncher(file));
  if (pulumi === undefined) return { failure: "there is no `pulumi` on PATH." };
  return installedEngine("path", pulumi, context);
}

/** A new enough `pulumi`, with its language host beside it or on PATH. */
export async function installedEngine(kind: FoundEngine["kind"], pulumi: string, context: Context): Promise<Outcome> {
  const version = await pulumiVersion(pulumi, context.env);
  if (version === undefined) return { failure: `${pulumi} doesn't say its version.` };
  if (!atLeast(version, MINIMUM_VERSION)) {
    return {
      failure: `${pulumi} is ${version}; ${MINIMUM_VERSION} or newer is needed, because older engines do not show drift.`,
    };
  }
  const folders = [path.dirname(pulumi)];
  for (const companion of ["pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"]) {
    const found = companionOf(pulumi, companion, context.env);
    if (found !== undefined) folders.push(path.dirname(found));
    else if (companion === "pulumi-language-nodejs") {
      return { failure: `${pulumi} (${version}) lacks its Node.js language host, \`pulumi-language-nodejs\`.` };
    } else folders.push(launcherFolder(context));
  }
  return {
    engine: { kind, pulumi, path: searchPath(folders, context.env), version, languageHost: "vendor" },
  };
}

/** Folders, each once, and the folder of this `node` if another one or none would be found. */
export function searchPath(folders: readonly string[], env: NodeJS.ProcessEnv): string {
  const node = executablesOnPath("node", env)[0];
  const sameNode = node !== undefined && fs.realpathSync(node) === fs.realpathSync(process.execPath);
  const all = sameNode ? folders : [...folders, path.dirname(process.execPath)];
  return [...new Set(all)].join(path.delimiter);
}

export async function pulumiVersion(pulumi: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const ran = await run(pulumi, ["version"], {
    env: { ...env, PULUMI_SKIP_UPDATE_CHECK: "true" },
    timeoutMs: VERSION_TIMEOUT_MS,
  });
  return ran.ok ? /^v?\d+\.\d+\.\d+\S*/m.exec(ran.output)?.[0] : undefined;
}

export function executablesOnPath(name: string, env: NodeJS.ProcessEnv): string[] {
  const extension = process.platform === "win32" ? ".exe" : "";
  return (env.PATH ?? "")
    .split(path.delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => path.join(folder, name + extension))
    .filter(isExecutable);
}

export function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

export function isNpmLauncher(file: string): boolean {
  return fs.realpathSync(file).endsWith(path.join("node_modules", "pulumi", "run.js"));
}

/** PATH first, then beside the real binary: the order of the engine itself (sdk/go/common/workspace/plugins.go). */
function companionOf(pulumi: string, name: string, env: NodeJS.ProcessEnv): string | undefined {
  const extension = process.platform === "win32" ? (name.startsWith("pulumi-resource") ? ".cmd" : ".exe") : "";
  const beside = [path.dirname(pulumi), path.dirname(fs.realpathSync(pulumi))].map((folder) =>
    path.join(folder, name + extension),
  );
  return executablesOnPath(name, env)[0] ?? beside.find(isExecutable);
}
