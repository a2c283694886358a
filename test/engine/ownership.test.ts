// What becomes of X, the object of a killed or an earlier run: adopted where the state proves that its create was begun
// and never recorded, else left alone and told. Never handed to anybody else, never deleted but by its own entry.

import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { cleanEnvironment } from "../support/pulumi";
import {
  type CommandOptions,
  describeEngine,
  enginePath,
  newStack,
  type Result,
  type Stack,
  type StackOptions,
  type StateResource,
} from "./harness";

interface Declared {
  args?: Record<string, unknown>;
  opts?: Record<string, unknown> & { dependsOn?: string[]; replaceWith?: string[] };
}

type Declaration = Record<string, Declared>;

const TIMINGS = { snapshotCreate: 600, snapshotDelete: 100 };
const DAY_MS = 86_400_000;

describeEngine("what a killed run has left", () => {
  let cloud: Emulator;
  let stack: Stack;
  let saveFails: ReturnType<typeof runWhoseSavesFail>;

  beforeAll(async () => {
    cloud = await startEmulator({ timings: TIMINGS });
    saveFails = runWhoseSavesFail();
    saveFails.catch(() => {});
  });

  beforeEach(async () => {
    stack = await open();
  });

  afterEach(async () => {
    await stack.close();
    cloud.reset();
  });

  afterAll(() => cloud.close());

  const open = (options: Partial<StackOptions> = {}) =>
    newStack({ program: program({}), config: { default: { ...cloud.connection() } }, ...options });
  const declare = (declared: Declaration) => stack.setProgram(program(declared));
  const killed = (args: string[] = [], count = 1) => kill(cloud, stack, { args }, count);
  const snapshots = () => existing(cloud);
  const entry = (name: string) => idInState(stack, name);
  const replace = (name: string) => ["--replace", urn(name)];

  test("is adopted by the next up, in a line that stays; what the state holds is known", async () => {
    declare({ a: {}, b: { opts: { dependsOn: ["a"] } } });
    const [a, b] = await killed([], 2);

    const up = await ok(stack.up());
    expect([entry("a"), entry("b")]).toEqual([a, b]);
    expect(adopted(up)).toEqual([b]);
    const [line] = up.events.flatMap(({ diagnosticEvent: said }) => (said?.message.includes("adopted") ? [said] : []));
    expect(line).toMatchObject({ severity: "info", urn: urn("b") });
    expect(line?.ephemeral ?? false).toBe(false);
    expect(line?.message).toMatch(
      /adopted the snapshot \S+ "b-\w{7}", made 20\d\d-\S+Z \(\d+(\.\d+)? ?m?s ago\), for urn/,
    );
    expect(orphans(up)).toEqual([]);

    // Nothing differs any more, so nothing is asked and nothing is written.
    const requests = cloud.requests.length;
    expect(changes(await ok(stack.up()))).toEqual({ same: 3 });
    expect(cloud.requests).toHaveLength(requests);
    expect((await ok(stack.refresh({ args: ["--clear-pending-creates"] }))).stdout).not.toContain("in no state");
    expect((await ok(stack.up())).stdout).not.toContain("pending operations");
    const state = JSON.stringify(await stack.export());
    expect(state).toContain("__attempt");
    expect(state).not.toContain("__request");
    expect(up.stdout).not.toMatch(/__(attempt|owner|organization|stack|backend)/);

    await ok(stack.destroy());
    expect(snapshots()).toEqual([]);
  });

  test("by --replace, taint and --replace of everything: a new one each time, the old one never handed back", async () => {
    declare({ a: {} });
    await ok(stack.up());
    const first = entry("a");
    await ok(stack.up({ args: replace("a") }));
    const second = entry("a");
    expect(second).not.toBe(first);
    expect(snapshots()).toEqual([second]);

    // A plain up does not ask for another one: the state's stays, and the killed run's is told by whatever looks.
    const [third] = await killed(replace("a"));
    await ok(stack.up());
    expect(entry("a")).toBe(second);
    expect(orphans(await ok(stack.refresh()))).toEqual([third]);
    // Asked for again, it is what the killed run has begun.
    const again = await ok(stack.up({ args: replace("a") }));
    expect(adopted(again)).toEqual([third]);
    expect(entry("a")).toBe(third);
    expect(snapshots()).toEqual([third]);

    await ok(stack.command(["state", "taint", "--stack", stack.name, "--yes", urn("a")]));
    const tainted = await ok(stack.up());
    const fourth = entry("a");
    expect([first, second, third]).not.toContain(fourth);
    expect(adopted(tainted)).toEqual([]);
    expect(snapshots()).toEqual([fourth]);

    // With the provider itself replaced, the deletion goes to another process than the create.
    const everything = ["--replace", "**"];
    const [fifth] = await killed(everything);
    const all = await ok(stack.up({ args: everything }));
    expect(adopted(all)).toEqual([fifth]);
    expect(snapshots()).toEqual([fifth]);
    const last = await ok(stack.up({ args: everything }));
    expect(adopted(last)).toEqual([]);
    // Another process has deleted what was listed before: nothing is left of it to name.
    expect([orphans(all), orphans(last)]).toEqual([[], []]);
    expect(snapshots()).toEqual([entry("a")]);
    expect(snapshots()).not.toContain(fifth);
  });

  test("replaceWith and replacementTrigger: a new one each time, and the killed run's is taken over once", async () => {
    const declared = (day: string): Declaration => ({
      a: { args: { triggers: [day] } },
      b: { opts: { replaceWith: ["a"], dependsOn: ["a"] } },
      c: { opts: { replacementTrigger: day, dependsOn: ["b"] } },
    });
    declare(declared("mon"));
    await ok(stack.up());
    const mon = [entry("a"), entry("b"), entry("c")];
    declare(declared("tue"));
    expect(adopted(await ok(stack.up()))).toEqual([]);
    const tue = [entry("a"), entry("b"), entry("c")];
    for (const id of mon) expect(tue).not.toContain(id);
    expect(snapshots()).toEqual([...tue].sort());

    declare(declared("wed"));
    const begun = await killed([], 3);
    const up = await ok(stack.up());
    expect(adopted(up)).toEqual([begun[2]]);
    expect(entry("c")).toBe(begun[2]);
    expect(snapshots()).toEqual([entry("a"), entry("b"), entry("c")].sort());
    for (const id of tue) expect(snapshots()).not.toContain(id);
  });

  test("triggers mon (killed), tue, mon: Monday's is an older instant, so it is told and not adopted", async () => {
    const day = (name: string) => declare({ a: { args: { triggers: [name] } } });
    day("mon");
    const [monday] = await killed();
    for (const name of ["tue", "mon"]) {
      day(name);
      const up = await ok(stack.up());
      expect(adopted(up)).toEqual([]);
      expect(entry("a")).not.toBe(monday);
      expect(orphans(up)).toEqual([monday]);
    }
    expect(snapshots()).toEqual([monday, entry("a")].sort());
    expect(orphans(await ok(stack.destroy()))).toEqual([monday]);
    expect(snapshots()).toEqual([monday]);
  });

  test("retainOnDelete, then declared again: a new one", async () => {
    declare({ a: { opts: { retainOnDelete: true } } });
    await ok(stack.up());
    const retained = entry("a");
    declare({});
    await ok(stack.up());
    declare({ a: {} });
    const up = await ok(stack.up());
    expect(adopted(up)).toEqual([]);
    expect(entry("a")).not.toBe(retained);
    await ok(stack.destroy());
    expect(snapshots()).toEqual([retained]);
  });

  test("alias and state rename, with the freed name used again: each keeps its own", async () => {
    declare({ a: {} });
    await ok(stack.up());
    const made = entry("a");
    const [begun] = await killed(replace("a"));
    declare({ b: { opts: { aliases: [{ name: "a" }] } } });
    // The record names the new owner from now on.
    expect(changes(await ok(stack.up()))).toMatchObject({ update: 1 });
    expect(entry("b")).toBe(made);
    expect(recordOf(cloud, made)).toMatchObject({ owner: urn("b") });
    expect(changes(await ok(stack.up()))).toEqual({ same: 2 });

    await ok(stack.command(["state", "rename", "--stack", stack.name, "--yes", urn("b"), "z"]));
    // `b` is created before the diff of `z` carries the old id.
    declare({ b: {}, z: { opts: { dependsOn: ["b"] } } });
    expect(adopted(await ok(stack.up()))).toEqual([]);
    expect(entry("z")).toBe(made);
    expect([made, begun]).not.toContain(entry("b"));
    await ok(stack.destroy());
    expect(snapshots()).toEqual([begun]);
  });

  test("stack rename and state move: no other stack gets it, and the state's own goes along", async () => {
    declare({ a: {} });
    await ok(stack.up());
    const made = entry("a");
    const [begun] = await killed(replace("a"));
    await ok(stack.command(["stack", "rename", "--stack", "dev", "prod"]));
    const inProd = { args: ["--stack", "prod"] };
    const before = recordOf(cloud, made).stack;
    const renamed = await ok(stack.command(["up", "--yes", "--skip-preview"], inProd));
    expect(renamed.stdout).toContain("1 updated");
    expect(recordOf(cloud, made).stack).not.toBe(before);
    expect(recordOf(cloud, begun).stack).toBe(before);

    await ok(stack.command(["stack", "init", "other"]));
    fs.copyFileSync(path.join(stack.dir, "Pulumi.prod.yaml"), path.join(stack.dir, "Pulumi.other.yaml"));
    const move = ["state", "move", "--yes", "--source", "prod", "--dest", "other", urn("a").replace("dev", "prod")];
    await ok(stack.command(move));
    const inOther = { args: ["--stack", "other"] };
    expect((await ok(stack.command(["up", "--yes", "--skip-preview"], inOther))).stdout).toContain("1 updated");
    const emptied = await ok(stack.command(["up", "--yes", "--skip-preview"], inProd));
    expect(emptied.stdout).toContain("1 created");
    expect(emptied.stdout).not.toContain("adopted");
    await ok(stack.command(["destroy", "--yes", "--skip-preview"], inProd));
    expect(snapshots()).toEqual([made, begun].sort());
    await ok(stack.command(["destroy", "--yes", "--skip-preview"], inOther));
    expect(snapshots()).toEqual([begun]);
  });

  test("two backends with one stack name are strangers", async () => {
    const stranger = await open();
    try {
      declare({ a: {} });
      stranger.setProgram(program({ a: {} }));
      const [begun] = await killed();
      const theirs = await ok(stranger.up());
      expect([adopted(theirs), orphans(theirs)]).toEqual([[], []]);
      expect(idInState(stranger, "a")).not.toBe(begun);
      expect(orphans(await ok(stranger.destroy()))).toEqual([]);
      expect(adopted(await ok(stack.up()))).toEqual([begun]);
    } finally {
      await stranger.close();
    }
  });

  test("Ctrl-C twice, so that the state is not saved: adopted", async () => {
    declare({ a: {} });
    // Else the first Ctrl-C ends the wait, and what was begun is recorded.
    const run = stack.start("up", { env: { SNAPCLONE_IGNORE_CANCEL: "1" } });
    const [begun] = await appeared(cloud, 0, 1);
    run.child.kill("SIGINT");
    await pause(100);
    run.child.kill("SIGINT");
    expect((await run.result).code).not.toBe(0);
    expect(await stack.resources()).toEqual([]);
    await ok(stack.cancel());
    expect(adopted(await ok(stack.up()))).toEqual([begun]);
  });

  test("a replaced one that still waits to be deleted: not adopted, with and without --target", async () => {
    declare({ a: {}, b: {} });
    await ok(stack.up());
    const first = entry("a");
    const refused = cloud.faults.add({ match: { operation: "snapshots.delete" }, times: Infinity, status: 400 });
    await fails(stack.up({ args: replace("a") }));
    const second = entry("a");
    const targeted = await ok(stack.up({ args: ["--target", urn("b")] }));
    expect(orphans(targeted)).toEqual([]);
    const run = await stack.up({ args: ["--target-replace", urn("a")] });
    expect(adopted(run)).toEqual([]);
    expect(orphans(run)).toEqual([]);
    expect([first, second]).not.toContain(entry("a"));
    refused.remove();
    await ok(stack.up());
    expect(snapshots()).toEqual([entry("a"), entry("b")].sort());
  });

  test("stack import of an older state, and --clear-pending-creates: told, not adopted", async () => {
    declare({});
    await ok(stack.up());
    const older = path.join(stack.dir, "..", "older.json");
    fs.writeFileSync(older, JSON.stringify(await stack.export()));
    declare({ a: {}, b: { opts: { dependsOn: ["a"] } } });
    const begun = await killed([], 2);
    await ok(stack.command(["stack", "import", "--stack", stack.name, "--file", older]));
    const up = await ok(stack.up());
    expect(adopted(up)).toEqual([]);
    expect(orphans(up)).toEqual([...begun].sort());
    for (const name of ["a", "b"]) expect(begun).not.toContain(entry(name));

    const [third] = await killed(replace("a"));
    await ok(stack.refresh({ args: ["--clear-pending-creates"] }));
    const forced = await ok(stack.up({ args: replace("a") }));
    expect(adopted(forced)).toEqual([]);
    expect(orphans(forced)).toEqual([...begun, third].sort());
    expect(snapshots()).toEqual([...begun, third, entry("a"), entry("b")].sort());
  });

  test("then destroy, or a program without it: named in the run's last words, as far as a provider was started", async () => {
    declare({ a: {}, b: { opts: { dependsOn: ["a"] } } });
    const [, begun] = await killed([], 2);
    declare({ a: {} });
    expect(orphans(await ok(stack.refresh()))).toEqual([begun]);
    const destroyed = await ok(stack.destroy());
    expect(orphans(destroyed)).toEqual([begun]);
    expect(snapshots()).toEqual([begun]);
  });

  test("a cloud whose clock is a day ahead: adopted, with the age by that clock", async () => {
    cloud.clock.tick(DAY_MS);
    declare({ a: {} });
    const [begun] = await killed();
    const up = await ok(stack.up());
    expect(adopted(up)).toEqual([begun]);
    expect(up.stdout).toMatch(/adopted the snapshot .*\(\d+ s ago\)/);
    const [newer] = await killed(replace("a"));
    expect(adopted(await ok(stack.up({ args: replace("a") })))).toEqual([newer]);
    expect(snapshots()).toEqual([newer]);
  });

  test("and the state can't be asked: a new one, and the other is named with the reason", async () => {
    declare({ a: {} });
    const [begun] = await killed();
    const blind = { PULUMI_SKIP_CHECKPOINTS: "true", PULUMI_EXPERIMENTAL: "true" };
    const up = await ok(stack.up({ env: blind }));
    expect(adopted(up)).toEqual([]);
    expect(up.stdout).toContain(begun);
    expect(up.stdout).toContain("PULUMI_SKIP_CHECKPOINTS is set");
    expect(snapshots()).toHaveLength(2);
  });

  test("with a CLI that is not on PATH: asked by its own path; a renamed one can't be found, and that is said", async () => {
    const bin = enginePath ?? "";
    const pathOfOthers = { PATH: process.env.PATH };
    declare({ a: {} });
    const [begun] = await killed();
    const absolute = { executable: path.join(bin, "pulumi"), env: pathOfOthers };
    expect(adopted(await ok(stack.up(absolute)))).toEqual([begun]);

    // Nothing shows that this is Pulumi, and no other one is on PATH.
    const folder = path.join(stack.dir, "..", "renamed");
    fs.mkdirSync(folder);
    for (const name of fs.readdirSync(bin).filter((name) => name !== "pulumi")) {
      fs.symlinkSync(path.join(bin, name), path.join(folder, name));
    }
    fs.copyFileSync(path.join(bin, "pulumi"), path.join(folder, "deploy"));
    const [newer] = await killed(replace("a"));
    const renamed = { executable: path.join(folder, "deploy"), env: pathOfOthers };
    const up = await ok(stack.up({ ...renamed, args: replace("a") }));
    expect(adopted(up)).toEqual([]);
    expect(up.stdout).toContain(`${newer} "a-`);
    expect(up.stdout).toContain("no `pulumi` is on PATH");
  });

  test("pulumi login instead of PULUMI_BACKEND_URL: the same store", async () => {
    declare({ a: {} });
    const [begun] = await killed();
    const env = { PULUMI_BACKEND_URL: undefined };
    await ok(stack.command(["login", `file://${path.join(path.dirname(stack.dir), "state")}`], { env }));
    expect(adopted(await ok(stack.up({ env })))).toEqual([begun]);

    // A relative address is one of the engine's folder; the provider is in the program's.
    const app = path.join(stack.dir, "app");
    fs.mkdirSync(app);
    for (const name of ["index.js", "package.json"]) fs.renameSync(path.join(stack.dir, name), path.join(app, name));
    const project = path.join(stack.dir, "Pulumi.yaml");
    fs.writeFileSync(project, JSON.stringify({ ...JSON.parse(fs.readFileSync(project, "utf8")), main: "app" }));
    const [newer] = await killed(replace("a"));
    const relative = { PULUMI_BACKEND_URL: "file://../state" };
    expect(adopted(await ok(stack.up({ env: relative, args: replace("a") })))).toEqual([newer]);
  });

  test.each(["local", "inline"])("a %s program of the Automation API adopts it, too", async (kind) => {
    declare({ a: {} });
    const [begun] = await killed();
    const root = path.dirname(stack.dir);
    const script = path.join(stack.dir, "automation.js");
    fs.writeFileSync(script, automation(kind));
    const environment = cleanEnvironment(root, enginePath === undefined ? [] : [enginePath]);
    // An inline program runs in this process, which knows neither the store nor Pulumi's home.
    const { PULUMI_BACKEND_URL, PULUMI_HOME, PULUMI_CONFIG_PASSPHRASE, ...own } = environment;
    const envVars = { PULUMI_BACKEND_URL, PULUMI_HOME, PULUMI_CONFIG_PASSPHRASE };
    const { stdout } = await promisify(execFile)(process.execPath, [script], {
      cwd: stack.dir,
      env: { ...own, ENV_VARS: JSON.stringify(envVars), CONNECTIONS: JSON.stringify({ default: cloud.connection() }) },
      timeout: 60_000,
    });
    expect(stdout).toContain(`adopted the snapshot ${begun}`);
    expect(snapshots()).toEqual([begun]);
    fs.rmSync(script);
    expect(entry("a")).toBe(begun);
  });

  test("after a save that failed: the failing run says what may be in no state, and the next up adopts it", async () => {
    const failed = await saveFails;
    try {
      expect(failed.result.stdout).toContain("failed to save snapshot");
      expect(orphans(failed.result)).toEqual([failed.begun]);
      expect(adopted(await ok(failed.stack.up()))).toEqual([failed.begun]);
      expect(existing(failed.cloud)).toEqual([failed.begun]);
    } finally {
      await failed.stack.close();
      await failed.cloud.close();
    }
  });
});

/** Pulumi tries each of its saves for half a minute, so the other tests run in the meantime. */
async function runWhoseSavesFail() {
  const cloud = await startEmulator({ timings: TIMINGS });
  const stack = await newStack({ program: program({ a: {} }), config: { default: { ...cloud.connection() } } });
  const state = stateFolder(stack);
  const run = stack.start("up", { timeoutMs: 170_000 });
  const [begun = ""] = await appeared(cloud, 0, 1);
  fs.renameSync(state, `${state}-kept`);
  fs.writeFileSync(state, "");
  const result = await run.result;
  fs.rmSync(state);
  fs.renameSync(`${state}-kept`, state);
  fs.rmSync(path.join(state, ".pulumi", "locks"), { recursive: true, force: true });
  return { cloud, stack, begun, result };
}

// --- what the tests say and see

function program(declared: Declaration): { js: string } {
  return {
    js: `
const { Snapshot } = require("pulumi-snapclone");
const made = {};
for (const [name, { args = {}, opts = {} }] of Object.entries(${JSON.stringify(declared)})) {
  const { dependsOn = [], replaceWith = [], ...more } = opts;
  const others = { dependsOn: dependsOn.map((one) => made[one]), replaceWith: replaceWith.map((one) => made[one]) };
  made[name] = new Snapshot(name, { volumeId: "${SEED_VOLUMES.data}", ...args }, { ...more, ...others });
}`,
  };
}

function automation(kind: string): string {
  return `
const { LocalWorkspace } = require("@pulumi/pulumi/automation");
const { ENV_VARS, CONNECTIONS } = process.env;
const options = { workDir: __dirname, envVars: JSON.parse(ENV_VARS) };
const program = async () => {
  const { Snapshot } = require("pulumi-snapclone");
  new Snapshot("a", { volumeId: "${SEED_VOLUMES.data}" });
};
(async () => {
  const stack = await LocalWorkspace.createOrSelectStack(
    ${kind === "local" ? '{ stackName: "dev", workDir: __dirname }' : '{ stackName: "dev", projectName: "snapclone-test", program }'},
    options,
  );
  await stack.cancel().catch(() => {});
  await stack.setConfig("snapclone:connections", { value: CONNECTIONS });
  await stack.up({ onOutput: (text) => process.stdout.write(text) });
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});`;
}

function urn(name: string): string {
  return `urn:pulumi:dev::snapclone-test::pulumi-nodejs:dynamic/snapclone:Snapshot::${name}`;
}

/** Kills the provider and the CLI when so many new snapshots are there; their ids, in the order in which they were made. */
async function kill(cloud: Emulator, stack: Stack, options: CommandOptions, count: number): Promise<string[]> {
  const before = cloud.cinder.snapshots.size;
  const run = stack.start("up", options);
  const made = await appeared(cloud, before, count);
  for (const provider of stack.providers()) process.kill(provider, "SIGKILL");
  run.child.kill("SIGKILL");
  await run.result;
  // What `pulumi cancel` does.
  fs.rmSync(path.join(stateFolder(stack), ".pulumi", "locks"), { recursive: true, force: true });
  return made;
}

async function appeared(cloud: Emulator, before: number, count: number): Promise<string[]> {
  const deadline = Date.now() + 60_000;
  while (cloud.cinder.snapshots.size < before + count) {
    if (Date.now() > deadline) throw new Error("no snapshot was asked for within a minute");
    await pause(10);
  }
  return [...cloud.cinder.snapshots.keys()].slice(before);
}

function existing(cloud: Emulator): string[] {
  cloud.cinder.settle();
  return [...cloud.cinder.snapshots.keys()].sort();
}

function recordOf(cloud: Emulator, id: string | undefined): { owner?: string | undefined; stack?: string | undefined } {
  const { metadata = {} } = cloud.cinder.snapshots.get(id ?? "") ?? {};
  return { owner: metadata["snapclone:owner"], stack: metadata["snapclone:stack"] };
}

function stateFolder(stack: Stack): string {
  return path.join(path.dirname(stack.dir), "state");
}

/** Read from the file: much faster than asking Pulumi. */
function idInState(stack: Stack, name: string): string {
  const file = path.join(stateFolder(stack), ".pulumi", "stacks", "snapclone-test", `${stack.name}.json`);
  const { checkpoint } = JSON.parse(fs.readFileSync(file, "utf8")) as {
    checkpoint: { latest?: { resources?: StateResource[] } };
  };
  const found = (checkpoint.latest?.resources ?? []).filter((one) => one.urn.endsWith(`::${name}`) && !one.delete);
  if (found[0]?.id === undefined || found.length > 1)
    throw new Error(`${found.length} entries of ${name} in the state`);
  return found[0].id;
}

async function ok(running: Promise<Result>): Promise<Result> {
  const result = await running;
  if (result.code !== 0) throw new Error(`exit code ${result.code}\n${result.stdout}\n${result.stderr}`);
  return result;
}

async function fails(running: Promise<Result>): Promise<Result> {
  const result = await running;
  if (result.code === 0) throw new Error(`did not fail:\n${result.stdout}`);
  return result;
}

function changes({ events }: Result): Record<string, number> {
  return events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
}

function said({ events }: Result): string[] {
  return events.flatMap(({ diagnosticEvent }) => diagnosticEvent?.message ?? []);
}

/** Ids that the run said it had adopted. */
function adopted(result: Result): string[] {
  return said(result).flatMap((text) => /^adopted the snapshot (\S+)/.exec(text)?.[1] ?? []);
}

/** Ids that the run named as held by no state, each of them once. */
function orphans(result: Result): string[] {
  const told = said(result).filter((text) => /^(perhaps )?in no state/.test(text));
  return told.flatMap((text) => [...text.matchAll(/^ {2}(\S{36})/gm)].map(([, id]) => id ?? "")).sort();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
