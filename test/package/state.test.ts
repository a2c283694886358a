// State that an earlier build of this package has written still refreshes without a change, goes on and is destroyed by
// today's. states/README.md says how a release adds its own.

import * as fs from "node:fs";
import * as path from "node:path";
import { type Emulator, startEmulator } from "../../emulator";
import { nameOfInstallation, PULUMIS, TYPESCRIPTS } from "./combinations";
import {
  type Deployment,
  installed,
  prepared,
  type StateResource,
  testWith,
  type Workplace,
  workplace,
} from "./prepared";

type Row = ReturnType<Emulator["cinder"]["createSnapshot"]>;

interface Recorded {
  /** What was there, with the ids that the state knows. */
  snapshots: Row[];
  state: Deployment;
}

const folder = path.join(__dirname, "states");
const releases = fs.readdirSync(folder).filter((name) => name.endsWith(".json"));
const project = installed(
  nameOfInstallation({ manager: "npm", pulumi: PULUMIS.forNode20, typescript: TYPESCRIPTS[5], tsNode: true }),
);
const program = fs.readFileSync(path.join(__dirname, "programs", "state.cjs"), "utf8");

let emulator: Emulator;

beforeEach(async () => {
  emulator = await startEmulator({ timings: { snapshotCreate: 400, snapshotDelete: 50 } });
});

afterEach(() => emulator.close());

test("there is a state of at least one release", () => {
  expect(releases).not.toEqual([]);
});

for (const release of releases) {
  testWith(`the state of ${release}`, [prepared.engine, project], async (enginePath = "", installedIn = "") => {
    const recorded = JSON.parse(fs.readFileSync(path.join(folder, release), "utf8")) as Recorded;
    const ids = recorded.snapshots.map(({ id, project_id, user_id, ...row }): [string, string] => [
      id,
      emulator.cinder.createSnapshot(row).id,
    ]);
    const id = (name: string) => {
      const row = [...emulator.cinder.snapshots.values()].find((one) => one.name?.startsWith(name));
      if (row === undefined) throw new Error(`the emulator has no snapshot ${name}`);
      return row.id;
    };
    const foreign = id("foreign");
    const place = open(enginePath, installedIn, foreign, "30m");
    try {
      await place.pulumi(["stack", "init"]);
      fs.writeFileSync(path.join(place.folder, "old.json"), replaced(JSON.stringify(recorded.state), ids));
      await place.pulumi(["stack", "import", "--file", "old.json"]);
      expect(named(await place.resources(), "late").initErrors).toHaveLength(1);

      // Nothing has changed in the cloud since, and nothing in the program: nothing is to be seen or done, but for the
      // wait that goes on.
      const refreshed = await place.pulumi(["refresh", "--yes", "--skip-preview"]);
      expect(changes(refreshed.events)).not.toHaveProperty("delete");
      expect(named(await place.resources(), "full")).toMatchObject({
        id: id("full"),
        outputs: { name: "full", description: "the day before", metadata: { keep: "7" }, status: "available" },
      });
      const preview = await place.pulumi(["preview"]);
      const steps = preview.events.flatMap(({ resourcePreEvent }) => resourcePreEvent?.metadata ?? []);
      const touched = steps
        .filter(({ op }) => op !== "same" && op !== "read")
        .map(({ op, urn }) => `${op} ${nameIn(urn)}`);
      expect(touched.filter((step) => step !== "update late")).toEqual([]);

      await place.pulumi(["up", "--yes", "--skip-preview"]);
      const after = await place.resources();
      expect(named(after, "late")).toMatchObject({ id: id("late"), outputs: { status: "available" } });
      expect(named(after, "late").initErrors ?? []).toEqual([]);
      expect(after.map((resource) => resource.id).sort()).toEqual(ids.map(([, now]) => now).sort());

      // The snapshot that was only read stays.
      await place.pulumi(["destroy", "--yes", "--skip-preview"]);
      emulator.cinder.advance();
      expect([...emulator.cinder.snapshots.keys()]).toEqual([foreign]);
    } finally {
      place.close();
    }
  });

  testWith(
    `the state of ${release}, destroyed at once`,
    [prepared.engine, project],
    async (enginePath = "", installedIn = "") => {
      const recorded = JSON.parse(fs.readFileSync(path.join(folder, release), "utf8")) as Recorded;
      const ids = recorded.snapshots.map(({ id, project_id, user_id, ...row }): [string, string] => [
        id,
        emulator.cinder.createSnapshot(row).id,
      ]);
      const place = open(enginePath, installedIn, "", "30m");
      try {
        await place.pulumi(["stack", "init"]);
        fs.writeFileSync(path.join(place.folder, "old.json"), replaced(JSON.stringify(recorded.state), ids));
        await place.pulumi(["stack", "import", "--file", "old.json"]);
        await place.pulumi(["destroy", "--yes", "--skip-preview"]);
        emulator.cinder.advance();
        expect([...emulator.cinder.snapshots.values()].map(({ name }) => name)).toEqual(["foreign"]);
      } finally {
        place.close();
      }
    },
  );
}

const recording = process.env.SNAPCLONE_RECORD_STATE;
if (recording !== undefined) {
  testWith(
    `records the state of ${recording}`,
    [prepared.engine, project],
    async (enginePath = "", installedIn = "") => {
      const foreign = emulator.cinder.createSnapshot({
        volume_id: "11111111-1111-4111-8111-111111111111",
        name: "foreign",
      });
      const place = open(enginePath, installedIn, foreign.id, "1ms");
      try {
        await place.pulumi(["stack", "init"]);
        const up = await place.tried("pulumi", [
          "up",
          "--yes",
          "--skip-preview",
          "--stack",
          "dev",
          "--non-interactive",
        ]);
        expect(up.output).toContain("the next `pulumi up` goes on waiting for it");
        const state = await place.exported();
        await new Promise((resolve) => setTimeout(resolve, 500));
        emulator.cinder.advance();
        const snapshots = [...emulator.cinder.snapshots.values()];
        expect(state.deployment.resources).toHaveLength(6);
        fs.writeFileSync(path.join(folder, `${recording}.json`), `${JSON.stringify({ snapshots, state }, null, 2)}\n`);
      } finally {
        place.close();
      }
    },
  );
}

function open(enginePath: string, folder: string, foreign: string, late: string): Workplace {
  const files = {
    "package.json": JSON.stringify({ private: true, main: "index.js" }),
    "Pulumi.yaml": JSON.stringify({ name: "old", runtime: { name: "nodejs", options: { typescript: false } } }),
    "index.js": program,
  };
  return workplace({ folder, enginePath, files, env: { ...emulator.openstack.env(), FOREIGN: foreign, LATE: late } });
}

function replaced(text: string, ids: readonly [string, string][]): string {
  return ids.reduce((now, [old, id]) => now.replaceAll(old, id), text);
}

function named(resources: readonly StateResource[], name: string): StateResource {
  const found = resources.find(({ urn }) => nameIn(urn) === name);
  if (found === undefined) throw new Error(`no ${name} in the state`);
  return found;
}

function nameIn(urn: string): string {
  return urn.split("::").at(-1) ?? "";
}

function changes(events: readonly { summaryEvent?: { resourceChanges: Record<string, number> } }[]) {
  return events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges ?? {};
}
