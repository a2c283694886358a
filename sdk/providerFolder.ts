// Pulumi's provider process loads this package by name, from a folder that the engine chooses and not from where the program
// has the package (docs/wire/pulumi-engine.md#provider-folder). The constructor of a resource looks there first, so that a
// missing package is one sentence before anything is planned.

import { createRequire } from "node:module";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { programError } from "./programError";

/** Folders in which the package was found, so that a program pays for one search. */
const found = new Set<string>();
/** The folders of inline programs (Automation API), for the latest runs, by the address of the run's resource monitor. */
const inlineFolders = new Map<string, string>();

export function assertProviderIsFound(module: string): void {
  const folder = isRunByPulumi() ? process.cwd() : inlineFolders.get(monitorAddress());
  // Unknown under mocks, and where Pulumi's internals are other than expected.
  if (folder === undefined || found.has(folder)) return;
  // `yarn run` and `yarn exec` hand Plug'n'Play on in NODE_OPTIONS: the provider process inherits it from the engine.
  if (process.versions.pnp !== undefined && !/\bpnp\b/.test(process.env.NODE_OPTIONS ?? "")) {
    throw programError(
      "pulumi-snapclone: Yarn's Plug'n'Play does not reach Pulumi's provider process. Start Pulumi by Yarn (`yarn exec pulumi up`), which sets NODE_OPTIONS for all processes, or set `nodeLinker: node-modules` in .yarnrc.yml and run `yarn install`.",
    );
  }
  try {
    createRequire(path.join(folder, "program.js")).resolve(module);
  } catch {
    const inline = isRunByPulumi()
      ? ""
      : " For an inline program, this folder is `main` of the project settings, or else `workDir`.";
    throw programError(
      `pulumi-snapclone: Pulumi's provider process looks for this package in ${folder} and the folders above, and it is not there. Install it there, as a dependency of that folder's own package.json: \`npm install pulumi-snapclone\` (or pnpm add, yarn add, bun add).${inline}`,
    );
  }
  found.add(folder);
}

/** True in the process that Pulumi starts for a program (sdk/nodejs/cmd/run), false in a program of the Automation API. */
function isRunByPulumi(): boolean {
  return /[\\/]cmd[\\/]run(-plugin)?([\\/]|$)/.test(process.argv[1] ?? "");
}

function monitorAddress(): string {
  const monitor = pulumi.runtime.getMonitor() as { getChannel?(): { getTarget(): string } } | undefined;
  return monitor?.getChannel?.().getTarget().replace(/^dns:/, "") ?? "";
}

/**
 * The Automation API gets the folder with the request to run the program (sdk/nodejs/automation/server.ts, `run`), and
 * keeps it to itself. So the folder is noted when the request is read.
 */
function noteInlineFolders(): void {
  if (isRunByPulumi()) return;
  const RunRequest = runRequestClass();
  if (typeof RunRequest?.deserializeBinary !== "function") return;
  const original = RunRequest.deserializeBinary;
  RunRequest.deserializeBinary = (bytes) => {
    const request = original.call(RunRequest, bytes);
    if (inlineFolders.size >= 1000) inlineFolders.clear();
    inlineFolders.set(request.getMonitorAddress(), request.getInfo()?.getProgramDirectory() || request.getPwd());
    return request;
  };
}

/** Undefined in an app that is bundled as an ES module: there is no `require`. */
function runRequestClass(): RunRequestClass | undefined {
  try {
    return (require("@pulumi/pulumi/proto/language_pb") as { RunRequest?: RunRequestClass }).RunRequest;
  } catch {
    return undefined;
  }
}

interface RunRequestClass {
  deserializeBinary(bytes: Uint8Array): {
    getMonitorAddress(): string;
    getPwd(): string;
    getInfo(): { getProgramDirectory(): string } | undefined;
  };
}

noteInlineFolders();
