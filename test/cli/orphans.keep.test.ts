// `snapclone orphans --import` keeps an object of every resource that can be imported: with the printed lines, and without the
// records, `pulumi up` takes the very objects over, and deletes none of them.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Emulator, SEED_SESSIONS, SEED_VOLUMES, startEmulator, ZSTACK_SEED } from "../../emulator";
import type { Properties } from "../../provider/core/operation";
import { type ResourceName, resourceNames, resources, typeOf } from "../../provider/resources";
import type { FakeEngine } from "../support/fakeEngine";
import { engineOf, exportOf, ORIGIN, snapclone, stackConfig } from "./fixture";

const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const IMPORTABLE = {
  snapshot: { volumeId: SEED_VOLUMES.data, name: "n" },
  snapshotSeries: { volumeId: SEED_VOLUMES.data, keep: 4, name: "s" },
  volumeFromSnapshot: { snapshotId: SNAPSHOT, name: "v" },
  volumeClone: { volumes: [SEED_VOLUMES.data, SEED_VOLUMES.logs], displayName: "c", connection: "powervc" },
  linkedTargetSet: { snapshotSessionId: SEED_SESSIONS.monday, targetName: "dev", count: 2, connection: "vipr" },
  clonedVm: { vmInstanceUuid: ZSTACK_SEED.web, names: ["a", "b"], connection: "zstack" },
} satisfies Partial<Record<ResourceName, Properties>>;
const NAMES = Object.keys(IMPORTABLE) as (keyof typeof IMPORTABLE)[];

let emulator: Emulator;
let cwd: string;
beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
  emulator.cinder.createSnapshot({ id: SNAPSHOT, volume_id: SEED_VOLUMES.logs });
  cwd = mkdtempSync(join(tmpdir(), "snapclone-orphans-"));
});
afterEach(async () => {
  await emulator.close();
  rmSync(cwd, { recursive: true });
});

/** A state that has another resource, and so names its stack. */
const orphans = async (...argv: string[]) => {
  const other = engineOf("snapshot", emulator);
  if (other.state.entries.length === 0)
    expect((await other.up({ other: { volumeId: SEED_VOLUMES.logs } })).errors).toEqual([]);
  writeFileSync(join(cwd, "state.json"), exportOf([other]));
  writeFileSync(join(cwd, "config.json"), stackConfig(emulator.connections(), { "snapclone:origin": ORIGIN }));
  return snapclone(["orphans", "--state", "state.json", "--stack-config", "config.json", ...argv], { cwd });
};

/** What the printed commands do. */
function removeRecords(commands: string): void {
  const { cinder, vipr, zstack } = emulator;
  for (const [, keys = "", id = ""] of commands.matchAll(
    /volume (?:snapshot )?unset((?: --property \S+)+) ([^\s`]+)/g,
  )) {
    const row = cinder.snapshots.get(id) ?? cinder.volumes.get(id);
    for (const [, key = ""] of keys.matchAll(/--property (\S+)/g)) delete row?.metadata[key];
  }
  for (const [, id = "", json = ""] of commands.matchAll(/PUT \/block\/snapshots\/(\S+)\/tags` with `([^`]+)`/g)) {
    const { add = [], remove = [] } = JSON.parse(json) as { add?: string[]; remove?: string[] };
    for (const tag of add) vipr.targets.get(id)?.tags.add(tag);
    for (const tag of remove) vipr.targets.get(id)?.tags.delete(tag);
  }
  for (const [, tag = ""] of commands.matchAll(/DeleteTag uuid=([0-9a-f]{32})/g)) zstack.tags.delete(tag);
}

const membersOf = (engine: FakeEngine) => {
  const { id, members } = engine.ask().entries[0] ?? {};
  return [...(members ?? [id])].sort();
};

test("these are all resources that can be imported", () => {
  const all = resourceNames.filter((name) => !("refusal" in (resources[name]().import ?? { refusal: "" })));
  expect([...NAMES].sort()).toEqual(all.sort());
});

test.each(NAMES)("%s", async (name) => {
  const engine = engineOf(name, emulator);
  const args: Properties = IMPORTABLE[name];
  const days = name === "snapshotSeries" ? [["mon"], ["tue"]] : [undefined];
  for (const triggers of days)
    expect((await engine.up({ lost: triggers ? { ...args, triggers } : args })).errors).toEqual([]);
  const [members, { id = "" } = {}] = [membersOf(engine), engine.state.entries[0]];
  engine.edit((state) => {
    state.entries = [];
  });
  const lost = ["--urn", engine.urn("lost"), "--target-name", "dev", "--import", id];
  const { code, stderr, stdout } = await orphans(...lost);
  expect([code, stderr]).toEqual([0, name === "snapshotSeries" ? expect.stringContaining("keep 2") : ""]);
  const [declared] = (await orphans(...lost, "--json")).json().imports;
  expect([declared.type, declared.name]).toEqual([typeOf(name), "lost"]);

  removeRecords(stdout);
  const program = { lost: { ...declared.inputs, __import: declared.id } };
  expect((await engine.up(program)).errors).toEqual([]);
  expect(membersOf(engine)).toEqual(members);
  const before = emulator.requests.filter(({ method }) => method !== "GET").length;
  expect((await engine.up(program)).errors).toEqual([]);
  const after = emulator.requests.filter(
    ({ method, operation }) => method !== "GET" && !/login|tokens/.test(operation),
  );
  expect(after.slice(before).map(({ method, path }) => `${method} ${path}`)).toEqual([]);
  expect(membersOf(engine)).toEqual(members);
});

test("a ClonedVm of which ZStack does not show the source is refused with the reason", async () => {
  const engine = engineOf("clonedVm", emulator);
  expect((await engine.up({ lost: IMPORTABLE.clonedVm })).errors).toEqual([]);
  const { id = "" } = engine.state.entries[0] ?? {};
  engine.edit((state) => {
    state.entries = [];
  });
  for (const uuid of membersOf(engine)) Object.assign(emulator.zstack.vms.get(String(uuid)) ?? {}, { description: "" });
  for (const vm of emulator.zstack.vms.values())
    if (vm.uuid !== ZSTACK_SEED.web) Object.assign(vm, { description: "" });
  const { code, stderr } = await orphans("--import", id);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/of which VM .* was made, ZStack does not show/)]);
});
