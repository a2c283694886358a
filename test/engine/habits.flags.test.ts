// Flags and environment variables that Pulumi's users give to a run: targets, parallelism, experiments, another way to write
// the state; and `pulumi watch`. Each on the real engine.

import * as fs from "node:fs";
import * as path from "node:path";
import { describeEngine, enginePath, newStack } from "./harness";
import { adopted, appeared, OwnershipFixture, ok, orphans, program, urn } from "./ownership/fixture";

describeEngine("flags and environment variables of a run", () => {
  const fixture = new OwnershipFixture();
  const descriptions = () =>
    Object.fromEntries(
      [...fixture.cloud.cinder.snapshots.values()].map((row) => [
        row.metadata["snapclone:owner"]?.split("::").at(-1),
        row.description,
      ]),
    );
  const abc = (description: string) =>
    fixture.declare({
      a: { args: { description } },
      b: { args: { description }, opts: { dependsOn: ["a"] } },
      c: { args: { description } },
    });

  /** The fixture's stack, with variables of its own. */
  async function withEnvironment(env: NodeJS.ProcessEnv): Promise<void> {
    await fixture.stack.close();
    const config = { default: { ...fixture.cloud.openstack.connection() } };
    fixture.stack = await newStack({ program: program({}), config, env });
  }

  test("--target, --target-dependents and --exclude change what they name, and nothing else is missed", async () => {
    abc("1");
    await ok(fixture.stack.up());
    abc("2");
    expect(orphans(await ok(fixture.stack.up({ args: ["--target", urn("a")] })))).toEqual([]);
    expect(descriptions()).toEqual({ a: "2", b: "1", c: "1" });
    expect(orphans(await ok(fixture.stack.up({ args: ["--exclude", urn("c")] })))).toEqual([]);
    expect(descriptions()).toEqual({ a: "2", b: "2", c: "1" });
    const refreshed = await ok(fixture.stack.refresh({ args: ["--target", urn("c")] }));
    expect(orphans(refreshed)).toEqual([]);
    const some = await ok(fixture.stack.destroy({ args: ["--target", urn("a"), "--target-dependents"] }));
    expect(orphans(some)).toEqual([]);
    expect(descriptions()).toEqual({ c: "1" });
    expect(fixture.snapshots()).toEqual([fixture.entry("c")]);
  });

  test("--parallel 1 and --parallel 1000: each is made once and deleted once", async () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    fixture.declare(Object.fromEntries(names.map((name) => [name, {}])));
    const writes = () =>
      fixture.cloud.requests.filter(({ operation }) => /^snapshots\.(create|delete)$/.test(operation ?? "")).length;
    for (const [up, destroy] of [
      [1, 1000],
      [1000, 1],
    ] as const) {
      const before = writes();
      await ok(fixture.stack.up({ parallel: up }));
      expect(fixture.snapshots()).toEqual(names.map((name) => fixture.entry(name)).sort());
      expect(orphans(await ok(fixture.stack.destroy({ parallel: destroy })))).toEqual([]);
      expect(fixture.snapshots()).toEqual([]);
      expect(writes() - before).toBe(2 * names.length);
    }
  });

  test.each([
    [
      "PULUMI_EXPERIMENTAL, PULUMI_PARALLEL_DIFF, PULUMI_DIY_BACKEND_GZIP",
      { PULUMI_EXPERIMENTAL: "true", PULUMI_PARALLEL_DIFF: "true", PULUMI_DIY_BACKEND_GZIP: "true" },
    ],
    ["PULUMI_DISABLE_JOURNALING", { PULUMI_DISABLE_JOURNALING: "true" }],
  ])("%s: what a killed run left is adopted, and destroyed", async (_name, env) => {
    await withEnvironment(env);
    fixture.declare({ a: {}, b: {} });
    const begun = await fixture.killed([], 2);
    expect(adopted(await ok(fixture.stack.up())).sort()).toEqual([...begun].sort());
    expect(fixture.snapshots()).toEqual([...begun].sort());
    expect((await ok(fixture.stack.preview({ args: ["--expect-no-changes"] }))).code).toBe(0);
    expect(orphans(await ok(fixture.stack.destroy()))).toEqual([]);
    expect(fixture.snapshots()).toEqual([]);
  });

  test("pulumi watch: each save of the program is one update", async () => {
    // The vendor's `pulumi-watch` is a binary of its releases: it prints the path of each file that has changed. This one says
    // when it has begun, and does not see the file while the test writes it.
    const folder = path.join(path.dirname(fixture.stack.dir), "bin");
    const ready = path.join(folder, "ready");
    fs.mkdirSync(folder);
    const watcher = `#!${process.execPath}
const fs = require("node:fs");
const file = require("node:path").join(process.argv[process.argv.indexOf("--origin") + 1], "index.js");
let last = fs.readFileSync(file, "utf8");
setInterval(() => {
  try {
    const now = fs.readFileSync(file, "utf8");
    if (now !== last && now !== "") console.log(file);
    last = now || last;
  } catch {}
}, 50);
fs.writeFileSync(${JSON.stringify(ready)}, "");\n`;
    fs.writeFileSync(path.join(folder, "pulumi-watch"), watcher, { mode: 0o755 });
    const env = { PATH: [folder, enginePath, process.env.PATH].join(path.delimiter) };
    const watching = fixture.stack.command(["watch", "--stack", fixture.stack.name], { env }).catch(String);

    const until = async (what: string, isSo: () => boolean) => {
      const deadline = Date.now() + 60_000;
      while (!isSo()) {
        if (Date.now() > deadline) throw new Error(`no ${what} within a minute`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };
    const changed = (description: string) => until(`"${description}"`, () => descriptions().a === description);
    await until("watcher", () => fs.existsSync(ready));
    fixture.declare({ a: { args: { description: "first" } } });
    await appeared(fixture.cloud, 0, 1);
    await changed("first");
    const [made] = fixture.snapshots();
    // Perhaps the first update still waits for the snapshot: Pulumi takes up what has changed meanwhile after it.
    fixture.declare({ a: { args: { description: "second" } } });
    await changed("second");
    expect(fixture.snapshots()).toEqual([made]);
    await fixture.stack.close();
    await watching;
  });
});
