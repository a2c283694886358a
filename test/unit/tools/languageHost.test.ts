// The stand-in language host for Node.js as the engine sees it: a process that says its port and speaks LanguageRuntime.

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as grpc from "@grpc/grpc-js";
import { LanguageRuntimeClient } from "@pulumi/pulumi/proto/language_grpc_pb";
import { ProgramInfo, RunRequest, type RunResponse } from "@pulumi/pulumi/proto/language_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { isAlive } from "../../../tools/engine/lock";
import { compileTools, repository } from "./compiled";

/** In place of @pulumi/pulumi/cmd/run, which would want a resource monitor: runs the program, and nothing else. */
const RUNNER = `
const path = require("node:path");
const folder = process.argv[process.argv.indexOf("--pwd") + 1];
process.chdir(folder);
require(path.resolve("index.js"));
`;

let root: string;
let program: string;
let host: ChildProcess;
let client: LanguageRuntimeClient;
let output = "";

beforeAll(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-host-"));
  compileTools(root);
  fs.writeFileSync(
    path.join(root, "start.js"),
    `require("./languageHost.js").serve(${JSON.stringify(repository)}, "nodejs");`,
  );
  program = path.join(root, "program");
  const runner = path.join(program, "node_modules", "@pulumi", "pulumi", "cmd", "run");
  fs.mkdirSync(runner, { recursive: true });
  fs.writeFileSync(path.join(runner, "index.js"), RUNNER);
});

afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

beforeEach(async () => {
  output = "";
  // In a folder without an SDK of its own, so that the fallback serves.
  host = spawn(process.execPath, [path.join(root, "start.js"), "127.0.0.1:7"], {
    cwd: root,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const port = await new Promise<string>((resolve) => {
    host.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.includes("\n")) resolve(output.split("\n")[0] ?? "");
    });
  });
  client = new LanguageRuntimeClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
});

afterEach(async () => {
  client.close();
  const left = Number(/program (\d+)/.exec(output)?.[1] ?? 0);
  if (left > 0 && isAlive(left)) process.kill(left, "SIGKILL");
  host.kill("SIGKILL");
  await ended(host);
});

function write(text: string): void {
  fs.writeFileSync(path.join(program, "index.js"), text);
}

interface Request {
  folder?: string;
  options?: Record<string, boolean | string>;
  config?: Record<string, string>;
  secretKeys?: string[];
  dryRun?: boolean;
}

function run(request: Request = {}): Promise<RunResponse.AsObject> {
  const info = new ProgramInfo();
  info.setRootDirectory(root);
  info.setProgramDirectory(request.folder ?? program);
  info.setEntryPoint(".");
  info.setOptions(Struct.fromJavaScript(request.options ?? {}));
  const message = new RunRequest();
  message.setInfo(info);
  message.setMonitorAddress("127.0.0.1:9");
  message.setProject("a-project");
  message.setStack("a-stack");
  message.setParallel(4);
  message.setDryrun(request.dryRun ?? false);
  message.setConfigsecretkeysList(request.secretKeys ?? []);
  for (const [key, value] of Object.entries(request.config ?? {})) message.getConfigMap().set(key, value);
  return new Promise((resolve, reject) => {
    client.run(message, (error, response) => (error ? reject(error) : resolve(response.toObject())));
  });
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once("exit", resolve));
}

/** A program that stays until it is ended, and says so before it does. */
async function startEndless(): Promise<Promise<RunResponse.AsObject>[]> {
  write(`console.log("program " + process.pid); setInterval(() => {}, 1000);`);
  const running = run();
  while (!/program \d+/.test(output)) await new Promise((resolve) => setTimeout(resolve, 20));
  return [running];
}

function endlessIsAlive(): boolean {
  const pid = Number(/program (\d+)/.exec(output)?.[1]);
  return isAlive(pid);
}

const fine = { error: "", bail: false };
const outcomes: [name: string, program: string, outcome: { error: string; bail: boolean }][] = [
  ["ends well", "", fine],
  ["exits with 1", "process.exit(1)", { error: "Program exited with non-zero exit code: 1", bail: false }],
  ["has told the user what is wrong", "process.exit(32)", { error: "", bail: true }],
  ["is terminated", `process.kill(process.pid, "SIGTERM")`, { error: "Program was ended by SIGTERM", bail: false }],
  ["is killed", `process.kill(process.pid, "SIGKILL")`, { error: "Program was ended by SIGKILL", bail: false }],
];

test.each(outcomes)("a program that %s", async (_name, text, outcome) => {
  write(text);
  expect(await run()).toEqual(outcome);
});

test("a program that throws: the exit code is Node's", async () => {
  write(
    `process.on("uncaughtException", (error) => { console.log(error.message); process.exit(1); }); throw new Error("oh no")`,
  );
  expect(await run()).toMatchObject({ error: "Program exited with non-zero exit code: 1" });
  expect(output).toContain("oh no");
});

test("what the program prints reaches the engine", async () => {
  write(`console.log("said by the program")`);
  await run();
  expect(output).toContain("said by the program\n");
});

test("arguments, configuration and runtime options arrive as the SDK's runner expects them", async () => {
  write(`
const { PULUMI_CONFIG, PULUMI_CONFIG_SECRET_KEYS, PULUMI_NODEJS_TYPESCRIPT, PULUMI_NODEJS_TSCONFIG_PATH } = process.env;
console.log("SEEN " + JSON.stringify({ args: process.argv.slice(2), nodeArgs: process.execArgv, PULUMI_CONFIG,
  PULUMI_CONFIG_SECRET_KEYS, PULUMI_NODEJS_TYPESCRIPT, PULUMI_NODEJS_TSCONFIG_PATH }) + " SEEN");`);
  const options = { tsconfig: "other.json", nodeargs: `--stack-trace-limit=7 --title="a b"` };
  await run({ options, config: { "ns:key": "value" }, secretKeys: ["ns:key"], dryRun: true });
  const seen = JSON.parse(/SEEN (.*) SEEN/.exec(output)?.[1] ?? "{}");
  expect(seen).toEqual({
    args: [
      ...["--monitor", "127.0.0.1:9", "--engine", "127.0.0.1:7", "--project", "a-project", "--root-directory", root],
      ...["--stack", "a-stack", "--pwd", program, "--parallel", "4", "--dry-run", "."],
    ],
    nodeArgs: ["--stack-trace-limit=7", "--title=a b"],
    PULUMI_CONFIG: `{"ns:key":"value"}`,
    PULUMI_CONFIG_SECRET_KEYS: `["ns:key"]`,
    PULUMI_NODEJS_TYPESCRIPT: "true",
    PULUMI_NODEJS_TSCONFIG_PATH: "other.json",
  });
});

test("typescript: false is respected", async () => {
  write(`console.log("typescript=" + process.env.PULUMI_NODEJS_TYPESCRIPT)`);
  await run({ options: { typescript: false } });
  expect(output).toContain("typescript=undefined");
});

test("an option of the wrong type is said, and nothing is run", async () => {
  write(`console.log("ran")`);
  expect(await run({ options: { typescript: "no" } })).toMatchObject({ error: "typescript option must be a boolean" });
  expect(output).not.toContain("ran");
});

test("a program's folder without the SDK", async () => {
  expect((await run({ folder: os.tmpdir() })).error).toMatch(/SDK has not been installed.*npm install/);
});

test("Cancel ends the program", async () => {
  const [running] = await startEndless();
  await new Promise<void>((resolve, reject) =>
    client.cancel(new Empty(), (error) => (error ? reject(error) : resolve())),
  );
  expect(await running).toMatchObject({ error: "Program was ended by SIGINT" });
});

test.each(["SIGINT", "SIGTERM"] as const)("%s ends the program, then the host", async (signal) => {
  const [running] = await startEndless();
  running?.catch(() => {});
  host.kill(signal);
  expect(await ended(host)).toBe(0);
  expect(endlessIsAlive()).toBe(false);
});

test("an engine that dies closes stdin: the program ends, then the host", async () => {
  const [running] = await startEndless();
  running?.catch(() => {});
  host.stdin?.end();
  expect(await ended(host)).toBe(0);
  expect(endlessIsAlive()).toBe(false);
});
