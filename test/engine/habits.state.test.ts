// What Pulumi's users do with a state: another store, another passphrase, repairs and removals by hand. Nothing is lost,
// made twice or deleted by the wrong entry. Each on the real engine.

import * as fs from "node:fs";
import * as path from "node:path";
import { describeEngine, type State } from "./harness";
import {
  adopted,
  changes,
  fails,
  idInState,
  OwnershipFixture,
  ok,
  orphans,
  program,
  recordOf,
  urn,
} from "./ownership/fixture";

const repository = path.resolve(__dirname, "..", "..");

describeEngine("a state in its users' hands", () => {
  const fixture = new OwnershipFixture();
  const command = (...args: string[]) => fixture.stack.command([...args, "--stack", fixture.stack.name]);
  const beside = (name: string) => path.join(path.dirname(fixture.stack.dir), name);
  const writes = () =>
    fixture.cloud.requests.filter(({ operation }) => /^snapshots\.(create|delete)$/.test(operation ?? "")).length;

  test("export and import into another store: the same objects, whose records name the new store from the next up on", async () => {
    const declared = { a: {}, b: {} };
    fixture.declare(declared);
    await ok(fixture.stack.up());
    const ids = [fixture.entry("a"), fixture.entry("b")].sort();
    const file = beside("exported.json");
    await ok(command("stack", "export", "--file", file));
    const before = writes();
    const other = await fixture.open();
    try {
      other.setProgram(program(declared));
      await ok(other.command(["stack", "import", "--stack", other.name, "--file", file]));
      const records = recordOf(fixture.cloud, ids[0]).stack;
      // A refresh writes nothing on the backend.
      await ok(other.refresh());
      expect(recordOf(fixture.cloud, ids[0]).stack).toBe(records);
      const moved = await ok(other.up());
      expect(changes(moved)).toEqual({ same: 1, update: 2 });
      expect([adopted(moved), orphans(moved)]).toEqual([[], []]);
      expect([idInState(other, "a"), idInState(other, "b")].sort()).toEqual(ids);
      expect(recordOf(fixture.cloud, ids[0]).stack).not.toBe(records);
      expect(changes(await ok(other.up()))).toEqual({ same: 3 });
      expect(writes()).toBe(before);
      // The old store's stack is forgotten without a destroy, as the page says.
      await ok(command("stack", "rm", "--force", "--yes"));
      expect(fixture.snapshots()).toEqual(ids);
      expect(orphans(await ok(other.destroy()))).toEqual([]);
      expect(fixture.snapshots()).toEqual([]);
    } finally {
      await other.close();
    }
  });

  test("a new passphrase and a rotated password of the connection: no change, and neither is in the state", async () => {
    await ok(fixture.stack.setConfig("snapclone:connections.default.password", "secret", { secret: true }));
    fixture.declare({ a: { args: { description: "1" } } });
    await ok(fixture.stack.up());
    const made = fixture.entry("a");

    const executable = beside("pulumi-with-answers");
    fs.writeFileSync(executable, "#!/bin/sh\nprintf 'another\\nanother\\n' | exec pulumi \"$@\"\n", { mode: 0o755 });
    const changing = ["stack", "change-secrets-provider", "passphrase", "--stack", fixture.stack.name];
    await ok(fixture.stack.command(changing, { executable }));
    await fails(fixture.stack.preview());
    const env = { PULUMI_CONFIG_PASSPHRASE: "another" };
    expect(changes(await ok(fixture.stack.up({ env })))).toEqual({ same: 2 });

    for (const user of fixture.cloud.keystone.users.values()) if (user.name === "demo") user.password = "r0tated";
    const key = ["config", "set", "--path", "snapclone:connections.default.password", "r0tated", "--secret"];
    await ok(fixture.stack.command([...key, "--stack", fixture.stack.name], { env }));
    fixture.declare({ a: { args: { description: "2" } } });
    expect(changes(await ok(fixture.stack.up({ env })))).toEqual({ same: 1, update: 1 });
    expect(changes(await ok(fixture.stack.refresh({ env })))).toEqual({ same: 2 });
    expect(fixture.entry("a")).toBe(made);
    expect(JSON.stringify(await fixture.stack.export())).not.toMatch(/r0tated|"secret"/);
    await ok(fixture.stack.destroy({ env }));
    expect(fixture.snapshots()).toEqual([]);
  });

  test("state delete: a new one is made, and the one that was let go is named; state repair changes no id", async () => {
    fixture.declare({ a: {}, b: { opts: { dependsOn: ["a"] } } });
    await ok(fixture.stack.up());
    const [a, b] = [fixture.entry("a"), fixture.entry("b")];
    const state = await fixture.stack.export();
    const broken = beside("broken.json");
    fs.writeFileSync(broken, JSON.stringify(withLastFirst(state)));
    await ok(command("stack", "import", "--force", "--file", broken));
    expect((await ok(command("state", "repair", "--yes"))).stdout).toContain("State repaired successfully");
    expect([fixture.entry("a"), fixture.entry("b")]).toEqual([a, b]);
    expect(changes(await ok(fixture.stack.up()))).toEqual({ same: 3 });

    await ok(command("state", "delete", "--yes", urn("b")));
    const again = await ok(fixture.stack.up());
    expect([adopted(again), orphans(again)]).toEqual([[], [b]]);
    expect(fixture.entry("b")).not.toBe(b);
    await ok(fixture.stack.destroy());
    expect(fixture.snapshots()).toEqual([b]);
  });

  test("package and resource removed together: nothing is deleted or forgotten, and with the package back the next up deletes", async () => {
    fixture.declare({ a: {} });
    await ok(fixture.stack.up());
    const made = fixture.entry("a");
    const modules = beside("node_modules");
    fs.unlinkSync(modules);
    fs.mkdirSync(modules);
    fs.symlinkSync(path.join(repository, "node_modules", "@pulumi"), path.join(modules, "@pulumi"));
    fixture.stack.setProgram({ js: "" });
    const without = await fails(fixture.stack.up());
    expect(without.stdout + without.stderr).toContain("Cannot find module 'pulumi-snapclone/dynamic/v1'");
    expect([fixture.entry("a"), fixture.snapshots()]).toEqual([made, [made]]);
    fs.symlinkSync(path.join(repository, "node_modules", "pulumi-snapclone"), path.join(modules, "pulumi-snapclone"));
    expect(changes(await ok(fixture.stack.up()))).toMatchObject({ delete: 1 });
    expect(fixture.snapshots()).toEqual([]);
  });
});

/** The last resource before all that it needs, as a state can be left by hand-made changes. */
function withLastFirst(state: State): State {
  const resources = state.deployment.resources ?? [];
  return {
    ...state,
    deployment: { ...state.deployment, resources: [...resources.slice(-1), ...resources.slice(0, -1)] },
  };
}
