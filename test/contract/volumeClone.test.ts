// VolumeClone's lifecycle against the emulator: what becomes of a set, how it is found again, what the user is told.

import { type Emulator, type EmulatorOptions, startEmulator, type VolumeRow } from "../../emulator";
import { check, UNKNOWN } from "../../provider/core/check";
import { diff } from "../../provider/core/diff";
import { HttpClient, type HttpRequest, type RawResponse } from "../../provider/core/http/client";
import { create, PartialFailure, type Properties, read, remove, update } from "../../provider/core/lifecycle";
import { Run } from "../../provider/core/run";
import type { Clock } from "../../provider/core/util/clock";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { resolvePowerVc } from "../../provider/powervc/connection";
import { PowerVcContext } from "../../provider/powervc/context";
import { volumeClone as released } from "../../provider/powervc/volumeClone/resource";
import { markSecrets } from "../../provider/pulumi/secrets";
import { partial } from "../support/failures";
import { FakeEngine } from "../support/fakeEngine";

/**
 * The emulator's time and ours are one, and it passes only while somebody sleeps: each look sees what it would see if
 * nothing but the wait took time. What sleeps longer than any pause between looks is a limit, and never comes.
 */
let time = 0;
const clock: Clock = {
  now: () => time,
  date: () => emulator.clock.now(),
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

/** The backend's dates are the emulator's, and the process can be killed at a request. */
class TestHttp extends HttpClient {
  dead = false;

  constructor(private readonly kill?: { at(request: HttpRequest<unknown>): boolean; carriedOut: boolean }) {
    super({ clock });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    const { kill } = this;
    if (!this.dead && kill?.at(request)) {
      if (kill.carriedOut) await super.exchange(request);
      this.dead = true;
    }
    if (this.dead) throw new Error("killed");
    const answer = await super.exchange(request);
    return { ...answer, headers: { ...answer.headers, date: emulator.clock.now().toUTCString() } };
  }
}

const { __owner, __provider, ...ARGS } = NEWS;
const METADATA_KEY = /\/metadata\/[^/]+$/;

let emulator: Emulator;
let http: TestHttp;
let cloud: PowerVcContext;
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
  newProcess();
  log.length = 0;
}

const connections: HttpClient[] = [];
/** What is opened from now on knows nothing of what was before. */
function newProcess(kill?: ConstructorParameters<typeof TestHttp>[0]): void {
  const place = { env: {}, cwd: "/", home: "/" };
  const settings = resolvePowerVc({ name: "default", config: emulator.powervcLogin.connection(), ...place });
  http = new TestHttp(kill);
  connections.push(http);
  cloud = new PowerVcContext(new KeystoneSession(settings, { clock, http }), clock);
}

afterEach(async () => {
  await Promise.all(runs.splice(0).map((run) => run.end()));
  await Promise.all(connections.splice(0).map((one) => one.close()));
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
    // What others have on the volumes stays, and what is ours goes as soon as the clones bear the record.
    expect(records()).toEqual([]);
    expect(row(TEMP).metadata).toEqual({ team: "shop" });
    const { sources, ...record } = {
      sources: SOURCES,
      "snapclone:stack": run.stackOf(NEWS),
      "snapclone:owner": OWNER,
      "snapclone:inputs": expect.stringMatching(/^[0-9a-f]{16}$/),
      "snapclone:attempt": expect.stringMatching(/^[0-9a-f]{16}$/),
      "snapclone:set": id,
    };
    for (const source of sources) expect(cloneOf(outs, source).metadata).toMatchObject(record);
    expect(outs).toMatchObject({
      __stack: run.stackOf(NEWS),
      __backend: expect.stringMatching(/^project .*, region /),
    });
    // And the end of the run writes nothing.
    const sent = emulator.requests.length;
    await run.end();
    expect(emulator.requests.length).toBe(sent);
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

test("a clone of a clone of ours bears nothing of the first set", async () => {
  await start();
  const { outs: first } = await create(definition, newRun(), NEWS);
  emulator.powervc.settle();
  const source = cloneOf(first, TEMP).id;
  cloneOf(first, TEMP).metadata["snapclone:phase"] = "open";
  emulator.faults.add({ match: { operation: "clones.create" }, action: "lose-reply" });
  const { id, outs } = await create(definition, newRun(), { ...NEWS, __owner: `${OWNER}2`, volumes: [source] });
  const { metadata } = cloneOf(outs, source);
  expect(metadata).toMatchObject({ "snapclone:set": id, "snapclone:source": source, "snapclone:owner": `${OWNER}2` });
  expect([outs.taskId, metadata["snapclone:phase"], metadata["snapclone:task"]]).toEqual([undefined, "", ""]);
});

test("what repeats a secret input is secret", async () => {
  await start();
  const { outs } = await create(definition, newRun(), { ...NEWS, volumes: [DATA], __secrets: ["displayName"] });
  const marked = markSecrets(definition, outs);
  expect(marked.clonedVolumes).toMatchObject({ value: [{ name: "clone-before" }] });
  expect(marked.clones).toEqual(outs.clones);
});

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
  let engine: FakeEngine;
  const up = async (args: Properties = ARGS, kill?: ConstructorParameters<typeof TestHttp>[0]) => {
    newProcess(kill);
    return engine.up({ before: args }, { firstCheckWithoutSeed: false });
  };
  /** Good, and nothing else said than what is given. */
  const good = async (args?: Properties) => {
    const { errors, log } = await up(args);
    if (errors.length > 0) throw errors[0];
    const [entry, ...others] = engine.state.entries;
    expect(others).toEqual([]);
    if (!entry) throw new Error("nothing in the state");
    return { id: entry.id, outs: entry.outputs, log };
  };
  const at = (method: string, path: RegExp, nth = 1) => {
    let seen = 0;
    return (request: HttpRequest<unknown>) => {
      if (request.method !== method || !path.test(request.url)) return false;
      seen += 1;
      return seen === nth;
    };
  };
  const CLONE = /\/clone-volumes$/;
  const METADATA = /\/metadata$/;

  beforeEach(async () => {
    await start();
    engine = new FakeEngine(definition, { clock, isDead: () => http.dead });
  });

  test.each([
    ["before the first mark", { at: at("POST", METADATA), carriedOut: false }],
    ["after the first mark", { at: at("POST", METADATA), carriedOut: true }],
    ["before the request", { at: at("POST", CLONE), carriedOut: false }],
    ["after the request, before its answer", { at: at("POST", CLONE), carriedOut: true }],
    ["before the task was noted", { at: at("POST", METADATA, 2), carriedOut: false }],
    ["after the task was noted", { at: at("POST", METADATA, 2), carriedOut: true }],
    ["while the flow runs", { at: at("GET", /get_progress/, 2), carriedOut: true }],
    ["when one clone bears the record", { at: at("POST", METADATA, 4), carriedOut: false }],
    ["when one clone has its name", { at: at("PUT", /volumes/, 2), carriedOut: false }],
    ["before the first mark has gone", { at: at("DELETE", METADATA_KEY), carriedOut: false }],
    ["before the engine wrote it down", { at: at("DELETE", METADATA_KEY), carriedOut: true }],
  ])("%s: the next up ends in what a first up gives", async (_when, kill) => {
    expect((await up(ARGS, kill)).killed).toBe(true);
    pass(1_000);
    const { id, outs } = await good({ ...ARGS, displayName: "renamed since" });
    expect(outs).toMatchObject({
      volumes: SOURCES,
      displayName: "renamed since",
      clonedVolumes: SOURCES.map((sourceId, n) => ({ sourceId, name: `clone-renamed since-${n + 1}` })),
    });
    expect([clones().length, emulator.powervc.tasks.size, records()]).toEqual([3, 1, []]);
    for (const source of SOURCES) {
      const { metadata } = cloneOf(outs, source);
      expect([metadata["snapclone:set"], metadata["snapclone:attempt"]]).toEqual([
        id,
        engine.state.entries[0]?.inputs.__attempt,
      ]);
    }
    expect((await engine.destroy()).errors).toEqual([]);
    expect([clones(), records()]).toEqual([[], []]);
  });

  test("the adoption leaves a line with id, time and age", async () => {
    await up(ARGS, { at: at("GET", /get_progress/), carriedOut: true });
    const { id, log } = await good();
    expect(log).toContainEqual(expect.stringMatching(`info: adopted the volume clone ${id}, made \\S+ \\(.* ago\\)`));
  });

  test("nothing shows whose clone is whose, and their sizes are the same: that is said, never guessed", async () => {
    emulator.powervc.tellsSource = false;
    row(LOGS).size = row(DATA).size;
    await up(ARGS, { at: at("POST", CLONE), carriedOut: true });
    const { errors } = await up();
    expect(String(errors[0])).toContain("nothing tells which is whose");
    for (const { id } of clones()) expect(String(errors[0])).toContain(id);
    expect(engine.state.entries).toMatchObject([{ outputs: { pending: { failed: true } } }]);
    newProcess();
    await engine.destroy();
    expect([clones(), records()]).toEqual([[], []]);
  });

  test.each(["size", "size and type"])("nothing shows whose clone is whose but their %s: these tell", async (what) => {
    emulator.powervc.tellsSource = false;
    const [, ssd = ""] = emulator.cinder.volumeTypes.keys();
    if (what !== "size") Object.assign(row(LOGS), { size: row(DATA).size, volume_type_id: ssd });
    await up(ARGS, { at: at("POST", CLONE), carriedOut: true });
    const { outs } = await good();
    for (const source of SOURCES) {
      const { size, volume_type_id } = row(source);
      expect(cloneOf(outs, source)).toMatchObject({ size, volume_type_id });
    }
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  describe("before the request", () => {
    const begun = () => up(ARGS, { at: at("POST", CLONE), carriedOut: false });
    const rows: string[] = [];
    const watched = async () => {
      newProcess();
      rows.length = 0;
      const run = new Run({
        clock,
        log: (severity, text) => severity === "status" && rows.push(text),
        origin: () => engine.origin,
        askState: async () => engine.ask(),
      });
      const begin = time;
      const news = {
        ...ARGS,
        __owner: engine.urn("before"),
        __organization: "organization",
        __attempt: "f".repeat(16),
      };
      engine.state.pending.push({ urn: engine.urn("before"), inputs: news });
      await create(definition, run, news);
      return time - begin;
    };

    test("the next up says what it waits for, and until when", async () => {
      await begun();
      const waited = await watched();
      expect(rows).toContainEqual(
        expect.stringMatching(
          /^nothing shows yet of the set snapclone-\w+; PowerVC is asked for it again in 1 min 50 s$/,
        ),
      );
      expect(rows).toContain("nothing shows of the interrupted request: asking for it");
      expect(waited).toBeGreaterThan(110_000);
      expect([clones().length, emulator.powervc.tasks.size]).toEqual([3, 1]);
    });

    test("what has passed since then is not waited for once more", async () => {
      await begun();
      pass(10 * 60_000);
      expect(await watched()).toBeLessThan(40_000);
      expect([clones().length, emulator.powervc.tasks.size]).toEqual([3, 1]);
    });
  });

  test("while the flow is still at its group snapshot: the source's group shows it, and nothing is asked again", async () => {
    emulator.powervc.behaviour({ step: "wait_for_group_snapshot", takes: 600_000, times: 1 });
    await up(ARGS, { at: at("POST", CLONE), carriedOut: true });
    await good();
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  test.each(["404", "empty", "unrouted"] as const)(
    "and PowerVC has forgotten the task (%s): the clones tell",
    async (forgets) => {
      emulator.powervc.forgets = forgets;
      await up(ARGS, { at: at("GET", /get_progress/), carriedOut: true });
      pass(60_000);
      emulator.powervc.settle();
      emulator.powervc.forgetTasks();
      const { outs } = await good();
      expect(outs).toMatchObject({ displayName: "before", clonedVolumes: [{}, {}, {}] });
      expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
    },
  );

  test("and the volumes changed since: another set is made, and the old one told, not touched", async () => {
    await up(ARGS, { at: at("GET", /get_progress/), carriedOut: true });
    pass(60_000);
    const { outs, log } = await good({ ...ARGS, volumes: [DATA, LOGS] });
    expect(
      log.find((line) => /in no state: a volume clone that this stack made[\s\S]*snapclone-/.test(line)),
    ).toBeDefined();
    expect(Object.keys(outs.clones as object)).toEqual([DATA, LOGS]);
    expect(clones()).toHaveLength(5);
  });

  test("another order of the same volumes is the same set", async () => {
    await up(ARGS, { at: at("GET", /get_progress/), carriedOut: true });
    const { outs } = await good({ ...ARGS, volumes: [TEMP, DATA, LOGS] });
    expect(outs).toMatchObject({ clonedVolumes: [{ sourceId: TEMP, name: "clone-before-1" }, { sourceId: DATA }, {}] });
    expect(requests("clones.create")).toBe(1);
  });

  test("a replacement that was forced, killed and forced again: the old set goes last, and one is left", async () => {
    const first = await good();
    newProcess({ at: at("GET", /get_progress/), carriedOut: true });
    await engine.up({ before: ARGS }, { replace: ["before"] });
    pass(1_000);
    newProcess();
    const { errors } = await engine.up({ before: ARGS }, { replace: ["before"] });
    expect(errors).toEqual([]);
    expect(engine.idOf("before")).not.toBe(first.id);
    expect([clones().length, requests("clones.create")]).toEqual([3, 2]);
  });

  test("what another resource has made is left alone", async () => {
    await up(ARGS, { at: at("GET", /get_progress/), carriedOut: true });
    newProcess();
    const { errors } = await engine.up({ other: ARGS });
    expect(errors).toEqual([]);
    expect(clones()).toHaveLength(6);
  });

  test("a copy of a clone or of a source is nobody's, though it bears their metadata and names", async () => {
    const { id, outs } = await good();
    const copied = emulator.cinder.createVolume({
      name: `clone-clone-${id}-1`,
      source_volid: cloneOf(outs, DATA).id,
      metadata: { ...cloneOf(outs, DATA).metadata },
    });
    emulator.cinder.createVolume({ name: "copy of the source", metadata: { ...row(DATA).metadata } });
    await remove(definition, newRun(), id, { ...outs, clones: {} });
    expect(clones().map(({ name }) => name)).toEqual([copied.name, "copy of the source"]);
  });

  test.each(["with  blanks", "x".repeat(300)])(
    "a resource called %j: the note has its owner, whatever it is called",
    async (name) => {
      newProcess({ at: at("GET", /get_progress/), carriedOut: true });
      await engine.up({ [name]: ARGS });
      const [note = ""] = Object.values(row(DATA).metadata);
      expect(note.length).toBeLessThanOrEqual(255);
      pass(1_000);
      newProcess();
      expect((await engine.up({ [name]: ARGS })).errors).toEqual([]);
      expect([clones().length, requests("clones.create"), records()]).toEqual([3, 1, []]);
      expect(new Set(clones().map(({ metadata }) => metadata["snapclone:owner"]?.length)).size).toBe(1);
    },
  );

  test("the save fails at the end of a create: that run says so, and the next up adopts", async () => {
    newProcess();
    const { log } = await engine.up({ before: ARGS }, { saveFails: true, firstCheckWithoutSeed: false });
    expect(engine.state.entries).toEqual([]);
    expect(log.join("\n")).toMatch(/in no state: a volume clone that this stack made/);
    const [clone] = clones();
    pass(1_000);
    expect((await good()).id).toBe(clone?.metadata["snapclone:set"]);
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  test("retained, and then declared again: a new set, and the old one told", async () => {
    const first = await good();
    newProcess();
    await engine.up({}, { retain: ["before"] });
    pass(1_000);
    const second = await good();
    expect(second.id).not.toBe(first.id);
    expect(second.log.join("\n")).toContain(first.id);
    expect(clones()).toHaveLength(6);
  });

  test("an alias, and a rename of the stack: the clones bear the new owner, and nothing else is written", async () => {
    const { id, outs } = await good();
    newProcess();
    const sent = emulator.requests.length;
    expect((await engine.up({ after: ARGS }, {}, { after: "before" })).errors).toEqual([]);
    const owners = () => new Set(clones().map(({ metadata }) => metadata["snapclone:owner"]));
    expect(owners()).toEqual(new Set([engine.urn("after")]));
    engine.edit(({ entries }) => {
      for (const entry of entries) entry.urn = entry.urn.replace(":dev::", ":prod::");
    });
    engine.stack = "prod";
    newProcess();
    expect((await engine.up({ after: ARGS })).errors).toEqual([]);
    expect(owners()).toEqual(new Set([engine.urn("after")]));
    expect(new Set(clones().map(({ metadata }) => metadata["snapclone:stack"]))).toEqual(
      new Set([engine.state.entries[0]?.outputs.__stack]),
    );
    expect(engine.idOf("after")).toBe(id);
    expect(engine.state.entries[0]?.outputs.clones).toEqual(outs.clones);
    const changes = [...emulator.requests]
      .slice(sent)
      .filter(({ method, operation }) => method !== "GET" && operation !== "tokens.issue");
    expect(changes.map(({ operation }) => operation)).toEqual(
      Array.from({ length: 6 }, () => "volumes.metadata.merge"),
    );
  });

  describe("by a build before 0.2", () => {
    /** As such a build leaves it: its marks, and the same request. */
    async function old(phase: "intent" | "tags"): Promise<string> {
      const first = await good();
      const inputs = row(Object.values(first.outs.clones as object)[0]).metadata["snapclone:inputs"] ?? "";
      const urn = engine.urn("before");
      for (const source of SOURCES) {
        const clone = cloneOf(first.outs, source);
        const { "snapclone:stack": _stack, "snapclone:attempt": _attempt, ...rest } = clone.metadata;
        clone.metadata = { ...rest, "snapclone:phase": "open", "snapclone:inputs": inputs.padEnd(32, "0") };
      }
      if (phase === "intent") {
        row(DATA).metadata = {
          [`snapclone:${first.id}:intent`]: `${DATA} ${inputs.padEnd(32, "0")} -`,
          [`snapclone:${first.id}:owner`]: urn,
        };
      }
      engine.edit((state) => {
        state.entries = [];
        state.pending = [{ urn, inputs: {} }];
      });
      return first.id;
    }

    test.each(["intent", "tags"] as const)(
      "its open %s are adopted, and no such build adopts them again",
      async (phase) => {
        const id = await old(phase);
        const adopted = await good();
        expect(adopted.id).toBe(id);
        expect([clones().length, records()]).toEqual([3, []]);
        for (const { metadata } of clones()) expect(metadata["snapclone:phase"]).toBe("settled");
      },
    );

    test("the marks that it has left on a set of the state go with the set", async () => {
      const id = await old("intent");
      const clonesOf = Object.fromEntries(clones().map((clone) => [clone.source_volid, clone.id]));
      const urn = engine.urn("before");
      const outputs = { ...ARGS, clones: clonesOf, __owner: urn };
      const entry = {
        urn,
        id,
        inputs: { ...ARGS, __owner: urn },
        outputs,
        leaving: false,
        initError: false,
        created: "",
      };
      engine.edit((state) => (state.entries = [entry]));
      newProcess();
      expect((await engine.destroy()).errors).toEqual([]);
      expect([clones(), records()]).toEqual([[], []]);
    });
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

  test("before it was carried out: recorded, looked for, and asked for again by the next up alone", async () => {
    await start();
    emulator.faults.add({ match: { operation: "clones.create" }, status: 500 });
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(failure.reasons[0]).toMatch(/cannot create volume clone "before": Cinder answered 500/);
    expect(failure.properties).toMatchObject({ volumes: SOURCES, pending: { operation: "create" } });
    expect([clones(), requests("clones.create")]).toEqual([[], 1]);
    newProcess();
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, NEWS);
    expect(outs).toMatchObject({ clonedVolumes: [{ name: "clone-before-1" }, {}, {}] });
    expect([clones().length, requests("clones.create"), records()]).toEqual([3, 2, []]);
  });

  test("before it was carried out, and then destroy: nothing is left", async () => {
    await start();
    emulator.faults.add({ match: { operation: "clones.create" }, status: 500 });
    const failure = await partial(create(definition, newRun(), NEWS));
    newProcess();
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([clones(), requests("clones.create"), records()]).toEqual([[], 1, []]);
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

describe("a clone that vanishes while the set is made", () => {
  test.each(["set_metadata_for_volume", "delete_group_type"] as const)(
    "after %s: the others are recorded, and the next up makes a whole set",
    async (step) => {
      await start();
      emulator.powervc.behaviour({ step, loses: 1, times: 1 });
      const engine = new FakeEngine(definition, { clock });
      const { errors } = await engine.up({ before: ARGS });
      expect(String(errors[0])).toMatch(
        new RegExp(`1 of 3 clones vanished while the set was made: [0-9a-f-]{36} of volume ${DATA}`),
      );
      const [entry] = engine.state.entries;
      expect(entry?.outputs).toMatchObject({ volumes: SOURCES, missing: [DATA], pending: { failed: true } });
      expect(Object.values(entry?.outputs.clones as object).sort()).toEqual(
        clones()
          .map(({ id }) => id)
          .sort(),
      );
      expect([clones().length, records()]).toEqual([2, []]);
      newProcess();
      expect((await engine.up({ before: ARGS })).errors).toEqual([]);
      expect(engine.state.entries).toMatchObject([{ outputs: { clonedVolumes: [{}, {}, {}] } }]);
      expect([clones().length, records()]).toEqual([3, []]);
    },
  );

  test("or is only not to be seen everywhere at once: it is waited for", async () => {
    await start();
    // A replica that lags: the list, and the look at one, know nothing of the clones yet.
    emulator.faults.add({
      match: { operation: "volumes.detail", nth: 2 },
      times: 2,
      body: { volumes: [] },
      status: 200,
    });
    const missing = { itemNotFound: { code: 404, message: "Volume x could not be found." } };
    emulator.faults.add({ match: { operation: "volumes.show" }, times: 6, body: missing, status: 404 });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ clonedVolumes: [{ name: "clone-before-1" }, {}, {}] });
    expect(outs).not.toHaveProperty("missing");
  });

  test("between the look at it and its name: as if it had vanished before", async () => {
    await start();
    newProcess();
    const { updateVolume } = cloud.cinder;
    cloud.cinder.updateVolume = async (id, change) => {
      cloud.cinder.updateVolume = updateVolume;
      emulator.cinder.removeVolume(id);
      return updateVolume.call(cloud.cinder, id, change);
    };
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(failure.reasons[0]).toContain("1 of 3 clones vanished while the set was made");
    expect(failure.properties).toMatchObject({ missing: [DATA], pending: { failed: true } });
    expect(records()).toEqual([]);
  });
});

describe("what is left half done", () => {
  /** The n-th PUT or POST of what follows is not carried out, and is not repeated. */
  const refuseNth = (operation: string, nth: number) =>
    emulator.faults.add({ match: { operation, nth }, times: 1, status: 409 });

  test.each([1, 2, 3, 4])(
    "a reorder that fails at its name no. %i: the outputs show it, and the next up puts it right",
    async (nth) => {
      await start();
      const engine = new FakeEngine(definition, { clock });
      await engine.up({ before: ARGS });
      const reordered = { ...ARGS, volumes: [TEMP, DATA, LOGS] };
      newProcess();
      // Of three numbers and three names.
      refuseNth(nth === 4 ? "volumes.metadata.merge" : "volumes.update", nth === 4 ? 2 : nth);
      const { errors } = await engine.up({ before: reordered });
      expect(String(errors[0])).toMatch(
        /cannot update volume clone "before": ("clone-before-\d"|[0-9a-f-]{36}).*answered 409/,
      );
      expect(engine.state.entries[0]?.outputs.displayName).toContain("\n");
      newProcess();
      expect((await engine.up({ before: reordered })).errors).toEqual([]);
      const { outputs } = engine.state.entries[0] ?? { outputs: {} };
      expect(outputs).toMatchObject({ volumes: reordered.volumes, displayName: "before" });
      expect(reordered.volumes.map((source) => cloneOf(outputs, source).name)).toEqual(
        [1, 2, 3].map((n) => `clone-before-${n}`),
      );
      expect(reordered.volumes.map((source) => cloneOf(outputs, source).metadata["snapclone:index"])).toEqual([
        "1/3",
        "2/3",
        "3/3",
      ]);
    },
  );

  test("a flow that never ends: destroy names the task, and the way out", async () => {
    await start();
    emulator.powervc.behaviour({ step: "create_group_snapshot", takes: Number.POSITIVE_INFINITY });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1m" } }));
    const [task] = emulator.powervc.tasks.keys();
    const error = await remove(definition, newRun(), failure.id, {
      ...failure.properties,
      __timeouts: { delete: "1m" },
    }).catch(String);
    expect(error).toMatch(new RegExp(`cannot delete volume clone "before": waited 1 min.* for PowerVC's task ${task}`));
    expect(error).toContain("No call cancels a flow of PowerVC's");
    expect(error).toContain("pulumi state delete <urn>");
    expect(error).toContain(failure.id);
  });

  test("a refusal whose note on the volume can't be taken away: recorded, and the next up finishes it", async () => {
    await start();
    const engine = new FakeEngine(definition, { clock });
    row(LOGS).status = "error";
    emulator.faults.add({ match: { operation: "volumes.metadata.delete" }, times: 3, status: 503 });
    const { errors } = await engine.up({ before: ARGS });
    expect(String(errors[0])).toMatch(/status must be available, in-use, but current status is: error/);
    expect([engine.state.entries.length, records().length]).toEqual([1, 1]);
    row(LOGS).status = "in-use";
    newProcess();
    const begin = time;
    expect((await engine.up({ before: ARGS })).errors).toEqual([]);
    // It is certain that nothing was sent: nothing is looked for.
    expect(time - begin).toBeLessThan(60_000);
    expect([clones().length, emulator.powervc.tasks.size, records()]).toEqual([3, 1, []]);
  });

  test("without the right to note anything on the volume: it fails, and nothing is recorded", async () => {
    await start();
    emulator.faults.add({ match: { operation: "volumes.metadata.merge" }, times: Infinity, status: 403 });
    const error: unknown = await create(definition, newRun(), NEWS).catch((thrown: unknown) => thrown);
    expect(error).not.toBeInstanceOf(PartialFailure);
    expect([clones(), records(), requests("clones.create"), requests("volumes.metadata.delete")]).toEqual([
      [],
      [],
      0,
      0,
    ]);
  });

  test("without the right to remove the note: the set is made, and the way to remove it told", async () => {
    await start();
    emulator.faults.add({ match: { operation: "volumes.metadata.delete" }, status: 403 });
    const { id } = await create(definition, newRun(), NEWS);
    expect(log).toContainEqual(
      expect.stringContaining(`Remove it: \`openstack volume unset --property snapclone:${id}:pending ${DATA}\``),
    );
  });
});

describe("another login", () => {
  test("while the set is being made: nothing is concluded from what is not there", async () => {
    await start();
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1ms" } }));
    const pending = failure.properties.pending as { task: object };
    const elsewhere = {
      ...failure.properties,
      pending: { ...pending, task: { ...pending.task, backend: "project 0123, region RegionOne" } },
    };
    for (const work of [
      () => update(definition, newRun(), failure.id, elsewhere, NEWS),
      () => remove(definition, newRun(), failure.id, elsewhere),
    ]) {
      await expect(work()).rejects.toThrow(/is being made on another backend: the state says project 0123/);
    }
    await update(definition, newRun(), failure.id, failure.properties, NEWS);
  });

  test("to another project: nothing is gone, and both are named", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const other = { ...outs, __backend: "project 0123, region RegionOne" };
    for (const clone of clones()) emulator.cinder.removeVolume(clone.id);
    for (const work of [() => read(definition, newRun(), id, other), () => remove(definition, newRun(), id, other)]) {
      await expect(work()).rejects.toThrow(
        /the state says project 0123, region RegionOne, and the connection reaches project/,
      );
    }
    await remove(definition, newRun(), id, outs);
  });
});

describe("requests", () => {
  /** How many, by the emulator's log, with login, version discovery and the end of the run: in real time. */
  async function counted(work: (run: Run) => Promise<unknown>): Promise<number> {
    const place = { env: {}, cwd: "/", home: "/" };
    const settings = resolvePowerVc({ name: "default", config: emulator.powervcLogin.connection(), ...place });
    cloud = new PowerVcContext(new KeystoneSession(settings));
    const before = emulator.requests.length;
    const run = new Run({ log: () => {} });
    await work(run);
    await run.end();
    await cloud.session.close();
    return emulator.requests.length - before;
  }

  test.each([
    // 23 and 8 before 0.2, with as many looks at the flow.
    { volumes: [DATA], made: 12, renamed: 4, deleted: 4 },
    // 35 and 14.
    { volumes: [DATA, LOGS, TEMP], made: 16, renamed: 6, deleted: 7 },
  ])("of a set of $volumes.length", async ({ volumes, made, renamed, deleted }) => {
    // At most two looks at the flow, and one at the deletion.
    await start({ clock: "real", timings: { cloneStep: 40, volumeDelete: 100 } });
    const news = { ...NEWS, volumes };
    let id = "";
    let outs: Properties = {};
    const create_ = await counted(async (run) => {
      ({ id, outs } = await create(definition, run, news));
    });
    const update_ = await counted((run) => update(definition, run, id, outs, { ...news, displayName: "after" }));
    const delete_ = await counted((run) => remove(definition, run, id, outs));
    expect(create_).toBeLessThanOrEqual(made);
    expect(update_).toBeLessThanOrEqual(renamed);
    expect(delete_).toBeLessThanOrEqual(deleted);
    expect(clones()).toEqual([]);
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
    expect(diff(definition, outs, { ...NEWS, connection: "default" })).toEqual({ changes: false });
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
    expect(props).toMatchObject({ displayName: "clone-before-1\nmine now\nclone-before-3" });
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
    const gone = cloneOf(outs, LOGS).id;
    emulator.cinder.removeVolume(gone);
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ volumes: SOURCES, missing: [LOGS] });
    expect(Object.keys(props?.clones as object)).toEqual([DATA, TEMP]);
    expect(log.at(-1)).toMatch(
      new RegExp(`^warning: volume clone "before": 1 of 3 clones are gone: those of ${LOGS}\\..*a new consistent set`),
    );
    expect(diff(definition, props ?? {}, NEWS)).toEqual({
      changes: true,
      replaces: ["missing"],
      deleteBeforeReplace: false,
    });
    // A refresh of what is known to lack one changes nothing more.
    expect((await read(definition, newRun(), id, props ?? {})).props).toEqual(props);
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

  test("one that was not to be seen once, and is there: the set is whole again", async () => {
    const { id, outs } = await made();
    const clone = cloneOf(outs, LOGS);
    emulator.cinder.volumes.delete(clone.id);
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ missing: [LOGS] });
    emulator.cinder.volumes.set(clone.id, clone);
    const healed = await read(definition, newRun(), id, props ?? {});
    expect(healed.props).not.toHaveProperty("missing");
    expect(healed.props?.clones).toEqual(outs.clones);
  });

  test("one deleted by hand, and its volume given up in the program: the rest stays", async () => {
    const { id, outs } = await made();
    emulator.cinder.removeVolume(cloneOf(outs, LOGS).id);
    const { props } = await read(definition, newRun(), id, outs);
    const news = { ...NEWS, volumes: [DATA, TEMP] };
    expect(diff(definition, props ?? {}, news)).toEqual({});
    const { outs: now } = await update(definition, newRun(), id, props ?? {}, news);
    expect(now).not.toHaveProperty("missing");
    expect(now).toMatchObject({
      volumes: [DATA, TEMP],
      clonedVolumes: [{ name: "clone-before-1" }, { name: "clone-before-2" }],
    });
  });

  test("one deleted by hand and no refresh: an update changes nothing, says it, and the next up replaces", async () => {
    const { id, outs } = await made();
    emulator.cinder.removeVolume(cloneOf(outs, LOGS).id);
    const failure = await partial(update(definition, newRun(), id, outs, { ...NEWS, displayName: "after" }));
    expect(failure.reasons[0]).toMatch(/1 of 3 clones are gone: those of .*Nothing was changed/);
    expect(failure.properties).toMatchObject({ missing: [LOGS], displayName: "before" });
    expect(clones().map(({ name }) => name)).toEqual(["clone-before-1", "clone-before-3"]);
    expect(diff(definition, failure.properties, { ...NEWS, displayName: "after" })).toMatchObject({
      changes: true,
      replaces: ["missing"],
    });
  });

  test("all deleted by hand is gone; one forbidden is an error", async () => {
    const { id, outs } = await made();
    emulator.faults.add({ match: { operation: "volumes.detail" }, times: 2, body: { volumes: [] }, status: 200 });
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

  test("what PowerVC's task names is removed only if it can be a clone of the set", async () => {
    await start();
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1ms" } }));
    const old = emulator.cinder.createVolume({ name: "somebody's", created_at: "2026-01-01T00:00:00.000000" });
    const copy = emulator.cinder.createVolume({ name: "a copy of another", source_volid: old.id });
    const results = { [DATA]: old.id, [LOGS]: copy.id, [TEMP]: LOGS };
    emulator.faults.add({
      match: { operation: "clones.progress" },
      times: Infinity,
      status: 200,
      body: { details: { results, flow_details: { cloneFlow: "SUCCESS" } } },
    });
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([old.id, copy.id, ...SOURCES].filter((id) => !emulator.cinder.volumes.has(id))).toEqual([]);
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
