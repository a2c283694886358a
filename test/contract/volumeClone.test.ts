// VolumeClone's lifecycle against the emulator: what becomes of a set, how it is found again, what the user is told.

import { type Emulator, type EmulatorOptions, startEmulator, type VolumeRow } from "../../emulator";
import { check, UNKNOWN } from "../../provider/core/check";
import type { Clock } from "../../provider/core/clock";
import { diff } from "../../provider/core/diff";
import { create, PartialFailure, type Properties, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import { OpenStackSession } from "../../provider/openstack/keystone";
import { PowerVc } from "../../provider/powervc/cloud";
import { resolvePowerVc } from "../../provider/powervc/connection";
import { volumeClone as released } from "../../provider/powervc/volumeClone";
import { partial } from "../support/failures";

/**
 * The emulator's time and ours are one, and it passes only while somebody sleeps: each look sees what it would see if
 * nothing but the wait took time. What sleeps longer than any pause between looks is a limit, and never comes.
 */
let time = 0;
const clock: Clock = {
  now: () => time,
  date: () => new Date(time),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const leave = () => reject(signal?.reason);
      signal?.addEventListener("abort", leave, { once: true });
      if (ms > LONGEST_PAUSE_MS) return;
      pass(ms);
      setImmediate(() => {
        signal?.removeEventListener("abort", leave);
        resolve();
      });
    });
  },
};
const LONGEST_PAUSE_MS = 10_000;

function pass(ms: number): void {
  time += ms;
  emulator.clock.tick(ms);
}

const DATA = "11111111-1111-4111-8111-111111111111";
const LOGS = "22222222-2222-4222-8222-222222222222";
const TEMP = "33333333-3333-4333-8333-333333333333";
const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:VolumeClone::before";
const NEWS: Properties = {
  volumes: [DATA, LOGS, TEMP],
  displayName: "before",
  description: "Before the release",
  __owner: OWNER,
  __provider: "p",
};

let emulator: Emulator;
let cloud: PowerVc;
const log: string[] = [];
const definition = { ...released, connection: { kind: "powervc", open: () => cloud } };
const runs: Run[] = [];
function newRun(): Run {
  const run = new Run({ clock, log: (severity, text) => log.push(`${severity}: ${text}`) });
  runs.push(run);
  return run;
}

async function start(options: EmulatorOptions = {}): Promise<void> {
  emulator = await startEmulator({
    clock: "manual",
    timings: { cloneStep: 500, volumeDelete: 1_000 },
    ...options,
  });
  emulator.cinder.createVolume({ id: TEMP, name: "temp", size: 5, metadata: { team: "shop" } });
  cloud = newCloud();
  log.length = 0;
}

function newCloud(): PowerVc {
  const place = { env: {}, cwd: "/", home: "/" };
  const settings = resolvePowerVc({ name: "default", config: emulator.powervcLogin.connection(), ...place });
  return new PowerVc(new OpenStackSession(settings, { clock }), clock);
}

afterEach(async () => {
  // What settles in the background must not outlive its test.
  await Promise.all(runs.splice(0).map((run) => run.end()));
  await cloud.session.close();
  await emulator.close();
});

const SOURCES = [DATA, LOGS, TEMP];
/** All volumes but the sources. */
function clones(): VolumeRow[] {
  emulator.powervc.settle();
  return [...emulator.cinder.volumes.values()].filter(({ id }) => !SOURCES.includes(id));
}
const row = (id: string): VolumeRow => {
  const found = emulator.cinder.volumes.get(id);
  if (!found) throw new Error(`no volume ${id}`);
  return found;
};
const requests = (operation: string) => emulator.requests.count({ operation });
/** What is left of our records on the sources. */
const records = () =>
  SOURCES.flatMap((id) => Object.keys(row(id).metadata).filter((key) => key.startsWith("snapclone:")));
const cloneOf = (outs: Properties, source: string) => row((outs.clones as Record<string, string>)[source] ?? "");

describe("create", () => {
  test("three volumes: one request, one instant, mapped, named and described", async () => {
    await start();
    const run = newRun();
    const { id, outs } = await create(definition, run, NEWS);
    expect(id).toMatch(/^snapclone-[0-9a-f]{24}$/);
    expect(outs).toMatchObject({
      volumes: SOURCES,
      displayName: "before",
      description: "Before the release",
      taskId: [...emulator.powervc.tasks.keys()][0],
      flow: { cloneFlow: "SUCCESS" },
      namePrefix: "clone-",
      clonedVolumes: [
        { sourceId: DATA, name: "clone-before-1", sizeGiB: 10, status: "available", description: "Before the release" },
        { sourceId: LOGS, name: "clone-before-2", sizeGiB: 20, status: "available", description: "Before the release" },
        { sourceId: TEMP, name: "clone-before-3", sizeGiB: 5, status: "available", description: "Before the release" },
      ],
    });
    expect(outs).not.toHaveProperty("pending");
    expect(clones()).toHaveLength(3);
    for (const source of SOURCES) expect(cloneOf(outs, source)).toMatchObject({ source_volid: source });
    expect(requests("clones.create")).toBe(1);
    // The tasks' names without the numbers that PowerVC adds.
    const rows = log.filter((line) => /^status: \d+ % · /.test(line));
    expect(rows.length).toBeGreaterThan(2);
    expect(rows.filter((line) => !/^status: \d+ % · [a-zA-Z_-]+$/.test(line))).toEqual([]);
    // What others have on the volumes stays, and what is ours goes when the run has ended.
    await run.end();
    expect(records()).toEqual([]);
    expect(row(TEMP).metadata).toEqual({ team: "shop" });
    expect(clones().map(({ metadata }) => metadata["snapclone:phase"])).toEqual(["settled", "settled", "settled"]);
  });

  test("the request has the documented form, and the set's own name", async () => {
    await start();
    const { id } = await create(definition, newRun(), {
      ...NEWS,
      targetVolumeTypeId: [...emulator.cinder.volumeTypes.keys()][1],
    });
    const sent = emulator.requests.find(({ operation }) => operation === "clones.create")?.body;
    expect(sent).toEqual({
      "clone-volumes": {
        "display-name": id,
        description: "Before the release",
        volumes: SOURCES,
        "target-volume-type-id": [...emulator.cinder.volumeTypes.keys()][1],
      },
    });
    expect(clones().map(({ volume_type_id }) => emulator.cinder.volumeTypes.get(volume_type_id)?.name)).toEqual([
      "ssd",
      "ssd",
      "ssd",
    ]);
  });

  test.each([
    [[DATA], "demo", "clone-", ["clone-demo"]],
    [[DATA], undefined, "clone-", ["clone-data"]],
    [[DATA, LOGS], "demo", "backup of ", ["backup of demo-1", "backup of demo-2"]],
    [[DATA, LOGS], undefined, "", [expect.stringMatching(/^volume-/), expect.stringMatching(/^volume-/)]],
  ])("names by PowerVC's rules: %j, display name %s, prefix %j", async (volumes, displayName, prefix, names) => {
    await start();
    emulator.powervc.prefix = prefix;
    const { id, outs } = await create(definition, newRun(), { ...NEWS, volumes, displayName });
    expect(outs.clonedVolumes).toMatchObject(names.map((name) => ({ name })));
    if (displayName === undefined) expect(outs).not.toHaveProperty("displayName");
    // And back: what is read is what was asked for.
    const { props } = await read(definition, newRun(), id, outs);
    expect(diff(definition, props ?? {}, { ...NEWS, volumes, displayName })).toEqual({ changes: false });
  });

  test("with progress and states inside of the details and no tasks, as in the document's use cases", async () => {
    await start();
    emulator.powervc.form = "inside";
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ flow: { cloneFlow: "SUCCESS" } });
    expect(log.filter((line) => /^status: \d+ %$/.test(line)).length).toBeGreaterThan(0);
  });

  test("what PowerVC refuses leaves nothing, neither a clone nor a mark", async () => {
    await start();
    row(LOGS).status = "error";
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(
      /cannot create volume clone "before": .*status must be available, in-use, but current status is: error/,
    );
    expect([clones(), records()]).toEqual([[], []]);
    await expect(create(definition, newRun(), { ...NEWS, volumes: [UNKNOWN_VOLUME] })).rejects.toThrow(
      /could not be found/,
    );
  });
});

const UNKNOWN_VOLUME = "99999999-9999-4999-8999-999999999999";

describe("a flow that is taken back", () => {
  test.each([
    "create_group_type",
    "create_group_snapshot",
    "wait_for_group_snapshot",
    "create_group_clone",
    "delete_group_type",
  ] as const)("at %s: the server's words, the step, and nothing is left", async (step) => {
    await start({ timings: { cloneStep: 20_000 } });
    emulator.powervc.failNext(step, "EXP0023E: no space in pool 7");
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(failure.reasons[0]).toMatch(/^cannot create volume clone "before": PowerVC's clone task ended in REVERTED/);
    expect(failure.reasons[0]).toContain(`at the step ${step}: `);
    expect(failure.reasons[0]).toContain("EXP0023E: no space in pool 7");
    expect(failure.reasons[0]).toContain("No volume of the set is left behind");
    expect(failure.properties).toMatchObject({ pending: { operation: "create", failed: true } });
    expect(clones()).toEqual([]);
    // The next up replaces it, and the failed one goes without a trace.
    expect(diff(definition, failure.properties, NEWS)).toMatchObject({ changes: true, replaces: ["pending"] });
    const run = newRun();
    run.sawLiving(definition, failure.id, failure.properties);
    const { id, outs } = await create(definition, run, NEWS);
    expect(id).not.toBe(failure.id);
    await remove(definition, run, failure.id, failure.properties);
    await run.end();
    expect(
      clones()
        .map((clone) => clone.id)
        .sort(),
    ).toEqual(Object.values(outs.clones as object).sort());
    expect(records()).toEqual([]);
  });

  test("what it leaves behind is named, recorded and removed with the resource", async () => {
    await start();
    emulator.powervc.failNext("remove_vols_from_tgt_grp", "EXP0099E: group is busy", 2);
    const failure = await partial(create(definition, newRun(), NEWS));
    const left = clones().map(({ id }) => id);
    expect(left).toHaveLength(2);
    for (const id of left) expect(failure.reasons[0]).toContain(id);
    expect((failure.properties.clonedVolumes as { id: string }[]).map(({ id }) => id).sort()).toEqual([...left].sort());
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([clones(), records()]).toEqual([[], []]);
  });

  test("a refresh of the failed one that left nothing lets it go", async () => {
    await start();
    emulator.powervc.failNext("create_group_clone", "no");
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(await read(definition, newRun(), failure.id, failure.properties)).toEqual({});
  });
});

describe("a deadline", () => {
  async function late(): Promise<PartialFailure> {
    await start();
    emulator.powervc.behaviour({ step: "wait_for_group_snapshot", takes: 400_000, times: 1 });
    return partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1m" } }));
  }

  test("in mid flow records the task, and the next up waits on: one request in all", async () => {
    const failure = await late();
    expect(failure.reasons[0]).toMatch(/waited 1 min.* for PowerVC's task \S+; seen: .*30 % · wait_for_group_snapshot/);
    expect(failure.properties.pending).toMatchObject({ operation: "create", task: { taskId: expect.any(String) } });
    expect(diff(definition, failure.properties, NEWS)).toEqual({ changes: true });
    const run = newRun();
    const { outs } = await update(definition, run, failure.id, failure.properties, { ...NEWS, displayName: "later" });
    expect(outs).toMatchObject({ volumes: SOURCES, clonedVolumes: [{ name: "clone-later-1" }, {}, {}] });
    expect(outs).not.toHaveProperty("pending");
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
    await run.end();
    expect(records()).toEqual([]);
  });

  test("a refresh in the meantime does not take it for gone", async () => {
    const failure = await late();
    const { props } = await read(definition, newRun(), failure.id, failure.properties);
    expect(props).toMatchObject({ volumes: SOURCES, pending: { operation: "create" } });
    expect(diff(definition, props ?? {}, NEWS)).toEqual({ changes: true });
  });

  test("then destroy: the flow can't be cancelled, so it is waited for, and what it made is removed", async () => {
    const failure = await late();
    expect(clones()).toEqual([]);
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([clones(), records()]).toEqual([[], []]);
    expect([...emulator.powervc.tasks.values()].map(({ state }) => state)).toEqual(["SUCCESS"]);
  });

  test("and the flow is taken back later: the next up says so, the one after that replaces it", async () => {
    await start();
    emulator.powervc.behaviour({ step: "create_group_snapshot", takes: 400_000, fails: "too late", times: 1 });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1m" } }));
    const again = await partial(update(definition, newRun(), failure.id, failure.properties, NEWS));
    expect(again.reasons[0]).toContain("too late");
    expect(diff(definition, again.properties, NEWS)).toMatchObject({ replaces: ["pending"] });
  });
});

describe("a run that was killed", () => {
  /** Everything in it goes on by itself, and nobody hears of it: what a kill leaves, whenever it comes. */
  async function killed(arm: () => void): Promise<void> {
    await start();
    arm();
    await create(definition, newRun(), { ...NEWS, __timeouts: { create: "1ms" } }).catch(() => {});
    await cloud.session.close();
    cloud = newCloud();
    log.length = 0;
  }

  async function next(news: Properties = NEWS) {
    const run = newRun();
    const made = await create(definition, run, news);
    await run.end();
    return made;
  }

  test("after the answer: the next create finds the task by its note, and waits for it", async () => {
    await killed(() => {});
    const [task] = emulator.powervc.tasks.keys();
    const { id, outs } = await next({ ...NEWS, displayName: "renamed since" });
    expect(log).toContainEqual(`status: adopting ${id}, made by an interrupted run`);
    expect(outs).toMatchObject({ taskId: task, clonedVolumes: [{ name: "clone-renamed since-1" }, {}, {}] });
    expect([clones().length, requests("clones.create"), records()]).toEqual([3, 1, []]);
  });

  test("before the answer: the clones are found by their names", async () => {
    await killed(() => {
      emulator.faults.add({ match: { operation: "clones.create" }, action: "lose-reply" });
      // So that this run can't find out either.
      emulator.faults.add({ match: { operation: "volumes.detail", nth: 2 }, times: 4, status: 403 });
    });
    expect(records().filter((key) => key.endsWith(":task"))).toEqual([]);
    const { outs } = await next();
    expect(outs).toMatchObject({
      displayName: "before",
      clonedVolumes: [{ sourceId: DATA }, { sourceId: LOGS }, { sourceId: TEMP }],
    });
    for (const source of SOURCES) expect(cloneOf(outs, source)).toMatchObject({ source_volid: source });
    expect([clones().length, requests("clones.create"), records()]).toEqual([3, 1, []]);
  });

  test("before the answer, and nothing shows whose clone is whose: that is said, never guessed", async () => {
    await killed(() => {
      emulator.powervc.tellsSource = false;
      emulator.faults.add({ match: { operation: "clones.create" }, action: "lose-reply" });
      emulator.faults.add({ match: { operation: "volumes.detail", nth: 2 }, times: 4, status: 403 });
    });
    const failure = await partial(next());
    expect(failure.reasons[0]).toContain("nothing tells which is whose");
    for (const { id } of clones()) expect(failure.reasons[0]).toContain(id);
    expect(failure.properties.pending).toMatchObject({ failed: true });
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([clones(), records()]).toEqual([[], []]);
  });

  test("before the request: when nothing has shown for long enough it is sent, once", async () => {
    await killed(() => {
      // The intent is written, and the request never arrives.
      emulator.faults.add({ match: { operation: "clones.create" }, action: "reset" });
      emulator.faults.add({ match: { operation: "volumes.detail", nth: 2 }, times: 4, status: 403 });
    });
    expect([clones(), emulator.powervc.tasks.size]).toEqual([[], 0]);
    expect(records()).toHaveLength(2);
    await next();
    expect(log).toContainEqual("status: nothing shows of the interrupted request: asking for it");
    expect([clones().length, emulator.powervc.tasks.size, records()]).toEqual([3, 1, []]);
  });

  test("while the flow is still at its group snapshot: the source's group shows it, and nothing is asked again", async () => {
    await killed(() => {
      emulator.powervc.behaviour({ step: "wait_for_group_snapshot", takes: 600_000, times: 1 });
      emulator.faults.add({ match: { operation: "clones.create" }, action: "lose-reply" });
      emulator.faults.add({ match: { operation: "volumes.detail", nth: 2 }, times: 4, status: 403 });
    });
    await next();
    expect(log.filter((line) => /is in PowerVC's group/.test(line)).length).toBeGreaterThan(0);
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  test.each(["404", "empty"] as const)("and PowerVC has forgotten the task (%s): the clones tell", async (forgets) => {
    await killed(() => {
      emulator.powervc.forgets = forgets;
    });
    pass(60_000);
    emulator.powervc.settle();
    emulator.powervc.forgetTasks();
    const { outs } = await next();
    expect(outs).toMatchObject({ displayName: "before", clonedVolumes: [{}, {}, {}] });
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  test("after everything was done, before the engine wrote it down: found by the tags, whatever the names", async () => {
    await start();
    const first = await create(definition, newRun(), NEWS);
    emulator.powervc.forgetTasks();
    const second = await next({ ...NEWS, displayName: "other" });
    expect(second.id).toBe(first.id);
    expect(second.outs.clones).toEqual(first.outs.clones);
    expect(second.outs).toMatchObject({ clonedVolumes: [{ name: "clone-other-1" }, {}, {}] });
    expect([clones().length, requests("clones.create"), records()]).toEqual([3, 1, []]);
  });

  test("and the volumes changed since: another set is made, and the old one named, not touched", async () => {
    await killed(() => {});
    pass(60_000);
    const { outs } = await next({ ...NEWS, volumes: [DATA, LOGS] });
    expect(
      log.find((line) => line.startsWith("warning: an interrupted run left the volume clone snapclone-")),
    ).toBeDefined();
    expect(Object.keys(outs.clones as object)).toEqual([DATA, LOGS]);
    expect(clones()).toHaveLength(5);
  });

  test("another order of the same volumes is the same set", async () => {
    await killed(() => {});
    const { outs } = await next({ ...NEWS, volumes: [TEMP, DATA, LOGS] });
    expect(outs).toMatchObject({ clonedVolumes: [{ sourceId: TEMP, name: "clone-before-1" }, { sourceId: DATA }, {}] });
    expect(requests("clones.create")).toBe(1);
  });

  test("somebody else's debris and settled sets are left alone", async () => {
    await start();
    const theirs = await create(definition, newRun(), { ...NEWS, __owner: `${OWNER}-theirs` });
    const run = newRun();
    const settled = await create(definition, run, NEWS);
    await run.end();
    const { id } = await next();
    expect(new Set([theirs.id, settled.id, id]).size).toBe(3);
    expect(clones()).toHaveLength(9);
  });

  test("a copy of a clone or of a source is nobody's debris, though it bears their metadata and names", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const copied = emulator.cinder.createVolume({
      name: `clone-clone-${id}-1`,
      source_volid: cloneOf(outs, DATA).id,
      metadata: { ...cloneOf(outs, DATA).metadata },
    });
    emulator.cinder.createVolume({ name: "copy of the source", metadata: { ...row(DATA).metadata } });
    await remove(definition, newRun(), id, { ...outs, clones: {} });
    expect(clones().map(({ name }) => name)).toEqual([copied.name, "copy of the source"]);
    const again = await next();
    expect(again.id).not.toBe(id);
  });
});

describe("a reply that is lost", () => {
  test("after the request was carried out: the clones are found, and none is made twice", async () => {
    await start();
    emulator.faults.add({ match: { operation: "clones.create" }, action: "lose-reply" });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ clonedVolumes: [{ name: "clone-before-1" }, {}, {}] });
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  test("before it was carried out: nothing shows, so the outcome is unknown, and only a later run asks again", async () => {
    await start();
    emulator.faults.add({ match: { operation: "clones.create" }, status: 500 });
    const error: unknown = await create(definition, newRun(), NEWS).catch((thrown: unknown) => thrown);
    expect(error).not.toBeInstanceOf(PartialFailure);
    expect(String(error)).toMatch(/cannot create volume clone "before": Cinder answered 500/);
    expect([clones(), requests("clones.create")]).toEqual([[], 1]);
    await cloud.session.close();
    cloud = newCloud();
    await create(definition, newRun(), NEWS);
    expect([clones().length, requests("clones.create")]).toEqual([3, 2]);
  });

  test("an answer without a usable task is no reason to ask again", async () => {
    await start();
    emulator.faults.add({ match: { operation: "clones.create" }, action: "truncate" });
    await create(definition, newRun(), NEWS);
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  test("503, HTML and a lost token while waiting do not end the wait", async () => {
    await start();
    emulator.faults.add({ match: { operation: "clones.progress", nth: 2 }, times: 2, status: 503 });
    emulator.faults.add({ match: { operation: "clones.progress", nth: 4 }, action: "html" });
    emulator.faults.add({ match: { operation: "clones.progress", nth: 5 }, action: "expire-token" });
    await create(definition, newRun(), NEWS);
    expect(clones()).toHaveLength(3);
  });
});

describe("what PowerVC may say", () => {
  const progress = (body: object) =>
    emulator.faults.add({ match: { operation: "clones.progress" }, times: Infinity, body, status: 200 });

  test("success with fewer clones than volumes is a failure, and those that are there are recorded", async () => {
    await start();
    const made = emulator.cinder.createVolume({ name: "clone-of-data", source_volid: DATA });
    progress({ details: { results: { [DATA]: made.id }, flow_details: { cloneFlow: "SUCCESS" }, progress: 100 } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, volumes: [DATA, LOGS] }));
    expect(failure.reasons[0]).toContain("with 1 of 2 clones");
    expect(failure.properties).toMatchObject({ clones: { [DATA]: made.id }, pending: { failed: true } });
  });

  test("a source among the clones is never touched", async () => {
    await start();
    progress({ details: { results: { [DATA]: LOGS, [LOGS]: DATA }, flow_details: { cloneFlow: "SUCCESS" } } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, volumes: [DATA, LOGS] }));
    expect(failure.reasons[0]).toContain("with 0 of 2 clones");
    expect([row(DATA).name, row(LOGS).name]).toEqual(["data", "logs"]);
    await remove(definition, newRun(), failure.id, { ...failure.properties, clones: { [DATA]: LOGS, [LOGS]: DATA } });
    expect(emulator.cinder.volumes.has(DATA) && emulator.cinder.volumes.has(LOGS)).toBe(true);
  });

  test("one clone in error: its reason, recorded", async () => {
    await start();
    const made = emulator.cinder.createVolume({ name: "x", source_volid: DATA, status: "error" });
    progress({ details: { results: { [DATA]: made.id }, flow_details: { cloneFlow: "SUCCESS" } } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, volumes: [DATA] }));
    expect(failure.reasons[0]).toMatch(/the clone \S+ is in status "error"/);
    expect(failure.properties).toMatchObject({ clonedVolumes: [{ id: made.id, status: "error" }] });
  });

  test("a failure in the results counts whatever the flow says, and a state nobody knows is waited for", async () => {
    await start();
    progress({
      progress: 100,
      flow_details: { cloneFlow: "SUCCESS" },
      details: { results: { failure: "it did not" } },
    });
    expect((await partial(create(definition, newRun(), NEWS))).reasons[0]).toContain("it did not");
    emulator.faults.clear();
    progress({ progress: 12, flow_details: { cloneFlow: "SUSPENDED" } });
    const failure = await partial(
      create(definition, newRun(), { ...NEWS, __owner: `${OWNER}2`, __timeouts: { create: "1m" } }),
    );
    expect(failure.reasons[0]).toContain("12 % · SUSPENDED");
    expect(failure.properties.pending).not.toHaveProperty("failed");
  });
});

describe("read and change", () => {
  async function made() {
    await start();
    const run = newRun();
    const { id, outs } = await create(definition, run, NEWS);
    await run.end();
    return { id, outs };
  }

  test("display name and description change in place, with the requests that takes", async () => {
    const { id, outs } = await made();
    emulator.requests.length;
    const before = requests("volumes.update");
    const changed = await update(definition, newRun(), id, outs, {
      ...NEWS,
      displayName: "after",
      description: undefined,
    });
    expect(changed.outs).toMatchObject({ clones: outs.clones, clonedVolumes: [{ name: "clone-after-1" }, {}, {}] });
    expect(changed.outs).not.toHaveProperty("description");
    expect(clones().map(({ description }) => description)).toEqual([null, null, null]);
    expect(requests("volumes.update") - before).toBe(3);
    expect(requests("clones.create")).toBe(1);
    expect(diff(definition, outs, { ...NEWS, volumes: [DATA, LOGS] })).toMatchObject({ replaces: ["volumes"] });
    for (const key of ["targetVolumeTypeId", "triggers", "connection"])
      expect(diff(definition, outs, { ...NEWS, [key]: key === "triggers" ? [1] : DATA })).toMatchObject({
        replaces: [key],
      });
  });

  test("another order of the volumes renumbers the clones, and makes none", async () => {
    const { id, outs } = await made();
    const news = { ...NEWS, volumes: [TEMP, LOGS, DATA] };
    expect(diff(definition, outs, news)).toEqual({});
    const changed = await update(definition, newRun(), id, outs, news);
    expect(changed.outs).toMatchObject({ volumes: news.volumes, clones: outs.clones });
    expect(cloneOf(outs, TEMP).name).toBe("clone-before-1");
    const { props } = await read(definition, newRun(), id, changed.outs);
    expect(diff(definition, props ?? {}, news)).toEqual({ changes: false });
  });

  test("renamed and redescribed by hand: shown, and put right", async () => {
    const { id, outs } = await made();
    cloneOf(outs, LOGS).name = "mine now";
    cloneOf(outs, DATA).description = "edited";
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ displayName: "clone-before-1, mine now, clone-before-3" });
    expect(diff(definition, props ?? {}, NEWS)).toEqual({});
    await update(definition, newRun(), id, props ?? {}, NEWS);
    expect(clones().map(({ name }) => name)).toEqual(["clone-before-1", "clone-before-2", "clone-before-3"]);
    expect(new Set(clones().map(({ description }) => description))).toEqual(new Set(["Before the release"]));
  });

  test("tags taken away by hand: the state knows what they said", async () => {
    const { id, outs } = await made();
    for (const clone of clones()) clone.metadata = {};
    const { props } = await read(definition, newRun(), id, outs);
    expect(diff(definition, props ?? {}, NEWS)).toEqual({ changes: false });
  });

  test("one deleted by hand: the refresh says what the next up does, and the diff is a replacement of the set", async () => {
    const { id, outs } = await made();
    emulator.cinder.removeVolume(cloneOf(outs, LOGS).id);
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ volumes: [DATA, TEMP], missing: 1 });
    expect(log.at(-1)).toMatch(
      /^warning: volume clone "before": 1 of 3 clones are gone.*makes a new consistent set of all volumes/,
    );
    expect(diff(definition, props ?? {}, NEWS)).toMatchObject({ replaces: ["volumes"], deleteBeforeReplace: false });
    // As the engine does it: the new one first, then what is left of the old one.
    const run = newRun();
    const fresh = await create(definition, run, NEWS);
    await remove(definition, run, id, props ?? {});
    expect(
      clones()
        .map((clone) => clone.id)
        .sort(),
    ).toEqual(Object.values(fresh.outs.clones as object).sort());
  });

  test("one deleted by hand and no refresh: an update does what it can, and says the rest", async () => {
    const { id, outs } = await made();
    emulator.cinder.removeVolume(cloneOf(outs, LOGS).id);
    const { outs: now } = await update(definition, newRun(), id, outs, { ...NEWS, displayName: "after" });
    expect(log.find((line) => line.startsWith("warning: 1 of 3 clones are gone"))).toBeDefined();
    expect(diff(definition, now, { ...NEWS, displayName: "after" })).toMatchObject({ replaces: ["volumes"] });
  });

  test("all deleted by hand is gone; one forbidden is an error", async () => {
    const { id, outs } = await made();
    emulator.faults.add({ match: { operation: "volumes.show", nth: 2 }, status: 403 });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/cannot read volume clone "before": .*403/);
    emulator.faults.add({ match: { operation: "volumes.show", nth: 3 }, status: 404, body: "<html>nginx</html>" });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/HTML/);
    for (const clone of clones()) emulator.cinder.removeVolume(clone.id);
    expect(await read(definition, newRun(), id, outs)).toEqual({});
  });

  test("a clone that went bad is told, and not replaced", async () => {
    const { id, outs } = await made();
    cloneOf(outs, TEMP).status = "error";
    const { props } = await read(definition, newRun(), id, outs);
    expect(log.at(-1)).toMatch(/the clone \S+ is in status "error"/);
    expect(diff(definition, props ?? {}, NEWS)).toEqual({ changes: false });
  });

  test("get: by the id alone", async () => {
    const { id, outs } = await made();
    const { props } = await read(definition, newRun(), id, {});
    expect(props).toMatchObject({ volumes: SOURCES, clones: outs.clones, displayName: "before", taskId: outs.taskId });
  });
});

describe("delete", () => {
  async function made() {
    await start();
    const run = newRun();
    const { id, outs } = await create(definition, run, NEWS);
    await run.end();
    return { id, outs };
  }

  test("all clones, at once, until they are gone; the sources stay", async () => {
    const { id, outs } = await made();
    await remove(definition, newRun(), id, outs);
    expect(clones()).toEqual([]);
    expect(SOURCES.every((source) => emulator.cinder.volumes.has(source))).toBe(true);
    expect(requests("volumes.delete")).toBe(3);
    await remove(definition, newRun(), id, outs);
    expect(requests("volumes.delete")).toBe(3);
  });

  test("one that is attached: an error that names the VM, and nothing is deleted", async () => {
    const { id, outs } = await made();
    const clone = cloneOf(outs, LOGS);
    clone.status = "in-use";
    clone.attachments = row(LOGS).attachments;
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(
      new RegExp(`"clone-before-2" \\(${clone.id}\\) is attached to the VM ${row(LOGS).attachments[0]?.server_id}`),
    );
    expect([clones().length, requests("volumes.delete")]).toEqual([3, 0]);
  });

  test("what one of them fails with is told; the others are gone, and the next delete goes on", async () => {
    const { id, outs } = await made();
    const clone = cloneOf(outs, LOGS);
    clone.group_id = "44444444-4444-4444-8444-444444444444";
    await expect(remove(definition, newRun(), id, outs)).rejects.toThrow(
      /must not be migrating, attached, belong to a group/,
    );
    expect(clones()).toHaveLength(1);
    clone.group_id = null;
    await remove(definition, newRun(), id, outs);
    expect(clones()).toEqual([]);
  });

  test("of a set whose mark is still open, nothing of it is adopted later", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    await remove(definition, newRun(), id, outs);
    expect([clones(), records()]).toEqual([[], []]);
    expect((await create(definition, newRun(), NEWS)).id).not.toBe(id);
  });
});

describe("check", () => {
  test("refuses all that is wrong at once, with the path, and sends nothing", async () => {
    await start();
    const bad = {
      volumes: [DATA, "my-volume", DATA.toUpperCase(), 7],
      displayName: "x".repeat(241),
      description: "y".repeat(256),
      targetVolumeTypeId: "ssd",
      triggers: "monday",
      connection: "",
      displyName: "typo",
    };
    expect(check(definition, {}, bad).failures).toEqual([
      { property: "displyName", reason: "unknown property; did you mean displayName?" },
      { property: "volumes[1]", reason: expect.stringContaining("UUID of a volume") },
      { property: "volumes[2]", reason: "is the same volume as volumes[0]" },
      { property: "volumes[3]", reason: expect.stringContaining("UUID of a volume") },
      { property: "displayName", reason: expect.stringContaining("240 characters") },
      { property: "description", reason: "must not be longer than 255 characters" },
      { property: "targetVolumeTypeId", reason: expect.stringContaining("UUID of a volume type") },
      { property: "triggers", reason: "must be a list" },
      { property: "connection", reason: "must be the name of a connection" },
    ]);
    expect(check(definition, {}, {}).failures).toEqual([{ property: "volumes", reason: "is required" }]);
    expect(check(definition, {}, { volumes: [] }).failures).toEqual([
      { property: "volumes", reason: "must have at least one volume" },
    ]);
    expect(check(definition, {}, { volumes: "all", displayName: " " }).failures).toHaveLength(2);
    expect(
      check(definition, {}, { volumes: [DATA], displayName: "snapclone-0123456789abcdef01234567" }).failures,
    ).toHaveLength(1);
    expect(emulator.requests.length).toBe(0);
  });

  test("takes what a preview does not know yet, and the document's own sample", async () => {
    await start();
    expect(check(definition, {}, { volumes: UNKNOWN }).failures).toEqual([]);
    expect(check(definition, {}, { volumes: [UNKNOWN, DATA, UNKNOWN] }).failures).toEqual([]);
    const sample = {
      displayName: "display_name",
      description: "description",
      volumes: ["714a7ea5-4ec1-4272-81ec-c806973bc45b", "714a8ea5-8abd-4367-91ec-bcf06973bc67"],
      targetVolumeTypeId: "9577a6ab-d726-470c-a556-928a9a5af963",
    };
    expect(check(definition, {}, sample)).toEqual({ failures: [], inputs: sample });
  });

  test("a display name that is too long under this server's prefix is said before anything is renamed", async () => {
    await start();
    emulator.powervc.prefix = "a rather long prefix ";
    const failure = await partial(create(definition, newRun(), { ...NEWS, displayName: "x".repeat(240) }));
    expect(failure.reasons[0]).toMatch(/would have 263 characters, and Cinder takes 255/);
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, NEWS);
    expect(outs).toMatchObject({ clonedVolumes: [{ name: "a rather long prefix before-1" }, {}, {}] });
    expect(requests("clones.create")).toBe(1);
  });
});
