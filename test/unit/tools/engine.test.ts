// Where an engine comes from: the order of the ways, what each of them refuses, and that compiling one is done once,
// whole or not at all. `pulumi`, `npm` and `go` are small scripts here.

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type Engine, type Options, resolveEngine } from "../../../tools/engine";
import { isAlive, withLock } from "../../../tools/engine/lock";
import { atLeast } from "../../../tools/engine/version";
import { compileTools, repository } from "./compiled";

const PINNED = "v3.259.0";
const LAUNCHER = "pulumi-resource-pulumi-nodejs";

let root: string;
let bin: string;
let env: NodeJS.ProcessEnv;
let lines: string[];

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-tools-"));
  bin = path.join(root, "bin");
  lines = [];
  fs.mkdirSync(bin);
  fs.symlinkSync(process.execPath, path.join(bin, "node"));
  env = { PATH: bin, HOME: path.join(root, "home"), SNAPCLONE_CACHE: path.join(root, "cache") };
  // A repository as far as the resolver looks at it.
  fs.mkdirSync(path.join(root, "repo", "tools"), { recursive: true });
  fs.mkdirSync(path.join(root, "repo", "node_modules", "@pulumi"), { recursive: true });
  fs.cpSync(path.join(repository, "tools", "engine"), path.join(root, "repo", "tools", "engine"), { recursive: true });
  compileTools(path.join(root, "repo", "dist", "tools", "engine"));
  const sdk = path.join("node_modules", "@pulumi", "pulumi");
  fs.symlinkSync(path.join(repository, sdk), path.join(root, "repo", sdk));
  // No registry in these tests.
  script("npm", `console.error("npm is offline"); process.exit(1);`);
});

afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

function script(name: string, text: string, folder = bin): string {
  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, name);
  fs.rmSync(file, { force: true });
  fs.writeFileSync(file, `#!${process.execPath}\n${text}\n`, { mode: 0o755 });
  return file;
}

function pulumiThatSays(version: string, folder = bin): void {
  script("pulumi", `console.log("${version}")`, folder);
}

/** `go`: counts its builds, and does in one what it is told. */
function go({ version = "1.26.8", build = "" } = {}): void {
  script(
    "go",
    `const fs = require("node:fs");
if (process.argv[2] === "version") { console.log("go version go${version} linux/amd64"); process.exit(0); }
fs.appendFileSync(${JSON.stringify(path.join(root, "builds"))}, process.cwd() + "\\n");
const output = process.argv[process.argv.indexOf("-o") + 1];
const finish = () => fs.writeFileSync(output, "#!${process.execPath}\\nconsole.log('${PINNED}')\\n", { mode: 0o755 });
${build || "finish();"}`,
  );
}

function builds(): string[] {
  const file = path.join(root, "builds");
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : [];
}

function resolve(more: Options = {}): Promise<Engine> {
  return resolveEngine({ env, log: (line) => lines.push(line), root: path.join(root, "repo"), ...more });
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

async function reason(more: Options = {}): Promise<string> {
  const engine = await resolve(more);
  if (engine.kind !== "none") throw new Error(`there is an engine: ${engine.kind}`);
  return engine.reason;
}

function cached(): string[] {
  const folder = path.join(root, "cache");
  return fs.existsSync(folder) ? fs.readdirSync(folder) : [];
}

describe("an installed Pulumi", () => {
  test("is taken as it is", async () => {
    pulumiThatSays("v3.300.1");
    script("pulumi-language-nodejs", "");
    script(LAUNCHER, "");
    const pulumi = path.join(bin, "pulumi");
    expect(await resolve()).toEqual({ kind: "path", pulumi, path: bin, version: "v3.300.1", languageHost: "vendor" });
  });

  test("has its companions beside the real binary, when only that is linked into PATH", async () => {
    const release = path.join(root, "opt", "pulumi");
    pulumiThatSays("v3.300.1", release);
    script("pulumi-language-nodejs", "", release);
    script(LAUNCHER, "", release);
    fs.symlinkSync(path.join(release, "pulumi"), path.join(bin, "pulumi"));
    expect(await resolve()).toMatchObject({ kind: "path", path: `${bin}:${release}` });
  });

  test("gets the dynamic provider's launcher from the SDK, if it has none", async () => {
    pulumiThatSays("v3.216.0");
    script("pulumi-language-nodejs", "");
    const engine = await resolve();
    if (engine.kind === "none") throw new Error(engine.reason);
    const [first, second = ""] = engine.path.split(":");
    expect(first).toBe(bin);
    expect(fs.readFileSync(path.join(second, LAUNCHER), "utf8")).toContain("@pulumi/pulumi/cmd/dynamic-provider");
  });

  test("brings this node along, when there is none on PATH", async () => {
    fs.rmSync(path.join(bin, "node"));
    pulumiThatSays("v3.216.0");
    script("pulumi-language-nodejs", "");
    script(LAUNCHER, "");
    expect(await resolve()).toMatchObject({ path: `${bin}:${path.dirname(process.execPath)}` });
  });

  test("that is too old, or lacks its language host, is refused with the reason", async () => {
    pulumiThatSays("v3.215.0");
    expect(await reason()).toContain("v3.215.0; v3.216.0 or newer is needed");
    pulumiThatSays("v3.300.0");
    expect(await reason()).toContain("lacks its Node.js language host");
    script("pulumi", "process.exit(1)");
    expect(await reason()).toContain("doesn't say its version");
  });
});

describe("the npm package", () => {
  const npmInstalls = (text: string) =>
    script(
      "npm",
      `const fs = require("node:fs");
fs.mkdirSync("node_modules/pulumi", { recursive: true });
fs.writeFileSync("node_modules/pulumi/package.json", '{"version": "3.259.0"}');
fs.writeFileSync("node_modules/pulumi/run.js", ${JSON.stringify(text)});`,
    );

  test("a release that is on this machine is used without asking anybody", async () => {
    const release = path.join(root, "home", ".pulumi", "versions", "3.259.0", "bin");
    pulumiThatSays(PINNED, release);
    script("pulumi-language-nodejs", "", release);
    script(LAUNCHER, "", release);
    expect(await resolve({ onlyReady: true })).toMatchObject({ kind: "npm", path: release, languageHost: "vendor" });
  });

  test("downloads the release, and the next run finds it", async () => {
    const release = path.join(root, "home", ".pulumi", "versions", "3.259.0", "bin");
    const file = (name: string) => JSON.stringify(path.join(release, name));
    const text = JSON.stringify(`#!${process.execPath}\nconsole.log("${PINNED}")\n`);
    npmInstalls(`const fs = require("node:fs");
fs.mkdirSync(${JSON.stringify(release)}, { recursive: true });
for (const file of [${["pulumi", "pulumi-language-nodejs", LAUNCHER].map(file).join()}]) {
  fs.writeFileSync(file, ${text}, { mode: 0o755 });
}`);
    expect(await resolve()).toMatchObject({ kind: "npm", version: PINNED });
    expect(await resolve({ onlyReady: true })).toMatchObject({ kind: "npm", version: PINNED });
  });

  test("where the vendor can't be reached, its words are the reason, and the next way is tried", async () => {
    npmInstalls(`console.error("pulumi: fetch failed"); process.exit(1);`);
    expect(await reason()).toContain("npm package `pulumi`: `pulumi: fetch failed`");
    go();
    expect(await resolve()).toMatchObject({ kind: "built" });
  });

  test("its launcher on PATH is not an installed Pulumi", async () => {
    const folder = path.join(root, "npx", "node_modules", "pulumi");
    script("run.js", `console.log("v3.300.0")`, folder);
    fs.writeFileSync(path.join(folder, "package.json"), `{"version": "3.200.0"}`);
    fs.symlinkSync(path.join(folder, "run.js"), path.join(bin, "pulumi"));
    const why = await reason();
    expect(why).toContain("installed: there is no `pulumi` on PATH");
    expect(why).toContain("is 3.200.0; v3.216.0 or newer is needed");
  });
});

describe("compiled with Go", () => {
  test("is complete, is kept, and costs nothing the second time", async () => {
    go();
    const first = await resolve();
    if (first.kind === "none") throw new Error(first.reason);
    expect(first).toMatchObject({ kind: "built", version: PINNED, languageHost: "standin" });
    const hosts = ["nodejs", "python", "go"].map((language) => `pulumi-language-${language}`);
    const files = ["languageHost.js", "programs.js", "pulumi", ...hosts, LAUNCHER];
    expect(fs.readdirSync(first.path).sort()).toEqual(files.sort());
    expect(fs.readdirSync(path.join(root, "repo"))).not.toContain("cache");
    expect(lines.join("\n")).toMatch(/compiling Pulumi v3\.259\.0 .* about 5 minutes/);
    expect(lines.join("\n")).toMatch(/compiled in \d+:\d\d/);

    expect(await resolve({ onlyReady: true })).toEqual(first);
    expect(builds()).toHaveLength(1);
    expect(cached().filter((name) => !name.startsWith("npm"))).toEqual([expect.stringMatching(/^engine-3\.259\.0-/)]);
  });

  test("another language host is another folder, and nothing is compiled for it", async () => {
    go();
    const first = await resolve();
    fs.appendFileSync(path.join(root, "repo", "dist", "tools", "engine", "languageHost.js"), "\n// newer\n");
    const second = await resolve();
    if (first.kind === "none" || second.kind === "none") throw new Error("no engine");
    expect(second.path).not.toBe(first.path);
    expect(fs.readFileSync(path.join(second.path, "languageHost.js"), "utf8")).toContain("// newer");
    expect(builds()).toHaveLength(1);
  });

  test("two at once: one compiles, the other says that it waits", async () => {
    // The build ends when the other one has said so.
    const waits = path.join(root, "waits");
    const exists = `fs.existsSync(${JSON.stringify(waits)})`;
    go({ build: `const timer = setInterval(() => { if (${exists}) { clearInterval(timer); finish(); } }, 10);` });
    const log = (line: string) => {
      lines.push(line);
      if (line.includes("which is compiling")) fs.writeFileSync(waits, "");
    };
    const [first, second] = await Promise.all([resolve({ log }), resolve({ log })]);
    expect(second).toEqual(first);
    expect(first.kind).toBe("built");
    expect(builds()).toHaveLength(1);
    expect(lines.filter((line) => line.includes("which is compiling the same engine"))).toHaveLength(1);
  });

  test("a failure names the file with all of the compiler's output, and leaves nothing that looks finished", async () => {
    go({ build: `console.error("first line"); console.error("disk full"); process.exit(1);` });
    const why = await reason();
    const log = /(\S+) has all of its output/.exec(why)?.[1] ?? "";
    expect(why).toContain("disk full");
    expect(fs.readFileSync(log, "utf8")).toContain("first line");
    expect(cached().filter((name) => name.startsWith("engine"))).toEqual([path.basename(log)]);
  });

  test("needs a Go that is new enough, and never downloads one", async () => {
    expect(await reason()).toContain("there is no `go` on PATH");
    go({ version: "1.25.11" });
    expect(await reason()).toContain("is 1.25.11; 1.26 or newer is needed");
    go({ build: `console.error(process.env.GOTOOLCHAIN); process.exit(1);` });
    expect(await reason()).toContain("(exit code 1): local");
  });

  test("isn't tried when only what is ready was asked for", async () => {
    go();
    expect(await reason({ onlyReady: true })).toContain("no engine has been compiled on this machine yet");
    expect(builds()).toHaveLength(0);
  });

  describe("interrupted", () => {
    const endless = "process.on('SIGINT', () => {}); setInterval(() => {}, 1000);";

    async function startBuild(): Promise<{ child: ChildProcess; gone: Promise<unknown> }> {
      go({ build: `fs.writeFileSync(${JSON.stringify(path.join(root, "go.pid"))}, String(process.pid)); ${endless}` });
      const cli = path.join(root, "repo", "dist", "tools", "engine", "cli.js");
      const child = spawn(process.execPath, [cli], { env, stdio: "ignore" });
      const gone = new Promise((resolveGone) => child.once("exit", resolveGone));
      // The file may be there before its text is. No process must be killed whose number is not read yet.
      while (!(compilerPid() > 0)) await pause(50);
      return { child, gone };
    }

    const compilerPid = () => {
      const file = path.join(root, "go.pid");
      return fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : 0;
    };

    test("by Ctrl-C: the compiler is ended, lock and half a build are gone", async () => {
      const { child, gone } = await startBuild();
      child.kill("SIGINT");
      await gone;
      // A killed process takes a moment to be gone.
      for (let tries = 0; tries < 200 && isAlive(compilerPid()); tries += 1) await pause(50);
      expect(isAlive(compilerPid())).toBe(false);
      expect(cached().filter((name) => /\.lock$|\.tmp-/.test(name))).toEqual([]);
    });

    test("by a kill: the next run takes over the lock, removes the remains and compiles", async () => {
      const { child, gone } = await startBuild();
      child.kill("SIGKILL");
      await gone;
      process.kill(compilerPid(), "SIGKILL");
      expect(cached().some((name) => name.endsWith(".lock"))).toBe(true);
      go();
      expect(await resolve()).toMatchObject({ kind: "built" });
      expect(cached().filter((name) => /\.lock$|\.tmp-/.test(name))).toEqual([]);
    });
  });
});

test("without any, the reason goes through all ways and says what to install", async () => {
  const why = await reason();
  expect(why).toMatch(
    /installed: .*\n.*npm package `pulumi`: .*npm is offline.*\n.*compiled with Go: .*\n.*Install Pulumi/,
  );
});

test("SNAPCLONE_ENGINE picks one way", async () => {
  go();
  env.SNAPCLONE_ENGINE = "path";
  expect(await reason()).not.toContain("Go:");
  env.SNAPCLONE_ENGINE = "built";
  expect(await resolve()).toMatchObject({ kind: "built" });
  env.SNAPCLONE_ENGINE = "docker";
  expect(await reason()).toContain("SNAPCLONE_ENGINE=docker is none of path, npm, built");
});

test("a lock of another machine is taken over when its heartbeat is old", async () => {
  const file = path.join(root, "work.lock");
  fs.writeFileSync(file, JSON.stringify({ pid: 1, host: "elsewhere", token: "t" }));
  const old = new Date(Date.now() - 120_000);
  fs.utimesSync(file, old, old);
  const waited: number[] = [];
  expect(
    await withLock(
      file,
      (pid) => waited.push(pid),
      async () => "done",
    ),
  ).toBe("done");
  expect(waited).toEqual([]);
  expect(fs.existsSync(file)).toBe(false);
});

test.each([
  ["v3.216.0", "v3.216.0", true],
  ["v3.1000.0", "v3.216.0", true],
  ["v3.99.0", "v3.216.0", false],
  ["v4.0.0-alpha.1", "v3.216.0", true],
  ["1.26.8", "1.26", true],
  ["1.9", "1.26", false],
  ["rubbish", "1.26", false],
])("%s is at least %s: %s", (version, minimum, answer) => {
  expect(atLeast(version, minimum)).toBe(answer);
});
