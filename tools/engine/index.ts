// Finds a Pulumi engine for the repository's own tests and demo. The installed engine comes first, then the vendor's
// release by the npm package `pulumi`, then an engine compiled with Go. Engines that are on the machine already come first.

import * as path from "node:path";
import { buildEngine, builtEngine } from "./build";
import { cacheFolder } from "./cache";
import type { Compiled } from "./goCommand";
import { downloadedVendorRelease, downloadVendorRelease } from "./npmPackage";
import { engineOnPath } from "./onPath";
import { resolvePython } from "./pythonSdk";
import { reporterFor } from "./reporter";
import type { Context, Engine, FoundEngine, Outcome } from "./types";
import { MINIMUM_VERSION } from "./version";
import { resolveYamlHost } from "./yamlHost";

export type { Engine, FoundEngine } from "./types";

export interface Options {
  env?: NodeJS.ProcessEnv;
  /** Receives each progress line. By default the lines go to stderr; a terminal shows the progress in place. */
  log?: (line: string) => void;
  /** Use only an engine that is on the machine already. Download and compile nothing. */
  onlyReady?: boolean;
  /** The folder that holds tools/engine/go.mod, dist/ and node_modules/. Default: this repository. */
  root?: string;
}

/** The host for YAML programs that goes with the engine. */
export function resolveYaml(engine: FoundEngine, options: Options = {}): Promise<Compiled> {
  return resolveYamlHost(engine, contextOf(options), options.onlyReady === true);
}

/** The virtual environment for Python programs that goes with the engine. */
export function resolvePythonSdk(engine: FoundEngine, options: Options = {}): Promise<Compiled> {
  return resolvePython(engine, contextOf(options), options.onlyReady === true);
}

export async function resolveEngine(options: Options = {}): Promise<Engine> {
  const context = contextOf(options);
  const { env } = context;
  const only = env.SNAPCLONE_ENGINE ?? "";
  const failures = new Map<string, string>();
  for (const way of waysInOrder) {
    if (only !== "" && way.kind !== only) continue;
    if (options.onlyReady === true && !way.ready) continue;
    const outcome = await way.get(context).catch((error: Error): Outcome => ({ failure: error.message }));
    if ("engine" in outcome) return outcome.engine;
    // The download's failure replaces the failure of the search for a downloaded release: it says more.
    failures.set(way.kind, outcome.failure);
  }
  return { kind: "none", reason: explain(failures, only) };
}

export function contextOf(options: Options = {}): Context {
  const env = options.env ?? process.env;
  const root = options.root ?? repositoryRoot();
  return { env, reporter: reporterFor(options.log), root, cache: cacheFolder(env) };
}

interface Way {
  kind: FoundEngine["kind"];
  /** Needs no download and no compiler. */
  ready: boolean;
  get: (context: Context) => Promise<Outcome>;
}

const waysInOrder: Way[] = [
  { kind: "path", ready: true, get: engineOnPath },
  { kind: "npm", ready: true, get: downloadedVendorRelease },
  { kind: "built", ready: true, get: builtEngine },
  { kind: "npm", ready: false, get: downloadVendorRelease },
  { kind: "built", ready: false, get: buildEngine },
];

const titles: Record<FoundEngine["kind"], string> = {
  path: "installed",
  npm: "npm package `pulumi`",
  built: "compiled with Go",
};

function explain(failures: Map<string, string>, only: string): string {
  const lines = Object.entries(titles)
    .filter(([kind]) => failures.has(kind))
    .map(([kind, title]) => `  ${title}: ${failures.get(kind)}`);
  if (lines.length === 0) lines.push(`  SNAPCLONE_ENGINE=${only} is none of ${Object.keys(titles).join(", ")}.`);
  return [
    "no Pulumi engine was found:",
    ...lines,
    `Install Pulumi ${MINIMUM_VERSION} or newer (https://www.pulumi.com/docs/install/), or Go 1.26 or newer, and run this again.`,
  ].join("\n");
}

/** This file is `tools/engine/index.ts` in the sources and `dist/tools/engine/index.js` in the build. */
function repositoryRoot(): string {
  const above = path.resolve(__dirname, "..", "..");
  return path.basename(above) === "dist" ? path.dirname(above) : above;
}
