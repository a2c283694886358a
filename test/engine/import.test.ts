// The option `import` of a Snapshot on the real engine: it takes over a snapshot that the `openstack` command made.

import * as fs from "node:fs";
import * as path from "node:path";
import { SEED_VOLUMES } from "../../emulator";
import { describeEngine } from "./harness";
import { changes, fails, OwnershipFixture, ok, stateFolder } from "./ownership/fixture";

const FOREIGN = { team: "shop", "backup:run": "17" };

describeEngine("the option import", () => {
  const fixture = new OwnershipFixture();

  const byHand = (given = {}) =>
    fixture.cloud.cinder.createSnapshot({
      volume_id: SEED_VOLUMES.data,
      name: "by hand",
      description: "of a person",
      metadata: { ...FOREIGN },
      created_at: "2026-01-02T03:04:05.000000",
      ...given,
    }).id;
  const row = (id: string) => fixture.cloud.cinder.snapshots.get(id);
  const written = () =>
    fixture.cloud.requests
      .filter(({ service, method }) => service === "cinder" && method !== "GET")
      .map(({ operation }) => operation);
  const nightly = (id: string | undefined, args = {}, opts = {}) =>
    fixture.declare({ nightly: { args, opts: { ...opts, ...(id === undefined ? {} : { import: id }) } } });

  test("preview, import, no change, the option removed, refresh, change in place, destroy", async () => {
    const id = byHand();
    nightly(id, { description: "of a person", metadata: { keep: "7" } }, { protect: true });
    const preview = await ok(fixture.stack.preview());
    expect([preview.stdout, changes(preview).create]).toEqual([
      expect.stringContaining(`will take over the snapshot ${id}`),
      2,
    ]);
    expect(written()).toEqual([]);

    const up = await ok(fixture.stack.up());
    expect(up.stdout).toContain(`took over the snapshot ${id}, and brought into line with the program: metadata`);
    const [entry] = await fixture.stack.resources();
    expect(entry).toMatchObject({ id, protect: true });
    expect(entry?.outputs).toMatchObject({ name: "by hand", status: "available", metadata: { keep: "7" } });
    expect(row(id)).toMatchObject({ name: "by hand", metadata: { ...FOREIGN, keep: "7" } });

    const before = written();
    const same = { description: "of a person", metadata: { keep: "7" } };
    await ok(fixture.stack.up({ args: ["--expect-no-changes"] }));
    nightly(undefined, same, { protect: true });
    await ok(fixture.stack.up({ args: ["--expect-no-changes"] }));
    await ok(fixture.stack.refresh({ args: ["--expect-no-changes"] }));
    await ok(fixture.stack.up({ args: ["--expect-no-changes"] }));
    expect(written()).toEqual(before);

    nightly(id, { name: "renamed", metadata: {} });
    await ok(fixture.stack.up());
    expect(row(id)).toMatchObject({ name: "renamed", description: null, metadata: FOREIGN });
    expect(row(id)?.metadata).not.toHaveProperty("keep");
    await ok(fixture.stack.destroy());
    expect(fixture.snapshots()).toEqual([]);
  });

  test("a wrong input, no such snapshot, a volume, a snapshot in error: nothing is written", async () => {
    const cases: [id: string, args: object, text: string][] = [
      [byHand(), { volumeId: SEED_VOLUMES.logs }, `volumeId is "${SEED_VOLUMES.logs}" in the program and`],
      ["99999999-9999-4999-8999-999999999999", {}, "there is no snapshot 99999999"],
      [SEED_VOLUMES.data, {}, "is a volume, not a snapshot"],
      [byHand({ status: "error" }), {}, 'is in status "error"'],
    ];
    for (const [id, args, text] of cases) {
      nightly(id, args);
      expect((await fails(fixture.stack.up())).stdout).toContain(text);
    }
    nightly("my-snapshot");
    expect((await fails(fixture.stack.preview())).stdout).toContain("must be the UUID of a snapshot");
    expect([written(), await fixture.stack.resources()]).toEqual([[], []]);
  });

  test("a snapshot of another stack: told whose, and left alone", async () => {
    const other = await fixture.open();
    try {
      other.setProgram({
        js: `new (require("pulumi-snapclone").Snapshot)("theirs", { volumeId: "${SEED_VOLUMES.data}" });`,
      });
      await ok(other.up());
      const [{ id = "" } = {}] = await other.resources();
      const { metadata } = structuredClone(row(id)) ?? {};
      nightly(id);
      expect((await fails(fixture.stack.up())).stdout).toMatch(/belongs to urn:pulumi:\S+::theirs of another stack/);
      expect(row(id)?.metadata).toEqual(metadata);
    } finally {
      await other.close();
    }
  });

  test("a replacement with the option still there is refused, and deletes nothing", async () => {
    const id = byHand();
    nightly(id);
    await ok(fixture.stack.up());
    expect((await fails(fixture.stack.up({ args: ["--replace", "**"] }))).stdout).toContain(
      "would take the same snapshot over and then delete it",
    );
    nightly(id, { triggers: ["new"] });
    const preview = await ok(fixture.stack.preview());
    expect(preview.stdout).toContain("can't be replaced while the program has the option `import`");
    expect((await fails(fixture.stack.up())).stdout).toContain("Remove the `import` option");
    expect(fixture.snapshots()).toEqual([id]);

    nightly(byHand({ id: "88888888-8888-4888-8888-888888888888" }));
    expect((await fails(fixture.stack.preview())).stdout).toContain(`in the state already, as the snapshot ${id}`);
    nightly(undefined, { triggers: ["new"] });
    await ok(fixture.stack.up());
    expect(fixture.snapshots()).not.toContain(id);
  });

  test("an alias keeps the snapshot and rewrites the record; ignoreChanges counts as usual", async () => {
    const id = byHand();
    nightly(id, { description: "first" }, { ignoreChanges: ["description"] });
    await ok(fixture.stack.up());
    nightly(id, { description: "second" }, { ignoreChanges: ["description"] });
    await ok(fixture.stack.up({ args: ["--expect-no-changes"] }));
    fixture.declare({
      renamed: { args: { description: "first" }, opts: { import: id, aliases: [{ name: "nightly" }] } },
    });
    await ok(fixture.stack.up());
    expect([fixture.snapshots(), fixture.entry("renamed"), row(id)?.name]).toEqual([[id], id, "by hand"]);
    expect(row(id)?.metadata["snapclone:owner"]).toMatch(/::renamed$/);
  });

  test.each(["before", "after"])(
    "kill -9 %s the record is written, and the same command again finishes it",
    async (when) => {
      const id = byHand();
      nightly(id, { name: "mine" });
      const operation = when === "before" ? "snapshots.metadata.merge" : "snapshots.update";
      const held = fixture.cloud.faults.add({ match: { operation }, times: 1, action: "hang" });
      const run = fixture.stack.start("up");
      const deadline = Date.now() + 60_000;
      while (held.hits === 0) {
        if (Date.now() > deadline) throw new Error(`no ${operation} within a minute: ${written()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      for (const provider of fixture.stack.providers()) process.kill(provider, "SIGKILL");
      run.child.kill("SIGKILL");
      await run.result;
      held.remove();
      fs.rmSync(path.join(stateFolder(fixture.stack), ".pulumi", "locks"), { recursive: true, force: true });
      expect(row(id)?.metadata["snapclone:owner"] === undefined).toBe(when === "before");

      const again = await ok(fixture.stack.up());
      expect(again.stdout).toContain(`took over the snapshot ${id}`);
      expect(again.stdout).not.toContain("in no state");
      expect(row(id)).toMatchObject({ name: "mine", metadata: FOREIGN });
      expect(fixture.snapshots()).toEqual([id]);
      await ok(fixture.stack.up({ args: ["--expect-no-changes"] }));
    },
  );
});
