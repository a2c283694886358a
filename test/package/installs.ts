// Installs things for the tests of this folder into the cache outside the repository, by each of the package managers. What
// can't be had here (a registry that doesn't answer, no binary for this platform) is a reason instead of a folder.

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { cacheFolder, publish, temporaryBeside } from "../../tools/engine/cache";
import { type Ran, run } from "../../tools/engine/processes";
import { BUN, PNPM, YARN, YARN_CLASSIC } from "./combinations";

/** A path, or why there is none. */
export type Had = { path: string } | { missing: string };

export type Manager = "npm" | "pnpm" | "yarn 1" | "yarn 4" | "bun";

export const cache = path.join(cacheFolder(process.env), "package");
const TIMEOUT_MS = 300_000;
const UNUSED_AFTER_MS = 7 * 24 * 3600 * 1000;

/** Exact versions of foreign packages, installed by npm. */
export async function npmFolder(name: string, dependencies: Record<string, string>): Promise<Had> {
  const text = JSON.stringify({ private: true, dependencies });
  const folder = path.join(cache, `${name}-${hash(text)}`);
  if (fs.existsSync(folder)) return used(folder);
  say(`installing ${name}`);
  const temporary = temporaryBeside(folder);
  fs.writeFileSync(path.join(temporary, "package.json"), text);
  const ran = await npm(INSTALL_NPM, temporary);
  if (ran.ok) {
    publish(temporary, folder);
    return { path: folder };
  }
  fs.rmSync(temporary, { recursive: true, force: true });
  return missingOrFail(`installing ${name}`, ran);
}

/**
 * A folder with `files`, of which one is a package.json, and what it asks for. It is made anew when `identity` is
 * another, and only installed again when the files differ (they name the packed package, whose code has changed).
 */
export async function installedFolder(
  name: string,
  manager: Manager,
  identity: unknown,
  files: Record<string, string>,
): Promise<Had> {
  const tool = await MANAGERS[manager].get();
  if ("missing" in tool) return tool;
  const folder = path.join(cache, `${name}-${hash(JSON.stringify(identity))}`);
  const text = JSON.stringify(files);
  const done = path.join(folder, "installed.json");
  if (fs.existsSync(done) && fs.readFileSync(done, "utf8") === text) return used(folder);
  say(`installing ${name}`);
  fs.rmSync(done, { force: true });
  for (const [file, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), content);
  }
  const ran = await MANAGERS[manager].install(tool.path, folder);
  if (!ran.ok) return missingOrFail(`installing ${name}`, ran);
  fs.writeFileSync(done, text);
  return { path: folder };
}

/** The executable `bun`. */
export async function bun(): Promise<Had> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@oven/bun-${platform}-${process.arch === "arm64" ? "aarch64" : process.arch}`;
  return within(await npmFolder(`bun-${BUN}`, { [name]: BUN }), "node_modules", name, "bin", "bun");
}

/** The file that `node` runs as Yarn. */
export async function yarn(): Promise<Had> {
  const folder = await npmFolder(`yarn-${YARN}`, { "@yarnpkg/cli-dist": YARN });
  return within(folder, "node_modules", "@yarnpkg", "cli-dist", "bin", "yarn.js");
}

const INSTALL_NPM = [
  "install",
  "--ignore-scripts",
  "--no-audit",
  "--no-fund",
  "--prefer-offline",
  "--loglevel=error",
] as const;

/** How to get a package manager, and how to install with it. npm is there; the others come from npm's registry. */
const MANAGERS: Record<Manager, { get(): Promise<Had>; install(tool: string, folder: string): Promise<Ran> }> = {
  npm: { get: async () => ({ path: "npm" }), install: (_tool, folder) => npm(INSTALL_NPM, folder) },
  pnpm: {
    get: async () => within(await npmFolder(`pnpm-${PNPM}`, { pnpm: PNPM }), "node_modules", ".bin", "pnpm"),
    install: (tool, folder) =>
      run(tool, ["install", "--no-frozen-lockfile", "--store-dir", path.join(cache, "pnpm-store")], options(folder)),
  },
  "yarn 1": {
    get: async () =>
      within(await npmFolder(`yarn-${YARN_CLASSIC}`, { yarn: YARN_CLASSIC }), "node_modules", "yarn", "bin", "yarn.js"),
    install: async (tool, folder) => {
      const args = ["install", "--ignore-scripts", "--non-interactive", "--no-progress", "--cache-folder"];
      const env = { YARN_REGISTRY: await registry() };
      return run(process.execPath, [tool, ...args, path.join(cache, "yarn-1-cache")], options(folder, env));
    },
  },
  "yarn 4": {
    get: yarn,
    install: async (tool, folder) => {
      const address = await registry();
      const env = {
        YARN_NPM_REGISTRY_SERVER: address,
        ...(address.startsWith("http:") ? { YARN_UNSAFE_HTTP_WHITELIST: new URL(address).hostname } : {}),
        YARN_GLOBAL_FOLDER: path.join(cache, "yarn-4-global"),
        YARN_ENABLE_SCRIPTS: "false",
        YARN_ENABLE_TELEMETRY: "false",
        // Yarn refuses to write a lock file where it sees CI.
        YARN_ENABLE_IMMUTABLE_INSTALLS: "false",
      };
      return run(process.execPath, [tool, "install"], options(folder, env));
    },
  },
  bun: {
    get: bun,
    install: async (tool, folder) => {
      const env = { BUN_CONFIG_REGISTRY: await registry(), BUN_INSTALL_CACHE_DIR: path.join(cache, "bun-cache") };
      return run(tool, ["install", "--ignore-scripts"], options(folder, env));
    },
  },
};

/** What no run has asked for in a week: older versions, tarballs of older builds. */
export function removeUnused(): void {
  for (const name of fs.readdirSync(cache)) {
    const file = path.join(cache, name);
    const shared = /^(pnpm-store|yarn-1-cache|yarn-4-global|bun-cache)$/.test(name);
    if (shared || Date.now() - fs.statSync(file).mtimeMs < UNUSED_AFTER_MS) continue;
    fs.rmSync(file, { recursive: true, force: true });
  }
}

export function npm(args: readonly string[], cwd: string): Promise<Ran> {
  return run("npm", args, options(cwd));
}

export function hash(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 12);
}

function within(had: Had, ...names: string[]): Had {
  return "missing" in had ? had : { path: path.join(had.path, ...names) };
}

/** Yarn and Bun do not read npm's configuration. */
async function registry(): Promise<string> {
  return (await npm(["config", "get", "registry"], cache)).output.trim();
}

function options(cwd: string, more: Record<string, string> = {}) {
  return { cwd, env: { ...cleanEnvironment(), ...more }, timeoutMs: TIMEOUT_MS };
}

/** Nothing of the npm that has started this run: it tells where *its* project is. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(npm_|NODE_OPTIONS$|JEST_)/.test(key)));
}

/** What isn't the package's fault: nobody answers, or there is no such binary for this platform. */
function missingOrFail(what: string, ran: { output: string; problem: string }): Had {
  const unreachable =
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|EBADPLATFORM|E404|E429|E50\d|ERR_PNPM_(?:META_)?FETCH|YN0001|YN0035|ConnectionRefused|took longer than/;
  if (!unreachable.test(`${ran.output} ${ran.problem}`)) throw new Error(`${what}: ${ran.problem}\n${ran.output}`);
  const reason = ran.output.split("\n").find((line) => unreachable.test(line)) ?? ran.problem;
  say(`${what} failed: ${reason}`);
  return { missing: `${what}: ${reason.trim()}` };
}

/** Says that it is in use. */
function used(folder: string): Had {
  fs.utimesSync(folder, new Date(), new Date());
  return { path: folder };
}

function say(text: string): void {
  process.stderr.write(`── package: ${text}\n`);
}
