// `snapclone orphans --import` against the emulator: the lines for what should be kept, which `pulumi up` takes over; what is
// refused, with the reason; and that the command changes nothing.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import type { FakeEngine } from "../support/fakeEngine";
import { engineOf, exportOf, ORIGIN, snapclone, stackConfig } from "./fixture";

let emulator: Emulator;
let cwd: string;
beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
  cwd = mkdtempSync(join(tmpdir(), "snapclone-orphans-"));
});
afterEach(async () => {
  await emulator.close();
  rmSync(cwd, { recursive: true });
});

const volumes = [SEED_VOLUMES.data, SEED_VOLUMES.logs];
const up = async (engine: FakeEngine, program: Record<string, Record<string, unknown>>) =>
  expect((await engine.up(program)).errors).toEqual([]);
/** The state lets go of these resources: `pulumi state delete`. */
const forgetIn = (engine: FakeEngine, ...names: string[]) => {
  const ids = names.map((name) => engine.idOf(name) ?? "");
  engine.edit((state) => {
    state.entries = state.entries.filter(({ id }) => !ids.includes(id));
  });
  return ids as [string, ...string[]];
};
const orphans = (engines: readonly FakeEngine[], ...argv: string[]) => {
  writeFileSync(join(cwd, "state.json"), exportOf(engines));
  writeFileSync(join(cwd, "config.json"), stackConfig(emulator.connections(), { "snapclone:origin": ORIGIN }));
  return snapclone(["orphans", "--state", "state.json", "--stack-config", "config.json", ...argv], { cwd });
};
const written = () =>
  emulator.requests.filter(({ service, method }) => service === "cinder" && method !== "GET").length;
/** What the commands in the comments do. */
const removeRecords = (commands: string) => {
  for (const [, keys = "", id = ""] of commands.matchAll(
    /`openstack volume (?:snapshot )?unset((?: --property \S+)+) (\S+)`/g,
  )) {
    const row = emulator.cinder.snapshots.get(id) ?? emulator.cinder.volumes.get(id);
    for (const [, key = ""] of keys.matchAll(/--property (\S+)/g)) delete row?.metadata[key];
  }
};

test("snapshots and clones: with the lines, and without the records, pulumi up takes them over as they are", async () => {
  const [snapshots, clones] = [engineOf("snapshot", emulator), engineOf("volumeClone", emulator)];
  await up(snapshots, {
    nightly: { volumeId: SEED_VOLUMES.data, name: "n", description: "kept" },
    weekly: { volumeId: SEED_VOLUMES.logs, name: "w" },
    other: { volumeId: SEED_VOLUMES.data, name: "o" },
  });
  await up(clones, { copies: { volumes, displayName: "test", connection: "powervc" } });
  const members = Object.values(clones.state.entries[0]?.outputs.clones as Record<string, string>);
  const ids = [...forgetIn(snapshots, "nightly", "weekly"), ...forgetIn(clones, "copies")];
  const before = written();

  const argv = ids.flatMap((id) => ["--import", id]);
  const { code, stdout } = await orphans([snapshots, clones], ...argv);
  expect([code, written()]).toEqual([0, before]);
  expect(stdout).toMatch(/^import \{ Snapshot, VolumeClone \} from "pulumi-snapclone";\n/);
  expect(stdout).toContain(`}, { import: "${members.join(",")}" });`);
  const { imports, program } = (await orphans([snapshots, clones], ...argv, "--json")).json();
  expect(`${program}\n`).toBe(stdout);
  expect(imports.map((one: Record<string, unknown>) => [one.type, one.name, one.id, one.orphan])).toEqual([
    ["Snapshot", "nightly", ids[0], ids[0]],
    ["Snapshot", "weekly", ids[1], ids[1]],
    ["VolumeClone", "copies", members.join(","), ids[2]],
  ]);

  // The record of the create that Pulumi does not know any more makes `pulumi up` refuse the object.
  const programOf = (type: string) =>
    Object.fromEntries(
      imports
        .filter((one: { type: string }) => one.type === type)
        .map(({ name, inputs, id }: Record<string, object | string>) => [
          name,
          { ...(inputs as object), __import: id },
        ]),
    );
  const other = { volumeId: SEED_VOLUMES.data, name: "o" };
  const refused = await snapshots.up({ other, ...programOf("Snapshot") });
  expect(refused.errors.map(String).join()).toContain("has the record of this same resource");
  removeRecords(stdout);
  const taken = await snapshots.up({ other, ...programOf("Snapshot") });
  expect([taken.errors, snapshots.idOf("nightly"), snapshots.idOf("weekly")]).toEqual([[], ids[0], ids[1]]);
  expect(taken.log.join("\n")).not.toContain("brought into line");
  await up(clones, programOf("VolumeClone"));
  expect(Object.values(clones.state.entries[0]?.outputs.clones as Record<string, string>)).toEqual(members);
});

test("--file: what has its own resource's record needs nothing; under another name the record must go", async () => {
  const engine = engineOf("snapshot", emulator);
  const program = {
    nightly: { volumeId: SEED_VOLUMES.data, name: "n" },
    weekly: { volumeId: SEED_VOLUMES.data, name: "w" },
  };
  await up(engine, program);
  const [nightly, weekly] = forgetIn(engine, "nightly", "weekly") as [string, string];
  await up(engine, { nightly: program.nightly });
  const argv = ["--import", nightly, "--import", weekly, "--file", "out.json"];
  const { code, stdout, stderr } = await orphans([engine], ...argv);
  expect([code, stderr]).toEqual([0, expect.stringContaining("pulumi import --file out.json")]);
  expect(stdout).toContain('import { Snapshot } from "pulumi-snapclone/native";');
  expect(stdout).toMatch(/\/\/ Before the import.*snapshot unset.*\nnew Snapshot\("nightly-2", /);
  expect(stdout).toMatch(/\n\nnew Snapshot\("weekly", /);
  expect(stdout.match(/\/\/ Before/g)).toHaveLength(1);
  expect(JSON.parse(readFileSync(join(cwd, "out.json"), "utf8")).resources).toMatchObject([
    { type: "snapclone:index:Snapshot", name: "nightly-2", id: nightly },
    { type: "snapclone:index:Snapshot", name: "weekly", id: weekly },
  ]);
});

test("what can't be imported is refused with the reason, and then nothing is written", async () => {
  const [engine, other] = [engineOf("snapshot", emulator), engineOf("snapshot", emulator, { stack: "prod" })];
  await up(engine, { kept: { volumeId: SEED_VOLUMES.data }, lost: { volumeId: SEED_VOLUMES.data } });
  await up(other, { theirs: { volumeId: SEED_VOLUMES.data } });
  const [lost] = forgetIn(engine, "lost");
  const row = emulator.cinder.snapshots.get(lost);
  const overlay = emulator.cinder.createSnapshot({
    volume_id: SEED_VOLUMES.data,
    metadata: {
      "snapclone:assisted-owner": row?.metadata["snapclone:owner"] ?? "",
      "snapclone:assisted-stack": row?.metadata["snapclone:stack"] ?? "",
      "snapclone:assisted-step": "made",
    },
  }).id;
  for (const [id, message] of [
    [engine.idOf("kept"), "is not imported: it is recorded"],
    [other.idOf("theirs"), "is not imported: it is another stack's"],
    ["no-such-id", "is not in the list"],
    [`${SEED_VOLUMES.data}/${overlay}`, "no API of OpenStack shows which file an overlay is in"],
  ] as const) {
    const argv = ["--import", lost, "--import", id ?? "", "--file", "out.json"];
    const { code, stdout, stderr } = await orphans([engine], ...argv);
    expect([code, stdout, stderr]).toEqual([2, "", expect.stringContaining(message)]);
  }
  Object.assign(row ?? {}, { status: "error" });
  const failed = await orphans([engine], "--import", lost, "--file", "out.json");
  expect([failed.code, failed.stderr]).toEqual([2, expect.stringMatching(`cannot import ${lost}: .*error`)]);
  expect(existsSync(join(cwd, "out.json"))).toBe(false);
});

test("what an interrupted run has made is adopted, and not imported", async () => {
  let isDead = false;
  const engine = engineOf("snapshot", emulator, { isDead: () => isDead });
  const run = engine.up({ left: { volumeId: SEED_VOLUMES.data } });
  isDead = true;
  await run;
  isDead = false;
  const [id = ""] = [...emulator.cinder.snapshots.keys()].slice(-1);
  const { code, stderr } = await orphans([engine], "--import", id);
  expect([code, stderr]).toEqual([2, expect.stringContaining("it is pending, and the next `pulumi up` adopts it")]);
});

test.each([
  [["--import", "x"], "--import needs --state"],
  [["--import", "x", "--remove", "y", "--state", "-"], "--remove and --import are two commands"],
  [["--file", "x", "--state", "-"], "--file needs --import"],
])("snapclone orphans %j: exit code 2", async (argv, message) => {
  const { code, stderr } = await snapclone(["orphans", ...argv], { cwd, stdin: "{}" });
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
});
