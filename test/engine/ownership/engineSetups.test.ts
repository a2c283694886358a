// The provider reads the state however the engine was started: by another path, login or API. If it cannot read the state,
// it adopts nothing and says why.

import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { SEED_VOLUMES, startEmulator } from "../../../emulator";
import { cleanEnvironment } from "../../support/pulumi";
import { describeEngine, enginePath, newStack } from "../harness";
import {
  adopted,
  appeared,
  existingSnapshots,
  OwnershipFixture,
  ok,
  orphans,
  program,
  stateFolder,
  TIMINGS,
  urn,
} from "./fixture";

describeEngine("reading the state of the running engine", () => {
  const fixture = new OwnershipFixture();
  let saveFails: ReturnType<typeof runWhoseSavesFail>;

  beforeAll(() => {
    saveFails = runWhoseSavesFail();
    saveFails.catch(() => {});
  });
  const replace = (name: string) => ["--replace", urn(name)];

  test("a state that cannot be read: a new one, and the other is named with the reason", async () => {
    fixture.declare({ a: {} });
    const [begun] = await fixture.killed();
    const blind = { PULUMI_SKIP_CHECKPOINTS: "true", PULUMI_EXPERIMENTAL: "true" };
    const up = await ok(fixture.stack.up({ env: blind }));
    expect(adopted(up)).toEqual([]);
    expect(up.stdout).toContain(begun);
    expect(up.stdout).toContain("PULUMI_SKIP_CHECKPOINTS is set");
    expect(fixture.snapshots()).toHaveLength(2);
  });

  test("a CLI that is not on PATH: found by its own path; a renamed one is not found, and the message says so", async () => {
    const bin = enginePath ?? "";
    const pathOfOthers = { PATH: process.env.PATH };
    fixture.declare({ a: {} });
    const [begun] = await fixture.killed();
    const absolute = { executable: path.join(bin, "pulumi"), env: pathOfOthers };
    expect(adopted(await ok(fixture.stack.up(absolute)))).toEqual([begun]);

    // Nothing shows that this program is Pulumi, and no other one is on PATH.
    const folder = path.join(fixture.stack.dir, "..", "renamed");
    fs.mkdirSync(folder);
    for (const name of fs.readdirSync(bin).filter((name) => name !== "pulumi")) {
      fs.symlinkSync(path.join(bin, name), path.join(folder, name));
    }
    fs.copyFileSync(path.join(bin, "pulumi"), path.join(folder, "deploy"));
    const [newer] = await fixture.killed(replace("a"));
    const renamed = { executable: path.join(folder, "deploy"), env: pathOfOthers };
    const up = await ok(fixture.stack.up({ ...renamed, args: replace("a") }));
    expect(adopted(up)).toEqual([]);
    expect(up.stdout).toContain(`${newer} "a-`);
    expect(up.stdout).toContain("no `pulumi` is on PATH");
  });

  test("pulumi login instead of PULUMI_BACKEND_URL: the same store", async () => {
    fixture.declare({ a: {} });
    const [begun] = await fixture.killed();
    const env = { PULUMI_BACKEND_URL: undefined };
    await ok(
      fixture.stack.command(["login", `file://${path.join(path.dirname(fixture.stack.dir), "state")}`], { env }),
    );
    expect(adopted(await ok(fixture.stack.up({ env })))).toEqual([begun]);

    // A relative address starts at the engine's folder. The provider runs in the program's.
    const app = path.join(fixture.stack.dir, "app");
    fs.mkdirSync(app);
    for (const name of ["index.js", "package.json"])
      fs.renameSync(path.join(fixture.stack.dir, name), path.join(app, name));
    const project = path.join(fixture.stack.dir, "Pulumi.yaml");
    fs.writeFileSync(project, JSON.stringify({ ...JSON.parse(fs.readFileSync(project, "utf8")), main: "app" }));
    const [newer] = await fixture.killed(replace("a"));
    const relative = { PULUMI_BACKEND_URL: "file://../state" };
    expect(adopted(await ok(fixture.stack.up({ env: relative, args: replace("a") })))).toEqual([newer]);
  });

  test.each(["local", "inline"])("a %s program of the Automation API adopts it, too", async (kind) => {
    fixture.declare({ a: {} });
    const [begun] = await fixture.killed();
    const root = path.dirname(fixture.stack.dir);
    const script = path.join(fixture.stack.dir, "automation.js");
    fs.writeFileSync(script, automation(kind));
    const environment = cleanEnvironment(root, enginePath === undefined ? [] : [enginePath]);
    // An inline program runs in the script's process, whose environment names neither the store nor Pulumi's home.
    const { PULUMI_BACKEND_URL, PULUMI_HOME, PULUMI_CONFIG_PASSPHRASE, ...own } = environment;
    const envVars = { PULUMI_BACKEND_URL, PULUMI_HOME, PULUMI_CONFIG_PASSPHRASE };
    const { stdout } = await promisify(execFile)(process.execPath, [script], {
      cwd: fixture.stack.dir,
      env: {
        ...own,
        ENV_VARS: JSON.stringify(envVars),
        CONNECTIONS: JSON.stringify({ default: fixture.cloud.openstack.connection() }),
      },
      timeout: 60_000,
    });
    expect(stdout).toContain(`adopted the snapshot ${begun}`);
    expect(fixture.snapshots()).toEqual([begun]);
    fs.rmSync(script);
    expect(fixture.entry("a")).toBe(begun);
  });

  test("a save that failed: the failing run names what may be in no state, and the next up adopts it", async () => {
    const failed = await saveFails;
    try {
      expect(failed.result.stdout).toContain("failed to save snapshot");
      expect(orphans(failed.result)).toEqual([failed.begun]);
      expect(adopted(await ok(failed.stack.up()))).toEqual([failed.begun]);
      expect(existingSnapshots(failed.cloud)).toEqual([failed.begun]);
    } finally {
      await failed.stack.close();
      await failed.cloud.close();
    }
  });
});

/** Pulumi tries each of its saves for half a minute, so this runs while the other tests do. */
async function runWhoseSavesFail() {
  const cloud = await startEmulator({ timings: TIMINGS });
  const stack = await newStack({
    program: program({ a: {} }),
    config: { default: { ...cloud.openstack.connection() } },
  });
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
