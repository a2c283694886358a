// `snapclone import` against the emulator: the program's lines for what exists. The lines' inputs are what `pulumi up` accepts
// for this very object, and nothing is changed by the command.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { engineOf, snapclone, stackConfig } from "./fixture";

let emulator: Emulator;
beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
});
afterEach(() => emulator.close());

const run = (...argv: string[]) =>
  snapclone(["import", ...argv, "--stack-config", "-"], { stdin: stackConfig(emulator.connections()) });
const make = (metadata: Record<string, string> = {}) =>
  emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "by hand", metadata }).id;

test("a Snapshot: the lines, whose inputs pulumi up takes over without a change", async () => {
  const id = make({ team: "shop" });
  const { code, stdout } = await run("Snapshot", "nightly", id);
  expect([code, stdout]).toEqual([
    0,
    [
      'import { Snapshot } from "pulumi-snapclone";',
      "",
      'new Snapshot("nightly", {',
      `  volumeId: "${SEED_VOLUMES.data}",`,
      '  name: "by hand",',
      `}, { import: "${id}" });`,
      "",
    ].join("\n"),
  ]);
  expect(emulator.requests.filter(({ service, method }) => service === "cinder" && method !== "GET")).toEqual([]);

  const { inputs } = (await run("Snapshot", "nightly", id, "--json")).json();
  const engine = engineOf("snapshot", emulator);
  const { errors, log } = await engine.up({ nightly: { ...inputs, __import: id } });
  expect([errors, engine.idOf("nightly")]).toEqual([[], id]);
  expect(log.join("\n")).not.toContain("brought into line");
});

test("a VolumeClone needs its volumes, which not every backend shows", async () => {
  const engine = engineOf("volumeClone", emulator);
  const volumes = [SEED_VOLUMES.data];
  const { errors } = await engine.up({ a: { volumes, displayName: "one", connection: "powervc" } });
  expect(errors).toEqual([]);
  const [clone] = Object.values(engine.state.entries[0]?.outputs.clones as Record<string, string>) as [string];
  const args = ["VolumeClone", "copy", clone, "--connection", "powervc"];
  expect(await run(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining("--inputs must have volumes") });
  const { code, stdout, stderr } = await run(...args, "--inputs", JSON.stringify({ volumes }));
  expect([code, stdout]).toEqual([0, expect.stringContaining(`  volumes: ["${SEED_VOLUMES.data}"],`)]);
  expect(stdout).toContain('  connection: "powervc",');
  // It has the record of the resource that made it.
  expect(stderr).toMatch(/warning: volume .* has the record of .*::a \(stack digest/);
});

test.each([
  [["Snapshott", "n", "x"], 2, "TYPE is one of Snapshot, "],
  [["Snapshot", "n"], 2, "TYPE, NAME and ID are needed"],
  [["Snapshot", "n", "no-uuid"], 2, "ID must be"],
  [["Snapshot", "n", "99999999-9999-4999-8999-999999999999"], 3, "there is no snapshot"],
  [["Snapshot", "n", SEED_VOLUMES.data], 3, "is a volume, not a snapshot"],
  [["AssistedSnapshot", "n", "x"], 3, "can't be imported"],
  [["Snapshot", "n", SEED_VOLUMES.data, "--inputs", "{"], 2, "--inputs is not a JSON object"],
  [["Snapshot", "n", SEED_VOLUMES.data, "--inputs", '{"nope": 1}'], 2, "nope is not an input of this type"],
])("snapclone import %j: exit code %s", async (argv, exit, message) => {
  const { code, stdout, stderr } = await run(...argv);
  expect([code, stdout]).toEqual([exit, ""]);
  expect(stderr).toContain(message);
});
