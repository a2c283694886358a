// What Pulumi's users are used to: lookups in previews, transformations, secrets, programs in other folders, errors that
// are printed once. Each on the real engine.

import * as fs from "node:fs";
import * as path from "node:path";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { describeEngine, newStack, pluginOnPath, type Result, type Stack, type StackOptions } from "./harness";

const repository = path.resolve(__dirname, "..", "..");
const VOLUME = SEED_VOLUMES.data;

describeEngine("habits of Pulumi's users", () => {
  let cloud: Emulator;
  let stack: Stack;

  beforeAll(async () => {
    cloud = await startEmulator({ timings: { snapshotCreate: 100, snapshotDelete: 50 } });
  });

  afterEach(async () => {
    await stack.close();
    cloud.reset();
  });

  afterAll(() => cloud.close());

  async function start(js: string, options: Partial<StackOptions> = {}): Promise<Stack> {
    stack = await newStack({ program: { js }, config: { default: { ...cloud.openstack.connection() } }, ...options });
    return stack;
  }

  const questions = () => cloud.requests.filter(({ method, path: at }) => method === "GET" && /\/snapshots/.test(at));
  /** What stays on the screen; above it are the rows as they went by. */
  const diagnosticsOf = (result: Result) => textOf(result).split("\nDiagnostics:\n")[1] ?? "";
  const textOf = ({ stdout, stderr }: Result) => stdout + stderr;
  const countOf = (result: Result, text: string) => diagnosticsOf(result).split(text).length - 1;

  test("lookups: of a resource yet to be made, the preview knows nothing; up waits for it", async () => {
    const program = (day: number) => `
const { Snapshot, getSnapshotOutput, listSnapshotsOutput } = require("pulumi-snapclone");
const nightly = new Snapshot("nightly", { volumeId: "${VOLUME}", name: "nightly", triggers: [${day}] });
exports.byId = getSnapshotOutput({ id: nightly.id }).name;
exports.byName = getSnapshotOutput({ name: nightly.name, mostRecent: true }).id;
exports.all = listSnapshotsOutput({ volumeId: "${VOLUME}" }, { dependsOn: [nightly] }).apply((all) => "found " + all.length);`;
    await start(program(1));
    const preview = await stack.preview();
    expect(textOf(preview)).not.toMatch(/found|error/i);
    expect(preview.code).toBe(0);
    const up = await stack.up();
    expect(textOf(up)).toContain('all   : "found 1"');
    stack.setProgram({ js: program(2) });
    const before = questions().length;
    const replacing = await stack.preview();
    expect(replacing.code).toBe(0);
    // An answer about the old snapshot would equal the old output, and show nothing: so the requests tell.
    expect(questions().length).toBe(before);
  });

  test("lookups: an error is one sentence, in exports too", async () => {
    await start(`
const { getSnapshotOutput } = require("pulumi-snapclone");
exports.name = getSnapshotOutput({ id: "99999999-9999-4999-8999-999999999999" }).name;`);
    const result = await stack.preview();
    expect(result.code).not.toBe(0);
    expect(countOf(result, "it does not exist, or belongs to another project")).toBe(1);
    expect(textOf(result)).not.toMatch(/^\s+at |parts:|ambiguous/m);
  });

  test("errors of destroy and refresh are printed once", async () => {
    await start(`new (require("pulumi-snapclone").Snapshot)("nightly", { volumeId: "${VOLUME}" });`);
    expect((await stack.up()).code).toBe(0);
    for (const [operation, request] of [
      ["refresh", "snapshots.show"],
      ["destroy", "snapshots.delete"],
    ] as const) {
      const fault = cloud.faults.add({ match: { operation: request }, status: 403, times: Infinity });
      const result = await stack[operation]();
      fault.remove();
      expect(result.code).not.toBe(0);
      expect([operation, countOf(result, "HTTP 403")]).toEqual([operation, 1]);
      expect(textOf(result)).not.toMatch(/^\s+at /m);
    }
  });

  test("customTimeouts of a transformation and of a transform are obeyed", async () => {
    cloud.cinder.behaviour({ create: "stuck" });
    for (const register of ["registerStackTransformation", "registerResourceTransform"]) {
      await start(`
const pulumi = require("@pulumi/pulumi");
pulumi.runtime.${register}(({ props, opts }) => ({ props, opts: { ...opts, customTimeouts: { create: "2s" } } }));
new (require("pulumi-snapclone").Snapshot)("nightly", { volumeId: "${VOLUME}" });`);
      const result = await stack.up();
      expect(result.code).not.toBe(0);
      expect(result.ms).toBeLessThan(60_000);
      expect(textOf(result)).toMatch(/waited (2 s|1(\.\d)? s|\d{3} ms) for snapshot/);
      await stack.close();
    }
  });

  test.each(["pulumi-snapclone", "pulumi-snapclone/native"])(
    "%s: an error hook that has a create repeated waits for the same snapshot, and the state has it",
    async (packageName) => {
      cloud.cinder.behaviour({ create: "stuck" });
      await start(
        `
const pulumi = require("@pulumi/pulumi");
const again = new pulumi.ErrorHook("again", ({ errors }) => errors.length < 3);
const options = { hooks: { onError: [again] }, customTimeouts: { create: "1s" } };
new (require("${packageName}").Snapshot)("nightly", { volumeId: "${VOLUME}" }, options);`,
        { env: pluginOnPath() },
      );
      const result = await stack.up();
      expect([result.code === 0, textOf(result)]).toEqual([false, expect.stringContaining("retrying create")]);
      expect((await stack.resources()).map(({ id }) => id)).toEqual([...cloud.cinder.snapshots.keys()]);
      expect(cloud.cinder.snapshots.size).toBe(1);
      expect(result.ms).toBeLessThan(60_000);
    },
  );

  test("a secret name is in no message, in no event and not in the state", async () => {
    await start(`
const pulumi = require("@pulumi/pulumi");
new (require("pulumi-snapclone").Snapshot)("nightly", { volumeId: "${VOLUME}", name: pulumi.secret("s3cr3t-name"), description: pulumi.secret(7) });`);
    expect(textOf(await stack.up())).not.toContain("s3cr3t");
    stack.setProgram({
      js: `
const pulumi = require("@pulumi/pulumi");
new (require("pulumi-snapclone").Snapshot)("nightly", { volumeId: "${VOLUME}", name: pulumi.secret("s3cr3t-name"), description: "d" });`,
    });
    cloud.faults.add({ match: { operation: "snapshots.create" }, status: 400, times: Infinity });
    const result = await stack.up();
    expect(result.code).not.toBe(0);
    expect(textOf(result) + JSON.stringify(result.events)).not.toContain("s3cr3t");
    expect(JSON.stringify(await stack.export())).not.toContain("s3cr3t");
  });

  test("isInstance is true in a transformation", async () => {
    await start(`
const pulumi = require("@pulumi/pulumi");
const { Snapshot } = require("pulumi-snapclone");
pulumi.runtime.registerStackTransformation(({ resource, props, opts }) =>
  Snapshot.isInstance(resource) ? { props: { ...props, name: "transformed" }, opts } : undefined);
new Snapshot("nightly", { volumeId: "${VOLUME}" });`);
    expect((await stack.up()).code).toBe(0);
    expect([...cloud.cinder.snapshots.values()].map(({ name }) => name)).toEqual(["transformed"]);
  });

  test("a component with several resources, of which one needs another: made, unchanged, gone", async () => {
    await start(`
const pulumi = require("@pulumi/pulumi");
const { Snapshot, SnapshotSeries, VolumeFromSnapshot } = require("pulumi-snapclone");
class Backup extends pulumi.ComponentResource {
  constructor(name) {
    super("shop:index:Backup", name);
    const snapshot = new Snapshot("nightly", { volumeId: "${VOLUME}" }, { parent: this });
    new VolumeFromSnapshot("copy", { snapshotId: snapshot.id }, { parent: this });
    new SnapshotSeries("days", { volumeId: "${VOLUME}", keep: 2 }, { parent: this });
    this.registerOutputs();
  }
}
new Backup("backup");`);
    expect((await stack.up()).code).toBe(0);
    expect(cloud.cinder.snapshots.size).toBe(2);
    expect((await stack.preview({ args: ["--expect-no-changes"] })).code).toBe(0);
    expect((await stack.destroy()).code).toBe(0);
    expect(cloud.cinder.snapshots.size).toBe(0);
  });

  test("missing inputs are named", async () => {
    await start(`
const { ClonedVm } = require("pulumi-snapclone");
new ClonedVm("b");`);
    const result = await stack.preview();
    for (const name of ["vmInstanceUuid", "names"]) {
      expect(diagnosticsOf(result)).toMatch(new RegExp(`property ${name} .*is required`));
    }
    expect(textOf(result)).not.toContain("struct type");
  });

  test("a program in a folder of its own (main), with the package at the root", async () => {
    await start(`new (require("pulumi-snapclone").Snapshot)("nightly", { volumeId: "${VOLUME}" });`);
    const infra = path.join(stack.dir, "infra");
    fs.mkdirSync(infra);
    fs.renameSync(path.join(stack.dir, "index.js"), path.join(infra, "index.js"));
    const file = path.join(stack.dir, "Pulumi.yaml");
    fs.writeFileSync(file, JSON.stringify({ ...JSON.parse(fs.readFileSync(file, "utf8")), main: "infra/" }));
    const up = await stack.up();
    expect([up.code, textOf(up)]).toEqual([0, expect.anything()]);
    expect((await stack.destroy()).code).toBe(0);
  });

  test("a program that brings the package along, where the provider does not find it, is told in one sentence", async () => {
    await start(`new (require(process.env.ELSEWHERE).Snapshot)("nightly", { volumeId: "${VOLUME}" });`);
    const root = path.dirname(stack.dir);
    fs.unlinkSync(path.join(root, "node_modules"));
    fs.mkdirSync(path.join(root, "node_modules"));
    fs.symlinkSync(path.join(repository, "node_modules", "@pulumi"), path.join(root, "node_modules", "@pulumi"));
    const result = await stack.preview({ env: { ELSEWHERE: path.join(repository, "dist", "sdk", "index.js") } });
    expect(result.code).not.toBe(0);
    expect(textOf(result)).toContain(`looks for this package in ${stack.dir}`);
    expect(countOf(result, "npm install pulumi-snapclone")).toBe(1);
    expect(textOf(result)).not.toMatch(/^\s+at |Cannot find module/m);
  });
});
