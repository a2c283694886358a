// `snapclone orphans` against the emulator, for every resource: what a state holds, what an interrupted run left, what is in
// no state, what another stack has; and `--remove`, which takes only what is in no state.

import { type Emulator, SEED_SESSIONS, SEED_VOLUMES, startEmulator, ZSTACK_SEED } from "../../emulator";
import { stackDigest } from "../../provider/core/ownership";
import { type ResourceName, resourceNames, resources, typeOf } from "../../provider/resources";
import type { FakeEngine } from "../support/fakeEngine";
import { engineOf, exportOf, ORIGIN, snapclone, stackConfig } from "./fixture";

const INPUTS = {
  snapshot: (nth) => ({ volumeId: SEED_VOLUMES.data, name: `n${nth}` }),
  snapshotSeries: (nth) => ({ volumeId: SEED_VOLUMES.data, keep: 2, name: `s${nth}` }),
  volumeFromSnapshot: (nth) => ({ snapshotId: restored, name: `v${nth}` }),
  volumeClone: (nth) => ({ volumes: [SEED_VOLUMES.data], displayName: `c${nth}`, connection: "powervc" }),
  linkedTargetSet: () => ({
    snapshotSessionId: SEED_SESSIONS.monday,
    targetName: "dev",
    count: 1,
    connection: "vipr",
  }),
  clonedVm: (nth) => ({ vmInstanceUuid: ZSTACK_SEED.web, names: [`vm${nth}`], connection: "zstack" }),
} satisfies Partial<Record<ResourceName, (nth: number) => Record<string, unknown>>>;

let emulator: Emulator;
let restored = "";

beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
  restored = emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "by hand" }).id;
});
afterEach(() => emulator.close());

const config = () => stackConfig(emulator.connections(), { "snapclone:origin": ORIGIN });
const files = (engines: readonly FakeEngine[], savedAt?: Date) => {
  const { mkdtempSync, writeFileSync } = require("node:fs") as typeof import("node:fs");
  const folder = mkdtempSync(`${require("node:os").tmpdir()}/snapclone-cli-`);
  writeFileSync(`${folder}/state.json`, exportOf(engines, savedAt));
  writeFileSync(`${folder}/config.json`, config());
  return ["--state", `${folder}/state.json`, "--stack-config", `${folder}/config.json`, "--json"];
};
const statuses = async (engines: readonly FakeEngine[], more: readonly string[] = []) => {
  const result = await snapclone(["orphans", ...files(engines), ...more]);
  const { objects, failures } = result.json();
  expect(failures).toEqual([]);
  return {
    code: result.code,
    of: (type: string): Record<string, string> =>
      Object.fromEntries(
        objects
          .filter((o: { type: string }) => o.type === type)
          .map((o: { id: string; status: string }) => [o.id, o.status]),
      ),
  };
};
/** How `snapclone graph` calls whoever made what has a record. */
const graphOwners = async (engine: FakeEngine, name: ResourceName) => {
  const { kind } = resources[name]().connection;
  const source = name === "linkedTargetSet" ? ["--source", SEED_SESSIONS.monday] : [];
  const result = await snapclone(["graph", ...files([engine]), "--kind", kind, ...source]);
  const [{ objects }] = result.json().connections;
  const owners = objects.map(({ owner }: { owner: { is: string } }) => owner.is);
  return new Set(owners.filter((is: string) => is !== "nobody"));
};
const ok = ({ errors }: { errors: unknown[] }) => expect(errors).toEqual([]);

// An AssistedSnapshot needs a running server; its records are tested below.
const MAKEABLE = Object.keys(INPUTS) as (keyof typeof INPUTS)[];
const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::nightly";
const DIGEST = stackDigest(ORIGIN, undefined, { project: "shop", stack: "dev" });
const make = (metadata: Record<string, string>) =>
  emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "nightly", metadata }).id;

test("every resource can list its records", () => {
  expect(resourceNames.filter((name) => resources[name]().listRecorded === undefined)).toEqual([]);
});

test("an object with a copy of the metadata of one that the state holds is not in no state, and is not removed", async () => {
  const engine = engineOf("snapshot", emulator);
  ok(await engine.up({ kept: INPUTS.snapshot(1) }));
  const kept = engine.idOf("kept") ?? "";
  const copy = make({ ...emulator.cinder.snapshots.get(kept)?.metadata });
  expect((await statuses([engine])).of("Snapshot")).toEqual({ [kept]: "recorded", [copy]: "copied record" });
  const removed = await snapclone(["orphans", ...files([engine]), "--remove", copy, "--yes"]);
  expect([removed.code, removed.stderr]).toEqual([2, expect.stringContaining(`${copy} is not`)]);
  expect(emulator.cinder.snapshots.has(copy)).toBe(true);
});

test.each(MAKEABLE)("%s: recorded, in no state, another stack's, gone; and --remove", async (name) => {
  const type = typeOf(name);
  const engine = engineOf(name, emulator);
  const other = engineOf(name, emulator, { stack: "prod" });
  const inputs: (nth: number) => Record<string, unknown> = INPUTS[name];
  ok(await engine.up({ kept: inputs(1), lost: inputs(2), gone: inputs(3) }));
  ok(await other.up({ theirs: inputs(4) }));
  const [kept, lost, gone, theirs] = [
    engine.idOf("kept"),
    engine.idOf("lost"),
    engine.idOf("gone"),
    other.idOf("theirs"),
  ] as [string, string, string, string];
  const urns = ["--urn", engine.urn("lost"), "--target-name", "dev"];
  // A series without a snapshot is there as long as its volume is.
  const goneStatus = name === "snapshotSeries" ? "recorded" : "gone";
  const theirStatus = name === "linkedTargetSet" ? "unknown stack" : "another stack's";
  engine.edit((state) => {
    state.entries = state.entries.filter(({ id }) => id !== lost);
  });

  const before = await statuses([engine], urns);
  expect(before.of(type)).toEqual({
    [kept]: "recorded",
    [lost]: "in no state",
    [gone]: "recorded",
    [theirs]: theirStatus,
  });
  expect(before.code).toBe(1);

  // An object of the state, or of another stack, is never removed; and none at all if one of them is wrong.
  for (const wrong of [kept, theirs, "no-such-id"]) {
    const refused = await snapclone([
      "orphans",
      ...files([engine]),
      ...urns,
      "--remove",
      lost,
      "--remove",
      wrong,
      "--yes",
    ]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining(`${wrong} is not`)]);
  }
  const unasked = await snapclone(["orphans", ...files([engine]), ...urns, "--remove", lost]);
  expect([unasked.code, unasked.stderr]).toEqual([2, expect.stringContaining("--yes")]);
  expect((await statuses([engine], urns)).of(type)).toEqual(before.of(type));

  const removed = await snapclone(["orphans", ...files([engine]), ...urns, "--remove", lost, "--yes"]);
  expect([removed.code, removed.json()]).toEqual([0, { removed: [{ id: lost, removed: true }] }]);
  ok(
    await (async () => {
      // Another hand deletes what the state holds.
      const hand = engineOf(name, emulator);
      hand.state.entries = structuredClone(engine.state.entries.filter(({ id }) => id === gone));
      return hand.destroy();
    })(),
  );
  const after = await statuses([engine], urns);
  expect(after.of(type)).toEqual({ [kept]: "recorded", [gone]: goneStatus, [theirs]: theirStatus });
  expect(after.code).toBe(goneStatus === "gone" ? 1 : 0);
});

test.each(MAKEABLE)(
  "%s: what a killed run left is pending, and in no state once its pending create is cleared",
  async (name) => {
    let isDead = false;
    const engine = engineOf(name, emulator, { isDead: () => isDead });
    const urns = ["--urn", engine.urn("left"), "--target-name", "dev"];
    const run = engine.up({ left: INPUTS[name](1) });
    isDead = true;
    await run;
    isDead = false;
    expect(engine.state.pending).toHaveLength(1);
    expect(Object.values((await statuses([engine], urns)).of(typeOf(name)))).toEqual(["pending"]);
    expect(await graphOwners(engine, name)).toEqual(new Set(["pending"]));
    engine.edit((state) => {
      state.pending = [];
    });
    const { of } = await statuses([engine], urns);
    expect(Object.values(of(typeOf(name)))).toEqual(["in no state"]);
    // A target's name has a digest of its owner, and the graph has no option to name the resource that left.
    expect(await graphOwners(engine, name)).toEqual(new Set([name === "linkedTargetSet" ? "claimed" : "unrecorded"]));
    const [id = ""] = Object.keys(of(typeOf(name)));
    const removed = await snapclone(["orphans", ...files([engine]), ...urns, "--remove", id, "--yes"]);
    expect([removed.code, removed.json()]).toEqual([0, { removed: [{ id, removed: true }] }]);
    expect((await statuses([engine], urns)).of(typeOf(name))).toEqual({});
  },
);

test("an overlay is never removed without its state, nor the snapshot that it is on", async () => {
  const record = {
    "snapclone:assisted-stack": DIGEST,
    "snapclone:assisted-owner": OWNER,
    "snapclone:assisted-step": "made",
  };
  const id = make({ ...record, "snapclone:stack": DIGEST, "snapclone:owner": OWNER });
  const engine = engineOf("snapshot", emulator);
  const overlay = `${SEED_VOLUMES.data}/${id}`;
  expect((await statuses([engine])).of("AssistedSnapshot")).toEqual({ [overlay]: "in no state" });
  const refusal = async (one: string) =>
    (await snapclone(["orphans", ...files([engine]), "--remove", one, "--yes"])).stderr;
  expect(await refusal(overlay)).toContain("a merge needs the program's files");
  expect(await refusal(id)).toContain(`the AssistedSnapshot ${overlay} (in no state) is on it`);
  expect(emulator.cinder.snapshots.has(id)).toBe(true);
});

test("an object that is newer than the state may be in a later one: it is named so, and not removed", async () => {
  const id = make({ "snapclone:stack": DIGEST, "snapclone:owner": OWNER });
  const args = ["orphans", ...files([engineOf("snapshot", emulator)], new Date(Date.now() - 60_000))];
  expect((await snapclone(args)).json().objects).toMatchObject([{ id, status: "newer than the state" }]);
  expect((await snapclone([...args, "--remove", id, "--yes"])).stderr).toContain("it is newer than the state");
});

test.each([
  ["an hour ahead", 3_600_000],
  ["an hour behind", -3_600_000],
])("a backend whose clock is %s: what is newer than the state, and the age, count by that clock", async (_text, ms) => {
  // The emulator's own clock only goes forward.
  Object.assign(emulator.clock, { ticked: ms, lastStamp: 0 });
  const engine = engineOf("snapshot", emulator);
  const id = make({ "snapclone:stack": DIGEST, "snapclone:owner": OWNER });
  const is = async (savedAt: Date) => {
    const args = files([engine], savedAt);
    const [{ status }] = (await snapclone(["orphans", ...args])).json().objects;
    const [graph] = (await snapclone(["graph", ...args, "--kind", "openstack"])).json().connections;
    return [status, graph.objects.find((one: { id: string }) => one.id === id).owner.is];
  };
  expect(await is(new Date(Date.now() + 60_000))).toEqual(["in no state", "unrecorded"]);
  const before = new Date(Date.now() - 60_000);
  expect(await is(before)).toEqual(["newer than the state", "newer"]);
  const removed = await snapclone(["orphans", ...files([engine], before), "--remove", id, "--yes"]);
  expect(removed.stderr).toContain("it is newer than the state");
  expect(emulator.cinder.snapshots.has(id)).toBe(true);
  const text = await snapclone(["orphans", ...files([engine]).slice(0, -1)]);
  expect(text.stdout).toMatch(/"nightly" +\d+ m?s ago/);
});

test("in another environment than the runs' nothing is removed", async () => {
  const engine = engineOf("snapshot", emulator);
  ok(await engine.up({ kept: INPUTS.snapshot(1), lost: INPUTS.snapshot(2) }));
  const id = engine.idOf("lost") ?? "";
  engine.edit((state) => void state.entries.pop());
  const elsewhere = [...files([engine]), "--stack-config", "-"];
  const stdin = stackConfig(emulator.connections(), { "snapclone:origin": "another store" });
  const { code, stderr } = await snapclone(["orphans", ...elsewhere, "--remove", id, "--yes"], { stdin });
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining("nothing is removed, because what is this stack's is not sure"),
  ]);
  expect(emulator.cinder.snapshots.has(id)).toBe(true);
});

test("an entry that came from another stack gives nobody that stack's objects (pulumi state move)", async () => {
  const [engine, other] = [engineOf("snapshot", emulator), engineOf("snapshot", emulator, { stack: "prod" })];
  ok(await engine.up({ kept: INPUTS.snapshot(1) }));
  ok(await other.up({ moved: INPUTS.snapshot(2), theirs: INPUTS.snapshot(3) }));
  const [moved, theirs] = [other.idOf("moved") ?? "", other.idOf("theirs") ?? ""];
  engine.edit((state) => state.entries.push(...structuredClone(other.state.entries.filter(({ id }) => id === moved))));
  const { of } = await statuses([engine]);
  expect(of("Snapshot")).toMatchObject({ [moved]: "recorded", [theirs]: "another stack's" });
  expect((await snapclone(["orphans", ...files([engine]), "--remove", theirs, "--yes"])).code).toBe(2);
});

test("a state of the native provider: the records name its resources as the dynamic classes do", async () => {
  const engine = engineOf("linkedTargetSet", emulator);
  ok(await engine.up({ kept: INPUTS.linkedTargetSet(), lost: { ...INPUTS.linkedTargetSet(), targetName: "test" } }));
  const [kept = "", lost = ""] = [engine.idOf("kept"), engine.idOf("lost")];
  engine.edit((state) => void state.entries.pop());
  const stdin = exportOf([engine]).replaceAll("pulumi-nodejs:dynamic/snapclone:", "snapclone:index:");
  const more = ["--urn", engine.urn("lost"), "--target-name", "test"];
  const { objects } = (
    await snapclone(["orphans", "--state", "-", ...files([engine]).slice(2), ...more], { stdin })
  ).json();
  const found = objects.map(({ id, status, owner }: Record<string, string>) => [id, status, owner]);
  expect(new Set(found)).toEqual(
    new Set([
      [kept, "recorded", engine.urn("kept")],
      [lost, "in no state", engine.urn("lost")],
    ]),
  );
});

test("an import whose record is not written yet says nothing of the stack's digest", async () => {
  const engine = engineOf("snapshot", emulator);
  ok(await engine.up({ imported: INPUTS.snapshot(1) }));
  engine.edit((state) => Object.assign(state.entries[0]?.outputs ?? {}, { __stack: "none" }));
  const id = make({ "snapclone:stack": DIGEST, "snapclone:owner": OWNER });
  const { objects, doubt } = (await snapclone(["orphans", ...files([engine])])).json();
  expect([doubt, objects.find((one: { id: string }) => one.id === id)?.status]).toEqual([undefined, "in no state"]);
});

test("an empty state does not name its stack: --stack does", async () => {
  const id = make({ "snapclone:stack": DIGEST, "snapclone:owner": OWNER });
  const stdin = JSON.stringify({ version: 3, deployment: { manifest: {} } });
  const args = ["orphans", "--state", "-", ...files([]).slice(2)];
  const without = (await snapclone(args, { stdin })).json();
  expect(without).toMatchObject({
    doubt: expect.stringContaining("--stack"),
    objects: [{ id, status: "unknown stack" }],
  });
  const { objects } = (await snapclone([...args, "--stack", "organization/shop/dev"], { stdin })).json();
  expect(objects).toMatchObject([{ id, status: "in no state" }]);
});

test("without a state: what has a record, and how to compare it; nothing can be removed", async () => {
  const id = make({ "snapclone:stack": DIGEST, "snapclone:owner": OWNER });
  const setup = { stdin: config() };
  const { code, stdout } = await snapclone(["orphans", "--stack-config", "-"], setup);
  expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`not compared +Snapshot +${id} +"nightly"`))]);
  expect(stdout).toContain("pulumi stack export | snapclone orphans --state -");
  expect((await snapclone(["orphans", "--stack-config", "-", "--remove", id, "--yes"], setup)).code).toBe(2);
});

test("a backend that refuses the login: exit code 3, the others are shown, and no secret is", async () => {
  const engine = engineOf("snapshot", emulator);
  ok(await engine.up({ kept: INPUTS.snapshot(1) }));
  const connections = {
    ...emulator.connections(),
    vipr: { ...emulator.connections().vipr, password: "planted-secret" },
  };
  const { code, stdout, stderr } = await snapclone(
    ["orphans", ...files([engine]).slice(0, 2), "--stack-config", "-", "--target-name", "dev"],
    {
      stdin: stackConfig(connections, { "snapclone:origin": ORIGIN }),
    },
  );
  expect([code, stdout]).toEqual([3, expect.stringContaining("recorded")]);
  expect(stderr).toMatch(/error: vipr "vipr" LinkedTargetSet was not looked at: .*refused/);
  expect(stdout + stderr).not.toContain("planted-secret");
});

test("at a terminal --remove asks, and takes nothing but yes", async () => {
  const engine = engineOf("snapshot", emulator);
  const id = make({ "snapclone:stack": DIGEST, "snapclone:owner": OWNER });
  const args = ["orphans", ...files([engine]).filter((one) => one !== "--json"), "--remove", id];
  const no = await snapclone(args, { canAsk: true, stdin: "y\n" });
  expect([no.code, no.stderr]).toEqual([
    1,
    expect.stringMatching(/will delete Snapshot .* "nightly"[\s\S]*Nothing was changed/),
  ]);
  expect(emulator.cinder.snapshots.has(id)).toBe(true);
  expect(await snapclone(args, { canAsk: true, stdin: "yes\n" })).toMatchObject({
    code: 0,
    stdout: `deleted Snapshot ${id}\n`,
  });
  expect(emulator.cinder.snapshots.has(id)).toBe(false);
});
