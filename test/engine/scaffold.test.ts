// A new backend is new files and a few lines: the scaffold writes one into a copy of the repository, which is then linted,
// compiled and tested there. Needs no engine; it is here because it takes minutes.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { format, scaffold, type Written } from "../../tools/scaffold/scaffold";

const ROOT = path.resolve(__dirname, "..", "..");
/** None of the template's names, so that a name that is not replaced does not compile. */
const NAMES = { backend: "acme", resource: "DiskCopy" };

jest.setTimeout(900_000);

let copy: string;
let written: Written;

beforeAll(() => {
  copy = realpathSync(mkdtempSync(path.join(tmpdir(), "snapclone-scaffold-")));
  const files = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0").filter(Boolean);
  for (const file of files) cpSync(path.join(ROOT, file), path.join(copy, file));
  // With what tsc remembers of its last runs, it compiles and checks only what the scaffold touches.
  cpSync(path.join(ROOT, "dist"), path.join(copy, "dist"), { recursive: true });
  linkModules();
  git(copy, "init", "--quiet");
  git(copy, "add", "--all");
  git(copy, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "--message", "before");
  written = scaffold(copy, NAMES);
  format(copy, written);
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

test("it edits four files, and nothing of the template's names is left", () => {
  expect(changedFiles()).toEqual(["emulator/services.ts", "provider/resources.ts", "sdk/index.ts", "sdk/native.ts"]);
  expect(written.created.filter((file) => /toy/i.test(file))).toEqual([]);
  expect(() => git(copy, "grep", "--no-index", "-il", "toy", "--", ...written.created)).toThrow();
});

test("it passes lint, types and build, and its page is current", () => {
  node(
    "@biomejs/biome/bin/biome",
    "check",
    ...written.created.filter((file) => /\.(ts|json)$/.test(file)),
    ...written.edited,
  );
  node("typescript/bin/tsc", "-p", "tsconfig.json");
  node("typescript/bin/tsc", "-p", "test/tsconfig.json");
  node("markdownlint-cli2/markdownlint-cli2-bin.mjs", path.join("docs", "disk-copy.md"));
  // The page is current as it was written; the schema and the API reports have the new class.
  const changed = ["provider/native/schema.json", "etc/pulumi-snapclone.api.md", "etc/pulumi-snapclone-native.api.md"];
  expect(run([path.join(copy, "dist", "tools", "docs", "cli.js")])).toBe(
    changed.map((file) => `written: ${file}\n`).join(""),
  );
});

test("its tests pass, and so do those that hold for each resource", () => {
  const patterns = ["unit/(registry|generatedDocs|docs|layers|sdk|acme)", "contract/diskCopy", "malformed/diskCopy"];
  jestIn("--testPathPatterns", ...patterns);
  jestIn("--testPathPatterns", "faults/table/diskCopy");
  jestIn("--testPathPatterns", "soak/waves", "--testNamePattern", NAMES.resource);
});

test("besides, only generated files change: the fault table's page, the schema and the API reports", () => {
  jestIn("--testPathPatterns", "faults/report");
  const reports = ["etc/pulumi-snapclone.api.md", "etc/pulumi-snapclone-native.api.md"];
  const generated = ["docs/faults.md", "provider/native/schema.json", ...reports];
  expect(changedFiles()).toEqual([...generated, ...written.edited].sort());
});

test("a second backend of that name is refused, and so is a name of the wrong form", () => {
  expect(() => scaffold(copy, NAMES)).toThrow(/^the scaffold overwrites no file, and these exist: /);
  expect(() => scaffold(copy, { backend: "Acme", resource: "Copy" })).toThrow(/lower-case word/);
  expect(() => scaffold(copy, { backend: "other", resource: "diskCopy" })).toThrow(/upper camel case/);
});

/** As installed, but that the package under its own name is the copy. */
function linkModules(): void {
  const modules = path.join(copy, "node_modules");
  mkdirSync(modules);
  for (const name of readdirSync(path.join(ROOT, "node_modules"))) {
    symlinkSync(name === "pulumi-snapclone" ? copy : path.join(ROOT, "node_modules", name), path.join(modules, name));
  }
}

function changedFiles(): string[] {
  return git(copy, "diff", "--name-only").split("\n").filter(Boolean).sort();
}

function jestIn(...args: string[]): void {
  node("jest/bin/jest.js", "--selectProjects", "unit", "contract", "faults", "malformed", "soak", ...args);
}

function node(script: string, ...args: string[]): void {
  run([path.join(copy, "node_modules", script), ...args]);
}

function run(args: readonly string[]): string {
  try {
    const env = { ...process.env, UPDATE: "1" };
    return execFileSync(process.execPath, args, { cwd: copy, env, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${args.join(" ")}\n${stdout}\n${stderr}`);
  }
}

function git(folder: string, ...args: string[]): string {
  return execFileSync("git", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}
