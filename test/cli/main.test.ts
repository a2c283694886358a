// The command line itself: help, versions, wrong options, exit codes, and what each command's help must have.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { text } from "node:stream/consumers";
import { snapclone } from "./fixture";

const { version } = JSON.parse(readFileSync(path.join(__dirname, "../../package.json"), "utf8"));
const COMMANDS = ["doctor", "orphans", "import", "graph", "emulator"];

test("without a command: the help on stderr, and exit code 2", async () => {
  const { code, stdout, stderr } = await snapclone([]);
  expect([code, stdout]).toEqual([2, ""]);
  for (const name of COMMANDS) expect(stderr).toContain(`  ${name} `);
});

test.each([["--help"], ["-h"], ["help"]])("%s: the help on stdout", async (option) => {
  const { code, stdout, stderr } = await snapclone([option]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain("Usage: snapclone COMMAND");
});

test("a reader that closes the pipe (`| head`) makes no error", async () => {
  const main = path.join(__dirname, "../../cli/main.ts");
  const child = spawn(process.execPath, ["-r", "ts-node/register/transpile-only", main, "--help"]);
  child.stdout.destroy();
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, "close")]);
  expect([code, stderr]).toEqual([0, ""]);
  // Its process compiles the sources.
}, 90_000);

test("--version is the package's", async () => {
  expect(await snapclone(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n` });
});

test.each(COMMANDS)("%s --help: usage, every option with a text, and nothing is done", async (name) => {
  const { code, stdout } = await snapclone([name, "--help"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^Usage: snapclone ${name}.*\\[OPTIONS\\]\n`));
  expect(stdout).toContain("--json");
  const options = stdout.split("\n").filter((line) => /^ {2}(-\w, )?--/.test(line));
  expect(options.filter((line) => !/--[\w-]+(?: \S+)?\s{1,}\S+ \S+/.test(line))).toEqual([]);
});

test.each([
  [["docter"], 'there is no command "docter"'],
  [["__proto__"], "there is no command"],
  [["doctor", "--nope"], "Unknown option '--nope'"],
  [["doctor", "one", "two"], 'unexpected argument "two"'],
  [["orphans", "--state"], "--state"],
  [["orphans", "--state", "no-such-file.json"], "no such file"],
  [["doctor", "--kind", "aws"], "--kind is one of openstack, powervc, vipr, zstack"],
])("snapclone %j: exit code 2", async (argv, message) => {
  const { code, stdout, stderr } = await snapclone(argv);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(message);
  expect(stderr).not.toContain("positional");
});

test.each([
  ["{", "is not an exported state"],
  ["[]", "is not an exported state"],
  ["{}", "is not an exported state"],
])("a state %j is refused", async (stdin, message) => {
  const { code, stderr } = await snapclone(["orphans", "--state", "-"], { stdin });
  expect(code).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr).toContain("pulumi stack export");
});

test.each([
  ['{"snapclone:connections": {"secret": true}}', "does not show the secrets"],
  ['{"snapclone:connections": {"value": "planted"}}', "is not an object of connections"],
  ["planted", "is not a stack config"],
])("a stack config %j is refused, and not quoted", async (stdin, message) => {
  const { code, stderr } = await snapclone(["doctor", "--stack-config", "-"], { stdin });
  expect(code).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr).not.toContain("planted");
});
