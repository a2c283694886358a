// LinkedTargetSet with a model of Pulumi's engine: which sets a run adopts, what proves that a set is gone, which groups are
// whole, and how many requests an operation takes.

import { createHash } from "node:crypto";
import { linkedTargetSet } from "../../provider/vipr/linkedTargetSet/resource";
import type { PromotedVolume } from "../../provider/vipr/linkedTargetSet/state";
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
  tuesday,
  up,
} from "./linkedTargetSetEngineFixture";

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
    // The target's name has room for a digest of it only.
    expect(outputOf(result)).toMatch(/, for urn:pulumi:dev::shop::\S+::dev\n/);
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

  test("adopts an open set of an early build, and not a settled one", async () => {
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
      // An early build must not adopt it again.
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
