// LinkedTargetSet's lifecycle against the emulator, case by case: what becomes of it and what the user is told.

import { setTimeout as delay } from "node:timers/promises";
import {
  type Emulator,
  type EmulatorOptions,
  SEED_SESSIONS,
  startEmulator,
  VIPR_UNAVAILABLE,
  type ViprTarget,
} from "../../emulator";
import { check } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import { create, type Properties, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import type { Clock } from "../../provider/core/util/clock";
import { ViprClient } from "../../provider/vipr/client";
import { resolveVipr } from "../../provider/vipr/connection";
import { ViprContext } from "../../provider/vipr/context";
import { linkedTargetSet as released } from "../../provider/vipr/linkedTargetSet/resource";
import type { PromotedVolume, TargetOutput } from "../../provider/vipr/linkedTargetSet/state";
import { partial } from "../support/failures";

/** So many times as fast as life, the emulator's and ours. */
let scale = 100;
const clock: Clock = {
  now: () => performance.now() * scale,
  date: () => new Date(),
  sleep: async (ms, signal) => void (await delay(ms / scale, undefined, signal ? { signal } : undefined)),
};
const { monday, tuesday, logs, shopMonday, shopTuesday } = SEED_SESSIONS;
const NEWS: Properties = {
  snapshotSessionId: monday,
  targetName: "dev",
  count: 2,
  copyMode: "copy",
  deleteTargetsOnUnlink: true,
  __owner: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:LinkedTargetSet::dev",
  __provider: "p",
};

let emulator: Emulator;
let controllers: ViprContext[] = [];
let controller: ViprContext;
const log: string[] = [];
const definition = { ...released, connection: { ...released.connection, open: () => controller } };
const newRun = () => new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });

function newController(username = "root"): ViprContext {
  const config = { ...emulator.viprLogin.connection(), username };
  const settings = resolveVipr({ name: "default", config, env: {}, cwd: "/", home: "/", warn: () => {} });
  const made = new ViprContext(new ViprClient(settings, { clock }), clock);
  controllers.push(made);
  return made;
}

async function start(options: EmulatorOptions = {}, speed = 100): Promise<void> {
  scale = speed;
  emulator = await startEmulator({ clock: { scale }, ...options });
  controller = newController();
  log.length = 0;
}

afterEach(async () => {
  for (const one of controllers) await one.client.logout().catch(() => {});
  controllers = [];
  await emulator.close();
});

const names = (session: string) => emulator.vipr.linkedNames(session);
const targetsOf = (outs: Properties) => outs.targets as TargetOutput[];
const idsOf = (outs: Properties) => targetsOf(outs).map(({ id }) => id);
const wwnsOf = (outs: Properties) => targetsOf(outs).map(({ wwn }) => wwn);
const posts = (operation: string) => emulator.requests.count({ operation: `sessions.${operation}` });
const target = (id: string) => emulator.vipr.targets.get(id) as ViprTarget;
/** What a refresh hands to the next run's update. */
const refreshed = async (id: string, outs: Properties) => {
  const { props } = await read(definition, newRun(), id, outs);
  return props as Properties;
};

describe("create", () => {
  test("links as many as wanted and says which they are, in ViPR's own numbering", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, count: 12 });
    expect(id).toMatch(/^dev-[0-9a-f]{18}$/);
    expect(targetsOf(outs).map(({ name }) => name)).toEqual(
      Array.from({ length: 12 }, (_, index) => `${id}g1-${index + 1}`),
    );
    expect(outs).toMatchObject({ count: 12, snapshotSessionId: monday, copyMode: "copy", promotedVolumes: [] });
    expect(targetsOf(outs)[0]).toEqual({
      id: expect.stringMatching(/^urn:storageos:BlockSnapshot:/),
      name: `${id}g1-1`,
      wwn: expect.stringMatching(/^6000/),
      nativeId: expect.any(String),
      snapshotSessionId: monday,
      sourceVolumeId: outs.sourceId,
      capacityGiB: 10,
    });
    expect(new Set(wwnsOf(outs)).size).toBe(12);
    expect([...emulator.vipr.targets.values()].map(({ copyMode }) => copyMode)).toEqual(Array(12).fill("copy"));
    expect(posts("link")).toBe(1);
    expect(emulator.requests.count({ operation: "login" })).toBe(1);
    expect(log.slice(-2)).toEqual(["status: linking targets: ready", "status: 12 linked"]);
  });

  test("of a consistency group, one target for each volume and number", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, snapshotSessionId: shopMonday });
    expect(targetsOf(outs).map(({ name }) => name)).toEqual(
      ["1-1", "1-2", "2-1", "2-2"].map((end) => `${id}g1-${end}`),
    );
    expect(outs.count).toBe(2);
    expect(outs.sourceId).toMatch(/BlockConsistencyGroup/);
  });

  test("other people's targets of the same session are neither counted nor touched", async () => {
    await start({ clock: "instant" });
    const session = emulator.vipr.sessions.get(monday);
    if (!session) throw new Error("no session");
    emulator.vipr.link(session, 3, "dev", "nocopy");
    const { id, outs } = await create(definition, newRun(), NEWS);
    expect(outs.count).toBe(2);
    const fewer = await update(definition, newRun(), id, outs, { ...NEWS, count: 1 });
    expect(fewer.outs.count).toBe(1);
    await remove(definition, newRun(), id, fewer.outs);
    expect(names(monday)).toEqual(["dev-1", "dev-2", "dev-3"]);
  });

  test("a session that does not exist, is deleted, or may not be used: nothing is made", async () => {
    await start();
    const nowhere = monday.replace("aaaaaaaa", "dddddddd");
    await expect(create(definition, newRun(), { ...NEWS, snapshotSessionId: nowhere })).rejects.toThrow(
      /cannot create linked target set "dev": there is no snapshot session urn/,
    );
    const session = emulator.vipr.sessions.get(tuesday);
    if (session) session.inactive = true;
    await expect(create(definition, newRun(), { ...NEWS, snapshotSessionId: tuesday })).rejects.toThrow(
      /the snapshot session urn\S+ is deleted; ViPR only has not cleared it away/,
    );
    controller = newController("monitor");
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(
      /code 3000.*Insufficient permissions for user monitor[\s\S]*TENANT_ADMIN/,
    );
    expect(emulator.vipr.active()).toEqual([]);
  });

  test("a task in error with some linked: recorded with what exists, the next up links only the rest", async () => {
    await start();
    emulator.vipr.failNext({ operation: "link", succeed: 1 });
    const failure = await partial(create(definition, newRun(), { ...NEWS, count: 3 }));
    expect(failure.reasons[0]).toMatch(/ended in error: code 16001, Unable to contact the SMIS provider: Message: /);
    expect(failure.reasons[0]).toContain("1 of 3 are there");
    expect(failure.reasons[0]).toContain("the next `pulumi up` does what is left");
    expect(failure.properties).toMatchObject({ count: 1, pending: { operation: "create", failed: true } });
    const [survivor] = idsOf(failure.properties);
    expect(diff(definition, failure.properties, { ...NEWS, count: 3 })).toEqual({ changes: true });

    const { outs } = await update(definition, newRun(), failure.id, failure.properties, { ...NEWS, count: 3 });
    expect(targetsOf(outs).map(({ name }) => name.slice(failure.id.length))).toEqual(["g1-1", "g2-1", "g2-2"]);
    expect(idsOf(outs)[0]).toBe(survivor);
    expect(outs).not.toHaveProperty("pending");
    expect(emulator.vipr.active()).toHaveLength(3);
  });

  test("a task in error with none linked: the same id, linked by the next up", async () => {
    await start();
    emulator.vipr.failNext({ operation: "link", succeed: 0 });
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(emulator.vipr.active()).toEqual([]);
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, NEWS);
    expect(outs).toMatchObject({ count: 2 });
    expect(names(monday)).toHaveLength(2);
  });

  test("one that never ends meets the deadline, and is waited for by the next run", async () => {
    await start();
    emulator.vipr.failNext({ operation: "link", suspend: "suspended_no_error" });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "2m" } }));
    const [task] = emulator.vipr.tasks.values();
    expect(failure.reasons[0]).toMatch(/waited [12] min/);
    expect(failure.reasons[0]).toContain(`POST /vdc/tasks/${task?.id}/resume or /rollback`);
    expect(log).toContainEqual(expect.stringMatching(/^warning: ViPR has suspended the task .* Allowed: resume_only/));
    expect(failure.properties).toMatchObject({ count: 0, pending: { operation: "create", task: { kind: "link" } } });
    emulator.vipr.resume(task?.id ?? "");
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, NEWS);
    expect(outs).toMatchObject({ count: 2 });
    expect(posts("link")).toBe(1);
  });

  test("503s while polling are survived, all three kinds of them", async () => {
    await start();
    for (const fault of ["nginx", "locator", "cluster"] as const) {
      emulator.faults.add({
        match: { operation: "tasks.show" },
        times: 2,
        ...VIPR_UNAVAILABLE[fault],
      });
    }
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs.count).toBe(2);
    expect(posts("link")).toBe(1);
  });

  test("two sets on one session take turns", async () => {
    await start();
    const run = newRun();
    const other = { ...NEWS, targetName: "test", __owner: `${NEWS.__owner}-2` };
    const [one, two] = await Promise.all([create(definition, run, NEWS), create(definition, run, other)]);
    expect([one.outs.count, two.outs.count]).toEqual([2, 2]);
    const [first, second] = [...emulator.vipr.tasks.values()];
    expect(second?.startedAt).toBeGreaterThanOrEqual(first?.endedAt ?? Number.POSITIVE_INFINITY);
  });

  test("tasks that are in flight together are looked at together", async () => {
    await start({ timings: { viprLink: 60_000 } });
    const more = emulator.vipr.createSession("more", { volume: emulator.vipr.createVolume("more").id }).id;
    const run = newRun();
    const sets = await Promise.all(
      [monday, tuesday, logs, shopMonday, more].map((snapshotSessionId, n) =>
        create(definition, run, { ...NEWS, snapshotSessionId, __owner: `${NEWS.__owner}-${n}` }),
      ),
    );
    expect(sets.map(({ outs }) => outs.count)).toEqual([2, 2, 2, 2, 2]);
    expect(emulator.requests.count({ operation: "tasks.bulk" })).toBeGreaterThan(0);
    const asked = emulator.requests.find(({ operation }) => operation === "tasks.bulk")?.body as { id: string[] };
    expect(asked.id.length).toBeGreaterThan(2);
  });

  test("the turn does not come before the deadline: nothing was sent", async () => {
    await start();
    emulator.vipr.failNext({ operation: "link", stuck: true });
    const run = newRun();
    const first = partial(create(definition, run, { ...NEWS, __timeouts: { create: "4m" } }));
    while (posts("link") === 0) await delay(5);
    const other = { ...NEWS, __owner: `${NEWS.__owner}-2`, __timeouts: { create: "1m" } };
    await expect(create(definition, run, other)).rejects.toThrow(/other work of this run.*nothing was sent/);
    await first;
    expect(posts("link")).toBe(1);
  });
});

describe("crash safety", () => {
  test("the reply to the link was lost: found by its names, never sent again", async () => {
    await start();
    emulator.faults.add({ match: { operation: "sessions.link" }, action: "lose-reply" });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs.count).toBe(2);
    expect(posts("link")).toBe(1);
  });

  test.each([
    ["link", { count: 4 }],
    ["unlink", { count: 1 }],
    ["relink", { snapshotSessionId: tuesday }],
  ] as const)("the reply to a %s of an update was lost: its task is found", async (operation, wanted) => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.faults.add({ match: { operation: `sessions.${operation}` }, action: "lose-reply" });
    const before = posts(operation);
    const changed = await update(definition, newRun(), id, outs, { ...NEWS, ...wanted });
    expect(changed.outs).toMatchObject(wanted);
    expect(posts(operation)).toBe(before + 1);
    expect(emulator.vipr.active()).toHaveLength(Number("count" in wanted ? wanted.count : 2));
  });

  test("killed in the middle of a count-up: the next run waits for what was begun and doubles nothing", async () => {
    await start({ timings: { viprLink: 20_000 } });
    const { id, outs } = await create(definition, newRun(), NEWS);
    const killed = newRun();
    const begun = update(definition, killed, id, outs, { ...NEWS, count: 4 }).catch((error: unknown) => error);
    while (posts("link") < 2) await delay(5);
    killed.stop("killed");
    await begun;
    controller = newController();
    // The state is that of before: nothing of the killed update was recorded.
    const { outs: after } = await update(definition, newRun(), id, outs, { ...NEWS, count: 4 });
    expect(after.count).toBe(4);
    expect(posts("link")).toBe(2);
    expect(emulator.vipr.active()).toHaveLength(4);
  });
});

describe("change", () => {
  test("count 2 -> 4 -> 1: only the missing ones are linked, the last are unlinked first", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const more = await update(definition, newRun(), id, outs, { ...NEWS, count: 4 });
    expect(targetsOf(more.outs).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g1-2", "g2-1", "g2-2"]);
    expect(idsOf(more.outs).slice(0, 2)).toEqual(idsOf(outs));
    const fewer = await update(definition, newRun(), id, more.outs, { ...NEWS, count: 1 });
    expect(idsOf(fewer.outs)).toEqual(idsOf(outs).slice(0, 1));
    expect(emulator.vipr.active().map(({ id: left }) => left)).toEqual(idsOf(fewer.outs));
    const again = await update(definition, newRun(), id, fewer.outs, { ...NEWS, count: 2 });
    expect(targetsOf(again.outs).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g3-1"]);
    expect(diff(definition, again.outs, NEWS)).toEqual({ changes: false });
  });

  test("kept ones become volumes, whose URNs are in the outputs", async () => {
    await start();
    const news = { ...NEWS, count: 3, deleteTargetsOnUnlink: false };
    const { id, outs } = await create(definition, newRun(), news);
    const fewer = await update(definition, newRun(), id, outs, { ...news, count: 1 });
    const kept = fewer.outs.promotedVolumes as PromotedVolume[];
    expect(kept.map(({ wwn }) => wwn)).toEqual(wwnsOf(outs).slice(1));
    expect(kept.every((volume) => emulator.vipr.volumes.get(volume.id)?.label === volume.name)).toBe(true);
    // A name that a volume of ours has now is not given again.
    const again = await update(definition, newRun(), id, fewer.outs, { ...news, count: 2 });
    expect(targetsOf(again.outs).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g2-1"]);
    expect(again.outs.promotedVolumes).toEqual(kept);
    await remove(definition, newRun(), id, again.outs);
    expect(emulator.vipr.active()).toEqual([]);
    expect(log.at(-1)).toMatch(/^warning: kept as volumes.*g1-1 \(urn:storageos:Volume:/);
  });

  test("kept while the run was killed: the volumes are found by their names", async () => {
    await start();
    const news = { ...NEWS, deleteTargetsOnUnlink: false };
    const { id, outs } = await create(definition, newRun(), news);
    const last = idsOf(outs)[1] ?? "";
    emulator.vipr.unlinkNow(last, true);
    expect(await refreshed(id, outs)).toMatchObject({
      count: 1,
      promotedVolumes: [{ id: expect.stringContaining(":Volume:"), wwn: wwnsOf(outs)[1] }],
    });
  });

  test("keeping nocopy targets warns of what they hold", async () => {
    await start();
    const news = { ...NEWS, copyMode: "nocopy", deleteTargetsOnUnlink: false };
    const { id, outs } = await create(definition, newRun(), news);
    await update(definition, newRun(), id, outs, { ...news, count: 1 });
    expect(log).toContainEqual(expect.stringContaining("not guaranteed once they are unlinked"));
  });

  test("another session of the same source: relinked in place, exports and all", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.vipr.setExported(idsOf(outs)[0] ?? "");
    const news = { ...NEWS, snapshotSessionId: tuesday };
    expect(diff(definition, outs, news)).toEqual({});
    const moved = await update(definition, newRun(), id, outs, news);
    expect([idsOf(moved.outs), wwnsOf(moved.outs)]).toEqual([idsOf(outs), wwnsOf(outs)]);
    expect(moved.outs.snapshotSessionId).toBe(tuesday);
    expect([names(monday), names(tuesday).length]).toEqual([[], 2]);
    expect([posts("link"), posts("relink")]).toEqual([1, 1]);
  });

  test("a session of another source: nothing is done, it is said, and then it replaces", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const news = { ...NEWS, snapshotSessionId: logs };
    const failure = await partial(update(definition, newRun(), id, outs, news));
    expect(failure.reasons[0]).toMatch(/is of another source .* than the targets .*\n.*replaces the set/);
    expect(failure.properties).toMatchObject({ snapshotSessionId: monday, unfitSessionId: logs, count: 2 });
    // A refresh in between does not make it forget.
    const olds = await refreshed(id, failure.properties);
    expect(diff(definition, olds, news)).toMatchObject({ replaces: ["snapshotSessionId"], deleteBeforeReplace: false });
    expect(diff(definition, olds, { ...NEWS, snapshotSessionId: tuesday })).toEqual({});
    const run = newRun();
    run.markRecorded(definition, id);
    const replaced = await create(definition, run, news);
    expect(replaced.id).not.toBe(id);
    await remove(definition, run, id, olds);
    expect([names(monday), names(logs).length]).toEqual([[], 2]);
  });

  test("refreshTriggers relink to the same session, once for each change", async () => {
    await start();
    const first = { ...NEWS, refreshTriggers: ["mon"] };
    const { id, outs } = await create(definition, newRun(), first);
    expect(posts("relink")).toBe(0);
    const second = { ...NEWS, refreshTriggers: ["tue"] };
    const again = await update(definition, newRun(), id, outs, second);
    expect(posts("relink")).toBe(1);
    expect([idsOf(again.outs), again.outs.snapshotSessionId]).toEqual([idsOf(outs), monday]);
    await update(definition, newRun(), id, await refreshed(id, again.outs), {
      ...second,
      deleteTargetsOnUnlink: false,
    });
    expect(posts("relink")).toBe(1);
  });

  test("a refresh that failed is done by the next run; one that was only waited for, is not done again", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, refreshTriggers: ["mon"] });
    const news = { ...NEWS, refreshTriggers: ["tue"] };
    emulator.vipr.failNext({ operation: "relink", succeed: 1 });
    const failed = await partial(update(definition, newRun(), id, outs, news));
    expect(failed.properties).toMatchObject({ refreshedBy: ["mon"], pending: { failed: true } });
    emulator.vipr.failNext({ operation: "relink", suspend: "suspended_error" });
    const late = await partial(
      update(definition, newRun(), id, failed.properties, { ...news, __timeouts: { update: "1m" } }),
    );
    expect(late.properties).toMatchObject({ refreshedBy: ["mon"], pending: { operation: "update" } });
    emulator.vipr.resume([...emulator.vipr.tasks.keys()].at(-1) ?? "");
    const { outs: done } = await update(definition, newRun(), id, late.properties, news);
    expect(done).toMatchObject({ refreshedBy: ["tue"], count: 2 });
    expect(posts("relink")).toBe(2);
  });

  test("a consistency group moves, shrinks and grows as a whole", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, snapshotSessionId: shopMonday });
    const moved = await update(definition, newRun(), id, outs, { ...NEWS, snapshotSessionId: shopTuesday, count: 3 });
    expect(idsOf(moved.outs).slice(0, 4)).toEqual(idsOf(outs));
    expect(targetsOf(moved.outs)).toHaveLength(6);
    const fewer = await update(definition, newRun(), id, moved.outs, {
      ...NEWS,
      snapshotSessionId: shopTuesday,
      count: 1,
    });
    expect(targetsOf(fewer.outs).map(({ name }) => name.slice(id.length))).toEqual(["g1-1-1", "g1-1-2"]);
    await remove(definition, newRun(), id, fewer.outs);
    expect([names(shopMonday), names(shopTuesday)]).toEqual([[], []]);
  });

  test("a group of which a part is gone does not count: it is unlinked, and linked anew", async () => {
    await start();
    const news = { ...NEWS, snapshotSessionId: shopMonday };
    const { id, outs } = await create(definition, newRun(), news);
    emulator.vipr.unlinkNow(idsOf(outs)[1] ?? "");
    const seen = await refreshed(id, outs);
    expect(seen.count).toBe(1);
    const { outs: whole } = await update(definition, newRun(), id, seen, news);
    expect(targetsOf(whole).map(({ name }) => name.slice(id.length))).toEqual(["g1-2-1", "g1-2-2", "g2-1-1", "g2-1-2"]);
    expect(names(shopMonday)).toHaveLength(4);
  });

  test("an exported target is not unlinked, and the refusal says what to do", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.vipr.setExported(idsOf(outs)[1] ?? "");
    const failure = await partial(update(definition, newRun(), id, outs, { ...NEWS, count: 1 }));
    expect(failure.reasons[0]).toMatch(/currently exported to a host[\s\S]*Take the target out of its export groups/);
    expect(failure.properties).toMatchObject({ count: 2 });
    expect(failure.properties).not.toHaveProperty("pending");
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/currently exported to a host/);
    expect(names(monday)).toHaveLength(2);
  });

  test("a count-up of which a part failed: what exists is recorded, the rest is linked under new names", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.vipr.failNext({ operation: "link", succeed: 1 });
    const failure = await partial(update(definition, newRun(), id, outs, { ...NEWS, count: 5 }));
    expect(failure.properties).toMatchObject({ count: 3, pending: { operation: "update", failed: true } });
    const { outs: whole } = await update(definition, newRun(), id, failure.properties, { ...NEWS, count: 5 });
    expect(targetsOf(whole).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g1-2", "g2-1", "g3-1", "g3-2"]);
  });

  test("names that a refused link has taken are given back", async () => {
    await start({ clock: "instant" });
    const { id, outs } = await create(definition, newRun(), NEWS);
    const session = emulator.vipr.sessions.get(monday);
    if (!session) throw new Error("no session");
    // What docs/wire/vipr.md#s0-6 leaves behind: made, never provisioned, with no task.
    emulator.vipr.createSession(`${id}g2-2`, { volume: session.volume ?? "" });
    expect(() => emulator.vipr.link(session, 2, `${id}g2`, "copy")).toThrow(/already exists/);
    const { outs: whole } = await update(definition, newRun(), id, outs, { ...NEWS, count: 3 });
    expect(targetsOf(whole).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g1-2", "g3-1"]);
    expect(emulator.vipr.active()).toHaveLength(3);
  });

  test("whether targets are kept is taken over by the state, for the delete that comes later", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const news = { ...NEWS, deleteTargetsOnUnlink: false };
    expect(diff(definition, outs, news)).toEqual({});
    const { outs: after } = await update(definition, newRun(), id, outs, news);
    expect(after.deleteTargetsOnUnlink).toBe(false);
    expect(posts("unlink")).toBe(0);
  });
});

describe("read", () => {
  test("sees what was unlinked, deleted or collected by hand, and the next up links the missing ones", async () => {
    await start();
    const news = { ...NEWS, count: 3 };
    const { id, outs } = await create(definition, newRun(), news);
    emulator.vipr.unlinkNow(idsOf(outs)[1] ?? "");
    const inactive = await read(definition, newRun(), id, outs);
    expect(inactive.props).toMatchObject({ count: 2 });
    expect(inactive.inputs).toMatchObject({ count: 2, targetName: "dev", copyMode: "copy" });
    emulator.vipr.collectGarbage();
    const collected = await refreshed(id, outs);
    expect(collected).toEqual(inactive.props);
    const { outs: whole } = await update(definition, newRun(), id, collected, news);
    expect(targetsOf(whole).map(({ name }) => name.slice(id.length))).toEqual(["g1-1", "g1-3", "g2-1"]);
  });

  test("sees what was relinked by hand, wherever to, and the next up brings it back", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.vipr.relinkNow(idsOf(outs)[1] ?? "", tuesday);
    const seen = await refreshed(id, outs);
    expect(seen).toMatchObject({ snapshotSessionId: tuesday, count: 2 });
    expect(targetsOf(seen).map(({ snapshotSessionId }) => snapshotSessionId)).toEqual([monday, tuesday]);
    const { outs: back } = await update(definition, newRun(), id, seen, NEWS);
    expect(back.snapshotSessionId).toBe(monday);
    expect(names(tuesday)).toEqual([]);
    expect(target(idsOf(outs)[1] ?? "").inactive).toBe(false);
  });

  test("all gone is gone; a search that shows nothing, to one who may see nothing, is not", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const root = controller;
    controller = newController("stranger");
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/code 3000/);
    controller = root;
    for (const one of idsOf(outs)) emulator.vipr.unlinkNow(one);
    expect(await read(definition, newRun(), id, outs)).toEqual({});
    emulator.vipr.collectGarbage();
    expect(await read(definition, newRun(), id, outs)).toEqual({});
  });

  test("a dangling id in linked_targets is no target", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    // VIPR_ONLY: inactive, and still named by the session (docs/wire/vipr.md#s0-11).
    target(idsOf(outs)[0] ?? "").inactive = true;
    expect(await refreshed(id, outs)).toMatchObject({ count: 1 });
  });
});

describe("delete", () => {
  test("unlinks what is still there, by a fresh look, and is done when nothing is left", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, count: 3 });
    emulator.vipr.unlinkNow(idsOf(outs)[0] ?? "");
    await remove(definition, newRun(), id, outs);
    expect(emulator.vipr.active()).toEqual([]);
    // Refused first, since one of the three is not there.
    const [refused, unlinked] = emulator.requests.filter(({ operation }) => operation === "sessions.unlink");
    expect([refused?.status, unlinked?.status]).toEqual([400, 202]);
    expect(unlinked?.body).toEqual({
      linked_targets: idsOf(outs)
        .slice(1)
        .reverse()
        .map((one) => ({ id: one, delete_target: true })),
    });
    await remove(definition, newRun(), id, outs);
    expect(emulator.requests.count({ operation: "sessions.unlink", status: 202 })).toBe(1);
  });

  test("one that vanishes between the look and the request: looked again, unlinked the others", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const gone = idsOf(outs)[0] ?? "";
    const { client } = controller;
    const unlinkTargets = client.unlinkTargets.bind(client);
    client.unlinkTargets = async (...args) => {
      if (!target(gone).inactive) emulator.vipr.unlinkNow(gone);
      return unlinkTargets(...args);
    };
    await remove(definition, newRun(), id, outs);
    expect(emulator.vipr.active()).toEqual([]);
    expect(emulator.requests.filter(({ operation }) => operation === "sessions.unlink")).toMatchObject([
      { status: 400 },
      { status: 202 },
    ]);
  });

  test("of a create that is still running: waits for its end, then unlinks", async () => {
    await start({ timings: { viprLink: 30_000 } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "5s" } }));
    await remove(definition, newRun(), failure.id, failure.properties);
    expect(emulator.vipr.active()).toEqual([]);
  });

  test("an unlink that failed is an error, and the next one goes on", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    emulator.vipr.failNext({ operation: "unlink", succeed: 1 });
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(/ended in error: code 16001/);
    expect(names(monday)).toHaveLength(1);
    await remove(definition, newRun(), id, outs);
    expect(emulator.vipr.active()).toEqual([]);
  });
});

test("the end of the run logs out", async () => {
  await start();
  const run = newRun();
  // Opened as a real run opens it, so that it is the run's to close.
  run.configure({ connections: JSON.stringify({ default: emulator.viprLogin.connection() }) });
  const { outs } = await create(released, run, NEWS);
  expect(outs.count).toBe(2);
  expect(emulator.viprAuth.alive).toBe(1);
  await run.end();
  expect(emulator.viprAuth.alive).toBe(0);
  expect(emulator.requests.at(-1)).toMatchObject({ operation: "logout", status: 200 });
});

test("check refuses all that is wrong at once, with the path, and sends nothing", async () => {
  await start();
  const wrong = (news: Properties) => check(definition, {}, news).failures;
  expect(wrong({})).toEqual([
    { property: "snapshotSessionId", reason: "is required" },
    { property: "targetName", reason: "is required" },
    { property: "count", reason: "is required" },
  ]);
  expect(
    wrong({
      snapshotSessionId: "nightly-1",
      targetName: " ",
      count: "2",
      copyMode: "COPY",
      deleteTargetsOnUnlink: "yes",
      refreshTriggers: "monday",
      connection: "",
      cuont: 3,
    }),
  ).toEqual([
    { property: "cuont", reason: "unknown property; did you mean count?" },
    { property: "snapshotSessionId", reason: expect.stringContaining("URN of a session") },
    { property: "targetName", reason: "must not be empty" },
    { property: "count", reason: "must be a whole number from 1 to 1024" },
    { property: "copyMode", reason: 'must be "copy" or "nocopy"' },
    { property: "deleteTargetsOnUnlink", reason: "must be true or false" },
    { property: "refreshTriggers", reason: "must be a list" },
    { property: "connection", reason: "must be the name of a connection" },
  ]);
  const volume = monday.replace("BlockSnapshotSession", "Volume");
  expect(wrong({ ...NEWS, snapshotSessionId: volume })).toEqual([
    { property: "snapshotSessionId", reason: "is the URN of a Volume; it must be that of a BlockSnapshotSession" },
  ]);
  for (const count of [0, -1, 1.5, 1025, Number.NaN, null]) {
    expect(wrong({ ...NEWS, count })).toMatchObject([{ property: "count" }]);
  }
  for (const name of ["", "ü ö", "two\nlines", "x".repeat(36)]) {
    expect(wrong({ ...NEWS, targetName: name })).toMatchObject([{ property: "targetName" }]);
  }
  expect(wrong({ ...NEWS, targetName: "x".repeat(35), count: 1024 })).toEqual([]);
  expect(check(definition, {}, { ...NEWS, copyMode: undefined }).inputs).toMatchObject({ copyMode: "nocopy" });
  expect(emulator.requests.length).toBe(0);
});

test("the longest name with the largest numbers is one that ViPR takes", async () => {
  await start({ clock: "instant" });
  const news = { ...NEWS, targetName: "x".repeat(35), count: 1024 };
  const { id, outs } = await create(definition, newRun(), news);
  expect(targetsOf(outs).at(-1)?.name).toHaveLength(id.length + "g1-1024".length);
  expect(id.length + "g999-1024".length).toBe(63);
});
