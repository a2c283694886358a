// The snapshot of a killed run: the next create adopts it where the state proves that its own create began it and was never
// recorded.

import { describeEngine } from "../harness";
import { adopted, appeared, changes, type Declaration, OwnershipFixture, ok, orphans, pause, urn } from "./fixture";

const DAY_MS = 86_400_000;

describeEngine("adopting what a killed run has left", () => {
  const fixture = new OwnershipFixture();
  const replace = (name: string) => ["--replace", urn(name)];

  test("the next up adopts it, and reports that in a permanent line; what the state holds is known", async () => {
    fixture.declare({ a: {}, b: { opts: { dependsOn: ["a"] } } });
    const [a, b] = await fixture.killed([], 2);

    const up = await ok(fixture.stack.up());
    expect([fixture.entry("a"), fixture.entry("b")]).toEqual([a, b]);
    expect(adopted(up)).toEqual([b]);
    const [line] = up.events.flatMap(({ diagnosticEvent: message }) =>
      message?.message.includes("adopted") ? [message] : [],
    );
    expect(line).toMatchObject({ severity: "info", urn: urn("b") });
    expect(line?.ephemeral ?? false).toBe(false);
    expect(line?.message).toMatch(
      /adopted the snapshot \S+ "b-\w{7}", made 20\d\d-\S+Z \(\d+(\.\d+)? ?m?s ago\), for urn/,
    );
    expect(orphans(up)).toEqual([]);

    // Nothing differs any more, so the run sends no request.
    const requests = fixture.cloud.requests.length;
    expect(changes(await ok(fixture.stack.up()))).toEqual({ same: 3 });
    expect(fixture.cloud.requests).toHaveLength(requests);
    expect((await ok(fixture.stack.refresh({ args: ["--clear-pending-creates"] }))).stdout).not.toContain(
      "in no state",
    );
    expect((await ok(fixture.stack.up())).stdout).not.toContain("pending operations");
    const state = JSON.stringify(await fixture.stack.export());
    expect(state).toContain("__attempt");
    expect(state).not.toContain("__request");
    expect(up.stdout).not.toMatch(/__(attempt|owner|organization|stack|backend)/);

    await ok(fixture.stack.destroy());
    expect(fixture.snapshots()).toEqual([]);
  });

  test("--replace, taint and --replace of everything: a new one each time, never the old one again", async () => {
    fixture.declare({ a: {} });
    await ok(fixture.stack.up());
    const first = fixture.entry("a");
    await ok(fixture.stack.up({ args: replace("a") }));
    const second = fixture.entry("a");
    expect(second).not.toBe(first);
    expect(fixture.snapshots()).toEqual([second]);

    // A plain up asks for no other one: the state keeps its own, and a refresh names the killed run's.
    const [third] = await fixture.killed(replace("a"));
    await ok(fixture.stack.up());
    expect(fixture.entry("a")).toBe(second);
    expect(orphans(await ok(fixture.stack.refresh()))).toEqual([third]);
    // The next --replace adopts what the killed run began.
    const again = await ok(fixture.stack.up({ args: replace("a") }));
    expect(adopted(again)).toEqual([third]);
    expect(fixture.entry("a")).toBe(third);
    expect(fixture.snapshots()).toEqual([third]);

    await ok(fixture.stack.command(["state", "taint", "--stack", fixture.stack.name, "--yes", urn("a")]));
    const tainted = await ok(fixture.stack.up());
    const fourth = fixture.entry("a");
    expect([first, second, third]).not.toContain(fourth);
    expect(adopted(tainted)).toEqual([]);
    expect(fixture.snapshots()).toEqual([fourth]);

    // With the provider itself replaced, the deletion goes to another process than the create.
    const everything = ["--replace", "**"];
    const [fifth] = await fixture.killed(everything);
    const all = await ok(fixture.stack.up({ args: everything }));
    expect(adopted(all)).toEqual([fifth]);
    expect(fixture.snapshots()).toEqual([fifth]);
    const last = await ok(fixture.stack.up({ args: everything }));
    expect(adopted(last)).toEqual([]);
    // Another process has deleted what was listed before, so there is nothing to name.
    expect([orphans(all), orphans(last)]).toEqual([[], []]);
    expect(fixture.snapshots()).toEqual([fixture.entry("a")]);
    expect(fixture.snapshots()).not.toContain(fifth);
  });

  test("replaceWith and replacementTrigger: a new one each time, and the killed run's is adopted once", async () => {
    const declared = (day: string): Declaration => ({
      a: { args: { triggers: [day] } },
      b: { opts: { replaceWith: ["a"], dependsOn: ["a"] } },
      c: { opts: { replacementTrigger: day, dependsOn: ["b"] } },
    });
    fixture.declare(declared("mon"));
    await ok(fixture.stack.up());
    const mon = [fixture.entry("a"), fixture.entry("b"), fixture.entry("c")];
    fixture.declare(declared("tue"));
    expect(adopted(await ok(fixture.stack.up()))).toEqual([]);
    const tue = [fixture.entry("a"), fixture.entry("b"), fixture.entry("c")];
    for (const id of mon) expect(tue).not.toContain(id);
    expect(fixture.snapshots()).toEqual([...tue].sort());

    fixture.declare(declared("wed"));
    const begun = await fixture.killed([], 3);
    const up = await ok(fixture.stack.up());
    expect(adopted(up)).toEqual([begun[2]]);
    expect(fixture.entry("c")).toBe(begun[2]);
    expect(fixture.snapshots()).toEqual([fixture.entry("a"), fixture.entry("b"), fixture.entry("c")].sort());
    for (const id of tue) expect(fixture.snapshots()).not.toContain(id);
  });

  test("triggers mon (killed), tue, mon: Monday's is of an older instant, so it is reported and not adopted", async () => {
    const day = (name: string) => fixture.declare({ a: { args: { triggers: [name] } } });
    day("mon");
    const [monday] = await fixture.killed();
    for (const name of ["tue", "mon"]) {
      day(name);
      const up = await ok(fixture.stack.up());
      expect(adopted(up)).toEqual([]);
      expect(fixture.entry("a")).not.toBe(monday);
      expect(orphans(up)).toEqual([monday]);
    }
    expect(fixture.snapshots()).toEqual([monday, fixture.entry("a")].sort());
    expect(orphans(await ok(fixture.stack.destroy()))).toEqual([monday]);
    expect(fixture.snapshots()).toEqual([monday]);
  });

  test("Ctrl-C twice, so that the state is not saved: adopted", async () => {
    fixture.declare({ a: {} });
    // Otherwise the first Ctrl-C ends the wait, and the state records what was begun.
    const run = fixture.stack.start("up", { env: { SNAPCLONE_IGNORE_CANCEL: "1" } });
    const [begun] = await appeared(fixture.cloud, 0, 1);
    run.child.kill("SIGINT");
    await pause(100);
    run.child.kill("SIGINT");
    expect((await run.result).code).not.toBe(0);
    expect(await fixture.stack.resources()).toEqual([]);
    await ok(fixture.stack.cancel());
    expect(adopted(await ok(fixture.stack.up()))).toEqual([begun]);
  });

  test("a cloud whose clock is a day ahead: adopted, with the age by that clock", async () => {
    fixture.cloud.clock.tick(DAY_MS);
    fixture.declare({ a: {} });
    const [begun] = await fixture.killed();
    const up = await ok(fixture.stack.up());
    expect(adopted(up)).toEqual([begun]);
    expect(up.stdout).toMatch(/adopted the snapshot .*\(\d+ s ago\)/);
    const [newer] = await fixture.killed(replace("a"));
    expect(adopted(await ok(fixture.stack.up({ args: replace("a") })))).toEqual([newer]);
    expect(fixture.snapshots()).toEqual([newer]);
  });
});
