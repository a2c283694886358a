// What a refresh shows of a VolumeClone, and what an update changes.

import { diff } from "../../provider/core/diff";
import { create, read, remove, update } from "../../provider/core/lifecycle";
import { partial } from "../support/failures";
import { FakeEngine } from "../support/fakeEngine";
import { ARGS, DATA, LOGS, NEWS, SOURCES, TEMP, VolumeCloneFixture } from "./volumeCloneFixture";

const fixture = new VolumeCloneFixture();
const { cloneOf, clones, definition, existing, log, newProcess, newRun, requests, start } = fixture;
afterEach(fixture.close);

describe("update", () => {
  const made = () => existing((run) => create(definition, run, NEWS));

  test("changes display name and description in place, with one request for each clone", async () => {
    const { id, outs } = await made();
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

  test("renumbers the clones when the order of the volumes changes, and makes none", async () => {
    const { id, outs } = await made();
    const news = { ...NEWS, volumes: [TEMP, LOGS, DATA] };
    expect(diff(definition, outs, news)).toEqual({});
    const changed = await update(definition, newRun(), id, outs, news);
    expect(changed.outs).toMatchObject({ volumes: news.volumes, clones: outs.clones });
    expect(cloneOf(outs, TEMP).name).toBe("clone-before-1");
    const { props } = await read(definition, newRun(), id, changed.outs);
    expect(diff(definition, props ?? {}, news)).toEqual({ changes: false });
  });

  test("corrects names and descriptions that somebody has changed, and a refresh shows them", async () => {
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

  test("is not needed when somebody has removed the tags: the state has their content", async () => {
    const { id, outs } = await made();
    for (const clone of clones()) clone.metadata = {};
    const { props } = await read(definition, newRun(), id, outs);
    expect(diff(definition, props ?? {}, NEWS)).toEqual({ changes: false });
  });

  test("replaces the set when a clone was deleted by hand, and the refresh says so", async () => {
    const { id, outs } = await made();
    const gone = cloneOf(outs, LOGS).id;
    fixture.emulator.cinder.removeVolume(gone);
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
    // A second refresh changes nothing.
    expect((await read(definition, newRun(), id, props ?? {})).props).toEqual(props);
    // The engine makes the new set first, then deletes the rest of the old one.
    const run = newRun();
    const fresh = await create(definition, run, NEWS);
    await remove(definition, run, id, props ?? {});
    expect(
      clones()
        .map((clone) => clone.id)
        .sort(),
    ).toEqual(Object.values(fresh.outs.clones as object).sort());
  });

  test("is not needed when a clone that was missing is visible again", async () => {
    const { id, outs } = await made();
    const clone = cloneOf(outs, LOGS);
    fixture.emulator.cinder.volumes.delete(clone.id);
    const { props } = await read(definition, newRun(), id, outs);
    expect(props).toMatchObject({ missing: [LOGS] });
    fixture.emulator.cinder.volumes.set(clone.id, clone);
    const healed = await read(definition, newRun(), id, props ?? {});
    expect(healed.props).not.toHaveProperty("missing");
    expect(healed.props?.clones).toEqual(outs.clones);
  });

  test("keeps the other clones when the program gives up the volume whose clone was deleted by hand", async () => {
    const { id, outs } = await made();
    fixture.emulator.cinder.removeVolume(cloneOf(outs, LOGS).id);
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

  test("changes nothing when a clone was deleted by hand without a refresh, and the next up replaces the set", async () => {
    const { id, outs } = await made();
    fixture.emulator.cinder.removeVolume(cloneOf(outs, LOGS).id);
    const failure = await partial(update(definition, newRun(), id, outs, { ...NEWS, displayName: "after" }));
    expect(failure.reasons[0]).toMatch(/1 of 3 clones are gone: those of .*Nothing was changed/);
    expect(failure.properties).toMatchObject({ missing: [LOGS], displayName: "before" });
    expect(clones().map(({ name }) => name)).toEqual(["clone-before-1", "clone-before-3"]);
    expect(diff(definition, failure.properties, { ...NEWS, displayName: "after" })).toMatchObject({
      changes: true,
      replaces: ["missing"],
    });
  });

  test("read: a set is gone when all its clones are, and a forbidden request is an error", async () => {
    const { id, outs } = await made();
    fixture.emulator.faults.add({
      match: { operation: "volumes.detail" },
      times: 2,
      body: { volumes: [] },
      status: 200,
    });
    fixture.emulator.faults.add({ match: { operation: "volumes.show", nth: 2 }, status: 403 });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/cannot read volume clone "before": .*403/);
    fixture.emulator.faults.add({
      match: { operation: "volumes.show", nth: 3 },
      status: 404,
      body: "<html>nginx</html>",
    });
    await expect(read(definition, newRun(), id, outs)).rejects.toThrow(/HTML/);
    for (const clone of clones()) fixture.emulator.cinder.removeVolume(clone.id);
    expect(await read(definition, newRun(), id, outs)).toEqual({});
  });

  test("read: a clone in status error causes a warning and no replacement", async () => {
    const { id, outs } = await made();
    cloneOf(outs, TEMP).status = "error";
    const { props } = await read(definition, newRun(), id, outs);
    expect(log.at(-1)).toMatch(/the clone \S+ is in status "error"/);
    expect(diff(definition, props ?? {}, NEWS)).toEqual({ changes: false });
  });

  test("read: finds a set by its id alone", async () => {
    const { id, outs } = await made();
    const { props } = await read(definition, newRun(), id, {});
    expect(props).toMatchObject({ volumes: SOURCES, clones: outs.clones, displayName: "before", taskId: outs.taskId });
  });

  /** The emulator refuses the n-th request of this operation from now on. */
  const refuseNth = (operation: string, nth: number) =>
    fixture.emulator.faults.add({ match: { operation, nth }, times: 1, status: 409 });

  test.each([1, 2, 3, 4])(
    "a reorder that fails at request %i is visible in the outputs, and the next up completes it",
    async (nth) => {
      await start();
      const engine = new FakeEngine(definition, { clock: fixture.clock });
      await engine.up({ before: ARGS });
      const reordered = { ...ARGS, volumes: [TEMP, DATA, LOGS] };
      newProcess();
      // The reorder writes three numbers and three names.
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
});

describe("update and delete with another login", () => {
  test("stop while the set is being made: the absence of clones proves nothing", async () => {
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

  test("stop in another project, and the error names both projects", async () => {
    await start();
    const { id, outs } = await create(definition, newRun(), NEWS);
    const other = { ...outs, __backend: "project 0123, region RegionOne" };
    for (const clone of clones()) fixture.emulator.cinder.removeVolume(clone.id);
    for (const work of [() => read(definition, newRun(), id, other), () => remove(definition, newRun(), id, other)]) {
      await expect(work()).rejects.toThrow(
        /the state says project 0123, region RegionOne, and the connection reaches project/,
      );
    }
    await remove(definition, newRun(), id, outs);
  });
});
