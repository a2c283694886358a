// examples/ci-preview with the packed package installed: each script that the workflow calls is run here, and the
// workflow calls nothing else.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parse } from "yaml";
import { type Emulator, startEmulator } from "../../emulator";
import { executablesOnPath } from "../../tools/engine/onPath";
import { type Ran, run } from "../../tools/engine/processes";
import { prepared, repository, testWith, type Workplace, workplace } from "./prepared";
import type { Had } from "./setup";

const example = path.join(repository, "examples", "ci-preview");
const scripts = fs.readdirSync(path.join(example, "scripts")).map((name) => `scripts/${name}`);

let root: string;
let emulator: Emulator;
let place: Workplace | undefined;
let installation: Ran | undefined;

beforeAll(async () => {
  root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-ci-")));
  emulator = await startEmulator({ clock: "instant" });
  if ("missing" in prepared.engine) return;
  place = workplace({ folder: root, enginePath: prepared.engine.path, files: filesOfExample() });
  installation = await script("scripts/install.sh", [], { npm_config_prefer_offline: "true" });
}, 300_000);

afterAll(async () => {
  place?.close();
  await emulator.close();
  fs.rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

/** As a user has it, but for the tarball instead of the registry. */
function filesOfExample(): Record<string, string> {
  const names = fs.readdirSync(example, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = names.map((entry): [string, string] => {
    const file = path.join(entry.parentPath, entry.name);
    return [path.relative(example, file), fs.readFileSync(file, "utf8")];
  });
  const kept = files.filter(([name]) => !name.startsWith("node_modules"));
  const local = `"pulumi-snapclone": "file:${prepared.tarball.path}"`;
  return Object.fromEntries(
    kept.map(([name, text]) => [
      name,
      name === "package.json" ? text.replace(/"pulumi-snapclone": ".*"/, local) : text,
    ]),
  );
}

async function script(name: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  if (place === undefined) throw new Error("there is no place to run it");
  return place.tried("bash", [name, ...args], { ...QUICK, ...env });
}

async function ok(running: Promise<Ran>): Promise<string> {
  const ran = await running;
  if (!ran.ok) throw new Error(`${ran.problem}\n${ran.output}`);
  return ran.output;
}

/** Types are checked once, in the first preview: that takes most of a run's time. */
const QUICK = { PULUMI_NODEJS_TRANSPILE_ONLY: "true" };
const CHECKED = { PULUMI_NODEJS_TRANSPILE_ONLY: "" };

const comment = () => fs.readFileSync(path.join(root, "comment.md"), "utf8");

/** The registry is there if the tests' own projects could be installed from it. */
const registry: Had = Object.values(prepared.projects).find((had) => "missing" in had) ?? { path: "" };
const needs = [prepared.engine, registry];

testWith("install.sh installs the program; a folder without one needs nothing", needs, async () => {
  expect(installation?.output).toMatch(/added \d+ packages/);
  expect(installation?.ok).toBe(true);
  fs.mkdirSync(path.join(root, "nothing"));
  await ok(script("scripts/install.sh", ["nothing"]));
  expect(fs.readdirSync(path.join(root, "nothing"))).toEqual([]);
});

testWith("preview.sh shows a new program on the emulator, whatever cloud the machine knows", needs, async () => {
  const before = fs.readdirSync(root);
  const summary = path.join(root, "node_modules", "summary.md");
  await ok(script("scripts/preview.sh", [], { ...elsewhere(), ...CHECKED, GITHUB_STEP_SUMMARY: summary }));
  const [marker, title] = comment().split("\n");
  expect(marker).toBe("<!-- snapclone-preview -->");
  expect(title).toBe("### Pulumi preview");
  expect(comment()).toMatch(/\+ pulumi-nodejs:dynamic\/snapclone:Snapshot: \(create\)/);
  expect(comment()).toMatch(/name\s*: "nightly-preview"/);
  expect(fs.readFileSync(summary, "utf8")).toBe(comment());
  // It leaves its comment and nothing else: no emulator, no configuration, no state.
  expect(fs.readdirSync(root).filter((name) => !before.includes(name))).toEqual(["comment.md"]);
  expect(runningIn(root)).toEqual([]);
});

testWith("preview.sh with the program as it was shows what the pull request changes", needs, async () => {
  const changed = new Map(Object.entries(filesOfExample()));
  fs.mkdirSync(path.join(root, "base"));
  for (const name of ["Pulumi.yaml", "package.json", "tsconfig.json"]) {
    fs.writeFileSync(path.join(root, "base", name), changed.get(name) ?? "");
  }
  const source = changed.get("index.ts") ?? "";
  fs.writeFileSync(path.join(root, "base", "index.ts"), source.replace('keepDays: "7"', 'keepDays: "30"'));
  try {
    await ok(script("scripts/preview.sh", ["base"], elsewhere()));
    expect(comment()).toMatch(/~ pulumi-nodejs:dynamic\/snapclone:Snapshot: \(update\)/);
    expect(comment()).toMatch(/keepDays: "30" => "7"/);
    expect(runningIn(root)).toEqual([]);
  } finally {
    fs.rmSync(path.join(root, "base"), { recursive: true });
  }
});

testWith("preview.sh of a program that fails says so in the comment, and fails", needs, async () => {
  const source = fs.readFileSync(path.join(root, "index.ts"), "utf8");
  fs.writeFileSync(path.join(root, "index.ts"), source.replace('config.require("volumeId")', '"" '));
  try {
    const ran = await script("scripts/preview.sh", []);
    expect(ran.ok).toBe(false);
    expect(comment()).toContain("### Pulumi preview: failed");
    expect(comment()).toMatch(/volumeId/);
    expect(runningIn(root)).toEqual([]);
  } finally {
    fs.writeFileSync(path.join(root, "index.ts"), source);
  }
});

testWith("preview.sh cuts what GitHub would refuse", needs, async () => {
  const folder = standIn("pulumi", 'if [ "$1" = preview ]; then head -c 90000 /dev/zero | tr "\\0" x; fi');
  await ok(script("scripts/preview.sh", [], { PATH: [folder, process.env.PATH].join(path.delimiter) }));
  expect(Buffer.byteLength(comment())).toBeLessThan(65_000);
  expect(comment()).toMatch(/xxx\n… cut off here.*\n``````\n$/);
});

testWith("comment.sh: says what it would do, posts, and finds its own comment again", needs, async () => {
  fs.writeFileSync(path.join(root, "comment.md"), "<!-- snapclone-preview -->\nwhat changes\n");
  const github = { GITHUB_REPOSITORY: "shop/infra" };
  const said = await ok(script("scripts/comment.sh", ["7"], { ...github, DRY_RUN: "1" }));
  expect(said).toBe("would comment on shop/infra#7:\n<!-- snapclone-preview -->\nwhat changes\n");

  const gh = standInForGh();
  await ok(script("scripts/comment.sh", ["7"], { ...github, ...gh.env, FOUND: "" }));
  expect(gh.calls().at(-1)).toBe(
    "api --method POST repos/shop/infra/issues/7/comments --field body=@comment.md --silent",
  );
  await ok(script("scripts/comment.sh", ["7"], { ...github, ...gh.env, FOUND: "42" }));
  expect(gh.calls().at(-1)).toBe(
    "api --method PATCH repos/shop/infra/issues/comments/42 --field body=@comment.md --silent",
  );
  expect(gh.calls().at(-2)).toContain("--paginate repos/shop/infra/issues/7/comments");

  const refused = await script("scripts/comment.sh", ["7; echo"], github);
  expect(refused.output).toContain('"7; echo" is no number of a pull request');
  expect(refused.ok).toBe(false);
});

testWith("ephemeral.sh: up, up again after a push, destroy from a fresh checkout, and again", needs, async () => {
  const cloud = emulator.openstack.env();
  const names = () => {
    emulator.cinder.advance();
    return [...emulator.cinder.snapshots.values()].map(({ name, volume_id }) => ({ name, volume_id }));
  };
  const volume = "22222222-2222-4222-8222-222222222222";
  await ok(script("scripts/ephemeral.sh", ["up", "7"], { ...cloud, VOLUME_ID: volume }));
  expect(names()).toEqual([{ name: "nightly-pr-7", volume_id: volume }]);
  const again = await ok(script("scripts/ephemeral.sh", ["up", "7"], { ...cloud, VOLUME_ID: volume }));
  expect(again).toContain("2 unchanged");

  // Another job, another machine: the file with the stack's configuration was never committed.
  fs.rmSync(path.join(root, "Pulumi.pr-7.yaml"));
  await ok(script("scripts/ephemeral.sh", ["destroy", "7"], cloud));
  expect(names()).toEqual([]);
  expect(await ok(script("scripts/ephemeral.sh", ["destroy", "7"], cloud))).toContain("nothing to destroy");
  expect(fs.existsSync(path.join(root, "Pulumi.pr-7.yaml"))).toBe(false);

  for (const args of [
    ["up", "x"],
    ["down", "7"],
  ])
    expect((await script("scripts/ephemeral.sh", args)).ok).toBe(false);
});

test("the workflow calls these scripts and nothing else, and keeps secrets from forks and from the preview", () => {
  const text = fs.readFileSync(path.join(example, ".github", "workflows", "preview.yml"), "utf8");
  const workflow = parse(text) as Workflow;
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);
  const called = steps.flatMap(({ run: line }) => (line === undefined ? [] : [line.split(" ")[0] ?? ""]));
  expect([...new Set(called)].sort()).toEqual([...scripts].sort());
  for (const name of scripts) expect(fs.statSync(path.join(example, name)).mode & 0o111).toBe(0o111);
  expect(steps.filter((step) => step.uses === undefined && step.run === undefined)).toEqual([]);

  expect(Object.keys(workflow.on)).toEqual(["pull_request"]);
  expect(workflow.on.pull_request?.types).toContain("closed");
  const { preview, ephemeral } = workflow.jobs;
  expect(JSON.stringify(preview)).not.toContain("secrets.");
  expect(ephemeral?.if).toContain("github.event.pull_request.head.repo.full_name == github.repository");
});

interface Workflow {
  on: Record<string, { types?: string[] }>;
  jobs: Record<string, { if?: string; steps: { run?: string; uses?: string }[] }>;
}

const shellcheck: Had =
  executablesOnPath("shellcheck", process.env).length > 0
    ? { path: "shellcheck" }
    : { missing: "shellcheck isn't installed" };

testWith("shellcheck has nothing to say about the scripts", [shellcheck], async () => {
  const ran = await run("shellcheck", scripts, { cwd: example, env: process.env, timeoutMs: 60_000 });
  expect(ran).toEqual({ ok: true, output: "", problem: "" });
});

/** A cloud that the preview must not ask, and a backend that it must not write to. */
function elsewhere(): Record<string, string> {
  return {
    OS_AUTH_URL: "http://127.0.0.1:9/identity/v3",
    OS_USERNAME: "somebody",
    OS_PASSWORD: "else",
    PULUMI_BACKEND_URL: "file:///nowhere",
    PULUMI_CONFIG_PASSPHRASE: "another",
  };
}

/** A `gh` that notes what it is asked, and answers with what FOUND says. */
function standInForGh() {
  const log = path.join(root, "node_modules", ".gh-calls");
  const folder = standIn(
    "gh",
    `echo "$*" >>'${log}'\nif [ "$2" = --paginate ] && [ -n "$FOUND" ]; then printf '%s\\n99\\n' "$FOUND"; fi`,
  );
  return {
    env: { PATH: [folder, process.env.PATH].join(path.delimiter) },
    calls: () => fs.readFileSync(log, "utf8").trim().split("\n"),
  };
}

/** A folder with a command of that name. */
function standIn(name: string, text: string): string {
  const folder = path.join(root, "node_modules", `.stand-in-${name}`);
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, name), `#!/usr/bin/env bash\n${text}\n`, { mode: 0o755 });
  return folder;
}

/** Processes whose working folder is here; where there is no /proc, nobody can tell. */
function runningIn(folder: string): string[] {
  if (!fs.existsSync("/proc/self/cwd")) return [];
  return fs.readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
}
