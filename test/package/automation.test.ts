// The Automation API, started in another folder than the program's: works, or one sentence that says what to install where.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type Emulator, startEmulator } from "../../emulator";
import { nameOfInstallation, PULUMIS, TYPESCRIPTS } from "./combinations";
import { installed, prepared, testWith, type Workplace, workplace } from "./prepared";

const project = installed(
  nameOfInstallation({ manager: "npm", pulumi: PULUMIS.forNode20, typescript: TYPESCRIPTS[5], tsNode: true }),
);
/** Takes `inline`, and what the workspace gets, as JSON. */
const APP = `
const { LocalWorkspace } = require("@pulumi/pulumi/automation");
const { Snapshot } = require("pulumi-snapclone");
const { inline, options } = JSON.parse(process.argv[2]);
const program = async () => ({
  id: new Snapshot("nightly", { volumeId: "11111111-1111-4111-8111-111111111111", name: "nightly" }).id,
});
(async () => {
  const args = inline ? { stackName: "dev", projectName: "auto", program } : { stackName: "dev", workDir: options.workDir };
  const envVars = { PULUMI_BACKEND_URL: process.env.PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE: "test" };
  const stack = await LocalWorkspace.createOrSelectStack(args, { ...options, envVars });
  await stack.up({ onOutput: (text) => process.stdout.write(text) });
  await stack.destroy();
})().then(() => process.exit(0), (error) => { console.log(error.name); process.exit(1); });
`;
const PROGRAM = `
const { Snapshot } = require("pulumi-snapclone");
new Snapshot("nightly", { volumeId: "11111111-1111-4111-8111-111111111111", name: "nightly" });
`;

let emulator: Emulator;
let elsewhere: string;
let place: Workplace;

beforeAll(async () => {
  emulator = await startEmulator({ timings: { snapshotCreate: 100, snapshotDelete: 50 } });
});

beforeEach(() => {
  elsewhere = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-elsewhere-")));
});

afterEach(() => {
  place.close();
  fs.rmSync(elsewhere, { recursive: true, force: true });
  emulator.reset();
});

afterAll(() => emulator.close());

async function run(enginePath: string, folder: string, scenario: (folder: string) => object): Promise<string> {
  place = workplace({
    folder,
    cwd: elsewhere,
    enginePath,
    files: {
      "app.cjs": APP,
      "program/index.js": PROGRAM,
      "program/package.json": JSON.stringify({ private: true, main: "index.js" }),
      "program/Pulumi.yaml": JSON.stringify({
        name: "auto",
        runtime: { name: "nodejs", options: { typescript: false } },
      }),
    },
    env: emulator.openstack.env(),
  });
  const ran = await place.tried("node", [path.join(folder, "app.cjs"), JSON.stringify(scenario(folder))]);
  return ran.output;
}

const made = () =>
  emulator.requests.filter(({ operation }) => operation === "snapshots.create" || operation === "snapshots.delete");

function works(output: string): void {
  expect(output).toContain("+ 2 created");
  expect(made().map(({ operation }) => operation)).toEqual(["snapshots.create", "snapshots.delete"]);
}

function expectMissingPackage(output: string, folder: string | RegExp): void {
  const [, diagnostics = ""] = output.split("\nDiagnostics:\n");
  expect(diagnostics).toMatch(folder);
  // Pulumi prints each error of an inline program twice (sdk/nodejs/automation/server.ts: uncaughtHandler, and the reply).
  expect(diagnostics.split("and the folders above, and it is not there").length - 1).toBeLessThanOrEqual(2);
  expect(diagnostics).toContain("this folder is `main` of the project settings, or else `workDir`");
  expect(output).not.toMatch(/^\s+at |Cannot find module/m);
  expect(made()).toEqual([]);
}

testWith("a local program: works", [prepared.engine, project], async (enginePath = "", installedIn = "") => {
  works(
    await run(enginePath, installedIn, (folder) => ({
      inline: false,
      options: { workDir: path.join(folder, "program") },
    })),
  );
});

testWith(
  "an inline program with `main` of its project settings: works",
  [prepared.engine, project],
  async (enginePath = "", installedIn = "") => {
    works(
      await run(enginePath, installedIn, (folder) => ({
        inline: true,
        options: { projectSettings: { name: "auto", runtime: "nodejs", main: folder } },
      })),
    );
  },
);

testWith(
  "an inline program, whose provider starts in the folder of the app: told",
  [prepared.engine, project],
  async (enginePath = "", installedIn = "") => {
    const output = await run(enginePath, installedIn, () => ({ inline: true, options: {} }));
    expectMissingPackage(output, new RegExp(`looks for this package in ${elsewhere} and`));
  },
);

testWith(
  "an inline program with project settings and without `main`, whose provider starts in a temporary folder: told",
  [prepared.engine, project],
  async (enginePath = "", installedIn = "") => {
    const output = await run(enginePath, installedIn, () => ({
      inline: true,
      options: { projectSettings: { name: "auto", runtime: "nodejs" } },
    }));
    expectMissingPackage(output, /looks for this package in \S+automation-\S+ and/);
  },
);
