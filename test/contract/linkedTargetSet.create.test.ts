// How a LinkedTargetSet is made, and what it refuses: the requests to ViPR, and what the user sees.

import { setTimeout as delay } from "node:timers/promises";
import { SEED_SESSIONS, VIPR_UNAVAILABLE } from "../../emulator";
import { check } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import { create, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { linkedTargetSet } from "../../provider/vipr/linkedTargetSet/resource";
import { partial } from "../support/failures";
import { idsOf, LinkedTargetSetFixture, NEWS, targetsOf, wwnsOf } from "./linkedTargetSetFixture";

const { monday, tuesday, logs, shopMonday } = SEED_SESSIONS;
const fixture = new LinkedTargetSetFixture();
const { definition, log, names, newController, newRun, posts, start } = fixture;
afterEach(fixture.close);

describe("create", () => {
  test("links as many targets as wanted, and the outputs list them in ViPR's order", async () => {
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
    expect([...fixture.emulator.vipr.targets.values()].map(({ copyMode }) => copyMode)).toEqual(Array(12).fill("copy"));
    expect(posts("link")).toBe(1);
    expect(fixture.emulator.requests.count({ operation: "login" })).toBe(1);
    expect(log.slice(-2)).toEqual(["status: linking targets: ready", "status: 12 linked"]);
  });

  test("links one target for each volume of a consistency group and each number", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), { ...NEWS, snapshotSessionId: shopMonday });
    expect(targetsOf(outs).map(({ name }) => name)).toEqual(
      ["1-1", "1-2", "2-1", "2-2"].map((end) => `${id}g1-${end}`),
    );
    expect(outs.count).toBe(2);
    expect(outs.sourceId).toMatch(/BlockConsistencyGroup/);
  });

  test("never counts or unlinks other people's targets of the same session", async () => {
    await start({ clock: "instant" });
    const session = fixture.emulator.vipr.sessions.get(monday);
    if (!session) throw new Error("no session");
    fixture.emulator.vipr.link(session, 3, "dev", "nocopy");
    const { id, outs } = await create(definition, newRun(), NEWS);
    expect(outs.count).toBe(2);
    const fewer = await update(definition, newRun(), id, outs, { ...NEWS, count: 1 });
    expect(fewer.outs.count).toBe(1);
    await remove(definition, newRun(), id, fewer.outs);
    expect(names(monday)).toEqual(["dev-1", "dev-2", "dev-3"]);
  });

  test("makes nothing for a session that does not exist, is deleted, or is forbidden", async () => {
    await start();
    const nowhere = monday.replace("aaaaaaaa", "dddddddd");
    await expect(create(definition, newRun(), { ...NEWS, snapshotSessionId: nowhere })).rejects.toThrow(
      /cannot create linked target set "dev": there is no snapshot session urn/,
    );
    const session = fixture.emulator.vipr.sessions.get(tuesday);
    if (session) session.inactive = true;
    await expect(create(definition, newRun(), { ...NEWS, snapshotSessionId: tuesday })).rejects.toThrow(
      /the snapshot session urn\S+ is deleted, although ViPR still shows it/,
    );
    fixture.controller = newController("monitor");
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(
      /code 3000.*Insufficient permissions for user monitor[\s\S]*TENANT_ADMIN/,
    );
    expect(fixture.emulator.vipr.active()).toEqual([]);
  });

  test("a task that fails with some targets linked: the state has them, and the next up links the others", async () => {
    await start();
    fixture.emulator.vipr.failNext({ operation: "link", succeed: 1 });
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
    expect(fixture.emulator.vipr.active()).toHaveLength(3);
  });

  test("a task that fails with no target linked: the set keeps its id, and the next up links all", async () => {
    await start();
    fixture.emulator.vipr.failNext({ operation: "link", succeed: 0 });
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(fixture.emulator.vipr.active()).toEqual([]);
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, NEWS);
    expect(outs).toMatchObject({ count: 2 });
    expect(names(monday)).toHaveLength(2);
  });

  test("a task that never ends: the run stops at its deadline, and the next run waits for the task", async () => {
    await start();
    fixture.emulator.vipr.failNext({ operation: "link", suspend: "suspended_no_error" });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "2m" } }));
    const [task] = fixture.emulator.vipr.tasks.values();
    expect(failure.reasons[0]).toMatch(/waited [12] min/);
    expect(failure.reasons[0]).toContain(`POST /vdc/tasks/${task?.id}/resume or /rollback`);
    expect(log).toContainEqual(expect.stringMatching(/^warning: ViPR has suspended the task .* Allowed: resume_only/));
    expect(failure.properties).toMatchObject({ count: 0, pending: { operation: "create", task: { kind: "link" } } });
    fixture.emulator.vipr.resume(task?.id ?? "");
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, NEWS);
    expect(outs).toMatchObject({ count: 2 });
    expect(posts("link")).toBe(1);
  });

  test("polls again after each of the three kinds of 503", async () => {
    await start();
    for (const fault of ["nginx", "locator", "cluster"] as const) {
      fixture.emulator.faults.add({
        match: { operation: "tasks.show" },
        times: 2,
        ...VIPR_UNAVAILABLE[fault],
      });
    }
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs.count).toBe(2);
    expect(posts("link")).toBe(1);
  });

  test("polls several tasks with one request", async () => {
    await start({ timings: { viprLink: 60_000 } });
    const more = fixture.emulator.vipr.createSession("more", {
      volume: fixture.emulator.vipr.createVolume("more").id,
    }).id;
    const run = newRun();
    const sets = await Promise.all(
      [monday, tuesday, logs, shopMonday, more].map((snapshotSessionId, n) =>
        create(definition, run, { ...NEWS, snapshotSessionId, __owner: `${NEWS.__owner}-${n}` }),
      ),
    );
    expect(sets.map(({ outs }) => outs.count)).toEqual([2, 2, 2, 2, 2]);
    expect(fixture.emulator.requests.count({ operation: "tasks.bulk" })).toBeGreaterThan(0);
    const asked = fixture.emulator.requests.find(({ operation }) => operation === "tasks.bulk")?.body as {
      id: string[];
    };
    expect(asked.id.length).toBeGreaterThan(2);
  });

  test("sends nothing when the session's lock is not free before the deadline", async () => {
    await start();
    fixture.emulator.vipr.failNext({ operation: "link", stuck: true });
    const run = newRun();
    // Links of a consistency group's session come one after another.
    const ofGroup = { ...NEWS, snapshotSessionId: shopMonday };
    const first = partial(create(definition, run, { ...ofGroup, __timeouts: { create: "4m" } }));
    while (posts("link") === 0) await delay(5);
    const other = { ...ofGroup, __owner: `${NEWS.__owner}-2`, __timeouts: { create: "1m" } };
    await expect(create(definition, run, other)).rejects.toThrow(/other work of this run.*nothing was sent/);
    await first;
    expect(posts("link")).toBe(1);
  });
});

describe("create and update after a lost reply or a kill", () => {
  test("find the targets of a link by their names, and never send it again", async () => {
    await start();
    fixture.emulator.faults.add({ match: { operation: "sessions.link" }, action: "drop-response" });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs.count).toBe(2);
    expect(posts("link")).toBe(1);
  });

  test.each([
    ["link", { count: 4 }],
    ["unlink", { count: 1 }],
    ["relink", { snapshotSessionId: tuesday }],
  ] as const)("find the task of a %s that an update has sent", async (operation, wanted) => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    fixture.emulator.faults.add({ match: { operation: `sessions.${operation}` }, action: "drop-response" });
    const before = posts(operation);
    const changed = await update(definition, newRun(), id, outs, { ...NEWS, ...wanted });
    expect(changed.outs).toMatchObject(wanted);
    expect(posts(operation)).toBe(before + 1);
    expect(fixture.emulator.vipr.active()).toHaveLength(Number("count" in wanted ? wanted.count : 2));
  });

  test("wait for the link that a killed run has sent, and link no target twice", async () => {
    await start({ timings: { viprLink: 20_000 } });
    const { id, outs } = await create(definition, newRun(), NEWS);
    const killed = newRun();
    const begun = update(definition, killed, id, outs, { ...NEWS, count: 4 }).catch((error: unknown) => error);
    while (posts("link") < 2) await delay(5);
    killed.stop("killed");
    await begun;
    fixture.controller = newController();
    // The state is the one before the update: the killed run recorded nothing.
    const { outs: after } = await update(definition, newRun(), id, outs, { ...NEWS, count: 4 });
    expect(after.count).toBe(4);
    expect(posts("link")).toBe(2);
    expect(fixture.emulator.vipr.active()).toHaveLength(4);
  });
});

test("create: the end of the run logs out", async () => {
  await start();
  const run = newRun();
  // The run opens the connection itself, so that it also closes it.
  run.configure({ connections: JSON.stringify({ default: fixture.emulator.vipr.connection() }) });
  const { outs } = await create(linkedTargetSet, run, NEWS);
  expect(outs.count).toBe(2);
  expect(fixture.emulator.vipr.auth.alive).toBe(1);
  await run.end();
  expect(fixture.emulator.vipr.auth.alive).toBe(0);
  expect(fixture.emulator.requests.at(-1)).toMatchObject({ operation: "logout", status: 200 });
});

test("create: ViPR accepts the longest name with the largest numbers", async () => {
  await start({ clock: "instant" });
  const news = { ...NEWS, targetName: "x".repeat(35), count: 1024 };
  const { id, outs } = await create(definition, newRun(), news);
  expect(targetsOf(outs).at(-1)?.name).toHaveLength(id.length + "g1-1024".length);
  expect(id.length + "g999-1024".length).toBe(63);
});

test("check: reports all wrong inputs at once, each with its path, and sends nothing", async () => {
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
  expect(fixture.emulator.requests.length).toBe(0);
});
