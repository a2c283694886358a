// How a VolumeClone is made: the request, the wait for PowerVC's flow, and what the user sees when either fails.

import { diff } from "../../provider/core/diff";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import type { Properties } from "../../provider/core/operation";
import { PartialFailure } from "../../provider/core/outputs";
import { Run } from "../../provider/core/run";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { PowerVcContext } from "../../provider/powervc/context";
import { wrapSecrets } from "../../provider/pulumi/secrets";
import { partial } from "../support/failures";
import { FakeEngine } from "../support/fakeEngine";
import { ARGS, DATA, LOGS, NEWS, OWNER, SOURCES, TEMP, VolumeCloneFixture } from "./volumeCloneFixture";

const fixture = new VolumeCloneFixture();
const { cloneOf, clones, definition, log, newProcess, newRun, pendingKeys, requests, start, volume } = fixture;
afterEach(fixture.close);

describe("create", () => {
  test("sends one request for three volumes, and maps, names and describes the clones", async () => {
    await start();
    const run = newRun();
    const { id, outs } = await create(definition, run, NEWS);
    expect(id).toMatch(/^snapclone-[0-9a-f]{24}$/);
    expect(outs).toMatchObject({
      volumes: SOURCES,
      displayName: "before",
      description: "Before the release",
      taskId: [...fixture.emulator.powervc.tasks.keys()][0],
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
    // The names of the steps have no numbers of PowerVC's.
    const rows = log.filter((line) => /^status: \d+ % · /.test(line));
    expect(rows.length).toBeGreaterThan(2);
    expect(rows.filter((line) => !/^status: \d+ % · [a-zA-Z_-]+$/.test(line))).toEqual([]);
    // The user's metadata stays on the volumes. Ours is removed when the clones have the record.
    expect(pendingKeys()).toEqual([]);
    expect(volume(TEMP).metadata).toEqual({ team: "shop" });
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
    // The end of the run sends nothing.
    const sent = fixture.emulator.requests.length;
    await run.end();
    expect(fixture.emulator.requests.length).toBe(sent);
  });

  test("sends the request in the documented form, with the id of the set as display name", async () => {
    await start();
    const { id } = await create(definition, newRun(), {
      ...NEWS,
      targetVolumeTypeId: [...fixture.emulator.cinder.volumeTypes.keys()][1],
    });
    const sent = fixture.emulator.requests.find(({ operation }) => operation === "clones.create")?.body;
    expect(sent).toEqual({
      "clone-volumes": {
        "display-name": id,
        description: "Before the release",
        volumes: SOURCES,
        "target-volume-type-id": [...fixture.emulator.cinder.volumeTypes.keys()][1],
      },
    });
    expect(clones().map(({ volume_type_id }) => fixture.emulator.cinder.volumeTypes.get(volume_type_id)?.name)).toEqual(
      ["ssd", "ssd", "ssd"],
    );
  });

  test.each([
    [[DATA], "demo", "clone-", ["clone-demo"]],
    [[DATA], undefined, "clone-", ["clone-data"]],
    [[DATA, LOGS], "demo", "backup of ", ["backup of demo-1", "backup of demo-2"]],
    [[DATA, LOGS], undefined, "", [expect.stringMatching(/^volume-/), expect.stringMatching(/^volume-/)]],
  ])(
    "names clones by PowerVC's rules: volumes %j, display name %s, prefix %j",
    async (volumes, displayName, prefix, names) => {
      await start();
      fixture.emulator.powervc.prefix = prefix;
      const { id, outs } = await create(definition, newRun(), { ...NEWS, volumes, displayName });
      expect(outs.clonedVolumes).toMatchObject(names.map((name) => ({ name })));
      if (displayName === undefined) expect(outs).not.toHaveProperty("displayName");
      // A refresh derives the same display name from the names.
      const { props } = await read(definition, newRun(), id, outs);
      expect(diff(definition, props ?? {}, { ...NEWS, volumes, displayName })).toEqual({ changes: false });
    },
  );

  test("reads progress and states inside `details`, as in the use cases of IBM's document", async () => {
    await start();
    fixture.emulator.powervc.form = "inside";
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ flow: { cloneFlow: "SUCCESS" } });
    expect(log.filter((line) => /^status: \d+ %$/.test(line)).length).toBeGreaterThan(0);
  });

  test("leaves neither a clone nor a pending create when PowerVC refuses the request", async () => {
    await start();
    volume(LOGS).status = "error";
    await expect(create(definition, newRun(), NEWS)).rejects.toThrow(
      /cannot create volume clone "before": .*status must be available, in-use, but current status is: error/,
    );
    expect([clones(), pendingKeys()]).toEqual([[], []]);
    await expect(create(definition, newRun(), { ...NEWS, volumes: [UNKNOWN_VOLUME] })).rejects.toThrow(
      /could not be found/,
    );
  });
});

const UNKNOWN_VOLUME = "99999999-9999-4999-8999-999999999999";

test("create: a clone of a clone has none of the first set's tags", async () => {
  await start();
  const { outs: first } = await create(definition, newRun(), NEWS);
  fixture.emulator.powervc.advance();
  const source = cloneOf(first, TEMP).id;
  cloneOf(first, TEMP).metadata["snapclone:phase"] = "open";
  fixture.emulator.faults.add({ match: { operation: "clones.create" }, action: "drop-response" });
  const { id, outs } = await create(definition, newRun(), { ...NEWS, __owner: `${OWNER}2`, volumes: [source] });
  const { metadata } = cloneOf(outs, source);
  expect(metadata).toMatchObject({ "snapclone:set": id, "snapclone:source": source, "snapclone:owner": `${OWNER}2` });
  expect([outs.taskId, metadata["snapclone:phase"], metadata["snapclone:task"]]).toEqual([undefined, "", ""]);
});

test("create: an output that repeats a secret input is secret", async () => {
  await start();
  const { outs } = await create(definition, newRun(), { ...NEWS, volumes: [DATA], __secrets: ["displayName"] });
  const marked = wrapSecrets(definition, outs);
  expect(marked.clonedVolumes).toMatchObject({ value: [{ name: "clone-before" }] });
  expect(marked.clones).toEqual(outs.clones);
});

describe("create, and PowerVC reverts the flow", () => {
  test.each([
    "create_group_type",
    "create_group_snapshot",
    "wait_for_group_snapshot",
    "create_group_clone",
    "delete_group_type",
  ] as const)("at %s: the error has PowerVC's message and the step, and nothing is left", async (step) => {
    await start({ timings: { cloneStep: 20_000 } });
    fixture.emulator.powervc.failNext(step, "EXP0023E: no space in pool 7");
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(failure.reasons[0]).toMatch(/^cannot create volume clone "before": PowerVC's clone task ended in REVERTED/);
    expect(failure.reasons[0]).toContain(`at the step ${step}: `);
    expect(failure.reasons[0]).toContain("EXP0023E: no space in pool 7");
    expect(failure.reasons[0]).toContain("No volume of the set is left behind");
    expect(failure.properties).toMatchObject({ pending: { operation: "create", failed: true } });
    expect(clones()).toEqual([]);
    // The next up replaces the failed set, which leaves nothing.
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
    expect(pendingKeys()).toEqual([]);
  });

  test("the error names the volumes that are left, and a delete removes them", async () => {
    await start();
    fixture.emulator.powervc.failNext("remove_vols_from_tgt_grp", "EXP0099E: group is busy", 2);
    const failure = await partial(create(definition, newRun(), NEWS));
    const left = clones().map(({ id }) => id);
    expect(left).toHaveLength(2);
    for (const id of left) expect(failure.reasons[0]).toContain(id);
    expect((failure.properties.clonedVolumes as { id: string }[]).map(({ id }) => id).sort()).toEqual([...left].sort());
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([clones(), pendingKeys()]).toEqual([[], []]);
  });

  test("a refresh removes a failed set without volumes from the state", async () => {
    await start();
    fixture.emulator.powervc.failNext("create_group_clone", "no");
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(await read(definition, newRun(), failure.id, failure.properties)).toEqual({});
  });
});

describe("create, and the timeout comes first", () => {
  async function late(): Promise<PartialFailure> {
    await start();
    fixture.emulator.powervc.behaviour({ step: "wait_for_group_snapshot", takes: 400_000, times: 1 });
    return partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1m" } }));
  }

  test("the state has the task, and the next up waits for it without a second request", async () => {
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
    expect(pendingKeys()).toEqual([]);
  });

  test("a refresh in the meantime keeps the set in the state", async () => {
    const failure = await late();
    const { props } = await read(definition, newRun(), failure.id, failure.properties);
    expect(props).toMatchObject({ volumes: SOURCES, pending: { operation: "create" } });
    expect(diff(definition, props ?? {}, NEWS)).toEqual({ changes: true });
  });

  test("destroy waits for the flow, which no call can cancel, and deletes its clones", async () => {
    const failure = await late();
    expect(clones()).toEqual([]);
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([clones(), pendingKeys()]).toEqual([[], []]);
    expect([...fixture.emulator.powervc.tasks.values()].map(({ state }) => state)).toEqual(["SUCCESS"]);
  });

  test("when the flow is reverted later, the next up reports it and the one after that replaces the set", async () => {
    await start();
    fixture.emulator.powervc.behaviour({ step: "create_group_snapshot", takes: 400_000, fails: "too late", times: 1 });
    const failure = await partial(create(definition, newRun(), { ...NEWS, __timeouts: { create: "1m" } }));
    const again = await partial(update(definition, newRun(), failure.id, failure.properties, NEWS));
    expect(again.reasons[0]).toContain("too late");
    expect(diff(definition, again.properties, NEWS)).toMatchObject({ replaces: ["pending"] });
  });
});

describe("create, and the reply is lost", () => {
  test("after PowerVC received the request: the clones are found, and none is made twice", async () => {
    await start();
    fixture.emulator.faults.add({ match: { operation: "clones.create" }, action: "drop-response" });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ clonedVolumes: [{ name: "clone-before-1" }, {}, {}] });
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  test("before PowerVC received the request: the set is recorded, and only the next up sends it again", async () => {
    await start();
    fixture.emulator.faults.add({ match: { operation: "clones.create" }, status: 500 });
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(failure.reasons[0]).toMatch(/cannot create volume clone "before": Cinder answered 500/);
    expect(failure.properties).toMatchObject({ volumes: SOURCES, pending: { operation: "create" } });
    expect([clones(), requests("clones.create")]).toEqual([[], 1]);
    newProcess();
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, NEWS);
    expect(outs).toMatchObject({ clonedVolumes: [{ name: "clone-before-1" }, {}, {}] });
    expect([clones().length, requests("clones.create"), pendingKeys()]).toEqual([3, 2, []]);
  });

  test("before PowerVC received the request, and then destroy: nothing is left", async () => {
    await start();
    fixture.emulator.faults.add({ match: { operation: "clones.create" }, status: 500 });
    const failure = await partial(create(definition, newRun(), NEWS));
    newProcess();
    await remove(definition, newRun(), failure.id, failure.properties);
    expect([clones(), requests("clones.create"), pendingKeys()]).toEqual([[], 1, []]);
  });

  test("an answer without a usable task does not make the run send the request again", async () => {
    await start();
    fixture.emulator.faults.add({ match: { operation: "clones.create" }, action: "truncate" });
    await create(definition, newRun(), NEWS);
    expect([clones().length, requests("clones.create")]).toEqual([3, 1]);
  });

  test("503, HTML and an expired token do not end the wait", async () => {
    await start();
    fixture.emulator.faults.add({ match: { operation: "clones.progress", nth: 2 }, times: 2, status: 503 });
    fixture.emulator.faults.add({ match: { operation: "clones.progress", nth: 4 }, action: "html" });
    fixture.emulator.faults.add({ match: { operation: "clones.progress", nth: 5 }, action: "expire-token" });
    await create(definition, newRun(), NEWS);
    expect(clones()).toHaveLength(3);
  });
});

describe("create, and a clone vanishes", () => {
  test.each(["set_metadata_for_volume", "delete_group_type"] as const)(
    "after %s: the state has the other clones, and the next up makes a complete set",
    async (step) => {
      await start();
      fixture.emulator.powervc.behaviour({ step, loses: 1, times: 1 });
      const engine = new FakeEngine(definition, { clock: fixture.clock });
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
      expect([clones().length, pendingKeys()]).toEqual([2, []]);
      newProcess();
      expect((await engine.up({ before: ARGS })).errors).toEqual([]);
      expect(engine.state.entries).toMatchObject([{ outputs: { clonedVolumes: [{}, {}, {}] } }]);
      expect([clones().length, pendingKeys()]).toEqual([3, []]);
    },
  );

  test("on one replica only: the run waits until it is visible everywhere", async () => {
    await start();
    // A replica that lags behind: neither the list nor the single requests show the clones yet.
    fixture.emulator.faults.add({
      match: { operation: "volumes.detail", nth: 2 },
      times: 2,
      body: { volumes: [] },
      status: 200,
    });
    const missing = { itemNotFound: { code: 404, message: "Volume x could not be found." } };
    fixture.emulator.faults.add({ match: { operation: "volumes.show" }, times: 6, body: missing, status: 404 });
    const { outs } = await create(definition, newRun(), NEWS);
    expect(outs).toMatchObject({ clonedVolumes: [{ name: "clone-before-1" }, {}, {}] });
    expect(outs).not.toHaveProperty("missing");
  });

  test("between the fetch and the rename: the set fails in the same way", async () => {
    await start();
    newProcess();
    const { updateVolume } = fixture.cloud.cinder;
    fixture.cloud.cinder.updateVolume = async (id, change) => {
      fixture.cloud.cinder.updateVolume = updateVolume;
      fixture.emulator.cinder.removeVolume(id);
      return updateVolume.call(fixture.cloud.cinder, id, change);
    };
    const failure = await partial(create(definition, newRun(), NEWS));
    expect(failure.reasons[0]).toContain("1 of 3 clones vanished while the set was made");
    expect(failure.properties).toMatchObject({ missing: [DATA], pending: { failed: true } });
    expect(pendingKeys()).toEqual([]);
  });
});

describe("create, and the pending create on the source volume", () => {
  test("can't be removed after a refusal: the set is recorded, and the next up makes it", async () => {
    await start();
    const engine = new FakeEngine(definition, { clock: fixture.clock });
    volume(LOGS).status = "error";
    fixture.emulator.faults.add({ match: { operation: "volumes.metadata.delete" }, times: 3, status: 503 });
    const { errors } = await engine.up({ before: ARGS });
    expect(String(errors[0])).toMatch(/status must be available, in-use, but current status is: error/);
    expect([engine.state.entries.length, pendingKeys().length]).toEqual([1, 1]);
    volume(LOGS).status = "in-use";
    newProcess();
    const begin = fixture.elapsed;
    expect((await engine.up({ before: ARGS })).errors).toEqual([]);
    // The state says that nothing was sent, so the run does not wait for clones.
    expect(fixture.elapsed - begin).toBeLessThan(60_000);
    expect([clones().length, fixture.emulator.powervc.tasks.size, pendingKeys()]).toEqual([3, 1, []]);
  });

  test("must not be written: the create fails, and nothing is recorded", async () => {
    await start();
    fixture.emulator.faults.add({ match: { operation: "volumes.metadata.merge" }, times: Infinity, status: 403 });
    const error: unknown = await create(definition, newRun(), NEWS).catch((thrown: unknown) => thrown);
    expect(error).not.toBeInstanceOf(PartialFailure);
    expect([clones(), pendingKeys(), requests("clones.create"), requests("volumes.metadata.delete")]).toEqual([
      [],
      [],
      0,
      0,
    ]);
  });

  test("must not be removed: the set is made, and a warning has the command that removes it", async () => {
    await start();
    fixture.emulator.faults.add({ match: { operation: "volumes.metadata.delete" }, status: 403 });
    const { id } = await create(definition, newRun(), NEWS);
    expect(log).toContainEqual(
      expect.stringContaining(`Remove it: \`openstack volume unset --property snapclone:${id}:pending ${DATA}\``),
    );
  });
});

describe("create, and PowerVC answers unexpectedly", () => {
  const progress = (body: object) =>
    fixture.emulator.faults.add({ match: { operation: "clones.progress" }, times: Infinity, body, status: 200 });

  test("success with fewer clones than volumes fails, and the state has the clones that exist", async () => {
    await start();
    const made = fixture.emulator.cinder.createVolume({ name: "clone-of-data", source_volid: DATA });
    // The emulator would make a clone of each.
    const accepted = { "clone-volumes": { task_id: "a-task" } };
    fixture.emulator.faults.add({ match: { operation: "clones.create" }, body: accepted, status: 200 });
    progress({ details: { results: { [DATA]: made.id }, flow_details: { cloneFlow: "SUCCESS" }, progress: 100 } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, volumes: [DATA, LOGS] }));
    expect(failure.reasons[0]).toContain("with 1 of 2 clones");
    expect(failure.properties).toMatchObject({ clones: { [DATA]: made.id }, pending: { failed: true } });
  });

  test("a source volume among the clones is never renamed or deleted", async () => {
    await start();
    progress({ details: { results: { [DATA]: LOGS, [LOGS]: DATA }, flow_details: { cloneFlow: "SUCCESS" } } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, volumes: [DATA, LOGS] }));
    expect(failure.reasons[0]).toContain("with 0 of 2 clones");
    expect([volume(DATA).name, volume(LOGS).name]).toEqual(["data", "logs"]);
    await remove(definition, newRun(), failure.id, { ...failure.properties, clones: { [DATA]: LOGS, [LOGS]: DATA } });
    expect(fixture.emulator.cinder.volumes.has(DATA) && fixture.emulator.cinder.volumes.has(LOGS)).toBe(true);
  });

  test("a clone in status error fails the set, and the state has the clone", async () => {
    await start();
    const made = fixture.emulator.cinder.createVolume({ name: "x", source_volid: DATA, status: "error" });
    progress({ details: { results: { [DATA]: made.id }, flow_details: { cloneFlow: "SUCCESS" } } });
    const failure = await partial(create(definition, newRun(), { ...NEWS, volumes: [DATA] }));
    expect(failure.reasons[0]).toMatch(/the clone \S+ is in status "error"/);
    expect(failure.properties).toMatchObject({ clonedVolumes: [{ id: made.id, status: "error" }] });
  });

  test("a failure in the results counts whatever the flow's state is, and the run waits out an unknown state", async () => {
    await start();
    progress({
      progress: 100,
      flow_details: { cloneFlow: "SUCCESS" },
      details: { results: { failure: "it did not" } },
    });
    expect((await partial(create(definition, newRun(), NEWS))).reasons[0]).toContain("it did not");
    fixture.emulator.faults.clear();
    progress({ progress: 12, flow_details: { cloneFlow: "SUSPENDED" } });
    const failure = await partial(
      create(definition, newRun(), { ...NEWS, __owner: `${OWNER}2`, __timeouts: { create: "1m" } }),
    );
    expect(failure.reasons[0]).toContain("12 % · SUSPENDED");
    expect(failure.properties.pending).not.toHaveProperty("failed");
  });
});

describe("create, update and delete", () => {
  /** Counts the requests in real time, with login, version discovery and the end of the run. */
  async function counted(work: (run: Run) => Promise<unknown>): Promise<number> {
    fixture.cloud = new PowerVcContext(new KeystoneSession(fixture.settings()));
    const before = fixture.emulator.requests.length;
    const run = new Run({ log: () => {} });
    await work(run);
    await run.end();
    await fixture.cloud.session.close();
    return fixture.emulator.requests.length - before;
  }

  test.each([
    // Early builds took 23 to create and 8 to delete, with as many polls of the flow.
    { volumes: [DATA], made: 12, renamed: 4, deleted: 4 },
    // Early builds took 35 and 14.
    { volumes: [DATA, LOGS, TEMP], made: 16, renamed: 6, deleted: 7 },
  ])(
    "take no more requests than they must for a set of $volumes.length",
    async ({ volumes, made, renamed, deleted }) => {
      // The times allow two polls of the flow and one of the deletion. A busy machine needs up to two more of either.
      await start({ clock: "real", timings: { cloneStep: 40, volumeDelete: 100 } });
      const news = { ...NEWS, volumes };
      let id = "";
      let outs: Properties = {};
      const create_ = await counted(async (run) => {
        ({ id, outs } = await create(definition, run, news));
      });
      const update_ = await counted((run) => update(definition, run, id, outs, { ...news, displayName: "after" }));
      const delete_ = await counted((run) => remove(definition, run, id, outs));
      expect(create_).toBeLessThanOrEqual(made + 2);
      expect(update_).toBeLessThanOrEqual(renamed);
      expect(delete_).toBeLessThanOrEqual(deleted + 2);
      expect(clones()).toEqual([]);
    },
  );
});
