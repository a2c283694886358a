// Each resource through its life on the real engine, as native resources: what the smoke test does for the dynamic classes.
// Then the same stack goes to the dynamic classes and back.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Emulator } from "../../../emulator";
import { connectionsOf, LIVES, LifeRuns, operationsOf, programOf, startCloud } from "../../smoke/shortLives";
import { describeEngine, newStack, pluginNotOnPath, pluginOnPath, type Result, type Stack } from "../harness";

const NATIVE = "pulumi-snapclone/native";
const plugin = path.resolve(__dirname, "..", "..", "..", "dist", "plugin");

describeEngine("a life of each native resource", () => {
  let cloud: Emulator;
  let stack: Stack;
  let positions: (string | undefined)[];
  const runs = new LifeRuns();
  const run = (running: Promise<Result>) => runs.add(cloud, running);

  beforeAll(async () => {
    cloud = await startCloud();
    const program = programOf("before", NATIVE);
    stack = await newStack({ program, config: connectionsOf(cloud), env: pluginOnPath() });
    const args = ["--continue-on-error"];
    await run(stack.up({ args }));
    positions = (await stack.resources()).map(({ sourcePosition }) => sourcePosition);
    await run(stack.up({ args }));
    stack.setProgram(programOf("after", NATIVE));
    await run(stack.up({ args }));
    await run(stack.refresh());
    stack.setProgram(programOf("after"));
    await run(stack.up({ args }));
    stack.setProgram(programOf("after", NATIVE));
    await run(stack.up({ args }));
    await run(stack.destroy({ args }));
  }, 600_000);

  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  test.each(Object.keys(LIVES))("%s: created, left alone, changed, refreshed, moved, moved back, deleted", (name) => {
    const [created, changed, deleted] = LIVES[name]?.expected ?? [];
    expect(runs.of(name)).toEqual([
      ["create", created],
      ["same", created],
      ["update", changed],
      ["same", changed],
      // Each entry gets the text by which Pulumi finds a dynamic resource's code.
      ["update", changed],
      ["same", changed],
      ["delete", deleted],
    ]);
  });

  test("all: the state names the line of the program that makes the resource", () => {
    expect(positions).toEqual(Object.keys(LIVES).map(() => expect.stringMatching(/^project:\/\/\/index\.js#/)));
  });

  test("all: every run succeeds, and the state is empty in the end", async () => {
    await runs.expectSuccess(stack);
  });

  test("the schema that the plugin gives the engine is the one that is committed", async () => {
    const result = await stack.command(["package", "get-schema", path.join(plugin, "pulumi-resource-snapclone")]);
    const { version, ...schema } = JSON.parse(result.stdout);
    const root = path.resolve(__dirname, "..", "..", "..");
    const read = (file: string) => JSON.parse(readFileSync(path.join(root, file), "utf8"));
    expect([version, schema]).toEqual([read("package.json").version, read("provider/native/schema.json")]);
  });

  test("a resource that moves into a component under another name in the same run is not replaced", async () => {
    const [volumeId] = cloud.cinder.volumes.keys();
    const before = `new (require("pulumi-snapclone").Snapshot)("old", { volumeId: "${volumeId}", name: "one" });`;
    const after = `
const pulumi = require("@pulumi/pulumi");
const parent = new pulumi.ComponentResource("test:index:Parent", "parent");
const aliases = [{ name: "old", parent: pulumi.rootStackResource }];
new (require("${NATIVE}").Snapshot)("new", { volumeId: "${volumeId}", name: "one" }, { parent, aliases });`;
    const moving = await newStack({ program: { js: before }, config: connectionsOf(cloud), env: pluginOnPath() });
    try {
      expect((await moving.up()).code).toBe(0);
      const [made] = await moving.resources();
      moving.setProgram({ js: after });
      const moved = await moving.up();
      expect([moved.code, moved.stdout]).toEqual([0, expect.not.stringMatching(/replace|delete/)]);
      const held = (await moving.resources()).filter(({ type }) => type === "snapclone:index:Snapshot");
      expect(held.map(({ id }) => id)).toEqual([made?.id]);
      expect((await moving.destroy()).code).toBe(0);
    } finally {
      await moving.close();
    }
  });

  test("without PATH: found by the project file, and by `pulumi plugin install --file`", async () => {
    const program = programOf("before", NATIVE);
    const alone = await newStack({ program, config: connectionsOf(cloud), env: pluginNotOnPath() });
    try {
      const missing = await alone.preview();
      expect([missing.code === 0, missing.stdout + missing.stderr]).toEqual([
        false,
        expect.stringContaining("no resource plugin 'pulumi-resource-snapclone' found"),
      ]);
      const project = path.join(alone.dir, "Pulumi.yaml");
      const text = readFileSync(project, "utf8");
      const named = { ...JSON.parse(text), plugins: { providers: [{ name: "snapclone", path: plugin }] } };
      writeFileSync(project, JSON.stringify(named));
      expect(operationsOf(await alone.preview())).toMatchObject({ Snapshot: "create" });

      writeFileSync(project, text);
      const version = JSON.parse(readFileSync(path.join(plugin, "..", "..", "package.json"), "utf8")).version;
      const installed = await alone.command(["plugin", "install", "resource", "snapclone", version, "--file", plugin]);
      expect([installed.code, installed.stderr]).toEqual([0, installed.stderr]);
      expect(operationsOf(await alone.preview())).toMatchObject({ Snapshot: "create" });
    } finally {
      await alone.close();
    }
  });
});
