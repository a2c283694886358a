// What the stand-in hosts for Python and Go start: the command, as the vendor's hosts form it. `go` and the runner of Python
// programs are small scripts here.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { ProgramInfo, RunRequest } from "@pulumi/pulumi/proto/language_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { type Language, starters } from "../../../tools/engine/programs";

let root: string;
let before: string | undefined;

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-programs-"));
  before = process.env.PATH;
  process.env.PATH = root;
});

afterEach(() => {
  process.env.PATH = before;
  fs.rmSync(root, { recursive: true, force: true });
});

function script(name: string, text: string): string {
  const file = path.join(root, name);
  fs.writeFileSync(file, `#!${process.execPath}\n${text}\n`, { mode: 0o755 });
  return file;
}

function start(language: Language, options: Record<string, string | boolean> = {}, dryRun = false) {
  const info = new ProgramInfo();
  info.setRootDirectory(root);
  info.setProgramDirectory(root);
  info.setEntryPoint(".");
  info.setOptions(Struct.fromJavaScript(options));
  const run = new RunRequest();
  run.setInfo(info);
  run.setMonitorAddress("127.0.0.1:9");
  run.setProject("a-project");
  run.setOrganization("an-organization");
  run.setStack("a-stack");
  run.setParallel(4);
  run.setDryrun(dryRun);
  run.setConfigsecretkeysList(["ns:key"]);
  run.getConfigMap().set("ns:key", "value");
  return starters[language]({ run, engineAddress: "127.0.0.1:7", folder: root, track: () => {} });
}

const CONFIGURATION = { PULUMI_CONFIG: `{"ns:key":"value"}`, PULUMI_CONFIG_SECRET_KEYS: `["ns:key"]` };

describe("Python", () => {
  test("the runner, with the virtual environment's Python", async () => {
    const runner = script("pulumi-language-python-exec", "");
    expect(await start("python", { virtualenv: "venv" }, true)).toEqual({
      file: path.join(root, "venv", "bin", "python"),
      args: [
        ...["-u", runner, "--monitor", "127.0.0.1:9", "--engine", "127.0.0.1:7"],
        ...["--organization", "an-organization", "--project", "a-project", "--root_directory", root],
        ...["--stack", "a-stack", "--pwd", root, "--parallel", "4", "--dry_run", "true", "."],
      ],
      env: CONFIGURATION,
    });
    expect(await start("python")).toMatchObject({ file: "python3", args: expect.not.arrayContaining(["--dry_run"]) });
  });

  test("names what is missing or wrong", async () => {
    expect(await start("python")).toEqual({ problem: "pulumi-language-python-exec is not on PATH" });
    script("pulumi-language-python-exec", "");
    expect(await start("python", { virtualenv: true })).toEqual({ problem: "virtualenv option must be a string" });
  });
});

describe("Go", () => {
  test("the compiled program, which the SDK configures by the environment; it is removed afterwards", async () => {
    script("go", `require("node:fs").writeFileSync(process.argv[4], process.argv.slice(2).join(" ") + process.cwd());`);
    const command = await start("go", {}, true);
    if ("problem" in command) throw new Error(command.problem);
    expect(fs.readFileSync(command.file, "utf8")).toBe(`build -o ${command.file} .${fs.realpathSync(root)}`);
    expect(command).toMatchObject({ args: [], cwd: root });
    expect(command.env).toEqual({
      ...CONFIGURATION,
      PULUMI_MONITOR: "127.0.0.1:9",
      PULUMI_ENGINE: "127.0.0.1:7",
      PULUMI_ORGANIZATION: "an-organization",
      PULUMI_PROJECT: "a-project",
      PULUMI_ROOT_DIRECTORY: root,
      PULUMI_STACK: "a-stack",
      PULUMI_PARALLEL: "4",
      PULUMI_DRY_RUN: "true",
    });
    command.tidyUp?.();
    expect(fs.existsSync(command.file)).toBe(false);
  });

  test("what the compiler says", async () => {
    script("go", `console.error("./main.go:1: oh no"); process.exit(1);`);
    expect(await start("go")).toEqual({ problem: "unable to compile the program: ./main.go:1: oh no" });
  });
});
