// Native resources on the real engine when a run is interrupted: Ctrl-C, kill -9 of the provider, of both processes, a
// create that takes too long. Then the same command again. And what the dynamic classes can't do: `pulumi import`.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../../emulator";
import { killAll } from "../../support/processes";
import { describeEngine, newStack, pluginOnPath, type Result, type Run, type Stack } from "../harness";

describeEngine("native resources, interrupted", () => {
  let cloud: Emulator;
  let stack: Stack;

  beforeAll(async () => {
    cloud = await startEmulator({ timings: { snapshotCreate: 2_500, snapshotDelete: 200 } });
    const config = {
      default: { ...cloud.openstack.connection() },
      other: { ...cloud.openstack.connection() },
      powervc: { ...cloud.powervc.connection() },
    };
    stack = await newStack({ program: programOf(1), config, env: pluginOnPath() });
  });
  afterEach(async () => {
    if (stack !== undefined) await ok(stack.destroy());
    cloud?.cinder.snapshots.clear();
  });
  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  const programOf = (count: number, args: object = {}, opts: object = {}) => ({
    js: `
const { Snapshot } = require("pulumi-snapclone/native");
const args = ${JSON.stringify({ volumeId: SEED_VOLUMES.data, ...args })};
for (let n = 0; n < ${count}; n += 1) new Snapshot("s" + n, args, ${JSON.stringify(opts)});`,
  });
  const snapshots = () => [...cloud.cinder.snapshots.values()];
  const waitForCreates = async (count: number) => {
    while (snapshots().length < count) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const ok = async (running: Promise<Result>): Promise<Result> => {
    const result = await running;
    expect([result.code, result.stdout]).toEqual([0, result.stdout]);
    return result;
  };
  const interrupt = async (count: number, how: (run: Run) => void) => {
    stack.setProgram(programOf(count));
    const run = stack.start("up");
    await waitForCreates(count);
    how(run);
    return run.result;
  };

  test("Ctrl-C: every wait ends at once and is recorded; the next `up` resumes", async () => {
    const started = Date.now();
    const cancelled = await interrupt(4, ({ child }) => child.kill("SIGINT"));
    expect([cancelled.code === 0, Date.now() - started < 30_000]).toEqual([false, true]);
    const entries = await stack.resources();
    expect(entries.map(({ outputs }) => outputs?.pending)).toEqual(
      Array(4).fill(expect.objectContaining({ operation: "create" })),
    );
    expect(entries.map(({ initErrors }) => initErrors)).toEqual(
      Array(4).fill([expect.stringContaining("nothing is lost: the next `pulumi up` resumes the wait")]),
    );
    // A refresh finds that the wait has not been resumed, and keeps the reason.
    const refreshed = await stack.refresh();
    expect(refreshed.stdout).toContain("has not ended: the next `pulumi up` resumes the wait");
    await ok(stack.up());
    expect((await stack.resources()).map(({ outputs }) => outputs?.status)).toEqual(Array(4).fill("available"));
    expect((await stack.resources()).map(({ id }) => id).sort()).toEqual(
      snapshots()
        .map(({ id }) => id)
        .sort(),
    );
  });

  test("kill -9 of both processes: the next `up` adopts what was made", async () => {
    await interrupt(2, ({ child }) => {
      killAll(stack.providers());
      child.kill("SIGKILL");
    });
    await ok(stack.cancel());
    const up = await ok(stack.up());
    // Each is told in its row and under the diagnostics.
    expect(new Set(up.stdout.match(/adopted the snapshot \S+/g)).size).toBe(2);
    expect(up.stdout).toContain("for urn:pulumi:dev::snapclone-test::snapclone:index:Snapshot::s");
    expect((await stack.resources()).map(({ id }) => id).sort()).toEqual(
      snapshots()
        .map(({ id }) => id)
        .sort(),
    );
    expect(snapshots()).toHaveLength(2);
  });

  test("kill -9 of the provider alone: the next `up` adopts what was made", async () => {
    const failed = await interrupt(1, () => killAll(stack.providers()));
    expect(failed.code).not.toBe(0);
    expect((await ok(stack.up())).stdout).toContain("adopted the snapshot");
    expect(snapshots()).toHaveLength(1);
  });

  test("customTimeouts come with the request: what takes longer is recorded", async () => {
    stack.setProgram(programOf(1, {}, { customTimeouts: { create: "1s" } }));
    expect((await stack.up()).code).not.toBe(0);
    const [entry] = await stack.resources();
    expect(entry).toMatchObject({ id: snapshots()[0]?.id, outputs: { pending: { operation: "create" } } });
    await ok(stack.up());
  });

  test("secrets: marked in the state's inputs and outputs, in no output in clear", async () => {
    stack.setProgram({
      js: `
const pulumi = require("@pulumi/pulumi");
const { Snapshot } = require("pulumi-snapclone/native");
new Snapshot("s0", { volumeId: "${SEED_VOLUMES.data}", metadata: { open: "seen", hidden: pulumi.secret("hush-hush") } });`,
    });
    await ok(stack.up());
    const [entry] = await stack.resources();
    const secret = expect.objectContaining({ ciphertext: expect.any(String) });
    expect([entry?.inputs?.metadata, entry?.outputs?.metadata]).toEqual(
      Array(2).fill({ open: "seen", hidden: secret }),
    );
    await ok(stack.refresh({ args: ["--expect-no-changes"] }));
    expect(JSON.stringify(await stack.export())).not.toContain("hush-hush");
  });

  test("pulumi import, by id and by connection: the record is written, and the next `up` changes nothing", async () => {
    const byHand = () => cloud.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "by hand" });
    const taken = [byHand(), byHand()];
    const type = "snapclone:index:Snapshot";
    const command = [
      "import",
      "--yes",
      "--skip-preview",
      "--stack",
      stack.name,
      "--generate-code=false",
      "--protect=false",
    ];
    await ok(stack.command([...command, type, "s0", String(taken[0]?.id)]));
    await ok(stack.command([...command, type, "s1", `other/${taken[1]?.id}`]));
    const again = await stack.command([...command, type, "s2", String(taken[0]?.id)]);
    expect([again.code === 0, again.stdout]).toEqual([false, expect.stringContaining("holds it already")]);
    const none = await stack.command([...command, type, "s3", "99999999-9999-4999-8999-999999999999"]);
    expect([none.code === 0, none.stdout]).toEqual([false, expect.stringContaining("there is no snapshot 99999999")]);
    const overlay = await stack.command([...command, "snapclone:index:AssistedSnapshot", "c", "sc-1"]);
    expect([overlay.code === 0, overlay.stdout]).toEqual([
      false,
      expect.stringContaining("an AssistedSnapshot can't be imported"),
    ]);

    const js = `
const { Snapshot } = require("pulumi-snapclone/native");
for (const [name, connection] of [["s0"], ["s1", "other"]])
  new Snapshot(name, { volumeId: "${SEED_VOLUMES.data}", name: "by hand", connection });`;
    stack.setProgram({ js });
    await ok(stack.up({ args: ["--expect-no-changes"] }));
    expect(snapshots().map(({ name, metadata }) => [name, metadata["snapclone:owner"]])).toEqual(
      ["s0", "s1"].map((name) => [
        "by hand",
        `urn:pulumi:dev::snapclone-test::pulumi-nodejs:dynamic/snapclone:Snapshot::${name}`,
      ]),
    );
  });

  test("pulumi import of clones: by their ids, in the order of `volumes`, which Cinder shows", async () => {
    const volumes = [SEED_VOLUMES.data, SEED_VOLUMES.logs];
    const ids = volumes.map((of, at) => cloud.cinder.createVolume({ name: `night-${at}`, source_volid: of }).id);
    const command = ["import", "--yes", "--skip-preview", "--stack", stack.name, "--generate-code=false"];
    const type = "snapclone:index:VolumeClone";
    await ok(stack.command([...command, "--protect=false", type, "copies", `powervc/${ids.join(",")}`]));
    const args = JSON.stringify({ volumes, connection: "powervc" });
    stack.setProgram({ js: `new (require("pulumi-snapclone/native").VolumeClone)("copies", ${args});` });
    await ok(stack.up({ args: ["--expect-no-changes"] }));
    const rows = ids.map((id) => cloud.cinder.volumes.get(id));
    expect(rows.map((row) => [row?.name, row?.metadata["snapclone:imported"]])).toEqual(
      ids.map((id, at) => [`night-${at}`, id]),
    );
    await ok(stack.destroy());
    expect(ids.filter((id) => cloud.cinder.volumes.has(id))).toEqual([]);
  });

  test("a change inside an input: the row names the input, and `replaceOnChanges` knows the place", async () => {
    stack.setProgram(programOf(1, { metadata: { keep: "7", tier: "gold" } }));
    await ok(stack.up());
    stack.setProgram(programOf(1, { metadata: { keep: "8", tier: "gold" } }));
    expect((await ok(stack.preview())).stdout).toContain("[diff: ~metadata]");
    stack.setProgram(programOf(1, { metadata: { keep: "8", tier: "gold" } }, { replaceOnChanges: ["metadata.keep"] }));
    const { events } = await ok(stack.preview());
    expect(events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges).toMatchObject({
      replace: 1,
    });
  });

  test("a replacement in a preview: the path, and its outputs as far as they are known", async () => {
    stack.setProgram(programOf(1));
    await ok(stack.up());
    stack.setProgram({
      js: `
const { Snapshot, getSnapshotOutput } = require("pulumi-snapclone/native");
const s = new Snapshot("s0", { volumeId: "${SEED_VOLUMES.logs}", force: true });
exports.status = s.status;
exports.size = s.sizeGiB;
exports.found = getSnapshotOutput({ id: s.id }).volumeId;`,
    });
    const preview = await ok(stack.preview());
    const events = preview.events.map(({ resourcePreEvent: event }) => event?.metadata);
    const replaced = events.find((one) => one?.op === "replace");
    expect(replaced?.detailedDiff).toEqual({ volumeId: { diffKind: "update-replace", inputDiff: false } });
    expect(preview.stdout).toMatch(/status *: "available"/);
    expect(preview.stdout).not.toMatch(/size *: 1/);
    const up = await ok(stack.up());
    expect(up.stdout).toMatch(new RegExp(`found *: "${SEED_VOLUMES.logs}"`));
    expect(snapshots().map(({ volume_id }) => volume_id)).toEqual([SEED_VOLUMES.logs]);
  });
});
