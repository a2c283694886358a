// What docs/troubleshooting.md tells a user to do about a damaged state: its commands are copied out of the page and run.

import * as fs from "node:fs";
import * as path from "node:path";
import { describeEngine, type Result } from "./harness";
import { changes, OwnershipFixture, ok, orphans, stateFolder } from "./ownership/fixture";

const PAGE = fs.readFileSync(path.resolve(__dirname, "..", "..", "docs", "troubleshooting.md"), "utf8");

describeEngine("a damaged state", () => {
  const fixture = new OwnershipFixture();
  const inState = (name: string) =>
    path.join(stateFolder(fixture.stack), ".pulumi", "stacks", "snapclone-test", `dev.json${name}`);

  test("a kill left the attributes empty: their removal is enough, and they need not be written", async () => {
    fixture.declare({ a: {}, b: {} });
    const [first] = await fixture.killed(["--parallel", "1"]);
    fs.writeFileSync(inState(".attrs"), "");
    for (const command of [fixture.stack.cancel(), fixture.stack.up(), fixture.stack.command(["stack", "ls"])]) {
      expect(await command).toMatchObject({ stderr: expect.stringContaining("EOF") });
    }
    await ok(followPage("failed to load checkpoint: EOF"));
    const up = await ok(fixture.stack.up());
    expect(changes(up)).toEqual({ same: 1, create: 2 });
    expect(fixture.snapshots()).toContain(first);
    expect(fixture.snapshots()).toHaveLength(2);

    const env = { PULUMI_BACKEND_URL: `file://${stateFolder(fixture.stack)}?metadata=skip` };
    fs.rmSync(inState(".attrs"));
    fixture.declare({ a: { args: { name: "renamed" } }, b: {} });
    const renamed = await ok(fixture.stack.up({ env }));
    expect([changes(renamed), orphans(renamed)]).toEqual([{ same: 2, update: 1 }, []]);
    expect(fs.existsSync(inState(".attrs"))).toBe(false);
  });

  test("a full disk has cut off the state and its .bak: the last backup is put back", async () => {
    fixture.declare({ a: {} });
    await ok(fixture.stack.up());
    await ok(fixture.stack.refresh());
    const ids = fixture.snapshots();
    fs.truncateSync(inState(""), 200);
    fs.truncateSync(inState(".bak"));
    expect((await fixture.stack.up()).stderr).toContain("unexpected end of JSON input");
    await ok(followPage("failed to load checkpoint: … unexpected end of JSON input"));
    await ok(fixture.stack.refresh());
    expect(changes(await ok(fixture.stack.up()))).toEqual({ same: 2 });
    expect(fixture.snapshots()).toEqual(ids);
  });

  /** Runs the commands below the heading. */
  function followPage(heading: string): Promise<Result> {
    const [, section = ""] = PAGE.split(`### \`${heading}\`\n`);
    const [, block = ""] = /```sh\n([\s\S]*?)```/.exec(section) ?? [];
    const script = block
      .replace("<the folder of the file backend>", stateFolder(fixture.stack))
      .replaceAll("<project>", "snapclone-test")
      .replaceAll("<stack>", fixture.stack.name);
    return fixture.stack.command(["-ec", script], { executable: "bash" });
  }
});
