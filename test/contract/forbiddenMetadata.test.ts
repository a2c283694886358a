// A cloud whose policy forbids updates of metadata. What only the provider's own keys would have changed is told once a run,
// with the rule's name, and nothing else fails. What the program asks for fails, with the rule's name, too.

import { type Emulator, SEED_VOLUMES, startEmulator, ZSTACK_SEED } from "../../emulator";
import { create, read, update } from "../../provider/core/lifecycle";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { OpenStackContext } from "../../provider/openstack/context";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { snapshot } from "../../provider/openstack/snapshot/resource";
import { volumeFromSnapshot } from "../../provider/openstack/volumeFromSnapshot/resource";
import { FakeEngine } from "../support/fakeEngine";
import { ScaledClock } from "../support/scaledClock";
import { NEWS, SOURCES, VolumeCloneFixture } from "./volumeCloneFixture";
import { ZStackFixture } from "./zstackFixture";

const SCALE = 100;
const clock = new ScaledClock(SCALE);
const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";

const forbidden = (rule: string) => ({
  status: 403,
  body: { forbidden: { code: 403, message: `Policy doesn't allow ${rule} to be performed.` } },
  times: Number.POSITIVE_INFINITY,
});
const warningsOf = (log: readonly string[], rule: string) =>
  log.filter((line) => line.startsWith("warning: ") && line.includes(rule));

describe.each([
  {
    name: "Snapshot",
    definition: snapshot,
    inputs: { volumeId: SEED_VOLUMES.data },
    path: "snapshots",
    rule: "volume:update_snapshot_metadata",
    deleteRule: "volume:delete_snapshot_metadata",
    rows: (emulator: Emulator) => [...emulator.cinder.snapshots.values()].filter(({ id }) => id !== SNAPSHOT),
  },
  {
    name: "VolumeFromSnapshot",
    definition: volumeFromSnapshot,
    inputs: { snapshotId: SNAPSHOT },
    path: "volumes",
    rule: "volume:update_volume_metadata",
    deleteRule: "volume:delete_volume_metadata",
    rows: (emulator: Emulator) =>
      [...emulator.cinder.volumes.values()].filter(({ snapshot_id }) => snapshot_id !== null),
  },
])("$name", ({ definition, inputs, path, rule, deleteRule, rows }) => {
  const NAMES = ["a", "b", "c", "d"];
  const program = (metadata: Record<string, string> | undefined, prefix = "") =>
    Object.fromEntries(
      NAMES.map((name) => [`${prefix}${name}`, { ...inputs, name, ...(metadata === undefined ? {} : { metadata }) }]),
    );
  let emulator: Emulator;
  let cloud: OpenStackContext;
  let engine: FakeEngine;

  beforeEach(async () => {
    emulator = await startEmulator({ clock: "manual" });
    clock.drive(emulator);
    emulator.cinder.createSnapshot({ id: SNAPSHOT, volume_id: SEED_VOLUMES.data });
    const config = emulator.openstack.connection();
    const settings = resolveOpenStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
    cloud = new OpenStackContext(new KeystoneSession(settings, { clock }), clock);
    engine = new FakeEngine({ ...definition, connection: { kind: "openstack", open: () => cloud } }, { clock });
    expect((await engine.up(program({ tier: "gold", old: "1" }))).errors).toEqual([]);
  });
  afterEach(async () => {
    await cloud.session.close();
    await emulator.close();
  });

  const forbid = (method: "POST" | "DELETE", ruleName: string) =>
    emulator.faults.add({ match: { path: new RegExp(`/${path}/[^/]+/metadata`), method }, ...forbidden(ruleName) });
  const keysOf = () => rows(emulator).map(({ metadata }) => Object.keys(metadata).filter((key) => !key.includes(":")));

  test("a key leaves the program: it is removed, and the list of keys stays as it is", async () => {
    forbid("POST", rule);
    const { errors, log } = await engine.up(program({ tier: "gold" }));
    expect(errors).toEqual([]);
    expect(keysOf()).toEqual(NAMES.map(() => ["tier"]));
    const warnings = warningsOf(log, rule);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/snapclone:keys of (snapshot|volume) \S+ could not be written: .*Ask an administrator/);
    expect((await engine.destroy()).errors).toEqual([]);
  });

  test("a rename and a key that leaves, for resources with keys and without: still one warning", async () => {
    const renamed = { ...program({ tier: "gold" }, "new-"), "new-b": { ...inputs, name: "b" } };
    forbid("POST", rule);
    const aliases = Object.fromEntries(NAMES.map((name) => [`new-${name}`, name]));
    const { errors, log } = await engine.up(renamed, {}, aliases);
    expect(errors).toEqual([]);
    expect(warningsOf(log, rule)).toHaveLength(1);
  });

  test("all keys leave: ours goes with them, and may not", async () => {
    emulator.faults.add({
      match: { path: new RegExp(`/${path}/[^/]+/metadata/snapclone`), method: "DELETE" },
      ...forbidden(deleteRule),
    });
    const { errors, log } = await engine.up(program(undefined));
    expect(errors).toEqual([]);
    expect(keysOf()).toEqual(NAMES.map(() => []));
    expect(warningsOf(log, deleteRule)).toHaveLength(1);
  });

  test("a key of the program that may not be written is an error with the rule's name", async () => {
    forbid("POST", rule);
    const { errors } = await engine.up(program({ tier: "silver", old: "1" }));
    expect(errors).toHaveLength(4);
    for (const error of errors) expect(String(error)).toContain(rule);
  });

  test("a key of the program that may not be removed is an error with the rule's name", async () => {
    forbid("DELETE", deleteRule);
    const { errors } = await engine.up(program({ tier: "gold" }));
    expect(errors).toHaveLength(4);
    for (const error of errors) expect(String(error)).toContain(deleteRule);
  });
});

describe("VolumeClone", () => {
  const fixture = new VolumeCloneFixture();
  const { clones, definition, existing, log, newRun } = fixture;
  afterEach(fixture.close);
  const rule = "volume:update_volume_metadata";
  const forbid = (method: "POST" | "DELETE") =>
    fixture.emulator.faults.add({ match: { path: /\/volumes\/[^/]+\/metadata/, method }, ...forbidden(rule) });

  test("the numbers of the clones may not be written: their names change all the same, and it is told once", async () => {
    const { id, outs } = await existing((run) => create(definition, run, NEWS));
    forbid("POST");
    log.length = 0;
    const volumes = [...SOURCES].reverse();
    const changed = await update(definition, newRun(), id, outs, { ...NEWS, volumes });
    expect(warningsOf(log, rule)).toHaveLength(1);
    expect(changed.outs).toMatchObject({ volumes, clones: outs.clones });
    const { props } = await read(definition, newRun(), id, changed.outs);
    expect(props).toMatchObject({ volumes });
    expect(
      clones()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["clone-before-1", "clone-before-2", "clone-before-3"]);
  });

  test("the notes of three requests may not be removed: told once, with the command that removes the first", async () => {
    await fixture.start();
    forbid("DELETE");
    const run = newRun();
    log.length = 0;
    for (const [at, volume] of SOURCES.entries()) {
      await create(definition, run, {
        ...NEWS,
        volumes: [volume],
        displayName: `one-${at}`,
        __attempt: `${at}`.repeat(16),
      });
    }
    const warnings = warningsOf(log, rule);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/Remove it: `openstack volume unset --property snapclone:\S+ \S+`/);
  });
});

describe("ClonedVm", () => {
  const WEB = { vmInstanceUuid: ZSTACK_SEED.web, names: ["web-1", "web-2"] };
  /** The account's roles allow what they allow, but for requests of this method to the tags. */
  function forbidTags(fixture: ZStackFixture, method: "POST" | "DELETE"): void {
    const execute = fixture.exchange.bind(fixture);
    const error = { code: "ID.1002", description: "Permission denied", details: "the API is not allowed" };
    fixture.exchange = (request) => {
      const isRefused = request.method === method && /\/(user-)?tags/.test(request.url);
      if (!isRefused) return execute(request);
      return { status: 503, headers: {}, text: JSON.stringify({ error }), json: { error } };
    };
  }

  test("tags may not be removed: the clones are made and deleted, and it is told once a run", async () => {
    const fixture = new ZStackFixture();
    forbidTags(fixture, "DELETE");
    const made = await fixture.up({ one: WEB, two: { ...WEB, names: ["web-3"] } });
    expect(made.errors).toEqual([]);
    expect(fixture.names).toEqual(["web-1", "web-2", "web-3"]);
    expect(made.log.filter((line) => /^warning: .*roles do not allow this/.test(line))).toHaveLength(1);
    expect(made.log).toContainEqual(expect.stringMatching(/the provider's tag \w{32} stays on the VM \w{32}/));
    const again = await fixture.up({ one: WEB, two: { ...WEB, names: ["web-3"] } });
    expect(again.errors).toEqual([]);
    expect(fixture.clones).toHaveLength(3);
    expect((await fixture.destroy()).errors).toEqual([]);
    expect(fixture.clones).toEqual([]);
  });

  test("tags may not be written: nothing is cloned, and the error says why", async () => {
    const fixture = new ZStackFixture();
    forbidTags(fixture, "POST");
    const { errors } = await fixture.up({ web: WEB });
    expect(errors).toHaveLength(1);
    expect(String(errors[0])).toMatch(/ID\.1002.*[\s\S]*roles do not allow this/);
    expect(fixture.clones).toEqual([]);
    expect(fixture.sent.filter((one) => one.startsWith("PUT /vm-instances"))).toEqual([]);
  });
});
