// How a run that was killed is continued: whatever it had begun, the next `up` ends with one set and no leftovers.

import type { HttpRequest } from "../../provider/core/http/request";
import { create, remove } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { Run } from "../../provider/core/run";
import { FakeEngine } from "../support/fakeEngine";
import { ARGS, DATA, type Kill, LOGS, SOURCES, TEMP, VolumeCloneFixture } from "./volumeCloneFixture";

const fixture = new VolumeCloneFixture();
const { cloneOf, clones, clock, definition, newProcess, newRun, pass, pendingKeys, requests, start, volume } = fixture;
afterEach(fixture.close);

describe("adopt", () => {
  let engine: FakeEngine;
  const up = async (args: Properties = ARGS, kill?: Kill) => {
    newProcess(kill);
    return engine.up({ before: args }, { firstCheckWithoutSeed: false });
  };
  /** Expects success and a state with this one set. */
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
  const METADATA_KEY = /\/metadata\/[^/]+$/;

  beforeEach(async () => {
    await start();
    engine = new FakeEngine(definition, { clock, isDead: () => fixture.http.dead });
  });

  test.each([
    ["before the pending create is written", { at: at("POST", METADATA), carriedOut: false }],
    ["after the pending create is written", { at: at("POST", METADATA), carriedOut: true }],
    ["before the request", { at: at("POST", CLONE), carriedOut: false }],
    ["after the request and before its answer", { at: at("POST", CLONE), carriedOut: true }],
    ["before the task's id is written", { at: at("POST", METADATA, 2), carriedOut: false }],
    ["after the task's id is written", { at: at("POST", METADATA, 2), carriedOut: true }],
    ["while the flow runs", { at: at("GET", /get_progress/, 2), carriedOut: true }],
    ["when one clone has the record", { at: at("POST", METADATA, 4), carriedOut: false }],
    ["when one clone has its name", { at: at("PUT", /volumes/, 2), carriedOut: false }],
    ["before the pending create is removed", { at: at("DELETE", METADATA_KEY), carriedOut: false }],
    ["before the engine writes the state", { at: at("DELETE", METADATA_KEY), carriedOut: true }],
  ])("a run that was killed %s: the next up ends with the same set as a first up", async (_when, kill) => {
    expect((await up(ARGS, kill)).killed).toBe(true);
    pass(1_000);
    const { id, outs } = await good({ ...ARGS, displayName: "renamed since" });
    expect(outs).toMatchObject({
      volumes: SOURCES,
      displayName: "renamed since",
      clonedVolumes: SOURCES.map((sourceId, n) => ({ sourceId, name: `clone-renamed since-${n + 1}` })),
    });
    expect([clones().length, fixture.emulator.powervc.tasks.size, pendingKeys()]).toEqual([3, 1, []]);
    for (const source of SOURCES) {
      const { metadata } = cloneOf(outs, source);
      expect([metadata["snapclone:set"], metadata["snapclone:attempt"]]).toEqual([
        id,
        engine.state.entries[0]?.inputs.__attempt,
      ]);
    }
    expect((await engine.destroy()).errors).toEqual([]);
    expect([clones(), pendingKeys()]).toEqual([[], []]);
  });

  test("logs the id, the time and the age of the adopted set", async () => {
    await up(ARGS, { at: at("GET", /get_progress/), carriedOut: true });
    const { id, log } = await good();
    expect(log).toContainEqual(expect.stringMatching(`info: adopted the volume clone ${id}, made \\S+ \\(.* ago\\)`));
  });

  test("fails when nothing tells which clone is whose and two sizes are equal, and never guesses", async () => {
    fixture.emulator.powervc.tellsSource = false;
    volume(LOGS).size = volume(DATA).size;
    await up(ARGS, { at: at("POST", CLONE), carriedOut: true });
    const { errors } = await up();
    expect(String(errors[0])).toContain("nothing tells which is whose");
    for (const { id } of clones()) expect(String(errors[0])).toContain(id);
    expect(engine.state.entries).toMatchObject([{ outputs: { pending: { failed: true } } }]);
    newProcess();
    await engine.destroy();
    expect([clones(), pendingKeys()]).toEqual([[], []]);
  });

  test.each(["size", "size and type"])(
    "matches clones and sources by %s when nothing else tells which clone is whose",
    async (what) => {
      fixture.emulator.powervc.tellsSource = false;
      const [, ssd = ""] = fixture.emulator.cinder.volumeTypes.keys();
      if (what !== "size") Object.assign(volume(LOGS), { size: volume(DATA).size, volume_type_id: ssd });
      await up(ARGS, { at: at("POST", CLONE), carriedOut: true });
      const { outs } = await good();
      for (const source of SOURCES) {
        const { size, volume_type_id } = volume(source);
        expect(cloneOf(outs, source)).toMatchObject({ size, volume_type_id });
      }
      expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
    },
  );

  describe("a run that was killed before the request", () => {
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
      const begin = fixture.elapsed;
      const news = {
        ...ARGS,
        __owner: engine.urn("before"),
        __organization: "organization",
        __attempt: "f".repeat(16),
      };
      engine.state.pending.push({ urn: engine.urn("before"), inputs: news });
      await create(definition, run, news);
      return fixture.elapsed - begin;
    };

    test("the next up shows what it waits for, and how long it will wait", async () => {
      await begun();
      const waited = await watched();
      expect(rows).toContainEqual(
        expect.stringMatching(
          /^nothing is visible yet of the set snapclone-\w+; the request is sent again in 1 min 50 s$/,
        ),
      );
      expect(rows).toContain("nothing is visible of the interrupted request: sending it");
      expect(waited).toBeGreaterThan(110_000);
      expect([clones().length, fixture.emulator.powervc.tasks.size]).toEqual([3, 1]);
    });

    test("the next up counts the time that has passed since the kill", async () => {
      await begun();
      pass(10 * 60_000);
      expect(await watched()).toBeLessThan(40_000);
      expect([clones().length, fixture.emulator.powervc.tasks.size]).toEqual([3, 1]);
    });
  });

  test("sends no second request while the source volume is in the flow's group", async () => {
    fixture.emulator.powervc.behaviour({ step: "wait_for_group_snapshot", takes: 600_000, times: 1 });
    await up(ARGS, { at: at("POST", CLONE), carriedOut: true });
    await good();
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  test.each(["404", "empty", "unrouted"] as const)(
    "finds the clones by their names when PowerVC has forgotten the task (%s)",
    async (forgets) => {
      fixture.emulator.powervc.forgets = forgets;
      await up(ARGS, { at: at("GET", /get_progress/), carriedOut: true });
      pass(60_000);
      fixture.emulator.powervc.advance();
      fixture.emulator.powervc.forgetTasks();
      const { outs } = await good();
      expect(outs).toMatchObject({ displayName: "before", clonedVolumes: [{}, {}, {}] });
      expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
    },
  );

  test("makes another set when the volumes have changed, and only names the old one", async () => {
    await up(ARGS, { at: at("GET", /get_progress/), carriedOut: true });
    pass(60_000);
    const { outs, log } = await good({ ...ARGS, volumes: [DATA, LOGS] });
    expect(
      log.find((line) => /in no state: a volume clone that this stack made[\s\S]*snapclone-/.test(line)),
    ).toBeDefined();
    expect(Object.keys(outs.clones as object)).toEqual([DATA, LOGS]);
    expect(clones()).toHaveLength(5);
  });

  test("adopts the set when only the order of the volumes has changed", async () => {
    await up(ARGS, { at: at("GET", /get_progress/), carriedOut: true });
    const { outs } = await good({ ...ARGS, volumes: [TEMP, DATA, LOGS] });
    expect(outs).toMatchObject({ clonedVolumes: [{ sourceId: TEMP, name: "clone-before-1" }, { sourceId: DATA }, {}] });
    expect(requests("clones.create")).toBe(1);
  });

  test("a replacement that was killed and forced again deletes the old set last, and leaves one set", async () => {
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

  test("never adopts the set of another resource", async () => {
    await up(ARGS, { at: at("GET", /get_progress/), carriedOut: true });
    newProcess();
    const { errors } = await engine.up({ other: ARGS });
    expect(errors).toEqual([]);
    expect(clones()).toHaveLength(6);
  });

  test("never takes a copy of a clone or of a source for a clone, although it has their metadata and names", async () => {
    const { id, outs } = await good();
    const copied = fixture.emulator.cinder.createVolume({
      name: `clone-clone-${id}-1`,
      source_volid: cloneOf(outs, DATA).id,
      metadata: { ...cloneOf(outs, DATA).metadata },
    });
    fixture.emulator.cinder.createVolume({ name: "copy of the source", metadata: { ...volume(DATA).metadata } });
    await remove(definition, newRun(), id, { ...outs, clones: {} });
    expect(clones().map(({ name }) => name)).toEqual([copied.name, "copy of the source"]);
  });

  test.each(["with  blanks", "x".repeat(300)])(
    "a resource with the name %j is found by the owner in its pending create",
    async (name) => {
      newProcess({ at: at("GET", /get_progress/), carriedOut: true });
      await engine.up({ [name]: ARGS });
      const [pendingCreate = ""] = Object.values(volume(DATA).metadata);
      expect(pendingCreate.length).toBeLessThanOrEqual(255);
      pass(1_000);
      newProcess();
      expect((await engine.up({ [name]: ARGS })).errors).toEqual([]);
      expect([clones().length, requests("clones.create"), pendingKeys()]).toEqual([3, 1, []]);
      expect(new Set(clones().map(({ metadata }) => metadata["snapclone:owner"]?.length)).size).toBe(1);
    },
  );

  test("a run that could not save the state warns, and the next up adopts the set", async () => {
    newProcess();
    const { log } = await engine.up({ before: ARGS }, { saveFails: true, firstCheckWithoutSeed: false });
    expect(engine.state.entries).toEqual([]);
    expect(log.join("\n")).toMatch(/in no state: a volume clone that this stack made/);
    const [clone] = clones();
    pass(1_000);
    expect((await good()).id).toBe(clone?.metadata["snapclone:set"]);
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  test("makes a new set when the old one was retained, and names the old one", async () => {
    const first = await good();
    newProcess();
    await engine.up({}, { retain: ["before"] });
    pass(1_000);
    const second = await good();
    expect(second.id).not.toBe(first.id);
    expect(second.log.join("\n")).toContain(first.id);
    expect(clones()).toHaveLength(6);
  });

  test("an alias and a rename of the stack write the new owner on the clones, and nothing else", async () => {
    const { id, outs } = await good();
    newProcess();
    const sent = fixture.emulator.requests.length;
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
    const changes = [...fixture.emulator.requests]
      .slice(sent)
      .filter(({ method, operation }) => method !== "GET" && operation !== "tokens.issue");
    expect(changes.map(({ operation }) => operation)).toEqual(
      Array.from({ length: 6 }, () => "volumes.metadata.merge"),
    );
  });

  describe("a set of an early build", () => {
    /** The metadata that such a build leaves, for the same set. */
    async function old(phase: "intent" | "tags"): Promise<string> {
      const first = await good();
      const inputs = volume(Object.values(first.outs.clones as object)[0]).metadata["snapclone:inputs"] ?? "";
      const urn = engine.urn("before");
      for (const source of SOURCES) {
        const clone = cloneOf(first.outs, source);
        const { "snapclone:stack": _stack, "snapclone:attempt": _attempt, ...rest } = clone.metadata;
        clone.metadata = { ...rest, "snapclone:phase": "open", "snapclone:inputs": inputs.padEnd(32, "0") };
      }
      if (phase === "intent") {
        volume(DATA).metadata = {
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
      "is adopted by its open %s, and no such build adopts it again",
      async (phase) => {
        const id = await old(phase);
        const adopted = await good();
        expect(adopted.id).toBe(id);
        expect([clones().length, pendingKeys()]).toEqual([3, []]);
        for (const { metadata } of clones()) expect(metadata["snapclone:phase"]).toBe("settled");
      },
    );

    test("is deleted with the metadata that the build has left on the source", async () => {
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
      expect([clones(), pendingKeys()]).toEqual([[], []]);
    });
  });
});
