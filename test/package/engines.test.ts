// The oldest engine that serves and the newest: a life with a change, with drift, and with a run that is killed in a create.

import * as fs from "node:fs";
import * as path from "node:path";
import { type Emulator, startEmulator } from "../../emulator";
import { killAll, processesIn } from "../support/processes";
import { ENGINES, nameOfInstallation, PULUMIS, TYPESCRIPTS } from "./combinations";
import { installed, prepared, testWith, type Workplace, workplace } from "./prepared";

const project = installed(
  nameOfInstallation({ manager: "npm", pulumi: PULUMIS.forNode20, typescript: TYPESCRIPTS[5], tsNode: true }),
);

let emulator: Emulator;
let place: Workplace | undefined;

beforeAll(async () => {
  emulator = await startEmulator({ timings: { snapshotCreate: 2_000, snapshotDelete: 100 } });
});

afterEach(() => {
  place?.close();
  emulator.reset();
});

afterAll(() => emulator.close());

for (const version of Object.values(ENGINES)) {
  const needs = [prepared.engines[version] ?? { missing: `engine ${version} was not prepared` }, project];
  testWith(
    `engine ${version}: killed, adopted, changed, drifted, destroyed`,
    needs,
    async (enginePath = "", folder = "") => {
      const cwd = path.join(folder, "program");
      const started = workplace({ folder, cwd, enginePath, files: files("one"), env: emulator.openstack.env() });
      place = started;
      expect((await started.ok("pulumi", ["version"])).output).toContain(`v${version}`);
      await started.pulumi(["stack", "init"]);
      const left = await killedUp(started);
      const up = await started.pulumi(["up", "--yes", "--skip-preview"]);
      expect(up.output).toContain(`adopted the snapshot ${left}`);
      expect(rows().map(({ id }) => id)).toEqual([left]);

      fs.writeFileSync(path.join(cwd, "index.js"), program("two"));
      expect((await started.pulumi(["up", "--yes", "--skip-preview"])).output).toContain("~ 1 updated");
      for (const row of rows()) row.description = "by hand";
      expect((await started.pulumi(["refresh", "--yes", "--skip-preview"])).output).toContain("~ 1 updated");
      expect((await started.pulumi(["preview"])).output).toContain("~ 1 to update");
      await started.pulumi(["destroy", "--yes", "--skip-preview"]);
      expect(rows()).toEqual([]);
    },
  );
}

const rows = () => {
  emulator.cinder.advance();
  return [...emulator.cinder.snapshots.values()];
};

/** An `up` whose processes are all killed in the create. Returns the id of what it left. */
async function killedUp({ folder, tried, pulumi }: Workplace): Promise<string> {
  const running = tried("pulumi", ["up", "--yes", "--skip-preview", "--stack", "dev", "--non-interactive"]);
  const deadline = Date.now() + 60_000;
  while (emulator.cinder.snapshots.size === 0) {
    if (Date.now() > deadline) throw new Error("no snapshot was asked for within a minute");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  killAll(processesIn(folder));
  expect((await running).ok).toBe(false);
  await pulumi(["cancel", "--yes"]);
  return [...emulator.cinder.snapshots.keys()][0] ?? "";
}

function files(description: string): Record<string, string> {
  return {
    "program/package.json": JSON.stringify({ private: true, main: "index.js" }),
    "program/Pulumi.yaml": JSON.stringify({
      name: "engines",
      runtime: { name: "nodejs", options: { typescript: false } },
    }),
    "program/index.js": program(description),
  };
}

function program(description: string): string {
  const args = { volumeId: "11111111-1111-4111-8111-111111111111", name: "nightly", description };
  return `new (require("pulumi-snapclone").Snapshot)("nightly", ${JSON.stringify(args)});\n`;
}
