// Runs a vendor's Java client as a child process: a call is a line of JSON to it, a result is a line of JSON from it. The
// dependencies come from Maven Central. They and the compiled program are kept in the home's cache.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as readline from "node:readline";

const FOLDER = path.join(__dirname, "java");
const TOOLS = ["javac", "java", "mvn"];
/** Maven's first run brings its own plugins, too. */
const MAVEN_MS = 400_000;

/** Why the clients cannot run on this machine, if they cannot. */
export function missingTools(): string | undefined {
  const missing = TOOLS.filter((tool) => !exists(tool));
  if (missing.length === 0) return undefined;
  if (!exists("apt-get") || process.getuid?.() !== 0) return `needs ${missing.join(", ")}`;
  const options = {
    stdio: "ignore",
    timeout: MAVEN_MS,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  } as const;
  execFileSync("apt-get", ["update"], options);
  execFileSync("apt-get", ["install", "-y", "--no-install-recommends", "default-jdk-headless", "maven"], options);
  return undefined;
}

export class JavaClient {
  private readonly waiting: ((line: string) => void)[] = [];
  private errors = "";

  private constructor(private readonly child: ChildProcess) {
    const { stdout, stderr } = child;
    if (!stdout || !stderr) throw new Error("the client has no output");
    readline.createInterface({ input: stdout }).on("line", (line) => this.waiting.shift()?.(line));
    stderr.on("data", (chunk: Buffer) => {
      this.errors += chunk.toString();
    });
    child.on("exit", (code) => {
      for (const resolve of this.waiting.splice(0)) resolve(JSON.stringify({ crash: `exit ${code}: ${this.errors}` }));
    });
  }

  /** @param program The class, whose source is java/<program>.java. */
  static start(program: string, jar: string, pom: string, jvm: readonly string[], args: readonly string[]): JavaClient {
    const classpath = compiled(program, path.join(FOLDER, "lib", jar), path.join(FOLDER, pom));
    return new JavaClient(spawn("java", [...jvm, "-cp", classpath, program, ...args], { stdio: "pipe" }));
  }

  async call<Result>(request: object): Promise<Result> {
    const line = new Promise<string>((resolve) => this.waiting.push(resolve));
    this.child.stdin?.write(`${JSON.stringify(request)}\n`);
    return JSON.parse(await line);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin?.end();
    await ended;
  }
}

/** The classpath with the program compiled into it. */
function compiled(program: string, jar: string, pom: string): string {
  const source = path.join(FOLDER, `${program}.java`);
  const hash = createHash("sha256");
  for (const file of [source, jar, pom]) hash.update(fs.readFileSync(file));
  const folder = path.join(
    os.homedir(),
    ".cache",
    "pulumi-snapclone",
    `java-${program}-${hash.digest("hex").slice(0, 12)}`,
  );
  const list = path.join(folder, "classpath");
  if (!fs.existsSync(list)) {
    fs.mkdirSync(folder, { recursive: true });
    const found = path.join(folder, "dependencies");
    const goal = ["dependency:build-classpath", `-Dmdep.outputFile=${found}`];
    // Maven writes a temporary pom beside the given file in some versions, so it gets a copy.
    fs.copyFileSync(pom, path.join(folder, "pom.xml"));
    execFileSync("mvn", ["-q", "-B", "-f", path.join(folder, "pom.xml"), ...goal], {
      stdio: "pipe",
      timeout: MAVEN_MS,
    });
    const classpath = [folder, jar, fs.readFileSync(found, "utf8").trim()].join(path.delimiter);
    execFileSync("javac", ["-nowarn", "-cp", classpath, "-d", folder, source], { stdio: "pipe", timeout: 120_000 });
    // Written last: a folder without it was not finished.
    fs.writeFileSync(list, fs.readFileSync(found, "utf8").trim());
  }
  return [folder, jar, fs.readFileSync(list, "utf8")].join(path.delimiter);
}

/** True if the tool is on PATH. */
export function exists(tool: string): boolean {
  return (process.env.PATH ?? "").split(path.delimiter).some((folder) => fs.existsSync(path.join(folder, tool)));
}
