// LinkedTargetSet with a model of Pulumi's engine: which sets a run adopts, what proves that a set is gone, which groups are
// whole, and how many requests an operation takes.

import { createHash } from "node:crypto";
import { SEED_SESSIONS, type ViprTarget } from "../../emulator";
import type { Properties } from "../../provider/core/lifecycle";
import { linkedTargetSet } from "../../provider/vipr/linkedTargetSet/resource";
import type { Batch, PromotedVolume, TargetOutput } from "../../provider/vipr/linkedTargetSet/state";
import type { RunResult } from "../support/fakeEngine";
import { SETS, ViprFixture } from "../support/viprFixture";

const { monday, tuesday, shopMonday, shopTuesday } = SEED_SESSIONS;
const fixture = new ViprFixture();
beforeEach(() => fixture.reset());

const up = (args: Properties, options = {}, aliases = {}) =>
  fixture.run((engine) => engine.up({ dev: args }, options, aliases));
const good = async (run: Promise<RunResult>): Promise<RunResult> => {
  const result = await run;
  expect(result.errors).toEqual([]);
  expect(result.killed).toBe(false);
  return result;
};
const outputOf = ({ errors, log }: RunResult) => [...errors.map(String), ...log].join("\n");
const outs = () => fixture.entry()?.outputs ?? {};
const idsOf = (outputs: Properties = outs()) => (outputs.targets as TargetOutput[]).map(({ id }) => id);
const active = () => fixture.vipr.active().map(({ id }) => id);
const named = (label: string) => fixture.vipr.active().find((target) => target.label === label) as ViprTarget;
const names = () =>
  fixture.vipr
    .active()
    .map(({ label }) => label.slice((fixture.entry()?.id ?? "").length))
    .sort();
const posts = (operation: string) => fixture.emulator.requests.count({ operation: `sessions.${operation}` });

describe("the number of requests", () => {
  test("create: ten at most for one target, with login and logout, and no tag", async () => {
    await good(up({ ...SETS.monday, count: 1 }));
    expect(fixture.asked.length).toBeLessThanOrEqual(10);
    expect(fixture.asked.filter((asked) => asked.startsWith("PUT"))).toEqual([]);
  });

  test("create: one for the tenant in a whole run", async () => {
    await good(fixture.run((engine) => engine.up({ dev: SETS.monday, test: { ...SETS.monday, targetName: "test" } })));
    expect(fixture.asked.filter((asked) => asked.endsWith("/tenant"))).toHaveLength(1);
  });

  test("delete: six for one target and for many", async () => {
    for (const count of [1, 50]) {
      fixture.reset();
      await good(up({ ...SETS.monday, count }));
      await good(fixture.run((engine) => engine.destroy()));
      expect(fixture.asked).toEqual([
        "GET /vipr/login",
        "GET /vipr/block/snapshot-sessions/{id}/tasks",
        "POST /vipr/block/snapshot-sessions/{id}/unlink-targets",
        "GET /vipr/vdc/tasks/{id}",
        "GET /vipr/block/snapshots/search",
        "GET /vipr/logout",
      ]);
      expect(active()).toEqual([]);
    }
  });
});

describe("adopt", () => {
  test.each(["killed before", "killed after"] as const)(
    "a run that was %s any of its requests: the next up ends with one set",
    async (what) => {
      await good(up(SETS.monday));
      const all = fixture.requests;
      for (let nth = 0; nth < all; nth += 1) {
        fixture.reset();
        await fixture.run((engine) => engine.up({ dev: SETS.monday }), { nth, kind: what });
        const [made, recorded] = [active(), fixture.engine.state.entries.length];
        const result = await good(up(SETS.monday));
        expect(posts("link")).toBe(1);
        if (made.length > 0 && recorded === 0) {
          expect(outputOf(result)).toContain("info: adopted the linked target set dev-");
          expect(idsOf()).toEqual(made);
        }
        expect(idsOf().sort()).toEqual(active().sort());
        expect(outs().count).toBe(2);
      }
    },
  );

  test("adopts a set although count and session have changed, and only once", async () => {
    await fixture.run((engine) => engine.up({ dev: SETS.monday }), { nth: 3, kind: "killed after" });
    const made = active();
    const news = { ...SETS.monday, count: 3, snapshotSessionId: tuesday };
    await good(up(news));
    expect(idsOf().slice(0, 2)).toEqual(made);
    expect(outs()).toMatchObject({ count: 3, snapshotSessionId: tuesday });
    const { id } = fixture.entry() ?? {};
    await good(up(news, { replace: ["dev"] }));
    expect(fixture.entry()?.id).not.toBe(id);
    expect(idsOf().sort()).toEqual(active().sort());
  });

  test("adopts a set with a warning when the login may not write tags", async () => {
    await fixture.run((engine) => engine.up({ dev: SETS.monday }), { nth: 3, kind: "killed after" });
    const service = fixture.cloud;
    const { answer } = service;
    const refused = { status: 403, headers: {}, body: '{"code":3000,"description":"forbidden","retryable":false}' };
    fixture.cloud = { ...service, answer: (sent) => (sent.method === "PUT" ? refused : answer(sent)) };
    try {
      const result = await good(up(SETS.monday));
      expect(outputOf(result)).toMatch(/warning: the ownership record of dev-\w+ could not be written: .*code 3000/);
      expect(posts("link")).toBe(1);
      // A replacement needs no tags.
      await good(up(SETS.monday, { replace: ["dev"] }));
    } finally {
      fixture.cloud = service;
    }
  });

  test("does not adopt a set with another copy mode, and warns about it at the end of the run", async () => {
    await fixture.run((engine) => engine.up({ dev: SETS.monday }), { nth: 3, kind: "killed after" });
    const [first] = fixture.vipr.active();
    const result = await good(up({ ...SETS.monday, copyMode: "copy" }));
    expect(posts("link")).toBe(2);
    expect(outputOf(result)).toContain(`warning: in no state: a linked target set`);
    expect(outputOf(result)).toContain(first?.label.split("g1-")[0]);
  });

  test("--replace after a killed --replace makes a new set, and never deletes the only set", async () => {
    await good(up(SETS.monday));
    const { id } = fixture.entry() ?? {};
    await fixture.run((engine) => engine.up({ dev: SETS.monday }, { replace: ["dev"] }), {
      nth: 3,
      kind: "killed after",
    });
    expect(fixture.entry()?.id).toBe(id);
    await good(up(SETS.monday, { replace: ["dev"] }));
    expect(fixture.entry()?.id).not.toBe(id);
    expect(fixture.vipr.active().some(({ label }) => label.startsWith(`${fixture.entry()?.id}g`))).toBe(true);
  });

  test("ignores the set of another stack, and of a stack with the same name in another state store", async () => {
    await fixture.run((engine) => engine.up({ dev: SETS.monday }), { nth: 3, kind: "killed after" });
    for (const options of [{ stack: "prod" }, { origin: "origin 2" }]) {
      fixture.engine = fixture.newEngine(options);
      const before = posts("link");
      const result = await good(up(SETS.monday));
      expect(posts("link")).toBe(before + 1);
      expect(outputOf(result)).toBe("");
    }
  });

  test("a new name in the program is written as tags, which count more than the target's name", async () => {
    await good(up(SETS.monday));
    const { id } = fixture.entry() ?? {};
    // Another resource gets the old name.
    await good(
      fixture.run((engine) => engine.up({ test: SETS.monday, dev: { ...SETS.monday, count: 1 } }, {}, { test: "dev" })),
    );
    const tags = fixture.vipr
      .active()
      .filter(({ label }) => label.startsWith(`${id}g`))
      .map((target) => [...target.tags].join(" "));
    expect(tags).toEqual([1, 2].map(() => expect.stringMatching(/snapclone:owner=[0-9a-f]{8} .*snapclone:settled/)));
    expect(fixture.engine.state.entries.map((entry) => entry.outputs.count)).toEqual([2, 1]);
    // The state loses the set, as when an older state is imported. The resource with the old name must not adopt it.
    fixture.engine.edit((state) => {
      state.entries = [];
      state.pending.push({ urn: fixture.engine.urn("dev"), inputs: {} });
    });
    await good(up(SETS.monday));
    expect(fixture.entry()?.id).not.toBe(id);
  });

  test("adopts an open set of a build before 0.2, and not a settled one", async () => {
    const digest = (text: string) => createHash("sha256").update(text).digest("hex");
    const fingerprint = digest('{"copyMode":"nocopy","targetName":"dev"}').slice(0, 4);
    for (const settled of [false, true]) {
      fixture.reset();
      const urn = fixture.engine.urn("dev");
      const id = `dev-${digest(urn).slice(0, 8)}${fingerprint}a1b2c3`;
      const session = fixture.vipr.sessions.get(monday);
      if (!session) throw new Error("no session");
      fixture.vipr.link(session, 2, `${id}g1`, "nocopy");
      fixture.finishBackendWork();
      const made = active();
      if (settled) fixture.vipr.active()[0]?.tags.add("snapclone:settled");
      fixture.engine.edit(({ pending }) => pending.push({ urn, inputs: {} }));
      await good(up(SETS.monday));
      expect(fixture.entry()?.id === id).toBe(!settled);
      // A build before 0.2 must not adopt it again.
      if (!settled)
        expect(made.map((one) => fixture.vipr.targets.get(one)?.tags.has("snapclone:settled"))).toEqual([true, true]);
    }
  });
});

describe("refresh and destroy, and the set is not visible", () => {
  const states = () => structuredClone(fixture.engine.state);

  test("stop when the login reaches another tenant, and name both tenants", async () => {
    await good(up(SETS.monday));
    const before = states();
    const other = "urn:storageos:TenantOrg:99999999-dc0c-4ec1-9239-0154f05ef939:global";
    fixture.emulator.vipr.auth.addUser({ name: "guest", password: "secret", role: "admin", tenant: other });
    fixture.username = "guest";
    for (const target of [...fixture.vipr.targets.keys()]) fixture.vipr.targets.delete(target);
    for (const operation of ["refresh", "destroy"] as const) {
      const { errors } = await fixture.run((engine) => engine[operation]());
      expect(String(errors[0])).toMatch(/state says tenant urn:storageos:TenantOrg:4f24.*reaches tenant .*9999/);
      expect(states()).toEqual(before);
    }
  });

  test("stop when the login sees neither the session nor the source, as in another VDC", async () => {
    await good(up(SETS.monday));
    const before = states();
    for (const table of [fixture.vipr.targets, fixture.vipr.sessions, fixture.vipr.volumes]) table.clear();
    for (const operation of ["refresh", "destroy"] as const) {
      const { errors } = await fixture.run((engine) => engine[operation]());
      expect(String(errors[0])).toMatch(/sees neither the snapshot session urn\S+ nor its source urn/);
      expect(states()).toEqual(before);
    }
  });

  test("remove the set from the state when the session or the source is visible", async () => {
    for (const lost of ["sessions", "volumes"] as const) {
      fixture.reset();
      await good(up(SETS.monday));
      for (const id of active()) fixture.vipr.unlinkNow(id);
      fixture.vipr.collectGarbage();
      fixture.vipr[lost].clear();
      await good(fixture.run((engine) => engine.refresh()));
      expect(fixture.engine.state.entries).toEqual([]);
    }
  });

  test("create: waits for a task that ViPR does not show yet", async () => {
    const service = fixture.cloud;
    let stale = 0;
    const missing = {
      status: 404,
      headers: {},
      body: '{"code":2000,"description":"no","details":"no such","retryable":false}',
    };
    fixture.cloud = {
      ...service,
      answer: (sent) => {
        const isStale = /vdc\/tasks/.test(sent.url) && stale < 3;
        if (isStale) stale += 1;
        return isStale ? missing : service.answer(sent);
      },
    };
    try {
      await good(up(SETS.monday));
    } finally {
      fixture.cloud = service;
    }
    expect(stale).toBe(3);
    expect(outs()).toMatchObject({ count: 2 });
  });

  test("destroy: a missing target neither hides another error nor ends the delete", async () => {
    await good(up({ ...SETS.monday, count: 3 }));
    const [first = "", second = ""] = idsOf();
    fixture.vipr.unlinkNow(first);
    fixture.vipr.collectGarbage();
    fixture.vipr.setExported(second);
    const { errors } = await fixture.run((engine) => engine.destroy());
    expect(String(errors[0])).toMatch(/currently exported to a host/);
    expect(fixture.engine.state.entries).toHaveLength(1);
    expect(active()).toHaveLength(2);
    fixture.vipr.setExported(second, false);
    await good(fixture.run((engine) => engine.destroy()));
    expect([active(), fixture.engine.state.entries]).toEqual([[], []]);
  });
});

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

  describe("of a set of a build before 0.2, whose state has no batches", () => {
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
      // The state as a refresh of the old build has left it.
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

    test("lose a foreign target that the old build has recorded", async () => {
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

test("outputs: every output with the target name is secret when targetName is", async () => {
  await good(up({ ...SETS.monday, copyMode: "copy", deleteTargetsOnUnlink: false }));
  await good(up({ ...SETS.monday, copyMode: "copy", deleteTargetsOnUnlink: false, count: 1 }));
  const { derivedOutputs = {}, inputs } = linkedTargetSet;
  const shown = Object.entries(outs()).filter(
    ([key, value]) => !(key in inputs) && JSON.stringify(value)?.includes('"dev-'),
  );
  expect((outs().promotedVolumes as PromotedVolume[]).length).toBe(1);
  expect(shown.map(([key]) => key).filter((key) => !derivedOutputs[key]?.includes("targetName"))).toEqual([]);
});
