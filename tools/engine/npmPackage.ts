// Gets an engine by the npm package `pulumi`. Its first use downloads the vendor's release (binary and language hosts) into
// $PULUMI_HOME/versions. If the vendor's server can't be reached, the package says `pulumi: fetch failed` at once.

import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import { publish, temporaryBeside } from "./cache";
import { withLock } from "./lock";
import { executablesOnPath, installedEngine, isExecutable, isNpmLauncher } from "./onPath";
import { type Ran, run, withCleanup } from "./processes";
import { elapsed } from "./reporter";
import type { Context, Outcome } from "./types";
import { atLeast, engineVersion, MINIMUM_VERSION } from "./version";

const INSTALL_TIMEOUT_MS = 60_000;
const DOWNLOAD_TIMEOUT_MS = 300_000;

interface Package {
  folder: string;
  version: string;
}

/** The release that an earlier run, `npx pulumi` or the Automation API has downloaded to this machine. */
export async function downloadedVendorRelease(context: Context): Promise<Outcome> {
  const version = context.env.PULUMI_VERSION ?? installedPackage(context)?.version ?? engineVersion(context.root);
  const pulumi = releaseBinary(version, context.env);
  if (!isExecutable(pulumi)) return { failure: `its release ${version} is not on this machine.` };
  return installedEngine("npm", pulumi, context);
}

export async function downloadVendorRelease(context: Context): Promise<Outcome> {
  const wanted = engineVersion(context.root);
  const lock = path.join(context.cache, `npm-${wanted}.lock`);
  const onWait = (pid: number) =>
    context.reporter.line(`pulumi: waiting for process ${pid}, which is downloading the vendor's release`);
  return withLock(lock, onWait, async () => {
    const already = await downloadedVendorRelease(context);
    if ("engine" in already) return already;
    const found = installedPackage(context) ?? (await installPackage(wanted, context));
    if ("failure" in found) return found;
    if (!atLeast(found.version, MINIMUM_VERSION)) {
      return { failure: `${found.folder} is ${found.version}; ${MINIMUM_VERSION} or newer is needed.` };
    }
    context.reporter.line(`pulumi: asking the npm package \`pulumi\` for the vendor's release ${found.version}`);
    const started = Date.now();
    const stop = context.reporter.progress(() => `pulumi: downloading, ${elapsed(started)}`);
    const ran = await run(process.execPath, [path.join(found.folder, "run.js"), "version"], {
      env: { ...context.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
    }).finally(stop);
    if (!ran.ok)
      return { failure: `\`${lastLine(ran)}\` (the command downloads the vendor's release, and the download failed).` };
    const version = context.env.PULUMI_VERSION ?? found.version;
    return installedEngine("npm", releaseBinary(version, context.env), context);
  });
}

/** In the project, beside the `pulumi` that npm or npx put on PATH, or in our cache. */
function installedPackage(context: Context): Package | undefined {
  const onPath = executablesOnPath("pulumi", context.env).find(isNpmLauncher);
  const candidates = [
    resolvedFrom(context.root),
    onPath === undefined ? undefined : path.dirname(fs.realpathSync(onPath)),
    packageFolder(engineVersion(context.root), context),
  ];
  for (const folder of candidates) {
    if (folder === undefined || !fs.existsSync(path.join(folder, "run.js"))) continue;
    const manifest = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8")) as { version: string };
    return { folder, version: manifest.version };
  }
  return undefined;
}

/** The package has a few kilobytes and an exact version. The cache keeps it, not the project. */
async function installPackage(version: string, context: Context): Promise<Package | { failure: string }> {
  const target = path.join(context.cache, `npm-${version}`);
  const temporary = temporaryBeside(target);
  const removeTemporary = () => fs.rmSync(temporary, { recursive: true, force: true });
  return withCleanup(removeTemporary, async () => {
    fs.writeFileSync(path.join(temporary, "package.json"), JSON.stringify({ private: true }));
    const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", `pulumi@${version}`];
    const ran = await run(process.platform === "win32" ? "npm.cmd" : "npm", args, {
      env: context.env,
      cwd: temporary,
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
    if (!ran.ok) return { failure: `npm can't install the package (${lastLine(ran)}).` };
    publish(temporary, target);
    return { folder: packageFolder(version, context), version };
  });
}

function packageFolder(version: string, context: Context): string {
  return path.join(context.cache, `npm-${version}`, "node_modules", "pulumi");
}

function resolvedFrom(folder: string): string | undefined {
  try {
    return path.dirname(createRequire(path.join(folder, "package.json")).resolve("pulumi/package.json"));
  } catch {
    return undefined;
  }
}

/** Where the npm package and the Automation API keep a release (lib/cache.js of the package). */
function releaseBinary(version: string, env: NodeJS.ProcessEnv): string {
  const home = env.PULUMI_HOME ?? path.join(env.HOME || os.homedir(), ".pulumi");
  const name = process.platform === "win32" ? "pulumi.exe" : "pulumi";
  return path.join(home, "versions", version.replace(/^v/, ""), "bin", name);
}

function lastLine(ran: Ran): string {
  return ran.output.trim().split("\n").at(-1) || ran.problem;
}
