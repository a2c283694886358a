// What a LinkedTargetSet is held for: whose it is, when it is gone, what of it is whole, and how many requests that takes.

import { createHash } from "node:crypto";
import { SEED_SESSIONS, type ViprTarget } from "../../emulator";
import type { Properties } from "../../provider/core/lifecycle";
import { linkedTargetSet } from "../../provider/vipr/linkedTargetSet/resource";
import type { Batch, PromotedVolume, TargetOutput } from "../../provider/vipr/linkedTargetSet/state";
import type { RunResult } from "../support/fakeEngine";
import { SETS, ViprFixture } from "../support/viprFixture";

const { monday, tuesday, shopMonday, shopTuesday } = SEED_SESSIONS;
const site = new ViprFixture();
beforeEach(() => site.reset());

const up = (args: Properties, options = {}, aliases = {}) =>
  site.run((engine) => engine.up({ dev: args }, options, aliases));
const good = async (run: Promise<RunResult>): Promise<RunResult> => {
  const result = await run;
  expect(result.errors).toEqual([]);
  expect(result.killed).toBe(false);
  return result;
};
const said = ({ errors, log }: RunResult) => [...errors.map(String), ...log].join("\n");
const outs = () => site.entry()?.outputs ?? {};
const idsOf = (outputs: Properties = outs()) => (outputs.targets as TargetOutput[]).map(({ id }) => id);
const active = () => site.vipr.active().map(({ id }) => id);
const named = (label: string) => site.vipr.active().find((target) => target.label === label) as ViprTarget;
const names = () =>
  site.vipr
    .active()
    .map(({ label }) => label.slice((site.entry()?.id ?? "").length))
    .sort();
const posts = (operation: string) => site.emulator.requests.count({ operation: `sessions.${operation}` });

describe("how many requests it takes", () => {
  test("create of one: at most ten, login and logout included, and no tag", async () => {
    await good(up({ ...SETS.monday, count: 1 }));
    expect(site.asked.length).toBeLessThanOrEqual(10);
    expect(site.asked.filter((asked) => asked.startsWith("PUT"))).toEqual([]);
  });

  test("the tenant is asked for once a run", async () => {
    await good(site.run((engine) => engine.up({ dev: SETS.monday, test: { ...SETS.monday, targetName: "test" } })));
    expect(site.asked.filter((asked) => asked.endsWith("/tenant"))).toHaveLength(1);
  });

  test("delete of one or of many: six", async () => {
    for (const count of [1, 50]) {
      site.reset();
      await good(up({ ...SETS.monday, count }));
      await good(site.run((engine) => engine.destroy()));
      expect(site.asked).toEqual([
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

describe("adoption", () => {
  test.each(["killed before", "killed after"] as const)("an up that was %s any of its requests", async (what) => {
    await good(up(SETS.monday));
    const all = site.requests;
    for (let nth = 0; nth < all; nth += 1) {
      site.reset();
      await site.run((engine) => engine.up({ dev: SETS.monday }), { nth, what });
      const [made, recorded] = [active(), site.engine.state.entries.length];
      const result = await good(up(SETS.monday));
      expect(posts("link")).toBe(1);
      if (made.length > 0 && recorded === 0) {
        expect(said(result)).toContain("info: adopted the linked target set dev-");
        expect(idsOf()).toEqual(made);
      }
      expect(idsOf().sort()).toEqual(active().sort());
      expect(outs().count).toBe(2);
    }
  });

  test("count and session may have changed since; a later run adopts nothing any more", async () => {
    await site.run((engine) => engine.up({ dev: SETS.monday }), { nth: 3, what: "killed after" });
    const made = active();
    const news = { ...SETS.monday, count: 3, snapshotSessionId: tuesday };
    await good(up(news));
    expect(idsOf().slice(0, 2)).toEqual(made);
    expect(outs()).toMatchObject({ count: 3, snapshotSessionId: tuesday });
    const { id } = site.entry() ?? {};
    await good(up(news, { replace: ["dev"] }));
    expect(site.entry()?.id).not.toBe(id);
    expect(idsOf().sort()).toEqual(active().sort());
  });

  test("a set whose record can't be written for want of rights is adopted all the same, with a word", async () => {
    await site.run((engine) => engine.up({ dev: SETS.monday }), { nth: 3, what: "killed after" });
    const service = site.cloud;
    const { answer } = service;
    const refused = { status: 403, headers: {}, body: '{"code":3000,"description":"forbidden","retryable":false}' };
    site.cloud = { ...service, answer: (sent) => (sent.method === "PUT" ? refused : answer(sent)) };
    try {
      const result = await good(up(SETS.monday));
      expect(said(result)).toMatch(/warning: the ownership record of dev-\w+ could not be written: .*code 3000/);
      expect(posts("link")).toBe(1);
      // Nothing of it is needed for a replacement.
      await good(up(SETS.monday, { replace: ["dev"] }));
    } finally {
      site.cloud = service;
    }
  });

  test("another copy mode: not adopted, and told at the end of the run", async () => {
    await site.run((engine) => engine.up({ dev: SETS.monday }), { nth: 3, what: "killed after" });
    const [first] = site.vipr.active();
    const result = await good(up({ ...SETS.monday, copyMode: "copy" }));
    expect(posts("link")).toBe(2);
    expect(said(result)).toContain(`warning: in no state: a linked target set`);
    expect(said(result)).toContain(first?.label.split("g1-")[0]);
  });

  test("--replace after a killed one makes a new set each time, and the only set is never deleted", async () => {
    await good(up(SETS.monday));
    const { id } = site.entry() ?? {};
    await site.run((engine) => engine.up({ dev: SETS.monday }, { replace: ["dev"] }), { nth: 3, what: "killed after" });
    expect(site.entry()?.id).toBe(id);
    await good(up(SETS.monday, { replace: ["dev"] }));
    expect(site.entry()?.id).not.toBe(id);
    expect(site.vipr.active().some(({ label }) => label.startsWith(`${site.entry()?.id}g`))).toBe(true);
  });

  test("of another stack, or of the same one in another store: a stranger", async () => {
    await site.run((engine) => engine.up({ dev: SETS.monday }), { nth: 3, what: "killed after" });
    for (const options of [{ stack: "prod" }, { origin: "origin 2" }]) {
      site.engine = site.newEngine(options);
      const before = posts("link");
      const result = await good(up(SETS.monday));
      expect(posts("link")).toBe(before + 1);
      expect(said(result)).toBe("");
    }
  });

  test("a new name in the program: tags say who it is now, and override the name", async () => {
    await good(up(SETS.monday));
    const { id } = site.entry() ?? {};
    // The freed name is used again.
    await good(
      site.run((engine) => engine.up({ test: SETS.monday, dev: { ...SETS.monday, count: 1 } }, {}, { test: "dev" })),
    );
    const tags = site.vipr
      .active()
      .filter(({ label }) => label.startsWith(`${id}g`))
      .map((target) => [...target.tags].join(" "));
    expect(tags).toEqual([1, 2].map(() => expect.stringMatching(/snapclone:owner=[0-9a-f]{8} .*snapclone:settled/)));
    expect(site.engine.state.entries.map((entry) => entry.outputs.count)).toEqual([2, 1]);
    // Forgotten by the state (an older one was imported): nobody takes it for what is called dev now.
    site.engine.edit((state) => {
      state.entries = [];
      state.pending.push({ urn: site.engine.urn("dev"), inputs: {} });
    });
    await good(up(SETS.monday));
    expect(site.entry()?.id).not.toBe(id);
  });

  test("an earlier build's open set is adopted, a settled one is not", async () => {
    const digest = (text: string) => createHash("sha256").update(text).digest("hex");
    const fingerprint = digest('{"copyMode":"nocopy","targetName":"dev"}').slice(0, 4);
    for (const settled of [false, true]) {
      site.reset();
      const urn = site.engine.urn("dev");
      const id = `dev-${digest(urn).slice(0, 8)}${fingerprint}a1b2c3`;
      const session = site.vipr.sessions.get(monday);
      if (!session) throw new Error("no session");
      site.vipr.link(session, 2, `${id}g1`, "nocopy");
      site.passAWhile();
      const made = active();
      if (settled) site.vipr.active()[0]?.tags.add("snapclone:settled");
      site.engine.edit(({ pending }) => pending.push({ urn, inputs: {} }));
      await good(up(SETS.monday));
      expect(site.entry()?.id === id).toBe(!settled);
      // Its own build must not adopt it again.
      if (!settled)
        expect(made.map((one) => site.vipr.targets.get(one)?.tags.has("snapclone:settled"))).toEqual([true, true]);
    }
  });
});

describe("gone only by proof", () => {
  const states = () => structuredClone(site.engine.state);

  test("a login to another tenant: refresh and destroy stop, and name both", async () => {
    await good(up(SETS.monday));
    const before = states();
    const other = "urn:storageos:TenantOrg:99999999-dc0c-4ec1-9239-0154f05ef939:global";
    site.emulator.viprAuth.addUser({ name: "guest", password: "secret", role: "admin", tenant: other });
    site.username = "guest";
    for (const target of [...site.vipr.targets.keys()]) site.vipr.targets.delete(target);
    for (const operation of ["refresh", "destroy"] as const) {
      const { errors } = await site.run((engine) => engine[operation]());
      expect(String(errors[0])).toMatch(/state says tenant urn:storageos:TenantOrg:4f24.*reaches tenant .*9999/);
      expect(states()).toEqual(before);
    }
  });

  test("the same tenant in another VDC, where neither session nor source is: the same", async () => {
    await good(up(SETS.monday));
    const before = states();
    for (const table of [site.vipr.targets, site.vipr.sessions, site.vipr.volumes]) table.clear();
    for (const operation of ["refresh", "destroy"] as const) {
      const { errors } = await site.run((engine) => engine[operation]());
      expect(String(errors[0])).toMatch(/sees neither the snapshot session urn\S+ nor its source urn/);
      expect(states()).toEqual(before);
    }
  });

  test("all unlinked by hand, and the session or the source is there: gone", async () => {
    for (const lost of ["sessions", "volumes"] as const) {
      site.reset();
      await good(up(SETS.monday));
      for (const id of active()) site.vipr.unlinkNow(id);
      site.vipr.collectGarbage();
      site.vipr[lost].clear();
      await good(site.run((engine) => engine.refresh()));
      expect(site.engine.state.entries).toEqual([]);
    }
  });

  test("404 of the task that was just accepted: waited for", async () => {
    const service = site.cloud;
    let stale = 0;
    const missing = {
      status: 404,
      headers: {},
      body: '{"code":2000,"description":"no","details":"no such","retryable":false}',
    };
    site.cloud = {
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
      site.cloud = service;
    }
    expect(stale).toBe(3);
    expect(outs()).toMatchObject({ count: 2 });
  });

  test("one member that is not found hides nobody else's failure, and ends no delete", async () => {
    await good(up({ ...SETS.monday, count: 3 }));
    const [first = "", second = ""] = idsOf();
    site.vipr.unlinkNow(first);
    site.vipr.collectGarbage();
    site.vipr.setExported(second);
    const { errors } = await site.run((engine) => engine.destroy());
    expect(String(errors[0])).toMatch(/currently exported to a host/);
    expect(site.engine.state.entries).toHaveLength(1);
    expect(active()).toHaveLength(2);
    site.vipr.setExported(second, false);
    await good(site.run((engine) => engine.destroy()));
    expect([active(), site.engine.state.entries]).toEqual([[], []]);
  });
});

describe("whole is what was noted when it was linked", () => {
  const batches = () => outs().batches as Batch[];

  test("each request's targets, and how many belong together", async () => {
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

  test("a consistency group that has grown: what there is stays, and it is told", async () => {
    await good(up(SETS.shop));
    const old = idsOf();
    site.vipr.createVolume("shop-images", { group: site.vipr.sessions.get(shopMonday)?.group ?? "" });
    const refreshed = await good(site.run((engine) => engine.refresh()));
    expect(said(refreshed)).toMatch(/warning: .*the consistency group has grown to 3 volumes.*g1-1-1 .*--replace/s);
    expect(outs()).toMatchObject({ count: 2 });
    const grown = await good(up({ ...SETS.shop, count: 3 }));
    expect(said(grown)).toContain("the consistency group has grown to 3 volumes");
    expect(outs()).toMatchObject({ count: 3 });
    expect(idsOf().slice(0, 4)).toEqual(old);
    expect(idsOf()).toHaveLength(7);
    expect(posts("unlink")).toBe(0);
    const again = await good(up({ ...SETS.shop, count: 3 }));
    expect(said(again)).toBe("");
    await good(site.run((engine) => engine.destroy()));
    expect(active()).toEqual([]);
  });

  test.each([
    ["a part more", (id: string) => `${id}g1-1-1`],
    ["one more", (id: string) => `${id}g1-7`],
    ["another request's", (id: string) => `${id}g0-1`],
  ])("somebody else's target that bears a name of ours (%s) is left alone, and told", async (_, label) => {
    await good(up(SETS.monday));
    const { id } = site.entry() ?? { id: "" };
    const foreign = site.vipr.linkNow(monday, label(id));
    const refreshed = await good(site.run((engine) => engine.refresh()));
    expect(said(refreshed)).toMatch(/warning: .*bear names of this set, and it has not made them: dev-.*left alone/s);
    expect(outs()).toMatchObject({ count: 2 });
    for (const count of [3, 1]) {
      await good(up({ ...SETS.monday, count }));
      expect(outs()).toMatchObject({ count });
      expect(idsOf()).not.toContain(foreign.id);
    }
    await good(up({ ...SETS.monday, count: 1, snapshotSessionId: tuesday }));
    expect(site.vipr.linkedNames(monday)).toEqual([foreign.label]);
    await good(site.run((engine) => engine.destroy()));
    expect(active()).toEqual([foreign.id]);
  });

  test("the only group loses a part: noticed, and put right", async () => {
    await good(up({ ...SETS.shop, count: 1 }));
    site.vipr.unlinkNow(idsOf()[1] ?? "");
    await good(site.run((engine) => engine.refresh()));
    expect(outs()).toMatchObject({ count: 0 });
    await good(up({ ...SETS.shop, count: 1 }));
    expect(names()).toEqual(["g2-1-1", "g2-1-2"]);
    expect(outs()).toMatchObject({ count: 1, remains: [] });
  });

  test("what replaces a broken group stands before what is left of it goes", async () => {
    await good(up({ ...SETS.shop, count: 1 }));
    const [rest = "", lost = ""] = idsOf();
    site.vipr.unlinkNow(lost);
    await good(site.run((engine) => engine.refresh()));
    site.vipr.failNext({ operation: "link", succeed: 0 });
    const failed = await up({ ...SETS.shop, count: 1 });
    expect(said(failed)).toContain("ended in error");
    expect(active()).toEqual([rest]);
    expect(outs()).toMatchObject({ remains: [rest] });
    await good(up({ ...SETS.shop, count: 1 }));
    expect(names()).toEqual(["g3-1-1", "g3-1-2"]);
  });

  test("the remains of a broken group that can't go yet are a difference until they have gone", async () => {
    await good(up(SETS.shop));
    const [rest = "", lost = ""] = idsOf();
    site.vipr.unlinkNow(lost);
    site.vipr.setExported(rest);
    await good(site.run((engine) => engine.refresh()));
    const failed = await up(SETS.shop);
    expect(said(failed)).toContain("currently exported to a host");
    // A refresh makes the engine forget that the update failed.
    await good(site.run((engine) => engine.refresh()));
    expect(outs()).toMatchObject({ count: 2, remains: [rest] });
    site.vipr.setExported(rest, false);
    await good(up(SETS.shop));
    expect(active()).not.toContain(rest);
    expect(outs()).toMatchObject({ count: 2, remains: [] });
  });

  describe("of a set of an earlier build, whose state has no notes", () => {
    const forget = () =>
      site.engine.edit(({ entries }) => {
        for (const { outputs } of entries)
          for (const key of ["batches", "remains", "unlinkedTargets"]) delete outputs[key];
      });

    test("what its state names is the set", async () => {
      await good(up(SETS.shop));
      forget();
      site.vipr.linkNow(monday, `${site.entry()?.id}g1-9`);
      await good(up({ ...SETS.shop, count: 3, snapshotSessionId: shopTuesday }));
      expect(batches().map(({ parts }) => parts)).toEqual([2, 2]);
      expect(names()).toEqual(["g1-1-1", "g1-1-2", "g1-2-1", "g1-2-2", "g1-9", "g2-1-1", "g2-1-2"]);
    });

    test("sizes that differ are no reason to remove: told, and neither counted nor touched", async () => {
      await good(up(SETS.shop));
      site.vipr.unlinkNow(named(`${site.entry()?.id}g1-2-2`).id);
      // As the earlier build's refresh has left it.
      await good(site.run((engine) => engine.refresh()));
      forget();
      const result = await good(up(SETS.shop));
      expect(said(result)).toMatch(/warning: of these targets others of the same group are missing.*g1-2-1/s);
      expect(outs()).toMatchObject({ count: 2 });
      expect(names()).toEqual(["g1-1-1", "g1-1-2", "g1-2-1", "g2-1-1", "g2-1-2"]);
      expect(posts("unlink")).toBe(0);
      await good(site.run((engine) => engine.destroy()));
      expect(active()).toEqual([]);
    });

    test("a foreign name that it has recorded is given up", async () => {
      await good(up(SETS.monday));
      const foreign = site.vipr.linkNow(monday, `${site.entry()?.id}g1-1-1`);
      forget();
      site.engine.edit(({ entries }) => {
        const targets = entries[0]?.outputs.targets as TargetOutput[];
        targets.push({ id: foreign.id, name: foreign.label, snapshotSessionId: monday });
      });
      await good(site.run((engine) => engine.refresh()));
      expect(idsOf()).toHaveLength(2);
      await good(site.run((engine) => engine.destroy()));
      expect(active()).toEqual([foreign.id]);
    });
  });
});

describe("what is left half done is finished by the next up", () => {
  test.each([
    ["link", { ...SETS.monday, count: 4 }],
    ["relink", { ...SETS.monday, snapshotSessionId: tuesday }],
    ["unlink", { ...SETS.monday, count: 1 }],
  ] as const)("503/9501 to a %s is sent again when Retry-After says so", async (operation, after) => {
    await good(up(SETS.monday));
    const before = posts(operation);
    for (let times = 0; times < 3; times += 1) site.vipr.failNext({ operation, undispatched: true });
    const slept = site.clock.slept.length;
    await good(up(after));
    expect(posts(operation)).toBe(before + 4);
    expect(site.clock.slept.slice(slept).filter((ms) => Math.round(ms / 1_000) === 30)).toHaveLength(3);
    expect(outs()).toMatchObject(after);
    expect(names().filter((name) => !name.startsWith("g1-")).length).toBe(operation === "link" ? 2 : 0);
  });

  test("503/9501 to the end of the operation's time: nothing was made, and that is said", async () => {
    for (let times = 0; times < 100; times += 1) site.vipr.failNext({ operation: "link", undispatched: true });
    const { errors } = await up({ ...SETS.monday, __timeouts: { create: "5m10s" } });
    expect(String(errors[0])).toMatch(
      /cannot create .*503: code 9501, The coordinator was unable to locate the service/,
    );
    // At once, and each half minute.
    expect(posts("link")).toBe(11);
    expect([active(), site.engine.state.entries]).toEqual([[], []]);
  });

  test("a suspended task that was rolled back, as the warning asks: the next up does it, and says what it met", async () => {
    await good(up(SETS.monday));
    site.vipr.failNext({ operation: "relink", suspend: "suspended_error" });
    const moved = { ...SETS.monday, snapshotSessionId: tuesday };
    const stuck = await up(moved);
    expect(said(stuck)).toMatch(/an operator has to resume it or roll it back/);
    const task = [...site.vipr.tasks.values()].find(({ state }) => state === "suspended_error");
    site.vipr.rollback(task?.id ?? "");
    const result = await good(up(moved));
    expect(said(result)).toMatch(
      /warning: ViPR's task .* ended in error: code 16001.*[^.]\. What it has left undone is done now/s,
    );
    expect(site.vipr.linkedNames(tuesday)).toHaveLength(2);
  });

  test("a session that is deleted under its targets: they are named, kept in the state, and in nobody's way", async () => {
    await good(up(SETS.monday));
    const strays = idsOf();
    site.vipr.deleteSessionNow(monday);
    const refreshed = await good(site.run((engine) => engine.refresh()));
    expect(said(refreshed)).toMatch(
      /warning: .*no snapshot session has.*g1-1 \(urn\S+\), .*the snapshot session urn\S+ is deleted.*deactivate/s,
    );
    expect(outs()).toMatchObject({ count: 0, unlinkedTargets: strays.map((id) => ({ id })) });
    const same = await up(SETS.monday);
    expect(String(same.errors[0])).toMatch(/"monday" \(urn\S+\) is deleted/);
    expect(said(same)).toMatch(/warning: ViPR has targets of this set that no snapshot session has/);

    const next = await good(up({ ...SETS.monday, snapshotSessionId: tuesday }));
    expect(said(next)).toMatch(/warning: ViPR has targets of this set that no snapshot session has/);
    expect(outs()).toMatchObject({ count: 2, unlinkedTargets: strays.map((id) => ({ id })) });
    expect(active()).toEqual(expect.arrayContaining(strays));
    // No session to unlink them from: an operator has to delete them, and only then is the set gone.
    const destroyed = await site.run((engine) => engine.destroy());
    expect(String(destroyed.errors[0])).toMatch(/no snapshot session to unlink them from: .*\n.*deactivate/);
    expect(active()).toEqual(strays);
    for (const id of strays) site.vipr.unlinkNow(id);
    await good(site.run((engine) => engine.destroy()));
    expect(site.engine.state.entries).toEqual([]);
  });

  test("a link that ViPR refuses for a name leaves nothing behind", async () => {
    await good(up(SETS.monday));
    const { volume = "" } = site.vipr.sessions.get(monday) ?? {};
    site.vipr.createSession(`${site.entry()?.id}g2-2`, { volume });
    const { errors } = await up({ ...SETS.monday, count: 4 });
    expect(String(errors[0])).toContain("already exists");
    expect(active()).toEqual(idsOf());
    expect(outs()).toMatchObject({ count: 2, remains: [] });
  });

  test("what an update has refreshed before it failed is not refreshed again", async () => {
    await good(up({ ...SETS.monday, refreshTriggers: ["mon"] }));
    site.vipr.failNext({ operation: "link", succeed: 0 });
    const after = { ...SETS.monday, refreshTriggers: ["tue"], count: 3 };
    const failed = await up(after);
    expect(said(failed)).toContain("ended in error");
    expect(posts("relink")).toBe(1);
    expect(outs()).toMatchObject({ refreshedBy: ["tue"] });
    await good(up(after));
    // What was written to the targets since is still there.
    expect(posts("relink")).toBe(1);
    expect(outs()).toMatchObject({ count: 3 });
  });
});

test("secret names stay secret wherever they appear", async () => {
  await good(up({ ...SETS.monday, copyMode: "copy", deleteTargetsOnUnlink: false }));
  await good(up({ ...SETS.monday, copyMode: "copy", deleteTargetsOnUnlink: false, count: 1 }));
  const { derivedOutputs = {}, inputs } = linkedTargetSet;
  const shown = Object.entries(outs()).filter(
    ([key, value]) => !(key in inputs) && JSON.stringify(value)?.includes('"dev-'),
  );
  expect((outs().promotedVolumes as PromotedVolume[]).length).toBe(1);
  expect(shown.map(([key]) => key).filter((key) => !derivedOutputs[key]?.includes("targetName"))).toEqual([]);
});
