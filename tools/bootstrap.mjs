// Takes a bare clone to a running demo or test. It installs and builds what is missing or out of date, says so, and then
// runs the command. It is plain JavaScript and uses only Node's own modules, because it runs before `npm ci`.
//
//   node tools/bootstrap.mjs demo
//   node tools/bootstrap.mjs test [jest arguments]        lint, types, unit, contract, faults and smoke, in six minutes
//   node tools/bootstrap.mjs all [jest arguments]         what `test` omits: malformed answers, convergence, rate limits, long engine tests, kills
//   node tools/bootstrap.mjs unit|contract|faults|convergence|engine [jest arguments]   one suite
//   node tools/bootstrap.mjs soak [jest arguments]        a day of random commands and faults: SNAPCLONE_SOAK_OPERATIONS, _SEED
//   node tools/bootstrap.mjs openstack [jest arguments]   against real OpenStack services
//   node tools/bootstrap.mjs clients [jest arguments]     the vendors' own clients against the emulators
//   node tools/bootstrap.mjs browser [jest arguments]     pages and pictures in a headless Chromium; skipped without one
//   node tools/bootstrap.mjs package [jest arguments]     the package as its users install it
//   node tools/bootstrap.mjs kill [jest arguments]        kills at random instants: SNAPCLONE_KILL_COUNT, _SEED, _CASES
//   node tools/bootstrap.mjs bench [arguments]            measures; docs/performance.md explains the figures
//   node tools/bootstrap.mjs docs                         writes the generated parts of docs/*.md and etc/*.api.md
//   node tools/bootstrap.mjs scaffold <backend> <Resource>    writes a small backend that works
//
// A test run ends in one plain line: `N passed, N failed` or `N passed, N failed, N skipped`.

import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const dist = path.join(root, "dist");

/**
 * More workers than cores, because an engine test waits for processes to start and for clouds to work. A worker and its
 * `pulumi` take about half a gigabyte.
 */
const ENGINE_WORKERS = ["--maxWorkers", String(Math.max(4, os.availableParallelism()))];

/** As in package.json's `lint`. It knows the files that have not changed since they passed. */
const SPELLING_CACHE = "node_modules/.cache/cspell";

/** Suites that run from the sources. */
const WITHOUT_ENGINE = [
  "unit",
  "contract",
  "faults",
  "malformed",
  "native",
  "convergence",
  "soak",
  "clients",
  "browser",
];
const TEST_COMMANDS = [
  "test",
  "all",
  "unit",
  "contract",
  "faults",
  "convergence",
  "engine",
  "openstack",
  "soak",
  "clients",
  "browser",
  "package",
  "kill",
];

const commands = {
  demo: async () => runNode([path.join(dist, "tools", "demo.js")]),
  test: async (args) => {
    const checks = args.length === 0 ? await runChecks() : { passed: 0, failed: 0, skipped: 0 };
    return runTests(["unit", "contract", "faults", "smoke"], args, checks);
  },
  all: async (args) => runTests(["malformed", "native", "convergence", "soak", "engine"], [...ENGINE_WORKERS, ...args]),
  unit: async (args) => runTests(["unit"], args),
  contract: async (args) => runTests(["contract"], args),
  faults: async (args) => runTests(["faults", "malformed", "native"], args),
  convergence: async (args) => runTests(["convergence"], args),
  soak: async (args) => runTests(["soak"], args),
  engine: async (args) => runTests(["smoke", "engine"], [...ENGINE_WORKERS, ...args]),
  // The files run one after the other. They share one laboratory, and one file counts the laboratory's requests.
  openstack: async (args) => runTests(["openstack"], ["--runInBand", ...args]),
  clients: async (args) => runTests(["clients"], ["--runInBand", ...args]),
  browser: async (args) => runTests(["browser"], args),
  package: async (args) => runTests(["package"], args),
  kill: async (args) => {
    process.env.SNAPCLONE_KILL_COUNT ??= "120";
    return runTests(["engine"], [...ENGINE_WORKERS, "--testPathPatterns", "test/engine/kill", ...args]);
  },
  bench: async (args) => runNode([path.join(dist, "tools", "bench", "index.js"), ...args]),
  docs: async () => runNode([path.join(dist, "tools", "docs", "cli.js")]),
  sdk: async (args) => runNode([path.join(dist, "tools", "sdk", "cli.js"), ...args]),
  scaffold: async (args) => runNode([path.join(dist, "tools", "scaffold", "cli.js"), ...args]),
};

async function main([name, ...args]) {
  const command = commands[name];
  if (command === undefined) {
    console.error(
      `usage: node tools/bootstrap.mjs <command> [arguments]\ncommands: ${Object.keys(commands).join(", ")}`,
    );
    return 2;
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => passOn(signal));
  const prepared = (await installIfNeeded()) && (await buildIfNeeded());
  if (prepared) return command(args);
  if (TEST_COMMANDS.includes(name)) console.log(summary({ passed: 0, failed: 1, skipped: 0 }));
  return 1;
}

async function installIfNeeded() {
  const installed = modified(path.join(root, "node_modules", ".package-lock.json"));
  if (installed >= modified(path.join(root, "package-lock.json"))) return true;
  announce(
    installed === 0 ? "npm ci: there is no node_modules" : "npm ci: package-lock.json is newer than node_modules",
  );
  if ((await runNpm(["ci", "--no-audit", "--no-fund"])) === 0) return true;
  // `npm ci` fails if the registry lacks an optional package of another platform. `npm install` takes the same locked
  // versions and ignores the package.
  announce("npm install: `npm ci` failed, its output is above");
  return (await runNpm(["install", "--no-save", "--no-audit", "--no-fund"])) === 0;
}

/** The stamp lists the sources of the last build, so that a removed or replaced source also causes a build. */
async function buildIfNeeded() {
  const stamp = path.join(dist, ".sources.json");
  const now = JSON.stringify(sources());
  const before = fs.existsSync(stamp) ? fs.readFileSync(stamp, "utf8") : "";
  if (before === now) return true;
  announce(
    before === ""
      ? "npm run build: dist/ has no finished build"
      : "npm run build: a source has changed since the last build",
  );
  if (lostSources(before)) fs.rmSync(dist, { recursive: true, force: true });
  if ((await runNpm(["run", "--silent", "build"])) !== 0) return false;
  fs.writeFileSync(stamp, now);
  return true;
}

/** tsc keeps the output of a source that no longer exists. */
function lostSources(before) {
  const names = Object.keys(before === "" ? {} : JSON.parse(before));
  return names.some((name) => !fs.existsSync(path.join(root, name)));
}

function sources() {
  const folders = ["sdk", "provider", "emulator", "cli", "tools"];
  const files = folders.flatMap((folder) =>
    fs
      .readdirSync(path.join(root, folder), { recursive: true })
      .filter((name) => /\.(ts|json|html|css|js)$/.test(name) && !name.startsWith(path.join("scaffold", "template")))
      .map((name) => path.join(folder, name)),
  );
  const all = [...files.sort(), "package.json", "package-lock.json", "tsconfig.json"];
  return Object.fromEntries(all.map((name) => [name, modified(path.join(root, name))]));
}

/** Lint, format and types of all files. The build checks only the sources. A run with jest arguments omits the checks. */
async function runChecks() {
  announce("checking lint and types");
  const checks = [
    ["node_modules/@biomejs/biome/bin/biome", "check", "."],
    ["node_modules/markdownlint-cli2/markdownlint-cli2-bin.mjs"],
    ["node_modules/cspell/bin.mjs", "lint", "--no-progress", "--quiet", "--cache", "--cache-location", SPELLING_CACHE],
    ["node_modules/typescript/bin/tsc", "-p", "test/tsconfig.json"],
    ["node_modules/typescript/bin/tsc", "-p", "emulator/page/tsconfig.json"],
  ];
  const codes = await Promise.all(checks.map((check) => runNode(check)));
  const failed = codes.filter((code) => code !== 0).length;
  return { passed: checks.length - failed, failed, skipped: 0 };
}

async function runTests(projects, args, before = { passed: 0, failed: 0, skipped: 0 }) {
  const report = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-report-")), "jest.json");
  try {
    const jest = path.join(root, "node_modules", "jest", "bin", "jest.js");
    const reporting = ["--json", `--outputFile=${report}`];
    const code = await runNode(
      [jest, "--selectProjects", ...projects, ...reporting, ...args],
      projects.every((name) => WITHOUT_ENGINE.includes(name))
        ? {}
        : await engineEnvironment(projects.includes("engine")),
    );
    const counts = sum(before, count(report, code));
    console.log(summary(counts));
    return code !== 0 || counts.failed > 0 ? 1 : 0;
  } finally {
    fs.rmSync(path.dirname(report), { recursive: true, force: true });
  }
}

/** The environment variables that test/engine/harness.ts reads. */
async function engineEnvironment(withLanguages) {
  announce("looking for a Pulumi engine");
  const answer = await capture([path.join(dist, "tools", "engine", "cli.js"), "--json"]);
  const engine =
    answer === ""
      ? { kind: "none", reason: "the search for an engine failed, its output is above" }
      : JSON.parse(answer);
  if (engine.kind === "none") {
    announce(`SKIPPING THE ENGINE TESTS: ${engine.reason}`);
    return { SNAPCLONE_ENGINE_PATH: "", SNAPCLONE_ENGINE_NONE: engine.reason };
  }
  announce(`engine: Pulumi ${engine.version} (${engine.kind}), ${engine.languageHost} language host`);
  return {
    ...(withLanguages ? await languageEnvironment() : { SNAPCLONE_YAML_PATH: "", SNAPCLONE_PYTHON_PATH: "" }),
    SNAPCLONE_ENGINE_PATH: engine.path,
    SNAPCLONE_ENGINE_VERSION: engine.version,
    SNAPCLONE_ENGINE_HOST: engine.languageHost,
  };
}

/** Made once for a machine, in some minutes. An empty variable leaves the tests of that language out. */
async function languageEnvironment() {
  const environment = {};
  for (const language of ["yaml", "python"]) {
    const name = `SNAPCLONE_${language.toUpperCase()}_PATH`;
    const search = [path.join(dist, "tools", "engine", "cli.js"), `--${language}-path`];
    environment[name] = process.env[name] ?? (await capture(search));
    if (environment[name] === "") announce(`THE TESTS OF PROGRAMS IN ${language.toUpperCase()} WILL BE SKIPPED`);
  }
  return environment;
}

/** A test file that fails to load counts as one failure. A jest that died also counts as one failure. */
function count(report, code) {
  if (!fs.existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const result = JSON.parse(fs.readFileSync(report, "utf8"));
  const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  return {
    passed: result.numPassedTests,
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: result.numPendingTests + result.numTodoTests,
  };
}

function sum(a, b) {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

function summary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** In milliseconds. 0 if the file does not exist. */
function modified(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function announce(text) {
  console.error(`── ${text}`);
}

/** npm gives its own path to its scripts. Without that path, Windows needs a shell to start npm.cmd. */
function runNpm(args) {
  const npm = process.env.npm_execpath;
  if (npm?.endsWith("npm-cli.js")) return runNode([npm, ...args]);
  return start("npm", args, { shell: process.platform === "win32" }).ended;
}

function runNode(args, env = {}) {
  return start(process.execPath, args, { env: { ...process.env, ...env } }).ended;
}

async function capture(args) {
  const { child, ended } = start(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part) => {
    text += part;
  });
  await ended;
  return text.trim();
}

const running = new Set();

function start(command, args, options) {
  const child = spawn(command, args, { cwd: root, stdio: "inherit", ...options });
  running.add(child);
  const ended = new Promise((resolve) => {
    child.once("error", (error) => {
      running.delete(child);
      console.error(error.message);
      resolve(1);
    });
    child.once("close", (code, signal) => {
      running.delete(child);
      resolve(signal === null ? code : 128 + os.constants.signals[signal]);
    });
  });
  return { child, ended };
}

/** A terminal sends Ctrl-C to the children itself. The children decide how they end, and this process ends after them. */
function passOn(signal) {
  if (running.size === 0) process.exit(128 + os.constants.signals[signal]);
  if (signal !== "SIGINT" || !process.stdin.isTTY) for (const child of running) child.kill(signal);
}

process.exitCode = await main(process.argv.slice(2));
