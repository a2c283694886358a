// The snapshot of a killed run after the user has changed the state (renames, moves, imports, removals): it goes to nobody
// else, and no entry but its own deletes it.

import * as fs from "node:fs";
import * as path from "node:path";
import { describeEngine } from "../harness";
import { adopted, changes, fails, idInState, OwnershipFixture, ok, orphans, program, recordOf, urn } from "./fixture";

describeEngine("a killed run's snapshot, and changes of the state", () => {
  const fixture = new OwnershipFixture();
  const replace = (name: string) => ["--replace", urn(name)];

  test("retainOnDelete, then declared again: a new one", async () => {
    fixture.declare({ a: { opts: { retainOnDelete: true } } });
    await ok(fixture.stack.up());
    const retained = fixture.entry("a");
    fixture.declare({});
    await ok(fixture.stack.up());
    fixture.declare({ a: {} });
    const up = await ok(fixture.stack.up());
    expect(adopted(up)).toEqual([]);
    expect(fixture.entry("a")).not.toBe(retained);
    await ok(fixture.stack.destroy());
    expect(fixture.snapshots()).toEqual([retained]);
  });

  test("alias and state rename, with the freed name used again: each keeps its own", async () => {
    fixture.declare({ a: {} });
    await ok(fixture.stack.up());
    const made = fixture.entry("a");
    const [begun] = await fixture.killed(replace("a"));
    fixture.declare({ b: { opts: { aliases: [{ name: "a" }] } } });
    // The record names the new owner from now on.
    expect(changes(await ok(fixture.stack.up()))).toMatchObject({ update: 1 });
    expect(fixture.entry("b")).toBe(made);
    expect(recordOf(fixture.cloud, made)).toMatchObject({ owner: urn("b") });
    expect(changes(await ok(fixture.stack.up()))).toEqual({ same: 2 });

    await ok(fixture.stack.command(["state", "rename", "--stack", fixture.stack.name, "--yes", urn("b"), "z"]));
    // `b` is created before the diff of `z` carries the old id.
    fixture.declare({ b: {}, z: { opts: { dependsOn: ["b"] } } });
    expect(adopted(await ok(fixture.stack.up()))).toEqual([]);
    expect(fixture.entry("z")).toBe(made);
    expect([made, begun]).not.toContain(fixture.entry("b"));
    await ok(fixture.stack.destroy());
    expect(fixture.snapshots()).toEqual([begun]);
  });

  test("stack rename and state move: no other stack gets it, and the state's own goes along", async () => {
    fixture.declare({ a: {} });
    await ok(fixture.stack.up());
    const made = fixture.entry("a");
    const [begun] = await fixture.killed(replace("a"));
    await ok(fixture.stack.command(["stack", "rename", "--stack", "dev", "prod"]));
    const inProd = { args: ["--stack", "prod"] };
    const before = recordOf(fixture.cloud, made).stack;
    const renamed = await ok(fixture.stack.command(["up", "--yes", "--skip-preview"], inProd));
    expect(renamed.stdout).toContain("1 updated");
    expect(recordOf(fixture.cloud, made).stack).not.toBe(before);
    expect(recordOf(fixture.cloud, begun).stack).toBe(before);

    await ok(fixture.stack.command(["stack", "init", "other"]));
    fs.copyFileSync(
      path.join(fixture.stack.dir, "Pulumi.prod.yaml"),
      path.join(fixture.stack.dir, "Pulumi.other.yaml"),
    );
    const move = ["state", "move", "--yes", "--source", "prod", "--dest", "other", urn("a").replace("dev", "prod")];
    await ok(fixture.stack.command(move));
    const inOther = { args: ["--stack", "other"] };
    expect((await ok(fixture.stack.command(["up", "--yes", "--skip-preview"], inOther))).stdout).toContain("1 updated");
    const emptied = await ok(fixture.stack.command(["up", "--yes", "--skip-preview"], inProd));
    expect(emptied.stdout).toContain("1 created");
    expect(emptied.stdout).not.toContain("adopted");
    await ok(fixture.stack.command(["destroy", "--yes", "--skip-preview"], inProd));
    expect(fixture.snapshots()).toEqual([made, begun].sort());
    await ok(fixture.stack.command(["destroy", "--yes", "--skip-preview"], inOther));
    expect(fixture.snapshots()).toEqual([begun]);
  });

  test("two backends with one stack name are strangers", async () => {
    const stranger = await fixture.open();
    try {
      fixture.declare({ a: {} });
      stranger.setProgram(program({ a: {} }));
      const [begun] = await fixture.killed();
      const theirs = await ok(stranger.up());
      expect([adopted(theirs), orphans(theirs)]).toEqual([[], []]);
      expect(idInState(stranger, "a")).not.toBe(begun);
      expect(orphans(await ok(stranger.destroy()))).toEqual([]);
      expect(adopted(await ok(fixture.stack.up()))).toEqual([begun]);
    } finally {
      await stranger.close();
    }
  });

  test("a replaced one that still waits to be deleted: not adopted, with and without --target", async () => {
    fixture.declare({ a: {}, b: {} });
    await ok(fixture.stack.up());
    const first = fixture.entry("a");
    const refused = fixture.cloud.faults.add({
      match: { operation: "snapshots.delete" },
      times: Infinity,
      status: 400,
    });
    await fails(fixture.stack.up({ args: replace("a") }));
    const second = fixture.entry("a");
    const targeted = await ok(fixture.stack.up({ args: ["--target", urn("b")] }));
    expect(orphans(targeted)).toEqual([]);
    const run = await fixture.stack.up({ args: ["--target-replace", urn("a")] });
    expect(adopted(run)).toEqual([]);
    expect(orphans(run)).toEqual([]);
    expect([first, second]).not.toContain(fixture.entry("a"));
    refused.remove();
    await ok(fixture.stack.up());
    expect(fixture.snapshots()).toEqual([fixture.entry("a"), fixture.entry("b")].sort());
  });

  test("stack import of an older state, and --clear-pending-creates: reported, not adopted", async () => {
    fixture.declare({});
    await ok(fixture.stack.up());
    const older = path.join(fixture.stack.dir, "..", "older.json");
    fs.writeFileSync(older, JSON.stringify(await fixture.stack.export()));
    fixture.declare({ a: {}, b: { opts: { dependsOn: ["a"] } } });
    const begun = await fixture.killed([], 2);
    await ok(fixture.stack.command(["stack", "import", "--stack", fixture.stack.name, "--file", older]));
    const up = await ok(fixture.stack.up());
    expect(adopted(up)).toEqual([]);
    expect(orphans(up)).toEqual([...begun].sort());
    for (const name of ["a", "b"]) expect(begun).not.toContain(fixture.entry(name));

    const [third] = await fixture.killed(replace("a"));
    await ok(fixture.stack.refresh({ args: ["--clear-pending-creates"] }));
    const forced = await ok(fixture.stack.up({ args: replace("a") }));
    expect(adopted(forced)).toEqual([]);
    expect(orphans(forced)).toEqual([...begun, third].sort());
    expect(fixture.snapshots()).toEqual([...begun, third, fixture.entry("a"), fixture.entry("b")].sort());
  });

  test("destroy, or a program without it: the end of the run names it, if the run started a provider", async () => {
    fixture.declare({ a: {}, b: { opts: { dependsOn: ["a"] } } });
    const [, begun] = await fixture.killed([], 2);
    fixture.declare({ a: {} });
    expect(orphans(await ok(fixture.stack.refresh()))).toEqual([begun]);
    const destroyed = await ok(fixture.stack.destroy());
    expect(orphans(destroyed)).toEqual([begun]);
    expect(fixture.snapshots()).toEqual([begun]);
  });
});
