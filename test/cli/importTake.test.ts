// `snapclone import --take`: removes the record of another stack's resource, and then prints the lines with which this stack's
// `pulumi up` takes the object over.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { takeRecord } from "../../cli/takeRecord";
import { type Emulator, SEED_SESSIONS, SEED_VOLUMES, startEmulator, ZSTACK_SEED } from "../../emulator";
import { recordedParts } from "../../provider/core/import";
import type { Properties } from "../../provider/core/operation";
import { type ResourceName, resources, typeOf } from "../../provider/resources";
import { engineOf, snapclone, stackConfig } from "./fixture";

let emulator: Emulator;
let folder: string;
beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
  folder = mkdtempSync(path.join(tmpdir(), "snapclone-take-"));
  writeFileSync(path.join(folder, "config.json"), stackConfig(emulator.connections()));
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await emulator.close();
});

const run = (argv: readonly string[], setup = {}) =>
  snapclone(["import", ...argv, "--stack-config", path.join(folder, "config.json")], setup);
const written = () =>
  emulator.requests.filter(
    ({ method, operation }) => method !== "GET" && !/login|tokens|bulk|sessions/.test(operation),
  );

const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
interface Case {
  name: ResourceName;
  connection: string;
  args: Properties;
  needs: readonly string[];
  idOf(outputs: Properties, id: string): string;
}
const cases: Case[] = [
  { name: "snapshot", connection: "default", args: { volumeId: SEED_VOLUMES.data }, needs: [], idOf: (_, id) => id },
  {
    name: "volumeFromSnapshot",
    connection: "default",
    args: { snapshotId: SNAPSHOT },
    needs: [],
    idOf: (_, id) => id,
  },
  {
    name: "volumeClone",
    connection: "powervc",
    args: { volumes: [SEED_VOLUMES.data], displayName: "one", connection: "powervc" },
    needs: ["volumes"],
    idOf: ({ clones }) => Object.values(clones as Record<string, string>).join(),
  },
  {
    name: "linkedTargetSet",
    connection: "vipr",
    args: { snapshotSessionId: SEED_SESSIONS.monday, targetName: "dev", count: 2, connection: "vipr" },
    needs: [],
    idOf: ({ targets }) => [SEED_SESSIONS.monday, ...(targets as { name: string }[]).map(({ name }) => name)].join(),
  },
  {
    name: "clonedVm",
    connection: "zstack",
    args: { vmInstanceUuid: ZSTACK_SEED.web, names: ["a", "b"], connection: "zstack" },
    needs: ["vmInstanceUuid"],
    idOf: ({ vms }) => (vms as { uuid: string }[]).map(({ uuid }) => uuid).join(),
  },
];

test.each(cases)(
  "$name: refused, then taken, then imported without a change",
  async ({ name, connection, args, needs, idOf }) => {
    emulator.cinder.createSnapshot({ id: SNAPSHOT, volume_id: SEED_VOLUMES.data });
    const theirs = engineOf(name, emulator, { stack: "prod" });
    expect((await theirs.up({ theirs: args })).errors).toEqual([]);
    const [entry] = theirs.state.entries;
    const id = idOf(entry?.outputs ?? {}, entry?.id ?? "");
    const given = JSON.stringify(Object.fromEntries(needs.map((key) => [key, args[key]])));
    const argv = [typeOf(name), "mine", id, "--connection", connection, "--inputs", given];

    const ours = engineOf(name, emulator);
    const refused = await ours.up({ mine: { ...args, __import: id } });
    expect(String(refused.errors[0])).toMatch(/of another stack|does not name its stack/);
    expect(String(refused.errors[0])).toContain("snapclone import --take");

    const before = written().length;
    const asked = await run([...argv, "--take"]);
    expect([asked.code, asked.stderr]).toEqual([
      2,
      expect.stringContaining("there is no terminal to ask on: give --yes"),
    ]);
    expect(asked.stderr).toMatch(
      /will remove the record of .*: owner \S+ of (the stack with the digest \w{32}|a stack)/,
    );
    const no = await run([...argv, "--take"], { canAsk: true, stdin: "y\n" });
    expect([no.code, no.stdout, written().length]).toEqual([1, "", before]);

    const { code, stderr, stdout } = await run([...argv, "--take"], { canAsk: true, stdin: "yes\n" });
    expect([stderr, code]).toEqual([expect.stringContaining("removed the record of"), 0]);
    expect(stdout).toContain(`new ${typeOf(name)}("mine", {`);
    const again = await run([...argv, "--take", "--yes", "--json"]);
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining("--take has nothing to do")]);

    const inputs = { ...args, ...again.json().inputs, __import: id };
    expect((await ours.up({ mine: inputs })).errors).toEqual([]);
    const afterwards = written().length;
    expect((await ours.up({ mine: inputs })).errors).toEqual([]);
    expect(written().length).toBe(afterwards);
    // Both states hold it now, which the command has said. Theirs lets it go.
    theirs.state.entries = [];
    expect((await ours.destroy()).errors).toEqual([]);
  },
);

test("a clone job of the owner is under way, or a revert: refused, and nothing is changed", async () => {
  const theirs = engineOf("clonedVm", emulator, { stack: "prod" });
  await theirs.up({ theirs: { vmInstanceUuid: ZSTACK_SEED.web, names: ["a"], connection: "zstack" } });
  const { vms } = theirs.state.entries[0]?.outputs ?? {};
  const [vm] = (vms ?? []) as { uuid: string }[];
  const set = theirs.state.entries[0]?.id;
  const { zstack } = emulator;
  const intent = `snapclone::intent::${set}::${"a".repeat(32)}::9999999999::1::1::0::s::a::i::urn:pulumi:prod::p::t::n`;
  zstack.tags.set("f".repeat(32), { uuid: "f".repeat(32), resourceUuid: ZSTACK_SEED.web, tag: intent } as never);
  const clone = await run([
    "ClonedVm",
    "n",
    vm?.uuid ?? "",
    "--connection",
    "zstack",
    "--inputs",
    `{"vmInstanceUuid":"${ZSTACK_SEED.web}"}`,
    "--take",
    "--yes",
  ]);
  expect([clone.code, clone.stderr]).toEqual([
    3,
    expect.stringContaining(`the clone job ${"a".repeat(32)} of the set of clones ${set} is under way`),
  ]);

  const { id } = emulator.cinder.createSnapshot({
    volume_id: SEED_VOLUMES.data,
    metadata: { "snapclone:owner": "urn:pulumi:prod::p::t::n", "snapclone:revert": "noted by another version" },
  });
  const revert = await run(["Snapshot", "n", id, "--take", "--yes"]);
  expect([revert.code, revert.stderr]).toEqual([3, expect.stringContaining("a revert of the volume")]);
  expect(emulator.cinder.snapshots.get(id)?.metadata).toHaveProperty("snapclone:owner");
  expect(zstack.tagsOf(vm?.uuid ?? "")).toHaveLength(1);
});

test("the record changes while the question stands: refused, and nothing is changed", async () => {
  const { id } = emulator.cinder.createSnapshot({
    volume_id: SEED_VOLUMES.data,
    metadata: { "snapclone:owner": "urn:pulumi:prod::p::t::n", "snapclone:stack": "s" },
  });
  const row = emulator.cinder.snapshots.get(id);
  const definition = resources.snapshot();
  const part = (owner: string) => ({ id, object: `snapshot ${id}`, holder: id, owner, written: ["snapclone:owner"] });
  const found = (owner: string) => ({ id, objects: [id], parts: [part(owner)], state: {} });
  const output = { note: () => {} } as never;
  const taking = {
    io: {} as never,
    output,
    definition,
    client: undefined,
    find: async () => found("b"),
    isAgreed: true,
  };
  await expect(takeRecord(taking, found("a"))).rejects.toThrow(/changed since they were shown; nothing was changed/);
  expect(recordedParts(found(""))).toEqual([]);
  expect(row?.metadata).toHaveProperty("snapclone:owner");
});

test("a snapshot of a series has the record of the series", async () => {
  const theirs = engineOf("snapshotSeries", emulator, { stack: "prod" });
  await theirs.up({ theirs: { volumeId: SEED_VOLUMES.data, keep: 2 } });
  const id = String(theirs.state.entries[0]?.outputs.latest);
  const ours = engineOf("snapshot", emulator);
  const { errors } = await ours.up({ mine: { volumeId: SEED_VOLUMES.data, __import: id } });
  expect(String(errors[0])).toMatch(/belongs to urn:pulumi:prod::\S+::theirs of another stack/);
  expect((await run(["Snapshot", "mine", id, "--take", "--yes"])).code).toBe(0);
  expect((await ours.up({ mine: { volumeId: SEED_VOLUMES.data, __import: id } })).errors).toEqual([]);
});

test("--yes without --take", async () => {
  expect(await run(["Snapshot", "n", SEED_VOLUMES.data, "--yes"])).toMatchObject({ code: 2 });
});
