// LinkedTargetSet with a model of Pulumi's engine: which groups of targets are whole, and interrupted or failed operations.

import type { ViprTarget } from "../../emulator";
import type { Batch, TargetOutput } from "../../provider/vipr/linkedTargetSet/state";
import { SETS } from "../support/viprFixture";
import {
  active,
  fixture,
  good,
  idsOf,
  monday,
  outputOf,
  outs,
  posts,
  shopMonday,
  shopTuesday,
  tuesday,
  up,
} from "./linkedTargetSetEngineFixture";

const named = (label: string) => fixture.vipr.active().find((target) => target.label === label) as ViprTarget;

const names = () =>
  fixture.vipr
    .active()
    .map(({ label }) => label.slice((fixture.entry()?.id ?? "").length))
    .sort();

describe("the groups of a set", () => {
  const batches = () => outs().batches as Batch[];

  test("are recorded by request, with the number of targets that belong together", async () => {
    await good(up(SETS.shop));
    await good(up({ ...SETS.shop, count: 3 }));
    expect(batches()).toEqual([
      { batch: 1, parts: 2, targetIds: idsOf().slice(0, 4) },
      { batch: 2, parts: 2, targetIds: idsOf().slice(4) },
    ]);
    await good(up({ ...SETS.shop, count: 1 }));
    expect(batches().map(({ batch, targetIds }) => [batch, targetIds.length])).toEqual([
      [1, 2],
      [2, 0],
    ]);
  });

  test("stay when the consistency group has grown, and a warning says so", async () => {
    await good(up(SETS.shop));
    const old = idsOf();
    fixture.vipr.createVolume("shop-images", { group: fixture.vipr.sessions.get(shopMonday)?.group ?? "" });
    const refreshed = await good(fixture.run((engine) => engine.refresh()));
    expect(outputOf(refreshed)).toMatch(/warning: .*the consistency group has grown to 3 volumes.*g1-1-1 .*--replace/s);
    expect(outs()).toMatchObject({ count: 2 });
    const grown = await good(up({ ...SETS.shop, count: 3 }));
    expect(outputOf(grown)).toContain("the consistency group has grown to 3 volumes");
    expect(outs()).toMatchObject({ count: 3 });
    expect(idsOf().slice(0, 4)).toEqual(old);
    expect(idsOf()).toHaveLength(7);
    expect(posts("unlink")).toBe(0);
    const again = await good(up({ ...SETS.shop, count: 3 }));
    expect(outputOf(again)).toBe("");
    await good(fixture.run((engine) => engine.destroy()));
    expect(active()).toEqual([]);
  });

  test.each([
    ["a part more", (id: string) => `${id}g1-1-1`],
    ["one more", (id: string) => `${id}g1-7`],
    ["another request's", (id: string) => `${id}g0-1`],
  ])("do not include a foreign target with a name of the set (%s), and a warning names it", async (_, label) => {
    await good(up(SETS.monday));
    const { id } = fixture.entry() ?? { id: "" };
    const foreign = fixture.vipr.linkNow(monday, label(id));
    const refreshed = await good(fixture.run((engine) => engine.refresh()));
    expect(outputOf(refreshed)).toMatch(
      /warning: .*have names of this set, and the set has not made them: dev-.*left alone/s,
    );
    expect(outs()).toMatchObject({ count: 2 });
    for (const count of [3, 1]) {
      await good(up({ ...SETS.monday, count }));
      expect(outs()).toMatchObject({ count });
      expect(idsOf()).not.toContain(foreign.id);
    }
    await good(up({ ...SETS.monday, count: 1, snapshotSessionId: tuesday }));
    expect(fixture.vipr.linkedNames(monday)).toEqual([foreign.label]);
    await good(fixture.run((engine) => engine.destroy()));
    expect(active()).toEqual([foreign.id]);
  });

  test("are completed when the only group has lost a part", async () => {
    await good(up({ ...SETS.shop, count: 1 }));
    fixture.vipr.unlinkNow(idsOf()[1] ?? "");
    await good(fixture.run((engine) => engine.refresh()));
    expect(outs()).toMatchObject({ count: 0 });
    await good(up({ ...SETS.shop, count: 1 }));
    expect(names()).toEqual(["g2-1-1", "g2-1-2"]);
    expect(outs()).toMatchObject({ count: 1, remains: [] });
  });

  test("are linked anew before the rest of a broken group is unlinked", async () => {
    await good(up({ ...SETS.shop, count: 1 }));
    const [rest = "", lost = ""] = idsOf();
    fixture.vipr.unlinkNow(lost);
    await good(fixture.run((engine) => engine.refresh()));
    fixture.vipr.failNext({ operation: "link", succeed: 0 });
    const failed = await up({ ...SETS.shop, count: 1 });
    expect(outputOf(failed)).toContain("ended in error");
    expect(active()).toEqual([rest]);
    expect(outs()).toMatchObject({ remains: [rest] });
    await good(up({ ...SETS.shop, count: 1 }));
    expect(names()).toEqual(["g3-1-1", "g3-1-2"]);
  });

  test("show a difference until the rest of a broken group could be unlinked", async () => {
    await good(up(SETS.shop));
    const [rest = "", lost = ""] = idsOf();
    fixture.vipr.unlinkNow(lost);
    fixture.vipr.setExported(rest);
    await good(fixture.run((engine) => engine.refresh()));
    const failed = await up(SETS.shop);
    expect(outputOf(failed)).toContain("currently exported to a host");
    // After a refresh the engine does not know any more that the update failed.
    await good(fixture.run((engine) => engine.refresh()));
    expect(outs()).toMatchObject({ count: 2, remains: [rest] });
    fixture.vipr.setExported(rest, false);
    await good(up(SETS.shop));
    expect(active()).not.toContain(rest);
    expect(outs()).toMatchObject({ count: 2, remains: [] });
  });

  describe("of a set of an early build, whose state has no batches", () => {
    const forget = () =>
      fixture.engine.edit(({ entries }) => {
        for (const { outputs } of entries)
          for (const key of ["batches", "remains", "unlinkedTargets"]) delete outputs[key];
      });

    test("consist of the targets that the state names", async () => {
      await good(up(SETS.shop));
      forget();
      fixture.vipr.linkNow(monday, `${fixture.entry()?.id}g1-9`);
      await good(up({ ...SETS.shop, count: 3, snapshotSessionId: shopTuesday }));
      expect(batches().map(({ parts }) => parts)).toEqual([2, 2]);
      expect(names()).toEqual(["g1-1-1", "g1-1-2", "g1-2-1", "g1-2-2", "g1-9", "g2-1-1", "g2-1-2"]);
    });

    test("are neither counted nor unlinked when they are smaller than others, and a warning names them", async () => {
      await good(up(SETS.shop));
      fixture.vipr.unlinkNow(named(`${fixture.entry()?.id}g1-2-2`).id);
      // The state as a refresh of the early build has left it.
      await good(fixture.run((engine) => engine.refresh()));
      forget();
      const result = await good(up(SETS.shop));
      expect(outputOf(result)).toMatch(/warning: the groups of these targets are smaller than other groups.*g1-2-1/s);
      expect(outs()).toMatchObject({ count: 2 });
      expect(names()).toEqual(["g1-1-1", "g1-1-2", "g1-2-1", "g2-1-1", "g2-1-2"]);
      expect(posts("unlink")).toBe(0);
      await good(fixture.run((engine) => engine.destroy()));
      expect(active()).toEqual([]);
    });

    test("lose a foreign target that the early build has recorded", async () => {
      await good(up(SETS.monday));
      const foreign = fixture.vipr.linkNow(monday, `${fixture.entry()?.id}g1-1-1`);
      forget();
      fixture.engine.edit(({ entries }) => {
        const targets = entries[0]?.outputs.targets as TargetOutput[];
        targets.push({ id: foreign.id, name: foreign.label, snapshotSessionId: monday });
      });
      await good(fixture.run((engine) => engine.refresh()));
      expect(idsOf()).toHaveLength(2);
      await good(fixture.run((engine) => engine.destroy()));
      expect(active()).toEqual([foreign.id]);
    });
  });
});

describe("an interrupted or failed operation", () => {
  test.each([
    ["link", { ...SETS.monday, count: 4 }],
    ["relink", { ...SETS.monday, snapshotSessionId: tuesday }],
    ["unlink", { ...SETS.monday, count: 1 }],
  ] as const)("a %s that ViPR answers with 503/9501 is sent again after Retry-After", async (operation, after) => {
    await good(up(SETS.monday));
    const before = posts(operation);
    for (let times = 0; times < 3; times += 1) fixture.vipr.failNext({ operation, undispatched: true });
    const slept = fixture.clock.slept.length;
    await good(up(after));
    expect(posts(operation)).toBe(before + 4);
    expect(fixture.clock.slept.slice(slept).filter((ms) => Math.round(ms / 1_000) === 30)).toHaveLength(3);
    expect(outs()).toMatchObject(after);
    expect(names().filter((name) => !name.startsWith("g1-")).length).toBe(operation === "link" ? 2 : 0);
  });

  test("503/9501 until the timeout fails, and nothing is made", async () => {
    for (let times = 0; times < 100; times += 1) fixture.vipr.failNext({ operation: "link", undispatched: true });
    const { errors } = await up({ ...SETS.monday, __timeouts: { create: "5m10s" } });
    expect(String(errors[0])).toMatch(
      /cannot create .*503: code 9501, The coordinator was unable to locate the service/,
    );
    // The request is sent at once and then every half minute.
    expect(posts("link")).toBe(11);
    expect([active(), fixture.engine.state.entries]).toEqual([[], []]);
  });

  test("a suspended task that an operator has rolled back is repeated by the next up, with a warning", async () => {
    await good(up(SETS.monday));
    fixture.vipr.failNext({ operation: "relink", suspend: "suspended_error" });
    const moved = { ...SETS.monday, snapshotSessionId: tuesday };
    const stuck = await up(moved);
    expect(outputOf(stuck)).toMatch(/an operator has to resume it or roll it back/);
    const task = [...fixture.vipr.tasks.values()].find(({ state }) => state === "suspended_error");
    fixture.vipr.rollback(task?.id ?? "");
    const result = await good(up(moved));
    expect(outputOf(result)).toMatch(
      /warning: ViPR's task .* ended in error: code 16001.*[^.]\. This run does what the task has left undone/s,
    );
    expect(fixture.vipr.linkedNames(tuesday)).toHaveLength(2);
  });

  test("a session that is deleted under its targets leaves them in the state, and other targets can be linked", async () => {
    await good(up(SETS.monday));
    const unlinked = idsOf();
    fixture.vipr.deleteSessionNow(monday);
    const refreshed = await good(fixture.run((engine) => engine.refresh()));
    expect(outputOf(refreshed)).toMatch(
      /warning: .*no snapshot session has.*g1-1 \(urn\S+\), .*the snapshot session urn\S+ is deleted.*deactivate/s,
    );
    expect(outs()).toMatchObject({ count: 0, unlinkedTargets: unlinked.map((id) => ({ id })) });
    const same = await up(SETS.monday);
    expect(String(same.errors[0])).toMatch(/"monday" \(urn\S+\) is deleted/);
    expect(outputOf(same)).toMatch(/warning: ViPR has targets of this set that no snapshot session has/);

    const next = await good(up({ ...SETS.monday, snapshotSessionId: tuesday }));
    expect(outputOf(next)).toMatch(/warning: ViPR has targets of this set that no snapshot session has/);
    expect(outs()).toMatchObject({ count: 2, unlinkedTargets: unlinked.map((id) => ({ id })) });
    expect(active()).toEqual(expect.arrayContaining(unlinked));
    // There is no session to unlink the targets from: the set is gone only when an operator has deleted them.
    const destroyed = await fixture.run((engine) => engine.destroy());
    expect(String(destroyed.errors[0])).toMatch(/no snapshot session to unlink them from: .*\n.*deactivate/);
    expect(active()).toEqual(unlinked);
    for (const id of unlinked) fixture.vipr.unlinkNow(id);
    await good(fixture.run((engine) => engine.destroy()));
    expect(fixture.engine.state.entries).toEqual([]);
  });

  test("the targets of a consistency group stay the set's own when their session is deleted before their create is recorded", async () => {
    const first = await fixture.run((engine) => engine.up({ dev: SETS.shop }), { nth: 4, kind: "503 for ever" });
    expect([first.errors.length, outs().sourceId, outs().pending]).toEqual([1, undefined, expect.anything()]);
    fixture.finishBackendWork();
    const made = active();
    expect(made).toHaveLength(4);
    // Collected, ViPR does not show it any more.
    fixture.vipr.deleteSessionNow(shopMonday);
    fixture.vipr.collectGarbage();
    await fixture.run((engine) => engine.refresh());
    const { errors } = await fixture.run((engine) => engine.destroy());
    expect(String(errors[0])).toMatch(/no snapshot session to unlink them from: .*\n.*deactivate/);
    expect([active(), fixture.engine.state.entries.length]).toEqual([made, 1]);
    for (const id of made) fixture.vipr.unlinkNow(id);
    await good(fixture.run((engine) => engine.destroy()));
    expect(fixture.engine.state.entries).toEqual([]);
  });

  test("a link that ViPR refuses because of a name leaves no target", async () => {
    await good(up(SETS.monday));
    const { volume = "" } = fixture.vipr.sessions.get(monday) ?? {};
    fixture.vipr.createSession(`${fixture.entry()?.id}g2-2`, { volume });
    const { errors } = await up({ ...SETS.monday, count: 4 });
    expect(String(errors[0])).toContain("already exists");
    expect(active()).toEqual(idsOf());
    expect(outs()).toMatchObject({ count: 2, remains: [] });
  });

  test("an update that failed after its relink does not relink again", async () => {
    await good(up({ ...SETS.monday, refreshTriggers: ["mon"] }));
    fixture.vipr.failNext({ operation: "link", succeed: 0 });
    const after = { ...SETS.monday, refreshTriggers: ["tue"], count: 3 };
    const failed = await up(after);
    expect(outputOf(failed)).toContain("ended in error");
    expect(posts("relink")).toBe(1);
    expect(outs()).toMatchObject({ refreshedBy: ["tue"] });
    await good(up(after));
    // A second relink would throw away what was written to the targets since.
    expect(posts("relink")).toBe(1);
    expect(outs()).toMatchObject({ count: 3 });
  });
});
